"""All that is found in a capture: each piece of evidence before it is merged, and the findings that a person reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from detectors.base import Alerts
from detectors.columns import Columns
from pipeline import detect
from pipeline.baseline import Baseline
from pipeline.config import Config
from pipeline.findings import fold
from pipeline.run.report import Hooks
from pipeline.run.source import Source
from pipeline.second import SecondStage
from pipeline.second.local import Across
from pipeline.setup import Setup

Address = tuple[bytes, int]
"""A host's 16 bytes and its port."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of evidence.

    Attributes:
        packet: number of its packet in the capture, from 1; 0 where it has none.
        uid: type of the finding, such as value.range.
        op: Op of its record.
        severity: Severity.
        ends: the two ends of its conversation, the smaller first.
    """

    packet: int
    uid: str
    op: int
    severity: int
    ends: tuple[Address, Address]


@dataclass(slots=True)
class Judged:
    """What a capture gave.

    Attributes:
        pieces: all evidence, of both stages.
        findings: rows of ALERT, folded: one for each finding.
    """

    pieces: list[Piece] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)


class _Noting:
    """Findings that note each piece of evidence before they merge it."""

    def __init__(self, loop: detect.Loop, pieces: list[Piece]) -> None:
        self._inner, self._pieces = loop.findings, pieces
        self._uids = {kind.code: kind.uid for d in loop.detectors for kind in d.findings}
        loop.findings = self  # type: ignore[assignment]

    def add(self, records: Columns, alerts: Alerts) -> None:
        for row, what, severity in zip(*(a.tolist() for a in (alerts.row, alerts.what, alerts.severity)), strict=True):
            self._pieces.append(
                Piece(
                    packet=int(records.packet[row]),
                    uid=self._uids[what],
                    op=int(records.op[row]),
                    severity=severity,
                    ends=_ends(records, row),
                )
            )
        self._inner.add(records, alerts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Rows:
    """A sink that keeps rows of findings."""

    def __init__(self) -> None:
        self.tables: list[pa.Table] = []

    def on_batch(self, batch: Columns) -> None:
        """Nothing is made of the records."""

    def on_findings(self, rows: pa.Table) -> None:
        self.tables.append(rows)


def _ends(records: Columns, row: int) -> tuple[Address, Address]:
    source = records.src_ip[row].tobytes(), int(records.src_port[row])
    target = records.dst_ip[row].tobytes(), int(records.dst_port[row])
    return min(source, target), max(source, target)


def judge(capture: Path, baseline: Baseline, config: Config | None = None) -> Judged:
    """A capture through all detectors of both stages, as `fieldtap run` does it."""
    config = config or Config()
    source, judged, rows = Source([capture], config.decode, Hooks()), Judged(), _Rows()
    setup = Setup(config, baseline=baseline)
    start_ns = source.start_ns()
    loop, second = setup.by_device(start_ns, source.names), setup.across(start_ns, source.names)
    for one in (loop, second):
        _Noting(one, judged.pieces)
    stage = SecondStage(1, lambda _: second, max_waiting=config.panes.max_waiting)
    across = Across(setup.collector(start_ns), stage, [rows])
    detect.run(source, loop, [rows, across])
    across.finish()
    if rows.tables:
        judged.findings = fold(pa.concat_tables(rows.tables)).to_pylist()
    return judged
