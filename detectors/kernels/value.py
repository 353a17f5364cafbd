"""Value: what each tag has learned, held against every value: range, steps, level, standstills, states and bits.

Tags lie in pages of eight consecutive addresses, so that a poll of 125 registers costs 16 lookups.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.drift import ALLOWED, drifts
from detectors.kernels.evidence import emit
from detectors.kernels.grades import grade_jump, grade_range, jump_limit
from detectors.kernels.learning import PAGE, REPORTED, WRITTEN, begin, clear, learn
from detectors.kernels.seen import TYPE_PAIR, about_pair, about_tag
from detectors.kernels.settle import CONSTANT, LIVE
from detectors.kernels.slots import KNOWN, STATUS, find, hash_words, insert, is_key
from detectors.kernels.still import ANALOG, NEVER, is_due, is_stuck, note, rest_limit, stands
from detectors.kernels.upset import (
    TYPE_REST,
    TYPE_STUCK,
    commanded,
    is_as_written,
    is_written,
    reported_tag,
    tell,
)
from detectors.kernels.wide import PART, TYPED
from detectors.kernels.words import BITFIELD, DISCRETE, is_strange
from schemas.codes import Direction, Op, PointType, Quality, Severity

TYPE_RANGE = 301
TYPE_WRITTEN_RANGE = 302
TYPE_JUMP = 303
TYPE_WRITTEN_JUMP = 304
TYPE_CONSTANT = 305
TYPE_DRIFT = 307
TYPE_BIT = 309
TYPE_STATE = 310

_SET_BY_PEOPLE = 3
"""Kinds up to this one (constant, discrete, analog) are what an operator sets; counters and bits are heartbeats."""
PIECES = 8
"""Most pieces of evidence that one value gives: range, step or standstill, state, level, each with its device's."""

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
_RESTART = int(Op.RESTART)


class Wire(NamedTuple):
    """The record and point columns that values are judged by; see `schemas.record`."""

    ts: NDArray[np.int64]
    device: NDArray[np.uint64]
    unit: NDArray[np.uint32]
    src_ip: NDArray[np.uint64]
    dst_ip: NDArray[np.uint64]
    client_is_src: NDArray[np.uint8]
    op: NDArray[np.uint8]
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
def judge_written(
    table: Any, tags: Any, tag: Any, of: Any, x: Any, ts: Any, form: Any, lengths: Any, parent: Any, out: Any, at: Any
) -> None:
    """Hold a value that somebody writes against what was written before."""
    hot, cold = tags.hot, tags.cold
    i, j = at
    device, w1, w2, w3, addr = of
    low, high, last = hot["low"][tag], hot["high"][tag], hot["last"][tag]
    if x < low or x > high:
        hot["alarmed"][tag] = 1
        if is_due(cold, tag, ts, lengths):
            key = about_tag(TYPE_WRITTEN_RANGE, device, w1, w2, w3, addr)
            emit(out, i, j, TYPE_WRITTEN_RANGE, _HIGH, key, parent, low, high, x)
        return
    hot["alarmed"][tag] = 0
    cold["since"][tag] = NEVER
    size, limit = jump_limit(hot, tag, x, ts, form)
    if size > limit:
        key = about_tag(TYPE_WRITTEN_JUMP, device, w1, w2, w3, addr)
        emit(out, i, j, TYPE_WRITTEN_JUMP, grade_jump(size, limit), key, parent, last - limit, last + limit, x)
    elif x != last and hot["kind"][tag] <= _SET_BY_PEOPLE:
        commanded(table, tags, device, ts, lengths)


@kernel()
def is_beyond(
    table: Any, tags: Any, tag: Any, of: Any, x: Any, ts: Any, form: Any, lengths: Any, parent: Any, out: Any, at: Any
) -> Any:
    """Whether a value written to a tag of which no writes are known yet lies outside of all that the device ever
    reported; it is told then, and not learned."""
    hot = tags.hot
    i, j = at
    shown = reported_tag(table, hot, of)
    if form == _BOOL or shown < 0 or hot["state"][shown] != LIVE or np.int64(hot["type"][shown]) != form:
        return False  # a bit that somebody sets for the first time is told as a new target of its writer, if at all
    low, high = hot["low"][shown], hot["high"][shown]
    if low <= x <= high:
        return False
    if hot["state"][tag] == 0:
        begin(tags, tag, x, ts, form)
        hot["n"][tag] = 0
    hot["last"][tag] = x
    if is_due(tags.cold, tag, ts, lengths):
        device, w1, w2, w3, addr = of
        key = about_tag(TYPE_WRITTEN_RANGE, device, w1, w2, w3, addr)
        emit(out, i, j, TYPE_WRITTEN_RANGE, _MEDIUM, key, parent, low, high, x)
    return True


@kernel()
def judge_range(
    table: Any, tags: Any, tag: Any, of: Any, x: Any, ts: Any, form: Any, lengths: Any, out: Any, at: Any
) -> None:
    """A reported value outside of its range; a quantity just beyond it must be there for two polls.

    While that is open, and once it lies outside, its steps are judged too.
    """
    hot, cold = tags.hot, tags.cold
    hot["same"][tag] = 0
    low, high = hot["low"][tag], hot["high"][tag]
    rank = grade_range(hot, cold, tag, x, form)
    surely = hot["alarmed"][tag] != 0 or rank > _LOW or hot["kind"][tag] != ANALOG
    if surely and is_due(cold, tag, ts, lengths):
        if is_as_written(table, hot, of, x):
            tags.withheld[0] += 1
        else:
            what = TYPE_CONSTANT if hot["kind"][tag] == CONSTANT else TYPE_RANGE
            tell(table, tags, of, ts, lengths, out, at, what, rank, low, high, x)
    if hot["alarmed"][tag] != 0 or not surely:
        judge_step(table, tags, tag, of, x, ts, form, lengths, out, at)
    hot["alarmed"][tag] = 1


@kernel()
def judge_step(
    table: Any, tags: Any, tag: Any, of: Any, x: Any, ts: Any, form: Any, lengths: Any, out: Any, at: Any
) -> None:
    """A reported value that steps further than it ever did."""
    size, limit = jump_limit(tags.hot, tag, x, ts, form)
    if size > limit and is_as_written(table, tags.hot, of, x):
        tags.withheld[0] += 1
    elif size > limit:
        last = tags.hot["last"][tag]
        rank = grade_jump(size, limit)
        tell(table, tags, of, ts, lengths, out, at, TYPE_JUMP, rank, last - limit, last + limit, x)


@kernel()
def judge_standstill(
    table: Any, tags: Any, tag: Any, of: Any, x: Any, ts: Any, lengths: Any, out: Any, at: Any
) -> None:
    """A reported value that stands still for longer than it ever did, unless somebody sets it."""
    hot, cold = tags.hot, tags.cold
    if hot["kind"][tag] == DISCRETE:
        lasting = np.float64(ts - cold["moved"][tag]) / 1e9
        limit = rest_limit(hot, cold, tag, x)
        late = 0.0 < limit < lasting and not is_written(table, hot, of) and is_due(cold, tag, ts, lengths)
        if late:
            tell(table, tags, of, ts, lengths, out, at, TYPE_REST, _LOW, 0.0, limit, lasting)
    elif not is_written(table, hot, of) and is_stuck(hot, cold, tag, ts, lengths):
        tell(table, tags, of, ts, lengths, out, at, TYPE_STUCK, _MEDIUM, cold["low"][tag], cold["high"][tag], x)


@kernel()
def judge_level(table: Any, tags: Any, tag: Any, of: Any, ts: Any, lengths: Any, out: Any, at: Any) -> None:
    """A reported value whose level has moved, unless somebody sets it."""
    drift = tags.drift
    if not is_written(table, tags.hot, of):
        level = np.float64(drift["slow"][tag])
        slack = ALLOWED * np.float64(drift["scale"][tag])
        seen = np.float64(drift["fast"][tag])
        tell(table, tags, of, ts, lengths, out, at, TYPE_DRIFT, _LOW, level - slack, level + slack, seen)


@kernel()
def judge_reported(
    table: Any, tags: Any, tag: Any, of: Any, x: Any, ts: Any, form: Any, lengths: Any, out: Any, at: Any
) -> None:
    """Hold a value that a device reports against what it reported before."""
    hot, cold = tags.hot, tags.cold
    last = hot["last"][tag]
    if x < hot["low"][tag] or x > hot["high"][tag]:
        judge_range(table, tags, tag, of, x, ts, form, lengths, out, at)
    else:
        if hot["alarmed"][tag] != 0:
            hot["alarmed"][tag] = 0
            cold["since"][tag] = NEVER
        elif abs(x - last) > hot["reach"][tag]:
            judge_step(table, tags, tag, of, x, ts, form, lengths, out, at)
        if hot["still"][tag] != 0:
            note(hot, cold, tag, x, ts)
            if hot["same"][tag] > hot["still"][tag]:
                judge_standstill(table, tags, tag, of, x, ts, lengths, out, at)
        kind = hot["kind"][tag]
        strange = kind in (DISCRETE, BITFIELD) and x != last and is_strange(cold, tag, x, kind)
        if strange and not is_written(table, hot, of):
            what = TYPE_BIT if kind == BITFIELD else TYPE_STATE
            tell(table, tags, of, ts, lengths, out, at, what, _LOW, np.nan, np.nan, x)


@kernel(inline=True)
def is_plain(hot: Any, tag: Any, x: Any, ts: Any) -> Any:
    """Whether there is nothing to say of a value but of its level, as of nearly all; a change ends a standstill."""
    last = hot["last"][tag]
    if hot["alarmed"][tag] != 0 or not (hot["low"][tag] <= x <= hot["high"][tag]):
        return False
    if x == last:
        return stands(hot, tag, ts)
    kind = hot["kind"][tag]
    if kind in (DISCRETE, BITFIELD) or not abs(x - last) <= hot["reach"][tag]:
        return False
    hot["same"][tag] = 0
    return True


@kernel()
def values(start: Any, wire: Any, points: Any, table: Any, tags: Any, lengths: Any, skipped: Any, out: Any) -> Any:
    """Judge and learn the values of the records from `start` on, until they end or there is no more room.

    Args:
        start: first record.
        wire, points: columns.
        table: `slots.Table` of pages.
        tags: `upset.Tags`, eight rows to a slot.
        lengths: `settle.Lengths`.
        skipped: int64, values passed over, by SKIP_REASONS.
        out: `evidence.Evidence`.

    Returns:
        The record to go on with; the number of records where all are done.
    """
    hot = tags.hot
    page = np.int64(-1)
    keys = table.keys
    for i in range(start, len(wire.ts)):
        first = np.int64(wire.offsets[i])
        stop = np.int64(wire.offsets[i + 1])
        restarts = wire.op[i] == _RESTART and not lengths.learns_only
        if first == stop and not restarts:
            continue
        room = PIECES * (stop - first)
        if table.used[0] + stop - first + 1 > len(keys) or out.filled[0] + room > len(out.marks):
            return i
        device = wire.device[i]
        ts = wire.ts[i]
        if restarts:
            commanded(table, tags, device, ts, lengths)
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
            form = np.int64(points.type[j])
            if form in (_TEXT, _BYTES):
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
                            clear(hot, page)
            if page < 0:
                skipped[SKIPPED_ROOM] += 1
                continue
            tag = page * PAGE + np.int64(addr & np.uint64(7))
            state = np.int64(hot["state"][tag])
            if form != np.int64(hot["type"][tag]) and (form | np.int64(hot["type"][tag])) >= TYPED:
                # Another meaning than the one learned: the site file has changed since.
                skipped[ANEW] += state != 0
                state = np.int64(0)
            if state != LIVE:
                if side == WRITTEN and not lengths.learns_only:
                    of = (device, w1, w2, w3, addr)
                    if is_beyond(table, tags, tag, of, x, ts, form, lengths, _parent(wire, i), out, (i, j)):
                        continue
                if state == 0 or hot["n"][tag] == 0:
                    begin(tags, tag, x, ts, form)
                elif learn(tags, tag, x, ts, form, side, lengths):
                    keys[page, STATUS] |= KNOWN
                continue
            hot["n"][tag] += 1
            if hot["last"][tag] != hot["last"][tag]:
                # The first value since a baseline was adopted, which may have been learned at any other time.
                hot["seen"][tag] = ts
            of = (device, w1, w2, w3, addr)
            if side == REPORTED:
                if not is_plain(hot, tag, x, ts):
                    judge_reported(table, tags, tag, of, x, ts, form, lengths, out, (i, j))
                if tags.drift["limit"][tag] != 0.0 and drifts(tags.drift, tag, x):
                    judge_level(table, tags, tag, of, ts, lengths, out, (i, j))
            else:
                judge_written(table, tags, tag, of, x, ts, form, lengths, _parent(wire, i), out, (i, j))
            hot["last"][tag] = x
            if ts > hot["seen"][tag]:
                hot["seen"][tag] = ts
    return len(wire.ts)


@kernel()
def _parent(wire: Any, i: Any) -> Any:
    """A written value belongs under its client's conversation, should that be a finding."""
    if wire.client_is_src[i] == 0:
        return np.uint64(0)
    return about_pair(TYPE_PAIR, wire.src_ip[i, 0], wire.src_ip[i, 1], wire.device[i])
