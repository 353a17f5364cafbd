"""Owner and chain: the order of what is done, and what each of them does when something stands in its way."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread

import numpy as np
import pytest

from pipeline.ledger import Chain, ChainDamaged, Epoch, Extent, Taken, encode
from pipeline.ledger.collect import collect
from pipeline.owner import Owner, Step
from pipeline.store import StoreUnclear
from tests.ledger.stores import PLACE, FailsOnce, Flickers, Names, drain, owner, work
from tests.simulation.log import Note, Tally, clean, log

NOTES = log(1, 30)


def starts(store: Names) -> list[int]:
    return [start for start, _ in Chain(store, PLACE).starts()]


def full(store: Names) -> list[int]:
    return [start for start, size in Chain(store, PLACE).starts() if size]


def test_an_epoch_is_created_then_published_then_sent() -> None:
    store, sent = Names(), list[Epoch]()
    it = owner(store, sent=sent)
    assert it.open() == it.position == it.finished == 0
    it.feed(NOTES[:5])
    assert it.cut()
    it.feed(NOTES[5:9])
    assert it.cut()
    assert (it.backlog, it.position, it.finished) == (2, 9, 0)
    store.asked.clear()
    assert [it.step() for _ in range(3)] == [Step.CREATE, Step.PUBLISH, Step.SEND]
    assert store.asked[0] == ("create", PLACE.epoch(0))
    assert all(name.startswith("findings/run=r/date=") for _, name in store.asked[1:])
    assert len(store.asked) > 1
    assert [epoch.extent for epoch in sent] == [(0, 5, False)]
    assert (it.backlog, it.finished) == (1, 5)
    assert starts(store) == [0]
    assert drain(it) == ["CREATE", "PUBLISH", "SEND"]
    assert (it.backlog, it.finished, starts(store)) == (0, 9, [0, 5])
    assert it.step() is Step.IDLE


def test_the_next_owner_finishes_the_end_and_goes_on() -> None:
    store, sent = Names(), list[Epoch]()
    first = owner(store)
    first.open()
    first.feed(NOTES[:7])
    first.cut()
    assert first.step() is Step.CREATE
    second = owner(store, sent=sent)
    assert second.open() == 7
    assert (second.backlog, second.finished) == (1, 0)
    second.feed(NOTES[7:])
    assert second.cut()
    assert drain(second) == ["PUBLISH", "SEND", "CREATE", "PUBLISH", "SEND"]
    assert [epoch.start for epoch in sent] == [0, 7]
    assert second.ended
    tip = Chain(store, PLACE).tip()
    assert tip is not None
    assert tip.ended
    for name, array in clean(NOTES).state.items():
        np.testing.assert_array_equal(tip.state[name], array)


def test_no_progress_no_epoch() -> None:
    store = Names()
    it = owner(store)
    it.open()
    assert not it.cut()
    it.feed(())
    assert not it.cut(ended=True)
    assert it.step() is Step.IDLE
    it.feed(NOTES[:2])
    assert it.cut(ended=True)
    assert not it.cut(ended=True)
    drain(it)
    tip = Chain(store, PLACE).tip()
    assert tip is not None
    assert tip.ended


@pytest.mark.parametrize("messages", [NOTES[1:3], NOTES[4:5], (NOTES[3], NOTES[5]), (NOTES[3], NOTES[3])])
def test_messages_must_follow_one_another(messages: Sequence[Note]) -> None:
    it = owner(Names())
    it.open()
    it.feed(NOTES[:3])
    with pytest.raises(ValueError, match=r"expected the message at \d, found \d"):
        it.feed(messages)
    assert it.position == 3
    it.feed(NOTES[3:4])


def test_who_comes_second_is_told_and_starts_anew() -> None:
    store = Names()
    one, two = owner(store), owner(store)
    one.open()
    two.open()
    one.feed(NOTES[:4])
    two.feed(NOTES[:6])
    one.cut()
    two.cut()
    drain(one)
    for call in (two.step, two.step, two.cut, lambda: two.feed(NOTES[6:7])):
        with pytest.raises(Taken, match="another owner's epoch stands at 0"):
            call()
    assert two.open() == 4
    two.feed(NOTES[4:])
    two.cut()
    drain(two)
    assert starts(store) == [0, 4]


def test_equal_bytes_are_ours_whoever_made_them() -> None:
    store = Names()
    one, two = owner(store), owner(store)
    for it in (one, two):
        it.open()
        it.feed(NOTES[:4])
        it.cut()
    drain(one)
    assert drain(two) == ["CREATE", "PUBLISH", "SEND"]


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(("what", "part"), [("create", "epochs/"), ("create", "findings/"), ("create", "origin/")])
def test_after_no_clear_answer_the_same_is_tried_again(what: str, part: str, done: bool) -> None:
    store, sent = FailsOnce(what, part, done=done), list[Epoch]()
    it = owner(store, sent=sent)
    unclear = 0
    for _ in range(2):
        try:
            it.open()
        except StoreUnclear:
            unclear += 1
    it.feed(NOTES[:9])
    it.cut()
    for _ in range(4):
        try:
            it.step()
        except StoreUnclear:
            unclear += 1
            # What is computed meanwhile must not change what is tried again.
            it.feed(NOTES[it.position : it.position + 1])
    assert unclear == 1
    assert it.finished == 9
    assert [epoch.extent for epoch in sent] == [(0, 9, False)]


def test_sending_that_fails_is_done_again() -> None:
    calls = []

    def send(epoch: Epoch) -> None:
        calls.append(epoch.start)
        if len(calls) == 1:
            raise TimeoutError("the second stage does not answer")

    it = Owner(Chain(Names(), PLACE), Tally(), origin=lambda: 0, send=send)
    it.open()
    it.feed(NOTES[:3])
    it.cut()
    it.step()
    it.step()
    with pytest.raises(TimeoutError):
        it.step()
    assert it.backlog == 1
    assert it.step() is Step.SEND
    assert (calls, it.finished) == ([0, 0], 3)


def test_the_origin_is_asked_for_once() -> None:
    store = Names()
    chain = Chain(store, PLACE)
    assert chain.origin(lambda: 40) == 40
    assert chain.origin(lambda: pytest.fail("asked again")) == 40
    late = Chain(store, PLACE)
    store.objects[PLACE.origin] = store.objects[PLACE.origin].replace(b"40", b"41")
    with pytest.raises(ChainDamaged, match="its origin cannot be read"):
        late.origin(lambda: 0)


def test_any_hint_leads_to_the_end() -> None:
    store = Names()
    work(store, NOTES, (4, 9, 12))
    for hint in (0, 1, 4, 8, 9, 10, 12, 500):
        tip = Chain(store, PLACE).tip(hint)
        assert tip is not None
        assert tip.start == 9


def test_a_good_read_in_three_is_enough() -> None:
    store = Flickers(0)
    work(store, NOTES, (4, 9))
    store.times = 2
    assert owner(store).open() == 9
    store.times = 3
    with pytest.raises(ChainDamaged, match="epoch 4 is damaged: wrong checksum; run fieldtap ledger repair"):
        owner(store).open()
    assert owner(store).open() == 9


class EmptiesMeanwhile(Names):
    """Between the listing and the reading of the end, the chain grows, and what was its end is emptied."""

    grow = False

    def read(self, name: str) -> bytes:
        """See `Store`."""
        if self.grow and name == PLACE.epoch(4):
            self.grow = False
            work(self, NOTES, (4, 9, 12, 15))
            self.objects[PLACE.epoch(4)] = b""
        return super().read(name)


def test_an_end_that_was_emptied_meanwhile_is_looked_for_again() -> None:
    store = EmptiesMeanwhile()
    work(store, NOTES, (4, 9))
    store.grow = True
    assert owner(store).open() == 15


def test_an_end_without_bytes_is_damage() -> None:
    store = Names()
    work(store, NOTES, (4, 9))
    store.objects[PLACE.epoch(4)] = b""
    with pytest.raises(ChainDamaged, match="epoch 4 is damaged: only 0 bytes"):
        owner(store).open()


def test_names_that_are_gone_are_an_alarm() -> None:
    store = Names()
    work(store, NOTES, (4, 9, 12))
    del store.objects[PLACE.epoch(0)]
    with pytest.raises(ChainDamaged, match="no lifecycle rule may delete objects"):
        owner(store).open()


def test_what_lies_among_the_epochs_and_is_none_is_an_alarm() -> None:
    store = Names()
    work(store, NOTES, (4,))
    store.objects[f"{PLACE.epochs}/notes.txt"] = b""
    with pytest.raises(ChainDamaged, match=r"notes.txt: lies among the epochs"):
        owner(store).open()


# --- garbage


def test_all_but_the_last_two_lose_their_bytes_not_their_names() -> None:
    store = Names()
    work(store, NOTES, (2, 4, 6, 8, 10))
    assert collect(Chain(store, PLACE)) == (3, 0)
    assert starts(store) == [0, 2, 4, 6, 8]
    assert full(store) == [6, 8]
    assert collect(Chain(store, PLACE)) == (0, 0)
    assert owner(store).open() == 10


def test_what_is_damaged_does_not_count() -> None:
    store = Names()
    work(store, NOTES, (2, 4, 6, 8, 10))
    store.objects[PLACE.epoch(8)] = store.objects[PLACE.epoch(8)][:-1]
    assert collect(Chain(store, PLACE)) == (2, 1)
    assert full(store) == [4, 6, 8]


def test_an_owner_collects_now_and_then() -> None:
    store = Names()
    it = owner(store, collect_every=3)
    it.open()
    steps = []
    for at in range(0, 14, 2):
        it.feed(NOTES[at : at + 2])
        it.cut()
        steps += drain(it)
    assert steps.count("COLLECT") == 2
    assert full(store) == [8, 10, 12]
    assert it.collected == (3, 0)


def test_a_store_that_will_not_empty_stops_nothing() -> None:
    store = FailsOnce("replace", "epochs/", done=False)
    it = owner(store, collect_every=3)
    it.open()
    for at in range(0, 8, 2):
        it.feed(NOTES[at : at + 2])
        it.cut()
    steps, unclear = [], 0
    while it.backlog:
        try:
            steps.append(it.step())
        except StoreUnclear:
            unclear += 1
    assert unclear == 1
    assert it.finished == 8


# --- two threads


def test_one_thread_computes_while_another_makes_true() -> None:
    notes, store = log(2, 3000), Names()
    it = owner(store, collect_every=4)
    it.open()
    failed: list[BaseException] = []

    def steps() -> None:
        try:
            while it.finished < len(notes):
                it.step()
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=steps)
    thread.start()
    while it.position < len(notes):
        it.feed(notes[it.position : it.position + 7])
        it.cut()
    thread.join(60)
    assert not thread.is_alive()
    assert failed == []
    tip = Chain(store, PLACE).tip()
    assert tip is not None
    for name, array in clean(notes).state.items():
        np.testing.assert_array_equal(tip.state[name], array)


def test_an_epoch_is_encoded_from_what_was_frozen() -> None:
    store = Names()
    it = owner(store)
    it.open()
    it.feed(NOTES[:5])
    it.cut()
    it.feed(NOTES[5:])
    drain(it)
    stage = Tally()
    stage.take(NOTES[:5])
    state, findings, sends, _ = stage.freeze()
    assert store.objects[PLACE.epoch(0)] == encode(PLACE, Extent(0, 5, False), state, findings=findings, sends=sends)
