"""The other BACnet services: discovery, device control, files, time, subscriptions, objects.

Clauses are of ANSI/ASHRAE 135-2016.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.naming import add_name
from pipeline.decode.protocols.bacnet_codes import (
    CLOCK,
    COMMUNICATION,
    DEVICE,
    OF_LINK,
    OF_NETWORK,
    RESTARTS,
    T_LENGTH,
    T_VALUE,
    TRAILING,
    WORDS,
)
from pipeline.decode.protocols.bacnet_properties import SUB, about, identify, reference, thing_in
from pipeline.decode.protocols.bacnet_tags import (
    APPLICATION,
    CLOSING,
    CONTEXT,
    OPENING,
    bracket,
    field,
    is_tag,
    tag,
)
from pipeline.decode.runs import add_run
from pipeline.decode.values import bacnet_date_ms, bacnet_daytime_ms
from schemas.codes import Anomaly, BacnetFlag, Direction, Kind, Op, Quality, Space

Row = NDArray[np.int64]

_PROPERTY, _CLOCK_SPACE = int(Space.BACNET_PROPERTY), int(Space.DEVICE_TIME)
_WRITTEN, _REPORT = int(Direction.WRITTEN), int(Direction.REPORT)
_REQUEST = int(Kind.REQUEST)
_SESSION, _VENDOR_OP = int(Op.SESSION), int(Op.VENDOR)
_VALUE = int(Anomaly.VALUE_OUT_OF_RANGE)
_BAD_LENGTH = int(Anomaly.MALFORMED | Anomaly.LENGTH_MISMATCH)
_PASSWORD = int(BacnetFlag.PASSWORD)
_MAX_APDU, _SEGMENTATION, _VENDOR, _IDENTIFIER = 62, 107, 120, 75
_INSTANCES = 0x3FFFFF
_CLOCK_BYTES = 10
_TIME_INVALID = int(Quality.TIME_INVALID)
_BDT_ENTRY, _FDT_ENTRY = 10, 10


@kernel()
def _said(data: Bytes, at: int, thing: int, sub: int, w: Row) -> int:
    """The application value at `at`, which was read and is one of a form, as a point that a device reports."""
    first = w[c.S_RUNS]
    word = WORDS[u8(data, at) >> 4, min(w[T_LENGTH], 15)]
    if word != 0 and u8(data, at) & 7 == w[T_LENGTH]:
        run = add_run(w, _PROPERTY, thing, 1, word, at, _REPORT, 0)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = sub
        identify(w, first, thing, sub)
    return 0


@kernel()
def i_am(data: Bytes, at: int, end: int, w: Row) -> int:
    """I-Am (16.10): the device, the longest APDU that it accepts, segmentation, and its vendor."""
    start = at
    at = thing_in(data, at, end, 12, APPLICATION, w)
    if at < 0:
        return -1
    thing = w[T_VALUE]
    about(w, thing, _IDENTIFIER, -1)
    w[c.S_COUNT] = 1
    if thing >> 22 != DEVICE:
        w[c.S_ANOMALY] |= _VALUE
    _said(data, start, thing, _IDENTIFIER, w)
    for sub, number in ((_MAX_APDU, 2), (_SEGMENTATION, 9), (_VENDOR, 2)):
        start = at
        at = field(data, at, end, number, APPLICATION, w)
        if at < 0:
            return -1
        _said(data, start, thing, sub, w)
    return at


@kernel()
def i_have(data: Bytes, at: int, end: int, w: Row) -> int:
    """I-Have (16.9): the device, one of its objects, and the object's name."""
    at = thing_in(data, at, end, 12, APPLICATION, w)
    at = thing_in(data, at, end, 12, APPLICATION, w)
    if at < 0:
        return -1
    about(w, w[T_VALUE], _IDENTIFIER, -1)
    return int(_name(data, at, end, 7, APPLICATION, w))


@kernel()
def _name(data: Bytes, at: int, end: int, number: int, kind: int, w: Row) -> int:
    """A text that has to be there; it names the record where it is UTF-8."""
    start = at
    at = field(data, at, end, number, kind, w)
    if at < 0:
        return -1
    size = w[T_LENGTH]
    if size > 1 and u8(data, at - size) == 0 and start >= 0:
        w[c.S_NAME_ID] = add_name(data, at - size + 1, min(size - 1, 255), w)
    return at


@kernel()
def who(data: Bytes, at: int, end: int, has: bool, w: Row) -> int:
    """Who-Is and Who-Has (16.10, 16.9): the instances that are asked, and the object that is looked for."""
    if is_tag(data, at, end, 0, CONTEXT):
        at = field(data, at, end, 0, CONTEXT, w)
        low = w[T_VALUE]
        at = field(data, at, end, 1, CONTEXT, w)
        if at < 0:
            return -1
        high = w[T_VALUE]
        if low > high or high > _INSTANCES:
            w[c.S_ANOMALY] |= _VALUE
        else:
            about(w, DEVICE << 22 | low, _IDENTIFIER, -1)
            w[c.S_COUNT] = high - low + 1
    if not has:
        return at
    if is_tag(data, at, end, 3, CONTEXT):
        return int(_name(data, at, end, 3, CONTEXT, w))
    at = thing_in(data, at, end, 2, CONTEXT, w)
    if at >= 0:
        about(w, w[T_VALUE], _IDENTIFIER, -1)
    return at


@kernel()
def _password(data: Bytes, at: int, end: int, number: int, w: Row) -> int:
    """Note that a password is there."""
    if is_tag(data, at, end, number, CONTEXT):
        w[c.S_FLAGS] |= _PASSWORD
        return int(field(data, at, end, number, CONTEXT, w))
    return at


@kernel()
def _ordered(operations: Row, w: Row) -> int:
    """What the number just read orders: into the sub-function, and as an operation."""
    ordered = w[T_VALUE]
    w[c.S_SUBFUNC] = ordered & 0xFFFFFFFF
    if ordered < operations.size:
        w[c.S_OP] = operations[ordered]
    else:
        w[c.S_OP] = _VENDOR_OP
        w[c.S_ANOMALY] |= _VALUE
    return 0


@kernel()
def communication(data: Bytes, at: int, end: int, w: Row) -> int:
    """DeviceCommunicationControl (16.1): minutes into the second part of the address, what into the sub-function."""
    if is_tag(data, at, end, 0, CONTEXT):
        at = field(data, at, end, 0, CONTEXT, w)
        w[c.S_ADDR_SUB] = w[T_VALUE] & 0xFFFFFFFF
    at = field(data, at, end, 1, CONTEXT, w)
    if at < 0:
        return -1
    _ordered(COMMUNICATION, w)
    return int(_password(data, at, end, 2, w))


@kernel()
def reinitialize(data: Bytes, at: int, end: int, w: Row) -> int:
    """ReinitializeDevice (16.4): the state that is asked for."""
    at = field(data, at, end, 0, CONTEXT, w)
    if at < 0:
        return -1
    _ordered(RESTARTS, w)
    return int(_password(data, at, end, 1, w))


@kernel()
def clock(data: Bytes, at: int, end: int, w: Row) -> int:
    """TimeSynchronization, also of UTC (16.7, 16.8): the time as a point; a local one is read as UTC."""
    start = at
    at = field(data, at, end, 10, APPLICATION, w)
    dated = at == start + 5
    at = field(data, at, end, 11, APPLICATION, w)
    w[c.S_SPACE] = _CLOCK_SPACE
    w[c.S_COUNT] = 1
    if at == start + _CLOCK_BYTES and dated:
        known = bacnet_date_ms(data, start + 1) >= 0 and bacnet_daytime_ms(data, start + 6) >= 0
        add_run(w, _CLOCK_SPACE, 0, 1, CLOCK, start, _WRITTEN, 0 if known else _TIME_INVALID)
    return at


@kernel()
def subscribe(data: Bytes, at: int, end: int, of_property: bool, w: Row) -> int:
    """SubscribeCOV, also of a property (13.14, 13.15): process, object, lifetime; without these it cancels."""
    at = field(data, at, end, 0, CONTEXT, w)
    w[c.S_SUBFUNC] = w[T_VALUE] & 0xFFFFFFFF if at >= 0 else 0
    at = thing_in(data, at, end, 1, CONTEXT, w)
    if at < 0:
        return -1
    thing = w[T_VALUE]
    about(w, thing, 0, -1)
    w[c.S_COUNT] = 1
    cancels = True
    for number in range(2, 4):
        if at >= 0 and is_tag(data, at, end, number, CONTEXT):
            cancels = False
            at = field(data, at, end, number, CONTEXT, w)
    if cancels:
        w[c.S_OP] = _SESSION
    if not of_property or at < 0:
        return at
    at = bracket(data, at, end, 4, OPENING, w)
    if at < 0:
        return -1
    at = reference(data, at, end, 0, w)
    if at < 0:
        return -1
    about(w, thing, w[SUB], w[T_VALUE])
    at = bracket(data, at, end, 4, CLOSING, w)
    if at >= 0 and is_tag(data, at, end, 5, CONTEXT):
        at = field(data, at, end, 5, CONTEXT, w)
    return at


@kernel()
def file(data: Bytes, at: int, end: int, writes: bool, w: Row) -> int:
    """AtomicReadFile and AtomicWriteFile (14.1, 14.2): the file, where it begins, and how much; never its contents."""
    asks = w[c.S_KIND] == _REQUEST
    if asks:
        at = thing_in(data, at, end, 12, APPLICATION, w)
        if at < 0:
            return -1
        about(w, w[T_VALUE], 0, -1)
    elif writes:
        return int(_primitive(data, at, end, w))
    else:
        at = field(data, at, end, 1, APPLICATION, w)
    if at < 0:
        return -1
    records = i64(1 if is_tag(data, at, end, 1, OPENING) else 0)
    at = bracket(data, at, end, records, OPENING, w)
    at = field(data, at, end, 3, APPLICATION, w)
    if at < 0:
        return -1
    start = w[T_VALUE]
    if 0 < w[T_LENGTH] < 4 and start >> (8 * w[T_LENGTH] - 1) & 1:
        start -= 1 << 8 * w[T_LENGTH]  # -1 appends: 14.2.2
    w[c.S_ADDR_SUB] = start & 0xFFFFFFFF
    counted = (asks and not writes) or records == 1
    at = field(data, at, end, 2 if counted else 6, APPLICATION, w)
    if at < 0:
        return -1
    w[c.S_COUNT] = (w[T_VALUE] if counted else w[T_LENGTH]) & 0xFFFFFFFF
    if records == 1 and (writes or not asks):
        for _ in range(w[c.S_COUNT]):
            at = field(data, at, end, 6, APPLICATION, w)
            if at < 0:
                return -1
    return int(bracket(data, at, end, records, CLOSING, w))


@kernel()
def _primitive(data: Bytes, at: int, end: int, w: Row) -> int:
    at = tag(data, at, end, w)
    return at + w[T_LENGTH] if at >= 0 else -1


@kernel()
def create(data: Bytes, at: int, end: int, w: Row) -> int:
    """CreateObject (15.3): the object, or only its type, as its instance is the device's to choose."""
    at = bracket(data, at, end, 0, OPENING, w)
    if at < 0:
        return -1
    if is_tag(data, at, end, 0, CONTEXT):
        at = field(data, at, end, 0, CONTEXT, w)
        about(w, (w[T_VALUE] & 0x3FF) << 22 | _INSTANCES, 0, -1)
    else:
        at = thing_in(data, at, end, 1, CONTEXT, w)
        if at >= 0:
            about(w, w[T_VALUE], 0, -1)
    return int(bracket(data, at, end, 0, CLOSING, w))


@kernel()
def link(data: Bytes, at: int, end: int, function: int, w: Row) -> int:
    """Messages of the virtual link (J.2): results, tables of broadcast management devices, foreign devices."""
    size = end - at
    wanted = i64(-1)
    if function == 0 or function == 5:
        wanted = i64(2)
    elif function == 2 or function == 6:
        wanted = i64(0)
    elif function == 8:
        wanted = i64(6)
    if wanted >= 0 and size != wanted:
        w[c.S_ANOMALY] |= _BAD_LENGTH if size < wanted else TRAILING
    if function in (1, 3, 7):
        entry = _FDT_ENTRY if function == 7 else _BDT_ENTRY
        w[c.S_COUNT] = size // entry
        if size % entry:
            w[c.S_ANOMALY] |= _BAD_LENGTH
    elif function == 0 and size >= 2:
        w[c.S_STATUS] = OF_LINK | be16(data, at) if be16(data, at) else 0
    elif function == 5 and size >= 2:
        w[c.S_ADDR_SUB] = be16(data, at)
    return 0


@kernel()
def network(data: Bytes, at: int, end: int, message: int, w: Row) -> int:
    """Messages of the network layer (6.4): the networks that they are about, and why one was rejected."""
    size = end - at
    if message == 3 and size >= 3:
        w[c.S_STATUS] = OF_NETWORK | u8(data, at)
        at += 1
        size -= 1
    if message in (1, 4, 5) or (message == 0 and size > 0):
        w[c.S_COUNT] = size // 2
    elif (message == 6 or message == 7) and size > 0:
        w[c.S_COUNT] = u8(data, at)
        at += 1
        size -= 1
    if message <= 9 and size >= 2:
        w[c.S_ADDR] = be16(data, at)
    if message == 0x13 and size >= 2:
        w[c.S_ADDR] = be16(data, at)
    return 0
