"""BACnet services about properties: reading, writing, change of value.  Clauses are of ANSI/ASHRAE 135-2016."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, u8
from pipeline.decode.protocols.bacnet_codes import (
    CONFIGURES,
    DEVICE,
    OF_ERROR,
    OUT_OF_SERVICE,
    PRESENT_VALUE,
    REFUSALS,
    ROLES,
    STATUS_FLAGS,
    T_CLASS,
    T_LENGTH,
    T_VALUE,
    WORDS,
)
from pipeline.decode.protocols.bacnet_tags import (
    APPLICATION,
    CLOSING,
    CONTEXT,
    OPENING,
    bracket,
    field,
    is_tag,
    pass_over,
    values,
)
from schemas.codes import Anomaly, BacnetFlag, Direction, Kind, Op, Quality, RecordFlag, Space

Row = NDArray[np.int64]

READ_LISTS, RESULT_LISTS, WRITE_LISTS, CHANGE_LISTS = range(4)
"""Lists of properties by object: asked for, answered, to be written; values of one object that changed."""

_PROPERTY, _IDENTITY = int(Space.BACNET_PROPERTY), int(Space.IDENTITY)
_READ, _WRITTEN, _REPORT = int(Direction.READ), int(Direction.WRITTEN), int(Direction.REPORT)
_RESPONSE = int(Kind.RESPONSE)
_CONFLICT, _VALUE, _MALFORMED = (
    int(a) for a in (Anomaly.CONFLICTING_RESPONSE, Anomaly.VALUE_OUT_OF_RANGE, Anomaly.MALFORMED)
)
_FORCE, _CONFIGURE = int(Op.FORCE), int(Op.CONFIGURE)
_ELSEWHERE = int(BacnetFlag.FORWARDED | BacnetFlag.FROM_NETWORK)
_PARTLY, _SAYS_IDENTITY = int(BacnetFlag.PARTLY_REFUSED), int(RecordFlag.IDENTITY)
_LIFE_SAFETY = 2
_ANY = 0x3FFFFF  # the instance that stands for the device itself, whatever its own: 15.5.2
_FLAGS_WORD = int(WORDS[8, 2])
_DOUBTS = ((0x40, int(Quality.INVALID)), (0x20, int(Quality.LOCAL_FORCED)), (0x10, int(Quality.SUBSTITUTED)))
_HIGHEST = 0x3FFFFF  # property identifiers have 22 bits: 21
SUB = T_CLASS
"""Where `reference` leaves the property."""


@kernel()
def about(w: Row, thing: int, sub: int, index: int) -> int:
    """The record is about this object and property."""
    w[c.S_SPACE] = _PROPERTY
    w[c.S_ADDR] = thing if index < 0 else thing | (min(index, 0x7FFFFFFE) + 1) << 32
    w[c.S_ADDR_SUB] = sub
    return 0


@kernel()
def identify(w: Row, first: int, thing: int, sub: int) -> int:
    """What the runs from `first` on tell of the device itself is told as its identity too.

    Only of the sender: a device behind a router, or one whose message was forwarded, has another address.
    """
    if thing >> 22 != DEVICE or sub >= ROLES.size or ROLES[sub] == 0 or w[c.S_FLAGS] & _ELSEWHERE:
        return 0
    runs = w[c.S_RUNS]
    if runs != first + 1 or runs >= c.RUNS or w[c.RUNS_AT + first * c.RUN + c.N_COUNT] != 1:
        return 0
    for i in range(c.RUN):
        w[c.RUNS_AT + runs * c.RUN + i] = w[c.RUNS_AT + first * c.RUN + i]
    w[c.S_RUNS] = runs + 1
    w[c.RUNS_AT + runs * c.RUN + c.N_SPACE] = _IDENTITY
    w[c.RUNS_AT + runs * c.RUN + c.N_ADDR] = ROLES[sub]
    w[c.RUNS_AT + runs * c.RUN + c.N_ADDR_SUB] = 0
    w[c.S_FLAGS] |= _SAYS_IDENTITY
    return 0


@kernel()
def doubts(flags: int) -> int:
    """Quality of a value by the status flags beside it, as their octet has them (12, Status_Flags)."""
    quality = i64(0)
    for bit, meaning in _DOUBTS:
        if flags & bit:
            quality |= meaning
    return int(quality)


@kernel()
def _doubt(data: Bytes, first: int, w: Row) -> int:
    """Qualities of an object's present value by its status flags beside it (12, Status_Flags)."""
    for k in range(first, w[c.S_RUNS]):
        run = c.RUNS_AT + k * c.RUN
        if w[run + c.N_ADDR_SUB] != STATUS_FLAGS or w[run + c.N_ENCODING] != _FLAGS_WORD:
            continue
        quality = doubts(u8(data, w[run + c.N_OFFSET] + 2))
        for other in range(first, w[c.S_RUNS]):
            place = c.RUNS_AT + other * c.RUN
            if w[place + c.N_ADDR_SUB] == PRESENT_VALUE:
                w[place + c.N_QUALITY] |= quality
        return 0
    return 0


@kernel()
def error(data: Bytes, at: int, end: int, w: Row) -> int:
    """Class and code of an error (18); its status into T_VALUE, the place behind it, -1 with an anomaly."""
    at = field(data, at, end, 9, APPLICATION, w)
    family = w[T_VALUE]
    at = field(data, at, end, 9, APPLICATION, w)
    w[T_VALUE] = OF_ERROR | min(family, 0xFF) << 16 | min(w[T_VALUE], 0xFFFF)
    return at


@kernel()
def change(sub: int, priority: int, w: Row) -> int:
    """What writing a property does to a device, and the strongest priority that it is written with (19.2)."""
    if priority < 0 or priority > 16:
        w[c.S_ANOMALY] |= _VALUE
    elif priority > 0 and (w[c.S_SUBFUNC] == 0 or priority < w[c.S_SUBFUNC]):
        w[c.S_SUBFUNC] = priority
    if sub == OUT_OF_SERVICE or (sub == PRESENT_VALUE and 0 < priority <= _LIFE_SAFETY):
        w[c.S_OP] = _FORCE
    elif sub < CONFIGURES.size and CONFIGURES[sub] and w[c.S_OP] != _FORCE:
        w[c.S_OP] = _CONFIGURE
    return 0


@kernel()
def reference(data: Bytes, at: int, end: int, number: int, w: Row) -> int:
    """Property and, where it is there, array index with tags from `number` on; the record's, if it has none yet.

    The property is left in SUB, the array index or -1 in T_VALUE.  Returns the place behind, -1 with an anomaly.
    """
    at = field(data, at, end, number, CONTEXT, w)
    sub = min(w[T_VALUE], _HIGHEST)
    w[T_VALUE] = -1
    if at >= 0 and is_tag(data, at, end, number + 1, CONTEXT):
        at = field(data, at, end, number + 1, CONTEXT, w)
    w[SUB] = sub
    return at


@kernel()
def thing_in(data: Bytes, at: int, end: int, number: int, kind: int, w: Row) -> int:
    """An object identifier (20.2.14) that has to be there, into T_VALUE; the place behind it, -1 with an anomaly."""
    at = field(data, at, end, number, kind, w)
    if at >= 0 and w[T_LENGTH] != 4:
        w[c.S_ANOMALY] |= _MALFORMED
        return -1
    return at


@kernel()
def single(data: Bytes, at: int, end: int, carries: bool, w: Row) -> int:
    """ReadProperty, WriteProperty and what is built like them (15.5, 15.9, 15.1, 15.2, 15.8); the place behind."""
    at = thing_in(data, at, end, 0, CONTEXT, w)
    if at < 0:
        return -1
    thing = w[T_VALUE]
    at = reference(data, at, end, 1, w)
    if at < 0:
        return -1
    sub, index = w[SUB], w[T_VALUE]
    answers = w[c.S_KIND] == _RESPONSE
    about(w, thing, sub, index)
    w[c.S_COUNT] = 1
    if answers and w[c.S_HAS_REQUEST] == 1:
        same = w[c.ASKED + c.S_ADDR] == w[c.S_ADDR] or w[c.ASKED + c.S_ADDR] & _ANY == _ANY
        if not same or w[c.ASKED + c.S_ADDR_SUB] != sub:
            w[c.S_ANOMALY] |= _CONFLICT
    if not carries:
        return at
    first = w[c.S_RUNS]
    at = bracket(data, at, end, 3, OPENING, w)
    if at < 0:
        return -1
    at = values(data, at, end, 3, thing, sub, index, _READ if answers else _WRITTEN, w)
    if answers:
        identify(w, first, thing, sub)
    elif at >= 0:
        w[T_VALUE] = 0
        if is_tag(data, at, end, 4, CONTEXT):
            at = field(data, at, end, 4, CONTEXT, w)
            if w[T_VALUE] == 0:
                w[c.S_ANOMALY] |= _VALUE
        change(sub, w[T_VALUE], w)
    return at


@kernel()
def _result(data: Bytes, at: int, end: int, thing: int, sub: int, index: int, w: Row) -> int:
    """What became of reading one property (15.7.3): its values, or an error."""
    if is_tag(data, at, end, 5, OPENING):
        at = error(data, at + 1, end, w)
        if w[REFUSALS] == 0:
            w[c.S_STATUS] = w[T_VALUE]
        w[REFUSALS] += 1
        return int(bracket(data, at, end, 5, CLOSING, w))
    first = w[c.S_RUNS]
    at = bracket(data, at, end, 4, OPENING, w)
    if at < 0:
        return -1
    at = values(data, at, end, 4, thing, sub, index, _READ, w)
    identify(w, first, thing, sub)
    return at


@kernel()
def _assignment(data: Bytes, at: int, end: int, number: int, thing: int, sub: int, index: int, notice: bool, w: Row) -> int:  # fmt: skip # noqa: E501
    """Values behind a property, and a priority to write them with, or the time of their change."""
    at = bracket(data, at, end, number, OPENING, w)
    if at < 0:
        return -1
    at = values(data, at, end, number, thing, sub, index, _REPORT if notice else _WRITTEN, w)
    w[T_VALUE] = 0
    if at >= 0 and is_tag(data, at, end, number + 1, CONTEXT):
        at = field(data, at, end, number + 1, CONTEXT, w)
    if at >= 0 and not notice:
        change(sub, w[T_VALUE], w)
    return at


@kernel()
def _of_object(data: Bytes, at: int, end: int, closing: int, thing: int, what: int, w: Row) -> int:
    """The list of one object's properties up to its closing tag; the place behind it, -1 with an anomaly."""
    first = w[c.S_RUNS]
    number = i64(2) if what == RESULT_LISTS else i64(0)
    while not is_tag(data, at, end, closing, CLOSING):
        at = reference(data, at, end, number, w)
        if at < 0:
            return -1
        sub, index = w[SUB], w[T_VALUE]
        if w[c.S_COUNT] == 0:
            about(w, thing, sub, index)
        w[c.S_COUNT] += 1
        if what == RESULT_LISTS:
            at = _result(data, at, end, thing, sub, index, w)
        elif what != READ_LISTS:
            at = _assignment(data, at, end, 2, thing, sub, index, what == CHANGE_LISTS, w)
        if at < 0:
            return -1
    _doubt(data, first, w)
    return at + 1


@kernel()
def several(data: Bytes, at: int, end: int, what: int, w: Row) -> int:
    """ReadPropertyMultiple, its answer, and WritePropertyMultiple (15.7, 15.10); the place behind."""
    while at < end:
        at = thing_in(data, at, end, 0, CONTEXT, w)
        thing = w[T_VALUE]
        at = bracket(data, at, end, 1, OPENING, w)
        if at < 0:
            return -1
        at = _of_object(data, at, end, 1, thing, what, w)
        if at < 0:
            return -1
    if what == RESULT_LISTS and w[REFUSALS] > 0 and w[REFUSALS] < w[c.S_COUNT]:
        w[c.S_FLAGS] |= _PARTLY
        w[c.S_STATUS] = 0
    return at


@kernel()
def changes(data: Bytes, at: int, end: int, w: Row) -> int:
    """A notification that values changed (13.1, 13.14): process, device, object, time remaining, values."""
    at = field(data, at, end, 0, CONTEXT, w)
    w[c.S_SUBFUNC] = w[T_VALUE] & 0xFFFFFFFF if at >= 0 else 0
    at = thing_in(data, at, end, 1, CONTEXT, w)
    at = thing_in(data, at, end, 2, CONTEXT, w)
    thing = w[T_VALUE]
    at = field(data, at, end, 3, CONTEXT, w)
    at = bracket(data, at, end, 4, OPENING, w)
    if at < 0:
        return -1
    return int(_of_object(data, at, end, 4, thing, CHANGE_LISTS, w))


@kernel()
def changes_of_several(data: Bytes, at: int, end: int, w: Row) -> int:
    """A notification about several objects (13.18): process, device, time remaining, time stamp, values by object."""
    at = field(data, at, end, 0, CONTEXT, w)
    w[c.S_SUBFUNC] = w[T_VALUE] & 0xFFFFFFFF if at >= 0 else 0
    at = thing_in(data, at, end, 1, CONTEXT, w)
    at = field(data, at, end, 2, CONTEXT, w)
    if at >= 0 and is_tag(data, at, end, 3, OPENING):
        at = pass_over(data, at + 1, end, w)
    at = bracket(data, at, end, 4, OPENING, w)
    while at >= 0 and not is_tag(data, at, end, 4, CLOSING):
        at = thing_in(data, at, end, 0, CONTEXT, w)
        thing = w[T_VALUE]
        at = bracket(data, at, end, 1, OPENING, w)
        if at >= 0:
            at = _of_object(data, at, end, 1, thing, CHANGE_LISTS, w)
    return at + 1 if at >= 0 else -1
