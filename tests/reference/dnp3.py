"""DNP3 in plain Python: link frames, fragments and objects of one connection, one step after the other."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.synth.encode.dnp3 import crc
from schemas.codes import Kind, Quality, Space

FORMS: dict[tuple[int, int], str] = {
    (1, 2): "b", (2, 1): "b", (2, 2): "b t", (2, 3): "b r", (3, 2): "d", (4, 1): "d", (4, 2): "d t", (4, 3): "d r",
    (10, 2): "b", (11, 1): "b", (11, 2): "b t", (12, 1): "c s", (12, 2): "x10 s", (13, 1): "B", (13, 2): "B t",
    (20, 1): "k I", (20, 2): "k H", (20, 3): "x5", (20, 4): "x3", (20, 5): "I", (20, 6): "H", (20, 7): "x4",
    (20, 8): "x2",
    (21, 1): "k I", (21, 2): "k H", (21, 3): "x5", (21, 4): "x3", (21, 5): "k I t", (21, 6): "k H t", (21, 7): "x11",
    (21, 8): "x9", (21, 9): "I", (21, 10): "H", (21, 11): "x4", (21, 12): "x2",
    (22, 1): "k I", (22, 2): "k H", (22, 3): "x5", (22, 4): "x3", (22, 5): "k I t", (22, 6): "k H t", (22, 7): "x11",
    (22, 8): "x9", (23, 1): "k I", (23, 2): "k H", (23, 3): "x5", (23, 4): "x3", (23, 5): "k I t", (23, 6): "k H t",
    (23, 7): "x11", (23, 8): "x9",
    (30, 1): "a i", (30, 2): "a h", (30, 3): "i", (30, 4): "h", (30, 5): "a f", (30, 6): "a D",
    (31, 1): "a i", (31, 2): "a h", (31, 3): "a i t", (31, 4): "a h t", (31, 5): "i", (31, 6): "h", (31, 7): "a f",
    (31, 8): "a D", (34, 1): "H", (34, 2): "I", (34, 3): "f",
    (41, 1): "i s", (41, 2): "h s", (41, 3): "f s", (41, 4): "D s",
    (40, 1): "a i", (40, 2): "a h", (40, 3): "a f", (40, 4): "a D",
    (43, 1): "x1 i", (43, 2): "x1 h", (43, 3): "x1 i t", (43, 4): "x1 h t", (43, 5): "x1 f", (43, 6): "x1 D",
    (43, 7): "x1 f t", (43, 8): "x1 D t",
    (50, 1): "T", (50, 2): "T x4", (50, 3): "T", (50, 4): "T x5", (51, 1): "x6", (51, 2): "x6", (52, 1): "x2",
    (52, 2): "x2", (81, 1): "x3", (101, 1): "x2", (101, 2): "x4", (101, 3): "x8", (102, 1): "x1", (121, 1): "x7",
    (122, 1): "x7", (122, 2): "x13",
}  # fmt: skip
for _group in (32, 33, 42):
    FORMS |= {(_group, v): w for v, w in enumerate(("a i", "a h", "a i t", "a h t", "a f", "a D", "a f t", "a D t"), 1)}
"""Parts of an object: flags of a binary (b: with its state, d: two bits), counter (k) or analog (a); c a control block,
B a state without flags, numbers as in `struct` (D a double), t its time, r a relative time, T a time as the value,
s a status, xN bytes of no interest."""

SPACES = {
    1: Space.BINARY_INPUT, 2: Space.BINARY_INPUT, 3: Space.DOUBLE_BIT_INPUT, 4: Space.DOUBLE_BIT_INPUT,
    10: Space.BINARY_OUTPUT, 11: Space.BINARY_OUTPUT, 12: Space.BINARY_OUTPUT, 13: Space.BINARY_OUTPUT,
    20: Space.COUNTER, 21: Space.FROZEN_COUNTER, 22: Space.COUNTER, 23: Space.FROZEN_COUNTER, 30: Space.ANALOG_INPUT,
    31: Space.FROZEN_ANALOG, 32: Space.ANALOG_INPUT, 33: Space.FROZEN_ANALOG, 34: Space.DEADBAND,
    40: Space.ANALOG_OUTPUT, 41: Space.ANALOG_OUTPUT, 42: Space.ANALOG_OUTPUT, 43: Space.ANALOG_OUTPUT,
    50: Space.DEVICE_TIME, 80: Space.INTERNAL_INDICATION,
}  # fmt: skip
_SIZES = {"b": 1, "d": 1, "k": 1, "a": 1, "c": 10, "B": 1, "s": 1, "t": 6, "T": 6, "r": 2, "i": 4, "I": 4, "f": 4,
          "h": 2, "H": 2, "D": 8}  # fmt: skip
_FLAGS = {1: Quality.RESTART, 2: Quality.COMM_LOST, 3: Quality.REMOTE_FORCED, 4: Quality.LOCAL_FORCED}
_MORE = {
    "b": {5: Quality.CHATTER},
    "d": {5: Quality.CHATTER},
    "k": {5: Quality.OVERFLOW, 6: Quality.DISCONTINUITY},
    "a": {5: Quality.OVERFLOW, 6: Quality.REFERENCE_ERROR},
}


@dataclass
class Point:
    """One value."""

    space: int
    addr: int
    value: float
    quality: int = 0
    source_ns: int = 0


@dataclass
class Record:
    """What the twin says of a fragment."""

    func: int
    kind: int
    unit: int
    peer_unit: int
    txn: int
    status: int = 0
    iin: int = 0
    count: int = 0
    points: list[Point] = field(default_factory=list)


def frames(stream: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(control, destination, source, user data) of each frame of a stream of whole, right ones."""
    while stream:
        length, control, to, by = struct.unpack("<BBHH", stream[2:8])
        assert crc(stream[:8]) == stream[8:10]
        at, user = 10, b""
        while len(user) < length - 5:
            size = min(16, length - 5 - len(user))
            assert crc(stream[at : at + size]) == stream[at + size : at + size + 2]
            user += stream[at : at + size]
            at += size + 2
        stream = stream[at:]
        yield control, to, by, user


@dataclass
class Reader:
    """Fragments of both directions."""

    parts: dict[tuple[int, int], bytes] = field(default_factory=dict)
    asked: dict[tuple[int, int, int], int] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    def feed(self, stream: bytes) -> None:
        for control, to, by, user in frames(stream):
            if user[0] & 0x40:
                self.parts[to, by] = b""
            self.parts[to, by] += user[1:]
            if user[0] & 0x80:
                unit, peer = (to, by) if control & 0x80 else (by, to)
                self.records.append(self._fragment(self.parts.pop((to, by)), unit, peer))

    def _fragment(self, data: bytes, unit: int, peer: int) -> Record:
        function, sequence = data[1], data[0] & 15
        if function == 0:
            return Record(0, Kind.CONFIRM, unit, peer, sequence)
        if function < 129:
            record = Record(function, Kind.REQUEST, unit, peer, sequence)
            self.asked[unit, peer, sequence] = function
            read_objects(record, data[2:], function)
            return record
        kind = Kind.UNSOLICITED if function == 130 else Kind.RESPONSE
        record = Record(function, kind, unit, peer, sequence, iin=int.from_bytes(data[2:4], "little"))
        if kind == Kind.RESPONSE:
            record.func = self.asked.pop((unit, peer, sequence), function)
            refused = record.iin >> 8 & 0x17
            record.status = 0x100 | refused if refused else 0
        read_objects(record, data[4:], function)
        return record


def read_objects(record: Record, data: bytes, function: int) -> None:
    """All objects of a fragment."""
    common, doubted = 0, False
    while data:
        group, variation, qualifier = data[:3]
        prefix, code = qualifier >> 4 & 7, qualifier & 15
        width = {0: 1, 1: 2, 2: 4, 6: 0, 7: 1, 8: 2, 9: 4, 11: 1}[code]
        first, count = 0, 0
        if code <= 2:
            first = int.from_bytes(data[3 : 3 + width], "little")
            count = int.from_bytes(data[3 + width : 3 + 2 * width], "little") - first + 1
            data = data[3 + 2 * width :]
        else:
            count = int.from_bytes(data[3 : 3 + width], "little")
            data = data[3 + width :]
        record.count += count
        index = {0: 0, 1: 1, 2: 2, 3: 4}.get(prefix, 0)
        if not (function >= 129 or function in (2, 3, 4, 5, 6, 11, 12) or function >= 25):
            data = data[index * count :]
            continue
        if (group, variation) in ((1, 1), (10, 1), (80, 1)):
            bits = int.from_bytes(data[: (count + 7) // 8], "little")
            record.points += [Point(SPACES[group], first + i, float(bits >> i & 1)) for i in range(count)]
            data = data[(count + 7) // 8 :]
            continue
        if (group, variation) == (3, 1):
            pairs = int.from_bytes(data[: (count + 3) // 4], "little")
            record.points += [Point(SPACES[3], first + i, float(pairs >> 2 * i & 3)) for i in range(count)]
            data = data[(count + 3) // 4 :]
            continue
        for i in range(count):
            own = first + i if not index else int.from_bytes(data[:index], "little")
            if group == 51:
                common, doubted = int.from_bytes(data[index : index + 6], "little"), variation == 2
            size = read_object(record, data[index:], group, variation, own, common, doubted)
            data = data[index + size :]


def read_object(record: Record, data: bytes, group: int, variation: int, addr: int, common: int, doubted: bool) -> int:
    """One object; its size."""
    at, point, is_point = 0, Point(SPACES.get(group, 0), addr, math.nan), False
    for part in FORMS[group, variation].split():
        size = int(part[1:]) if part[0] == "x" else _SIZES[part]
        raw = data[at : at + size]
        at += size
        if part in _MORE:
            bits = _FLAGS | _MORE[part]
            point.quality |= sum(int(q) for bit, q in bits.items() if raw[0] >> bit & 1)
            point.quality |= 0 if raw[0] & 1 else int(Quality.OFFLINE)
        if part in ("b", "d", "B", "c", "T"):
            number = {"b": raw[0] >> 7, "d": raw[0] >> 6, "B": raw[0] >> 7, "c": raw[0]}
            point.value = float(number[part]) if part in number else int.from_bytes(raw, "little") / 1000
            is_point = True
        elif part in ("i", "I", "h", "H", "f", "D"):
            point.value = float(struct.unpack("<" + part.replace("D", "d"), raw)[0])
            is_point = True
        elif part == "t":
            set_time(point, int.from_bytes(raw, "little"), False)
        elif part == "r":
            set_time(point, common + int.from_bytes(raw, "little") if common else 0, doubted or not common)
        elif part == "s" and record.kind == Kind.RESPONSE and not record.status:
            record.status = raw[0] & 127
    if is_point:
        record.points.append(point)
    return at


def set_time(point: Point, ms: int, doubted: bool) -> None:
    """The device's time of a point; one beyond the year 2255 is none."""
    if ms >= 9_000_000_000_000:
        ms, doubted = 0, True
    point.source_ns = ms * 1_000_000
    point.quality |= Quality.TIME_INVALID if doubted else 0
