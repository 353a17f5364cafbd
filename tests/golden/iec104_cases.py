"""The packets of the golden captures of IEC 60870-5-104."""

from __future__ import annotations

import struct

from pipeline.synth.encode.iec104 import (
    ACT,
    ACTCON,
    ACTTERM,
    DEACT,
    DEACTCON,
    INITIALIZED,
    NEGATIVE,
    PERIODIC,
    REQUEST,
    SPONTANEOUS,
    STOPDT,
    STOPDT_CON,
    TEST,
    TESTFR,
    TESTFR_CON,
    asdu,
    cp24,
    cp56,
    i_frame,
    s_frame,
    sequence,
    u_frame,
)
from tests.decode.packets import SECOND, Packet, Talk
from tests.golden.registry import case
from tests.protocols.iec104_apdus import NOON, Stations

GOOD, DOUBTED = b"\0", b"\xf1"


def short(value: float) -> bytes:
    return struct.pack("<f", value)


def word(value: int) -> bytes:
    return struct.pack("<h", value)


@case
def iec104_session() -> list[Packet]:
    """Start, an interrogation of the station, spontaneous values, supervisory and test frames, stop."""
    s = Stations().start()
    s.tell(asdu(70, INITIALIZED, (0, b"\0")))
    s.ask(asdu(100, ACT, (0, b"\x14"), oa=3))
    s.tell(asdu(100, ACTCON, (0, b"\x14"), oa=3))
    s.tell(sequence(1, 20, 100, b"\0", b"\1", b"\x81"), sequence(9, 20, 4001, word(16384) + GOOD, word(-32768) + GOOD))
    s.tell(asdu(13, 20, (4101, short(21.5) + GOOD), (4105, short(-0.25) + DOUBTED)), asdu(100, ACTTERM, (0, b"\x14"), oa=3))  # fmt: skip # noqa: E501
    s.acknowledge()
    s.tell(asdu(36, SPONTANEOUS, (4101, short(22.5) + GOOD + cp56(NOON))), asdu(1, SPONTANEOUS, (101, b"\0")))
    s.tell(asdu(9, PERIODIC, (4001, word(8192) + GOOD)))
    s.acknowledge()
    s.control(0, TESTFR).control(1, TESTFR_CON)
    s.control(1, TESTFR).control(0, TESTFR_CON)
    s.control(0, STOPDT).control(1, STOPDT_CON)
    return s.packets


@case
def iec104_monitoring() -> list[Packet]:
    """Every type of the monitoring direction, with qualities, both forms of addressing, and times."""
    s = Stations().start()
    late, now = cp24(59, 1500), cp56(NOON)
    s.tell(asdu(1, SPONTANEOUS, (1, b"\x01"), (9, b"\x10")), asdu(2, SPONTANEOUS, (2, b"\x21" + late)))
    s.tell(sequence(3, SPONTANEOUS, 3, b"\0", b"\1", b"\2", b"\x43"), asdu(4, SPONTANEOUS, (4, b"\2" + cp24(0x80, 1))))
    s.tell(sequence(5, SPONTANEOUS, 5, b"\x3f\0", b"\x40\0", b"\x81\x80"), asdu(6, SPONTANEOUS, (6, b"\x7f\0" + late)))
    s.tell(asdu(7, SPONTANEOUS, (7, b"\1\0\0\x80\0")), asdu(8, SPONTANEOUS, (8, b"\1\2\3\4\1" + late)))
    s.tell(asdu(9, SPONTANEOUS, (9, word(32767) + b"\x01")), asdu(10, SPONTANEOUS, (10, word(-1) + GOOD + late)))
    s.tell(sequence(11, SPONTANEOUS, 11, word(-5) + GOOD, word(5) + b"\x20"), asdu(12, 3, (12, word(7) + GOOD + late)))
    s.tell(asdu(13, SPONTANEOUS, (13, short(1e6) + GOOD)), asdu(14, SPONTANEOUS, (14, short(2.5) + GOOD + late)))
    s.tell(asdu(15, 37, (15, b"\xff\xff\xff\xff\x03")), asdu(16, 37, (16, b"\1\0\0\0\xe5" + late)))
    s.tell(asdu(17, 3, (17, b"\x0a\x10\0" + late)), asdu(18, 3, (18, b"\x05\0\x10\0" + late)))
    s.tell(asdu(19, 3, (19, b"\x03\x80\x10\0" + late)), asdu(20, 3, (20, b"\1\0\2\0\0")))
    s.tell(sequence(21, PERIODIC, 21, word(0), word(16384)), asdu(30, 3, (30, b"\1" + now), (32, b"\0" + now)))
    s.tell(asdu(31, 3, (31, b"\2" + now)), asdu(32, 3, (32, b"\x7e\0" + now)), asdu(33, 3, (33, b"\1\0\0\0\0" + now)))
    s.tell(asdu(34, 3, (34, word(1) + GOOD + now)), asdu(35, 3, (35, word(-300) + GOOD + cp56(NOON, 0x80))))
    s.tell(asdu(36, 3, (36, short(0.1) + GOOD + now)), asdu(37, 3, (37, b"\x10\0\0\0\x20" + now)))
    s.tell(asdu(38, 3, (38, b"\1\x10\0" + now)), asdu(39, 3, (39, b"\1\0\1\0" + now)), asdu(40, 3, (40, b"\1\0\1\0" + bytes(7))))  # fmt: skip # noqa: E501
    s.tell(asdu(13, SPONTANEOUS | TEST, (13, short(3) + GOOD)), asdu(126, REQUEST, (50, b"\1\0\x10\0\0\0" + now)))
    return s.packets


@case
def iec104_commands() -> list[Packet]:
    """Commands in one and in two steps: accepted, refused, cancelled, to an address that is not there."""
    s = Stations().start()
    s.command(45, 5001, b"\x81", ends=False).command(45, 5001, b"\x01")
    s.command(46, 5002, b"\x02")
    s.command(50, 6001, short(42.5) + b"\x80", ends=False).command(50, 6001, short(43.5) + b"\0")
    s.ask(asdu(45, ACT, (5009, b"\x01"))).tell(asdu(45, 47 | NEGATIVE, (5009, b"\x01")))
    s.ask(asdu(46, ACT, (5002, b"\x01"))).tell(asdu(46, ACTCON | NEGATIVE, (5002, b"\x01")))
    s.command(45, 5003, b"\x80", ends=False)
    s.ask(asdu(45, DEACT, (5003, b"\x80"))).tell(asdu(45, DEACTCON, (5003, b"\x80")))
    s.command(58, 5004, b"\x01" + cp56(NOON), ends=False)
    s.command(49, 6002, word(-700) + b"\0", ends=False).command(48, 6003, word(16384) + b"\0", ends=False)
    s.command(47, 5005, b"\x02", ends=False).command(51, 5006, b"\xff\0\0\0", ends=False)
    s.ask(asdu(45, ACT, (5007, b"\x01"))).tell(asdu(45, ACTCON, (5007, b"\0")))
    return s.packets


@case
def iec104_system() -> list[Packet]:
    """Counters frozen and reset, a read, the clock, tests, parameters, a reset of the process, a type refused."""
    s = Stations().start()
    s.command(101, 0, b"\x05").tell(asdu(15, 37, (700, b"\x07\0\0\0\1")))
    s.command(101, 0, b"\x45", ends=False).command(101, 0, b"\x81", ends=False)
    s.ask(asdu(102, REQUEST, (4001, b""))).tell(asdu(11, REQUEST, (4001, word(5) + GOOD)))
    s.ask(asdu(102, REQUEST, (4999, b""))).tell(asdu(102, 47 | NEGATIVE, (4999, b"")))
    s.command(103, 0, cp56(NOON), ends=False)
    s.command(104, 0, b"\xaa\x55", ends=False).command(107, 0, b"\1\0" + cp56(NOON), ends=False)
    s.command(110, 4001, word(3277) + b"\1", ends=False).command(112, 4101, short(80.0) + b"\4", ends=False)
    s.command(111, 4002, word(9) + b"\2", ends=False).command(113, 4002, b"\3", ends=False)
    s.command(105, 0, b"\1", ends=False)
    s.ask(asdu(107, ACT, (0, b"\1\0" + cp56(NOON)))).tell(asdu(107, 44 | NEGATIVE, (0, b"\1\0" + cp56(NOON))))
    s.ask(asdu(100, ACT, (0, b"\x14"), ca=0xFFFF)).tell(asdu(100, ACTCON, (0, b"\x14"), ca=7))
    return s.packets


@case
def iec104_files() -> list[Packet]:
    """A file read from the station, one written to it, one deleted, a directory asked for."""
    s = Stations().start()
    s.ask(asdu(122, 13, (30, b"\1\0\0\1"))).tell(asdu(120, 13, (30, b"\1\0\x40\0\0\0")))
    s.ask(asdu(122, 13, (30, b"\1\0\0\2"))).tell(asdu(121, 13, (30, b"\1\0\1\x40\0\0\0")))
    s.tell(asdu(125, 13, (30, b"\1\0\1\x08" + b"contents")), asdu(123, 13, (30, b"\1\0\1\3\x55")))
    s.ask(asdu(124, 13, (30, b"\1\0\1\3")))
    s.ask(asdu(120, 13, (31, b"\2\0\x08\0\0\0"))).ask(asdu(125, 13, (31, b"\2\0\1\4" + b"abcd")))
    s.ask(asdu(122, 13, (30, b"\1\0\0\4"))).ask(asdu(122, 5, (0, b"\0\0\0\0")))
    s.ask(asdu(127, 13, (30, b"\1\0" + cp56(NOON) + cp56(NOON))))
    return s.packets


@case
def iec104_malformed() -> list[Packet]:
    """What breaks the form: lengths, counts, codes, trailing bytes, objects cut off; the stream goes on after each."""
    s = Stations().start()
    s.tell(asdu(13, 3, (1, short(1) + GOOD), count=3))
    s.tell(asdu(13, 3, (1, short(1) + GOOD)) + b"\0\0")
    s.tell(asdu(13, 3, count=0), asdu(1, 0, (1, b"\1")))
    s.tell(asdu(29, 3, (1, b"\1")), asdu(200, 3, (1, b"\1")), asdu(81, 14, (0, bytes(10))))
    s.ask(asdu(45, ACT, (1, b"\1"), (2, b"\1")), sequence(45, ACT, 3, b"\1"))
    s.tell(b"\x0d\1\3\0")
    s.talk.send(0, bytes([0x68, 4, 0x0F, 0, 0, 0]))
    s.talk.send(0, bytes([0x68, 6, 0x43, 0, 0, 0, 0, 0]))
    s.talk.send(1, bytes([0x68, 2, 0x43, 0]))
    s.talk.send(1, bytes([0x68, 255]) + bytes(100))
    s.tell(asdu(1, 3, (1, b"\1")))
    return s.packets


@case
def iec104_sequence() -> list[Packet]:
    """Numbers that do not follow: one left out, one repeated, an acknowledgement of nothing sent; then a loss."""
    s = Stations().start()
    s.tell(asdu(1, 3, (1, b"\0")))
    s.sent[1] += 3
    s.tell(asdu(1, 3, (2, b"\0")))
    s.sent[1] -= 1
    s.tell(asdu(1, 3, (3, b"\0")))
    s.talk.send(0, s_frame(s.sent[1]))
    s.talk.send(0, s_frame(s.sent[1] + 5))
    s.talk.send(1, s.frame(1, asdu(1, 3, (4, b"\0"))), lost=True)
    s.talk.send(0, s_frame(s.sent[1]))
    for address in (5, 6, 7):
        s.tell(asdu(1, 3, (address, b"\0")))
    s.acknowledge()
    s.tell(asdu(1, 3, (8, b"\0")))
    return s.packets


@case
def iec104_numbers_wrap() -> list[Packet]:
    """The capture begins within a connection, and its numbers go beyond 32767: nothing is wrong with that."""
    s = Stations(Talk(server_port=2404), sent=[9, 32766])
    for address in range(4):
        s.tell(asdu(1, 3, (address, b"\1")))
        s.acknowledge()
    return s.packets


@case
def iec104_split_and_pipelined() -> list[Packet]:
    """APDUs over many segments, byte by byte too, and many in one segment."""
    s = Stations()
    for byte in u_frame(0x07):
        s.talk.send(0, bytes([byte]))
    s.talk.send(1, u_frame(0x0B) + s.frame(1, asdu(70, INITIALIZED, (0, b"\0")))[:9])
    s.talk.send(1, i_frame(0, 0, asdu(70, INITIALIZED, (0, b"\0")))[9:])
    stream = b"".join(s.frame(1, asdu(13, 3, (k, short(k) + GOOD))) for k in range(12))
    for at in range(0, len(stream), 50):
        s.talk.send(1, stream[at : at + 50])
    s.tell(*(sequence(1, 3, 10 * k, *(bytes([k & 1]) for _ in range(5))) for k in range(8)))
    s.acknowledge()
    return s.packets


@case
def iec104_other_port() -> list[Packet]:
    """On port 19998, without a handshake: found by its shape, the controlling station by what it says."""
    s = Stations(Talk(server_port=19_998))
    s.tell(asdu(9, 3, (1, word(1) + GOOD)))
    s.command(45, 5001, b"\x01")
    return s.packets


@case
def iec104_called_back() -> list[Packet]:
    """The controlled station opens the connection: what tells the stations apart is who starts and commands."""
    s = Stations(master=1).start()
    s.tell(asdu(9, 3, (1, word(1) + GOOD)))
    s.command(45, 5001, b"\x01")
    s.talk.send(1 - s.master, s.frame(1 - s.master, asdu(45, ACT, (5001, b"\0"))))
    return s.packets


@case
def iec104_not_iec104() -> list[Packet]:
    """HTTP on port 2404: one record says so; a connection of IEC 104 beside it is not touched."""
    web = Talk(port=41_000, server_port=2404).open()
    web.ask(b"GET / HTTP/1.0\r\n\r\n")
    web.answer(b"HTTP/1.0 200 OK\r\n\r\n")
    return [*web.packets, *(p.at(p.ts + SECOND) for p in Stations().start().packets)]


@case
def iec104_timeout() -> list[Packet]:
    """A command that nobody confirms, and one that is confirmed but never ends: only the first is a timeout."""
    s = Stations().start()
    s.ask(asdu(45, ACT, (5001, b"\x01")))
    s.command(45, 5002, b"\x01", ends=False)
    s.talk.now += 9 * SECOND
    s.acknowledge()
    s.tell(asdu(45, ACTTERM, (5002, b"\x01"), oa=3))
    s.tell(asdu(45, ACTCON, (5001, b"\x01")))
    return s.packets
