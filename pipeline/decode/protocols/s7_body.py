"""The body kernel of S7comm: outcome, and what a message, or the opening of a connection, is about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.naming import add_name
from pipeline.decode.protocols import s7_types as t
from pipeline.decode.protocols.s7_control import control
from pipeline.decode.protocols.s7_head import ACK, ACK_DATA, BAD_LENGTH, REQUEST, RESPONSE, USER, header_size
from pipeline.decode.protocols.s7_items import asked, read_values, write_codes
from pipeline.decode.protocols.s7_userdata import userdata
from pipeline.decode.signatures import BODY
from schemas.codes import Anomaly, Op, S7Flag

Row = NDArray[np.int64]

_TRAILING = int(Anomaly.TRAILING_BYTES | Anomaly.MALFORMED)
_CONFLICT = int(Anomaly.CONFLICTING_RESPONSE)
_RESERVED = int(Anomaly.RESERVED_CODE)
_PLUS = int(S7Flag.PLUS)
_VENDOR, _OP_READ, _OP_WRITE, _OP_DISCOVER, _OP_REPORT = (
    int(o) for o in (Op.VENDOR, Op.READ, Op.WRITE, Op.DISCOVER, Op.REPORT)
)


@kernel()
def _tsap(data: Bytes, at: int, size: int, w: Row) -> int:
    """A TSAP as a number where it has two bytes, else as the name of the record."""
    if size == 2:
        return be16(data, at)
    w[c.S_NAME_ID] = add_name(data, at, size, w)
    return 0


@kernel()
def _opening(data: Bytes, at: int, end: int, w: Row) -> int:
    """TSAPs of a connection request or confirm (13.3.4): the called one is the address, the calling its second part."""
    place = at + 11
    stop = min(end, at + 5 + u8(data, at + 4))
    while place + 2 <= stop:
        size = u8(data, place + 1)
        if place + 2 + size > stop:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return 0
        if u8(data, place) == 0xC1:
            w[c.S_ADDR_SUB] = _tsap(data, place + 2, size, w)
        elif u8(data, place) == 0xC2:
            w[c.S_ADDR] = _tsap(data, place + 2, size, w)
        place += 2 + size
    return 0


@kernel()
def _connection(data: Bytes, at: int, end: int, w: Row) -> int:
    """What a TPDU says that carries no message."""
    code = w[c.S_FUNC] & 0xF0
    w[c.S_ASKS] = 1 if w[c.S_KIND] == REQUEST else 0
    if end - at < 11 or 5 + u8(data, at + 4) > end - at:
        return 0
    if code == t.CR or code == t.CC:
        _opening(data, at, end, w)
    elif code == t.DR:
        w[c.S_STATUS] = t.DISCONNECTED | u8(data, at + 10)
    return 0


@kernel()
def _plus(w: Row) -> int:
    """The operation of a message of S7comm-plus by its function."""
    function = w[c.S_FUNC]
    w[c.S_ASKS] = 1 if w[c.S_KIND] == REQUEST else 0
    w[c.S_OP] = _VENDOR
    if function == 0x04F2 or function == 0x0542:
        w[c.S_OP] = _OP_WRITE
    elif function == 0x054C or function == 0x0586:
        w[c.S_OP] = _OP_READ
    elif function == 0x04BB:
        w[c.S_OP] = _OP_DISCOVER
    elif function == t.PLUS | t.PLUS_NOTIFICATION:
        w[c.S_OP] = _OP_REPORT
    if w[c.S_KIND] == RESPONSE and w[c.S_HAS_REQUEST] and w[c.ASKED + c.S_FUNC] != function:
        w[c.S_ANOMALY] |= _CONFLICT
    return 0


@kernel()
def _inherit(w: Row) -> int:
    """An answer is about what was asked."""
    w[c.S_OP] = w[c.ASKED + c.S_OP]
    w[c.S_SUBFUNC] = w[c.ASKED + c.S_SUBFUNC]
    w[c.S_SPACE] = w[c.ASKED + c.S_SPACE]
    w[c.S_ADDR] = w[c.ASKED + c.S_ADDR]
    w[c.S_COUNT] = w[c.ASKED + c.S_COUNT]
    w[c.S_ADDR_SUB] = w[c.ASKED + c.S_ADDR_SUB]
    w[c.S_NAME_ID] = w[c.ASKED + c.S_NAME_ID]
    return 0


@kernel()
def _job(data: Bytes, at: int, end: int, values: int, limit: int, w: Row) -> int:
    """A job or its acknowledgement: parameters data[at:end], data data[values:limit]."""
    function = w[c.S_FUNC]
    answers = w[c.S_KIND] == RESPONSE
    w[c.S_OP] = t.OP[function]
    if answers and w[c.S_HAS_REQUEST]:
        if at == end:
            function = w[c.S_FUNC] = w[c.ASKED + c.S_FUNC]
        elif w[c.ASKED + c.S_FUNC] != function:
            w[c.S_ANOMALY] |= _CONFLICT
            w[c.S_HAS_REQUEST] = 0
        if w[c.S_HAS_REQUEST]:
            _inherit(w)
    if w[c.S_OP] == _VENDOR and function != t.CPU_SERVICES:
        w[c.S_ANOMALY] |= _RESERVED
    if at == end:
        return 0
    if function == t.READ or function == t.WRITE:
        if not answers:
            return asked(data, at, end, values, limit, w)
        if w[c.S_STATUS] != 0 and values == limit:
            return 0
        if function == t.READ:
            return read_values(data, at, end, values, limit, w)
        return write_codes(data, at, end, values, limit, w)
    return control(data, at, end, function, w)


@kernel(BODY)
def body(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill the scratch and the runs of the TPKT or message data[at:at + size]."""
    end = at + size
    if t.COTP <= w[c.S_FUNC] < t.COTP + 0x100:
        return _connection(data, at, end, w)
    if w[c.S_FLAGS] & _PLUS:
        return _plus(w)
    if w[c.X_JOINED] == 0:
        at += 5 + u8(data, at + 4)
    if end - at < 10 or end - at < header_size(data, at):
        return 0
    kind, start = u8(data, at + 1), at + header_size(data, at)
    values = start + be16(data, at + 6)
    limit = values + be16(data, at + 8)
    w[c.S_ASKS] = 1 if w[c.S_KIND] == REQUEST else 0
    if kind in (ACK, ACK_DATA):
        w[c.S_STATUS] = be16(data, at + 10)
    if limit < end:
        w[c.S_ANOMALY] |= _TRAILING
    elif limit > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        if w[c.X_JOINED]:  # a fragment is missing, nobody knows which
            w[c.S_OP] = t.OP[w[c.S_FUNC]] if w[c.S_FUNC] < t.COTP else 0
            return 0
        values, limit = min(values, end), end
    stop = min(values, end)
    if kind == USER:
        return userdata(data, start, stop, values, limit, w)
    if w[c.S_KIND] == REQUEST or w[c.S_KIND] == RESPONSE:
        return _job(data, start, stop, values, limit, w)
    return 0
