"""Sequence in plain Python, over plain dictionaries of records, without bounds on what is held."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from schemas.codes import Anomaly, Kind, Severity

S = 1_000_000_000
Row = dict[str, Any]
Told = tuple[int, str, int]
"""(row, finding type, severity)"""
ACKS = (Kind.CONFIRM, Kind.CONTROL)


@dataclass
class Alphabet:
    said: list[Any] = field(default_factory=list)
    n: int = 0
    known: list[set[Any]] = field(default_factory=lambda: [set(), set(), set()])
    new: list[int] = field(default_factory=lambda: [0, 0, 0])
    times: Counter[Any] = field(default_factory=Counter)

    def take(self, symbol: Any, learns: bool) -> None:
        self.n += 1
        self.said = [*self.said[-2:], symbol]
        for order in range(1, len(self.said) + 1) if learns else ():
            gram = tuple(self.said[-order:])
            self.times[gram] += 1
            if gram not in self.known[order - 1]:
                self.known[order - 1].add(gram)
                self.new[order - 1] = self.n

    def has_closed(self, order: int) -> bool:
        sure = all(self.times[gram] >= 3 for gram in self.known[order - 1])
        return self.n >= 200 and 4 * self.new[order - 1] <= 3 * self.n and sure

    def verdict(self, order: int) -> str:
        gram = tuple(self.said[-order:])
        if len(gram) < order or gram in self.known[order - 1]:
            return ""
        return "sequence.unknown_order" if gram[-1:] in self.known[0] else "sequence.unknown_message"


@dataclass
class Channel:
    first: int
    whole: Alphabet = field(default_factory=Alphabet)
    bare: Alphabet = field(default_factory=Alphabet)
    live: bool = False
    taken: tuple[Alphabet, int] | None = None
    since: int | None = None

    def settle(self) -> None:
        self.live = True
        ways = [(self.whole, 3), (self.bare, 3), (self.whole, 2), (self.bare, 2), (self.bare, 1)]
        self.taken = next((way for way in ways if way[0].has_closed(way[1])), None)


class Sequence:
    def __init__(self, value_ns: int) -> None:
        self.value_ns = value_ns
        self.channels: dict[Any, Channel] = {}

    def judge(self, rows: list[Row]) -> list[Told]:
        found = []
        for i, row in enumerate(rows):
            what = self._one(row)
            if what:
                blind = row["gap_bytes"] or row["anomaly"] & (Anomaly.GAP_BEFORE | Anomaly.RESYNCHRONISED)
                found.append((i, what, int(Severity.INFORMATIONAL if blind else Severity.LOW)))
        return found

    def _one(self, row: Row) -> str:
        ack = row["kind"] in ACKS
        if not ack and row["kind"] not in (Kind.REQUEST, Kind.RESPONSE, Kind.UNSOLICITED):
            return ""
        client = row["src_ip"] if row["client_is_src"] else row["dst_ip"]
        channel = self.channels.setdefault((row["device"], client), Channel(row["ts"]))
        if channel.live and channel.taken is None:
            return ""
        place = (row["space"], row["addr"]) if row["kind"] == Kind.REQUEST else None
        symbol = (row["kind"], row["client_is_src"], row["func"], row["subfunc"], place, 0 if ack else row["unit"])
        channel.whole.take(symbol, not channel.live)
        if not ack:
            channel.bare.take(symbol, not channel.live)
        if not channel.live:
            if channel.bare.n >= 200 and row["ts"] - channel.first >= self.value_ns:
                channel.settle()
            return ""
        assert channel.taken is not None
        alphabet, order = channel.taken
        what = "" if ack and alphabet is channel.bare else alphabet.verdict(order)
        if not what:
            return ""
        if channel.since is None or row["ts"] - channel.since >= 3600 * S:
            channel.since = row["ts"]
            return what
        return what if row["ts"] - channel.since < 600 * S else ""
