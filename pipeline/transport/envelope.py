"""Envelope: what an Arrow IPC stream says of itself, read and bounded before Arrow is asked to believe it.

Arrow allocates what a message declares: a few bytes can ask for terabytes, and the tables of its metadata can refer to
each other so that they come to far more than was sent.  So the frames, the metadata and the length of each buffer are
read here first (Arrow format, "Encapsulated message format"; FlatBuffers, "Internals").  What passes has exactly the
fields of one known schema, one batch, and buffers of the sizes that its rows need.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.transport.message import MOST_MARK_BYTES, MOST_RAW_BYTES, Poison

MARKS_KEY = b"fieldtap.marks"
"""Key of the batch's metadata that holds the marks."""

_MOST_METADATA = MOST_MARK_BYTES + (1 << 16)
_MOST_SCHEMA = 1 << 14
_CONTINUED = 0xFFFFFFFF
_END = b"\xff\xff\xff\xff\0\0\0\0"
_V5 = 4
_IS_SCHEMA, _IS_BATCH = 1, 3
_PAD = 64


@dataclass(frozen=True, slots=True)
class Layout:
    """The nodes and buffers of a batch of one schema, in the order of the format.

    Attributes:
        of_points: bool (nodes,), whether the node has a row per point rather than per record.
        width: int64 (buffers,), bytes of a row; 0 for a validity bitmap, which is not sent.
        by_points: bool (buffers,), whether the buffer has a row per point.
        offsets: the buffer with the offsets of the list, which has one row more.
        record_bytes, point_bytes: bytes of a record without its points, and of a point.
    """

    of_points: NDArray[np.bool_]
    width: NDArray[np.int64]
    by_points: NDArray[np.bool_]
    offsets: int
    record_bytes: int
    point_bytes: int

    def raw(self, records: int, points: int) -> int:
        """Bytes of the columns of so many records with so many points."""
        return self.record_bytes * records + 4 * (records + 1) + self.point_bytes * points


def layout_of(schema: pa.Schema) -> Layout:
    """The layout of a schema whose last column is the list of points and whose others have a fixed width."""
    records = [_width(field.type) for field in list(schema)[:-1]]
    points = [_width(field.type) for field in schema.field(len(schema) - 1).type.value_type]
    width = [w for column in records for w in (0, column)] + [0, 4, 0] + [w for column in points for w in (0, column)]
    nodes = len(records) + 1
    return Layout(
        of_points=np.arange(nodes + 1 + len(points)) >= nodes,
        width=np.array(width, np.int64),
        by_points=np.arange(len(width)) >= 2 * nodes,
        offsets=2 * nodes - 1,
        record_bytes=sum(records),
        point_bytes=sum(points),
    )


def _width(kind: pa.DataType) -> int:
    return int(kind.byte_width) if pa.types.is_fixed_size_binary(kind) else int(kind.bit_width // 8)


def first_message(value: bytes) -> bytes:
    """The schema message of a stream of our own, frame included."""
    return value[: 8 + int(struct.unpack_from("<i", value, 4)[0])]


def check(value: bytes, schema: pa.Schema, layout: Layout, known: bytes = b"") -> tuple[int, int, bytes]:
    """Check all that a stream declares; (records, points, marks as bytes).

    Args:
        value: the stream.
        schema: the only one that it may have.
        layout: of that schema.
        known: a schema message that need not be looked into again.

    Raises:
        Poison: it is no such stream, or declares what cannot be.
    """
    try:
        if known and value.startswith(known):
            at = len(known)
        else:
            message, at = _frame(value, 0, _MOST_SCHEMA)
            _check_schema(message, schema)
        message, at = _frame(value, at, _MOST_METADATA)
        records, points, body = _check_batch(message, memoryview(value)[at:], layout)
        if value[at + body :] != _END:
            raise Poison("arrow: no end where it should be")
        return records, points, _marks(message)
    except (struct.error, ValueError):
        raise Poison("arrow: metadata out of bounds") from None


class _Table:
    """A FlatBuffers table; what lies out of bounds is a struct.error or a ValueError."""

    __slots__ = ("_data", "_fields", "_place")

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place
        start = place - _number("<i", data, place)
        size = _number("<H", data, start)
        if size < 4 or size % 2 or start + size > len(data):
            raise ValueError(size)
        self._fields = struct.unpack_from(f"<{size // 2 - 2}H", data, start + 4)

    def at(self, slot: int) -> int:
        """Where a field lies, 0 where it is absent."""
        offset = self._fields[slot] if slot < len(self._fields) else 0
        return self._place + offset if offset else 0

    def number(self, slot: int, form: str) -> int:
        """A scalar, 0 where it is absent."""
        at = self.at(slot)
        return _number(form, self._data, at) if at else 0

    def table(self, slot: int) -> _Table | None:
        """A table, None where it is absent."""
        at = self.at(slot)
        return _Table(self._data, at + _number("<I", self._data, at)) if at else None

    def vector(self, slot: int, width: int) -> tuple[int, int]:
        """(start, length) of a vector of elements of `width` bytes; (0, 0) where it is absent."""
        at = self.at(slot)
        if not at:
            return 0, 0
        start = at + _number("<I", self._data, at)
        length = _number("<I", self._data, start)
        if start + 4 + length * width > len(self._data):
            raise ValueError(length)
        return start + 4, length

    def tables(self, slot: int, most: int) -> list[_Table]:
        """A vector of at most so many tables."""
        start, length = self.vector(slot, 4)
        if length > most:
            raise Poison("arrow: too many parts")
        places = range(start, start + 4 * length, 4)
        return [_Table(self._data, place + _number("<I", self._data, place)) for place in places]

    def text(self, slot: int) -> bytes:
        """A string's bytes, empty where it is absent."""
        start, length = self.vector(slot, 1)
        return self._data[start : start + length]

    def words(self, slot: int, columns: int) -> NDArray[np.int64]:
        """A vector of structs of `columns` int64."""
        start, length = self.vector(slot, 8 * columns)
        return np.frombuffer(self._data, "<i8", length * columns, start).reshape(length, columns)


def _number(form: str, data: bytes, at: int) -> int:
    if at < 0:
        raise ValueError(at)
    return int(struct.unpack_from(form, data, at)[0])


def _frame(value: bytes, at: int, most: int) -> tuple[_Table, int]:
    """The Message table whose frame starts at `at`, and where its body starts."""
    if _number("<I", value, at) != _CONTINUED:
        raise Poison("arrow: no frame where it should be")
    size = _number("<i", value, at + 4)
    if not 0 < size <= most or size % 8 or at + 8 + size > len(value):
        raise Poison("arrow: a frame of impossible size")
    data = value[at + 8 : at + 8 + size]
    message = _Table(data, _number("<I", data, 0))
    if message.number(0, "<h") != _V5:
        raise Poison("arrow: another version of the format")
    return message, at + 8 + size


def _check_schema(message: _Table, schema: pa.Schema) -> None:
    """Its shape and sizes; that types agree is seen by Arrow, which may now read it."""
    head = message.table(2)
    if message.number(1, "<B") != _IS_SCHEMA or head is None or message.number(3, "<q") or message.at(4):
        raise Poison("arrow: schema")
    _check_pairs(head.tables(2, 8))
    _check_fields(head.tables(1, len(schema)), list(schema))


def _check_fields(found: Sequence[_Table], fields: Sequence[pa.Field]) -> None:
    if len(found) != len(fields):
        raise Poison("arrow: schema")
    for table, field in zip(found, fields, strict=True):
        if table.text(0) != field.name.encode() or table.at(4) or table.vector(6, 4)[1]:
            raise Poison("arrow: schema")
        inner = [field.type.field(i) for i in range(field.type.num_fields)]
        _check_fields(table.tables(5, len(inner)), inner)


def _check_pairs(pairs: Sequence[_Table]) -> None:
    if sum(len(pair.text(0)) + len(pair.text(1)) for pair in pairs) > _MOST_SCHEMA:
        raise Poison("arrow: schema")


def _check_batch(message: _Table, body: memoryview, layout: Layout) -> tuple[int, int, int]:
    """(records, points, bytes of the body) of a batch whose nodes and buffers are as they must be."""
    head = message.table(2)
    if message.number(1, "<B") != _IS_BATCH or head is None:
        raise Poison("arrow: no batch where it should be")
    packing = head.table(3)
    if packing is None or packing.number(0, "<b") or packing.number(1, "<b") or head.vector(4, 8)[1]:
        raise Poison("arrow: not packed by LZ4")
    size = message.number(3, "<q")
    if not 0 <= size <= len(body) or size % 8:
        raise Poison("arrow: a body of impossible size")
    records, points = _check_nodes(head, layout)
    _check_buffers(head.words(2, 2), np.frombuffer(body, "<i8", size // 8), records, points, layout)
    return records, points, size


def _check_nodes(head: _Table, layout: Layout) -> tuple[int, int]:
    nodes = head.words(1, 2)
    if len(nodes) != len(layout.of_points) or nodes[:, 1].any():
        raise Poison("arrow: nodes")
    records, points = int(nodes[0, 0]), int(nodes[-1, 0])
    if not (0 <= records <= MOST_RAW_BYTES and 0 <= points <= MOST_RAW_BYTES):
        raise Poison("arrow: too much")
    if layout.raw(records, points) > MOST_RAW_BYTES:
        raise Poison("arrow: too much")
    if (
        head.number(0, "<q") != records
        or (points and not records)
        or (nodes[:, 0] != np.where(layout.of_points, points, records)).any()
    ):
        raise Poison("arrow: nodes")
    return records, points


def _check_buffers(
    buffers: NDArray[np.int64], words: NDArray[np.int64], records: int, points: int, layout: Layout
) -> None:
    """Buffers in order, within the body, and of the size that the rows need once they are decompressed."""
    if len(buffers) != len(layout.width):
        raise Poison("arrow: buffers")
    rows = np.where(layout.by_points, points, records)
    rows[layout.offsets] += 1
    needed = rows * layout.width
    offset, length = buffers[:, 0], buffers[:, 1]
    body = 8 * len(words)
    if (offset < 0).any() or (length < 0).any() or (offset > body).any() or (length > body).any():
        raise Poison("arrow: buffers")
    if (offset % 8).any() or (offset[1:] < (offset + length)[:-1]).any() or offset[-1] + length[-1] > body:
        raise Poison("arrow: buffers")
    sent = length > 0
    if (length[needed == 0] > 8 + _PAD).any() or (sent & (length < 8)).any() or (length[layout.width == 0]).any():
        raise Poison("arrow: buffers")
    if ((needed > 0) & ~sent).any() and not (records == 0 and needed.sum() == 4):
        raise Poison("arrow: buffers")
    declared = words[offset[sent] // 8]
    size = np.where(declared == -1, length[sent] - 8, declared)
    parts = size % np.maximum(layout.width[sent], 1)
    if (size < needed[sent]).any() or (size > needed[sent] + _PAD).any() or parts.any():
        raise Poison("arrow: a buffer of impossible size")


def _marks(message: _Table) -> bytes:
    pairs = message.tables(4, 1)
    if not pairs:
        return b""
    if pairs[0].text(0) != MARKS_KEY:
        raise Poison("arrow: metadata that is not ours")
    return pairs[0].text(1)
