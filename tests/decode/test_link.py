"""From a packet's bytes to its segment: link types, tags, headers, mirror encapsulations, cut packets."""

from __future__ import annotations

import struct

import pytest

from schemas.codes import Anomaly, Kind, Match, Protocol, Transport
from tests.decode.packets import (
    ETHERNET,
    LOOPBACK,
    OPENBSD,
    RAW,
    RAW4,
    RAW6,
    SLL,
    SLL2,
    START_NS,
    Packet,
    Talk,
    ether,
    ip4,
    ip6,
    polls,
    read,
    tcp,
    udp,
    values,
)
from tests.decode.reading import Decoded, decode

A, B = "10.0.0.1", "10.0.0.2"
A6, B6 = "fd00::1", "fd00::2"
REQUEST = tcp((40000, 502), 1000, 5000, read(1, 7, 2))
RESPONSE = tcp((502, 40000), 5000, 1012, values(1, 11, 12))


def exchange(request: bytes, response: bytes, link: int = ETHERNET) -> Decoded:
    return decode([Packet(START_NS, request, link), Packet(START_NS + 1500_000, response, link)])


def assert_polled(found: Decoded, v6: bool = False) -> None:
    request, response = found.records
    assert (request.kind, request.match, request.addr, request.count) == (Kind.REQUEST, Match.PENDING, 7, 2)
    assert (response.kind, response.match, response.peer_seq) == (Kind.RESPONSE, Match.MATCHED, request.seq)
    assert (response.addr, response.values, response.rtt_us) == (7, [11.0, 12.0], 1500)
    assert [p.addr for p in response.points] == [7, 8]
    assert (request.packet, response.packet) == (1, 2)
    mapped = bytes(10) + b"\xff\xff"
    ends = (bytes.fromhex("fd" + 29 * "0" + "1"), bytes.fromhex("fd" + 29 * "0" + "2"))
    client, server = ends if v6 else (mapped + bytes([10, 0, 0, 1]), mapped + bytes([10, 0, 0, 2]))
    assert (request.src_ip, request.dst_ip) == (client, server) == (response.dst_ip, response.src_ip)
    assert (request.src_port, request.dst_port) == (40000, 502) == (response.dst_port, response.src_port)
    assert request.flow == response.flow
    assert request.device == response.device


def sll(payload: bytes, kind: int) -> bytes:
    return struct.pack("!HHH8sH", 0, 1, 6, b"\x02\0\0\0\0\x09\0\0", kind) + payload


def sll2(payload: bytes, kind: int) -> bytes:
    return struct.pack("!HHIHBB8s", kind, 0, 3, 1, 0, 6, b"\x02\0\0\0\0\x09\0\0") + payload


LINKS = {
    "ethernet": (ETHERNET, lambda ip, kind: ether(ip, kind)),
    "loopback": (LOOPBACK, lambda ip, kind: struct.pack("<I", 2 if kind == 0x0800 else 30) + ip),
    "loopback of the other byte order": (
        LOOPBACK,
        lambda ip, kind: struct.pack(">I", 2 if kind == 0x0800 else 24) + ip,
    ),
    "openbsd": (OPENBSD, lambda ip, kind: struct.pack(">I", 2) + ip),
    "raw": (RAW, lambda ip, kind: ip),
    "raw 12": (12, lambda ip, kind: ip),
    "raw 14": (14, lambda ip, kind: ip),
    "sll": (SLL, sll),
    "sll2": (SLL2, sll2),
    "sll vlan": (SLL, lambda ip, kind: sll(struct.pack("!HH", 5, kind) + ip, 0x8100)),
    "sll2 vlan": (SLL2, lambda ip, kind: sll2(struct.pack("!HH", 5, kind) + ip, 0x8100)),
    "vlan": (ETHERNET, lambda ip, kind: ether(ip, kind, [(0x8100, 5)])),
    "vlan with priority": (ETHERNET, lambda ip, kind: ether(ip, kind, [(0x8100, 0xE005)])),
    "qinq": (ETHERNET, lambda ip, kind: ether(ip, kind, [(0x88A8, 100), (0x8100, 5)])),
    "qinq 9100": (ETHERNET, lambda ip, kind: ether(ip, kind, [(0x9100, 100), (0x8100, 5)])),
    "four tags": (ETHERNET, lambda ip, kind: ether(ip, kind, [(0x8100, n) for n in (1, 2, 3, 4)])),
    "padded": (ETHERNET, lambda ip, kind: ether(ip, kind) + bytes(9)),
}
VLANS = {
    "sll vlan": 5,
    "sll2 vlan": 5,
    "vlan": 5,
    "vlan with priority": 5,
    "qinq": 100 << 16 | 5,
    "qinq 9100": 100 << 16 | 5,
    "four tags": 3 << 16 | 4,
}


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("version", [4, 6])
def test_every_link_type(name: str, version: int) -> None:
    link, wrap = LINKS[name]
    if version == 4:
        found = exchange(wrap(ip4(A, B, REQUEST), 0x0800), wrap(ip4(B, A, RESPONSE), 0x0800), link)
    else:
        found = exchange(wrap(ip6(A6, B6, REQUEST), 0x86DD), wrap(ip6(B6, A6, RESPONSE), 0x86DD), link)
    assert_polled(found, version == 6)
    assert [r.vlan for r in found.records] == [VLANS.get(name, 0)] * 2
    macs = [(r.src_mac, r.dst_mac) for r in found.records]
    if link == ETHERNET:
        assert macs == [(0x020000000001, 0x020000000002)] * 2
    else:
        assert macs == [(0x020000000009 if link in (SLL, SLL2) else 0, 0)] * 2


@pytest.mark.parametrize(("link", "wrap"), [(RAW4, ip4), (RAW6, ip6)])
def test_raw_ip_of_one_version(link: int, wrap: type) -> None:
    v6 = link == RAW6
    ends = (A6, B6) if v6 else (A, B)
    assert_polled(exchange(wrap(*ends, REQUEST), wrap(*reversed(ends), RESPONSE), link), v6)


def test_an_unknown_link_type_is_counted() -> None:
    found = exchange(ether(ip4(A, B, REQUEST)), ether(ip4(B, A, RESPONSE)), 147)
    assert found.records == []
    assert found.health["link", "skipped", "unknown link type"] == 2


def test_ip4_options() -> None:
    options = bytes([7, 39, 4]) + bytes(37)
    assert_polled(exchange(ether(ip4(A, B, REQUEST, options=options)), ether(ip4(B, A, RESPONSE, options=options[:8]))))


def test_tcp_options() -> None:
    request = tcp((40000, 502), 1000, 5000, read(1, 7, 2), options=bytes([1, 1, 8, 10]) + bytes(8))
    assert_polled(exchange(ether(ip4(A, B, request)), ether(ip4(B, A, RESPONSE))))


def test_ip_length_left_zero_by_offload() -> None:
    assert_polled(exchange(ether(ip4(A, B, REQUEST, total=0)), ether(ip4(B, A, RESPONSE, total=0))))


EXTENSIONS = {
    "hop by hop": (0, bytes([0]) + bytes(6)),
    "routing": (43, bytes([2]) + bytes(22)),
    "destination": (60, bytes([1]) + bytes(14)),
    "authentication": (51, bytes([4]) + bytes(22)),
    "atomic fragment": (44, bytes(7)),
    "mobility": (135, bytes([0]) + bytes(6)),
}


@pytest.mark.parametrize("names", [[name] for name in EXTENSIONS] + [list(EXTENSIONS)[:5]])
def test_ip6_extension_headers(names: list[str]) -> None:
    chain = [EXTENSIONS[name] for name in names]
    request, response = (ip6(A6, B6, REQUEST, extensions=chain), ip6(B6, A6, RESPONSE, extensions=chain))
    assert_polled(exchange(ether(request, 0x86DD), ether(response, 0x86DD)), True)


def gre(kind: int, inner: bytes, flags: int = 0, fields: bytes = b"") -> bytes:
    return struct.pack("!HH", flags, kind) + fields + inner


def vxlan(inner: bytes) -> bytes:
    return udp((5555, 4789), struct.pack("!BBHI", 8, 0, 0, 77 << 8) + inner)


MIRRORS = {
    "gre ethernet": (47, lambda inner: gre(0x6558, inner)),
    "gre with key and checksum": (47, lambda inner: gre(0x6558, inner, 0xA000, bytes(8))),
    "erspan 1": (47, lambda inner: gre(0x88BE, inner)),
    "erspan 2": (47, lambda inner: gre(0x88BE, inner, 0x1000, bytes(4) + b"\x10" + bytes(7))),
    "erspan 3": (47, lambda inner: gre(0x22EB, inner, 0x1000, bytes(4) + b"\x20" + bytes(11))),
    "erspan 3 with a subheader": (
        47,
        lambda inner: gre(0x22EB, inner, 0x1000, bytes(4) + b"\x20" + bytes(10) + b"\x01" + bytes(8)),
    ),
    "vxlan": (17, vxlan),
}


@pytest.mark.parametrize("name", MIRRORS)
@pytest.mark.parametrize("outer", [4, 6])
def test_mirror_encapsulations(name: str, outer: int) -> None:
    protocol, wrap = MIRRORS[name]

    def mirror(inner: bytes) -> bytes:
        if outer == 4:
            return ether(ip4("192.0.2.1", "192.0.2.2", wrap(inner), protocol))
        return ether(ip6("2001:db8::1", "2001:db8::2", wrap(inner), protocol), 0x86DD)

    tag = [(0x8100, 9)]
    found = exchange(mirror(ether(ip4(A, B, REQUEST), vlans=tag)), mirror(ether(ip4(B, A, RESPONSE), vlans=tag)))
    assert_polled(found)
    assert {r.vlan for r in found.records} == {9}
    assert found.health["link", "seen", "mirror encapsulation removed"] == 2


def test_gre_with_ip_inside() -> None:
    assert_polled(
        exchange(
            ether(ip4("192.0.2.1", "192.0.2.2", gre(0x0800, ip4(A, B, REQUEST)), 47)),
            ether(ip4("192.0.2.1", "192.0.2.2", gre(0x0800, ip4(B, A, RESPONSE)), 47)),
        )
    )


def test_endless_nesting_is_given_up() -> None:
    frame = ether(ip4(A, B, REQUEST))
    for _ in range(9):
        frame = ether(ip4("192.0.2.1", "192.0.2.2", gre(0x6558, frame), 47))
    found = decode([Packet(START_NS, frame)])
    assert found.records == []
    assert found.health["link", "skipped", "nested too deeply"] == 1


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [
        (0x0806, Protocol.ARP),
        (0x88CC, Protocol.LLDP),
        (0x88B8, Protocol.GOOSE),
        (0x88BA, Protocol.SAMPLED_VALUES),
        (0x8892, Protocol.PROFINET),
        (0x88A4, Protocol.ETHERCAT),
        (0x88F7, Protocol.PTP),
        (0x0026, Protocol.STP),
    ],
)
def test_what_is_not_ip_is_counted_by_name(kind: int, protocol: Protocol) -> None:
    found = decode([Packet(START_NS, ether(bytes(46), kind)), Packet(START_NS, ether(bytes(46), kind, [(0x8100, 4)]))])
    assert found.health["link", "skipped", "not IP"] == 2
    assert found.health["link", "protocol", protocol.name.lower()] == 2


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (ether(ip4(A, B, bytes(8), 1)), "IP but neither TCP nor UDP"),
        (ether(ip6(A6, B6, bytes(8), 58), 0x86DD), "IP but neither TCP nor UDP"),
        (ether(ip4(A, B, bytes(8), 50)), "encrypted by IPsec"),
        (ether(ip4(A, B, b"", 6))[:20], "cut short in the IP header"),
        (ether(ip4(A, B, bytes(10), 6)), "cut short in the TCP or UDP header"),
        (ether(ip4(A, B, bytes(20), 6)), "bad TCP or UDP header"),
        (ether(ip4(A, B, struct.pack("!HHHH", 1, 2, 7, 0), 17)), "bad TCP or UDP header"),
        (ether(b"\x65" + bytes(40)), "bad IP header"),
        (ether(b"\x44" + bytes(40)), "bad IP header"),
        (ether(ip4(A, B, REQUEST, total=19)), "bad IP header"),
        (ether(ip6(A6, B6, b"", 0), 0x86DD), "cut short in the IP header"),
        (ether(b"")[:13], "cut short in the link header"),
        (ether(b"", 0x8100), "cut short in the link header"),
        (b"", "cut short in the link header"),
    ],
)
def test_what_is_skipped_is_counted_by_reason(frame: bytes, reason: str) -> None:
    found = decode([Packet(START_NS, frame)])
    assert found.records == []
    assert found.health["link", "skipped", reason] == 1
    assert found.health["link", "packets", "read"] == 1


@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: ether(ip4(A, B, vxlan(f), 17))], ids=["plain", "vxlan"])
def test_every_cut_of_a_packet(wrap: type) -> None:
    frame = wrap(ether(ip4(B, A, tcp((502, 40000), 5000, 1012, values(1, 11, 12, 13)))))
    request = Packet(START_NS, wrap(ether(ip4(A, B, REQUEST))))
    whole = len(frame)
    payload = whole - 15
    for size in range(whole):
        found = decode([request, Packet(START_NS + 1, frame).cut(size)])
        assert found.health["link", "packets", "read"] == 2
        if size <= payload:
            assert len(found.records) == 1
            continue
        _, response = found.records
        assert response.anomaly & Anomaly.TRUNCATED
        assert response.length == size - payload
        assert response.values == [11.0, 12.0, 13.0][: max(0, (size - payload - 9) // 2)]


def test_a_cut_segment_does_not_hide_the_next() -> None:
    talk = Talk().open()
    talk.ask(read(1, 7, 3))
    talk.put(talk.segment(1, values(1, 11, 12, 13)).cut(54 + 11))
    talk.seq[1] += 15
    polls(1, talk, first=2)
    found = decode(talk.packets)
    assert [(r.txn, r.match) for r in found.of(Kind.RESPONSE)] == [(1, Match.MATCHED), (2, Match.MATCHED)]
    assert found.records[1].values == [11.0]
    assert not found.records[-1].anomaly


def test_the_bytes_that_a_cut_takes_are_not_glued_over() -> None:
    """Half a PDU, its other half cut off by the capture, then a whole PDU in two halves."""
    talk = Talk().open()
    pdu = values(9, *range(20))
    talk.ask(read(9, 7, 20))
    talk.answer(pdu[:20])
    talk.put(talk.segment(1, pdu[20:]).cut(54 + 5))
    talk.seq[1] += len(pdu) - 20
    talk.ask(read(10, 7, 20))
    follow = values(10, *range(100, 120))
    talk.answer(follow[:25])
    talk.answer(follow[25:])
    found = decode(talk.packets)
    last = found.records[-1]
    assert (last.txn, last.match, last.values) == (10, Match.MATCHED, [float(v) for v in range(100, 120)])


def test_an_answer_to_a_cut_request_is_no_conflict() -> None:
    talk = Talk().open()
    talk.put(talk.segment(0, read(1, 7, 3)).cut(54 + 11))
    talk.seq[0] += 12
    talk.answer(values(1, 11, 12, 13))
    response = decode(talk.packets).records[1]
    assert (response.match, response.anomaly, response.values) == (Match.MATCHED, 0, [11.0, 12.0, 13.0])


def test_udp_length_shorter_than_the_datagram() -> None:
    body = read(1, 7, 2)
    frame = ether(ip4(A, B, struct.pack("!HHHH", 40000, 502, 8 + len(body), 0) + body + b"trailing", 17))
    (request,) = decode([Packet(START_NS, frame)]).records
    assert (request.length, request.transport, request.anomaly) == (12, Transport.UDP, 0)


def test_vlans_tell_devices_apart_only_when_told() -> None:
    packets = [
        Packet(START_NS + vid, ether(ip4(A, B, tcp((40000, 502), 1000, 1, read(1))), vlans=[(0x8100, vid)]))
        for vid in (1, 2)
    ]
    assert len(decode(packets).records) == 1  # the same sequence number: a copy
    apart = decode(packets, vlan_tells_devices_apart=True).records
    assert len({r.device for r in apart}) == len({r.flow for r in apart}) == 2
