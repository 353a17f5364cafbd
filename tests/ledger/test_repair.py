"""Damage: the partition stops, repair computes the epoch anew, nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from pipeline.ledger import Chain, ChainDamaged, Extent, LedgerError, Place
from pipeline.ledger.collect import collect
from pipeline.ledger.repair import damage, repair
from tests.ledger.damage import campaign
from tests.ledger.stores import PLACE, Names, owner, work
from tests.simulation.log import Note, Tally, log

NOTES = log(1, 30)
CUTS = (4, 9, 15)


def messages(start: int, stop: int) -> Iterator[Sequence[Note]]:
    yield NOTES[start:stop]


@pytest.fixture
def store() -> Names:
    """A chain of three epochs, the last of which is damaged at its checksum."""
    made = Names()
    work(made, NOTES, CUTS)
    made.objects[PLACE.epoch(9)] = made.objects[PLACE.epoch(9)][:-1]
    return made


def test_500_damaged_objects_are_seen_and_mended() -> None:
    told = campaign(0, 500)
    assert told["objects"] == told["seen"] == told["mended"] == 500
    assert (told["lost"], told["doubled"], told["state wrong"]) == (0, 0, 0)
    assert 0 < told["unsaid"] < 150


def test_the_other_partitions_go_on(store: Names) -> None:
    other = Place("r", "topic", 1)
    work(store, NOTES, CUTS, other)
    with pytest.raises(ChainDamaged, match="partition 0: epoch 9 is damaged"):
        owner(store).open()
    assert owner(store, other).open() == 15


def test_what_is_whole_is_left_alone() -> None:
    store = Names()
    work(store, NOTES, CUTS)
    before = dict(store.objects)
    chain = Chain(store, PLACE)
    assert damage(chain) is None
    assert repair(chain, Tally(), messages) is None
    assert repair(Chain(store, Place("r", "topic", 9)), Tally(), messages) is None
    assert store.objects == before


def test_repair_gives_the_very_bytes_again(store: Names) -> None:
    whole = Names()
    work(whole, NOTES, CUTS)
    done = repair(Chain(store, PLACE), Tally(), messages)
    assert done is not None
    assert (done.base, done.agrees) == (9, True)
    assert store.objects == whole.objects


def test_only_messages_of_the_epoch_are_needed_after_garbage_was_collected(store: Names) -> None:
    asked = []

    def noted(start: int, stop: int) -> Iterator[Sequence[Note]]:
        asked.append((start, stop))
        return messages(start, stop)

    whole = Names()
    work(whole, NOTES, (*CUTS, 18, 20))
    collect(Chain(whole, PLACE))
    whole.objects[PLACE.epoch(18)] = b"x"
    repair(Chain(whole, PLACE), Tally(), noted, stop=20)
    assert asked == [(18, 20)]


def test_with_the_one_before_damaged_too_it_starts_earlier(store: Names) -> None:
    store.objects[PLACE.epoch(4)] = b"gone"
    done = repair(Chain(store, PLACE), Tally(), messages)
    assert done is not None
    assert (done.base, done.agrees) == (4, True)
    assert done.epoch.extent == Extent(9, 15, False)


def test_with_none_left_it_starts_at_the_origin(store: Names) -> None:
    for start in (0, 4):
        store.objects[PLACE.epoch(start)] = b""
    done = repair(Chain(store, PLACE), Tally(), messages)
    assert done is not None
    assert (done.base, done.agrees) == (0, True)


def test_rows_that_differ_from_the_published_ones_are_told(store: Names) -> None:
    class Another(Tally):
        def take(self, messages: Sequence[Note]) -> None:
            super().take([note._replace(number=note.number + 5) for note in messages])

    done = repair(Chain(store, PLACE), Another(), messages)
    assert done is not None
    assert done.agrees is False


def test_where_nothing_says_what_it_covered_somebody_must(store: Names) -> None:
    store.objects[PLACE.epoch(9)] = b""
    published = {name for name in store.objects if name.startswith("findings/")}
    chain = Chain(store, PLACE)
    found = damage(chain)
    assert found is not None
    assert found.extent == (9, 15, False), "the published file says it"
    for name in published:
        del store.objects[name]
    with pytest.raises(LedgerError, match="nothing says any more where epoch 9 ended; give --next"):
        repair(chain, Tally(), messages)
    with pytest.raises(LedgerError, match="cannot end at 9"):
        repair(chain, Tally(), messages, stop=9)
    done = repair(chain, Tally(), messages, stop=15)
    assert done is not None
    assert done.epoch.extent == (9, 15, False)


def test_whoever_says_otherwise_is_refused(store: Names) -> None:
    with pytest.raises(LedgerError, match="ended at 15, not at 14"):
        repair(Chain(store, PLACE), Tally(), messages, stop=14)


def test_an_object_that_contradicts_its_files_is_not_repaired(store: Names) -> None:
    (name,) = {name for name in store.objects if name.endswith(f"{9:020d}-{15:020d}.parquet")} or {""}
    store.objects[name.replace(f"{15:020d}", f"{16:020d}")] = store.objects[name]
    with pytest.raises(LedgerError, match=r"was published as ending at \[15, 16\]"):
        repair(Chain(store, PLACE), Tally(), messages)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (NOTES[9:14], "the log ends at 14, but messages up to 15 are needed"),
        (NOTES[10:15], "the log gives message 10 where 9 is needed"),
        ((), "the log ends at 9, but messages up to 15 are needed"),
    ],
)
def test_a_log_that_has_not_all_is_told(store: Names, given: tuple[Note, ...], told: str) -> None:
    before = dict(store.objects)
    with pytest.raises(LedgerError, match=told):
        repair(Chain(store, PLACE), Tally(), lambda start, stop: iter([given]))
    assert store.objects == before


def test_a_damaged_origin_is_mended_where_the_chain_says_it(store: Names) -> None:
    whole = store.objects[PLACE.origin]
    store.objects[PLACE.origin] = b"{}"
    with pytest.raises(ChainDamaged, match="its origin cannot be read"):
        owner(store).open()
    repair(Chain(store, PLACE), Tally(), messages)
    assert store.objects[PLACE.origin] == whole
    del store.objects[PLACE.origin]
    with pytest.raises(ChainDamaged, match="their origin is gone"):
        owner(store).open()
    repair(Chain(store, PLACE), Tally(), messages)
    assert store.objects[PLACE.origin] == whole
    empty = Names()
    empty.objects[PLACE.origin] = b""
    with pytest.raises(ChainDamaged):
        repair(Chain(empty, PLACE), Tally(), messages)
