"""Measures of detection, without point adjustment: what is alarmed counts where it is alarmed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure.

    Attributes:
        data: data set.
        what: measure.
        value: measured.
        floor, goal: in words, empty for none.
        met: whether the floor is met, None where there is none.
        positive, random: the same measure of one who always alarms, and of one who alarms as often but at random;
            NaN where it makes no sense.
    """

    data: str
    what: str
    value: float
    floor: str = ""
    goal: str = ""
    met: bool | None = None
    positive: float = float("nan")
    random: float = float("nan")


def segments(flags: Flags) -> list[tuple[int, int]]:
    """(start, stop) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def f1(alarmed: Flags, truth: Flags) -> float:
    """Harmonic mean of precision and recall, by rows."""
    hit = int((alarmed & truth).sum())
    either = int(alarmed.sum()) + int(truth.sum())
    return 2 * hit / either if either else 1.0


def false_alarm_rate(alarmed: Flags, truth: Flags) -> float:
    """Share of the normal rows that are alarmed."""
    return float(alarmed[~truth].mean()) if (~truth).any() else 0.0


def missed_rate(alarmed: Flags, truth: Flags) -> float:
    """Share of the abnormal rows that are not alarmed."""
    return float((~alarmed[truth]).mean()) if truth.any() else 0.0


def found(alarmed: Flags, truth: Flags) -> int:
    """Events of which at least one row is alarmed."""
    return sum(bool(alarmed[start:stop].any()) for start, stop in segments(truth))


def false_segments(alarmed: Flags, truth: Flags) -> int:
    """Stretches of alarm without a row of truth."""
    return sum(not truth[start:stop].any() for start, stop in segments(alarmed))


def batadal_score(alarmed: Flags, truth: Flags) -> float:
    """S of the Battle of the Attack Detection Algorithms (Taormina et al. 2018), with its weight of one half.

    S = (1 - mean of (rows to the first alarm / rows of the event) + mean of the rates of rows judged right) / 2.
    """
    late = []
    for start, stop in segments(truth):
        hits = np.flatnonzero(alarmed[start:stop])
        late.append((int(hits[0]) if len(hits) else stop - start) / (stop - start))
    classified = ((1 - missed_rate(alarmed, truth)) + (1 - false_alarm_rate(alarmed, truth))) / 2
    return ((1 - float(np.mean(late))) + classified) / 2 if late else classified


def beside(score: Callable[[Flags, Flags], float], alarmed: Flags, truth: Flags) -> dict[str, float]:
    """What one gets who always alarms, and who alarms as often as `alarmed` at random (mean of ten)."""
    rng = np.random.default_rng(0)
    tried = [score(rng.permutation(alarmed), truth) for _ in range(10)]
    return {"positive": score(np.ones_like(truth), truth), "random": float(np.mean(tried))}
