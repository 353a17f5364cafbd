"""The realKnownCause series of the Numenta Anomaly Benchmark (Lavin and Ahmad 2015) through `value`, as it is.

Each series is one register of one device, a record for each row at the row's own time.  The detector learns of the
probationary rows, which are not scored, and judges the others by that baseline.  The score of a row is how far its
evidence lies outside of normal, as a share of the width of normal: what the detector itself hands on.  As the
benchmark does, each detector gets the one threshold for all series that is the best for it, with hindsight.

Beside it the benchmark's own Windowed Gaussian, by the same scorer on the same series.  At the threshold of the
benchmark's own tables (results/windowedGaussian), where it was the best over all 58 series, it gets here what these
tables say of each of the seven.  The goal is what they say of Random Cut Forest on these seven, also at its threshold
for all 58; the best one for these alone is not published, and gives at least as much.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from math import erfc
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.metrics import Measure
from detectors.base import Alerts
from detectors.columns import Columns, records
from detectors.lifecycle import Learning
from detectors.value import Params, ValueDetector
from schemas.codes import Direction, Kind, Match, Op, PointType, Space

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
PROFILES = {"standard": (1.0, 0.11, 1.0), "low FP": (1.0, 0.22, 1.0), "low FN": (1.0, 0.11, 2.0)}
"""Weights of a window found, of a false row and of a window missed."""
RANDOM_CUT_FOREST = {"standard": 43.1, "low FP": 16.0, "low FN": 47.8}
"""Normalised from the scores of the seven series in the benchmark's results/randomCutForest."""
PROBATION, PROBATION_ROWS = 0.15, 5000
"""The share of a series that is not scored, and how much of it that is a share of at most."""
GAUSSIAN_WINDOW, GAUSSIAN_STEP = 6400, 100
"""Rows of the Windowed Gaussian, and after how many it is fitted anew."""
FAR = 3.0
"""Windows behind a window at which a false row costs all that it can."""


@dataclass(frozen=True, slots=True)
class Series:
    """A labelled series.

    Attributes:
        ts_ns: int64, time of each row.
        values: float64, value of each row.
        windows: first and last row of each anomaly.
    """

    ts_ns: I64
    values: F64
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self) -> int:
        """Rows that are learned of and not scored."""
        return int(PROBATION * min(len(self.values), PROBATION_ROWS))


def nanoseconds(text: str) -> int:
    """A time of day without a zone, taken for UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def series(folder: Path) -> dict[str, Series]:
    """The series by name."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    found = {}
    for path in sorted((folder / "data" / "realKnownCause").glob("*.csv")):
        with path.open() as file:
            rows = list(csv.DictReader(file))
        ts = np.array([nanoseconds(row["timestamp"]) for row in rows])
        limits = [(nanoseconds(start), nanoseconds(end)) for start, end in labels[f"realKnownCause/{path.name}"]]
        windows = tuple(
            (int(np.flatnonzero(ts == start)[0]), int(np.flatnonzero(ts == end)[-1])) for start, end in limits
        )
        found[path.stem] = Series(ts, np.array([float(row["value"]) for row in rows]), windows)
    return found


def sigmoid(position: F64) -> F64:
    """The benchmark's weight of a row at `position`, in widths of a window from its right end: 1 long before, -1 after.

    2 / (1 + exp(5 position)) - 1, and -1 from FAR on.
    """
    return np.where(position >= FAR, -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(position, FAR))) - 1.0)


def weights(n: int, windows: tuple[tuple[int, int], ...]) -> tuple[F64, I64]:
    """What telling each of `n` rows is worth, without a profile's weights, and the row's window, -1 outside of one.

    Within a window, 1 at its first row and falling; behind a window, falling from 0 to -1; before the first, -1.
    """
    at = np.arange(n, dtype=np.float64)
    worth, owner = np.full(n, -1.0), np.full(n, -1, np.int64)
    for i, (first, last) in enumerate(windows):
        width = last - first + 1
        worth[last + 1 :] = sigmoid((at[last + 1 :] - last) / max(width - 1, 1))
        inside = slice(first, last + 1)
        worth[inside] = sigmoid((at[inside] - last - 1) / width) / sigmoid(np.array(-1.0))
        owner[inside] = i
    return worth, owner


@dataclass(frozen=True, slots=True)
class Sweep:
    """The score of a detector at each threshold, from the highest on.

    Attributes:
        threshold: float64, rows that score as much are told.
        score: float64, normalised: 0 for one who tells nothing, 100 for one who tells the first row of each window.
    """

    threshold: F64
    score: F64

    @property
    def best(self) -> float:
        """The score at the threshold that is the best for it; 0 for telling nothing at all."""
        return max(float(self.score.max()), 0.0)


def sweep(given: list[Series], scores: list[F64], profile: str) -> Sweep:
    """All thresholds at once: rows by falling score, each window at its best row so far."""
    found_weight, false_weight, missed_weight = PROFILES[profile]
    parts, base = [], 0
    for one, score in zip(given, scores, strict=True):
        worth, owner = weights(len(score), one.windows)
        keep = slice(one.probation, None)
        parts.append((score[keep], worth[keep], np.where(owner < 0, -1, owner + base)[keep]))
        base += len(one.windows)
    flat, worth, owner = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(-flat, kind="stable")
    flat, worth, owner = flat[order], worth[order], owner[order]
    total = np.cumsum(np.where(owner < 0, worth * false_weight, 0.0))
    for window in range(base):
        gain = np.where(owner == window, worth * found_weight, -missed_weight)
        total += np.maximum.accumulate(gain)
    nothing, perfect = -missed_weight * base, found_weight * base
    last = np.append(flat[1:] != flat[:-1], True)
    return Sweep(flat[last], 100.0 * (total[last] - nothing) / (perfect - nothing))


def gaussian(values: F64) -> F64:
    """Windowed Gaussian: 1 less the chance of a value further from the mean, on the same side of it.

    Mean and deviation are of the rows before; from GAUSSIAN_WINDOW rows on of so many, moved by GAUSSIAN_STEP.
    """
    at = np.arange(len(values))
    moved = (at - GAUSSIAN_WINDOW) // GAUSSIAN_STEP * GAUSSIAN_STEP
    start = np.maximum(moved, 0)
    stop = np.where(at < GAUSSIAN_WINDOW, at, start + GAUSSIAN_WINDOW)
    shifted = values - values.mean()
    sums = [np.concatenate([[0.0], np.cumsum(shifted**power)]) for power in (1, 2)]
    n = np.maximum(stop - start, 1)
    mean, square = ((one[stop] - one[start]) / n for one in sums)
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    deviation[deviation == 0.0] = 1e-6
    tails = np.vectorize(erfc)(np.abs(shifted - mean) / deviation / np.sqrt(2.0))
    score = 1.0 - 0.5 * tails
    score[0] = 0.0
    return np.asarray(score)


def columns(given: Series) -> Columns:
    """A record for each row, with the one point."""
    rows: list[dict[str, Any]] = [
        {
            "ts": ts,
            "seq": i,
            "device": 1,
            "kind": Kind.RESPONSE,
            "op": Op.READ,
            "match": Match.MATCHED,
            "points": [
                {
                    "space": Space.HOLDING_REGISTER,
                    "addr": 0,
                    "value": value,
                    "type": PointType.F64,
                    "direction": Direction.READ,
                }
            ],
        }
        for i, (ts, value) in enumerate(zip(given.ts_ns.tolist(), given.values.tolist(), strict=True))
    ]
    return records(rows)


def outside(alerts: Alerts, n: int) -> F64:
    """For each of `n` rows how far it is outside of normal, as a share of the width of normal; -1 without evidence.

    Evidence without bounds, or of a value within them (it stands still), counts as 0; outside of a constant, as if the
    width were the least there is.
    """
    width = np.maximum(alerts.high - alerts.low, np.finfo(np.float64).tiny)
    over = np.fmax(alerts.low - alerts.observed, alerts.observed - alerts.high)
    with np.errstate(over="ignore", invalid="ignore"):
        share = np.nan_to_num(np.maximum(over, 0.0) / width, nan=0.0)
    score = np.full(n, -1.0)
    np.maximum.at(score, alerts.row, share)
    return score


def value(given: Series) -> F64:
    """The score of each row by the detector."""
    batch = columns(given)
    teacher = ValueDetector(Params(), Learning(mode="learn"))
    teacher.on_batch(batch.slice(0, given.probation))
    pupil = ValueDetector(Params(), Learning())
    pupil.adopt(teacher.learned())
    judged = batch.slice(given.probation, len(batch))
    return np.concatenate([np.full(given.probation, -1.0), outside(pupil.on_batch(judged), len(judged))])


def known_causes(data: Path) -> list[Measure]:
    """Seven series, the three profiles of the benchmark."""
    name = "NAB realKnownCause"
    given = list(series(data / "nab").values())
    ours, theirs = [value(one) for one in given], [gaussian(one.values) for one in given]
    everything = [np.ones(len(one.values)) for one in given]
    measures = []
    for profile in PROFILES:
        sweeps = [sweep(given, scores, profile) for scores in (ours, theirs, everything)]
        score, floor, always = sweeps[0].best, sweeps[1].best, float(sweeps[2].score[-1])
        goal = f"> {RANDOM_CUT_FOREST[profile]}"
        told = sweeps[0].score[np.flatnonzero(sweeps[0].threshold >= 0)]
        measures += [
            Measure(name, f"score, {profile}", score, f"> {floor:.1f}", goal, score > floor, positive=always),
            Measure(name, f"score, {profile}, all evidence", float(told[-1]) if len(told) else 0.0),
            Measure(name, f"Windowed Gaussian, {profile}", floor),
        ]
    return measures
