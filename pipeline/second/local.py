"""The second stage of a run over captures: one source, which hands its panes over in the same process."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from detectors.columns import Columns
from pipeline.detect import Sink
from pipeline.marks import Seconds
from pipeline.metrics import HealthRow
from pipeline.panes import Closed, Collector, rows_of
from pipeline.second import SecondStage

_ROWS = 4096
"""Rows that are judged at a time: what is found does not depend on it."""


class Across:
    """Takes the records of a run and judges them across devices.

    A sink of the loop (`pipeline.detect.Sink`); what it finds goes on to `sinks`.

    Attributes:
        stage: the second stage.
    """

    def __init__(self, collector: Collector, stage: SecondStage, sinks: Sequence[Sink] = ()) -> None:
        self.stage = stage
        self._collector = collector
        self._sinks = sinks
        self._seconds = Seconds()
        self._closed: list[Closed] = []

    def on_batch(self, batch: Columns) -> None:
        """Take records."""
        if len(batch):
            self._closed += self._collector.on_stretch(batch, self._seconds.of(batch.ts))
            if sum(map(len, self._closed)) >= _ROWS:
                self._judge()

    def on_findings(self, rows: pa.Table) -> None:
        """Nothing is made of what the first stage found."""

    def finish(self) -> None:
        """The end of the input."""
        self._closed += self._collector.finish()
        self._judge()

    def health(self) -> list[HealthRow]:
        """Counters of the collector, the stage, its detectors and findings."""
        rows = [("panes", counter, "", n) for counter, n in sorted(self._collector.counters().items())]
        rows += [("panes", counter, "judged", n) for counter, n in sorted(self.stage.counters().items())]
        loop = self.stage.loop
        if loop is not None:
            rows += [("detect", counter, d.name, n) for d in loop.detectors for counter, n in d.counters().items()]
            rows += [("findings", counter, "across", n) for counter, n in sorted(loop.findings.counters().items())]
        return rows

    def _judge(self) -> None:
        closed, self._closed = self._closed, []
        self.stage.add(0, rows_of(closed), self._collector.reached)
        self._hand_on()

    def _hand_on(self) -> None:
        rows = self.stage.take()
        if rows.num_rows:
            for sink in self._sinks:
                sink.on_findings(rows)
