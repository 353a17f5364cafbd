"""Screen: what a person sees while a command works, and when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.run import Progress, Report

_COMPILE_S = 60
_PLAIN_EVERY_S = 10.0
_LISTED = 5
_Row = tuple[str, str, str]
_SEVERITY = ("unknown", "informational", "low", "medium", "high", "critical", "fatal")


def plain(text: str) -> Text:
    """`text` as it is: no markup, no control characters."""
    return Text("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text))


class Screen:
    """Results and notes go to stdout, progress and warnings to stderr."""

    def __init__(self) -> None:
        self._out = Console(highlight=False)
        self._err = Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """One line of result."""
        self._out.print(plain(text), soft_wrap=True)

    def note(self, text: str) -> None:
        """One line beside the results."""
        self._err.print(plain(text), soft_wrap=True)

    def compiling(self, *, decoding: bool = True, judging: bool = True) -> None:
        """At the first start on a machine: say so, and compile what decoding and judging need."""
        from detectors.jit import is_warm

        if not is_warm():
            self.note(f"compiling kernels for this machine, once: about {_COMPILE_S} s")
            if decoding:
                from pipeline.run.first import compile_in_two

                compile_in_two(judging=judging)

    @contextmanager
    def progress(self) -> Iterator[Callable[[Progress], None]]:
        """Gives what is to be called with a run's progress: a bar on a terminal, else a line now and then."""
        if not self._err.is_terminal:
            yield self._lines()
            return
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(), DownloadColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
        with Bar(*columns, console=self._err, transient=True) as bar:
            task = bar.add_task("", total=None, rate="")
            started = monotonic()

            def update(at: Progress) -> None:
                rate = at.packets / max(1e-9, monotonic() - started)
                bar.update(task, completed=at.bytes_read, total=at.total_bytes or None, rate=f"{rate:,.0f} packets/s")

            yield update

    def _lines(self) -> Callable[[Progress], None]:
        last = monotonic()

        def update(at: Progress) -> None:
            nonlocal last
            if monotonic() - last >= _PLAIN_EVERY_S:
                last = monotonic()
                done = f"{100 * at.bytes_read / at.total_bytes:.0f} %, " if at.total_bytes else ""
                self.note(f"{done}{at.packets:,} packets")

        return update

    @contextmanager
    def fraction(self, what: str) -> Iterator[Callable[[float], None]]:
        """Gives what is to be called with the fraction done; shown on a terminal only."""
        if not self._err.is_terminal:
            yield lambda _: None
            return
        from rich.progress import Progress as Bar

        with Bar(console=self._err, transient=True) as bar:
            task = bar.add_task(what, total=1.0)
            yield lambda done: bar.update(task, completed=done)

    def summary(self, report: Report, *, judged: bool) -> None:
        """Warnings, then the table of what came of it."""
        self._warnings(report)
        if not report.kept:
            return
        self.table([*_traffic(report), *(_findings(report) if judged else ())])
        self.say(f"written to {report.out}")

    def doubts(self, baseline: pa.Table) -> None:
        """Say how many entries of a baseline nobody has approved."""
        from pipeline.approval import is_provisional

        n = int(is_provisional(baseline).sum())
        if n:
            self.note(
                f"fieldtap: {n:,} entries of the baseline were hardly seen while learning: "
                "`fieldtap baseline show --provisional`"
            )

    def table(self, rows: Iterable[_Row]) -> None:
        """A short table of what came of it: heading, number, and what more there is to say."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold")
        table.add_column(justify="right")
        table.add_column()
        for row in rows:
            table.add_row(*(plain(cell) for cell in row))
        self._out.print(table)

    def _warnings(self, report: Report) -> None:
        for problem in report.problems:
            self.note(f"fieldtap: warning: {problem}")
        if report.untaught:
            self.note(f"fieldtap: the baseline holds nothing of {', '.join(report.untaught)}, which learned instead")
        if report.ignored:
            names = ", ".join(Path(p).name for p in report.ignored[:_LISTED])
            more = " …" if len(report.ignored) > _LISTED else ""
            self.note(f"fieldtap: ignored {len(report.ignored)} files that are no captures: {names}{more}")
        if report.interrupted:
            left = "what is whole was kept" if report.kept else "nothing was written or replaced"
            self.note(f"fieldtap: interrupted after {report.packets:,} packets; {left}")


def _traffic(report: Report) -> list[_Row]:
    rate = report.packets / report.seconds if report.seconds > 0 else 0.0
    return [
        ("packets", f"{report.packets:,}", f"{rate:,.0f} packets/s, {report.seconds:.1f} s"),
        *(_counts("records", report.records) or [("records", "0", "")]),
        ("values", f"{report.points:,}", ""),
        *_counts("skipped", report.skipped),
        *_counts("not decoded", report.undecoded),
    ]


def _counts(heading: str, counts: Mapping[str, int]) -> list[_Row]:
    """One row for each, the most frequent first; the heading stands on the first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [("" if i else heading, f"{n:,}", name) for i, (name, n) in enumerate(ordered)]


def _findings(report: Report) -> list[_Row]:
    if not report.findings:
        return [("findings", "0", "")]
    found = [(f"{n:,}", f"{_SEVERITY[severity]}, {detector}") for (severity, detector), n in report.findings.items()]
    return [("findings" if not i else "", n, what) for i, (n, what) in enumerate(found)]
