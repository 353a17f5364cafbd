"""Captures in plain Python: what the walking kernels must find, written from the formats' descriptions.

Whole files at once, with `struct` and integers without bound.  A walk gives its packets and where and why it ended:
"end" on a border between records, "cut" inside one, or the name of what is broken there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

MAX_CAPTURED = 256 * 1024
MAX_HELD = 512 * 1024
"""A longer block is taken in without its far end: a packet in it counts although its end may be broken."""
TIME_LIMIT = 2**62
SECONDS_LIMIT = 2**40


@dataclass(frozen=True)
class Packet:
    data: bytes
    original: int
    ts_ns: int
    link: int


@dataclass
class Walk:
    packets: list[Packet] = field(default_factory=list)
    at: int = 0
    why: str = "end"


@dataclass(frozen=True)
class Interface:
    link: int
    snaplen: int
    resolution: int
    offset_s: int


def nanoseconds(value: int, resolution: int, offset_s: int) -> int:
    """Exact time of `value` units in ns, rounded down; seconds and offset held to 2^40, the sum to 2^62 ns."""
    per_second = (2 if resolution & 0x80 else 10) ** (resolution & 0x7F)
    seconds = min(value // per_second, SECONDS_LIMIT) + max(-SECONDS_LIMIT, min(offset_s, SECONDS_LIMIT))
    ns = seconds * 10**9 + value % per_second * 10**9 // per_second
    if seconds >= TIME_LIMIT // 10**9:
        return TIME_LIMIT
    return -TIME_LIMIT if seconds < -(TIME_LIMIT // 10**9) else ns


def walk_pcap(data: bytes) -> Walk:
    order = "<" if data[0] in (0xD4, 0x4D, 0x34) else ">"
    (magic,) = struct.unpack_from(order + "I", data)
    scale = 1 if magic == 0xA1B23C4D else 1000
    header = 24 if magic == 0xA1B2CD34 else 16
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    walk = Walk(at=24)
    while walk.at < len(data):
        head = data[walk.at : walk.at + header]
        if len(head) < header:
            walk.why = "cut"
            break
        seconds, fraction, captured, original = struct.unpack_from(order + "IIII", head)
        if captured > MAX_CAPTURED:
            walk.why = "captured"
            break
        if not seconds and not fraction and not captured and not original:
            walk.why = "zeros"
            break
        body = data[walk.at + header : walk.at + header + captured]
        if len(body) < captured:
            walk.why = "cut"
            break
        walk.packets.append(Packet(body, max(original, captured), seconds * 10**9 + fraction * scale, link))
        walk.at += header + captured
    return walk


class PcapngWalk:
    """One pass over a pcapng file; `walk` is its result, `at` of a block that is cut or broken its first byte."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = ""
        self.interfaces: list[Interface] = []
        self.last_ts = 0
        self.walk = Walk()
        while self.walk.why == "end" and self.walk.at < len(data):
            self.walk.why = self._block()

    def _int(self, form: str, at: int) -> int:
        return int(struct.unpack_from(self.order + form, self.data, at)[0])

    def _block(self) -> str:
        data, at = self.data, self.walk.at
        if len(data) - at < 12:
            return "cut"
        is_section = data[at : at + 4] == b"\n\r\r\n"
        order = self.order
        if is_section:
            order = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}.get(data[at + 8 : at + 12], "")
        if not order:
            return "order" if is_section else "section"
        kind, total = struct.unpack_from(order + "II", data, at)
        known = {0x0A0D0D0A: 28, 1: 20, 2: 32, 3: 16, 6: 32}
        if total < known.get(kind, 12) or total % 4:
            return "length"
        whole = at + total <= len(data)
        differ = whole and struct.unpack_from(order + "I", data, at + total - 4)[0] != total
        if kind in known and total <= MAX_HELD and not (whole and not differ):
            return "differ" if differ else "cut"
        if kind in known and len(data) - at < min(total, MAX_HELD):
            return "cut"
        why = self._known(kind, total, order) if kind in known else "end"
        if why != "end":
            return why
        if not whole:
            return "cut"
        if differ:
            return "differ"
        self.walk.at += total
        return "end"

    def _known(self, kind: int, total: int, order: str) -> str:
        at = self.walk.at
        if kind == 0x0A0D0D0A:
            if struct.unpack_from(order + "H", self.data, at + 12)[0] != 1:
                return "version"
            self.order, self.interfaces = order, []
            return "end"
        if kind == 1:
            return self._interface(at, at + min(MAX_HELD, total - 4))
        return self._packet(kind, at, total)

    def _interface(self, at: int, end: int) -> str:
        if len(self.interfaces) == 65536:
            return "interfaces"
        resolution, offset_s, option = 6, 0, at + 16
        while end - option >= 4:
            code, length = self._int("H", option), self._int("H", option + 2)
            if code == 0 or option + 4 + length > end:
                break
            if code == 9 and length == 1:
                resolution = self.data[option + 4]
            if code == 14 and length == 8:
                offset_s = self._int("q", option + 4)
            option += 4 + length + -length % 4
        self.interfaces.append(Interface(self._int("H", at + 8), self._int("I", at + 12), resolution, offset_s))
        return "end"

    def _packet(self, kind: int, at: int, total: int) -> str:
        number = {2: lambda: self._int("H", at + 8), 3: lambda: 0, 6: lambda: self._int("I", at + 8)}[kind]()
        if number >= len(self.interfaces):
            return "interface"
        interface = self.interfaces[number]
        if kind == 3:
            start, original = at + 12, self._int("I", at + 8)
            captured = min(original, interface.snaplen) if interface.snaplen else original
        else:
            start, captured, original = at + 28, self._int("I", at + 20), self._int("I", at + 24)
        if captured > min(MAX_CAPTURED, at + total - 4 - start):
            return "captured"
        if kind != 3:
            units = self._int("I", at + 12) << 32 | self._int("I", at + 16)
            self.last_ts = nanoseconds(units, interface.resolution, interface.offset_s)
        data = self.data[start : start + captured]
        self.walk.packets.append(Packet(data, max(original, captured), self.last_ts, interface.link))
        return "end"


def walk_pcapng(data: bytes) -> Walk:
    return PcapngWalk(data).walk
