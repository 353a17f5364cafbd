"""What the commands do, once they are asked to: settings in, a composition run, a table out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.interrupt import Interrupt
from pipeline.cli.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.config import Config
    from pipeline.run import Hooks, Report
    from pipeline.site import Site


def settings_of(config: Path | None, **output: Any) -> Config:
    """The settings of a command, with what its options say of the output."""
    from pipeline.config import load

    settings = load(config)
    given = {key: value for key, value in output.items() if value is not None}
    return replace(settings, output=replace(settings.output, **given))


def site_of(path: Path | None) -> Site:
    """The site file of a command; nothing where none is given."""
    from pipeline.site import Site

    return Site.load(path) if path is not None else Site.empty()


def _look(paths: Sequence[Path]) -> None:
    """Say what is no capture before anything is compiled or written."""
    from pipeline.capture.files import Captures

    Captures(paths)


def _conduct(screen: Screen, work: Callable[[Hooks], Report]) -> tuple[Report, int]:
    from pipeline.run import Hooks

    with Interrupt() as interrupt, screen.progress() as progress:
        report = work(Hooks(progress=progress, stop=interrupt.requested))
    return report, interrupt.exit_code


def run(
    paths: Sequence[Path], out: Path, baseline: Path | None, config: Path | None, site: Path | None, **output: Any
) -> int:
    """`fieldtap run`; the exit code."""
    screen = Screen()
    settings = settings_of(config, **output)
    names = site_of(site)
    _look(paths)
    from pipeline import run as composition

    screen.compiling()
    known = None
    if baseline is None:
        screen.say(f"no baseline: learning from the first {settings.learning.site_s / 60:g} min of the capture")
    else:
        from pipeline.baseline import Baseline

        known = Baseline.load(baseline)
        screen.doubts(known.table)
    report, code = _conduct(
        screen, lambda hooks: composition.run(paths, out, settings, site=names, baseline=known, hooks=hooks)
    )
    if known is None and report.span_s < settings.learning.site_s:
        screen.note(
            f"fieldtap: the capture spans {report.span_s:,.0f} s, less than the learning of "
            f"{settings.learning.site_s:g} s: only the static rules judged; see [learning] or give a --baseline"
        )
    screen.summary(report, judged=True)
    return code


def decode(paths: Sequence[Path], out: Path, config: Path | None, **output: Any) -> int:
    """`fieldtap decode`; the exit code."""
    screen = Screen()
    settings = settings_of(config, **output)
    _look(paths)
    from pipeline import run as composition

    screen.compiling(judging=False)
    report, code = _conduct(screen, lambda hooks: composition.decode(paths, out, settings, hooks=hooks))
    screen.summary(report, judged=False)
    return code


def learn(paths: Sequence[Path], out: Path, before: Path | None, config: Path | None, site: Path | None) -> int:
    """`fieldtap learn`; the exit code."""
    screen = Screen()
    settings = settings_of(config)
    names = site_of(site)
    known = None
    if before is not None:
        from pipeline.baseline import Baseline

        known = Baseline.load(before)
    _look(paths)
    from pipeline import run as composition

    screen.compiling()
    report, code = _conduct(
        screen, lambda hooks: composition.learn(paths, out, settings, site=names, before=known, hooks=hooks)
    )
    screen.summary(report, judged=False)
    return code


def simulate(out: Path, *, minutes: float, seed: int, attacks: tuple[str, ...], scale: int) -> None:
    """`fieldtap simulate`."""
    from pipeline import synth

    screen = Screen()
    with screen.fraction("simulating") as progress:
        report = synth.simulate(out, minutes=minutes, seed=seed, attacks=attacks, scale=scale, progress=progress)
    staged = ", ".join(report.staged) or "none"
    screen.say(f"{report.capture}: {report.packets:,} packets, {report.transactions:,} requests; attacks: {staged}")
    screen.say(f"{report.site}: names of its devices and tags")
    screen.say(f"{report.attacks}: what was done when, to score findings against")


def bulk(out: Path, *, packets: int, registers: int, flows: int, seed: int) -> None:
    """`fieldtap simulate --packets`: a capture for benchmarks."""
    from pipeline import synth
    from pipeline.errors import OutputError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot write here: {error.strerror}") from error
    report = synth.bulk(out / "bulk.pcap", packets=packets, registers=registers, flows=flows, seed=seed)
    Screen().say(f"{report.path}: {report.packets:,} packets, {report.points:,} values, {report.size:,} bytes")
