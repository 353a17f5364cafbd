"""`fieldtap capture`: run a shard, and say what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.interrupt import Interrupt
from pipeline.cli.screen import Screen

if TYPE_CHECKING:
    from pipeline.shard.capture import ShardReport


def capture(
    paths: Sequence[Path], kafka: str, spool: Path, config: Path | None, *, shard: int | None, pace: bool
) -> int:
    """Run a shard; the exit code, which is 0 when it was asked to stop: what it has is safe.

    Raises:
        FieldtapError: it cannot begin, or cannot go on.
    """
    from pipeline.config import load
    from pipeline.run.report import Hooks
    from pipeline.shard import capture as composition

    screen = Screen()
    settings = load(config)
    if shard is not None:
        settings = replace(settings, decode=replace(settings.decode, shard=shard))
    source = composition.Files(paths, pace=pace)
    screen.compiling(judging=False)
    with Interrupt() as interrupt, screen.progress() as progress:
        hooks = Hooks(progress=progress, stop=interrupt.requested)
        report = composition.capture(
            source, kafka, spool, settings, hooks=hooks, tell=lambda text: screen.note(f"fieldtap: {text}")
        )
    _warn(screen, report)
    screen.table(_rows(report))
    return 0


def _warn(screen: Screen, report: ShardReport) -> None:
    for problem in report.problems:
        screen.note(f"fieldtap: warning: {problem}")
    if report.ignored:
        screen.note(f"fieldtap: ignored {len(report.ignored)} files that are no captures")
    if report.interrupted:
        screen.note(f"fieldtap: interrupted after {report.packets:,} packets; what was read is in the spool")
    why = f" ({report.trouble})" if report.trouble else ""
    if report.unsent:
        screen.note(f"fieldtap: {report.unsent:,} bytes wait in the spool for Kafka{why}; the next start sends them")
    elif report.names_unsent:
        screen.note(f"fieldtap: {report.names_unsent:,} names did not arrive{why}; records did")


def _rows(report: ShardReport) -> list[tuple[str, str, str]]:
    rate = report.packets / report.seconds if report.seconds > 0 else 0.0
    boots = f"boot {report.boot}" if report.boots == 1 else f"boots {report.boot} to {report.boot + report.boots - 1}"
    protocols = sorted(report.protocols.items(), key=lambda item: (-item[1], item[0]))
    return [
        ("packets", f"{report.packets:,}", f"{rate:,.0f} packets/s, {report.seconds:.1f} s"),
        *(("" if i else "records", f"{n:,}", name) for i, (name, n) in enumerate(protocols or [("", 0)])),
        ("messages", f"{report.messages:,}", f"{report.bytes:,} bytes, {boots}{', resumed' if report.resumed else ''}"),
        *(("" if i else "dropped", f"{n:,}", why) for i, (why, n) in enumerate(report.dropped.items() or [("", 0)])),
    ]
