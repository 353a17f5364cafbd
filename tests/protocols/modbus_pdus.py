"""What each Modbus PDU means to fieldtap: the table that specifies the decode.

Numbers are hexadecimal, big-endian, without framing: the tests frame each PDU as MBAP and as RTU.  Clauses are of the
MODBUS Application Protocol Specification V1.1b3, most values are those of its examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.codes import Anomaly, Direction, Op, Space

Point = tuple[int, int, int, float | str, int]
"""space, address, second part of the address, value or text, direction."""

READ, WRITTEN, ECHO = Direction.READ, Direction.WRITTEN, Direction.ECHO
MALFORMED, CONFLICT, RESERVED, OVERFLOW = (
    Anomaly.MALFORMED,
    Anomaly.CONFLICTING_RESPONSE,
    Anomaly.RESERVED_CODE,
    Anomaly.ADDRESS_OVERFLOW,
)
BAD_LENGTH = MALFORMED | Anomaly.LENGTH_MISMATCH
BAD_COUNT = MALFORMED | Anomaly.COUNT_OUT_OF_RANGE
BAD_VALUE = MALFORMED | Anomaly.VALUE_OUT_OF_RANGE
BAD_ROLE = MALFORMED | Anomaly.ROLE_CONFLICT


def _bits(space: Space, first: int, pattern: str, direction: Direction) -> list[Point]:
    return [(space, first + i, 0, float(bit), direction) for i, bit in enumerate(pattern.replace(" ", ""))]


def _values(space: Space, first: int, values: Sequence[int], direction: Direction, sub: int = 0) -> list[Point]:
    return [(space, first + i, sub, float(value), direction) for i, value in enumerate(values)]


def _masks(register: int, and_mask: int, or_mask: int, direction: Direction) -> list[Point]:
    masks = enumerate((and_mask, or_mask))
    return [(Space.HOLDING_MASK, register, k, float(mask), direction) for k, mask in masks]


def _words(sub: int, values: Sequence[int], direction: Direction) -> list[Point]:
    return [(Space.DIAGNOSTIC, sub, k, float(value), direction) for k, value in enumerate(values)]


def _text(space: Space, number: int, text: str) -> list[Point]:
    return [(space, number, 0, text, READ)]


def _raw(function: int, sub: int, content: str, direction: Direction) -> list[Point]:
    return [(0, function, sub, bytes.fromhex(content).decode("utf-8", "backslashreplace"), direction)]


@dataclass(frozen=True)
class Exchange:
    """A request and its response.

    Attributes:
        name: what it is.
        ask, answer: the two PDUs.
        says: columns of the request's record, those not named being 0; the response's record says them too.
        written, given: points of the request and of the response.
        answered: columns in which the response's record differs.
    """

    name: str
    ask: str
    answer: str
    says: Mapping[str, int]
    written: Sequence[Point] = ()
    given: Sequence[Point] = ()
    answered: Mapping[str, int] = field(default_factory=dict)


EXCHANGES: tuple[Exchange, ...] = (
    # 6.1 to 6.4: reads
    Exchange(
        "read coils",
        "01 0013 0013",
        "01 03 CD6B05",
        {"op": Op.READ, "space": Space.COIL, "addr": 19, "count": 19},
        given=_bits(Space.COIL, 19, "10110011 11010110 101", READ),
    ),
    Exchange(
        "read discrete inputs",
        "02 00C4 0016",
        "02 03 ACDB35",
        {"op": Op.READ, "space": Space.DISCRETE_INPUT, "addr": 196, "count": 22},
        given=_bits(Space.DISCRETE_INPUT, 196, "00110101 11011011 101011", READ),
    ),
    Exchange(
        "read holding registers",
        "03 006B 0003",
        "03 06 022B 0000 0064",
        {"op": Op.READ, "space": Space.HOLDING_REGISTER, "addr": 107, "count": 3},
        given=_values(Space.HOLDING_REGISTER, 107, [555, 0, 100], READ),
    ),
    Exchange(
        "read input registers",
        "04 0008 0001",
        "04 02 000A",
        {"op": Op.READ, "space": Space.INPUT_REGISTER, "addr": 8, "count": 1},
        given=_values(Space.INPUT_REGISTER, 8, [10], READ),
    ),
    Exchange(
        "read the last register",
        "03 FFFF 0001",
        "03 02 FFFF",
        {"op": Op.READ, "space": Space.HOLDING_REGISTER, "addr": 65535, "count": 1},
        given=_values(Space.HOLDING_REGISTER, 65535, [65535], READ),
    ),
    Exchange(
        "read as many registers as may be",
        "04 0000 007D",
        "04 FA" + "1234" * 125,
        {"op": Op.READ, "space": Space.INPUT_REGISTER, "addr": 0, "count": 125},
        given=_values(Space.INPUT_REGISTER, 0, [0x1234] * 125, READ),
    ),
    Exchange(
        "read as many coils as may be",
        "01 0000 07D0",
        "01 FA" + "FF" * 250,
        {"op": Op.READ, "space": Space.COIL, "addr": 0, "count": 2000},
        given=_bits(Space.COIL, 0, "1" * 2000, READ),
    ),
    # 6.5, 6.6, 6.11, 6.12, 6.16, 6.17: writes
    Exchange(
        "write single coil on",
        "05 00AC FF00",
        "05 00AC FF00",
        {"op": Op.WRITE, "space": Space.COIL, "addr": 172, "count": 1},
        written=_bits(Space.COIL, 172, "1", WRITTEN),
        given=_bits(Space.COIL, 172, "1", ECHO),
    ),
    Exchange(
        "write single coil off",
        "05 00AC 0000",
        "05 00AC 0000",
        {"op": Op.WRITE, "space": Space.COIL, "addr": 172, "count": 1},
        written=_bits(Space.COIL, 172, "0", WRITTEN),
        given=_bits(Space.COIL, 172, "0", ECHO),
    ),
    Exchange(
        "write single register",
        "06 0001 0003",
        "06 0001 0003",
        {"op": Op.WRITE, "space": Space.HOLDING_REGISTER, "addr": 1, "count": 1},
        written=_values(Space.HOLDING_REGISTER, 1, [3], WRITTEN),
        given=_values(Space.HOLDING_REGISTER, 1, [3], ECHO),
    ),
    Exchange(
        "write multiple coils",
        "0F 0013 000A 02 CD01",
        "0F 0013 000A",
        {"op": Op.WRITE, "space": Space.COIL, "addr": 19, "count": 10},
        written=_bits(Space.COIL, 19, "10110011 10", WRITTEN),
    ),
    Exchange(
        "write multiple registers",
        "10 0001 0002 04 000A 0102",
        "10 0001 0002",
        {"op": Op.WRITE, "space": Space.HOLDING_REGISTER, "addr": 1, "count": 2},
        written=_values(Space.HOLDING_REGISTER, 1, [10, 258], WRITTEN),
    ),
    Exchange(
        "mask write register",
        "16 0004 00F2 0025",
        "16 0004 00F2 0025",
        {"op": Op.WRITE, "space": Space.HOLDING_REGISTER, "addr": 4, "count": 1},
        written=_masks(4, 0xF2, 0x25, WRITTEN),
        given=_masks(4, 0xF2, 0x25, ECHO),
    ),
    Exchange(
        "read/write multiple registers",
        "17 0003 0006 000E 0003 06 00FF 00FE 00FD",
        "17 0C 00FE 0ACD 0001 0003 000D 00FF",
        {"op": Op.READ_WRITE, "space": Space.HOLDING_REGISTER, "addr": 3, "count": 6},
        written=_values(Space.HOLDING_REGISTER, 14, [255, 254, 253], WRITTEN),
        given=_values(Space.HOLDING_REGISTER, 3, [254, 2765, 1, 3, 13, 255], READ),
    ),
    # 6.7, 6.9, 6.10, 6.13: serial line diagnostics
    Exchange(
        "read exception status",
        "07",
        "07 6D",
        {"op": Op.DIAGNOSE, "space": Space.EXCEPTION_STATUS},
        given=_values(Space.EXCEPTION_STATUS, 0, [0x6D], READ),
    ),
    Exchange(
        "get comm event counter",
        "0B",
        "0B FFFF 0108",
        {"op": Op.DIAGNOSE, "space": Space.COMM_EVENT},
        given=_values(Space.COMM_EVENT, 0, [65535, 264], READ),
    ),
    Exchange(
        "get comm event log",
        "0C",
        "0C 08 0000 0108 0121 20 00",
        {"op": Op.DIAGNOSE, "space": Space.COMM_EVENT},
        given=_values(Space.COMM_EVENT, 0, [0, 264, 289], READ) + _values(Space.COMM_EVENT, 16, [0x20, 0], READ),
    ),
    Exchange(
        "report server id",
        "11",
        "11 05 464F4F FF 31",
        {"op": Op.IDENTIFY, "space": Space.SERVER_ID},
        given=_text(Space.SERVER_ID, 0, "FOO\\xff1"),
    ),
    # 6.14, 6.15, 6.18: files and queues
    Exchange(
        "read file record",
        "14 0E 06 0004 0001 0002 06 0003 0009 0002",
        "14 0C 05 06 0DFE 0020 05 06 33CD 0040",
        {"op": Op.FILE_READ, "space": Space.FILE_RECORD, "addr": 1, "addr_sub": 4, "count": 4},
        given=_values(Space.FILE_RECORD, 1, [0x0DFE, 0x20], READ, 4)
        + _values(Space.FILE_RECORD, 9, [0x33CD, 0x40], READ, 3),
    ),
    Exchange(
        "write file record",
        "15 0D 06 0004 0007 0003 06AF 04BE 100D",
        "15 0D 06 0004 0007 0003 06AF 04BE 100D",
        {"op": Op.FILE_WRITE, "space": Space.FILE_RECORD, "addr": 7, "addr_sub": 4, "count": 3},
        written=_values(Space.FILE_RECORD, 7, [0x06AF, 0x04BE, 0x100D], WRITTEN, 4),
        given=_values(Space.FILE_RECORD, 7, [0x06AF, 0x04BE, 0x100D], ECHO, 4),
    ),
    Exchange(
        "read FIFO queue",
        "18 04DE",
        "18 0006 0002 01B8 1284",
        {"op": Op.READ, "space": Space.FIFO, "addr": 1246},
        given=_values(Space.FIFO, 0, [440, 4740], READ, 1246),
        answered={"count": 2},
    ),
    Exchange(
        "read an empty FIFO queue",
        "18 04DE",
        "18 0002 0000",
        {"op": Op.READ, "space": Space.FIFO, "addr": 1246},
    ),
    # 6.19 to 6.21: encapsulated interface transport
    Exchange(
        "read device identification",
        "2B 0E 01 00",
        "2B 0E 01 01 00 00 03 00 03 414243 01 02 5839 02 04 56312E30",
        {"op": Op.IDENTIFY, "space": Space.DEVICE_ID, "subfunc": 14, "addr_sub": 1},
        given=_text(Space.DEVICE_ID, 0, "ABC") + _text(Space.DEVICE_ID, 1, "X9") + _text(Space.DEVICE_ID, 2, "V1.0"),
        answered={"count": 3},
    ),
    Exchange(
        "read device identification, more follows",
        "2B 0E 02 00",
        "2B 0E 02 82 FF 04 01 03 01 55",
        {"op": Op.IDENTIFY, "space": Space.DEVICE_ID, "subfunc": 14, "addr_sub": 2},
        given=_text(Space.DEVICE_ID, 3, "U"),
        answered={"count": 1},
    ),
    Exchange(
        "CANopen general reference",
        "2B 0D 0102",
        "2B 0D 03",
        {"op": Op.VENDOR, "space": Space.DEVICE_ID, "subfunc": 13},
        written=_raw(43, 13, "0D0102", WRITTEN),
        given=_raw(43, 13, "0D03", READ),
    ),
    # UMAS in function 90: pairing key, UMAS function, data; answered with 0xFE, or with 0xFD and an error
    Exchange(
        "UMAS read id",
        "5A 00 02",
        "5A 00 FE 0102",
        {"op": Op.IDENTIFY, "subfunc": 0x02},
        written=_raw(90, 0x02, "0002", WRITTEN),
        given=_raw(90, 0x02, "00FE0102", READ),
    ),
    Exchange(
        "UMAS take reservation",
        "5A 00 10 3B0E0000",
        "5A 00 FE 5C",
        {"op": Op.RESERVE, "subfunc": 0x10},
        written=_raw(90, 0x10, "00103B0E0000", WRITTEN),
        given=_raw(90, 0x10, "00FE5C", READ),
    ),
    Exchange(
        "UMAS stop, refused",
        "5A 5C 41 FF00",
        "5A 5C FD 83",
        {"op": Op.STOP, "subfunc": 0x41},
        written=_raw(90, 0x41, "5C41FF00", WRITTEN),
        given=_raw(90, 0x41, "5CFD83", READ),
        answered={"status": 0xFD},
    ),
    # 5.1: codes left to users, and codes that nobody may use
    Exchange(
        "user code",
        "41 0102",
        "41 03",
        {"op": Op.VENDOR},
        written=_raw(65, 0, "0102", WRITTEN),
        given=_raw(65, 0, "03", READ),
    ),
    Exchange(
        "reserved code",
        "09 0102",
        "09 03",
        {"op": Op.VENDOR, "anomaly": RESERVED},
        written=_raw(9, 0, "0102", WRITTEN),
        given=_raw(9, 0, "03", READ),
    ),
    Exchange("user code without data", "6E", "6E", {"op": Op.VENDOR}),
)

_DIAGNOSTIC_OPS = {1: Op.RESTART, 4: Op.LISTEN_ONLY, 10: Op.CLEAR_COUNTERS, 20: Op.CLEAR_COUNTERS}
_ECHOING = {0: 0xA537, 1: 0xFF00, 3: 0x3B00}
_COUNTING = {2: 0x1234, 11: 1, 12: 2, 13: 3, 14: 4, 15: 5, 16: 6, 17: 7, 18: 8}


def _diagnostic(sub: int) -> Exchange:
    """6.8: one sub-function; some answer with what was asked, some with a register or counter."""
    asked = _ECHOING.get(sub, 0)
    given = _COUNTING.get(sub, asked)
    op = _DIAGNOSTIC_OPS.get(sub, Op.DIAGNOSE)
    return Exchange(
        f"diagnostics {sub}",
        f"08 {sub:04X} {asked:04X}",
        f"08 {sub:04X} {given:04X}",
        {"op": op, "space": Space.DIAGNOSTIC, "subfunc": sub, "count": 1},
        written=_words(sub, [asked], WRITTEN),
        given=_words(sub, [given], READ),
    )


EXCHANGES += tuple(_diagnostic(sub) for sub in (0, 1, 2, 3, 4, *range(10, 19), 20))
EXCHANGES += (
    Exchange(
        "diagnostics 0 with much data",
        "08 0000 0001 0002 0003",
        "08 0000 0001 0002 0003",
        {"op": Op.DIAGNOSE, "space": Space.DIAGNOSTIC, "count": 3},
        written=_words(0, [1, 2, 3], WRITTEN),
        given=_words(0, [1, 2, 3], READ),
    ),
)

EXCEPTION_CODES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 11)
"""7, with those of earlier versions."""

BAD_REQUESTS: tuple[tuple[str, str, Anomaly], ...] = (
    *((f"{f}: no address", f"{f:02X}", BAD_LENGTH) for f in (1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 24)),
    *((f"{f}: cut short", f"{f:02X} 0013 00", BAD_LENGTH) for f in (1, 2, 3, 4, 5, 6, 15, 16, 22, 23)),
    *((f"{f}: too long", f"{f:02X} 0013 0001 00", BAD_LENGTH) for f in (1, 2, 3, 4)),
    *((f"{f}: none asked for", f"{f:02X} 0013 0000", BAD_COUNT) for f in (1, 2, 3, 4)),
    ("1: too many", "01 0000 07D1", BAD_COUNT),
    ("2: too many", "02 0000 07D1", BAD_COUNT),
    ("3: too many", "03 0000 007E", BAD_COUNT),
    ("4: too many", "04 0000 007E", BAD_COUNT),
    *((f"{f}: beyond the last", f"{f:02X} FFFF 0002", OVERFLOW) for f in (1, 2, 3, 4)),
    ("5: neither on nor off", "05 0001 1234", BAD_VALUE),
    ("5: too long", "05 0001 FF00 00", BAD_LENGTH),
    ("6: too long", "06 0001 FF00 00", BAD_LENGTH),
    *((f"{f}: data where none belongs", f"{f:02X} 00", BAD_LENGTH) for f in (7, 11, 12, 17)),
    ("8: no sub-function", "08", BAD_LENGTH),
    ("8: no data", "08 0000", BAD_LENGTH),
    ("8: odd data", "08 0000 0102 03", BAD_LENGTH),
    ("8: more data than one word", "08 000B 0000 0000", BAD_LENGTH),
    ("8: restart, neither on nor off", "08 0001 0001", BAD_VALUE),
    ("8: delimiter of two characters", "08 0003 3B3B", BAD_VALUE),
    ("8: counter asked for with data", "08 000B 0001", BAD_VALUE),
    *((f"8: reserved sub-function {sub}", f"08 {sub:04X} 0000", RESERVED) for sub in (5, 9, 19, 21, 65535)),
    ("15: none", "0F 0000 0000 00", BAD_COUNT),
    ("15: too many", "0F 0000 07B1 F7" + "00" * 247, BAD_COUNT),
    ("15: byte count against quantity", "0F 0000 0009 01 FF", BAD_LENGTH),
    ("15: fewer bytes than announced", "0F 0000 0010 02 FF", BAD_LENGTH),
    ("15: beyond the last", "0F FFFF 0002 01 03", OVERFLOW),
    ("16: none", "10 0000 0000 00", BAD_COUNT),
    ("16: too many", "10 0000 007C F8" + "0000" * 124, BAD_COUNT | Anomaly.OVERSIZE),
    ("16: byte count against quantity", "10 0000 0002 02 0001", BAD_LENGTH),
    ("16: odd byte count", "10 0000 0001 03 000102", BAD_LENGTH),
    ("16: fewer bytes than announced", "10 0000 0002 04 0001", BAD_LENGTH),
    ("16: beyond the last", "10 FFFF 0002 04 0001 0002", OVERFLOW),
    ("20: nothing", "14", BAD_LENGTH),
    ("20: no group", "14 00", BAD_COUNT),
    ("20: byte count wrong", "14 08 06 0004 0001 0002", BAD_LENGTH),
    ("20: half a group", "14 04 06 0004 00", BAD_LENGTH | BAD_COUNT),
    ("20: reference type", "14 07 05 0004 0001 0002", BAD_VALUE),
    ("20: file 0", "14 07 06 0000 0001 0002", BAD_VALUE),
    ("20: record beyond 9999", "14 07 06 0004 2710 0001", BAD_VALUE),
    ("21: no group", "15 00", BAD_COUNT),
    ("21: fewer registers than announced", "15 09 06 0004 0007 0002 0001", BAD_LENGTH),
    ("22: too long", "16 0004 00F2 0025 00", BAD_LENGTH),
    ("23: none to read", "17 0000 0000 0000 0001 02 0001", BAD_COUNT),
    ("23: none to write", "17 0000 0001 0000 0000 00", BAD_COUNT),
    ("23: too many to read", "17 0000 007E 0000 0001 02 0001", BAD_COUNT),
    ("23: too many to write", "17 0000 0001 0000 007A F4" + "0000" * 122, BAD_COUNT | Anomaly.OVERSIZE),
    ("23: byte count against quantity", "17 0000 0001 0000 0002 02 0001", BAD_LENGTH),
    ("23: writes beyond the last", "17 0000 0001 FFFF 0002 04 0001 0002", OVERFLOW),
    ("24: too long", "18 0000 00", BAD_LENGTH),
    ("43: no MEI type", "2B", BAD_LENGTH | RESERVED),
    ("43: reserved MEI type", "2B 0F 00", RESERVED),
    ("43/14: cut short", "2B 0E 01", BAD_LENGTH),
    ("43/14: unknown code", "2B 0E 05 00", BAD_VALUE),
    ("90: no UMAS function", "5A 00", BAD_LENGTH),
    ("0: no function", "00", RESERVED),
    ("128: an exception from the client", "80 01", BAD_ROLE),
    ("131: an exception from the client", "83 02", BAD_ROLE),
    ("255: an exception from the client", "FF 01", BAD_ROLE),
)
"""Requests that break a rule: name, PDU, and exactly the bits that its record carries."""

BAD_RESPONSES: tuple[tuple[str, str, str, Anomaly, int], ...] = (
    ("3: nothing", "03 0000 0002", "03", BAD_LENGTH, 0),
    ("3: fewer bytes than announced", "03 0000 0002", "03 04 0001", BAD_LENGTH, 1),
    ("3: more bytes than announced", "03 0000 0001", "03 02 0001 0002", BAD_LENGTH, 1),
    ("3: odd byte count", "03 0000 0001", "03 03 0001 02", BAD_LENGTH | CONFLICT, 1),
    ("3: fewer than asked for", "03 0000 0002", "03 02 0001", CONFLICT, 1),
    ("3: more than asked for", "03 0000 0001", "03 04 0001 0002", CONFLICT, 1),
    ("1: fewer than asked for", "01 0000 0009", "01 01 FF", CONFLICT, 8),
    ("1: more than asked for", "01 0000 0008", "01 02 FFFF", CONFLICT, 8),
    ("3: another function answers", "03 0000 0001", "04 02 0001", CONFLICT, 1),
    ("5: another value", "05 0001 FF00", "05 0001 0000", CONFLICT, 1),
    ("5: another coil", "05 0001 FF00", "05 0002 FF00", CONFLICT, 1),
    ("5: neither on nor off", "05 0001 FF00", "05 0001 00FF", CONFLICT | BAD_VALUE, 1),
    ("6: another value", "06 0001 0003", "06 0001 0004", CONFLICT, 1),
    ("6: another register", "06 0001 0003", "06 0002 0003", CONFLICT, 1),
    ("6: cut short", "06 0001 0003", "06 0001", BAD_LENGTH, 0),
    ("7: two bytes", "07", "07 0102", BAD_LENGTH, 1),
    ("7: nothing", "07", "07", BAD_LENGTH, 0),
    ("8: other data", "08 0000 A537", "08 0000 A538", CONFLICT, 1),
    ("8: another sub-function", "08 000B 0000", "08 000C 0000", CONFLICT, 1),
    ("11: cut short", "0B", "0B 0000", BAD_LENGTH, 1),
    ("12: byte count wrong", "0C", "0C 09 0000 0108 0121 20 00", BAD_LENGTH, 5),
    ("12: cut short", "0C", "0C 04 0000 0108", BAD_LENGTH, 0),
    ("12: too many events", "0C", "0C 47 0000 0108 0121" + "20" * 65, BAD_COUNT, 68),
    ("15: another quantity", "0F 0013 000A 02 CD01", "0F 0013 0009", CONFLICT, 0),
    ("16: another address", "10 0001 0001 02 000A", "10 0002 0001", CONFLICT, 0),
    ("16: cut short", "10 0001 0001 02 000A", "10 0001", BAD_LENGTH, 0),
    ("16: quantity 0", "10 0001 0001 02 000A", "10 0001 0000", CONFLICT | BAD_COUNT, 0),
    ("17: byte count wrong", "11", "11 04 464F4F", BAD_LENGTH, 1),
    ("20: group of even length", "14 07 06 0004 0001 0001", "14 04 04 06 0001 00", BAD_LENGTH, 0),
    ("20: fewer than asked for", "14 07 06 0004 0001 0002", "14 04 03 06 0001", CONFLICT, 1),
    ("20: no group", "14 07 06 0004 0001 0002", "14 00", BAD_COUNT, 0),
    ("21: other content", "15 09 06 0004 0007 0001 06AF", "15 09 06 0004 0007 0001 06AE", CONFLICT, 1),
    ("22: other masks", "16 0004 00F2 0025", "16 0004 00F2 0024", CONFLICT, 2),
    ("22: cut short", "16 0004 00F2 0025", "16 0004 00F2", BAD_LENGTH, 0),
    ("23: fewer than asked for", "17 0000 0002 0000 0001 02 0001", "17 02 0001", CONFLICT, 1),
    ("24: too many", "18 0000", "18 0042 0020" + "0001" * 32, BAD_COUNT, 32),
    ("24: byte count wrong", "18 0000", "18 0008 0002 0001 0002", BAD_LENGTH, 2),
    ("24: count wrong", "18 0000", "18 0006 0003 0001 0002", BAD_LENGTH, 2),
    ("43/14: an object cut short", "2B 0E 01 00", "2B 0E 01 01 00 00 01 00 05 4142", BAD_LENGTH, 1),
    ("43/14: fewer objects than announced", "2B 0E 01 00", "2B 0E 01 01 00 00 02 00 01 41", BAD_LENGTH, 1),
    ("43/14: bytes behind the last object", "2B 0E 01 00", "2B 0E 01 01 00 00 01 00 01 41 42", BAD_LENGTH, 1),
    ("43/14: neither more nor no more", "2B 0E 01 00", "2B 0E 01 01 11 00 01 00 01 41", BAD_VALUE, 1),
    ("43/14: another code", "2B 0E 01 00", "2B 0E 02 01 00 00 01 00 01 41", CONFLICT, 1),
    ("43/14: cut short", "2B 0E 01 00", "2B 0E 01", BAD_LENGTH, 0),
    ("90: no outcome", "5A 00 02", "5A 00", BAD_LENGTH, 1),
    ("exception code 0", "03 0000 0001", "83 00", BAD_VALUE, 0),
    ("no exception code", "03 0000 0001", "83", BAD_LENGTH | BAD_VALUE, 0),
    ("exception code of two bytes", "03 0000 0001", "83 02 00", BAD_LENGTH, 0),
    ("exception code without a name", "03 0000 0001", "83 09", RESERVED, 0),
    ("exception of another function", "03 0000 0001", "84 02", CONFLICT, 0),
)
"""Responses that break a rule: name, request, PDU, exactly the bits that its record carries, and how many points."""
