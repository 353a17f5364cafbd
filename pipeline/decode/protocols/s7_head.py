"""Headers of messages of S7comm and S7comm-plus: who speaks, what is asked, and what an answer answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.protocols import s7_types as t
from schemas.codes import Anomaly, Kind, S7Flag

Row = NDArray[np.int64]

S7, S7_PLUS = 0x32, 0x72
JOB, ACK, ACK_DATA, USER = 1, 2, 3, 7
ESTABLISHED = 1
"""Bit of X_STATE: a message of S7 was seen."""
GOES_ON = 32
"""Bit of X_STATE: a message of S7comm-plus goes on in the next one; for each direction (32 and 64)."""
OPENING = 16
"""Place in X_STATE of the called TSAP: the kind of connection in its high byte, rack and slot in the low one."""
BAD_LENGTH = int(Anomaly.MALFORMED | Anomaly.LENGTH_MISMATCH)

REQUEST, RESPONSE, UNSOLICITED, DATA = (int(k) for k in (Kind.REQUEST, Kind.RESPONSE, Kind.UNSOLICITED, Kind.DATA))
_BAD_ID = int(Anomaly.BAD_PROTOCOL_ID | Anomaly.MALFORMED)
_RESERVED = int(Anomaly.RESERVED_CODE)
_PG, _OP, _BASIC, _MORE, _PLUS, _FROM_DEVICE = (
    int(b) for b in (S7Flag.PG, S7Flag.OP, S7Flag.BASIC, S7Flag.MORE, S7Flag.PLUS, S7Flag.FROM_DEVICE)
)
_JOBS, _USERDATA, _PLUS_KEYS = 1 << 41, 1 << 42, 1 << 43


@kernel()
def header_size(data: Bytes, at: int) -> int:
    """Bytes of the header of a message of S7comm: acknowledgements have an error class and code more."""
    kind = u8(data, at + 1)
    return 12 if kind in (ACK, ACK_DATA) else 10


@kernel()
def opened_as(w: Row) -> int:
    """Flag of the kind of the connection, 0 where its opening was not seen or says another."""
    kind = (w[c.X_STATE] >> (OPENING + 8)) & 0xFF
    return _PG if kind == 1 else (_OP if kind == 2 else (_BASIC if kind == 3 else 0))


@kernel()
def _user(data: Bytes, at: int, parameters: int, w: Row) -> int:
    """The parameters of userdata: 00 01 12, their size, method, kind and group, sub-function, sequence number."""
    w[c.S_KIND] = DATA
    w[c.S_FUNC] = t.USERDATA
    if parameters < 8:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    kind, group = u8(data, at + 5) >> 4, u8(data, at + 5) & 15
    w[c.S_FUNC] = t.USERDATA | group
    w[c.S_SUBFUNC] = u8(data, at + 6)
    w[c.S_KEY] = w[c.S_TXN] | _USERDATA
    if kind == 4 or kind == 7:
        w[c.S_KIND] = REQUEST
        w[c.S_ROLE] = c.ROLE_REQUEST
    elif kind == 8 or kind == 11:
        w[c.S_KIND] = RESPONSE
        w[c.S_ROLE] = c.ROLE_RESPONSE
    elif kind == 0 or kind == 3:
        w[c.S_KIND] = UNSOLICITED
        w[c.S_ROLE] = c.ROLE_RESPONSE
    else:
        w[c.S_ANOMALY] |= _RESERVED
    if parameters >= 10 and kind != 4 and kind != 7 and u8(data, at + 9):
        w[c.S_FLAGS] |= _MORE
    return 0


@kernel()
def _job(data: Bytes, at: int, kind: int, parameters: int, w: Row) -> int:
    """Jobs and what acknowledges them: their first parameter is the function."""
    w[c.S_KEY] = w[c.S_TXN] | _JOBS
    if parameters > 0:
        w[c.S_FUNC] = u8(data, at)
    fetches = w[c.S_FUNC] == t.DOWNLOAD or w[c.S_FUNC] == t.DOWNLOAD_END
    if fetches:  # the controller asks for what it is to be given
        w[c.S_FLAGS] |= _FROM_DEVICE
    if kind == JOB:
        w[c.S_KIND] = REQUEST
        w[c.S_ROLE] = c.ROLE_RESPONSE if fetches else c.ROLE_REQUEST
        if parameters == 0:
            w[c.S_ANOMALY] |= BAD_LENGTH
    else:
        w[c.S_KIND] = RESPONSE
        w[c.S_ROLE] = c.ROLE_REQUEST if fetches else c.ROLE_RESPONSE
    return 0


@kernel()
def _plus(data: Bytes, at: int, end: int, w: Row) -> int:
    """S7comm-plus: version, opcode, function and sequence number; what it carries is not decoded.

    In version 3 a checksum stands before the opcode, behind its own length.  A message goes on in the next one where
    no trailer ends it; what goes on has no opcode.
    """
    goes_on = GOES_ON << w[c.C_DIR]
    w[c.S_KIND] = DATA
    w[c.S_FUNC] = t.PLUS
    w[c.S_FLAGS] = _PLUS | opened_as(w)
    if end - at < 8:
        w[c.S_ANOMALY] |= BAD_LENGTH if end - at < 4 or u8(data, at + 1) < 0xFE else 0
        return 0
    version, size = u8(data, at + 1), be16(data, at + 2)
    w[c.S_ADDR_SUB] = version
    w[c.X_STATE] |= ESTABLISHED
    last = at + 4 + size
    again = w[c.X_STATE] & goes_on != 0
    w[c.X_STATE] &= ~goes_on
    if last > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    if last == end and version < 0xFE:
        w[c.X_STATE] |= goes_on
        w[c.S_FLAGS] |= _MORE
    at += 4
    if again or version >= 0xFE:
        return 0
    if version == 3 and at < last:
        at += 1 + u8(data, at)
    if at >= last:
        return 0
    opcode = u8(data, at)
    w[c.S_FUNC] = t.PLUS | opcode
    if opcode == t.PLUS_NOTIFICATION:
        w[c.S_KIND] = UNSOLICITED
        w[c.S_ROLE] = c.ROLE_RESPONSE
    if (opcode != t.PLUS_REQUEST and opcode != t.PLUS_RESPONSE) or at + 9 > last:
        return 0
    function = be16(data, at + 3)
    w[c.S_TXN] = be16(data, at + 7)
    w[c.S_KEY] = w[c.S_TXN] | _PLUS_KEYS
    w[c.S_KIND] = REQUEST if opcode == t.PLUS_REQUEST else RESPONSE
    w[c.S_ROLE] = c.ROLE_REQUEST if opcode == t.PLUS_REQUEST else c.ROLE_RESPONSE
    if function >= t.PLUS_FUNCTIONS:
        w[c.S_FUNC] = function
    else:
        w[c.S_ANOMALY] |= _RESERVED
    return 0


@kernel()
def message(data: Bytes, at: int, end: int, w: Row) -> int:
    """Fill kind, role, key, transaction and function of the message data[at:end]."""
    w[c.S_KIND] = DATA
    w[c.S_FUNC] = t.COTP | t.DT
    w[c.S_UNIT] = (w[c.X_STATE] >> OPENING) & 0xFF
    if at >= end:  # a capture that ends with the header before it
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    if u8(data, at) == S7_PLUS:
        return _plus(data, at, end, w)
    if u8(data, at) != S7:
        w[c.S_ANOMALY] |= _BAD_ID
        return 0
    w[c.S_FUNC] = 0
    w[c.S_FLAGS] = opened_as(w)
    if end - at < 10:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    kind, header = u8(data, at + 1), header_size(data, at)
    w[c.S_FLAGS] |= kind & 7
    w[c.S_TXN] = be16(data, at + 4)
    parameters = min(be16(data, at + 6), end - at - header)
    if end - at < header:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    if kind == USER:
        w[c.X_STATE] |= ESTABLISHED
        return _user(data, at + header, parameters, w)
    if JOB <= kind <= ACK_DATA:
        w[c.X_STATE] |= ESTABLISHED
        return _job(data, at + header, kind, parameters, w)
    w[c.S_ANOMALY] |= _RESERVED
    return 0
