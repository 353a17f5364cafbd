"""Point rows: each value of a batch beside the keys of its record, as POINT_ROWS; all of them, or what is news."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.columns import Columns
from pipeline.sink.chunk import Column, Repeated
from schemas.record import POINT_COLUMNS, POINT_KEY_COLUMNS, POINT_ROWS


def arrow(array: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """The memory of a contiguous array as an Arrow array of `kind`, without a copy."""
    return pa.Array.from_buffers(kind, len(array), [None, pa.py_buffer(array)])


def point_columns(batch: Columns) -> dict[str, Column]:
    """Every value of `batch`, in order, as columns of POINT_ROWS, sharing its memory."""
    first, last = int(batch.offsets[0]), int(batch.offsets[-1])
    used = np.flatnonzero(batch.n_points)
    counts = frozen(batch.n_points.take(used).astype(np.int64))
    keys: dict[str, Column] = {c.name: Repeated(getattr(batch, c.name).take(used), counts) for c in POINT_KEY_COLUMNS}
    return keys | {c.name: getattr(batch.points, c.name)[first:last] for c in POINT_COLUMNS}


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A contiguous read-only view: kernels are compiled for one kind of array, and this is it."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


class ChangedPoints:
    """Keeps a value only where it differs from the last one kept of its tag and direction."""

    def __init__(self, tags: int) -> None:
        slots = 1 << max(4, (2 * tags - 1).bit_length())
        from pipeline.sink.kernels import WORDS, changed

        self._kernel: Callable[..., int] = changed
        self._table = np.zeros((slots, WORDS), np.uint64)
        self._used = np.array([0, tags, 0], np.int64)

    def of(self, batch: Columns) -> pa.RecordBatch:
        """The values of `batch` that are news, in order, as POINT_ROWS."""
        columns = self.columns(batch)
        return pa.RecordBatch.from_arrays([arrow(columns[f.name], f.type) for f in POINT_ROWS], schema=POINT_ROWS)

    def columns(self, batch: Columns) -> dict[str, NDArray[Any]]:
        """The same as columns."""
        p = batch.points
        room = int(batch.offsets[-1] - batch.offsets[0]) if len(batch.offsets) else 0
        point, record = np.empty(room, np.int64), np.empty(room, np.int64)
        columns = (p.space, p.addr, p.addr_sub, p.name_id, p.direction, p.value.view(np.uint64), p.raw)
        kept = self._kernel(
            frozen(batch.offsets.astype(np.int64)),
            frozen(batch.device),
            frozen(batch.unit),
            *(frozen(c) for c in columns),
            self._table,
            self._used,
            point,
            record,
        )
        keys = {c.name: getattr(batch, c.name)[record[:kept]] for c in POINT_KEY_COLUMNS}
        return keys | {c.name: getattr(p, c.name)[point[:kept]] for c in POINT_COLUMNS}

    @property
    def unremembered(self) -> int:
        """Values kept only because there was no room to remember their tag."""
        return int(self._used[2])


def _rows(keys: dict[str, NDArray[Any]], points: dict[str, NDArray[Any]]) -> pa.RecordBatch:
    columns = keys | points
    return pa.RecordBatch.from_arrays([arrow(columns[f.name], f.type) for f in POINT_ROWS], schema=POINT_ROWS)
