"""RecordStage: what a partition's log of records comes to: state, findings, and rows for the second stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.base import Mark, State
from detectors.columns import Columns, records
from pipeline import detect
from pipeline.marks import Marks
from pipeline.metrics import Counters
from pipeline.owner import Frozen, Message
from pipeline.panes import Closed
from pipeline.probe import Probe
from pipeline.setup import Setup
from pipeline.transport.codec import decode
from pipeline.transport.message import Header, Newer, Poison, Stretch
from pipeline.transport.tracker import Admission, Tracker
from schemas.alert import ALERT
from schemas.codes import BUCKETS, MarkKind

_NOTHING = records([])


class Refused(NamedTuple):
    """A message that cannot be used: damaged for good (`newer` False), or of a version that later code will read."""

    message: Message
    reason: str
    newer: bool


class RecordStage:
    """A deterministic function of one partition's log (`pipeline.owner.Stage`).

    Duplicates by (shard, boot, number) are dropped, missing numbers become GAP marks, messages that cannot be read are
    kept for the dead letters; all are counted in the state.

    Attributes:
        refused: messages that cannot be used, for whoever takes them away.
        live: rows of findings since they were last taken away, before they are true.
    """

    def __init__(self, setup: Setup, partition: int, partitions: int, names: Mapping[int, str] | None = None) -> None:
        """A stage without state.

        Args:
            names: texts of name ids for the words of findings; may grow.
        """
        self._setup = setup
        self._names = names
        self._probe_every = setup.config.worker.probe_every
        self._partition = partition
        self._buckets = np.arange(partition, BUCKETS, partitions)
        self.refused: list[Refused] = []
        self.live: list[pa.Table] = []
        self.restore(None)

    def restore(self, state: Mapping[str, NDArray[Any]] | None) -> None:
        """Forget everything, and go on from `state`."""
        self.refused.clear()
        self.live.clear()
        self._found: list[pa.Table] = []
        self._panes: list[Closed] = []
        self._tracker = Tracker()
        self._collector = self._setup.collector()
        self._loop: detect.Loop | None = None
        self._probe = Probe(self._probe_every)
        self._totals = np.zeros(len(_TOTALS), np.int64)
        self._start_ns = _NO_TIME
        self._open: set[int] = set()
        if state is None:
            return
        parts = _parts(state)
        own = parts["stage"]
        self._totals = own["totals"].copy()
        self._start_ns = int(own["start_ns"][0])
        self._open = {int(shard) for shard in own["open"]}
        self._tracker.restore(parts["tracker"])
        self._collector.restore(parts["panes"])
        if self._start_ns != _NO_TIME:
            loop = self._loop = self._setup.by_device(self._start_ns, self._names, marks_time=False)
            for detector in loop.detectors:
                held = parts.get(f"detector.{detector.name}")
                if held is not None:  # one that is newer than the state begins now
                    detector.restore(held)
            loop.ticks = {int(shard): int(tick) for shard, tick in own.get("ticks", ())}
            loop.findings.restore(parts["findings"])

    def take(self, messages: Sequence[Message]) -> None:
        """Apply messages in the order of the log."""
        for message in messages:
            try:
                stretch = decode(message.header, message.value, partition=self._partition)
            except Poison as poison:
                self._refuse(message, poison.reason, newer=False)
            except Newer as newer:
                self._refuse(message, str(newer), newer=True)
            else:
                self.apply(stretch)

    def apply(self, stretch: Stretch) -> None:
        """Apply what a message held, unless it was applied before."""
        admission, missing = self._tracker.admit(stretch.header)
        if admission is Admission.DUPLICATE:
            return
        marks = stretch.marks
        if admission is Admission.GAP:
            marks = ((0, gap(stretch.header, missing)), *marks)
        self.judge(_NOTHING if stretch.batch is None else stretch.batch, marks)

    def judge(self, batch: Columns, marks: Marks) -> None:
        """Judge records with the marks among them, in the order of the log; from a message or from an archive."""
        lost = sum(mark.count for _, mark in marks if mark.kind is MarkKind.GAP)
        # A forged mark may say anything; the sum stays a number that there is.
        self._totals[_LOST] = min(int(self._totals[_LOST]) + lost, _MOST)
        loop = self._loop or self._begin(batch, marks)
        self._open, over = still_open(self._open, batch, marks)
        # One shard's end is no end of the input: detectors hear of it when the last one ends.
        heard = tuple((at, mark) for at, mark in marks if mark.kind is not MarkKind.END)
        loop.on_stretch(batch, heard)
        self._panes += self._collector.on_stretch(batch, marks)
        if over:
            loop.finish()
        self._take(loop)
        if self._probe_every and len(batch):
            self._found.append(self._probe.rows(batch))

    def freeze(self) -> Frozen:
        """All state now, and what was found since the last call."""
        found, self._found = self._found, []
        panes, self._panes = self._panes, []
        ticks = self._loop.ticks if self._loop is not None else {}
        state: dict[str, State] = {
            "stage": {
                "totals": self._totals.copy(),
                "start_ns": np.array([self._start_ns], np.int64),
                "open": np.array(sorted(self._open), np.int64),
                "ticks": np.array(sorted(ticks.items()), np.int64).reshape(-1, 2),
            },
            "tracker": self._tracker.snapshot(),
            "panes": self._collector.snapshot(self._buckets),
        }
        if self._loop is not None:
            state["findings"] = self._loop.findings.snapshot(self._buckets)
            for detector in self._loop.detectors:
                state[f"detector.{detector.name}"] = detector.snapshot(self._buckets)
        flat = {f"{part}/{name}": array for part, held in state.items() for name, array in held.items()}
        findings = pa.concat_tables(found) if found else ALERT.empty_table()
        return Frozen(flat, findings, self._collector.sends(panes), self.ended)

    @property
    def ended(self) -> bool:
        """Whether every shard that ever wrote here has said that its input is over."""
        return self._loop is not None and not self._open

    def counters(self) -> dict[str, int]:
        """Messages, records and what was lost, since the origin of the log."""
        own = {name: int(n) for name, n in zip(_TOTALS, self._totals, strict=True)}
        return {**self._tracker.counters(), **own}

    def health(self) -> Counters:
        """Counters of the detectors and findings."""
        counters = Counters("detect")
        for detector in self._loop.detectors if self._loop is not None else ():
            for name, n in detector.counters().items():
                counters.put(name, n, reason=detector.name)
        return counters

    def _begin(self, batch: Columns, marks: Marks) -> detect.Loop:
        """Detectors that start where the first shard said that its input starts."""
        told = [mark.ts_ns for _, mark in marks if mark.kind is MarkKind.START]
        seen = [int(batch.ts[0])] if len(batch) else [mark.ts_ns for _, mark in marks]
        self._start_ns = (told or seen)[0]
        self._loop = self._setup.by_device(self._start_ns, self._names, marks_time=False)
        return self._loop

    def _take(self, loop: detect.Loop) -> None:
        rows = loop.take()
        if rows.num_rows:
            self._found.append(rows)
            self.live.append(rows)

    def _refuse(self, message: Message, reason: str, *, newer: bool) -> None:
        self._totals[_PARKED if newer else _DEAD] += 1
        self.refused.append(Refused(message, reason, newer))


_NO_TIME, _MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
_TOTALS = ("lost_records", "dead_letters", "parked")
_LOST, _DEAD, _PARKED = range(len(_TOTALS))


def gap(header: Header, missing: int) -> Mark:
    """The mark that says that messages of a shard are missing before the one of `header`."""
    return Mark(MarkKind.GAP, header.first_ts, header.shard, missing, "messages missing")


def still_open(shards: set[int], batch: Columns, marks: Marks) -> tuple[set[int], bool]:
    """Shards whose input is not over after this stretch; whether it was the end of the last one."""
    ends = {mark.shard for _, mark in marks if mark.kind is MarkKind.END}
    seen = shards | set(np.unique(batch.shard).tolist()) | {mark.shard for _, mark in marks}
    left = seen - ends
    return left, bool(ends) and not left


def _parts(state: Mapping[str, NDArray[Any]]) -> dict[str, State]:
    """State by component, from names of the form `component/array`."""
    parts: dict[str, State] = {}
    for name, array in state.items():
        part, _, own = name.partition("/")
        parts.setdefault(part, {})[own] = array
    return parts
