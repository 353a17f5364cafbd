"""The body kernel of DNP3: what a fragment asks or answers, and the headers of its objects.

Clauses are of IEEE Std 1815-2012.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, le16, le32, u8
from pipeline.decode.notes import note, noted
from pipeline.decode.protocols.dnp3_parts import BAD_LENGTH, REQUEST, RESPONSE, UNSOLICITED, objects
from pipeline.decode.signatures import BODY
from schemas.codes import Anomaly, Dnp3Flag, Kind, Op, RecordFlag

Row = NDArray[np.int64]

REFUSED = 0x100
"""Status of a response that refuses by its internal indications, plus those bits of the second octet (4.2.2.6)."""
SELECTION_NS = 10 * c.NANOSECONDS
"""How long after its selection an operate is told as the second step of it."""

_COUNT = int(Anomaly.COUNT_OUT_OF_RANGE | Anomaly.MALFORMED)
_VALUE = int(Anomaly.VALUE_OUT_OF_RANGE | Anomaly.MALFORMED)
_CONFLICT = int(Anomaly.CONFLICTING_RESPONSE)
_RESERVED = int(Anomaly.RESERVED_CODE)
_CONFIRM = int(Kind.CONFIRM)
_BROADCAST, _SELECTED = int(RecordFlag.BROADCAST), int(RecordFlag.SELECTED)
_ASKS_CONFIRM = int(Dnp3Flag.CONFIRM)
_REFUSALS = 0x17  # function not supported, object unknown, parameter error, already executing
_SELECTIONS = 0xD3


def _ops() -> NDArray[np.int64]:
    """The neutral verb of each function code (4.4, table 4-2)."""
    found = np.full(256, int(Op.VENDOR), np.int64)
    for op, functions in {
        Op.CONFIRM: (0,),
        Op.READ: (1,),
        Op.WRITE: (2,),
        Op.SELECT: (3,),
        Op.CONTROL: (4, 5, 6),
        Op.FREEZE: (7, 8, 11, 12),
        Op.CLEAR_COUNTERS: (9, 10),
        Op.RESTART: (13, 14),
        Op.CONFIGURE: (15, 16, 19, 22, 31),
        Op.START: (17,),
        Op.STOP: (18,),
        Op.ENABLE_REPORTING: (20,),
        Op.DISABLE_REPORTING: (21,),
        Op.DIAGNOSE: (23,),
        Op.TIME: (24,),
        Op.FILE_READ: (25, 26, 28, 30),
        Op.FILE_DELETE: (27,),
        Op.AUTHENTICATE: (29, 32, 33, 131),
        Op.REPORT: (130,),
        Op.UNKNOWN: (129,),
    }.items():
        found[list(functions)] = int(op)
    return found


_OPS = _ops()
_OP_READ, _OP_TIME, _OP_CONFIGURE, _OP_FILE_READ, _OP_FILE_WRITE, _OP_IDENTIFY = (
    int(o) for o in (Op.READ, Op.TIME, Op.CONFIGURE, Op.FILE_READ, Op.FILE_WRITE, Op.IDENTIFY)
)


@kernel()
def carries(function: int) -> bool:
    """Whether the objects of a function are there with their values, rather than only named."""
    return bool(
        function >= 129 or function == 2 or 3 <= function <= 6 or function == 11 or function == 12 or function >= 25
    )


@kernel()
def _answers(function: int) -> bool:
    """Whether a function has an answer."""
    return not (function == 6 or function == 8 or function == 10 or function == 12 or function == 0 or function == 33)


@kernel()
def _about_group(group: int, function: int, w: Row) -> int:
    """The operation, told closer by the group that a read or write is about."""
    if function == 2:
        if group == 50:
            w[c.S_OP] = _OP_TIME
        elif group == 34:
            w[c.S_OP] = _OP_CONFIGURE
        elif group == 70:
            w[c.S_OP] = _OP_FILE_WRITE
    elif function == 1:
        if group == 70:
            w[c.S_OP] = _OP_FILE_READ
        elif group == 0:
            w[c.S_OP] = _OP_IDENTIFY
    return 0


@kernel()
def _range(data: Bytes, at: int, end: int, qualifier: int, w: Row) -> int:
    """Range field behind a qualifier (4.2.2.7.3): first index into S_EXTRA + 2, count into S_EXTRA + 3.

    Returns the place behind it, -1 where it is cut off or not one.
    """
    code = qualifier & 15
    width = i64(0)
    if code == 0 or code == 3 or code == 7 or code == 11:
        width = 1
    elif code == 1 or code == 4 or code == 8:
        width = 2
    elif code == 2 or code == 5 or code == 9:
        width = 4
    elif code != 6:
        w[c.S_ANOMALY] |= _RESERVED
        return -1
    twice = code <= 5
    behind = at + (2 * width if twice else width)
    if behind > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return -1
    first = i64(0)
    number = i64(0)
    if width == 1:
        first, number = u8(data, at), u8(data, behind - 1)
    elif width == 2:
        first, number = le16(data, at), le16(data, behind - 2)
    elif width == 4:
        first, number = le32(data, at), le32(data, behind - 4)
    w[c.S_EXTRA + 2] = first if twice else 0
    w[c.S_EXTRA + 3] = number - first + 1 if twice else number
    if twice and number < first:
        w[c.S_ANOMALY] |= _COUNT
        w[c.S_EXTRA + 3] = 0
    return behind


@kernel()
def _named(data: Bytes, at: int, end: int, prefix: int, w: Row) -> int:
    """Objects that are only named: nothing behind their range, or a list of indices; the place behind."""
    width = i64(1) << (prefix - 1) if prefix > 0 else i64(0)
    count = w[c.S_EXTRA + 3]
    if width > 0 and at + width * count > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return -1
    if width > 0 and count > 0 and w[c.S_EXTRA + 4] == 1:
        w[c.S_ADDR] = u8(data, at) if width == 1 else (le16(data, at) if width == 2 else le32(data, at))
    return int(at + width * count)


@kernel()
def _headers(data: Bytes, at: int, end: int, function: int, w: Row) -> int:
    """Walk the object headers (4.2.2.7).

    S_EXTRA holds the digest of what is controlled; behind it, for the time of the walk: common time of occurrence,
    first index and count of the header at hand, and its number.
    """
    total = i64(0)
    w[c.S_EXTRA] = 0x811C9DC5
    while at < end:
        if at + 3 > end:
            w[c.S_ANOMALY] |= BAD_LENGTH
            break
        group, variation, qualifier = u8(data, at), u8(data, at + 1), u8(data, at + 2)
        prefix = (qualifier >> 4) & 7
        at = _range(data, at + 3, end, qualifier, w)
        w[c.S_EXTRA + 4] += 1
        if w[c.S_EXTRA + 4] == 1 and w[c.S_KIND] == REQUEST:
            w[c.S_SUBFUNC] = (group << 8) | variation
            _about_group(group, function, w)
        if at < 0:
            break
        if w[c.S_EXTRA + 4] == 1:
            w[c.S_ADDR] = w[c.S_EXTRA + 2]
        total += w[c.S_EXTRA + 3]
        if carries(function) or prefix >= 4:
            at = objects(data, at, end, group, variation, prefix, w)
        else:
            at = _named(data, at, end, prefix, w)
        if at < 0:
            break
    w[c.S_COUNT] = min(total, 0x7FFFFFFF)
    for i in range(1, 5):
        w[c.S_EXTRA + i] = 0
    return 0


@kernel()
def _controls(function: int, w: Row) -> int:
    """Select, operate and their answers (4.4.3 to 4.4.5): whether an operate follows the selection of the same."""
    digest = w[c.S_EXTRA]
    flow = w[c.X_FLOW] ^ _SELECTIONS
    about = (w[c.S_UNIT] << 16) | w[c.S_PEER_UNIT]
    chosen = (digest << 4) | w[c.S_TXN]
    if w[c.S_KIND] == REQUEST:
        if function == 4 and noted(w, flow, about, SELECTION_NS) == (digest << 4) | ((w[c.S_TXN] - 1) & 15):
            w[c.S_FLAGS] |= _SELECTED
        return 0
    if w[c.S_COUNT] > 0 and w[c.S_STATUS] < REFUSED and w[c.ASKED + c.S_EXTRA] != digest:
        w[c.S_ANOMALY] |= _CONFLICT
    if function == 3:
        note(w, flow, about, chosen if w[c.S_STATUS] == 0 else 0)
    elif function == 4:
        note(w, flow, about, 0)
    return 0


@kernel(BODY)
def body(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill the scratch and the runs of the fragment data[at:at + size]; of a link frame there is no more to say."""
    if w[c.X_JOINED] == 0 or size < 2:
        return 0
    function, end = u8(data, at + 1), at + size
    w[c.S_OP] = _OPS[function]
    if 34 <= function <= 128 or function > 131:
        w[c.S_ANOMALY] |= _RESERVED
    kind = w[c.S_KIND]
    if kind == _CONFIRM:
        if size > 2:
            w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    if kind == REQUEST:
        w[c.S_ASKS] = 1 if _answers(function) and not w[c.S_FLAGS] & _BROADCAST else 0
    elif kind == UNSOLICITED:
        w[c.S_ASKS] = 1 if w[c.S_FLAGS] & _ASKS_CONFIRM else 0
    start = at + (4 if function >= 129 else 2)
    if start > end:
        return 0
    asked = function
    if kind == RESPONSE:
        refused = (w[c.S_FLAGS] >> 8) & _REFUSALS
        w[c.S_STATUS] = REFUSED | refused if refused else 0
        if w[c.S_HAS_REQUEST] == 1:
            asked = w[c.ASKED + c.S_FUNC]
            w[c.S_FUNC] = asked
            w[c.S_SUBFUNC] = w[c.ASKED + c.S_SUBFUNC]
            w[c.S_OP] = w[c.ASKED + c.S_OP]
            w[c.S_NAME_ID] = w[c.ASKED + c.S_NAME_ID]
    _headers(data, start, end, function, w)
    if kind == RESPONSE and w[c.S_HAS_REQUEST] == 0 and w[c.S_RUNS] > 0:
        w[c.S_OP] = _OP_READ
    if 3 <= asked <= 6 and kind in (REQUEST, RESPONSE):
        _controls(asked, w)
    else:
        w[c.S_EXTRA] = 0
    return 0
