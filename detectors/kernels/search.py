"""Search: distinct things that a client asks of a device and did not learn, within a minute and within an hour.

Counted linearly on 256 bits (Whang et al. 1990): each thing sets one bit, some share one, and the number of things is
the one for which as many bits are to be expected.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.evidence import emit
from detectors.kernels.seen import TYPE_PAIR, about_pair, is_open
from detectors.kernels.slots import UNSET, find, hash_words, insert
from detectors.kernels.words import popcount
from schemas.codes import Severity

SEARCH = np.dtype(
    [
        ("start", np.int64),
        ("since", np.int64),
        ("b0", np.uint64),
        ("b1", np.uint64),
        ("b2", np.uint64),
        ("b3", np.uint64),
    ]
)
"""What a client asked of a device in one window that it did not learn: ns of the window's start, of the evidence
window's start, and 256 bits of which each distinct thing sets one."""

WINDOWS_NS = (60 * 1_000_000_000, 3600 * 1_000_000_000)
PER = 6
"""Rows of SEARCH to a slot: units, functions, points, each within a minute and within an hour."""


def _things() -> NDArray[np.int64]:
    """For each number of bits set, the number of things with the nearest expected number: 256 (1 - (255/256)^n)."""
    things, n, unset = [], 0, 256.0
    for bits in range(257):
        while 256.0 - unset * 255 / 256 <= bits and n < 2000:
            n, unset = n + 1, unset * 255 / 256
        nearer = abs(256.0 - unset * 255 / 256 - bits) < abs(256.0 - unset - bits)
        things.append(n + int(nearer))
    return np.array(things, np.int64)


THINGS = _things()
"""Things by bits set."""

_HIGH = int(Severity.HIGH)


@kernel()
def search_of(tables: Any, rows: Any, limit: Any, device: Any, hi: Any, lo: Any) -> Any:
    """The first row of a pair's searches, -1 where its bucket has no room."""
    h = hash_words(device, hi, lo, np.uint64(0), np.uint64(0))
    slot = find(tables, h, device, hi, lo, np.uint64(0), np.uint64(0))
    if slot < 0:
        slot = insert(tables, limit, False, np.uint64(0), h, device, hi, lo, np.uint64(0), np.uint64(0))
        if slot < 0:
            return np.int64(-1)
        for at in range(slot * PER, (slot + 1) * PER):
            _open(rows, at, UNSET)
            rows["since"][at] = UNSET
    return slot * PER


@kernel()
def _open(rows: Any, at: Any, ts: Any) -> None:
    """Begin a window."""
    rows["start"][at] = ts
    rows["b0"][at] = 0
    rows["b1"][at] = 0
    rows["b2"][at] = 0
    rows["b3"][at] = 0


@kernel()
def _set_bit(rows: Any, at: Any, h: Any) -> Any:
    """Set the bit of a thing; whether it was not set."""
    bit = np.uint64(1) << (h & np.uint64(63))
    word = (h >> np.uint64(6)) & np.uint64(3)
    if word == 0:
        new = (rows["b0"][at] & bit) == 0
        rows["b0"][at] |= bit
    elif word == 1:
        new = (rows["b1"][at] & bit) == 0
        rows["b1"][at] |= bit
    elif word == 2:
        new = (rows["b2"][at] & bit) == 0
        rows["b2"][at] |= bit
    else:
        new = (rows["b3"][at] & bit) == 0
        rows["b3"][at] |= bit
    return new


@kernel()
def _bits(rows: Any, at: Any) -> Any:
    """How many bits are set."""
    return popcount(rows["b0"][at]) + popcount(rows["b1"][at]) + popcount(rows["b2"][at]) + popcount(rows["b3"][at])


@kernel()
def strange(
    rows: Any, base: Any, kind: Any, h: Any, what: Any, limit: Any, limits: Any, ts: Any, row: Any, hi: Any, lo: Any,
    device: Any, out: Any,
) -> None:  # fmt: skip
    """Count a unit, function or point that was not learned, within a minute and within an hour."""
    for window in range(2):
        at = base + 2 * kind + window
        if rows["start"][at] == UNSET or abs(ts - rows["start"][at]) >= WINDOWS_NS[window]:
            _open(rows, at, ts)
        if not _set_bit(rows, at, h):
            continue
        most = limit if window == 0 else limit * limits.hour
        seen = THINGS[_bits(rows, at)]
        if seen > most and is_open(rows["since"], at, ts, limits.window_ns, limits.rearm_ns):
            key, pair = about_pair(what, hi, lo, device), about_pair(TYPE_PAIR, hi, lo, device)
            emit(out, row, -1, what, _HIGH, key, pair, np.nan, np.float64(most), np.float64(seen))
