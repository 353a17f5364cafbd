"""Oracle: what one undisturbed pass over the same log comes to, without groups, epochs or a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.owner import Frozen
from pipeline.probe import UID
from pipeline.second.message import messages as pane_messages
from pipeline.second.stage import PaneStage
from pipeline.setup import Setup
from pipeline.stage import RecordStage
from pipeline.transport.log import read
from pipeline.worker.outbox import rows_as_json
from schemas.alert import ALERT
from tests.faults.feed import number

State = Mapping[str, NDArray[Any]]
Partition = tuple[str, int]
_AT_ONCE = 256
FROZEN_EVERY = 4096
"""Messages after which findings and panes are taken away, so that memory is bounded."""
SENDINGS = ("messages", "duplicates")
"""What the second stage counts of its input that depends on how often, and in which epochs, it was sent."""


class Given(NamedTuple):
    """A message that never was in Kafka."""

    offset: int
    header: bytes
    value: bytes


@dataclass
class Truth:
    """What the log comes to: rows of findings, states by topic kind and partition, counters of the records."""

    findings: list[pa.Table] = field(default_factory=list)
    states: dict[Partition, State] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> pa.Table:
        """Every row found."""
        return pa.concat_tables([ALERT.empty_table(), *self.findings])


def judge(client: Mapping[str, Any], setup: Setup, records: str, ends: Sequence[int], targets: int) -> Truth:
    """Judge a log once.

    Args:
        client: settings of a Kafka consumer.
        records: name of the topic.
        ends: of each partition, the offset at which it ends.
        targets: partitions of the second stage.
    """
    waiting = setup.config.panes.max_waiting
    seconds = [PaneStage(len(ends), q, targets, setup.across, max_waiting=waiting) for q in range(targets)]
    passes = [_Pass(client, setup, records, p, ends, seconds) for p in range(len(ends)) if ends[p]]
    truth = Truth()
    # In turns, so that the second stage waits for no partition for long.
    going = list(passes)
    while going:
        going = [one for one in going if one.further(truth)]
    for one in passes:
        truth.states["records", one.partition] = one.state
        for name, n in one.stage.counters().items():
            truth.counters[name] = truth.counters.get(name, 0) + n
    for q, second in enumerate(seconds):
        frozen = second.freeze()
        truth.findings.append(frozen.findings)
        truth.states["panes", q] = frozen.state
    return truth


class _Pass:
    """The pass over one partition."""

    def __init__(
        self,
        client: Mapping[str, Any],
        setup: Setup,
        records: str,
        partition: int,
        ends: Sequence[int],
        seconds: Sequence[PaneStage],
    ) -> None:
        self.partition = partition
        self.stage = RecordStage(setup, partition, len(ends))
        self.state: State = {}
        self._end = ends[partition]
        self._seconds = seconds
        self._log = read({**client, "queued.max.messages.kbytes": 16_384}, records, partition, 0, self._end)
        self._at = 0

    def further(self, truth: Truth) -> bool:
        """Judge some more; whether there is more still."""
        start = self._at
        while self._at < min(start + FROZEN_EVERY, self._end):
            messages = list(islice(self._log, _AT_ONCE))
            self.stage.take(messages)
            self.stage.refused.clear()
            self.stage.live.clear()
            self._at = messages[-1].offset + 1
        frozen = self.stage.freeze()
        self.state = frozen.state
        truth.findings.append(frozen.findings)
        _send(frozen, self._seconds, source=self.partition, start=start, stop=self._at)
        return self._at < self._end


def _send(frozen: Frozen, seconds: Sequence[PaneStage], *, source: int, start: int, stop: int) -> None:
    assert frozen.sends is not None
    for target, header, value in pane_messages(
        frozen.sends, len(seconds), source=source, start=start, next=stop, ended=frozen.ended
    ):
        seconds[target].take([Given(start, header, value)])


def unequal(found: State, expected: State) -> list[str]:
    """Names of arrays in which two states differ, bit for bit."""
    names = found.keys() | expected.keys()
    return sorted(n for n in names if n not in found or n not in expected or not _same(n, found[n], expected[n]))


def _same(name: str, a: NDArray[Any], b: NDArray[Any]) -> bool:
    if name == "counts":
        a, b = (np.delete(x, [_COUNTS.index(s) for s in SENDINGS]) for x in (a, b))
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


_COUNTS = ("rows", "messages", "duplicates", "missing", "late", "forced")


def probes(rows: pa.Table) -> NDArray[np.int64]:
    """The number (see `feed.number`) of each probe row, as often as it was written."""
    chosen = rows.filter(pc.equal(rows.column("analytic_uid"), UID)).column("evidences")
    pointers = [chunk.flatten() for chunk in chosen.chunks]
    parts = [number(p.field("shard").to_numpy(), p.field("seq").to_numpy()) for p in pointers]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def others(rows: pa.Table) -> Counter[bytes]:
    """Every row that is no probe, as JSON, and how often it is there."""
    left = rows.filter(pc.not_equal(rows.column("analytic_uid"), UID))
    return Counter(text for _, text in rows_as_json(left))
