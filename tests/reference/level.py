"""The level of a tag, and what the tags of a device do together, in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

WARM, FAST, SLOW, ALLOWED = 400, 0.2, 0.0025, 2.0
TOGETHER = 10_000_000_000
single = np.float32


@dataclass
class Level:
    """Two means and two sums; every number is rounded to float32 where it is kept."""

    fast: Any = 0.0
    slow: Any = 0.0
    scale: Any = 0.0
    up: Any = 0.0
    down: Any = 0.0
    limit: Any = 0.0
    moved: bool = False

    def learn(self, x: float, n: int) -> None:
        x = min(max(x, -1e30), 1e30)
        if n == 1:
            self.fast = self.slow = single(x)
            return
        part = 1 / n
        self.fast = single(float(self.fast) + max(FAST, part) * (x - float(self.fast)))
        away = float(self.fast) - float(self.slow)
        if n <= WARM:
            self.slow = single(float(self.slow) + max(SLOW, part) * away)
            self.scale = single(float(self.scale) + max(SLOW, part) * (abs(away) - float(self.scale)))
            return
        self.limit = single(max(float(self.limit), self.add(away)))
        self.follow(away)

    def add(self, away: float) -> float:
        if self.scale <= 0:
            return 0.0
        z = away / float(self.scale)
        up, down = max(0.0, float(self.up) + z - ALLOWED), max(0.0, float(self.down) - z - ALLOWED)
        self.up, self.down = single(up), single(down)
        return max(up, down)

    def follow(self, away: float) -> None:
        scale = float(self.scale)
        self.slow = single(float(self.slow) + SLOW * away)
        self.scale = single(scale + SLOW * (min(abs(away), 6 * scale) - scale))

    def settle(self, able: bool) -> None:
        able = able and self.limit < 1e30 and 0 < self.scale < 1e30
        self.limit = single(1.25 * float(self.limit) + 5) if able else single(0)
        self.up = self.down = single(0)

    def moves(self, x: float) -> bool:
        self.fast = single(float(self.fast) + FAST * (min(max(x, -1e30), 1e30) - float(self.fast)))
        away, limit = float(self.fast) - float(self.slow), float(self.limit)
        largest = self.add(away)
        self.up, self.down = single(min(self.up, 2 * limit)), single(min(self.down, 2 * limit))
        if not self.moved and largest > limit:
            self.moved = True
            return True
        self.follow(away)
        if largest <= limit / 2:
            self.moved = False
        return False


@dataclass
class Upset:
    """What a device's tags do together."""

    told: int | None = None
    since: int | None = None
    tags: set[int] = field(default_factory=set)

    def together(self, bit: int, ts: int) -> int:
        if self.since is None or ts - self.since > TOGETHER or ts < self.since - TOGETHER:
            self.since, self.tags = ts, set()
        self.tags.add(bit)
        return len(self.tags)
