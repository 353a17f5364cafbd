"""IP datagrams from their fragments (RFC 791, RFC 8200 4.5): bounded, overlapping pieces are refused (RFC 5722)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode import slab
from pipeline.decode.bytes import Bytes
from pipeline.decode.flows import table_hash

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Chunks = NDArray[np.uint8]

_WAYS = 8
_LIFETIME_NS = 30 * c.NANOSECONDS
_LONGEST = 65535
_PIECES = 48
"""Pieces of a datagram at most: what all datagrams hold then leaves a quarter of the rows to streams."""


@kernel()
def _forget(table: Rows, e: int, held: Rows, links: Row, w: Row) -> int:
    h = table[e, c.K_HELD]
    while h >= 0:
        h = slab.drop_held(h, held, links, w)
    table[e, c.K_USED] = 0
    return 0


@kernel()
def _entry(table: Rows, w: Row, held: Rows, links: Row) -> int:
    """The datagram's entry, an empty one, or the oldest of its set, whose pieces are given up."""
    key = (w[c.G_IPID] << 8) | w[c.G_L4] if w[c.G_SRC_HI] == 0 else w[c.G_IPID] << 8
    h = table_hash(w[c.G_SRC_HI], w[c.G_SRC_LO], w[c.G_DST_HI], w[c.G_DST_LO], key, 0)
    first = (h % (c.FRAGMENTS // _WAYS)) * _WAYS
    best = first
    for e in range(first, first + _WAYS):
        if table[e, c.K_USED] == 0:
            if table[best, c.K_USED] != 0:
                best = e
            continue
        if table[e, c.K_TS] + _LIFETIME_NS < w[c.G_TS]:
            w[n.N_FRAGMENT_LOST] += 1
            _forget(table, e, held, links, w)
            best = e
            continue
        if (
            table[e, c.K_ID] == key
            and table[e, c.K_SRC_LO] == w[c.G_SRC_LO]
            and table[e, c.K_DST_LO] == w[c.G_DST_LO]
            and table[e, c.K_SRC_HI] == w[c.G_SRC_HI]
            and table[e, c.K_DST_HI] == w[c.G_DST_HI]
        ):
            return e
        if table[best, c.K_USED] != 0 and table[e, c.K_TS] < table[best, c.K_TS]:
            best = e
    if table[best, c.K_USED] != 0:
        w[n.N_FRAGMENT_LOST] += 1
        _forget(table, best, held, links, w)
    table[best, c.K_USED] = 1
    table[best, c.K_ID] = key
    table[best, c.K_SRC_HI] = w[c.G_SRC_HI]
    table[best, c.K_SRC_LO] = w[c.G_SRC_LO]
    table[best, c.K_DST_HI] = w[c.G_DST_HI]
    table[best, c.K_DST_LO] = w[c.G_DST_LO]
    table[best, c.K_TS] = w[c.G_TS]
    table[best, c.K_HELD] = -1
    table[best, c.K_TOTAL] = -1
    table[best, c.K_BYTES] = 0
    return best


@kernel()
def _place(table: Rows, e: int, offset: int, size: int, held: Rows) -> int:
    """The held piece before which [offset, offset + size) belongs, -1 for the end, -2 a copy, -3 an overlap.

    The piece before it is left to the caller to find: pieces are few.
    """
    h = table[e, c.K_HELD]
    while h >= 0:
        start, length = held[h, c.H_SEQ], held[h, c.H_LEN]
        if start == offset and length == size:
            return -2
        if start < offset + size and offset < start + length:
            return -3
        if start > offset:
            return int(h)
        h = held[h, c.H_NEXT]
    return -1


@kernel()
def _complete(table: Rows, e: int, held: Rows, chunks: Chunks, links: Row, out: Bytes) -> int:
    """Copy a datagram without holes to `out`; its size, 0 while pieces are missing."""
    if table[e, c.K_TOTAL] < 0 or table[e, c.K_BYTES] != table[e, c.K_TOTAL]:
        return 0
    expected = i64(0)
    h = table[e, c.K_HELD]
    while h >= 0:
        if held[h, c.H_SEQ] != expected:
            return 0
        slab.load(held[h, c.H_CHUNK], held[h, c.H_LEN], chunks, links, out, expected)
        expected += held[h, c.H_LEN]
        h = held[h, c.H_NEXT]
    return int(expected)


@kernel()
def add_fragment(data: Bytes, w: Row, table: Rows, held: Rows, chunks: Chunks, links: Row, out: Bytes) -> int:
    """Keep a fragment; when it completes its datagram, copy that to `out` and return its size, else 0."""
    w[n.N_FRAGMENT] += 1
    offset, size = w[c.G_FRAG], w[c.G_L4_END] - w[c.G_L4_OFF]
    if size <= 0 or w[c.G_MISSING] > 0 or offset + size > _LONGEST or (w[c.G_MORE] and size % 8 != 0):
        w[n.N_FRAGMENT_LOST] += 1
        return 0
    e = _entry(table, w, held, links)
    place = _place(table, e, offset, size, held)
    if place == -2:
        return 0
    total = table[e, c.K_TOTAL]
    beyond = (total >= 0 and offset + size > total) or (not w[c.G_MORE] and total >= 0 and total != offset + size)
    row = slab.take_held(held, w) if place != -3 and not beyond else i64(-1)
    head = slab.append(data, w[c.G_L4_OFF], size, -1, -1, 0, chunks, links, w) if row >= 0 else i64(-2)
    if head < 0:
        if row >= 0:
            held[row, c.H_NEXT] = w[c.C_FREE_HELD]
            w[c.C_FREE_HELD] = row
        w[n.N_FRAGMENT_LOST] += 1
        _forget(table, e, held, links, w)
        return 0
    held[row, c.H_SEQ] = offset
    held[row, c.H_LEN] = size
    held[row, c.H_CHUNK] = head
    held[row, c.H_NEXT] = place
    before = i64(-1)
    h = table[e, c.K_HELD]
    while h >= 0 and h != place:
        before = h
        h = held[h, c.H_NEXT]
    if before < 0:
        table[e, c.K_HELD] = row
    else:
        held[before, c.H_NEXT] = row
    table[e, c.K_BYTES] += size
    table[e, c.K_USED] += 1
    if not w[c.G_MORE]:
        table[e, c.K_TOTAL] = offset + size
    done = _complete(table, e, held, chunks, links, out)
    if done > 0:
        w[n.N_JOINED] += 1
        _forget(table, e, held, links, w)
    return done
