"""Columns: a batch of records as numpy views, without a copy, and back to Arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.codes import BUCKETS
from schemas.field import Column
from schemas.record import POINT, POINT_COLUMNS, RECORD, RECORD_COLUMNS

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Points:
    """The values of a batch, flat: the points of record i are `offsets[i]:offsets[i + 1]` of :class:`Columns`.

    The meaning of each array is in `schemas.record.POINT_COLUMNS`; times are int64 nanoseconds.
    """

    space: U16
    addr: U64
    addr_sub: U32
    name_id: U64
    value: F64
    raw: I64
    type: U8
    quality: U16
    direction: U8
    source_ts: I64

    def __len__(self) -> int:
        return len(self.space)


@dataclass(frozen=True, slots=True)
class Columns:
    """One batch of records.  All arrays are read-only and of equal length n; `offsets` has n + 1 entries.

    The meaning of each array is in `schemas.record.RECORD_COLUMNS`.  Times are int64 nanoseconds; addresses are
    (n, 2) uint64 views of the 16 bytes.
    """

    ts: I64
    shard: U16
    boot: U32
    seq: U64
    packet: U64
    src_mac: U64
    dst_mac: U64
    vlan: U32
    src_ip: U64
    dst_ip: U64
    src_port: U16
    dst_port: U16
    transport: U8
    flow: U64
    device: U64
    client_is_src: U8
    protocol: U8
    kind: U8
    op: U8
    unit: U32
    peer_unit: U32
    txn: U32
    match: U8
    peer_seq: U64
    rtt_us: I32
    func: U16
    subfunc: U32
    space: U16
    addr: U64
    count: U32
    addr_sub: U32
    name_id: U64
    status: U32
    flags: U32
    anomaly: U64
    gap_bytes: U32
    length: U32
    label: U16
    n_points: U32
    offsets: I32
    points: Points

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def bucket(self) -> I64:
        """The device bucket of each record, int64 in 0..1023."""
        return (self.device % np.uint64(BUCKETS)).astype(np.int64)

    def slice(self, start: int, stop: int) -> Columns:
        """Records start to stop; the points arrays stay whole, the offsets still point into them."""
        cut: dict[str, Any] = {c.name: getattr(self, c.name)[start:stop] for c in RECORD_COLUMNS}
        return Columns(**cut, offsets=self.offsets[start : stop + 1], points=self.points)

    def take(self, rows: NDArray[np.intp]) -> Columns:
        """The records at `rows`, with their points, copied."""
        cut: dict[str, Any] = {c.name: _frozen(getattr(self, c.name)[rows]) for c in RECORD_COLUMNS}
        starts = self.offsets[:-1][rows].astype(np.int64)
        counts = self.offsets[1:][rows].astype(np.int64) - starts
        offsets = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(counts, out=offsets[1:])
        index = np.repeat(starts - offsets[:-1], counts) + np.arange(offsets[-1])
        points = Points(**{f.name: _frozen(getattr(self.points, f.name)[index]) for f in fields(Points)})
        return Columns(**cut, offsets=_frozen(offsets), points=points)

    def to_batch(self) -> pa.RecordBatch:
        """The same memory as an Arrow RecordBatch of schema RECORD."""
        first = int(self.offsets[0]) if len(self.offsets) else 0
        last = int(self.offsets[-1]) if len(self.offsets) else 0
        children = [_to_arrow(getattr(self.points, c.name)[first:last], c.type) for c in POINT_COLUMNS]
        struct = pa.StructArray.from_arrays(children, fields=list(POINT))
        offsets = self.offsets if first == 0 else self.offsets - np.int32(first)
        points = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), struct, type=RECORD.field("points").type)
        arrays = [_to_arrow(getattr(self, c.name), c.type) for c in RECORD_COLUMNS]
        return pa.RecordBatch.from_arrays([*arrays, points], schema=RECORD)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _to_arrow(array: NDArray[Any], kind: pa.DataType) -> pa.Array:
    contiguous = np.ascontiguousarray(array)
    return pa.Array.from_buffers(kind, len(array), [None, pa.py_buffer(contiguous)])


def _to_numpy(array: pa.Array, kind: pa.DataType) -> NDArray[Any]:
    """A read-only view of a primitive or 16-byte column without nulls."""
    if array.null_count:
        raise ValueError(f"column of type {kind} holds nulls")
    data = array.buffers()[1]
    if pa.types.is_fixed_size_binary(kind):
        words = _frozen(np.frombuffer(data, np.uint64)) if data is not None else np.zeros(0, np.uint64)
        return words[2 * array.offset : 2 * (array.offset + len(array))].reshape(-1, 2)
    dtype = np.dtype(np.int64) if pa.types.is_timestamp(kind) else np.dtype(kind.to_pandas_dtype())
    flat = _frozen(np.frombuffer(data, dtype)) if data is not None else np.zeros(0, dtype)
    return flat[array.offset : array.offset + len(array)]


def from_batch(batch: pa.RecordBatch) -> Columns:
    """Read-only views of an Arrow batch of schema RECORD.

    Raises:
        ValueError: the batch has another schema, or nulls.
    """
    if not batch.schema.equals(RECORD):
        raise ValueError("batch is not of schema RECORD")
    arrays = {c.name: _to_numpy(batch.column(c.name), c.type) for c in RECORD_COLUMNS}
    points = batch.column("points")
    struct = points.values
    children = {c.name: _to_numpy(struct.field(i), c.type) for i, c in enumerate(POINT_COLUMNS)}
    offsets = _frozen(np.frombuffer(points.buffers()[1], np.int32))[points.offset : points.offset + len(points) + 1]
    return Columns(**arrays, offsets=offsets, points=Points(**children))


def from_rows(rows: pa.Table, points: pa.Table) -> Columns:
    """Columns from records and points as Parquet holds them (RECORD_ROWS, POINT_ROWS), in the same order.

    Raises:
        ValueError: nulls, or not as many points as the records say.
    """
    arrays = {c.name: _to_numpy(_whole(rows.column(c.name)), c.type) for c in RECORD_COLUMNS}
    children = {c.name: _to_numpy(_whole(points.column(c.name)), c.type) for c in POINT_COLUMNS}
    ends = np.cumsum(arrays["n_points"], dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    if total != points.num_rows or total > np.iinfo(np.int32).max:
        raise ValueError(f"records have {total} points, but {points.num_rows} are there")
    offsets = _frozen(np.concatenate([[0], ends]).astype(np.int32))
    return Columns(**arrays, offsets=offsets, points=Points(**children))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def records(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Columns from plain dictionaries: for examples and tests.

    Columns that a row lacks take their default; `src_ip` and `dst_ip` may be given as 16 bytes; `points` is a list
    of dictionaries of point columns.
    """
    points = [point for row in rows for point in row.get("points", ())]
    counts = [len(row.get("points", ())) for row in rows]
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    columns = {c.name: _column(c, rows) for c in RECORD_COLUMNS}
    columns["n_points"] = _frozen(np.asarray(counts, np.uint32))
    children = {c.name: _column(c, points) for c in POINT_COLUMNS}
    return Columns(**columns, offsets=_frozen(offsets), points=Points(**children))


def _column(column: Column, rows: Sequence[Mapping[str, Any]]) -> NDArray[Any]:
    values = [row.get(column.name, column.default) for row in rows]
    if pa.types.is_fixed_size_binary(column.type):
        return np.frombuffer(b"".join(values), np.uint64).reshape(-1, 2)
    kind = np.dtype(np.int64) if pa.types.is_timestamp(column.type) else np.dtype(column.type.to_pandas_dtype())
    return _frozen(np.asarray(values, kind))
