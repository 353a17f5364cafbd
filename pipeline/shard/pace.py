"""Pace: packets of a file at the speed of their own clock, as a live capture would give them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from pipeline.capture.block import PacketBlock

TICK_S = 0.05
"""How long nothing may be said while packets are waited for."""
_STEP_NS = 3600 * 1_000_000_000


def paced(
    blocks: Iterable[PacketBlock],
    *,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[PacketBlock | None]:
    """The packets in the order of `blocks`, each when it is due; None where nothing is due for a moment.

    Time that steps by more than an hour is not waited for: the pace begins anew there.
    """
    anchor: tuple[int, float] | None = None
    last = 0
    for block in blocks:
        steps = np.flatnonzero(np.abs(np.diff(block.ts_ns)) > _STEP_NS) + 1
        start = 0
        while start < len(block):
            first = int(block.ts_ns[start])
            if anchor is None or abs(first - last) > _STEP_NS:
                anchor = (first, clock())
            reached = anchor[0] + int((clock() - anchor[1]) * 1e9)
            if first > reached:
                wait(min(TICK_S, (first - reached) / 1e9))
                yield None
                continue
            later = np.flatnonzero(block.ts_ns[start:] > reached)
            stop = start + int(later[0]) if len(later) else len(block)
            following = steps[steps > start]
            stop = min(stop, int(following[0])) if len(following) else stop
            yield part(block, start, stop)
            last, start = int(block.ts_ns[stop - 1]), stop


def part(block: PacketBlock, start: int, stop: int) -> PacketBlock:
    """Packets start to stop of a block, as views."""
    return replace(
        block,
        offset=block.offset[start:stop],
        captured=block.captured[start:stop],
        original=block.original[start:stop],
        ts_ns=block.ts_ns[start:stop],
        link=block.link[start:stop],
        first_packet=block.first_packet + start,
    )
