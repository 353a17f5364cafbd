"""`fieldtap baseline`: baselines as tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import baseline
from pipeline.cli.screen import Screen
from pipeline.names import address_text, protocol_text, tag_text
from pipeline.show import print_table
from pipeline.show.tables import Shown, number

_MODBUS = 1
_STATES = ("", "learning", "shadow", "live")


def show(file: Path, detector: str | None, limit: int) -> None:
    """Print what `file` takes for normal.

    Raises:
        BaselineError: it is no baseline.
    """
    found = baseline.read(file)
    rows = found.table
    if detector is not None:
        rows = rows.filter(pc.equal(rows.column("detector"), detector))
    screen = Screen()
    screen.say(f"baseline {found.digest[:16]}, {found.table.num_rows:,} rows")
    for capture in found.lineage.get("captures", []):
        screen.say(f"learned from {capture.get('path', '')}, {capture.get('packets', 0):,} packets")
    shown = [
        (*_key(row), number(row["value"]), _STATES[row["state"] & 3], f"{row['n']:,}") for row in _rows(rows, limit)
    ]
    print_table(Shown((*_KEY, "value>", "state", "seen>"), shown, rows.num_rows), "rows")


def diff(old: Path, new: Path, limit: int) -> None:
    """Print how the second baseline differs from the first.

    Raises:
        BaselineError: one of them is no baseline.
    """
    rows = baseline.diff(baseline.read(old).table, baseline.read(new).table)
    shown = [(row["change"], *_key(row), _side(row, "old"), _side(row, "new")) for row in _rows(rows, limit)]
    print_table(Shown(("change", *_KEY, "old>", "new>"), shown, rows.num_rows), "differences")


_KEY = ("detector", "device", "unit>", "tag", "client", "parameter", "code")


def _rows(table: pa.Table, limit: int) -> list[dict[str, Any]]:
    kept = table.drop_columns([c for c in ("first", "last") if c in table.column_names])
    found: list[dict[str, Any]] = (kept.slice(0, limit) if limit else kept).to_pylist()
    return found


def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
    tag = tag_text(_MODBUS, row["space"], row["addr"], row["addr_sub"], row["name_id"])
    return (
        row["detector"],
        f"{row['device']:016x}" if row["device"] else "",
        str(row["unit"]),
        tag,
        address_text(row["peer"]),
        row["parameter"],
        _code(row),
    )


def _code(row: Mapping[str, Any]) -> str:
    code: int = row["code"]
    if not code:
        return ""
    if row["parameter"] == "service":
        return f"{protocol_text(code >> 56)} port {code & 0xFFFF}"
    return f"{code:#x}" if code > 0xFFFF else str(code)


def _side(row: Mapping[str, Any], side: str) -> str:
    return "" if row["change"] == {"old": "added", "new": "removed"}[side] else number(row[f"{side}_value"])
