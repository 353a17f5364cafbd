"""Command and read-back in plain Python, over plain dictionaries of records, without bounds on what is held."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from schemas.codes import Anomaly, Direction, Kind, Match, Op, Quality, RecordFlag, Severity

S = 1_000_000_000
VALUED = {Op.WRITE, Op.READ_WRITE, Op.CONTROL, Op.SELECT, Op.FORCE}
Row = dict[str, Any]
Told = tuple[int, str, int]
"""(row, finding type, severity)"""


@dataclass
class Window:
    since: int | None = None


@dataclass
class Held:
    known: bool
    since: int | None = None
    minute: int | None = None
    burst: Window = field(default_factory=lambda: Window())
    count: int = 0
    most: int = 0
    n: int = 0
    targets: int = 0
    ways: set[str] = field(default_factory=set)


@dataclass
class Page:
    known: bool
    since: int | None = None
    told: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)
    staged: set[int] = field(default_factory=set)
    direct: set[int] = field(default_factory=set)


@dataclass
class Tag:
    want: float | None = None
    last: float | None = None
    asked: int = 0
    seen: int = 0
    delay: int = 0
    since: dict[str, Window] = field(default_factory=lambda: defaultdict(Window))
    misses: int = 0
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def same(x: float, y: float) -> bool:
    return abs(x - y) <= 1e-6 * max(abs(x), abs(y))


class Command:
    def __init__(self, *, start: int, site: int, window: int, rearm: int) -> None:
        self.start, self.site, self.window, self.rearm = start, site, window, rearm
        self.clocks: dict[int, int] = {}
        self.writers: dict[Any, Held] = {}
        self.pages: dict[Any, Page] = {}
        self.tags: dict[Any, Tag] = {}
        self.holes: dict[int, int] = {}
        self.found: list[Told] = []

    def judge(self, rows: list[Row]) -> list[Told]:
        for i, row in enumerate(rows):
            bucket = row["device"] % 1024
            self.clocks[bucket] = max(self.clocks.get(bucket, row["ts"]), row["ts"])
            live = self.clocks[bucket] - self.start >= self.site
            some = any(device % 1024 == bucket for device, *_ in self.tags) or any(
                d % 1024 == bucket for d in self.holes
            )
            if some and (row["gap_bytes"] or row["anomaly"] & (Anomaly.GAP_BEFORE | Anomaly.RESYNCHRONISED)):
                self.holes[row["device"]] = max(self.holes.get(row["device"], row["ts"]), row["ts"])
            if row["kind"] == Kind.REQUEST:
                if row["client_is_src"] and row["op"] in VALUED:
                    self._write(i, row, live)
            elif row["kind"] == Kind.RESPONSE:
                if row["op"] in VALUED and row["status"] and row["match"] in (Match.MATCHED, Match.LATE):
                    self._refused(row)
                self._read(i, row, live)
            elif row["kind"] in (Kind.UNSOLICITED, Kind.DATA):
                self._read(i, row, live)
        return self.found

    def due(self, held: Held | Page | Window, ts: int, window: int, rearm: int) -> bool:
        if held.since is None or ts - held.since >= rearm:
            held.since = ts
            return True
        return ts - held.since < window

    def _write(self, i: int, row: Row, live: bool) -> None:
        about = (row["device"], row["src_ip"], row["unit"], row["protocol"])
        writer = self.writers.setdefault(about, Held(not live))
        writer.n += 1
        if writer.known:
            self._count(i, row, writer, live)
        elif self.due(writer, row["ts"], self.window, self.rearm):
            self.found.append((i, "command.new_writer", Severity.HIGH))
        operates, staged = row["op"] == Op.CONTROL, bool(row["flags"] & RecordFlag.SELECTED)
        for point in row["points"]:
            if point["direction"] != Direction.WRITTEN or point["quality"] & UNUSABLE:
                continue
            if row["op"] != Op.SELECT:
                tag = self.tags.setdefault(self._tag(row, point), Tag())
                tag.want, tag.asked, tag.misses = point["value"], row["ts"], 0
            if writer.known:
                self._target(i, row, point, writer, about, live, operates, staged)

    def _target(
        self, i: int, row: Row, point: Row, writer: Held, about: Any, live: bool, operates: bool, staged: bool
    ) -> None:
        number = point["addr"]
        page = self.pages.setdefault((about, point["space"], number >> 3), Page(not live))
        if not live:
            writer.targets += number not in page.written
            page.written.add(number)
            if operates:
                (page.staged if staged else page.direct).add(number)
                writer.ways.add("staged" if staged else "direct")
            return
        alone = writer.ways == {"staged"}
        if number not in page.written:
            first = number not in page.told
            page.told.add(number)
            if writer.n >= 5 * writer.targets and (self.due(page, row["ts"], self.window, self.rearm) or first):
                self.found.append((i, "command.new_target", Severity.LOW))
        elif number in page.direct:
            return
        elif number in page.staged:
            alone = True
        if operates and not staged and alone:
            self.found.append((i, "command.unselected", Severity.HIGH))

    def _count(self, i: int, row: Row, writer: Held, live: bool) -> None:
        minute = row["ts"] // (60 * S)
        if writer.minute is None or minute > writer.minute or minute < writer.minute - 1:
            writer.minute, writer.count = minute, 0
        writer.count += 1
        if not live:
            writer.most = max(writer.most, writer.count)
            return
        limit = writer.most + 6 * sqrt(writer.most) + 5
        if writer.count > limit and self.due(writer.burst, row["ts"], 600 * S, 3600 * S):
            self.found.append((i, "command.write_rate", Severity.HIGH))

    def _tag(self, row: Row, point: Row) -> Any:
        return row["device"], row["unit"], point["space"], point["addr"]

    def _refused(self, row: Row) -> None:
        first = row["addr"]
        last = row["addr"] + max(row["count"], 1) - 1
        for (device, unit, space, addr), tag in self.tags.items():
            if (device, unit, space) == (row["device"], row["unit"], row["space"]) and first <= addr <= last:
                tag.want = None

    def _read(self, i: int, row: Row, live: bool) -> None:
        for point in row["points"]:
            if point["direction"] not in (Direction.READ, Direction.REPORT) or point["quality"] & UNUSABLE:
                continue
            tag = self.tags.get(self._tag(row, point))
            if tag is None:
                continue
            x, what = point["value"], ""
            if tag.want is not None:
                what = "command.not_taken" if self._missing(tag, x, row, live) else ""
            elif tag.last is not None and not same(x, tag.last) and self._ghost(tag, row, live):
                what = "command.ghost_change"
            if what and self.due(tag.since[what], row["ts"], 600 * S, 3600 * S):
                self.found.append((i, what, Severity.HIGH if what == "command.not_taken" else Severity.MEDIUM))
            tag.last, tag.seen = x, max(tag.seen, row["ts"])

    def _missing(self, tag: Tag, x: float, row: Row, live: bool) -> bool:
        assert tag.want is not None
        ts = row["ts"]
        if same(x, tag.want):
            tag.want = None
            if not live:
                tag.counts["echoes"] += 1
                tag.delay = max(tag.delay, ts - tag.asked)
                tag.counts["moves"] += tag.last is not None and x != tag.last
            return False
        hole = self.holes.get(row["device"])
        if ts - max(tag.asked, tag.seen) >= 600 * S or (hole is not None and hole > tag.asked):
            tag.want = None
            return False
        tag.misses += 1
        if tag.misses < 2 or ts - tag.asked < 2 * tag.delay + 2 * S:
            return False
        tag.want = None
        if not live:
            tag.counts["strays"] += 1
            return False
        return tag.counts["echoes"] >= 3 and not tag.counts["strays"]

    def _ghost(self, tag: Tag, row: Row, live: bool) -> bool:
        hole = self.holes.get(row["device"])
        if row["ts"] - tag.seen >= 600 * S or (hole is not None and hole > tag.seen):
            return False
        if not live:
            tag.counts["drifts"] += 1
            return False
        return tag.counts["moves"] >= 2 and not tag.counts["drifts"]


UNUSABLE = int(Quality.ADDRESS_UNKNOWN | Quality.INVALID)
