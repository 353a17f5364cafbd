"""Lost segments: when a hole is given up, and how it shows on the next record."""

from __future__ import annotations

import pytest

from schemas.codes import Anomaly, Kind
from tests.decode.packets import ACK, SECOND, Talk, read, values
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
    assert [(r.txn, r.gap_bytes, r.values) for r in found.records] == [(2, len(pdu) - 20, [2.0])]
    assert found.health["stream", "dropped", "bytes of PDUs never completed"] == 20
