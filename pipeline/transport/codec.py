"""Codec: a stretch of records and marks as one Kafka message, and back.

The value is an Arrow IPC stream of one batch of RECORD, LZ4 inside, so that any tool can open it; the marks stand in
the batch's metadata.  What is decoded comes from outside: it is checked so far that every kernel may run over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from detectors.columns import Columns, from_batch
from pipeline.marks import Marks
from pipeline.transport.envelope import MARKS_KEY, Layout, check, first_message, layout_of
from pipeline.transport.message import (
    MOST_VALUE_BYTES,
    Header,
    Newer,
    Poison,
    Stretch,
    pack_marks,
    parse_marks,
)
from schemas.record import POINT, POINT_COLUMNS, POINT_KEY_COLUMNS, RECORD, RECORD_COLUMNS, VERSION

_WRITE = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_READ = pa.ipc.IpcReadOptions(use_threads=False)


class Oversize(ValueError):  # noqa: N818  the name says what it is
    """What was to be encoded does not fit into one message.

    Attributes:
        size: bytes that it would have.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"a value of {size:,} bytes, more than a message can hold ({MOST_VALUE_BYTES:,})")
        self.size = size


@dataclass(frozen=True, slots=True)
class _Version:
    """A published version of RECORD: its schema, layout, and the schema message that this Arrow writes."""

    schema: pa.Schema
    layout: Layout
    opening: bytes


def encode(
    batch: Columns | None, marks: Marks, *, shard: int, boot: int, partition: int, number: int, previous_seq: int
) -> tuple[bytes, bytes]:
    """(header, value) of a message.

    Args:
        batch: records of one shard and boot in the order of their seq; None for none.
        marks: what stands between them.
        shard, boot, partition, number, previous_seq: see :class:`Header`.

    Raises:
        Oversize: it does not fit into one message; nothing is wrong with a half of it.
        ValueError: there is nothing to encode, or marks do not fit.
    """
    records = len(batch) if batch is not None else 0
    if not records and not marks:
        raise ValueError("a message of neither records nor marks")
    if marks and not 0 <= marks[0][0] <= marks[-1][0] <= records:
        raise ValueError(f"marks from row {marks[0][0]} to {marks[-1][0]} of {records}")
    value = _stream(batch.to_batch() if batch is not None and records else _empty(), pack_marks(marks))
    if len(value) > MOST_VALUE_BYTES:
        raise Oversize(len(value))
    if batch is not None and records:
        first_ts, last_ts, last_seq = int(batch.ts.min()), int(batch.ts.max()), int(batch.seq[-1])
        points = int(batch.offsets[-1] - batch.offsets[0])
    else:
        times = [mark.ts_ns for _, mark in marks]
        first_ts, last_ts, last_seq, points = min(times), max(times), previous_seq, 0
    header = Header(
        shard=shard,
        boot=boot,
        partition=partition,
        number=number,
        count=records,
        raw=_version(VERSION).layout.raw(records, points),
        first_ts=first_ts,
        last_ts=last_ts,
        previous_seq=previous_seq,
        last_seq=last_seq,
        schema=VERSION,
    )
    return header.seal(value), value


def raw_bytes(records: int, points: int) -> int:
    """Bytes of the columns of so many records with so many points, as a header declares them."""
    return _version(VERSION).layout.raw(records, points)


def decode(header: bytes | None, value: bytes | None, *, partition: int) -> Stretch:
    """The stretch of a message: read-only views of its bytes, decompressed once.

    Args:
        header: bytes of the Kafka header `message.HEADER_NAME`, None where there was none.
        value: the message's value.
        partition: of Kafka, from which it was read.

    Raises:
        Poison: it is no message of ours, is damaged, or contradicts itself.
        Newer: it was written by newer code.
    """
    if header is None or value is None:
        raise Poison("header: missing" if header is None else "value: missing")
    head = Header.parse(header)
    if len(value) > MOST_VALUE_BYTES:
        raise Poison("value: too long")
    if not head.holds(value):
        raise Poison("checksum")
    if head.schema > VERSION:
        raise Newer(head.schema)
    if head.partition != partition:
        raise Poison("header: of another partition")
    version = _version(head.schema)
    records, points, packed = check(value, version.schema, version.layout, version.opening)
    if records != head.count or version.layout.raw(records, points) != head.raw:
        raise Poison("header: count or size does not fit")
    marks = parse_marks(packed, records)
    if not records:
        _check_bare(head, marks)
        return Stretch(head, None, marks)
    batch = _read(value, version)
    _check_records(head, batch)
    return Stretch(head, batch, marks)


@cache
def _empty() -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in RECORD], schema=RECORD)


def _stream(batch: pa.RecordBatch, marks: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, batch.schema, options=_WRITE) as writer:
        writer.write_batch(batch, custom_metadata={MARKS_KEY: marks} if marks else None)
    value: bytes = out.getvalue().to_pybytes()
    return value


def _read(value: bytes, version: _Version) -> Columns:
    try:
        with pa.ipc.open_stream(value, options=_READ) as reader:
            if not reader.schema.equals(version.schema):
                raise Poison("arrow: schema")
            batch = reader.read_next_batch()
        batch.validate(full=True)
        return from_batch(batch) if version.schema.equals(RECORD) else _filled(batch)
    except (pa.ArrowException, OSError, ValueError):
        raise Poison("arrow: cannot be read") from None


def _check_bare(head: Header, marks: Marks) -> None:
    times = [mark.ts_ns for _, mark in marks]
    if not times or (min(times), max(times)) != (head.first_ts, head.last_ts):
        raise Poison("header: time does not fit")


def _check_records(head: Header, batch: Columns) -> None:
    """That kernels may run over the records, and that they are what the header says."""
    offsets, seq, ts = batch.offsets, batch.seq, batch.ts
    if offsets[0] or offsets[-1] != len(batch.points) or (np.diff(offsets) != batch.n_points).any():
        raise Poison("records: points do not fit")
    if (offsets[1:] < offsets[:-1]).any():
        raise Poison("records: points do not fit")
    if seq[0] <= head.previous_seq or seq[-1] != head.last_seq or (seq[1:] <= seq[:-1]).any():
        raise Poison("records: seq does not fit")
    if (batch.shard != head.shard).any() or (batch.boot != head.boot).any():
        raise Poison("records: of another shard or boot")
    if (int(ts.min()), int(ts.max())) != (head.first_ts, head.last_ts):
        raise Poison("records: time does not fit")
    if (batch.client_is_src > 1).any() or (batch.rtt_us < -1).any():
        raise Poison("records: a number out of bounds")
    if ((batch.src_mac | batch.dst_mac) >> np.uint64(48)).any():
        raise Poison("records: a number out of bounds")


# --- what older code wrote


@cache
def _version(version: int) -> _Version:
    """A published version.

    Raises:
        Poison: there is none of that number.
    """
    schema = RECORD if version == VERSION else _published(version)
    batch = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
    return _Version(schema, layout_of(schema), first_message(_stream(batch, b"")))


def _published(version: int) -> pa.Schema:
    from schemas.freeze import frozen_schemas

    frozen = frozen_schemas()
    if version not in frozen["record"]:
        raise Poison("header: no such schema")
    keys = {column.name for column in POINT_KEY_COLUMNS}
    point = pa.struct([field for field in frozen["point"][version] if field.name not in keys])
    item = pa.field("item", point, nullable=False)
    return frozen["record"][version].append(pa.field("points", pa.list_(item), nullable=False))


def _filled(batch: pa.RecordBatch) -> Columns:
    """Columns of a batch of an older schema: what it lacks has its default, as `schemas.compat` says."""
    from schemas.compat import fill

    points = batch.column("points")
    records = fill(pa.Table.from_batches([batch]), "record")
    inside = fill(pa.table(points.values.flatten(), names=[f.name for f in points.type.value_type]), "point")
    children = [_whole(inside, column.name) for column in POINT_COLUMNS]
    struct = pa.StructArray.from_arrays(children, fields=list(POINT))
    lists = pa.ListArray.from_arrays(points.offsets, struct, type=RECORD.field("points").type)
    arrays = [_whole(records, column.name) for column in RECORD_COLUMNS]
    return from_batch(pa.RecordBatch.from_arrays([*arrays, lists], schema=RECORD))


def _whole(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name).combine_chunks()
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
