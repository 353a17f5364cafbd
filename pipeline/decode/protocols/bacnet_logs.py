"""ReadRange of BACnet (15.8): a part of a list, and the records of trend logs with their times.

Clauses are of ANSI/ASHRAE 135-2016.  The second part of an address in Space.BACNET_LOG: 0 for the state of a log, 3,
6 and 7 for where a range begins (position, sequence number, time), 9 for a change of the clock in seconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, u8
from pipeline.decode.protocols.bacnet_codes import CLOCK, T_CLASS, T_LENGTH, T_NUMBER, T_VALUE
from pipeline.decode.protocols.bacnet_parts import UNSIGNED, clock_in, date_runs, octets, say, without_value
from pipeline.decode.protocols.bacnet_properties import SUB, about, doubts, reference, thing_in
from pipeline.decode.protocols.bacnet_tags import (
    APPLICATION,
    CLOSING,
    CONTEXT,
    OPENING,
    bracket,
    field,
    is_tag,
    pass_over,
    tag,
    values,
)
from pipeline.decode.runs import add_run
from schemas.codes import Anomaly, Direction, Quality, Space

Row = NDArray[np.int64]

_PROPERTY, _LOG = int(Space.BACNET_PROPERTY), int(Space.BACNET_LOG)
_UNKNOWN, _READ = int(Direction.UNKNOWN), int(Direction.READ)
_ADDRESS_UNKNOWN, _INVALID = int(Quality.ADDRESS_UNKNOWN), int(Quality.INVALID)
_CONFLICT, _MALFORMED = int(Anomaly.CONFLICTING_RESPONSE), int(Anomaly.MALFORMED)
_COUNT = int(Anomaly.COUNT_OUT_OF_RANGE | Anomaly.MALFORMED)
_LOG_BUFFER = 131
_TREND_LOG, _TREND_LOG_MULTIPLE = 20, 27
_POSITION, _SEQUENCE, _TIME = 3, 6, 7
"""Tags of the ways to say where a range begins (15.8.1.1.4), and their parts of an address."""
BEGINS = c.S_EXTRA + 1
"""Extra of the scratch: the position at which a range begins, plus one; 0 where it is not known."""
_STATE, _FAILURE, _CLOCK_CHANGE, _ANY = 0, 8, 9, 10
_SORTS = np.array([8, 1, 4, 9, 2, 3, 8, 0, -1, 4, -1], np.int64)
"""Application tag of each choice of a log's datum (12.25, BACnetLogRecord); -1 for what is constructed."""
_OF_MEMBER, _OF_SEVERAL, _OF_ONE = range(3)
_ELEMENT = 1 << 32
_MOST = 0x7FFFFFFE


@kernel()
def _signed(w: Row) -> int:
    """The signed number whose primitive was read last; of more than 7 octets the largest there is."""
    value, bits = w[T_VALUE], 8 * w[T_LENGTH]
    if 0 < bits < 56 and value >> (bits - 1) & 1:
        return int(value - (i64(1) << bits))
    return int(value)


@kernel()
def _range(data: Bytes, at: int, end: int, thing: int, w: Row) -> int:
    """Which part of a list is asked for, and how many of it; the place behind it."""
    way = i64(0)
    for each in (_POSITION, _SEQUENCE, _TIME):
        if is_tag(data, at, end, each, OPENING):
            way = i64(each)
    if way == 0:
        return at
    at += 1
    start = at
    if way == _TIME:
        at = clock_in(data, at, end, w)
        if at >= 0 and w[T_VALUE] >= 0:
            run = add_run(w, _LOG, thing, 1, CLOCK, start, _UNKNOWN, 0)
            if run >= 0:
                w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = way
    else:
        at = field(data, at, end, 2, APPLICATION, w)
    first = w[T_VALUE]
    if at >= 0 and way != _TIME:
        say(data, start, end, UNSIGNED, _LOG, thing, way, _UNKNOWN, w)
    at = field(data, at, end, 3, APPLICATION, w)
    if at < 0:
        return -1
    count = _signed(w)
    w[c.S_SUBFUNC] = way
    w[c.S_COUNT] = min(abs(count), 0xFFFFFFFF)
    if way == _POSITION and count > 0 and 0 < first < _MOST:
        w[BEGINS] = first + 1
    return int(bracket(data, at, end, way, CLOSING, w))


@kernel()
def _datum(data: Bytes, at: int, end: int, thing: int, index: int, within: int, w: Row) -> int:
    """One value of a record, as its choice says; the place behind it, -1 with an anomaly."""
    start = at
    at = tag(data, at, end, w)
    if at < 0:
        return -1
    choice, kind, length = w[T_NUMBER], w[T_CLASS], w[T_LENGTH]
    if within == _OF_MEMBER:
        choice = i64(_ANY) if choice == 8 else choice + 1
    elif within == _OF_SEVERAL and choice == 2:
        choice = i64(_CLOCK_CHANGE)
    addr = thing if index < 0 else thing | (min(index, _MOST) + 1) * _ELEMENT
    if kind == OPENING:
        inside = at
        at = pass_over(data, at, end, w)
        if at < 0:
            return -1
        if choice == _FAILURE:
            without_value(start, _PROPERTY, addr, _LOG_BUFFER, _READ, _INVALID, w)
        else:
            octets(inside, at - 1 - inside, c.ENC_BYTES, _PROPERTY, addr, _LOG_BUFFER, _READ, w)
        return at
    if kind != CONTEXT:
        w[c.S_ANOMALY] |= _MALFORMED
        return -1
    beside = choice in (_STATE, _CLOCK_CHANGE)
    sort = _SORTS[choice] if choice < _SORTS.size else i64(-1)
    space, sub = _LOG if beside else _PROPERTY, choice if beside else i64(_LOG_BUFFER)
    say(data, start, end, sort, space, addr, sub, _READ, w)
    return int(at + length)


@kernel()
def _data(data: Bytes, at: int, end: int, thing: int, several: bool, w: Row) -> int:
    """What a record holds, within its brackets: one value, or one of each that is logged together."""
    if not several:
        return int(_datum(data, at, end, thing, i64(-1), _OF_ONE, w))
    if not is_tag(data, at, end, 1, OPENING):
        return int(_datum(data, at, end, thing, i64(-1), _OF_SEVERAL, w))
    at += 1
    index = i64(0)
    while not is_tag(data, at, end, 1, CLOSING):
        index += 1
        at = _datum(data, at, end, thing, index, _OF_MEMBER, w)
        if at < 0:
            return -1
    return at + 1


@kernel()
def _record(data: Bytes, at: int, end: int, thing: int, several: bool, w: Row) -> int:
    """A record of a trend log: its time, what was logged, and its status flags; the place behind it."""
    first = w[c.S_RUNS]
    at = bracket(data, at, end, 0, OPENING, w)
    at = clock_in(data, at, end, w)
    time_ns = w[T_VALUE]
    at = bracket(data, at, end, 0, CLOSING, w)
    at = bracket(data, at, end, 1, OPENING, w)
    if at < 0:
        return -1
    at = _data(data, at, end, thing, several, w)
    at = bracket(data, at, end, 1, CLOSING, w)
    if at >= 0 and not several and is_tag(data, at, end, 2, CONTEXT):
        at = field(data, at, end, 2, CONTEXT, w)
        if at >= 0 and w[T_LENGTH] == 2:
            doubt = doubts(u8(data, at - 1))
            for k in range(first, w[c.S_RUNS]):
                if w[c.RUNS_AT + k * c.RUN + c.N_SPACE] == _PROPERTY:
                    w[c.RUNS_AT + k * c.RUN + c.N_QUALITY] |= doubt
    date_runs(first, time_ns, w)
    return at


@kernel()
def _placed(first: int, w: Row) -> int:
    """Put elements of a list, counted from 1, where the request said that they begin; else nobody knows where."""
    begins = w[c.ASKED + BEGINS] - 1 if w[c.S_HAS_REQUEST] else i64(-1)
    for k in range(first, w[c.S_RUNS]):
        run = c.RUNS_AT + k * c.RUN
        if begins < 0:
            w[run + c.N_QUALITY] |= _ADDRESS_UNKNOWN
        elif w[run + c.N_ADDR] >= _ELEMENT:
            w[run + c.N_ADDR] += (begins - 1) * _ELEMENT
        else:
            w[run + c.N_ADDR] += (begins + 1) * _ELEMENT
    return 0


@kernel()
def _items(data: Bytes, at: int, end: int, thing: int, sub: int, count: int, w: Row) -> int:
    """The items of an answer up to their closing tag; the place behind it."""
    first = w[c.S_RUNS]
    if sub != _LOG_BUFFER or (thing >> 22 != _TREND_LOG and thing >> 22 != _TREND_LOG_MULTIPLE):
        at = values(data, at, end, 5, thing, sub, i64(-1), _READ, w)
        _placed(first, w)
        return at
    several, found = thing >> 22 == _TREND_LOG_MULTIPLE, i64(0)
    while not is_tag(data, at, end, 5, CLOSING):
        at = _record(data, at, end, thing, several, w)
        if at < 0:
            return -1
        found += 1
    if found != count:
        w[c.S_ANOMALY] |= _COUNT
    return at + 1


@kernel()
def ranged(data: Bytes, at: int, end: int, answers: bool, w: Row) -> int:
    """ReadRange, or its answer; the place behind it."""
    at = thing_in(data, at, end, 0, CONTEXT, w)
    if at < 0:
        return -1
    thing = w[T_VALUE]
    at = reference(data, at, end, 1, w)
    if at < 0:
        return -1
    sub, index = w[SUB], w[T_VALUE]
    about(w, thing, sub, index)
    w[c.S_COUNT] = 0
    if not answers:
        return int(_range(data, at, end, thing, w))
    if w[c.S_HAS_REQUEST] == 1 and (w[c.ASKED + c.S_ADDR] != w[c.S_ADDR] or w[c.ASKED + c.S_ADDR_SUB] != sub):
        w[c.S_ANOMALY] |= _CONFLICT
        w[c.ASKED + BEGINS] = 0
    at = field(data, at, end, 3, CONTEXT, w)
    at = field(data, at, end, 4, CONTEXT, w)
    if at < 0:
        return -1
    count = w[T_VALUE]
    w[c.S_COUNT] = min(count, 0xFFFFFFFF)
    at = bracket(data, at, end, 5, OPENING, w)
    if at < 0:
        return -1
    at = _items(data, at, end, thing, sub, count, w)
    if at >= 0 and is_tag(data, at, end, 6, CONTEXT):
        at = say(data, at, end, UNSIGNED, _LOG, thing, _SEQUENCE, _READ, w)
    return at
