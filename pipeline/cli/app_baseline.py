"""The commands of `fieldtap baseline`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_PATH = click.Path(path_type=Path)


@click.group()
def baseline() -> None:
    """Look at baselines, and correct them."""


def _selection(command: Any) -> Any:
    """Options that select rows of a baseline."""
    for option in (
        click.option("--tag", help="Such as hr:40001, as `show` prints it."),
        click.option("--client", help="Address of a client."),
        click.option("--unit", type=click.IntRange(0), help="Number of a unit."),
        click.option("--device", help="Id of a device, or the start of it, as `show` prints it."),
        click.option("--parameter", help="Such as pair, function or reported.low."),
        click.option("--detector", help="Only what this detector learned."),
    ):
        command = option(command)
    return command


@baseline.command("show")
@click.argument("file", type=_PATH)
@_selection
@click.option("--provisional", is_flag=True, help="Only entries that were seen so rarely that a person should look.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="Rows at most, 0 for all.")
def baseline_show(file: Path, limit: int, **selection: Any) -> None:
    """What FILE takes for normal."""
    from pipeline.cli import baselines

    baselines.show(file, selection, limit)


_edited = click.option("--out", type=_PATH, help="The changed baseline; without it FILE itself is changed.")


@baseline.command("approve")
@click.argument("file", type=_PATH)
@_selection
@click.option("--all", "everything", is_flag=True, help="All doubtful entries.")
@_edited
def baseline_approve(file: Path, out: Path | None, *, everything: bool, **selection: Any) -> None:
    """Call entries of FILE normal that were seen too rarely for that: `baseline show FILE --provisional` lists them."""
    from pipeline.cli import baselines

    baselines.approve(file, out, selection, everything=everything)


@baseline.command("forget")
@click.argument("file", type=_PATH)
@_selection
@click.option("--provisional", is_flag=True, help="Only doubtful entries.")
@_edited
def baseline_forget(file: Path, out: Path | None, **selection: Any) -> None:
    """Take entries out of FILE: what they say is unusual again, and a tag is learned anew."""
    from pipeline.cli import baselines

    baselines.forget(file, out, selection)


@baseline.command("teach")
@click.argument("file", type=_PATH)
@click.argument("results", type=_PATH)
@click.argument("findings", metavar="ID...", nargs=-1, required=True)
@_edited
def baseline_teach(file: Path, results: Path, findings: tuple[str, ...], out: Path | None) -> None:
    """Teach FILE that findings of RESULTS are normal, by the ids that `fieldtap show` prints: they never return.

    What was rolled up below a finding is taught with it.  A value that lies much further out is still told.
    """
    from pipeline.cli import baselines

    baselines.teach(file, results, findings, out)


@baseline.command("diff")
@click.argument("old", type=_PATH)
@click.argument("new", type=_PATH)
@click.option("--limit", type=click.IntRange(0), default=200, show_default=True, help="Rows at most, 0 for all.")
def baseline_diff(old: Path, new: Path, limit: int) -> None:
    """What NEW takes for normal that OLD does not, and the other way round."""
    from pipeline.cli import baselines

    baselines.diff(old, new, limit)
