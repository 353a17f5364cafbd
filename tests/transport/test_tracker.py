"""The tracker: a message is taken once, and what is missing is told."""

from __future__ import annotations

import numpy as np

from pipeline.transport.message import Header
from pipeline.transport.tracker import BOOTS_PER_SHARD, Admission, Tracker


def header(number: int, *, shard: int = 0, boot: int = 0, count: int = 2) -> Header:
    last = 10 * number + count
    return Header(
        shard=shard,
        boot=boot,
        partition=0,
        number=number,
        count=count,
        raw=1000,
        first_ts=0,
        last_ts=1,
        previous_seq=10 * number,
        last_seq=last,
        schema=1,
    )


def admitted(tracker: Tracker, *headers: Header) -> list[tuple[Admission, int]]:
    return [tuple(tracker.admit(h)) for h in headers]  # type: ignore[misc]


def test_messages_in_order_are_next() -> None:
    tracker = Tracker()
    assert admitted(tracker, *(header(n) for n in range(3))) == [(Admission.NEXT, 0)] * 3


def test_what_is_sent_again_is_dropped_and_counted() -> None:
    tracker = Tracker()
    admitted(tracker, *(header(n) for n in range(5)))
    found = admitted(tracker, *(header(n) for n in range(2, 6)))
    assert found == [(Admission.DUPLICATE, 0)] * 3 + [(Admission.NEXT, 0)]
    assert tracker.counters() == {
        "messages": 6,
        "records": 12,
        "duplicates": 3,
        "duplicate_records": 6,
        "gaps": 0,
        "missing_messages": 0,
    }


def test_what_is_missing_is_counted_at_the_start_too() -> None:
    tracker = Tracker()
    assert admitted(tracker, header(3), header(4), header(9)) == [
        (Admission.GAP, 3),
        (Admission.NEXT, 0),
        (Admission.GAP, 4),
    ]
    assert tracker.counters()["missing_messages"] == 7


def test_shards_and_boots_have_numbers_of_their_own() -> None:
    tracker = Tracker()
    streams = [header(0, shard=shard, boot=boot) for shard in range(3) for boot in range(3)]
    assert {v for v, _ in admitted(tracker, *streams)} == {Admission.NEXT}
    assert {v for v, _ in admitted(tracker, *streams)} == {Admission.DUPLICATE}


def test_a_boot_that_was_forgotten_is_not_taken_anew() -> None:
    tracker = Tracker()
    admitted(tracker, *(header(0, boot=boot) for boot in range(1, BOOTS_PER_SHARD + 3)))
    assert len(tracker.snapshot()["boot"]) == BOOTS_PER_SHARD
    assert admitted(tracker, header(0, boot=1)) == [(Admission.DUPLICATE, 0)]
    assert admitted(tracker, header(1, boot=BOOTS_PER_SHARD + 2)) == [(Admission.NEXT, 0)]


def test_a_snapshot_gives_the_same_future_and_the_same_bytes() -> None:
    one, other = Tracker(), Tracker()
    admitted(one, header(0, shard=2), header(1, shard=2), header(0, shard=1, boot=4), header(5, shard=2))
    state = one.snapshot()
    other.admit(header(0, shard=77))
    other.restore(state)
    again = other.snapshot()
    assert state.keys() == again.keys()
    assert all(np.array_equal(state[k], again[k]) for k in state)
    assert state["shard"].tolist() == [1, 2]
    assert admitted(other, header(5, shard=2), header(6, shard=2)) == [(Admission.DUPLICATE, 0), (Admission.NEXT, 0)]
    other.restore(None)
    assert admitted(other, header(0, shard=2)) == [(Admission.NEXT, 0)]
