"""Value: the range and the steps of each tag, learned, calibrated, then held against every value.

Tags lie in pages of eight consecutive addresses, so that a poll of 125 registers costs 16 lookups.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.evidence import emit
from detectors.kernels.mix import mix
from detectors.kernels.seen import TYPE_PAIR, about_pair, about_tag
from detectors.kernels.settle import (
    CONSTANT,
    COUNTER,
    LEARN,
    LIVE,
    SHADOW,
    mark_extremes,
    settle,
    unwrapped,
)
from detectors.kernels.slots import KNOWN, STATUS, find, hash_words, insert, is_key
from detectors.kernels.still import NEVER, is_stuck, learn_still, note
from detectors.kernels.wide import PART, TYPED
from schemas.codes import Direction, PointType, Quality, Severity

TYPE_RANGE = 301
TYPE_WRITTEN_RANGE = 302
TYPE_JUMP = 303
TYPE_WRITTEN_JUMP = 304
TYPE_CONSTANT = 305
TYPE_STUCK = 306

PAGE = 8
"""Tags to a page."""

REPORTED = 1
WRITTEN = 2
"""Direction class: what the device says, what it is told."""
_WRITTEN_SIDE = np.uint64(WRITTEN << 48)

SKIPPED_QUALITY = 0
SKIPPED_DIRECTION = 1
SKIPPED_TYPE = 2
SKIPPED_NUMBER = 3
SKIPPED_ROOM = 4
SKIPPED_PART = 5
ANEW = 6
"""Index into the counts of tags that were learned of another reading of their words."""
SKIP_REASONS = (
    "bad quality",
    "echo or unknown direction",
    "text or bytes",
    "not a number",
    "table full",
    "word of a wide value",
)

_READ = int(Direction.READ)
_REPORT = int(Direction.REPORT)
_WRITTEN_POINT = int(Direction.WRITTEN)
_SKIPPED = int(Quality.ADDRESS_UNKNOWN | Quality.INVALID) | PART
_TEXT = int(PointType.TEXT)
_BYTES = int(PointType.BYTES)
_BOOL = int(PointType.BOOL)
_LOW = int(Severity.LOW)
_MEDIUM = int(Severity.MEDIUM)
_HIGH = int(Severity.HIGH)


class Wire(NamedTuple):
    """The record and point columns that values are judged by; see `schemas.record`."""

    ts: NDArray[np.int64]
    device: NDArray[np.uint64]
    unit: NDArray[np.uint32]
    src_ip: NDArray[np.uint64]
    dst_ip: NDArray[np.uint64]
    client_is_src: NDArray[np.uint8]
    offsets: NDArray[np.int32]


class Values(NamedTuple):
    """The point columns; see `schemas.record`."""

    space: NDArray[np.uint16]
    addr: NDArray[np.uint64]
    addr_sub: NDArray[np.uint32]
    name_id: NDArray[np.uint64]
    value: NDArray[np.float64]
    type: NDArray[np.uint8]
    quality: NDArray[np.uint16]
    direction: NDArray[np.uint8]


@kernel(inline=True)
def _side(direction: Any) -> Any:
    """The direction class, 0 for a value that says nothing new."""
    if direction in (_READ, _REPORT):
        return REPORTED
    return WRITTEN if direction == _WRITTEN_POINT else 0


@kernel()
def clear(hot: Any, cold: Any, page: Any) -> None:
    """Forget the eight tags of `page`."""
    for tag in range(page * PAGE, (page + 1) * PAGE):
        hot["state"][tag] = 0
        hot["n"][tag] = 0


@kernel()
def begin(hot: Any, cold: Any, tag: Any, x: Any, ts: Any, kind: Any) -> None:
    """First sight of a tag."""
    hot["low"][tag] = x
    hot["high"][tag] = x
    hot["last"][tag] = x
    hot["reach"][tag] = 0.0
    hot["seen"][tag] = ts
    hot["gap"][tag] = 0
    hot["n"][tag] = 1
    hot["state"][tag] = LEARN
    hot["kind"][tag] = 0
    hot["type"][tag] = kind
    hot["alarmed"][tag] = 0
    hot["same"][tag] = 0
    hot["still"][tag] = 0
    cold["first"][tag] = ts
    cold["since"][tag] = NEVER
    cold["low"][tag] = x
    cold["high"][tag] = x
    cold["step"][tag] = 0.0
    cold["wrapped"][tag] = 0.0
    cold["travel"][tag] = 0.0
    cold["margin"][tag] = 0.0
    cold["wider"][tag] = 0.0
    cold["ups"][tag] = 0
    cold["downs"][tag] = 0
    cold["bits"][tag] = _bit(x)
    cold["moved"][tag] = ts
    cold["told"][tag] = NEVER
    cold["longest"][tag] = 0
    cold["longest_ns"][tag] = 0
    cold["unchanged"][tag] = 0.0


@kernel(inline=True)
def _bit(x: Any) -> Any:
    """One of 64 bits by the value: their number in the union estimates how many distinct values there were."""
    return np.uint64(1) << (mix(np.uint64(0), np.float64(x + 0.0).view(np.uint64)) >> np.uint64(58))


@kernel()
def learn(hot: Any, cold: Any, tag: Any, x: Any, ts: Any, kind: Any, side: Any, lengths: Any) -> Any:
    """Take a value as normal; whether the tag has just gone live."""
    hot["n"][tag] += 1
    n = hot["n"][tag]
    d = x - hot["last"][tag]
    size = abs(d)
    hot["low"][tag] = min(hot["low"][tag], x)
    hot["high"][tag] = max(hot["high"][tag], x)
    hot["reach"][tag] = max(hot["reach"][tag], size)
    way = unwrapped(d, kind)
    cold["wrapped"][tag] = max(cold["wrapped"][tag], abs(way))
    cold["travel"][tag] += size
    if way > 0.0:
        cold["ups"][tag] += 1
    elif way < 0.0:
        cold["downs"][tag] += 1
    cold["bits"][tag] |= _bit(x)
    learn_still(hot, cold, tag, x, ts)
    hot["gap"][tag] = max(hot["gap"][tag], ts - hot["seen"][tag])
    hot["last"][tag] = x
    hot["seen"][tag] = max(hot["seen"][tag], ts)
    if lengths.learns_only:
        if n >= 16 and (n & (n - 1)) == 0:
            mark_extremes(hot, cold, tag)
        return False
    samples = lengths.samples if side == REPORTED else lengths.writes
    age = ts - cold["first"][tag]
    if hot["state"][tag] == LEARN:
        if 4 * age >= 3 * lengths.value_ns and 4 * n >= 3 * samples:
            mark_extremes(hot, cold, tag)
            hot["state"][tag] = SHADOW
        return False
    if age >= lengths.value_ns and n >= samples:
        settle(hot, cold, tag, lengths)
        return True
    return False


@kernel()
def _grade_range(hot: Any, cold: Any, tag: Any, x: Any, side: Any, kind: Any) -> Any:
    """Severity of a value outside its range: by how far, as a share of the range."""
    if side == WRITTEN:
        return _HIGH
    if hot["kind"][tag] == CONSTANT:
        return _LOW if kind == _BOOL else _MEDIUM
    width = cold["high"][tag] - cold["low"][tag]
    over = max(x - cold["high"][tag], cold["low"][tag] - x)
    if over >= 0.5 * width:
        return _HIGH
    return _MEDIUM if over >= 0.25 * width else _LOW


@kernel()
def _grade_jump(size: Any, reach: Any) -> Any:
    """Severity of a step of `size` where `reach` is normal."""
    if size >= 4.0 * reach:
        return _HIGH
    return _MEDIUM if size >= 1.5 * reach else _LOW


@kernel()
def jump_limit(hot: Any, tag: Any, x: Any, ts: Any, kind: Any) -> Any:
    """(size of the step to `x`, largest normal one); longer silence than learned allows more, in proportion."""
    d = x - hot["last"][tag]
    if hot["kind"][tag] == COUNTER:
        d = unwrapped(d, kind)
    limit = hot["reach"][tag]
    silence = ts - hot["seen"][tag]
    gap = hot["gap"][tag]
    if gap > 0 and silence > gap:
        limit = limit * (np.float64(silence) / np.float64(gap))
    return abs(d), limit


@kernel()
def _out_of_range(hot: Any, cold: Any, tag: Any, ts: Any, lengths: Any) -> Any:
    """Whether a value outside its range at `ts` is evidence: not when it has lain there for the whole window."""
    hot["alarmed"][tag] = 1
    since = cold["since"][tag]
    if since == NEVER or ts - since >= lengths.rearm_ns:
        cold["since"][tag] = ts
        return True
    return ts - since < lengths.window_ns


@kernel()
def holds_tag(table: Any, hot: Any, device: Any, w1: Any, w2: Any, w3: Any, addr: Any) -> Any:
    """Whether anything is known of a tag."""
    w4 = addr >> np.uint64(3)
    page = find(table, hash_words(device, w1, w2, w3, w4), device, w1, w2, w3, w4)
    return page >= 0 and hot["state"][page * PAGE + np.int64(addr & np.uint64(7))] != 0


@kernel()
def values(
    start: Any, wire: Any, points: Any, table: Any, hot: Any, cold: Any, lengths: Any, skipped: Any, out: Any
) -> Any:
    """Judge and learn the values of the records from `start` on, until they end or there is no more room.

    Args:
        start: first record.
        wire, points: columns.
        table: `slots.Table` of pages.
        hot, cold: HOT and COLD, eight rows to a slot.
        lengths: `settle.Lengths`.
        skipped: int64, values passed over, by SKIP_REASONS.
        out: `evidence.Evidence`.

    Returns:
        The record to go on with; the number of records where all are done.
    """
    page = np.int64(-1)
    keys = table.keys
    for i in range(start, len(wire.ts)):
        first = np.int64(wire.offsets[i])
        stop = np.int64(wire.offsets[i + 1])
        if first == stop:
            continue
        if table.used[0] + stop - first > len(keys) or out.filled[0] + stop - first > len(out.marks):
            return i
        device = wire.device[i]
        ts = wire.ts[i]
        unit = np.uint64(wire.unit[i])
        w1 = np.uint64(0)
        w2 = np.uint64(0)
        w3 = np.uint64(0)
        w4 = np.uint64(0)
        fresh = True
        for j in range(first, stop):
            quality = np.int64(points.quality[j]) & _SKIPPED
            if quality != 0:
                skipped[SKIPPED_PART if quality == PART else SKIPPED_QUALITY] += 1
                continue
            side = _side(np.int64(points.direction[j]))
            if side == 0:
                skipped[SKIPPED_DIRECTION] += 1
                continue
            kind = np.int64(points.type[j])
            if kind in (_TEXT, _BYTES):
                skipped[SKIPPED_TYPE] += 1
                continue
            x = points.value[j]
            if not np.isfinite(x):
                skipped[SKIPPED_NUMBER] += 1
                continue
            addr = points.addr[j]
            v1 = unit | np.uint64(points.space[j]) << np.uint64(32) | np.uint64(side) << np.uint64(48)
            v2 = np.uint64(points.addr_sub[j])
            v3 = points.name_id[j]
            v4 = addr >> np.uint64(3)
            if fresh or v4 != w4 or v1 != w1 or v2 != w2 or v3 != w3:
                w1, w2, w3, w4 = v1, v2, v3, v4
                fresh = False
                page += 1
                if page >= table.used[0] or not is_key(keys, page, device, w1, w2, w3, w4):
                    h = hash_words(device, w1, w2, w3, w4)
                    page = find(table, h, device, w1, w2, w3, w4)
                    if page < 0:
                        live = not lengths.learns_only
                        page = insert(table, lengths.limit, live, np.uint64(0), h, device, w1, w2, w3, w4)
                        if page >= 0:
                            clear(hot, cold, page)
            if page < 0:
                skipped[SKIPPED_ROOM] += 1
                continue
            tag = page * PAGE + np.int64(addr & np.uint64(7))
            state = np.int64(hot["state"][tag])
            if kind != np.int64(hot["type"][tag]) and (kind | np.int64(hot["type"][tag])) >= TYPED:
                # Another meaning than the one learned: the site file has changed since.
                skipped[ANEW] += state != 0
                state = np.int64(0)
            if state != LIVE:
                if state == 0:
                    begin(hot, cold, tag, x, ts, kind)
                elif learn(hot, cold, tag, x, ts, kind, side, lengths):
                    keys[page, STATUS] |= KNOWN
                continue
            hot["n"][tag] += 1
            if hot["last"][tag] != hot["last"][tag]:
                # The first value since a baseline was adopted, which may have been learned at any other time.
                hot["seen"][tag] = ts
            if x < hot["low"][tag] or x > hot["high"][tag]:
                hot["same"][tag] = 0
                if _out_of_range(hot, cold, tag, ts, lengths):
                    what = TYPE_CONSTANT if hot["kind"][tag] == CONSTANT else TYPE_RANGE
                    what = TYPE_WRITTEN_RANGE if side == WRITTEN else what
                    rank = _grade_range(hot, cold, tag, x, side, kind)
                    key = about_tag(what, device, w1, w2, w3, addr)
                    emit(out, i, j, what, rank, key, _parent(wire, i, side), hot["low"][tag], hot["high"][tag], x)
            else:
                if hot["alarmed"][tag] != 0:
                    hot["alarmed"][tag] = 0
                    cold["since"][tag] = NEVER
                last = hot["last"][tag]
                if abs(x - last) > hot["reach"][tag]:
                    size, limit = jump_limit(hot, tag, x, ts, kind)
                    if size > limit:
                        what = TYPE_WRITTEN_JUMP if side == WRITTEN else TYPE_JUMP
                        rank = _grade_jump(size, limit)
                        key = about_tag(what, device, w1, w2, w3, addr)
                        parent = _parent(wire, i, side)
                        emit(out, i, j, what, rank, key, parent, last - limit, last + limit, x)
                if hot["still"][tag] != 0 and side == REPORTED:
                    note(hot, cold, tag, x, ts)
                    if hot["same"][tag] > hot["still"][tag]:
                        written = unit | np.uint64(points.space[j]) << np.uint64(32) | _WRITTEN_SIDE
                        known = holds_tag(table, hot, device, written, w2, w3, addr)
                        if not known and is_stuck(hot, cold, tag, ts, lengths):
                            key = about_tag(TYPE_STUCK, device, w1, w2, w3, addr)
                            low, high = cold["low"][tag], cold["high"][tag]
                            emit(out, i, j, TYPE_STUCK, _MEDIUM, key, np.uint64(0), low, high, x)
                hot["last"][tag] = x
            if ts > hot["seen"][tag]:
                hot["seen"][tag] = ts
    return len(wire.ts)


@kernel()
def _parent(wire: Any, i: Any, side: Any) -> Any:
    """A written value belongs under its client's conversation, should that be a finding; a reported one to none."""
    if side != WRITTEN or wire.client_is_src[i] == 0:
        return np.uint64(0)
    return about_pair(TYPE_PAIR, wire.src_ip[i, 0], wire.src_ip[i, 1], wire.device[i])
