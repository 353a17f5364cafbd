"""Messages of S7comm that a controller sends by itself: alarms, diagnosis, mode; their subscription and queries.

An alarm's address is its event id, with the number of an element of an associated value in the high half; its second
part is an `AlarmPart`.  All have the controller's time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, be32, u8
from pipeline.decode.naming import add_name
from pipeline.decode.protocols import s7_types as t
from pipeline.decode.protocols.s7_blocks import text_length
from pipeline.decode.protocols.s7_head import BAD_LENGTH, REQUEST, RESPONSE, UNSOLICITED
from pipeline.decode.protocols.s7_items import GOOD, data_size
from pipeline.decode.runs import add_run
from pipeline.decode.values import s7_clock_ms
from schemas.codes import Anomaly, Direction, PointType, Quality, S7Flag, Space

Row = NDArray[np.int64]

_ALARM, _DIAGNOSTIC, _MODE = int(Space.S7_ALARM), int(Space.S7_DIAGNOSTIC), int(Space.S7_MODE)
_READ, _WRITTEN, _REPORT = int(Direction.READ), int(Direction.WRITTEN), int(Direction.REPORT)
_TIME_INVALID = int(Quality.TIME_INVALID)
_MORE, _RESERVED = int(S7Flag.MORE), int(Anomaly.RESERVED_CODE)
_LOCK, _ALARM_SET, _ACKNOWLEDGE, _QUERY, _NOTIFY = 0x15, 0x16, 0x19, 0x1A, 0x1C
"""Syntaxes of an object of a message: lock or free, alarm, acknowledge, query, notify."""
_BY_EVENT = 3
_ALARM_S = 4
_CLOCK_BYTES, _DIAGNOSTIC_BYTES = 8, 20
_BITS, _ENUM, _NOTHING = f.form(f.V_U8, kind=PointType.BITS), f.form(f.V_U8, kind=PointType.ENUM), f.form(f.V_NONE)
_BIT, _BYTE = f.form(f.V_BIT0), f.form(f.V_U8)
_SUBJECT, _GOING_AT, _TYPE, _VALUE, _VALUE_GOING = (
    int(p)
    for p in (
        t.AlarmPart.SUBJECT,
        t.AlarmPart.WENT,
        t.AlarmPart.TYPE,
        t.AlarmPart.VALUE,
        t.AlarmPart.VALUE_GOING,
    )
)
_SIGNALS, _ACKNOWLEDGED = int(t.AlarmPart.SIGNALS), int(t.AlarmPart.ACKNOWLEDGED_GOING)
_MOST_VALUES = 15
_NO_LENGTH, _FOLLOWS = 0xFFFF, 1
_DIAGNOSTIC_PARTS = tuple(
    (int(part), offset, f.form(value, kind=kind))
    for part, offset, value, kind in (
        (t.DiagnosticPart.PRIORITY, 2, f.V_U8, PointType.U8),
        (t.DiagnosticPart.BLOCK, 3, f.V_U8, PointType.U8),
        (t.DiagnosticPart.DATA_ID, 4, f.V_U16BE, PointType.BITS),
        (t.DiagnosticPart.INFO_1, 6, f.V_U16BE, PointType.BITS),
        (t.DiagnosticPart.INFO_2, 8, f.V_U32BE, PointType.BITS),
    )
)


@kernel()
def _time_ns(data: Bytes, at: int) -> int:
    """A DATE_AND_TIME as nanoseconds since 1970, -1 where it is none."""
    ms = s7_clock_ms(data, at - 2)  # which has two bytes more before it
    return int(ms * 1_000_000) if ms >= 0 else -1


@kernel()
def _says(space: int, addr: int, part: int, word: int, at: int, time_ns: int, w: Row) -> int:
    """A point of a message; its time is 0 where it has none, -1 where what stands there is no time."""
    direction = _REPORT
    if w[c.S_KIND] != UNSOLICITED:
        direction = _READ if w[c.S_KIND] == RESPONSE else _WRITTEN
    run = add_run(w, space, addr, 1, word, at, direction, _TIME_INVALID if time_ns < 0 else 0)
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = part
        w[c.RUNS_AT + run * c.RUN + c.N_SOURCE_TS] = max(time_ns, 0)
    return run


@kernel()
def _about(space: int, addr: int, w: Row) -> int:
    """The record is about the first message that it tells."""
    if w[c.S_SPACE] != space:
        w[c.S_SPACE] = space
        w[c.S_ADDR] = addr
        w[c.S_ADDR_SUB] = 0
    return 0


@kernel()
def _value(data: Bytes, at: int, size: int, event: int, part: int, time_ns: int, w: Row) -> int:
    """An associated value as the transport size of its data says, else byte by byte: its type is the program's."""
    sort = u8(data, at - 3)
    word, each = t.RAW[sort], i64(1)
    if word != 0:
        each = i64(2) if sort == t.D_INTEGER else i64(4)
    if word == 0 or size % each != 0:
        word, each = i64(_BYTE), i64(1)
    if sort == t.D_BIT and size == 1:
        word = i64(_BIT)
    run = _says(_ALARM, event, part, word, at, time_ns, w) if size > 0 else -1
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_COUNT] = size // each
        w[c.RUNS_AT + run * c.RUN + c.N_STEP] = 1 << 32
    return 0


@kernel()
def _values(data: Bytes, at: int, end: int, count: int, event: int, part: int, time_ns: int, w: Row) -> int:
    """The associated values of a message; the place behind them, -1 where they are cut off."""
    for i in range(count):
        if at + 4 > end:
            return -1
        size = data_size(data, at)
        if at + 4 + size > end:
            return -1
        if u8(data, at) == GOOD and i < _MOST_VALUES:
            _value(data, at + 4, size, event, part + i, time_ns, w)
        at += 4 + size + (size & 1 if i < count - 1 else 0)
    return at


@kernel()
def _flags(data: Bytes, at: int, count: int, first: int, event: int, time_ns: int, w: Row) -> int:
    """Bytes of signals, one bit for each, as parts from `first` on; the place behind them."""
    for k in range(count):
        _says(_ALARM, event, first + k, _BITS, at + k, time_ns, w)
    return at + count


@kernel()
def _asks_for(data: Bytes, at: int, w: Row) -> int:
    """A query by event or by type of alarm."""
    if u8(data, at + 4) == _BY_EVENT:
        _about(_ALARM, be32(data, at + 6), w)
    else:
        w[c.S_ADDR_SUB] = be32(data, at + 6)
    return at + 10


@kernel()
def _object(data: Bytes, at: int, end: int, time_ns: int, w: Row) -> int:
    """One message of a telegram; the place behind it, -1 where it is cut off."""
    if at + 4 > end:
        return -1
    syntax, many = u8(data, at + 2), u8(data, at + 3)
    if syntax not in (_LOCK, _ALARM_SET, _ACKNOWLEDGE, _QUERY, _NOTIFY):
        w[c.S_ANOMALY] |= _RESERVED
        behind = at + 2 + u8(data, at + 1)
        return int(behind) if behind <= end else -1
    if at + (10 if syntax == _QUERY else 8) > end:
        return -1
    if syntax == _QUERY:
        return int(_asks_for(data, at, w))
    event = be32(data, at + 4)
    _about(_ALARM, event, w)
    at += 8
    if syntax == _LOCK:
        _says(_ALARM, event, _SUBJECT, _NOTHING, at - 4, time_ns, w)
        return at
    if syntax == _ACKNOWLEDGE:
        return int(_flags(data, at, 2, _ACKNOWLEDGED, event, time_ns, w)) if at + 2 <= end else -1
    size = 8 if syntax == _NOTIFY else 4
    if at + size > end:
        return -1
    _flags(data, at, 7 if syntax == _NOTIFY else 4, _SIGNALS, event, time_ns, w)
    return int(_values(data, at + size, end, many, event, _VALUE, time_ns, w))


@kernel()
def _results(data: Bytes, at: int, end: int, count: int, w: Row) -> int:
    """What became of each message that was acknowledged, locked or freed: a return code; the first bad one counts."""
    if end - at < count:
        w[c.S_ANOMALY] |= BAD_LENGTH
    for i in range(min(count, end - at)):
        if u8(data, at + i) != GOOD and w[c.S_STATUS] == 0:
            w[c.S_STATUS] = u8(data, at + i) if u8(data, at + i) != 0 else t.NO_CODE
    return 0


@kernel()
def _message(data: Bytes, at: int, end: int, w: Row) -> int:
    """A telegram of messages: its time where it has one, how many, and each."""
    sub = w[c.S_SUBFUNC]
    time_ns = i64(0)
    timed = sub in (0x05, 0x06, t.SCAN, 0x0C, 0x11, 0x12, 0x16)
    at += 2 if sub == t.SCAN else 0
    if timed and at + _CLOCK_BYTES <= end:
        time_ns = i64(_time_ns(data, at))
    at += _CLOCK_BYTES if timed else 0
    at += 2 if sub == t.SCAN else 0
    if at + 2 > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    count = u8(data, at + 1)
    w[c.S_COUNT] = count
    at += 2
    if w[c.S_KIND] == RESPONSE:
        return int(_results(data, at, end, count, w))
    for _ in range(count):
        at = _object(data, at, end, time_ns, w)
        if at < 0:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return 0
    return 0


@kernel()
def _pending(data: Bytes, at: int, end: int, w: Row) -> int:
    """One alarm of a query's answer, without the length before it: type, event, signals, and times and values."""
    kind, event = u8(data, at), be32(data, at + 1)
    _about(_ALARM, event, w)
    time_ns = i64(0)
    whole = kind == _ALARM_S and end - at >= 9 + _CLOCK_BYTES
    if whole:
        time_ns = i64(_time_ns(data, at + 9))
    _says(_ALARM, event, _TYPE, _ENUM, at, time_ns, w)
    _says(_ALARM, event, _SIGNALS, _BITS, at + 6, time_ns, w)
    _flags(data, at + 7, 2, _ACKNOWLEDGED, event, time_ns, w)
    if not whole:
        return 0
    at = _values(data, at + 9 + _CLOCK_BYTES, end, 1, event, _VALUE, time_ns, w)
    if at < 0 or end - at < _CLOCK_BYTES:
        return 0
    went_ns = _time_ns(data, at)
    if went_ns >= 0:
        _says(_ALARM, event, _GOING_AT, _NOTHING, at, went_ns, w)
    _values(data, at + _CLOCK_BYTES, end, 1, event, _VALUE_GOING, max(went_ns, 0), w)
    return 0


@kernel()
def _query(data: Bytes, at: int, end: int, w: Row) -> int:
    """The answer to a query: the alarms that are there; of one in parts, those that lie in the first as a whole."""
    if end - at < 6:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    if u8(data, at + 2) != GOOD:
        if u8(data, at + 2) != 0x0A and w[c.S_STATUS] == 0:
            w[c.S_STATUS] = u8(data, at + 2)
        return 0
    length, count = be16(data, at + 4), i64(0)
    at += 6
    stop = end if length == _NO_LENGTH else min(end, at + length)
    while at < stop and u8(data, at) != 0:
        begin = at + 3
        if begin + 9 > stop or begin + u8(data, at) > stop or u8(data, at) < 9:
            w[c.S_ANOMALY] |= 0 if w[c.S_FLAGS] & _MORE else BAD_LENGTH
            break
        _pending(data, begin, begin + u8(data, at), w)
        count += 1
        at = begin + u8(data, at)
    w[c.S_COUNT] = count
    return 0


@kernel()
def later_answer(data: Bytes, at: int, end: int, w: Row) -> bool:
    """Whether parameters belong to a later part of a query's answer, of which nobody knows where an alarm begins."""
    if w[c.S_KIND] == REQUEST:
        later = bool(end - at >= 12 and u8(data, at + 7) != 0)
        w[c.S_EXTRA] = _FOLLOWS if later else 0
        return later
    if w[c.S_HAS_REQUEST]:
        return bool(w[c.ASKED + c.S_EXTRA] == _FOLLOWS)
    return bool(end - at >= 12 and u8(data, at + 8) != 0)


@kernel()
def _subscription(data: Bytes, at: int, end: int, w: Row) -> int:
    """What messages somebody wants: the events as bits are the address, the kind of alarms its second part."""
    if w[c.S_KIND] != REQUEST:
        return 0
    if end - at < 10:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    w[c.S_ADDR] = u8(data, at)
    w[c.S_ADDR_SUB] = u8(data, at + 10) if end - at > 10 else 0
    w[c.S_NAME_ID] = add_name(data, at + 2, text_length(data, at + 2, 8), w)
    return 0


@kernel()
def _diagnosis(data: Bytes, at: int, end: int, w: Row) -> int:
    """An entry of the diagnostic buffer as it is made."""
    if w[c.S_KIND] != UNSOLICITED:
        return 0
    if end - at < _DIAGNOSTIC_BYTES:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    event, time_ns = be16(data, at), _time_ns(data, at + 12)
    _about(_DIAGNOSTIC, event, w)
    w[c.S_COUNT] = 1
    for part, offset, word in _DIAGNOSTIC_PARTS:
        _says(_DIAGNOSTIC, event, part, word, at + offset, time_ns, w)
    return 0


@kernel()
def mode(data: Bytes, at: int, end: int, w: Row) -> int:
    """The controller's mode, which is the sub-function: nothing else is said."""
    if w[c.S_KIND] == UNSOLICITED and end - at >= 8:
        _about(_MODE, i64(0), w)
        _says(_MODE, i64(0), i64(0), _ENUM, at + 6, i64(0), w)
    return 0


@kernel()
def messages(data: Bytes, at: int, end: int, w: Row) -> int:
    """Functions of the CPU but system status lists, with data[at:end]."""
    sub = w[c.S_SUBFUNC]
    if sub == t.MESSAGES:
        return int(_subscription(data, at, end, w))
    if sub == t.DIAGNOSTIC:
        return int(_diagnosis(data, at, end, w))
    if sub == t.ALARM_QUERY and w[c.S_KIND] == RESPONSE:
        return int(_query(data, at, end, w))
    if sub in (0x05, 0x06, 0x07, 0x08, t.SCAN, 0x0B, 0x0C, 0x0D, 0x0E, 0x11, 0x12, t.ALARM_QUERY, 0x16):
        return int(_message(data, at, end, w))
    return 0
