"""Userdata of S7comm in plain Python: blocks, subscriptions, tables, messages; one connection, message by message."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from schemas.codes import Direction, Kind, Quality, Space
from tests.reference.s7 import Item, Point, data_of, items_of, text, values, without

Told = tuple[int, int, int, str, int, int, int]
"""A point of `tests.reference.s7` and its time in milliseconds since 1970, 0 for none."""
_AREAS = {0: 0x83, 1: 0x81, 2: 0x82, 3: 0x80, 5: 0x1D, 6: 0x1C, 7: 0x84}
_SIZES = {0: 1, 1: 2, 2: 4, 3: 6}
_NUMBERS = ((3, ">9xB"), (2, ">10xB"), (4, ">14xI"), (5, ">18xI"), (7, ">36xH"), (8, ">38xH"), (9, ">40xH"),
            (13, ">66xB"), (14, ">68xH"), (6, ">34xH"))  # fmt: skip
_TEXTS = ((10, 42), (11, 50), (12, 58))
_TIMED = (5, 6, 0x0C, 0x11, 0x12, 0x16)


@dataclass
class Record:
    """What the twin says of a message."""

    kind: int
    group: int
    sub: int
    txn: int
    status: int = 0
    space: int = 0
    addr: int = 0
    addr_sub: int = 0
    points: list[Told] = field(default_factory=list)


@dataclass
class Asked:
    """A request that waits for its answer."""

    record: Record
    items: list[Item] = field(default_factory=list)
    used: int = 0
    """Bytes of an entry that an earlier part ended with."""


@dataclass
class Memory:
    """What a connection remembers: requests, variables by the number that they are sent under, parts of lists."""

    asked: dict[int, Asked] = field(default_factory=dict)
    sent: dict[tuple[int, int, int], list[Item | None]] = field(default_factory=dict)
    parts: dict[int, tuple[int, int]] = field(default_factory=dict)


def clock_ms(raw: bytes) -> int:
    """A DATE_AND_TIME in milliseconds since 1970; 0 for none."""
    digits = raw.hex()
    try:
        year = int(digits[:2]) + (1900 if int(digits[:2]) >= 90 else 2000)
        when = datetime.strptime(f"{year}{digits[2:12]}", "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return int(when.timestamp()) * 1000 + int(digits[12:15])
    except ValueError:
        return 0


def _timed(points: Iterable[Point], ms: int = 0) -> list[Told]:
    return [(*point, ms) for point in points]


def _direction(kind: int) -> int:
    return {Kind.REQUEST: Direction.WRITTEN, Kind.RESPONSE: Direction.READ}.get(Kind(kind), Direction.REPORT)


def _about(found: Record, item: Item | None) -> None:
    if item and item.syntax == 0x10:
        found.space, found.addr, found.addr_sub = item.space, item.address, item.second


# --- blocks


def _blocks(found: Record, data: bytes, asked: Asked | None, number: int, more: bool, memory: Memory) -> None:
    if found.kind == Kind.REQUEST:
        if found.sub in (2, 3):
            found.space, found.addr = Space.S7_BLOCK, int(data[:2], 16) << 16 | int(data[2:7] or b"0")
        return
    if found.sub == 1:
        found.space = Space.S7_BLOCK
        for kind, count in struct.iter_unpack("!2sH", data):
            found.points.append((Space.S7_BLOCK, int(kind, 16) << 16, 1, text(count), 0, Direction.READ, 0))
    elif found.sub == 2:
        used = asked.used if asked else 0
        if more:
            memory.parts[number] = found.addr & ~0xFFFF, (used + len(data)) % 4
        data = data[-used % 4 :]
        for block, _, language in struct.iter_unpack("!HBB", data[: len(data) // 4 * 4]):
            place = found.addr & ~0xFFFF | block
            found.points.append((Space.S7_BLOCK, place, 2, text(language), 0, Direction.READ, 0))
    elif found.sub == 3:
        _information(found, data)


def _information(found: Record, data: bytes) -> None:
    found.space = Space.S7_BLOCK
    found.addr = data[11] << 16 | int.from_bytes(data[12:14])
    code, interface = (_block_ms(data[at : at + 6]) for at in (22, 28))
    for part, form in _NUMBERS:
        (value,) = struct.unpack_from(form, data)
        ms = interface if part == 6 else code
        found.points.append((Space.S7_BLOCK, found.addr, part, text(value), 0, Direction.READ, ms))
    for part, at in _TEXTS:
        name = data[at : at + 8].split(b"\0")[0].rstrip(b" ").decode()
        if name:
            found.points.append((Space.S7_BLOCK, found.addr, part, name, 0, Direction.READ, 0))


def _block_ms(raw: bytes) -> int:
    ms, days = struct.unpack("!IH", raw)
    if ms >= 86_400_000 or not ms | days:
        return 0
    return int((datetime(1984, 1, 1, tzinfo=UTC) + timedelta(days=days)).timestamp()) * 1000 + int(ms)


# --- subscriptions and tables


def _sent(found: Record, told: list[tuple[int, int, bytes]], items: list[Item | None], table: bool) -> None:
    direction = _direction(found.kind)
    for i, (code, sort, raw) in enumerate(told):
        item = items[i] if i < len(items) else None
        if code == 0xFF or (table and code == 0):
            found.points += _timed(values(item, i + 1, sort, raw, direction))
        else:
            found.status = found.status or code or 0x100
            found.points += _timed(without(item, Quality.INVALID, direction))


def _known(found: Record, number: int, count: int, memory: Memory) -> list[Item | None]:
    """The variables that are sent under a number, none where it is another number of them."""
    items = memory.sent.get((found.group, found.sub if found.group == 1 else 0, number), [])
    items = items if len(items) == count else []
    _about(found, items[0] if items else None)
    return items


def _cyclic(found: Record, data: bytes, asked: Asked | None, number: int, memory: Memory) -> None:
    if found.sub == 4:
        if found.kind == Kind.REQUEST:
            found.addr = data[1]
        return
    count = int.from_bytes(data[:2])
    if found.kind == Kind.REQUEST:
        items = list(items_of(bytes([0, count]) + data[4:]))
        memory.asked[found.txn] = Asked(found, items)
        _about(found, items[0])
        for item in items if count > 1 else []:
            found.points += _timed(without(item, 0, Direction.UNKNOWN))
        return
    if found.kind == Kind.RESPONSE:
        mine: list[Item | None] = [*asked.items] if asked and len(asked.items) == count else [None] * count
        memory.sent[2, 0, number] = [item if item and item.syntax == 0x10 else None for item in mine]
    else:
        mine = _known(found, number, count, memory)
    _sent(found, list(data_of(data[2:], count)), mine, False)


def _variable(raw: bytes) -> Item:
    first, many, block, start = struct.unpack("!BBHH", raw)
    area, width = _AREAS.get(first >> 4, 0), first & 15
    if area in (0x1C, 0x1D) and width == 4:
        return Item(0x10, area, many, block, area, start)
    if not area or area in (0x1C, 0x1D) or width > 3:
        return Item(0)
    return Item(0x10, _SIZES[width], many if width else 1, block, area, 8 * start + (0 if width else many & 7))


def _even(data: bytes, count: int) -> Iterator[tuple[int, int, bytes]]:
    """Values of a table; one that failed has no data."""
    for _ in range(count):
        code, sort, length = struct.unpack("!BBH", data[:4])
        size = math.ceil(length / 8) if sort in (3, 4, 5) else length
        size = size if code in (0, 0xFF) else 0
        yield code, sort, data[4 : 4 + size]
        data = data[4 + size + size % 2 :]


def _table(found: Record, data: bytes, number: int, memory: Memory) -> None:
    skip, size = struct.unpack("!HH", data[:4])
    data = data[4 + skip : 4 + skip + size]
    if found.sub == 0x10:
        if found.kind == Kind.RESPONSE:
            found.space = Space.S7_JOB
            for job, state in struct.iter_unpack("!HH", data):
                found.points.append((Space.S7_JOB, job, 0, text(state), 0, Direction.READ, 0))
        return
    if not data:
        return
    count, data = int.from_bytes(data[:2]), data[2:]
    if found.kind == Kind.REQUEST:
        items = [_variable(data[6 * i : 6 * i + 6]) for i in range(count)]
        memory.asked[found.txn] = Asked(found, items)
        _about(found, items[0])
        if found.sub == 2:
            for item in items:
                found.points += _timed(without(item, 0, Direction.UNKNOWN))
        else:
            told = _even(data[6 * count :], count)
            for i, (code, sort, raw) in enumerate(told):
                if code in (0, 0xFF):
                    found.points += _timed(values(items[i], i + 1, sort, raw, Direction.WRITTEN))
        return
    mine = _known(found, number, count, memory)
    if found.sub == 2:
        _sent(found, list(_even(data, count)), mine, True)
        return
    for i, code in enumerate(data[:count]):
        if code != 0xFF:
            found.status = found.status or code or 0x100
            found.points += _timed(without(mine[i] if mine else None, Quality.INVALID, Direction.ECHO))


# --- messages


def _objects(found: Record, data: bytes, ms: int) -> None:
    at, direction = 2, _direction(found.kind)
    for _ in range(data[1]):
        syntax, many, event = struct.unpack("!xxBBI", data[at : at + 8])
        flags = {0x15: 0, 0x16: 4, 0x19: 2, 0x1C: 8}[syntax]
        if found.space == 0:
            found.space, found.addr = Space.S7_ALARM, event
        if not flags:
            found.points.append((Space.S7_ALARM, event, 0, "nan", 0, direction, ms))
        first = 3 if syntax == 0x19 else 1
        for k, byte in enumerate(data[at + 8 : at + 8 + flags - (syntax == 0x1C)]):
            found.points.append((Space.S7_ALARM, event, first + k, text(byte), 0, direction, ms))
        at += 8 + flags
        for k in range(many):
            at += _associated(found, data, at, event, 16 + k, ms, last=k == many - 1)


def _associated(found: Record, data: bytes, at: int, event: int, part: int, ms: int, last: bool) -> int:
    ((code, sort, raw),) = data_of(data[at:], 1)
    if code == 0xFF:
        for _, addr, _, value, _, _ in values(None, 0, sort, raw, 0):
            each = {5: 2, 6: 4, 7: 4}.get(sort, 1)
            each = 1 if len(raw) % each else each
            place = event | addr // (8 * each) << 32
            found.points.append((Space.S7_ALARM, place, part, value, 0, _direction(found.kind), ms))
    return 4 + len(raw) + (0 if last else len(raw) % 2)


def _messages(found: Record, data: bytes) -> None:
    if found.sub == 3:
        event, *numbers = struct.unpack("!HBBHHI", data[:12])
        found.space, found.addr = Space.S7_DIAGNOSTIC, event
        for part, number in enumerate(numbers, 1):
            place = Space.S7_DIAGNOSTIC, event, part
            found.points.append((*place, text(number), 0, Direction.REPORT, clock_ms(data[12:20])))
    elif found.kind == Kind.RESPONSE:
        found.status = found.status or next((code or 0x100 for code in data[2 : 2 + data[1]] if code != 0xFF), 0)
    elif found.sub == 9:
        _objects(found, data[12:], clock_ms(data[2:10]))
    elif found.sub in _TIMED:
        _objects(found, data[8:], clock_ms(data[:8]))
    else:
        _objects(found, data, 0)


def decoded(messages: Iterable[bytes]) -> list[Record]:
    """The records of a connection's userdata, of the right form and with requests before their answers."""
    found: list[Record] = []
    memory = Memory()
    for message in messages:
        txn, size = struct.unpack("!HH", message[4:8])
        head, data = message[10 : 10 + size], message[10 + size :]
        kind = {4: Kind.REQUEST, 8: Kind.RESPONSE, 0: Kind.UNSOLICITED}[head[5] >> 4]
        record = Record(kind, head[5] & 15, head[6], txn)
        _one(record, head, data, memory)
        found.append(record)
    return found


def _one(record: Record, head: bytes, data: bytes, memory: Memory) -> None:
    asked, number = None, head[7]
    if record.kind == Kind.REQUEST:
        memory.asked[record.txn] = Asked(record)
        if len(head) >= 12 and record.group == 3:
            kind, used = memory.parts[number]
            record.space, record.addr = Space.S7_BLOCK, kind
            memory.asked[record.txn].used = used
            return
    elif record.kind == Kind.RESPONSE:
        asked = memory.asked.pop(record.txn, None)
        record.status = int.from_bytes(head[10:12])
        if asked:
            before = asked.record
            record.space, record.addr, record.addr_sub = before.space, before.addr, before.addr_sub
        if record.group == 1 and record.sub in (2, 8, 9) and not record.status:
            memory.sent[1, record.sub, number] = [*asked.items] if asked else []
        if (record.group, record.sub) == (2, 4) and not record.status:
            memory.sent.pop((2, 0, record.addr), None)
    if record.group == 0:
        record.space = Space.S7_MODE
        record.points.append((Space.S7_MODE, 0, 0, text(record.sub), 0, Direction.REPORT, 0))
    if data[0] != 0xFF or record.group == 0:
        return
    body = data[4 : 4 + int.from_bytes(data[2:4])]
    if record.group == 3:
        _blocks(record, body, asked, number, bool(len(head) >= 10 and head[9]), memory)
    elif record.group == 2:
        _cyclic(record, body, asked, number, memory)
    elif record.group == 1:
        _table(record, body, number, memory)
    elif record.group == 4:
        _messages(record, body)
