"""Programmer commands of S7comm: tables of variables that are watched, modified or forced, and the jobs that do so.

The data begins with the sizes of its parameters, whose meaning is not told here, and of what follows them.  A variable
has six bytes: area and width, how many (or which bit), data block, first byte.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.protocols import s7_types as t
from pipeline.decode.protocols.s7_cyclic import TABLES, carried, known_for, remember, word_of
from pipeline.decode.protocols.s7_head import BAD_LENGTH, REQUEST, RESPONSE
from pipeline.decode.protocols.s7_items import (
    GOOD,
    KNOWN,
    about,
    data_size,
    items_of_request,
    keep,
    refused,
    values_of,
    without_value,
)
from pipeline.decode.runs import add_run
from schemas.codes import Anomaly, Direction, Op, Space

Row = NDArray[np.int64]

_VARIABLE, _JOB = 6, 4
_MANY = 127
_COUNT = int(Anomaly.COUNT_OUT_OF_RANGE | Anomaly.MALFORMED)
_UNKNOWN, _READ, _WRITTEN, _ECHO = (
    int(d) for d in (Direction.UNKNOWN, Direction.READ, Direction.WRITTEN, Direction.ECHO)
)
_RESERVED = int(Anomaly.RESERVED_CODE)
_FORCES, _WRITES, _JOBS = int(Op.FORCE), int(Op.WRITE), int(Space.S7_JOB)
_STATE = f.form(f.V_U16BE)
_NUMBERED = 4


def _areas() -> NDArray[np.int64]:
    """The area of a read job for each that a table has, in the high four bits of its first byte."""
    found = np.zeros(16, np.int64)
    found[[0, 1, 2, 3, 5, 6, 7]] = (0x83, 0x81, 0x82, 0x80, t.TIMER, t.COUNTER, 0x84)
    return found


_AREAS = _areas()
_SIZES = np.array([t.BIT, 2, 4, 6], np.int64)
"""Transport size by the low four bits: bit, byte, word, double word."""


@kernel()
def _packed(data: Bytes, at: int) -> int:
    """The variable at `at` as `s7_items` packs its items; 1 for one whose area or width is not known."""
    area, width = _AREAS[u8(data, at) >> 4], u8(data, at) & 15
    many, block, start = u8(data, at + 1), be16(data, at + 2), be16(data, at + 4)
    numbered = area == t.TIMER or area == t.COUNTER
    if area == 0 or width > _NUMBERED or numbered != (width == _NUMBERED):
        return 1
    addr, size = i64(start), i64(area)
    if not numbered:
        size = _SIZES[width]
        addr = i64(8 * start)
    if width == 0:
        addr += many & 7
        many = i64(1)
    word = addr | block << 24 | area << 40 | size << 48 | min(many, _MANY) << 56
    return int(word | KNOWN)


@kernel()
def _value(data: Bytes, at: int, end: int, word: int, number: int, direction: int, w: Row) -> int:
    """A value of a variable to be taken; the place behind it, -1 where it is cut off."""
    if at + 4 > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return -1
    code, size = u8(data, at), data_size(data, at)
    if code != GOOD and code != 0:
        return at + 4
    if at + 4 + size > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return -1
    values_of(data, at + 4, size, word, u8(data, at + 1), number, direction, w)
    return int(at + 4 + size + (size & 1))


@kernel()
def _table(data: Bytes, at: int, end: int, function: int, direction: int, w: Row) -> int:
    """The variables of a job, and behind all of them the values that they are to have."""
    if end - at < 2:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    count = be16(data, at)
    at += 2
    w[c.S_FLAGS] |= min(count, 255) << 16
    if count == 0 or count > 255:
        w[c.S_ANOMALY] |= _COUNT
        return 0
    values = at + count * _VARIABLE
    if values > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
    for i in range(min(count, (end - at) // _VARIABLE)):
        place = at + i * _VARIABLE
        word = _packed(data, place)
        if word >= 0:
            w[c.S_ANOMALY] |= _RESERVED
        if i == 0:
            about(word, (word >> 56) & _MANY, w)
        if w[c.S_KIND] == REQUEST:
            keep(i, word, w)
        if function == t.WATCH:
            without_value(word, place, _UNKNOWN, 0, w)
        elif values >= 0:
            values = _value(data, values, end, word, i + 1, direction, w)
    return 0


@kernel()
def _codes(data: Bytes, at: int, end: int, count: int, number: int, w: Row) -> int:
    """What became of each variable that was to be modified or forced: a return code each."""
    known = w[c.S_KIND] != RESPONSE and known_for(TABLES, number, count, w)
    if end - at < count:
        w[c.S_ANOMALY] |= BAD_LENGTH
    for i in range(min(count, end - at)):
        word, code = word_of(TABLES, number, i, known, w), u8(data, at + i)
        if i == 0 and w[c.S_KIND] != RESPONSE:
            about(word, 0, w)
        if code != GOOD:
            refused(code, word, at + i, _ECHO, w)
    return 0


@kernel()
def _told(data: Bytes, at: int, end: int, sub: int, number: int, w: Row) -> int:
    """What a job found or did."""
    if end - at < 2:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    count = be16(data, at)
    w[c.S_FLAGS] |= min(count, 255) << 16
    if count > 255:
        w[c.S_ANOMALY] |= _COUNT
        return 0
    if w[c.S_KIND] == RESPONSE:
        items_of_request(count, w)
    if sub == t.WATCH:
        return int(carried(data, at + 2, end, count, TABLES, number, w))
    return int(_codes(data, at + 2, end, count, number, w))


@kernel()
def _inside(data: Bytes, at: int, end: int, function: int, direction: int, w: Row) -> int:
    """A job as it stands within another command: sizes, parameters, variables."""
    if function != t.WATCH and function != t.MODIFY and function != t.FORCE:
        return 0
    if end - at < 4 or at + 4 + be16(data, at) + be16(data, at + 2) > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    first = at + 4 + be16(data, at)
    return int(_table(data, first, first + be16(data, at + 2), function, direction, w))


@kernel()
def _about_job(data: Bytes, at: int, end: int, sub: int, w: Row) -> int:
    """A command about a job; one about a job that forces is forcing too, and what replaces it is told."""
    if sub == t.LIST_JOBS:
        return 0
    at += 2 if sub == t.DELETE_JOB or sub == t.REPLACE_JOB else 0
    if end - at < 2:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    function, number = u8(data, at), u8(data, at + 1)
    if function == t.FORCE and sub != t.READ_JOB:
        w[c.S_OP] = _FORCES
    if sub == t.REPLACE_JOB:
        w[c.S_OP] = _WRITES if function == t.MODIFY else w[c.S_OP]
        _inside(data, at + 2, end, function, _WRITTEN, w)
    w[c.S_SPACE] = _JOBS
    w[c.S_ADDR] = function << 8 | number
    w[c.S_ADDR_SUB] = 0
    w[c.S_COUNT] = 1
    return 0


@kernel()
def _jobs(data: Bytes, at: int, end: int, w: Row) -> int:
    """The jobs that there are, each with its state."""
    w[c.S_SPACE] = _JOBS
    w[c.S_COUNT] = (end - at) // _JOB
    if (end - at) % _JOB:
        w[c.S_ANOMALY] |= BAD_LENGTH
    for place in range(at, end - _JOB + 1, _JOB):
        add_run(w, _JOBS, be16(data, place), 1, _STATE, place + 2, _READ, 0)
    return 0


@kernel()
def started(number: int, w: Row) -> int:
    """Keep the variables of a job that was accepted: its results come under its number."""
    sub = w[c.S_SUBFUNC]
    if sub != t.WATCH and sub != t.MODIFY and sub != t.FORCE:
        return 0
    if w[c.S_KIND] == RESPONSE and w[c.S_STATUS] == 0:
        count = (w[c.ASKED + c.S_FLAGS] >> 16) & 0xFF if w[c.S_HAS_REQUEST] else i64(0)
        remember(TABLES, sub << 8 | number, count, w)
    return 0


@kernel()
def tables(data: Bytes, at: int, end: int, number: int, w: Row) -> int:
    """A programmer command with data[at:end]; `number` is that of the job, except in the request that makes one."""
    sub = w[c.S_SUBFUNC]
    of_variables = sub == t.WATCH or sub == t.MODIFY or sub == t.FORCE
    if not of_variables and not t.DISABLE_JOB <= sub <= t.REPLACE_JOB:
        return 0
    if end - at < 4:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    first = at + 4 + be16(data, at)
    stop = first + be16(data, at + 2)
    if stop > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        stop = end
    if first >= stop:
        return 0
    asks = w[c.S_KIND] == REQUEST
    if of_variables and asks:
        return int(_table(data, first, stop, sub, _WRITTEN, w))
    if of_variables:
        return int(_told(data, first, stop, sub, sub << 8 | number, w))
    if asks:
        return int(_about_job(data, first, stop, sub, w))
    if w[c.S_KIND] != RESPONSE:
        return 0
    if sub == t.LIST_JOBS:
        return int(_jobs(data, first, stop, w))
    if sub == t.READ_JOB and w[c.S_HAS_REQUEST] and w[c.S_SPACE] == _JOBS:
        return int(_inside(data, first, stop, w[c.ASKED + c.S_ADDR] >> 8, _READ, w))
    return 0
