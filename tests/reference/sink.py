"""Plain-Python twins of `pipeline.sink.kernels`."""

from __future__ import annotations

import struct
from typing import Any

from detectors.columns import Columns
from schemas.record import POINT_COLUMNS, POINT_KEY_COLUMNS

_KEY = ("space", "addr", "addr_sub", "name_id", "direction")


def point_rows(batch: Columns) -> list[dict[str, Any]]:
    """Every value of `batch` beside the keys of its record; times as integers."""
    rows = []
    for i in range(len(batch)):
        keys = {c.name: getattr(batch, c.name)[i].item() for c in POINT_KEY_COLUMNS}
        of_record = range(int(batch.offsets[i]), int(batch.offsets[i + 1]))
        rows += [keys | {c.name: getattr(batch.points, c.name)[j].item() for c in POINT_COLUMNS} for j in of_record]
    return rows


def changed_points(batch: Columns, memory: dict[Any, Any], tags: int) -> list[dict[str, Any]]:
    """The values that differ from the last of their tag and direction in `memory`, which holds `tags` at most."""
    kept = []
    for row in point_rows(batch):
        tag = (row["device"], row["unit"], *(row[k] for k in _KEY))
        value = (struct.pack("<d", row["value"]), row["raw"])
        if memory.get(tag) == value:
            continue
        if tag in memory or len(memory) < tags:
            memory[tag] = value
        kept.append(row)
    return kept
