"""What a Modbus PDU says: addresses, quantities and values of every public function, in requests and responses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.runs import add_run
from pipeline.decode.signatures import BODY
from schemas.codes import Anomaly, Direction, Kind, Op, Quality, RecordFlag, Space

Row = NDArray[np.int64]
Rows = NDArray[np.int64]

_REQUEST = int(Kind.REQUEST)
_READ, _WRITTEN, _ECHO = int(Direction.READ), int(Direction.WRITTEN), int(Direction.ECHO)
_COIL, _DISCRETE, _HOLDING, _INPUT = (
    int(Space.COIL),
    int(Space.DISCRETE_INPUT),
    int(Space.HOLDING_REGISTER),
    int(Space.INPUT_REGISTER),
)
_FILE, _FIFO, _MASK, _DIAGNOSTIC, _STATUS, _EVENT, _SERVER, _DEVICE = (
    int(Space.FILE_RECORD),
    int(Space.FIFO),
    int(Space.HOLDING_MASK),
    int(Space.DIAGNOSTIC),
    int(Space.EXCEPTION_STATUS),
    int(Space.COMM_EVENT),
    int(Space.SERVER_ID),
    int(Space.DEVICE_ID),
)
_BAD_LENGTH = int(Anomaly.MALFORMED | Anomaly.LENGTH_MISMATCH)
_BAD_COUNT = int(Anomaly.MALFORMED | Anomaly.COUNT_OUT_OF_RANGE)
_BAD_VALUE = int(Anomaly.MALFORMED | Anomaly.VALUE_OUT_OF_RANGE)
_CONFLICT = int(Anomaly.CONFLICTING_RESPONSE)
_RESERVED = int(Anomaly.RESERVED_CODE)
_ROLE = int(Anomaly.ROLE_CONFLICT | Anomaly.MALFORMED)
_OVERFLOW = int(Anomaly.ADDRESS_OVERFLOW)
_UNKNOWN_ADDRESS = int(Quality.ADDRESS_UNKNOWN)
_MORE_FOLLOWS = int(RecordFlag.MODBUS_MORE_FOLLOWS)
_RTU_FLAG = int(RecordFlag.MODBUS_RTU)
_GROUPS = c.S_EXTRAS  # file record groups whose addresses a request hands to its response

(_OP_READ, _OP_WRITE, _OP_BOTH, _OP_IDENTIFY, _OP_DIAGNOSE, _OP_RESTART, _OP_LISTEN, _OP_CLEAR, _OP_FILE_READ,
 _OP_FILE_WRITE, _OP_VENDOR, _OP_RESERVE, _OP_UPLOAD, _OP_DOWNLOAD, _OP_START, _OP_STOP, _OP_SESSION) = (
    int(o)
    for o in (Op.READ, Op.WRITE, Op.READ_WRITE, Op.IDENTIFY, Op.DIAGNOSE, Op.RESTART, Op.LISTEN_ONLY,
              Op.CLEAR_COUNTERS, Op.FILE_READ, Op.FILE_WRITE, Op.VENDOR, Op.RESERVE, Op.PROGRAM_UPLOAD,
              Op.PROGRAM_DOWNLOAD, Op.START, Op.STOP, Op.SESSION)
)  # fmt: skip


@kernel()
def op_of(function: int, sub: int) -> int:
    """Protocol-neutral verb of a function."""
    if function <= 4 or function == 24:
        return _OP_READ
    if function == 5 or function == 6 or function == 15 or function == 16 or function == 22:
        return _OP_WRITE
    if function == 23:
        return _OP_BOTH
    if function == 20:
        return _OP_FILE_READ
    if function == 21:
        return _OP_FILE_WRITE
    if function == 17 or function == 43:
        return _OP_IDENTIFY
    if function == 8:
        if sub == 1:
            return _OP_RESTART
        if sub == 4:
            return _OP_LISTEN
        return _OP_CLEAR if sub == 10 or sub == 20 else _OP_DIAGNOSE
    if function == 7 or function == 11 or function == 12:
        return _OP_DIAGNOSE
    return op_of_umas(sub) if function == 90 else _OP_VENDOR


@kernel()
def op_of_umas(sub: int) -> int:
    """Verb of a UMAS function."""
    if sub == 0x40:
        return _OP_START
    if sub == 0x41:
        return _OP_STOP
    if sub == 0x10 or sub == 0x11:
        return _OP_RESERVE
    if 0x30 <= sub <= 0x32:
        return _OP_UPLOAD
    if 0x33 <= sub <= 0x35:
        return _OP_DOWNLOAD
    if sub == 0x21 or sub == 0x23 or sub == 0x25 or sub == 0x71:
        return _OP_WRITE
    if sub == 0x20 or sub == 0x22 or sub == 0x24 or sub == 0x70:
        return _OP_READ
    if 0x02 <= sub <= 0x06:
        return _OP_IDENTIFY
    return _OP_SESSION if sub == 0x01 or sub == 0x12 else _OP_DIAGNOSE


@kernel()
def is_reserved(function: int) -> bool:
    """Codes that are neither public nor open to users (65 to 72, 100 to 110): V1.1b3 5.1 and annex A."""
    return (
        function == 0
        or 9 <= function <= 10
        or 13 <= function <= 14
        or 18 <= function <= 19
        or 25 <= function <= 42
        or 44 <= function <= 64
        or 73 <= function <= 89
        or 91 <= function <= 99
        or 111 <= function <= 127
    )


@kernel()
def space_of(function: int) -> int:
    """Kind of the points that a function addresses."""
    if function == 1 or function == 5 or function == 15:
        return _COIL
    if function == 2:
        return _DISCRETE
    if function == 4:
        return _INPUT
    if function == 3 or function == 6 or function == 16 or function == 22 or function == 23:
        return _HOLDING
    if function == 20 or function == 21:
        return _FILE
    if function == 24:
        return _FIFO
    if function == 8:
        return _DIAGNOSTIC
    if function == 7:
        return _STATUS
    if function == 11 or function == 12:
        return _EVENT
    if function == 17:
        return _SERVER
    return _DEVICE if function == 43 else 0


@kernel()
def _address(w: Row, addr: int, count: int, most: int) -> int:
    """Note what is addressed; quantities beyond the specification's limit are malformed."""
    w[c.S_ADDR] = addr
    w[c.S_COUNT] = count
    if count < 1 or count > most:
        w[c.S_ANOMALY] |= _BAD_COUNT
    if addr + count > 65536:
        w[c.S_ANOMALY] |= _OVERFLOW
    return 0


@kernel()
def _request_groups(data: Bytes, at: int, end: int, w: Row, writes: bool) -> int:
    """File record groups (6.14, 6.15): the first goes into the record, all into the extras of the request."""
    size = u8(data, at)
    if at + 1 + size != end:
        w[c.S_ANOMALY] |= _BAD_LENGTH
    at += 1
    k = 0
    total = 0
    while at + 7 <= end:
        file, record, count = be16(data, at + 1), be16(data, at + 3), be16(data, at + 5)
        if u8(data, at) != 6:
            w[c.S_ANOMALY] |= _BAD_VALUE
        if k == 0:
            w[c.S_ADDR_SUB] = file
            w[c.S_ADDR] = record
        if k < _GROUPS:
            w[c.S_EXTRA + k] = (file << 32) | (record << 16) | count
        total += count
        at += 7
        k += 1
        if writes:
            there = min(count, (end - at) // 2)
            if there < count:
                w[c.S_ANOMALY] |= _BAD_LENGTH
            direction = _WRITTEN if w[c.S_KIND] == _REQUEST else _ECHO
            run = add_run(w, _FILE, record, there, c.ENC_U16BE, at, direction, 0)
            if run >= 0:
                w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = file
            at += 2 * there
    if at != end:
        w[c.S_ANOMALY] |= _BAD_LENGTH
    w[c.S_COUNT] = total
    return k


@kernel()
def _request(data: Bytes, at: int, end: int, w: Row) -> int:
    """Body of a request; data[at] is the first byte behind the function code."""
    function = w[c.S_FUNC]
    size = end - at
    if function <= 4 and function >= 1:
        if size != 4:
            w[c.S_ANOMALY] |= _BAD_LENGTH
        if size >= 4:
            _address(w, be16(data, at), be16(data, at + 2), 2000 if function <= 2 else 125)
    elif function == 5 or function == 6:
        _single(data, at, size, w, _WRITTEN)
    elif function == 15 or function == 16:
        if size < 5:
            w[c.S_ANOMALY] |= _BAD_LENGTH
            return 0
        count = be16(data, at + 2)
        _address(w, be16(data, at), count, 1968 if function == 15 else 123)
        _values(data, at + 4, end, w, w[c.S_ADDR], count, function == 15, _WRITTEN, 0)
    elif function == 8:
        if size < 4 or size % 2 != 0:
            w[c.S_ANOMALY] |= _BAD_LENGTH
        w[c.S_COUNT] = max(0, (size - 2) // 2)
        add_run(w, _DIAGNOSTIC, w[c.S_SUBFUNC], (size - 2) // 2, c.ENC_U16BE, at + 2, _WRITTEN, 0)
    elif function == 20 or function == 21:
        if size < 1:
            w[c.S_ANOMALY] |= _BAD_LENGTH
            return 0
        _request_groups(data, at, end, w, function == 21)
    elif function == 22:
        _mask(data, at, size, w, _WRITTEN)
    elif function == 23:
        if size < 9:
            w[c.S_ANOMALY] |= _BAD_LENGTH
            return 0
        _address(w, be16(data, at), be16(data, at + 2), 125)
        count = be16(data, at + 6)
        if count < 1 or count > 121:
            w[c.S_ANOMALY] |= _BAD_COUNT
        _values(data, at + 8, end, w, be16(data, at + 4), count, False, _WRITTEN, 0)
    elif function == 24:
        if size != 2:
            w[c.S_ANOMALY] |= _BAD_LENGTH
        if size >= 2:
            w[c.S_ADDR] = be16(data, at)
    elif function == 43:
        if w[c.S_SUBFUNC] == 14:
            if size != 3:
                w[c.S_ANOMALY] |= _BAD_LENGTH
            if size >= 3:
                w[c.S_ADDR] = u8(data, at + 2)
                w[c.S_ADDR_SUB] = u8(data, at + 1)
        else:
            _raw(w, at, size, _WRITTEN)
    elif function == 7 or function == 11 or function == 12 or function == 17:
        if size != 0:
            w[c.S_ANOMALY] |= _BAD_LENGTH
    else:
        _raw(w, at, size, _WRITTEN)
    return 0


@kernel()
def _raw(w: Row, at: int, size: int, direction: int) -> int:
    """Bytes without a meaning here, kept as one point of their content."""
    if size > 0:
        run = add_run(w, 0, w[c.S_FUNC], 1, c.ENC_BYTES, at, direction, 0)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = size
            w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = w[c.S_SUBFUNC]
    return 0


@kernel()
def _single(data: Bytes, at: int, size: int, w: Row, direction: int) -> int:
    """Address and value of functions 5 and 6, in a request or its echo (6.5, 6.6)."""
    if size != 4:
        w[c.S_ANOMALY] |= _BAD_LENGTH
    if size < 4:
        return 0
    w[c.S_ADDR] = be16(data, at)
    w[c.S_COUNT] = 1
    w[c.S_EXTRA] = be16(data, at + 2)
    if w[c.S_FUNC] == 5:
        if w[c.S_EXTRA] != 0 and w[c.S_EXTRA] != 0xFF00:
            w[c.S_ANOMALY] |= _BAD_VALUE
        add_run(w, _COIL, w[c.S_ADDR], 1, c.ENC_BOOL_FF00, at + 2, direction, 0)
    else:
        add_run(w, _HOLDING, w[c.S_ADDR], 1, c.ENC_U16BE, at + 2, direction, 0)
    return 0


@kernel()
def _mask(data: Bytes, at: int, size: int, w: Row, direction: int) -> int:
    """AND and OR masks of function 22 (6.16)."""
    if size != 6:
        w[c.S_ANOMALY] |= _BAD_LENGTH
    if size < 6:
        return 0
    w[c.S_ADDR] = be16(data, at)
    w[c.S_COUNT] = 1
    w[c.S_EXTRA] = (be16(data, at + 2) << 16) | be16(data, at + 4)
    for sub in range(2):
        run = add_run(w, _MASK, w[c.S_ADDR], 1, c.ENC_U16BE, at + 2 + 2 * sub, direction, 0)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = sub
    return 0


@kernel()
def _values(
    data: Bytes, at: int, end: int, w: Row, addr: int, count: int, bits: bool, direction: int, quality: int
) -> int:
    """Byte count and values; `count` values were announced, -1 when unknown."""
    announced = u8(data, at)
    there = end - at - 1
    if announced != there:
        w[c.S_ANOMALY] |= _BAD_LENGTH
    there = min(there, announced)
    if bits:
        if count >= 0 and (count + 7) // 8 != announced:
            w[c.S_ANOMALY] |= _BAD_LENGTH if direction == _WRITTEN else _CONFLICT
        number = min(count, 8 * there) if count >= 0 else 8 * there
        add_run(w, space_of(w[c.S_FUNC]), addr, number, c.ENC_BIT, at + 1, direction, quality)
        return 0
    if announced % 2 != 0:
        w[c.S_ANOMALY] |= _BAD_LENGTH
    if count >= 0 and 2 * count != announced:
        w[c.S_ANOMALY] |= _BAD_LENGTH if direction == _WRITTEN else _CONFLICT
    number = min(count, there // 2) if count >= 0 else there // 2
    add_run(w, space_of(w[c.S_FUNC]), addr, number, c.ENC_U16BE, at + 1, direction, quality)
    return 0


@kernel()
def _response(data: Bytes, at: int, end: int, w: Row) -> int:
    """Body of a response; what was asked stands in `q` where S_HAS_REQUEST says so."""
    function = w[c.S_FUNC]
    size = end - at
    known = w[c.S_HAS_REQUEST] == 1 and w[c.ASKED + c.S_FUNC] == function
    quality = 0 if known else _UNKNOWN_ADDRESS
    if known:
        w[c.S_ADDR] = w[c.ASKED + c.S_ADDR]
        w[c.S_COUNT] = w[c.ASKED + c.S_COUNT]
        w[c.S_ADDR_SUB] = w[c.ASKED + c.S_ADDR_SUB]
    if 1 <= function <= 4 or function == 23:
        if size < 1:
            w[c.S_ANOMALY] |= _BAD_LENGTH
            return 0
        count = w[c.S_COUNT] if known else -1
        _values(data, at, end, w, w[c.S_ADDR], count, function <= 2, _READ, quality)
    elif function == 5 or function == 6:
        _single(data, at, size, w, _ECHO)
        if known and (w[c.S_ADDR] != w[c.ASKED + c.S_ADDR] or w[c.S_EXTRA] != w[c.ASKED + c.S_EXTRA]):
            w[c.S_ANOMALY] |= _CONFLICT
    elif function == 15 or function == 16:
        if size != 4:
            w[c.S_ANOMALY] |= _BAD_LENGTH
        if size >= 4:
            _address(w, be16(data, at), be16(data, at + 2), 1968 if function == 15 else 123)
            if known and (w[c.S_ADDR] != w[c.ASKED + c.S_ADDR] or w[c.S_COUNT] != w[c.ASKED + c.S_COUNT]):
                w[c.S_ANOMALY] |= _CONFLICT
    elif function == 22:
        _mask(data, at, size, w, _ECHO)
        if known and (w[c.S_ADDR] != w[c.ASKED + c.S_ADDR] or w[c.S_EXTRA] != w[c.ASKED + c.S_EXTRA]):
            w[c.S_ANOMALY] |= _CONFLICT
    elif function == 20:
        _file_response(data, at, end, w, known)
    elif function == 21:
        if size < 1:
            w[c.S_ANOMALY] |= _BAD_LENGTH
            return 0
        _request_groups(data, at, end, w, True)
    elif function == 7:
        if size != 1:
            w[c.S_ANOMALY] |= _BAD_LENGTH
        add_run(w, _STATUS, 0, min(size, 1), c.ENC_U8, at, _READ, 0)
    else:
        _other_response(data, at, end, w, quality)
    return 0


@kernel()
def _other_response(data: Bytes, at: int, end: int, w: Row, quality: int) -> int:
    """Responses that need nothing of their request but the address it named."""
    function = w[c.S_FUNC]
    size = end - at
    if function == 8:
        if size < 4 or size % 2 != 0:
            w[c.S_ANOMALY] |= _BAD_LENGTH
        w[c.S_COUNT] = max(0, (size - 2) // 2)
        add_run(w, _DIAGNOSTIC, w[c.S_SUBFUNC], (size - 2) // 2, c.ENC_U16BE, at + 2, _READ, 0)
    elif function == 11:
        if size != 4:
            w[c.S_ANOMALY] |= _BAD_LENGTH
        add_run(w, _EVENT, 0, min(2, size // 2), c.ENC_U16BE, at, _READ, 0)
    elif function == 12:
        if size < 7 or size != 1 + u8(data, at):
            w[c.S_ANOMALY] |= _BAD_LENGTH
        if size >= 7:
            add_run(w, _EVENT, 0, 3, c.ENC_U16BE, at + 1, _READ, 0)
            add_run(w, _EVENT, 16, size - 7, c.ENC_U8, at + 7, _READ, 0)
    elif function == 17:
        if size < 1 or size != 1 + u8(data, at):
            w[c.S_ANOMALY] |= _BAD_LENGTH
        if size > 1:
            run = add_run(w, _SERVER, 0, 1, c.ENC_TEXT, at + 1, _READ, 0)
            if run >= 0:
                w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = size - 1
    elif function == 24:
        if size < 4 or be16(data, at) != size - 2 or be16(data, at + 2) > 31:
            w[c.S_ANOMALY] |= _BAD_LENGTH
        if size >= 4:
            w[c.S_COUNT] = be16(data, at + 2)
            there = min(w[c.S_COUNT], (size - 4) // 2)
            run = add_run(w, _FIFO, 0, there, c.ENC_U16BE, at + 4, _READ, quality)
            if run >= 0:
                w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = w[c.S_ADDR]
    elif function == 43 and w[c.S_SUBFUNC] == 14:
        _device_id(data, at, end, w)
    elif function == 90:
        if size >= 2 and u8(data, at + 1) == 0xFD:
            w[c.S_STATUS] = 0xFD
        _raw(w, at, size, _READ)
    else:
        _raw(w, at, size, _READ)
    return 0


@kernel()
def _file_response(data: Bytes, at: int, end: int, w: Row, known: bool) -> int:
    """Groups of a read file record response (6.14): each a length, the reference type 6, and the registers."""
    if at >= end or at + 1 + u8(data, at) != end:
        w[c.S_ANOMALY] |= _BAD_LENGTH
    at += 1
    k = 0
    while at + 2 <= end:
        length = u8(data, at)
        if length < 1 or length % 2 != 1 or u8(data, at + 1) != 6:
            w[c.S_ANOMALY] |= _BAD_LENGTH
            return 0
        there = min((length - 1) // 2, (end - at - 2) // 2)
        if known and k < _GROUPS:
            group = w[c.ASKED + c.S_EXTRA + k]
            if there != group & 0xFFFF:
                w[c.S_ANOMALY] |= _CONFLICT
            run = add_run(w, _FILE, (group >> 16) & 0xFFFF, there, c.ENC_U16BE, at + 2, _READ, 0)
            if run >= 0:
                w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = group >> 32
        else:
            add_run(w, _FILE, 0, there, c.ENC_U16BE, at + 2, _READ, _UNKNOWN_ADDRESS)
        at += 1 + length
        k += 1
    if at != end:
        w[c.S_ANOMALY] |= _BAD_LENGTH
    return 0


@kernel()
def _device_id(data: Bytes, at: int, end: int, w: Row) -> int:
    """Objects of a read device identification response (6.21)."""
    if end - at < 6:
        w[c.S_ANOMALY] |= _BAD_LENGTH
        return 0
    w[c.S_ADDR_SUB] = u8(data, at + 1)
    if u8(data, at + 3) == 0xFF:
        w[c.S_FLAGS] |= _MORE_FOLLOWS
    w[c.S_COUNT] = u8(data, at + 5)
    at += 6
    for _ in range(w[c.S_COUNT]):
        if at + 2 > end:
            w[c.S_ANOMALY] |= _BAD_LENGTH
            return 0
        length = u8(data, at + 1)
        if at + 2 + length > end:
            w[c.S_ANOMALY] |= _BAD_LENGTH
            length = end - at - 2
        run = add_run(w, _DEVICE, u8(data, at), 1, c.ENC_TEXT, at + 2, _READ, 0)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = length
        at += 2 + length
    if at != end:
        w[c.S_ANOMALY] |= _BAD_LENGTH
    return 0


@kernel()
def _subfunction(data: Bytes, at: int, end: int, w: Row) -> int:
    """Sub-function of functions 8, 43 and 90; a UMAS answer and an exception take that of their request."""
    function = w[c.S_FUNC]
    request = w[c.S_KIND] == _REQUEST
    if w[c.S_HAS_REQUEST] == 1 and w[c.ASKED + c.S_FUNC] == function and (function == 90 or w[c.S_STATUS] != 0):
        w[c.S_SUBFUNC] = w[c.ASKED + c.S_SUBFUNC]
    elif w[c.S_STATUS] != 0:
        return 0
    elif function == 8 and at + 2 <= end:
        w[c.S_SUBFUNC] = be16(data, at)
    elif (function == 43 and at + 1 <= end) or (function == 90 and request and at + 2 <= end):
        w[c.S_SUBFUNC] = u8(data, at if function == 43 else at + 1)
    elif function == 90 and at + 2 <= end:
        w[c.S_SUBFUNC] = u8(data, at + 1)
    return 0


@kernel(BODY)
def body(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill the scratch and the runs of the PDU data[at:at + size]; S_KIND says which half it is."""
    rtu = w[c.S_FLAGS] & _RTU_FLAG
    start = at + (1 if rtu else 7)
    end = at + size - (2 if rtu else 0)
    if start >= end:
        w[c.S_ANOMALY] |= _BAD_LENGTH
        return 0
    function = u8(data, start)
    start += 1
    request = w[c.S_KIND] == _REQUEST
    w[c.S_ASKS] = 0 if (w[c.S_UNIT] == 0 and rtu) else 1
    w[c.S_FUNC] = function
    if function >= 0x80:
        if request:
            w[c.S_ANOMALY] |= _ROLE
            return 0
        w[c.S_FUNC] = function & 0x7F
        if end - start != 1:
            w[c.S_ANOMALY] |= _BAD_LENGTH
        w[c.S_STATUS] = u8(data, start) if start < end else 0
    function = w[c.S_FUNC]
    _subfunction(data, start, end, w)
    w[c.S_OP] = op_of(function, w[c.S_SUBFUNC])
    w[c.S_SPACE] = space_of(function)
    if is_reserved(function):
        w[c.S_ANOMALY] |= _RESERVED
    if request:
        return int(_request(data, start, end, w))
    if w[c.S_HAS_REQUEST] == 1 and w[c.ASKED + c.S_FUNC] != function:
        w[c.S_ANOMALY] |= _CONFLICT
    if w[c.S_STATUS] != 0:
        if w[c.S_HAS_REQUEST] == 1:
            w[c.S_ADDR] = w[c.ASKED + c.S_ADDR]
            w[c.S_COUNT] = w[c.ASKED + c.S_COUNT]
            w[c.S_ADDR_SUB] = w[c.ASKED + c.S_ADDR_SUB]
        return 0
    return int(_response(data, start, end, w))
