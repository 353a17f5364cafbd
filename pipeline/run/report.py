"""What a run asks and tells while it works, and what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.metrics import HealthRow


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: bytes of captures read and in all, packets so far."""

    bytes_read: int
    total_bytes: int
    packets: int


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a run asks and tells while it works; the defaults do nothing.

    Attributes:
        progress: called after every block.
        stop: whether to end here, as if the input had; asked after every block.
    """

    progress: Callable[[Progress], None] = lambda _: None
    stop: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class Report:
    """What a run did.

    Attributes:
        out: where the results lie.
        packets, points, seconds: read, decoded, and how long it took by the wall clock.
        span_s: seconds of record time between the first and the last packet.
        records: protocol name to records.
        skipped: reason to packets that gave no record.
        undecoded: name of a protocol that was recognised but is not decoded, to packets.
        findings: (severity, detector) to findings.
        untaught: detectors of which the baseline given holds nothing, and which therefore learned.
        problems: a line for each capture that ended early, with file and place.
        ignored: files that are no captures.
        interrupted: whether `Hooks.stop` ended it.
        kept: whether the results are in place; not so where an interrupted run would have replaced a whole one.
        health: every counter of every stage.
    """

    out: Path
    packets: int = 0
    points: int = 0
    seconds: float = 0.0
    span_s: float = 0.0
    records: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    undecoded: dict[str, int] = field(default_factory=dict)
    findings: dict[tuple[int, str], int] = field(default_factory=dict)
    untaught: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    interrupted: bool = False
    kept: bool = True
    health: list[HealthRow] = field(default_factory=list)
