"""The contract of a detector: columns in, alerts out, deterministic, with all state in plain arrays.

A detector is a deterministic function of the records of its device bucket: how a stream is cut into batches, how
buckets are spread over partitions, and where it is stopped and restored must not change what it finds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.columns import Columns
from schemas.codes import MarkKind, Severity

State = dict[str, NDArray[Any]]
"""Snapshot: arrays by name, rows in canonical order (bucket, key)."""

Buckets = NDArray[np.int64]
"""Sorted device buckets, 0..1023."""


TICK_NS = 10_000_000_000
"""Detectors hear of TIME once for each further ten seconds of a shard's record time."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark in the stream of records: at record time `ts_ns`, after the records that came before it.

    Attributes:
        shard: capture point that placed it.
        count: records lost, for GAP; seconds since the mark before, for TIME.
        text: what is ordered, as JSON, for CONTROL; why records were lost, for GAP.
    """

    kind: MarkKind
    ts_ns: int
    shard: int = 0
    count: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Attack:
    """A technique of MITRE ATT&CK for ICS v18.1."""

    tactic: str
    technique: str
    name: str


MAC, NAME = "MAC address", "name"
"""Measures of numbers that are shown as what they stand for: a MAC address; what a device says it is, as a number or,
where negative, as the first 53 bits of a name's id."""

ATTACK, FAULT, MISOPERATION = FITS = ("attack", "fault", "misoperation")
"""What may be behind a finding."""


@dataclass(frozen=True, slots=True)
class FindingType:
    """What a detector can find.

    Attributes:
        code: number in `Alerts.what`; unique over all detectors, append-only.
        uid: "<detector>.<what>", the alert's `analytic_uid`.
        title: what happened, in a few words.
        text: one line with fields {client} {device} {unit} {tag} {function} {op} {observed} {expected} {outcome}.
        types: classes of findings: policy, protocol, value, operational.
        analytic_type: OCSF: 1 rule, 2 behavioural, 3 statistical, 4 learning.
        attacks: techniques that this may be.
        confidence: 0 to 100, how often such a finding is right.
        fits: (FITS, why) of what may be behind it, the likelier first.
        measure: unit of `low`, `high` and `observed`, or MAC or NAME; None where they are values of the tag, in its own
            unit.
    """

    code: int
    uid: str
    title: str
    text: str
    types: tuple[str, ...]
    analytic_type: int
    attacks: tuple[Attack, ...]
    confidence: int
    measure: str | None = None
    fits: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Alerts:
    """Evidence that a batch gave: equal-length arrays, in the order of the records.

    Attributes:
        row: int64, record of the batch that is the evidence.
        what: int64, FindingType.code.
        key: uint64, hash of what the finding is about; evidence of one key within ten minutes is one finding.
        parent: uint64, `key` of the finding under which it would be rolled up, 0 for none.
        severity: uint8, Severity.
        point: int64, index into the batch's points, -1 where no point is concerned.
        low, high: float64, bounds of normal, NaN where none.
        observed: float64, the value seen, NaN where none.
        outcome: uint8, Outcome.
    """

    row: NDArray[np.int64]
    what: NDArray[np.int64]
    key: NDArray[np.uint64]
    parent: NDArray[np.uint64]
    severity: NDArray[np.uint8]
    point: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    observed: NDArray[np.float64]
    outcome: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.row)

    @staticmethod
    def of(row: NDArray[np.int64], what: int | NDArray[np.int64], key: NDArray[np.uint64], **columns: Any) -> Alerts:
        """Alerts at `row`, with the columns that are not given filled with "none" (severity: medium)."""
        n = len(row)
        if not n:
            return _NO_ALERTS
        defaults: dict[str, tuple[type[Any], Any]] = {
            "parent": (np.uint64, 0),
            "severity": (np.uint8, Severity.MEDIUM),
            "point": (np.int64, -1),
            "low": (np.float64, np.nan),
            "high": (np.float64, np.nan),
            "observed": (np.float64, np.nan),
            "outcome": (np.uint8, 0),
        }
        filled = {
            name: np.ascontiguousarray(np.broadcast_to(np.asarray(columns.get(name, default), dtype), n))
            for name, (dtype, default) in defaults.items()
        }
        codes = np.ascontiguousarray(np.broadcast_to(np.asarray(what, np.int64), n))
        return Alerts(row=row.astype(np.int64), what=codes, key=key.astype(np.uint64), **filled)

    @staticmethod
    def none() -> Alerts:
        """No alerts."""
        return _NO_ALERTS

    def take(self, keep: NDArray[np.bool_]) -> Alerts:
        """Those of which `keep` says so."""
        return Alerts(**{f.name: getattr(self, f.name)[keep] for f in fields(Alerts)})

    @staticmethod
    def join(parts: Sequence[Alerts]) -> Alerts:
        """All alerts of one batch in the order of their records; those of one record keep the order of `parts`."""
        kept = [p for p in parts if len(p)]
        if not kept:
            return Alerts.none()
        order = np.argsort(np.concatenate([p.row for p in kept]), kind="stable")
        return Alerts(**{f.name: np.concatenate([getattr(p, f.name) for p in kept])[order] for f in fields(Alerts)})


class Recalled(NamedTuple):
    """Evidence that a mark brings to light: no record of a batch gave it.

    Attributes:
        records: what it points to, made of what the detector holds: addresses, ports, device, unit, function, and the
            place (shard, boot, seq, packet, ts) of a record that was seen.
        alerts: `row` counts in `records`.
    """

    records: Columns
    alerts: Alerts


_NO_ALERTS = Alerts(
    row=np.zeros(0, np.int64),
    what=np.zeros(0, np.int64),
    key=np.zeros(0, np.uint64),
    parent=np.zeros(0, np.uint64),
    severity=np.zeros(0, np.uint8),
    point=np.zeros(0, np.int64),
    low=np.zeros(0, np.float64),
    high=np.zeros(0, np.float64),
    observed=np.zeros(0, np.float64),
    outcome=np.zeros(0, np.uint8),
)


class Detector(Protocol):
    """What the loop needs of a detector."""

    name: str
    version: str
    findings: tuple[FindingType, ...]
    wants_time: bool
    """Whether TIME marks must reach it, at their exact place and at most every TICK_NS of record time; otherwise the
    loop need not cut batches there."""

    def on_batch(self, batch: Columns) -> Alerts:
        """Judge and learn.  Never reads a clock, never blocks, never writes to its input."""
        ...

    def on_mark(self, mark: Mark) -> Recalled | None:
        """TIME, GAP, CONTROL and END marks; END comes only at the end of bounded input."""
        ...

    def snapshot(self, buckets: Buckets) -> State:
        """All state of these device buckets in canonical order; restoring it must give the same future."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot; into an empty detector, or beside buckets that it does not yet hold."""
        ...

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """What it knows to be normal, as columns of BASELINE (without `detector`)."""
        ...

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """Start from a baseline: its keys are LIVE from the first record, strangers to it alarm at once."""
        ...

    def counters(self) -> Mapping[str, int]:
        """Numbers about itself for health: keys held, forgotten, bytes of state …"""
        ...
