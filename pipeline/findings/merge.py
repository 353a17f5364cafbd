"""Findings: the stage that merges evidence into findings and writes their rows."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.base import Alerts, Buckets, FindingType, State
from detectors.columns import Columns
from pipeline.findings.bucket import LIMIT, Bucket
from pipeline.findings.evidence import Evidence, Pieces
from pipeline.findings.rows import RowWriter
from pipeline.findings.taught import Taught, ordered
from pipeline.findings.window import Activities, Identity, Window, finding_uid, subject_of
from pipeline.site import Site
from schemas.codes import Activity


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingSettings:
    """How evidence is merged."""

    bucket_findings: int = LIMIT
    """Findings open at once in one device bucket; a quarter is kept for high severity.  More are dropped, counted."""

    def __post_init__(self) -> None:
        if not 16 <= self.bucket_findings <= 1 << 20:
            raise ValueError(f"bucket_findings: expected 16 to 1048576, found {self.bucket_findings}")


_Row = tuple[int, Window, Activities]


class Findings:
    """Evidence in, rows of ALERT out; state per device bucket, deterministic whatever the batching.

    Evidence about one subject (device, finding type, key) within ten minutes of record time from the first is one
    finding.  Its id is a hash of the subject and the first evidence's time.  It is created at once, updated when its
    count reaches 10, 100 and so on or its severity, outcome or need for attention rises, and closed when record time
    has passed its end.  Evidence that comes after the CLOSE row but belongs to the window is still counted, and
    another CLOSE row follows: readers fold by id.
    """

    def __init__(
        self,
        types: Mapping[int, FindingType],
        *,
        site: Site | None = None,
        names: Mapping[int, str] | None = None,
        baseline_uid: str = "",
        versions: Mapping[str, str] | None = None,
        settings: FindingSettings | None = None,
        taught: Taught | None = None,
    ) -> None:
        """An empty stage.

        Args:
            types: finding types by code.
            site: names, scaling and maintenance of the plant.
            names: texts of name ids; may grow while findings are made.
            baseline_uid: digest of the baseline that judges, empty for none.
            versions: version of each detector by its name.
            settings: how evidence is merged.
            taught: what is no finding, by the baseline; marks may teach more.

        Raises:
            ValueError: the text of a finding type has a field that does not exist.
        """
        self._types = dict(types)
        self._site = site or Site.empty()
        self._writer = RowWriter(self._types, self._site, {} if names is None else names, baseline_uid, versions or {})
        self._limit = (settings or FindingSettings()).bucket_findings
        self._buckets: dict[int, Bucket] = {}
        self._rows: list[_Row] = []
        self._done: list[tuple[Window, Activities]] = []
        self._deadlines: list[tuple[int, int, int, Window]] = []
        self._serial = 0
        self._taught = (taught or Taught(), Taught())  # by the baseline, by marks
        self._counts = {"evidence": 0, "findings": 0, "rows": 0, "taught": 0, "orders refused": 0}

    def add(self, batch: Columns, alerts: Alerts) -> None:
        """Merge the evidence that `batch` gave.

        Raises:
            ValueError: evidence of an unknown finding type.
        """
        if not len(alerts):
            return
        unknown = set(np.unique(alerts.what).tolist()) - self._types.keys()
        if unknown:
            raise ValueError(f"evidence of unknown finding types {sorted(unknown)}")
        self._counts["evidence"] += len(alerts)
        evidence = self._untaught(batch, alerts)
        if not len(evidence.alerts):
            return
        for number, pieces in evidence.by_bucket():
            bucket = self._buckets.setdefault(number, Bucket(limit=self._limit))
            for start, stop, time in bucket.minutes(evidence.ts[pieces]):
                if time is not None:
                    for window in bucket.forget(time):
                        self._close(window, int(pieces[start]))
                self._merge(bucket, evidence, pieces[start:stop])
        self._rows.sort(key=lambda row: row[0])
        self._done.extend((window, told) for _, window, told in self._rows)
        self._rows.clear()

    def order(self, text: str) -> None:
        """What a CONTROL mark says: a subject that is normal from now on.  What makes no sense is counted."""
        order = ordered(text)
        if order is None or not self._taught[1].add(*order):
            self._counts["orders refused"] += 1

    def advance(self, ts_ns: int) -> None:
        """Record time has come to `ts_ns`: write the CLOSE rows of windows that have ended."""
        while self._deadlines and self._deadlines[0][0] <= ts_ns:
            self._close(heapq.heappop(self._deadlines)[3], 0)
        self._done.extend((window, told) for _, window, told in self._rows)
        self._rows.clear()

    def finish(self) -> None:
        """The end of bounded input: close every window."""
        self.advance(1 << 63)

    def take(self) -> pa.Table:
        """The rows since the last call, schema ALERT, in the order of the evidence that caused them."""
        done, self._done = self._done, []
        self._counts["rows"] += len(done)
        return self._writer.table(done)

    def counters(self) -> dict[str, int]:
        """Evidence, findings and rows so far; evidence that was taught as normal; windows; dropped for want of room."""
        return {
            **self._counts,
            "windows": sum(len(b.windows) for b in self._buckets.values()),
            "dropped": sum(b.dropped for b in self._buckets.values()),
        }

    def snapshot(self, buckets: Buckets) -> State:
        """All state of these device buckets in canonical order; rows not yet taken are no part of it."""
        from pipeline.findings.state import pack

        held = {int(b): self._buckets[int(b)] for b in buckets if int(b) in self._buckets}
        return pack(held, self._taught[1].within(buckets))

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot, beside buckets that are not yet held."""
        from pipeline.findings.state import taught_of, unpack

        for identity, extent in taught_of(state):
            self._taught[1].add(identity, extent)
        for number, bucket in unpack(state).items():
            bucket.limit = self._limit
            self._buckets[number] = bucket
            for window in bucket.windows.values():
                window.quiet = self._writer.quiet(window.subject)
                if not window.told:
                    self._schedule(window)

    def _untaught(self, batch: Columns, alerts: Alerts) -> Evidence:
        """The evidence without what was taught."""
        evidence = Evidence.of(batch, alerts)
        for taught in self._taught:
            if len(taught) and (known := taught.of(evidence)).any():
                self._counts["taught"] += int(known.sum())
                evidence = Evidence.of(batch, evidence.alerts.take(~known))
        return evidence

    def _merge(self, bucket: Bucket, evidence: Evidence, pieces: Pieces) -> None:
        """Evidence of one bucket within one minute of its time."""
        alerts = evidence.alerts
        groups: list[tuple[Identity, Pieces]] = []
        for group in evidence.by_subject(pieces):
            at = group[0]
            groups.append(((int(evidence.device[at]), int(alerts.what[at]), int(alerts.key[at])), group))
        opened: list[Window] = []
        for (identity, group), start in zip(groups, bucket.admit(groups, evidence), strict=True):
            if start < len(group):
                self._follow(bucket, identity, evidence, group[start:], opened)
        for window in sorted(opened, key=lambda w: w.opened):
            if window.parent_key:
                window.parent_uid = bucket.parent_of(window, alerts.row)
        bucket.settle(opened)

    def _follow(
        self, bucket: Bucket, identity: Identity, evidence: Evidence, pieces: Pieces, opened: list[Window]
    ) -> None:
        """All evidence about one subject: into its window, or into one after another."""
        while len(pieces):
            window = bucket.windows.get(identity)
            if window is None or not window.holds(int(evidence.ts[pieces[0]])):
                if window is not None:
                    self._close(window, int(pieces[0]))
                window = self._open(identity, evidence, int(pieces[0]))
                bucket.hold(window)
                opened.append(window)
            reach = window.reach(evidence.ts[pieces])
            self._extend(window, evidence, pieces[:reach])
            pieces = pieces[reach:]

    def _open(self, identity: Identity, evidence: Evidence, at: int) -> Window:
        alerts, start = evidence.alerts, int(evidence.ts[at])
        subject = subject_of(evidence.batch, int(alerts.row[at]), int(alerts.point[at]))
        self._counts["findings"] += 1
        return Window(
            identity=identity,
            start=start,
            subject=subject,
            parent_key=int(alerts.parent[at]),
            quiet=self._writer.quiet(subject),
            uid=finding_uid(identity, start),
            told=True,
            opened=at,
        )

    def _extend(self, window: Window, evidence: Evidence, pieces: Pieces) -> None:
        """Take evidence into a window, with a row at each turn."""
        scheduled = not window.told
        done = 0
        if not window.count:
            self._tell(window, evidence, pieces[:1], Activity.CREATE)
            done = 1
        rest = done
        for turn in window.turns(evidence, pieces[rest:]) if rest < len(pieces) else ():
            self._tell(window, evidence, pieces[done : rest + turn + 1], Activity.UPDATE)
            done = rest + turn + 1
        if done < len(pieces):
            window.absorb(evidence, pieces[done:])
        if not scheduled:
            self._schedule(window)

    def _tell(self, window: Window, evidence: Evidence, pieces: Pieces, activity: Activity) -> None:
        """Take evidence into a window, with a row at its last piece."""
        window.absorb(evidence, pieces)
        at = int(pieces[-1])
        self._rows.append((at, window, window.state(activity, int(evidence.ts[at]))))

    def _close(self, window: Window, at: int) -> None:
        if not window.told:
            window.told = True
            self._rows.append((at, window, window.state(Activity.CLOSE, window.end)))

    def _schedule(self, window: Window) -> None:
        self._serial += 1
        heapq.heappush(self._deadlines, (window.end, window.uid, self._serial, window))


def types_of(detectors: Sequence[Any]) -> dict[int, FindingType]:
    """Finding types of detectors by code.

    Raises:
        ValueError: two types share a code.
    """
    found: dict[int, FindingType] = {}
    for detector in detectors:
        for kind in detector.findings:
            if found.setdefault(kind.code, kind) is not kind:
                raise ValueError(f"finding types {found[kind.code].uid} and {kind.uid} share code {kind.code}")
    return found
