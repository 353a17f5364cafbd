"""Parquet files that are whole or not there: written under another name, flushed to disk, then renamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import OutputError

if TYPE_CHECKING:
    from pipeline.sink.chunk import Column
    from pipeline.sink.columnfile import ColumnFile

GROUP_ROWS = 32_768
"""Least rows of a row group: smaller batches are gathered until there are as many.  Larger groups hold more batches
back from reuse, which costs more than it gains."""
_PART_GROUPS = 256
"""Most row groups of a part: what a footer will say of each is held in memory until the part is finished, nearly a
kilobyte for each column."""
_COPY_BELOW = 8_192
"""A batch smaller than this is copied rather than held: a few rows shall not keep a large buffer from reuse."""

_DELTA = frozenset(("ts", "seq", "packet", "txn", "rtt_us", "addr"))
_RANGED = frozenset(("ts",))
_COMPRESSED: dict[str, Any] = {"compression": "zstd", "compression_level": 3}
"""Of tables that are small.  Records and values are written much and read little: see `pipeline.sink.columnfile`."""


def sync(path: Path) -> None:
    """Flush a file or folder to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_table(path: Path, table: pa.Table) -> None:
    """Write one file of a whole table.

    Raises:
        OutputError: it cannot be written.
    """
    pending = path.with_name(f".{path.name}.writing")
    try:
        pq.write_table(table, pending, **_COMPRESSED)
        sync(pending)
        os.replace(pending, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write: {error.strerror or error}") from error


class File(Protocol):
    """What writes a file; OSError where it cannot."""

    def close(self) -> None:
        """Finish it."""
        ...


F = TypeVar("F", bound=File)


class Parts(Generic[F]):
    """A folder of `part-00000.parquet`, `part-00001.parquet` …, of which each is whole or not there.

    Args:
        folder: is made.
        start: begins a file at a path.
        rows, groups: rows and row groups after which another part begins.

    Attributes:
        rows: rows that are written.

    Raises (every method):
        OutputError: it cannot be written.
    """

    def __init__(self, folder: Path, start: Callable[[Path], F], *, rows: int, groups: int = _PART_GROUPS) -> None:
        self.folder = folder
        self.rows = 0
        self._start = start
        self._most = (rows, groups)
        self._parts = 0
        self._in_part = 0
        self._groups = 0
        self._file: F | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, rows: int, work: Callable[[F], int]) -> None:
        """Do `work` on the present part: it appends `rows` rows, and says how many row groups the part has now."""
        with self._told():
            if self._file is None:
                self._file = self._start(self._pending())
            self._groups = work(self._file)
        self.rows += rows
        self._in_part += rows
        if self._in_part >= self._most[0] or self._groups >= self._most[1]:
            self.finish()

    def close(self) -> None:
        """Finish the last part; without rows there is one empty part, so that its columns can be read."""
        if self._file is None and self._parts == 0:
            self.write(0, lambda _: 0)
        self.finish()

    def abandon(self) -> None:
        """Forget what is not yet whole."""
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError, pa.ArrowException):
                file.close()
            self._pending().unlink(missing_ok=True)

    def finish(self) -> None:
        """Put the present part in place."""
        if self._file is None:
            return
        file, self._file = self._file, None
        with self._told():
            file.close()
            sync(self._pending())
            os.replace(self._pending(), self._part())
        self._parts += 1
        self._in_part = self._groups = 0

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"{self._part()}: cannot write: {error.strerror or error}") from error

    def _part(self) -> Path:
        return self.folder / f"part-{self._parts:05d}.parquet"

    def _pending(self) -> Path:
        return self.folder / f".{self._part().name}.writing"


def column_file(file: BinaryIO, schema: pa.Schema) -> ColumnFile:
    """A file of RECORD_ROWS or POINT_ROWS."""
    from pipeline.sink.columnfile import ColumnFile

    return ColumnFile(file, schema, delta=_DELTA, ranged=_RANGED)


class ColumnDataset:
    """Parts of columns of numbers, from the arrays that decode made; see `pipeline.sink.columnfile`.

    Raises (every method):
        OutputError: it cannot be written.
    """

    def __init__(self, folder: Path, schema: pa.Schema, *, part_rows: int) -> None:
        self.folder = folder
        self._parts = Parts(folder, lambda path: column_file(path.open("wb"), schema), rows=part_rows)

    @property
    def rows(self) -> int:
        """Rows that are written."""
        return self._parts.rows

    def write(self, rows: int, columns: Mapping[str, Column]) -> None:
        """Append `rows` rows; nothing of the arrays is kept."""

        def work(file: ColumnFile) -> int:
            file.write(rows, columns)
            return file.groups

        if rows:
            self._parts.write(rows, work)

    def close(self) -> None:
        """Finish the last file.  A dataset without rows gets one empty file, so that its columns can be read."""
        self._parts.close()

    def abandon(self) -> None:
        """Forget what is not yet whole."""
        self._parts.abandon()


class Dataset:
    """Parts of any one schema, from Arrow's batches.

    Raises (every method):
        OutputError: it cannot be written.
    """

    def __init__(self, folder: Path, schema: pa.Schema, *, part_rows: int, group_rows: int = GROUP_ROWS) -> None:
        self.folder = folder
        self.schema = schema
        self._group_rows = group_rows
        self._groups = 0
        self._parts = Parts(folder, self._open, rows=part_rows)
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0

    @property
    def rows(self) -> int:
        """Rows that are written."""
        return self._parts.rows

    def write(self, batch: pa.RecordBatch, *, reused: bool) -> None:
        """Append a batch.

        Args:
            batch: rows of the schema.
            reused: whether its memory is overwritten once this returns, so that what is held must be a copy.
        """
        if batch.num_rows >= self._group_rows:
            self._flush()
            self._encode([batch])
        elif batch.num_rows:
            self._held.append(_copied(batch) if reused or batch.num_rows < _COPY_BELOW else batch)
            self._held_rows += batch.num_rows
            if self._held_rows >= self._group_rows:
                self._flush()

    def close(self) -> None:
        """Finish the last file.  A dataset without rows gets one empty file, so that its columns can be read."""
        self._flush()
        self._parts.close()

    def abandon(self) -> None:
        """Forget what is not yet whole."""
        self._held.clear()
        self._parts.abandon()

    def _open(self, path: Path) -> pq.ParquetWriter:
        self._groups = 0
        return pq.ParquetWriter(path, self.schema, **_COMPRESSED)

    def _flush(self) -> None:
        if self._held:
            held, self._held, self._held_rows = self._held, [], 0
            self._encode(held)

    def _encode(self, batches: list[pa.RecordBatch]) -> None:
        table = pa.Table.from_batches(batches, self.schema)

        def work(writer: pq.ParquetWriter) -> int:
            writer.write_table(table, row_group_size=max(1, table.num_rows))
            self._groups += 1
            return self._groups

        self._parts.write(table.num_rows, work)


def _copied(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch with memory of its own; one with texts or lists is built for the purpose and owns it already."""
    if not all(pa.types.is_primitive(f.type) or pa.types.is_fixed_size_binary(f.type) for f in batch.schema):
        return batch
    columns = []
    for column, field in zip(batch.columns, batch.schema, strict=True):
        width = field.type.bit_width // 8
        first = column.offset * width
        data = np.frombuffer(column.buffers()[1], np.uint8)[first : first + len(column) * width].copy()
        columns.append(pa.Array.from_buffers(field.type, len(column), [None, pa.py_buffer(data)]))
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)
