"""Kernels that part a batch of records among partitions: a place for each record, then its columns copied there."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from detectors.jit import i64, kernel
from schemas.codes import BUCKETS


class Rows(NamedTuple):
    """What decides where a record goes.

    device, seq: uint64 (n,).  offsets: int32 (n + 1,), of the points.
    """

    device: Any
    seq: Any
    offsets: Any


class Room(NamedTuple):
    """The buffers of all partitions, as far as they are counted.

    filled: int64 (partitions, 2), records and points held.  floor: uint64 (partitions,), records up to this seq are
    passed over.  offsets: int32 (partitions, records + 1).  limits: int64 (5,), most records, most points, most bytes,
    bytes of a record and of a point.
    """

    filled: Any
    floor: Any
    offsets: Any
    limits: Any


class Places(NamedTuple):
    """Where the records of a batch go: uint64 (n,) each.

    row: in the batch.  at: of its columns, in the buffers of 1 to 8 bytes a column.  wide: of its columns of 16 bytes,
    in words.  point: of its first point's columns.  Column c lies c times the buffer's rows further on.  Unsigned, and
    one sum: with signed or several indices the copying takes three times as long.
    """

    row: Any
    at: Any
    wide: Any
    point: Any


RECORD_COLUMNS, WIDE_COLUMNS, POINT_COLUMNS = 16, 2, 5
"""Columns for which a partition's buffer of one width has room, of records, of their addresses, and of points."""


@kernel()
def place(start: Any, rows: Any, room: Any, places: Any, marks: Any, next_mark: Any, mark_at: Any) -> Any:
    """Give each record from `start` on a place, until a buffer is full.

    Args:
        start: first record.
        rows: :class:`Rows`.
        room: :class:`Room`; `filled` and `offsets` are written.
        places: :class:`Places`, written from 0.
        marks: int64 (m,), records before which marks stand, ascending.
        next_mark: first mark that was not yet passed.
        mark_at: int64 (m, partitions), written: how many records each partition holds where the mark stands.

    Returns:
        (record at which it stopped, places given, marks passed, full partition or -1).
    """
    n, partitions = len(rows.device), len(room.filled)
    most_records, most_points, most_bytes = room.limits[0], room.limits[1], room.limits[2]
    record_bytes, point_bytes = room.limits[3], room.limits[4]
    kept, mark = 0, next_mark
    for i in range(start, n):
        while mark < len(marks) and marks[mark] <= i:
            for p in range(partitions):
                mark_at[mark, p] = room.filled[p, 0]
            mark += 1
        part = i64(rows.device[i] % np.uint64(BUCKETS)) % partitions
        if rows.seq[i] <= room.floor[part]:
            continue
        held, points = room.filled[part, 0], room.filled[part, 1]
        more = points + i64(rows.offsets[i + 1]) - i64(rows.offsets[i])
        size = (held + 1) * record_bytes + more * point_bytes
        if held > 0 and (held >= most_records or more > most_points or size > most_bytes):
            return i, kept, mark, part
        places.row[kept] = i
        places.at[kept] = part * RECORD_COLUMNS * most_records + held
        places.wide[kept] = 2 * (part * WIDE_COLUMNS * most_records + held)
        places.point[kept] = part * POINT_COLUMNS * most_points + points
        kept += 1
        room.offsets[part, held + 1] = more
        room.filled[part, 0] = held + 1
        room.filled[part, 1] = more
    while mark < len(marks):
        for p in range(partitions):
            mark_at[mark, p] = room.filled[p, 0]
        mark += 1
    return n, kept, mark, -1


class Widths(NamedTuple):
    """Columns by width: of records 8, 4, 2, 1 and 16 bytes, of points 8, 4, 2 and 1.

    As a source each is a tuple of flat arrays, as a destination one flat array, all of signed integers.
    """

    r8: Any
    r4: Any
    r2: Any
    r1: Any
    r16: Any
    p8: Any
    p4: Any
    p2: Any
    p1: Any


@kernel()
def _records(source: Any, into: Any, places: Any, kept: Any, room: Any) -> None:
    for column in range(len(source)):
        values, on = source[column], np.uint64(column) * room
        for k in range(kept):
            into[places.at[k] + on] = values[places.row[k]]


@kernel()
def _wide(source: Any, into: Any, places: Any, kept: Any, room: Any) -> None:
    one = np.uint64(1)
    for column in range(len(source)):
        values, on = source[column], np.uint64(2 * column) * room
        for k in range(kept):
            at, row = places.wide[k] + on, places.row[k] << one
            into[at] = values[row]
            into[at + one] = values[row + one]


@kernel()
def _points(source: Any, into: Any, places: Any, offsets: Any, kept: Any, room: Any) -> None:
    one = np.uint64(1)
    for column in range(len(source)):
        values, on = source[column], np.uint64(column) * room
        for k in range(kept):
            row = places.row[k]
            first = np.uint64(offsets[row])
            at = places.point[k] + on
            for j in range(np.uint64(offsets[row + one]) - first):
                into[at + np.uint64(j)] = values[first + np.uint64(j)]


@kernel()
def scatter(source: Any, into: Any, places: Any, offsets: Any, kept: Any, limits: Any) -> None:
    """Copy the columns of the first `kept` of `places` to where they go.

    Args:
        source: :class:`Widths` of the batch.
        into: :class:`Widths` of the buffers.
        places: :class:`Places`.
        offsets: int32 (n + 1,), of the batch's points.
        kept: places given.
        limits: of :class:`Room`.
    """
    records, points = np.uint64(limits[0]), np.uint64(limits[1])
    _records(source.r8, into.r8, places, kept, records)
    _records(source.r4, into.r4, places, kept, records)
    _records(source.r2, into.r2, places, kept, records)
    _records(source.r1, into.r1, places, kept, records)
    _wide(source.r16, into.r16, places, kept, records)
    _points(source.p8, into.p8, places, offsets, kept, points)
    _points(source.p4, into.p4, places, offsets, kept, points)
    _points(source.p2, into.p2, places, offsets, kept, points)
    _points(source.p1, into.p1, places, offsets, kept, points)
