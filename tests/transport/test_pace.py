"""Pace: packets when they are due by their own clock, all of them, in order."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.capture.block import PacketBlock
from pipeline.shard.pace import TICK_S, paced

SECOND = 1_000_000_000


def block(times: list[int], first: int) -> PacketBlock:
    n = len(times)
    numbers = np.arange(first, first + n)
    none = np.zeros(n, np.int64)
    return PacketBlock(np.zeros(1, np.uint8), numbers, none, none, np.array(times, np.int64), none, first, 0)


class Clock:
    """Time passes only by waiting."""

    def __init__(self) -> None:
        self.now, self.waits = 50.0, [0.0]

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def played(blocks: list[PacketBlock]) -> tuple[list[tuple[int, float]], Clock, list[Any]]:
    """(packet, when) for each, the clock, and what came."""
    clock, found, came = Clock(), [], []
    for part in paced(blocks, clock=clock, wait=clock.wait):
        came.append(part)
        if part is not None:
            assert part.offset[0] == part.first_packet
            found += [(int(number), clock.now - 50.0) for number in part.offset]
    return found, clock, came


def test_packets_come_when_they_are_due() -> None:
    times = [7 * SECOND + k * SECOND // 4 for k in range(20)]
    found, clock, came = played([block(times[:12], 1), block(times[12:], 13)])
    assert [number for number, _ in found] == list(range(1, 21))
    for k, (_, when) in enumerate(found):
        assert k / 4 - 1e-6 <= when <= k / 4 + TICK_S
    assert max(clock.waits) <= TICK_S
    assert None in came


def test_an_hour_of_nothing_between_captures_is_not_waited_for() -> None:
    found, clock, _ = played([block([0, 1, 5000 * SECOND, 5000 * SECOND + 2, 10, 11], 1)])
    assert [number for number, _ in found] == list(range(1, 7))
    assert clock.now - 50.0 < 1.0
