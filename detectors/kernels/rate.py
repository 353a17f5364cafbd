"""Rate: floods, bursts of refusals, and searches inside a device: its units, functions and points.

What a client asked of a device while it was learned is known, each whole question by itself, and costs one lookup.
Of what is not known, distinct units, functions and points are counted: see `detectors.kernels.search`.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.evidence import emit
from detectors.kernels.mix import mix
from detectors.kernels.search import search_of, strange
from detectors.kernels.seen import TYPE_PAIR, about_device, about_pair, is_live, limit_of, tick
from detectors.kernels.slots import KNOWN, N_BUCKETS, STATUS, UNSET, find, hash_words, insert, is_key
from schemas.codes import Kind, Match, Severity

TYPE_FLOOD = 901
TYPE_DEVICE_FLOOD = 902
TYPE_UNITS = 903
TYPE_FUNCTIONS = 904
TYPE_POINTS = 905
TYPE_ERRORS = 906

PAIR = np.uint64(1)
ASKED = np.uint64(2)
UNIT = np.uint64(3)
FUNCTION = np.uint64(4)
POINT = np.uint64(5)
"""What a key is: a client and a device (no client: all of them), a whole question, and the parts of questions."""

COUNTS = np.dtype(
    [
        ("first", np.int64),
        ("last", np.int64),
        ("n", np.int64),
        ("second", np.int64),
        ("minute", np.int64),
        ("requests", np.int32),
        ("most", np.int32),
        ("errors", np.int32),
        ("most_errors", np.int32),
        ("told", np.int64),
        ("addr", np.uint64),
        ("name", np.uint64),
        ("sub", np.uint32),
        ("subfunc", np.uint32),
        ("func", np.uint16),
        ("space", np.uint16),
        ("protocol", np.uint8),
    ]
)
"""Held for a key: ns of first and last sight, sightings.  Of a pair also: the latest second with a request and the
latest minute with a refusal, requests and refusals in them, the most of both learned, and the second in which a flood
was told last.  Of a question: what it asks."""

RISE = 6.0
FEW = 5.0
"""Normal are 1.5 times as many as the most learned, m, with RISE * sqrt(m) + FEW more."""

MOST_KEYS = 6
MOST_ALERTS = 9
"""What one record can add."""

_SECOND_NS = 1_000_000_000
_MINUTE_NS = 60 * _SECOND_NS
_MOST_COUNT = 1_000_000_000
_REQUEST = int(Kind.REQUEST)
_RESPONSE = int(Kind.RESPONSE)
_MATCHED = int(Match.MATCHED)
_LATE = int(Match.LATE)
_MEDIUM = int(Severity.MEDIUM)
_HIGH = int(Severity.HIGH)
_ZERO = np.uint64(0)


class Wire(NamedTuple):
    """The record columns that rates are judged by; see `schemas.record`."""

    ts: NDArray[np.int64]
    device: NDArray[np.uint64]
    src_ip: NDArray[np.uint64]
    dst_ip: NDArray[np.uint64]
    client_is_src: NDArray[np.uint8]
    protocol: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    unit: NDArray[np.uint32]
    match: NDArray[np.uint8]
    func: NDArray[np.uint16]
    subfunc: NDArray[np.uint32]
    space: NDArray[np.uint16]
    addr: NDArray[np.uint64]
    addr_sub: NDArray[np.uint32]
    name_id: NDArray[np.uint64]
    status: NDArray[np.uint32]


class Limits(NamedTuple):
    """Settings, as numbers; meaning as in `detectors.rate.Params`."""

    least: int
    errors: int
    units: int
    functions: int
    points: int
    hour: int
    window_ns: int
    rearm_ns: int
    searches: int


@kernel()
def _hold(table: Any, rows: Any, rules: Any, live: Any, ts: Any, w0: Any, w1: Any, w2: Any, w3: Any, w4: Any) -> Any:
    """Hold a key that is not held; its slot, -1 where its bucket is full."""
    h = hash_words(w0, w1, w2, w3, w4)
    limit = limit_of(table, np.int64(w0 % N_BUCKETS), rules.limit, live)
    slot = insert(table, limit, live, _ZERO if live else KNOWN, h, w0, w1, w2, w3, w4)
    if slot >= 0:
        rows["first"][slot] = ts
        rows["last"][slot] = ts
        rows["n"][slot] = 0
        rows["second"][slot] = UNSET
        rows["minute"][slot] = UNSET
        rows["requests"][slot] = 0
        rows["most"][slot] = 0
        rows["errors"][slot] = 0
        rows["most_errors"][slot] = 0
        rows["told"][slot] = UNSET
        rows["addr"][slot] = 0
        rows["name"][slot] = 0
        rows["sub"][slot] = 0
        rows["subfunc"][slot] = 0
        rows["func"][slot] = 0
        rows["space"][slot] = 0
        rows["protocol"][slot] = 0
    return slot


@kernel(inline=True)
def _pair(table: Any, rows: Any, rules: Any, live: Any, ts: Any, device: Any, hi: Any, lo: Any) -> Any:
    """The slot of a client and a device."""
    slot = find(table, hash_words(device, hi, lo, PAIR, _ZERO), device, hi, lo, PAIR, _ZERO)
    return slot if slot >= 0 else _hold(table, rows, rules, live, ts, device, hi, lo, PAIR, _ZERO)


@kernel(inline=True)
def _sighted(rows: Any, slot: Any, ts: Any) -> None:
    """Count a sighting."""
    rows["n"][slot] += 1
    rows["last"][slot] = max(rows["last"][slot], ts)


@kernel()
def _limit(most: Any, least: Any) -> Any:
    """The most that is normal."""
    m = np.float64(most)
    return max(np.int64(1.5 * m + RISE * sqrt(m) + FEW), np.int64(least))


@kernel()
def _count_request(rows: Any, slot: Any, ts: Any, live: Any, least: Any) -> Any:
    """Count a request in its second; the count where it has just gone beyond what is normal, else 0."""
    second = ts // _SECOND_NS
    if second > rows["second"][slot] or second < rows["second"][slot] - 1:
        rows["second"][slot] = second
        rows["requests"][slot] = 0
    if rows["requests"][slot] < _MOST_COUNT:
        rows["requests"][slot] += 1
    count = rows["requests"][slot]
    if not live:
        rows["most"][slot] = max(rows["most"][slot], count)
        return 0
    if count <= _limit(rows["most"][slot], least) or rows["told"][slot] == rows["second"][slot]:
        return 0
    rows["told"][slot] = rows["second"][slot]
    return np.int64(count)


@kernel()
def _count_error(rows: Any, slot: Any, ts: Any, live: Any, least: Any) -> Any:
    """Count a refusal in its minute; the count where it is beyond what is normal and a power of two more, else 0."""
    minute = ts // _MINUTE_NS
    if minute > rows["minute"][slot] or minute < rows["minute"][slot] - 1:
        rows["minute"][slot] = minute
        rows["errors"][slot] = 0
    if rows["errors"][slot] < _MOST_COUNT:
        rows["errors"][slot] += 1
    count = np.int64(rows["errors"][slot])
    if not live:
        rows["most_errors"][slot] = max(rows["most_errors"][slot], count)
        return 0
    beyond = count - _limit(rows["most_errors"][slot], least)
    return count if beyond > 0 and (beyond & (beyond - 1)) == 0 else 0


@kernel()
def _part(
    table: Any, keyed: Any, rules: Any, live: Any, ts: Any, device: Any, hi: Any, lo: Any, subject: Any, word: Any
) -> Any:
    """Whether a part of a question is known; where it may still be learned, it is from now on."""
    slot = find(table, hash_words(device, hi, lo, subject, word), device, hi, lo, subject, word)
    if slot < 0 and not live:
        slot = _hold(table, keyed, rules, live, ts, device, hi, lo, subject, word)
    if slot < 0:
        return not live
    _sighted(keyed, slot, ts)
    return True


@kernel(inline=True)
def _function(wire: Any, i: Any) -> Any:
    """A function as one number."""
    call = np.uint64(wire.protocol[i]) << np.uint64(16) | np.uint64(wire.func[i])
    return mix(mix(_ZERO, call), np.uint64(wire.subfunc[i]))


@kernel(inline=True)
def _point(wire: Any, i: Any) -> Any:
    """Where a request begins as one number."""
    where = mix(_ZERO, np.uint64(wire.unit[i]) << np.uint64(16) | np.uint64(wire.space[i]))
    return mix(mix(mix(where, wire.addr[i]), np.uint64(wire.addr_sub[i])), wire.name_id[i])


@kernel()
def _question(
    wire: Any, i: Any, table: Any, keyed: Any, rules: Any, live: Any, tables: Any, rows: Any, limits: Any, hi: Any,
    lo: Any, out: Any,
) -> None:  # fmt: skip
    """A question that was not asked while it was learned: which of its parts are strange."""
    device, ts = wire.device[i], wire.ts[i]
    unit, function, point = np.uint64(wire.unit[i]), _function(wire, i), _point(wire, i)
    knows_unit = _part(table, keyed, rules, live, ts, device, hi, lo, UNIT, unit)
    knows_function = _part(table, keyed, rules, live, ts, device, hi, lo, FUNCTION, function)
    knows_point = wire.space[i] == 0 or _part(table, keyed, rules, live, ts, device, hi, lo, POINT, point)
    if knows_unit and knows_function and knows_point:
        return
    base = search_of(tables, rows, limits.searches, device, hi, lo)
    if base < 0:
        return
    if not knows_unit:
        strange(rows, base, 0, mix(_ZERO, unit), TYPE_UNITS, limits.units, limits, ts, i, hi, lo, device, out)
    if not knows_function:
        strange(rows, base, 1, function, TYPE_FUNCTIONS, limits.functions, limits, ts, i, hi, lo, device, out)
    if not knows_point:
        strange(rows, base, 2, point, TYPE_POINTS, limits.points, limits, ts, i, hi, lo, device, out)


@kernel(inline=True)
def _digest(wire: Any, i: Any) -> Any:
    """A whole question as one number, but for its unit."""
    call = np.uint64(wire.protocol[i]) << np.uint64(48) | np.uint64(wire.func[i]) << np.uint64(32)
    where = np.uint64(wire.addr_sub[i]) << np.uint64(16) | np.uint64(wire.space[i])
    asks = mix(_ZERO, call | np.uint64(wire.subfunc[i]))
    return mix(mix(mix(asks, wire.addr[i]), where), wire.name_id[i])


@kernel(inline=True)
def _asked(wire: Any, i: Any) -> Any:
    """Fourth word of a question's key."""
    return np.uint64(wire.unit[i]) << np.uint64(8) | ASKED


@kernel()
def _learn(table: Any, keyed: Any, rules: Any, wire: Any, i: Any, hi: Any, lo: Any) -> Any:
    """Hold a question as known; its slot."""
    slot = _hold(table, keyed, rules, False, wire.ts[i], wire.device[i], hi, lo, _asked(wire, i), _digest(wire, i))
    if slot >= 0:
        keyed["addr"][slot] = wire.addr[i]
        keyed["name"][slot] = wire.name_id[i]
        keyed["sub"][slot] = wire.addr_sub[i]
        keyed["subfunc"][slot] = wire.subfunc[i]
        keyed["func"][slot] = wire.func[i]
        keyed["space"][slot] = wire.space[i]
        keyed["protocol"][slot] = wire.protocol[i]
    return slot


@kernel()
def know(wire: Any, table: Any, keyed: Any, rules: Any, places: Any) -> None:
    """Hold the questions of a baseline, one for each record, and all their parts; `places` (n,) gets their slots."""
    for i in range(len(wire.ts)):
        device, ts, hi, lo = wire.device[i], wire.ts[i], wire.src_ip[i, 0], wire.src_ip[i, 1]
        places[i] = _learn(table, keyed, rules, wire, i, hi, lo)
        _part(table, keyed, rules, False, ts, device, hi, lo, UNIT, np.uint64(wire.unit[i]))
        _part(table, keyed, rules, False, ts, device, hi, lo, FUNCTION, _function(wire, i))
        if wire.space[i] != 0:
            _part(table, keyed, rules, False, ts, device, hi, lo, POINT, _point(wire, i))


@kernel()
def rates(
    start: Any, wire: Any, table: Any, keyed: Any, tables: Any, rows: Any, rules: Any, limits: Any, out: Any
) -> Any:
    """Judge and learn the records from `start` on, until they end or there is no more room.

    Args:
        start: first record.
        wire: Wire.
        table, keyed: `slots.Table` of pairs and what they asked, and COUNTS by slot.
        tables, rows: `slots.Table` of pairs that search, and SEARCH, PER to a slot.
        rules: `seen.Rules`.
        limits: Limits.
        out: `evidence.Evidence`.

    Returns:
        The record to go on with; the number of records where all are done.
    """
    slot = np.int64(-1)
    for i in range(start, len(wire.ts)):
        if (
            table.used[0] + MOST_KEYS > len(table.keys)
            or tables.used[0] >= len(tables.keys)
            or out.filled[0] + MOST_ALERTS > len(out.marks)
        ):
            return i
        device, ts = wire.device[i], wire.ts[i]
        bucket = np.int64(device % N_BUCKETS)
        tick(table.buckets, bucket, ts, rules.start_ns)
        kind = np.int64(wire.kind[i])
        asks = wire.client_is_src[i] != 0 and kind == _REQUEST
        answers = wire.client_is_src[i] == 0 and kind == _RESPONSE
        if not asks and not (answers and wire.status[i] != 0 and wire.match[i] in (_MATCHED, _LATE)):
            continue
        live = is_live(table.buckets, bucket, rules)
        hi = wire.src_ip[i, 0] if asks else wire.dst_ip[i, 0]
        lo = wire.src_ip[i, 1] if asks else wire.dst_ip[i, 1]
        if slot < 0 or not is_key(table.keys, slot, device, hi, lo, PAIR, _ZERO):
            slot = _pair(table, keyed, rules, live, ts, device, hi, lo)
        if answers:
            count = _count_error(keyed, slot, ts, live, limits.errors) if slot >= 0 else 0
            if count > 0:
                most = np.float64(_limit(keyed["most_errors"][slot], limits.errors))
                key, pair = about_pair(TYPE_ERRORS, hi, lo, device), about_pair(TYPE_PAIR, hi, lo, device)
                emit(out, i, -1, TYPE_ERRORS, _MEDIUM, key, pair, np.nan, most, np.float64(count))
            continue
        count = 0
        if slot >= 0:
            _sighted(keyed, slot, ts)
            count = _count_request(keyed, slot, ts, live, limits.least)
        if count > 0:
            most = np.float64(_limit(keyed["most"][slot], limits.least))
            key, pair = about_pair(TYPE_FLOOD, hi, lo, device), about_pair(TYPE_PAIR, hi, lo, device)
            emit(out, i, -1, TYPE_FLOOD, _HIGH, key, pair, np.nan, most, np.float64(count))
        every = _pair(table, keyed, rules, live, ts, device, _ZERO, _ZERO)
        if every >= 0:
            _sighted(keyed, every, ts)
            count = _count_request(keyed, every, ts, live, 2 * limits.least)
            if count > 0:
                most = np.float64(_limit(keyed["most"][every], 2 * limits.least))
                key, flood = about_device(TYPE_DEVICE_FLOOD, device), about_pair(TYPE_FLOOD, hi, lo, device)
                emit(out, i, -1, TYPE_DEVICE_FLOOD, _HIGH, key, flood, np.nan, most, np.float64(count))
        w3, digest = _asked(wire, i), _digest(wire, i)
        asked = find(table, hash_words(device, hi, lo, w3, digest), device, hi, lo, w3, digest)
        if asked >= 0 and (table.keys[asked, STATUS] & KNOWN) != 0:
            _sighted(keyed, asked, ts)
            continue
        if asked < 0 and not live:
            asked = _learn(table, keyed, rules, wire, i, hi, lo)
            if asked >= 0:
                _sighted(keyed, asked, ts)
        _question(wire, i, table, keyed, rules, live, tables, rows, limits, hi, lo, out)
    return len(wire.ts)
