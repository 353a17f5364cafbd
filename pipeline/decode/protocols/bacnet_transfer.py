"""BACnet services for vendors, groups and life safety: 13.13, 15.11, 16.2, 16.3 of ANSI/ASHRAE 135-2016."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, u8
from pipeline.decode.naming import add_name
from pipeline.decode.protocols.bacnet_codes import T_CLASS, T_LENGTH, T_NUMBER, T_VALUE
from pipeline.decode.protocols.bacnet_parts import octets, say
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
from schemas.codes import Anomaly, Direction, Kind, Space

Row = NDArray[np.int64]

_PRIVATE, _GROUP = int(Space.BACNET_PRIVATE), int(Space.BACNET_GROUP)
_UNKNOWN, _READ, _WRITTEN, _REPORT = (
    int(d) for d in (Direction.UNKNOWN, Direction.READ, Direction.WRITTEN, Direction.REPORT)
)
_REQUEST, _RESPONSE = int(Kind.REQUEST), int(Kind.RESPONSE)
_VALUE, _MALFORMED = int(Anomaly.VALUE_OUT_OF_RANGE), int(Anomaly.MALFORMED)
_LOWEST_PRIORITY = 16


@kernel()
def private(data: Bytes, at: int, end: int, w: Row) -> int:
    """Private transfer (16.2, 16.3): vendor, the vendor's service, and its parameters, which are octets to others."""
    at = field(data, at, end, 0, CONTEXT, w)
    if at < 0:
        return -1
    vendor = w[T_VALUE] & 0xFFFFFFFF
    w[c.S_SPACE] = _PRIVATE
    w[c.S_ADDR] = vendor
    at = field(data, at, end, 1, CONTEXT, w)
    if at < 0:
        return -1
    service = w[T_VALUE] & 0xFFFFFFFF
    w[c.S_SUBFUNC] = service
    if not is_tag(data, at, end, 2, OPENING):
        return at
    inside = at + 1
    at = pass_over(data, inside, end, w)
    if at < 0:
        return -1
    if w[T_NUMBER] != 2:
        w[c.S_ANOMALY] |= _MALFORMED
    direction = _REPORT
    if w[c.S_KIND] == _REQUEST or w[c.S_KIND] == _RESPONSE:
        direction = _READ if w[c.S_KIND] == _RESPONSE else _UNKNOWN
    octets(inside, at - 1 - inside, c.ENC_BYTES, _PRIVATE, vendor, service, direction, w)
    return at


@kernel()
def _strongest(priority: int, w: Row) -> int:
    """Keep the strongest priority that is written with, as the sub-function."""
    if priority < 1 or priority > _LOWEST_PRIORITY:
        w[c.S_ANOMALY] |= _VALUE
    elif w[c.S_SUBFUNC] == 0 or priority < w[c.S_SUBFUNC]:
        w[c.S_SUBFUNC] = priority
    return 0


@kernel()
def _channel(data: Bytes, at: int, end: int, group: int, w: Row) -> int:
    """A value for a channel of a group (21, BACnetGroupChannelValue); the place behind it."""
    at = field(data, at, end, 0, CONTEXT, w)
    if at < 0:
        return -1
    channel = w[T_VALUE] & 0xFFFFFFFF
    if is_tag(data, at, end, 1, CONTEXT):
        at = field(data, at, end, 1, CONTEXT, w)
        _strongest(w[T_VALUE], w)
    start = at
    at = tag(data, at, end, w) if at >= 0 else -1
    if at < 0:
        return -1
    kind, number = w[T_CLASS], w[T_NUMBER]
    if kind == OPENING:
        at = pass_over(data, at, end, w)
        if at >= 0:
            octets(start, at - start, c.ENC_BYTES, _GROUP, group, channel, _WRITTEN, w)
        return at
    sort = number if kind == APPLICATION else i64(-1)
    return int(say(data, start, end, sort, _GROUP, group, channel, _WRITTEN, w))


@kernel()
def write_group(data: Bytes, at: int, end: int, w: Row) -> int:
    """WriteGroup (15.11): a group's number, a priority, and values for channels of the group."""
    at = field(data, at, end, 0, CONTEXT, w)
    if at < 0:
        return -1
    group = w[T_VALUE] & 0xFFFFFFFF
    w[c.S_SPACE] = _GROUP
    w[c.S_ADDR] = group
    at = field(data, at, end, 1, CONTEXT, w)
    if at < 0:
        return -1
    _strongest(w[T_VALUE], w)
    at = bracket(data, at, end, 2, OPENING, w)
    w[c.S_COUNT] = 0
    while at >= 0 and not is_tag(data, at, end, 2, CLOSING):
        at = _channel(data, at, end, group, w)
        w[c.S_COUNT] += 1
    if at < 0:
        return -1
    at += 1
    return int(field(data, at, end, 3, CONTEXT, w)) if is_tag(data, at, end, 3, CONTEXT) else at


@kernel()
def life_safety(data: Bytes, at: int, end: int, w: Row) -> int:
    """LifeSafetyOperation (13.13): what is ordered as the sub-function, the object; who orders names the record."""
    at = field(data, at, end, 0, CONTEXT, w)
    at = field(data, at, end, 1, CONTEXT, w)
    if at < 0:
        return -1
    size = w[T_LENGTH]
    if size > 1 and u8(data, at - size) == 0:
        w[c.S_NAME_ID] = add_name(data, at - size + 1, min(size - 1, 255), w)
    at = field(data, at, end, 2, CONTEXT, w)
    if at < 0:
        return -1
    w[c.S_SUBFUNC] = w[T_VALUE] & 0xFFFFFFFF
    if is_tag(data, at, end, 3, CONTEXT):
        at = thing_in(data, at, end, 3, CONTEXT, w)
        if at >= 0:
            about(w, w[T_VALUE], 0, -1)
    return at
