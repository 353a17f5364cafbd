"""Pictures of the cases, by the colours in them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import plots
from benchmarks.quality.metrics import Measure
from benchmarks.quality.process import Judged

needs_matplotlib = pytest.mark.skipif(find_spec("matplotlib") is None, reason="no matplotlib (make setup)")
KEYED = {"truth": plots.TRUTH, "alarm": plots.ALARM, "met": plots.MET, "missed": plots.MISSED, "no floor": plots.PLAIN}
TIMELINES = [Judged("rows", np.arange(100) > 60, np.arange(100) > 50, 200)]
MEASURES = [
    Measure("data", "found of 7", 7, "7", "7", True),
    Measure("data", "score", -20.5, "> 13.9", "> 43.1", False),
    Measure("data", "rows", 0.2),
]


def test_numbers_of_floors_and_goals() -> None:
    assert [plots.number(text) for text in ("0.90", "> 13.9", "-2", "run 10, seconds")] == [0.9, 13.9, -2, 10]
    assert np.isnan(plots.number(""))


def shown(picture: Path) -> set[str]:
    """What is drawn below the legend, by its colour."""
    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    pixels = np.round(imread(picture)[60:, :, :3] * 255)
    return {
        name
        for name, colour in KEYED.items()
        if (pixels == np.round(np.array(to_rgb(colour)) * 255)).all(axis=2).sum() > 400
    }


@needs_matplotlib
def test_a_picture_shows_truth_alarms_and_what_is_met(tmp_path: Path) -> None:
    assert shown(plots.draw("all", MEASURES, TIMELINES, tmp_path)) == set(KEYED)
    assert shown(plots.draw("bars", MEASURES[:1], [], tmp_path)) == {"met"}
    nothing = [Judged("rows", np.zeros(100, np.bool_), np.arange(100) > 50)]
    assert shown(plots.draw("rows", MEASURES[1:2], nothing, tmp_path)) == {"truth", "missed"}
