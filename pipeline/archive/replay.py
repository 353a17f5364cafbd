"""Replay: an archive as a source, in the order of the log it was made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from detectors.base import Mark
from detectors.columns import Columns, from_rows
from pipeline.archive import root_of
from pipeline.archive.names import names_of
from pipeline.archive.part import DATASETS
from pipeline.errors import FieldtapError
from pipeline.marks import Marks
from pipeline.store import Store
from schemas.codes import MarkKind

_NAME = re.compile(r"/part\+(?P<topic>[^/+]+)\+(?P<partition>\d+)\+(?P<start>\d+)-(?P<next>\d+)\.parquet$")
_BATCH = 8_192


class Piece(NamedTuple):
    """One part of the archive: its offsets in the log, and the name of its file below each dataset's folder."""

    topic: str
    partition: int
    start: int
    next: int
    name: str


class Archive:
    """What a run of `fieldtap archive` has written to a store."""

    def __init__(self, store: Store, run: str) -> None:
        """List it.

        Raises:
            FieldtapError: two parts overlap.
        """
        self._store = store
        self._root = root_of(run)
        found = [self._piece(name) for name, _ in store.names(f"{self._root}/marks/")]
        self.pieces = sorted(found, key=lambda p: (p.topic, p.partition, p.start))
        for one, other in zip(self.pieces, self.pieces[1:], strict=False):
            if one[:2] == other[:2] and other.start < one.next:
                raise FieldtapError(f"{other.name}: covers offsets that {one.name} covers too")

    def partitions(self) -> list[tuple[str, int]]:
        """(topic id, partition) of all that is there."""
        return sorted({(p.topic, p.partition) for p in self.pieces})

    def names(self) -> dict[int, str]:
        """Names met on the wire: name id to text.

        Raises:
            FieldtapError: a file of them is damaged.
        """
        return names_of(self._store, self._root)

    def stretches(self, topic: str, partition: int) -> Iterator[tuple[Columns, Marks]]:
        """Records with the marks among them, in the order of the log."""
        for piece in self.pieces:
            if (piece.topic, piece.partition) == (topic, partition):
                yield from self._stretches(piece)

    def _stretches(self, piece: Piece) -> Iterator[tuple[Columns, Marks]]:
        tables = {name: self._read(name, piece) for name in DATASETS}
        try:
            batch = from_rows(tables["records"], tables["points"])
        except ValueError as error:
            raise FieldtapError(f"{piece.name}: records and points do not belong together: {error}") from error
        marks = _marks(tables["marks"])
        for start in range(0, max(len(batch), 1), _BATCH):
            stop = min(start + _BATCH, len(batch))
            last = stop == len(batch)
            here = tuple((at - start, m) for at, m in marks if start <= at < stop or (last and at >= stop))
            yield batch.slice(start, stop), here

    def _read(self, dataset: str, piece: Piece) -> pa.Table:
        name = f"{self._root}/{dataset}/{piece.name}"
        try:
            return pq.read_table(pa.BufferReader(self._store.read(name)))
        except (pa.ArrowException, OSError) as error:
            raise FieldtapError(f"{name}: damaged: {error}") from error

    def _piece(self, name: str) -> Piece:
        match = _NAME.search(name)
        if match is None:
            raise FieldtapError(f"{name}: not a file of an archive")
        below = name[len(self._root) + len("/marks/") :]
        return Piece(match["topic"], int(match["partition"]), int(match["start"]), int(match["next"]), below)


def _marks(table: pa.Table) -> list[tuple[int, Mark]]:
    columns = [table.column(name).cast(pa.int64()).to_pylist() for name in ("row", "kind", "ts", "shard", "count")]
    texts = table.column("text").to_pylist()
    return [
        (row, Mark(MarkKind(kind), ts, shard, count, text))
        for row, kind, ts, shard, count, text in zip(*columns, texts, strict=True)
    ]
