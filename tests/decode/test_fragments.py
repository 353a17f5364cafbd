"""IP datagrams from fragments: any order, copies, overlaps refused, bounds."""

from __future__ import annotations

import itertools
import random

import pytest

from schemas.codes import Anomaly, Match
from tests.decode.packets import SECOND, START_NS, Packet, ether, ip4, ip6, ip6_fragment, read, tcp, udp, values
from tests.decode.reading import decode

NUMBERS = list(range(100, 130))
REQUEST = ether(ip4("10.0.0.1", "10.0.0.2", tcp((40000, 502), 1000, 5000, read(1, 7, 30))))
SEGMENT = tcp((502, 40000), 5000, 1012, values(1, *NUMBERS))
REQUEST6 = ether(ip6("fd00::1", "fd00::2", tcp((40000, 502), 1000, 5000, read(1, 7, 30))), 0x86DD)


def pieces4(body: bytes, cuts: tuple[int, ...], ident: int = 33, protocol: int = 6) -> list[bytes]:
    ends = [0, *cuts, len(body)]
    return [
        ether(
            ip4("10.0.0.2", "10.0.0.1", body[a:b], protocol, ident=ident, offset=a, more=b < len(body)),
        )
        for a, b in itertools.pairwise(ends)
    ]


def pieces6(body: bytes, cuts: tuple[int, ...], ident: int = 33) -> list[bytes]:
    ends = [0, *cuts, len(body)]
    return [
        ether(
            ip6(
                "fd00::2", "fd00::1", body[a:b], 6, [(60, bytes([0]) + bytes(6)), ip6_fragment(a, b < len(body), ident)]
            ),
            0x86DD,
        )
        for a, b in itertools.pairwise(ends)
    ]


def packets(frames: list[bytes], step: int = 1000) -> list[Packet]:
    return [Packet(START_NS + i * step, frame) for i, frame in enumerate(frames)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
@pytest.mark.parametrize("version", [4, 6])
def test_any_order(order: tuple[int, ...], version: int) -> None:
    pieces = pieces4(SEGMENT, (16, 48, 72)) if version == 4 else pieces6(SEGMENT, (16, 48, 72))
    found = decode(packets([REQUEST if version == 4 else REQUEST6, *(pieces[i] for i in order)]))
    request, response = found.records
    assert (response.match, response.peer_seq) == (Match.MATCHED, request.seq)
    assert response.values == [float(v) for v in NUMBERS]
    assert response.anomaly & Anomaly.FRAGMENTED
    assert response.packet == 5
    assert found.health["link", "seen", "IP fragment"] == 4
    assert found.health["link", "joined", "datagrams from fragments"] == 1


def test_a_copied_fragment_is_harmless() -> None:
    a, b, c = pieces4(SEGMENT, (16, 48))
    found = decode(packets([REQUEST, a, a, b, b, c]))
    assert found.records[1].values == [float(v) for v in NUMBERS]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("where", [(8, 24), (40, 56), (16, 56), (64, 88)])
def test_overlapping_fragments_are_refused(version: int, where: tuple[int, int]) -> None:
    """RFC 5722: a datagram with overlapping fragments is dropped whole, whichever piece overlaps."""
    make = pieces4 if version == 4 else pieces6
    pieces = make(SEGMENT, (16, 48, 72))
    first, last = where
    if version == 4:
        bad = ether(ip4("10.0.0.2", "10.0.0.1", bytes(last - first), 6, ident=33, offset=first, more=True))
    else:
        extension = [(60, bytes([0]) + bytes(6)), ip6_fragment(first, True, 33)]
        bad = ether(ip6("fd00::2", "fd00::1", bytes(last - first), 6, extension), 0x86DD)
    found = decode(packets([REQUEST if version == 4 else REQUEST6, *pieces[:3], bad, pieces[3]]))
    assert len(found.records) == 1
    assert found.health["link", "dropped", "fragments given up"] >= 1


def test_a_second_end_is_refused() -> None:
    a, b, c = pieces4(SEGMENT, (16, 48))
    end = ether(ip4("10.0.0.2", "10.0.0.1", bytes(8), 6, ident=33, offset=56, more=False))
    assert len(decode(packets([REQUEST, a, c, end, b])).records) == 1


@pytest.mark.parametrize(("offset", "size"), [(65528, 16), (0, 12), (0, 0)])
def test_impossible_fragments_are_given_up(offset: int, size: int) -> None:
    piece = ether(ip4("10.0.0.2", "10.0.0.1", bytes(size), 6, offset=offset, more=True))
    found = decode(packets([REQUEST, piece]))
    assert found.health["link", "dropped", "fragments given up"] == 1


def test_fragments_older_than_30_seconds_are_given_up() -> None:
    a, b, c = pieces4(SEGMENT, (16, 48))
    late = [Packet(START_NS, REQUEST), Packet(START_NS, a), Packet(START_NS, b), Packet(START_NS + 31 * SECOND, c)]
    assert [r.match for r in decode(late).records if r.match == Match.MATCHED] == []


def test_datagrams_of_the_same_ends_are_kept_apart() -> None:
    other = tcp((502, 40000), 5000 + 69, 1024, values(2, *reversed(NUMBERS)))
    first, second = pieces4(SEGMENT, (16, 48)), pieces4(other, (24, 40), ident=34)
    ask = ether(ip4("10.0.0.1", "10.0.0.2", tcp((40000, 502), 1012, 5000, read(2, 7, 30))))
    mixed = [frame for pair in zip(first, second, strict=True) for frame in pair]
    found = decode(packets([REQUEST, ask, *mixed]))
    assert [r.values for r in found.records[2:]] == [
        [float(v) for v in NUMBERS],
        [float(v) for v in reversed(NUMBERS)],
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_udp_in_fragments(order: tuple[int, ...]) -> None:
    pieces = pieces4(udp((502, 40000), values(1, *NUMBERS)), (8, 40), protocol=17)
    found = decode(packets([pieces[i] for i in order]))
    assert found.records[0].values == [float(v) for v in NUMBERS]


def test_extension_headers_within_the_fragments() -> None:
    """RFC 8200, 4.5: the fragmentable part may begin with extension headers; they are in the first fragment."""
    body = bytes([6, 1]) + bytes(14) + SEGMENT
    frames = [
        ether(
            ip6("fd00::2", "fd00::1", body[a:b], 60, [ip6_fragment(a, b < len(body), 33)]),
            0x86DD,
        )
        for a, b in itertools.pairwise([0, 32, 64, len(body)])
    ]
    for order in itertools.permutations(range(3)):
        found = decode(packets([REQUEST6, *(frames[i] for i in order)]))
        assert found.records[1].values == [float(v) for v in NUMBERS]


def test_a_flood_of_fragments_leaves_room_for_streams() -> None:
    """Datagrams that never complete may not take the memory that restores the order of TCP."""
    draw = random.Random(1)
    flood = []
    for ident in range(400):
        for offset in range(0, 16 * 100, 16):
            frame = ip4(f"10.1.{draw.randrange(256)}.1", "10.0.0.9", bytes(8), 6, ident=ident, offset=offset, more=True)
            flood.append(ether(frame))
    body = values(1, *NUMBERS)
    early = tcp((502, 40000), 5000 + 30, 1012, body[30:])
    late = tcp((502, 40000), 5000, 1012, body[:30])
    opening = ether(ip4("10.0.0.2", "10.0.0.1", tcp((502, 40000), 4999, 1000, flags=18)))
    tail = [ether(ip4("10.0.0.2", "10.0.0.1", segment)) for segment in (early, late)]
    found = decode(packets([opening, REQUEST, *flood, *tail], step=100))
    assert found.records[-1].values == [float(v) for v in NUMBERS]
