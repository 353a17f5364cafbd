"""Scan: clients that reach devices which they never reached before, many within a while.

A pair of a client and a device that was learned costs one lookup.  Of the others each client has a set, exact and of
bounded size: when it is full, the device whose last sight lies furthest from now gives way.  Distances in time count
both ways, so that captures that overlap count together and a clock that runs wild spoils nothing for long.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.evidence import emit
from detectors.kernels.seen import about_device, add, is_due, is_known, is_live, look, tick, touch
from detectors.kernels.slots import N_BUCKETS, UNSET, find, hash_words, insert
from schemas.codes import Kind, Severity

TYPE_SWEEP = 401
TYPE_WRITES = 402
TYPE_HOUR = 403
TYPE_DAY = 404

PAIR = np.uint64(1)
CLIENT = np.uint64(2)
TOLD = np.uint64(3)
"""What a key is: a learned pair; a client, with the number of its learned pairs in `flags`; a client of whom a finding
of some type was told."""

WINDOWS_NS = (600 * 1_000_000_000, 3_600 * 1_000_000_000, 86_400 * 1_000_000_000)
"""Ten minutes, an hour and a day."""

SET = 64
"""Devices that a client's set can hold."""
MOST_LIMIT = SET - 4
"""Bound of what is normal: the set must be able to hold more."""

REACHED = np.dtype([("device", np.uint64), ("last", np.int64), ("wrote", np.int64)])
"""A device that a client reached without having learned it: ns of last sight (UNSET: none) and of the last write."""

MOST_KEYS = 5
MOST_ALERTS = 4
"""What one row can add."""

_REQUEST = int(Kind.REQUEST)
_UNSOLICITED = int(Kind.UNSOLICITED)
_MEDIUM = int(Severity.MEDIUM)
_HIGH = int(Severity.HIGH)
_CRITICAL = int(Severity.CRITICAL)
_SWEEP_NS, _HOUR_NS, _DAY_NS = WINDOWS_NS


class Wire(NamedTuple):
    """The columns of panes that are judged; see `detectors.across`."""

    ts: NDArray[np.int64]
    device: NDArray[np.uint64]
    flow: NDArray[np.uint64]
    kind: NDArray[np.uint8]
    op: NDArray[np.uint8]


class Limits(NamedTuple):
    """How many devices outside of what it learned a client may reach.

    Attributes:
        sweep, hour, day: within ten minutes, an hour, a day.
        writes: of those written to within ten minutes.
        share: more of each for every learned device.
        clients: clients with a set that a bucket may hold.
    """

    sweep: int
    writes: int
    hour: int
    day: int
    share: float
    clients: int


@kernel(inline=True)
def is_near(ts: Any, other: Any, window_ns: Any) -> Any:
    """Whether a time lies less than `window_ns` before or after `ts`."""
    return other != UNSET and other > ts - window_ns and other < ts + window_ns


@kernel()
def _count(reached: Any, base: Any, ts: Any, window_ns: Any) -> Any:
    """Devices of a set that were seen near `ts`."""
    n = np.int64(0)
    for at in range(base, base + SET):
        if is_near(ts, reached["last"][at], window_ns):
            n += 1
    return n


@kernel()
def _count_writes(reached: Any, base: Any, ts: Any) -> Any:
    """Devices of a set that were written to near `ts`."""
    n = np.int64(0)
    for at in range(base, base + SET):
        if is_near(ts, reached["last"][at], _SWEEP_NS) and is_near(ts, reached["wrote"][at], _SWEEP_NS):
            n += 1
    return n


@kernel()
def _place(reached: Any, base: Any, ts: Any, device: Any) -> Any:
    """(Where in a set the device is or may go, whether it is there)."""
    furthest = base
    distance = -1.0
    for at in range(base, base + SET):
        if reached["last"][at] == UNSET:
            return at, False
        if reached["device"][at] == device:
            return at, True
        away = abs(np.float64(ts) - np.float64(reached["last"][at]))
        if away > distance:
            furthest = at
            distance = away
    return furthest, False


@kernel()
def _set_of(clients: Any, reached: Any, limit: Any, client: Any) -> Any:
    """The first place of a client's set, -1 where its bucket has no room."""
    zero = np.uint64(0)
    h = hash_words(client, zero, zero, zero, zero)
    slot = find(clients, h, client, zero, zero, zero, zero)
    if slot < 0:
        slot = insert(clients, limit, False, zero, h, client, zero, zero, zero, zero)
        if slot >= 0:
            for at in range(slot * SET, (slot + 1) * SET):
                reached["device"][at] = 0
                reached["last"][at] = UNSET
                reached["wrote"][at] = UNSET
    return slot * SET if slot >= 0 else np.int64(-1)


@kernel()
def _learn(table: Any, rows: Any, rules: Any, ts: Any, client: Any, device: Any) -> None:
    """Hold a pair as known, and count it for its client."""
    zero = np.uint64(0)
    if add(table, rows, rules, False, True, ts, client, device, PAIR, zero, zero) < 0:
        return
    slot = look(table, client, zero, CLIENT, zero, zero)
    if slot < 0:
        slot = add(table, rows, rules, False, True, ts, client, zero, CLIENT, zero, zero)
    if slot >= 0:
        rows["flags"][slot] += 1


@kernel()
def _tell(
    table: Any, rows: Any, rules: Any, out: Any, row: Any, ts: Any, client: Any, what: Any, severity: Any, limit: Any,
    seen: Any,
) -> None:  # fmt: skip
    """Report that a client went over a limit, unless it was told lately."""
    zero = np.uint64(0)
    slot = look(table, client, np.uint64(what), TOLD, zero, zero)
    if slot < 0:
        slot = add(table, rows, rules, True, False, ts, client, np.uint64(what), TOLD, zero, zero)
    if is_due(rows, slot, ts, rules):
        parent = zero if what == TYPE_SWEEP else about_device(TYPE_SWEEP, client)
        about = about_device(what, client)
        emit(out, row, -1, what, severity, about, parent, np.nan, np.float64(limit), np.float64(seen))


@kernel()
def _judge(
    table: Any, rows: Any, reached: Any, base: Any, rules: Any, limits: Any, out: Any, row: Any, ts: Any, client: Any,
    device: Any, writes: Any,
) -> None:  # fmt: skip
    """A client reaches a device that it did not learn."""
    zero = np.uint64(0)
    at, there = _place(reached, base, ts, device)
    last = reached["last"][at] if there else UNSET
    wrote = reached["wrote"][at] if there else UNSET
    reached["device"][at] = device
    reached["last"][at] = ts
    reached["wrote"][at] = ts if writes else wrote
    slot = look(table, client, zero, CLIENT, zero, zero)
    more = np.int64(np.float64(rows["flags"][slot]) * limits.share) if slot >= 0 else np.int64(0)
    if not is_near(ts, last, _SWEEP_NS):
        limit = min(limits.sweep + more, MOST_LIMIT)
        seen = _count(reached, base, ts, _SWEEP_NS)
        if seen > limit:
            _tell(table, rows, rules, out, row, ts, client, TYPE_SWEEP, _HIGH, limit, seen)
    if writes and not is_near(ts, wrote, _SWEEP_NS):
        limit = min(limits.writes + more, MOST_LIMIT)
        seen = _count_writes(reached, base, ts)
        if seen > limit:
            _tell(table, rows, rules, out, row, ts, client, TYPE_WRITES, _CRITICAL, limit, seen)
    if not is_near(ts, last, _HOUR_NS):
        limit = min(limits.hour + more, MOST_LIMIT)
        seen = _count(reached, base, ts, _HOUR_NS)
        if seen > limit:
            _tell(table, rows, rules, out, row, ts, client, TYPE_HOUR, _HIGH, limit, seen)
    if not is_near(ts, last, _DAY_NS):
        limit = min(limits.day + more, MOST_LIMIT)
        seen = _count(reached, base, ts, _DAY_NS)
        if seen > limit:
            _tell(table, rows, rules, out, row, ts, client, TYPE_DAY, _MEDIUM, limit, seen)


@kernel()
def scans(
    start: Any, wire: Any, writing: Any, table: Any, rows: Any, clients: Any, reached: Any, rules: Any, limits: Any,
    out: Any,
) -> Any:  # fmt: skip
    """Judge and learn the rows from `start` on, until they end or there is no more room.

    Args:
        start: first row.
        wire: Wire.
        writing: uint8 (256,), 1 for each operation that changes something.
        table, rows: `slots.Table` of pairs and SEEN, by slot.
        clients, reached: `slots.Table` of clients with a set and REACHED, SET to a slot.
        rules: `seen.Rules`.
        limits: Limits.
        out: `evidence.Evidence`.

    Returns:
        The row to go on with; the number of rows where all are done.
    """
    zero = np.uint64(0)
    for i in range(start, len(wire.ts)):
        if (
            table.used[0] + MOST_KEYS > len(table.keys)
            or clients.used[0] >= len(clients.keys)
            or out.filled[0] + MOST_ALERTS > len(out.marks)
        ):
            return i
        kind = np.int64(wire.kind[i])
        if kind not in (_REQUEST, _UNSOLICITED):
            continue
        client = wire.device[i]
        device = wire.flow[i]
        ts = wire.ts[i]
        bucket = np.int64(client % N_BUCKETS)
        tick(table.buckets, bucket, ts, rules.start_ns)
        slot = look(table, client, device, PAIR, zero, zero)
        if slot >= 0 and is_known(table, slot):
            touch(rows, slot, ts)
        elif not is_live(table.buckets, bucket, rules):
            _learn(table, rows, rules, ts, client, device)
        else:
            base = _set_of(clients, reached, limits.clients, client)
            if base >= 0:
                writes = writing[wire.op[i]] != 0
                _judge(table, rows, reached, base, rules, limits, out, i, ts, client, device, writes)
    return len(wire.ts)
