"""The body kernel of IEC 60870-5-104: what an ASDU is about, its outcome, and its information objects.

Clauses are of IEC 60870-5-101:2003.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, le16, u8
from pipeline.decode.notes import note, noted
from pipeline.decode.protocols.iec104_types import OP, QUALIFIER, SIZE, SPACE, WORD
from pipeline.decode.runs import add_run
from pipeline.decode.signatures import BODY
from schemas.codes import Anomaly, Direction, Iec104Flag, Kind, Op, RecordFlag, Space

Row = NDArray[np.int64]

REFUSED = 64
"""Status of a negative confirmation, plus its cause; a status below it is the cause by itself, 44 to 47 (7.2.3)."""
SELECTION_NS = 60 * c.NANOSECONDS
"""How long after its selection an execution is told as the second step of it."""

_HEADER = 12  # APCI, and the data unit identifier with a common address of two and a cause of two octets
_LENGTH = int(Anomaly.LENGTH_MISMATCH | Anomaly.MALFORMED)
_TRAILING = int(Anomaly.TRAILING_BYTES | Anomaly.MALFORMED)
_COUNT = int(Anomaly.COUNT_OUT_OF_RANGE | Anomaly.MALFORMED)
_RESERVED = int(Anomaly.RESERVED_CODE)
_CONFLICT = int(Anomaly.CONFLICTING_RESPONSE)
_READ, _WRITTEN, _ECHO, _REPORT = (
    int(d) for d in (Direction.READ, Direction.WRITTEN, Direction.ECHO, Direction.REPORT)
)
_REQUEST, _RESPONSE, _CONTROL, _DATA = int(Kind.REQUEST), int(Kind.RESPONSE), int(Kind.CONTROL), int(Kind.DATA)
_OP_READ, _OP_SELECT, _OP_FREEZE, _OP_CLEAR, _OP_FILE_WRITE, _OP_FILE_DELETE, _OP_AUTHENTICATE, _OP_VENDOR = (
    int(o)
    for o in (
        Op.READ,
        Op.SELECT,
        Op.FREEZE,
        Op.CLEAR_COUNTERS,
        Op.FILE_WRITE,
        Op.FILE_DELETE,
        Op.AUTHENTICATE,
        Op.VENDOR,
    )
)
_SEQUENCE, _SELECT, _BROADCAST, _SELECTED = (
    int(Iec104Flag.SEQUENCE),
    int(Iec104Flag.SELECT),
    int(RecordFlag.BROADCAST),
    int(RecordFlag.SELECTED),
)
_FILE = int(Space.IEC_FILE)
_GLOBAL = 0xFFFF
_SELECTIONS = 0x104


@kernel()
def _digest(data: Bytes, at: int, size: int, qualifier: int) -> int:
    """Number of a command's content without its select bit, 1 or more."""
    h = i64(0x811C9DC5)
    for i in range(size):
        byte = u8(data, at + i)
        if i == qualifier:
            byte &= 0x7F
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h + 1


@kernel()
def _steps(data: Bytes, at: int, number: int, w: Row) -> int:
    """Commands in one or two steps (7.2.6.26, 7.2.6.39): what was selected, and whether an execution follows it."""
    qualifier = QUALIFIER[number]
    content = _digest(data, at, SIZE[number], qualifier)
    about = w[c.S_ADDR] | (number << 24) | (w[c.S_UNIT] << 32)
    flow = w[c.X_FLOW] ^ _SELECTIONS
    selects = qualifier >= 0 and u8(data, at + qualifier) & 0x80 != 0
    cause = w[c.S_FLAGS] & 63
    w[c.S_EXTRA] = content
    if selects:
        w[c.S_OP] = _OP_SELECT
        w[c.S_FLAGS] |= _SELECT
    if cause == 6 and not selects and noted(w, flow, about, SELECTION_NS) == content:
        w[c.S_FLAGS] |= _SELECTED
    elif cause == 7 and w[c.S_STATUS] == 0:
        note(w, flow, about, content if selects else 0)
        w[c.S_KEEP] = 0 if selects else 1
        if w[c.S_HAS_REQUEST] == 1 and w[c.ASKED + c.S_EXTRA] != content:
            w[c.S_ANOMALY] |= _CONFLICT
    return 0


@kernel()
def _qualified(data: Bytes, at: int, number: int, w: Row) -> int:
    """Sub-function and operation by the qualifier of a command, parameter or file."""
    qualifier = u8(data, at + QUALIFIER[number])
    if number == 101:  # 7.2.6.23: the two highest bits freeze and reset
        freezes = qualifier >> 6
        if freezes:
            w[c.S_OP] = _OP_FREEZE if freezes == 1 else _OP_CLEAR
    elif number == 122 and qualifier & 15 == 4:  # 7.2.6.30
        w[c.S_OP] = _OP_FILE_DELETE
    w[c.S_SUBFUNC] = qualifier
    if number == 100 or number == 101:
        w[c.S_KEEP] = 1 if w[c.S_KIND] == _RESPONSE and w[c.S_FLAGS] & 63 == 7 and w[c.S_STATUS] == 0 else 0
    return 0


@kernel()
def _outcome(w: Row, number: int) -> int:
    """Status of a confirmation, and what it has of its request."""
    cause = w[c.S_FLAGS] & 63
    if cause >= 44 and cause <= 47:
        w[c.S_STATUS] = cause
    elif w[c.S_FLAGS] & 0x40:
        w[c.S_STATUS] = REFUSED + cause
    if w[c.S_HAS_REQUEST] == 1 and w[c.ASKED + c.S_FUNC] != w[c.S_FUNC] and number > 44:
        w[c.S_ANOMALY] |= _CONFLICT
    return 0


@kernel()
def _direction(number: int, w: Row) -> int:
    cause = w[c.S_FLAGS] & 63
    if number <= 44:
        return _READ if cause == 5 or 20 <= cause <= 41 else _REPORT
    return _WRITTEN if w[c.S_KIND] == _REQUEST else _ECHO


@kernel()
def _objects(data: Bytes, at: int, end: int, number: int, w: Row) -> int:
    """The information objects behind the data unit identifier (7.2.2, 7.2.5): one run, however they are addressed."""
    vsq = u8(data, at + 7)
    count, size = vsq & 127, SIZE[number]
    first = at + _HEADER
    w[c.S_COUNT] = count
    if count == 0:
        w[c.S_ANOMALY] |= _COUNT
    if vsq & 0x80:
        w[c.S_FLAGS] |= _SEQUENCE
        there = (end - first - 3) // size if size > 0 and end - first >= 3 else 0
        used = 3 + count * size
    else:
        there = (end - first) // (3 + size)
        used = count * (3 + size)
    if count > there:
        w[c.S_ANOMALY] |= _LENGTH
    elif number != 125 and first + used != end:
        w[c.S_ANOMALY] |= _TRAILING
    there = min(count, there)
    word = WORD[number]
    if there <= 0 or word == 0:
        return there
    if vsq & 0x80:
        add_run(w, w[c.S_SPACE], w[c.S_ADDR], there, word, first + 3, _direction(number, w), 0)
        return there
    run = add_run(w, w[c.S_SPACE], 0, there, word | (3 << f.INDEX_AT), first, _direction(number, w), 0)
    w[c.RUNS_AT + run * c.RUN + c.N_STEP] = 0
    return there


@kernel()
def _file(data: Bytes, at: int, number: int, w: Row) -> int:
    """File transfer (7.3.6): the file's name is the second part of its address; who sends a file writes it."""
    w[c.S_ADDR_SUB] = le16(data, at)
    if w[c.X_SENDER_IS_CLIENT] and (number == 120 or number == 121 or number == 123 or number == 125):
        w[c.S_OP] = _OP_FILE_WRITE
    return 0


@kernel(BODY)
def body(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill the scratch and the run of the APDU data[at:at + size]."""
    if w[c.S_KIND] == _CONTROL or size < _HEADER:
        return 0
    number, end = u8(data, at + 6), at + size
    w[c.S_OP] = OP[number]
    w[c.S_SPACE] = SPACE[number]
    w[c.S_ASKS] = 1 if w[c.S_KIND] == _REQUEST else 0
    if w[c.S_UNIT] == _GLOBAL:
        w[c.S_FLAGS] |= _BROADCAST
    if w[c.S_KIND] == _RESPONSE:
        _outcome(w, number)
    if w[c.S_FLAGS] & 63 == 0:
        w[c.S_ANOMALY] |= _RESERVED
    if SIZE[number] < 0:
        security = number == 41 or 81 <= number <= 95  # IEC TS 60870-5-7
        w[c.S_OP] = _OP_AUTHENTICATE if security else _OP_VENDOR
        w[c.S_COUNT] = u8(data, at + 7) & 127
        if not security and number < 128:
            w[c.S_ANOMALY] |= _RESERVED
        return 0
    there = _objects(data, at, end, number, w)
    if number <= 44:
        if w[c.S_FLAGS] & 63 == 5:
            w[c.S_OP] = _OP_READ
        return 0
    if number != 102 and (w[c.S_COUNT] != 1 or w[c.S_FLAGS] & _SEQUENCE) and number < 120:
        w[c.S_ANOMALY] |= _COUNT
    if there <= 0:
        return 0
    element = at + _HEADER + 3
    if 45 <= number <= 64:
        _steps(data, element, number, w)
    elif QUALIFIER[number] >= 0:
        _qualified(data, element, number, w)
        if 110 <= number <= 112:
            w[c.S_ADDR_SUB] = w[c.S_SUBFUNC] & 63
            w[c.RUNS_AT + c.N_ADDR_SUB] = w[c.S_ADDR_SUB]
    if w[c.S_SPACE] == _FILE:
        _file(data, element, number, w)
    return 0
