"""Bytes kept between segments: one slab of fixed chunks, chained, with a free list.  Bounded, no allocation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Chunks = NDArray[np.uint8]


@kernel()
def append(data: Bytes, at: int, size: int, head: int, tail: int, used: int, chunks: Chunks, after: Row, w: Row) -> int:
    """Append data[at:at + size] to a chain of `used` bytes; returns its head, or -2 when the slab is full.

    The new tail is left in C_NEED.  An empty chain has head -1.
    """
    room = (c.CHUNK - used % c.CHUNK) % c.CHUNK if head >= 0 else 0
    wanted = (max(0, size - room) + c.CHUNK - 1) // c.CHUNK
    if wanted > w[c.C_FREE_CHUNK_COUNT]:
        w[c.C_NEED] = tail
        return -2
    done = 0
    fill = used % c.CHUNK
    while done < size:
        if head < 0 or fill == 0:
            k = w[c.C_FREE_CHUNK]
            w[c.C_FREE_CHUNK] = after[k]
            w[c.C_FREE_CHUNK_COUNT] -= 1
            after[k] = -1
            if head < 0:
                head = k
            else:
                after[tail] = k
            tail = k
            fill = 0
        step = min(size - done, c.CHUNK - fill)
        for i in range(step):
            chunks[tail, fill + i] = data[at + done + i]
        done += step
        fill = (fill + step) % c.CHUNK
    w[c.C_NEED] = tail
    return head


@kernel()
def load(head: int, size: int, chunks: Chunks, after: Row, out: Bytes, at: int) -> int:
    """Copy a chain of `size` bytes to out[at:]."""
    k = head
    done = 0
    while done < size and k >= 0:
        step = min(size - done, c.CHUNK)
        for i in range(step):
            out[at + done + i] = chunks[k, i]
        done += step
        k = after[k]
    return done


@kernel()
def release(head: int, after: Row, w: Row) -> int:
    """Give a chain back."""
    k = head
    while k >= 0:
        following = after[k]
        after[k] = w[c.C_FREE_CHUNK]
        w[c.C_FREE_CHUNK] = k
        w[c.C_FREE_CHUNK_COUNT] += 1
        k = following
    return 0


@kernel()
def take_held(held: Rows, w: Row) -> int:
    """A free row for a held segment, -1 when there is none."""
    k = w[c.C_FREE_HELD]
    if k >= 0:
        w[c.C_FREE_HELD] = held[k, c.H_NEXT]
    return int(k)


@kernel()
def drop_held(k: int, held: Rows, after: Row, w: Row) -> int:
    """Give a held segment and its bytes back; returns the next one of its list."""
    following = held[k, c.H_NEXT]
    release(held[k, c.H_CHUNK], after, w)
    held[k, c.H_NEXT] = w[c.C_FREE_HELD]
    w[c.C_FREE_HELD] = k
    return int(following)
