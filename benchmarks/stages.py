"""Where the time of a run goes: its stages on one thread, each with the CPU time it took."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from time import thread_time
from typing import TypeVar

import pyarrow as pa

from benchmarks.workloads import batches
from detectors.base import Alerts, Detector
from detectors.lifecycle import Learning
from detectors.registry import ACROSS, DETECTORS
from pipeline import baseline, detect
from pipeline.findings import Findings
from pipeline.findings.merge import types_of
from pipeline.inventory import Inventory
from pipeline.panes import Collector
from pipeline.second import SecondStage
from pipeline.second.local import Across
from pipeline.sink import RecordSink
from pipeline.sink.dataset import ColumnDataset
from pipeline.sink.points import point_columns
from schemas.record import POINT_ROWS

STAGES = ("decode", *DETECTORS, "findings", "across", "inventory", "records", "points", "finish")
T = TypeVar("T")


class Clock:
    """CPU seconds of this thread by stage."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)

    def timed(self, stage: str, work: Callable[..., T], *args: object) -> T:
        """Do the work, on the stage's account."""
        start = thread_time()
        result = work(*args)
        self.seconds[stage] += thread_time() - start
        return result


@cache
def _known(path: Path) -> pa.Table:
    detectors = detect.build(DETECTORS, Learning(mode="learn"))
    for batch in batches(path):
        for detector in detectors:
            detector.on_batch(batch)
    return baseline.collect(detectors)


def _across() -> Across:
    """The second stage as it learns: every pair is new once, as with a baseline it is known."""

    def build(start_ns: int | None) -> detect.Loop:
        detectors = detect.build(ACROSS, Learning(start_ns=start_ns, mode="learn"))
        return detect.Loop(detectors, Findings(types_of(detectors)), marks_time=False)

    return Across(Collector(), SecondStage(1, build))


def staged(path: Path, folder: Path) -> dict[str, float]:
    """CPU seconds by stage of a run over the capture at `path`, all of whose traffic is in the baseline."""
    detectors = detect.build(DETECTORS, Learning())
    baseline.adopt(_known(path), detectors)
    shutil.rmtree(folder, ignore_errors=True)
    clock = Clock()
    _run(clock, path, detectors, folder)
    return clock.seconds


def _run(clock: Clock, path: Path, detectors: Iterable[Detector], folder: Path) -> None:
    detectors = list(detectors)
    findings, inventory, across = Findings(types_of(detectors)), Inventory(), _across()
    records = RecordSink(folder, points="none", threads=1)
    points = ColumnDataset(folder / "points", POINT_ROWS, part_rows=1 << 40)
    source = batches(path)
    while (batch := clock.timed("decode", next, source, None)) is not None:
        alerts = [clock.timed(d.name, d.on_batch, batch) for d in detectors]

        def merge(found: list[Alerts] = alerts, at: int = int(batch.ts.max())) -> None:
            findings.add(batch, Alerts.join(found))
            findings.advance(at)
            findings.take()

        clock.timed("findings", merge)
        clock.timed("across", across.on_batch, batch)
        clock.timed("inventory", inventory.add, batch)
        clock.timed("records", records.put, batch)
        clock.timed("points", lambda batch=batch: points.write(len(batch.points), point_columns(batch)))
        del batch, merge
    clock.timed("across", across.finish)
    clock.timed("finish", records.close)
    clock.timed("finish", points.close)
