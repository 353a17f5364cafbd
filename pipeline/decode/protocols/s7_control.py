"""Jobs of S7comm beside reading and writing: setup, PI services, stop, up- and download of blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, be32, u8
from pipeline.decode.naming import add_built, add_name, put_byte, put_text
from pipeline.decode.notes import note, noted
from pipeline.decode.protocols import s7_types as t
from pipeline.decode.protocols.s7_head import BAD_LENGTH, REQUEST, RESPONSE
from schemas.codes import Op, RecordFlag, S7Flag

Row = NDArray[np.int64]

DOWNLOAD_NS = 60 * c.NANOSECONDS
"""How long after its request was accepted, or after its last part, the parts of a download are told as its steps."""

_MORE, _PASSWORD, _SELECTED = int(S7Flag.MORE), int(S7Flag.PASSWORD), int(RecordFlag.SELECTED)
_DOWNLOADS = 0x57D
_CONTROL, _START, _DOWNLOAD, _DELETE, _CONFIGURE, _AUTHENTICATE = (
    int(o) for o in (Op.CONTROL, Op.START, Op.PROGRAM_DOWNLOAD, Op.FILE_DELETE, Op.CONFIGURE, Op.AUTHENTICATE)
)


def _first(name: str) -> int:
    """The first eight bytes of a name as a number, as `_beginning` reads them."""
    return int.from_bytes(name.encode()[:8], "big")


_P_PROGRAM, _INSE, _INS2, _DELE, _GARB, _MODU, _LOGIN = (
    _first(name) for name in ("P_PROGRAM", "_INSE", "_INS2", "_DELE", "_GARB", "_MODU", "_N_LOGIN_")
)


@kernel()
def _beginning(data: Bytes, at: int, size: int) -> int:
    found = i64(0)
    for i in range(min(size, 8)):
        found = (found << 8) | u8(data, at + i)
    return found


@kernel()
def _pi_service(data: Bytes, at: int, end: int, w: Row) -> int:
    """A PI service: its name, and what it is about where that is a block or the program; no other argument is kept."""
    if end - at < 10:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    first, size = at + 10, be16(data, at + 8)
    place = first + size
    if place + 1 > end or place + 1 + u8(data, place) > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    length = u8(data, place)
    service = _beginning(data, place + 1, length)
    blocks = service in (_INSE, _INS2, _DELE)
    w[c.S_OP] = _CONTROL
    if service == _P_PROGRAM:
        w[c.S_OP] = _START
    elif blocks:
        w[c.S_OP] = _DELETE if service == _DELE else _DOWNLOAD
    elif service in (_GARB, _MODU):
        w[c.S_OP] = _CONFIGURE
    elif service == _LOGIN:
        w[c.S_OP] = _AUTHENTICATE
        w[c.S_FLAGS] |= _PASSWORD
    if size == 0 or (blocks and size < 10) or not (blocks or service == _P_PROGRAM):
        w[c.S_NAME_ID] = add_name(data, place + 1, length, w)
        return 0
    if blocks:
        w[c.S_COUNT] = u8(data, first)
        first, size = first + 2, size - 2
    used = put_text(w, 0, data, place + 1, length)
    used = put_byte(w, used, 32)
    w[c.S_NAME_ID] = add_built(w, 0, put_text(w, used, data, first, size))
    return 0


@kernel()
def _named(data: Bytes, at: int, end: int, w: Row) -> int:
    """A name with its length before it names the record."""
    if at + 1 > end or at + 1 + u8(data, at) > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    w[c.S_NAME_ID] = add_name(data, at + 1, u8(data, at), w)
    return u8(data, at)


@kernel()
def digit(byte: int) -> int:
    """Value of a hexadecimal digit, -1 for none."""
    if 48 <= byte <= 57:
        return byte - 48
    return byte - 55 if 65 <= byte <= 70 else -1


@kernel()
def _block(data: Bytes, at: int, w: Row) -> int:
    """A block's file name: `_`, two digits for its type, five for its number, a letter for where it lies."""
    kind = i64(0)
    for i in range(2):
        value = digit(u8(data, at + 1 + i))
        if value < 0:
            return 0
        kind = kind * 16 + value
    number = i64(0)
    for i in range(5):
        value = digit(u8(data, at + 3 + i))
        if value < 0 or value > 9:
            return 0
        number = number * 10 + value
    w[c.S_SUBFUNC] = kind
    w[c.S_ADDR_SUB] = number
    return 0


@kernel()
def _transfer(data: Bytes, at: int, end: int, function: int, w: Row) -> int:
    """Up- and download of blocks: id of the transfer, the block's name, and whether more of it follows.

    A download is one operation of several steps: what follows its accepted request says so.
    """
    answers = w[c.S_KIND] == RESPONSE
    flow = w[c.X_FLOW] ^ _DOWNLOADS
    if answers:
        if end - at >= 2 and u8(data, at + 1) & 1:
            w[c.S_FLAGS] |= _MORE
        if function == t.UPLOAD_START and end - at >= 8:
            w[c.S_ADDR] = be32(data, at + 4)
        accepted = w[c.S_STATUS] == 0 and w[c.S_HAS_REQUEST] != 0
        if accepted and t.DOWNLOAD_REQUEST <= function <= t.DOWNLOAD:
            note(w, flow, w[c.S_NAME_ID], 1)
        return 0
    if end - at < 8:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    w[c.S_ADDR] = be32(data, at + 4)
    if function == t.DOWNLOAD_END or function == t.UPLOAD_END:
        w[c.S_STATUS] = be16(data, at + 2)
    if function == t.UPLOAD or function == t.UPLOAD_END:
        return 0
    if _named(data, at + 8, end, w) == 9:
        _block(data, at + 9, w)
    if function == t.DOWNLOAD or function == t.DOWNLOAD_END:
        if noted(w, flow, w[c.S_NAME_ID], DOWNLOAD_NS) > 0:
            w[c.S_FLAGS] |= _SELECTED
        if function == t.DOWNLOAD_END:
            note(w, flow, w[c.S_NAME_ID], 0)
    return 0


@kernel()
def control(data: Bytes, at: int, end: int, function: int, w: Row) -> int:
    """The job, or what acknowledges it, whose parameters are data[at:end]."""
    if function == t.SETUP:
        if end - at < 8:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return 0
        w[c.S_ADDR] = be16(data, at + 2)
        w[c.S_ADDR_SUB] = be16(data, at + 4)
        w[c.S_COUNT] = be16(data, at + 6)
    elif t.DOWNLOAD_REQUEST <= function <= t.UPLOAD_END:
        _transfer(data, at, end, function, w)
    elif w[c.S_KIND] != REQUEST:
        return 0
    elif function == t.PI_SERVICE:
        _pi_service(data, at, end, w)
    elif function == t.PLC_STOP:
        _named(data, at + 6, end, w)
    return 0
