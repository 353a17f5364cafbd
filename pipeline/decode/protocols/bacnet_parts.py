"""Parts that several BACnet services are made of: parameters as points, times, and what is to be dated by them.

Clauses are of ANSI/ASHRAE 135-2016.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, u8
from pipeline.decode.protocols.bacnet_codes import T_CLASS, T_LENGTH, T_VALUE, WORDS
from pipeline.decode.protocols.bacnet_tags import (
    APPLICATION,
    CLOSING,
    CONTEXT,
    LONGEST,
    OPENING,
    bracket,
    field,
    is_tag,
    tag,
)
from pipeline.decode.runs import add_run
from pipeline.decode.values import bacnet_date_ms, bacnet_daytime_ms
from schemas.codes import Quality, Space

Row = NDArray[np.int64]

_TRUNCATED, _TIME_INVALID = int(Quality.TRUNCATED), int(Quality.TIME_INVALID)
_EVENT = int(Space.BACNET_EVENT)
BOOLEAN, UNSIGNED, TEXT, BITS, ENUMERATED = 1, 2, 7, 8, 9
"""Application tags (20.2.1.4) of what stands under a context tag."""
_CONTEXT_BOOLEAN = f.form(f.V_BIT0, at=1)
_DATE, _DAYTIME = 10, 11
_CLOCK_BYTES = 10
_SEQUENCE = 3


@kernel()
def octets(at: int, size: int, encoding: int, space: int, addr: int, sub: int, direction: int, w: Row) -> int:
    """A text, or octets as they are, as one point: its run, -1 where there are none."""
    if size <= 0:
        return -1
    quality = _TRUNCATED if size > LONGEST else 0
    run = add_run(w, space, addr, 1, encoding, at, direction, quality)
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = sub
        w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = min(size, LONGEST)
    return run


@kernel()
def _word(data: Bytes, at: int, sort: int, header: int, w: Row) -> int:
    """The form of the primitive read last, whose contents are at `at`, as that type; 0 where it is octets to us."""
    length = w[T_LENGTH]
    if sort < 0 or sort > 15 or length > 9 or header != (1 if length <= 4 else 2):
        return 0
    if sort == BOOLEAN and w[T_CLASS] == CONTEXT:  # where its value is no part of the tag: 20.2.3
        return _CONTEXT_BOOLEAN if length == 1 else 0
    if sort == _DATE and length == 4 and bacnet_date_ms(data, at) < 0:
        return 0
    if sort == _DAYTIME and length == 4 and bacnet_daytime_ms(data, at) < 0:
        return 0
    return int(WORDS[sort, length])


@kernel()
def say(data: Bytes, at: int, end: int, sort: int, space: int, addr: int, sub: int, direction: int, w: Row) -> int:
    """The primitive at `at`, whatever its tag, as a point of that application type, -1 for octets; the place behind."""
    start = at
    at = tag(data, at, end, w)
    if at < 0:
        return -1
    length = w[T_LENGTH]
    word = _word(data, at, sort, at - start, w)
    if word != 0:
        run = add_run(w, space, addr, 1, word, start, direction, 0)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = sub
    elif sort == TEXT and length > 0 and u8(data, at) == 0:
        octets(at + 1, length - 1, c.ENC_TEXT, space, addr, sub, direction, w)
    else:
        octets(at, length, c.ENC_BYTES, space, addr, sub, direction, w)
    return int(at + length)


@kernel()
def parameter(
    data: Bytes, at: int, end: int, number: int, sort: int, addr: int, sub: int, direction: int, w: Row
) -> int:
    """A parameter of a notification that has to be there, as a point; its number into T_VALUE, the place behind it."""
    start = at
    at = field(data, at, end, number, CONTEXT, w)
    if at < 0:
        return -1
    value = w[T_VALUE]
    say(data, start, end, sort, _EVENT, addr, sub, direction, w)
    w[T_VALUE] = value
    return at


@kernel()
def without_value(at: int, space: int, addr: int, sub: int, direction: int, quality: int, w: Row) -> int:
    """A point whose value is not there."""
    run = add_run(w, space, addr, 1, WORDS[0, 0], at, direction, quality)
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = sub
    return run


@kernel()
def clock_in(data: Bytes, at: int, end: int, w: Row) -> int:
    """A date and a time (21, BACnetDateTime): nanoseconds since 1970, or -1 where it is no one time, into T_VALUE."""
    start = at
    at = field(data, at, end, 10, APPLICATION, w)
    dated = at >= 0 and at == start + 5
    at = field(data, at, end, 11, APPLICATION, w)
    w[T_VALUE] = -1
    if at >= 0 and dated and at == start + _CLOCK_BYTES:
        date, time = bacnet_date_ms(data, start + 1), bacnet_daytime_ms(data, start + 6)
        if date >= 0 and time >= 0:
            w[T_VALUE] = (date + time) * 1_000_000
    return at


@kernel()
def stamp(data: Bytes, at: int, end: int, number: int, addr: int, direction: int, w: Row) -> int:
    """A time stamp within brackets (21, BACnetTimeStamp): nanoseconds since 1970 into T_VALUE, 0 for what has no date.

    A sequence number is told as a point.
    """
    at = bracket(data, at, end, number, OPENING, w)
    time_ns = i64(0)
    if at < 0:
        w[T_VALUE] = 0
        return -1
    if is_tag(data, at, end, 2, OPENING):
        at = clock_in(data, at + 1, end, w)
        time_ns = w[T_VALUE]
        at = bracket(data, at, end, 2, CLOSING, w)
    elif is_tag(data, at, end, 1, CONTEXT):
        at = parameter(data, at, end, 1, UNSIGNED, addr, _SEQUENCE, direction, w)
    else:
        at = field(data, at, end, 0, CONTEXT, w)
    at = bracket(data, at, end, number, CLOSING, w)
    w[T_VALUE] = time_ns
    return at


@kernel()
def date_runs(first: int, time_ns: int, w: Row) -> int:
    """Give the runs from `first` on the device's time; -1 says that it is none."""
    for k in range(first, w[c.S_RUNS]):
        run = c.RUNS_AT + k * c.RUN
        w[run + c.N_SOURCE_TS] = max(time_ns, 0)
        if time_ns < 0:
            w[run + c.N_QUALITY] |= _TIME_INVALID
    return 0
