"""A protocol that exists only to use what the contract offers and Modbus does not need.

A PDU is `T`, its length, what it is, an id, then a body:
    q  a request: one record for each byte of the body, its value a point
    a  an answer, the last one; m  an answer after which more come
    s  a segment of such a PDU: first (1) and last (2), a running number, bytes with a gap of one behind each four
    r  a request with as many runs of one value as the body says (16 bits)
    n  a request for a name of two parts: the body, a dot, the id
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import forms
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.naming import add_built, add_name, put_byte, put_number, put_text
from pipeline.decode.notes import note, noted
from pipeline.decode.protocols.base import ProtocolModule
from pipeline.decode.runs import add_run
from pipeline.decode.signatures import BODY, FRAME, HEAD
from schemas.codes import Direction, Kind, Protocol, Space

Row = NDArray[np.int64]

_BYTE = forms.form(forms.V_U8)
_WRITTEN = int(Direction.WRITTEN)
_SPACE = int(Space.ANALOG_INPUT)
_REQUEST, _RESPONSE = int(Kind.REQUEST), int(Kind.RESPONSE)
_HEAD = 4


@kernel(FRAME)
def frame(data: Bytes, at: int, end: int, w: Row) -> int:
    """Length of the PDU at `at`."""
    if at < end and u8(data, at) != 84:
        return -1
    if end - at < 2:
        return 0
    return max(u8(data, at + 1), _HEAD)


@kernel(HEAD)
def head(data: Bytes, at: int, size: int, w: Row) -> int:
    """Kind, key and segment."""
    if size < _HEAD:
        return 0
    what = u8(data, at + 2)
    w[c.S_FUNC] = what
    w[c.S_TXN] = u8(data, at + 3)
    w[c.S_KEY] = w[c.S_TXN] << 8 | w[c.X_PART]
    if what == 115 and w[c.X_JOINED] == 0 and size >= _HEAD + 2:
        w[c.S_JOIN] = 1
        w[c.J_KEY] = w[c.S_TXN]
        w[c.J_FIRST] = u8(data, at + 4) & 1
        w[c.J_LAST] = u8(data, at + 4) >> 1 & 1
        w[c.J_SEQ] = u8(data, at + 5)
        w[c.J_MODULO] = 8
        w[c.J_AT] = at + 6
        w[c.J_LENGTH] = size - 6 - (size - 6) // 5
        w[c.J_BLOCK] = 4
        w[c.J_GAP] = 1
    answers = what == 97 or what == 109
    w[c.S_ROLE] = c.SURE_RESPONSE if answers else c.SURE_REQUEST
    w[c.S_KIND] = _RESPONSE if answers else _REQUEST
    return 0


@kernel(BODY)
def body(data: Bytes, at: int, size: int, w: Row) -> int:
    """Values, names, and whether there is more."""
    what, end = w[c.S_FUNC], at + size
    at += _HEAD
    w[c.S_ASKS] = 1
    if what == 109:
        w[c.S_KEEP] = 1
    if what == 114 and at + 2 <= end:
        for _ in range(be16(data, at)):
            add_run(w, _SPACE, 0, 1, _BYTE, at, _WRITTEN, 0)
    elif what == 110:
        used = put_text(w, 0, data, at, end - at)
        used = put_byte(w, used, 46)
        w[c.S_NAME_ID] = add_built(w, 0, put_number(w, used, w[c.S_TXN]))
        run = add_run(w, _SPACE, 0, 1, _BYTE, at, _WRITTEN, 0)
        w[c.RUNS_AT + run * c.RUN + c.N_NAME_ID] = add_name(data, at, end - at, w)
        w[c.S_STATUS] = noted(w, w[c.X_FLOW], 7, c.NANOSECONDS) + 1
        note(w, w[c.X_FLOW], 7, w[c.S_TXN])
    elif at + w[c.X_PART] < end:
        add_run(w, _SPACE, w[c.X_PART], 1, _BYTE, at + w[c.X_PART], _WRITTEN, 0)
        if at + w[c.X_PART] + 1 < end:
            w[c.S_MORE] = w[c.X_PART] + 1
    return 0


def _kernels() -> tuple[Any, Any, Any]:
    return frame, head, body


MODULE = ProtocolModule(protocol=Protocol.MODBUS_TLS, tcp_ports=(802,), udp_ports=(), kernels=_kernels)
