"""The loop: records in, findings out; the same for a file, for Kafka and for an archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from sys import modules
from typing import Any, Protocol

import pyarrow as pa

from detectors.base import TICK_NS, Alerts, Detector, Mark
from detectors.columns import Columns
from detectors.registry import load
from detectors.wide import Reading
from pipeline.findings import Findings
from pipeline.marks import Marks, Seconds
from schemas.codes import MarkKind

NO_TICK = -(1 << 60)
"""Before any TIME mark."""
BACK_TICKS = 6
"""How far back time must run to be another capture's."""


class Sink(Protocol):
    """Where a run's records and findings go."""

    def on_batch(self, batch: Columns) -> None:
        """Take records; the batch's memory may be reused when the last view of it is gone."""
        ...

    def on_findings(self, rows: pa.Table) -> None:
        """Take rows of schema ALERT; never called without any."""
        ...


class Loop:
    """Runs detectors over a stream of records and merges what they find.

    Whatever the batching, detectors that want time hear of the same TIME marks at the same places of the stream: the
    loop cuts batches there.  Where the source carries marks of its own (`marks_time=False`), the loop adds none.
    Detectors see points as `reading` gives them; sinks, as they are.

    Attributes:
        ticks: by shard, the stretch of TICK_NS in which detectors heard of its time last.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        findings: Findings,
        *,
        marks_time: bool = True,
        reading: Reading | None = None,
    ) -> None:
        self.detectors = tuple(detectors)
        self.findings = findings
        self.reading = reading or Reading()
        self.ticks: dict[int, int] = {}
        self._timed = [d for d in self.detectors if d.wants_time]
        self._seconds = Seconds() if marks_time and self._timed else None
        self._reached = 0

    def on_batch(self, batch: Columns) -> None:
        """Judge a batch of records, in the order of the stream."""
        if len(batch):
            self.on_stretch(batch, self._seconds.of(batch.ts) if self._seconds is not None else ())

    def on_stretch(self, batch: Columns, marks: Marks) -> None:
        """Judge a batch of records with the marks that stand in it."""
        batch = self.reading.of(batch) if len(batch) else batch
        start = 0
        for at, mark in marks:
            if mark.kind is MarkKind.TIME and not self._is_due(mark):
                continue
            if at > start:
                self._judge(batch.slice(start, at))
            self.on_mark(mark)
            start = at
        if start < len(batch):
            self._judge(batch.slice(start, len(batch)) if start else batch)
        if marks:
            self.findings.advance(marks[-1][1].ts_ns)

    def on_mark(self, mark: Mark) -> None:
        """Hand on a mark, and merge what it brings to light; TIME to those detectors that want it."""
        for detector in self._timed if mark.kind is MarkKind.TIME else self.detectors:
            found = detector.on_mark(mark)
            if found is not None:
                self.findings.add(found.records, found.alerts)
        if mark.kind is MarkKind.CONTROL:
            self.findings.order(mark.text)
        if mark.kind is MarkKind.TIME:
            self.findings.advance(mark.ts_ns)

    def _is_due(self, mark: Mark) -> bool:
        """Whether detectors are to hear of this TIME mark; time that runs far back begins anew."""
        tick = mark.ts_ns // TICK_NS
        last = self.ticks.get(mark.shard, NO_TICK)
        if not self._timed or last - BACK_TICKS < tick <= last:
            return False
        self.ticks[mark.shard] = tick
        return True

    def finish(self) -> None:
        """The end of bounded input: an END mark, and every finding is closed."""
        self.on_mark(Mark(MarkKind.END, self._reached))
        self.findings.finish()

    def take(self) -> pa.Table:
        """Rows of findings since the last call, schema ALERT."""
        return self.findings.take()

    def _judge(self, batch: Columns) -> None:
        alerts = Alerts.join([detector.on_batch(batch) for detector in self.detectors])
        self.findings.add(batch, alerts)
        self._reached = int(batch.ts.max())
        self.findings.advance(self._reached)


def build(
    enabled: Iterable[str],
    learning: Any,
    params: Mapping[str, Any] | None = None,
) -> list[Detector]:
    """Detectors from the registry, in the order of `enabled`.

    Args:
        enabled: names in the registry.
        learning: `detectors.lifecycle.Learning`, shared by all.
        params: each detector's own `Params`; the defaults of its module where none are given.

    Raises:
        KeyError: no such detector.
    """
    built = []
    for name in enabled:
        create: Callable[..., Detector] = load(name)
        given = (params or {}).get(name)
        built.append(create(modules[create.__module__].Params() if given is None else given, learning))
    return built


def run(source: Iterable[Columns | Mark], loop: Loop, sinks: Sequence[Sink] = ()) -> None:
    """A whole bounded source through `loop`; its records and findings to each of `sinks`."""
    for item in source:
        if isinstance(item, Mark):
            loop.on_mark(item)
        else:
            loop.on_batch(item)
            for sink in sinks:
                sink.on_batch(item)
        _hand_on(loop, sinks)
        del item
    loop.finish()
    _hand_on(loop, sinks)


def _hand_on(loop: Loop, sinks: Sequence[Sink]) -> None:
    rows = loop.take() if sinks else None
    if rows is not None and rows.num_rows:
        for sink in sinks:
            sink.on_findings(rows)
