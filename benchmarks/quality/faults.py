"""Faults put into normal data: jumps, ramps, stuck and replayed values, each in one tag, through `value` and `replay`.

The first half of the data is learned, a fault of 60 rows put somewhere into the second; whatever is told of the tag
while the fault lasts finds it.  Each fault has a device of its own, so that all are judged in one stream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.metrics import Measure
from benchmarks.quality.process import numbers, table
from detectors import replay
from detectors.base import Alerts
from detectors.columns import Columns, records
from detectors.lifecycle import SECOND_NS, Learning
from detectors.replay import ReplayDetector
from detectors.value import Params, ValueDetector
from schemas.codes import Direction, Kind, Match, Op, PointType, Severity, Space

F64 = NDArray[np.float64]
LASTS = 60
"""Rows of a fault."""
EACH = 200
"""Faults of a kind in each data set."""
APART = 30
"""Rows within which evidence of a tag is one false alarm."""
START_NS = 1_700_000_000 * SECOND_NS


def columns(series: F64, every_s: int = 1) -> Columns:
    """Polls of one value every `every_s` seconds: a device for each row of `series` (devices, rows)."""
    devices, rows = series.shape
    one = records(
        [
            {
                "kind": Kind.RESPONSE,
                "op": Op.READ,
                "match": Match.MATCHED,
                "points": [
                    {"space": Space.HOLDING_REGISTER, "type": PointType.F32, "direction": Direction.READ, "value": 0.0}
                ],
            }
        ]
    )
    n = devices * rows
    many = one.take(np.zeros(n, np.intp))
    return replace(
        many,
        ts=np.repeat(START_NS + np.arange(rows) * every_s * SECOND_NS, devices),
        seq=np.arange(n, dtype=np.uint64),
        device=np.tile(np.arange(1, devices + 1, dtype=np.uint64), rows),
        points=replace(many.points, value=np.ascontiguousarray(series.T).reshape(-1)),
    )


def told(series: F64, learned: int, least: int = Severity.LOW) -> list[NDArray[np.int64]]:
    """For each device the rows at which anything of this severity was told of it, once `learned` rows are known."""
    learning = Learning(value_s=float(learned - 1), value_samples=learned // 2)
    batch = columns(series)
    detectors = (ValueDetector(Params(), learning), ReplayDetector(replay.Params(), learning))
    alerts = Alerts.join([detector.on_batch(batch) for detector in detectors])
    alerts = alerts.take(alerts.severity >= least)
    device, row = alerts.row % len(series), alerts.row // len(series)
    return [row[device == at] for at in range(len(series))]


def _jump(sigmas: float) -> Callable[[F64, F64, float], F64]:
    return lambda piece, _, sigma: piece + sigmas * sigma


def _ramp(piece: F64, _: F64, sigma: float) -> F64:
    return piece + 4 * sigma * np.arange(1, len(piece) + 1) / len(piece)


def _stuck(piece: F64, _: F64, __: float) -> F64:
    return np.full_like(piece, piece[0])


def _replay(_: F64, earlier: F64, __: float) -> F64:
    return earlier


FAULTS: dict[str, tuple[Callable[[F64, F64, float], F64], str, float]] = {
    "jumps of 4 sigma found": (_jump(4), "1.00", 1.0),
    "jumps of 2 sigma found": (_jump(2), "0.80", 0.8),
    "ramps to 4 sigma found": (_ramp, "0.95", 0.95),
    "stuck values found": (_stuck, "0.60", 0.6),
    "replayed values found": (_replay, "", 0.0),
}


def _with_faults(data: F64, fault: Callable[[F64, F64, float], F64], seed: int) -> tuple[F64, NDArray[np.int64]]:
    """(EACH, rows): data of one tag after another with one fault in its second half; where each fault begins."""
    rng = np.random.default_rng(seed)
    tags, rows = data.shape
    half = rows // 2
    at = rng.integers(half + LASTS, rows - LASTS, EACH)
    series = data[np.arange(EACH) % tags].copy()
    for one, start in zip(series, at.tolist(), strict=True):
        begin = int(rng.integers(0, half - LASTS))
        piece, earlier = one[start : start + LASTS], one[begin : begin + LASTS]
        one[start : start + LASTS] = fault(piece.copy(), earlier.copy(), float(one[:half].std()))
    return series, at


def _false(rows: list[NDArray[np.int64]], n: int) -> float:
    """False alarms in 10,000 values of a tag, evidence within APART rows being one."""
    alarms = sum(1 + int((np.diff(row) > APART).sum()) if len(row) else 0 for row in rows)
    return 1e4 * alarms / (len(rows) * n)


def measures(name: str, data: F64) -> list[Measure]:
    """What is found of each kind of fault, and what is told where there is none.

    Args:
        name: of the data.
        data: float64 (tags, rows), normal, of quantities that move.
    """
    half = data.shape[1] // 2
    rate = _false(told(data, half), data.shape[1] - half)
    found = []
    for seed, (what, (fault, floor, least)) in enumerate(FAULTS.items()):
        series, at = _with_faults(data, fault, seed)
        hits = [((rows >= a) & (rows < a + LASTS)).any() for rows, a in zip(told(series, half), at, strict=True)]
        share, chance = float(np.mean(hits)), min(1.0, rate * LASTS / 1e4)
        found.append(Measure(name, what, share, floor, "", share >= least if floor else None, 1.0, chance))
    serious = _false(told(data, half, Severity.MEDIUM), data.shape[1] - half)
    found.append(Measure(name, "false alarms in 10,000 values of a tag", rate, "", "0.5"))
    found.append(Measure(name, "of medium severity and above", serious, "", "0.5"))
    return found


def moving(rows: F64) -> F64:
    """The columns of `rows` that are quantities, as rows."""
    half = len(rows) // 2
    return np.array([column for column in rows.T if len(np.unique(column[:half])) > 10])


def faults(data: Path) -> list[Measure]:
    """The normal part of TEP-PASAD, the clean year of BATADAL, and the run of SKAB without anomaly."""
    header, rows = table(data / "batadal" / "BATADAL_dataset03.csv")
    tags = [at for at, column in enumerate(header) if column not in ("DATETIME", "ATT_FLAG")]
    _, water = table(data / "skab" / "anomaly-free" / "anomaly-free.csv", ";")
    return [
        *measures("faults in TEP-PASAD", moving(np.loadtxt(data / "tep-pasad" / "DA1.csv", delimiter=",")[:4000])),
        *measures("faults in BATADAL", moving(numbers(rows, tags))),
        *measures("faults in SKAB", moving(numbers(water, list(range(1, 9))))),
    ]
