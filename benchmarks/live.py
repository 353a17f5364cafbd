"""A shard whose packets are stamped as they come: `python -m benchmarks.live CAPTURE KAFKA SPOOL CONFIG RATE SECONDS`.

It reads a capture again and again, gives RATE packets a second in pieces of 10 ms, and stamps each piece with the
clock's time: so the time from packet to finding is that of the finding's arrival less its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.capture.block import PacketBlock
from pipeline.capture.files import Captures
from pipeline.config import load
from pipeline.metrics import HealthRow
from pipeline.shard.capture import capture
from pipeline.shard.pace import part

_TICK_S = 0.01


class Live:
    """A source without an end of its own."""

    def __init__(self, path: Path, rate: int, seconds: float) -> None:
        self._path, self._rate, self._seconds = path, rate, seconds

    def __iter__(self) -> Iterator[PacketBlock | None]:
        start, given = time.monotonic(), 0
        for block in Captures([self._path]):
            at = 0
            while at < len(block):
                now = time.monotonic() - start
                if now >= self._seconds:
                    return
                due = int(now * self._rate) - given
                if due <= 0:
                    time.sleep(_TICK_S)
                    yield None
                    continue
                piece = part(block, at, min(len(block), at + due))
                stamp = np.full(len(piece), time.time_ns(), np.int64)
                yield replace(piece, ts_ns=stamp)
                at, given = at + len(piece), given + len(piece)

    def identity(self) -> str:
        """It can never be read again."""
        return ""

    def progress(self) -> tuple[int, int]:
        """There is none."""
        return 0, 0

    def health(self) -> list[HealthRow]:
        """Nothing."""
        return []


if __name__ == "__main__":
    file, kafka, spool, config, rate, seconds = sys.argv[1:]
    report = capture(Live(Path(file), int(rate), float(seconds)), kafka, Path(spool), load(Path(config)))
    print(report.records)
