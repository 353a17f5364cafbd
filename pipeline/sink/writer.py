"""RecordSink: record batches into `records/` and `points/`, in line or on a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Literal

import pyarrow as pa

from detectors.columns import Columns
from pipeline.metrics import Counters, HealthRow
from pipeline.sink.dataset import ColumnDataset
from pipeline.sink.points import ChangedPoints, point_columns
from schemas.record import POINT_COLUMNS, POINT_ROWS, RECORD_COLUMNS, RECORD_ROWS


def _width(kind: pa.DataType) -> int:
    return int(kind.bit_width) // 8


RECORD_BYTES = sum(_width(c.type) for c in RECORD_COLUMNS)
POINT_BYTES = sum(_width(c.type) for c in POINT_COLUMNS)


class RecordSink:
    """Writes batches in the order they come.

    Args:
        folder: where `records/` and `points/` go.
        points: all values, those that changed, or none.
        threads: 1 encodes within :meth:`put`; 2 on a thread, so that decode goes on meanwhile.
        queue_bytes: batches that may wait for that thread; :meth:`put` blocks beyond, so memory stays flat.
        part_rows: rows after which a dataset starts another file.
        tags: tags remembered for "changed".

    Raises (every method):
        OutputError: what was given cannot be written; raised at the next call when the thread met it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        points: Literal["all", "changed", "none"] = "all",
        threads: int = 2,
        queue_bytes: int = 16 << 20,
        part_rows: int = 64_000_000,
        tags: int = 1 << 20,
    ) -> None:
        self.counters = Counters("sink")
        self._records = ColumnDataset(folder / "records", RECORD_ROWS, part_rows=part_rows)
        self._points = None if points == "none" else ColumnDataset(folder / "points", POINT_ROWS, part_rows=part_rows)
        self._changed = ChangedPoints(tags) if points == "changed" else None
        self._withheld = 0
        self._queue = _Queue(queue_bytes) if threads > 1 else None
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        if self._queue is not None:
            self._thread = threading.Thread(target=self._work, args=(self._queue,), name="sink", daemon=True)
            self._thread.start()

    def put(self, batch: Columns) -> None:
        """Write `batch`, now or soon.  Drop your own reference to it, or its memory is not used again."""
        if self._error is not None:
            raise self._error
        if self._queue is None:
            self._encode(batch)
        else:
            self._queue.put(batch, len(batch) * RECORD_BYTES + int(batch.offsets[-1]) * POINT_BYTES)

    def close(self) -> None:
        """Write what is left and finish the files."""
        self._join()
        if self._error is not None:
            raise self._error
        for name, dataset in (("records", self._records), ("points", self._points)):
            if dataset is not None:
                dataset.close()
                self.counters.put("rows", dataset.rows, reason=name)
        if self._changed is not None:
            self.counters.put("points unchanged", self._withheld)
            self.counters.put("points of tags not remembered", self._changed.unremembered)

    def abandon(self) -> None:
        """Stop and forget what is not yet whole."""
        if self._queue is not None:
            self._queue.clear()
        self._join()
        for dataset in (self._records, self._points):
            if dataset is not None:
                dataset.abandon()

    def health(self) -> list[HealthRow]:
        """Rows written and values withheld; whole after :meth:`close`."""
        return self.counters.rows()

    def _encode(self, batch: Columns) -> None:
        if not len(batch):
            return
        self._records.write(len(batch), {name: getattr(batch, name) for name in RECORD_ROWS.names})
        if self._points is None:
            return
        points = int(batch.offsets[-1] - batch.offsets[0])
        if self._changed is None:
            self._points.write(points, point_columns(batch))
        else:
            columns = self._changed.columns(batch)
            kept = len(columns["value"])
            self._withheld += points - kept
            self._points.write(kept, columns)

    def _work(self, queue: _Queue) -> None:
        try:
            while (batch := queue.get()) is not None:
                self._encode(batch)
                del batch
        except BaseException as error:
            self._error = error
            queue.clear()

    def _join(self) -> None:
        if self._queue is not None and self._thread is not None:
            self._queue.close()
            self._thread.join()
            self._thread = None


class _Queue:
    """Batches in order, bounded in bytes; one batch is always let in, however large."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._items: deque[tuple[Columns, int]] = deque()
        self._state = threading.Condition()
        self._closed = False
        self._deaf = False

    def put(self, batch: Columns, size: int) -> None:
        with self._state:
            while self._items and self._bytes + size > self._limit and not self._deaf:
                self._state.wait()
            if not self._deaf:
                self._items.append((batch, size))
                self._bytes += size
                self._state.notify_all()

    def get(self) -> Columns | None:
        """The next batch, None once the queue is closed and empty."""
        with self._state:
            while not self._items and not self._closed:
                self._state.wait()
            if not self._items:
                return None
            batch, size = self._items.popleft()
            self._bytes -= size
            self._state.notify_all()
            return batch

    def clear(self) -> None:
        """Drop what waits and whatever comes."""
        with self._state:
            self._items.clear()
            self._bytes = 0
            self._deaf = True
            self._state.notify_all()

    def close(self) -> None:
        with self._state:
            self._closed = True
            self._state.notify_all()
