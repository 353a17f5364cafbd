"""Requests waiting for their response, shared by all protocols.

A pending request is a row: its scratch, and where it came from.  Rows hang in two lists: per flow, newest first, and
by age, so that expiry by record time looks at the oldest only.  An expired request is kept for a minute more, so that
its answer can be called late.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from schemas.codes import Anomaly

Row = NDArray[np.int64]
Rows = NDArray[np.int64]

_TRUNCATED = int(Anomaly.TRUNCATED)


@kernel(inline=True)
def find(pend: Rows, flow: Rows, k: int, direction: int, w: Row) -> int:
    """The request that the response in the scratch answers, -1 for none.

    Of the requests of the other direction with the same key: the newest whose echo is the response's, else the newest
    of the same function, else the newest.  Clients that never count their transactions are told apart by that.
    """
    same = i64(-1)
    other = i64(-1)
    q = flow[k, c.F_PENDING]
    while q >= 0:
        if pend[q, c.S_KEY - c.S_AT] == w[c.S_KEY] and pend[q, c.Q_DIR] != direction:
            if pend[q, c.S_FUNC - c.S_AT] == w[c.S_FUNC]:
                if w[c.S_ECHO] == 0 or pend[q, c.S_ECHO - c.S_AT] == w[c.S_ECHO]:
                    return int(q)
                if same < 0:
                    same = q
            elif other < 0:
                other = q
        q = pend[q, c.Q_NEXT]
    return int(same if same >= 0 else other)


@kernel(inline=True)
def _leave_flow(pend: Rows, flow: Rows, q: int) -> int:
    k = pend[q, c.Q_FLOW]
    before = i64(-1)
    at = flow[k, c.F_PENDING]
    while at >= 0 and at != q:
        before = at
        at = pend[at, c.Q_NEXT]
    if at < 0:
        return 0  # the connection it came on is over
    if before < 0:
        flow[k, c.F_PENDING] = pend[q, c.Q_NEXT]
    else:
        pend[before, c.Q_NEXT] = pend[q, c.Q_NEXT]
    flow[k, c.F_N_PENDING] -= 1
    return 0


@kernel(inline=True)
def _leave_ages(pend: Rows, w: Row, q: int) -> int:
    oldest = c.C_LATE_OLDEST if pend[q, c.Q_LATE] else c.C_OLDEST
    before, following = pend[q, c.Q_BEFORE], pend[q, c.Q_AFTER]
    if before < 0:
        w[oldest] = following
    else:
        pend[before, c.Q_AFTER] = following
    if following < 0:
        w[oldest + 1] = before
    else:
        pend[following, c.Q_BEFORE] = before
    return 0


@kernel(inline=True)
def _join_ages(pend: Rows, w: Row, q: int) -> int:
    oldest = c.C_LATE_OLDEST if pend[q, c.Q_LATE] else c.C_OLDEST
    newest = w[oldest + 1]
    pend[q, c.Q_BEFORE] = newest
    pend[q, c.Q_AFTER] = -1
    if newest < 0:
        w[oldest] = q
    else:
        pend[newest, c.Q_AFTER] = q
    w[oldest + 1] = q
    return 0


@kernel(inline=True)
def remove(pend: Rows, flow: Rows, w: Row, q: int) -> int:
    """Forget a request: answered, or too old."""
    _leave_flow(pend, flow, q)
    _leave_ages(pend, w, q)
    pend[q, c.Q_NEXT] = w[c.C_FREE_PENDING]
    w[c.C_FREE_PENDING] = q
    return 0


@kernel()
def _oldest_of(pend: Rows, flow: Rows, k: int) -> int:
    q = flow[k, c.F_PENDING]
    last = q
    while q >= 0:
        last = q
        q = pend[q, c.Q_NEXT]
    return int(last)


@kernel(inline=True)
def add(pend: Rows, flow: Rows, w: Row, k: int, seq: int) -> int:
    """Remember a request; the caller has made sure that a free row exists.

    A flow with too many open requests forgets its oldest, counted: pairing cannot be used to exhaust memory.
    """
    if flow[k, c.F_N_PENDING] >= c.PENDING_PER_FLOW:
        w[n.N_UNPAIRED] += 1
        remove(pend, flow, w, _oldest_of(pend, flow, k))
    q = w[c.C_FREE_PENDING]
    w[c.C_FREE_PENDING] = pend[q, c.Q_NEXT]
    for i in range(c.HANDED_ON):
        pend[q, i] = w[c.S_AT + i]
    extra = c.S_EXTRA - c.S_AT
    pend[q, extra] = w[c.S_EXTRA]
    pend[q, extra + 1] = w[c.S_EXTRA + 1]
    if w[c.S_EXTRA + 1]:
        for i in range(2, c.S_EXTRAS):
            pend[q, extra + i] = w[c.S_EXTRA + i]
    pend[q, c.Q_TS] = w[c.G_TS]
    pend[q, c.Q_SEQ] = seq
    pend[q, c.Q_FLOW] = k
    pend[q, c.Q_PACKET] = w[c.G_PACKET]
    pend[q, c.Q_SMAC] = w[c.G_SMAC]
    pend[q, c.Q_DMAC] = w[c.G_DMAC]
    pend[q, c.Q_VLAN] = w[c.G_VLAN]
    pend[q, c.Q_DIR] = w[c.G_DIR]
    pend[q, c.Q_LATE] = 0
    pend[q, c.Q_CUT] = w[c.S_ANOMALY] & _TRUNCATED
    pend[q, c.Q_ANSWERED] = 0
    pend[q, c.Q_CLIENT] = flow[k, c.F_CLIENT]
    pend[q, c.Q_FLOW_HASH] = flow[k, c.F_HASH]
    pend[q, c.Q_NEXT] = flow[k, c.F_PENDING]
    flow[k, c.F_PENDING] = q
    flow[k, c.F_N_PENDING] += 1
    return int(_join_ages(pend, w, q))


@kernel(inline=True)
def recall(pend: Rows, q: int, w: Row) -> int:
    """Put what request q hands on where the body of its response looks for it."""
    for i in range(c.HANDED_ON):
        w[c.ASKED_AT + i] = pend[q, i]
    extra = c.S_EXTRA - c.S_AT
    w[c.ASKED + c.S_EXTRA] = pend[q, extra]
    w[c.ASKED + c.S_EXTRA + 1] = pend[q, extra + 1]
    many = pend[q, extra + 1] != 0
    for i in range(2, c.S_EXTRAS):
        w[c.ASKED + c.S_EXTRA + i] = pend[q, extra + i] if many else 0
    return 0


@kernel()
def expire(pend: Rows, flow: Rows, w: Row, now: int) -> int:
    """The oldest request whose time is over, moved among the late ones; -1 when there is none.

    One that was answered, and only waits for more, moves without a word.

    C_DEADLINE says when to ask next: no earlier request can expire before it.
    """
    late = w[c.C_LATE_OLDEST]
    while late >= 0 and pend[late, c.Q_TS] + w[c.C_TIMEOUT] + c.LATE_NS <= now:
        remove(pend, flow, w, late)
        late = w[c.C_LATE_OLDEST]
    w[c.C_DEADLINE] = now + w[c.C_TIMEOUT]
    if late >= 0:
        w[c.C_DEADLINE] = min(w[c.C_DEADLINE], pend[late, c.Q_TS] + w[c.C_TIMEOUT] + c.LATE_NS)
    q = w[c.C_OLDEST]
    while q >= 0 and pend[q, c.Q_TS] + w[c.C_TIMEOUT] <= now:
        _leave_ages(pend, w, q)
        pend[q, c.Q_LATE] = 1
        _join_ages(pend, w, q)
        if pend[q, c.Q_ANSWERED] == 0:
            w[c.C_DEADLINE] = now
            return int(q)
        q = w[c.C_OLDEST]
    if q >= 0:
        w[c.C_DEADLINE] = min(w[c.C_DEADLINE], pend[q, c.Q_TS] + w[c.C_TIMEOUT])
    return -1
