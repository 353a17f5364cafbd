"""Values of tags with their type, texts, and words of structures.

A structure's description is not on the wire: its words are told as they are.  Their address is the element above 32
bits of the byte where a word begins; the second part is the structure's handle above 16 bits, and STRUCTURED.
Clauses: The CIP Networks Library, volume 1, C-6 (types); Rockwell 1756-PM020 (tag services).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, le16, le32, u8
from pipeline.decode.protocols import enip_types as t
from pipeline.decode.protocols.enip_path import BAD_LENGTH
from pipeline.decode.runs import add_run
from schemas.codes import Direction, Space

Row = NDArray[np.int64]

_READ, _WRITTEN = int(Direction.READ), int(Direction.WRITTEN)
_SYMBOL = int(Space.CIP_SYMBOL)
_MOST_RAW = 512
"""Bytes of a text or of a value without type that are told, at most."""


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
    if size <= 8 and t.RAW[size] != 0:
        _run(t.RAW[size], w[c.S_ADDR], i64(1), at, direction, w)
        return 0
    return _whole(i64(c.ENC_BYTES), at, size, direction, w)


@kernel()
def _words(at: int, end: int, handle: int, direction: int, w: Row) -> int:
    """The words of a structure, from the byte where a fragment begins."""
    addr = ((w[c.S_ADDR] & 0xFFFFFFFF) << 32) | (w[t.OFFSET] & 0xFFFFFFFF)
    words = (end - at) // 2
    for part in range(2):
        first, many = (at, words) if part == 0 else (at + 2 * words, (end - at) & 1)
        if many > 0:
            form = t.RAW[2] if part == 0 else t.RAW[1]
            run = add_run(w, w[c.S_SPACE], addr + first - at, many, form, first, direction, i64(0))
            if run >= 0:
                w[c.RUNS_AT + run * c.RUN + c.N_STEP] = 2
                w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = (handle << 16) | t.STRUCTURED | (w[c.S_ADDR_SUB] & 1)
                w[c.RUNS_AT + run * c.RUN + c.N_NAME_ID] = w[c.S_NAME_ID]
    return 0


@kernel()
def _structure(data: Bytes, at: int, end: int, handle: int, direction: int, w: Row) -> int:
    """A structure by its handle: Logix' own STRING as a text, any other one, and a part of one, as words."""
    if handle == t.STRING_HANDLE and w[t.OFFSET] == 0 and end - at >= 4 and le32(data, at) <= end - at - 4:
        return _whole(i64(c.ENC_TEXT), at + 4, le32(data, at), direction, w)
    return _words(at, end, handle, direction, w)


@kernel()
def _text(data: Bytes, at: int, end: int, kind: int, direction: int, w: Row) -> int:
    """A text behind its length, of one byte or two; where it is not all that there is, bytes."""
    width = 1 if kind == t.SHORT_STRING else 2
    size = i64(-1)
    if end - at >= width and w[t.OFFSET] == 0:
        size = u8(data, at) if width == 1 else le16(data, at)
    if size < 0 or at + width + size + (size & 1) < end or at + width + size > end:
        return untyped(at, end, direction, w)
    return _whole(i64(c.ENC_TEXT), at + width, size, direction, w)


@kernel()
def _values(data: Bytes, at: int, end: int, kind: int, direction: int, w: Row) -> int:
    """Values of an elementary type; of a fragment, those that begin at its offset."""
    size = t.SIZE[kind] if kind < 256 else i64(0)
    if kind == t.SHORT_STRING or kind == t.STRING:
        return _text(data, at, end, kind, direction, w)
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
