"""IEC 60870-5-104 over TCP: APCI framing, sequence numbers, and what an ASDU's header says.

Clauses are of IEC 60870-5-104:2006 and, for ASDUs, IEC 60870-5-101:2003.  The information objects are in
`iec104_body`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, le16, le32, u8
from pipeline.decode.protocols.base import ProtocolModule
from pipeline.decode.protocols.iec104_body import body
from pipeline.decode.protocols.iec104_types import SIZE
from pipeline.decode.signatures import FRAME, HEAD
from schemas.codes import Anomaly, Kind, Op, Protocol

Row = NDArray[np.int64]

START = 0x68
LONGEST = 253  # bytes behind the length field: 5.1
SHORTEST = 4
ESTABLISHED = 1
"""Bit of X_STATE: a frame of this protocol was seen."""

S_FRAME, U_FRAME = 0x101, 0x100
"""Functions of frames without ASDU: S, and U with its control octet in the low byte."""

_STARTDT_ACT, _STARTDT_CON, _STOPDT_ACT, _STOPDT_CON, _TESTFR_ACT, _TESTFR_CON = 0x07, 0x0B, 0x13, 0x23, 0x43, 0x83
_LENGTH = int(Anomaly.LENGTH_MISMATCH | Anomaly.MALFORMED)
_OVERSIZE = int(Anomaly.OVERSIZE | Anomaly.MALFORMED)
_SEQUENCE = int(Anomaly.SEQUENCE_ERROR)
_RESERVED = int(Anomaly.RESERVED_CODE)
_REQUEST, _RESPONSE, _UNSOLICITED, _CONTROL, _DATA = (
    int(k) for k in (Kind.REQUEST, Kind.RESPONSE, Kind.UNSOLICITED, Kind.CONTROL, Kind.DATA)
)
_SESSION, _CONFIRM = int(Op.SESSION), int(Op.CONFIRM)
_NUMBERS = 0x7FFF
_KNOWN = 1 << 15


@kernel()
def _is_control(data: Bytes, at: int) -> bool:
    """Whether data[at:at + 4] is the control field of an S or U frame: figures 7 and 8."""
    first = u8(data, at)
    if first == 1:
        return u8(data, at + 1) == 0 and u8(data, at + 2) & 1 == 0
    known = first in (_STARTDT_ACT, _STARTDT_CON, _STOPDT_ACT, _STOPDT_CON, _TESTFR_ACT, _TESTFR_CON)
    return known and le32(data, at) == first


@kernel()
def _is_apdu(data: Bytes, at: int, size: int, strict: int) -> bool:
    """Whether the APDU of `size` bytes at `at`, of which the first six are there, has the form of one.

    With `strict` all of it is there, and its ASDU must be one of a known type whose objects fill it.
    """
    if u8(data, at + 2) & 1:
        return size == 6 and _is_control(data, at + 2)
    if u8(data, at + 4) & 1 or size < 12:
        return False
    if not strict:
        return True
    cause, count = u8(data, at + 8) & 63, u8(data, at + 7) & 127
    element = SIZE[u8(data, at + 6)]
    if element < 0 or cause == 0 or cause > 47 or count == 0:
        return False
    sequence = u8(data, at + 7) >> 7
    return bool(size == 12 + (3 + count * element if sequence else count * (3 + element)))


@kernel(FRAME)
def frame(data: Bytes, at: int, end: int, w: Row) -> int:
    """Length of the APDU that starts at `at`, 0 when more bytes are needed to know, -1 when this is no IEC 104.

    Within a stream of APDUs, one with an impossible length takes the rest of the segment with it, as malformed.
    """
    size = end - at
    if size > 0 and u8(data, at) != START:
        return -1
    if size < 2:
        return -1 if w[c.X_STRICT] else 0
    length = u8(data, at + 1)
    known = w[c.X_STATE] & ESTABLISHED
    if length < SHORTEST or length > LONGEST:
        return size if known and not w[c.X_STRICT] else -1
    if w[c.X_STRICT]:
        return 2 + length if size >= 2 + length and _is_apdu(data, at, 2 + length, 1) else -1
    if known:
        return 2 + length
    if size < 6:
        return 0
    return 2 + length if _is_apdu(data, at, 2 + length, 0) else -1


@kernel()
def check_numbers(w: Row, sent: int, received: int) -> int:
    """Hold N(S) (-1 for none) and N(R) against what was seen: 5.1, figures 5 and 6.

    X_STATE keeps for each direction the next N(S) and whether it is known.
    """
    mine, theirs = 1 + 16 * w[c.C_DIR], 17 - 16 * w[c.C_DIR]
    state = w[c.X_STATE]
    if sent >= 0:
        wanted = (state >> mine) & 0xFFFF
        if wanted & _KNOWN and wanted & _NUMBERS != sent:
            w[c.S_ANOMALY] |= _SEQUENCE
        state = (state & ~(0xFFFF << mine)) | ((((sent + 1) & _NUMBERS) | _KNOWN) << mine)
    other = (state >> theirs) & 0xFFFF
    if other & _KNOWN and 0 < (received - other) & _NUMBERS < 0x4000:
        w[c.S_ANOMALY] |= _SEQUENCE  # acknowledges what was never sent
    w[c.X_STATE] = state
    return 0


@kernel()
def _kind_of(number: int, cause: int, w: Row) -> int:
    """Kind of an ASDU by type and cause (7.2.1, 7.2.3), and in S_ROLE what that tells of its sender."""
    if 45 <= number <= 69 or 100 <= number <= 113:
        if cause == 6 or cause == 8 or (cause == 5 and number == 102):
            w[c.S_ROLE] = c.SURE_REQUEST
            return _REQUEST
        if cause == 7 or cause == 9 or cause == 10 or 44 <= cause <= 47:
            w[c.S_ROLE] = c.SURE_RESPONSE
            return _RESPONSE
        return _DATA
    if number <= 44 or number == 70:
        w[c.S_ROLE] = c.ROLE_RESPONSE
        return _RESPONSE if cause == 5 else _UNSOLICITED
    return _DATA


@kernel()
def _control(data: Bytes, at: int, size: int, w: Row) -> int:
    """S and U frames."""
    first = u8(data, at + 2)
    w[c.S_KIND] = _CONTROL
    if size != 6:
        w[c.S_ANOMALY] |= _LENGTH
    if first & 3 == 1:
        w[c.S_FUNC] = S_FRAME
        w[c.S_OP] = _CONFIRM
        w[c.S_TXN] = (le16(data, at + 4) >> 1) << 16
        check_numbers(w, -1, le16(data, at + 4) >> 1)
        return 0
    w[c.S_FUNC] = U_FRAME | first
    w[c.S_OP] = _SESSION
    if not _is_control(data, at + 2):
        w[c.S_ANOMALY] |= _RESERVED
    elif first in (_STARTDT_ACT, _STOPDT_ACT):
        w[c.S_ROLE] = c.SURE_REQUEST
    elif first in (_STARTDT_CON, _STOPDT_CON):
        w[c.S_ROLE] = c.SURE_RESPONSE
    return 0


@kernel(HEAD)
def head(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill kind, role, key and unit of the APDU data[at:at + size], and check its numbers."""
    w[c.X_STATE] |= ESTABLISHED
    length = u8(data, at + 1) if size >= 2 else 0
    if length + 2 != size or size < 6:
        w[c.S_ANOMALY] |= _LENGTH
        w[c.S_KIND] = _CONTROL
        if length > LONGEST:
            w[c.S_ANOMALY] |= _OVERSIZE
        if size < 6 or length < SHORTEST or length > LONGEST:
            return 0
    if u8(data, at + 2) & 1:
        return _control(data, at, size, w)
    sent, received = le16(data, at + 2) >> 1, le16(data, at + 4) >> 1
    w[c.S_TXN] = sent | (received << 16)
    if u8(data, at + 4) & 1:
        w[c.S_ANOMALY] |= _RESERVED
    check_numbers(w, sent, received)
    w[c.S_KIND] = _DATA
    if size < 12:
        w[c.S_ANOMALY] |= _LENGTH
        w[c.S_FUNC] = u8(data, at + 6) if size > 6 else 0
        return 0
    number, cause = u8(data, at + 6), u8(data, at + 8) & 63
    w[c.S_FUNC] = number
    w[c.S_UNIT] = le16(data, at + 10)
    w[c.S_PEER_UNIT] = u8(data, at + 9)
    w[c.S_FLAGS] = u8(data, at + 8)
    w[c.S_KIND] = _kind_of(number, cause, w)
    if size >= 15:
        w[c.S_ADDR] = le16(data, at + 12) | (u8(data, at + 14) << 16)
    if w[c.S_KIND] == _REQUEST or w[c.S_KIND] == _RESPONSE:
        asked = 102 if number <= 44 else number
        cancels = 1 if cause == 8 or cause == 9 else 0
        w[c.S_KEY] = w[c.S_ADDR] | (asked << 24) | (cancels << 31)
        w[c.S_ECHO] = w[c.S_UNIT] + 1
    return 0


def _kernels() -> tuple[Any, Any, Any]:
    return frame, head, body


MODULE = ProtocolModule(protocol=Protocol.IEC104, tcp_ports=(2404,), udp_ports=(), kernels=_kernels)
