"""Registers: the words of registers that change, kept as they were read together, for telling what they hold.

A block is a run of adjacent words in one answer; its registers share their count of samples.  A register costs six
bytes, and a ring of `infer.SAMPLES` words once it has changed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.infer import SAMPLES
from detectors.kernels.slots import KNOWN, N_BUCKETS, find, hash_words, insert, is_key
from detectors.kernels.wide import PART, follows, parts_of, word_at
from schemas.codes import Direction, Quality

BLOCK = np.dtype(
    [
        ("n", np.int64),
        ("base", np.int64),
        ("first", np.int64),
        ("last", np.int64),
        ("mark", np.int64),
        ("before", np.int64),
    ]
)
"""A block: samples taken; where its registers begin; ns of the first and the latest sample, of the latest whose number
is a multiple of MARK, and of the one MARK before that."""

MARK = SAMPLES // 2
OF_BYTES = np.uint64(1 << 32)
"""Bit of a block's size in its key: its words were read byte by byte, from an even one on."""
NEVER_CHANGED = -1
NO_RING = -2

READ = 0
NOT_KEPT_BLOCKS = 1
NOT_KEPT_RINGS = 2
COUNTS = ("words read", "words of blocks without room", "registers that change without room")

_READ = int(Direction.READ)
_REPORT = int(Direction.REPORT)
_SKIPPED = int(Quality.ADDRESS_UNKNOWN | Quality.INVALID) | PART
_NONE = np.uint64(0)


class Wire(NamedTuple):
    """The record columns; see `schemas.record`."""

    ts: NDArray[np.int64]
    device: NDArray[np.uint64]
    unit: NDArray[np.uint32]
    offsets: NDArray[np.int32]


class Pools(NamedTuple):
    """What registers keep.

    Attributes:
        last: uint16 (registers,), the latest word.
        ring: int32 (registers,), its ring; NEVER_CHANGED or NO_RING where it has none.
        rings: uint16 (rings, SAMPLES), sample s at s modulo SAMPLES.
        used: int64 (2,), registers and rings in use.
        of_bucket: int64 (1024,), rings in use for each device bucket.
    """

    last: NDArray[np.uint16]
    ring: NDArray[np.int32]
    rings: NDArray[np.uint16]
    used: NDArray[np.int64]
    of_bucket: NDArray[np.int64]


class Limits(NamedTuple):
    """Most blocks and rings to a device bucket, and blocks, registers and rings in all."""

    bucket_blocks: int
    bucket_rings: int
    blocks: int
    registers: int
    rings: int


@kernel(inline=True)
def _is_reported(points: Any, j: Any) -> Any:
    """Whether point j is good, and the device's own word."""
    direction = np.int64(points.direction[j])
    return direction in (_READ, _REPORT) and np.int64(points.quality[j]) & _SKIPPED == 0


@kernel(inline=True)
def run_end(points: Any, j: Any, stop: Any) -> Any:
    """Where the run of adjacent words or bytes that begins at point j ends."""
    k = j + 1
    while k < stop and follows(points, k) and _is_reported(points, k):
        k += 1
    return k


@kernel()
def _begin(blocks: Any, pools: Any, slot: Any, size: Any, ts: Any) -> None:
    """A block of `size` registers whose first sample is to come."""
    base = pools.used[0]
    pools.used[0] += size
    for register in range(base, base + size):
        pools.ring[register] = NEVER_CHANGED
    blocks["n"][slot] = 0
    blocks["base"][slot] = base
    blocks["first"][slot] = ts
    blocks["mark"][slot] = ts


@kernel()
def _open_ring(pools: Any, register: Any, bucket: Any, limits: Any, counts: Any) -> None:
    """A ring for a register that has just changed, filled with the word that it always was."""
    if pools.used[1] >= limits.rings or pools.of_bucket[bucket] >= limits.bucket_rings:
        pools.ring[register] = NO_RING
        counts[NOT_KEPT_RINGS] += 1
        return
    ring = pools.used[1]
    pools.used[1] += 1
    pools.of_bucket[bucket] += 1
    pools.ring[register] = ring
    for s in range(SAMPLES):
        pools.rings[ring, s] = pools.last[register]


@kernel()
def _sample(
    points: Any,
    j: Any,
    parts: Any,
    size: Any,
    ts: Any,
    blocks: Any,
    slot: Any,
    pools: Any,
    bucket: Any,
    limits: Any,
    counts: Any,
) -> None:
    """Take the words from point j on as the next sample of a block."""
    n = blocks["n"][slot]
    base = blocks["base"][slot]
    if n % MARK == 0:
        blocks["before"][slot] = blocks["mark"][slot]
        blocks["mark"][slot] = ts
    blocks["last"][slot] = ts
    blocks["n"][slot] = n + 1
    at = n % SAMPLES
    for i in range(size):
        word = np.uint16(word_at(points, j + i * parts // 2, parts))
        register = base + i
        ring = np.int64(pools.ring[register])
        if ring == NEVER_CHANGED and n > 0 and word != pools.last[register]:
            _open_ring(pools, register, bucket, limits, counts)
            ring = np.int64(pools.ring[register])
        if ring >= 0:
            pools.rings[ring, at] = word
        else:
            pools.last[register] = word


@kernel()
def gather(start: Any, wire: Any, points: Any, table: Any, blocks: Any, pools: Any, limits: Any, counts: Any) -> Any:
    """Take the words of the records from `start` on, until they end or there is no more room.

    Args:
        start: first record.
        wire, points: columns.
        table: `slots.Table` of blocks.
        blocks: BLOCK, one to a slot.
        pools: `Pools`.
        limits: `Limits`.
        counts: int64, by COUNTS.

    Returns:
        The record to go on with; the number of records where all are done.
    """
    slot = np.int64(-1)
    keys = table.keys
    for i in range(start, len(wire.ts)):
        j = np.int64(wire.offsets[i])
        stop = np.int64(wire.offsets[i + 1])
        most = stop - j
        if most == 0:
            continue
        full = table.used[0] + most > len(keys) or pools.used[0] + most > len(pools.last)
        if full or pools.used[1] + most > len(pools.rings):
            return i
        device = wire.device[i]
        bucket = np.int64(device % N_BUCKETS)
        while j < stop:
            parts = parts_of(points, j)
            odd = parts == 4 and points.addr[j] & np.uint64(8) != _NONE
            if parts == 0 or odd or not _is_reported(points, j):
                j += 1
                continue
            end = run_end(points, j, stop)
            size = (end - j) * 2 // parts
            if size == 0:
                j = end
                continue
            w1 = np.uint64(wire.unit[i]) | np.uint64(points.space[j]) << np.uint64(32)
            w2 = np.uint64(points.addr_sub[j])
            w3 = points.addr[j]
            w4 = np.uint64(size) | (OF_BYTES if parts == 4 else _NONE)
            counts[READ] += size
            slot += 1
            if slot >= table.used[0] or not is_key(keys, slot, device, w1, w2, w3, w4):
                h = hash_words(device, w1, w2, w3, w4)
                slot = find(table, h, device, w1, w2, w3, w4)
                if slot < 0 and table.used[0] < limits.blocks and pools.used[0] + size <= limits.registers:
                    slot = insert(table, limits.bucket_blocks, True, KNOWN, h, device, w1, w2, w3, w4)
                    if slot >= 0:
                        _begin(blocks, pools, slot, size, wire.ts[i])
            if slot >= 0:
                _sample(points, j, parts, size, wire.ts[i], blocks, slot, pools, bucket, limits, counts)
            else:
                counts[NOT_KEPT_BLOCKS] += size
            j = end
    return len(wire.ts)
