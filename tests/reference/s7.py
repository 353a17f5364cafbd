"""S7comm in plain Python: the messages of one connection, one field after the other."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from schemas.codes import Direction, Kind, Op, Quality, Space

_LETTER = {2: "B", 3: "B", 4: "H", 5: "h", 6: "I", 7: "i", 8: "f", 9: "H", 10: "I", 11: "i", 12: "H", 28: "H", 29: "H"}
_AREAS = {
    0x80: Space.S7_PERIPHERAL, 0x81: Space.S7_INPUT, 0x82: Space.S7_OUTPUT, 0x83: Space.S7_FLAG,
    0x84: Space.S7_DATA_BLOCK, 0x85: Space.S7_INSTANCE_BLOCK, 0x86: Space.S7_LOCAL, 0x87: Space.S7_LOCAL,
    0x1C: Space.S7_COUNTER, 0x1D: Space.S7_TIMER,
}  # fmt: skip
_RAW = {5: "h", 6: "i", 7: "f"}
_OPS = {4: Op.READ, 5: Op.WRITE, 0xF0: Op.SESSION, 0x29: Op.STOP}
MOST = 47

Point = tuple[int, int, int, str, int, int]
"""Space, address, second part, value as text, quality, direction."""


@dataclass
class Item:
    """What a job is about; `syntax` other than 0x10 has no address."""

    syntax: int
    size: int = 0
    count: int = 0
    block: int = 0
    area: int = 0
    address: int = 0

    @property
    def space(self) -> int:
        return int(_AREAS.get(self.area, 0)) if self.syntax == 0x10 else 0

    @property
    def numbered(self) -> bool:
        return self.area in (0x1C, 0x1D)

    @property
    def each(self) -> int:
        """Bytes of an element, 0 for a bit."""
        if self.numbered:
            return 2
        return 0 if self.size == 1 else struct.calcsize(">" + _LETTER.get(self.size, "B"))

    @property
    def second(self) -> int:
        if self.numbered:
            return 0
        return (self.block if self.area in (0x84, 0x85) else 0) | self.each << 16


@dataclass
class Record:
    """What the twin says of a message."""

    func: int
    kind: int
    txn: int
    op: int = 0
    status: int = 0
    items: int = 0
    subject: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    """Space, address, second part, count, transport size."""
    points: list[Point] = field(default_factory=list)


def items_of(parameters: bytes) -> Iterator[Item]:
    """The items behind function and count, with a fill byte behind those of odd length."""
    at = 2
    for i in range(parameters[1]):
        size = 2 + parameters[at + 1]
        raw = parameters[at : at + size]
        if raw[0] == 0x12 and raw[1] == 10 and raw[2] == 0x10:
            kind, count, block, area = struct.unpack(">xxxBHHB", raw[:9])
            yield Item(0x10, kind, count, block, area, int.from_bytes(raw[9:12]))
        else:
            yield Item(raw[2])
        at += size + (size % 2 if i < parameters[1] - 1 else 0)


def data_of(data: bytes, count: int) -> Iterator[tuple[int, int, bytes]]:
    """(return code, transport size, bytes) of each item."""
    for i in range(count):
        code, sort, length = struct.unpack(">BBH", data[:4])
        size = math.ceil(length / 8) if sort in (3, 4, 5) else length
        size = 0 if sort == 0 and code not in (0, 0xFF) else size
        yield code, sort, data[4 : 4 + size]
        data = data[4 + size + (size % 2 if i < count - 1 else 0) :]


def text(value: float) -> str:
    return repr(float(value))


def values(item: Item | None, number: int, sort: int, data: bytes, direction: int) -> Iterator[Point]:
    """The points of an item's data."""
    differs = (
        item and item.each and (len(data) % item.each or (item.count < 127 and len(data) != item.each * item.count))
    )
    if item is None or not item.space or differs or (item.each == 0 and (len(data) != 1 or item.count != 1)):
        letter = _RAW.get(sort, "B")
        if len(data) % struct.calcsize(letter):
            letter = "B"
        width = struct.calcsize(letter)
        told = (data[0] & 1,) if sort == 3 and len(data) == 1 else struct.unpack(f">{len(data) // width}{letter}", data)
        for k, value in enumerate(told):
            yield 0, 8 * width * k, number, text(value), Quality.ADDRESS_UNKNOWN, direction
        return
    if item.each == 0:
        yield item.space, item.address, item.second, text(data[0] & 1), 0, direction
        return
    letter = "H" if item.numbered else _LETTER.get(item.size, "B")
    count, step = len(data) // item.each, 1 if item.numbered else 8 * item.each
    for k, value in enumerate(struct.unpack(f">{count}{letter}", data[: count * item.each])):
        yield item.space, item.address + k * step, item.second, text(value), 0, direction


def without(item: Item | None, quality: int, direction: int) -> Iterator[Point]:
    """A point without value, at an item's address."""
    if item and item.space:
        yield item.space, item.address, item.second, "nan", quality, direction


def job(found: Record, parameters: bytes, data: bytes, asked: dict[int, tuple[Record, list[Item]]]) -> None:
    """A job of reading or writing, remembered for its answer."""
    items = list(items_of(parameters))
    found.items = len(items)
    if items and items[0].syntax == 0x10:
        first = items[0]
        found.subject = (first.space, first.address, first.second, first.count, first.size)
    asked[found.txn] = found, items
    if found.func == 4 and len(items) > 1:
        for item in items:
            found.points += without(item, 0, Direction.UNKNOWN)
    elif found.func == 5:
        for i, (_, sort, raw) in enumerate(data_of(data, len(items))):
            found.points += values(items[i], i + 1, sort, raw, Direction.WRITTEN)


def answer(found: Record, parameters: bytes, data: bytes, asked: dict[int, tuple[Record, list[Item]]]) -> None:
    """What a read gave, or what became of a write."""
    request, items = asked.pop(found.txn, (None, []))
    if request:
        found.subject = request.subject
    if found.status and not data:
        return
    count = found.items = parameters[1]
    known: list[Item | None] = [*items[:MOST], *[None] * (count - len(items[:MOST]))]
    codes = [(code, 0, b"") for code in data] if found.func == 5 else data_of(data, count)
    for i, (code, sort, raw) in enumerate(codes):
        if code != 0xFF:
            found.status = found.status or code or 0x100
            found.points += without(known[i], Quality.INVALID, Direction.READ if found.func == 4 else Direction.ECHO)
        elif found.func == 4:
            found.points += values(known[i], i + 1, sort, raw, Direction.READ)


def decoded(messages: Iterable[bytes]) -> list[Record]:
    """The records of a connection's messages of S7comm, jobs and acknowledgements, of the right form."""
    found: list[Record] = []
    asked: dict[int, tuple[Record, list[Item]]] = {}
    for message in messages:
        kind, txn, size = struct.unpack(">xBxxHH", message[:8])
        head = 10 if kind == 1 else 12
        parameters, data = message[head : head + size], message[head + size :]
        error = 0 if kind == 1 else int.from_bytes(message[10:12])
        record = Record(parameters[0], Kind.REQUEST if kind == 1 else Kind.RESPONSE, txn, status=error)
        record.op = _OPS[record.func]
        if record.func in (4, 5):
            (job if kind == 1 else answer)(record, parameters, data, asked)
        found.append(record)
    return found
