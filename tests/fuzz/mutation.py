"""Hostile packets: sessions of the golden and plant captures, mutated, mixed and cut into blocks."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from pipeline.capture.files import Captures
from pipeline.synth import bulk, simulate
from tests.decode.packets import MS, SECOND, START_NS, Packet, Talk, ether, ip4, read, udp
from tests.golden.cases import CASES

LINKS = (0, 1, 12, 14, 101, 108, 113, 228, 229, 276, 147, -1)
WORDS = (
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    19,
    20,
    125,
    126,
    127,
    128,
    253,
    254,
    255,
    256,
    260,
    1500,
    2000,
    0x7FFF,
    0x8000,
    0xFFFF,
)
FIELDS = (12, 14, 16, 18, 20, 23, 34, 36, 38, 42, 46, 47, 54, 56, 58, 60, 61, 62, 63, 64, 66, 67, 68, 70)
"""Where an Ethernet frame with IPv4, TCP and Modbus has its lengths, flags and codes."""
SESSIONS = 24
"""Sessions under way at once."""


def seeds(folder: Path, protocol: str = "") -> list[list[Packet]]:
    """Sessions to begin with: every golden case, and stretches of the plant and of bulk traffic.

    With a protocol, only its golden cases.
    """
    if protocol:
        return [make() for name, make in CASES.items() if name.startswith(f"{protocol}_")]
    found = [make() for make in CASES.values()]
    found += [flood(), nested()]
    simulate(folder, minutes=0.5, seed=5, attacks=())
    for path in (folder / "plant.pcap", bulk(folder / "bulk.pcap", packets=600, registers=120, kind="write").path):
        packets = [
            Packet(ts, raw)
            for block in Captures([path])
            for ts, raw in zip(
                block.ts_ns.tolist(),
                [block.data[a : a + n].tobytes() for a, n in zip(block.offset, block.captured, strict=True)],
                strict=True,
            )
        ]
        found += [packets[at : at + 60] for at in range(0, len(packets), 60)]
    return found


def flood() -> list[Packet]:
    """Requests that nobody answers, more than may wait."""
    talk = Talk().open()
    for txn in range(120):
        talk.ask(read(txn, txn, 1))
    return talk.packets


def nested() -> list[Packet]:
    """A frame in a mirror encapsulation in a mirror encapsulation, deeper and deeper."""
    frame, packets = ether(ip4("10.0.0.1", "10.0.0.2", bytes(40))), []
    for _ in range(8):
        frame = ether(ip4("192.0.2.1", "192.0.2.2", b"\0\0\x65\x58" + frame, 47))
        packets.append(Packet(START_NS, frame))
    return packets


def changed(draw: Random, data: bytes, others: Sequence[list[Packet]]) -> bytes:
    """A frame with one to four changes."""
    frame = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 4))):
        del frame[70_000:]  # before it is multiplied again
        size = len(frame)
        if size < 2:
            frame += draw.randbytes(60)
            continue
        at = draw.randrange(size)
        how = draw.randrange(10)
        if how == 0:
            frame[at] ^= 1 << draw.randrange(8)
        elif how == 1:
            frame[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
        elif how in (2, 3, 4):
            at = min(draw.choice(FIELDS), size - 1)
            word = draw.choice(WORDS)
            if how == 2 or at + 2 > size:
                frame[at] = word & 0xFF
            else:
                frame[at : at + 2] = struct.pack("!H", word)
        elif how == 5:
            del frame[at : at + draw.choice((1, 2, 4, 8, 40))]
        elif how == 6:
            frame[at:at] = draw.randbytes(draw.choice((1, 2, 4, 8, 300)))
        elif how == 7:
            frame[at:at] = frame[54:] * draw.choice((1, 2, 200))
        elif how == 8:
            other = draw.choice(draw.choice(others)).data
            frame[at:] = other[at:]
        else:
            del frame[at:]
    return bytes(frame[:70_000])


def shaken(draw: Random, frame: bytes) -> bytes:
    """Another sequence number near by, or other TCP flags."""
    if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != 6:
        return frame
    data = bytearray(frame)
    if draw.random() < 0.6:
        seq = int.from_bytes(data[38:42], "big") + draw.choice(
            (-200, -13, -12, -1, 1, 12, 13, 200, 1400, 70_000, 1 << 25)
        )
        data[38:42] = (seq & 0xFFFFFFFF).to_bytes(4, "big")
    else:
        data[47] = draw.randrange(64)
    return bytes(data)


def fragments(draw: Random, frame: bytes) -> list[bytes]:
    """An IPv4 frame as fragments, sometimes with one missing, twice or in another order."""
    if len(frame) < 60 or frame[12:15] != b"\x08\x00\x45":
        return [frame]
    body, pieces, ident = frame[34:], [], draw.randrange(50)
    cuts = [0, *sorted({8 * draw.randrange(1, 1 + len(body) // 8) for _ in range(draw.randrange(1, 5))}), len(body)]
    for a, b in itertools.pairwise(cuts):
        head = bytearray(frame[:34])
        head[16:18] = struct.pack("!H", 20 + b - a)
        head[18:22] = struct.pack("!HH", ident, (0x2000 if b < len(body) else 0) | a // 8)
        pieces.append(bytes(head) + body[a:b])
    if draw.random() < 0.4:
        draw.shuffle(pieces)
    if draw.random() < 0.1:
        pieces.append(draw.choice(pieces))
    return pieces[draw.random() < 0.1 :]


def wrapped(draw: Random, frame: bytes) -> bytes:
    """A frame in a mirror encapsulation, in VLAN tags, or both."""
    if draw.random() < 0.5:
        return (
            frame[:12] + struct.pack("!HH", draw.choice((0x8100, 0x88A8, 0x9100)), draw.randrange(1 << 16)) + frame[12:]
        )
    if draw.random() < 0.5:
        inner, protocol = udp((5555, 4789), b"\x08" + bytes(7) + frame), 17
    else:
        flags, kind = draw.choice(
            ((0, 0x6558), (0x1000, 0x88BE), (0, 0x88BE), (0x1000, 0x22EB), (0xB000, 0x22EB), (0, 0x0800))
        )
        inner, protocol = struct.pack("!HH", flags, kind) + bytes(draw.choice((0, 4, 12, 16, 24))) + frame, 47
    return ether(ip4("192.0.2.1", "192.0.2.2", inner, protocol))


def on_port(frame: bytes, port: int) -> bytes:
    """The same session from another client port."""
    if len(frame) < 54 or frame[12:15] != b"\x08\x00\x45":
        return frame
    at = 34 if frame[34] >= 0x80 else 36  # clients' ports are high, servers' are not
    return frame[:at] + port.to_bytes(2, "big") + frame[at + 2 :]


def stream(seed: int, sessions: Sequence[list[Packet]]) -> Iterator[Packet]:
    """Packets without end, the same for the same seed."""
    draw = Random(seed)
    now = START_NS
    under_way: list[tuple[list[Packet], int, int]] = []
    while True:
        if len(under_way) < SESSIONS:
            under_way.append((draw.choice(sessions), 0, draw.randrange(20_000, 24_000)))
        number = draw.randrange(len(under_way))
        packets, at, port = under_way[number]
        if at + 1 >= len(packets):
            under_way.pop(number)
        else:
            under_way[number] = (packets, at + 1, port)
        now += draw.choice((0, 1000, MS, MS, 60 * MS))
        if draw.random() < 0.001:
            now += draw.choice((2 * SECOND, 7 * SECOND, 90 * SECOND, -2 * SECOND, -3600 * SECOND, -MS))
        yield from _distorted(draw, replace(packets[at], ts=now, data=on_port(packets[at].data, port)), sessions)


def _distorted(draw: Random, packet: Packet, sessions: Sequence[list[Packet]]) -> Iterator[Packet]:
    chance = draw.random()
    frames = [packet.data]
    if chance < 0.35:
        frames = [changed(draw, packet.data, sessions)]
    elif chance < 0.45:
        frames = [shaken(draw, packet.data)]
    elif chance < 0.50:
        frames = fragments(draw, packet.data)
    elif chance < 0.55:
        frames = [wrapped(draw, packet.data)]
    elif chance < 0.60:
        frames = [packet.data] * 2
    elif chance < 0.62:
        frames = []
    elif chance < 0.64:
        frames = [changed(draw, wrapped(draw, packet.data), sessions)]
    elif chance < 0.66:
        frames = [changed(draw, piece, sessions) for piece in fragments(draw, packet.data)]
    for frame in frames:
        link = draw.choice(LINKS) if draw.random() < 0.01 else packet.link
        original = len(frame) + draw.choice((0, 0, 1, 500)) if draw.random() < 0.02 else 0
        yield Packet(packet.ts, frame, link, original)
