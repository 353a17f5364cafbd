"""Lost segments: when a hole is given up, and how it shows on the next record."""

from __future__ import annotations

import pytest

from pipeline.decode.layout import MIRROR_NS
from schemas.codes import FAULTS, Anomaly, Kind
from tests.decode.packets import ACK, SECOND, Talk, mbap, polls, read, values
from tests.decode.reading import decode


def lose_one(talk: Talk, after: int) -> Talk:
    """Two answers, the second never captured, and `after` more; nobody acknowledges."""
    for txn in range(1, 3 + after):
        talk.ask(read(txn, 10 * txn, 2))
    talk.answer(values(1, 1, 1001))
    talk.send(1, values(2, 2, 1002), lost=True)
    for txn in range(3, 3 + after):
        talk.put(talk.segment(1, values(txn, txn, txn + 1000), ack=talk.seq[0]))
        talk.seq[1] += 13
    return talk


def test_a_hole_is_given_up_when_the_peer_acknowledged_past_it() -> None:
    talk = lose_one(Talk().open(), 3)
    before = len(decode(talk.packets[:-1], request_timeout_s=3600).of(Kind.RESPONSE))
    talk.acknowledge(0)
    ending = talk.put(talk.segment(1, b"", ACK))
    found = decode([*talk.packets, ending])
    responses = found.of(Kind.RESPONSE)
    assert before == 3  # the end of the input gave the hole up
    assert [(r.txn, r.gap_bytes) for r in responses] == [(1, 0), (3, 13), (4, 0), (5, 0)]
    assert responses[1].anomaly & Anomaly.GAP_BEFORE
    assert found.health["stream", "seen", "hole given up"] == 1
    assert found.health["stream", "lost", "bytes in holes"] == 13


@pytest.mark.parametrize(("after", "acknowledged", "given_up"), [(2, True, False), (3, False, False), (3, True, True)])
def test_what_it_takes_to_give_up_a_hole(after: int, acknowledged: bool, given_up: bool) -> None:
    """The retransmission comes after all: in time where the hole still stood open, as a copy where it did not."""
    talk = lose_one(Talk().open(), after)
    if acknowledged:
        talk.acknowledge(0)
    talk.put(talk.segment(1, values(2, 2, 1002), seq=5001 + 13))
    responses = decode(talk.packets).of(Kind.RESPONSE)
    assert [r.txn for r in responses] == [n for n in range(1, 3 + after) if n != 2 or not given_up]
    assert sum(r.gap_bytes for r in responses) == (13 if given_up else 0)


@pytest.mark.parametrize(
    ("wait", "acknowledged", "asks", "given_up"),
    [
        (MIRROR_NS - 1, True, False, False),
        (MIRROR_NS, False, False, False),
        (MIRROR_NS, True, False, True),
        (1, False, True, False),
        (1, True, True, True),
    ],
)
def test_a_hole_that_the_peer_never_saw(wait: int, acknowledged: bool, asks: bool, given_up: bool) -> None:
    """An answer alone, whose neighbour was lost: the peer has both, or would not go on."""
    talk = Talk().open()
    talk.send(1, values(1, 1), lost=True)
    held = talk.answer(values(2, 2))
    ack = talk.seq[1] if acknowledged else 5001
    talk.put(talk.segment(0, read(3, 0, 1) if asks else b"", ack=ack), held.ts + wait)
    talk.put(talk.segment(1, values(1, 1), seq=5001), held.ts + wait)
    found = [(r.txn, r.gap_bytes) for r in decode(talk.packets).records]
    asked = [(3, 0)] if asks else []
    assert found == ([(2, 11), *asked] if given_up else [*asked, (1, 0), (2, 0)])


def test_a_hole_is_given_up_at_64_kilobytes() -> None:
    talk = Talk().open()
    talk.send(1, values(1, 1), lost=True)
    pdus = 0
    size = len(values(2, *range(120)))
    while pdus * size < 65536:
        talk.put(talk.segment(1, values(2, *range(120)), ack=1001))
        talk.seq[1] += size
        pdus += 1
    short = decode([*talk.packets[:-1], talk.segment(1, values(1, 1), seq=5001).at(talk.now)])
    assert [r.gap_bytes for r in short.records[:2]] == [0, 0]
    assert len(short.records) == pdus
    found = decode([*talk.packets, talk.segment(1, values(1, 1), seq=5001).at(talk.now)])
    assert len(found.records) == pdus
    assert found.records[0].gap_bytes == len(values(1, 1))


@pytest.mark.parametrize(("wait", "given_up"), [(SECOND - 1, False), (SECOND, True)])
def test_a_hole_is_given_up_after_one_second(wait: int, given_up: bool) -> None:
    talk = Talk().open()
    talk.send(1, values(1, 1), lost=True)
    held = talk.answer(values(2, 2))
    talk.put(Talk(port=41000).segment(0, b"", ACK), held.ts + wait)
    talk.put(talk.segment(1, values(1, 1), seq=5001), held.ts + wait)
    responses = decode(talk.packets).records
    assert [r.txn for r in responses] == ([2] if given_up else [1, 2])
    assert responses[0].gap_bytes == (11 if given_up else 0)


def test_two_holes_one_after_the_other() -> None:
    talk = Talk().open()
    for txn in range(1, 8):
        talk.send(1, values(txn, txn), lost=txn in (2, 3, 6))
    found = decode(talk.packets)
    assert [(r.txn, r.gap_bytes) for r in found.records] == [(1, 0), (4, 22), (5, 0), (7, 11)]


def test_a_hole_in_the_middle_of_a_pdu() -> None:
    talk = Talk().open()
    pdu = values(1, *range(20))
    talk.answer(pdu[:20])
    talk.send(1, pdu[20:], lost=True)
    talk.answer(values(2, 2))
    found = decode(talk.packets)
    beginning, behind = found.records
    assert (beginning.txn, beginning.length, beginning.gap_bytes, beginning.packet) == (1, 20, 0, 5)
    assert beginning.anomaly & Anomaly.TRUNCATED  # by the capture: no fault of the sender
    assert not beginning.anomaly & FAULTS
    assert (behind.txn, behind.gap_bytes, behind.values) == (2, len(pdu) - 20, [2.0])
    assert behind.anomaly & Anomaly.GAP_BEFORE
    assert ("stream", "dropped", "bytes of PDUs never completed") not in found.health


def test_the_beginning_of_a_pdu_between_two_holes() -> None:
    """Each gap stands with the record behind it."""
    talk = Talk().open()
    talk.send(1, values(1, 1), lost=True)
    talk.answer(values(2, 2)[:8])
    talk.send(1, values(2, 2)[8:], lost=True)
    talk.answer(values(3, 3))
    assert [(r.txn, r.length, r.gap_bytes) for r in decode(talk.packets).records] == [(2, 8, 11), (3, 11, 3)]


def test_held_bytes_that_are_a_whole_pdu_end_an_unfinished_one() -> None:
    """As for a segment in order: a length that lies does not swallow what was held."""
    talk = Talk().open()
    lies = bytearray(values(1, *range(20)))
    lies[4:6] = (200).to_bytes(2, "big")
    first = talk.segment(1, bytes(lies))
    talk.seq[1] += len(lies)
    talk.answer(values(2, 2))
    talk.answer(values(3, 3))
    talk.put(first)
    found = decode(talk.packets)
    assert [r.txn for r in found.records] == [1, 2, 3]
    assert [bool(r.anomaly & Anomaly.MALFORMED) for r in found.records] == [True, False, False]
    assert [r.values for r in found.records[1:]] == [[2.0], [3.0]]


def test_held_bytes_that_complete_a_pdu_are_no_pdu_of_their_own() -> None:
    """The rest of an answer whose bytes look like an answer."""
    talk = Talk().open()
    inner = values(2, 2)
    pdu = mbap(1, 1, bytes([3, 14]) + bytes(3) + inner)
    first = talk.segment(1, pdu[: -len(inner)])
    talk.seq[1] += len(pdu) - len(inner)
    talk.answer(inner)
    talk.put(first)
    assert [(r.txn, r.length) for r in decode(talk.packets).records] == [(1, len(pdu))]


@pytest.mark.parametrize("jump", [1 << 25, 1 << 31, -(1 << 25)])
def test_a_jump_gives_up_no_byte_that_is_held(jump: int) -> None:
    """Another connection on the same ports: what came of the last is told first, each hole as one."""
    talk = Talk().open()
    talk.answer(values(1, 1)[:8])
    talk.send(1, b"???", lost=True)
    talk.answer(values(2, 2))
    talk.send(1, values(3, 3), lost=True)
    talk.answer(values(4, 4))
    talk.answer(values(5, 5)[:9])
    talk.seq[1] = (talk.seq[1] + jump) % 2**32
    talk.answer(values(6, 6))
    found = decode(talk.packets)
    assert [(r.txn, r.length, r.gap_bytes) for r in found.records] == [
        (1, 8, 0),
        (2, 11, 3),
        (4, 11, 11),
        (5, 9, 0),
        (6, 11, 0),
    ]
    assert not any(r.anomaly & FAULTS for r in found.records)
    assert found.records[-1].anomaly & Anomaly.RESYNCHRONISED
    assert found.counted("bytes held beyond the bound") == found.counted("bytes of PDUs never completed") == 0


@pytest.mark.parametrize("ahead", [100_000, 5_000_000])
@pytest.mark.parametrize("cut", [False, True])
def test_one_forged_segment_far_ahead_blinds_nobody(ahead: int, cut: bool) -> None:
    """It is shown, when it is given up; the stream stays where the peer acknowledged it."""
    talk = polls(3)
    forged = values(99, 99)
    talk.put(talk.segment(1, forged[:9] if cut else forged, seq=talk.seq[1] + ahead))
    polls(3, talk, first=4)
    talk.now += 2 * SECOND
    polls(5, talk, first=7)
    found = decode(talk.packets)
    assert [(r.txn, r.gap_bytes) for r in found.of(Kind.RESPONSE) if r.txn != 99] == [(n, 0) for n in range(1, 12)]
    (shown,) = (r for r in found.records if r.txn == 99)
    assert shown.length == (9 if cut else 11)
    assert shown.anomaly & (Anomaly.RESYNCHRONISED | Anomaly.OUT_OF_ORDER)
    assert found.counted("copy or retransmission") == 0


def test_what_was_lost_before_a_forged_segment_is_told() -> None:
    """The peer acknowledged what the capture has not: the stream goes on there."""
    talk = polls(1)
    talk.put(talk.segment(1, values(99, 99), seq=talk.seq[1] + 200_000))
    talk.send(1, values(2, 2), lost=True)
    talk.acknowledge(0)
    talk.now += 2 * SECOND
    found = decode(polls(2, talk, first=3).packets)
    assert [(r.txn, r.gap_bytes) for r in found.of(Kind.RESPONSE)] == [(1, 0), (99, 11), (3, 0), (4, 0)]


def test_a_great_loss_of_one_direction_that_alone_is_captured_is_overcome() -> None:
    """Acknowledgements that are not captured any more are believed once, not for ever."""
    talk = polls(2)
    talk.seq[1] += 200_000
    for txn in range(3, 9):
        talk.answer(values(txn, txn))
        talk.now += 2 * SECOND
    found = decode(talk.packets)
    assert [r.txn for r in found.of(Kind.RESPONSE)] == [1, 2, *range(3, 9)]
    assert not any(r.anomaly & Anomaly.OUT_OF_ORDER for r in found.records[-3:])
