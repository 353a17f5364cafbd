"""APDUs of IEC 60870-5-104 built by hand, and stations that talk with them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.decode.packets import Packet, Talk

STARTDT, STARTDT_CON, STOPDT, STOPDT_CON, TESTFR, TESTFR_CON = 0x07, 0x0B, 0x13, 0x23, 0x43, 0x83
PERIODIC, SPONTANEOUS, INITIALIZED, REQUEST, ACT, ACTCON, DEACT, DEACTCON, ACTTERM = 1, 3, 4, 5, 6, 7, 8, 9, 10
NEGATIVE, TEST = 0x40, 0x80


def u_frame(code: int) -> bytes:
    return bytes([0x68, 4, code, 0, 0, 0])


def s_frame(received: int) -> bytes:
    return struct.pack("<BBHH", 0x68, 4, 1, received << 1)


def i_frame(sent: int, received: int, asdu: bytes) -> bytes:
    return struct.pack("<BBHH", 0x68, 4 + len(asdu), sent << 1 & 0xFFFF, received << 1 & 0xFFFF) + asdu


def ioa(address: int) -> bytes:
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
    return struct.pack("<HB", ms, minute)


NOON = datetime(2026, 1, 1, 12, 0, 1, 250_000, UTC)


@dataclass
class Stations:
    """A controlling and a controlled station that count their frames as they should."""

    talk: Talk = field(default_factory=lambda: Talk(server_port=2404).open())
    sent: list[int] = field(default_factory=lambda: [0, 0])
    master: int = 0
    """Side of the controlling station."""

    @property
    def packets(self) -> list[Packet]:
        return self.talk.packets

    def frame(self, side: int, body: bytes) -> bytes:
        """The next I frame of a side."""
        found = i_frame(self.sent[side], self.sent[1 - side], body)
        self.sent[side] = (self.sent[side] + 1) % 32768
        return found

    def ask(self, *bodies: bytes) -> Stations:
        """I frames of the controlling station in one segment."""
        self.talk.send(self.master, b"".join(self.frame(self.master, body) for body in bodies))
        return self

    def tell(self, *bodies: bytes) -> Stations:
        """I frames of the controlled station in one segment."""
        self.talk.send(1 - self.master, b"".join(self.frame(1 - self.master, body) for body in bodies))
        return self

    def acknowledge(self, side: int = 0) -> Stations:
        self.talk.send(side, s_frame(self.sent[1 - side]))
        return self

    def control(self, side: int, code: int) -> Stations:
        self.talk.send(side, u_frame(code))
        return self

    def start(self) -> Stations:
        return self.control(self.master, STARTDT).control(1 - self.master, STARTDT_CON)

    def command(self, number: int, address: int, element: bytes, *, ends: bool = True, ca: int = 1) -> Stations:
        """Activation, its confirmation and, where it ends, its termination."""
        for side, cause in ((0, ACT), (1, ACTCON), (1, ACTTERM))[: 3 if ends else 2]:
            (self.tell if side else self.ask)(asdu(number, cause, (address, element), ca=ca, oa=3))
        return self
