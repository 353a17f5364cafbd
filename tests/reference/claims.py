"""Claims of addresses and what devices say they are, in plain Python: the other half of peer's twin."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from schemas.codes import FAULTS, Anomaly, Direction, Identity, PointType, Quality, RecordFlag, Severity, Space
from tests.reference.slots import BUCKETS, Book

Row = dict[str, Any]
Held = dict[str, Any]
Told = tuple[int, str, int, int]

ROLES = {
    (Space.IDENTITY, role)
    for role in (
        Identity.VENDOR,
        Identity.MODEL,
        Identity.FIRMWARE,
        Identity.SERIAL,
        Identity.PRODUCT_CODE,
        Identity.HARDWARE,
    )
}
OBJECTS = {(Space.DEVICE_ID, addr) for addr in (0, 1, 2, 4, 5)}
TEXTS = (PointType.TEXT, PointType.BYTES)


def shared(mac: int) -> bool:
    text = mac.to_bytes(8, "big").hex()[4:]
    return text.startswith(("00005e0001", "00005e0002", "00000c07ac", "00000c9ff", "0007b4"))


def normal(held: Held | None) -> bool:
    return held is not None and bool(held["known"] or held.get("trusted"))


class Claims:
    """`clocks`: start and latest time of the buckets in which devices spoke."""

    def __init__(self, book: Book, clocks: dict[int, tuple[int, int]], rules: dict[str, Any], due: Callable[..., bool]):
        self.book, self.clocks, self.rules, self.due = book, clocks, rules, due

    def _live(self, row: Row) -> bool:
        start, clock = self.clocks.get(row["device"] % BUCKETS, (self.rules["start"], row["ts"]))
        return (
            not self.rules["learns_only"] and start is not None and max(clock, row["ts"]) - start >= self.rules["site"]
        )

    def claim(self, i: int, row: Row) -> list[Told]:
        device, mac, place = row["device"], row.get("src_mac", 0), row.get("vlan", 0)
        lo = int.from_bytes(row["src_ip"][8:], "little")

        def key(mac: int) -> tuple[int, int, int, int, int]:
            return device, place, lo, 5, mac

        mark, held = self.book.find(key(0)), self.book.find(key(mac))
        if not mac:
            return []
        if not self._live(row):
            if held is None and (mark is None or mark["n"] < 8):
                self.book.insert(key(mac), False, True)
                if mark is None:
                    mark = self.book.insert(key(0), False, True)
                    if mark is not None:
                        mark["n"] = 1
                elif self.book.find(key(0)) is mark:
                    mark["n"] += 1
            elif held is None:
                return []
            if mark is not None:
                mark["last"] = mark["owner"] = mac
            if held is not None:
                held["seen"] = max(held.get("seen", row["ts"]), row["ts"])
            return []
        guarded = (self.book.find((device, 0, 0, 3, 0)) or {"known": False})["known"]
        if not guarded and not (mark is not None and mark["known"]):
            return []
        usual = normal(held) or normal(self.book.find((device, 0, 0, 4, mac)))
        owner = (mark or {}).get("owner", 0) or (self.book.find((device, 0, 0, 4, 0)) or {}).get("card", 0)
        if not usual and shared(mac) and not guarded:
            return []
        back = held is not None
        if held is not None:
            held["seen"] = max(held.get("seen", row["ts"]), row["ts"])
        if mark is None:
            mark = self.book.insert(key(0), True, False)
            if mark is not None:
                mark["n"] = 1
        if held is None and not (usual and owner):
            held = self.book.insert(key(mac), True, False)
            if held is not None:
                held["seen"] = row["ts"]
            if self.book.find(key(0)) is not mark:
                mark = None
        if not owner and held is not None:
            held["trusted"] = True
        last = (mark or {}).get("last", 0)
        if mark is not None:
            mark["last"] = mac
        if usual or not owner:
            if mark is not None:
                mark["owner"] = mac
            other = self.book.find(key(last)) if last and last != mac else None
            if other is None or normal(other) or row["ts"] - other["seen"] >= self.rules["window"]:
                return []
            return self._duplicate(i, row, mark, guarded, last)
        found: list[Told] = []
        if guarded and self.due(held if held is not None else {}, row["ts"]):
            found.append((i, "peer.arp_claim", Severity.LOW if shared(mac) else Severity.MEDIUM, 0))
        if back and mark is not None and last == owner:
            found += self._duplicate(i, row, mark, guarded, mac)
        return found

    def _duplicate(self, i: int, row: Row, mark: Held | None, guarded: bool, stranger: int) -> list[Told]:
        if not self.due(mark if mark is not None else {}, row["ts"]):
            return []
        rank = Severity.MEDIUM if not guarded else Severity.LOW if shared(stranger) else Severity.HIGH
        return [(i, "peer.duplicate_address", rank, 0)]

    def identify(self, i: int, row: Row, live: bool) -> list[Told]:
        if (
            row["client_is_src"]
            or row["anomaly"] & (FAULTS | Anomaly.TRUNCATED)
            or not (row.get("flags", 0) & RecordFlag.IDENTITY or row.get("space", 0) == Space.DEVICE_ID)
        ):
            return []
        found: list[Told] = []
        judged = 0
        for point in row.get("points", ()):
            text = point["type"] in TEXTS
            place = (point["space"], point["addr"])
            if place not in ROLES and not (text and place in OBJECTS):
                continue
            if (
                point.get("quality", 0) & (Quality.ADDRESS_UNKNOWN | Quality.INVALID | Quality.TRUNCATED)
                or point.get("direction", 0) == Direction.WRITTEN
            ):
                continue
            if text:
                word = point["raw"] & (1 << 64) - 1
            else:
                word = int(point["value"]) + 1 if math.isfinite(point["value"]) and point["value"] >= 0 else 0
            if word and judged < 16:
                judged += 1
                about = row["unit"] | row["protocol"] << 32 | text << 40, point["space"] << 32 | point["addr"]
                found += self._said(i, row, live, about, word)
        return found

    def _said(self, i: int, row: Row, live: bool, about: tuple[int, int], word: int) -> list[Told]:
        key, marked = (row["device"], *about, 6, word), (row["device"], *about, 6, 0)
        mark, held = self.book.find(marked), self.book.find(key)
        if held is not None:
            usual = normal(held)
        else:
            first = mark is None
            if mark is not None and not live and mark["n"] >= 16:
                return []
            usual = first or not live
            held = self.book.insert(key, live, not live)
            if held is not None and first:
                held["trusted"] = True
            if first:
                mark = self.book.insert(marked, live, not live)
                if mark is not None:
                    mark["n"] = 1
            elif usual and self.book.find(marked) is mark and mark is not None:
                mark["n"] += 1
        if mark is None or self.book.find(marked) is not mark or usual:
            return []
        return (
            [(i, "peer.identity", Severity.MEDIUM, 0)] if self.due(held if held is not None else {}, row["ts"]) else []
        )
