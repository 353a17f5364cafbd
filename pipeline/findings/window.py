"""Window: one finding while it is open, and what of it a row tells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.columns import Columns
from pipeline.findings.evidence import RANKED_OUTCOME, Evidence, Pieces
from schemas.alert import EVIDENCE_LIMIT
from schemas.codes import Activity

WINDOW_NS = 600 * 1_000_000_000
"""Ten minutes of record time from the first evidence: how long evidence of one subject is one finding."""
FUNCTION_LIMIT = 32

_GAMMA, _M1, _M2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_WORD = (1 << 64) - 1

Times = NDArray[np.int64]
Identity = tuple[int, int, int]
"""(device, FindingType.code, key): what a finding is about."""


class Pointer(NamedTuple):
    """Where a record of evidence lies; the columns of `schemas.alert.EVIDENCE`."""

    shard: int
    boot: int
    seq: int
    packet: int
    ts: int


class Subject(NamedTuple):
    """What a finding concerns, as its first evidence has it: columns of RECORD (the tag's of POINT)."""

    client: bytes
    server: bytes
    client_mac: int
    server_mac: int
    vlan: int
    unit: int
    protocol: int
    op: int
    func: int
    subfunc: int
    space: int
    addr: int
    addr_sub: int
    name_id: int


@dataclass(frozen=True, slots=True)
class Activities:
    """What a window knew when one of its rows was due."""

    activity: Activity
    time: int
    count: int
    severity: int
    outcome: int
    first: int
    last: int
    low: float
    high: float
    observed: float
    functions: int
    pointers: int
    alerting: bool


def mix(seed: int, word: int) -> int:
    """The hash of `detectors.kernels.mix` on Python integers, for the few numbers of a finding's id."""
    z = ((seed ^ word) + _GAMMA) & _WORD
    z = ((z ^ (z >> 30)) * _M1) & _WORD
    z = ((z ^ (z >> 27)) * _M2) & _WORD
    return z ^ (z >> 31)


def finding_uid(identity: Identity, start_ns: int) -> int:
    """Id of the finding about `identity` whose window starts at `start_ns`: the same in every replay, never 0."""
    device, what, key = identity
    uid = 0
    for word in (what, key, device, start_ns):
        uid = mix(uid, word & _WORD)
    return uid or 1


def subject_of(batch: Columns, row: int, point: int) -> Subject:
    """What record `row` concerns; its tag is that of `point` of the batch's points, or the record's own for -1."""
    client, server = ("src", "dst") if batch.client_is_src[row] else ("dst", "src")
    tag = batch.points if point >= 0 else batch
    at = point if point >= 0 else row
    return Subject(
        client=getattr(batch, f"{client}_ip")[row].tobytes(),
        server=getattr(batch, f"{server}_ip")[row].tobytes(),
        client_mac=int(getattr(batch, f"{client}_mac")[row]),
        server_mac=int(getattr(batch, f"{server}_mac")[row]),
        vlan=int(batch.vlan[row]),
        unit=int(batch.unit[row]),
        protocol=int(batch.protocol[row]),
        op=int(batch.op[row]),
        func=int(batch.func[row]),
        subfunc=int(batch.subfunc[row]),
        space=int(tag.space[at]),
        addr=int(tag.addr[at]),
        addr_sub=int(tag.addr_sub[at]),
        name_id=int(tag.name_id[at]),
    )


@dataclass(slots=True, eq=False)
class Window:
    """A finding from its first evidence to the end of its window.

    Attributes:
        quiet: maintenance times [start, end) of its device; evidence outside of all of them makes it alert.
        told: whether a CLOSE row with all of its evidence was written.
        opened: evidence that opened it, while that batch is merged; -1 afterwards.
    """

    identity: Identity
    start: int
    subject: Subject
    parent_key: int = 0
    quiet: tuple[tuple[int, int], ...] = ()
    uid: int = 0
    parent_uid: int = 0
    count: int = 0
    severity: int = 0
    rank: int = 0
    first: int = 0
    last: int = 0
    low: float = float("nan")
    high: float = float("nan")
    observed: float = float("nan")
    extent: float = float("-inf")
    alerting: bool = False
    told: bool = False
    opened: int = -1
    functions: list[int] = field(default_factory=list)
    pointers: list[Pointer] = field(default_factory=list)

    @property
    def end(self) -> int:
        """End of the window, ns."""
        return self.start + WINDOW_NS

    def holds(self, ts: int) -> bool:
        """Whether evidence of this time belongs here; a little earlier than the first is still the same finding."""
        return self.start - WINDOW_NS < ts < self.end

    def reach(self, ts: Times) -> int:
        """How many of the leading times belong here."""
        inside = (ts > self.start - WINDOW_NS) & (ts < self.end)
        return len(ts) if inside.all() else int(np.argmin(inside))

    def state(self, activity: Activity, time: int) -> Activities:
        """What a row of this `activity` tells."""
        return Activities(
            activity,
            time,
            self.count,
            self.severity,
            int(RANKED_OUTCOME[self.rank]),
            self.first,
            self.last,
            self.low,
            self.high,
            self.observed,
            len(self.functions),
            len(self.pointers),
            self.alerting,
        )

    def turns(self, evidence: Evidence, pieces: Pieces) -> list[int]:
        """Positions in `pieces` at which a row is due: counts of 10, 100 …, a rise in severity, outcome or alerting."""
        found = set(_thresholds(self.count, len(pieces)))
        found.update(_rises(evidence.severity[pieces], self.severity))
        found.update(_rises(evidence.rank[pieces], self.rank))
        if not self.alerting:
            loud = self._loud(evidence.ts[pieces])
            if loud.any():
                found.add(int(np.argmax(loud)))
        return sorted(found)

    def absorb(self, evidence: Evidence, pieces: Pieces) -> None:
        """Take in evidence that belongs here."""
        ts = evidence.ts[pieces]
        earliest, latest = int(ts.min()), int(ts.max())
        self.first = min(self.first, earliest) if self.count else earliest
        self.last = max(self.last, latest) if self.count else latest
        self.severity = max(self.severity, int(evidence.severity[pieces].max()))
        self.rank = max(self.rank, int(evidence.rank[pieces].max()))
        if not self.alerting:
            self.alerting = bool(self._loud(ts).any())
        self._extreme(evidence, pieces)
        self._functions(evidence, pieces)
        self._pointers(evidence, pieces)
        self.count += len(pieces)
        self.told = False

    def _loud(self, ts: Times) -> NDArray[np.bool_]:
        loud = np.ones(len(ts), np.bool_)
        for start, end in self.quiet:
            loud &= (ts < start) | (ts >= end)
        return loud

    def _extreme(self, evidence: Evidence, pieces: Pieces) -> None:
        loose = np.isnan(evidence.alerts.low[pieces]) & (evidence.alerts.point[pieces] >= 0)
        if loose.any():
            pieces = pieces[~loose | self._is_own(evidence, pieces)]
            if not len(pieces):
                return
        extent = evidence.extent[pieces]
        worst = int(np.argmax(extent))
        if not self.count or extent[worst] > self.extent:
            at = pieces[worst]
            self.extent = float(extent[worst])
            self.low, self.high = float(evidence.alerts.low[at]), float(evidence.alerts.high[at])
            self.observed = float(evidence.alerts.observed[at])

    def _is_own(self, evidence: Evidence, pieces: Pieces) -> NDArray[np.bool_]:
        """Whether a value is one of the tag that the line names: what a client does to a device concerns many tags."""
        points, at = evidence.batch.points, evidence.alerts.point[pieces]
        own: NDArray[np.bool_] = evidence.batch.unit[evidence.alerts.row[pieces]] == self.subject.unit
        for name in ("space", "addr", "addr_sub", "name_id"):
            own &= getattr(points, name)[at] == getattr(self.subject, name)
        return own

    def _functions(self, evidence: Evidence, pieces: Pieces) -> None:
        if len(self.functions) >= FUNCTION_LIMIT:
            return
        functions = evidence.batch.func[evidence.alerts.row[pieces]]
        if len(functions) > 1:
            functions = functions[np.sort(np.unique(functions, return_index=True)[1])]
        new = [f for f in functions.tolist() if f not in self.functions]
        self.functions.extend(new[: FUNCTION_LIMIT - len(self.functions)])

    def _pointers(self, evidence: Evidence, pieces: Pieces) -> None:
        room = EVIDENCE_LIMIT - len(self.pointers)
        if room <= 0:
            return
        batch, rows = evidence.batch, evidence.alerts.row[pieces]
        distinct = rows[:1] if len(rows) == 1 else rows[np.append(True, rows[1:] != rows[:-1])]
        for row in distinct[: room + 1].tolist():
            seen = Pointer(
                *(int(column[row]) for column in (batch.shard, batch.boot, batch.seq, batch.packet, batch.ts))
            )
            if len(self.pointers) < EVIDENCE_LIMIT and (not self.pointers or self.pointers[-1] != seen):
                self.pointers.append(seen)


def _thresholds(count: int, more: int) -> Iterable[int]:
    """Positions among `more` further pieces at which the count reaches 10, 100 and so on."""
    target = 10
    while target <= count + more:
        if target > count:
            yield target - count - 1
        target *= 10


def _rises(values: NDArray[np.int64], before: int) -> list[int]:
    """Positions at which the running maximum exceeds all before."""
    if values.max() <= before:
        return []
    running = np.maximum.accumulate(np.maximum(values, before))
    later = (np.flatnonzero(running[1:] > running[:-1]) + 1).tolist()
    return [0, *later] if running[0] > before else later
