"""Split: batches of records parted among partitions, in order, each in a buffer of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.columns import Columns, Points
from pipeline.marks import Marks
from pipeline.transport import kernels
from pipeline.transport.codec import raw_bytes
from schemas.record import POINT_COLUMNS, RECORD_COLUMNS

MOST_POINTS_OF_A_RECORD = 1 << 15
"""Points that a buffer holds at least: decode gives no record more."""
_RECORD_BYTES = raw_bytes(1, 0) - raw_bytes(0, 0)
_POINT_BYTES = raw_bytes(0, 1) - raw_bytes(0, 0)
_CONSTANT = ("shard", "boot")


class _Column(NamedTuple):
    name: str
    dtype: np.dtype[Any]


def _by_width(columns: Any, like: Any) -> dict[int, list[_Column]]:
    found: dict[int, list[_Column]] = {}
    for column in columns:
        if column.name not in _CONSTANT:
            array = getattr(like, column.name)
            width = array.dtype.itemsize * (array.shape[1] if array.ndim == 2 else 1)
            found.setdefault(width, []).append(_Column(column.name, array.dtype))
    return found


def _layout() -> tuple[dict[int, list[_Column]], dict[int, list[_Column]]]:
    from detectors.columns import records

    like = records([{}])
    return _by_width(RECORD_COLUMNS, like), _by_width(POINT_COLUMNS, like.points)


_RECORDS, _POINTS = _layout()
_SIGNED = {8: np.int64, 4: np.int32, 2: np.int16, 1: np.int8}


def source_of(batch: Columns) -> kernels.Widths:
    """A batch's columns by their width, without a copy."""

    def views(of: Any, columns: list[_Column], kind: type[Any]) -> tuple[NDArray[Any], ...]:
        found = []
        for column in columns:
            view = getattr(of, column.name).view(kind).reshape(-1)
            view.flags.writeable = False
            found.append(view)
        return tuple(found)

    of_records = [views(batch, _RECORDS[width], kind) for width, kind in _SIGNED.items()]
    of_points = [views(batch.points, _POINTS[width], kind) for width, kind in _SIGNED.items()]
    return kernels.Widths(*[*of_records, views(batch, _RECORDS[16], np.int64), *of_points])


class Split:
    """A buffer for each partition.

    Attributes:
        partitions: how many.
        floor: uint64 (partitions,); records up to this seq are passed over: they were sent before.
    """

    def __init__(self, partitions: int, *, most_bytes: int, shard: int) -> None:
        """Buffers that hold at most `most_bytes` of columns each, or one record."""
        records = max(1, most_bytes // _RECORD_BYTES)
        points = max(most_bytes // _POINT_BYTES, MOST_POINTS_OF_A_RECORD)
        self.partitions = partitions
        self.floor = np.zeros(partitions, np.uint64)
        self._filled = np.zeros((partitions, 2), np.int64)
        self._offsets = np.zeros((partitions, records + 1), np.int32)
        self._limits = np.array([records, points, most_bytes, _RECORD_BYTES, _POINT_BYTES], np.int64)
        self._room = kernels.Room(self._filled, self.floor, self._offsets, self._limits)
        rows = partitions * kernels.RECORD_COLUMNS * records
        wide = np.empty(partitions * kernels.WIDE_COLUMNS * records * 2, np.int64)
        of_records = [np.empty(rows, kind) for kind in _SIGNED.values()]
        of_points = [np.empty(partitions * kernels.POINT_COLUMNS * points, kind) for kind in _SIGNED.values()]
        self._into = kernels.Widths(*[*of_records, wide, *of_points])
        self._shard = np.full(records, shard, np.uint16)
        self._boot = np.zeros(records, np.uint32)
        self._places = kernels.Places(*(np.empty(0, np.uint64) for _ in kernels.Places._fields))

    def held(self, partition: int) -> int:
        """Records in the buffer of a partition."""
        return int(self._filled[partition, 0])

    def set_boot(self, boot: int) -> None:
        """The boot of all records from now on; the buffers must be empty."""
        self._boot[:] = boot

    def add(
        self,
        batch: Columns,
        marks: Marks,
        *,
        on_mark: Callable[[int, list[int]], None],
        on_full: Callable[[int], None],
    ) -> None:
        """Part a batch with its marks.

        Args:
            batch: records in the order of the stream.
            marks: what stands between them.
            on_mark: called with the number of a mark in `marks` and the records that each partition holds before it.
            on_full: called with a partition whose buffer must be emptied with :meth:`take` before it goes on.
        """
        n = len(batch)
        if len(self._places.row) < n:
            self._places = kernels.Places(*(np.empty(n, np.uint64) for _ in kernels.Places._fields))
        rows = kernels.Rows(_still(batch.device), _still(batch.seq), _still(batch.offsets))
        at = np.array([row for row, _ in marks], np.int64)
        mark_at = np.empty((len(marks), self.partitions), np.int64)
        source = source_of(batch)
        start = passed = 0
        while True:
            before = passed
            start, kept, passed, full = kernels.place(start, rows, self._room, self._places, at, passed, mark_at)
            kernels.scatter(source, self._into, self._places, rows.offsets, kept, self._limits)
            for number in range(before, passed):
                on_mark(number, mark_at[number].tolist())
            if full < 0:
                return
            on_full(full)

    def look(self, partition: int) -> Columns:
        """What a partition holds: views of its buffer, good until the buffer is filled again."""
        records, points = (int(n) for n in self._filled[partition])
        found: dict[str, Any] = {"shard": self._shard[:records], "boot": self._boot[:records]}
        inside: dict[str, Any] = {}
        for width, group in zip(_SIGNED, self._into[:4], strict=True):
            shaped = group.reshape(self.partitions, kernels.RECORD_COLUMNS, -1)
            found |= _named(_RECORDS[width], shaped[partition, :, :records])
        shaped = self._into.r16.reshape(self.partitions, kernels.WIDE_COLUMNS, -1, 2)
        found |= _named(_RECORDS[16], shaped[partition, :, :records])
        for width, group in zip(_SIGNED, self._into[5:], strict=True):
            shaped = group.reshape(self.partitions, kernels.POINT_COLUMNS, -1)
            inside |= _named(_POINTS[width], shaped[partition, :, :points])
        offsets = self._offsets[partition, : records + 1]
        return Columns(**found, offsets=offsets, points=Points(**inside))

    def empty(self, partition: int) -> None:
        """Forget what a partition holds."""
        self._filled[partition] = 0


def _named(columns: Sequence[_Column], rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {column.name: rows[number].view(column.dtype) for number, column in enumerate(columns)}


def _still(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


assert max(len(columns) for width, columns in _RECORDS.items() if width < 16) <= kernels.RECORD_COLUMNS
assert len(_RECORDS[16]) == kernels.WIDE_COLUMNS
assert max(len(columns) for columns in _POINTS.values()) <= kernels.POINT_COLUMNS
assert {f.name for f in fields(Points)} == {c.name for columns in _POINTS.values() for c in columns}
