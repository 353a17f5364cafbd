"""Bytes of IEC 60870-5-104: APDUs and ASDUs (IEC 60870-5-104:2006, IEC 60870-5-101:2003)."""

from __future__ import annotations

import struct
from datetime import datetime

STARTDT, STARTDT_CON, STOPDT, STOPDT_CON, TESTFR, TESTFR_CON = 0x07, 0x0B, 0x13, 0x23, 0x43, 0x83
PERIODIC, SPONTANEOUS, INITIALIZED, REQUEST, ACT, ACTCON, DEACT, DEACTCON, ACTTERM = 1, 3, 4, 5, 6, 7, 8, 9, 10
NEGATIVE, TEST = 0x40, 0x80


def u_frame(code: int) -> bytes:
    """An APDU in U format: control functions."""
    return bytes([0x68, 4, code, 0, 0, 0])


def s_frame(received: int) -> bytes:
    """An APDU in S format: an acknowledgement up to N(R)."""
    return struct.pack("<BBHH", 0x68, 4, 1, received << 1)


def i_frame(sent: int, received: int, asdu: bytes) -> bytes:
    """An APDU in I format, which numbers and carries an ASDU."""
    return struct.pack("<BBHH", 0x68, 4 + len(asdu), sent << 1 & 0xFFFF, received << 1 & 0xFFFF) + asdu


def ioa(address: int) -> bytes:
    """The address of an information object."""
    return address.to_bytes(3, "little")


def asdu(
    number: int, cause: int, *objects: tuple[int, bytes], ca: int = 1, oa: int = 0, count: int | None = None
) -> bytes:
    """An ASDU with an address for each object."""
    size = len(objects) if count is None else count
    body = b"".join(ioa(address) + element for address, element in objects)
    return struct.pack("<BBBBH", number, size, cause, oa, ca) + body


def sequence(number: int, cause: int, first: int, *elements: bytes, ca: int = 1, oa: int = 0) -> bytes:
    """An ASDU with one address for a sequence of elements."""
    head = struct.pack("<BBBBH", number, 0x80 | len(elements), cause, oa, ca)
    return head + ioa(first) + b"".join(elements)


def cp56(at: datetime, flags: int = 0) -> bytes:
    """Seven-octet binary time; `flags` go to the octet of minutes."""
    ms = at.second * 1000 + at.microsecond // 1000
    day = at.day | at.isoweekday() << 5
    return struct.pack("<HBBBBB", ms, at.minute | flags, at.hour, day, at.month, at.year - 2000)


def cp24(minute: int, ms: int) -> bytes:
    """Three-octet binary time."""
    return struct.pack("<HB", ms, minute)
