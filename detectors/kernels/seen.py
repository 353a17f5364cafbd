"""Seen: what exists, such as conversations and functions, with the evidence that each stranger gives.

A key is either known (learned, or part of a baseline) or a stranger.  A stranger is evidence for `window_ns` from its
first sight, then quiet until `rearm_ns` after it: counts are true within a finding, and nobody is told every ten
minutes for ever.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.mix import mix
from detectors.kernels.slots import (
    ADOPTED,
    CLOCK,
    KNOWN,
    LISTED,
    N_BUCKETS,
    START,
    STATUS,
    UNSET,
    find,
    hash_words,
    insert,
    pass_over,
)

SEEN = np.dtype(
    [
        ("first", np.int64),
        ("last", np.int64),
        ("since", np.int64),
        ("n", np.int64),
        ("flags", np.int64),
        ("asking_mac", np.uint64),
        ("answering_mac", np.uint64),
    ]
)
"""Held for a key: ns of first and last sight, start of its evidence window, sightings, the detector's own bits, and of
a service the learned MAC addresses from which client and device spoke last."""

STRANGERS = 1024
"""Keys of a live device bucket that may be strange, a million in all: a flood of made-up addresses fills no memory, and
does not drive out what is known."""

TYPE_PAIR = 102
"""Finding type of a new pair: the parent of what else a stranger does."""


class Wire(NamedTuple):
    """The record columns that existence is judged by; see `schemas.record`."""

    ts: NDArray[np.int64]
    device: NDArray[np.uint64]
    src_ip: NDArray[np.uint64]
    dst_ip: NDArray[np.uint64]
    src_port: NDArray[np.uint16]
    dst_port: NDArray[np.uint16]
    src_mac: NDArray[np.uint64]
    client_is_src: NDArray[np.uint8]
    protocol: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    op: NDArray[np.uint8]
    unit: NDArray[np.uint32]
    match: NDArray[np.uint8]
    func: NDArray[np.uint16]
    subfunc: NDArray[np.uint32]
    status: NDArray[np.uint32]
    anomaly: NDArray[np.uint64]
    gap_bytes: NDArray[np.uint32]


class Rules(NamedTuple):
    """Settings, as numbers.

    Attributes:
        learns_only: nothing alarms.
        start_ns: start of the site's learning, UNSET for each bucket's own first record.
        site_ns: how long it lasts.
        window_ns, rearm_ns: see the module.
        limit: keys a bucket may hold.
    """

    learns_only: bool
    start_ns: int
    site_ns: int
    window_ns: int
    rearm_ns: int
    limit: int


@kernel(inline=True)
def about_client(what: Any, hi: Any, lo: Any) -> Any:
    """Key of a finding of type `what` about a client's address."""
    return mix(mix(mix(np.uint64(what), np.uint64(1)), hi), lo)


@kernel(inline=True)
def about_pair(what: Any, hi: Any, lo: Any, device: Any) -> Any:
    """Key of a finding of type `what` about a client and a device."""
    return mix(mix(mix(mix(np.uint64(what), np.uint64(2)), hi), lo), device)


@kernel(inline=True)
def about_device(what: Any, device: Any) -> Any:
    """Key of a finding of type `what` about a device."""
    return mix(mix(np.uint64(what), np.uint64(3)), device)


@kernel(inline=True)
def tick(buckets: Any, bucket: Any, ts: Any, start_ns: Any) -> None:
    """Note a record of `bucket` at `ts`: its clock never goes back."""
    if ts > buckets[bucket, CLOCK]:
        if buckets[bucket, START] == UNSET:
            buckets[bucket, START] = ts if start_ns == UNSET else start_ns
        buckets[bucket, CLOCK] = ts


@kernel(inline=True)
def is_live(buckets: Any, bucket: Any, rules: Any) -> Any:
    """Whether what `bucket` does not know is strange."""
    if rules.learns_only:
        return False
    if buckets[bucket, ADOPTED] != 0:
        return True
    return buckets[bucket, CLOCK] - buckets[bucket, START] >= rules.site_ns


@kernel(inline=True)
def is_known(table: Any, slot: Any) -> Any:
    """Whether the key in `slot` is normal."""
    return (table.keys[slot, STATUS] & KNOWN) != 0


@kernel(inline=True)
def touch(rows: Any, slot: Any, ts: Any) -> None:
    """Count a sighting of the key in `slot`."""
    rows["n"][slot] += 1
    if ts > rows["last"][slot]:
        rows["last"][slot] = ts


@kernel()
def limit_of(table: Any, bucket: Any, limit: Any, is_stranger: Any) -> Any:
    """Keys that a bucket may hold when the next comes: a stranger beyond STRANGERS takes the place of the oldest."""
    if not is_stranger or table.buckets[bucket, LISTED] < STRANGERS:
        return limit
    pass_over(table, bucket)
    return limit if table.buckets[bucket, LISTED] < STRANGERS else np.int64(0)


@kernel()
def add(
    table: Any, rows: Any, rules: Any, live: Any, known: Any, ts: Any, w0: Any, w1: Any, w2: Any, w3: Any, w4: Any
) -> Any:
    """Hold a key that is not held, seen once at `ts`; its slot, -1 where its bucket is full."""
    status = KNOWN if known else np.uint64(0)
    h = hash_words(w0, w1, w2, w3, w4)
    limit = limit_of(table, np.int64(w0 % N_BUCKETS), rules.limit, live and not known)
    slot = insert(table, limit, live, status, h, w0, w1, w2, w3, w4)
    if slot >= 0:
        rows["first"][slot] = ts
        rows["last"][slot] = ts
        rows["since"][slot] = UNSET
        rows["n"][slot] = 1
        rows["flags"][slot] = 0
        rows["asking_mac"][slot] = 0
        rows["answering_mac"][slot] = 0
    return slot


@kernel()
def look(table: Any, w0: Any, w1: Any, w2: Any, w3: Any, w4: Any) -> Any:
    """The slot of a key, -1 where it is not held."""
    return find(table, hash_words(w0, w1, w2, w3, w4), w0, w1, w2, w3, w4)


@kernel()
def is_open(starts: Any, at: Any, ts: Any, window_ns: Any, rearm_ns: Any) -> Any:
    """Whether evidence at `ts` is to be told: for `window_ns` from the first, then again `rearm_ns` after it.

    Args:
        starts: int64, start of the window of each subject, UNSET before its first evidence; opened here.
        at: the subject.
    """
    since = starts[at]
    if since == UNSET or ts - since >= rearm_ns:
        starts[at] = ts
        return True
    return ts - since < window_ns


@kernel()
def is_due(rows: Any, slot: Any, ts: Any, rules: Any) -> Any:
    """Whether a stranger's sighting at `ts` is evidence; of one that finds no room, always."""
    return slot < 0 or is_open(rows["since"], slot, ts, rules.window_ns, rules.rearm_ns)


@kernel(inline=True)
def about_tag(what: Any, device: Any, w1: Any, sub: Any, name: Any, addr: Any) -> Any:
    """Key of a finding of type `what` about a tag; `w1` tells its unit and space."""
    return mix(mix(mix(mix(mix(np.uint64(what), device), w1), sub), name), addr)


@kernel()
def holds_client(clients: Any, hi: Any, lo: Any) -> Any:
    """Whether an address is in `clients`, uint64 (n, 2) sorted by both words."""
    low = 0
    high = len(clients)
    while low < high:
        middle = (low + high) // 2
        if clients[middle, 0] < hi or (clients[middle, 0] == hi and clients[middle, 1] < lo):
            low = middle + 1
        else:
            high = middle
    return low < len(clients) and clients[low, 0] == hi and clients[low, 1] == lo
