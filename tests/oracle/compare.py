"""Two parsers' messages held against each other, place by place and field by field."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.message import FIELDS, Message

_IDENTITY = ("kind", "txn", "unit", "function")


@dataclass(frozen=True, slots=True)
class Difference:
    """A field in which two parsers differ; of field `pdu` where only one of them has the PDU at all.

    Attributes:
        place: packet number, or connection and half where the other parser tells no packets.
        field: one of `message.FIELDS`.
        ours, theirs: what each says; None where it says nothing.
    """

    place: int | str
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
    right = _by_place(theirs)
    by_connection = any(isinstance(place, str) for place in right)
    left = _by_place(ours, by_connection)
    for place in sorted(left.keys() | right.keys()):
        for a, b in _aligned(left.get(place, []), right.get(place, [])):
            _compare_one(place, a, b, result)
    return result


def _by_place(messages: Iterable[Message], by_connection: bool = False) -> dict[Any, list[Message]]:
    found: dict[Any, list[Message]] = defaultdict(list)
    for message in messages:
        connection = f"{message.ends} {message.said.get('kind', '')}"
        found[connection if by_connection or not message.packet else message.packet].append(message)
    return found


def _aligned(ours: Sequence[Message], theirs: Sequence[Message]) -> list[tuple[Message | None, Message | None]]:
    """Pairs of the PDUs of one place: in their order where both count alike, else by what names them."""
    if len(ours) == len(theirs):
        return list(zip(ours, theirs, strict=True))
    pairs: list[tuple[Message | None, Message | None]] = []
    rest = list(ours)
    for their in theirs:
        same = next((our for our in rest if _are_one(our, their)), None)
        if same is not None:
            rest.remove(same)
        pairs.append((same, their))
    return pairs + [(our, None) for our in rest]


def _are_one(ours: Message, theirs: Message) -> bool:
    """Whether two messages have the same name, as far as theirs has one."""
    return all(ours.said.get(name) == theirs.said[name] for name in _IDENTITY if name in theirs.said)


def _compare_one(place: int | str, ours: Message | None, theirs: Message | None, result: Agreement) -> None:
    if ours is None or theirs is None:
        result.differences.append(Difference(place, "pdu", _name(ours), _name(theirs)))
        return
    result.matched["pdu"] += 1
    for name, value in theirs.said.items():
        if name not in FIELDS:
            continue
        if ours.said.get(name) == value:
            result.matched[name] += 1
        else:
            result.differences.append(Difference(place, name, ours.said.get(name), value))


def _name(message: Message | None) -> str | None:
    if message is None:
        return None
    said = message.said
    return " ".join(f"{name} {said[name]}" for name in _IDENTITY if name in said)
