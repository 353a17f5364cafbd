"""The packets of the golden captures of what S7comm's userdata carries: blocks, subscriptions, tables, messages."""

from __future__ import annotations

import struct

from pipeline.synth.encode.s7 import (
    BYTE,
    D_BYTE,
    D_INT,
    D_OCTETS,
    DB,
    WORD,
    M,
    alarm,
    any_item,
    block_information,
    clock,
    command,
    even,
    pending,
    refused,
    sent,
    subscription,
    symbolic,
    told,
    value,
    variable,
)
from tests.decode.packets import Packet
from tests.golden.registry import case
from tests.golden.s7_cases import LEVEL, OFF, ON, PUMP, real, words
from tests.protocols.s7_frames import Line

BLOCKS, CYCLIC, PROGRAMMER, CPU, MODE = 3, 2, 1, 4, 0
NOON, LATER = clock("2601051200000001"), clock("2601051203151232")
AREA_M, AREA_Q, AREA_TIMER, AREA_DB = 0, 2, 5, 7
PUMP_BIT, SPEED, STATE = variable(AREA_Q, 0, 4, many=1), variable(AREA_DB, 2, 10, block=5), variable(AREA_M, 1, 10, many=3)  # fmt: skip # noqa: E501
DELAY = variable(AREA_TIMER, 4, 7)


def counted(*items: bytes) -> bytes:
    """Variables or values behind how many they are."""
    return struct.pack("!H", len(items)) + b"".join(items)


def octet(data: bytes) -> bytes:
    return value(D_OCTETS, data)


def entries(*numbers: int) -> bytes:
    return b"".join(struct.pack("!HBB", number, 0x22, number % 8) for number in numbers)


@case
def s7comm_blocks() -> list[Packet]:
    """Blocks counted, listed in parts cut within an entry, described; one not there, another than asked for."""
    line = Line().connect().setup()
    line.inquire(BLOCKS, 1).tell(BLOCKS, 1, b"08\0\x010E\0\x0a0C\0\x150A\0\x320B\0\x0f")
    line.inquire(BLOCKS, 2, b"0A").tell(BLOCKS, 2, entries(1, 2, 3, 65535))
    listed = entries(*range(100, 112))
    line.inquire(BLOCKS, 2, b"0C").tell(BLOCKS, 2, listed[:18], more=1, part=0xD1, number=4)
    line.inquire_next(BLOCKS, 2, 4, 0xD1).tell(BLOCKS, 2, listed[18:33], more=1, part=0xD1, number=5)
    line.inquire_next(BLOCKS, 2, 5, 0xD1).tell(BLOCKS, 2, listed[33:], part=0xD1, number=6)
    about = block_information(
        b"0A", 5, code=(36_000_000, 15_000), interface=(1_000, 14_000), size=214, texts=(b"Jones", b"Pumps", b"LEVELS"),
        version=0x21, checksum=0xBEEF,
    )  # fmt: skip
    line.inquire(BLOCKS, 3, b"0A00005A").tell(BLOCKS, 3, about)
    line.inquire(BLOCKS, 3, b"0A00006A").tell(BLOCKS, 3, error=0xD209)
    line.inquire(BLOCKS, 3, b"0C00005A").tell(BLOCKS, 3, about)
    line.number += 1
    return line.tell(BLOCKS, 2, entries(7)).tell(BLOCKS, 2, entries(8), part=0xD2).packets


@case
def s7comm_cyclic() -> list[Packet]:
    """Variables subscribed to, sent, refused in part, unsubscribed; two at once; one that was not seen to begin."""
    line = Line().connect().setup()
    line.inquire(CYCLIC, 1, subscription(LEVEL, PUMP, any_item(BYTE, 3, M, 80)))
    line.tell(CYCLIC, 1, sent(real(20.5), ON, value(D_BYTE, b"\1\2\3")), number=7)
    line.inquire(CYCLIC, 5, subscription(any_item(WORD, 2, DB, 16, 9), base=0)).tell(
        CYCLIC, 5, sent(words(3, 4)), number=8
    )
    line.push(CYCLIC, 1, sent(real(21.5), OFF, refused(0x0A)), 7).push(CYCLIC, 5, sent(words(5, 4)), 8)
    line.push(CYCLIC, 1, sent(real(22.0), ON, value(D_BYTE, b"\4\5\6")), 7).push(CYCLIC, 1, sent(real(22.0), ON), 7)
    line.inquire(CYCLIC, 4, b"\1\7").tell(CYCLIC, 4, number=7).push(CYCLIC, 1, sent(real(23.0), ON, OFF), 7)
    line.inquire(CYCLIC, 7, subscription(symbolic(0xCAFE, 16), PUMP)).tell(CYCLIC, 7, sent(words(1), OFF), number=8)
    line.push(CYCLIC, 5, sent(words(2), ON), 8).push(CYCLIC, 1, sent(words(99)), 40)
    line.inquire(CYCLIC, 1, subscription(LEVEL)).tell(CYCLIC, 1, error=0x8304)
    line.inquire(CYCLIC, 1, subscription(LEVEL)).tell(CYCLIC, 1, sent(real(1.0), real(2.0)), number=9)
    return line.push(CYCLIC, 1, sent(real(1.0), real(2.0)), 9).packets


@case
def s7comm_tables() -> list[Packet]:
    """A table watched, variables modified and forced, refused in part and as a whole; jobs listed, read, ended."""
    line = Line().connect().setup()
    four = counted(PUMP_BIT, SPEED, STATE, DELAY)
    line.inquire(PROGRAMMER, 2, command(four)).tell(PROGRAMMER, 2, command(b"", bytes(4)), number=3)
    now = [value(D_BYTE, b"\1"), value(D_BYTE, b"\5\xdc"), value(D_BYTE, b"\1\2\3"), value(D_BYTE, b"\x21\x50")]
    line.push(PROGRAMMER, 2, command(struct.pack("!H", 4) + even(now), bytes(4)), 3)
    line.push(PROGRAMMER, 2, command(struct.pack("!H", 4) + even([now[0], refused(0x0A), *now[2:]]), bytes(4)), 3)
    speed = struct.pack("!H", 2) + PUMP_BIT + SPEED + even([value(D_BYTE, b"\0", 0), value(D_BYTE, b"\3\xe8", 0)])
    line.inquire(PROGRAMMER, 8, command(speed)).tell(PROGRAMMER, 8, command(b"", bytes(4)), number=4)
    line.push(PROGRAMMER, 8, command(b"\0\2\xff\x05", bytes(4)), 4)
    forced = struct.pack("!H", 1) + PUMP_BIT + even([value(D_BYTE, b"\1", 0)])
    line.inquire(PROGRAMMER, 9, command(forced)).tell(PROGRAMMER, 9, command(b"", bytes(4)), number=5)
    line.push(PROGRAMMER, 9, command(b"\0\1\xff\0", bytes(4)), 5)
    line.inquire(PROGRAMMER, 9, command(forced)).tell(PROGRAMMER, 9, error=0xD0A4)
    line.inquire(PROGRAMMER, 0x10, command(bytes(4))).tell(PROGRAMMER, 0x10, command(b"\2\3\0\1\x09\5\0\1", bytes(4)))
    line.inquire(PROGRAMMER, 0x11, command(b"\x09\5")).tell(PROGRAMMER, 0x11, command(command(forced), bytes(4)))
    line.inquire(PROGRAMMER, 0x12, command(b"\0\1\x08\4" + command(speed))).tell(PROGRAMMER, 0x12)
    line.inquire(PROGRAMMER, 0x0F, command(b"\0\1\x09\5")).tell(PROGRAMMER, 0x0F)
    line.inquire(PROGRAMMER, 0x0D, command(b"\2\3")).tell(PROGRAMMER, 0x0D, error=0xD0A5)
    unknown = counted(variable(4, 1, 0), variable(AREA_M, 7, 0))
    line.inquire(PROGRAMMER, 2, command(unknown)).tell(PROGRAMMER, 2, command(b"", bytes(4)), number=6)
    return line.push(PROGRAMMER, 2, command(struct.pack("!H", 2) + even(now[:2]), bytes(4)), 6).packets


@case
def s7comm_alarms() -> list[Packet]:
    """Messages subscribed to, sent with associated values, acknowledged, locked, asked for; diagnosis, modes."""
    line = Line().connect().setup()
    line.inquire(CPU, 2, b"\1\0HmiRtm  ").tell(CPU, 2, b"\2\0")
    line.inquire(CPU, 2, b"\x83\0HmiRtm  \x09\0").tell(CPU, 2, b"\2\0\x09\1\0")
    line.push(CPU, 5, told(alarm(0x16, 0x60000001, b"\1\1\0\0", octet(b"\1\2\3"), real(99.5)), head=NOON))
    line.push(CPU, 6, told(alarm(0x1C, 0xA0000002, b"\3\1\1\2\1\2\4\0"), head=NOON))
    line.push(CPU, 0x12, told(alarm(0x16, 0x60000003, b"\0\1\1\1", value(D_INT, b"\xff\xfe")), head=LATER))
    line.push(
        CPU, 0x11, told(alarm(0x16, 0x60000004, b"\1\0\0\0", ON), alarm(0x16, 0x60000005, b"\1\0\0\0"), head=LATER)
    )
    line.push(CPU, 0x16, told(alarm(0x1C, 0xA0000006, b"\1\1\0\0\0\0\1\0", octet(b"")), head=bytes(8)))
    line.push(CPU, 9, b"\0\0" + NOON + b"\0\0" + told(alarm(0x15, 0x70000001)))
    line.inquire(CPU, 0x0B, told(alarm(0x19, 0x60000001, b"\0\1"), alarm(0x19, 0x60000003, b"\1\1")))
    line.tell(CPU, 0x0B, b"\0\2\xff\x0a").push(CPU, 0x0C, told(alarm(0x19, 0x60000001, b"\0\1"), head=LATER))
    line.inquire(CPU, 7, told(alarm(0x15, 0x60000001))).tell(CPU, 7, b"\0\1\xff")
    line.push(CPU, 0x0D, told(alarm(0x15, 0x60000001))).push(CPU, 5, told(b"\x12\4\x44abc", head=NOON))
    by_type, by_event = b"\0\1\x12\x08\x1a\0\1\x34\0\0\0\4", b"\0\1\x12\x08\x1a\0\3\x34\x60\0\0\3"
    there = pending(0x60000001, b"\1\0\1", NOON, octet(b"\1\2"), bytes(8), octet(b"\0\0"))
    gone = pending(0x60000003, b"\0\1\1", NOON, real(1.5), LATER, real(2.5))
    line.inquire(CPU, 0x13, by_type).tell(
        CPU, 0x13, b"\0\1\xff\x09" + struct.pack("!H", len(there + gone)) + there + gone
    )
    line.inquire(CPU, 0x13, by_event).tell(CPU, 0x13, b"\0\1\x0a\0\0\0")
    line.inquire(CPU, 0x13, by_type).tell(
        CPU, 0x13, b"\0\1\xff\x09\xff\xff" + there + gone[:9], more=1, part=0xD3, number=9
    )
    line.inquire_next(CPU, 0x13, 9, 0xD3).tell(CPU, 0x13, gone[9:] + b"\0", part=0xD3, number=10)
    line.push(CPU, 3, bytes.fromhex("4302ff46c7000000000040052601051015000001"))
    for mode in (1, 2, 0):
        line.push(MODE, mode)
    return line.packets


@case
def s7comm_malformed_userdata() -> list[Packet]:
    """Counts, lengths and places in userdata that lie: told with what can be known, and marked."""
    line = Line().connect().setup()
    line.inquire(BLOCKS, 1).tell(BLOCKS, 1, b"08\0\x01zz\0\x0a0C\0").inquire(BLOCKS, 2, b"0").inquire(BLOCKS, 3, b"0A0")
    line.inquire(BLOCKS, 3, b"0X00001A").tell(BLOCKS, 3, block_information(b"00", 1)).inquire(BLOCKS, 2, b"0A").tell(
        BLOCKS, 2, b"\0\1\2"
    )
    line.inquire(BLOCKS, 3, b"0A00001A").tell(BLOCKS, 3, block_information(b"0A", 1)[:70])
    line.inquire(CYCLIC, 1, b"\0").inquire(CYCLIC, 1, subscription()).inquire(CYCLIC, 1, b"\0\2\1\1" + LEVEL)
    line.inquire(CYCLIC, 1, b"\1\2\1\1" + LEVEL).inquire(CYCLIC, 1, subscription(LEVEL[:7])).inquire(CYCLIC, 4, b"\1")
    line.push(CYCLIC, 1, b"\0", 5).push(CYCLIC, 1, b"\0\2" + real(1.0), 5).push(CYCLIC, 1, b"\xff\xff" + real(1.0), 5)
    line.push(CYCLIC, 1, sent(real(1.0))[:7], 5)
    line.inquire(PROGRAMMER, 2, b"\0\x14").inquire(PROGRAMMER, 2, b"\0\xff\0\xff\0").inquire(
        PROGRAMMER, 2, command(b"\0")
    )
    line.inquire(PROGRAMMER, 2, command(b"\xff\xff" + SPEED)).inquire(PROGRAMMER, 8, command(counted(SPEED)))
    line.inquire(PROGRAMMER, 9, command(counted(SPEED, SPEED)[:9])).inquire(PROGRAMMER, 0x0F, command(b"\0\1"))
    line.inquire(PROGRAMMER, 0x12, command(b"\0\1\x09\5\0\4\0\xff")).tell(
        PROGRAMMER, 0x10, command(b"\2\3\0", bytes(4))
    )
    line.push(PROGRAMMER, 9, command(b"\0\7\xff\0", bytes(4)), 5).push(PROGRAMMER, 2, command(b"\0", bytes(4)), 5)
    line.push(CPU, 5, NOON).push(CPU, 5, told(alarm(0x16, 1, b"\1\1"), head=NOON)).push(CPU, 3, NOON)
    line.push(CPU, 5, NOON + b"\0\xff" + alarm(0x16, 1, b"\1\1\0\0", octet(b"abc"))[:-2])
    line.inquire(CPU, 2, b"\1\0Hmi").inquire(CPU, 0x13, b"\0\1\x12\x08").tell(
        CPU, 0x13, b"\0\1\xff\x09\0\x20\x05\0\0\1"
    )
    return line.packets
