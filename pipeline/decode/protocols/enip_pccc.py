"""PCCC inside CIP (Rockwell 1770-RM516): command, function, address and values of typed reads and writes.

A point's address is the file above 16 bits of the element; its second part the type of the file and, above 8 bits, the
sub-element.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, le16, u8
from pipeline.decode.protocols import enip_types as t
from pipeline.decode.protocols.enip_path import BAD_LENGTH
from pipeline.decode.runs import add_run
from schemas.codes import Anomaly, Direction, PointType, Space

Row = NDArray[np.int64]

_FILE = int(Space.PCCC_FILE)
_READ, _WRITTEN = int(Direction.READ), int(Direction.WRITTEN)
_CONFLICT = int(Anomaly.CONFLICTING_RESPONSE)
_I16, _I32, _F32, _BITS = (
    f.form(f.V_I16LE),
    f.form(f.V_I32LE),
    f.form(f.V_F32LE),
    f.form(f.V_U16LE, kind=PointType.BITS),
)
_INTEGER, _FLOAT, _LONG = 0x89, 0x8A, 0x91
_MORE = 0xFF


@kernel()
def _has_function(command: int) -> bool:
    return bool(command & 15 in (6, 7, 15))


@kernel()
def _is_logical(function: int) -> int:
    """Fields of the address of a typed logical read or write: 2 or 3; 0 for another function."""
    if function == 0xA1 or function == 0xA9:
        return 2
    return 3 if function == 0xA2 or function == 0xAA or function == 0xAB else 0


@kernel()
def _field(data: Bytes, at: int, end: int) -> int:
    """A number of one byte, or of two behind 0xFF; -1 where it is cut off."""
    if at >= end:
        return -1
    if u8(data, at) != _MORE:
        return u8(data, at)
    return le16(data, at + 1) if at + 3 <= end else -1


@kernel()
def _values(at: int, size: int, direction: int, w: Row) -> int:
    """Values of a file: integers, floats and long integers as such, the words of other files as bits."""
    kind = w[c.S_ADDR_SUB] & 0xFF
    each = i64(4 if kind in (_FLOAT, _LONG) else 2)
    form = i64(_BITS)
    if kind == _INTEGER:
        form = i64(_I16)
    elif kind in (_FLOAT, _LONG):
        form = i64(_F32 if kind == _FLOAT else _I32)
    if size % each != 0:
        w[c.S_ANOMALY] |= BAD_LENGTH
    if size >= each:
        run = add_run(w, i64(_FILE), w[c.S_ADDR], size // each, form, at, direction, i64(0))
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = w[c.S_ADDR_SUB]
    return 0


@kernel()
def _address(data: Bytes, at: int, end: int, fields: int, w: Row) -> int:
    """Size, file, type, element and sub-element of a typed logical request; the place behind, -1 if cut off."""
    if at >= end:
        return -1
    w[c.S_COUNT] = u8(data, at)
    at += 1
    found = i64(0)
    for k in range(4):
        if k == 3 and fields == 2:
            break
        number = u8(data, at) if k == 1 and at < end else _field(data, at, end)
        if number < 0 or at >= end:
            return -1
        at += 3 if k != 1 and u8(data, at) == _MORE else 1
        if k == 0:
            found = number << 16
        elif k == 1:
            w[c.S_ADDR_SUB] = number
        elif k == 2:
            w[c.S_ADDR] = found | number
        else:
            w[c.S_ADDR_SUB] |= (number & 0xFFFF) << 8
    w[c.S_SPACE] = _FILE
    return at


@kernel()
def pccc(data: Bytes, at: int, end: int, w: Row) -> int:
    """A PCCC message data[at:end], behind the number of who asks."""
    if at >= end or at + u8(data, at) + 4 > end or u8(data, at) == 0:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    at += u8(data, at)
    command = u8(data, at)
    answers = command & 0x40 != 0
    status = u8(data, at + 1)
    w[c.S_TXN] = le16(data, at + 2)
    at += 4
    if not answers:
        w[c.S_FUNC] = t.FUNC_PCCC_COMMAND | (command & 15)
        if _has_function(command):
            if at >= end:
                w[c.S_ANOMALY] |= BAD_LENGTH
                return 0
            w[c.S_FUNC] = (t.FUNC_PCCC if command & 15 == 15 else t.FUNC_PCCC_COMMAND) | u8(data, at)
            at += 1
        w[c.S_OP] = t.OPS[w[c.S_FUNC]]
        w[c.S_SUBFUNC] = 0
        fields = _is_logical(w[c.S_FUNC] & 0xFF) if w[c.S_FUNC] & 0xF00 == t.FUNC_PCCC else i64(0)
        if fields:
            at = _address(data, at, end, fields, w)
            if at < 0:
                w[c.S_ANOMALY] |= BAD_LENGTH
            elif w[c.S_FUNC] & 0xFF == 0xA9 or w[c.S_FUNC] & 0xFF == 0xAA:
                _values(at, end - at, i64(_WRITTEN), w)
        return 0
    if status != 0:
        w[c.S_STATUS] = t.OF_PCCC | status
        if status == 0xF0 and at < end:
            w[c.S_STATUS] |= u8(data, at) << 8
        return 0
    reads = w[c.S_FUNC] & 0xFF == 0xA1 or w[c.S_FUNC] & 0xFF == 0xA2
    if reads and w[c.S_HAS_REQUEST] and w[c.S_SPACE] == _FILE and at < end:
        _values(at, end - at, i64(_READ), w)
    return 0
