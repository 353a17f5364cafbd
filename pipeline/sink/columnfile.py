"""ColumnFile: one Parquet file of columns of numbers, written from the arrays that decode made.

Format: https://github.com/apache/parquet-format.  The schema and what else a footer says of it is taken from a file
that pyarrow writes, so both write the same.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from typing import BinaryIO

import pyarrow as pa

from pipeline.sink.chunk import Chunk, Column, Kind, Scratch, kind_of
from pipeline.sink.thrift import BINARY, I32, I64, LIST, STRUCT, fields_of, listing, number, struct, text

_MAGIC = b"PAR1"
_BY = b"fieldtap version 1.0.0 (build 0)"
GROUP_ROWS = 131_072
"""Rows after which a row group ends.  Only what is compressed is held until then."""


@cache
def _footer_of(schema: pa.Schema) -> dict[int, bytes]:
    """The fields of the footer that pyarrow writes for a file of this schema without rows."""
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.ParquetWriter(out, schema).close()
    content = out.getvalue()
    size = int.from_bytes(content[-8:-4], "little")
    return fields_of(content[-8 - size : -8])


class ColumnFile:
    """Raises OSError (every method): it cannot be written.

    Args:
        file: where it goes; closed by :meth:`close`.
        schema: columns of numbers, or of bytes of one length, none of them nullable.
        delta: names of those that mostly grow.
        ranged: names of those whose least and greatest value are noted for each row group: int64.
        group_rows: rows after which a row group ends.
    """

    def __init__(
        self,
        file: BinaryIO,
        schema: pa.Schema,
        *,
        delta: frozenset[str] = frozenset(),
        ranged: frozenset[str] = frozenset(),
        group_rows: int = GROUP_ROWS,
    ) -> None:
        self._schema = schema
        self._kinds = [kind_of(f, delta=f.name in delta, ranged=f.name in ranged) for f in schema]
        self._group_rows = group_rows
        self._scratch = Scratch()
        self._chunks: list[tuple[Kind, Chunk]] = []
        self._in_group = 0
        self._rows = 0
        self._groups: list[bytes] = []
        self._file = file
        self._at = file.write(_MAGIC)

    @property
    def groups(self) -> int:
        """Row groups that are written."""
        return len(self._groups)

    def write(self, rows: int, columns: Mapping[str, Column]) -> None:
        """Append `rows` rows; nothing of the arrays is kept."""
        if not rows:
            return
        if not self._chunks:
            self._chunks = [(kind, Chunk(kind, self._scratch)) for kind in self._kinds]
        self._scratch.runs.clear()
        for kind, chunk in self._chunks:
            chunk.add(columns[kind.name], rows)
        self._in_group += rows
        if self._in_group >= self._group_rows:
            self._end_group()

    def close(self) -> None:
        """Write what is left and the footer, and close the file."""
        self.finish()
        self._file.close()

    def finish(self) -> None:
        """Write what is left, and the footer."""
        self._end_group()
        usual = _footer_of(self._schema)
        footer = struct(
            (1, I32, number(2)),
            (2, LIST, usual[2]),
            (3, I64, number(self._rows)),
            (4, LIST, listing(STRUCT, self._groups)),
            (5, LIST, usual[5]),
            (6, BINARY, text(_BY)),
            (7, LIST, usual[7]),
        )
        self._file.write(footer + len(footer).to_bytes(4, "little") + _MAGIC)

    def _end_group(self) -> None:
        if not self._in_group:
            return
        start, plain_size, entries, out = self._at, 0, [], []
        for _, chunk in self._chunks:
            content, size, plain, entry = chunk.close(self._at, self._in_group)
            out += content
            entries.append(entry)
            self._at += size
            plain_size += plain
        self._file.writelines(out)
        self._groups.append(
            struct(
                (1, LIST, listing(STRUCT, entries)),
                (2, I64, number(plain_size)),
                (3, I64, number(self._in_group)),
                (5, I64, number(start)),
                (6, I64, number(self._at - start)),
            )
        )
        self._rows += self._in_group
        self._in_group = 0
        self._chunks = []
