"""`fieldtap show`: results as a person reads them."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.cli.screen import plain
from pipeline.errors import ConfigError
from pipeline.show import tables
from pipeline.show.filters import Filters
from pipeline.site import Site

__all__ = ["Filters", "show"]

_TIMES = ("since", "until")
_TABLES = {
    "alerts": (tables.alerts, ("severity", "detector", "device", "client", "protocol", "function", *_TIMES)),
    "records": (tables.records, ("device", "client", "protocol", "function", *_TIMES)),
    "points": (tables.points, ("device", *_TIMES)),
    "assets": (tables.assets, ("device", "client", "protocol", *_TIMES)),
    "health": (tables.health, ()),
}
_LIMITS = {"health": 0}
_ROWS = {"health": "counters", "alerts": "findings"}
_PIPED_WIDTH = 240
"""Columns of a table that goes to a file or a pipe, where no terminal sets the width."""
_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


def show(
    folder: Path,
    what: str,
    filters: Filters,
    *,
    site: Path | None = None,
    limit: int | None = None,
    hints: bool = False,
) -> None:
    """Print one table of the results in `folder`.

    Args:
        folder: as `fieldtap run` wrote it.
        what: alerts, records, points, assets or health.
        filters: rows to show.
        site: site file whose names go before those of the results.
        limit: rows at most, 0 for all; None for 50, of health for all.
        hints: whether to say of alerts what may be behind them.

    Raises:
        OutputError: the folder holds no such results.
        ConfigError: a filter that the table does not have, or a value it cannot have.
        SiteError: the site file cannot be read.
    """
    make, allowed = _TABLES[what]
    filters.refuse_others(allowed, what)
    results = tables.Results.open(folder, Site.load(site) if site is not None else Site.empty())
    most = _LIMITS.get(what, 50) if limit is None else limit
    if hints and what != "alerts":
        raise ConfigError(f"--hints: only alerts have hints, not {what}")
    shown = tables.alerts(results, filters, most, hints=True) if hints else make(results, filters, most)
    print_table(shown, _ROWS.get(what, what))


def print_table(shown: tables.Shown, what: str) -> None:
    """Print rows; everything in them is taken as plain text, whatever it holds."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    if not shown.rows:
        console.print(plain(f"no {what}"))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in shown.headings:
        right = heading.endswith(">")
        table.add_column(heading.rstrip(">"), justify="right" if right else "left", overflow="fold")
    for row in shown.rows:
        table.add_row(*(plain(cell) for cell in row), style=_STYLES.get(row[0]))
    console.print(table)
    if shown.total > len(shown.rows):
        console.print(plain(f"{len(shown.rows):,} of {shown.total:,} {what}; --limit shows more"))
