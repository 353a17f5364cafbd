"""How a column is described once, for the schema, the defaults, and the table of columns in the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """A published column.  `default` is what a reader fills in where an older file lacks it."""

    name: str
    type: pa.DataType
    meaning: str
    default: Any = 0

    def field(self) -> pa.Field:
        """The Arrow field; columns are never null, so that the Parquet encoder needs no definition levels."""
        return pa.field(self.name, self.type, nullable=False)


def schema_of(columns: tuple[Column, ...], *, version: int, name: str) -> pa.Schema:
    """The Arrow schema of `columns`, with its name and version in the metadata."""
    return pa.schema([c.field() for c in columns], metadata={"fieldtap.schema": name, "fieldtap.version": str(version)})
