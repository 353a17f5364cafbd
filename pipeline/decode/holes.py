"""Holes in TCP streams: when one is given up, and how a stream goes on behind it.

A hole is given up when the peer acknowledged past it and said something itself, or three segments came, or one waited
for 50 ms; at 64 KB; or after one second of record time; what it swallowed is `gap_bytes` of the next record.  What lies
further ahead than a peer can have allowed is shown, but does not move the stream: one forged segment would make copies
of all true ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, indirect_call, kernel
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode import slab, streams
from pipeline.decode.assembly import at_hand, load_left
from pipeline.decode.bytes import Bytes
from pipeline.decode.flows import turn
from pipeline.decode.pdu import set_context

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Chunks = NDArray[np.uint8]

call = indirect_call()


@kernel()
def is_lost(w: Row, flow: Rows, k: int, direction: int, held: Rows, answered: int) -> bool:
    """Whether the peer has what is missing and a mirror would have handed it on by now, or too much is held.

    `answered` is whether the peer says something, the segment at hand: it waited for what it had acknowledged.
    """
    base = c.F_DIR + direction * c.DIRECTION
    first = flow[k, base + c.D_HELD]
    if first < 0 or streams.after(held[first, c.H_SEQ], flow[k, base + c.D_NEXT]) <= 0:
        return False
    if flow[k, base + c.D_HELD_BYTES] >= c.HOLD_BYTES:
        return True
    acked = flow[k, base + c.D_ACKED]
    if acked < 0 or streams.after(acked, held[first, c.H_SEQ]) < 0:
        return False
    return bool(answered or flow[k, base + c.D_N_HELD] >= 3 or w[c.G_TS] - held[first, c.H_TS] >= c.MIRROR_NS)


@kernel()
def give_up(w: Row, flow: Rows, k: int, direction: int) -> int:
    """Go on behind the hole of a direction with what is held."""
    flow[k, c.F_DIR + direction * c.DIRECTION + c.D_HOLE_TS] = c.GIVEN_UP
    w[c.C_WORK] = c.WORK_HELD
    w[c.C_FLOW] = k
    w[c.C_DIR] = direction
    return 0


@kernel()
def give_up_oldest(flow: Rows, holes: Rows, w: Row) -> bool:
    """Take the oldest hole's timer and give that hole up; False when the timer is stale."""
    slot = w[c.C_HOLE_HEAD] % c.HOLES
    w[c.C_HOLE_HEAD] += 1
    k, direction, since = holes[slot, 0], holes[slot, 1], holes[slot, 2]
    base = c.F_DIR + direction * c.DIRECTION
    if flow[k, base + c.D_HELD] < 0 or flow[k, base + c.D_HOLE_TS] != since:
        return False
    give_up(w, flow, k, direction)
    return True


@kernel()
def give_up_in_time(flow: Rows, holes: Rows, w: Row) -> bool:
    """Give up the oldest hole when its time is over, or when too many are open; whether there was one to look at."""
    if w[c.C_HOLE_HEAD] >= w[c.C_HOLE_TAIL]:
        return False
    since = holes[w[c.C_HOLE_HEAD] % c.HOLES, 2]
    many = w[c.C_HOLE_TAIL] - w[c.C_HOLE_HEAD] >= c.HOLES - 2
    if not many and since + c.HOLD_NS > w[c.C_NOW]:
        return False
    give_up_oldest(flow, holes, w)
    return True


@kernel()
def _time(flow: Rows, k: int, direction: int, holes: Rows, w: Row) -> int:
    """A hole that remains behind the one given up gets a time of its own."""
    base = c.F_DIR + direction * c.DIRECTION
    if flow[k, base + c.D_HOLE_TS] == 0:
        slot = w[c.C_HOLE_TAIL] % c.HOLES
        holes[slot, 0] = k
        holes[slot, 1] = direction
        holes[slot, 2] = w[c.C_NOW]
        flow[k, base + c.D_HOLE_TS] = w[c.C_NOW]
        w[c.C_HOLE_TAIL] += 1
    return 0


@kernel()
def _stands_alone(h: int, distance: int, w: Row, flow: Rows, k: int, base: int, held: Rows, chunks: Chunks, links: Row, stream: Bytes) -> bool:  # fmt: skip # noqa: E501
    """Whether held segment h, the next in order, is a whole PDU and no rest of the one that was kept."""
    size = held[h, c.H_LEN] + distance
    if size <= 0 or flow[k, base + c.D_NEED] == flow[k, base + c.D_LEFT_LEN] + size:
        return False
    slab.load(held[h, c.H_CHUNK], held[h, c.H_LEN], chunks, links, stream, i64(0))
    set_context(w, flow, k, w[c.C_DIR], i64(1))
    return bool(call(w[c.FRAMES_AT + flow[k, c.F_PROTOCOL]], stream, -distance, size - distance, w) == size)


@kernel()
def _skip(h: int, w: Row, flow: Rows, k: int, base: int, held: Rows) -> bool:
    """Skip the hole before held segment h; False where that is too far ahead to be the stream's.

    More than 64 KB beyond what the peer acknowledged is too far, while what came in order keeps within that: else the
    acknowledgements are not those of this stream, or are not captured any more.  They are believed once.
    """
    expected, acked, target = flow[k, base + c.D_NEXT], flow[k, base + c.D_ACKED], held[h, c.H_SEQ]
    flow[k, base + c.D_HOLE_TS] = 0
    w[n.N_HOLE] += 1
    follows = True
    if acked >= 0 and streams.after(target, acked) > c.HOLD_BYTES and streams.after(expected, acked) <= c.HOLD_BYTES:
        follows = False
        target = acked if streams.after(acked, expected) > 0 else expected
        flow[k, base + c.D_ACKED] = -1
        flow[k, base + c.D_FLAGS] |= c.DIR_RESYNC
    hole = streams.after(target, expected)
    w[n.N_HOLE_BYTES] += hole
    flow[k, base + c.D_GAP] += hole
    flow[k, base + c.D_NEXT] = target
    return follows


@kernel()
def next_bytes(w: Row, flow: Rows, held: Rows, chunks: Chunks, links: Row, holes: Rows, stream: Bytes) -> int:
    """Put the next held segment that is in order at hand, behind the kept beginning of its PDU.

    A beginning that it does not go on with, or that ends at a hole, comes alone before it.
    """
    k, direction = w[c.C_FLOW], w[c.C_DIR]
    base = c.F_DIR + direction * c.DIRECTION
    w[c.C_WORK] = c.WORK_NONE
    h = flow[k, base + c.D_HELD]
    if h < 0:
        return c.AGAIN
    left = flow[k, base + c.D_LEFT_LEN]
    distance = streams.after(held[h, c.H_SEQ], flow[k, base + c.D_NEXT])
    if distance > 0 and flow[k, base + c.D_HOLE_TS] != c.GIVEN_UP:
        _time(flow, k, direction, holes, w)
        return c.AGAIN
    if distance <= 0 and flow[k, base + c.D_HOLE_TS] == c.GIVEN_UP:
        flow[k, base + c.D_HOLE_TS] = 0  # it was filled meanwhile
    w[c.C_LAST] = flow[k, base + c.D_NEXT]
    w[c.C_FINAL] = 1
    if left > 0 and (distance > 0 or _stands_alone(h, distance, w, flow, k, base, held, chunks, links, stream)):
        streams.stand_for(h, held, w)
        turn(w, flow, k, direction)
        w[c.G_MISSING] = 1 if distance > 0 else 0  # what the capture lost is no fault of the sender
        load_left(flow, k, base, chunks, links, stream, w)
        at_hand(w, i64(c.BUF_STREAM), i64(0), left, left)
        return c.AGAIN
    if distance > 0 and not _skip(h, w, flow, k, base, held):
        streams.stand_for(h, held, w)
        turn(w, flow, k, direction)
        size = held[h, c.H_LEN]
        w[c.C_LAST] = (held[h, c.H_SEQ] + size) & 0xFFFFFFFF
        slab.load(held[h, c.H_CHUNK], size, chunks, links, stream, i64(0))
        streams.leave(flow, k, base, held, links, w)
        at_hand(w, i64(c.BUF_STREAM), i64(0), size, i64(0))
        return c.AGAIN
    size = streams.next_held(w, flow, k, direction, held, chunks, links, stream, left)
    if size == 0:
        if flow[k, base + c.D_HELD] >= 0:
            _time(flow, k, direction, holes, w)
        return c.AGAIN
    turn(w, flow, k, direction)
    if left > 0:
        load_left(flow, k, base, chunks, links, stream, w)
    w[c.C_LAST] = (flow[k, base + c.D_NEXT] - w[c.G_MISSING]) & 0xFFFFFFFF
    w[c.C_FINAL] = 0
    at_hand(w, i64(c.BUF_STREAM), i64(0), left + size, left)
    return c.AGAIN
