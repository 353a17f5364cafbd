"""Values that CIP messages carry: of tags with their type, of attributes, and of what a device says that it is.

Clauses: The CIP Networks Library, volume 1, 5-2.2 (identity object), C-6 (types); volume 2, 2-4.2 (ListIdentity);
Rockwell 1756-PM020 (tag services).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, le16, le32, u8
from pipeline.decode.protocols import enip_types as t
from pipeline.decode.protocols.enip_path import BAD_LENGTH
from pipeline.decode.runs import add_run
from schemas.codes import Direction, Identity, Op, RecordFlag, Space

Row = NDArray[np.int64]

_READ, _WRITTEN = int(Direction.READ), int(Direction.WRITTEN)
_IDENTITY, _SYMBOL = int(Space.IDENTITY), int(Space.CIP_SYMBOL)
_IDENTIFY, _SAYS_IDENTITY = int(Op.IDENTIFY), int(RecordFlag.IDENTITY)
_VENDOR, _CODE, _FIRMWARE, _SERIAL, _MODEL = (
    int(i) for i in (Identity.VENDOR, Identity.PRODUCT_CODE, Identity.FIRMWARE, Identity.SERIAL, Identity.MODEL)
)
_U16, _U32, _VERSION = f.form(f.V_U16LE), f.form(f.V_U32LE), f.form(f.V_U16BE)
_MOST_RAW = 512
"""Bytes of an attribute or a structure that are told, at most."""


@kernel()
def _run(encoding: int, addr: int, count: int, at: int, direction: int, w: Row) -> int:
    """A run at the record's address, counted from `addr`."""
    run = add_run(w, w[c.S_SPACE], addr, count, encoding, at, direction, i64(0))
    if run >= 0:
        several = w[c.S_SPACE] == _SYMBOL and count > 1
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = 1 if several else w[c.S_ADDR_SUB]
        w[c.RUNS_AT + run * c.RUN + c.N_NAME_ID] = w[c.S_NAME_ID]
    return int(run)


@kernel()
def _whole(encoding: int, at: int, size: int, direction: int, w: Row) -> int:
    """One point of a text or of bytes at the record's address."""
    run = _run(encoding, w[c.S_ADDR], i64(1), at, direction, w)
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = min(size, _MOST_RAW)
    return 0


@kernel()
def untyped(at: int, end: int, direction: int, w: Row) -> int:
    """A value whose type nobody said: a number where it has the size of one, else its bytes."""
    size = end - at
    if size <= 0:
        return 0
    if size <= 4 and t.RAW[size] != 0:
        _run(t.RAW[size], w[c.S_ADDR], i64(1), at, direction, w)
        return 0
    return _whole(i64(c.ENC_BYTES), at, size, direction, w)


@kernel()
def _structure(data: Bytes, at: int, end: int, handle: int, direction: int, w: Row) -> int:
    """A structure by its handle: Logix' own STRING as a text, any other one, and a part of one, as bytes."""
    if handle == t.STRING_HANDLE and w[t.OFFSET] == 0 and end - at >= 4 and le32(data, at) <= end - at - 4:
        if le32(data, at) > 0:
            _whole(i64(c.ENC_TEXT), at + 4, le32(data, at), direction, w)
        return 0
    if at < end:
        _whole(i64(c.ENC_BYTES), at, end - at, direction, w)
    return 0


@kernel()
def _values(data: Bytes, at: int, end: int, kind: int, direction: int, w: Row) -> int:
    """Values of an elementary type; of a fragment, those that begin at its offset."""
    size = t.SIZE[kind] if kind < 256 else i64(0)
    if size == 0:
        return untyped(at, end, direction, w)
    count = (end - at) // size
    if count * size != end - at or w[t.OFFSET] % size != 0:
        w[c.S_ANOMALY] |= BAD_LENGTH
    if count > 0:
        _run(t.FORM[kind], w[c.S_ADDR] + w[t.OFFSET] // size, count, at, direction, w)
    return 0


@kernel()
def read_tag(data: Bytes, at: int, end: int, w: Row) -> int:
    """What a Read Tag gave: a type, and values."""
    if end - at < 2:
        w[c.S_ANOMALY] |= BAD_LENGTH if at < end or w[c.S_STATUS] == 0 else 0
        return 0
    w[t.OFFSET] = w[c.ASKED + t.OFFSET] if w[c.S_HAS_REQUEST] else 0
    kind = le16(data, at)
    if kind == t.STRUCTURE and end - at >= 4:
        return _structure(data, at + 4, end, le16(data, at + 2), i64(_READ), w)
    return _values(data, at + 2, end, kind, i64(_READ), w)


@kernel()
def write_tag(data: Bytes, at: int, end: int, part: bool, w: Row) -> int:
    """What a Write Tag writes: a type, how many elements, of a fragment the byte where it begins, and values."""
    structured = end - at >= 2 and le16(data, at) == t.STRUCTURE
    values = at + (6 if structured else 4) + (4 if part else 0)
    if values > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    w[c.S_COUNT] = le16(data, at + (4 if structured else 2))
    w[t.OFFSET] = le32(data, values - 4) if part else 0
    if structured:
        return _structure(data, values, end, le16(data, at + 2), i64(_WRITTEN), w)
    return _values(data, values, end, le16(data, at), i64(_WRITTEN), w)


@kernel()
def _says(role: int, encoding: int, at: int, size: int, w: Row) -> int:
    run = add_run(w, i64(_IDENTITY), role, i64(1), encoding, at, i64(_READ), i64(0))
    if run >= 0 and encoding == c.ENC_TEXT:
        w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = size
    w[c.S_FLAGS] |= _SAYS_IDENTITY
    return 0


@kernel()
def identity(data: Bytes, at: int, end: int, w: Row) -> int:
    """The attributes 1 to 7 of an identity object, one behind the other."""
    w[c.S_OP] = _IDENTIFY
    if end - at < 15 or end - at < 15 + u8(data, at + 14):
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    _says(i64(_VENDOR), i64(_U16), at, i64(0), w)
    _says(i64(_CODE), i64(_U16), at + 4, i64(0), w)
    _says(i64(_FIRMWARE), i64(_VERSION), at + 6, i64(0), w)
    _says(i64(_SERIAL), i64(_U32), at + 10, i64(0), w)
    if u8(data, at + 14) > 0:
        _says(i64(_MODEL), i64(c.ENC_TEXT), at + 15, u8(data, at + 14), w)
    return 0


@kernel()
def attribute(data: Bytes, at: int, end: int, direction: int, w: Row) -> int:
    """The value of one attribute: of an identity object what it is, else without a type."""
    number, size = w[c.S_ADDR_SUB], end - at
    if w[c.S_SUBFUNC] != t.IDENTITY or direction != _READ:
        return untyped(at, end, direction, w)
    if number == 1 and size == 2:
        return _says(i64(_VENDOR), i64(_U16), at, i64(0), w)
    if number == 3 and size == 2:
        return _says(i64(_CODE), i64(_U16), at, i64(0), w)
    if number == 4 and size == 2:
        return _says(i64(_FIRMWARE), i64(_VERSION), at, i64(0), w)
    if number == 6 and size == 4:
        return _says(i64(_SERIAL), i64(_U32), at, i64(0), w)
    if number == 7 and size >= 2 and size == 1 + u8(data, at):
        return _says(i64(_MODEL), i64(c.ENC_TEXT), at + 1, size - 1, w)
    return untyped(at, end, direction, w)
