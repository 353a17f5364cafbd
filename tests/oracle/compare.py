"""Two parsers' messages held against each other, packet by packet and field by field."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.message import Message

_IDENTITY = ("kind", "txn", "unit", "function")


@dataclass(frozen=True, slots=True)
class Difference:
    """A field in which two parsers differ; `pdu` with None on one side is a PDU that only the other has."""

    packet: int
    field: str
    ours: Any
    theirs: Any


@dataclass(slots=True)
class Agreement:
    """How far two parsers agree on one capture.

    Attributes:
        matched: number of equal statements by field.
        differences: every statement that is not.
    """

    matched: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)


def compare(ours: Iterable[Message], theirs: Iterable[Message]) -> Agreement:
    """Hold ours against theirs, in every field that theirs says; PDUs that only one side has are differences."""
    result = Agreement()
    left, right = _by_packet(ours), _by_packet(theirs)
    for packet in sorted(left.keys() | right.keys()):
        for a, b in _aligned(left.get(packet, []), right.get(packet, [])):
            _compare_one(packet, a, b, result)
    return result


def _by_packet(messages: Iterable[Message]) -> dict[int, list[Message]]:
    found: dict[int, list[Message]] = defaultdict(list)
    for message in messages:
        found[message.packet].append(message)
    return found


def _aligned(ours: Sequence[Message], theirs: Sequence[Message]) -> list[tuple[Message | None, Message | None]]:
    """Pairs of the PDUs of one packet: in their order where both count alike, else by what names them."""
    if len(ours) == len(theirs):
        return list(zip(ours, theirs, strict=True))
    pairs: list[tuple[Message | None, Message | None]] = []
    rest = list(ours)
    for their in theirs:
        same = next((our for our in rest if _identity(our) == _identity(their)), None)
        if same is not None:
            rest.remove(same)
        pairs.append((same, their))
    return pairs + [(our, None) for our in rest]


def _identity(message: Message) -> tuple[Any, ...]:
    return tuple(message.said.get(name) for name in _IDENTITY)


def _compare_one(packet: int, ours: Message | None, theirs: Message | None, result: Agreement) -> None:
    if ours is None or theirs is None:
        there = [None if message is None else _identity(message) for message in (ours, theirs)]
        result.differences.append(Difference(packet, "pdu", *there))
        return
    result.matched["pdu"] += 1
    for name, value in theirs.said.items():
        if ours.said.get(name) == value:
            result.matched[name] += 1
        else:
            result.differences.append(Difference(packet, name, ours.said.get(name), value))
