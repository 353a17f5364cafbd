"""Replay: a device gives a client the same answers in the same order as once before.

What a device measures is never exactly the same twice for long: noise sees to it.  Of each answer a hash of its values
is rolled into one of the last sixteen answers that differ from the one before (the gear hash of Xia et al. 2016,
"FastCDC", with a step of four bits and XOR: a hash is pushed out after sixteen).  Every sixteenth of these is kept as
an anchor.  Where anchors come again at the distance at which they were kept, the answers between them came again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from detectors.kernels.evidence import emit
from detectors.kernels.mix import fold, mix
from detectors.kernels.seen import about_pair, is_open
from detectors.kernels.slots import KNOWN, STATUS, UNSET, find, hash_words, insert, is_key
from detectors.kernels.words import popcount
from schemas.codes import Direction, LearnState, Severity

TYPE_REPLAY = 1101

RING = 256
"""Anchors kept of a block, in sets of WAYS by their hash; a new one takes the place of the oldest of its set."""
WAYS = 4
STEP = 16
"""Answers that a rolling hash reaches back, and from one anchor to the next."""
LEAST = 256
"""Answers that learning must have seen before a repetition says anything."""
ROUGH = 4
"""Turns among the last sixteen answers from which they are too rough to come again by themselves: a ramp would."""
TOO_OFTEN = 2
"""Anchors in a row that came again while learning: this block repeats itself, and is left alone."""
MOST_KEYS = 1
"""What one record can add to either table."""

BLOCK = np.dtype(
    [
        ("last", np.uint64),
        ("rolled", np.uint64),
        ("name", np.uint64),
        ("addr", np.uint64),
        ("n", np.int64),
        ("at", np.int64),
        ("distance", np.int64),
        ("first", np.int64),
        ("seen", np.int64),
        ("since", np.int64),
        ("sum", np.float64),
        ("step", np.float64),
        ("bend", np.float64),
        ("sub", np.uint32),
        ("turns", np.uint32),
        ("hits", np.uint16),
        ("most", np.uint16),
        ("state", np.uint8),
    ]
)
"""Held for a block, which is what a client reads of a device at once: hash of the latest answer; rolling hash; name and
address of its first value; answers that differ from the one before; the latest that met an anchor, and how far back
that was; ns of the first and the latest; start of the evidence window; sum of the latest answer's values, its
difference from the one before, the latest change of that; second address; of the last answers the turns, a bit each;
anchors met in a row; most of them while learning; LearnState."""

ANCHOR = np.dtype([("mark", np.uint32)])
"""20 bits of a rolling hash, and 12 of the anchor's number; RING of them to a block."""

_READ = int(Direction.READ)
_REPORT = int(Direction.REPORT)
_LEARN = int(LearnState.LEARN)
_LIVE = int(LearnState.LIVE)
_HIGH = int(Severity.HIGH)
_NUMBERS = 0xFFF
_SPAN = STEP * (_NUMBERS + 1) - 1
_NONE = np.uint64(0)


class Wire(NamedTuple):
    """The record columns that answers are judged by; see `schemas.record`."""

    ts: NDArray[np.int64]
    device: NDArray[np.uint64]
    unit: NDArray[np.uint32]
    src_ip: NDArray[np.uint64]
    dst_ip: NDArray[np.uint64]
    client_is_src: NDArray[np.uint8]
    offsets: NDArray[np.int32]


class Values(NamedTuple):
    """The point columns; see `schemas.record`.  `bits` is `value` as the machine stores it."""

    space: NDArray[np.uint16]
    addr: NDArray[np.uint64]
    addr_sub: NDArray[np.uint32]
    name_id: NDArray[np.uint64]
    value: NDArray[np.float64]
    bits: NDArray[np.uint64]
    direction: NDArray[np.uint8]


class Settings(NamedTuple):
    """Settings, as numbers; meaning as in `detectors.replay.Params` and `detectors.lifecycle.Learning`."""

    learns_only: bool
    value_ns: int
    window_ns: int
    rearm_ns: int
    blocks: int
    rings: int


class Rings(NamedTuple):
    """The anchors of blocks.

    Attributes:
        table: `slots.Table`, by the keys of blocks.
        anchor: ANCHOR, RING to a slot.
    """

    table: Any
    anchor: NDArray[Any]


@kernel(inline=True)
def _content(points: Any, first: Any, stop: Any) -> Any:
    """(Hash, sum) of the values of an answer."""
    h = _NONE
    total = 0.0
    for j in range(first, stop):
        h = fold(h, points.bits[j])
        total += points.value[j]
    return mix(_NONE, h), total


@kernel()
def _begin(rows: Any, slot: Any, points: Any, first: Any, ts: Any) -> None:
    """First sight of a block."""
    rows["last"][slot] = 0
    rows["rolled"][slot] = 0
    rows["name"][slot] = points.name_id[first]
    rows["addr"][slot] = points.addr[first]
    rows["n"][slot] = 0
    rows["at"][slot] = 0
    rows["distance"][slot] = 0
    rows["first"][slot] = ts
    rows["seen"][slot] = ts
    rows["since"][slot] = UNSET
    rows["sum"][slot] = 0.0
    rows["step"][slot] = 0.0
    rows["bend"][slot] = 0.0
    rows["sub"][slot] = points.addr_sub[first]
    rows["turns"][slot] = 0
    rows["hits"][slot] = 0
    rows["most"][slot] = 0
    rows["state"][slot] = _LEARN


@kernel(inline=True)
def _turn(rows: Any, slot: Any, total: Any) -> None:
    """Note whether the course of the sum bends the other way than it did last."""
    step = total - rows["sum"][slot]
    bend = step - rows["step"][slot]
    turned = bend * rows["bend"][slot] < 0.0
    rows["turns"][slot] = np.uint32(i64(rows["turns"][slot]) << 1 & 0xFFFF | i64(turned))
    rows["sum"][slot] = total
    rows["step"][slot] = step
    if bend < 0.0 or bend > 0.0:
        rows["bend"][slot] = bend


@kernel()
def _ring(rings: Any, key: Any, settings: Any) -> Any:
    """The slot of a block's anchors, made where there is none; -1 where there is no room."""
    device, hi, lo, what, place = key
    h = hash_words(device, hi, lo, what, place)
    slot = find(rings.table, h, device, hi, lo, what, place)
    if slot < 0:
        slot = insert(rings.table, settings.rings, True, _NONE, h, device, hi, lo, what, place)
        if slot >= 0:
            for at in range(slot * RING, (slot + 1) * RING):
                rings.anchor["mark"][at] = 0
    return slot


@kernel()
def _find_anchor(marks: Any, at: Any, own: Any, n: Any, usual: Any) -> Any:
    """(Answers since the anchor of this hash, that of `usual` if there are several; -1 where there is none; the place
    of the oldest anchor of the set)."""
    distance = np.int64(-1)
    oldest = at
    age = np.int64(-1)
    for place in range(at, at + WAYS):
        held = np.int64(marks[place])
        since = (n - STEP * (held & _NUMBERS)) & _SPAN
        if held >> 12 == own and (distance < 0 or since == usual):
            distance = since
        if held == 0:
            since = np.int64(_SPAN + 1)
        if since > age:
            age = since
            oldest = place
    return distance, oldest


@kernel()
def _meet(rows: Any, slot: Any, marks: Any, ring: Any) -> Any:
    """Whether the last sixteen answers met an anchor; every sixteenth time they become one."""
    n = rows["n"][slot]
    h = mix(_NONE, rows["rolled"][slot])
    at = ring * RING + np.int64(h & np.uint64(RING - WAYS))
    own = i64(max(np.int64(h >> np.uint64(44)), 1))
    distance, oldest = _find_anchor(marks, at, own, n, rows["distance"][slot])
    met = distance >= 0
    if met:
        goes_on = distance == rows["distance"][slot] and n - rows["at"][slot] <= 3 * STEP
        rows["hits"][slot] = min(np.int64(rows["hits"][slot]) + 1, 65_535) if goes_on else 1
        rows["distance"][slot] = distance
        rows["at"][slot] = n
    if n % STEP == 0:
        marks[oldest] = np.uint32(own << 12 | (n // STEP & _NUMBERS))
    return met


@kernel(inline=True)
def _has_learned(rows: Any, slot: Any, ts: Any, settings: Any) -> Any:
    """Whether the learning of a block ends."""
    enough = rows["n"][slot] >= LEAST and ts - rows["first"][slot] >= settings.value_ns
    return enough and rows["state"][slot] == _LEARN and not settings.learns_only


@kernel()
def is_repeated(rows: Any, slot: Any) -> Any:
    """Whether more anchors in a row came again than learning lets expect."""
    most = np.int64(rows["most"][slot])
    return most < TOO_OFTEN and np.int64(rows["hits"][slot]) > most + 1


@kernel()
def replays(start: Any, wire: Any, points: Any, table: Any, rows: Any, rings: Any, settings: Any, out: Any) -> Any:
    """Judge and learn the answers from record `start` on, until they end or there is no more room.

    Args:
        start: first record.
        wire, points: columns.
        table: `slots.Table` of blocks.
        rows: BLOCK, by slot.
        rings: `Rings`.
        settings: `Settings`.
        out: `evidence.Evidence`.

    Returns:
        The record to go on with; the number of records where all are done.
    """
    slot = np.int64(-1)
    for i in range(start, len(wire.ts)):
        first = np.int64(wire.offsets[i])
        stop = np.int64(wire.offsets[i + 1])
        if first == stop or np.int64(points.direction[first]) not in (_READ, _REPORT):
            continue
        full = table.used[0] + MOST_KEYS > len(table.keys) or out.filled[0] == len(out.marks)
        if full or rings.table.used[0] + MOST_KEYS > len(rings.table.keys):
            return i
        ts = wire.ts[i]
        device = wire.device[i]
        if wire.client_is_src[i] == 0:
            hi, lo = wire.dst_ip[i, 0], wire.dst_ip[i, 1]
        else:
            hi, lo = wire.src_ip[i, 0], wire.src_ip[i, 1]
        many = np.uint64(i64(min(stop - first, 0xFFFF)))
        what = np.uint64(wire.unit[i]) | np.uint64(points.space[first]) << np.uint64(32) | many << np.uint64(48)
        place = mix(mix(mix(_NONE, points.addr[first]), np.uint64(points.addr_sub[first])), points.name_id[first])
        slot += 1
        if slot >= table.used[0] or not is_key(table.keys, slot, device, hi, lo, what, place):
            h = hash_words(device, hi, lo, what, place)
            slot = find(table, h, device, hi, lo, what, place)
            if slot < 0:
                slot = insert(table, settings.blocks, not settings.learns_only, _NONE, h, device, hi, lo, what, place)
                if slot >= 0:
                    _begin(rows, slot, points, first, ts)
        if slot < 0:
            continue
        content, total = _content(points, first, stop)
        if content == rows["last"][slot]:
            continue
        rows["last"][slot] = content
        rows["rolled"][slot] = rows["rolled"][slot] << np.uint64(4) ^ content
        rows["n"][slot] += 1
        rows["seen"][slot] = max(rows["seen"][slot], ts)
        _turn(rows, slot, total)
        if _has_learned(rows, slot, ts, settings):
            rows["state"][slot] = _LIVE
            table.keys[slot, STATUS] |= KNOWN
        if rows["n"][slot] < STEP or popcount(np.uint64(rows["turns"][slot])) < ROUGH:
            continue
        ring = _ring(rings, (device, hi, lo, what, place), settings)
        if ring < 0 or not _meet(rows, slot, rings.anchor["mark"], ring):
            continue
        if rows["state"][slot] != _LIVE:
            rows["most"][slot] = max(rows["most"][slot], rows["hits"][slot])
        elif is_repeated(rows, slot) and is_open(rows["since"], slot, ts, settings.window_ns, settings.rearm_ns):
            again = np.float64(STEP * np.int64(rows["hits"][slot]))
            key = about_pair(TYPE_REPLAY, hi, lo, device)
            emit(out, i, first, TYPE_REPLAY, _HIGH, key, _NONE, np.nan, np.nan, again)
    return len(wire.ts)
