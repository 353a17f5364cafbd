"""Words: integers of few values or of bits: states never seen, bits that never changed."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import kernel
from detectors.kernels.mix import mix
from detectors.kernels.wide import BASE
from schemas.codes import PointType

DISCRETE = 2
"""The kind of tag whose states are held against those learned; see `detectors.kernels.settle.KINDS`."""
BITFIELD = 6
"""The kind of tag whose bits are."""
OFTEN = 30
"""How many times as many values as states learning must have seen, before another state says anything."""
AGAIN = 4
"""How many times as many changes as states: a quantity that only came along has none of its own."""
CLEAR = 20
"""Changes from which a word may be told to be a field of bits."""
ENOUGH = 50_000
"""Changes that are looked at."""
ANY = np.uint64(0xFFFFFFFFFFFFFFFF)
"""States of a tag that may have any."""

_SPAN = 4294967296.0
_INTEGERS = tuple(
    int(t)
    for t in (
        PointType.BOOL, PointType.U8, PointType.I8, PointType.U16, PointType.I16, PointType.U32, PointType.I32,
        PointType.ENUM, PointType.DOUBLE_BIT, PointType.BITS,
    )
)  # fmt: skip


@kernel(inline=True)
def bit_of(x: Any) -> Any:
    """One of 64 bits by the value: their number in the union estimates how many distinct values there were."""
    return np.uint64(1) << (mix(np.uint64(0), np.float64(x + 0.0).view(np.uint64)) >> np.uint64(58))


@kernel()
def popcount(bits: Any) -> Any:
    """How many bits are set."""
    n = 0
    while bits != 0:
        bits &= bits - np.uint64(1)
        n += 1
    return n


@kernel(inline=True)
def is_word(x: Any) -> Any:
    """Whether a number is one of 32 bits."""
    return 0.0 <= x < _SPAN and x == np.floor(x)


@kernel()
def begin_word(cold: Any, tag: Any, x: Any) -> None:
    """First sight of a tag."""
    cold["bits"][tag] = bit_of(x)
    cold["fresh"][tag] = 1
    word = np.uint64(x) if is_word(x) else np.uint64(0)
    cold["ones"][tag] = word
    cold["always"][tag] = word
    cold["changed"][tag] = 0
    cold["toggled"][tag] = 0
    cold["doubled"][tag] = 0


@kernel()
def learn_word(cold: Any, tag: Any, x: Any, last: Any, n: Any) -> None:
    """Take the `n`-th value, another one than the `last`, as normal."""
    bits = np.uint64(cold["bits"][tag]) | bit_of(x)
    if bits != cold["bits"][tag]:
        cold["bits"][tag] = bits
        cold["fresh"][tag] = min(n, 4294967295)
    if not is_word(x) or not is_word(last):
        cold["always"][tag] = 0
        cold["toggled"][tag] = 65_535
        return
    word = np.uint64(x)
    flipped = word ^ np.uint64(last)
    cold["ones"][tag] = np.uint64(cold["ones"][tag]) | word
    cold["always"][tag] = np.uint64(cold["always"][tag]) & word
    if cold["changed"][tag] < ENOUGH and cold["toggled"][tag] < ENOUGH:
        cold["changed"][tag] += 1
        cold["toggled"][tag] += popcount(flipped)
        size = np.uint64(abs(x - last))
        cold["doubled"][tag] += size & (size - np.uint64(1)) == 0


@kernel()
def is_bits(cold: Any, tag: Any) -> Any:
    """Whether a word is a field of bits: few change at a time, and each on its own.

    A counter changes two bits at a time on the average, a level more.
    """
    changed = np.int64(cold["changed"][tag])
    few = 10 * np.int64(cold["toggled"][tag]) < 16 * changed
    alone = 10 * np.int64(cold["doubled"][tag]) > 9 * changed
    moving = np.uint64(cold["ones"][tag]) & ~np.uint64(cold["always"][tag])
    return changed >= CLEAR and few and alone and popcount(moving) >= 2


@kernel()
def settle_states(cold: Any, tag: Any, kind: Any, form: Any, n: Any) -> None:
    """Leave the states of a tag as they are, where learning has seen all of them; else any may come."""
    is_integer = False
    for integer in _INTEGERS:
        is_integer = is_integer or form & BASE == integer
    fresh = np.int64(cold["fresh"][tag])
    states = popcount(np.uint64(cold["bits"][tag]))
    moves = np.int64(cold["ups"][tag]) + np.int64(cold["downs"][tag])
    closed = OFTEN * states <= n and AGAIN * states <= moves and 4 * fresh <= 3 * n
    if kind != DISCRETE or not is_integer or not closed:
        cold["bits"][tag] = ANY
    if kind != BITFIELD:
        cold["ones"][tag] = 0
        cold["always"][tag] = 0


@kernel()
def is_strange(cold: Any, tag: Any, x: Any, kind: Any) -> Any:
    """Whether a word has a state, or a bit, that learning never saw; a state is missed one time in six at most."""
    if kind == DISCRETE:
        return np.uint64(cold["bits"][tag]) & bit_of(x) == 0
    if not is_word(x):
        return True
    word = np.uint64(x)
    return (word & ~np.uint64(cold["ones"][tag])) | (~word & np.uint64(cold["always"][tag])) != 0
