"""The compositions: captures to findings (`run`), to records (`decode`), to a baseline (`learn`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from detectors.columns import Columns
from pipeline.capture.files import Captures
from pipeline.config import Config
from pipeline.decode.decoder import Decoder
from pipeline.detection import Detection
from pipeline.inventory import Inventory
from pipeline.metrics import Counters, HealthRow, health_table
from pipeline.names import protocol_text
from pipeline.sink import Dataset, OutputFolder, RecordSink, write_table
from pipeline.site import Site
from schemas.alert import ALERT
from schemas.health import NAME

if TYPE_CHECKING:
    from pipeline.baseline import Baseline

_ALERT_GROUP = 4_096


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
        packets, points, seconds: read, written, and how long it took by the wall clock.
        records: protocol name to records.
        skipped: reason to packets that gave no record.
        findings: (severity, detector) to findings.
        problems: a line for each capture that ended early, with file and place.
        ignored: files that are no captures.
        interrupted: whether `stop` ended it.
        kept: whether the results are in place; not so where an interrupted run would have replaced a whole one.
        health: every counter of every stage.
    """

    out: Path
    packets: int = 0
    points: int = 0
    seconds: float = 0.0
    records: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    findings: dict[tuple[int, str], int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    interrupted: bool = False
    kept: bool = True
    health: list[HealthRow] = field(default_factory=list)


class _Input:
    """Captures through the decoder, with what is told about them at the end."""

    def __init__(self, paths: Sequence[Path], config: Config, hooks: Hooks) -> None:
        self.captures = Captures(paths)
        self.decoder = Decoder(config.decode)
        self.interrupted = False
        self.packets = 0
        self._hooks = hooks
        self._by_protocol = np.zeros(256, np.int64)
        self._points = 0
        self._started = perf_counter()

    def batches(self) -> Iterator[Columns]:
        """Every record of the input, in order; ends early when asked to stop."""
        for block in self.captures:
            self.packets += len(block)
            for batch in self.decoder.feed(block):
                self._count(batch)
                yield batch
                del batch
            captures = self.captures
            self._hooks.progress(Progress(captures.bytes_read, captures.total_bytes, self.packets))
            if self._hooks.stop():
                self.interrupted = True
                break
        for batch in self.decoder.finish():
            self._count(batch)
            yield batch
            del batch

    def _count(self, batch: Columns) -> None:
        self._by_protocol += np.bincount(batch.protocol, minlength=256)
        self._points += int(batch.offsets[-1] - batch.offsets[0]) if len(batch) else 0

    def report(self, out: Path, health: Sequence[HealthRow]) -> Report:
        rows = [*self.decoder.health(), *health, *self._own()]
        skipped: dict[str, int] = {}
        for _, counter, reason, value in rows:
            if counter == "skipped" and value:
                skipped[reason] = skipped.get(reason, 0) + value
        return Report(
            out=out,
            packets=self.packets,
            points=self._points,
            seconds=perf_counter() - self._started,
            records=self._records(),
            skipped=skipped,
            problems=[str(p) for p in self.captures.problems],
            ignored=[str(p) for p in self.captures.ignored],
            interrupted=self.interrupted,
            health=rows,
        )

    def _records(self) -> dict[str, int]:
        return {protocol_text(p): int(self._by_protocol[p]) for p in np.flatnonzero(self._by_protocol)}

    def _own(self) -> list[HealthRow]:
        counters = Counters("run")
        counters.put("packets", self.packets)
        for name, n in self._records().items():
            counters.put("records", n, reason=name)
        counters.put("problems", len(self.captures.problems), reason="captures that ended early")
        counters.put("ignored", len(self.captures.ignored), reason="files that are no captures")
        counters.put("interrupted", int(self.interrupted))
        return counters.rows()


class _Alerts:
    """Finding rows into `alerts/`, and how many findings of which kind there are."""

    def __init__(self, folder: Path) -> None:
        self._dataset = Dataset(folder / "alerts", ALERT, part_rows=1 << 20, group_rows=_ALERT_GROUP)
        self._kinds: dict[int, tuple[int, str]] = {}

    def write(self, rows: pa.RecordBatch | None) -> None:
        if rows is None or not rows.num_rows:
            return
        columns = ("finding_info_uid", "severity_id", "analytic_uid")
        for uid, severity, analytic in zip(*(rows.column(c).to_pylist() for c in columns), strict=True):
            self._kinds[uid] = (severity, analytic.partition(".")[0])
        self._dataset.write(rows, reused=False)

    def close(self) -> dict[tuple[int, str], int]:
        self._dataset.close()
        found: dict[tuple[int, str], int] = {}
        for kind in self._kinds.values():
            found[kind] = found.get(kind, 0) + 1
        return dict(sorted(found.items(), reverse=True))


def _names(decoder: Decoder) -> pa.Table:
    names = sorted(decoder.names().items())
    return pa.table({"name_id": [n for n, _ in names], "text": [t for _, t in names]}, schema=NAME)


def _sink(folder: OutputFolder, config: Config) -> RecordSink:
    output = config.output
    return RecordSink(
        folder.stage,
        points=output.points,
        threads=output.threads,
        queue_bytes=output.queue_mb << 20,
        part_rows=output.part_points,
        tags=output.changed_tags,
    )


def _finish(folder: OutputFolder, report: Report, captures: Captures, decoder: Decoder) -> Report:
    write_table(folder.stage / "captures.parquet", captures.table())
    write_table(folder.stage / "names.parquet", _names(decoder))
    write_table(folder.stage / "health.parquet", health_table(report.health))
    report.kept = not (report.interrupted and folder.replaces)
    if report.kept:
        folder.commit()
    else:
        folder.discard()
    return report


def run(
    paths: Sequence[Path],
    out: Path,
    config: Config,
    *,
    site: Site | None = None,
    baseline: Baseline | None = None,
    hooks: Hooks | None = None,
) -> Report:
    """Captures to records, points, findings and inventories in folder `out`.

    Stopped early, it ends as if the input had ended there.

    Raises:
        OutputError: `out` holds something else, or cannot be written; nothing is left there then.
        CaptureError: a path does not exist or is no capture.
        BaselineError: the baseline does not fit the detectors.
    """
    site = site or Site.empty()
    folder = OutputFolder(out)
    sink = None
    try:
        source = _Input(paths, config, hooks or Hooks())
        detection = Detection(config, site, source.decoder.names, baseline)
        inventory = Inventory(config.output.inventory_groups)
        alerts = _Alerts(folder.stage)
        sink = _sink(folder, config)
        for batch in source.batches():
            alerts.write(detection.on_batch(batch))
            inventory.add(batch)
            sink.put(batch)
            del batch
        alerts.write(detection.finish())
        sink.close()
        findings = alerts.close()
        names = source.decoder.names()
        write_table(folder.stage / "assets.parquet", inventory.assets(names, site))
        write_table(folder.stage / "conversations.parquet", inventory.conversations())
        report = source.report(out, [*detection.health(), *inventory.health(), *sink.health()])
        report.findings = findings
        return _finish(folder, report, source.captures, source.decoder)
    except BaseException:
        _undo(folder, sink)
        raise


def decode(paths: Sequence[Path], out: Path, config: Config, *, hooks: Hooks | None = None) -> Report:
    """Captures to records and points in folder `out`, without judging them.

    Raises:
        OutputError, CaptureError: as :func:`run`.
    """
    folder = OutputFolder(out)
    sink = None
    try:
        source = _Input(paths, config, hooks or Hooks())
        sink = _sink(folder, config)
        for batch in source.batches():
            sink.put(batch)
            del batch
        sink.close()
        return _finish(folder, source.report(out, sink.health()), source.captures, source.decoder)
    except BaseException:
        _undo(folder, sink)
        raise


def _undo(folder: OutputFolder, sink: RecordSink | None) -> None:
    if sink is not None:
        sink.abandon()
    folder.discard()


def learn(
    paths: Sequence[Path], out: Path, config: Config, *, site: Site | None = None, hooks: Hooks | None = None
) -> Report:
    """Captures to a baseline in file `out`; everything in them is taken for normal.

    A run that is stopped early writes no baseline.

    Raises:
        OutputError: `out` cannot be written.
        CaptureError: as :func:`run`.
    """
    learning: Any = replace(config.learning, mode="learn")
    source = _Input(paths, config, hooks or Hooks())
    detection = Detection(replace(config, learning=learning), site or Site.empty(), source.decoder.names, None)
    for batch in source.batches():
        detection.on_batch(batch)
        del batch
    detection.finish()
    report = source.report(out, detection.health())
    report.kept = not report.interrupted
    if report.kept:
        detection.save_baseline(out, source.captures.table())
    return report
