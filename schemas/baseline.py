"""BASELINE: what is normal, one sorted row per learned parameter of a key, so that two can be diffed as tables.

Metadata of the Parquet file: `fieldtap.version`, `fieldtap.digest` (SHA-256 of the rows), `fieldtap.lineage` (JSON:
captures learned from, parents, settings).
"""

from __future__ import annotations

import pyarrow as pa

from schemas.field import Column, schema_of

VERSION = 1
_TIME = pa.timestamp("ns", "UTC")

BASELINE_COLUMNS: tuple[Column, ...] = (
    Column("device", pa.uint64(), "device, 0 where the key is none"),
    Column("unit", pa.uint32(), "unit"),
    Column("space", pa.uint16(), "kind of point"),
    Column("addr", pa.uint64(), "address"),
    Column("addr_sub", pa.uint32(), "second part of the address"),
    Column("name_id", pa.uint64(), "name, 0 for none"),
    Column("peer", pa.binary(16), "the client's address, zeros where the key has none", bytes(16)),
    Column("detector", pa.string(), "which detector learned it", ""),
    Column("parameter", pa.string(), "what was learned: low, high, step, function, pair …", ""),
    Column("code", pa.uint64(), "the part of the key that is a number, such as a function code or a port"),
    Column("value", pa.float64(), "the learned number; 0 where presence is all"),
    Column("state", pa.uint8(), "LearnState"),
    Column("n", pa.uint64(), "observations behind it"),
    Column("first", _TIME, "first observation"),
    Column("last", _TIME, "last observation"),
)
BASELINE = schema_of(BASELINE_COLUMNS, version=VERSION, name="baseline")
SORT_KEY = ("detector", "device", "unit", "space", "addr_sub", "addr", "name_id", "peer", "parameter", "code")
