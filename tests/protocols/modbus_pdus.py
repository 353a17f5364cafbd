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
RESERVED = Anomaly.RESERVED_CODE


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
