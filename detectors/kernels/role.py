"""Role: addresses that ask or answer though they only ever did the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import kernel
from detectors.kernels.evidence import report
from detectors.kernels.seen import about_device, add, is_due, is_known, is_live, look, tick, touch
from detectors.kernels.slots import N_BUCKETS
from schemas.codes import Kind, Severity

TYPE_ASKS = 501
TYPE_ANSWERS = 502

ASKS = np.uint64(1)
ANSWERS = np.uint64(2)
"""What an address does: the second word of its key."""

WROTE = 1
"""Flag of a role that is strange: it wrote in it."""

MOST_KEYS = 1
MOST_ALERTS = 1
"""What one row can add."""

_REQUEST = int(Kind.REQUEST)
_RESPONSE = int(Kind.RESPONSE)
_MEDIUM = int(Severity.MEDIUM)
_HIGH = int(Severity.HIGH)
_CRITICAL = int(Severity.CRITICAL)


@kernel()
def _turn(
    table: Any, rows: Any, rules: Any, out: Any, row: Any, ts: Any, host: Any, role: Any, slot: Any, writes: Any
) -> None:
    """An address that was learned in the other role takes this one."""
    zero = np.uint64(0)
    if slot < 0:
        slot = add(table, rows, rules, True, False, ts, host, role, zero, zero, zero)
    else:
        touch(rows, slot, ts)
    first_write = writes and (slot < 0 or (rows["flags"][slot] & WROTE) == 0)
    if is_due(rows, slot, ts, rules) or first_write:
        what = TYPE_ASKS if role == ASKS else TYPE_ANSWERS
        severity = _MEDIUM
        if role == ASKS:
            severity = _CRITICAL if writes else _HIGH
        report(out, row, what, severity, 0, about_device(what, host), zero)
    if first_write and slot >= 0:
        rows["flags"][slot] |= WROTE


@kernel()
def roles(start: Any, wire: Any, writing: Any, table: Any, rows: Any, rules: Any, out: Any) -> Any:
    """Judge and learn the rows from `start` on, until they end or there is no more room.

    Args:
        start: first row.
        wire: `seen.Wire`, of panes: see `detectors.across`.
        writing: uint8 (256,), 1 for each operation that changes something.
        table: `slots.Table`.
        rows: SEEN, by slot.
        rules: `seen.Rules`.
        out: `evidence.Evidence`.

    Returns:
        The row to go on with; the number of rows where all are done.
    """
    zero = np.uint64(0)
    for i in range(start, len(wire.ts)):
        if table.used[0] + MOST_KEYS > len(table.keys) or out.filled[0] + MOST_ALERTS > len(out.marks):
            return i
        kind = np.int64(wire.kind[i])
        if kind not in (_REQUEST, _RESPONSE):
            continue
        host = wire.device[i]
        ts = wire.ts[i]
        bucket = np.int64(host % N_BUCKETS)
        tick(table.buckets, bucket, ts, rules.start_ns)
        role = ASKS if kind == _REQUEST else ANSWERS
        slot = look(table, host, role, zero, zero, zero)
        if slot >= 0 and is_known(table, slot):
            touch(rows, slot, ts)
        elif not is_live(table.buckets, bucket, rules):
            if slot < 0:
                add(table, rows, rules, False, True, ts, host, role, zero, zero, zero)
        else:
            other = look(table, host, ANSWERS if role == ASKS else ASKS, zero, zero, zero)
            if other >= 0 and is_known(table, other):
                writes = kind == _REQUEST and writing[wire.op[i]] != 0
                _turn(table, rows, rules, out, i, ts, host, role, slot, writes)
    return len(wire.ts)
