"""The packets of the golden captures of Modbus; those of other protocols have files of their own."""

from __future__ import annotations

import itertools
import struct

from tests.decode.packets import (
    ACK,
    MS,
    SECOND,
    START_NS,
    Packet,
    Talk,
    ether,
    ip6,
    ip6_fragment,
    mbap,
    polls,
    read,
    refusal,
    rtu,
    tcp,
    values,
)
from tests.golden import (
    arp_cases,
    bacnet_cases,
    bacnet_event_cases,
    dnp3_cases,
    enip_cases,
    iec104_cases,
    s7_cases,
    s7_user_cases,
)
from tests.golden.registry import CASES, case

__all__ = ["CASES"]

OTHERS = (
    dnp3_cases,
    iec104_cases,
    bacnet_cases,
    bacnet_event_cases,
    s7_cases,
    s7_user_cases,
    enip_cases,
    arp_cases,
)
"""The cases of other protocols, registered as their files are imported."""


def words(*numbers: int) -> bytes:
    return struct.pack(f"!{len(numbers)}H", *numbers)


def exchanges(pairs: list[tuple[bytes, bytes]], unit: int = 1) -> list[Packet]:
    """A connection with one request and one response for each pair of PDUs."""
    talk = Talk().open()
    for txn, (request, response) in enumerate(pairs, 1):
        talk.ask(mbap(txn, unit, request))
        talk.answer(mbap(txn, unit, response))
    return talk.packets


@case
def modbus_public_functions() -> list[Packet]:
    """Every public function code but 8 and 43, once, with its addresses, quantities and values."""
    group = bytes([6]) + words(4, 1, 2)
    return exchanges(
        [
            (b"\x01" + words(19, 11), b"\x01\x02\xcd\x05"),
            (b"\x02" + words(196, 3), b"\x02\x01\x05"),
            (b"\x03" + words(107, 3), b"\x03\x06" + words(555, 0, 100)),
            (b"\x04" + words(8, 1), b"\x04\x02" + words(10)),
            (b"\x05" + words(172, 0xFF00), b"\x05" + words(172, 0xFF00)),
            (b"\x06" + words(1, 3), b"\x06" + words(1, 3)),
            (b"\x07", b"\x07\x6d"),
            (b"\x0b", b"\x0b" + words(0xFFFF, 264)),
            (b"\x0c", b"\x0c\x08" + words(0, 264, 289) + b"\x20\x00"),
            (b"\x0f" + words(19, 10) + b"\x02\xcd\x01", b"\x0f" + words(19, 10)),
            (b"\x10" + words(1, 2) + b"\x04" + words(10, 258), b"\x10" + words(1, 2)),
            (b"\x11", b"\x11\x06PUMP7\xff"),
            (b"\x14\x07" + group, b"\x14\x06\x05\x06" + words(0x0DFE, 0x0020)),
            (b"\x15\x0b" + group + words(5, 6), b"\x15\x0b" + group + words(5, 6)),
            (b"\x16" + words(4, 0x00F2, 0x0025), b"\x16" + words(4, 0x00F2, 0x0025)),
            (b"\x17" + words(3, 2, 14, 1) + b"\x02" + words(255), b"\x17\x04" + words(254, 0x0ACD)),
            (b"\x18" + words(1246), b"\x18" + words(6, 2, 440, 4740)),
        ]
    )


@case
def modbus_diagnostics() -> list[Packet]:
    """Function 8: an echo, a counter, cleared counters, a restart, listen-only mode (which has no answer)."""
    packets = exchanges([(b"\x08" + words(sub, data), b"\x08" + words(sub, data)) for sub, data in ((0, 42), (10, 0))])
    talk = Talk(port=40001).open()
    talk.ask(mbap(1, 1, b"\x08" + words(11, 0)))
    talk.answer(mbap(1, 1, b"\x08" + words(11, 777)))
    talk.ask(mbap(2, 1, b"\x08" + words(1, 0)))
    talk.answer(mbap(2, 1, b"\x08" + words(1, 0)))
    talk.ask(mbap(3, 1, b"\x08" + words(4, 0)))
    return [*packets, *(p.at(p.ts + SECOND) for p in talk.packets)]


@case
def modbus_exceptions() -> list[Packet]:
    """Exceptions: they take address and quantity of what was refused; one code is not in the specification."""
    pairs = [(b"\x03" + words(0x9C40, 2), bytes([0x83, code])) for code in (1, 2, 3, 4, 5, 6, 8, 10, 11, 99)]
    pairs.append((b"\x10" + words(5, 1) + b"\x02" + words(7), b"\x90\x02"))
    pairs.append((b"\x08" + words(4, 0), b"\x88\x01"))
    return exchanges(pairs)


@case
def modbus_malformed() -> list[Packet]:
    """Quantities out of range, wrong lengths and byte counts, values and codes that do not exist, each kept."""
    return exchanges(
        [
            (b"\x03" + words(0, 0), b"\x83\x03"),
            (b"\x03" + words(0, 126), b"\x83\x03"),
            (b"\x01" + words(65535, 2), b"\x81\x02"),
            (b"\x03" + words(0, 2) + b"\0", b"\x03\x04" + words(1)),
            (b"\x03" + words(0, 2), b"\x03\x02" + words(1)),
            (b"\x05" + words(1, 0x1234), b"\x05" + words(1, 0x1234)),
            (b"\x10" + words(1, 2) + b"\x02" + words(5), b"\x10" + words(1, 3)),
            (b"\x06" + words(1, 3), b"\x06" + words(1, 4)),
            (b"\x63" + b"reserved", b"\xe3\x01"),
            (b"\x41user", b"\x41ok"),
            (b"\x00", b"\x80\x01"),
        ]
    )


@case
def modbus_split_and_pipelined() -> list[Packet]:
    """PDUs over many segments, byte by byte too, and many PDUs in one segment."""
    talk = Talk().open()
    for byte in read(1, 10, 2):
        talk.ask(bytes([byte]))
    answer = values(1, 1, 1001)
    talk.answer(answer[:7])
    talk.answer(answer[7:])
    talk.ask(b"".join(read(txn, 10 * txn, 1) for txn in (2, 3, 4)) + read(5, 50, 1)[:5])
    talk.ask(read(5, 50, 1)[5:] + read(6, 60, 1))
    talk.answer(b"".join(values(txn, txn) for txn in (2, 3, 4, 5, 6)))
    return talk.packets


@case
def modbus_reordered() -> list[Packet]:
    """Segments out of order, retransmitted and overlapping: the stream is what was sent."""
    talk = Talk().open()
    for txn in range(1, 5):
        talk.ask(read(txn, 10 * txn, 2))
    stream = b"".join(values(txn, txn, txn + 1000) for txn in range(1, 5))
    for a, b in ((26, 39), (10, 30), (0, 13), (39, 52), (0, 13)):
        talk.put(talk.segment(1, stream[a:b], seq=5001 + a))
    return talk.packets


@case
def modbus_lost_segment() -> list[Packet]:
    """Two segments that were never captured: given up by acknowledgement and three segments, and by time."""
    talk = Talk().open()
    for txn in range(1, 6):
        talk.ask(read(txn, 10 * txn, 2))
    talk.answer(values(1, 1, 1001))
    talk.send(1, values(2, 2, 1002), lost=True)
    for txn in (3, 4, 5):
        talk.answer(values(txn, txn, txn + 1000))
    talk.acknowledge(0)
    talk.send(0, read(6, 60, 2), lost=True)
    talk.ask(read(7, 70, 2))
    talk.now += 2 * SECOND
    talk.answer(values(6, 6, 1006))
    talk.answer(values(7, 7, 1007))
    return talk.packets


@case
def modbus_mirrored_twice() -> list[Packet]:
    """Every packet seen twice, the second time in a VLAN and 300 µs later: each PDU is one record."""
    plain, tagged = polls(3).packets, polls(3, Talk(vlans=((0x8100, 20),)).open()).packets
    return sorted([*plain, *(p.at(p.ts + 300_000) for p in tagged)], key=lambda p: p.ts)


@case
def modbus_midstream() -> list[Packet]:
    """The capture begins within a connection, the first answer without its request; the ports are reused later."""
    talk = polls(2)
    again = polls(1, Talk(seq=[900_000_000, 3_000_000_000], now=talk.now + SECOND), first=9)
    return [*talk.packets[4:], *again.packets]


@case
def modbus_rtu_over_tcp() -> list[Packet]:
    """RTU frames with their CRC through a serial gateway, one with a wrong CRC, and a broadcast."""
    talk = Talk().open()
    for unit in (1, 2):
        talk.ask(rtu(unit, b"\x03" + words(10, 2)))
        talk.answer(rtu(unit, b"\x03\x04" + words(unit, 500)))
    talk.ask(rtu(1, b"\x06" + words(4, 5)))
    talk.answer(rtu(1, b"\x06" + words(4, 5))[:-1] + b"\0")
    talk.ask(rtu(0, b"\x06" + words(4, 5)))
    return talk.packets


@case
def modbus_udp() -> list[Packet]:
    """Modbus over UDP, with a datagram mirrored twice and one repeated by the client."""
    talk = Talk()
    talk.datagram(0, read(1, 10, 2), 500)
    talk.datagram(0, read(1, 10, 2), 500)
    talk.datagram(1, values(1, 1, 1001), 600)
    talk.datagram(0, read(2, 20, 1), 501)
    talk.datagram(0, read(2, 20, 1), 502)
    talk.datagram(1, values(2, 2), 601)
    return talk.packets


@case
def modbus_other_port() -> list[Packet]:
    """Modbus on port 1502, without a handshake: found by its shape, the client by what it says."""
    return polls(2, Talk(server_port=1502)).packets


@case
def modbus_not_modbus() -> list[Packet]:
    """HTTP on port 502: one record says so; a Modbus connection beside it is not touched."""
    web = Talk(port=41000).open()
    for _ in range(2):
        web.ask(b"GET / HTTP/1.0\r\n\r\n")
        web.answer(b"HTTP/1.0 200 OK\r\n\r\n")
    return [*web.packets, *(p.at(p.ts + SECOND) for p in polls(1).packets)]


@case
def modbus_gateway_units() -> list[Packet]:
    """A gateway with three units behind it, the same transaction number for all, one target that does not answer."""
    talk = Talk().open()
    for unit in (1, 2, 3):
        talk.ask(read(7, 100, 1, unit=unit))
    talk.answer(values(7, 33, unit=3))
    talk.answer(values(7, 11, unit=1))
    talk.answer(refusal(7, 3, 0x0B, unit=2))
    return talk.packets


@case
def modbus_umas() -> list[Packet]:
    """Function 90: reservation, a read, a stop, refused requests; the sub-function of an answer is its request's."""
    return exchanges(
        [
            (b"\x5a\x00\x02", b"\x5a\x00\xfe\x01\x02"),
            (b"\x5a\x00\x10" + b"\x25\x10\x00\x00", b"\x5a\x00\xfe\x01"),
            (b"\x5a\x01\x22" + bytes(4), b"\x5a\x01\xfe" + bytes(6)),
            (b"\x5a\x01\x41\xff\x00", b"\x5a\x01\xfe"),
            (b"\x5a\x01\x40\xff\x00", b"\x5a\x01\xfd\x80"),
        ],
        unit=0,
    )


@case
def modbus_device_id() -> list[Packet]:
    """Function 43/14: basic identification in two parts, one object alone, and CANopen (43/13) as bytes."""

    def objects(*parts: tuple[int, bytes]) -> bytes:
        return bytes([len(parts)]) + b"".join(bytes([number, len(text)]) + text for number, text in parts)

    return exchanges(
        [
            (b"\x2b\x0e\x01\x00", b"\x2b\x0e\x01\x81\xff\x02" + objects((0, b"Acme"), (1, b"PM-200"))),
            (b"\x2b\x0e\x01\x02", b"\x2b\x0e\x01\x81\x00\x00" + objects((2, b"V1.3"))),
            (b"\x2b\x0e\x04\x01", b"\x2b\x0e\x04\x81\x00\x00" + objects((1, b"PM-\xe9"))),
            (b"\x2b\x0d\x01\x02", b"\x2b\x0d\x03"),
        ]
    )


@case
def modbus_vlan_qinq() -> list[Packet]:
    """The same addresses in a VLAN and in two tags: one device, unless VLANs are said to tell devices apart."""
    one = polls(1, Talk(port=40001, vlans=((0x8100, 30),)).open())
    two = polls(1, Talk(port=40002, vlans=((0x88A8, 200), (0x8100, 30)), now=one.now).open())
    return [*one.packets, *two.packets]


@case
def modbus_ipv6_fragments() -> list[Packet]:
    """IPv6 with extension headers; the response in three fragments that come last to first."""
    client, server = "fd00::1", "fd00::2"
    request = tcp((40000, 502), 1000, 5000, read(1, 10, 20))
    body = tcp((502, 40000), 5000, 1012, values(1, *range(20)))
    frames = [ether(ip6(client, server, request, extensions=[(0, bytes(7)), (60, bytes(7))]), 0x86DD)]
    for a, b in reversed(list(itertools.pairwise([0, 24, 48, len(body)]))):
        piece = ip6(server, client, body[a:b], 6, [(0, bytes(7)), ip6_fragment(a, b < len(body))])
        frames.append(ether(piece, 0x86DD, swap=True))
    return [Packet(START_NS + i * MS, frame) for i, frame in enumerate(frames)]


@case
def modbus_timeout_late() -> list[Packet]:
    """A request without an answer, one answered after its time, one answered twice."""
    talk = Talk().open()
    talk.ask(read(1, 10, 1))
    talk.ask(read(2, 20, 1))
    talk.now += 7 * SECOND
    talk.answer(values(2, 2))
    talk.ask(read(3, 30, 1))
    talk.answer(values(3, 3))
    talk.answer(values(3, 3))
    talk.put(talk.segment(0, b"", ACK))
    return talk.packets


@case
def modbus_cut_short() -> list[Packet]:
    """A capture with a snap length of 66 bytes, which cuts responses: what is there is decoded, and said to be cut."""
    talk = Talk().open()
    talk.ask(read(1, 10, 4))
    talk.answer(values(1, 1, 2, 3, 4))
    talk.ask(read(2, 20, 1))
    talk.answer(values(2, 5))
    return [p.cut(66) for p in talk.packets]
