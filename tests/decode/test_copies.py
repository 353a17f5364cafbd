"""Copies of TCP segments that say something else than what was said in their place: forged answers, and evasion."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from pipeline.decode import copies
from pipeline.decode.decoder import DecodeSettings
from schemas.codes import Anomaly, Kind, Match
from tests.decode.packets import ACK, SECOND, SYN, Packet, Talk, ether, ip4, polls, read, tcp, values
from tests.decode.reading import Decoded, blocks, decode, feed

DIFFERS = Anomaly.OVERLAP_DIFFERS
FORGED, TRUE = values(2, 666, 667), values(2, 2, 1002)
CUTS = pytest.mark.parametrize("cut", [[1], [2, 3, 1], [100_000]], ids=["each packet", "2, 3, 1", "whole"])
"""Blocks end anywhere between the two: what was said outlives the block that held it."""


def pieces(talk: Talk, stream: bytes, cuts: Sequence[int], seq: int, side: int = 1) -> list[Packet]:
    ends = [0, *cuts, len(stream)]
    return [talk.segment(side, stream[a:b], seq=seq + a) for a, b in itertools.pairwise(ends)]


def twice(first: bytes, second: bytes, *, cuts: Sequence[int] = (), cuts_of_copy: Sequence[int] = ()) -> list[Packet]:
    """A poll, a request, and two answers in the same place of the stream; then another poll."""
    talk = polls(1)
    talk.ask(read(2, 20, 2))
    place = talk.seq[1]
    for packet in (*pieces(talk, first, cuts, place), *pieces(talk, second, cuts_of_copy, place)):
        talk.put(packet)
    talk.seq[1] = place + max(len(first), len(second))
    return polls(1, talk, first=3).packets


def shown(found: Decoded) -> list[tuple[int, list[float], bool]]:
    """Transaction, values, and whether it is marked, of each answer."""
    return [(r.txn, r.values, bool(r.anomaly & DIFFERS)) for r in found.of(Kind.RESPONSE)]


@CUTS
@pytest.mark.parametrize("cuts", [(), (9,), (3, 8, 11)])
def test_a_true_answer_behind_a_forged_one_is_shown_too(cut: list[int], cuts: tuple[int, ...]) -> None:
    found = feed(blocks(twice(FORGED, TRUE, cuts=cuts), cut))
    assert shown(found) == [
        (1, [1.0, 1001.0], False),
        (2, [666.0, 667.0], False),
        (2, [2.0, 1002.0], True),
        (3, [3.0, 1003.0], False),
    ]
    forged, true = found.of(Kind.RESPONSE)[1:3]
    assert (forged.match, true.match, true.peer_seq) == (Match.MATCHED, Match.DUPLICATE, forged.seq)
    assert found.counted("overlap that differs") == 1
    assert all(r.gap_bytes == 0 for r in found.records)


@CUTS
@pytest.mark.parametrize("other", [values(2, 2), values(2, 1, 2, 3), values(9, 2, 1002), values(2, 2, 1002)[:11]])
def test_an_answer_of_another_length_or_transaction(cut: list[int], other: bytes) -> None:
    found = feed(blocks(twice(FORGED, other), cut))
    marked = [r for r in found.of(Kind.RESPONSE) if r.anomaly & DIFFERS]
    wanted = [] if len(other) == 11 and other[:6] == TRUE[:6] else [other]
    assert [(r.txn, r.length, r.packet) for r in marked] == [(o[1], len(o), 8) for o in wanted]
    assert found.counted("overlap that differs") == len(wanted)
    assert found.records[-1].values == [3.0, 1003.0]
    assert not found.records[-1].anomaly & Anomaly.NOT_PROTOCOL


@CUTS
@pytest.mark.parametrize("cuts", [(), (9,), (1, 2)])
@pytest.mark.parametrize("cuts_of_copy", [(), (9,), (4, 8)])
def test_the_same_bytes_again_are_a_copy_however_they_are_cut(
    cut: list[int], cuts: tuple[int, ...], cuts_of_copy: tuple[int, ...]
) -> None:
    found = feed(blocks(twice(TRUE, TRUE, cuts=cuts, cuts_of_copy=cuts_of_copy), cut))
    assert [txn for txn, *_ in shown(found)] == [1, 2, 3]
    assert not any(marked for *_, marked in shown(found))
    assert found.counted("copy or retransmission") == 1 + len(cuts_of_copy)


@CUTS
def test_each_of_two_answers_is_shown_once_however_often_they_come(cut: list[int]) -> None:
    packets = twice(FORGED, TRUE)
    forged, true = packets[6], packets[7]
    again = [true, forged, forged, true]
    found = feed(blocks([*packets[:8], *again, *packets[8:]], cut))
    assert [values for _, values, _ in shown(found)] == [[1, 1001], [666, 667], [2, 1002], [3, 1003]]
    assert found.counted("copy or retransmission") == 5


@CUTS
def test_a_forged_request(cut: list[int]) -> None:
    talk = Talk().open()
    forged = talk.segment(0, read(1, 500, 1))
    talk.put(forged)
    talk.ask(read(1, 10, 1))
    talk.answer(values(1, 4))
    found = feed(blocks(talk.packets, cut))
    assert [(r.kind, r.addr, bool(r.anomaly & DIFFERS)) for r in found.records[:2]] == [
        (Kind.REQUEST, 500, False),
        (Kind.REQUEST, 10, True),
    ]


@CUTS
def test_one_of_several_pdus_in_a_segment(cut: list[int]) -> None:
    talk = Talk().open()
    talk.put(talk.segment(1, values(1, 1) + values(2, 2) + values(3, 3)))
    talk.put(talk.segment(1, values(1, 1) + values(2, 9) + values(3, 3)))
    found = feed(blocks(talk.packets, cut))
    assert shown(found) == [
        *((n, [float(n)], False) for n in (1, 2, 3)),
        (2, [9.0], True),
        (3, [3.0], True),
    ]


def test_only_the_last_pdus_are_remembered() -> None:
    talk = Talk().open()
    stream = b"".join(values(txn, txn) for txn in range(1, 5))
    talk.put(talk.segment(1, stream))
    talk.put(talk.segment(1, values(1, 9)))
    talk.put(talk.segment(1, values(2, 9), seq=talk.seq[1] + 11))
    assert shown(decode(talk.packets))[4:] == [(2, [9.0], True)]


@CUTS
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("forged", [False, True])
def test_a_beginning_that_comes_again_otherwise(cut: list[int], whole: bool, forged: bool) -> None:
    """What is compared to the kept beginning of a PDU is each of its bytes; those that came first count."""
    talk = Talk().open()
    pdu = bytearray(values(1, 7, 8))
    talk.put(talk.segment(1, bytes(pdu[:11])))
    pdu[10] ^= forged
    talk.put(talk.segment(1, bytes(pdu if whole else pdu[:11])))
    talk.put(talk.segment(1, bytes(pdu[11:]), seq=talk.seq[1] + 11))
    assert shown(feed(blocks(talk.packets, cut))) == [(1, [7.0, 8.0], forged)]


@pytest.mark.parametrize("garbage", [b"\0", b"\xee"])
def test_the_byte_of_a_keep_alive_means_nothing(garbage: bytes) -> None:
    """RFC 1122, 4.2.3.6: it may carry one byte of garbage that was acknowledged before."""
    talk = polls(1)
    talk.put(talk.segment(1, garbage, ACK, seq=talk.seq[1] - 1))
    talk.put(talk.segment(1, values(2, 1, 2)[:6]))
    talk.seq[1] += 6
    talk.put(talk.segment(1, garbage, ACK, seq=talk.seq[1] - 1))
    talk.answer(values(2, 1, 2)[6:])
    assert not any(marked for *_, marked in shown(decode(talk.packets)))


@CUTS
def test_a_differing_copy_in_fragments(cut: list[int]) -> None:
    """Its bytes lie in another buffer than those that were said."""
    packets = twice(FORGED, TRUE)
    segment = tcp((502, 40000), 5001 + 13, 1025, TRUE)
    halves = [
        Packet(packets[7].ts, ether(ip4("10.0.0.2", "10.0.0.1", part, offset=at, more=at == 0)))
        for at, part in ((0, segment[:24]), (24, segment[24:]))
    ]
    found = feed(blocks([*packets[:7], *halves, *packets[8:]], cut))
    assert shown(found)[2] == (2, [2.0, 1002.0], True)
    same = feed(blocks([*twice(TRUE, TRUE)[:7], *halves, *packets[8:]], cut))
    assert len(shown(same)) == 3


def test_a_new_connection_is_not_held_against_the_last() -> None:
    """A device that always starts with the same sequence number."""
    first = polls(2)
    second = Talk(seq=[7_000_000, 5000], now=first.now)
    second.send(0, b"", SYN)
    second.send(1, b"", SYN | ACK)
    second.answer(values(7, 1, 2))
    again = second.segment(1, values(8, 3, 4), seq=5001 + 13)
    found = decode([*first.packets, *second.packets, second.put(again)])
    assert not any(marked for *_, marked in shown(found))


@pytest.mark.parametrize("flows", [300, copies.FRESH + 500])
@pytest.mark.parametrize("most", [512, 1 << 20])
def test_many_streams_at_once(flows: int, most: int) -> None:
    """More directions in a block than are listed, a table of flows that grows, and flows that are forgotten."""
    talks = [Talk(client=f"10.1.{n // 200}.{1 + n % 200}") for n in range(flows)]
    said = [talk.put(talk.segment(1, values(1, n))) for n, talk in enumerate(talks)]
    known = talks[-200:]
    forged = [talk.put(talk.segment(1, values(1, n))) for n, talk in enumerate(known, flows)]
    same = [talk.put(talk.segment(1, values(1, n))) for n, talk in enumerate(known, flows - 200)]
    packets = [p.at(said[0].ts + i) for i, p in enumerate([*said, *forged, *same])]
    for cut in ([10**6], [77]):
        found = feed(blocks(packets, cut), DecodeSettings(max_flows=most))
        assert [r.values for r in found.records if r.anomaly & DIFFERS] == [
            [float(n)] for n in range(flows, flows + 200)
        ]
        assert len(found.records) == flows + 200


def test_an_epoch_in_the_middle_of_a_block_leaves_nothing_to_read_in_the_next() -> None:
    """What was said before time ran back is forgotten; what is said after it outlives its block as ever."""
    talk = polls(2)
    first = polls(1, Talk(now=talk.now - 3600 * SECOND))
    again = first.segment(1, values(1, 1, 1001), seq=first.seq[1] - len(values(1, 1, 1001)))
    first.put(again)
    before = len(talk.packets) + len(first.packets) - 1
    found = feed(blocks([*talk.packets, *first.packets], [before]))
    assert found.health["stream", "seen", "epochs"] == 1
    assert found.health["stream", "skipped", "copy or retransmission"] == 1
    assert not any(r.anomaly & DIFFERS for r in found.records)
