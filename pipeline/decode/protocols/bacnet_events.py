"""Events and alarms of BACnet: notifications, acknowledgements, summaries.

Clauses are of ANSI/ASHRAE 135-2016.  What is a property of the object is told as that property, such as the event
state that a notification says.  The second part of an address in Space.BACNET_EVENT is the tag of the parameter, 16
for the state that is acknowledged, and for values of the event VALUE, its choice and the tag within it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, u8
from pipeline.decode.naming import add_name
from pipeline.decode.protocols.bacnet_codes import T_CLASS, T_LENGTH, T_NUMBER, T_VALUE
from pipeline.decode.protocols.bacnet_parts import (
    BITS,
    BOOLEAN,
    ENUMERATED,
    TEXT,
    UNSIGNED,
    date_runs,
    octets,
    parameter,
    say,
    stamp,
)
from pipeline.decode.protocols.bacnet_properties import about, thing_in
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
)
from schemas.codes import Anomaly, Direction, Space

Row = NDArray[np.int64]

VALUE = 1 << 16
"""Second part of an address: a value of an event, plus its choice << 8 and the tag within it."""
PROCESS, CLASS, PRIORITY, EVENT_TYPE, MESSAGE, NOTIFY_TYPE, ACK_REQUIRED, FROM_STATE = 0, 4, 5, 6, 7, 8, 9, 10
ACKNOWLEDGED = 16
_STATE, _ACKED, _NOTIFIES, _ENABLED, _TYPE, _OF_CLASS = 36, 0, 72, 35, 37, 17
"""Properties: event state, acknowledged transitions, notify type, event enable, event type, notification class."""
_PROPERTY, _EVENT = int(Space.BACNET_PROPERTY), int(Space.BACNET_EVENT)
_READ, _WRITTEN, _REPORT = int(Direction.READ), int(Direction.WRITTEN), int(Direction.REPORT)
_MALFORMED = int(Anomaly.MALFORMED)
_ELEMENT = 1 << 32


def _sorts() -> NDArray[np.int64]:
    """Application tag of each (choice, tag) of an event's values (21, BACnetNotificationParameters); -1 for none."""
    found = np.full((32, 16), -1, np.int64)
    for choice, sorts in {
        0: {0: 8, 1: 8},
        1: {1: 8},
        2: {1: 8},
        3: {1: 8},
        4: {0: 4, 1: 8, 2: 4, 3: 4},
        5: {0: 4, 1: 8, 2: 4, 3: 4},
        8: {0: 9, 1: 9, 2: 8, 3: 9},
        9: {0: 2, 1: 2},
        10: {1: 2, 2: 2},
        11: {0: 2, 1: 8, 2: 2},
        13: {0: 9, 1: 8, 2: 2},
        14: {0: 5, 1: 8, 2: 5, 3: 5},
        15: {0: 3, 1: 8, 2: 2, 3: 3},
        16: {0: 2, 1: 8, 2: 2, 3: 2},
        17: {0: 7, 1: 8, 2: 7},
        18: {1: 8},
        19: {0: 9, 1: 8},
        21: {1: 8},
        22: {0: 9, 1: 8, 3: 9, 4: 2},
    }.items():
        for number, sort in sorts.items():
            found[choice, number] = sort
    return found


_SORTS = _sorts()
_CHANGE_OF_STATE, _CHANGE_OF_VALUE = 1, 2
_STATE_BOOLEAN, _STATE_UNSIGNED, _STATE_SIGNED = 0, 11, 41


@kernel()
def _sort_within(choice: int, number: int) -> int:
    """Application tag of what stands under a tag of a changed state or value (21, BACnetPropertyStates)."""
    if choice == _CHANGE_OF_STATE:
        if number == _STATE_BOOLEAN:
            return 1
        return 2 if number == _STATE_UNSIGNED else (3 if number == _STATE_SIGNED else 9)
    if choice == _CHANGE_OF_VALUE and number <= 1:
        return 4 if number == 1 else 8
    return -1


@kernel()
def _bracketed(data: Bytes, start: int, at: int, end: int, choice: int, thing: int, w: Row) -> int:
    """A value of an event within brackets, which begin at `start`: one that is known as such, else its octets."""
    sub = VALUE | choice << 8 | w[T_NUMBER]
    closing, inside = w[T_NUMBER], at
    at = tag(data, at, end, w)
    if at < 0:
        return -1
    kind, number = w[T_CLASS], w[T_NUMBER]
    behind = at + w[T_LENGTH]
    single = (kind in (APPLICATION, CONTEXT)) and closing < 15 and is_tag(data, behind, end, closing, CLOSING)
    sort = number if kind == APPLICATION else _sort_within(choice, number)
    if single and sort >= 0:
        say(data, inside, end, sort, _EVENT, thing, sub, _REPORT, w)
        return int(behind + 1)
    at = pass_over(data, inside, end, w)
    if at >= 0:
        octets(start, at - start, c.ENC_BYTES, _EVENT, thing, sub, _REPORT, w)
    return at


@kernel()
def _values(data: Bytes, at: int, end: int, thing: int, w: Row) -> int:
    """The values of an event (13.8.1.1.12) within their brackets; the place behind these, -1 with an anomaly."""
    at = bracket(data, at, end, 12, OPENING, w)
    at = tag(data, at, end, w) if at >= 0 else -1
    if at < 0:
        return -1
    choice, opens = w[T_NUMBER], w[T_CLASS] == OPENING
    if not opens:
        at += w[T_LENGTH]
    while opens:
        start = at
        at = tag(data, at, end, w)
        if at < 0:
            return -1
        number = w[T_NUMBER]
        if w[T_CLASS] == CLOSING:
            if number != choice:
                w[c.S_ANOMALY] |= _MALFORMED
                return -1
            break
        if w[T_CLASS] == OPENING:
            at = _bracketed(data, start, at, end, choice, thing, w)
        else:
            known = w[T_CLASS] == CONTEXT and choice < 32 and number < 16
            sort = _SORTS[choice, number] if known else i64(-1)
            at = say(data, start, end, sort, _EVENT, thing, VALUE | choice << 8 | number, _REPORT, w)
        if at < 0:
            return -1
    return int(bracket(data, at, end, 12, CLOSING, w))


@kernel()
def _if_there(data: Bytes, at: int, end: int, number: int, sort: int, thing: int, w: Row) -> int:
    """A parameter of a notification that may be left out; the place behind it."""
    if at < 0 or not is_tag(data, at, end, number, CONTEXT):
        return at
    return int(parameter(data, at, end, number, sort, thing, number, _REPORT, w))


@kernel()
def _state(data: Bytes, at: int, end: int, number: int, thing: int, direction: int, w: Row) -> int:
    """The event state that an object has come to, as the property that it is; the place behind it."""
    start = at
    at = field(data, at, end, number, CONTEXT, w)
    if at >= 0:
        say(data, start, end, ENUMERATED, _PROPERTY, thing, _STATE, direction, w)
    return at


@kernel()
def notification(data: Bytes, at: int, end: int, w: Row) -> int:
    """An event notification (13.8, 13.9): who is told, the object, when, what kind of event, from which state to which.

    All its points have its time, where it has a date.
    """
    first, process = w[c.S_RUNS], at
    at = field(data, at, end, 0, CONTEXT, w)
    at = thing_in(data, at, end, 1, CONTEXT, w)
    at = thing_in(data, at, end, 2, CONTEXT, w)
    if at < 0:
        return -1
    thing = w[T_VALUE]
    about(w, thing, 0, -1)
    w[c.S_COUNT] = 1
    say(data, process, end, UNSIGNED, _EVENT, thing, PROCESS, _REPORT, w)
    at = stamp(data, at, end, 3, thing, _REPORT, w)
    time_ns = w[T_VALUE]
    at = parameter(data, at, end, CLASS, UNSIGNED, thing, CLASS, _REPORT, w)
    at = parameter(data, at, end, PRIORITY, UNSIGNED, thing, PRIORITY, _REPORT, w)
    at = parameter(data, at, end, EVENT_TYPE, ENUMERATED, thing, EVENT_TYPE, _REPORT, w)
    if at >= 0:
        w[c.S_SUBFUNC] = w[T_VALUE] & 0xFFFFFFFF
    at = _if_there(data, at, end, MESSAGE, TEXT, thing, w)
    at = parameter(data, at, end, NOTIFY_TYPE, ENUMERATED, thing, NOTIFY_TYPE, _REPORT, w)
    at = _if_there(data, at, end, ACK_REQUIRED, BOOLEAN, thing, w)
    at = _if_there(data, at, end, FROM_STATE, ENUMERATED, thing, w)
    at = _state(data, at, end, 11, thing, _REPORT, w)
    if at >= 0 and is_tag(data, at, end, 12, OPENING):
        at = _values(data, at, end, thing, w)
    date_runs(first, time_ns, w)
    return at


@kernel()
def acknowledge(data: Bytes, at: int, end: int, w: Row) -> int:
    """AcknowledgeAlarm (13.5): by whom, the object, which state of it, as of when; who names the record."""
    process = at
    at = field(data, at, end, 0, CONTEXT, w)
    at = thing_in(data, at, end, 1, CONTEXT, w)
    if at < 0:
        return -1
    thing = w[T_VALUE]
    about(w, thing, 0, -1)
    w[c.S_COUNT] = 1
    say(data, process, end, UNSIGNED, _EVENT, thing, PROCESS, _WRITTEN, w)
    first = w[c.S_RUNS]
    at = parameter(data, at, end, 2, ENUMERATED, thing, ACKNOWLEDGED, _WRITTEN, w)
    if at < 0:
        return -1
    w[c.S_SUBFUNC] = w[T_VALUE] & 0xFFFFFFFF
    at = stamp(data, at, end, 3, thing, _WRITTEN, w)
    date_runs(first, w[T_VALUE], w)
    at = field(data, at, end, 4, CONTEXT, w)
    if at >= 0 and w[T_LENGTH] > 1 and u8(data, at - w[T_LENGTH]) == 0:
        w[c.S_NAME_ID] = add_name(data, at - w[T_LENGTH] + 1, min(w[T_LENGTH] - 1, 255), w)
    return int(stamp(data, at, end, 5, thing, _WRITTEN, w))


@kernel()
def _said(data: Bytes, at: int, end: int, sort: int, space: int, addr: int, sub: int, w: Row) -> int:
    """A value with an application tag that has to be there, as a point; the place behind it."""
    start = at
    at = field(data, at, end, sort, APPLICATION, w)
    if at >= 0:
        say(data, start, end, sort, space, addr, sub, _READ, w)
    return at


@kernel()
def _counted(thing: int, w: Row) -> int:
    """The record of a list is about its first object."""
    if w[c.S_COUNT] == 0:
        about(w, thing, 0, -1)
    w[c.S_COUNT] += 1
    return 0


@kernel()
def alarms(data: Bytes, at: int, end: int, enrollments: bool, w: Row) -> int:
    """The answers to GetAlarmSummary (13.10) and GetEnrollmentSummary (13.11): state, and what else, of each object."""
    w[c.S_COUNT] = 0
    while 0 <= at < end:
        at = thing_in(data, at, end, 12, APPLICATION, w)
        if at < 0:
            return -1
        thing = w[T_VALUE]
        _counted(thing, w)
        if enrollments:
            at = _said(data, at, end, ENUMERATED, _PROPERTY, thing, _TYPE, w)
        at = _said(data, at, end, ENUMERATED, _PROPERTY, thing, _STATE, w)
        if not enrollments:
            at = _said(data, at, end, BITS, _PROPERTY, thing, _ACKED, w)
            continue
        at = _said(data, at, end, UNSIGNED, _EVENT, thing, PRIORITY, w)
        if at >= 0 and is_tag(data, at, end, UNSIGNED, APPLICATION):
            at = _said(data, at, end, UNSIGNED, _PROPERTY, thing, _OF_CLASS, w)
    return at


@kernel()
def _under(data: Bytes, at: int, end: int, number: int, sort: int, thing: int, sub: int, w: Row) -> int:
    """A property under a context tag that has to be there, as a point; the place behind it."""
    start = at
    at = field(data, at, end, number, CONTEXT, w)
    if at >= 0:
        say(data, start, end, sort, _PROPERTY, thing, sub, _READ, w)
    return at


@kernel()
def _summary(data: Bytes, at: int, end: int, w: Row) -> int:
    """One object of an answer to GetEventInformation; the place behind it."""
    at = thing_in(data, at, end, 0, CONTEXT, w)
    if at < 0:
        return -1
    thing = w[T_VALUE]
    _counted(thing, w)
    at = _state(data, at, end, 1, thing, _READ, w)
    at = _under(data, at, end, 2, BITS, thing, _ACKED, w)
    at = bracket(data, at, end, 3, OPENING, w)
    at = pass_over(data, at, end, w) if at >= 0 else -1
    at = _under(data, at, end, 4, ENUMERATED, thing, _NOTIFIES, w)
    at = _under(data, at, end, 5, BITS, thing, _ENABLED, w)
    at = bracket(data, at, end, 6, OPENING, w)
    for index in range(1, 4):
        at = _said(data, at, end, UNSIGNED, _EVENT, thing | (index + 1) * _ELEMENT, PRIORITY, w)
    return int(bracket(data, at, end, 6, CLOSING, w))


@kernel()
def information(data: Bytes, at: int, end: int, answers: bool, w: Row) -> int:
    """GetEventInformation (13.12) and its answer; whether there is more goes into the sub-function."""
    if not answers:
        if at >= end:
            return at
        at = thing_in(data, at, end, 0, CONTEXT, w)
        if at >= 0:
            about(w, w[T_VALUE], 0, -1)
        return at
    w[c.S_COUNT] = 0
    at = bracket(data, at, end, 0, OPENING, w)
    while at >= 0 and not is_tag(data, at, end, 0, CLOSING):
        at = _summary(data, at, end, w)
    at = field(data, at + 1, end, 1, CONTEXT, w) if at >= 0 else -1
    if at >= 0:
        w[c.S_SUBFUNC] = w[T_VALUE] & 0xFFFFFFFF
    return at
