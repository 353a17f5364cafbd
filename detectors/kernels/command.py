"""Command: who writes to a device, to which of its points, how often, and whether commands are selected first.

Keys of one table: (client, device, unit, protocol, subject).  A writer is a client that writes to a unit; a target is
a page of eight consecutive points that a writer writes, each with a bit of its own.  What becomes of written values
is judged by `detectors.kernels.readback`.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.evidence import emit
from detectors.kernels.mix import mix
from detectors.kernels.readback import take_hole, take_read, take_refusal, take_written
from detectors.kernels.seen import TYPE_PAIR, about_pair, is_due, is_known, is_live, is_open, limit_of, tick, touch
from detectors.kernels.slots import COUNT, KNOWN, N_BUCKETS, UNSET, find, hash_words, insert, is_key
from detectors.kernels.wide import PART
from schemas.codes import Anomaly, Direction, Kind, Match, Op, Quality, RecordFlag, Severity

TYPE_WRITER = 601
TYPE_TARGET = 602
TYPE_UNSELECTED = 603
TYPE_WRITE_RATE = 606

WRITER = np.uint64(1)
TARGET = np.uint64(2)
"""Subjects."""

STAGED = 1
DIRECT = 2
"""How a writer was seen to operate points: after a selection, or at once."""

COMMAND = np.dtype(
    [
        ("first", np.int64),
        ("last", np.int64),
        ("since", np.int64),
        ("n", np.int64),
        ("minute", np.int64),
        ("burst", np.int64),
        ("most", np.int32),
        ("count", np.int32),
        ("targets", np.int64),
        ("page", np.uint64),
        ("name", np.uint64),
        ("sub", np.uint32),
        ("written", np.uint8),
        ("staged", np.uint8),
        ("direct", np.uint8),
        ("ways", np.uint8),
        ("told", np.uint8),
    ]
)
"""Held for a key: ns of first and last sight, start of its evidence window, sightings.  Of a writer: the latest minute
of record time in which it wrote, start of the window of its bursts, most requests that one minute had, requests in this
one, points that it wrote while it learned, and STAGED or DIRECT.  Of a target: its eight addresses as addr >> 3, name
and second part of the address; one bit for each that was written, operated after a selection, operated without, and
told."""

OFTEN = 5
"""A writer's new target says something once it wrote OFTEN times as many requests as points: those are its points."""

RISE = 6.0
FEW = 5.0
"""Normal are as many writes in a minute as the busiest learned one had, m, with RISE * sqrt(m) + FEW more."""

_MINUTE_NS = 60_000_000_000
_HOUR_NS = 60 * _MINUTE_NS
_MOST_COUNT = 1_000_000_000
_REQUEST = int(Kind.REQUEST)
_RESPONSE = int(Kind.RESPONSE)
_UNSOLICITED = int(Kind.UNSOLICITED)
_DATA = int(Kind.DATA)
_SELECT = int(Op.SELECT)
_CONTROL = int(Op.CONTROL)
_MATCHED = int(Match.MATCHED)
_LATE = int(Match.LATE)
_WRITTEN = int(Direction.WRITTEN)
_SELECTED = np.uint32(int(RecordFlag.SELECTED))
_UNUSABLE = np.uint16(int(Quality.ADDRESS_UNKNOWN | Quality.INVALID))
_HOLE = np.uint64(int(Anomaly.GAP_BEFORE | Anomaly.RESYNCHRONISED))
_LOW = int(Severity.LOW)
_HIGH = int(Severity.HIGH)


class Wire(NamedTuple):
    """The record columns that commands are judged by; see `schemas.record`."""

    ts: NDArray[np.int64]
    device: NDArray[np.uint64]
    src_ip: NDArray[np.uint64]
    dst_ip: NDArray[np.uint64]
    client_is_src: NDArray[np.uint8]
    protocol: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    op: NDArray[np.uint8]
    unit: NDArray[np.uint32]
    match: NDArray[np.uint8]
    space: NDArray[np.uint16]
    addr: NDArray[np.uint64]
    count: NDArray[np.uint32]  # type: ignore[assignment]
    addr_sub: NDArray[np.uint32]
    name_id: NDArray[np.uint64]
    status: NDArray[np.uint32]
    flags: NDArray[np.uint32]
    anomaly: NDArray[np.uint64]
    gap_bytes: NDArray[np.uint32]
    offsets: NDArray[np.int32]


class Values(NamedTuple):
    """The point columns; see `schemas.record`."""

    space: NDArray[np.uint16]
    addr: NDArray[np.uint64]
    addr_sub: NDArray[np.uint32]
    name_id: NDArray[np.uint64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint16]
    direction: NDArray[np.uint8]


@kernel()
def _add(table: Any, rows: Any, rules: Any, live: Any, ts: Any, w0: Any, w1: Any, w2: Any, w3: Any, w4: Any) -> Any:
    """Hold a key that is not held; its slot, -1 where its bucket is full."""
    h = hash_words(w0, w1, w2, w3, w4)
    limit = limit_of(table, np.int64(w0 % N_BUCKETS), rules.limit, live)
    slot = insert(table, limit, live, np.uint64(0) if live else KNOWN, h, w0, w1, w2, w3, w4)
    if slot >= 0:
        rows["first"][slot] = ts
        rows["last"][slot] = ts
        rows["since"][slot] = UNSET
        rows["minute"][slot] = UNSET
        rows["burst"][slot] = UNSET
        rows["told"][slot] = 0
        rows["page"][slot] = 0
        rows["name"][slot] = 0
        rows["n"][slot] = 0
        rows["most"][slot] = 0
        rows["count"][slot] = 0
        rows["targets"][slot] = 0
        rows["sub"][slot] = 0
        rows["written"][slot] = 0
        rows["staged"][slot] = 0
        rows["direct"][slot] = 0
        rows["ways"][slot] = 0
    return slot


@kernel()
def _count(rows: Any, rules: Any, out: Any, row: Any, slot: Any, live: Any, ts: Any, pair: Any, key: Any) -> None:
    """Count a request of a known writer in its minute."""
    minute = ts // _MINUTE_NS
    if minute > rows["minute"][slot] or minute < rows["minute"][slot] - 1:
        rows["minute"][slot] = minute
        rows["count"][slot] = 0
    if rows["count"][slot] < _MOST_COUNT:
        rows["count"][slot] += 1
    count = rows["count"][slot]
    if not live:
        rows["most"][slot] = max(rows["most"][slot], count)
        return
    most = np.float64(rows["most"][slot])
    limit = most + RISE * sqrt(most) + FEW
    if count > limit and is_open(rows["burst"], slot, ts, 10 * _MINUTE_NS, _HOUR_NS):
        emit(out, row, -1, TYPE_WRITE_RATE, _HIGH, key, pair, np.nan, np.float64(np.int64(limit)), np.float64(count))


@kernel()
def target_key(unit: Any, protocol: Any, space: Any) -> Any:
    """Fourth word of a target's key."""
    base = np.uint64(unit) | np.uint64(protocol) << np.uint64(32) | TARGET << np.uint64(40)
    return base | np.uint64(space) << np.uint64(48)


@kernel()
def target_hash(page: Any, sub: Any, name: Any) -> Any:
    """Fifth word of a target's key; the row holds what it is made of."""
    return mix(mix(mix(np.uint64(0), np.uint64(page)), np.uint64(sub)), np.uint64(name))


@kernel()
def _holds(rows: Any, slot: Any, page: Any, sub: Any, name: Any) -> Any:
    """Whether a target is exactly these addresses."""
    return rows["page"][slot] == page and rows["name"][slot] == name and rows["sub"][slot] == sub


@kernel()
def first_written(wire: Any, points: Any, i: Any) -> Any:
    """The first point of a record that gives a value, -1 for none."""
    for j in range(wire.offsets[i], wire.offsets[i + 1]):
        if points.direction[j] == _WRITTEN and (points.quality[j] & _UNUSABLE) == 0:
            return np.int64(j)
    return np.int64(-1)


@kernel()
def _write(
    wire: Any, points: Any, i: Any, table: Any, rows: Any, rules: Any, tags: Any, held: Any, written: Any, limit: Any,
    out: Any, hi: Any, lo: Any,
) -> None:  # fmt: skip
    """A request that writes: its writer, its targets, and the values for which to look later."""
    device, ts, op = wire.device[i], wire.ts[i], wire.op[i]
    live = is_live(table.buckets, np.int64(device % N_BUCKETS), rules)
    base = np.uint64(wire.unit[i]) | np.uint64(wire.protocol[i]) << np.uint64(32) | WRITER << np.uint64(40)
    zero = np.uint64(0)
    pair = about_pair(TYPE_PAIR, hi, lo, device)
    writer = find(table, hash_words(device, hi, lo, base, zero), device, hi, lo, base, zero)
    if writer < 0:
        writer = _add(table, rows, rules, live, ts, device, hi, lo, base, zero)
    known = writer >= 0 and is_known(table, writer)
    if writer >= 0:
        touch(rows, writer, ts)
    if known:
        _count(rows, rules, out, i, writer, live, ts, pair, about_pair(TYPE_WRITE_RATE, hi, lo, device))
    elif is_due(rows, writer, ts, rules):
        j = first_written(wire, points, i)
        value = points.value[j] if j >= 0 else np.nan
        emit(out, i, j, TYPE_WRITER, _HIGH, about_pair(TYPE_WRITER, hi, lo, device), pair, np.nan, np.nan, value)
    operates = op == _CONTROL
    staged = (wire.flags[i] & _SELECTED) != 0
    slot = np.int64(-1)
    for j in range(wire.offsets[i], wire.offsets[i + 1]):
        if points.direction[j] != _WRITTEN or (points.quality[j] & _UNUSABLE) != 0:
            continue
        space, addr = points.space[j], points.addr[j]
        sub, name = points.addr_sub[j], points.name_id[j]
        page, bit = addr >> np.uint64(3), np.uint8(1 << np.int64(addr & np.uint64(7)))
        if op != _SELECT and (points.quality[j] & PART) == 0:
            take_written(
                tags, held, written, limit, live, device, wire.unit[i], space, sub, name, addr, points.value[j], ts
            )
        if not known:
            continue
        w3, w4 = target_key(wire.unit[i], wire.protocol[i], space), target_hash(page, sub, name)
        if slot < 0 or not is_key(table.keys, slot, device, hi, lo, w3, w4):
            slot = find(table, hash_words(device, hi, lo, w3, w4), device, hi, lo, w3, w4)
            if slot < 0:
                slot = _add(table, rows, rules, live, ts, device, hi, lo, w3, w4)
                if slot >= 0:
                    rows["page"][slot] = page
                    rows["name"][slot] = name
                    rows["sub"][slot] = sub
            if slot < 0 or not _holds(rows, slot, page, sub, name):
                slot = np.int64(-1)
                continue
        touch(rows, slot, ts)
        if not live:
            if (rows["written"][slot] & bit) == 0:
                rows["written"][slot] |= bit
                rows["targets"][writer] += 1
            if operates and staged:
                rows["staged"][slot] |= bit
                rows["ways"][writer] |= STAGED
            elif operates:
                rows["direct"][slot] |= bit
                rows["ways"][writer] |= DIRECT
            continue
        ways = rows["ways"][writer]
        if (rows["written"][slot] & bit) == 0:
            # Each point has its own first time; those that were told share their page's window.
            first = (rows["told"][slot] & bit) == 0
            rows["told"][slot] |= bit
            often = rows["n"][writer] >= OFTEN * rows["targets"][writer]
            if often and (is_due(rows, slot, ts, rules) or first):
                key = about_pair(TYPE_TARGET, hi, lo, device)
                emit(out, i, j, TYPE_TARGET, _LOW, key, pair, np.nan, np.nan, points.value[j])
        elif (rows["direct"][slot] & bit) != 0:
            continue
        elif (rows["staged"][slot] & bit) != 0:
            ways = STAGED
        if operates and not staged and ways == STAGED:
            key = about_pair(TYPE_UNSELECTED, hi, lo, device)
            emit(out, i, j, TYPE_UNSELECTED, _HIGH, key, pair, np.nan, np.nan, points.value[j])


@kernel()
def commands(
    start: Any, wire: Any, points: Any, writing: Any, table: Any, rows: Any, rules: Any, tags: Any, held: Any,
    written: Any, limit: Any, out: Any,
) -> Any:  # fmt: skip
    """Judge and learn the records from `start` on, until they end or there is no more room.

    Args:
        start: first record.
        wire: Wire.
        points: Values.
        writing: uint8 (256,), 1 for each operation that gives points a value.
        table, rows: `slots.Table` of writers and targets, and COMMAND by slot.
        rules: `seen.Rules`.
        tags, held: `slots.Table` of pages of written tags and `readback.TAG`, eight to a slot.
        written: uint8 (readback.BLOOM,), nonzero where a page of `tags` may be; see `readback.mark_all`.
        limit: pages that a bucket may hold.
        out: `evidence.Evidence`.

    Returns:
        The record to go on with; the number of records where all are done.
    """
    for i in range(start, len(wire.ts)):
        device, ts = wire.device[i], wire.ts[i]
        kind = np.int64(wire.kind[i])
        n = np.int64(wire.offsets[i + 1]) - np.int64(wire.offsets[i])
        if (
            table.used[0] + n + 1 > len(table.keys)
            or tags.used[0] + n + 1 > len(tags.keys)
            or out.filled[0] + 2 * n + 2 > len(out.marks)
        ):
            return i
        tick(table.buckets, np.int64(device % N_BUCKETS), ts, rules.start_ns)
        if tags.buckets[np.int64(device % N_BUCKETS), COUNT] > 0 and (
            wire.gap_bytes[i] != 0 or (wire.anomaly[i] & _HOLE) != 0
        ):
            live = is_live(table.buckets, np.int64(device % N_BUCKETS), rules)
            take_hole(tags, held, limit, live, device, ts)
        if kind == _REQUEST:
            if wire.client_is_src[i] != 0 and writing[wire.op[i]] != 0:
                hi, lo = wire.src_ip[i, 0], wire.src_ip[i, 1]
                _write(wire, points, i, table, rows, rules, tags, held, written, limit, out, hi, lo)
            continue
        if kind == _RESPONSE:
            if writing[wire.op[i]] != 0 and wire.status[i] != 0 and wire.match[i] in (_MATCHED, _LATE):
                take_refusal(
                    tags, held, device, wire.unit[i], wire.space[i], wire.addr_sub[i], wire.name_id[i], wire.addr[i],
                    wire.count[i],
                )  # fmt: skip
        elif kind not in (_UNSOLICITED, _DATA):
            continue
        if n > 0 and tags.used[0] > 0:
            live = is_live(table.buckets, np.int64(device % N_BUCKETS), rules)
            take_read(wire, points, i, tags, held, written, live, out)
    return len(wire.ts)
