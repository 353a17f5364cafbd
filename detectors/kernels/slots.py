"""Slots: an open-addressing table from an exact key of five words to a dense slot, bounded per device bucket.

Plain arrays, so that a snapshot is a copy.  A full bucket forgets the oldest key that is not yet known to be normal;
a known key is never given up for a new one.  What a slot holds lies in arrays of the caller, by slot number.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.mix import mix

WORDS = 5
HASH = 5
BORN = 6
STATUS = 7
WIDTH = 8
"""A row of `keys`: five words of key, their hash, the running number of its birth in the bucket, its status."""

KNOWN = np.uint64(1)
"""Status bit: learned as normal; once the bucket is live, never given up for another key."""
KEPT = np.uint64(2)
"""Status bit: no longer in the list of keys that may be forgotten."""

COUNT = 0
BIRTHS = 1
FORGOTTEN = 2
REFUSED = 3
START = 4
CLOCK = 5
ADOPTED = 6
HEAD = 7
TAIL = 8
LISTED = 9
BUCKET_WIDTH = 10
"""A row of `buckets`: keys held, births, keys forgotten, keys refused, ns of its start, of its latest record, whether
it has a baseline; the ends of the list of keys that may be forgotten, and how many are in it."""

UNSET = np.iinfo(np.int64).min
"""START and CLOCK of a bucket without records."""

N_BUCKETS = np.uint64(1024)


class Table(NamedTuple):
    """The arrays of a table.

    Attributes:
        places: int32, a power of two long, at least twice the slots; slot + 1 or 0.
        keys: uint64 (slots, WIDTH).
        links: int32 (slots, 2), previous and next in the bucket's list of keys that may be forgotten, -1 for none.
        buckets: int64 (1024, BUCKET_WIDTH).
        used: int64 (1,), slots in use.
    """

    places: NDArray[np.int32]
    keys: NDArray[np.uint64]
    links: NDArray[np.int32]
    buckets: NDArray[np.int64]
    used: NDArray[np.int64]


@kernel(inline=True)
def hash_words(w0: Any, w1: Any, w2: Any, w3: Any, w4: Any) -> Any:
    """The hash of a key of five uint64 words."""
    return mix(mix(mix(mix(mix(np.uint64(0), w0), w1), w2), w3), w4)


@kernel(inline=True)
def is_key(keys: Any, slot: Any, w0: Any, w1: Any, w2: Any, w3: Any, w4: Any) -> Any:
    """Whether `slot` holds exactly this key."""
    return (
        keys[slot, 4] == w4
        and keys[slot, 0] == w0
        and keys[slot, 1] == w1
        and keys[slot, 2] == w2
        and keys[slot, 3] == w3
    )


@kernel(inline=True)
def find(table: Any, h: Any, w0: Any, w1: Any, w2: Any, w3: Any, w4: Any) -> Any:
    """The slot of a key whose hash is `h`, -1 where it is not held."""
    mask = len(table.places) - 1
    at = np.int64(h & np.uint64(mask))
    slot = np.int64(table.places[at]) - 1
    while slot >= 0:
        if is_key(table.keys, slot, w0, w1, w2, w3, w4):
            return slot
        at = (at + 1) & mask
        slot = np.int64(table.places[at]) - 1
    return np.int64(-1)


@kernel()
def place(index: Any, keys: Any, slot: Any) -> None:
    """Enter `slot` into the index by its hash."""
    mask = len(index) - 1
    at = np.int64(keys[slot, HASH] & np.uint64(mask))
    while index[at] != 0:
        at = (at + 1) & mask
    index[at] = slot + 1


@kernel()
def displace(index: Any, keys: Any, slot: Any) -> None:
    """Take `slot` out of the index; keys behind it move up, so that no tombstone stays."""
    mask = len(index) - 1
    hole = np.int64(keys[slot, HASH] & np.uint64(mask))
    while index[hole] != slot + 1:
        hole = (hole + 1) & mask
    at = hole
    while True:
        at = (at + 1) & mask
        other = np.int64(index[at]) - 1
        if other < 0:
            break
        home = np.int64(keys[other, HASH] & np.uint64(mask))
        if ((at - home) & mask) >= ((at - hole) & mask):
            index[hole] = index[at]
            hole = at
    index[hole] = 0


@kernel()
def link(links: Any, buckets: Any, bucket: Any, slot: Any) -> None:
    """Append `slot` to its bucket's list of keys that may be forgotten."""
    tail = buckets[bucket, TAIL]
    links[slot, 0] = tail
    links[slot, 1] = -1
    if tail >= 0:
        links[tail, 1] = slot
    else:
        buckets[bucket, HEAD] = slot
    buckets[bucket, TAIL] = slot
    buckets[bucket, LISTED] += 1


@kernel()
def unlink(links: Any, buckets: Any, bucket: Any, slot: Any) -> None:
    """Take `slot` out of that list."""
    before = np.int64(links[slot, 0])
    after = np.int64(links[slot, 1])
    if before >= 0:
        links[before, 1] = after
    else:
        buckets[bucket, HEAD] = after
    if after >= 0:
        links[after, 0] = before
    else:
        buckets[bucket, TAIL] = before
    buckets[bucket, LISTED] -= 1


@kernel()
def pass_over(table: Any, bucket: Any) -> None:
    """Take the known keys at the head of a live bucket's list out of it: each is met there once."""
    slot = table.buckets[bucket, HEAD]
    while slot >= 0 and (table.keys[slot, STATUS] & KNOWN) != 0:
        unlink(table.links, table.buckets, bucket, slot)
        table.keys[slot, STATUS] |= KEPT
        slot = table.buckets[bucket, HEAD]


@kernel()
def vacate(table: Any, bucket: Any, live: Any) -> Any:
    """The slot of the oldest key that may be forgotten, freed; -1 where every key must stay."""
    if live:
        pass_over(table, bucket)
    slot = table.buckets[bucket, HEAD]
    if slot < 0:
        table.buckets[bucket, REFUSED] += 1
        return np.int64(-1)
    unlink(table.links, table.buckets, bucket, slot)
    displace(table.places, table.keys, slot)
    table.buckets[bucket, FORGOTTEN] += 1
    return np.int64(slot)


@kernel()
def insert(table: Any, limit: Any, live: Any, status: Any, h: Any, w0: Any, w1: Any, w2: Any, w3: Any, w4: Any) -> Any:
    """A slot for a key that is not held; the caller has seen to a free one and clears what it keeps there.

    Args:
        limit: keys a bucket may hold.
        live: whether known keys are protected.
        status: KNOWN or 0.

    Returns:
        The slot, -1 where the bucket is full of keys that must stay.
    """
    bucket = np.int64(w0 % N_BUCKETS)
    if table.buckets[bucket, COUNT] >= limit:
        slot = vacate(table, bucket, live)
        if slot < 0:
            return np.int64(-1)
    else:
        slot = table.used[0]
        table.used[0] += 1
        table.buckets[bucket, COUNT] += 1
    keys = table.keys
    keys[slot, 0] = w0
    keys[slot, 1] = w1
    keys[slot, 2] = w2
    keys[slot, 3] = w3
    keys[slot, 4] = w4
    keys[slot, HASH] = h
    keys[slot, BORN] = np.uint64(table.buckets[bucket, BIRTHS])
    keys[slot, STATUS] = status
    table.buckets[bucket, BIRTHS] += 1
    place(table.places, keys, slot)
    link(table.links, table.buckets, bucket, slot)
    return slot


@kernel()
def enter(table: Any, words: Any, status: Any, slots: Any) -> None:
    """Find or insert keys without a bound.

    Args:
        words: uint64 (n, WORDS).
        slots: int64 (n,), filled with their slots.
    """
    for i in range(len(words)):
        w0, w1, w2, w3, w4 = words[i, 0], words[i, 1], words[i, 2], words[i, 3], words[i, 4]
        h = hash_words(w0, w1, w2, w3, w4)
        slot = find(table, h, w0, w1, w2, w3, w4)
        if slot < 0:
            slot = insert(table, np.int64(1 << 62), True, status, h, w0, w1, w2, w3, w4)
        table.keys[slot, STATUS] |= status
        slots[i] = slot


@kernel()
def rebuild(table: Any, order: Any) -> None:
    """Index and lists anew from the keys: after growth, and after a restore.

    Args:
        order: int64, all slots in use in the order of their birth.
    """
    table.places[:] = 0
    for bucket in range(len(table.buckets)):
        table.buckets[bucket, HEAD] = -1
        table.buckets[bucket, TAIL] = -1
        table.buckets[bucket, LISTED] = 0
    for at in range(len(order)):
        slot = order[at]
        place(table.places, table.keys, slot)
        if (table.keys[slot, STATUS] & KEPT) == 0:
            link(table.links, table.buckets, np.int64(table.keys[slot, 0] % N_BUCKETS), slot)
