"""CIP messages at tags, as plain Python: from encapsulated messages to what their records say."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from schemas.codes import Direction, Kind

READ, WRITE, READ_PART, WRITE_PART, SEVERAL, SEND = 0x4C, 0x4D, 0x52, 0x53, 0x0A, 0x52
CODES = {0xC1: "?", 0xC2: "b", 0xC3: "h", 0xC4: "i", 0xC5: "q", 0xC6: "B", 0xC7: "H", 0xC8: "I", 0xC9: "Q", 0xCA: "f",
         0xCB: "d", 0xD1: "B", 0xD2: "H", 0xD3: "I", 0xD4: "Q"}  # fmt: skip

Point = tuple[str, int, float, int]
"""Name, index, value, direction."""


@dataclass(frozen=True)
class Record:
    """What is told of a message; `key` pairs an answer with its request."""

    kind: Kind
    service: int
    key: tuple[int, int]
    name: str = ""
    addr: int = 0
    indexed: bool = False
    count: int = 0
    status: int = 0
    offset: int = 0
    points: list[Point] = field(default_factory=list)


def name_of(path: bytes) -> tuple[str, int | None]:
    """A tag's name, and the index that follows it."""
    name, index, at = "", None, 0
    while at < len(path):
        if path[at] == 0x91:
            size = path[at + 1]
            name += f"[{index}]" if index is not None else ""
            name += ("." if name else "") + path[at + 2 : at + 2 + size].decode()
            index = None
            at += 2 + size + size % 2
        else:
            name += f"[{index}]" if index is not None else ""
            index, step = (
                (path[at + 1], 2) if path[at] == 0x28 else (int.from_bytes(path[at + 2 : at + 4], "little"), 4)
            )
            at += step
    return name, index


def points(record: Record, kind: int, data: bytes, direction: Direction) -> list[Point]:
    """The values of an elementary type that begin at the record's offset."""
    code = CODES[kind]
    size = struct.calcsize("<" + code)
    found = [float(n) for (n,) in struct.iter_unpack("<" + code, data[: len(data) // size * size])]
    first = record.addr + record.offset // size
    return [(record.name, first + i, n, int(direction)) for i, n in enumerate(found)]


def request(message: bytes, key: tuple[int, int]) -> Record:
    """A read or write of a tag."""
    service, size = message[0], 2 * message[1]
    name, index = name_of(message[2 : 2 + size])
    data = message[2 + size :]
    found = Record(Kind.REQUEST, service, key, name, index or 0, index is not None)
    if service in (READ, READ_PART):
        offset = int.from_bytes(data[2:6], "little") if service == READ_PART else 0
        return replace(found, count=int.from_bytes(data[:2], "little"), offset=offset)
    kind, count = struct.unpack_from("<HH", data)
    offset = int.from_bytes(data[4:8], "little") if service == WRITE_PART else 0
    found = replace(found, count=count, offset=offset)
    return replace(found, points=points(found, kind, data[8 if service == WRITE_PART else 4 :], Direction.WRITTEN))


def answer(message: bytes, key: tuple[int, int], asked: dict[tuple[int, int], Record]) -> Record:
    """The answer to one."""
    service, status, words = message[0] & 0x7F, message[2], message[3]
    extended = int.from_bytes(message[4:6], "little") if words else 0
    before = asked.get(key)
    if before is None:
        return Record(Kind.RESPONSE, service, key, status=status | extended << 8)
    found = replace(before, kind=Kind.RESPONSE, status=status | extended << 8, points=[])
    data = message[4 + 2 * words :]
    if service in (READ, READ_PART) and status in (0, 6) and not extended:
        found.points.extend(points(found, int.from_bytes(data[:2], "little"), data[2:], Direction.READ))
    return found


def embedded(message: bytes) -> Iterator[bytes]:
    """The messages of a Multiple Service Packet."""
    at = 4 + 2 * message[3] if message[0] & 0x80 else 2 + 2 * message[1]
    count = int.from_bytes(message[at : at + 2], "little")
    starts = [at + n for n in struct.unpack_from(f"<{count}H", message, at + 2)]
    for start, stop in zip(starts, [*starts[1:], len(message)], strict=True):
        yield message[start:stop]


def decoded(messages: list[bytes]) -> list[Record]:
    """What unconnected messages come to, those inside others in their places; envelopes are left out."""
    asked: dict[tuple[int, int], Record] = {}
    found = []
    for whole in messages:
        context = int.from_bytes(whole[12:20], "little")
        message = whole[40:]
        if message[0] == SEND and message[2:6] == b"\x20\x06\x24\x01":
            message = message[10 : 10 + int.from_bytes(message[8:10], "little")]
        inside = list(embedded(message)) if message[0] & 0x7F == SEVERAL else [message]
        first = 1 if message[0] & 0x7F == SEVERAL else 0
        for number, one in enumerate(inside, first):
            key = (context, number)
            if one[0] & 0x80:
                found.append(answer(one, key, asked))
            else:
                asked[key] = request(one, key)
                found.append(asked[key])
    return found
