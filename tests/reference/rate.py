"""Rate in plain Python, over plain dictionaries of records, without bounds on what is held.

Where the kernel sets bits, the twin keeps the things themselves, and counts the bits that they would set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np

from detectors.kernels.mix import mix
from schemas.codes import Kind, Match, Severity

S = 1_000_000_000
Row = dict[str, Any]
Told = tuple[int, str, int, float]
"""(row, finding type, severity, number seen)"""
WINDOWS = (60 * S, 3600 * S)


def digest(*words: int) -> int:
    found = 0
    for word in words:
        found = int(mix(np.uint64(found), np.uint64(word)))
    return found


def things(bits: int) -> int:
    """The number of things for which most nearly as many of 256 bits are to be expected."""
    return min(range(400), key=lambda n: abs(256 * (1 - (255 / 256) ** n) - bits))


@dataclass
class Counts:
    second: int | None = None
    minute: int | None = None
    requests: int = 0
    most: int = 0
    errors: int = 0
    most_errors: int = 0
    told: int | None = None


@dataclass
class Search:
    start: int | None = None
    since: int | None = None
    bits: set[int] = field(default_factory=set)


def limit(most: int, least: int) -> int:
    return max(int(1.5 * most + 6 * sqrt(most) + 5), least)


class Rate:
    def __init__(self, start: int, site: int) -> None:
        self.start, self.site = start, site
        self.clocks: dict[int, int] = {}
        self.counts: dict[Any, Counts] = {}
        self.known: set[Any] = set()
        self.searches: dict[Any, Search] = {}
        self.found: list[Told] = []

    def judge(self, rows: list[Row]) -> list[Told]:
        for i, row in enumerate(rows):
            bucket = row["device"] % 1024
            self.clocks[bucket] = max(self.clocks.get(bucket, row["ts"]), row["ts"])
            live = self.clocks[bucket] - self.start >= self.site
            asks = row["client_is_src"] and row["kind"] == Kind.REQUEST
            refuses = not row["client_is_src"] and row["kind"] == Kind.RESPONSE and row["status"] != 0
            if asks:
                self._request(i, row, live)
            elif refuses and row["match"] in (Match.MATCHED, Match.LATE):
                self._error(i, row, live)
        return self.found

    def _request(self, i: int, row: Row, live: bool) -> None:
        pair = (row["device"], row["src_ip"])
        for about, what, least in ((pair, "rate.flood", 50), (row["device"], "rate.device_flood", 100)):
            seen = self._count(self.counts.setdefault(about, Counts()), row["ts"] // S, live, least)
            if seen:
                self.found.append((i, what, Severity.HIGH, seen))
        call = (row["protocol"], row["func"], row["subfunc"])
        where = (row["unit"], row["space"], row["addr"])
        whole = (*pair, "asked", call, where)
        if whole in self.known:
            return
        if not live:
            self.known.add(whole)
        parts = {
            "rate.unit_scan": (row["unit"], digest(row["unit"]), 4),
            "rate.function_scan": (call, digest(call[0] << 16 | call[1], call[2]), 6),
            "rate.point_scan": (where, digest(where[0] << 16 | where[1], where[2], 0, 0), 20),
        }
        if row["space"] == 0:
            del parts["rate.point_scan"]
        for what, (part, h, most) in parts.items():
            if (*pair, what, part) in self.known:
                continue
            if not live:
                self.known.add((*pair, what, part))
            else:
                self._strange(i, row, pair, what, h, most)

    def _strange(self, i: int, row: Row, pair: Any, what: str, h: int, most: int) -> None:
        for number, window in enumerate(WINDOWS):
            search = self.searches.setdefault((pair, what, number), Search())
            if search.start is None or abs(row["ts"] - search.start) >= window:
                search.start = row["ts"]
                search.bits.clear()
            if h & 255 in search.bits:
                continue
            search.bits.add(h & 255)
            seen = things(len(search.bits))
            if seen > most * (3 if number else 1) and self._due(search, row["ts"]):
                self.found.append((i, what, Severity.HIGH, seen))

    def _due(self, search: Search, ts: int) -> bool:
        if search.since is None or ts - search.since >= 3600 * S:
            search.since = ts
            return True
        return ts - search.since < 600 * S

    def _count(self, counts: Counts, second: int, live: bool, least: int) -> int:
        if counts.second is None or second > counts.second or second < counts.second - 1:
            counts.second, counts.requests = second, 0
        counts.requests += 1
        if not live:
            counts.most = max(counts.most, counts.requests)
            return 0
        if counts.requests <= limit(counts.most, least) or counts.told == counts.second:
            return 0
        counts.told = counts.second
        return counts.requests

    def _error(self, i: int, row: Row, live: bool) -> None:
        counts = self.counts.setdefault((row["device"], row["dst_ip"]), Counts())
        minute = row["ts"] // (60 * S)
        if counts.minute is None or minute > counts.minute or minute < counts.minute - 1:
            counts.minute, counts.errors = minute, 0
        counts.errors += 1
        if not live:
            counts.most_errors = max(counts.most_errors, counts.errors)
            return
        beyond = counts.errors - limit(counts.most_errors, 10)
        if beyond > 0 and beyond & (beyond - 1) == 0:
            self.found.append((i, "rate.errors", Severity.MEDIUM, counts.errors))
