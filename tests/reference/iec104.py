"""IEC 60870-5-104 in plain Python: the APDUs of one connection, one field after the other."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pipeline.decode import forms as f
from schemas.codes import Iec104Flag, Kind
from tests.reference.values import Value, values

_PLAIN = {
    1: (f.V_BIT0, 1, 0, f.Q_IEC_BITS), 3: (f.V_LOW2, 1, 0, f.Q_IEC_BITS), 5: (f.V_STEP7, 2, 1, f.Q_IEC),
    7: (f.V_U32LE, 5, 4, f.Q_IEC), 9: (f.V_NORMAL16, 3, 2, f.Q_IEC), 11: (f.V_I16LE, 3, 2, f.Q_IEC),
    13: (f.V_F32LE, 5, 4, f.Q_IEC), 15: (f.V_I32LE, 5, 4, f.Q_IEC_TOTAL), 20: (f.V_U16LE, 5, 4, f.Q_IEC),
    21: (f.V_NORMAL16, 2, 0, f.Q_NONE), 45: (f.V_BIT0, 1, 0, f.Q_NONE), 46: (f.V_LOW2, 1, 0, f.Q_NONE),
    47: (f.V_LOW2, 1, 0, f.Q_NONE), 48: (f.V_NORMAL16, 3, 0, f.Q_NONE), 49: (f.V_I16LE, 3, 0, f.Q_NONE),
    50: (f.V_F32LE, 5, 0, f.Q_NONE), 51: (f.V_U32LE, 4, 0, f.Q_NONE), 103: (f.V_TIME_CP56, 7, 0, f.Q_NONE),
    110: (f.V_NORMAL16, 3, 0, f.Q_NONE), 111: (f.V_I16LE, 3, 0, f.Q_NONE), 112: (f.V_F32LE, 5, 0, f.Q_NONE),
    17: (f.V_LOW2, 3, 0, f.Q_IEC_EVENT), 18: (f.V_U8, 4, 1, f.Q_IEC_EVENT), 19: (f.V_U8, 4, 1, f.Q_IEC_EVENT),
}  # fmt: skip
"""Value, bytes without time, place and reading of quality of the types without time (17 to 19: before it)."""
_TIMED = {2: 1, 4: 3, 6: 5, 8: 7, 10: 9, 12: 11, 14: 13, 16: 15, 17: 17, 18: 18, 19: 19}
_TIMED56 = {30: 1, 31: 3, 32: 5, 33: 7, 34: 9, 35: 11, 36: 13, 37: 15, 38: 17, 39: 18, 40: 19} | {
    n + 13: n for n in range(45, 52)
}
_SILENT = {70: 1, 100: 1, 101: 1, 102: 0, 104: 2, 105: 1, 106: 2, 107: 9, 113: 1, 120: 6, 121: 7, 122: 4, 123: 5,
           124: 4, 126: 13, 127: 16}  # fmt: skip
"""Bytes of the objects that carry no point."""


@dataclass
class Record:
    """What the twin says of an APDU."""

    func: int
    kind: int
    unit: int = 0
    peer_unit: int = 0
    txn: int = 0
    addr: int = 0
    count: int = 0
    status: int = 0
    cause: int = 0
    sequence: bool = False
    points: list[Value] = field(default_factory=list)


def apdus(stream: bytes) -> Iterator[bytes]:
    """The APDUs of a stream of whole ones."""
    while stream:
        size = 2 + stream[1]
        yield stream[:size]
        stream = stream[size:]


def kind_of(number: int, cause: int) -> int:
    """Who speaks, by type and cause."""
    if number in range(45, 70) or number in range(100, 114):
        if cause in (6, 8) or (number, cause) == (102, 5):
            return Kind.REQUEST
        return Kind.RESPONSE if cause in (7, 9, 10, 44, 45, 46, 47) else Kind.DATA
    if number <= 44 or number == 70:
        return Kind.RESPONSE if cause == 5 else Kind.UNSOLICITED
    return Kind.DATA


def layout(number: int) -> tuple[int, int, int, int, int, int]:
    """Value, quality, its place, time, its place, and bytes of an object without its address; value -1 for none."""
    base, time = number, f.T_NONE
    if number in _TIMED:
        base, time = _TIMED[number], f.T_CP24
    elif number in _TIMED56:
        base, time = _TIMED56[number], f.T_CP56
    if base in _PLAIN:
        value, size, place, quality = _PLAIN[base]
        return value, quality, place, time, size, size + {f.T_NONE: 0, f.T_CP24: 3, f.T_CP56: 7}[time]
    return -1, 0, 0, 0, 0, _SILENT.get(number, -1)


def record(apdu: bytes, now_ns: int) -> Record:
    """One APDU of the right form."""
    control, received = struct.unpack("<HH", apdu[2:6])
    if control & 3 == 1:
        return Record(0x101, Kind.CONTROL, txn=received >> 1 << 16)
    if control & 3 == 3:
        return Record(0x100 | apdu[2], Kind.CONTROL)
    number, vsq, cot, origin, ca = struct.unpack("<BBBBH", apdu[6:12])
    body, count, cause = apdu[12:], vsq & 127, cot & 63
    found = Record(number, kind_of(number, cause), ca, origin, control >> 1 | received >> 1 << 16, count=count)
    found.cause, found.sequence = cause, bool(vsq & 128)
    found.addr = int.from_bytes(body[:3], "little")
    if found.kind == Kind.RESPONSE:
        found.status = cause if cause in (44, 45, 46, 47) else 64 + cause if cot & Iec104Flag.NEGATIVE else 0
    value, quality, place, time, time_at, size = layout(number)
    for i in range(count if value >= 0 else 0):
        if found.sequence:
            addr, element = found.addr + i, body[3 + i * size :][:size]
        else:
            at = i * (3 + size)
            addr, element = int.from_bytes(body[at : at + 3], "little"), body[at + 3 :][:size]
        word = f.form(value, quality=quality, quality_at=place, time=time, time_at=time_at, size=size)
        found.points += values(element, word, addr, 0, 1, 0, 0, now_ns)
    return found


def decoded(streams: Iterable[tuple[bytes, int]]) -> list[Record]:
    """The records of a connection's segments of whole APDUs, each with its capture time."""
    return [record(apdu, now) for stream, now in streams for apdu in apdus(stream)]
