"""Part: the records, points and marks of some stretches as three Parquet files in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detectors.base import Mark
from detectors.columns import Columns
from pipeline.marks import Marks
from pipeline.sink.dataset import ENCODINGS, GROUP_ROWS
from pipeline.sink.points import PointRows
from pipeline.sink.writer import record_rows
from schemas.mark import MARK
from schemas.record import POINT_ROWS, RECORD_ROWS

DATASETS = ("records", "points", "marks")


class Files(NamedTuple):
    """One part: dataset name to Parquet bytes, none where it holds nothing; the day of its first record or mark."""

    content: Mapping[str, bytes]
    day: str


class _Table:
    """One Parquet file, row groups of at least GROUP_ROWS gathered from smaller batches."""

    def __init__(self, name: str, schema: pa.Schema, encoding: Mapping[str, Any]) -> None:
        self.name = name
        self._sink = pa.BufferOutputStream()
        self._schema = schema
        self._encoding = encoding
        self._writer: pq.ParquetWriter | None = None
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def put(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._held.append(batch)
            self._rows += batch.num_rows
        if self._rows >= GROUP_ROWS:
            self._flush()

    def close(self) -> bytes:
        self._flush()
        writer = self._writer or self._open()
        writer.close()
        found: bytes = self._sink.getvalue().to_pybytes()
        return found

    def _flush(self) -> None:
        if self._held:
            held, self._held, self._rows = self._held, [], 0
            table = pa.Table.from_batches(held, self._schema)
            (self._writer or self._open()).write_table(table, row_group_size=table.num_rows)

    def _open(self) -> pq.ParquetWriter:
        self._writer = pq.ParquetWriter(self._sink, self._schema, **self._encoding)
        return self._writer


class Part:
    """Takes stretches in the order of the log."""

    def __init__(self) -> None:
        self._records = _Table("records", RECORD_ROWS, ENCODINGS["record"])
        self._points = _Table("points", POINT_ROWS, ENCODINGS["point"])
        self._rows = PointRows()
        self._marks: list[tuple[int, Mark]] = []
        self._count = 0
        self._first_ts: int | None = None

    def add(self, batch: Columns, marks: Marks) -> None:
        """Append a stretch."""
        if self._first_ts is None:
            self._first_ts = int(batch.ts[0]) if len(batch) else marks[0][1].ts_ns if marks else None
        self._marks += [(self._count + at, mark) for at, mark in marks]
        if len(batch):
            self._count += len(batch)
            self._records.put(record_rows(batch))
            points = self._rows.all(batch)
            self._points.put(pa.concat_batches([points]) if points.num_rows >= GROUP_ROWS else _copied(points))

    def close(self) -> Files:
        """The files; nothing can be added any more."""
        if self._first_ts is None:
            return Files({}, "")
        content = {table.name: table.close() for table in (self._records, self._points)}
        marks = _Table("marks", MARK, ENCODINGS["alert"])
        marks.put(mark_rows(self._marks))
        content["marks"] = marks.close()
        day = str(np.datetime64(self._first_ts or 0, "ns").astype("datetime64[D]"))
        return Files(content, day)


def _copied(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A copy: the next batch of points is made in the same buffers."""
    arrays = [pa.concat_arrays([column, column.slice(0, 0)]) for column in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def mark_rows(marks: list[tuple[int, Mark]]) -> pa.RecordBatch:
    """Marks as MARK."""
    columns: dict[str, list[Any]] = {
        "row": [at for at, _ in marks],
        "kind": [int(mark.kind) for _, mark in marks],
        "ts": [mark.ts_ns for _, mark in marks],
        "shard": [mark.shard for _, mark in marks],
        "count": [mark.count for _, mark in marks],
        "text": [mark.text for _, mark in marks],
    }
    return pa.RecordBatch.from_pydict(columns, schema=MARK)
