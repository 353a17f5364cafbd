"""Parts that requests and responses of Modbus share: addresses, values, echoes, file record groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, be32, u8
from pipeline.decode.protocols.modbus_codes import space_of
from pipeline.decode.runs import add_run
from schemas.codes import Anomaly, Direction, Kind, Quality, Space

Row = NDArray[np.int64]

REQUEST = int(Kind.REQUEST)
READ, WRITTEN, ECHO = int(Direction.READ), int(Direction.WRITTEN), int(Direction.ECHO)
BAD_LENGTH = int(Anomaly.MALFORMED | Anomaly.LENGTH_MISMATCH)
BAD_COUNT = int(Anomaly.MALFORMED | Anomaly.COUNT_OUT_OF_RANGE)
BAD_VALUE = int(Anomaly.MALFORMED | Anomaly.VALUE_OUT_OF_RANGE)
CONFLICT = int(Anomaly.CONFLICTING_RESPONSE)
UNKNOWN_ADDRESS = int(Quality.ADDRESS_UNKNOWN)
GROUPS = c.S_EXTRAS
"""File record groups whose addresses a request hands to its response."""
_OVERFLOW = int(Anomaly.ADDRESS_OVERFLOW)
_COIL, _HOLDING, _FILE, _MASK, _DIAGNOSTIC = (
    int(Space.COIL),
    int(Space.HOLDING_REGISTER),
    int(Space.FILE_RECORD),
    int(Space.HOLDING_MASK),
    int(Space.DIAGNOSTIC),
)
_LAST_RECORD = 0x270F  # 6.14: record number 0 to 9999


@kernel()
def digest(data: Bytes, at: int, end: int) -> int:
    """32-bit FNV-1a of data[at:end]."""
    h = i64(0x811C9DC5)
    for i in range(at, end):
        h = ((h ^ u8(data, i)) * 0x01000193) & 0xFFFFFFFF
    return h


@kernel()
def echo_of(data: Bytes, at: int, end: int, role: int) -> int:
    """What an answer repeats or implies of its request, the same number for both; 0 where nothing does.

    `at` is the function code.  Functions 5, 6, 15, 16, 21, 22 and parts of 8 and 43 are answered with what they said;
    the byte count of a read follows from the quantity asked for.
    """
    function = u8(data, at)
    size = end - at - 1
    if function >= 0x80:
        return 0
    if 1 <= function <= 4 or function == 23:
        if role == c.ROLE_RESPONSE:
            return u8(data, at + 1) + 1 if size >= 1 else 0
        if role != c.ROLE_REQUEST or size < 4:
            return 0
        quantity = be16(data, at + 3)
        return (quantity + 7) // 8 + 1 if function <= 2 else 2 * quantity + 1
    if function == 5 or function == 6 or function == 15 or function == 16:
        return be32(data, at + 1) + 1 if size >= 4 else 0
    if function == 22:
        return ((be16(data, at + 1) << 32) | be32(data, at + 3)) + 1 if size >= 6 else 0
    if function == 21:
        return digest(data, at + 1, end) + 1
    if function == 43 and size >= 2 and u8(data, at + 1) == 14:
        return be16(data, at + 1) + 1
    if function == 8 and size >= 2:
        sub = be16(data, at + 1)
        repeats = sub == 0 or sub == 1 or sub == 3 or sub == 10 or sub == 20
        return digest(data, at + 1, end) + 1 if repeats else sub + 1
    return 0


@kernel(inline=True)
def note_range(w: Row, addr: int, count: int, most: int) -> int:
    """Note what is addressed; quantities beyond the specification's limit are malformed."""
    w[c.S_ADDR] = addr
    w[c.S_COUNT] = count
    if count < 1 or count > most:
        w[c.S_ANOMALY] |= BAD_COUNT
    if addr + count > 65536:
        w[c.S_ANOMALY] |= _OVERFLOW
    return 0


@kernel()
def raw(w: Row, at: int, size: int, direction: int) -> int:
    """Bytes without a meaning here, kept as one point of their content."""
    if size > 0:
        run = add_run(w, 0, w[c.S_FUNC], 1, c.ENC_BYTES, at, direction, 0)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = size
            w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = w[c.S_SUBFUNC]
    return 0


@kernel()
def single(data: Bytes, at: int, size: int, w: Row, direction: int) -> int:
    """Address and value of functions 5 and 6, in a request or its echo (6.5, 6.6)."""
    if size != 4:
        w[c.S_ANOMALY] |= BAD_LENGTH
    if size < 4:
        return 0
    w[c.S_ADDR] = be16(data, at)
    w[c.S_COUNT] = 1
    if w[c.S_FUNC] == 5:
        value = be16(data, at + 2)
        if value != 0 and value != 0xFF00:
            w[c.S_ANOMALY] |= BAD_VALUE
        add_run(w, _COIL, w[c.S_ADDR], 1, c.ENC_BOOL_FF00, at + 2, direction, 0)
    else:
        add_run(w, _HOLDING, w[c.S_ADDR], 1, c.ENC_U16BE, at + 2, direction, 0)
    return 0


@kernel()
def mask(data: Bytes, at: int, size: int, w: Row, direction: int) -> int:
    """AND and OR masks of function 22 (6.16)."""
    if size != 6:
        w[c.S_ANOMALY] |= BAD_LENGTH
    if size < 6:
        return 0
    w[c.S_ADDR] = be16(data, at)
    w[c.S_COUNT] = 1
    for sub in range(2):
        run = add_run(w, _MASK, w[c.S_ADDR], 1, c.ENC_U16BE, at + 2 + 2 * sub, direction, 0)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = sub
    return 0


@kernel(inline=True)
def values(data: Bytes, at: int, end: int, w: Row, addr: int, count: int, bits: bool, direction: int, quality: int) -> int:  # fmt: skip # noqa: E501
    """Byte count and values; `count` values were announced, -1 when unknown."""
    announced = u8(data, at)
    there = end - at - 1
    if announced != there:
        w[c.S_ANOMALY] |= BAD_LENGTH
    there = min(there, announced)
    contradiction = BAD_LENGTH if direction == WRITTEN else CONFLICT
    if bits:
        if count >= 0 and (count + 7) // 8 != announced:
            w[c.S_ANOMALY] |= contradiction
        number = min(count, 8 * there) if count >= 0 else 8 * there
        add_run(w, space_of(w[c.S_FUNC]), addr, number, c.ENC_BIT, at + 1, direction, quality)
        return 0
    if announced % 2 != 0:
        w[c.S_ANOMALY] |= BAD_LENGTH
    if count >= 0 and 2 * count != announced:
        w[c.S_ANOMALY] |= contradiction
    number = min(count, there // 2) if count >= 0 else there // 2
    add_run(w, space_of(w[c.S_FUNC]), addr, number, c.ENC_U16BE, at + 1, direction, quality)
    return 0


@kernel()
def words(data: Bytes, at: int, size: int, w: Row, direction: int) -> int:
    """Data field of diagnostics (6.8): any number of 16-bit words behind the sub-function."""
    if size < 4 or size % 2 != 0:
        w[c.S_ANOMALY] |= BAD_LENGTH
    count = max(0, (size - 2) // 2)
    w[c.S_COUNT] = count
    for k in range(count):
        run = add_run(w, _DIAGNOSTIC, w[c.S_SUBFUNC], 1, c.ENC_U16BE, at + 2 + 2 * k, direction, 0)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = k
    return 0


@kernel()
def groups(data: Bytes, at: int, end: int, w: Row, writes: bool, direction: int) -> int:
    """File record groups (6.14, 6.15): the first goes into the record, those to be read into the extras."""
    size = u8(data, at)
    if at + 1 + size != end:
        w[c.S_ANOMALY] |= BAD_LENGTH
    at += 1
    k = 0
    total = 0
    while at + 7 <= end:
        file, record, count = be16(data, at + 1), be16(data, at + 3), be16(data, at + 5)
        if u8(data, at) != 6 or file == 0 or record > _LAST_RECORD:
            w[c.S_ANOMALY] |= BAD_VALUE
        if k == 0:
            w[c.S_ADDR_SUB] = file
            w[c.S_ADDR] = record
        if k < GROUPS and not writes:
            w[c.S_EXTRA + k] = (file << 32) | (record << 16) | count
        total += count
        at += 7
        k += 1
        if writes:
            there = min(count, (end - at) // 2)
            if there < count:
                w[c.S_ANOMALY] |= BAD_LENGTH
            run = add_run(w, _FILE, record, there, c.ENC_U16BE, at, direction, 0)
            if run >= 0:
                w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = file
            at += 2 * there
    if at != end:
        w[c.S_ANOMALY] |= BAD_LENGTH
    if k == 0:
        w[c.S_ANOMALY] |= BAD_COUNT
    w[c.S_COUNT] = total
    return k
