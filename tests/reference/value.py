"""Value in plain Python: one object a tag, nothing shared with the kernels but the numbers of the codes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from detectors.kernels import words
from detectors.kernels.seen import about_tag
from detectors.lifecycle import Learning
from detectors.value import Params
from schemas.codes import Direction, Op, PointType, Quality, Severity
from tests.reference.level import ALLOWED, WARM, Level, Upset, single

Row = dict[str, Any]
Found = list[tuple[int, str, int, float, float, float]]
"""(row, finding type, severity, low, high, observed)"""

MOVES, OFTEN, CHANCE, MINUTE = 50, 10, 1e-9, 60_000_000_000
TYPED = 128
RESTS, STATES, CHANGES = 50, 30, 20
SEVERAL, COMMANDED = 5, 120_000_000_000
WORDS = {1, 2, 3, 4, 5, 6, 7, 14, 15, 16}
AS_WRITTEN = ("value.range", "value.constant", "value.jump")
STANDS = ("value.stuck", "value.rest")
SPAN = {PointType.U16: 2.0**16, PointType.I16: 2.0**16, PointType.U32: 2.0**32, PointType.I32: 2.0**32}


def shorter(d: float, kind: int) -> float:
    span = SPAN.get(PointType(kind & 31), 0.0)
    if span and abs(d) > span / 2:
        return d + span if d < 0 else d - span
    return d


def word(x: float) -> int | None:
    return int(x) if 0 <= x < 2**32 and x == math.floor(x) else None


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
    longest: int = 0
    longest_ns: int = 0
    still: float = math.inf
    alarmed: bool = False
    level: Level = field(default_factory=Level)
    states: set[int] | None = None
    bits: tuple[int, int] = (0, 0)
    rests: tuple[float, float] = (0.0, 0.0)

    def stand(self, ts: int, x: float) -> None:
        """Count a poll without a change."""
        if x != self.last or ts - self.latest > 10 * MINUTE:
            self.same = 0
        else:
            if self.same == 0:
                self.moved, self.since = self.latest, None
            self.same += 1

    def is_beyond(self, p: Row) -> bool:
        """Whether a written value lies outside of all that was reported."""
        same = self.type == p["type"] != PointType.BOOL
        return self.state == "live" and same and not self.low <= p["value"] <= self.high

    def stuck(self, ts: int) -> bool:
        if self.same <= self.still or ts - self.moved < self.longest_ns // 2 * 3 + 2 * min(self.gap, MINUTE):
            return False
        return self.due(ts)

    def due(self, ts: int) -> bool:
        if self.since is None or ts - self.since >= int(self.params.rearm_s * 1e9):
            self.since = ts
        return ts - self.since < int(self.params.window_s * 1e9)

    def learn(self, ts: int, x: float, distinct: int) -> None:
        self.level.learn(x, len(self.seen) + 1)
        if not self.seen:
            self.since = None
        if self.seen:
            if x != self.last and ts - self.latest <= 10 * MINUTE:
                rest = float(single((ts - (self.moved if self.same else self.latest)) / 1e9))
                low, high = self.rests
                self.rests = (max(low, rest), high) if self.last < x else (low, max(high, rest))
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
        if self.kind not in ("constant", "counter") and distinct > 10 and self._is_bits(xs):
            self.kind = "bit field"
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
        if self.kind in ("counter", "unscorable", "bit field"):
            self.low, self.high = -math.inf, math.inf
        if self.kind in ("constant", "discrete", "unscorable", "bit field"):
            self.reach = math.inf
        times = [t for t, _ in self.seen]
        self.gap = max([b - a for a, b in pairwise(times)], default=0)
        self.level.settle(self.kind == "analog" and len(xs) >= 4 * WARM and self._roughness(xs, steps) >= 0.1)
        self._words(xs, distinct, sum(d != 0 for d in ways))
        two = self.kind == "discrete" and distinct == 2
        enough = sum(d > 0 for d in ways) >= RESTS, sum(d < 0 for d in ways) >= RESTS
        self.rests = tuple(r if two and e else 0.0 for r, e in zip(self.rests, enough, strict=True))  # type: ignore[assignment]
        shorter_rest = min((r for r in self.rests if r), default=0.0)
        polls = max(1, min(65_534, int(1.5 * shorter_rest * 1e9 / max(self.gap, 1))))
        self.still = polls if shorter_rest else self._still(sum(d != 0 for d in ways), len(xs))
        self.state = "live"

    def _roughness(self, xs: list[float], steps: list[float]) -> float:
        with np.errstate(all="ignore"):
            variance = float(np.var(np.array(xs)))
            return float(np.mean(np.square(np.array(steps)))) / variance if variance > 0 else 0.0

    def _words(self, xs: list[float], distinct: int, moves: int) -> None:
        """States or bits that it may show."""
        fresh = [i for i, x in enumerate(xs) if bit(x) not in {bit(y) for y in xs[:i]}][-1] + 1
        closed = STATES * distinct <= len(xs) and 4 * distinct <= moves and 4 * fresh <= 3 * len(xs)
        if self.kind == "discrete" and self.type & 31 in WORDS and closed:
            self.states = {bit(x) for x in xs}
        if self.kind == "bit field":
            ever, always = 0, 2**32 - 1
            for x in xs:
                ever, always = ever | (word(x) or 0), always & (word(x) or 0)
            self.bits = ever, always

    def _is_bits(self, xs: list[float]) -> bool:
        changes = [(word(a), word(b)) for a, b in pairwise(xs) if a != b]
        if len(changes) < CHANGES or any(a is None or b is None for a, b in changes):
            return False
        flipped = sum((a ^ b).bit_count() for a, b in changes)  # type: ignore[operator]
        doubled = sum(abs(b - a).bit_count() == 1 for a, b in changes)  # type: ignore[operator]
        ever, always = 0, 2**32 - 1
        for x in xs:
            ever, always = ever | word(x), always & word(x)  # type: ignore[operator]
        moving = (ever & ~always).bit_count()
        return 10 * flipped < 16 * len(changes) and 10 * doubled > 9 * len(changes) and moving >= 2

    def _still(self, moves: int, n: int) -> float:
        """How many polls without a change are normal."""
        if self.kind != "analog" or moves < MOVES or self.written:
            return math.inf
        share = 1 - moves / (n - 1)
        patience = math.log(CHANCE) / math.log(share) if share > 0 else 0.0
        if (self.longest + 1) * (1 - share) <= 2:
            patience = 0
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
        outside = not self.low <= x <= self.high
        if outside:
            self.same = 0
            what, rank = self._range(x, type_)
            surely = self.alarmed or rank > Severity.LOW or self.kind != "analog"
            if surely and self.due(ts):
                found.append((what, rank, self.low, self.high, x))
            if not self.written and (self.alarmed or not surely):
                found += self._step(ts, x, type_)
        else:
            returns, self.alarmed = self.alarmed and not self.written, False
            if returns or self.written:
                self.since = None
            if not returns:
                found += self._step(ts, x, type_)
            if not self.written:
                found += self._standstill(ts, x, is_written)
        self.alarmed = outside
        if not self.written and self.level.limit > 0 and self.level.moves(x):
            usual, slack = float(self.level.slow), ALLOWED * float(self.level.scale)
            if not is_written:
                found.append(("value.drift", Severity.LOW, usual - slack, usual + slack, float(self.level.fast)))
        self.last, self.latest = x, max(self.latest, ts)
        return found

    def _step(self, ts: int, x: float, type_: int) -> list[tuple[str, int, float, float, float]]:
        d = x - self.last
        size = abs(shorter(d, type_) if self.kind == "counter" else d)
        limit, silence = self.reach, ts - self.latest
        if 0 < self.gap < silence:
            limit = limit * (silence / self.gap)
        if not size > limit:
            return []
        rank = Severity.HIGH if size >= 4 * limit else Severity.LOW
        rank = Severity.MEDIUM if 1.5 * limit <= size < 4 * limit else rank
        what = "value.written_jump" if self.written else "value.jump"
        return [(what, rank, self.last - limit, self.last + limit, x)]

    def _standstill(self, ts: int, x: float, is_written: bool) -> list[tuple[str, int, float, float, float]]:
        found: list[tuple[str, int, float, float, float]] = []
        if self.still < math.inf:
            self.stand(ts, x)
            if self.kind == "discrete" and self.same > self.still:
                longest = self.rests[int(x > self.extremes[0])]
                limit, lasting = 1.5 * longest + 2 * min(self.gap, MINUTE) / 1e9, (ts - self.moved) / 1e9
                if longest and lasting > limit and not is_written and self.due(ts):
                    found.append(("value.rest", Severity.LOW, 0.0, limit, lasting))
            elif self.kind != "discrete" and not is_written and self.stuck(ts):
                found.append(("value.stuck", Severity.MEDIUM, *self.extremes, x))
        if x != self.last and not is_written and self._is_strange(x):
            what = "value.bit" if self.kind == "bit field" else "value.state"
            found.append((what, Severity.LOW, math.nan, math.nan, x))
        return found

    def _is_strange(self, x: float) -> bool:
        if self.kind == "bit field":
            ever, always = self.bits
            return word(x) is None or bool(word(x) & ~ever | ~word(x) & always)  # type: ignore[operator]
        return self.kind == "discrete" and self.states is not None and bit(x) not in self.states

    def _range(self, x: float, type_: int) -> tuple[str, int]:
        if self.written:
            return "value.written_range", Severity.HIGH
        if self.kind == "constant":
            return "value.constant", Severity.LOW if type_ == PointType.BOOL else Severity.MEDIUM
        low, high = self.extremes
        over = max(x - high, low - x) / (high - low)
        rank = Severity.HIGH if over >= 0.5 else Severity.MEDIUM if over >= 0.25 else Severity.LOW
        return "value.range", rank


def bit(x: float) -> int:
    """The bit by which a value is remembered."""
    return int(np.uint64(words.bit_of(x))).bit_length()


def bit_of_tag(key: tuple[int, ...]) -> int:
    """Which of 64 bits a device remembers a tag by."""
    device, unit, space, addr, sub, name, _ = (np.uint64(part) for part in key)
    place = unit | space << np.uint64(32) | np.uint64(1 << 48)
    return int(about_tag(np.uint64(0), device, place, sub, name, addr)) >> 58


class Value:
    """All tags, without a bound.  `distinct_of` estimates how many distinct values a list holds, as the kernel does."""

    def __init__(self, params: Params, learning: Learning, distinct_of: Any) -> None:
        self.params, self.learning, self.distinct_of = params, learning, distinct_of
        self.tags: dict[Any, Tag] = {}
        self.devices: dict[int, Upset] = {}

    def judge(self, rows: list[Row]) -> Found:
        found: Found = []
        for i, row in enumerate(rows):
            if row.get("op") == Op.RESTART and self.learning.mode != "learn":
                self._command(row["device"], row["ts"])
            for point in row.get("points", ()):
                found += [(i, *alert) for alert in self._point(row, point)]
        return found

    def _command(self, device: int, ts: int) -> None:
        told = self.devices.setdefault(device, Upset())
        told.told = ts if told.told is None else max(told.told, ts)

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
        if tag.state != "live":
            shown = self.tags.get((*key[:-1], False))
            if written and self.learning.mode != "learn" and shown is not None and shown.is_beyond(p):
                tag.last = p["value"]
                told = ("value.written_range", Severity.MEDIUM, shown.low, shown.high, p["value"])
                return [told] if tag.due(row["ts"]) else []
            tag.learn(row["ts"], p["value"], self.distinct_of([x for _, x in tag.seen] + [p["value"]]))
            return []
        before = tag.last
        other = self.tags.get((*key[:-1], True))
        alerts = tag.judge(row["ts"], p["value"], p["type"], other is not None)
        if not written and other is not None and other.last == p["value"]:
            alerts = [alert for alert in alerts if alert[0] not in AS_WRITTEN]
        if written:
            normal = not alerts and not tag.alarmed and tag.kind in ("constant", "discrete", "analog")
            if normal and p["value"] != before:
                self._command(row["device"], row["ts"])
            return alerts
        return [weighed for alert in alerts for weighed in self._weigh(key, row["ts"], alert)]

    def _weigh(self, key: Any, ts: int, alert: tuple[str, int, float, float, float]) -> Any:
        upset = self.devices.setdefault(key[0], Upset())
        what, rank, *numbers = alert
        if upset.told is not None and 0 <= ts - upset.told <= COMMANDED and rank < Severity.HIGH and what not in STANDS:
            rank -= 1
        if rank < Severity.LOW:
            return
        n = upset.together(bit_of_tag(key), ts)
        if n > SEVERAL:
            yield ("value.several", Severity.MEDIUM, 0.0, float(SEVERAL), float(n))
        yield (what, rank, *numbers)
