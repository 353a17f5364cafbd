"""Spool: final messages on disk before Kafka sees them, in segments, within a budget.

A message is sent only once it is synced to disk, so that what is sent again after a crash is the same message.  What
does not fit is dropped by the policy that was chosen, counted, and told in the stream by a GAP mark.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import OutputError
from pipeline.metrics import Counters, HealthRow
from pipeline.shard.settings import SpoolSettings
from pipeline.transport.message import Header
from pipeline.transport.spool.disk import Disk, Place
from pipeline.transport.spool.frames import Frame, FrameKind, frame, read_frame
from pipeline.transport.spool.segment import Segment
from pipeline.transport.spool.standing import Loss, Losses, Position, add_losses, pack_losses

__all__ = ["Loss", "Position", "Ready", "Spool", "SpoolSettings", "Stopped"]

FULL, NO_DISK, DAMAGED = "spool full", "no room on disk", "spool damaged"
"""Why messages are dropped here."""
_MIB = 1 << 20
_LEAST_SEGMENT = 64 << 10
_ROOM_S = 0.1


class Stopped(Exception):  # noqa: N818  it was asked for
    """The spool is full, its policy is to wait, and waiting was ended."""


class Ready(NamedTuple):
    """A message that may be sent."""

    token: int
    partition: int
    header: bytes
    value: bytes


@dataclass(slots=True)
class _Sent:
    token: int
    after: Place
    header: bytes
    done: bool = False


class Spool:
    """The spool of one shard.  One thread appends, another reads and acknowledges.

    Attributes:
        folder: where it lies.
        budget: bytes of it at most.
        damaged: whether something is gone that may have been sent: its numbers must not be used again.
    """

    def __init__(self, folder: Path, settings: SpoolSettings, partitions: int) -> None:
        """Open or begin it; what is torn at its end is cut off.

        Raises:
            OutputError: another process has it, or it cannot be read or written.
        """
        self.folder = folder
        self._policy, self.budget = settings.policy, settings.budget_mb * _MIB
        self._counters = Counters("spool")
        try:
            self._disk = Disk(
                folder,
                partitions,
                segment_bytes=max(_LEAST_SEGMENT, min(settings.segment_mb * _MIB, self.budget // 8)),
                sync_s=settings.sync_ms / 1000,
                sync_bytes=settings.sync_mb * _MIB,
            )
        except OSError as error:
            raise OutputError(f"{folder}: cannot open the spool: {error.strerror or error}") from error
        self.damaged = self._disk.damaged
        self._changed = self._disk.changed
        self._sent: deque[_Sent] = deque()
        self._token = 0
        self._cursor = self._reached = self._disk.acknowledged
        self._reader: tuple[int, int] | None = None  # segment, descriptor
        for loss in self._disk.lost.values():
            self._count(loss)
        if self.damaged and not self._disk.lost:
            self.lose({p: Loss(0, 1, 0, 0, DAMAGED) for p in range(partitions)})

    # --- appending

    def position(self, partition: int) -> Position:
        """How far a partition is."""
        return self._disk.standing.positions[partition]

    def loss(self, partition: int) -> Loss | None:
        """What was lost of a partition, and no message tells yet."""
        with self._changed:
            return self._disk.standing.losses.get(partition)

    def append(
        self,
        partition: int,
        header: bytes,
        value: bytes,
        *,
        last_seq: int,
        marks: int,
        told: Loss | None = None,
        must: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Write a message; False where it was dropped, which `loss` then tells.

        Args:
            partition: for which it is.
            header, value: as encoded.
            last_seq, marks: how far the partition's stream is with it.
            told: the loss of which it has a GAP mark.
            must: whether it may go beyond the budget: a small one that the stream must not end without.
            stop: asked while it waits for room.

        Raises:
            Stopped: policy "block", and `stop` said so.
            OutputError: it cannot be written for another reason than room.
        """
        head = Header.parse(header)
        parts = (header, value)
        tells = told.pack() if told is not None else b""
        pieces = frame(FrameKind.MESSAGE, parts, told=tells, partition=partition, last_seq=last_seq, marks=marks)
        size = sum(len(piece) for piece in pieces)
        with self._changed:
            while True:
                why = FULL if not must and not self._make_room(size) else ""
                if not why and self._disk.write(pieces):
                    break
                if self._policy != "block":
                    self._lose({partition: Loss.of(head, why or NO_DISK)})
                    return False
                if stop():
                    raise Stopped
                self._changed.wait(_ROOM_S)
                self._disk.check()
            standing = self._disk.standing
            standing.positions[partition].follow(head, last_seq, marks)
            if told is not None:
                standing.untell(partition, told)
            self._disk.segments[-1].take(head, partition, {partition: told} if told is not None else {})
            self._counters.add("messages", reason="written")
            self._counters.add("bytes", size, reason="written")
            return True

    def lose(self, losses: Losses) -> None:
        """What cannot be sent at all is counted, noted, and told by the next message of its partition."""
        with self._changed:
            self._disk.write(_note(losses, []))
            self._lose(losses)

    def flush(self) -> None:
        """Sync all that was appended.

        Raises:
            OutputError: the disk refuses.
        """
        with self._changed:
            self._disk.check()
            self._disk.sync()

    def _lose(self, losses: Losses) -> None:
        add_losses(self._disk.standing.losses, losses)
        for loss in losses.values():
            self._count(loss)

    def _count(self, loss: Loss) -> None:
        self._counters.add("dropped", loss.records, reason=loss.reason)
        self._counters.add("dropped_messages", loss.messages, reason=loss.reason)

    def _make_room(self, size: int) -> bool:
        while self._disk.used() + size > self.budget:
            if self._policy != "drop_oldest" or not self._drop_oldest():
                return False
        return True

    def _drop_oldest(self) -> bool:
        """Drop the oldest segment to which the sender has not come; False where there is none."""
        disk = self._disk
        segment = next((s for s in disk.segments if s.number > self._reached[0] and s.holds), None)
        if segment is None:
            return False
        if segment is disk.segments[-1]:
            disk.roll()
        lost = {partition: replace(loss, reason=f"{FULL}, oldest") for partition, loss in segment.holds.items()}
        untold = dict(lost)
        add_losses(untold, segment.told)
        if not disk.write(_note(untold, [segment.number])):
            return False
        disk.sync()
        self._lose(lost)
        add_losses(disk.standing.losses, segment.told)
        disk.remove(segment)
        return True

    # --- reading and acknowledging

    def read(self, wait_s: float) -> Ready | None:
        """The next message that is synced; None where none came within `wait_s`."""
        with self._changed:
            ready = self._ready()
            if ready is None and wait_s > 0:
                self._changed.wait_for(lambda: self._segment() is not None, wait_s)
                ready = self._ready()
            return ready

    def _ready(self) -> Ready | None:
        while (segment := self._segment()) is not None:
            found = self._next(segment)
            if found is not None and found.kind is FrameKind.MESSAGE:
                self._token += 1
                header, value = found.message
                self._sent.append(_Sent(self._token, self._cursor, header))
                return Ready(self._token, found.partition, header, value)
        if not self._sent:
            self._acknowledge_to(self._cursor)
        return None

    def _segment(self) -> Segment | None:
        """The segment with the next synced frame, to which the cursor is brought; None where there is none."""
        number, at = self._cursor
        for segment in self._disk.segments:
            if segment.number > number:
                number, at = segment.number, 0
            if segment.number == number and at < segment.size:
                self._move((number, at))
                return segment if self._cursor < self._disk.durable else None
        return None

    def _next(self, segment: Segment) -> Frame | None:
        """The frame at the cursor, which moves on; None where it is damaged, and the rest of its segment with it."""
        if self._reader is None or self._reader[0] != segment.number:
            self._close_reader()
            self._reader = (segment.number, os.open(self.folder / segment.name, os.O_RDONLY))
        found = read_frame(self._reader[1], self._cursor[1], segment.size)
        if found is None:
            self.lose({partition: Loss(0, 1, 0, 0, DAMAGED) for partition in segment.holds})
        self._move((segment.number, found.end if found is not None else segment.size))
        return found

    def _move(self, place: Place) -> None:
        self._cursor = place
        self._reached = max(self._reached, place)

    def acknowledge(self, token: int, *, refused: str = "") -> None:
        """Kafka has a message, or says why it will never have it."""
        with self._changed:
            sent = next((s for s in self._sent if s.token == token), None)
            if sent is None:
                return
            sent.done = True
            if refused:
                head = Header.parse(sent.header)
                self.lose({head.partition: Loss.of(head, refused)})
            while self._sent and self._sent[0].done:
                self._acknowledge_to(self._sent.popleft().after)
                self._counters.add("messages", reason="acknowledged")

    def _acknowledge_to(self, place: Place) -> None:
        if place <= self._disk.acknowledged:
            return
        for segment in [s for s in self._disk.segments[:-1] if (s.number, s.size) <= place]:
            self._disk.remove(segment)
        self._disk.note(place)
        self._changed.notify_all()

    def rewind(self) -> None:
        """Read again what was read and not acknowledged: its fate is not known."""
        with self._changed:
            self._sent.clear()
            self._cursor = self._disk.acknowledged

    def unacknowledged(self) -> int:
        """Bytes that Kafka has not acknowledged."""
        with self._changed:
            number, at = self._disk.acknowledged
            later = [s for s in self._disk.segments if s.number >= number]
            return sum(s.size - (at if s.number == number else 0) for s in later)

    def wait_empty(self, wait_s: float) -> bool:
        """Whether Kafka has all that was appended, now or within `wait_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._disk.acknowledged >= self._disk.end, wait_s)

    def health(self) -> list[HealthRow]:
        """(stage, counter, reason, value) rows for HEALTH so far."""
        with self._changed:
            self._counters.put("bytes", self._disk.used(), reason="on disk")
            return self._counters.rows()

    def close(self) -> None:
        """Sync, and let go of the folder."""
        self._disk.close()
        self._close_reader()

    def _close_reader(self) -> None:
        if self._reader is not None:
            os.close(self._reader[1])
            self._reader = None


def _note(losses: Losses, segments: list[int]) -> tuple[bytes, ...]:
    told = {"segments": segments, "losses": pack_losses(losses)}
    return frame(FrameKind.LOSS, (json.dumps(told).encode(),))
