"""The budget of alarms: margins are as wide as learning says they must be for it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.quality.faults import columns
from detectors.kernels.value import TYPE_RANGE
from detectors.lifecycle import Learning
from detectors.value import Params, ValueDetector

TAGS, LEARNED, DAY = 120, 21_600, 86_400
EVERY = 10
"""A value of each tag every ten seconds: six hours are learned, and a day is judged."""


def plant(seed: int, rows: int) -> NDArray[np.float64]:
    """Quantities with a long tail, such as loads and flows."""
    return np.random.default_rng(seed).standard_exponential((TAGS, rows)) ** 1.5


def baseline(budget: float) -> dict[str, NDArray[np.float64]]:
    teacher = ValueDetector(Params(), Learning(mode="learn", budget_per_day=budget))
    teacher.on_batch(columns(plant(1, LEARNED // EVERY), EVERY))
    return dict(teacher.learned())


def margins(rows: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    return rows["value"][rows["parameter"] == "reported.margin"]


def left(rows: dict[str, NDArray[np.float64]]) -> int:
    """Tags that leave their range within the day after."""
    pupil = ValueDetector(Params(), Learning())
    pupil.adopt(rows)
    alerts = pupil.on_batch(columns(plant(2, DAY // EVERY), EVERY))
    return len(np.unique(alerts.key[alerts.what == TYPE_RANGE]))


@pytest.mark.parametrize("budget", [20.0, 80.0])
def test_half_of_the_budget_is_what_ranges_cost(budget: float) -> None:
    assert left(baseline(budget)) <= budget


def test_without_the_budget_there_would_be_more() -> None:
    assert left(baseline(1e6)) > 20


def test_a_larger_budget_gives_narrower_margins_down_to_the_setting() -> None:
    found = [margins(baseline(budget)) for budget in (0.0, 4.0, 20.0, 1e6)]
    for wide, narrow in pairwise(found):
        assert (wide >= narrow).all()
    assert (found[0] > found[-1]).all()
    assert found[-1].min() >= Params().margin
