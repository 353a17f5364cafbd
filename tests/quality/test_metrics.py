"""Measures of detection on rows small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality.metrics import (
    Flags,
    batadal_score,
    beside,
    f1,
    false_alarm_rate,
    false_segments,
    found,
    missed_rate,
    segments,
)


def flags(text: str) -> Flags:
    return np.array([c == "#" for c in text])


TRUTH = flags("....####....####")
ALARM = flags("##....##..#.....")


def test_rows_and_stretches() -> None:
    assert segments(ALARM) == [(0, 2), (6, 8), (10, 11)]
    assert segments(flags("")) == []
    assert f1(ALARM, TRUTH) == pytest.approx(2 * 2 / (5 + 8))
    assert false_alarm_rate(ALARM, TRUTH) == pytest.approx(3 / 8)
    assert missed_rate(ALARM, TRUTH) == pytest.approx(6 / 8)
    assert (found(ALARM, TRUTH), false_segments(ALARM, TRUTH)) == (1, 2)


def test_the_score_of_batadal() -> None:
    """Events of four rows: one is found after two, the other never; 2 of 8 and 5 of 8 rows are judged right."""
    late = (2 / 4 + 4 / 4) / 2
    assert batadal_score(ALARM, TRUTH) == pytest.approx(((1 - late) + (2 / 8 + 5 / 8) / 2) / 2)
    assert batadal_score(TRUTH, TRUTH) == 1.0
    assert batadal_score(np.zeros(16, np.bool_), TRUTH) == pytest.approx(0.25)


def test_nothing_to_find_and_nothing_found() -> None:
    nothing = np.zeros(4, np.bool_)
    assert (f1(nothing, nothing), missed_rate(nothing, nothing), false_alarm_rate(nothing, nothing)) == (1.0, 0.0, 0.0)


def test_those_who_know_nothing_are_shown_beside() -> None:
    shown = beside(f1, ALARM, TRUTH)
    assert shown["positive"] == pytest.approx(2 * 8 / (16 + 8))
    assert 0 < shown["random"] < 1
    assert beside(f1, ALARM, TRUTH) == shown
