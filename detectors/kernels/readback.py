"""Read-back: whether a written value is what the device reports next, and whether it changes only when written.

Only tags that somebody wrote are held, in pages of eight consecutive addresses.  How a tag behaves is learned: one
that does not repeat what was written, such as a command register that a device resets, is not judged, nor is one that
changes by itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import i64, kernel
from detectors.kernels.evidence import emit
from detectors.kernels.mix import mix
from detectors.kernels.seen import about_tag, is_open
from detectors.kernels.slots import KNOWN, UNSET, find, hash_words, insert, is_key
from detectors.kernels.wide import PART
from schemas.codes import Direction, Quality, Severity

TYPE_NOT_TAKEN = 604
TYPE_GHOST = 605

PAGE = 8
"""Tags to a page."""

TAG = np.dtype(
    [
        ("last", np.float64),
        ("want", np.float64),
        ("asked", np.int64),
        ("seen", np.int64),
        ("delay", np.int64),
        ("since", np.int64),
        ("changed_since", np.int64),
        ("echoes", np.uint16),
        ("strays", np.uint16),
        ("moves", np.uint16),
        ("drifts", np.uint16),
        ("misses", np.uint8),
        ("flags", np.uint8),
    ],
    align=True,
)
"""Held for a tag that was written: the value reported last and the one written; ns of the write, of the latest report,
of the longest time that learning saw from a write to its report, and of the evidence windows' starts; how often a
written value came back, how often another one, how often the value changed by a write, how often by itself; reports
since the write that did not show it; flags."""

HAS_LAST = 1
AWAITS = 2
IS_TAG = 4
"""Flags: a report was seen since the start or a hole; a written value is waited for; the tag was written."""

ECHOES = 3
"""How often a written value must have come back before its absence says something."""
MOVES = 2
"""How often a value must have changed by a write before its changing without one says something."""
MISSES = 2
"""Reports without the written value that are waited for."""

BLOOM = 1 << 16
"""Entries of the array that says whether a page may be held."""

_SECOND = 1_000_000_000
_PATIENCE = 2 * _SECOND
"""Least time that is waited for a written value, beside twice the longest learned."""
_BREAK = 600 * _SECOND
"""A silence after which nobody knows what was written meanwhile."""
_MOST_PAGES = 64
"""Pages that a refused request may concern: 500 registers."""
_WINDOW = 600 * _SECOND
_REARM = 3600 * _SECOND
_FULL = 65_535
_READ = int(Direction.READ)
_REPORT = int(Direction.REPORT)
_UNUSABLE = np.uint16(int(Quality.ADDRESS_UNKNOWN | Quality.INVALID) | PART)
_MEDIUM = int(Severity.MEDIUM)
_HIGH = int(Severity.HIGH)
_HOLES = np.uint64(1) << np.uint64(63)
"""Second word of the key of a device's holes, which no unit and space give."""


@kernel(inline=True)
def _mark(device: Any, page: Any) -> Any:
    """Where a page of a device stands in the array that says whether it may be held."""
    return np.int64(mix(device, page) >> np.uint64(48))


@kernel()
def mark_all(keys: Any, used: Any, written: Any) -> None:
    """Fill that array anew from the pages held."""
    written[:] = 0
    for slot in range(used):
        written[_mark(keys[slot, 0], keys[slot, 4])] = 1


@kernel()
def clear_page(held: Any, page: Any) -> None:
    """Forget the eight tags of a page."""
    for tag in range(page * PAGE, (page + 1) * PAGE):
        held["last"][tag] = 0.0
        held["want"][tag] = 0.0
        held["asked"][tag] = 0
        held["seen"][tag] = 0
        held["delay"][tag] = 0
        held["since"][tag] = UNSET
        held["changed_since"][tag] = UNSET
        held["echoes"][tag] = 0
        held["strays"][tag] = 0
        held["moves"][tag] = 0
        held["drifts"][tag] = 0
        held["misses"][tag] = 0
        held["flags"][tag] = 0


@kernel()
def _page(tags: Any, w0: Any, w1: Any, w2: Any, w3: Any, w4: Any) -> Any:
    return find(tags, hash_words(w0, w1, w2, w3, w4), w0, w1, w2, w3, w4)


@kernel()
def take_written(
    tags: Any, held: Any, written: Any, limit: Any, live: Any, device: Any, unit: Any, space: Any, sub: Any, name: Any,
    addr: Any, x: Any, ts: Any,
) -> None:  # fmt: skip
    """A value is written: its tag is held from now on, and the value waited for."""
    w1, w2, w4 = np.uint64(unit) | np.uint64(space) << np.uint64(32), np.uint64(sub), addr >> np.uint64(3)
    page = _page(tags, device, w1, w2, name, w4)
    if page < 0:
        h = hash_words(device, w1, w2, name, w4)
        page = insert(tags, limit, live, np.uint64(0) if live else KNOWN, h, device, w1, w2, name, w4)
        if page < 0:
            return
        clear_page(held, page)
        written[_mark(device, w4)] = 1
    tag = page * PAGE + np.int64(addr & np.uint64(7))
    held["want"][tag] = x
    held["asked"][tag] = ts
    held["misses"][tag] = 0
    held["flags"][tag] |= AWAITS | IS_TAG


@kernel()
def take_refusal(
    tags: Any, held: Any, device: Any, unit: Any, space: Any, sub: Any, name: Any, addr: Any, count: Any
) -> None:
    """A write was refused: its values are no longer waited for."""
    w1, w2 = np.uint64(unit) | np.uint64(space) << np.uint64(32), np.uint64(sub)
    first = addr >> np.uint64(3)
    pages = (np.int64(addr & np.uint64(7)) + np.int64(max(count, 1)) + PAGE - 1) // PAGE
    for number in range(i64(min(pages, _MOST_PAGES))):
        page = _page(tags, device, w1, w2, name, first + np.uint64(number))
        if page >= 0:
            for place in range(PAGE):
                away = np.int64(((first + np.uint64(number)) << np.uint64(3) | np.uint64(place)) - addr)
                if 0 <= away < max(i64(count), 1):
                    held["flags"][page * PAGE + place] &= np.uint8(255 - AWAITS)


@kernel()
def take_hole(tags: Any, held: Any, limit: Any, live: Any, device: Any, ts: Any) -> None:
    """Bytes of a conversation with the device are missing: a write may have been among them."""
    zero = np.uint64(0)
    page = _page(tags, device, _HOLES, zero, zero, zero)
    if page < 0:
        h = hash_words(device, _HOLES, zero, zero, zero)
        page = insert(tags, limit, live, zero, h, device, _HOLES, zero, zero, zero)
        if page < 0:
            return
        clear_page(held, page)
    held["seen"][page * PAGE] = max(held["seen"][page * PAGE], ts)


@kernel()
def _hole_after(tags: Any, held: Any, device: Any, ts: Any) -> Any:
    """Whether something of the device was missed after `ts`."""
    zero = np.uint64(0)
    page = _page(tags, device, _HOLES, zero, zero, zero)
    return page >= 0 and held["seen"][page * PAGE] > ts


@kernel(inline=True)
def _same(x: Any, y: Any) -> Any:
    """Whether two values are one, but for rounding on the way."""
    return x == y or abs(x - y) <= 1e-6 * max(abs(x), abs(y))


@kernel(inline=True)
def _more(counts: Any, tag: Any) -> None:
    """Count up to what the number holds."""
    if counts[tag] < _FULL:
        counts[tag] += 1


@kernel()
def _awaited(tags: Any, held: Any, tag: Any, device: Any, x: Any, ts: Any, live: Any) -> Any:
    """A report of a tag whose written value is waited for; whether the value did not come though it always does."""
    took = ts - held["asked"][tag]
    if _same(x, held["want"][tag]):
        held["flags"][tag] &= np.uint8(255 - AWAITS)
        if not live:
            _more(held["echoes"], tag)
            held["delay"][tag] = max(held["delay"][tag], took)
            if (held["flags"][tag] & HAS_LAST) != 0 and x != held["last"][tag]:
                _more(held["moves"], tag)
        return False
    asked = held["asked"][tag]
    pause = ts - max(asked, held["seen"][tag]) >= _BREAK
    if pause or _hole_after(tags, held, device, asked):
        # Another write may have been missed.
        held["flags"][tag] &= np.uint8(255 - AWAITS)
        return False
    if held["misses"][tag] < 255:
        held["misses"][tag] += 1
    if held["misses"][tag] < MISSES or took < 2 * held["delay"][tag] + _PATIENCE:
        return False
    held["flags"][tag] &= np.uint8(255 - AWAITS)
    if not live:
        _more(held["strays"], tag)
        return False
    return held["echoes"][tag] >= ECHOES and held["strays"][tag] == 0


@kernel()
def _changed(tags: Any, held: Any, tag: Any, device: Any, ts: Any, live: Any) -> Any:
    """A report of another value that was not written; whether the tag changes only by writes."""
    seen = held["seen"][tag]
    if ts - seen >= _BREAK or _hole_after(tags, held, device, seen):
        return False
    if not live:
        _more(held["drifts"], tag)
        return False
    return held["moves"][tag] >= MOVES and held["drifts"][tag] == 0


@kernel()
def take_read(wire: Any, points: Any, i: Any, tags: Any, held: Any, written: Any, live: Any, out: Any) -> None:
    """The values that record `i` reports, where they are of tags that were written."""
    device, ts = wire.device[i], wire.ts[i]
    page = np.int64(-1)
    for j in range(wire.offsets[i], wire.offsets[i + 1]):
        addr = points.addr[j]
        w4 = addr >> np.uint64(3)
        if written[_mark(device, w4)] == 0:
            continue
        x = points.value[j]
        if points.direction[j] not in (_READ, _REPORT) or (points.quality[j] & _UNUSABLE) != 0 or x != x:
            continue
        w1 = np.uint64(wire.unit[i]) | np.uint64(points.space[j]) << np.uint64(32)
        w2, w3 = np.uint64(points.addr_sub[j]), points.name_id[j]
        if page < 0 or not is_key(tags.keys, page, device, w1, w2, w3, w4):
            page = _page(tags, device, w1, w2, w3, w4)
            if page < 0:
                continue
        tag = page * PAGE + np.int64(addr & np.uint64(7))
        flags = held["flags"][tag]
        if (flags & IS_TAG) == 0:
            continue
        what = 0
        expected = held["last"][tag]
        if (flags & AWAITS) != 0:
            expected = held["want"][tag]
            if _awaited(tags, held, tag, device, x, ts, live):
                what = TYPE_NOT_TAKEN
        elif (flags & HAS_LAST) != 0 and not _same(x, expected) and _changed(tags, held, tag, device, ts, live):
            what = TYPE_GHOST
        starts = held["since"] if what == TYPE_NOT_TAKEN else held["changed_since"]
        if what != 0 and is_open(starts, tag, ts, _WINDOW, _REARM):
            rank = _HIGH if what == TYPE_NOT_TAKEN else _MEDIUM
            about = about_tag(what, device, w1, w2, w3, addr)
            emit(out, i, j, what, rank, about, np.uint64(0), expected, expected, x)
        held["last"][tag] = x
        held["seen"][tag] = max(held["seen"][tag], ts)
        held["flags"][tag] |= HAS_LAST
