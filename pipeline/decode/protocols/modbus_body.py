"""The body kernel of Modbus: which half a PDU is, its sub-function and its outcome; then request or response."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.protocols.modbus_codes import NO_CODE, is_named_exception, is_reserved, op_of, space_of
from pipeline.decode.protocols.modbus_parts import BAD_LENGTH, BAD_VALUE, CONFLICT, REQUEST
from pipeline.decode.protocols.modbus_request import read_request, request
from pipeline.decode.protocols.modbus_response import read_response, response
from pipeline.decode.signatures import BODY
from schemas.codes import Anomaly, RecordFlag

Row = NDArray[np.int64]

_RESERVED = int(Anomaly.RESERVED_CODE)
_ROLE = int(Anomaly.ROLE_CONFLICT | Anomaly.MALFORMED)
_RTU_FLAG = int(RecordFlag.MODBUS_RTU)


@kernel()
def _subfunction(data: Bytes, at: int, end: int, w: Row) -> int:
    """Sub-function of functions 8, 43 and 90; a UMAS answer and an exception take that of their request."""
    function = w[c.S_FUNC]
    if w[c.S_HAS_REQUEST] == 1 and w[c.ASKED + c.S_FUNC] == function and (function == 90 or w[c.S_STATUS] != 0):
        w[c.S_SUBFUNC] = w[c.ASKED + c.S_SUBFUNC]
    elif w[c.S_STATUS] != 0:
        return 0
    elif function == 8 and at + 2 <= end:
        w[c.S_SUBFUNC] = be16(data, at)
    elif function == 43 and at + 1 <= end:
        w[c.S_SUBFUNC] = u8(data, at)
    elif function == 90 and at + 2 <= end:
        w[c.S_SUBFUNC] = u8(data, at + 1)
    return 0


@kernel()
def _exception(data: Bytes, at: int, end: int, w: Row) -> int:
    """Exception code (7); one that is missing or 0 is an error without a code."""
    if end - at != 1:
        w[c.S_ANOMALY] |= BAD_LENGTH
    code = u8(data, at) if at < end else 0
    if code == 0:
        w[c.S_ANOMALY] |= BAD_VALUE
        code = NO_CODE
    elif not is_named_exception(code):
        w[c.S_ANOMALY] |= _RESERVED
    w[c.S_STATUS] = code
    return 0


@kernel()
def _refused(w: Row) -> int:
    """An exception response speaks of what its request named."""
    if w[c.S_HAS_REQUEST] == 1 and w[c.ASKED + c.S_FUNC] == w[c.S_FUNC]:
        w[c.S_ADDR] = w[c.ASKED + c.S_ADDR]
        w[c.S_COUNT] = w[c.ASKED + c.S_COUNT]
        w[c.S_ADDR_SUB] = w[c.ASKED + c.S_ADDR_SUB]
    return 0


@kernel(BODY)
def body(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill the scratch and the runs of the PDU data[at:at + size]; S_KIND says which half it is."""
    rtu = w[c.S_FLAGS] & _RTU_FLAG
    start = at + (1 if rtu else 7)
    end = at + size - (2 if rtu else 0)
    if start >= end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    function = u8(data, start)
    start += 1
    asks = w[c.S_KIND] == REQUEST
    w[c.S_ASKS] = 0 if (w[c.S_UNIT] == 0 and rtu) else 1
    w[c.S_FUNC] = function
    if function >= 0x80:
        if asks:
            w[c.S_ANOMALY] |= _ROLE
            return 0
        w[c.S_FUNC] = function & 0x7F
        _exception(data, start, end, w)
    function = w[c.S_FUNC]
    sub = i64(0)
    if function == 8 or function == 43 or function == 90:
        _subfunction(data, start, end, w)
        sub = w[c.S_SUBFUNC]
    w[c.S_OP] = op_of(function, sub)
    w[c.S_SPACE] = space_of(function)
    if is_reserved(function, sub) and (function != 43 or w[c.S_STATUS] == 0 or w[c.S_HAS_REQUEST] == 1):
        w[c.S_ANOMALY] |= _RESERVED
    is_read = 1 <= function <= 4  # the daily bread is done here, without another call
    if asks:
        return read_request(data, start, end - start, w) if is_read else request(data, start, end, w)
    if w[c.S_HAS_REQUEST] == 1 and w[c.ASKED + c.S_FUNC] != function:
        w[c.S_ANOMALY] |= CONFLICT
    if w[c.S_STATUS] != 0:
        return _refused(w)
    return read_response(data, start, end, w) if is_read else response(data, start, end, w)
