"""What of the documentation follows from the code: `python -m docs.generate` writes it anew.

`docs/schema.md` is all of it; in `README.md` it is what stands between `<!-- begin x -->` and `<!-- end x -->`.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator, Sequence
from enum import IntFlag
from pathlib import Path
from typing import Any

import pyarrow as pa

from detectors.registry import REGISTERED, load
from pipeline.decode.ports import INDUSTRIAL, OTHER
from pipeline.decode.protocols import DECODERS
from pipeline.names import protocol_text
from schemas import alert, codes, record
from schemas.compat import COLUMNS
from schemas.field import Column
from schemas.freeze import SCHEMAS, enumerations, version_of

ROOT = Path(__file__).resolve().parent.parent
_HEAD = """# Columns and codes

This file is written by `python -m docs.generate` from `schemas/`; do not edit it.

Every column is always present and never null: "none" has a value of its own, given as the default.  A reader of
`schemas.compat.fill` gets that default for a column that an older file lacks.  Columns are added, with a new version
of the schema; they are never renamed, retyped or removed.  Numbers of enumerations are never given another meaning.
"""

DATASETS: dict[str, tuple[str, str]] = {
    "record": ("`records/`", "One row per half of an exchange: request, response, unsolicited message, timeout."),
    "point": ("`points/`", "One row per value. `(shard, boot, seq)` leads to the record that carried it."),
    "alert": ("`alerts/`", "One row per activity of a finding. Rows of one finding share `finding_info_uid`."),
    "asset": ("`assets.parquet`", "One row per device or client."),
    "conversation": ("`conversations.parquet`", "One row per client, device, unit and protocol."),
    "health": ("`health.parquet`", "One row per counter of each stage: what was read, skipped, dropped, forgotten."),
    "capture": ("`captures.parquet`", "One row per capture file, in the order in which they were read."),
    "name": ("`names.parquet`", "One row per text met on the wire; `name_id` elsewhere points here."),
    "baseline": ("what `fieldtap learn` writes", "One row per learned parameter, sorted, so that two can be compared."),
    "mark": (
        "`archive/run=…/marks/`",
        "Marks of the stream, by the record before which they stand.",
    ),
    "pane": ("topic `fieldtap.panes`", "One row per ten seconds, client and device: what is judged across devices."),
}
"""Where each schema lies in the results, and what a row of it is."""


def table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def schema_page() -> str:
    """The text of `docs/schema.md`."""
    parts = [_HEAD, "## Datasets\n", _contents()]
    for name, columns in COLUMNS.items():
        where, what = DATASETS[name]
        parts.append(f"## {name}\n\n{where}, version {version_of(SCHEMAS[name])}. {what}\n")
        parts.append(_columns(columns))
    parts.append("## Structures inside columns\n")
    parts.append("`alert.attacks` is a list of:\n\n" + _fields(alert.ATTACK))
    parts.append(f"`alert.evidences` is a list of at most {alert.EVIDENCE_LIMIT}:\n\n" + _fields(alert.EVIDENCE))
    points = ", ".join(f"`{c.name}`" for c in record.POINT_COLUMNS)
    parts.append(f"In memory a record also holds its points, a list `points` of: {points}. See [point](#point).\n")
    parts.append("## Codes\n\nReadable names come from `pipeline.names`, never from the data.\n")
    parts += _enumerations()
    return "\n".join(parts)


def _contents() -> str:
    rows = [(f"[{name}](#{name})", where, what) for name, (where, what) in DATASETS.items()]
    return table(("schema", "where", "what"), rows)


def _columns(columns: tuple[Column, ...]) -> str:
    rows = [(f"`{c.name}`", _type(c.type), _default(c), c.meaning) for c in columns]
    return table(("column", "type", "none", "meaning"), rows)


def _fields(struct: pa.StructType) -> str:
    return table(("field", "type"), [(f"`{f.name}`", _type(f.type)) for f in struct])


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        inner = kind.value_type
        return "list of structures" if pa.types.is_struct(inner) else f"list of {_type(inner)}"
    names = {"double": "float64", "fixed_size_binary[16]": "16 bytes", "timestamp[ns, tz=UTC]": "time, ns, UTC"}
    return names.get(str(kind), str(kind))


def _default(column: Column) -> str:
    value = column.default
    if isinstance(value, bytes):
        return "zeros"
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if pa.types.is_timestamp(column.type):
        return "epoch"
    return {"": "empty", "[]": "empty"}.get(str(value), str(value))


def _enumerations() -> Iterator[str]:
    docs, notes = _docstrings()
    for name, members in enumerations().items():
        flags = issubclass(getattr(codes, name), IntFlag)
        rows = [(_number(n, flags), f"`{m}`", notes.get((name, m), "")) for m, n in members.items()]
        yield f"### {name}\n\n{docs[name]}\n\n" + table(("bit" if flags else "code", "name", "meaning"), rows)


def _number(number: int, flags: bool) -> str:
    if not flags:
        return str(number)
    return str(number.bit_length() - 1) if number else "none"


def _docstrings() -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    """What `schemas/codes.py` and `flags.py` say of their enumerations, and of members in the text that follows."""
    kinds: dict[str, str] = {}
    notes: dict[tuple[str, str], str] = {}
    texts = [(ROOT / "schemas" / name).read_text() for name in ("codes.py", "flags.py")]
    for node in (node for text in texts for node in ast.parse(text).body):
        if not isinstance(node, ast.ClassDef):
            continue
        kinds[node.name] = _prose(ast.get_docstring(node) or "")
        for before, after in zip(node.body, node.body[1:], strict=False):
            if isinstance(before, ast.Assign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                target: Any = before.targets[0]
                notes[node.name, target.id] = _prose(str(after.value.value))
    return kinds, notes


def _prose(text: str) -> str:
    """A docstring as Markdown on one line."""
    return re.sub(r":\w+:`([^`]*)`", r"`\1`", " ".join(text.split()))


def findings_table() -> str:
    """What each detector can find, with the techniques of ATT&CK for ICS that it may be."""
    rows = []
    for name in REGISTERED:
        for kind in load(name).findings:  # type: ignore[attr-defined]
            techniques = ", ".join(f"{a.technique} {a.name}" for a in kind.attacks)
            rows.append((f"`{kind.uid}`", kind.title, techniques))
    return table(("finding", "what happened", "ATT&CK for ICS"), rows)


def protocols_table() -> str:
    """What is decoded and what is counted by name."""
    rows = []
    for protocol, (tcp, udp) in INDUSTRIAL.items():
        places = [f"TCP {_numbers(tcp)}"] * bool(tcp) + [f"UDP {_numbers(udp)}"] * bool(udp)
        rows.append((protocol_text(protocol), ", ".join(places), "decoded" if protocol in DECODERS else "counted"))
    rows.sort(key=lambda row: row[2] != "decoded")
    others = ", ".join(sorted((protocol_text(p) for p in OTHER), key=str.lower))
    return (
        table(("protocol", "port", ""), rows) + f"\nOf the rest of the network these are counted by name: {others}.\n"
    )


def _numbers(ports: tuple[int, ...]) -> str:
    return ", ".join(map(str, ports))


BLOCKS: dict[str, Callable[[], str]] = {"findings": findings_table, "protocols": protocols_table}
"""What stands between the marks of each name in README.md."""


def readme(text: str) -> str:
    """README.md with its generated blocks written anew.

    Raises:
        ValueError: a block's marks are missing.
    """
    for name, write in BLOCKS.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"README.md: the marks of block {name!r} are missing")
        text = f"{before}{begin}\n{write()}\n{end}{after}"
    return text


def main() -> None:
    """Write all of it."""
    (ROOT / "docs/schema.md").write_text(schema_page())
    path = ROOT / "README.md"
    path.write_text(readme(path.read_text()))


if __name__ == "__main__":
    main()
