"""Frames from byte templates: hosts, TCP connections, and the mirror port that numbers and writes what passes."""

from __future__ import annotations

import struct
from random import Random
from typing import Any, BinaryIO

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
IPV4, ARP = b"\x08\x00", b"\x08\x06"
BROADCAST = b"\xff" * 6
UNMARKED = -1
"""Mark of a packet that belongs to no attack."""

DELAYED_ACK_S = 0.04
"""How long a receiver waits to let an acknowledgement ride on data."""

_IP = struct.Struct("!BBHHHBBH4s4s")
_TCP = struct.Struct("!HHIIBBHHH")
_PSEUDO = struct.Struct("!4s4sBBH")
_SHORTEST = 60
"""Bytes of the shortest Ethernet frame without its check sequence; shorter ones are padded."""


def checksum(data: bytes) -> int:
    """The Internet checksum of RFC 1071: a number is its 16-bit words' one's complement sum, modulo 65,535."""
    if len(data) & 1:
        data += b"\0"
    return -int.from_bytes(data, "big") % 65535


def ethernet(dst: bytes, src: bytes, ethertype: bytes, payload: bytes) -> bytes:
    """A frame, padded to the shortest that Ethernet carries."""
    return (dst + src + ethertype + payload).ljust(_SHORTEST, b"\0")


class Host:
    """A network interface: name, addresses and the TTL its stack sends with."""

    __slots__ = ("address", "idents", "ip", "mac", "name", "ttl")

    def __init__(self, name: str, address: str, mac: str, ttl: int = 64) -> None:
        self.name = name
        self.address = address
        self.ip = bytes(int(part) for part in address.split("."))
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self.ttl = ttl
        self.idents = 0


def ipv4(src: Host, dst: Host, ident: int, protocol: int, payload: bytes, *, via: bytes = b"", ttl: int = 0) -> bytes:
    """An Ethernet frame with an IPv4 datagram.

    Args:
        via: the two MAC addresses, destination first, where they are not those of the hosts.
        ttl: time to live where it is not the sender's own.
    """
    header = _IP.pack(0x45, 0, 20 + len(payload), ident & 0xFFFF, 0x4000, ttl or src.ttl, protocol, 0, src.ip, dst.ip)
    summed = checksum(header).to_bytes(2, "big")
    macs = via or dst.mac + src.mac
    return (macs + IPV4 + header[:10] + summed + header[12:] + payload).ljust(_SHORTEST, b"\0")


def tcp(src: Host, dst: Host, ports: tuple[int, int], seq: int, ack: int, flags: int, payload: bytes) -> bytes:
    """A TCP segment with its checksum (RFC 9293, 3.1); a SYN offers a segment size of 1,460."""
    options = b"\x02\x04\x05\xb4" if flags & SYN else b""
    offset = (20 + len(options)) << 2
    header = _TCP.pack(*ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, offset, flags, 8192, 0, 0) + options
    pseudo = _PSEUDO.pack(src.ip, dst.ip, 0, 6, len(header) + len(payload))
    summed = checksum(pseudo + header + payload).to_bytes(2, "big")
    return header[:16] + summed + header[18:] + payload


def udp(src: Host, dst: Host, ports: tuple[int, int], payload: bytes) -> bytes:
    """A UDP frame with its checksum (RFC 768)."""
    src.idents += 1
    length = 8 + len(payload)
    header = struct.pack("!HHHH", *ports, length, 0)
    summed = checksum(_PSEUDO.pack(src.ip, dst.ip, 0, 17, length) + header + payload) or 0xFFFF
    return ipv4(src, dst, src.idents, 17, header[:6] + summed.to_bytes(2, "big") + payload)


def arp(operation: int, src: Host, dst: Host, *, claimed: bytes = b"") -> bytes:
    """An ARP request (1) or reply (2) over Ethernet (RFC 826); `claimed` is a MAC address given instead of the own."""
    to = BROADCAST if operation == 1 else dst.mac
    target = bytes(6) if operation == 1 else dst.mac
    mac = claimed or src.mac
    body = b"\x00\x01\x08\x00\x06\x04" + operation.to_bytes(2, "big") + mac + src.ip + target + dst.ip
    return ethernet(to, mac, ARP, body)


class Tap:
    """The mirror port: takes frames in any order within a few seconds, writes them in order of time.

    Times are seconds since the start of the capture.  `marks` gives for every mark the number of its first and last
    packet (from 1, as Wireshark counts), and how many there were.
    """

    def __init__(self, file: BinaryIO, start_us: int) -> None:
        import dpkt

        self._writer: Any = dpkt.pcap.Writer(file, snaplen=65535)
        self._start_us = start_us
        self._waiting: list[tuple[int, int, bytes, int]] = []
        self._taken = 0
        self._written_us = 0
        self.packets = 0
        self.marks: dict[int, tuple[int, int, int]] = {}

    def put(self, at: float, frame: bytes, mark: int = UNMARKED) -> None:
        """Take `frame`, seen at `at` seconds; `mark` is the attack that it belongs to."""
        if at * 1e6 < self._written_us:
            raise AssertionError(
                f"a frame of {at:.6f} s comes when those before {self._written_us / 1e6:.6f} s are written"
            )
        self._taken += 1
        self._waiting.append((int(at * 1e6), self._taken, frame, mark))

    def flush(self, before: float) -> None:
        """Write all frames seen before `before` seconds; none earlier may come any more."""
        limit = self._written_us = int(before * 1e6)
        self._waiting.sort()
        written = 0
        for ts_us, _, frame, mark in self._waiting:
            if ts_us >= limit:
                break
            written += 1
            self.packets += 1
            self._writer.writepkt_time(frame, (self._start_us + ts_us) / 1e6)
            if mark != UNMARKED:
                first, _, count = self.marks.get(mark, (self.packets, 0, 0))
                self.marks[mark] = (first, self.packets, count + 1)
        del self._waiting[:written]


class Connection:
    """One TCP connection as the mirror port sees it; sequence numbers advance with what is sent.

    Attributes:
        client, server: the two hosts.
        relay: a host that has put itself between them: frames then carry its MAC address.
        mark: the attack that all its packets belong to, if any.
    """

    def __init__(self, tap: Tap, client: Host, server: Host, port: int, rng: Random, server_port: int = 502) -> None:
        self.client = client
        self.server = server
        self.relay: Host | None = None
        self.mark = UNMARKED
        self._tap = tap
        self._ports = (port, server_port)
        self._seq = [rng.getrandbits(32), rng.getrandbits(32)]
        self._ident = [rng.getrandbits(16), rng.getrandbits(16)]
        self._owed: list[float | None] = [None, None]

    def open(self, at: float, rtt_s: float = 0.0006) -> float:
        """The three-way handshake; gives the time after it."""
        self._emit(at, 0, SYN, b"", ack=0)
        self._seq[0] += 1
        self._emit(at + rtt_s / 2, 1, SYN | ACK, b"")
        self._seq[1] += 1
        self._emit(at + rtt_s, 0, ACK, b"")
        return at + rtt_s

    def close(self, at: float) -> float:
        """An orderly end by the client; gives the time after it."""
        self.settle(at - DELAYED_ACK_S)
        self._emit(at, 0, FIN | ACK, b"")
        self._seq[0] += 1
        self._emit(at + 0.0004, 1, FIN | ACK, b"")
        self._seq[1] += 1
        self._emit(at + 0.0008, 0, ACK, b"")
        return at + 0.001

    def refuse(self, at: float) -> None:
        """A SYN answered by a reset: nobody listens."""
        self._emit(at, 0, SYN, b"", ack=0)
        self._seq[0] += 1
        self._seq[1] = 0
        self._emit(at + 0.0003, 1, RST | ACK, b"")

    def send(self, at: float, side: int, payload: bytes, mark: int = UNMARKED, *, lost: bool = False) -> None:
        """Data from `side` (0 client, 1 server).  A `lost` segment passes the mirror but does not arrive."""
        self._settle_side(at, side)
        self._emit(at, side, PSH | ACK, payload, mark=mark)
        if not lost:
            self._seq[side] += len(payload)
            self._owed[1 - side] = at

    def inject(self, at: float, payload: bytes, intruder: Host, ident: int, mark: int) -> None:
        """A segment in the server's name that `intruder` puts on the wire ahead of the true one."""
        body = tcp(self.server, self.client, self._ports[::-1], self._seq[1], self._seq[0], PSH | ACK, payload)
        via = self.client.mac + intruder.mac
        self._tap.put(at, ipv4(self.server, self.client, ident, 6, body, via=via, ttl=intruder.ttl), mark)

    def acknowledge(self, at: float, side: int, mark: int = UNMARKED) -> None:
        """A bare acknowledgement."""
        self._owed[side] = None
        self._emit(at, side, ACK, b"", mark=mark)

    def probe(self, at: float) -> None:
        """A keep-alive by the client and its answer (RFC 9293, 3.8.4)."""
        self._seq[0] -= 1
        self._emit(at, 0, ACK, b"")
        self._seq[0] += 1
        self._emit(at + 0.0005, 1, ACK, b"")

    def settle(self, at: float) -> None:
        """Send the acknowledgements that have no data to ride on before `at` plus the time of a delayed one."""
        for side in (0, 1):
            self._settle_side(at + DELAYED_ACK_S, side)

    def _settle_side(self, at: float, side: int) -> None:
        since = self._owed[side]
        self._owed[side] = None
        if since is not None and at - since >= DELAYED_ACK_S:
            self._emit(since + DELAYED_ACK_S, side, ACK, b"")

    def _emit(self, at: float, side: int, flags: int, payload: bytes, ack: int = -1, mark: int = UNMARKED) -> None:
        src, dst = (self.server, self.client) if side else (self.client, self.server)
        ports = self._ports[::-1] if side else self._ports
        self._ident[side] += 1
        body = tcp(src, dst, ports, self._seq[side], self._seq[1 - side] if ack < 0 else ack, flags, payload)
        via = b""
        if self.relay is not None:
            via = dst.mac + self.relay.mac if side else self.relay.mac + src.mac
        self._tap.put(at, ipv4(src, dst, self._ident[side], 6, body, via=via), self.mark if mark == UNMARKED else mark)
