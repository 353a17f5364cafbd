"""`fieldtap detect` and `fieldtap archive`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.commands import settings_of, site_of
from pipeline.cli.interrupt import Interrupt
from pipeline.cli.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.config import Config
    from pipeline.setup import Setup
    from pipeline.worker.compose import Detection, Keeping, WorkReport

ARCHIVE_GROUP = "fieldtap-archive"
EXIT_STOPPED = 3
"""A partition was stopped and waits for a person; the last lines on stderr say which, and why."""


def detect(
    bootstrap: str,
    store: str,
    baseline: Path | None,
    config: Path | None,
    site: Path | None,
    name: str | None,
    *,
    until_end: bool,
) -> int:
    """`fieldtap detect`; the exit code."""
    setup = setup_of(config, site, baseline, name)
    _tell_learning(setup)
    from pipeline.worker.compose import Detection

    return _work(bootstrap, store, setup, Detection, until_end)


def archive(bootstrap: str, store: str, config: Path | None, name: str | None, *, until_end: bool) -> int:
    """`fieldtap archive`; the exit code."""
    settings = _named(settings_of(config), name)
    from pipeline.archive import ARCHIVE
    from pipeline.setup import Setup
    from pipeline.worker.compose import Keeping

    own = replace(settings.worker, group=ARCHIVE_GROUP, run=f"{ARCHIVE}{settings.worker.run}")
    return _work(bootstrap, store, Setup(replace(settings, worker=own)), Keeping, until_end)


def setup_of(config: Path | None, site: Path | None, baseline: Path | None, run: str | None) -> Setup:
    """What judges, from the files that a command is given."""
    settings = _named(settings_of(config), run)
    names = site_of(site)
    known = None
    if baseline is not None:
        from pipeline.baseline import Baseline

        known = Baseline.load(baseline)
    from pipeline.setup import Setup

    return Setup(settings, names, known)


def _tell_learning(setup: Setup) -> None:
    screen, learning = Screen(), setup.config.learning
    if setup.baseline is not None:
        screen.doubts(setup.baseline.table)
    if setup.baseline is None:
        screen.say(f"no baseline: a new run learns from its first {learning.site_s / 60:g} min")
    elif untaught := setup.untaught():
        screen.note(f"fieldtap: the baseline holds nothing of {', '.join(untaught)}, which learn instead")


def _named(settings: Config, run: str | None) -> Config:
    return settings if run is None else replace(settings, worker=replace(settings.worker, run=run))


def _work(bootstrap: str, store: str, setup: Setup, kind: type[Detection] | type[Keeping], until_end: bool) -> int:
    from pipeline.worker.compose import Deployment, work

    screen = Screen()
    screen.compiling(decoding=False)
    with Interrupt() as interrupt:
        deployment = Deployment(bootstrap, store, setup, setup.config.worker)
        screen.say(
            f"run {deployment.settings.run}: reading {deployment.records.name} at {bootstrap}, ledger at {store}"
        )
        report = work(deployment, kind, stop=interrupt.requested, say=screen.say, until_end=until_end)
    _tell(screen, report)
    return EXIT_STOPPED if report.stopped else 0


def _tell(screen: Screen, report: WorkReport) -> None:
    for topic, counters in report.stages.items():
        screen.say(f"{topic}: {_counted(counters)}")
    screen.say(f"worker: {_counted(report.counts)}")
    for line in report.stopped:
        screen.note(f"fieldtap: stopped: {line}")


def _counted(counters: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counters.items() if n) or "nothing came"
