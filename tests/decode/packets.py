"""Packets built by hand, layer by layer, and the captures that hold them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

START_NS = 1_767_225_600_000_000_000
MS, SECOND = 1_000_000, 1_000_000_000
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ETHERNET, LOOPBACK, RAW, OPENBSD, SLL, RAW4, RAW6, SLL2 = 1, 0, 101, 108, 113, 228, 229, 276
CLIENT_MAC, SERVER_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


@dataclass(frozen=True)
class Packet:
    """One packet of a capture; `original` is its length on the wire where the capture cut it short."""

    ts: int
    data: bytes
    link: int = ETHERNET
    original: int = 0

    def cut(self, size: int) -> Packet:
        return replace(self, data=self.data[:size], original=self.original or len(self.data))

    def at(self, ts: int) -> Packet:
        return replace(self, ts=ts)


def address(text: str) -> bytes:
    return ip_address(text).packed


def ether(payload: bytes, kind: int = 0x0800, vlans: Sequence[tuple[int, int]] = (), swap: bool = False) -> bytes:
    """An Ethernet frame; `vlans` are (tag type, VLAN id), outermost first."""
    macs = CLIENT_MAC + SERVER_MAC if swap else SERVER_MAC + CLIENT_MAC
    tags = b"".join(struct.pack("!HH", tag, vid) for tag, vid in vlans)
    return macs + tags + struct.pack("!H", kind) + payload


def ip4(
    src: str,
    dst: str,
    payload: bytes,
    protocol: int = 6,
    *,
    ident: int = 7,
    options: bytes = b"",
    offset: int = 0,
    more: bool = False,
    total: int | None = None,
) -> bytes:
    """An IPv4 datagram or fragment (`offset` in bytes); checksums stay 0, as offload leaves them."""
    words = 5 + len(options) // 4
    size = 4 * words + len(payload) if total is None else total
    fragment = (0x2000 if more else 0) | offset // 8
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, size, ident, fragment, 64, protocol, 0)
    return head + address(src) + address(dst) + options + payload


def ip6(src: str, dst: str, payload: bytes, protocol: int = 6, extensions: Sequence[tuple[int, bytes]] = ()) -> bytes:
    """An IPv6 datagram; `extensions` are (type, body behind the next-header byte)."""
    following = protocol
    for kind, body in reversed(extensions):
        payload = bytes([following]) + body + payload
        following = kind
    return struct.pack("!IHBB", 6 << 28, len(payload), following, 64) + address(src) + address(dst) + payload


def ip6_fragment(offset: int, more: bool, ident: int = 99) -> tuple[int, bytes]:
    return 44, struct.pack("!BHI", 0, offset | more, ident)


def tcp(
    ports: tuple[int, int], seq: int, ack: int, payload: bytes = b"", flags: int = PSH | ACK, options: bytes = b""
) -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack("!HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, words << 4, flags, 8192, 0, 0)
    return head + options + payload


def udp(ports: tuple[int, int], payload: bytes) -> bytes:
    return struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload


# --- Modbus


def mbap(txn: int, unit: int, pdu: bytes) -> bytes:
    return struct.pack("!HHHB", txn, 0, len(pdu) + 1, unit) + pdu


def read(txn: int, addr: int = 0, count: int = 2, *, unit: int = 1, func: int = 3) -> bytes:
    return mbap(txn, unit, struct.pack("!BHH", func, addr, count))


def values(txn: int, *numbers: int, unit: int = 1, func: int = 3) -> bytes:
    return mbap(txn, unit, struct.pack("!BB", func, 2 * len(numbers)) + struct.pack(f"!{len(numbers)}H", *numbers))


def refusal(txn: int, func: int, code: int, unit: int = 1) -> bytes:
    return mbap(txn, unit, bytes([0x80 | func, code]))


def crc16(data: bytes) -> bytes:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def rtu(unit: int, pdu: bytes) -> bytes:
    return bytes([unit]) + pdu + crc16(bytes([unit]) + pdu)


# --- conversations


@dataclass
class Talk:
    """A TCP conversation whose packets collect in `packets`, one every `step` nanoseconds."""

    client: str = "10.0.0.1"
    server: str = "10.0.0.2"
    port: int = 40000
    server_port: int = 502
    seq: list[int] = field(default_factory=lambda: [1000, 5000])
    vlans: tuple[tuple[int, int], ...] = ()
    now: int = START_NS
    step: int = MS
    packets: list[Packet] = field(default_factory=list)

    def frame(self, side: int, segment: bytes, protocol: int = 6, ident: int = 7) -> bytes:
        src, dst = (self.server, self.client) if side else (self.client, self.server)
        if ":" in src:
            return ether(ip6(src, dst, segment, protocol), 0x86DD, self.vlans, bool(side))
        return ether(ip4(src, dst, segment, protocol, ident=ident), 0x0800, self.vlans, bool(side))

    def segment(
        self, side: int, payload: bytes = b"", flags: int = PSH | ACK, *, seq: int | None = None, ack: int | None = None
    ) -> Packet:
        """One segment at a sequence number of its own, or the next one; it moves nothing."""
        ports = (self.server_port, self.port) if side else (self.port, self.server_port)
        seq = self.seq[side] if seq is None else seq
        ack = self.seq[1 - side] if ack is None else ack
        return Packet(self.now, self.frame(side, tcp(ports, seq, ack, payload, flags)))

    def put(self, packet: Packet, ts: int | None = None) -> Packet:
        self.now += self.step
        self.packets.append(packet.at(self.now if ts is None else ts))
        return self.packets[-1]

    def send(self, side: int, payload: bytes, flags: int = PSH | ACK, *, lost: bool = False) -> Packet:
        """A segment in its turn; a `lost` one was never captured."""
        packet = self.segment(side, payload, flags)
        self.seq[side] += len(payload) + bool(flags & (SYN | FIN))
        if lost:
            return packet
        return self.put(packet)

    def ask(self, payload: bytes) -> Packet:
        return self.send(0, payload)

    def answer(self, payload: bytes) -> Packet:
        return self.send(1, payload)

    def acknowledge(self, side: int) -> Packet:
        return self.send(side, b"", ACK)

    def open(self) -> Talk:
        self.send(0, b"", SYN)
        self.send(1, b"", SYN | ACK)
        self.acknowledge(0)
        return self

    def datagram(self, side: int, payload: bytes, ident: int = 0) -> Packet:
        ports = (self.server_port, self.port) if side else (self.port, self.server_port)
        return self.put(Packet(0, self.frame(side, udp(ports, payload), 17, ident or len(self.packets) + 1)))

    def poll(self, txn: int, addr: int = 0, *numbers: int) -> Talk:
        """A read of holding registers and its answer."""
        self.ask(read(txn, addr, len(numbers)))
        self.answer(values(txn, *numbers))
        return self


def polls(count: int, talk: Talk | None = None, first: int = 1) -> Talk:
    """`count` polls of two registers with telling values."""
    talk = talk or Talk().open()
    for txn in range(first, first + count):
        talk.poll(txn, 10 * txn, txn, txn + 1000)
    return talk


def write_pcap(path: Path, packets: Iterable[Packet]) -> Path:
    """A nanosecond pcap of packets of one link type; pcapng where there are several."""
    packets = list(packets)
    links = list(dict.fromkeys(p.link for p in packets)) or [ETHERNET]
    with path.open("wb") as file:
        if len(links) == 1:
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, links[0]))
            for p in packets:
                size = len(p.data)
                file.write(struct.pack("<IIII", p.ts // SECOND, p.ts % SECOND, size, p.original or size) + p.data)
            return path
        file.write(struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
        for link in links:
            file.write(struct.pack("<IIHHIHHIHHI", 1, 32, link, 0, 0, 9, 1, 9, 0, 0, 32))
        for p in packets:
            size, body = len(p.data), p.data + bytes(-len(p.data) % 4)
            head = struct.pack("<IIIII", links.index(p.link), p.ts >> 32, p.ts & 0xFFFFFFFF, size, p.original or size)
            length = struct.pack("<I", 12 + len(head) + len(body))
            file.write(struct.pack("<I", 6) + length + head + body + length)
    return path
