"""Bytes that wait: the beginning of a PDU that is not whole yet, and segments behind a hole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode import slab
from pipeline.decode.room import append, clear_left, lose

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Bytes = NDArray[np.uint8]


@kernel()
def keep_left(data: Bytes, flow: Rows, k: int, base: int, at: int, end: int, need: int, chunks: Bytes, links: Row, w: Row) -> int:  # fmt: skip # noqa: E501
    """Keep the bytes of a PDU that is not whole yet."""
    head = i64(-2)
    if end - at <= c.HOLD_BYTES:
        head = append(data, at, end - at, i64(-1), i64(-1), i64(0), flow, k, chunks, links, w)
    if head == -2:
        return int(lose(flow, k, base, end - at, links, w))
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
    if left + size > (c.HOLD_BYTES if waits else c.STREAM_BYTES):
        lose(flow, k, base, size, links, w)
        return False
    if waits:
        head, tail = flow[k, base + c.D_LEFT], flow[k, base + c.D_LEFT_TAIL]
        if append(data, at, size, head, tail, left, flow, k, chunks, links, w) == -2:
            lose(flow, k, base, size, links, w)
            return False
        flow[k, base + c.D_LEFT_TAIL] = w[c.C_NEED]
        flow[k, base + c.D_LEFT_LEN] = left + size
        return False
    load_left(flow, k, base, chunks, links, stream, w)
    for i in range(size):
        stream[left + i] = data[at + i]
    at_hand(w, i64(c.BUF_STREAM), i64(0), left + size, left)
    return True


@kernel()
def load_left(flow: Rows, k: int, base: int, chunks: Bytes, links: Row, stream: Bytes, w: Row) -> int:
    """Move a kept beginning to the front of `stream`."""
    slab.load(flow[k, base + c.D_LEFT], flow[k, base + c.D_LEFT_LEN], chunks, links, stream, i64(0))
    return int(clear_left(flow, k, base, links, w))


@kernel()
def at_hand(w: Row, buffer: int, at: int, end: int, front: int) -> int:
    """Have the driver take PDUs from a buffer's bytes from `at` to `end`; the first `front` of them were kept."""
    w[c.C_WORK] = c.WORK_BYTES
    w[c.C_BUF] = buffer
    w[c.C_POS] = at
    w[c.C_END] = end
    w[c.C_FRONT] = front
    return 0


@kernel()
def set_aside(w: Row, stage: int) -> int:
    """Keep the segment row while something older is done first; it is taken up again at `stage`."""
    for i in range(c.SEGMENT):
        w[c.ASIDE_AT + i] = w[c.SEGMENT_AT + i]
    w[c.C_ASIDE] = stage
    return 0
