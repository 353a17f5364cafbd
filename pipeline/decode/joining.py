"""Messages above the PDU: segments joined into one, per flow, direction and key, with bounded memory.

A protocol whose messages span several of its own frames (DNP3 transport segments, COTP fragments, BACnet segments)
says so in its head: S_JOIN is 1, and the columns J_… tell which message, whether this is its first and its last
segment, its running number, and where its bytes lie.  The bytes may have gaps of J_GAP bytes behind the first J_LEAD
and behind each J_BLOCK of them, as checksums are; joined, they lie without.  When the last segment is there, head is
called once more with the whole message and X_JOINED, then body.

A segment without its beginning becomes a record of its own that says SEQUENCE_ERROR, unless the capture missed
something; those that follow it are only counted.  Messages that are not completed are given up when their place is
needed, and counted in bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode import slab
from pipeline.decode.bytes import Bytes

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Chunks = NDArray[np.uint8]

_WAYS = 4
_LIFETIME_NS = 60 * c.NANOSECONDS
_K = i64(-7046029254386353131)
_WAITS, _SKIPPED = 1, 2
"""States of a place: a message that waits for its next segment; one whose beginning was not seen."""


@kernel()
def _forget(joins: Rows, e: int, links: Row, w: Row) -> int:
    w[n.N_UNJOINED] += joins[e, c.T_LENGTH]
    return int(_free(joins, e, links, w))


@kernel()
def _free(joins: Rows, e: int, links: Row, w: Row) -> int:
    slab.release(joins[e, c.T_CHAIN], links, w)
    joins[e, c.T_USED] = 0
    joins[e, c.T_LENGTH] = 0
    w[c.C_JOINS] -= 1
    return 0


@kernel()
def _set_of(w: Row) -> int:
    h = ((w[c.X_FLOW] ^ w[c.C_DIR]) * _K) ^ (w[c.J_KEY] * -4658895280553007687)
    return int(((h >> 20) & (c.JOINS // _WAYS - 1)) * _WAYS)


@kernel()
def _find(joins: Rows, links: Row, w: Row) -> int:
    """The waiting message that the segment belongs to, -1 for none."""
    first = _set_of(w)
    for e in range(first, first + _WAYS):
        if joins[e, c.T_USED] == 0:
            continue
        if joins[e, c.T_TS] + _LIFETIME_NS < w[c.G_TS]:
            _forget(joins, e, links, w)
        elif joins[e, c.T_FLOW] == w[c.X_FLOW] ^ w[c.C_DIR] and joins[e, c.T_KEY] == w[c.J_KEY]:
            return e
    return -1


@kernel()
def _place(joins: Rows, links: Row, w: Row) -> int:
    """A free place for a new message; the oldest of its set is given up where there is none."""
    first = _set_of(w)
    best = first
    for e in range(first, first + _WAYS):
        if joins[e, c.T_USED] == 0:
            best = e
            break
        if joins[e, c.T_TS] < joins[best, c.T_TS]:
            best = e
    if joins[best, c.T_USED]:
        _forget(joins, best, links, w)
    joins[best, c.T_USED] = _WAITS
    joins[best, c.T_FLOW] = w[c.X_FLOW] ^ w[c.C_DIR]
    joins[best, c.T_KEY] = w[c.J_KEY]
    joins[best, c.T_CHAIN] = -1
    joins[best, c.T_TAIL] = -1
    joins[best, c.T_LENGTH] = 0
    w[c.C_JOINS] += 1
    return best


@kernel()
def _copy(data: Bytes, out: Bytes, to: int, w: Row) -> int:
    """The segment's bytes without their gaps to out[to:]; the place behind them."""
    at, left = w[c.J_AT], w[c.J_LENGTH]
    block = w[c.J_BLOCK] if w[c.J_BLOCK] > 0 else left
    size = min(left, w[c.J_LEAD] if w[c.J_LEAD] > 0 else block)
    while left > 0:
        for i in range(size):
            out[to + i] = data[at + i]
        to += size
        left -= size
        at += size + w[c.J_GAP]
        size = min(left, block)
    return to


@kernel()
def _keep(joins: Rows, e: int, size: int, joined: Bytes, chunks: Chunks, links: Row, w: Row) -> bool:
    """Append joined[:size] to a waiting message; False where there is no room, and it is given up."""
    length = joins[e, c.T_LENGTH]
    head = i64(-2)
    if length + size <= c.JOIN_BYTES and 4 * w[c.C_FREE_CHUNK_COUNT] > links.size:
        head = slab.append(joined, 0, size, joins[e, c.T_CHAIN], joins[e, c.T_TAIL], length, chunks, links, w)
    if head == -2:
        _forget(joins, e, links, w)
        w[n.N_UNJOINED] += size
        return False
    joins[e, c.T_CHAIN] = head
    joins[e, c.T_TAIL] = w[c.C_NEED]
    joins[e, c.T_LENGTH] = length + size
    joins[e, c.T_SEQ] = w[c.J_SEQ]
    joins[e, c.T_TS] = w[c.G_TS]
    return True


@kernel()
def _skip(joins: Rows, e: int, follows: bool, links: Row, w: Row) -> int:
    """Remember that a message is passed over; -1 for its first segment that was seen, 0 for those that follow."""
    w[n.N_ORPHANS] += 1
    if e >= 0:
        _forget(joins, e, links, w)
    if not w[c.J_LAST]:
        e = _place(joins, links, w)
        joins[e, c.T_USED] = _SKIPPED
        joins[e, c.T_SEQ] = w[c.J_SEQ]
        joins[e, c.T_TS] = w[c.G_TS]
    return 0 if follows else -1


@kernel()
def join(data: Bytes, joins: Rows, chunks: Chunks, links: Row, joined: Bytes, w: Row) -> int:
    """Take a segment.

    Returns:
        Bytes of the whole message, which lies in `joined`; 0 while segments are missing, or where the segment is one
        that was there; -1 for a segment without its beginning.  What is kept of a whole message stays until
        `settle_join`, so that the PDU can be taken again.
    """
    e = i64(-1)
    if w[c.C_JOINS] > 0:
        e = _find(joins, links, w)
    w[c.J_SLOT] = e
    if w[c.J_FIRST]:
        if w[c.J_LAST]:
            return _copy(data, joined, 0, w)
        if e >= 0 and joins[e, c.T_USED] == _SKIPPED:
            _free(joins, e, links, w)
        elif e >= 0:
            _forget(joins, e, links, w)
        _keep(joins, _place(joins, links, w), _copy(data, joined, 0, w), joined, chunks, links, w)
        return 0
    modulo = w[c.J_MODULO]
    if e >= 0 and modulo > 0 and w[c.J_SEQ] == joins[e, c.T_SEQ]:
        return 0
    follows = e >= 0 and (modulo == 0 or w[c.J_SEQ] == (joins[e, c.T_SEQ] + 1) % modulo)
    if not follows or joins[e, c.T_USED] == _SKIPPED:
        return _skip(joins, e, follows, links, w)
    length = joins[e, c.T_LENGTH]
    if not w[c.J_LAST]:
        _keep(joins, e, _copy(data, joined, 0, w), joined, chunks, links, w)
        return 0
    if length + w[c.J_LENGTH] > c.JOIN_BYTES:
        _forget(joins, e, links, w)
        w[n.N_UNJOINED] += w[c.J_LENGTH]
        return 0
    slab.load(joins[e, c.T_CHAIN], length, chunks, links, joined, 0)
    return _copy(data, joined, length, w)


@kernel()
def settle_join(joins: Rows, links: Row, w: Row) -> int:
    """The message in `joined` is being written: let go what was kept of it, or of one that it replaces."""
    e = w[c.J_SLOT]
    if e >= 0:
        if w[c.J_FIRST]:  # what waited will not be completed
            _forget(joins, e, links, w)
        else:
            w[n.N_MESSAGES] += 1
            _free(joins, e, links, w)
        w[c.J_SLOT] = -1
    return 0
