"""What a Modbus request says: addresses, quantities and written values of every public function.

Clauses are of the MODBUS Application Protocol Specification V1.1b3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.protocols.modbus_parts import (
    BAD_COUNT,
    BAD_LENGTH,
    BAD_VALUE,
    WRITTEN,
    groups,
    mask,
    note_range,
    raw,
    single,
    values,
    words,
)
from schemas.codes import Anomaly

Row = NDArray[np.int64]
_OVERFLOW = int(Anomaly.ADDRESS_OVERFLOW)


@kernel(inline=True)
def read_request(data: Bytes, at: int, size: int, w: Row) -> int:
    """Functions 1 to 4 (6.1 to 6.4)."""
    if size != 4:
        w[c.S_ANOMALY] |= BAD_LENGTH
    if size >= 4:
        note_range(w, be16(data, at), be16(data, at + 2), 2000 if w[c.S_FUNC] <= 2 else 125)
    return 0


@kernel()
def _write(data: Bytes, at: int, end: int, w: Row) -> int:
    """Functions 15 and 16 (6.11, 6.12)."""
    if end - at < 5:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    bits = w[c.S_FUNC] == 15
    count = be16(data, at + 2)
    note_range(w, be16(data, at), count, 1968 if bits else 123)
    values(data, at + 4, end, w, w[c.S_ADDR], count, bits, WRITTEN, 0)
    return 0


@kernel()
def _read_write(data: Bytes, at: int, end: int, w: Row) -> int:
    """Function 23 (6.17): the record tells what is read, the points what is written."""
    if end - at < 9:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    note_range(w, be16(data, at), be16(data, at + 2), 125)
    addr, count = be16(data, at + 4), be16(data, at + 6)
    if count < 1 or count > 121:
        w[c.S_ANOMALY] |= BAD_COUNT
    if addr + count > 65536:
        w[c.S_ANOMALY] |= _OVERFLOW
    values(data, at + 8, end, w, addr, count, False, WRITTEN, 0)
    return 0


@kernel()
def _diagnose(data: Bytes, at: int, size: int, w: Row) -> int:
    """Function 8 (6.8): data is any for 0, on or off for 1, a character for 3, and zero for the others."""
    words(data, at, size, w, WRITTEN)
    if size != 4 or w[c.S_SUBFUNC] == 0:
        if size > 4 and w[c.S_SUBFUNC] != 0:
            w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    sub, value = w[c.S_SUBFUNC], be16(data, at + 2)
    if sub == 1:
        valid = value == 0 or value == 0xFF00
    elif sub == 3:
        valid = value & 0xFF == 0
    else:
        valid = value == 0 or sub > 20
    if not valid:
        w[c.S_ANOMALY] |= BAD_VALUE
    return 0


@kernel()
def _encapsulated(data: Bytes, at: int, size: int, w: Row) -> int:
    """Function 43 (6.19 to 6.21): device identification; the other transports raw."""
    if w[c.S_SUBFUNC] != 14:
        if size == 0:
            w[c.S_ANOMALY] |= BAD_LENGTH
        return raw(w, at, size, WRITTEN)
    if size != 3:
        w[c.S_ANOMALY] |= BAD_LENGTH
    if size >= 3:
        w[c.S_ADDR] = u8(data, at + 2)
        w[c.S_ADDR_SUB] = u8(data, at + 1)
        if w[c.S_ADDR_SUB] < 1 or w[c.S_ADDR_SUB] > 4:
            w[c.S_ANOMALY] |= BAD_VALUE
    return 0


@kernel()
def _seldom(data: Bytes, at: int, end: int, w: Row) -> int:
    """Functions that are no daily bread, and codes of users and vendors."""
    function = w[c.S_FUNC]
    size = end - at
    if function == 8:
        return _diagnose(data, at, size, w)
    if function == 20 or function == 21:
        if size < 1:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return 0
        return groups(data, at, end, w, function == 21, WRITTEN)
    if function == 22:
        return mask(data, at, size, w, WRITTEN)
    if function == 24:
        if size != 2:
            w[c.S_ANOMALY] |= BAD_LENGTH
        if size >= 2:
            w[c.S_ADDR] = be16(data, at)
        return 0
    if function == 43:
        return _encapsulated(data, at, size, w)
    if function == 7 or function == 11 or function == 12 or function == 17:
        if size != 0:
            w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    if function == 90 and size < 2:
        w[c.S_ANOMALY] |= BAD_LENGTH
    return raw(w, at, size, WRITTEN)


@kernel()
def request(data: Bytes, at: int, end: int, w: Row) -> int:
    """Body of a request other than a read; data[at] is the first byte behind the function code."""
    function = w[c.S_FUNC]
    if function == 5 or function == 6:
        return single(data, at, end - at, w, WRITTEN)
    if function == 15 or function == 16:
        return _write(data, at, end, w)
    if function == 23:
        return _read_write(data, at, end, w)
    return _seldom(data, at, end, w)
