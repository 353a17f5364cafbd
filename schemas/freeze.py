"""Freeze: keep each schema as it was published, so that a change without a new version cannot go unseen.

`python -m schemas.freeze` writes `frozen/<name>-v<version>.arrow` for every schema and `frozen/codes.json` for the
enumerations.  It adds and never rewrites: what was published stays as it was.
"""

from __future__ import annotations

import json
import sys
from enum import IntEnum, IntFlag
from pathlib import Path

import pyarrow as pa

from schemas import codes
from schemas.alert import ALERT
from schemas.asset import ASSET, CONVERSATION
from schemas.baseline import BASELINE
from schemas.health import CAPTURE, HEALTH, NAME
from schemas.mark import MARK
from schemas.pane import PANE
from schemas.record import POINT_ROWS, RECORD_ROWS

FOLDER = Path(__file__).resolve().parent / "frozen"

SCHEMAS: dict[str, pa.Schema] = {
    "record": RECORD_ROWS,
    "point": POINT_ROWS,
    "alert": ALERT,
    "asset": ASSET,
    "conversation": CONVERSATION,
    "health": HEALTH,
    "capture": CAPTURE,
    "name": NAME,
    "baseline": BASELINE,
    "mark": MARK,
    "pane": PANE,
}
"""Every published schema by its name, as `compat.COLUMNS` has them."""

Codes = dict[str, dict[str, int]]


def version_of(schema: pa.Schema) -> int:
    """The version in a schema's metadata."""
    return int(schema.metadata[b"fieldtap.version"])


def enumerations() -> Codes:
    """Every enumeration of `schemas.codes`: name to member to number, in order of the names and numbers."""
    found = {
        name: dict(sorted(((m, int(number)) for m, number in kind.__members__.items()), key=lambda item: item[1]))
        for name, kind in vars(codes).items()
        if isinstance(kind, type) and issubclass(kind, IntEnum | IntFlag) and kind not in (IntEnum, IntFlag)
    }
    return dict(sorted(found.items()))


def frozen_schemas(folder: Path = FOLDER) -> dict[str, dict[int, pa.Schema]]:
    """Every frozen schema: name to version to schema."""
    found: dict[str, dict[int, pa.Schema]] = {}
    for path in sorted(folder.glob("*.arrow")):
        name, _, version = path.stem.rpartition("-v")
        found.setdefault(name, {})[int(version)] = pa.ipc.read_schema(pa.py_buffer(path.read_bytes()))
    return found


def frozen_codes(folder: Path = FOLDER) -> Codes:
    """The frozen enumerations, empty where none were frozen."""
    path = folder / "codes.json"
    found: Codes = json.loads(path.read_text()) if path.exists() else {}
    return found


def schema_drift(name: str, schema: pa.Schema, frozen: dict[int, pa.Schema]) -> list[str]:
    """How `schema` departs from what was published under its name and version; empty when it does not."""
    version = version_of(schema)
    if version not in frozen:
        return [f"{name} v{version} is not frozen"]
    if not schema.equals(frozen[version], check_metadata=True):
        return [f"{name} v{version} differs from its frozen copy: raise its VERSION"]
    return []


def code_drift(now: Codes, frozen: Codes) -> list[str]:
    """How enumerations depart from what was published: numbers changed or gone; additions are allowed."""
    found = []
    for kind, members in frozen.items():
        for member, number in members.items():
            held = now.get(kind, {}).get(member)
            if held is None:
                found.append(f"{kind}.{member} was removed or renamed")
            elif held != number:
                found.append(f"{kind}.{member} was {number}, is {held}")
        taken = {number: member for member, number in members.items()}
        for member, number in now.get(kind, {}).items():
            if number in taken and member not in members:
                found.append(f"{kind}.{member} takes the number {number} of {taken[number]}")
    return found


def freeze(folder: Path = FOLDER) -> list[str]:
    """Write what is not yet frozen; returns what was published and has changed since, which it leaves alone."""
    folder.mkdir(parents=True, exist_ok=True)
    frozen, found = frozen_schemas(folder), []
    for name, schema in SCHEMAS.items():
        version = version_of(schema)
        if version in frozen.get(name, {}):
            found += schema_drift(name, schema, frozen[name])
        else:
            (folder / f"{name}-v{version}.arrow").write_bytes(schema.serialize().to_pybytes())
    drifted = code_drift(enumerations(), frozen_codes(folder))
    if not drifted:
        (folder / "codes.json").write_text(json.dumps(enumerations(), indent=1) + "\n")
    return found + drifted


def main() -> int:
    """`python -m schemas.freeze`; the exit code."""
    found = freeze()
    for problem in found:
        sys.stderr.write(f"schemas.freeze: {problem}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
