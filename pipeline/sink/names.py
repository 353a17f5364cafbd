"""Names met on the wire, as a table."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from schemas.health import NAME


def names_table(names: Mapping[int, str]) -> pa.Table:
    """Names in order of their id, as NAME."""
    ordered = sorted(names.items())
    return pa.table({"name_id": [n for n, _ in ordered], "text": [t for _, t in ordered]}, schema=NAME)
