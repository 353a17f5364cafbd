"""Scan and role in plain Python, over plain dictionaries of record columns."""

from __future__ import annotations

from typing import Any

from schemas.codes import WRITING, Kind, Op, Severity
from tests.reference.slots import BUCKETS

Row = dict[str, Any]
Found = list[tuple[int, str, int, float]]
"""(row, finding type, severity, number seen)"""

MINUTE = 60 * 1_000_000_000
WINDOWS = {"sweep": 10 * MINUTE, "hour": 60 * MINUTE, "day": 1440 * MINUTE}
SEVERITY = {"sweep": Severity.HIGH, "hour": Severity.HIGH, "day": Severity.MEDIUM, "writes": Severity.CRITICAL}
SET = 64


class Clocks:
    def __init__(self, *, start: int, site: int, window: int, rearm: int) -> None:
        self.start, self.site, self.window, self.rearm = start, site, window, rearm
        self.latest: dict[int, int] = {}
        self.since: dict[Any, int] = {}

    def live(self, row: Row) -> bool:
        bucket = row["device"] % BUCKETS
        self.latest[bucket] = max(self.latest.get(bucket, row["ts"]), row["ts"])
        return self.latest[bucket] - self.start >= self.site

    def due(self, about: Any, ts: int) -> bool:
        since = self.since.get(about)
        if since is None or ts - since >= self.rearm:
            self.since[about] = ts
            return True
        return ts - since < self.window


def writes(row: Row) -> bool:
    return row["op"] in set(Op) and Op(row["op"]) in WRITING


class Scan(Clocks):
    """Without a bound on keys and clients."""

    def __init__(self, *, limits: dict[str, int], share: float, **more: int) -> None:
        super().__init__(**more)
        self.limits, self.share = limits, share
        self.learned: dict[int, set[int]] = {}
        self.reached: dict[int, list[list[Any]]] = {}

    def judge(self, rows: list[Row]) -> Found:
        found: Found = []
        for i, row in enumerate(rows):
            if row["kind"] not in (Kind.REQUEST, Kind.UNSOLICITED):
                continue
            live, known = self.live(row), self.learned.setdefault(row["device"], set())
            if row["flow"] in known:
                continue
            if not live:
                known.add(row["flow"])
            else:
                self._strange(i, row, len(known), found)
        return found

    def _strange(self, i: int, row: Row, known: int, found: Found) -> None:
        ts, entries = row["ts"], self.reached.setdefault(row["device"], [])
        entry = next((e for e in entries if e[0] == row["flow"]), None)
        last, wrote = (entry[1], entry[2]) if entry else (None, None)
        new = [row["flow"], ts, ts if writes(row) else wrote]
        if entry:
            entry[:] = new
        elif len(entries) < SET:
            entries.append(new)
        else:
            furthest = max(range(SET), key=lambda at: abs(float(ts) - float(entries[at][1])))
            entries[furthest] = new

        def near(other: int | None, window: int) -> bool:
            return other is not None and abs(ts - other) < window

        counts = {what: sum(near(e[1], window) for e in entries) for what, window in WINDOWS.items()}
        counts["writes"] = sum(near(e[1], WINDOWS["sweep"]) and near(e[2], WINDOWS["sweep"]) for e in entries)
        first = {what: not near(last, window) for what, window in WINDOWS.items()}
        first["writes"] = writes(row) and not near(wrote, WINDOWS["sweep"])
        for what in ("sweep", "writes", "hour", "day"):
            over = counts[what] > min(self.limits[what] + int(known * self.share), SET - 4)
            if first[what] and over and self.due((row["device"], what), ts):
                found.append((i, f"scan.{what}", int(SEVERITY[what]), float(counts[what])))


class Role(Clocks):
    """Without a bound on keys."""

    def __init__(self, **more: int) -> None:
        super().__init__(**more)
        self.known: set[tuple[int, int]] = set()
        self.wrote: set[int] = set()

    def judge(self, rows: list[Row]) -> Found:
        found: Found = []
        for i, row in enumerate(rows):
            if row["kind"] not in (Kind.REQUEST, Kind.RESPONSE):
                continue
            asks, live, host = row["kind"] == Kind.REQUEST, self.live(row), row["device"]
            if (host, asks) in self.known:
                continue
            if not live:
                self.known.add((host, asks))
            elif (host, not asks) in self.known:
                first = asks and writes(row) and host not in self.wrote
                if first:
                    self.wrote.add(host)
                if self.due((host, asks), row["ts"]) or first:
                    uid = "role.device_asks" if asks else "role.client_answers"
                    grave = Severity.CRITICAL if writes(row) else Severity.HIGH
                    found.append((i, uid, int(grave if asks else Severity.MEDIUM), float("nan")))
        return found
