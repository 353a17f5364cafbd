"""Standing: where the partitions stand, and what was lost and is yet to be told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from pipeline.transport.message import Header
from pipeline.transport.spool.frames import Frame


@dataclass(frozen=True, slots=True)
class Loss:
    """Messages of one partition that will not be sent.

    Attributes:
        records, messages: how many.
        first_ts, last_ts: least and greatest of their times, int64 ns.
        reason: why.
    """

    records: int
    messages: int
    first_ts: int
    last_ts: int
    reason: str

    def __add__(self, other: Loss | None) -> Loss:
        if other is None:
            return self
        return Loss(
            self.records + other.records,
            self.messages + other.messages,
            min(self.first_ts, other.first_ts),
            max(self.last_ts, other.last_ts),
            self.reason if other.reason in self.reason.split("; ") else f"{self.reason}; {other.reason}",
        )

    def pack(self) -> bytes:
        """As a frame has it."""
        return json.dumps(astuple(self)).encode()

    @staticmethod
    def parse(data: bytes) -> Loss:
        """From a frame."""
        return Loss(*json.loads(data))

    @staticmethod
    def of(header: Header, reason: str) -> Loss:
        """The loss of one message."""
        return Loss(header.count, 1, header.first_ts, header.last_ts, reason)


Losses = dict[int, Loss]
"""By partition."""


def add_losses(to: Losses, more: Mapping[int, Loss]) -> None:
    """Add up."""
    for partition, loss in more.items():
        to[partition] = loss + to.get(partition)


@dataclass(slots=True)
class Position:
    """How far one partition is.

    Attributes:
        boot: of its last message.
        number: of its next message, if that is of the same boot.
        sent_seq: last seq of the last message, for the next one's `previous_seq`.
        last_seq, marks: how far the stream went, with what was dropped; of marks, how many.
        records: all that were in messages.
    """

    boot: int = 0
    number: int = 0
    sent_seq: int = 0
    last_seq: int = 0
    marks: int = 0
    records: int = 0

    def follow(self, header: Header, last_seq: int, marks: int) -> None:
        """A message was written."""
        self.boot, self.number, self.sent_seq = header.boot, header.number + 1, header.last_seq
        self.last_seq, self.marks = last_seq, marks
        self.records += header.count


@dataclass(slots=True)
class Standing:
    """Where all partitions stand.

    Attributes:
        positions: of each partition.
        losses: what was lost and not yet told by a GAP mark.
    """

    positions: list[Position]
    losses: Losses = field(default_factory=dict)

    def pack(self) -> bytes:
        """As the payload of a frame."""
        told: dict[str, Any] = {"positions": [astuple(p) for p in self.positions], "losses": pack_losses(self.losses)}
        return json.dumps(told).encode()

    @staticmethod
    def parse(payload: bytes) -> Standing:
        """From the payload of a frame."""
        told = json.loads(payload)
        return Standing([Position(*row) for row in told["positions"]], parse_losses(told["losses"]))

    def follow(self, found: Frame) -> Losses:
        """Take in a message; what it told of losses."""
        header = Header.parse(found.message[0])
        self.positions[found.partition].follow(header, found.last_seq, found.marks)
        if not found.told:
            return {}
        told = Loss.parse(found.told)
        self.untell(found.partition, told)
        return {found.partition: told}

    def untell(self, partition: int, told: Loss) -> None:
        """Take out of the losses what a message tells; more may have been lost since it was encoded."""
        held = self.losses.pop(partition, None)
        if held is not None and (held.records > told.records or held.messages > told.messages):
            rest = (held.records - told.records, held.messages - told.messages)
            self.losses[partition] = replace(held, records=rest[0], messages=rest[1])

    def missing_to(self, later: Standing, reason: str) -> Losses:
        """What lies between here and a later standing: the messages that a damaged file held."""
        found: Losses = {}
        for partition, (here, there) in enumerate(zip(self.positions, later.positions, strict=True)):
            messages = there.number - (here.number if here.boot == there.boot else 0)
            if messages > 0 or there.records > here.records:
                found[partition] = Loss(max(0, there.records - here.records), max(1, messages), 0, 0, reason)
        return found


def pack_losses(losses: Mapping[int, Loss]) -> dict[str, list[Any]]:
    """Losses as JSON has them."""
    return {str(partition): list(astuple(loss)) for partition, loss in losses.items()}


def parse_losses(table: Mapping[str, Any]) -> Losses:
    """Losses from JSON."""
    return {int(partition): Loss(*row) for partition, row in table.items()}
