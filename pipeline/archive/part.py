"""Part: the records, points and marks of some stretches as three Parquet files in memory."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detectors.base import Mark
from detectors.columns import Columns
from pipeline.marks import Marks
from pipeline.sink.dataset import column_file
from pipeline.sink.points import point_columns
from schemas.mark import MARK
from schemas.record import POINT_ROWS, RECORD_ROWS

DATASETS = ("records", "points", "marks")


class Files(NamedTuple):
    """One part: dataset name to Parquet bytes, none where it holds nothing; the day of its first record or mark."""

    content: Mapping[str, bytes]
    day: str


class Part:
    """Takes stretches in the order of the log."""

    def __init__(self) -> None:
        self._records, self._points = BytesIO(), BytesIO()
        self._record_file = column_file(self._records, RECORD_ROWS)
        self._point_file = column_file(self._points, POINT_ROWS)
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
            self._record_file.write(len(batch), {name: getattr(batch, name) for name in RECORD_ROWS.names})
            self._point_file.write(int(batch.offsets[-1] - batch.offsets[0]), point_columns(batch))

    def close(self) -> Files:
        """The files; nothing can be added any more."""
        if self._first_ts is None:
            return Files({}, "")
        self._record_file.finish()
        self._point_file.finish()
        marks = BytesIO()
        pq.write_table(pa.Table.from_batches([mark_rows(self._marks)]), marks, compression="zstd")
        made = {"records": self._records, "points": self._points, "marks": marks}
        day = str(np.datetime64(self._first_ts, "ns").astype("datetime64[D]"))
        return Files({name: file.getvalue() for name, file in made.items()}, day)


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
