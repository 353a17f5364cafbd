"""Room for the beginnings of PDUs that wait for their rest, and who gives theirs up when there is none left."""

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

_LOOKED_AT = 256
_ROUNDS = 8
"""Flows that are compared to find the longest silent one, and how often that is done for one segment at most."""


@kernel()
def clear_left(flow: Rows, k: int, base: int, links: Row, w: Row) -> int:
    """Give back the chunks of a kept beginning."""
    slab.release(flow[k, base + c.D_LEFT], links, w)
    flow[k, base + c.D_LEFT] = -1
    flow[k, base + c.D_LEFT_TAIL] = -1
    flow[k, base + c.D_LEFT_LEN] = 0
    flow[k, base + c.D_NEED] = 0
    return 0


@kernel()
def forget_left(flow: Rows, k: int, base: int, links: Row, w: Row) -> int:
    """Drop the bytes of a PDU that will not be completed."""
    if flow[k, base + c.D_LEFT] >= 0:
        w[n.N_INCOMPLETE] += flow[k, base + c.D_LEFT_LEN]
        clear_left(flow, k, base, links, w)
    return 0


@kernel()
def lose(flow: Rows, k: int, base: int, size: int, links: Row, w: Row) -> int:
    """Drop the kept beginning and `size` new bytes of a stream that goes on: `gap_bytes` of its next record."""
    flow[k, base + c.D_GAP] += flow[k, base + c.D_LEFT_LEN] + size
    w[n.N_INCOMPLETE] += size
    return int(forget_left(flow, k, base, links, w))


@kernel()
def _make_room(flow: Rows, spared: int, wanted: int, links: Row, w: Row) -> bool:
    """Drop kept beginnings until `wanted` chunks are free, each time those of the longest silent of some flows.

    The flows looked at follow those of the last time, so that what it costs does not grow with their number.
    """
    count = w[c.C_FLOWS]
    for _ in range(_ROUNDS):
        if w[c.C_FREE_CHUNK_COUNT] >= wanted:
            return True
        oldest = i64(-1)
        for _ in range(min(_LOOKED_AT, count)):
            k = w[c.C_HAND] + 1
            if k >= count:
                k = i64(0)
            w[c.C_HAND] = k
            keeps = flow[k, c.F_DIR + c.D_LEFT] >= 0 or flow[k, c.F_DIR + c.DIRECTION + c.D_LEFT] >= 0
            if keeps and k != spared and (oldest < 0 or flow[k, c.F_LAST_TS] < flow[oldest, c.F_LAST_TS]):
                oldest = k
        if oldest >= 0:
            lose(flow, oldest, c.F_DIR, i64(0), links, w)
            lose(flow, oldest, c.F_DIR + c.DIRECTION, i64(0), links, w)
    return bool(w[c.C_FREE_CHUNK_COUNT] >= wanted)


@kernel()
def append(data: Bytes, at: int, size: int, head: int, tail: int, used: int, flow: Rows, k: int, chunks: Chunks, links: Row, w: Row) -> int:  # fmt: skip # noqa: E501
    """`slab.append` for flow k; when the slab is full, at the cost of flows that have been silent for long."""
    kept = slab.append(data, at, size, head, tail, used, chunks, links, w)
    if kept == -2 and _make_room(flow, k, (size + c.CHUNK - 1) // c.CHUNK + 1, links, w):
        kept = slab.append(data, at, size, head, tail, used, chunks, links, w)
    return int(kept)
