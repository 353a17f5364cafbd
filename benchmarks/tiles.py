"""Captures of other protocols than Modbus: one session of a few packets, repeated with times and numbers that go on."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.synth.encode import bacnet, cip
from pipeline.synth.encode.dnp3 import READ, classes, indexed, ranged
from pipeline.synth.encode.iec104 import asdu, sequence
from pipeline.synth.encode.s7 import D_BYTE, D_REAL, DB, REAL, WORD, any_item, value
from tests.decode.packets import Packet, Talk
from tests.golden.enip_cases import count, line, reals
from tests.protocols.bacnet_apdus import Devices
from tests.protocols.dnp3_frames import Line
from tests.protocols.iec104_apdus import Stations
from tests.protocols.s7_frames import Line as S7Line

_PCAP = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
_HEADER, _PAYLOAD = 16, 16 + 54
_STEP_NS = 20_000
_UDP = 17


@dataclass(frozen=True, slots=True)
class Session:
    """Packets that are repeated.

    Attributes:
        packets: of one connection, all of them with payload.
        pdus, points: records and points that one round of them gives.
    """

    packets: Sequence[Packet]
    pdus: int
    points: int


def dnp3_poll() -> Session:
    """Sixteen polls of events of five points, as they come with an index, flags and 16 bits each."""
    line = Line(Talk(server_port=20_000))
    for k in range(16):
        line.ask(READ, classes(1)).answer(indexed(32, 2, *((k + i, struct.pack("<Bh", 1, 7 * i)) for i in range(5))))
    return Session(line.packets, 32, 16 * 5)


def dnp3_integrity() -> Session:
    """Sixteen integrity polls of 300 points: 200 analog inputs of 16 bits and 100 binary ones, all with flags."""
    line = Line(Talk(server_port=20_000))
    for _ in range(16):
        analogs = ranged(30, 2, 0, *(struct.pack("<Bh", 1, i) for i in range(200)))
        line.ask(READ, classes(0)).answer(analogs + ranged(1, 2, 0, *[b"\x81"] * 100))
    return Session(line.packets, 32, 16 * 300)


def iec104_values() -> Session:
    """Measured values of one to five objects, floats and scaled, and an acknowledgement after each eight frames."""
    s = Stations(Talk(server_port=2404))
    for k in range(64):
        count = 1 + k % 5
        if k % 2:
            s.tell(sequence(11, 1, 4000, *[struct.pack("<hB", k, 0)] * count))
        else:
            s.tell(asdu(13, 3, *((4000 + 3 * i, struct.pack("<fB", k, 0)) for i in range(count))))
        if k % 8 == 7:
            s.acknowledge()
    return Session(s.packets, 72, sum(1 + k % 5 for k in range(64)))


def bacnet_reads() -> Session:
    """Polls of a present value; of every eighth, four objects at once with value and status flags."""
    d = Devices()
    for k in range(64):
        if k % 8:
            d.read(k, bacnet.oid(0, k), 85, bacnet.real(k))
            continue
        asked, answered = b"", b""
        for i in range(4):
            thing = bacnet.ctx_oid(0, bacnet.oid(0, 4 * k + i))
            asked += thing + bacnet.within(1, bacnet.ctx(0, 85) + bacnet.ctx(0, 111))
            value = bacnet.ctx(2, 85) + bacnet.within(4, bacnet.real(i))
            answered += thing + bacnet.within(1, value + bacnet.ctx(2, 111) + bacnet.within(4, bacnet.bits("0000")))
        d.ask(bacnet.request(14, k, asked)).tell(bacnet.complex_ack(14, k, answered))
    return Session(d.packets, 128, 56 + 8 * 8)


def bacnet_lists() -> Session:
    """Arrays of 250 values in one answer."""
    d = Devices()
    for k in range(8):
        d.read(k, bacnet.oid(8, 1), 76, *(bacnet.identifier(i) for i in range(250)))
    return Session(d.packets, 16, 8 * 250)


def s7_reads() -> Session:
    """Sixteen reads of one to five REAL variables of a data block, each an item of its own."""
    line, points = S7Line(Talk(server_port=102)), 0
    for k in range(16):
        items = 1 + k % 5
        line.read(*(any_item(REAL, 1, DB, 32 * (k + i), 5) for i in range(items)))
        line.values(*(value(D_REAL, struct.pack(">f", k + i)) for i in range(items)))
        points += items + (items if items > 1 else 0)
    return Session(line.packets, 32, points)


def s7_block() -> Session:
    """Sixteen reads of 110 words of a data block, as many as a PDU of 240 bytes takes."""
    line = S7Line(Talk(server_port=102))
    for k in range(16):
        line.read(any_item(WORD, 110, DB, 0, 5)).values(value(D_BYTE, struct.pack(">110H", *range(k, k + 110))))
    return Session(line.packets, 32, 16 * 110)


def enip_reads() -> Session:
    """Sixteen reads of one to five REAL elements of a tag."""
    talk, points = line(), 0
    for k in range(16):
        values = 1 + k % 5
        talk.ask(cip.READ_TAG, cip.symbol(f"Tank{k}.Level"), count(values)).tell(
            cip.READ_TAG, reals(*(float(k + i) for i in range(values)))
        )
        points += values
    return Session(talk.packets, 32, points)


def enip_array() -> Session:
    """Sixteen reads of 120 REAL elements, as many as an unconnected answer takes."""
    talk = line()
    for k in range(16):
        talk.ask(cip.READ_TAG, cip.symbol("Recipe"), count(120))
        talk.tell(cip.READ_TAG, reals(*(float(k + i) for i in range(120))))
    return Session(talk.packets, 32, 16 * 120)


SESSIONS = {
    "dnp3": dnp3_poll,
    "dnp3 integrity poll": dnp3_integrity,
    "iec104": iec104_values,
    "bacnet": bacnet_reads,
    "bacnet arrays": bacnet_lists,
    "s7comm": s7_reads,
    "s7comm block": s7_block,
    "enip": enip_reads,
    "enip array": enip_array,
}


def tile(path: Path, session: Session, rounds: int) -> Path:
    """The session `rounds` times over: times, TCP numbers and IEC 104 numbers go on from round to round."""
    frames = [packet.data for packet in session.packets]
    sizes = [len(frame) for frame in frames]
    single = b"".join(struct.pack("<IIII", 0, 0, size, size) + frame for size, frame in zip(sizes, frames, strict=True))
    whole = np.tile(np.frombuffer(single, np.uint8), (rounds, 1))
    number = np.arange(rounds)
    of_side = [sum(len(f) - 54 for f in frames if f[26:30] == side) for side in (frames[0][26:30], frames[0][30:34])]
    apdus = [sum(_sends(f) for f in frames if f[26:30] == side) for side in (frames[0][26:30], frames[0][30:34])]
    at = 0
    for k, frame in enumerate(frames):
        ns = session.packets[0].ts + (number * len(frames) + k) * _STEP_NS
        _put(whole, at, ns // 10**9, "<u4")
        _put(whole, at + 4, ns % 10**9, "<u4")
        if frame[23] == _UDP:  # nothing in a datagram counts on
            at += _HEADER + len(frame)
            continue
        side = int(frame[26:30] != frames[0][26:30])
        for place, own in ((38, side), (42, 1 - side)):
            first = int.from_bytes(frame[place : place + 4], "big")
            _put(whole, at + _HEADER + place, (first + number * of_side[own]) & 0xFFFFFFFF, ">u4")
        if frame[54] == 0x68:
            for place, own in ((2, side), (4, 1 - side)):
                if place == 4 or _sends(frame):
                    first = int.from_bytes(frame[54 + place : 56 + place], "little") >> 1
                    _put(whole, at + _PAYLOAD + place, ((first + number * apdus[own]) & 0x7FFF) << 1, "<u2")
        at += _HEADER + len(frame)
    with path.open("wb") as file:
        file.write(_PCAP)
        file.write(memoryview(whole).cast("B"))
    return path


def _sends(frame: bytes) -> int:
    """Whether a frame is an I frame of IEC 104."""
    return int(len(frame) > 56 and frame[54] == 0x68 and not frame[56] & 1)


def _put(whole: NDArray[np.uint8], at: int, numbers: NDArray[np.int64], kind: str) -> None:
    """Write a number into a place of every round."""
    size = np.dtype(kind).itemsize
    whole[:, at : at + size] = numbers.astype(kind).view(np.uint8).reshape(-1, size)
