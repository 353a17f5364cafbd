"""DNP3 over TCP and UDP: link frames with their CRCs, transport segments, and the header of an application fragment.

Clauses are of IEEE Std 1815-2012.  A link frame is the PDU; its user data are a transport segment of an application
fragment, joined by `pipeline.decode.joining`.  The objects of a fragment are in `dnp3_body`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, le16, u8
from pipeline.decode.protocols import dnp3_crc as crc
from pipeline.decode.protocols.base import ProtocolModule
from pipeline.decode.protocols.dnp3_body import body
from pipeline.decode.signatures import FRAME, HEAD
from schemas.codes import Anomaly, Dnp3Flag, Kind, Op, Protocol, RecordFlag

Row = NDArray[np.int64]

START = 0x0564
ESTABLISHED = 1
"""Bit of X_STATE: a frame of this protocol was seen."""
LINK = 0x100
"""Functions of frames without an application header: this, bit 6 for a primary station's, and the link function."""

_HEADER = 10
_SHORTEST = 5  # the length counts control, destination and source: 9.2.4.1.2
_BROADCAST = 0xFFFD
_FIRST_SEQ, _SEVERAL = 8, 1 << 12
"""X_STATE of a response of several fragments: the sequence number of the first, and that more are to come."""
_LENGTH = int(Anomaly.LENGTH_MISMATCH | Anomaly.MALFORMED)
_BAD_CRC = int(Anomaly.BAD_CHECKSUM)
_TRAILING = int(Anomaly.TRAILING_BYTES | Anomaly.MALFORMED)
_ROLE = int(Anomaly.ROLE_CONFLICT)
_RESERVED = int(Anomaly.RESERVED_CODE)
_REQUEST, _RESPONSE, _UNSOLICITED, _CONFIRM, _CONTROL, _DATA = (
    int(k) for k in (Kind.REQUEST, Kind.RESPONSE, Kind.UNSOLICITED, Kind.CONFIRM, Kind.CONTROL, Kind.DATA)
)
_SESSION = int(Op.SESSION)
_TO_ALL = int(RecordFlag.BROADCAST)
_PRIMARY, _FROM_MASTER = int(Dnp3Flag.PRIMARY), int(Dnp3Flag.FROM_MASTER)
_UNSOLICITED_BIT = 1 << 36


@kernel()
def frame_size(length: int) -> int:
    """Bytes of a frame whose length field says `length`: header, user data, and a CRC for each block of them."""
    user = length - _SHORTEST
    return _HEADER + user + 2 * ((user + crc.BLOCK - 1) // crc.BLOCK)


@kernel(FRAME)
def frame(data: Bytes, at: int, end: int, w: Row) -> int:
    """Length of the link frame that starts at `at`, 0 when more bytes are needed to know, -1 when this is no DNP3.

    A connection begins with a frame whose header's CRC is right.  Later, a header that is wrong takes what its length
    says with it, but no more than is there.
    """
    size = end - at
    if size > 0 and u8(data, at) != START >> 8:
        return -1
    if size < 2:
        return -1 if w[c.X_STRICT] else 0
    if be16(data, at) != START:
        return -1
    if size < _HEADER:
        return -1 if w[c.X_STRICT] else 0
    length = u8(data, at + 2)
    right = length >= _SHORTEST and crc.holds(data, at, crc.HEADER)
    if right:
        return frame_size(length)
    if w[c.X_STRICT] or not w[c.X_STATE] & ESTABLISHED:
        return -1
    return min(size, frame_size(length)) if length >= _SHORTEST else size


@kernel()
def _segment(data: Bytes, at: int, size: int, user: int, w: Row) -> int:
    """User data of a frame: a transport segment (8.2), whose octet of control comes first."""
    there = crc.whole_blocks(data, at + _HEADER, at + size, user)
    if there < 0:
        w[c.S_ANOMALY] |= _BAD_CRC
        return 0
    if there < 2:
        w[c.S_ANOMALY] |= _LENGTH
        return 0
    control = u8(data, at + _HEADER)
    last = control >> 7
    if there < user:
        w[c.S_ANOMALY] |= _LENGTH
        if not control & 0x40 or not last:
            return 0
    w[c.S_JOIN] = 1
    w[c.J_KEY] = (w[c.S_UNIT] << 16) | w[c.S_PEER_UNIT]
    w[c.J_FIRST] = (control >> 6) & 1
    w[c.J_LAST] = last
    w[c.J_SEQ] = control & 63
    w[c.J_MODULO] = 64
    w[c.J_AT] = at + _HEADER + 1
    w[c.J_LENGTH] = there - 1
    w[c.J_LEAD] = crc.BLOCK - 1
    w[c.J_BLOCK] = crc.BLOCK
    w[c.J_GAP] = 2
    return 0


@kernel()
def _link(data: Bytes, at: int, size: int, w: Row) -> int:
    """A link frame (9.2.4): its addresses, what it asks of the other link layer, or the segment that it carries."""
    w[c.X_STATE] |= ESTABLISHED
    w[c.S_KIND] = _DATA
    w[c.S_FUNC] = LINK
    if size < _HEADER:
        w[c.S_ANOMALY] |= _LENGTH
        return 0
    control, target, source = u8(data, at + 3), le16(data, at + 4), le16(data, at + 6)
    from_master = control >> 7
    w[c.S_UNIT] = target if from_master else source
    w[c.S_PEER_UNIT] = source if from_master else target
    w[c.S_ROLE] = c.ROLE_REQUEST if from_master else c.ROLE_RESPONSE
    w[c.S_FLAGS] = (_PRIMARY if control & 0x40 else 0) | (_FROM_MASTER if from_master else 0)
    if target >= _BROADCAST:
        w[c.S_FLAGS] |= _TO_ALL
    function = control & 15
    w[c.S_FUNC] = LINK | (control & 0x40) | function
    user = u8(data, at + 2) - _SHORTEST
    if not crc.holds(data, at, crc.HEADER) or user < 0:
        w[c.S_ANOMALY] |= _BAD_CRC if user >= 0 else _LENGTH
        return 0
    if control & 0x40 and (function == 3 or function == 4):
        return _segment(data, at, size, user, w)
    w[c.S_KIND] = _CONTROL
    w[c.S_OP] = _SESSION
    if user > 0:
        w[c.S_ANOMALY] |= _TRAILING
    primary = function <= 4 or function == 9
    if not (primary if control & 0x40 else function <= 1 or function == 11 or function == 14 or function == 15):
        w[c.S_ANOMALY] |= _RESERVED
    return 0


@kernel()
def _first_of(w: Row, control: int) -> int:
    """The sequence number of the first fragment of the response that this one belongs to (4.2.2.4, 4.2.2.5)."""
    sequence, state = control & 15, w[c.X_STATE]
    first, final = control & 0x80, control & 0x40
    if first:
        state = (state & ~(_SEVERAL | (15 << _FIRST_SEQ))) | (sequence << _FIRST_SEQ)
    elif state & _SEVERAL:
        sequence = (state >> _FIRST_SEQ) & 15
    w[c.X_STATE] = state & ~_SEVERAL if final else state | _SEVERAL
    return int(sequence)


@kernel()
def _application(data: Bytes, at: int, size: int, w: Row) -> int:
    """The header of an application fragment (4.2.2): who speaks, what it answers, and the internal indications."""
    w[c.S_KIND] = _DATA
    if size < 2:
        w[c.S_ANOMALY] |= _LENGTH
        return 0
    control, function = u8(data, at), u8(data, at + 1)
    w[c.S_FUNC] = function
    w[c.S_TXN] = control & 15
    w[c.S_FLAGS] |= (
        (control >> 7 & 1) << 16 | (control >> 6 & 1) << 17 | (control >> 5 & 1) << 18 | (control >> 4 & 1) << 19
    )
    sequence = i64(control & 15)
    answers = function >= 129
    if answers != (w[c.S_FLAGS] & _FROM_MASTER == 0) and function != 0:
        w[c.S_ANOMALY] |= _ROLE
    elif function != 0:
        w[c.S_ROLE] = c.SURE_RESPONSE if answers else c.SURE_REQUEST
    if function == 0:
        w[c.S_KIND] = _CONFIRM
    elif not answers:
        w[c.S_KIND] = _REQUEST
    elif function == 130:
        w[c.S_KIND] = _UNSOLICITED
    else:
        w[c.S_KIND] = _RESPONSE
        sequence = _first_of(w, control)
        w[c.S_KEEP] = 0 if control & 0x40 else 1
    w[c.S_KEY] = (w[c.S_UNIT] << 20) | (w[c.S_PEER_UNIT] << 4) | sequence
    if control & 0x10:
        w[c.S_KEY] |= _UNSOLICITED_BIT
    if answers:
        if size < 4:
            w[c.S_ANOMALY] |= _LENGTH
        else:
            w[c.S_FLAGS] |= le16(data, at + 2)
    return 0


@kernel(HEAD)
def head(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill addresses, kind, role and key: of a link frame, then of the fragment that is joined from segments."""
    return _application(data, at, size, w) if w[c.X_JOINED] else _link(data, at, size, w)


def _kernels() -> tuple[Any, Any, Any]:
    return frame, head, body


MODULE = ProtocolModule(protocol=Protocol.DNP3, tcp_ports=(20000,), udp_ports=(20000,), kernels=_kernels)
