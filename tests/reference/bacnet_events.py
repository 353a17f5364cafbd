"""Events, logs and transfers of BACnet in plain Python, from the tree of their tags."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from schemas.codes import Direction, Quality, Space
from tests.reference.bacnet import NOTHING, Node, Tree, parse, value_of

Told = tuple[int, int, int, Any, int, int, int]
"""Space, address, second part, value, quality, direction, time in milliseconds since 1970."""
_TYPES = {
    0: "bb", 1: ".b", 2: ".b", 3: ".b", 4: "rbrr", 5: "rbrr", 8: "eebe", 9: "uu", 10: ".uu", 11: "ubu", 13: "ebu",
    14: "dbdd", 15: "ibui", 16: "ubuu", 17: "tbt", 18: ".b", 19: "eb", 21: ".b", 22: "eb.eu",
}  # fmt: skip
"""What stands under each tag of an event's values, by choice."""
_LOGGED = "bBreuibn.r."
"""What stands under each tag of a log's datum."""


@dataclass
class Said:
    """What the twin says of a message."""

    service: int
    thing: int = 0
    sub: int = 0
    subfunc: int = 0
    count: int = 0
    name: str = ""
    points: list[Told] = field(default_factory=list)


def typed(node: Node, kind: str) -> Any:
    """The value of a primitive of that kind; octets where it is none: b bits, B boolean, r real, d double, t text."""
    octets, size = node.octets, len(node.octets)
    if kind in "ue":
        return float(int.from_bytes(octets)) if size in (1, 2, 3, 4, 8)[: 5 if kind == "u" else 4] else octets
    if kind == "i":
        return float(int.from_bytes(octets, signed=True)) if size in (1, 2, 3, 4, 8) else octets
    if kind == "b":
        return float(int.from_bytes(octets[1:])) if 2 <= size <= 5 else octets
    if kind == "B":
        return float(octets[0] & 1) if size == 1 else octets
    if kind in "rd":
        form = "!f" if kind == "r" else "!d"
        return float(struct.unpack(form, octets)[0]) if size == struct.calcsize(form) else octets
    if kind == "n":
        return NOTHING if size == 0 else octets
    return octets[1:].decode() if kind == "t" and octets[:1] == b"\0" else octets


def clock_ms(date: Node, time: Node) -> int:
    """A date and a time in milliseconds since 1970, -1 where they are none."""
    day, moment = value_of(date), value_of(time)
    return round(1000 * (day + moment)) if isinstance(day, float) and isinstance(moment, float) else -1


def _add(said: Said, space: int, addr: int, sub: int, value: Any, direction: int, quality: int = 0) -> None:
    if value not in (b"", ""):
        said.points.append((space, addr, sub, value, quality, direction, 0))


def _date(said: Said, first: int, ms: int) -> None:
    for k, (space, addr, sub, value, quality, direction, _) in enumerate(said.points[first:], first):
        doubt = int(Quality.TIME_INVALID) if ms < 0 else 0
        said.points[k] = space, addr, sub, value, quality | doubt, direction, max(ms, 0)


def _stamp(said: Said, node: Node, direction: int) -> int:
    (inside,) = node.inside or []
    if inside.number == 2:
        return clock_ms(*(inside.inside or []))
    if inside.number == 1:
        _add(said, Space.BACNET_EVENT, said.thing, 3, typed(inside, "u"), direction)
    return 0


def message(data: bytes) -> Said:
    """A message in one segment of a service about events, logs or transfers."""
    apdu = data[6:]
    kind = apdu[0] >> 4
    if kind == 1:
        service, tree = 0x100 | apdu[1], parse(apdu[2:])
    else:
        header = 3 if kind == 0 else 2
        service, tree = apdu[header], parse(apdu[header + 1 :])
    said = Said(service)
    by = {node.number: node for node in tree if node.context}
    if service in (2, 0x103):
        _notification(said, by)
    elif service == 0:
        _acknowledge(said, tree)
    elif service in (3, 4):
        _alarms(said, tree, service == 4)
    elif service == 29:
        _information(said, tree)
    elif service == 26:
        _ranged(said, by)
    elif service in (18, 0x104):
        _private(said, by, Direction.READ if kind == 3 else Direction.UNKNOWN)
    elif service == 0x10A:
        _group(said, by)
    return said


def _notification(said: Said, by: dict[int, Node]) -> None:
    said.thing, said.count, report = int.from_bytes(by[2].octets), 1, Direction.REPORT
    said.subfunc = int(typed(by[6], "e"))
    _add(said, Space.BACNET_EVENT, said.thing, 0, typed(by[0], "u"), report)
    ms = _stamp(said, by[3], report)
    for number, kind in ((4, "u"), (5, "u"), (6, "e"), (7, "t"), (8, "e"), (9, "B"), (10, "e")):
        if number in by:
            _add(said, Space.BACNET_EVENT, said.thing, number, typed(by[number], kind), report)
    _add(said, Space.BACNET_PROPERTY, said.thing, 36, typed(by[11], "e"), report)
    if 12 in by:
        (values,) = by[12].inside or []
        for node in values.inside or []:
            sub = 1 << 16 | values.number << 8 | node.number
            _add(said, Space.BACNET_EVENT, said.thing, sub, _event_value(values.number, node), report)
    _date(said, 0, ms)


def _event_value(choice: int, node: Node) -> Any:
    kinds = _TYPES.get(choice, "")
    if node.inside is None:
        return typed(node, kinds[node.number] if node.number < len(kinds) else ".")
    if len(node.inside) == 1 and node.inside[0].inside is None:
        (only,) = node.inside
        if not only.context:
            return value_of(only)
        if choice == 1:
            return typed(only, {0: "B", 11: "u", 41: "i"}.get(only.number, "e"))
        if choice == 2 and only.number < 2:
            return typed(only, "br"[only.number])
    return node.wire


def _acknowledge(said: Said, tree: Tree) -> None:
    said.thing, said.count, said.subfunc = int.from_bytes(tree[1].octets), 1, int(typed(tree[2], "e"))
    _add(said, Space.BACNET_EVENT, said.thing, 0, typed(tree[0], "u"), Direction.WRITTEN)
    _add(said, Space.BACNET_EVENT, said.thing, 16, typed(tree[2], "e"), Direction.WRITTEN)
    _date(said, 1, _stamp(said, tree[3], Direction.WRITTEN))
    said.name = tree[4].octets[1:].decode()
    _stamp(said, tree[5], Direction.WRITTEN)


def _alarms(said: Said, tree: Tree, enrollments: bool) -> None:
    thing, k = 0, 0
    columns = ((1, 37), (1, 36), (0, 5), (1, 17)) if enrollments else ((1, 36), (1, 0))
    for node in tree:
        if node.number == 12:
            thing, k = int.from_bytes(node.octets), 0
            said.thing, said.count = said.thing if said.count else thing, said.count + 1
            continue
        of_property, sub = columns[k]
        space = Space.BACNET_PROPERTY if of_property else Space.BACNET_EVENT
        _add(said, space, thing, sub, value_of(node), Direction.READ)
        k += 1


def _information(said: Said, tree: Tree) -> None:
    found = tree[0].inside or []
    for k in range(0, len(found), 7):
        thing = int.from_bytes(found[k].octets)
        said.thing, said.count = said.thing if said.count else thing, said.count + 1
        for node, kind, sub in zip((found[k + n] for n in (1, 2, 4, 5)), "ebeb", (36, 0, 72, 35), strict=True):
            _add(said, Space.BACNET_PROPERTY, thing, sub, typed(node, kind), Direction.READ)
        for n, node in enumerate(found[k + 6].inside or [], 2):
            _add(said, Space.BACNET_EVENT, thing | n << 32, 5, value_of(node), Direction.READ)
    said.subfunc = tree[1].octets[0]


def _ranged(said: Said, by: dict[int, Node]) -> None:
    said.thing, said.sub, said.count = int.from_bytes(by[0].octets), by[1].octets[0], int(typed(by[4], "u"))
    items, at = by[5].inside or [], 0
    several = said.thing >> 22 == 27
    while at < len(items):
        first = len(said.points)
        (datum,) = items[at + 1].inside or []
        if several and datum.number == 1:
            for k, node in enumerate(datum.inside or [], 2):
                _datum(said, node, 10 if node.number == 8 else node.number + 1, said.thing | k << 32)
        else:
            _datum(said, datum, 9 if several and datum.number == 2 else datum.number, said.thing)
        flags = items[at + 2] if at + 2 < len(items) and items[at + 2].number == 2 else None
        _date(said, first, clock_ms(*(items[at].inside or [])))
        _doubt(said, first, flags.octets[1] if flags else 0)
        at += 3 if flags else 2
    if 6 in by:
        _add(said, Space.BACNET_LOG, said.thing, 6, typed(by[6], "u"), Direction.READ)


def _datum(said: Said, node: Node, choice: int, addr: int) -> None:
    if choice in (0, 9):
        _add(said, Space.BACNET_LOG, addr, choice, typed(node, _LOGGED[choice]), Direction.READ)
    elif choice == 8:
        _add(said, Space.BACNET_PROPERTY, addr, 131, NOTHING, Direction.READ, int(Quality.INVALID))
    else:
        value = node.wire[1:-1] if node.inside is not None else typed(node, _LOGGED[choice])
        _add(said, Space.BACNET_PROPERTY, addr, 131, value, Direction.READ)


def _doubt(said: Said, first: int, flags: int) -> None:
    doubts = ((0x40, Quality.INVALID), (0x20, Quality.LOCAL_FORCED), (0x10, Quality.SUBSTITUTED))
    doubt = sum(int(quality) for bit, quality in doubts if flags & bit)
    for k, (space, addr, sub, value, quality, direction, ms) in enumerate(said.points[first:], first):
        if space == Space.BACNET_PROPERTY:
            said.points[k] = space, addr, sub, value, quality | doubt, direction, ms


def _private(said: Said, by: dict[int, Node], direction: int) -> None:
    said.thing, said.subfunc = (int(typed(by[k], "u")) for k in (0, 1))
    if 2 in by:
        octets = by[2].wire[1:-1]
        quality = int(Quality.TRUNCATED) if len(octets) > 255 else 0
        _add(said, Space.BACNET_PRIVATE, said.thing, said.subfunc, octets[:255], direction, quality)


def _group(said: Said, by: dict[int, Node]) -> None:
    said.thing, said.subfunc = int(typed(by[0], "u")), int(typed(by[1], "u"))
    for channel, priority, node in _channels(by[2].inside or []):
        said.subfunc = min(said.subfunc, priority or 16)
        _add(said, Space.BACNET_GROUP, said.thing, channel, value_of(node), Direction.WRITTEN)
        said.count += 1


def _channels(tree: Tree) -> Iterator[tuple[int, int, Node]]:
    channel, priority = 0, 0
    for node in tree:
        if node.context and node.inside is None and node.number == 0:
            channel, priority = int(typed(node, "u")), 0
        elif node.context and node.inside is None:
            priority = int(typed(node, "u"))
        else:
            yield channel, priority, node
