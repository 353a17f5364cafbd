"""The packets of the golden captures of DNP3."""

from __future__ import annotations

import struct

from pipeline.synth.encode.dnp3 import (
    ALL,
    CON,
    DIRECT,
    DIRECT_NR,
    FIN,
    FIR,
    ON,
    OPERATE,
    READ,
    SELECT,
    UNS,
    WRITE,
    classes,
    crob,
    header,
    indexed,
    link,
    packed,
    ranged,
    sized,
    time48,
)
from tests.decode.packets import SECOND, Packet, Talk
from tests.golden.registry import case
from tests.protocols.dnp3_frames import Line

NOON_MS = 1_767_268_801_250
"""2026-01-01 12:00:01.250 UTC."""


def i32(value: int, flags: int = 1) -> bytes:
    return struct.pack("<Bi", flags, value)


def i16(value: int, flags: int = 1) -> bytes:
    return struct.pack("<Bh", flags, value)


def f32(value: float, flags: int = 1) -> bytes:
    return struct.pack("<Bf", flags, value)


def f64(value: float, flags: int = 1) -> bytes:
    return struct.pack("<Bd", flags, value)


def text(words: bytes) -> bytes:
    """An attribute that is a text."""
    return bytes([1, len(words)]) + words


@case
def dnp3_integrity_poll() -> list[Packet]:
    """Classes 0 to 3: every kind of static point, in a response that the master confirms; link frames around it."""
    line = Line()
    line.put(0, link(b"", control=0xC0, to=10, by=1)).put(1, link(b"", control=0x00, to=1, by=10))
    line.put(0, link(b"", control=0xC9, to=10, by=1)).put(1, link(b"", control=0x0B, to=1, by=10))
    line.ask(READ, classes(1, 2, 3, 0))
    line.answer(
        packed(1, 0, "1011001110") + ranged(1, 2, 20, ON, b"\x01", b"\x04") + header(3, 1, 0, 0, 4) + b"\xe4\x02"
        + ranged(3, 2, 8, b"\x41", b"\x81") + packed(10, 0, "01") + ranged(10, 2, 5, ON)
        + ranged(20, 1, 0, struct.pack("<BI", 1, 4_000_000_000)) + ranged(20, 6, 3, struct.pack("<H", 7))
        + ranged(21, 5, 0, struct.pack("<BI", 0x41, 9) + time48(NOON_MS)) + ranged(21, 10, 1, b"\x05\x00")
        + ranged(30, 1, 0, i32(-70_000), i32(5, 0x21)) + ranged(30, 4, 300, struct.pack("<h", -3))
        + ranged(30, 5, 4, f32(21.5)) + ranged(30, 6, 5, f64(1e-3, 0)) + ranged(40, 2, 0, i16(42))
        + ranged(110, 5, 1, b"pump1") + ranged(34, 1, 0, b"\x0a\x00"),
        iin=0x90, control=ALL | CON,
    )  # fmt: skip
    line.confirm()
    return line.packets


@case
def dnp3_events() -> list[Packet]:
    """Events with flags, times and relative times, polled and unsolicited; their confirmations."""
    line = Line()
    line.ask(READ, classes(1))
    line.answer(
        indexed(2, 1, (3, ON))
        + indexed(2, 2, (3, b"\x01" + time48(NOON_MS)), (300, ON + time48(NOON_MS + 5)), wide=True)
        + header(51, 1, 7, 1) + time48(NOON_MS) + indexed(2, 3, (4, ON + b"\x10\x00"), (5, b"\x01\xe8\x03"))
        + header(51, 2, 7, 1) + time48(NOON_MS) + indexed(4, 3, (6, b"\x81\x01\x00"))
        + indexed(11, 2, (1, ON + time48(NOON_MS)))
        + indexed(22, 5, (2, struct.pack("<BI", 1, 77) + time48(NOON_MS))) + indexed(32, 1, (7, i32(-9)))
        + indexed(32, 4, (8, i16(99) + time48(NOON_MS))) + indexed(32, 7, (9, f32(0.5) + time48(NOON_MS)))
        + indexed(13, 1, (1, b"\x80")) + indexed(43, 3, (2, struct.pack("<Bi", 0, 1234) + time48(NOON_MS)))
        + indexed(111, 3, (1, b"abc")) + indexed(42, 5, (4, f32(7.25))),
        control=ALL | CON,
    )  # fmt: skip
    line.confirm()
    line.report(iin=0x80).confirm(UNS)
    line.report(indexed(32, 3, (1, i32(5) + time48(NOON_MS))) + indexed(2, 3, (1, ON + b"\1\0"))).confirm(UNS)
    line.report(indexed(4, 1, (2, b"\x41")), control=ALL | UNS)
    return line.packets


@case
def dnp3_unconfirmed() -> list[Packet]:
    """An unsolicited message that nobody confirms, a request that nobody answers, an answer that comes too late."""
    line = Line()
    line.report(indexed(32, 3, (1, i32(5) + time48(NOON_MS))))
    line.ask(READ, classes(1))
    line.talk.now += 6 * SECOND
    line.report(indexed(32, 3, (1, i32(5) + time48(NOON_MS)))).confirm(UNS)
    line.answer(indexed(2, 1, (3, ON)))
    return line.packets


@case
def dnp3_controls() -> list[Packet]:
    """Select and operate, direct operate, analog outputs; accepted, refused, without selection, with another answer."""
    line = Line()
    close = indexed(12, 1, (5, crob(0x41)))
    line.ask(SELECT, close).answer(close).ask(OPERATE, close).answer(close)
    line.ask(OPERATE, close).answer(indexed(12, 1, (5, crob(0x41, status=2))))
    line.ask(SELECT, close).answer(close).ask(OPERATE, indexed(12, 1, (5, crob(0x81))))
    line.answer(indexed(12, 1, (5, crob(0x81, status=2))))
    both = indexed(12, 1, (1, crob(3)), (2, crob(4))) + indexed(41, 2, (7, struct.pack("<hB", -700, 0)), wide=True)
    line.ask(DIRECT, both).answer(both)
    line.ask(DIRECT_NR, indexed(12, 1, (1, crob(3))))
    line.ask(DIRECT, indexed(41, 3, (4, struct.pack("<fB", 42.5, 0))))
    line.answer(indexed(41, 3, (4, struct.pack("<fB", 42.5, 7))))
    line.ask(DIRECT, indexed(41, 1, (4, struct.pack("<iB", 1, 0)))).answer(iin=0x0200)
    line.ask(DIRECT, close).answer(indexed(12, 1, (6, crob(0x41))))
    line.ask(SELECT, close).answer(iin=0x1000)
    return line.packets


@case
def dnp3_functions() -> list[Packet]:
    """Writes, freezes, classes, unsolicited messages on and off, time, restarts, a stop, a function not supported."""
    line = Line()
    line.ask(WRITE, packed(80, 7, "0")).answer()
    line.ask(23).answer(header(52, 2, 7, 1) + b"\x07\x00")
    line.ask(WRITE, header(50, 1, 7, 1) + time48(NOON_MS)).answer()
    line.ask(24).answer().ask(WRITE, header(50, 3, 7, 1) + time48(NOON_MS)).answer()
    line.ask(WRITE, ranged(34, 3, 1, struct.pack("<f", 0.5))).answer()
    line.ask(7, header(20, 0, 6)).answer().ask(9, header(20, 0, 0, 1, 4)).answer().ask(8, header(20, 0, 6))
    line.ask(22, classes(1) + header(30, 0, 6)).answer()
    line.ask(20, classes(1, 2, 3)).answer().ask(21, classes(1, 2, 3)).answer()
    line.ask(14).answer(header(52, 2, 7, 1) + b"\xf4\x01").ask(13).answer(header(52, 1, 7, 1) + b"\x05\x00")
    line.ask(18).answer(iin=0x0100).ask(31).answer(iin=0x0300)
    line.ask(READ, header(30, 2, 0x17, 2) + b"\x03\x05" + header(30, 2, 0, 8, 9))
    line.answer(indexed(30, 2, (3, i16(33)), (5, i16(55))) + ranged(30, 2, 8, i16(88), i16(99)))
    return line.packets


@case
def dnp3_identity_and_files() -> list[Packet]:
    """Attributes of the device, read; a file opened, read, written and deleted, with its name; a file not there."""
    line = Line()
    line.ask(READ, header(0, 254, 0, 0, 0))
    line.answer(
        ranged(0, 252, 0, text(b"Acme Grid")) + ranged(0, 250, 0, text(b"RTU-9")) + ranged(0, 242, 0, text(b"4.1"))
        + ranged(0, 248, 0, text(b"SN 00417")) + ranged(0, 247, 0, text(b"Feeder 12"))
        + ranged(0, 240, 0, b"\x02\x02\x00\x08") + ranged(0, 209, 0, b"\x03\x01\xff")
    )  # fmt: skip
    name = b"/config/points.cfg"
    command = struct.pack("<HH6sHIIHHH", 26, len(name), bytes(6), 0x100, 0, 0, 1, 512, 3) + name
    line.ask(25, sized(70, 3, command)).answer(sized(70, 4, struct.pack("<IIHHB", 9, 64, 512, 3, 0)))
    line.ask(READ, sized(70, 5, struct.pack("<II", 9, 0)))
    line.answer(sized(70, 5, struct.pack("<II", 9, 0x80000000) + b"setpoint=42"))
    line.ask(26, sized(70, 4, struct.pack("<IIHHB", 9, 0, 0, 4, 0))).answer()
    write = struct.pack("<HH6sHIIHHH", 26, len(name), bytes(6), 0x100, 0, 11, 2, 512, 5) + name
    line.ask(25, sized(70, 3, write)).answer(sized(70, 4, struct.pack("<IIHHB", 0, 0, 0, 5, 1)))
    line.ask(WRITE, sized(70, 5, struct.pack("<II", 9, 0x80000000) + b"setpoint=99"))
    line.answer(sized(70, 6, struct.pack("<IIB", 9, 0, 0)))
    line.ask(27, sized(70, 3, command)).answer(sized(70, 4, struct.pack("<IIHHB", 0, 0, 0, 3, 3)))
    line.ask(28, sized(70, 7, struct.pack("<HHHI6sHH", 20, 6, 0, 0, bytes(6), 0, 6) + b"/a.log"))
    return line.packets


@case
def dnp3_several_segments() -> list[Packet]:
    """A response of 300 points in several link frames, cut anywhere; one of several fragments; one frame lost."""
    line = Line()
    line.ask(READ, classes(0))
    body = ranged(30, 2, 0, *(i16(n) for n in range(300)))
    stream = b"".join(line.frames(1, bytes([ALL | line.sequence, 129, 0, 0]) + body))
    for at in range(0, len(stream), 400):
        line.put(1, stream[at : at + 400])
    line.ask(READ, classes(0)).answer(ranged(1, 2, 0, ON), control=FIR | CON).confirm()
    second = (line.sequence + 1) % 16
    line.send(1, bytes([FIN | second, 129, 0, 0]) + ranged(1, 2, 1, ON, ON))
    line.ask(READ, classes(0))
    frames = line.frames(1, bytes([ALL | line.sequence, 129, 0, 0]) + body)
    line.put(1, frames[0] + frames[2] + frames[3])
    line.answer(ranged(1, 2, 0, ON), size=3)
    return line.packets


@case
def dnp3_bad_checksums() -> list[Packet]:
    """A CRC of data that is wrong: nothing in the frame was said; of a header: the frame is told, and what follows."""
    line = Line()
    good = line.frames(0, bytes([ALL | 1, READ]) + classes(0))[0]
    line.put(0, good[:-1] + bytes([good[-1] ^ 1]))
    line.put(0, good[:8] + b"\0\0" + good[10:])
    line.put(0, good)
    line.sequence = 1
    line.answer(ranged(1, 2, 0, ON))
    return line.packets


@case
def dnp3_malformed() -> list[Packet]:
    """Objects cut off, ranges that run back, an object not known, frames too short, data where none belong."""
    line = Line()
    line.ask(READ, classes(0)).answer(ranged(30, 1, 0, i32(5)) + header(30, 1, 0, 4, 9) + i32(1) + b"\1\2")
    line.ask(READ, classes(0)).answer(header(1, 2, 0, 9, 3) + ON)
    line.ask(READ, classes(0)).answer(ranged(99, 1, 0, b"\1") + ranged(1, 2, 0, ON))
    line.ask(READ, b"\x3c\x02").answer(header(1, 2, 0x06))
    line.ask(READ, bytes([60, 2, 0x0C])).answer(header(2, 2, 0x28, 3) + b"\1\0")
    line.ask(60).answer(iin=0x0100)
    line.put(0, link(b"\xc0", control=0xC4, to=10, by=1)).put(0, link(b"", control=0xC4, to=10, by=1))
    line.put(0, link(b"\xc0\xc0\x01", control=0xC0, to=10, by=1)).put(1, link(b"", control=0x07, to=1, by=10))
    line.send(1, bytes([ALL, READ]) + classes(1)).send(0, bytes([ALL | 1, 129, 0, 0]))
    line.send(0, bytes([ALL | 2, 0]) + b"more")
    return line.packets


@case
def dnp3_broadcast_udp() -> list[Packet]:
    """UDP, both ends on port 20000: a clock set for all, a poll, two frames in one datagram."""
    line = Line(Talk(port=20_000, server_port=20_000), udp=True)
    everyone = Line(line.talk, outstation=0xFFFF, udp=True)
    everyone.ask(WRITE, header(50, 1, 7, 1) + time48(NOON_MS))
    line.ask(READ, classes(0)).answer(ranged(20, 2, 1, b"\x01\x09\x00"), iin=1)
    line.put(1, b"".join(line.frames(1, bytes([ALL | UNS, 130, 0, 0]) + indexed(2, 1, (1, ON))) * 2))
    return line.packets


@case
def dnp3_several_outstations() -> list[Packet]:
    """Two outstations behind one address, the same sequence number for both; who asks first is answered last."""
    line = Line()
    other = Line(line.talk, outstation=11)
    line.ask(READ, classes(0))
    other.ask(READ, classes(0))
    other.answer(ranged(1, 2, 0, ON))
    line.answer(ranged(1, 2, 0, b"\x01"))
    line.answer(ranged(1, 2, 0, b"\x01"))
    return line.packets


@case
def dnp3_midstream() -> list[Packet]:
    """The capture begins in the middle of a response of several frames, on another port: told by its shape."""
    line = Line(Talk(server_port=20_001))
    frames = line.frames(1, bytes([ALL | 3, 129, 0, 0]) + ranged(30, 2, 0, *(i16(n) for n in range(200))))
    for frame in frames[1:]:
        line.put(1, frame)
    line.ask(READ, classes(0)).answer(ranged(1, 2, 0, ON))
    return line.packets


@case
def dnp3_called_by_outstation() -> list[Packet]:
    """The outstation opens the connection: the master is who asks."""
    line = Line(Talk(client="10.0.0.2", server="10.0.0.1", server_port=20_000).open())

    def put(side: int, payload: bytes) -> Line:
        line.talk.send(1 - side, payload)
        return line

    line.put = put  # type: ignore[method-assign]
    line.report(iin=0x80).confirm(UNS).ask(READ, classes(0)).answer(ranged(1, 2, 0, ON))
    return line.packets


@case
def dnp3_not_dnp3() -> list[Packet]:
    """HTTP on port 20000: one record says so; a connection of DNP3 beside it is not touched."""
    web = Talk(port=41_000, server_port=20_000).open()
    web.ask(b"GET / HTTP/1.0\r\n\r\n")
    web.answer(b"HTTP/1.0 200 OK\r\n\r\n")
    line = Line().ask(READ, classes(0)).answer(ranged(1, 2, 0, ON))
    return [*web.packets, *(p.at(p.ts + SECOND) for p in line.packets)]
