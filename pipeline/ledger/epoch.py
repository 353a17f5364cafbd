"""The epoch object: state and findings of offsets [start, next) as bytes that show any damage.

    stamp (44 bytes) | head (JSON) | arrays of the state, tables | stamp again | SHA-256 of all that

The stamp is packed little-endian and has a CRC32C of its own: where the middle is damaged, one of the two still says
what the epoch covered, which repair must know.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.ledger.place import MOST, Place

FORMAT = 1
_MAGIC = b"FTEPOCH\x01"
_STAMP = struct.Struct("<8sHHIQQQ")
_STAMP_SIZE = _STAMP.size + 4
_DIGEST = 32
_ENDED = 1
MOST_HEAD = 4 << 20
MOST_BYTES = 4 << 30
"""Bounds: bytes of the head, and of all arrays and tables as they are in memory."""
_KINDS = "biufSU"
_COMPRESS_FROM = 256
"""Smaller arrays are kept as they are."""


class EpochDamaged(ValueError):  # noqa: N818
    """Bytes that are not the epoch that should be there."""


class Extent(NamedTuple):
    """What an epoch covers: offsets [start, next), and whether the input ended there."""

    start: int
    next: int
    ended: bool


def encode(
    place: Place,
    extent: Extent,
    state: Mapping[str, NDArray[Any]],
    *,
    findings: pa.Table | None = None,
    sends: pa.Table | None = None,
    versions: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of an epoch; the same arguments give the same bytes.

    Args:
        place: where it belongs.
        extent: what it covers.
        state: all state at `extent.next`; arrays of numbers, bools or fixed-length texts.
        findings: rows found in the epoch; no rows are kept as None.
        sends: rows for the second stage; no rows are kept as such, for the second stage must be told of them.
        versions: of code, detectors, baseline and settings.

    Raises:
        ValueError: an array of another kind, or a negative or empty extent.
    """
    if not 0 <= extent.start < extent.next <= MOST:
        raise ValueError(f"{place}: no epoch covers [{extent.start}, {extent.next})")
    arrays, frames = [], []
    for name in sorted(state):
        described, frame = _packed(name, state[name])
        arrays.append(described)
        frames.append(frame)
    sizes = []
    for table in (findings if findings is not None and findings.num_rows else None, sends):
        frame = _table_bytes(table)
        sizes.append(len(frame))
        frames.append(frame)
    head = json.dumps(
        {
            "run": place.run,
            "topic_id": place.topic_id,
            "versions": dict(versions or {}),
            "arrays": arrays,
            "tables": sizes,
        },
        sort_keys=True,
        separators=(",", ":"),
    ).encode()
    stamp = _stamp(place, extent, len(head))
    body = b"".join([stamp, head, *frames, stamp])
    return body + hashlib.sha256(body).digest()


def extent_in(data: bytes, place: Place, start: int) -> Extent | None:
    """What damaged bytes still say of what they covered, None when neither stamp is whole."""
    for at in (0, len(data) - _DIGEST - _STAMP_SIZE):
        try:
            extent, _ = _read_stamp(data, at, place)
        except EpochDamaged:
            continue
        if extent.start == start:
            return extent
    return None


class Epoch:
    """An epoch as its bytes say it.

    Args:
        data: the whole object.
        place: where it was found.
        start: the offset in its name.
        verify: whether the digest is reckoned; not needed for bytes that this process has just made.

    Raises:
        EpochDamaged: the bytes are damaged, or belong elsewhere.
    """

    def __init__(self, data: bytes, place: Place, start: int, *, verify: bool = True) -> None:
        if len(data) < 2 * _STAMP_SIZE + _DIGEST:
            raise EpochDamaged(f"only {len(data)} bytes")
        if verify and hashlib.sha256(memoryview(data)[:-_DIGEST]).digest() != data[-_DIGEST:]:
            raise EpochDamaged("wrong checksum")
        self.data = data
        self.place = place
        extent, size = _read_stamp(data, 0, place)
        if extent.start != start:
            raise EpochDamaged(f"it starts at {extent.start}")
        if data[:_STAMP_SIZE] != data[-_DIGEST - _STAMP_SIZE : -_DIGEST]:
            raise EpochDamaged("its two stamps differ")
        self.start, self.next, self.ended = extent
        self._head = self._parse(size)
        self._at = _STAMP_SIZE + size

    @property
    def extent(self) -> Extent:
        """What it covers."""
        return Extent(self.start, self.next, self.ended)

    @property
    def digest(self) -> bytes:
        """SHA-256 over the object."""
        return self.data[-_DIGEST:]

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of what made it."""
        found: Mapping[str, str] = self._head["versions"]
        return found

    @cached_property
    def state(self) -> dict[str, NDArray[Any]]:
        """All state at `next`; the arrays are read-only."""
        at, found = self._at, {}
        for name, kind, shape, size, packed in self._head["arrays"]:
            frame = memoryview(self.data)[at : at + size]
            found[name] = _unpacked(frame, np.dtype(kind), tuple(shape), packed)
            at += size
        return found

    @cached_property
    def findings(self) -> pa.Table | None:
        """Rows found in [start, next); None for none."""
        return self._table(0)

    @cached_property
    def sends(self) -> pa.Table | None:
        """Rows for the second stage, maybe none; None where the stage has none behind it."""
        return self._table(1)

    def _table(self, which: int) -> pa.Table | None:
        sizes = self._head["tables"]
        end = len(self.data) - _DIGEST - _STAMP_SIZE - sum(sizes[which + 1 :])
        if not sizes[which]:
            return None
        frame = pa.py_buffer(self.data)[end - sizes[which] : end]
        with pa.ipc.open_stream(frame, options=pa.ipc.IpcReadOptions(use_threads=False)) as reader:
            return reader.read_all()

    def _parse(self, size: int) -> dict[str, Any]:
        try:
            head = json.loads(self.data[_STAMP_SIZE : _STAMP_SIZE + size])
            run, topic_id = head["run"], head["topic_id"]
            arrays = [(str(n), np.dtype(k), [int(d) for d in s], int(z), bool(p)) for n, k, s, z, p in head["arrays"]]
            first, second = (int(n) for n in head["tables"])
            dict(head["versions"])
        except (ValueError, TypeError, KeyError) as error:
            raise EpochDamaged(f"its head cannot be read: {error}") from error
        if (run, topic_id) != (self.place.run, self.place.topic_id):
            raise EpochDamaged(f"it belongs to run {run}, topic {topic_id}")
        in_memory = sum(kind.itemsize * prod(shape) for _, kind, shape, _, _ in arrays)
        declared = sum(z for _, _, _, z, _ in arrays) + first + second
        if declared != len(self.data) - _DIGEST - 2 * _STAMP_SIZE - size or not 0 <= in_memory <= MOST_BYTES:
            raise EpochDamaged("its parts do not add up to its size")
        parsed: dict[str, Any] = head
        return parsed


def _stamp(place: Place, extent: Extent, head: int) -> bytes:
    from google_crc32c import value

    if head > MOST_HEAD:
        raise ValueError(f"{place}: the head of an epoch has {head} bytes, more than {MOST_HEAD}")
    packed = _STAMP.pack(_MAGIC, FORMAT, _ENDED * extent.ended, place.partition, extent.start, extent.next, head)
    return packed + struct.pack("<I", value(packed))


def _read_stamp(data: bytes, at: int, place: Place) -> tuple[Extent, int]:
    from google_crc32c import value

    raw = data[at : at + _STAMP_SIZE] if at >= 0 else b""
    if len(raw) < _STAMP_SIZE or struct.pack("<I", value(raw[:-4])) != raw[-4:]:
        raise EpochDamaged("no whole stamp")
    magic, version, flags, partition, start, stop, head = _STAMP.unpack(raw[:-4])
    if magic != _MAGIC or version != FORMAT:
        raise EpochDamaged(f"magic {magic!r}, format {version}")
    if partition != place.partition:
        raise EpochDamaged(f"it belongs to partition {partition}")
    if not start < stop <= MOST or head > MOST_HEAD:
        raise EpochDamaged(f"it covers [{start}, {stop}) with a head of {head} bytes")
    return Extent(start, stop, bool(flags & _ENDED)), head


def _packed(name: str, array: NDArray[Any]) -> tuple[list[Any], bytes]:
    if array.dtype.kind not in _KINDS:
        raise ValueError(f"state {name!r}: arrays of {array.dtype} cannot be kept")
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    raw = plain.tobytes()
    frame = pa.Codec("lz4").compress(raw, asbytes=True) if len(raw) >= _COMPRESS_FROM else raw
    packed = len(frame) < len(raw)
    frame = frame if packed else raw
    return [name, plain.dtype.str, list(array.shape), len(frame), int(packed)], frame


def _unpacked(frame: memoryview, kind: np.dtype[Any], shape: tuple[int, ...], packed: bool) -> NDArray[Any]:
    size = kind.itemsize * prod(shape)
    raw = pa.Codec("lz4").decompress(frame, decompressed_size=size) if packed else frame
    if len(raw) != size:
        raise EpochDamaged(f"an array has {len(raw)} bytes, expected {size}")
    array = np.frombuffer(raw, kind).reshape(shape) if size else np.zeros(shape, kind)
    array.flags.writeable = False
    return array


def _table_bytes(table: pa.Table | None) -> bytes:
    if table is None:
        return b""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks())
    found: bytes = sink.getvalue().to_pybytes()
    return found
