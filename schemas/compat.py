"""Which published schema may be read by which code, and how the columns that an older file lacks are filled."""

from __future__ import annotations

import pyarrow as pa

from schemas.alert import ALERT_COLUMNS
from schemas.asset import ASSET_COLUMNS, CONVERSATION_COLUMNS
from schemas.baseline import BASELINE_COLUMNS
from schemas.field import Column
from schemas.health import CAPTURE_COLUMNS, HEALTH_COLUMNS, NAME_COLUMNS
from schemas.mark import MARK_COLUMNS
from schemas.pane import PANE_COLUMNS
from schemas.record import POINT_COLUMNS, POINT_KEY_COLUMNS, RECORD_COLUMNS

COLUMNS: dict[str, tuple[Column, ...]] = {
    "record": RECORD_COLUMNS,
    "point": (*POINT_KEY_COLUMNS, *POINT_COLUMNS),
    "alert": ALERT_COLUMNS,
    "asset": ASSET_COLUMNS,
    "conversation": CONVERSATION_COLUMNS,
    "health": HEALTH_COLUMNS,
    "capture": CAPTURE_COLUMNS,
    "name": NAME_COLUMNS,
    "baseline": BASELINE_COLUMNS,
    "mark": MARK_COLUMNS,
    "pane": PANE_COLUMNS,
}


def problems(old: pa.Schema, new: pa.Schema) -> list[str]:
    """Why code that knows `new` cannot read data written as `old`; empty when it can.

    Columns may be added, never renamed, removed or retyped.
    """
    found = []
    for field in old:
        index = new.get_field_index(field.name)
        if index < 0:
            found.append(f"column {field.name!r} was removed")
        elif new.field(index).type != field.type:
            found.append(f"column {field.name!r} was {field.type}, is {new.field(index).type}")
        elif new.field(index).nullable != field.nullable:
            found.append(f"column {field.name!r} changed whether it may be null")
    return found


def may_read(old: pa.Schema, new: pa.Schema) -> bool:
    """Whether code that knows `new` can read data written as `old`."""
    return not problems(old, new)


def fill(table: pa.Table, name: str) -> pa.Table:
    """`table` with the columns of schema `name` in order, those that it lacks filled with their default.

    Raises:
        KeyError: `name` is no published schema.
    """
    columns = COLUMNS[name]
    arrays = [
        table.column(c.name)
        if c.name in table.column_names
        else pa.chunked_array([pa.repeat(pa.scalar(c.default, c.type), table.num_rows)])
        for c in columns
    ]
    return pa.table(arrays, schema=pa.schema([c.field() for c in columns]))
