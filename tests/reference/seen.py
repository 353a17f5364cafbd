"""Peer and function in plain Python, over plain dictionaries of record columns."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network
from typing import Any

from schemas.codes import DANGEROUS, FAULTS, WRITING, Anomaly, Kind, Match, Op, Outcome, Severity
from tests.reference.claims import Claims
from tests.reference.slots import BUCKETS, Book

Row = dict[str, Any]
Found = list[tuple[int, str, int, int]]
"""(row, finding type, severity, outcome)"""


def address(row: Row) -> tuple[int, int]:
    """The client's address as two little-endian words."""
    ip = row["src_ip"] if row["client_is_src"] else row["dst_ip"]
    return int.from_bytes(ip[:8], "little"), int.from_bytes(ip[8:], "little")


class Existence:
    def __init__(self, *, learns_only: bool, start: int | None, site: int, window: int, rearm: int, limit: int) -> None:
        self.learns_only, self.start, self.site = learns_only, start, site
        self.window, self.rearm = window, rearm
        self.book = Book(limit)
        self.clocks: dict[int, tuple[int, int]] = {}

    def tick(self, row: Row) -> None:
        bucket = row["device"] % BUCKETS
        start, clock = self.clocks.get(bucket, (row["ts"] if self.start is None else self.start, row["ts"]))
        self.clocks[bucket] = start, max(clock, row["ts"])

    def live(self, row: Row) -> bool:
        start, clock = self.clocks[row["device"] % BUCKETS]
        return not self.learns_only and clock - start >= self.site

    def add(self, key: Any, row: Row, known: bool) -> dict[str, Any]:
        held = self.book.insert(key, self.live(row), known)
        return {"known": known} if held is None else held

    def due(self, held: dict[str, Any], ts: int, refused: bool = False) -> bool:
        since = held.get("since")
        if since is None or ts - since >= self.rearm:
            held["since"] = ts
            return True
        return bool(ts - since < self.window)


OWN = [ip_network(text) for text in (
    "0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10",
    "224.0.0.0/3",
)]  # fmt: skip


def external(hi: int, lo: int) -> bool:
    """Whether an address of two words of its bytes is one of the Internet."""
    found = IPv6Address(hi.to_bytes(8, "little") + lo.to_bytes(8, "little"))
    if found.ipv4_mapped is not None:
        return not any(found.ipv4_mapped in network for network in OWN)
    return found in ip_network("2000::/3")


class Peer(Existence):
    def judge(self, rows: list[Row]) -> Found:
        found: Found = []
        rules = {"learns_only": self.learns_only, "start": self.start, "site": self.site, "window": self.window}
        claims = Claims(self.book, self.clocks, rules, self.due)
        for i, row in enumerate(rows):
            if row["kind"] == Kind.ANNOUNCE:
                found += claims.claim(i, row)
            elif row["kind"] not in (Kind.FOREIGN, Kind.TIMEOUT):
                self.tick(row)
                self._one(i, row, found)
                found += claims.identify(i, row, self.live(row))
        return found

    def _one(self, i: int, row: Row, found: Found) -> None:
        hi, lo = address(row)
        device, asks = row["device"], bool(row["client_is_src"])
        port = row["dst_port"] if asks else row["src_port"]
        service = (device, hi, lo, 1 | row["protocol"] << 8 | port << 16, 0)
        held = self.book.find(service)
        new = held is None
        if held is None:
            live = self.live(row)
            pair = self.book.find((device, hi, lo, 2, 0))
            of_stranger = live and not (pair is not None and pair["known"])
            if pair is None:
                self.add((device, hi, lo, 2, 0), row, not live)
            held = self.add(service, row, not live)
            held["of_stranger"] = of_stranger
        if not held["known"] and (new or asks):
            wrote = asks and row["op"] in set(WRITING)
            first_write = wrote and not held.get("wrote")
            if self.due(held, row["ts"]) or first_write:
                if held["of_stranger"] and external(hi, lo):
                    found.append((i, "peer.external", Severity.HIGH, 0))
                what = "peer.new_pair" if held["of_stranger"] else "peer.new_service"
                found.append((i, what, Severity.HIGH if wrote else Severity.MEDIUM, 0))
            held["wrote"] = held.get("wrote") or wrote
        if not asks and not held.get("answered"):
            held["answered"] = True
            if self.book.find((device, 0, 0, 3, 0)) is None:
                self.add((device, 0, 0, 3, 0), row, not self.live(row))
                if self.live(row):
                    found.append((i, "peer.new_device", Severity.MEDIUM, 0))
        mac = row.get("src_mac", 0)
        speaks = mac and self.book.find(service) is held and (held["known"] or not asks)
        if speaks and held.get(asks) != mac:
            self._speak(i, row, held, (hi, lo) if asks else (0, 0), mac, found)

    def _speak(self, i: int, row: Row, service: dict[str, Any], who: tuple[int, int], mac: int, found: Found) -> None:
        asks = bool(row["client_is_src"])
        held = self.book.find((row["device"], *who, 4, mac))
        if held is None:
            first = self.book.find((row["device"], *who, 4, 0)) is None
            held = self.add((row["device"], *who, 4, mac), row, not self.live(row))
            if first:
                self.add((row["device"], *who, 4, 0), row, not self.live(row))
            held["trusted"] = first
            usual = first or not self.live(row)
        else:
            usual = held["known"] or held.get("trusted", False)
        if usual:
            service[asks] = mac
            mark = self.book.find((row["device"], 0, 0, 4, 0))
            if not asks and mark is not None:
                mark["card"] = mac
        elif self.due(held, row["ts"]):
            found.append((i, "peer.client_mac" if asks else "peer.device_mac", Severity.HIGH, 0))


CRITICAL = {Op.STOP, Op.PROGRAM_DOWNLOAD, Op.FIRMWARE, Op.MEMORY_RESET, Op.LISTEN_ONLY}
MILD = {Op.PROGRAM_UPLOAD, Op.RESERVE, Op.CLEAR_COUNTERS}
OTHER = Anomaly.NOT_PROTOCOL | Anomaly.BAD_PROTOCOL_ID
CONFLICT = Anomaly.CONFLICTING_RESPONSE | Anomaly.OVERLAP_DIFFERS
FORM = FAULTS & ~int(OTHER | CONFLICT | Anomaly.RESERVED_CODE | Anomaly.BAD_CHECKSUM)
BLIND = (
    Anomaly.TRUNCATED
    | Anomaly.MIDSTREAM
    | Anomaly.GAP_BEFORE
    | Anomaly.OUT_OF_ORDER
    | Anomaly.RESYNCHRONISED
    | Anomaly.FRAGMENTED
)


def danger(op: int) -> int:
    if op not in {int(o) for o in DANGEROUS}:
        return 0
    return Severity.CRITICAL if op in CRITICAL else Severity.MEDIUM if op in MILD else Severity.HIGH


def severity(row: Row) -> int:
    op = row["op"]
    if row["anomaly"] & Anomaly.RESERVED_CODE or op in {int(o) for o in WRITING} or op == Op.VENDOR:
        return Severity.HIGH
    return Severity.LOW if op in (Op.READ, Op.REPORT, Op.CONFIRM, Op.SESSION) else Severity.MEDIUM


class Function(Existence):
    """`trust`: matched answers before an unasked one is evidence.  Without bounds: give it room for every key."""

    def __init__(self, trust: int, **rules: Any) -> None:
        super().__init__(**rules)
        self.trust = trust
        self.answers: dict[Any, int] = {}

    def judge(self, rows: list[Row]) -> Found:
        found: Found = []
        for i, row in enumerate(rows):
            self.tick(row)
            self._one(i, row, found)
        return found

    def _breach(
        self, i: int, row: Row, what: str, rank: int, static: bool, subject: int, faults: int, out: Found
    ) -> None:
        key = (row["device"], *address(row), row["unit"] | row["protocol"] << 32 | subject << 40, faults)
        held = self.book.find(key)
        if held is None:
            held = self.add(key, row, self.learns_only or not (static or self.live(row)))
        if not held["known"] and self.due(held, row["ts"]):
            out.append((i, what, rank, 0))

    def _one(self, i: int, row: Row, out: Found) -> None:
        conversation = (row["device"], *address(row), row["unit"] | row["protocol"] << 32)
        use = (*conversation, row["func"] << 32 | row["subfunc"])
        held = self.book.find(use)
        kind, anomaly, asks = row["kind"], row["anomaly"], bool(row["client_is_src"])
        if kind == Kind.TIMEOUT:
            self._outcome(i, row, held, Outcome.NO_ANSWER, out)
            return
        if kind == Kind.FOREIGN or anomaly & OTHER:
            self._breach(i, row, "function.not_protocol", Severity.MEDIUM, True, 3, 0, out)
            return
        broken = anomaly & (FORM if kind == Kind.RESPONSE else FORM | Anomaly.OVERLAP_DIFFERS)
        if broken:
            rank = Severity.MEDIUM if asks else Severity.LOW
            self._breach(i, row, "function.malformed", rank, True, 1 if asks else 2, broken, out)
        if kind == Kind.RESPONSE:
            if self._answer(i, row, held, conversation, out):
                return
        elif not asks and kind != Kind.UNSOLICITED:
            return
        if held is None:
            known = self.learns_only or not (self.live(row) or danger(row["op"]))
            held = self.add(use, row, known)
            held["dangerous"] = bool(danger(row["op"]))
        if held["known"]:
            return
        if danger(row["op"]):
            out.append((i, "function.dangerous", danger(row["op"]), 0))
        elif self.due(held, row["ts"]):
            out.append((i, "function.unseen", severity(row), 0))

    def _answer(self, i: int, row: Row, held: Any, conversation: Any, out: Found) -> bool:
        """Judge an answer; whether that is all there is to it."""
        matched = row["match"] in (Match.MATCHED, Match.LATE)
        self.answers[conversation] = self.answers.get(conversation, 0) + matched
        sighted = not row["anomaly"] & BLIND and row["gap_bytes"] == 0
        trusted = self.answers[conversation] >= self.trust and sighted
        if row["anomaly"] & CONFLICT:
            self._breach(i, row, "function.conflicting_response", Severity.HIGH, True, 4, 0, out)
        elif row["match"] in (Match.UNMATCHED, Match.DUPLICATE) and trusted:
            self._breach(i, row, "function.unasked_response", Severity.MEDIUM, False, 5, 0, out)
        if matched:
            self._outcome(i, row, held, Outcome.REFUSED if row["status"] else Outcome.ACCEPTED, out)
        return bool(self.answers[conversation] > 0 or row["status"] != 0)

    def _outcome(self, i: int, row: Row, held: Any, outcome: int, out: Found) -> None:
        if held is None or held["known"]:
            return
        if held.get("dangerous"):
            out.append((i, "function.dangerous", danger(row["op"]) or Severity.HIGH, outcome))
        elif self.due(held, row["ts"]):
            out.append((i, "function.unseen", severity(row), outcome))
