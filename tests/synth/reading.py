"""An independent reader of the plant's captures: dpkt for the frames, and a strict parser of Modbus PDUs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import dpkt

SPEAK_OTHERWISE = {bytes([10, 10, 1, host]) for host in range(15, 20)} | {bytes([10, 10, 2, 61])}
WIDTHS = {1: "bit", 2: "bit", 3: "word", 4: "word"}


@dataclass(frozen=True)
class Segment:
    """One TCP segment; `number` counts packets of the capture from 1."""

    number: int
    ts: float
    src_mac: str
    src: str
    dst: str
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    payload: bytes

    @property
    def is_request(self) -> bool:
        return self.dport == 502

    @property
    def unit(self) -> int:
        return self.payload[6]

    @property
    def pdu(self) -> bytes:
        return self.payload[7:]


def address(raw: bytes) -> str:
    return ".".join(map(str, raw))


def frames(path: Path) -> Iterator[tuple[float, bytes]]:
    with path.open("rb") as file:
        for ts, raw in dpkt.pcap.Reader(file):
            yield float(ts), raw


def speaks_otherwise(wire: bytes) -> bool:
    """Whether a frame is to or from a host of the plant that speaks another protocol than Modbus."""
    return not SPEAK_OTHERWISE.isdisjoint((wire[26:30], wire[30:34]))


def modbus_alone(path: Path, out: Path) -> Path:
    """The plant's capture without those hosts."""
    with out.open("wb") as file:
        writer = dpkt.pcap.Writer(file)
        for ts, wire in frames(path):
            if not speaks_otherwise(wire):
                writer.writepkt(wire, ts)
    return out


@cache
def segments(path: Path) -> tuple[Segment, ...]:
    """All TCP segments; kept, for the captures that several tests look at are large."""
    found = []
    for number, (ts, raw) in enumerate(frames(path), 1):
        frame = dpkt.ethernet.Ethernet(raw)
        if isinstance(frame.data, dpkt.ip.IP) and isinstance(frame.data.data, dpkt.tcp.TCP):
            ip, tcp = frame.data, frame.data.data
            found.append(
                Segment(
                    number,
                    ts,
                    frame.src.hex(":"),
                    address(ip.src),
                    address(ip.dst),
                    tcp.sport,
                    tcp.dport,
                    tcp.seq,
                    tcp.ack,
                    tcp.flags,
                    bytes(tcp.data),
                )
            )
    return tuple(found)


@cache
def senders(path: Path) -> tuple[tuple[int, str, str, str], ...]:
    """Number, MAC and IP address of the sender, and IP address of the receiver, of all IP packets."""
    found = []
    for number, (_, raw) in enumerate(frames(path), 1):
        frame = dpkt.ethernet.Ethernet(raw)
        if isinstance(frame.data, dpkt.ip.IP):
            found.append((number, frame.src.hex(":"), address(frame.data.src), address(frame.data.dst)))
    return tuple(found)


def modbus(path: Path) -> list[Segment]:
    """All segments that carry a Modbus PDU, the MBAP header checked."""
    found = [s for s in segments(path) if 502 in (s.sport, s.dport) and s.payload]
    for s in found:
        _, protocol, length, _ = struct.unpack("!HHHB", s.payload[:7])
        assert protocol == 0
        assert length == len(s.payload) - 6
        assert len(s.pdu) >= 1
    return found


def check_request(pdu: bytes) -> None:
    """Raises AssertionError where a request of a public function is not what the specification says."""
    func = pdu[0]
    if func in WIDTHS:
        _, count = struct.unpack("!HH", pdu[1:])
        assert 1 <= count <= (2000 if WIDTHS[func] == "bit" else 125)
    elif func in (5, 6, 8):
        assert len(pdu) == 5
    elif func in (15, 16):
        _, count, size = struct.unpack("!HHB", pdu[1:6])
        assert size == len(pdu) - 6 == ((count + 7) // 8 if func == 15 else 2 * count)
    elif func == 23:
        _, _, _, count, size = struct.unpack("!HHHHB", pdu[1:10])
        assert size == len(pdu) - 10 == 2 * count
    else:
        assert (func, pdu[1]) == (43, 14)
        assert len(pdu) == 4


def check_response(pdu: bytes, request: bytes) -> None:
    """Raises AssertionError where a response does not answer its request."""
    func = pdu[0]
    assert func & 0x7F == request[0]
    if func & 0x80:
        assert len(pdu) == 2
    elif func in (1, 2, 3, 4, 23):
        count = int.from_bytes(request[3:5], "big")
        assert pdu[1] == len(pdu) - 2 == ((count + 7) // 8 if func <= 2 else 2 * count)
    elif func in (5, 6, 15, 16):
        assert pdu == request[:5]
    elif func == 43:
        at = 7
        for _ in range(pdu[6]):
            at += 2 + pdu[at + 1]
        assert at == len(pdu)


@cache
def exchanges(path: Path) -> list[tuple[Segment, Segment]]:
    """Requests with the response that the client accepted: the first with the bytes that TCP had it wait for."""
    taken: set[tuple[str, str, int, int]] = set()
    open_: dict[tuple[str, int, str, bytes], Segment] = {}
    found = []
    for s in modbus(path):
        if (key := (s.src, s.dst, s.sport ^ s.dport, s.seq)) in taken:
            continue
        taken.add(key)
        if s.is_request:
            open_[(s.src, s.sport, s.dst, s.payload[:2])] = s
        else:
            found.append((open_[(s.dst, s.dport, s.src, s.payload[:2])], s))
    return found


def values(path: Path, client: str = "") -> dict[tuple[str, int, int, int], list[tuple[float, int]]]:
    """Time and value of every register and bit read: by device, unit, function and address."""
    found: dict[tuple[str, int, int, int], list[tuple[float, int]]] = {}
    for request, response in exchanges(path):
        func = response.pdu[0]
        if func not in WIDTHS or (client and request.src != client):
            continue
        addr, count = struct.unpack("!HH", request.pdu[1:5])
        body = response.pdu[2:]
        for i in range(count):
            value = body[i // 8] >> i % 8 & 1 if func <= 2 else int.from_bytes(body[2 * i : 2 * i + 2], "big")
            found.setdefault((request.dst, request.unit, func, addr + i), []).append((response.ts, value))
    return found
