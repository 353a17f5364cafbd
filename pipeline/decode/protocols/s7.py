"""S7comm over TCP: TPKT (RFC 1006) and COTP class 0 (ISO 8073) framing, COTP's fragments, and what a PDU's header says.

A TPKT is the PDU; the fragments of a message are joined by `pipeline.decode.joining`.  X_STATE keeps what the opening
of the connection told.  What a message carries is in `s7_body`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.protocols import s7_types as t
from pipeline.decode.protocols.base import ProtocolModule
from pipeline.decode.protocols.s7_body import body
from pipeline.decode.protocols.s7_head import BAD_LENGTH, DATA, ESTABLISHED, OPENING, REQUEST, RESPONSE, message
from pipeline.decode.signatures import FRAME, HEAD
from schemas.codes import Anomaly, Kind, Op, Protocol

Row = NDArray[np.int64]

SHORTEST = 7  # TPKT, and the shortest header of a TPDU
LONGEST = 4 + 8192
"""Bytes of a TPKT at most: COTP's largest size of a TPDU, which is more than any S7 stack negotiates."""

OPENED, CONNECTED, INSIDE = 2, 4, 8
"""Bits of X_STATE beside those of `s7_head`: a connection was asked for; it was confirmed; in the middle of a message,
for each direction (8 and 16)."""

_OVERSIZE = int(Anomaly.OVERSIZE | Anomaly.MALFORMED)
_RESERVED = int(Anomaly.RESERVED_CODE)
_CONTROL, _SESSION = int(Kind.CONTROL), int(Op.SESSION)


@kernel()
def _tsaps(data: Bytes, at: int, end: int) -> bool:
    """Whether the parameters of a connection request name TSAPs as S7 does: two bytes, a kind of 1 to 3 first."""
    called = False
    while at + 2 <= end:
        size = u8(data, at + 1)
        if at + 2 + size > end:
            return False
        if u8(data, at) == 0xC2:
            called = size == 2 and 1 <= u8(data, at + 2) <= 3
        elif u8(data, at) < 0x80 or u8(data, at) == 0:
            return False
        at += 2 + size
    return called and at == end


@kernel()
def _is_message(data: Bytes, at: int, end: int) -> bool:
    """Whether data[at:end] is a whole message of S7comm or S7comm-plus, by its header."""
    if end - at >= 10 and u8(data, at) == 0x32:
        kind = u8(data, at + 1)
        header = 12 if kind == 2 or kind == 3 else 10
        known = 1 <= kind <= 3 or kind == 7
        return bool(known and header + be16(data, at + 6) + be16(data, at + 8) == end - at)
    if end - at >= 8 and u8(data, at) == 0x72:
        size = be16(data, at + 2)
        if size + 4 == end - at:
            return 1 <= u8(data, at + 1) <= 3
        trailer = at + 4 + size
        return size + 8 == end - at and u8(data, trailer) == 0x72 and u8(data, trailer + 1) == u8(data, at + 1)
    return False


@kernel()
def _begins(data: Bytes, at: int, size: int) -> bool:
    """Whether a TPDU, of which the first bytes are there, may begin what is said on a connection of S7."""
    header, code = 5 + u8(data, at + 4), u8(data, at + 5) & 0xF0
    if code != t.DT:
        return code == t.CR or code == t.CC or code == t.DR or code == t.DC or code == t.ER
    if size == header:
        return True
    return u8(data, at + header) == 0x32 or u8(data, at + header) == 0x72


@kernel(FRAME)
def frame(data: Bytes, at: int, end: int, w: Row) -> int:
    """Length of the TPKT that starts at `at`, 0 when more bytes are needed to know, -1 when this is no S7.

    Until a message of S7 was seen, one of another protocol over COTP, such as MMS, is not S7.  Then a TPKT of an
    impossible length takes the rest of the segment with it, as malformed.
    """
    size = end - at
    if size > 0 and u8(data, at) != 3:
        return -1
    if size < SHORTEST:
        return -1 if w[c.X_STRICT] or (size > 1 and u8(data, at + 1) != 0) else 0
    if u8(data, at + 1) != 0:
        return -1
    length, header = be16(data, at + 2), u8(data, at + 4) + 5
    known = w[c.X_STATE] & (ESTABLISHED | INSIDE << w[c.C_DIR]) and not w[c.X_STRICT]
    if length < SHORTEST or length > LONGEST or header < SHORTEST or header > length:
        return size if known else -1
    if known:
        return length
    if w[c.X_STRICT]:
        if size < length:
            return -1
        if u8(data, at + 5) == t.CR:
            return length if _tsaps(data, at + 11, at + length) else -1
        whole = be16(data, at + 4) == 0x02F0 and u8(data, at + 6) == 0x80
        return length if whole and _is_message(data, at + 7, at + length) else -1
    if size < header + 1 and length > header:
        return 0
    return length if _begins(data, at, length) else -1


@kernel()
def _data(data: Bytes, at: int, size: int, start: int, w: Row) -> int:
    """A DT TPDU (13.7): a whole message, or a fragment of one."""
    last, inside = u8(data, at + 6) >> 7, INSIDE << w[c.C_DIR]
    first = w[c.X_STATE] & inside == 0
    w[c.S_KIND] = DATA
    w[c.S_FUNC] = t.COTP | t.DT
    whole = size == be16(data, at + 2)
    if start == at + size and whole:
        w[c.S_KIND] = _CONTROL
        w[c.S_OP] = _SESSION
        return 0
    if last and first:
        return message(data, start, at + size, w)
    w[c.X_STATE] = w[c.X_STATE] & ~inside if last else w[c.X_STATE] | inside
    if not whole:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    w[c.S_JOIN] = 1
    w[c.J_KEY] = 0
    w[c.J_FIRST] = 1 if first else 0
    w[c.J_LAST] = last
    w[c.J_SEQ] = 0
    w[c.J_MODULO] = 0
    w[c.J_AT] = start
    w[c.J_LENGTH] = at + size - start
    w[c.J_LEAD] = 0
    w[c.J_BLOCK] = 0
    w[c.J_GAP] = 0
    return 0


@kernel()
def _called(data: Bytes, at: int, end: int, w: Row) -> int:
    """Keep what the called TSAP of a connection request or confirm says: kind of connection, rack and slot."""
    while at + 2 <= end:
        size = u8(data, at + 1)
        if at + 2 + size > end:
            return 0
        if u8(data, at) == 0xC2 and size == 2:
            w[c.X_STATE] = (w[c.X_STATE] & ~(0xFFFF << OPENING)) | (be16(data, at + 2) << OPENING)
        at += 2 + size
    return 0


@kernel()
def _connection(data: Bytes, at: int, size: int, header: int, code: int, w: Row) -> int:
    """TPDUs that open and close a connection (13.3 to 13.6, 13.12)."""
    target, source = be16(data, at + 6), be16(data, at + 8)
    w[c.S_OP] = _SESSION
    if code == t.CR:
        w[c.X_STATE] = (w[c.X_STATE] & ESTABLISHED) | OPENED
        _called(data, at + 11, at + header, w)
        w[c.S_KIND] = REQUEST
        w[c.S_ROLE] = c.ROLE_REQUEST
        w[c.S_TXN] = source
    elif code == t.CC:
        if not w[c.X_STATE] & OPENED:
            _called(data, at + 11, at + header, w)
        w[c.X_STATE] |= OPENED | CONNECTED
        w[c.S_KIND] = RESPONSE
        w[c.S_ROLE] = c.ROLE_RESPONSE
        w[c.S_TXN] = target
    elif code == t.DR and w[c.X_STATE] & (OPENED | CONNECTED) == OPENED:
        w[c.S_KIND] = RESPONSE
        w[c.S_ROLE] = c.ROLE_RESPONSE
        w[c.S_TXN] = target
    w[c.S_KEY] = (1 << 40) | w[c.S_TXN]
    w[c.S_UNIT] = (w[c.X_STATE] >> OPENING) & 0xFF
    return 0


@kernel(HEAD)
def head(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill kind, role, key and function: of a TPKT, then of the message that is joined from fragments."""
    if w[c.X_JOINED]:
        return message(data, at, at + size, w)
    w[c.S_KIND] = _CONTROL
    w[c.S_FUNC] = t.COTP
    if size < SHORTEST:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    length, header, code = be16(data, at + 2), u8(data, at + 4) + 5, u8(data, at + 5) & 0xF0
    if length > LONGEST:
        w[c.S_ANOMALY] |= _OVERSIZE
    if length < size or header < SHORTEST or header > size or length > LONGEST:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    w[c.S_FUNC] = t.COTP | code
    if code == t.DT:
        return _data(data, at, size, at + header, w)
    if (code == t.CR or code == t.CC or code == t.DR) and header >= 11:
        return _connection(data, at, size, header, code, w)
    w[c.S_OP] = _SESSION
    if code != t.DC and code != t.ER:
        w[c.S_ANOMALY] |= BAD_LENGTH if code == t.CR or code == t.CC or code == t.DR else _RESERVED
    return 0


def _kernels() -> tuple[Any, Any, Any]:
    return frame, head, body


MODULE = ProtocolModule(protocol=Protocol.S7COMM, tcp_ports=(102,), udp_ports=(), kernels=_kernels)
