"""`fieldtap baseline`: baselines as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from detectors import kinds
from pipeline import approval, baseline
from pipeline.cli.screen import Screen
from pipeline.errors import ConfigError, OutputError
from pipeline.names import address_text, function_text, identity_text, mac_text, protocol_text, tag_text, visible
from pipeline.show import print_table
from pipeline.show.tables import Shown, number

_MODBUS = 1
_STATES = ("", "learning", "shadow", "live", "provisional")


def show(file: Path, selection: Mapping[str, Any], limit: int) -> None:
    """Print what `file` takes for normal.

    Raises:
        BaselineError: it is no baseline.
    """
    found = baseline.read(file)
    rows = found.table.filter(pa.array(approval.Selection(**selection).of(found.table)))
    screen = Screen()
    screen.say(f"baseline {found.digest[:16]}, {found.table.num_rows:,} rows")
    for capture in found.lineage.get("captures", []):
        screen.say(f"learned from {capture.get('path', '')}, {capture.get('packets', 0):,} packets")
    known = found.names()
    shown = [
        (
            *_key(row, known),
            _value(row),
            _state(row["state"]),
            f"{row['n']:,}",
        )
        for row in _rows(rows, limit)
    ]
    print_table(Shown((*_KEY, "value>", "state", "seen>"), shown, rows.num_rows), "rows")


def diff(old: Path, new: Path, limit: int) -> None:
    """Print how the second baseline differs from the first.

    Raises:
        BaselineError: one of them is no baseline.
    """
    sides = baseline.read(old), baseline.read(new)
    rows = baseline.diff(sides[0].table, sides[1].table)
    known = sides[0].names() | sides[1].names()
    shown = [(row["change"], *_key(row, known), _side(row, "old"), _side(row, "new")) for row in _rows(rows, limit)]
    print_table(Shown(("change", *_KEY, "old>", "new>"), shown, rows.num_rows), "differences")


def approve(file: Path, out: Path | None, selection: Mapping[str, Any], *, everything: bool) -> None:
    """`fieldtap baseline approve`.

    Raises:
        BaselineError, OutputError: see :func:`pipeline.approval.approve`.
        ConfigError: nothing is selected, and not everything meant.
    """
    meant = approval.Selection(**selection)
    if meant.is_everything and not everything:
        raise ConfigError("approve: say which entries (--detector, --device …), or --all")
    n = approval.approve(baseline.read(file), meant, out or file)
    Screen().say(f"{out or file}: {n:,} entries approved")


def forget(file: Path, out: Path | None, selection: Mapping[str, Any]) -> None:
    """`fieldtap baseline forget`.

    Raises:
        BaselineError, OutputError: see :func:`pipeline.approval.forget`.
        ConfigError: nothing is selected.
    """
    meant = approval.Selection(**selection)
    if meant.is_everything:
        raise ConfigError("forget: say which entries (--detector, --device …)")
    n = approval.forget(baseline.read(file), meant, out or file)
    Screen().say(f"{out or file}: {n:,} rows forgotten")


def teach(file: Path, results: Path, findings: Sequence[str], out: Path | None) -> None:
    """`fieldtap baseline teach`.

    Raises:
        BaselineError, OutputError: see :func:`pipeline.approval.teach`; no findings lie in `results`.
    """
    n = approval.teach(baseline.read(file), findings_of(results), findings, out or file)
    Screen().say(f"{out or file}: {n:,} findings taught as normal")


def findings_of(results: Path) -> pa.Table:
    """The findings of a result of `run`, or of a store of workers: the last row of each, schema ALERT.

    Raises:
        OutputError: there are none.
    """
    import polars as pl

    from pipeline.findings import fold
    from schemas.alert import ALERT

    for pattern in ("alerts/part-*.parquet", "findings/**/*.parquet"):
        files = sorted(file for file in results.glob(pattern) if file.stat().st_size)
        if files:
            rows = pl.concat([pl.read_parquet(file, hive_partitioning=False) for file in files], how="diagonal")
            known = [name for name in ALERT.names if name in rows.columns]
            return fold(rows.select(known).to_arrow())
    raise OutputError(f"{results}: holds no findings of fieldtap (no alerts/part-*.parquet, no findings/)")


_KEY = ("detector", "device", "unit>", "tag", "client", "parameter", "code")


def _rows(table: pa.Table, limit: int) -> list[dict[str, Any]]:
    kept = table.drop_columns([c for c in ("first", "last") if c in table.column_names])
    found: list[dict[str, Any]] = (kept.slice(0, limit) if limit else kept).to_pylist()
    return found


def _key(row: Mapping[str, Any], names: Mapping[int, str]) -> tuple[str, ...]:
    tag = tag_text(_MODBUS, row["space"], row["addr"], row["addr_sub"], row["name_id"])
    return (
        row["detector"],
        f"{row['device']:016x}" if row["device"] else "",
        str(row["unit"]),
        tag,
        address_text(row["peer"]),
        row["parameter"],
        _code(row, names),
    )


def _code(row: Mapping[str, Any], names: Mapping[int, str]) -> str:
    code: int = row["code"]
    if not code:
        return ""
    if row["parameter"] == baseline.IDENTITY and row["addr_sub"] < baseline.TEXTS:
        return identity_text(row["addr_sub"], row["addr"], float(code - 1)) or str(code - 1)
    if row["parameter"] == baseline.IDENTITY and code in names:
        return visible(names[code])
    if row["parameter"] == "service":
        return f"{protocol_text(code >> 56)} port {code & 0xFFFF}"
    if row["parameter"] in ("mac", "claim"):
        return mac_text(code)
    if row["parameter"] in ("function", "asked") and code > 0xFFFF:
        return f"{protocol_text(code >> 56)} {function_text(code >> 56, code >> 32 & 0xFFFF, code & 0xFFFFFFFF)}"
    return f"{code:#x}" if code > 0xFFFF else str(code)


def _value(row: Mapping[str, Any], value: str = "value") -> str:
    text = kinds.type_text(row[value]) if row["detector"] == kinds.NAME else ""
    return text or number(row[value])


def _side(row: Mapping[str, Any], side: str) -> str:
    if row["change"] == {"old": "added", "new": "removed"}[side]:
        return ""
    value = _value(row, f"{side}_value")
    return f"{value} {_state(row[f'{side}_state'])}" if row["old_state"] != row["new_state"] else value


def _state(state: int) -> str:
    return _STATES[state] if state < len(_STATES) else f"state {state}"
