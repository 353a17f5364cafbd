"""Process data: BATADAL, Tennessee-Eastman, TEP-PASAD and SKAB, each as the values of one device, through `plant`.

The defaults of the detector throughout; only the step of the grid is the data's own, and how long it must learn.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.metrics import (
    Flags,
    Measure,
    batadal_score,
    beside,
    f1,
    false_alarm_rate,
    false_segments,
    found,
    missed_rate,
)
from detectors.columns import Columns, records
from detectors.lifecycle import SECOND_NS, Learning
from detectors.plant import Params, PlantDetector
from schemas.codes import Direction, Kind, Match, Op, Space

F64 = NDArray[np.float64]
STEP_NS = 10 * SECOND_NS
"""A row of the data is a step of the default grid, however far apart its rows were in the plant."""
PARAMS = Params(least_learning_s=0.0)
"""BATADAL learns of a year, Tennessee-Eastman of a day, SKAB of 400 seconds."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A stretch of rows that was judged, and where in the data it lies.

    Attributes:
        name: of the stretch.
        alarmed, truth: for each row.
        first: number of its first row.
    """

    name: str
    alarmed: Flags
    truth: Flags
    first: int = 0


def columns(rows: F64, first: int = 0) -> Columns:
    """A record for each row, with a point for each column."""
    return records(
        [
            {
                "ts": 1_700_000_000 * SECOND_NS + (first + i) * STEP_NS,
                "seq": first + i,
                "device": 1,
                "kind": Kind.RESPONSE,
                "op": Op.READ,
                "match": Match.MATCHED,
                "points": [
                    {"space": Space.HOLDING_REGISTER, "addr": at, "value": float(x), "direction": Direction.READ}
                    for at, x in enumerate(row)
                ],
            }
            for i, row in enumerate(rows)
        ]
    )


def learned(rows: F64) -> PlantDetector:
    """A detector that judges by a model of these rows."""
    teacher = PlantDetector(PARAMS, Learning(mode="learn"))
    teacher.on_batch(columns(rows))
    pupil = PlantDetector(PARAMS, Learning())
    pupil.adopt(teacher.learned())
    return pupil


def alarmed(detector: PlantDetector, rows: F64) -> Flags:
    """For each row whether the device was alarmed when it was whole: that is seen when the next one begins."""
    batch = columns(np.vstack([rows, rows[-1:]]), first=1_000_000)
    bucket = np.array([1])
    flags = []
    for i in range(len(batch)):
        detector.on_batch(batch.slice(i, i + 1))
        flags.append(bool(detector.snapshot(bucket)["devices/group.alarmed"].any()))
    return np.array(flags[1:], np.bool_)


def table(path: Path, delimiter: str = ",") -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV file."""
    with path.open(encoding="utf-8-sig") as file:
        header, *rows = csv.reader(file, delimiter=delimiter)
    return [name.strip() for name in header], rows


def numbers(rows: Iterable[list[str]], keep: list[int]) -> F64:
    """Columns `keep` of rows of text."""
    return np.array([[float(row[at]) for at in keep] for row in rows])


@cache
def batadal_rows(data: Path) -> Judged:
    """The labelled half year, by the clean year."""
    header, rows = table(data / "batadal" / "BATADAL_dataset03.csv")
    tags = [at for at, column in enumerate(header) if column not in ("DATETIME", "ATT_FLAG")]
    judge = learned(numbers(rows, tags))
    header, rows = table(data / "batadal" / "BATADAL_dataset04_labelled.csv")
    truth = numbers(rows, [header.index("ATT_FLAG")])[:, 0] == 1
    return Judged("dataset04, hours", alarmed(judge, numbers(rows, tags)), truth)


def batadal(data: Path) -> list[Measure]:
    """A water network, hourly: learned of the clean year, judged on the labelled half year."""
    name, judged = "BATADAL dataset04", batadal_rows(data)
    flags, truth = judged.alarmed, judged.truth
    score, events = batadal_score(flags, truth), found(flags, truth)
    false = false_segments(flags, truth) / (len(truth) / 24)
    return [
        Measure(name, "attacks found of 7", events, "7", "7", events == 7),
        Measure(name, "S", score, "0.90", "0.95", score >= 0.90, **beside(batadal_score, flags, truth)),
        Measure(name, "false alarms a day", false, "0.05", "", false <= 0.05),
        Measure(name, "F1 by rows", f1(flags, truth), **beside(f1, flags, truth)),
    ]


def tennessee(data: Path) -> list[Measure]:
    """A chemical plant, every three minutes: learned of 500 clean rows, faults begin at row 160."""
    name = "Tennessee-Eastman d01-d08"
    clean = np.loadtxt(data / "tep" / "d00.dat")
    judge_rows = clean.T if clean.shape[0] == 52 else clean
    missed, false = [], []
    truth = np.arange(960) >= 160
    for fault in range(1, 9):
        flags = alarmed(learned(judge_rows), np.loadtxt(data / "tep" / f"d{fault:02d}_te.dat"))
        false.append(false_alarm_rate(flags, truth))
        if fault != 3:
            missed.append(missed_rate(flags, truth))
    mean, before = float(np.mean(missed)), float(np.mean(false))
    return [
        Measure(name, "missed rows, mean of 7 faults", mean, "0.09", "0.05", mean <= 0.09, 0.0, 1 - before),
        Measure(name, "false rows before the fault", before, "0.01", "0.01", before <= 0.01, 1.0, before),
    ]


@cache
def pasad_rows(data: Path) -> list[Judged]:
    """Each attack, by the 32 hours before."""
    found = []
    for file in ("DA1", "SA1"):
        rows = np.loadtxt(data / "tep-pasad" / f"{file}.csv", delimiter=",")
        flags = alarmed(learned(rows[:3200]), rows[3200:])
        found.append(Judged(f"{file}, rows of 36 s", flags, np.arange(3200, len(rows)) >= 4000, 3200))
    return found


def pasad(data: Path) -> list[Measure]:
    """The same plant under attack from row 4,000, every 36 s: learned of 32 h before."""
    delays, false = [], []
    for judged in pasad_rows(data):
        flags = judged.alarmed
        hits = np.flatnonzero(flags[800:])
        delays.append(float(hits[0]) if len(hits) else float("inf"))
        false.append(false_segments(flags[:800], np.zeros(800, np.bool_)))
    events, mean, slowest = int(np.isfinite(delays).sum()), float(np.mean(false)), max(delays)
    return [
        Measure("TEP-PASAD", "attacks found of 2", events, "2", "2", events == 2),
        Measure("TEP-PASAD", "false alarms in 8 h", mean, "2", "0.5", mean <= 2),
        Measure("TEP-PASAD", "rows until found, the slower", slowest, "", "12"),
    ]


@cache
def skab_rows(data: Path) -> list[Judged]:
    """Each run, by its first 400 rows."""
    found = []
    for path in sorted((data / "skab" / "valve1").glob("*.csv")):
        header, rows = table(path, ";")
        values = numbers(rows, list(range(1, 9)))
        truth = numbers(rows, [header.index("anomaly")])[400:, 0] > 0
        found.append(Judged(f"run {path.stem}, seconds", alarmed(learned(values[:400]), values[400:]), truth, 400))
    return found


def skab(data: Path) -> list[Measure]:
    """A water loop, every second: learned of the first 400 rows of each run, all others judged together."""
    runs = skab_rows(data)
    seen, labels = np.concatenate([run.alarmed for run in runs]), np.concatenate([run.truth for run in runs])
    score, false, missed = f1(seen, labels), false_alarm_rate(seen, labels), missed_rate(seen, labels)
    return [
        Measure("SKAB valve1", "F1 by rows", score, "0.78", "0.80", score >= 0.78, **beside(f1, seen, labels)),
        Measure("SKAB valve1", "false rows", false, "0.15", "0.14", false <= 0.15, 1.0, float(seen.mean())),
        Measure("SKAB valve1", "missed rows", missed, "", "0.27", None, 0.0, 1 - float(seen.mean())),
    ]
