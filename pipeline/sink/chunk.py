"""Chunk: one column of a row group in the making, encoded and compressed page by page.

A column of records says the same for hours, or repeats what its record says.  Such a column costs next to nothing
here: what is constant is one run of one dictionary entry, however many batches it lasts, and keys of points are runs
of the values that their records have.  A general encoder would look at every value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.sink.thrift import BINARY, I32, I64, LIST, STRUCT, listing, number, struct, text, varint

PLAIN, RLE, DELTA, DICTIONARY, SPLIT = 0, 3, 5, 8, 9
"""Encodings, by Parquet's numbers."""
_INT32, _INT64, _DOUBLE, _FIXED = 1, 2, 5, 7
_UNCOMPRESSED, _LZ4_RAW = 0, 7
_CONSTANTS = 1 << 12
"""Dictionary entries after which a constant is written like other values: a dictionary has to be read whole."""


class Repeated(NamedTuple):
    """A column of points that says of each what its record says.

    Attributes:
        values: one for each record that has points.
        counts: int64, how many it has, read-only.
    """

    values: NDArray[Any]
    counts: NDArray[np.int64]


Column = NDArray[Any] | Repeated


@dataclass(frozen=True, slots=True)
class Kind:
    """How a column is stored: Parquet's physical type, the encoding of what is not constant, bytes of a value."""

    name: str
    physical: int
    encoding: int
    width: int
    ranged: bool
    """Whether its least and greatest value are noted for each row group."""


def kind_of(field: pa.Field, *, delta: bool, ranged: bool) -> Kind:
    """The storage of a column of numbers or of bytes of one length.

    Raises:
        TypeError: its type is another.
    """
    if pa.types.is_fixed_size_binary(field.type):
        return Kind(field.name, _FIXED, PLAIN, field.type.byte_width, False)
    if pa.types.is_float64(field.type):
        return Kind(field.name, _DOUBLE, SPLIT, 8, False)
    if not (pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type)):
        raise TypeError(f"column {field.name}: {field.type} is no number")
    width = field.type.bit_width // 8
    encoding = DICTIONARY if width == 1 else DELTA if delta else PLAIN
    return Kind(field.name, _INT64 if width == 8 else _INT32, encoding, width, ranged)


class Scratch:
    """Memory that encoders write into, and the compressor; one for each file, as they are used by one thread."""

    def __init__(self) -> None:
        from pipeline.sink import kernels

        self.same, self.runs_of = kernels.same, kernels.runs
        self.delta, self.split = kernels.delta, kernels.split
        self._memory = np.empty(1 << 16, np.uint8)
        self.steps = np.empty(128, np.int64)
        self._codec = pa.Codec("lz4_raw")
        self.runs: dict[tuple[int, int], tuple[int, pa.Buffer]] = {}
        """Pages of runs made for the rows at hand, by first dictionary entry and codec: columns share them."""

    def room(self, size: int) -> NDArray[np.uint8]:
        """At least `size` bytes, valid until the next call."""
        if len(self._memory) < size:
            self._memory = np.empty(2 * size, np.uint8)
        return self._memory

    def compressed(self, content: Any) -> pa.Buffer:
        """`content`, anything with contiguous memory, compressed."""
        return self._codec.compress(content)

    def copied(self, content: Any) -> pa.Buffer:
        """`content` as it is, in memory of its own."""
        return pa.py_buffer(bytes(content))


class Chunk:
    """See the module."""

    def __init__(self, kind: Kind, scratch: Scratch) -> None:
        self._kind = kind
        self._scratch = scratch
        self._pages: list[Any] = []
        self._size = 0
        self._plain_size = 0
        self._entries: list[bytes] = []
        self._count = 0
        self._constants: dict[bytes, int] = {}
        self._constant = b""
        self._constant_rows = 0
        self._encodings = {RLE}
        # steps packed into few bits hold nothing that a compressor finds
        self._codec = _UNCOMPRESSED if kind.encoding == DELTA else _LZ4_RAW
        self._stored = scratch.copied if kind.encoding == DELTA else scratch.compressed
        if kind.encoding == DICTIONARY:
            self._append(np.arange(256, dtype=np.uint32).tobytes(), 256)
        self._low: int | None = None
        self._high = 0

    def add(self, column: Column, rows: int) -> None:
        """Append `rows` values, at least one."""
        values = column.values if isinstance(column, Repeated) else column
        if self._kind.ranged:
            self._widen(values)
        memory = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        memory.flags.writeable = False
        if (self._count < _CONSTANTS or self._constant_rows) and self._is_constant(memory, len(values)):
            self._add_constant(bytes(memory[: len(memory) // len(values)]), rows)
            return
        self._end_constant()
        if isinstance(column, Repeated):
            self._add_runs(column, rows)
        else:
            self._page(self._kind.encoding, *self._encoded(values, memory), rows)

    def _is_constant(self, memory: NDArray[np.uint8], count: int) -> bool:
        """Whether all `count` values are equal; those of up to eight bytes fill words."""
        width = len(memory) // count
        whole = len(memory) & ~7
        if width > 8 or not whole:
            return memory.tobytes() == memory[:width].tobytes() * count
        head, tail = memory[:8].tobytes(), memory[whole:].tobytes()
        value = head[:width]
        if head != value * (8 // width) or tail != (value * 8)[: len(tail)]:
            return False
        return bool(self._scratch.same(memory[:whole].view(np.uint64)))

    def _widen(self, values: NDArray[Any]) -> None:
        low, high = int(values.min()), int(values.max())
        self._high = high if self._low is None else max(self._high, high)
        self._low = low if self._low is None else min(self._low, low)

    def _add_constant(self, value: bytes, rows: int) -> None:
        if value != self._constant:
            self._end_constant()
            self._constant = value
        self._constant_rows += rows

    def _end_constant(self) -> None:
        """Write the run of a constant that ended."""
        if not self._constant_rows:
            return
        entry = self._constant[0] if self._kind.width == 1 else self._constants.get(self._constant)
        if entry is None:
            entry = self._constants[self._constant] = self._count
            self._append(self._constant if len(self._constant) >= 4 else self._constant.ljust(4, b"\0"), 1)
        width = _bits(self._count - 1)
        run = bytes([width]) + varint(self._constant_rows << 1) + entry.to_bytes((width + 7) // 8, "little")
        self._page(DICTIONARY, len(run), self._stored(run), self._constant_rows)
        self._constant_rows = 0

    def _append(self, content: bytes, count: int) -> None:
        self._entries.append(content)
        self._count += count

    def _add_runs(self, column: Repeated, rows: int) -> None:
        first = self._count
        values = _wide(column.values)
        self._append(values.tobytes(), len(values))
        key = (first, self._codec)
        if key not in self._scratch.runs:
            width = _bits(self._count - 1)
            out = self._scratch.room(1 + len(values) * (10 + (width + 7) // 8))
            out[0] = width
            size = int(self._scratch.runs_of(column.counts, first, (width + 7) // 8, out))
            self._scratch.runs[key] = size, self._stored(out[:size])
        self._page(DICTIONARY, *self._scratch.runs[key], rows)

    def _encoded(self, values: NDArray[Any], memory: NDArray[np.uint8]) -> tuple[int, pa.Buffer]:
        """Size and compressed content of a page of values."""
        content: Any = memory
        if self._kind.encoding == DELTA:
            bits = 64 if self._kind.physical == _INT64 else 32
            out = self._scratch.room(512 + 9 * len(values))
            numbers = values.view(np.int64) if bits == 64 else values.astype(np.int64)
            numbers.flags.writeable = False
            content = out[: int(self._scratch.delta(numbers, bits, self._scratch.steps, out))]
        elif self._kind.encoding == SPLIT:
            out = self._scratch.room(len(memory))
            self._scratch.split(memory, out)
            content = out[: len(memory)]
        elif self._kind.encoding == DICTIONARY:  # of all numbers of one byte in order: a value is its own entry
            groups = (len(values) + 7) // 8
            head = b"\x08" + varint(groups << 1 | 1)
            content = self._scratch.room(len(head) + 8 * groups)[: len(head) + 8 * groups]
            content[: len(head)] = np.frombuffer(head, np.uint8)
            content[len(head) : len(head) + len(values)] = memory
            content[len(head) + len(values) :] = 0
        elif values.itemsize < 4:
            content = values.astype(np.uint32)
        return content.nbytes, self._stored(content)

    def _page(self, encoding: int, size: int, content: pa.Buffer, rows: int) -> None:
        head = (
            b"\x15\x00\x15" + number(size) + b"\x15" + number(content.size) + b"\x2c\x15" + number(rows)
            + b"\x15" + number(encoding) + b"\x15\x06\x15\x06\x00\x00"
        )  # fmt: skip
        # a data page: 1 type, 2 size, 3 compressed size, 5 (1 values, 2 encoding, 3 and 4 levels: RLE, none are there)
        self._encodings.add(encoding)
        self._pages += (head, content)
        self._size += len(head) + content.size
        self._plain_size += len(head) + size

    def close(self, at: int, rows: int) -> tuple[list[Any], int, int, bytes]:
        """What goes into the file at byte `at`, its size, its size uncompressed, and the footer's entry for it."""
        self._end_constant()
        kind, out = self._kind, self._pages
        size, plain, dictionary = self._size, self._plain_size, at
        if self._count:
            self._encodings.add(PLAIN)
            entries = b"".join(self._entries)
            content = self._stored(entries)
            head = (
                b"\x15\x04\x15" + number(len(entries)) + b"\x15" + number(content.size)
                + b"\x4c\x15" + number(self._count) + b"\x15\x00\x00\x00"
            )  # fmt: skip
            out = [head, content, *out]
            at += len(head) + content.size
            size += len(head) + content.size
            plain += len(head) + len(entries)
        fields = [
            (1, I32, number(kind.physical)),
            (2, LIST, listing(I32, [number(e) for e in sorted(self._encodings)])),
            (3, LIST, listing(BINARY, [text(kind.name.encode())])),
            (4, I32, number(self._codec)),
            (5, I64, number(rows)),
            (6, I64, number(plain)),
            (7, I64, number(size)),
            (9, I64, number(at)),
        ]
        if self._count:
            fields.append((11, I64, number(dictionary)))
        if self._low is not None:
            low, high = (text(n.to_bytes(8, "little", signed=True)) for n in (self._low, self._high))
            fields.append((12, STRUCT, struct((3, I64, number(0)), (5, BINARY, high), (6, BINARY, low))))
        entry = struct((2, I64, number(dictionary)), (3, STRUCT, struct(*fields)))
        return out, size, plain, entry


def _bits(largest: int) -> int:
    return max(1, largest.bit_length())


def _wide(values: NDArray[Any]) -> NDArray[Any]:
    """Values as Parquet stores them: nothing is narrower than four bytes."""
    return values.astype(np.uint32) if values.itemsize < 4 else values
