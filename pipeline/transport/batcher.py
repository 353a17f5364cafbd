"""Batcher: one shard's records and marks to messages in its spool, cut by bytes and by age."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np

from detectors.base import Mark
from detectors.columns import Columns
from pipeline.marks import SECOND_NS, Marks, Seconds
from pipeline.metrics import Counters, HealthRow
from pipeline.shard.settings import ShardSettings
from pipeline.transport.codec import Oversize, encode
from pipeline.transport.split import Split
from pipeline.transport.spool import Loss, Spool
from schemas.codes import MarkKind

TOO_LARGE = "larger than a message"
"""Why a single record is dropped here."""
_MOST_MARKS = 1024
"""Marks at which a message is cut: with those of one more batch of records they still fit into one."""


class Batcher:
    """Takes the records of one shard, in order, and appends messages to its spool.

    What the spool already has is passed over: decoded again from the start, a stream goes on where it was cut off.

    Attributes:
        boot: of what comes next; grows with each step of the clock.
        steps: of the clock so far.
    """

    def __init__(
        self,
        spool: Spool,
        settings: ShardSettings,
        *,
        partitions: int,
        shard: int,
        boot: int,
        resume: bool = False,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin a stream.

        Args:
            spool: where messages go.
            settings: when they are cut.
            partitions: among which records are parted.
            shard, boot: who they come from; `boot` is that of the first record.
            resume: whether the spool holds the start of this very stream.
            stop: asked while the spool makes it wait.
            clock: of ages, in seconds.
        """
        self.boot, self.steps = boot, 0
        self._spool, self._settings = spool, settings
        self._shard, self._stop, self._clock = shard, stop, clock
        self._split = Split(partitions, most_bytes=settings.batch_kb << 10, shard=shard)
        self._split.set_boot(boot)
        self._seconds = Seconds(shard)
        self._marks: list[list[tuple[int, Mark]]] = [[] for _ in range(partitions)]
        self._since: list[float | None] = [None] * partitions
        self._passed = 0  # marks of the stream so far
        self._floor = [spool.position(p).marks if resume else 0 for p in range(partitions)]
        self._last_seq = [spool.position(p).last_seq if resume else 0 for p in range(partitions)]
        self._split.floor[:] = self._last_seq
        self._last_ts: int | None = None
        self._reached: int | None = None
        self._counters = Counters("shard")

    def add(self, batch: Columns) -> None:
        """Take the next records of the stream.

        Raises:
            Stopped, OutputError: see :meth:`pipeline.transport.spool.Spool.append`.
        """
        if not len(batch):
            return
        marks = self._seconds.of(batch.ts)
        if self._last_ts is None:
            marks = ((0, Mark(MarkKind.START, int(batch.ts[0]), self._shard)), *marks)
        start = 0
        for at in [*self._steps_of(batch), len(batch)]:
            if at > start:
                whole = start == 0 and at == len(batch)
                inside = tuple((row - start, mark) for row, mark in marks if start <= row < at)
                self._add(batch if whole else batch.slice(start, at), inside)
            if at < len(batch):
                self._step()
            start = at
        self._last_ts = int(batch.ts[-1])
        latest = int(batch.ts.max())
        self._reached = latest if self._reached is None else max(self._reached, latest)

    def cut_aged(self) -> None:
        """Cut the messages whose first record or mark waited long enough."""
        due = self._clock() - self._settings.batch_ms / 1000
        for partition, since in enumerate(self._since):
            if since is not None and since <= due:
                self._cut(partition)

    def cut_all(self) -> None:
        """Cut all messages, so that the spool has all that was added."""
        for partition, since in enumerate(self._since):
            if since is not None:
                self._cut(partition)

    def end(self) -> None:
        """The end of bounded input: an END mark to every partition, whatever the spool's budget says."""
        self.cut_all()
        mark = Mark(MarkKind.END, self._reached or 0, self._shard)
        for partition, marks in enumerate(self._marks):
            if self._passed >= self._floor[partition]:
                marks.append((0, mark))
                self._cut(partition, passed=self._passed + 1, must=True)
        self._passed += 1

    def health(self) -> list[HealthRow]:
        """(stage, counter, reason, value) rows for HEALTH so far."""
        self._counters.put("clock_steps", self.steps)
        return self._counters.rows()

    # --- parting

    def _steps_of(self, batch: Columns) -> list[int]:
        """Records at which the clock steps."""
        first = batch.ts[0] if self._last_ts is None else self._last_ts
        seconds = np.concatenate([[first], batch.ts]) // SECOND_NS
        found: list[int] = np.flatnonzero(np.abs(np.diff(seconds)) > self._settings.clock_step_s).tolist()
        return found

    def _step(self) -> None:
        self.cut_all()
        self.steps += 1
        self.boot += 1
        self._split.set_boot(self.boot)

    def _add(self, batch: Columns, marks: Marks) -> None:
        first = self._passed

        def on_mark(number: int, held: list[int]) -> None:
            for partition, rows in enumerate(held):
                if first + number >= self._floor[partition]:
                    self._marks[partition].append((rows, marks[number][1]))
            self._passed = first + number + 1

        self._split.add(batch, marks, on_mark=on_mark, on_full=self._cut)
        now = self._clock()
        for partition, found in enumerate(self._marks):
            if len(found) >= _MOST_MARKS:
                self._cut(partition)
            elif self._since[partition] is None and (found or self._split.held(partition)):
                self._since[partition] = now

    # --- cutting

    def _cut(self, partition: int, *, passed: int | None = None, must: bool = False) -> None:
        batch = self._split.look(partition) if self._split.held(partition) else None
        marks = tuple(self._marks[partition])
        if batch is not None or marks:
            if batch is not None:
                self._last_seq[partition] = int(batch.seq[-1])
            done = max(self._floor[partition], self._passed if passed is None else passed)
            self._put(partition, batch, marks, self._last_seq[partition], done, must)
        self._split.empty(partition)
        self._marks[partition] = []
        self._since[partition] = None

    def _put(
        self, partition: int, batch: Columns | None, marks: Marks, last_seq: int, passed: int, must: bool = False
    ) -> None:
        """Append one message, or several where it is too large for one."""
        loss = self._spool.loss(partition)
        told: Marks = ((0, self._gap(loss)),) if loss is not None else ()
        position = self._spool.position(partition)
        same = position.boot == self.boot and position.number > 0
        try:
            header, value = encode(
                batch,
                told + marks,
                shard=self._shard,
                boot=self.boot,
                partition=partition,
                number=position.number if same else 0,
                previous_seq=position.sent_seq if same else 0,
            )
        except Oversize:
            self._put_halves(partition, batch, marks, last_seq, passed)
            return
        kept = self._spool.append(
            partition, header, value, last_seq=last_seq, marks=passed, told=loss, must=must, stop=self._stop
        )
        if kept:
            self._counters.add("messages")
            self._counters.add("bytes", len(header) + len(value))
            self._counters.add("records", len(batch) if batch is not None else 0)

    def _put_halves(self, partition: int, batch: Columns | None, marks: Marks, last_seq: int, passed: int) -> None:
        """What is too large for one message: marks alone never are, see _MOST_MARKS."""
        half = len(batch) // 2 if batch is not None else 0
        if batch is None or not half:
            ts = int(batch.ts[0]) if batch is not None else 0
            self._spool.lose({partition: Loss(1, 1, ts, ts, TOO_LARGE)})
            if marks:
                self._put(partition, None, tuple((0, mark) for _, mark in marks), last_seq, passed)
            return
        early = tuple((row, mark) for row, mark in marks if row < half)
        late = tuple((row - half, mark) for row, mark in marks if row >= half)
        self._put(partition, batch.slice(0, half), early, int(batch.seq[half - 1]), passed - len(late))
        self._put(partition, batch.slice(half, len(batch)), late, last_seq, passed)

    def _gap(self, loss: Loss) -> Mark:
        text = {"reason": loss.reason, "messages": loss.messages, "from": loss.first_ts, "to": loss.last_ts}
        return Mark(MarkKind.GAP, loss.last_ts, self._shard, loss.records, json.dumps(text))
