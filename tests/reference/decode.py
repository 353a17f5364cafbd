"""Decode in plain Python: dictionaries, slices and lists, one clear step after the other.

It reads Ethernet, ARP that claims an address, IPv4 with fragments, TCP and UDP, restores the order of streams with
patience without end (no hole is ever given up), frames Modbus/TCP and pairs requests with responses.  Where the
Decoder's patience or bounds matter it says something else, and the tests keep away from there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.codes import Kind, Match
from tests.decode.packets import SYN, Packet

TIMEOUT_NS = 5_000_000_000
LATE_NS = 60_000_000_000
CLAIM_NS = 10_000_000_000
REMEMBERED = 3
FIN_SYN_RST = 7
End = tuple[bytes, int]


@dataclass
class Record:
    """What the twin says of a PDU."""

    packet: int
    kind: int
    txn: int
    unit: int
    func: int
    match: int = 0
    peer_seq: int = 0
    rtt_us: int = -1
    addr: int = 0
    count: int = 0
    status: int = 0
    values: list[float] = field(default_factory=list)
    length: int = 0
    ts: int = 0
    differs: bool = False


@dataclass
class Side:
    """One direction of a connection."""

    expected: int | None = None
    waiting: dict[int, tuple[bytes, int, int]] = field(default_factory=dict)
    bytes: bytes = b""
    said: list[tuple[int, bytes]] = field(default_factory=list)

    def remember(self, start: int, pdu: bytes) -> None:
        self.said = [*self.said[1 - REMEMBERED :], (start % 2**32, pdu)]

    def contradicted_at(self, seq: int, copy: bytes) -> int:
        """Where a copy says something else than each PDU that was said there, -1 for nowhere."""
        places = []
        for start, pdu in self.said:
            at = (start - seq) % 2**32
            if at + len(pdu) <= len(copy) and (start, copy[at : at + len(pdu)]) not in self.said:
                places.append(at)
        return min(places, default=-1)


@dataclass
class Connection:
    sides: dict[End, Side] = field(default_factory=dict)
    requests: list[tuple[int, Record]] = field(default_factory=list)
    last_answer: tuple[int, int, int] = (-1, -1, 0)


class Decoder:
    """Packets in, records out."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._fragments: dict[tuple[bytes, bytes, int, int], dict[int, tuple[bytes, bool]]] = {}
        self._connections: dict[frozenset[End], Connection] = {}
        self._claims: dict[bytes, tuple[bytes, int]] = {}
        self._open: list[tuple[int, Record, Connection]] = []

    def feed(self, packets: Iterable[Packet]) -> list[Record]:
        for number, packet in enumerate(packets, 1):
            self._expire(packet.ts)
            self._ethernet(packet, number)
        return self.records

    def _expire(self, now: int) -> None:
        for seq, request, connection in list(self._open):
            if request.ts + TIMEOUT_NS <= now:
                self._open.remove((seq, request, connection))
                late = Record(**(vars(request) | {"kind": Kind.TIMEOUT, "match": Match.NONE, "peer_seq": seq}))
                late.length, late.values, late.ts = 0, [], request.ts + TIMEOUT_NS
                self.records.append(late)

    def _ethernet(self, packet: Packet, number: int) -> None:
        at = 12
        while packet.data[at : at + 2] in (b"\x81\x00", b"\x88\xa8", b"\x91\x00"):
            at += 4
        if packet.data[at : at + 2] == b"\x08\x00":
            self._ip(packet, packet.data[at + 2 :], number)
        elif packet.data[at : at + 2] == b"\x08\x06" and self.records:
            self._arp(packet, packet.data[at + 2 :], number)

    def _arp(self, packet: Packet, data: bytes, number: int) -> None:
        mac, address = data[8:14], data[14:18]
        before, since = self._claims.get(address, (b"", 0))
        if mac != before or packet.ts - since >= CLAIM_NS:
            self._claims[address] = mac, packet.ts
            self.records.append(Record(number, Kind.ANNOUNCE, 0, 0, data[7], length=28, ts=packet.ts))

    def _ip(self, packet: Packet, data: bytes, number: int) -> None:
        header, total = 4 * (data[0] & 15), struct.unpack("!H", data[2:4])[0]
        ident, fragment = struct.unpack("!HH", data[4:8])
        protocol, src, dst, payload = data[9], data[12:16], data[16:20], data[header:total]
        if fragment & 0x3FFF:
            pieces = self._fragments.setdefault((src, dst, ident, protocol), {})
            pieces.setdefault(8 * (fragment & 0x1FFF), (payload, bool(fragment & 0x2000)))
            payload = joined(pieces)
            if not payload:
                return
            del self._fragments[src, dst, ident, protocol]
        ports = struct.unpack("!HH", payload[:4]) if len(payload) >= 8 else (0, 0)
        source, target = (src, ports[0]), (dst, ports[1])
        if 502 not in ports:
            return
        connection = self._connections.setdefault(frozenset((source, target)), Connection())
        if protocol == 6:
            self._tcp(packet, payload, number, connection, source, target)
        elif protocol == 17:
            self._pdu(payload[8:], packet.ts, number, connection, source, target)

    def _tcp(self, packet: Packet, data: bytes, number: int, connection: Connection, source: End, target: End) -> None:
        seq, flags, payload = struct.unpack("!I", data[4:8])[0], data[13], data[4 * (data[12] >> 4) :]
        side = connection.sides.setdefault(source, Side())
        if flags & SYN:
            side.expected = (seq + 1) % 2**32
            return
        if not payload:
            return
        if side.expected is None:
            side.expected = seq
        other = side.contradicted_at(seq, payload) if (side.expected - seq) % 2**32 < 2**31 else -1
        if other >= 0:  # a whole PDU, as those who forge answers send
            side.remember(seq + other, payload[other:])
            self._pdu(payload[other:], packet.ts, number, connection, source, target).differs = True
            return
        # of bytes that came twice, the first count; the Decoder lets a segment in order go before what it holds, which
        # shows only where the two come from different packets
        for i, byte in enumerate(payload):
            side.waiting.setdefault((seq + i) % 2**32, (bytes([byte]), packet.ts, number))
        while side.expected in side.waiting:
            byte, ts, by = side.waiting.pop(side.expected)
            side.bytes += byte
            side.expected = (side.expected + 1) % 2**32
            if len(side.bytes) >= 6 and len(side.bytes) == 6 + struct.unpack("!H", side.bytes[4:6])[0]:
                self._pdu(side.bytes, ts, by, connection, source, target)
                side.remember(side.expected - len(side.bytes), side.bytes)
                side.bytes = b""
        for old in [n for n in side.waiting if 0 < (side.expected - n) % 2**32 < 2**31]:
            del side.waiting[old]

    def _pdu(self, data: bytes, ts: int, number: int, connection: Connection, source: End, target: End) -> Record:
        txn, _, _, unit, func = struct.unpack("!HHHBB", data[:8])
        kind = Kind.REQUEST if target[1] == 502 else Kind.RESPONSE
        record = Record(number, kind, txn, unit, func & 0x7F, length=len(data), ts=ts)
        seq = len(self.records) + 1
        if kind == Kind.REQUEST:
            record.match = Match.PENDING
            read_request(record, data[8:])
            connection.requests.append((seq, record))
            self._open.append((seq, record, connection))
        else:
            asked = self._pair(record, connection)
            connection.last_answer = (txn, unit, seq)
            read_response(record, data[7:], asked)
        self.records.append(record)
        return record

    def _pair(self, response: Record, connection: Connection) -> Record | None:
        """The newest open request of this transaction and unit, one of the same function first."""
        same = [
            (seq, request)
            for seq, request in reversed(connection.requests)
            if (request.txn, request.unit) == (response.txn, response.unit)
            and request.ts + TIMEOUT_NS + LATE_NS > response.ts
        ]
        same.sort(key=lambda pair: pair[1].func != response.func)
        if not same:
            known = connection.last_answer[:2] == (response.txn, response.unit)
            response.match = Match.DUPLICATE if known else Match.UNMATCHED
            response.peer_seq = connection.last_answer[2] if known else 0
            return None
        seq, request = same[0]
        connection.requests.remove((seq, request))
        waited = (seq, request, connection) in self._open
        if waited:
            self._open.remove((seq, request, connection))
        response.match = Match.MATCHED if waited else Match.LATE
        response.peer_seq, response.rtt_us = seq, max(0, response.ts - request.ts) // 1000
        return request if request.func == response.func else None


def joined(pieces: dict[int, tuple[bytes, bool]]) -> bytes:
    """A datagram of which all pieces are there, else nothing."""
    whole = b""
    for offset, (piece, more) in sorted(pieces.items()):
        if offset != len(whole):
            return b""
        whole += piece
        if not more:
            return whole
    return b""


def numbers(data: bytes) -> list[float]:
    return [float(n) for n in struct.unpack(f"!{len(data) // 2}H", data)]


def bits(data: bytes, count: int) -> list[float]:
    return [float(data[i // 8] >> i % 8 & 1) for i in range(min(count, 8 * len(data)))]


def read_request(record: Record, body: bytes) -> None:
    """Address, quantity and written values of a request (MODBUS Application Protocol V1.1b3, 6)."""
    func = record.func
    if func in (1, 2, 3, 4, 15, 16, 23):
        record.addr, record.count = struct.unpack("!HH", body[:4])
    if func in (5, 6):
        record.addr, record.count = struct.unpack("!H", body[:2])[0], 1
        record.values = [float(body[2] != 0)] if func == 5 else numbers(body[2:4])
    elif func == 15:
        record.values = bits(body[5:], record.count)
    elif func == 16:
        record.values = numbers(body[5:])
    elif func == 23:
        record.values = numbers(body[9:])


def read_response(record: Record, body: bytes, asked: Record | None) -> None:
    """Status and values of a response; `body` begins with the function code."""
    func = record.func
    if asked:
        record.addr, record.count = asked.addr, asked.count
    if body[0] & 0x80:
        record.status = body[1]
    elif func in (1, 2):
        record.values = bits(body[2:], asked.count if asked else 8 * body[1])
    elif func in (3, 4, 23):
        record.values = numbers(body[2 : 2 + body[1]])
    elif func in (5, 6, 15, 16):
        record.addr = struct.unpack("!H", body[1:3])[0]
        record.count = 1 if func in (5, 6) else struct.unpack("!H", body[3:5])[0]
        record.values = [float(body[3] != 0)] if func == 5 else numbers(body[3:5]) if func == 6 else []
