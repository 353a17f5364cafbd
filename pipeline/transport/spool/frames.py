"""Frames: what a file of the spool is made of, one after another, each with a checksum."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import google_crc32c

from pipeline.transport.message import MOST_VALUE_BYTES, Header

MOST_FRAME_BYTES = MOST_VALUE_BYTES + (1 << 20)
"""Bytes of a frame at most."""
_MAGIC = 0x47535446
_HEAD = struct.Struct("<IIBxHHxxIQQ")


class FrameKind(IntEnum):
    """What a frame holds."""

    MESSAGE = 1
    STANDING = 2
    """Where every partition stands: the first frame of a segment, so that older ones can go."""
    LOSS = 3
    """Segments that were dropped, and what was in them."""


class Frame(NamedTuple):
    """One frame.

    `told` is the loss, as `standing` packs it, of which a message carries the GAP mark; `last_seq` and `marks` are how
    far the stream of the partition is once it is sent.  `end` is where the next frame starts.
    """

    kind: FrameKind
    told: bytes
    partition: int
    last_seq: int
    marks: int
    payload: bytes
    end: int

    @property
    def message(self) -> tuple[bytes, bytes]:
        """(header, value) of a message."""
        return self.payload[: Header.BYTES], self.payload[Header.BYTES :]


def frame(
    kind: FrameKind,
    parts: tuple[bytes, ...],
    *,
    told: bytes = b"",
    partition: int = 0,
    last_seq: int = 0,
    marks: int = 0,
) -> tuple[bytes, ...]:
    """The pieces of a frame, to be written one after another."""
    pieces = (*parts, told)
    size = sum(len(piece) for piece in pieces)
    rest = _HEAD.pack(_MAGIC, 0, kind, len(told), partition, size, last_seq, marks)[8:]
    crc = google_crc32c.value(rest)
    for piece in pieces:
        crc = google_crc32c.extend(crc, piece)
    return struct.pack("<II", _MAGIC, crc) + rest, *pieces


def read_frame(descriptor: int, at: int, limit: int) -> Frame | None:
    """The frame at a place of a file; None where there is no whole one before `limit`."""
    head = os.pread(descriptor, _HEAD.size, at)
    if len(head) < _HEAD.size:
        return None
    magic, crc, kind, told, partition, size, last_seq, marks = _HEAD.unpack(head)
    end = at + _HEAD.size + size
    if magic != _MAGIC or not told <= size <= MOST_FRAME_BYTES or end > limit or kind not in iter(FrameKind):
        return None
    payload = os.pread(descriptor, size, at + _HEAD.size)
    if len(payload) < size or google_crc32c.extend(google_crc32c.value(head[8:]), payload) != crc:
        return None
    whole = size - told
    return Frame(FrameKind(kind), payload[whole:], partition, last_seq, marks, payload[:whole], end)


def frames(path: Path) -> Iterator[Frame]:
    """The whole frames of a segment, up to the first that is damaged."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        limit, at = os.fstat(descriptor).st_size, 0
        while (found := read_frame(descriptor, at, limit)) is not None:
            yield found
            at = found.end
    finally:
        os.close(descriptor)
