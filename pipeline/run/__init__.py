"""The compositions: captures to findings (`run`), to records (`decode`), to a baseline (`learn`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import Config
from pipeline.errors import OutputError
from pipeline.metrics import health_table
from pipeline.run.judges import Judges
from pipeline.run.report import Hooks, Progress, Report
from pipeline.run.results import Results, record_sink
from pipeline.run.source import Source
from pipeline.sink import OutputFolder, RecordSink, write_table
from pipeline.sink.names import names_table
from pipeline.site import Site

if TYPE_CHECKING:
    from pipeline.baseline import Baseline

__all__ = ["Hooks", "Progress", "Report", "decode", "learn", "run"]


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
    """
    folder = OutputFolder(out)
    source: Source | None = None
    results: Results | None = None
    try:
        source = Source(paths, config.decode, hooks or Hooks(), threads=config.output.threads)
        site = site or Site.empty()
        judges = Judges(source, config, site, baseline)
        results = Results(folder.stage, config.output)
        health = judges.run([results])
        results.close(source.names, site)
        report = source.report(out, [*health, *results.health()])
        report.findings, report.untaught = results.findings(), judges.untaught
        return _finish(folder, report, source)
    except BaseException:
        _undo(folder, source, results)
        raise


def decode(paths: Sequence[Path], out: Path, config: Config, *, hooks: Hooks | None = None) -> Report:
    """Captures to records and points in folder `out`, without judging them.

    Raises:
        OutputError, CaptureError: as :func:`run`.
    """
    folder = OutputFolder(out)
    source: Source | None = None
    sink: RecordSink | None = None
    try:
        source = Source(paths, config.decode, hooks or Hooks(), threads=config.output.threads)
        sink = record_sink(folder.stage, config.output)
        for batch in source:
            sink.put(batch)
            del batch
        sink.close()
        return _finish(folder, source.report(out, sink.health()), source)
    except BaseException:
        _undo(folder, source, sink)
        raise


def learn(
    paths: Sequence[Path],
    out: Path,
    config: Config,
    *,
    site: Site | None = None,
    before: Baseline | None = None,
    hooks: Hooks | None = None,
) -> Report:
    """Captures to a baseline in file `out`; everything in them is taken for normal.

    Stopped early, it writes no baseline.  What a person said of the one `before` is kept.

    Raises:
        OutputError: `out` cannot be written, or is a file of another kind.
        CaptureError: as :func:`run`.
    """
    import pyarrow as pa

    from pipeline import baseline as baselines
    from pipeline.approval import carried_over, mark_provisional
    from pipeline.run.types import first_pass

    _check_file(out)
    site = site or Site.empty()
    settings = replace(config, learning=replace(config.learning, mode="learn"))
    first = first_pass(paths, out, settings, site, hooks or Hooks())
    if first.read is not None and first.read.interrupted:
        return first.read
    source = Source(paths, config.decode, first.hooks, threads=config.output.threads)
    with closing(source):
        judges = Judges(source, settings, site, first.types)
        report = first.added(source.report(out, judges.run()))
    report.kept = not report.interrupted
    if report.kept:
        rows = pa.concat_tables([mark_provisional(baselines.collect(judges.detectors)), first.table])
        rows = carried_over(rows, before.table) if before is not None else rows
        names = {"names": baselines.names_in(rows, source.names)}
        baselines.write(out, rows, _lineage(source, settings) | names)
    return report


def _check_file(out: Path) -> None:
    """Find out before any work whether a baseline can be written to `out`."""
    if out.is_dir():
        raise OutputError(f"{out}: cannot write the baseline: it is a folder")
    if not out.parent.is_dir():
        raise OutputError(f"{out}: cannot write the baseline: there is no folder {out.parent}")
    if not os.access(out.parent, os.W_OK):
        raise OutputError(f"{out}: cannot write the baseline: {out.parent} is not writable")
    if out.exists():
        with out.open("rb") as file:
            if file.read(4) != b"PAR1":
                raise OutputError(f"{out}: exists and is no baseline; choose another --out")


def _lineage(source: Source, config: Config) -> dict[str, Any]:
    captures = [
        {"path": Path(c.path).name, "digest": c.digest, "packets": c.packets, "problem": c.problem}
        for c in source.captures.captures
    ]
    settings = {"decode": asdict(config.decode), "learning": asdict(config.learning)}
    detectors = {name: asdict(params) for name, params in config.params.items()}
    return {"captures": captures, "settings": {**settings, "detectors": detectors}}


def _finish(folder: OutputFolder, report: Report, source: Source) -> Report:
    write_table(folder.stage / "captures.parquet", source.captures.table())
    write_table(folder.stage / "names.parquet", names_table(source.names))
    write_table(folder.stage / "health.parquet", health_table(report.health))
    report.kept = not (report.interrupted and folder.replaces)
    if report.kept:
        folder.commit()
    else:
        folder.discard()
    return report


def _undo(folder: OutputFolder, source: Source | None, results: Results | RecordSink | None) -> None:
    if source is not None:
        source.close()
    if results is not None:
        results.abandon()
    folder.discard()
