"""Timing in plain Python, over plain dictionaries of records, without bounds on what is held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas.codes import Anomaly, Kind, Match, Severity

S = 1_000_000_000
Row = dict[str, Any]
Told = tuple[int, str, int]
"""(number of the record, finding type, severity)"""
HOLES = Anomaly.GAP_BEFORE | Anomaly.RESYNCHRONISED | Anomaly.MIDSTREAM | Anomaly.OUT_OF_ORDER
small = np.float32
ZERO, INFINITY = small(0), small(np.inf)


@dataclass
class Channel:
    first: int
    last: int | None = None
    asked: int | None = None
    since: dict[str, int] = field(default_factory=dict)
    seq: int = 0
    n: int = 0
    mean: np.float32 = ZERO
    high: np.float32 = ZERO
    recent: np.float32 = ZERO
    least: np.float32 = INFINITY
    slowest: np.float32 = ZERO
    live: bool = False
    told: bool = False
    blind: bool = True
    behind: int = 0

    @property
    def periodic(self) -> bool:
        return self.live and bool(self.high <= small(1.75) * self.mean)

    @property
    def patience(self) -> int:
        return int(max(3.0 * float(self.mean), 1.5 * float(self.high)) * 1e9) + 10 * S


class Timing:
    def __init__(self, value_ns: int) -> None:
        self.value_ns = value_ns
        self.channels: dict[Any, Channel] = {}
        self.found: list[Told] = []

    def take(self, row: Row) -> None:
        asks, kind = bool(row["client_is_src"]), row["kind"]
        request = asks and kind == Kind.REQUEST
        answer = not asks and kind == Kind.RESPONSE and row["match"] == Match.MATCHED
        report = not asks and kind in (Kind.UNSOLICITED, Kind.DATA)
        if not (request or answer or report):
            return
        client = row["src_ip"] if asks else row["dst_ip"]
        what = "report" if report else (row["addr"], row["count"])
        channel = self.channels.setdefault((row["device"], client, row["func"], what), Channel(row["ts"]))
        if request:
            channel.asked = max(channel.asked or row["ts"], row["ts"])
            return
        last = channel.last
        blind = channel.blind or (last is not None and row["ts"] < last - 60 * S)
        if not blind and last is not None and row["ts"] <= last:
            return
        channel.last, channel.seq = row["ts"], row["seq"]
        channel.told = channel.blind = False
        if blind or last is None or row["gap_bytes"] or row["anomaly"] & HOLES:
            return
        gap, took = small((row["ts"] - last) * 1e-9), small(max(row["rtt_us"], 0) * 1e-6)
        if channel.live:
            self._judge(row, channel, gap, took)
        else:
            self._learn(row["ts"], channel, gap, took)

    def _learn(self, ts: int, channel: Channel, gap: np.float32, took: np.float32) -> None:
        channel.recent = gap if not channel.n else channel.recent + small(0.25) * (gap - channel.recent)
        channel.n += 1
        channel.mean += (gap - channel.mean) / small(channel.n)
        channel.high, channel.slowest = max(channel.high, gap), max(channel.slowest, took)
        if channel.n >= 8:
            channel.least = min(channel.least, channel.recent)
        channel.live = channel.n >= 25 and ts - channel.first >= self.value_ns

    def _judge(self, row: Row, channel: Channel, gap: np.float32, took: np.float32) -> None:
        channel.recent += small(0.25) * (gap - channel.recent)
        if (
            channel.periodic
            and 3.0 * float(channel.recent) < float(channel.least)
            and self._due(channel, "often", row["ts"])
        ):
            self.found.append((row["seq"], "timing.faster", Severity.MEDIUM))
        channel.behind = channel.behind + 1 if float(took) > 5.0 * float(channel.slowest) + 0.01 else 0
        if channel.behind >= 3 and self._due(channel, "late", row["ts"]):
            self.found.append((row["seq"], "timing.slower", Severity.LOW))

    def _due(self, channel: Channel, what: str, ts: int) -> bool:
        if what not in channel.since or ts - channel.since[what] >= 3600 * S:
            channel.since[what] = ts
            return True
        return ts - channel.since[what] < 600 * S

    def tell_time(self, now: int, jump_s: int) -> list[Told]:
        """Silence, in no particular order."""
        found = []
        for (device, client, *_), channel in self.channels.items():
            if channel.last is None or channel.blind or channel.told or not channel.periodic:
                continue
            if 2 * jump_s * S >= channel.patience:
                channel.blind = True
                continue
            if now - channel.last <= channel.patience:
                continue
            channel.told = True
            asked = channel.asked is not None and channel.asked > channel.last
            pair = [
                c.last for (d, h, *_), c in self.channels.items() if (d, h) == (device, client) if c.last is not None
            ]
            alive = max(pair) - channel.last > channel.patience
            severity = Severity.MEDIUM if asked or not alive else Severity.LOW
            found.append((channel.seq, "timing.unanswered" if asked else "timing.silent", int(severity)))
        return found

    def forget(self) -> None:
        """Records were lost, or the capture point was blind."""
        for channel in self.channels.values():
            channel.blind = True
