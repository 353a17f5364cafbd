"""Replay in plain Python: whole windows of answers instead of rolling hashes, without bounds on blocks."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

S = 1_000_000_000
MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15
Row = dict[str, Any]


def fold(seed: int, word: int) -> int:
    z = (seed ^ word) * GAMMA & MASK
    return z ^ z >> 32


def mix(seed: int, word: int) -> int:
    z = ((seed ^ word) + GAMMA) & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def content(values: list[float]) -> int:
    words = [struct.unpack("<Q", struct.pack("<d", value))[0] for value in values]
    return mix(0, reduce(fold, words, 0))


@dataclass
class Block:
    first: int
    answers: list[int] = field(default_factory=list)
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0])
    bend: float = 0.0
    turns: list[bool] = field(default_factory=list)
    anchors: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """By set: part of the window's hash and the number of the anchor, of the last four."""
    hits: int = 0
    most: int = 0
    distance: int = 0
    at: int = 0
    live: bool = False
    since: int | None = None

    def take(self, values: list[float]) -> bool:
        """Whether the last sixteen answers came before."""
        self.answers.append(content(values))
        self.sums.append(sum(values))
        step, before = self.sums[-1] - self.sums[-2], self.sums[-2] - self.sums[-3]
        bend = step - before
        self.turns.append(bend * self.bend < 0)
        self.bend = bend or self.bend
        n = len(self.answers)
        if n < 16 or sum(self.turns[-16:]) < 4:
            return False
        rolled = reduce(lambda h, back: h ^ self.answers[-1 - back] << 4 * back & MASK, range(16), 0)
        whole = mix(0, rolled)
        place, part = whole % 256 // 4, max(whole >> 44, 1)
        held = self.anchors.setdefault(place, [])
        distances = [(n - 16 * number) % 65_536 for of, number in held if of == part]
        if distances:
            distance = self.distance if self.distance in distances else distances[0]
            goes_on = distance == self.distance and n - self.at <= 48
            self.hits = self.hits + 1 if goes_on else 1
            self.distance, self.at = distance, n
        if n % 16 == 0:
            self._keep(held, part, n // 16)
        return bool(distances)

    def _keep(self, held: list[tuple[int, int]], part: int, number: int) -> None:
        """Add an anchor to its set; of four the oldest gives its place."""
        if len(held) < 4:
            held.append((part, number % 4096))
            return
        oldest = max(range(4), key=lambda way: (number - held[way][1]) % 4096)
        held[oldest] = (part, number % 4096)


def replays(rows: list[Row], value_s: float, learns_only: bool = False) -> list[tuple[int, float]]:
    """(row, answers in a row that came before), of records with values that the device reports."""
    blocks: dict[Any, Block] = {}
    found = []
    for number, row in enumerate(rows):
        points = row.get("points", ())
        if not points or points[0]["direction"] not in (1, 4):
            continue
        ts, client = row["ts"], row["src_ip"] if row.get("client_is_src") else row["dst_ip"]
        place = (points[0]["space"], points[0]["addr"], points[0].get("addr_sub", 0), points[0].get("name_id", 0))
        block = blocks.setdefault((row["device"], client, row["unit"], len(points), place), Block(ts))
        values = [point["value"] for point in points]
        if block.answers and content(values) == block.answers[-1]:
            continue
        met = block.take(values)
        if not learns_only and not block.live:
            block.live = len(block.answers) >= 256 and ts - block.first >= value_s * S
        if not met:
            continue
        if not block.live:
            block.most = max(block.most, block.hits)
        elif block.most < 2 and block.hits > block.most + 1:
            if block.since is None or ts - block.since >= 3600 * S:
                block.since = ts
            if ts - block.since < 600 * S:
                found.append((number, 16.0 * block.hits))
    return found
