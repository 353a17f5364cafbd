"""TCP bytes in order: what a mirror port shows of healthy, broken and hostile connections."""

from __future__ import annotations

import itertools
import random

import pytest

from schemas.codes import FAULTS, Anomaly, Kind, Match
from tests.decode.packets import (
    ACK,
    FIN,
    MS,
    PSH,
    RST,
    SECOND,
    SYN,
    Packet,
    Talk,
    polls,
    read,
    values,
)
from tests.decode.reading import Decoded, decode
from tests.decode.test_holes import lose_one


def plain(found: Decoded) -> list[tuple]:
    return found.said()


def expected(count: int, first: int = 1) -> list[tuple]:
    """What `polls` must give, as `said` tells it."""
    rows: list[tuple] = []
    for txn in range(first, first + count):
        rows.append((txn, Kind.REQUEST, Match.PENDING, 10 * txn, []))
        rows.append((txn, Kind.RESPONSE, Match.MATCHED, 10 * txn, [float(txn), txn + 1000.0]))
    return rows


def clean(found: Decoded) -> bool:
    return all(not r.anomaly & FAULTS and r.gap_bytes == 0 for r in found.records)


def test_an_ordinary_connection() -> None:
    found = decode(polls(5).packets)
    assert plain(found) == expected(5)
    assert all(r.anomaly == 0 and r.gap_bytes == 0 for r in found.records)
    assert len({r.flow for r in found.records}) == 1
    assert [r.client_is_src for r in found.records] == [1, 0] * 5
    assert found.health["stream", "skipped", "no payload"] == 3


@pytest.mark.parametrize("size", [1, 2, 5, 7, 11, 12, 13])
def test_one_pdu_over_many_segments(size: int) -> None:
    talk = Talk().open()
    for txn in range(1, 5):
        for side, pdu in ((0, read(txn, 10 * txn, 2)), (1, values(txn, txn, txn + 1000))):
            for at in range(0, len(pdu), size):
                talk.send(side, pdu[at : at + size])
    found = decode(talk.packets)
    assert plain(found) == expected(4)
    assert clean(found)
    assert all(bool(r.anomaly & Anomaly.SPLIT_PDU) == (r.length > size) for r in found.records)
    assert found.records[0].packet == 3 + -(-12 // size)


def test_many_pdus_in_one_segment() -> None:
    talk = Talk().open()
    talk.ask(b"".join(read(txn, 10 * txn, 2) for txn in range(1, 40)))
    talk.answer(b"".join(values(txn, txn, txn + 1000) for txn in range(1, 40)))
    found = decode(talk.packets)
    assert sorted(plain(found)) == sorted(expected(39))
    assert {r.packet for r in found.records} == {4, 5}
    assert [bool(r.anomaly & Anomaly.PIPELINED) for r in found.records] == ([True] * 38 + [False]) * 2


def test_retransmission() -> None:
    talk = polls(4)
    again = [p for p in talk.packets for _ in range(3)]
    found = decode(p.at(talk.now + i * MS) for i, p in enumerate(again))
    assert plain(found) == expected(4)
    assert found.health["stream", "skipped", "copy or retransmission"] == 16


@pytest.mark.parametrize("shift", [1, 6, 11])
def test_overlap_with_new_bytes(shift: int) -> None:
    """Each segment repeats the end of the one before it."""
    talk = Talk().open()
    stream = b"".join(read(txn, 10 * txn, 2) for txn in range(1, 6))
    first = talk.seq[0]
    for at in range(0, len(stream), 12):
        start = max(0, at - shift)
        talk.put(talk.segment(0, stream[start : at + 12], seq=first + start))
    found = decode(talk.packets)
    assert [r.txn for r in found.records] == [1, 2, 3, 4, 5]
    assert clean(found)
    assert found.health["stream", "seen", "overlap with new bytes"] == 4


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[1:])
def test_out_of_order(order: tuple[int, ...]) -> None:
    talk = Talk().open()
    stream = b"".join(read(txn, 10 * txn, 2) for txn in range(1, 5))
    cuts = list(itertools.pairwise([0, 9, 24, 40, 48]))
    first = talk.seq[0]
    for i in order:
        talk.put(talk.segment(0, stream[slice(*cuts[i])], seq=first + cuts[i][0]))
    found = decode(talk.packets)
    assert [r.txn for r in found.records] == [1, 2, 3, 4]
    assert clean(found)
    assert found.health["stream", "seen", "out of order"] >= 1
    assert any(r.anomaly & Anomaly.OUT_OF_ORDER for r in found.records)


@pytest.mark.parametrize("seed", range(20))
def test_any_pieces_in_any_order_with_copies_and_overlaps(seed: int) -> None:
    """Within the limits of patience, the order in which pieces come makes no difference."""
    draw = random.Random(seed)
    talk = Talk().open()
    stream = b"".join(values(txn, *range(txn, txn + draw.randrange(1, 30))) for txn in range(1, 30))
    first = talk.seq[1]
    wanted = decode([*talk.packets, talk.segment(1, stream).at(talk.now + MS)])
    cuts = sorted({0, len(stream), *(draw.randrange(len(stream)) for _ in range(25))})
    pieces = list(itertools.pairwise(cuts))
    for _ in range(12):
        a = draw.randrange(len(stream))
        pieces.append((a, min(len(stream), a + draw.randrange(1, 200))))
    draw.shuffle(pieces)
    talk.step = MS
    for a, b in pieces:
        talk.put(talk.segment(1, stream[a:b], seq=first + a, ack=talk.seq[0]))
    found = decode(talk.packets)
    assert plain(found) == plain(wanted)
    assert clean(found)
    assert "hole given up" not in {reason for _, _, reason in found.health}


def test_mid_stream_pick_up() -> None:
    found = decode(polls(3).packets[3:])
    assert plain(found) == expected(3)
    assert [bool(r.anomaly & Anomaly.MIDSTREAM) for r in found.records] == [True, True, False, False, False, False]
    assert found.records[0].client_is_src == 1


def test_pick_up_in_the_middle_of_a_pdu() -> None:
    talk = polls(3)
    half = talk.segment(1, values(9, *range(20))[21:], seq=talk.seq[1])
    talk = polls(2, Talk(seq=[talk.seq[0], talk.seq[1] + 28]), first=1)
    found = decode([half, *talk.packets])
    assert plain(found)[-4:] == expected(2)


@pytest.mark.parametrize("side", [0, 1])
def test_one_direction_only(side: int) -> None:
    talk = Talk().open()
    polls(4, talk)
    found = decode(p for p in talk.packets if p.data[26:30] == bytes([10, 0, 0, 1 + side]))
    if side == 0:
        assert plain(found) == expected(4)[::2]
    else:
        assert [(r.kind, r.match) for r in found.records] == [(Kind.RESPONSE, Match.UNMATCHED)] * 4
        assert {p.quality for r in found.records for p in r.points} == {1}
    assert len({r.device for r in found.records} | {decode(talk.packets).records[0].device}) == 1


@pytest.mark.parametrize("delay", [0, 1, 40 * MS])
@pytest.mark.parametrize("vlan", [False, True])
def test_the_same_packets_mirrored_twice(delay: int, vlan: bool) -> None:
    talk, tagged = Talk(), Talk(vlans=((0x8100, 7),) if vlan else ())
    copies = [p.at(p.ts + delay) for p in polls(5, tagged.open()).packets]
    both = sorted([*polls(5, talk.open()).packets, *copies], key=lambda p: p.ts)
    found = decode(both)
    assert sorted(plain(found)) == sorted(expected(5))
    assert clean(found)
    assert found.health["stream", "skipped", "copy or retransmission"] == 10
    assert found.health["stream", "seen", "flows"] == 1


def test_a_late_segment_that_spans_what_is_held_loses_nothing() -> None:
    talk = Talk().open()
    stream = b"".join(values(txn, *range(10)) for txn in range(1, 11))
    first = talk.seq[1]
    for a, b in ((100, 140), (50, len(stream)), (0, 50)):
        talk.put(talk.segment(1, stream[a:b], seq=first + a, ack=talk.seq[0]))
    found = decode(talk.packets)
    assert [(r.txn, r.gap_bytes) for r in found.records] == [(n, 0) for n in range(1, 11)]


def test_held_bytes_that_differ_are_noted() -> None:
    talk = Talk().open()
    first, second = values(1, 1), values(2, 2)
    forged = values(2, 9)
    talk.put(talk.segment(1, second, seq=5001 + 11))
    talk.put(talk.segment(1, forged, seq=5001 + 11))
    talk.put(talk.segment(1, first, seq=5001))
    found = decode(talk.packets)
    assert [r.values for r in found.records] == [[1.0], [2.0]]
    assert found.records[1].anomaly & Anomaly.OVERLAP_DIFFERS
    assert not found.records[0].anomaly & Anomaly.OVERLAP_DIFFERS


@pytest.mark.parametrize("shift", [0, 3, 10])
@pytest.mark.parametrize("forged", [False, True])
def test_a_segment_in_order_that_differs_from_what_is_held(shift: int, forged: bool) -> None:
    talk = Talk().open()
    stream = values(1, 1) + values(2, 2)
    other = bytearray(stream)
    other[21] ^= forged
    talk.put(talk.segment(1, stream[11 + shift :], seq=5001 + 11 + shift))
    talk.put(talk.segment(1, bytes(other), seq=5001))
    found = decode(talk.packets)
    assert [r.txn for r in found.records] == [1, 2]
    assert any(r.anomaly & Anomaly.OVERLAP_DIFFERS for r in found.records) == forged


@pytest.mark.parametrize("start", [0xFFFFFFFF, 0xFFFFFFF5, 0xFFFFFFE0, 0x7FFFFFF0])
@pytest.mark.parametrize("shuffle", [False, True])
def test_sequence_numbers_wrap(start: int, shuffle: bool) -> None:
    talk = polls(6, Talk(seq=[start, start - 20]).open())
    packets = list(talk.packets)
    if shuffle:
        packets[3:] = [p for pair in zip(packets[5::4], packets[3::4], strict=False) for p in pair] + packets[4::2]
        packets = [p.at(talk.packets[0].ts + i * MS) for i, p in enumerate(packets)]
    found = decode(packets)
    assert sorted(r.txn for r in found.records) == sorted([1, 2, 3, 4, 5, 6] * 2)
    assert clean(found)


def test_a_new_connection_on_the_same_ports() -> None:
    first = polls(2)
    first.ask(read(77, 1, 1))
    second = Talk(seq=[900_000_000, 3_000_000_000], now=first.now)
    found = decode([*first.packets, *polls(2, second.open()).packets], request_timeout_s=3600)
    assert [r.txn for r in found.records] == [1, 1, 2, 2, 77, 1, 1, 2, 2]
    flows = [r.flow for r in found.records]
    assert len(set(flows[:5])) == len(set(flows[5:])) == 1
    assert flows[0] != flows[-1]
    assert len({r.device for r in found.records}) == 1
    assert clean(found)
    answer = second.answer(values(77, 5))
    found = decode([*first.packets, *second.packets[:-1], answer])
    assert found.records[-1].match == Match.UNMATCHED


def test_ports_reused_without_a_handshake() -> None:
    first = polls(2)
    second = Talk(seq=[900_000_000, 3_000_000_000], now=first.now)
    found = decode([*first.packets, *polls(2, second).packets])
    assert plain(found) == expected(2) + expected(2)
    assert [bool(r.anomaly & Anomaly.RESYNCHRONISED) for r in found.records] == [False] * 4 + [True] * 2 + [False] * 2


def test_reset() -> None:
    talk = Talk().open()
    talk.ask(read(1, 10, 2))
    talk.answer(values(1, 1, 1001)[:8])
    talk.send(1, b"", RST | ACK)
    fresh = Talk(seq=[50, 60], now=talk.now)
    found = decode([*talk.packets, *polls(1, fresh).packets])
    assert [(r.txn, r.kind) for r in found.records] == [(1, Kind.REQUEST), (1, Kind.REQUEST), (1, Kind.RESPONSE)]
    assert found.health["stream", "dropped", "bytes of PDUs never completed"] == 8


@pytest.mark.parametrize(
    "with_data",
    [
        False,
        True,
    ],
)
def test_fin_with_a_partial_pdu(with_data: bool) -> None:
    talk = Talk().open()
    talk.ask(read(1, 10, 2))
    talk.answer(values(1, 1, 1001)[:8])
    talk.send(1, values(1, 1, 1001)[8:11] if with_data else b"", FIN | ACK)
    found = decode(talk.packets)
    response = found.records[1]
    assert (response.txn, response.kind, response.length) == (1, Kind.RESPONSE, 11 if with_data else 8)
    assert response.anomaly & Anomaly.MALFORMED
    assert response.anomaly & Anomaly.LENGTH_MISMATCH


@pytest.mark.parametrize("garbage", [b"", b"\0"])
def test_keep_alives(garbage: bytes) -> None:
    talk = polls(2)
    for _ in range(3):
        talk.put(talk.segment(0, garbage, ACK, seq=talk.seq[0] - 1))
        talk.put(talk.segment(1, b"", ACK))
    found = decode(polls(2, talk, first=3).packets)
    assert plain(found) == expected(4)
    assert clean(found)


def test_handshake_retransmitted() -> None:
    talk = Talk()
    syn = talk.send(0, b"", SYN)
    talk.put(syn)
    answer = talk.send(1, b"", SYN | ACK)
    talk.put(answer)
    talk.acknowledge(0)
    polls(2, talk)
    talk.put(syn)
    talk.put(answer)
    found = decode(polls(2, talk, first=3).packets)
    assert plain(found) == expected(4)
    assert len({r.flow for r in found.records}) == 1


def test_data_in_the_handshake() -> None:
    """RFC 9293, 3.4: a SYN takes one sequence number, data in it come after."""
    talk = Talk()
    talk.send(0, read(1, 10, 2), SYN)
    talk.send(1, b"", SYN | ACK)
    talk.answer(values(1, 1, 1001))
    assert plain(decode(talk.packets)) == expected(1)


def test_zero_window_probe() -> None:
    """A probe carries the first byte of what is sent later in full."""
    talk = Talk().open()
    talk.put(talk.segment(0, read(1, 10, 2)[:1]))
    talk.put(talk.segment(0, read(1, 10, 2)[:1]))
    talk.ask(read(1, 10, 2))
    talk.answer(values(1, 1, 1001))
    found = decode(talk.packets)
    assert plain(found) == expected(1)
    assert clean(found)


def test_the_client_is_who_sent_the_syn() -> None:
    """Both ends use port 502: only the handshake tells."""
    talk = polls(2, Talk(port=502, client="10.0.0.9", server="10.0.0.2").open())
    found = decode(talk.packets)
    assert plain(found) == expected(2)
    device = decode(polls(1).packets).records[0].device
    assert {r.device for r in found.records} == {device}


@pytest.mark.parametrize("gap", [999 * MS, SECOND, SECOND + 1])
def test_time_that_runs_backwards(gap: int) -> None:
    """By more than a second: another capture, whose flows have nothing to do with those so far."""
    first = Talk(seq=[10, 20])
    polls(2, first)
    second = Talk(seq=[10, 20], now=first.now - gap - MS)
    found = decode([*first.packets, *polls(2, second).packets])
    if gap > SECOND:
        assert plain(found) == expected(2) + expected(2)
        assert found.health["stream", "seen", "epochs"] == 1
    else:
        assert plain(found) == expected(2)
        assert ("stream", "seen", "epochs") not in found.health


def test_an_epoch_leaves_nothing_behind() -> None:
    talk = Talk().open()
    talk.ask(read(1, 10, 2))
    talk.answer(values(1, 1, 1001)[:6])
    talk.put(talk.segment(1, values(5, 5), seq=6000))
    answer = Talk(seq=[1013, 5001], now=talk.now - 5 * SECOND)
    answer.answer(values(1, 1, 1001))
    found = decode([*talk.packets, *answer.packets])
    assert [(r.txn, r.kind, r.match) for r in found.records] == [
        (1, Kind.REQUEST, Match.PENDING),
        (1, Kind.RESPONSE, Match.UNMATCHED),
    ]
    assert found.health["decode", "seen", "requests open at the end"] == 1


def test_what_an_epoch_drops_is_counted() -> None:
    talk = Talk().open()
    talk.answer(values(1, 1, 1001)[:6])
    talk.put(talk.segment(1, values(5, 5), seq=6000))
    later = Packet(talk.now - 5 * SECOND, talk.packets[0].data)
    found = decode([*talk.packets, later])
    assert found.health["stream", "dropped", "bytes of PDUs never completed"] == 6
    assert found.health["stream", "dropped", "bytes held beyond the bound"] == 11


def test_reset_that_acknowledges_past_a_hole_still_resets() -> None:
    talk = lose_one(Talk().open(), 3)
    talk.send(0, b"", RST | ACK)
    fresh = Talk(seq=[70_000, 80_000], now=talk.now)
    found = decode([*talk.packets, *polls(1, fresh).packets])
    assert plain(found)[-2:] == expected(1)
    assert not found.records[-1].anomaly & Anomaly.OUT_OF_ORDER


def test_push_is_no_boundary() -> None:
    talk = Talk().open()
    talk.send(0, read(1, 10, 2)[:7], PSH | ACK)
    talk.send(0, read(1, 10, 2)[7:], ACK)
    talk.answer(values(1, 1, 1001))
    assert plain(decode(talk.packets)) == expected(1)
