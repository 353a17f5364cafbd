"""A message's header and marks as bytes, and what is wrong with bytes that are none.

Everything here may come from somebody else: every number is held against a bound before it is used.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

import google_crc32c

from detectors.base import Mark
from detectors.columns import Columns
from pipeline.marks import Marks
from pipeline.transport.topics import MOST_PARTITIONS
from schemas.codes import MarkKind

FORMAT = 1
"""Version of the header and of what surrounds the records."""
HEADER_NAME = "fieldtap"
"""Name of the one Kafka header that a message has."""
MOST_VALUE_BYTES = 900_000
"""Bytes of a value at most: below what brokers and clients take unless told otherwise."""
MOST_RAW_BYTES = 16 << 20
"""Bytes of a message's columns at most, decompressed."""
MOST_MARK_BYTES = 1 << 18
"""Bytes of a message's marks at most."""
MOST_TEXT_BYTES = (1 << 16) - 1
"""Bytes of a mark's text at most."""
TIME_BOUND = (1 << 62) + (1 << 50)
"""Times lie within plus and minus this, in nanoseconds: captures are held to 2^62, timeouts lie a little later."""

_MAGIC = b"FTAP"
_HEADER = struct.Struct("<4sHHHHIIIIQQQqq")
_CRC = struct.Struct("<I")
_BASE = struct.Struct("<4sH")
_MARK = struct.Struct("<IHHQqH")


class Poison(Exception):  # noqa: N818  it is the message that is poison
    """A message that is none of ours or is damaged.

    Attributes:
        reason: what is wrong, one of a small number of texts: fit to be counted by.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Newer(Exception):  # noqa: N818  it is no error: the reader is to be renewed
    """A message of a format or schema that this code is too old for.

    Attributes:
        version: of the format or schema.
    """

    def __init__(self, version: int) -> None:
        super().__init__(f"written as version {version}")
        self.version = version


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a message says of itself.

    Attributes:
        shard, boot: who wrote it; `boot` is the start of the shard.
        partition: for which partition it was written.
        number: running number of the message within (shard, boot, partition), from 0.
        count: its records.
        raw: bytes of its columns, decompressed.
        first_ts, last_ts: least and greatest time of its records, or of its marks where it has none; int64 ns.
        previous_seq: seq of the record before it in this partition and boot, 0 for none.
        last_seq: seq of its last record, `previous_seq` where it has none.
        schema: version of RECORD.
        crc: CRC32C over the rest of the header and the value.
    """

    BYTES: ClassVar[int] = _HEADER.size + _CRC.size

    shard: int
    boot: int
    partition: int
    number: int
    count: int
    raw: int
    first_ts: int
    last_ts: int
    previous_seq: int
    last_seq: int
    schema: int
    crc: int = 0

    def _body(self) -> bytes:
        return _HEADER.pack(
            _MAGIC,
            FORMAT,
            self.schema,
            self.shard,
            0,
            self.boot,
            self.partition,
            self.count,
            self.raw,
            self.number,
            self.previous_seq,
            self.last_seq,
            self.first_ts,
            self.last_ts,
        )

    def pack(self) -> bytes:
        """The header as bytes."""
        return self._body() + _CRC.pack(self.crc)

    def seal(self, value: bytes) -> bytes:
        """The header as bytes, with the checksum of itself and `value` in the place of `crc`."""
        body = self._body()
        return body + _CRC.pack(checksum(body, value))

    def holds(self, value: bytes) -> bool:
        """Whether the checksum is that of this header and `value`."""
        return checksum(self._body(), value) == self.crc

    @staticmethod
    def parse(data: bytes) -> Header:
        """A header from its bytes; the checksum is not yet held against anything.

        Raises:
            Poison: it is no header, or one of its numbers cannot be.
            Newer: its format is newer.
        """
        if len(data) < _BASE.size or data[:4] != _MAGIC:
            raise Poison("header: not ours")
        format_version = _BASE.unpack_from(data)[1]
        if format_version > FORMAT:
            raise Newer(format_version)
        if format_version != FORMAT or len(data) != Header.BYTES:
            raise Poison("header: wrong size or format")
        _, _, schema, shard, spare, boot, partition, count, raw, number, before, last, first_ts, last_ts = (
            _HEADER.unpack_from(data)
        )
        if spare or not schema:
            raise Poison("header: spare or schema")
        if partition >= MOST_PARTITIONS or raw > MOST_RAW_BYTES or count > raw or number >> 63:
            raise Poison("header: a number out of bounds")
        if last < before or (last == before) != (count == 0) or last - before < count:
            raise Poison("header: seq does not fit")
        if not -TIME_BOUND <= first_ts <= last_ts <= TIME_BOUND:
            raise Poison("header: time does not fit")
        return Header(
            shard=shard,
            boot=boot,
            partition=partition,
            number=number,
            count=count,
            raw=raw,
            first_ts=first_ts,
            last_ts=last_ts,
            previous_seq=before,
            last_seq=last,
            schema=schema,
            crc=_CRC.unpack_from(data, _HEADER.size)[0],
        )


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of one shard's stream for one partition.

    Attributes:
        header: what the message says of itself.
        batch: its records, None where it has none.
        marks: (record before which the mark stands, mark), ascending; at the number of records it stands at the end.
    """

    header: Header
    batch: Columns | None
    marks: Marks


def checksum(head: bytes, value: bytes) -> int:
    """CRC32C over both."""
    return int(google_crc32c.extend(google_crc32c.value(head), value))


def pack_marks(marks: Marks) -> bytes:
    """Marks as bytes.

    Raises:
        ValueError: a text, or all of them, are longer than a message can hold.
    """
    parts = []
    for row, mark in marks:
        text = mark.text.encode()
        if len(text) > MOST_TEXT_BYTES:
            raise ValueError(f"the text of a {mark.kind.name} mark has {len(text):,} bytes, more than a mark can hold")
        parts.append(_MARK.pack(row, mark.kind, mark.shard, mark.count, mark.ts_ns, len(text)) + text)
    packed = b"".join(parts)
    if len(packed) > MOST_MARK_BYTES:
        raise ValueError(f"{len(marks):,} marks have {len(packed):,} bytes, more than a message can hold")
    return packed


def parse_marks(data: bytes, records: int) -> Marks:
    """Marks from their bytes, for a message of so many records.

    Raises:
        Poison: they are damaged, stand nowhere or out of order, or are of no known kind.
    """
    if len(data) > MOST_MARK_BYTES:
        raise Poison("marks: too long")
    found: list[tuple[int, Mark]] = []
    at, least = 0, 0
    while at < len(data):
        if len(data) - at < _MARK.size:
            raise Poison("marks: cut short")
        row, kind, shard, count, ts_ns, size = _MARK.unpack_from(data, at)
        at += _MARK.size
        if not least <= row <= records:
            raise Poison("marks: out of place")
        if kind not in _KINDS:
            raise Poison("marks: no such kind")
        if not -TIME_BOUND <= ts_ns <= TIME_BOUND or count >> 63:
            raise Poison("marks: a number out of bounds")
        if len(data) - at < size:
            raise Poison("marks: cut short")
        try:
            text = data[at : at + size].decode()
        except UnicodeDecodeError:
            raise Poison("marks: text is not UTF-8") from None
        at, least = at + size, row
        found.append((row, Mark(MarkKind(kind), ts_ns, shard, count, text)))
    return tuple(found)


_KINDS = frozenset(int(kind) for kind in MarkKind) - {int(MarkKind.UNKNOWN)}
