"""Bytes that wait: the beginning of a PDU that is not whole yet, and segments behind a hole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode import slab, streams
from pipeline.decode.flows import turn
from pipeline.decode.state import Memory

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Bytes = NDArray[np.uint8]


@kernel()
def keep_left(data: Bytes, flow: Rows, k: int, base: int, at: int, end: int, need: int, chunks: Bytes, links: Row, w: Row) -> int:  # fmt: skip # noqa: E501
    """Keep the bytes of a PDU that is not whole yet."""
    head = slab.append(data, at, end - at, -1, -1, 0, chunks, links, w)
    if head == -2:
        w[n.N_INCOMPLETE] += end - at
        return 0
    flow[k, base + c.D_LEFT] = head
    flow[k, base + c.D_LEFT_TAIL] = w[c.C_NEED]
    flow[k, base + c.D_LEFT_LEN] = end - at
    flow[k, base + c.D_NEED] = need
    return 0


@kernel()
def front(data: Bytes, at: int, size: int, flow: Rows, k: int, base: int, chunks: Bytes, links: Row, stream: Bytes, w: Row) -> bool:  # fmt: skip # noqa: E501
    """Put the kept bytes of a PDU and the new ones behind each other into `stream`; False while still too few."""
    left = flow[k, base + c.D_LEFT_LEN]
    waits = flow[k, base + c.D_NEED] > left + size and w[c.C_FINAL] == 0 and w[c.G_MISSING] == 0
    if waits or left + size > c.HOLD_BYTES:
        head = i64(-2)
        if left + size <= c.HOLD_BYTES:
            head = slab.append(
                data, at, size, flow[k, base + c.D_LEFT], flow[k, base + c.D_LEFT_TAIL], left, chunks, links, w
            )
        if head == -2:
            streams.forget_left(flow, k, base, links, w)
            w[n.N_INCOMPLETE] += size
            return False
        flow[k, base + c.D_LEFT_TAIL] = w[c.C_NEED]
        flow[k, base + c.D_LEFT_LEN] = left + size
        return False
    slab.load(flow[k, base + c.D_LEFT], left, chunks, links, stream, 0)
    for i in range(size):
        stream[left + i] = data[at + i]
    slab.release(flow[k, base + c.D_LEFT], links, w)
    flow[k, base + c.D_LEFT] = -1
    flow[k, base + c.D_LEFT_TAIL] = -1
    flow[k, base + c.D_LEFT_LEN] = 0
    flow[k, base + c.D_NEED] = 0
    w[c.C_BUF] = c.BUF_STREAM
    w[c.C_POS] = 0
    w[c.C_END] = left + size
    w[c.C_FRONT] = left
    return True


@kernel()
def give_up_oldest_hole(flow: Rows, held: Rows, links: Row, holes: Rows, w: Row) -> int:
    """Take the oldest hole's timer; the flow and direction to go on with as 2 * flow + direction, -1 when stale."""
    slot = w[c.C_HOLE_HEAD] % c.HOLES
    w[c.C_HOLE_HEAD] += 1
    k, direction, since = holes[slot, 0], holes[slot, 1], holes[slot, 2]
    base = c.F_DIR + direction * c.DIRECTION
    if flow[k, base + c.D_HELD] < 0 or flow[k, base + c.D_HOLE_TS] != since:
        return -1
    flow[k, base + c.D_HOLE_TS] = 0
    streams.give_up_hole(flow, k, direction, held, links, w)
    return int(2 * k + direction)


@kernel()
def rearm_hole(flow: Rows, k: int, direction: int, holes: Rows, w: Row) -> int:
    """A hole that remains behind the one given up gets a time of its own."""
    base = c.F_DIR + direction * c.DIRECTION
    if flow[k, base + c.D_HELD] >= 0 and flow[k, base + c.D_HOLE_TS] == 0:
        slot = w[c.C_HOLE_TAIL] % c.HOLES
        holes[slot, 0] = k
        holes[slot, 1] = direction
        holes[slot, 2] = w[c.C_NOW]
        flow[k, base + c.D_HOLE_TS] = w[c.C_NOW]
        w[c.C_HOLE_TAIL] += 1
    return 0


@kernel()
def set_aside(w: Row, stage: int) -> int:
    """Keep the segment row while something older is done first; it is taken up again at `stage`."""
    for i in range(c.SEGMENT):
        w[c.ASIDE_AT + i] = w[c.SEGMENT_AT + i]
    w[c.C_ASIDE] = stage
    return 0


@kernel()
def work_on(w: Row, k: int, direction: int) -> int:
    """Go on with what is held for a direction of a flow."""
    w[c.C_WORK] = c.WORK_HELD
    w[c.C_FLOW] = k
    w[c.C_DIR] = direction
    return 0


@kernel()
def next_bytes(w: Row, flow: Rows, held: Rows, chunks: Bytes, links: Row, holes: Rows, stream: Bytes) -> int:
    """Put the next held segment that is in order at hand, behind the kept beginning of its PDU."""
    k, direction = w[c.C_FLOW], w[c.C_DIR]
    base = c.F_DIR + direction * c.DIRECTION
    w[c.C_WORK] = c.WORK_NONE
    if flow[k, base + c.D_HELD] < 0:
        return c.AGAIN
    left = flow[k, base + c.D_LEFT_LEN]
    size = streams.next_held(w, flow, k, direction, held, chunks, links, stream, left)
    if size == 0:
        rearm_hole(flow, k, direction, holes, w)
        return c.AGAIN
    turn(w, flow, k, direction)
    if left > 0:
        slab.load(flow[k, base + c.D_LEFT], left, chunks, links, stream, 0)
        slab.release(flow[k, base + c.D_LEFT], links, w)
        flow[k, base + c.D_LEFT] = -1
        flow[k, base + c.D_LEFT_TAIL] = -1
        flow[k, base + c.D_LEFT_LEN] = 0
        flow[k, base + c.D_NEED] = 0
    w[c.C_WORK] = c.WORK_BYTES
    w[c.C_BUF] = c.BUF_STREAM
    w[c.C_POS] = 0
    w[c.C_END] = left + size
    w[c.C_FRONT] = left
    w[c.C_FINAL] = 0
    return c.AGAIN


@kernel()
def give_up_in_time(m: Memory, w: Row) -> bool:
    """Give up the oldest hole when its time is over, or when too many are open; whether there was one to look at."""
    if w[c.C_HOLE_HEAD] >= w[c.C_HOLE_TAIL]:
        return False
    since = m.holes[w[c.C_HOLE_HEAD] % c.HOLES, 2]
    many = w[c.C_HOLE_TAIL] - w[c.C_HOLE_HEAD] >= c.HOLES - 2
    if not many and since + c.HOLD_NS > w[c.C_NOW]:
        return False
    place = give_up_oldest_hole(m.flow, m.held, m.links, m.holes, w)
    if place >= 0:
        work_on(w, place >> 1, place & 1)
    return True
