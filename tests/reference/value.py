"""Value in plain Python: one object a tag, nothing shared with the kernels but the numbers of the codes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from detectors.lifecycle import Learning
from detectors.value import Params
from schemas.codes import Direction, PointType, Quality, Severity

Row = dict[str, Any]
Found = list[tuple[int, str, int, float, float, float]]
"""(row, finding type, severity, low, high, observed)"""

MOVES, OFTEN, CHANCE, MINUTE = 50, 10, 1e-9, 60_000_000_000
TYPED = 128
SPAN = {PointType.U16: 2.0**16, PointType.I16: 2.0**16, PointType.U32: 2.0**32, PointType.I32: 2.0**32}


def shorter(d: float, kind: int) -> float:
    span = SPAN.get(PointType(kind & 31), 0.0)
    if span and abs(d) > span / 2:
        return d + span if d < 0 else d - span
    return d


@dataclass
class Tag:
    """Everything a tag has shown while it learns, then its bounds."""

    params: Params
    learning: Learning
    written: bool
    type: int
    seen: list[tuple[int, float]] = field(default_factory=list)
    marked: int = 0
    state: str = "learn"
    kind: str = ""
    since: int | None = None
    last: float = math.nan
    latest: int = 0
    same: int = 0
    moved: int = 0
    told: int | None = None
    longest: int = 0
    longest_ns: int = 0
    still: float = math.inf

    def stand(self, ts: int, x: float) -> None:
        """Count a poll without a change."""
        if x != self.last or ts - self.latest > 10 * MINUTE:
            self.same = 0
        else:
            if self.same == 0:
                self.moved, self.told = self.latest, None
            self.same += 1

    def stuck(self, ts: int) -> bool:
        if self.same <= self.still or ts - self.moved < self.longest_ns // 2 * 3 + 2 * min(self.gap, MINUTE):
            return False
        if self.told is None or ts - self.told >= int(self.params.rearm_s * 1e9):
            self.told = ts
        return ts - self.told < int(self.params.window_s * 1e9)

    def learn(self, ts: int, x: float, distinct: int) -> None:
        if self.seen:
            self.stand(ts, x)
            if self.same:
                self.longest = max(self.longest, self.same)
                self.longest_ns = max(self.longest_ns, ts - self.moved)
        self.last, self.latest = x, max(self.latest, ts)
        self.seen.append((ts, x))
        n, age = len(self.seen), ts - self.seen[0][0]
        if self.learning.mode == "learn":
            if n >= 16 and n & (n - 1) == 0:
                self.marked = n
            return
        samples = self.learning.write_samples if self.written else self.learning.value_samples
        if n == 1:
            return
        if self.state == "learn":
            if 4 * age >= 3 * self.learning.value_ns and 4 * n >= 3 * samples:
                self.state, self.marked = "shadow", n
        elif age >= self.learning.value_ns and n >= samples:
            self.settle(distinct)

    def settle(self, distinct: int) -> None:
        xs = [x for _, x in self.seen]
        steps = [b - a for a, b in pairwise(xs)]
        ways = [shorter(d, self.type) for d in steps]
        reach = max([abs(d) for d in steps], default=0.0)
        low, high = min(xs), max(xs)
        width = high - low
        self.kind = self._kind(distinct, width, reach, steps, ways)
        first = xs[: max(self.marked, 1)]
        early = max([abs(b - a) for a, b in pairwise(first)], default=0.0)
        wider = min((reach - early) / early, 1.0) if early > 0 else 0.0
        margin, floor, step = 0.0, 0.0, reach
        if self.kind == "counter":
            step = max(abs(d) for d in ways)
        if self.kind == "analog":
            floor = self.params.step_floor * width
            margin = self.params.margin + self._overshoot(first, low, high)
            if distinct <= 10:
                margin = max(margin, reach / width)
        self.extremes = low, high
        slack = margin * width
        self.low, self.high = low - slack, high + slack
        self.reach = step * (1.0 + self.params.step_margin + wider) + floor
        if self.kind in ("counter", "unscorable"):
            self.low, self.high = -math.inf, math.inf
        if self.kind in ("constant", "discrete", "unscorable"):
            self.reach = math.inf
        times = [t for t, _ in self.seen]
        self.gap = max([b - a for a, b in pairwise(times)], default=0)
        self.still = self._still(sum(d != 0 for d in ways), len(xs))
        self.state = "live"

    def _still(self, moves: int, n: int) -> float:
        """How many polls without a change are normal."""
        if self.kind != "analog" or moves < MOVES or self.written:
            return math.inf
        share = 1 - moves / (n - 1)
        patience = math.log(CHANCE) / math.log(share) if share > 0 else 0.0
        limit = max(math.ceil(patience), self.longest * 3 // 2 + 2)
        return limit if OFTEN * limit <= n else math.inf

    def _kind(self, distinct: int, width: float, reach: float, steps: list[float], ways: list[float]) -> str:
        if width == 0:
            return "constant"
        ups, downs = sum(d > 0 for d in ways), sum(d < 0 for d in ways)
        if distinct > 10 and (100 * downs <= ups or 100 * ups <= downs):
            return "counter"
        if distinct > 10 and self.type in (PointType.U16, PointType.I16):
            rough = width > 0.5 * 65536 and sum(abs(d) for d in steps) > 0.25 * width * len(steps)
            if width > 0.9 * 65536 or rough:
                return "unscorable"
        return "analog" if distinct > 10 or (distinct >= 4 and reach <= width / 3) else "discrete"

    def _overshoot(self, first: list[float], low: float, high: float) -> float:
        before = max(first) - min(first)
        return min(max(min(first) - low, high - max(first)) / before, 1.0) if before > 0 else 0.0

    def judge(self, ts: int, x: float, type_: int, is_written: bool) -> list[tuple[str, int, float, float, float]]:
        """`is_written`: whether somebody ever wrote this tag."""
        found = []
        if not self.low <= x <= self.high:
            if self.since is None or ts - self.since >= int(self.params.rearm_s * 1e9):
                self.since = ts
            if ts - self.since < int(self.params.window_s * 1e9):
                found.append((*self._range(x, type_), self.low, self.high, x))
            self.same = 0
        else:
            self.since = None
            d = x - self.last
            size = abs(shorter(d, type_) if self.kind == "counter" else d)
            limit, silence = self.reach, ts - self.latest
            if abs(d) > self.reach:
                if 0 < self.gap < silence:
                    limit = limit * (silence / self.gap)
                if size > limit:
                    what = "value.written_jump" if self.written else "value.jump"
                    rank = Severity.HIGH if size >= 4 * limit else Severity.LOW
                    rank = Severity.MEDIUM if 1.5 * limit <= size < 4 * limit else rank
                    found.append((what, rank, self.last - limit, self.last + limit, x))
            if self.still < math.inf:
                self.stand(ts, x)
                if not is_written and self.stuck(ts):
                    found.append(("value.stuck", Severity.MEDIUM, *self.extremes, x))
            self.last = x
        self.latest = max(self.latest, ts)
        return found

    def _range(self, x: float, type_: int) -> tuple[str, int]:
        if self.written:
            return "value.written_range", Severity.HIGH
        if self.kind == "constant":
            return "value.constant", Severity.LOW if type_ == PointType.BOOL else Severity.MEDIUM
        low, high = self.extremes
        over = max(x - high, low - x) / (high - low)
        rank = Severity.HIGH if over >= 0.5 else Severity.MEDIUM if over >= 0.25 else Severity.LOW
        return "value.range", rank


class Value:
    """All tags, without a bound.  `distinct_of` estimates how many distinct values a list holds, as the kernel does."""

    def __init__(self, params: Params, learning: Learning, distinct_of: Any) -> None:
        self.params, self.learning, self.distinct_of = params, learning, distinct_of
        self.tags: dict[Any, Tag] = {}

    def judge(self, rows: list[Row]) -> Found:
        found: Found = []
        for i, row in enumerate(rows):
            for point in row.get("points", ()):
                found += [(i, *alert) for alert in self._point(row, point)]
        return found

    def _point(self, row: Row, p: Row) -> list[tuple[str, int, float, float, float]]:
        if p.get("quality", 0) & (Quality.ADDRESS_UNKNOWN | Quality.INVALID):
            return []
        if p["direction"] not in (Direction.READ, Direction.REPORT, Direction.WRITTEN):
            return []
        if p["type"] in (PointType.TEXT, PointType.BYTES) or not math.isfinite(p["value"]):
            return []
        written = p["direction"] == Direction.WRITTEN
        key = (row["device"], row["unit"], p["space"], p["addr"], p.get("addr_sub", 0), p.get("name_id", 0), written)
        known = self.tags.get(key)
        if known is None or (known.type != p["type"] and max(known.type, p["type"]) >= TYPED):
            self.tags[key] = Tag(self.params, self.learning, written, p["type"])
        tag = self.tags[key]
        if tag.state == "live":
            is_written = (*key[:-1], True) in self.tags
            return tag.judge(row["ts"], p["value"], p["type"], is_written)
        tag.learn(row["ts"], p["value"], self.distinct_of([x for _, x in tag.seen] + [p["value"]]))
        return []
