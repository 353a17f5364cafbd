"""The body kernel of BACnet: which service an APDU carries, what it asks or answers, and what became of it.

Clauses are of ANSI/ASHRAE 135-2016.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.protocols import bacnet_events as events
from pipeline.decode.protocols import bacnet_logs as logs
from pipeline.decode.protocols import bacnet_properties as properties
from pipeline.decode.protocols import bacnet_services as services
from pipeline.decode.protocols import bacnet_transfer as transfer
from pipeline.decode.protocols.bacnet_codes import (
    ABORT,
    APDU_AT,
    COMPLEX_ACK,
    CONFIRMED,
    ERROR,
    LINK,
    NETWORK,
    NO_SERVICE,
    OF_ABORT,
    OF_REJECT,
    OPS,
    PDU_TYPE,
    REJECT,
    SEGMENT_ACK,
    T_VALUE,
    TRAILING,
    UNCONFIRMED,
)
from pipeline.decode.protocols.bacnet_tags import APPLICATION, OPENING, is_tag
from pipeline.decode.signatures import BODY
from schemas.codes import Anomaly, Kind

Row = NDArray[np.int64]

_REQUEST, _RESPONSE, _CONTROL = int(Kind.REQUEST), int(Kind.RESPONSE), int(Kind.CONTROL)
_RESERVED, _CONFLICT = int(Anomaly.RESERVED_CODE), int(Anomaly.CONFLICTING_RESPONSE)
_LAST_CONFIRMED, _LAST_UNCONFIRMED = 34, 14
_OPEN_ENDED = 0x7FFFFFFF
"""The place behind a service that is not read to its end."""


@kernel()
def _recall(w: Row) -> int:
    """What an answer has from its request, as far as it does not say it itself."""
    for column in (c.S_OP, c.S_SUBFUNC, c.S_SPACE, c.S_ADDR, c.S_ADDR_SUB, c.S_COUNT, c.S_NAME_ID):
        w[column] = w[c.ASKED + column]
    return 0


@kernel()
def _object_alone(data: Bytes, at: int, end: int, w: Row) -> int:
    """The object that DeleteObject asks for, or CreateObject made (15.4, 15.3); the place behind it."""
    at = properties.thing_in(data, at, end, 12, APPLICATION, w)
    if at >= 0:
        properties.about(w, w[T_VALUE], 0, -1)
    return at


@kernel()
def _either(data: Bytes, at: int, end: int, service: int, answers: bool, w: Row) -> int:
    """Services that are seldom, in request or answer; of those that are not known only the number is told."""
    if service == 18:
        return int(transfer.private(data, at, end, w))
    if service == 26:
        return int(logs.ranged(data, at, end, answers, w))
    if service == 29:
        return int(events.information(data, at, end, answers, w))
    if service > _LAST_CONFIRMED:
        w[c.S_ANOMALY] |= _RESERVED
    return _OPEN_ENDED


@kernel()
def _asked(data: Bytes, at: int, end: int, service: int, w: Row) -> int:
    """A confirmed request or notice; the place behind it."""
    if service == 12:
        return int(properties.single(data, at, end, False, w))
    if service == 14:
        return int(properties.several(data, at, end, properties.READ_LISTS, w))
    if service == 15:
        return int(properties.single(data, at, end, True, w))
    if service == 16:
        return int(properties.several(data, at, end, properties.WRITE_LISTS, w))
    if service == 1:
        return int(properties.changes(data, at, end, w))
    if service == 31:
        return int(properties.changes_of_several(data, at, end, w))
    if service == 5 or service == 28:
        return int(services.subscribe(data, at, end, service == 28, w))
    if service == 6 or service == 7:
        return int(services.file(data, at, end, service == 7, w))
    if service == 8 or service == 9:
        return int(properties.single(data, at, end, True, w))
    if service == 17:
        return int(services.communication(data, at, end, w))
    if service == 20:
        return int(services.reinitialize(data, at, end, w))
    if service == 0:
        return int(events.acknowledge(data, at, end, w))
    if service == 2:
        return int(events.notification(data, at, end, w))
    if service == 27:
        return int(transfer.life_safety(data, at, end, w))
    if service == 10:
        return _OPEN_ENDED if services.create(data, at, end, w) >= 0 else -1
    if service == 11:
        return int(_object_alone(data, at, end, w))
    return int(_either(data, at, end, service, False, w))


@kernel()
def _told(data: Bytes, at: int, end: int, service: int, w: Row) -> int:
    """An unconfirmed service; the place behind it."""
    if service == 0:
        return int(services.i_am(data, at, end, w))
    if service == 1:
        return int(services.i_have(data, at, end, w))
    if service == 2:
        return int(properties.changes(data, at, end, w))
    if service == 11:
        return int(properties.changes_of_several(data, at, end, w))
    if service == 6 or service == 9:
        return int(services.clock(data, at, end, w))
    if service == 7 or service == 8:
        return int(services.who(data, at, end, service == 7, w))
    if service == 3:
        return int(events.notification(data, at, end, w))
    if service == 4:
        return int(transfer.private(data, at, end, w))
    if service == 10:
        return int(transfer.write_group(data, at, end, w))
    if service > _LAST_UNCONFIRMED:
        w[c.S_ANOMALY] |= _RESERVED
    return _OPEN_ENDED


@kernel()
def _answered(data: Bytes, at: int, end: int, service: int, w: Row) -> int:
    """A complex acknowledgement; the place behind it."""
    if service == 12:
        return int(properties.single(data, at, end, True, w))
    if service == 14:
        w[c.S_COUNT] = 0
        return int(properties.several(data, at, end, properties.RESULT_LISTS, w))
    if service == 6 or service == 7:
        return int(services.file(data, at, end, service == 7, w))
    if service == 3 or service == 4:
        return int(events.alarms(data, at, end, service == 4, w))
    if service == 10:
        return int(_object_alone(data, at, end, w))
    return int(_either(data, at, end, service, True, w))


@kernel()
def _refused(data: Bytes, at: int, end: int, w: Row) -> int:
    """Why a service was refused (18); some services put more behind it, and the error in brackets."""
    open_ended = is_tag(data, at, end, 0, OPENING)
    at = properties.error(data, at + 1 if open_ended else at, end, w)
    if at < 0:
        return -1
    w[c.S_STATUS] = w[T_VALUE]
    return _OPEN_ENDED if open_ended else at


@kernel()
def _response(data: Bytes, at: int, end: int, w: Row) -> int:
    """An answer of any type; the place behind it."""
    kind, service, paired = w[PDU_TYPE], w[c.S_FUNC], w[c.S_HAS_REQUEST] == 1
    if paired:
        _recall(w)
    elif service == 17 or service == 20:
        w[c.S_OP] = 0  # what was asked for stands in the request alone
    if kind in (REJECT, ABORT):
        w[c.S_STATUS] = (OF_REJECT if kind == REJECT else OF_ABORT) | u8(data, at - 1)
        if paired:
            w[c.S_FUNC] = w[c.ASKED + c.S_FUNC]
        return at
    if paired and w[c.ASKED + c.S_FUNC] != service:
        w[c.S_ANOMALY] |= _CONFLICT
    if kind == ERROR:
        return int(_refused(data, at, end, w))
    return int(_answered(data, at, end, service, w)) if kind == COMPLEX_ACK else at


@kernel()
def _outside(data: Bytes, at: int, end: int, w: Row) -> int:
    """Messages of the virtual link and of the network layer."""
    function = w[c.S_FUNC]
    if w[c.S_KIND] == _RESPONSE and w[c.S_HAS_REQUEST] == 1:
        _recall(w)
        if function == LINK:
            w[c.S_OP] = w[c.ASKED + c.S_OP]
            w[c.S_FUNC] = w[c.ASKED + c.S_FUNC]
    discovers = function == NETWORK or function == NETWORK | 0x12
    w[c.S_ASKS] = 1 if w[c.S_KIND] == _REQUEST and not discovers else 0
    if function >= LINK:
        return int(services.link(data, at + 4, end, function & 0xFF, w))
    return int(services.network(data, at + w[APDU_AT] + 1, end, function & 0xFF, w))


@kernel()
def _apdu(data: Bytes, at: int, end: int, w: Row) -> int:
    """The APDU at `at`."""
    kind, service = w[PDU_TYPE], w[c.S_FUNC]
    if kind == SEGMENT_ACK or (w[c.S_KIND] == _CONTROL and kind == ABORT):
        if end - at >= 4 and kind == SEGMENT_ACK:
            w[c.S_SUBFUNC] = u8(data, at + 2)
        elif end - at >= 3 and kind == ABORT:
            w[c.S_STATUS] = OF_ABORT | u8(data, at + 2)
        return 0
    if w[c.S_KIND] == _CONTROL:
        return 0
    behind = i64(0)
    if kind == UNCONFIRMED:
        behind = _told(data, at + 2, end, service & 0xFF, w)
        at += 2
    elif kind == CONFIRMED:
        w[c.S_ASKS] = 1
        behind = _asked(data, at + 4, end, service, w)
    else:
        behind = _response(data, at + 3, end, w)
    if 0 <= behind < end:
        w[c.S_ANOMALY] |= TRAILING
    return 0


@kernel(BODY)
def body(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill the scratch and the runs of the message data[at:at + size]."""
    function = w[c.S_FUNC]
    w[c.S_OP] = OPS[min(function, OPS.size - 1)]
    if size < 4:
        return 0
    end = at + size
    if not w[c.X_JOINED]:
        end = at + max(4, min(size, be16(data, at + 2)))
    if NETWORK <= function < NO_SERVICE:
        return int(_outside(data, at, end, w))
    return int(_apdu(data, at + w[APDU_AT], end, w)) if w[APDU_AT] > 0 else 0
