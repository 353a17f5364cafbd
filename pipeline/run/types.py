"""Types: the first pass of learning, which tells what registers hold that the site file gives no type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from detectors import kinds, registers
from pipeline.baseline import Baseline, digest_of, rows_of
from pipeline.config import Config
from pipeline.metrics import HealthRow
from pipeline.run.report import Hooks, Progress, Report
from pipeline.run.source import Source
from pipeline.setup import Setup
from pipeline.site import Site
from schemas.baseline import BASELINE


@dataclass(frozen=True, slots=True)
class FirstPass:
    """What the first pass found.

    Attributes:
        table: the types, rows of schema BASELINE.
        hooks: for the second pass, whose progress begins where the first ended.
        read: the report of the pass, None where there was none.
    """

    table: pa.Table
    hooks: Hooks
    read: Report | None = None

    @property
    def types(self) -> Baseline:
        """A baseline that holds types alone, for the second pass to learn by."""
        return Baseline(self.table, digest_of(self.table), {})

    def added(self, report: Report) -> Report:
        """The report of the second pass, with the first's time and counters."""
        if self.read is None:
            return report
        report.seconds += self.read.seconds
        report.health += [row for row in self.read.health if row[0] == "types"]
        return report


def first_pass(paths: Sequence[Path], out: Path, config: Config, site: Site, hooks: Hooks) -> FirstPass:
    """Read the captures once for what their registers hold; with `infer_types` off nothing is read.

    Stopped early, its report says so and is that of the whole learning.

    Raises:
        CaptureError: a path does not exist or is no capture.
    """
    if not config.learning.infer_types:
        return FirstPass(BASELINE.empty_table(), hooks)
    halved = replace(hooks, progress=_half(hooks, 0, 0))
    source = Source(paths, config.decode, halved, threads=config.output.threads)
    reading, found = Setup(config, site).reading(), registers.Registers()
    with closing(source):
        for batch in source:
            found.on_batch(reading.of(batch))
            del batch
    health: list[HealthRow] = [("types", counter, "", n) for counter, n in found.counters().items()]
    report = source.report(out, health)
    report.kept = not report.interrupted
    table = BASELINE.empty_table() if report.interrupted else rows_of(kinds.NAME, found.learned())
    half = _half(hooks, source.captures.bytes_read, source.packets)
    return FirstPass(table, replace(hooks, progress=half), report)


def _half(hooks: Hooks, bytes_read: int, packets: int) -> Callable[[Progress], None]:
    """Progress of one of two passes, the bytes and packets before it given."""

    def progress(at: Progress) -> None:
        hooks.progress(Progress(bytes_read + at.bytes_read, 2 * at.total_bytes, packets + at.packets))

    return progress
