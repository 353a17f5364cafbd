"""What a Modbus response says: values of every public function, told apart by what was asked.

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
    CONFLICT,
    ECHO,
    GROUPS,
    READ,
    UNKNOWN_ADDRESS,
    groups,
    mask,
    note_range,
    raw,
    single,
    values,
    words,
)
from pipeline.decode.runs import add_run
from schemas.codes import RecordFlag, Space

Row = NDArray[np.int64]

_FILE, _FIFO, _STATUS, _EVENT, _SERVER, _DEVICE = (
    int(Space.FILE_RECORD),
    int(Space.FIFO),
    int(Space.EXCEPTION_STATUS),
    int(Space.COMM_EVENT),
    int(Space.SERVER_ID),
    int(Space.DEVICE_ID),
)
_MORE_FOLLOWS = int(RecordFlag.MODBUS_MORE_FOLLOWS)
_LOG = 16  # point address of the first event of a comm event log; below it the counters
_UMAS_ERROR = 0xFD


@kernel()
def _file_groups(data: Bytes, at: int, end: int, w: Row, known: bool) -> int:
    """Groups of a read file record response (6.14): each a length, the reference type 6, and the registers."""
    if at >= end or at + 1 + u8(data, at) != end:
        w[c.S_ANOMALY] |= BAD_LENGTH
    at += 1
    k = 0
    while at + 2 <= end:
        length = u8(data, at)
        if length < 1 or length % 2 != 1 or u8(data, at + 1) != 6:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return 0
        there = min((length - 1) // 2, (end - at - 2) // 2)
        if known and k < GROUPS:
            group = w[c.ASKED + c.S_EXTRA + k]
            if there != group & 0xFFFF:
                w[c.S_ANOMALY] |= CONFLICT
            run = add_run(w, _FILE, (group >> 16) & 0xFFFF, there, c.ENC_U16BE, at + 2, READ, 0)
            if run >= 0:
                w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = group >> 32
        else:
            add_run(w, _FILE, 0, there, c.ENC_U16BE, at + 2, READ, UNKNOWN_ADDRESS)
        at += 1 + length
        k += 1
    if at != end:
        w[c.S_ANOMALY] |= BAD_LENGTH
    if k == 0:
        w[c.S_ANOMALY] |= BAD_COUNT
    return 0


@kernel()
def _events(data: Bytes, at: int, size: int, w: Row) -> int:
    """Functions 11 and 12 (6.9, 6.10): status, counts, and the log of up to 64 events."""
    if w[c.S_FUNC] == 11:
        if size != 4:
            w[c.S_ANOMALY] |= BAD_LENGTH
        add_run(w, _EVENT, 0, min(2, size // 2), c.ENC_U16BE, at, READ, 0)
        return 0
    if size < 7 or size != 1 + u8(data, at):
        w[c.S_ANOMALY] |= BAD_LENGTH
    if size > 71:
        w[c.S_ANOMALY] |= BAD_COUNT
    if size >= 7:
        add_run(w, _EVENT, 0, 3, c.ENC_U16BE, at + 1, READ, 0)
        add_run(w, _EVENT, _LOG, size - 7, c.ENC_U8, at + 7, READ, 0)
    return 0


@kernel()
def _server_id(data: Bytes, at: int, size: int, w: Row) -> int:
    """Function 17 (6.13): the device decides what stands in it, so it is one text."""
    if size < 1 or size != 1 + u8(data, at):
        w[c.S_ANOMALY] |= BAD_LENGTH
    if size > 1:
        run = add_run(w, _SERVER, 0, 1, c.ENC_TEXT, at + 1, READ, 0)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = size - 1
    return 0


@kernel()
def _fifo(data: Bytes, at: int, size: int, w: Row, quality: int) -> int:
    """Function 24 (6.18): up to 31 registers; the queue's pointer is their second address."""
    if size < 4 or be16(data, at) != size - 2 or size - 4 != 2 * be16(data, at + 2):
        w[c.S_ANOMALY] |= BAD_LENGTH
    if size < 4:
        return 0
    w[c.S_COUNT] = be16(data, at + 2)
    if w[c.S_COUNT] > 31:
        w[c.S_ANOMALY] |= BAD_COUNT
    there = min(w[c.S_COUNT], (size - 4) // 2)
    run = add_run(w, _FIFO, 0, there, c.ENC_U16BE, at + 4, READ, quality)
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = w[c.S_ADDR]
    return 0


@kernel()
def _device_id(data: Bytes, at: int, end: int, w: Row) -> int:
    """Objects of a read device identification response (6.21)."""
    if end - at < 6:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    w[c.S_ADDR_SUB] = u8(data, at + 1)
    more = u8(data, at + 3)
    if more == 0xFF:
        w[c.S_FLAGS] |= _MORE_FOLLOWS
    elif more != 0:
        w[c.S_ANOMALY] |= BAD_VALUE
    w[c.S_COUNT] = u8(data, at + 5)
    at += 6
    for _ in range(w[c.S_COUNT]):
        if at + 2 > end:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return 0
        length = u8(data, at + 1)
        if at + 2 + length > end:
            w[c.S_ANOMALY] |= BAD_LENGTH
            length = end - at - 2
        run = add_run(w, _DEVICE, u8(data, at), 1, c.ENC_TEXT, at + 2, READ, 0)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = length
        at += 2 + length
    if at != end:
        w[c.S_ANOMALY] |= BAD_LENGTH
    return 0


@kernel()
def _umas(data: Bytes, at: int, size: int, w: Row) -> int:
    """Function 90: pairing key, outcome, and what the UMAS function gives, raw."""
    if size < 2:
        w[c.S_ANOMALY] |= BAD_LENGTH
    elif u8(data, at + 1) == _UMAS_ERROR:
        w[c.S_STATUS] = _UMAS_ERROR
    return raw(w, at, size, READ)


@kernel()
def _echoed(data: Bytes, at: int, end: int, w: Row) -> int:
    """Functions that answer with what they were asked: 5, 6, 15, 16, 21, 22 (6.5, 6.6, 6.11, 6.12, 6.15, 6.16)."""
    function = w[c.S_FUNC]
    size = end - at
    if function == 5 or function == 6:
        return single(data, at, size, w, ECHO)
    if function == 22:
        return mask(data, at, size, w, ECHO)
    if function == 21:
        if size < 1:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return 0
        return groups(data, at, end, w, True, ECHO)
    if size != 4:
        w[c.S_ANOMALY] |= BAD_LENGTH
    if size >= 4:
        note_range(w, be16(data, at), be16(data, at + 2), 1968 if function == 15 else 123)
    return 0


@kernel()
def _seldom(data: Bytes, at: int, end: int, w: Row, known: bool, quality: int) -> int:
    """Functions that are no daily bread, and codes of users and vendors."""
    function = w[c.S_FUNC]
    size = end - at
    if function == 7:
        if size != 1:
            w[c.S_ANOMALY] |= BAD_LENGTH
        add_run(w, _STATUS, 0, min(size, 1), c.ENC_U8, at, READ, 0)
        return 0
    if function == 8:
        return words(data, at, size, w, READ)
    if function == 11 or function == 12:
        return _events(data, at, size, w)
    if function == 17:
        return _server_id(data, at, size, w)
    if function == 20:
        return _file_groups(data, at, end, w, known)
    if function == 24:
        return _fifo(data, at, size, w, quality)
    if function == 43 and w[c.S_SUBFUNC] == 14:
        return _device_id(data, at, end, w)
    if function == 43 and size == 0:
        w[c.S_ANOMALY] |= BAD_LENGTH
    return _umas(data, at, size, w) if function == 90 else raw(w, at, size, READ)


@kernel(inline=True)
def _recall(w: Row) -> bool:
    """Take over what a request of the same function named; whether there was one."""
    known = w[c.S_HAS_REQUEST] == 1 and w[c.ASKED + c.S_FUNC] == w[c.S_FUNC]
    if known:
        w[c.S_ADDR] = w[c.ASKED + c.S_ADDR]
        w[c.S_COUNT] = w[c.ASKED + c.S_COUNT]
        w[c.S_ADDR_SUB] = w[c.ASKED + c.S_ADDR_SUB]
    return bool(known)


@kernel(inline=True)
def read_response(data: Bytes, at: int, end: int, w: Row) -> int:
    """Functions 1 to 4 and 23 (6.1 to 6.4, 6.17): what was read."""
    known = _recall(w)
    if at >= end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    count = w[c.S_COUNT] if known else -1
    quality = 0 if known else UNKNOWN_ADDRESS
    return values(data, at, end, w, w[c.S_ADDR], count, w[c.S_FUNC] <= 2, READ, quality)


@kernel()
def response(data: Bytes, at: int, end: int, w: Row) -> int:
    """Body of a response other than a read; what was asked stands in the ASKED columns where S_HAS_REQUEST says so."""
    function = w[c.S_FUNC]
    if function == 23:
        return read_response(data, at, end, w)
    known = _recall(w)
    quality = 0 if known else UNKNOWN_ADDRESS
    echo = w[c.S_ECHO]
    if known and echo != 0 and echo != w[c.ASKED + c.S_ECHO]:
        w[c.S_ANOMALY] |= CONFLICT
    if function == 5 or function == 6 or function == 15 or function == 16 or function == 21 or function == 22:
        return _echoed(data, at, end, w)
    return _seldom(data, at, end, w, known, quality)
