"""The table of slots against a dictionary."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.kernels import slots as k
from detectors.slots import Slots
from tests.reference.slots import Book, Key

ROW = np.dtype([("mark", np.int64)])


def reach_for(slots: Slots, key: Key, live: bool, known: bool) -> int:
    """Find or insert, as a kernel does."""
    words = [np.uint64(w) for w in key]
    h = np.uint64(k.hash_words(*words))
    slot = int(k.find(slots.table, h, *words))
    if slot < 0:
        slots.reserve(1)
        status = k.KNOWN if known else np.uint64(0)
        slot = int(k.insert(slots.table, slots.limit, live, status, h, *words))
        if slot >= 0:
            slots.held["row"]["mark"][slot] = hash(key) & 0xFFFF
    return slot


def stream(rng: np.random.Generator, n: int, spread: int) -> list[tuple[Key, bool, bool]]:
    """(key, live, known): devices of three buckets, keys met again and again; learning first, then live."""
    found = []
    for i in range(n):
        device = int(rng.integers(0, 3)) + 1024 * int(rng.integers(0, 2))
        key = (device, int(rng.integers(0, spread)), int(rng.integers(0, 2)), 0, 1 << 63)
        found.append((key, i > n // 2, bool(rng.random() < 0.7)))
    return found


@pytest.mark.parametrize("limit", [1, 7, 40, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_keys_are_held_and_given_up_as_in_a_dictionary(limit: int, seed: int) -> None:
    slots, book = Slots(limit, {"row": ROW}), Book(limit)
    for key, live, known in stream(np.random.default_rng(seed), 1500, 30):
        held = book.find(key) or book.insert(key, live, known)
        slot = reach_for(slots, key, live, known)
        assert (slot >= 0) == (held is not None)
    assert len(slots) == len(book)
    assert slots.counters()["forgotten"] == book.forgotten
    assert slots.counters()["refused"] == book.refused
    ours = {tuple(int(w) for w in row[: k.WORDS]) for row in slots.keys}
    assert ours == {key for bucket in book.held.values() for key in bucket}


def test_known_keys_of_a_live_bucket_are_never_given_up() -> None:
    slots = Slots(10, {"row": ROW})
    normal = [(5, i, 0, 0, 0) for i in range(8)]
    for key in normal:
        reach_for(slots, key, False, True)
    for i in range(200):
        reach_for(slots, (5, 1000 + i, 0, 0, 0), True, False)
    ours = {tuple(int(w) for w in row[: k.WORDS]) for row in slots.keys}
    assert set(normal) <= ours
    assert len(ours) == 10
    assert slots.counters()["forgotten"] == 198


def test_a_bucket_full_of_known_keys_refuses_and_counts() -> None:
    slots = Slots(3, {"row": ROW})
    for i in range(3):
        reach_for(slots, (5, i, 0, 0, 0), False, True)
    assert reach_for(slots, (5, 99, 0, 0, 0), True, False) == -1
    assert reach_for(slots, (6, 99, 0, 0, 0), True, False) >= 0
    assert slots.counters()["refused"] == 1


def test_one_bucket_filling_up_leaves_the_others_alone() -> None:
    slots = Slots(5, {"row": ROW})
    mine = reach_for(slots, (7, 1, 0, 0, 0), False, False)
    for i in range(100):
        reach_for(slots, (8, i, 0, 0, 0), False, False)
    assert reach_for(slots, (7, 1, 0, 0, 0), False, False) == mine


def test_growth_moves_everything_that_is_held() -> None:
    slots = Slots(10_000, {"row": ROW})
    keys = [(i % 50, i, 0, 0, 0) for i in range(3000)]
    for key in keys:
        reach_for(slots, key, False, True)
    for key in keys:
        slot = reach_for(slots, key, False, True)
        assert slots.held["row"]["mark"][slot] == hash(key) & 0xFFFF
    assert len(slots) == 3000


def test_keys_with_one_hash_are_told_apart() -> None:
    slots = Slots(100, {"row": ROW})
    h = np.uint64(42)
    for i in range(20):
        words = [np.uint64(w) for w in (1, i, 0, 0, 0)]
        assert k.find(slots.table, h, *words) == -1
        k.insert(slots.table, 100, False, k.KNOWN, h, *words)
    found = [int(k.find(slots.table, h, *[np.uint64(w) for w in (1, i, 0, 0, 0)])) for i in range(20)]
    assert found == list(range(20))
    k.displace(slots.table.places, slots.table.keys, 5)
    left = [int(k.find(slots.table, h, *[np.uint64(w) for w in (1, i, 0, 0, 0)])) for i in range(20)]
    assert left == [i if i != 5 else -1 for i in range(20)]


def test_a_restored_table_forgets_in_the_same_order() -> None:
    one = Slots(20, {"row": ROW})
    steps = stream(np.random.default_rng(5), 600, 40)
    for step in steps[:400]:
        reach_for(one, *step)
    other = Slots(20, {"row": ROW})
    for bucket in (2, 0, 1):
        other.restore(one.snapshot(np.array([bucket])))
    for step in steps[400:]:
        reach_for(one, *step)
        reach_for(other, *step)
    everything = np.arange(1024)
    for name, array in one.snapshot(everything).items():
        np.testing.assert_array_equal(array, other.snapshot(everything)[name], err_msg=name)
