"""Claims of addresses by ARP: which packets make a record, what it says, and how many there are at most."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from pipeline.decode.arp import CLAIMS_PER_SECOND
from schemas.codes import Kind, Op, Protocol, RecordFlag, Transport
from tests.decode.packets import (
    CLIENT_MAC,
    SECOND,
    SERVER_MAC,
    SLL,
    START_NS,
    Packet,
    address,
    ether,
    ip4,
    read,
    tcp,
    values,
)
from tests.decode.reading import decode

A, B = "10.0.0.1", "10.0.0.2"
EVERYBODY = b"\xff" * 6
POLL = [
    Packet(START_NS, ether(ip4(A, B, tcp((40000, 502), 1000, 5000, read(1, 7, 2))))),
    Packet(START_NS + 1000, ether(ip4(B, A, tcp((502, 40000), 5000, 1012, values(1, 11, 12))), swap=True)),
]
LATER = START_NS + SECOND


def arp(
    operation: int = 2, mac: bytes = SERVER_MAC, own: str = B, asked: str = A, head: bytes = b"\0\1\x08\0\6\4"
) -> bytes:
    return head + struct.pack("!H", operation) + mac + address(own) + CLIENT_MAC + address(asked)


def framed(body: bytes, to: bytes = CLIENT_MAC, tags: bytes = b"") -> bytes:
    return to + SERVER_MAC + tags + b"\x08\x06" + body


def claims(*packets: Packet, **settings: Any) -> list[Any]:
    return decode([*POLL, *packets], **settings).of(Kind.ANNOUNCE)


def test_a_reply_is_a_record_of_the_address_that_it_claims() -> None:
    found = decode([*POLL, Packet(LATER, framed(arp()) + bytes(18))])
    request, _, said = found.records
    assert (said.kind, said.protocol, said.transport) == (Kind.ANNOUNCE, Protocol.ARP, Transport.ETHERNET)
    assert (said.op, said.func, said.client_is_src, said.length) == (Op.UNKNOWN, 2, 0, 28)
    assert said.device == request.device
    assert (said.src_ip, said.dst_ip) == (request.dst_ip, request.src_ip)
    assert (said.src_mac, said.dst_mac) == (0x020000000002, 0x020000000001)
    assert (said.src_port, said.dst_port, said.match, said.anomaly, said.points) == (0, 0, 0, 0, [])
    assert (said.ts, said.packet, said.seq, said.flags) == (LATER, 3, 3, 0)
    assert found.health["link", "protocol", "arp"] == 1
    assert ("link", "skipped", "not IP") not in found.health


def test_requests_and_announcements_claim_too() -> None:
    asked, announced = claims(
        Packet(LATER, framed(arp(1), EVERYBODY)), Packet(LATER + 1, framed(arp(1, asked="10.0.0.3", own="10.0.0.3")))
    )
    assert (asked.func, asked.flags) == (1, RecordFlag.BROADCAST)
    assert announced.src_ip == announced.dst_ip


def test_what_is_claimed_counts_not_who_sent_it() -> None:
    (said,) = claims(Packet(LATER, framed(arp(mac=b"\2\0\0\0\0\x99"))))
    assert said.src_mac == 0x020000000099


@pytest.mark.parametrize(
    "body",
    [
        arp(own="0.0.0.0"),  # a probe of RFC 5227
        arp(own="127.0.0.1"),
        arp(own="224.0.0.1"),
        arp(own="255.255.255.255"),
        arp(mac=bytes(6)),
        arp(0),
        arp(3),  # reverse
        arp(head=b"\0\6\x08\0\6\4"),
        arp(head=b"\0\1\x86\xdd\6\4"),
        arp(head=b"\0\1\x08\0\x08\4"),
        arp(head=b"\0\1\x08\0\6\x10"),
        arp()[:27],
        b"",
    ],
)
def test_what_claims_no_address_is_skipped(body: bytes) -> None:
    found = decode([*POLL, Packet(LATER, framed(body))])
    assert found.of(Kind.ANNOUNCE) == []
    assert found.health["link", "skipped", "not IP"] == 1
    assert found.health["link", "protocol", "arp"] == 1


def test_before_the_first_record_nothing_is_told() -> None:
    alone = decode([Packet(START_NS, framed(arp()))])
    assert alone.records == []
    assert alone.health["link", "skipped", "not IP"] == 1
    assert [r.kind for r in decode([Packet(START_NS, framed(arp())), *POLL]).records] == [Kind.REQUEST, Kind.RESPONSE]


def test_a_claim_repeated_is_told_every_ten_seconds_and_a_change_at_once() -> None:
    own, other = framed(arp()), framed(arp(mac=b"\2\0\0\0\0\x99"))
    times = [(0, own), (1, own), (9, own), (10, own), (11, other), (12, own), (13, own), (30, own)]
    found = claims(*(Packet(LATER + second * SECOND, frame) for second, frame in times))
    assert [(r.ts - LATER) // SECOND for r in found] == [0, 10, 11, 12, 30]


def test_a_flood_costs_no_more_than_its_bound() -> None:
    flood = [
        Packet(LATER + i * 1000, framed(arp(own=f"10.1.{i >> 8}.{i & 255}"))) for i in range(3 * CLAIMS_PER_SECOND)
    ]
    found = decode([*POLL, *flood, Packet(LATER + SECOND, framed(arp()))])
    told = found.of(Kind.ANNOUNCE)
    assert len(told) == CLAIMS_PER_SECOND + 1
    assert told[-1].ts == LATER + SECOND
    assert found.health["link", "dropped", "ARP claims beyond the bound"] == 2 * CLAIMS_PER_SECOND


def test_a_claim_among_the_packets_of_a_conversation_leaves_it_alone() -> None:
    frame = framed(arp())
    plain = decode([POLL[0], POLL[1].at(LATER + 2)])
    among = decode([POLL[0], Packet(LATER, frame), Packet(LATER + 1, frame), POLL[1].at(LATER + 2)])
    assert [r.kind for r in among.records] == [Kind.REQUEST, Kind.ANNOUNCE, Kind.RESPONSE]
    one, other = plain.records[1], among.records[2]
    assert (one.match, one.rtt_us, one.values, one.flow) == (other.match, other.rtt_us, other.values, other.flow)
    assert among.records[1].flow not in {r.flow for r in plain.records}


@pytest.mark.parametrize("scoped", [False, True])
def test_vlans_and_other_links(scoped: bool) -> None:
    tagged = framed(arp(), tags=b"\x81\0\0\5")
    cooked = struct.pack("!HHH8sH", 0, 1, 6, b"\x02\0\0\0\0\x09\0\0", 0x0806) + arp()
    untagged, seen, other = claims(
        Packet(LATER, framed(arp())),
        Packet(LATER, tagged),
        Packet(LATER + 11 * SECOND, cooked, SLL),
        vlan_tells_devices_apart=scoped,
    )
    assert (untagged.vlan, seen.vlan, other.vlan) == (0, 5, 0)
    assert (untagged.device == seen.device) == (not scoped)
    assert other.src_mac == 0x020000000002
