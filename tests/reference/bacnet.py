"""BACnet/IP in plain Python: a message as a tree of tags, then what services make of it, one after the other."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from schemas.codes import Quality

Tree = list["Node"]
LISTS = {76, 87, 110, 123}
"""Properties of the tests that are arrays, so that one element of a whole one is the first."""
NOTHING = "nothing"


@dataclass
class Node:
    """A tag with its contents: octets, or the tags within brackets."""

    number: int
    context: bool
    octets: bytes
    inside: Tree | None
    wire: bytes


@dataclass
class Said:
    """What the twin says of a message: its points as (object, property, element or 0, value, quality)."""

    service: int
    invoke: int = 0
    thing: int = 0
    sub: int = 0
    element: int = 0
    count: int = 0
    priority: int = 0
    status: int = 0
    points: list[tuple[int, int, int, Any, int]] = field(default_factory=list)


def parse(data: bytes) -> Tree:
    """The tags of some octets."""
    found, _ = _until_close(data, 0)
    return found


def _until_close(data: bytes, at: int) -> tuple[Tree, int]:
    found: Tree = []
    while at < len(data):
        start, first = at, data[at]
        at += 1
        number, context, kind = first >> 4, bool(first & 8), first & 7
        if number == 15:
            number, at = data[at], at + 1
        if context and kind == 7:
            return found, at
        if context and kind == 6:
            inside, at = _until_close(data, at)
            found.append(Node(number, True, b"", inside, data[start:at]))
            continue
        size = kind
        if not context and number == 1:
            found.append(Node(1, False, bytes([kind]), None, data[start:at]))
            continue
        if kind == 5:
            size, at = data[at], at + 1
            if size == 254:
                size, at = int.from_bytes(data[at : at + 2]), at + 2
        found.append(Node(number, context, data[at : at + size], None, data[start : at + size]))
        at += size
    return found, at


def value_of(node: Node) -> Any:
    """A number, a text, octets, or NOTHING for null."""
    octets, whole = node.octets, int.from_bytes(node.octets)
    if node.context or node.inside is not None:
        return node.wire
    if node.number in (2, 9, 12):
        return float(whole) if len(octets) in (1, 2, 3, 4, 8) else octets
    if node.number == 10 and octets[0] == 255:
        return octets
    if node.number == 10:
        try:
            return datetime(1900 + octets[0], octets[1], octets[2], tzinfo=UTC).timestamp()
        except ValueError:
            return octets
    if node.number == 11:
        hour, minute, second, hundredths = octets
        fits = hour < 24 and minute < 60 and second < 60 and hundredths < 100
        return (hour * 3600_000 + minute * 60_000 + second * 1000 + hundredths * 10) / 1000 if fits else octets
    readers: dict[int, Any] = {
        0: lambda: NOTHING,
        1: lambda: float(octets[0]),
        3: lambda: float(int.from_bytes(octets, signed=True)),
        4: lambda: float(struct.unpack("!f", octets)[0]),
        5: lambda: float(struct.unpack("!d", octets)[0]),
        7: lambda: octets[1:].decode() if octets[0] == 0 else octets,
        8: lambda: float(int.from_bytes(octets[1:])) if 2 <= len(octets) <= 5 else octets,
    }
    return readers[node.number]() if node.number in readers else octets


def message(data: bytes) -> Said:
    """A message in one segment of a service about properties, or its answer."""
    npdu = data[10 if data[1] == 4 else 4 :]
    control, at = npdu[1], 2
    for bit in (0x20, 0x08):
        if control & bit:
            at += 3 + npdu[at + 2]
    apdu = npdu[at + bool(control & 0x20) :]
    kind = apdu[0] >> 4
    if kind == 1:
        return _service(Said(0x100 | apdu[1]), kind, parse(apdu[2:]))
    header = 3 if kind == 0 else 2
    return _service(Said(apdu[header], apdu[header - 1]), kind, parse(apdu[header + 1 :]))


def _service(said: Said, kind: int, tree: Tree) -> Said:
    if kind == 5:
        said.status = 1 << 24 | int.from_bytes(tree[0].octets) << 16 | int.from_bytes(tree[1].octets)
    elif said.service in (12, 15) and kind != 2:
        _single(said, {node.number: node for node in tree})
    elif said.service in (14, 16) and kind != 2:
        for thing, inside in zip(tree[::2], tree[1::2], strict=True):
            _of_object(said, int.from_bytes(thing.octets), inside.inside or [], 2 if kind == 3 else 0)
    elif said.service in (1, 0x102) and kind != 2:
        _of_object(said, int.from_bytes(tree[2].octets), tree[4].inside or [], 0)
    return said


def _about(said: Said, thing: int, sub: int, index: int | None) -> None:
    said.count += 1
    if said.count == 1:
        said.thing, said.sub, said.element = thing, sub, 0 if index is None else index + 1


def _single(said: Said, by: dict[int, Node]) -> None:
    thing, sub = int.from_bytes(by[0].octets), int.from_bytes(by[1].octets)
    index = int.from_bytes(by[2].octets) if 2 in by else None
    _about(said, thing, sub, index)
    if 3 in by:
        said.points += _points(thing, sub, index, by[3].inside or [])
    if 4 in by:
        said.priority = int.from_bytes(by[4].octets)


def _of_object(said: Said, thing: int, tree: Tree, first: int) -> None:
    """Properties of one object; each begins with the tag `first`."""
    found: list[tuple[int, int, int, Any, int]] = []
    groups: list[dict[int, Node]] = []
    for node in tree:
        if node.number == first:
            groups.append({})
        groups[-1][node.number - first] = node
    for by in groups:
        sub, index = int.from_bytes(by[0].octets), int.from_bytes(by[1].octets) if 1 in by else None
        _about(said, thing, sub, index)
        if 2 in by:
            found += _points(thing, sub, index, by[2].inside or [])
        if 3 in by and first == 0:
            said.priority = min(p for p in (said.priority, int.from_bytes(by[3].octets)) if p)
    flags = next((int(value) for _, sub, _, value, _ in found if sub == 111), 0)
    doubt = sum(q for bit, q in ((64, Quality.INVALID), (32, Quality.LOCAL_FORCED), (16, Quality.SUBSTITUTED)) if flags & bit)  # fmt: skip # noqa: E501
    said.points += [(t, sub, e, value, q | (int(doubt) if sub == 85 else 0)) for t, sub, e, value, q in found]


def _points(thing: int, sub: int, index: int | None, tree: Tree) -> Iterator[tuple[int, int, int, Any, int]]:
    numbered = index is None and (len(tree) > 1 or sub in LISTS)
    for k, node in enumerate(tree):
        element = k + 2 if numbered else 0 if index is None else index + 1
        value = value_of(node)
        cut = isinstance(value, bytes) and len(value) > 255
        yield thing, sub, element, value[:255] if cut else value, int(Quality.TRUNCATED) if cut else 0


def same(one: Any, other: Any) -> bool:
    """Equality in which NaN is itself."""
    return one == other or (isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other))  # fmt: skip # noqa: E501
