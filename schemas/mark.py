"""MARK: a mark of the stream, as an archive keeps it beside the records among which it stood."""

from __future__ import annotations

import pyarrow as pa

from schemas.field import Column, schema_of

VERSION = 1

MARK_COLUMNS: tuple[Column, ...] = (
    Column("row", pa.uint64(), "record of the file of the same name before which the mark stands"),
    Column("kind", pa.uint8(), "MarkKind"),
    Column("ts", pa.timestamp("ns", "UTC"), "record time"),
    Column("shard", pa.uint16(), "capture point that placed it"),
    Column("count", pa.uint64(), "records lost, for GAP"),
    Column("text", pa.string(), "what is ordered, or why records were lost", ""),
)
MARK = schema_of(MARK_COLUMNS, version=VERSION, name="mark")
