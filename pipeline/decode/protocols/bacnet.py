"""BACnet/IP over UDP: the virtual link, the network layer with its routing, and the header of an APDU.

Clauses are of ANSI/ASHRAE 135-2016.  What services say is in `bacnet_body`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.protocols.bacnet_body import body
from pipeline.decode.protocols.bacnet_codes import (
    ABORT,
    APDU_AT,
    BAD_LENGTH,
    COMPLEX_ACK,
    CONFIRMED,
    LINK,
    NETWORK,
    PDU_TYPE,
    REJECT,
    SEGMENT_ACK,
    TRAILING,
    UNCONFIRMED,
    UNCONFIRMED_SERVICE,
    is_notice,
    tells,
)
from pipeline.decode.protocols.base import ProtocolModule
from pipeline.decode.signatures import FRAME, HEAD
from schemas.codes import Anomaly, BacnetFlag, Kind, Protocol, RecordFlag

Row = NDArray[np.int64]

TYPE = 0x81
_FORWARDED_NPDU, _DISTRIBUTE, _UNICAST, _BROADCAST_NPDU, _LAST_FUNCTION = 4, 9, 10, 11, 12
_HEADER = 4
_RESERVED, _MALFORMED = int(Anomaly.RESERVED_CODE), int(Anomaly.MALFORMED)
_VALUE = int(Anomaly.VALUE_OUT_OF_RANGE)
_REQUEST, _RESPONSE, _UNSOLICITED, _CONFIRM, _CONTROL = (
    int(k) for k in (Kind.REQUEST, Kind.RESPONSE, Kind.UNSOLICITED, Kind.CONFIRM, Kind.CONTROL)
)
_TO_ALL = int(RecordFlag.BROADCAST)
_FORWARDED, _FOREIGN, _TO, _FROM, _EXPECTS, _SEGMENTED, _NEGATIVE, _FROM_SERVER = (
    int(b)
    for b in (
        BacnetFlag.FORWARDED,
        BacnetFlag.FOREIGN_DEVICE,
        BacnetFlag.TO_NETWORK,
        BacnetFlag.FROM_NETWORK,
        BacnetFlag.EXPECTS_REPLY,
        BacnetFlag.SEGMENTED,
        BacnetFlag.NEGATIVE,
        BacnetFlag.FROM_SERVER,
    )
)
_OF_LINK, _OF_NETWORK = 1 << 45, 1 << 44
_DEST, _SOURCE = c.S_EXTRA + 2, c.S_EXTRA + 3
"""For the time of head: station of the destination and of the source, as far as the network layer names them."""
_ALL_NETWORKS = 0xFFFF


@kernel()
def _is_whole(data: Bytes, at: int, size: int) -> bool:
    """Whether a message whose length is right has the form of one that carries an NPDU."""
    function = u8(data, at + 1)
    npdu = _HEADER + (6 if function == _FORWARDED_NPDU else 0)
    if function != _FORWARDED_NPDU and not _DISTRIBUTE <= function <= _BROADCAST_NPDU:
        return False
    if size < npdu + 3 or u8(data, at + npdu) != 1 or u8(data, at + npdu + 1) & 0x50:
        return False
    if u8(data, at + npdu + 1) & 0xA8:
        return True
    return u8(data, at + npdu + 2) >> 4 <= ABORT


@kernel(FRAME)
def frame(data: Bytes, at: int, end: int, w: Row) -> int:
    """Length of the datagram's BVLL message (J.2), which is all of it; -1 when this is no BACnet/IP.

    A length field that says more makes it cut short; one that says less leaves bytes that belong to nothing.
    """
    size = end - at
    if size > 0 and u8(data, at) != TYPE:
        return -1
    if size > 1 and u8(data, at + 1) > _LAST_FUNCTION:
        return -1
    if size < _HEADER:
        return -1 if w[c.X_STRICT] else 0
    length = be16(data, at + 2)
    if w[c.X_STRICT]:
        return size if length == size and _is_whole(data, at, size) else -1
    return max(size, length)


@kernel()
def _station(data: Bytes, at: int, network: int, size: int) -> int:
    """A station behind a router: its network above 16 bits of its address, which are a digest where it is longer."""
    low = i64(0)
    if size <= 2:
        for i in range(size):
            low = (low << 8) | u8(data, at + i)
    else:
        for i in range(size):
            low = ((low ^ u8(data, at + i)) * 0x0193 + 1) & 0xFFFF
    return int(network << 16 | low)


@kernel()
def _npdu(data: Bytes, at: int, end: int, w: Row) -> int:
    """The network layer's header (6.2): stations and flags; the place behind it, -1 where it is cut off."""
    if end - at < 2:
        return -1
    control = u8(data, at + 1)
    if u8(data, at) != 1 or control & 0x50:
        w[c.S_ANOMALY] |= _RESERVED
    if u8(data, at) != 1:
        return -1
    if control & 0x04:
        w[c.S_FLAGS] |= _EXPECTS
    at += 2
    for source in range(2):
        if not control & (0x08 if source else 0x20):
            continue
        if end - at < 3 or end - at < 3 + u8(data, at + 2):
            return -1
        network, size = be16(data, at), u8(data, at + 2)
        w[_SOURCE if source else _DEST] = _station(data, at + 3, network, size)
        w[c.S_FLAGS] |= _FROM if source else _TO
        if source == 0 and (network == _ALL_NETWORKS or size == 0):
            w[c.S_FLAGS] |= _TO_ALL
        if network == 0 or (source and (network == _ALL_NETWORKS or size == 0)):
            w[c.S_ANOMALY] |= _VALUE
        at += 3 + size
    if control & 0x20:
        at += 1  # hop count
    if at > end:
        return -1
    if control & 0x80:
        w[c.S_FUNC] = NETWORK
    return at


@kernel()
def _from(w: Row, server: bool) -> int:
    """Put the stations where they belong: `unit` is that of the side that answers."""
    w[c.S_UNIT] = w[_SOURCE] if server else w[_DEST]
    w[c.S_PEER_UNIT] = w[_DEST] if server else w[_SOURCE]
    w[c.S_ROLE] = c.PEER_RESPONSE if server else c.PEER_REQUEST
    return 0


@kernel()
def _link(data: Bytes, at: int, size: int, w: Row) -> int:
    """Messages of the virtual link itself (J.2): tables of broadcast management devices, foreign devices, results."""
    function = u8(data, at + 1)
    answers = function == 0 or function == 3 or function == 7
    w[c.S_FUNC] = LINK | function
    w[c.S_KIND] = _RESPONSE if answers else (_REQUEST if function <= 8 else _CONTROL)
    w[c.S_KEY] = _OF_LINK
    _from(w, answers)
    return 0


@kernel()
def _network(data: Bytes, at: int, end: int, w: Row) -> int:
    """Messages of the network layer (6.4)."""
    if at >= end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    message = u8(data, at)
    w[c.S_FUNC] = NETWORK | message
    kind = _UNSOLICITED
    if message in (0, 6, 8, 9, 0x12):
        kind = _REQUEST
    elif message == 7:
        kind = _RESPONSE
    elif message > 0x0B and message != 0x13:
        kind = _CONTROL
    w[c.S_KIND] = kind
    w[c.S_KEY] = _OF_NETWORK
    _from(w, kind in (_UNSOLICITED, _RESPONSE))
    return 0


@kernel()
def _segment(data: Bytes, at: int, npdu: int, size: int, server: bool, w: Row) -> int:
    """A segment of a longer APDU (5.2, 20.1.2.4); the first one is joined with all headers before it."""
    place = w[APDU_AT] + (4 if w[PDU_TYPE] == CONFIRMED else 3)
    sequence = u8(data, at + place - 3)
    w[c.S_FLAGS] |= _SEGMENTED
    if w[c.X_JOINED]:
        return 0
    w[c.S_JOIN] = 1
    w[c.J_KEY] = w[c.S_TXN] | (1 if server else 0) << 8 | w[c.S_UNIT] << 9
    w[c.J_FIRST] = 1 if sequence == 0 else 0
    w[c.J_LAST] = 0 if u8(data, at + npdu) & 0x04 else 1
    w[c.J_SEQ] = sequence
    w[c.J_MODULO] = 256
    start = i64(0) if sequence == 0 else place
    w[c.J_AT] = at + start
    w[c.J_LENGTH] = size - start
    return 0


@kernel()
def _apdu(data: Bytes, at: int, apdu: int, size: int, w: Row) -> int:
    """The header of the APDU at `apdu` from `at` (20.1): type, invoke id, service, and whether it is a segment."""
    if apdu >= size:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    first = u8(data, at + apdu)
    kind = first >> 4
    w[c.S_FUNC] = 0x400 | kind
    w[PDU_TYPE] = kind
    w[APDU_AT] = apdu
    if kind > ABORT:
        w[c.S_ANOMALY] |= _RESERVED
        return 0
    segmented = first & 0x08 != 0 and (kind in (CONFIRMED, COMPLEX_ACK))
    shortest = 2 if kind == UNCONFIRMED else (4 if kind in (CONFIRMED, SEGMENT_ACK) else 3)
    if size - apdu < shortest + (2 if segmented else 0):
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    if kind == UNCONFIRMED:
        service = u8(data, at + apdu + 1)
        w[c.S_FUNC] = UNCONFIRMED_SERVICE | service
        w[c.S_KIND] = _UNSOLICITED if tells(service) else _REQUEST
        _from(w, tells(service))
        return 0
    w[c.S_TXN] = u8(data, at + apdu + (2 if kind == CONFIRMED else 1))
    server = kind != CONFIRMED
    if kind in (SEGMENT_ACK, ABORT):
        server = first & 1 != 0
        w[c.S_FLAGS] |= (_FROM_SERVER if server else 0) | (_NEGATIVE if kind == SEGMENT_ACK and first & 2 else 0)
    notice = False
    if kind != SEGMENT_ACK and kind != REJECT and kind != ABORT:
        w[c.S_FUNC] = u8(data, at + apdu + shortest - 1 + (2 if segmented else 0))
        notice = is_notice(w[c.S_FUNC])
    w[c.S_KIND] = _RESPONSE
    if kind == CONFIRMED:
        w[c.S_KIND] = _UNSOLICITED if notice else _REQUEST
    elif kind == SEGMENT_ACK or (kind == ABORT and not server):
        w[c.S_KIND] = _CONTROL
    elif notice:
        w[c.S_KIND] = _CONFIRM
    _from(w, server != notice)
    if kind in (SEGMENT_ACK, REJECT, ABORT):
        w[c.S_ROLE] = c.ROLE_EITHER
    w[c.S_KEY] = w[c.S_TXN] | w[c.S_UNIT] << 8
    w[c.S_ECHO] = w[c.S_PEER_UNIT] + 1
    if segmented:
        w[APDU_AT] = apdu + 2  # so that what follows lies as if it were whole
        _segment(data, at, apdu, size, server, w)
    return 0


@kernel(HEAD)
def head(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill kind, role, stations, key and service of the message data[at:at + size]."""
    w[c.S_KIND] = _CONTROL
    w[c.S_FUNC] = LINK | (u8(data, at + 1) if size > 1 else 0)
    if size < _HEADER:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    function, length = u8(data, at + 1), be16(data, at + 2)
    if not w[c.X_JOINED]:
        if length < size:
            w[c.S_ANOMALY] |= BAD_LENGTH if length < _HEADER else TRAILING
        size = max(_HEADER, min(size, length))
    if function != _FORWARDED_NPDU and not _DISTRIBUTE <= function <= _BROADCAST_NPDU:
        return _link(data, at, size, w)
    npdu = i64(_HEADER)
    if function == _FORWARDED_NPDU:
        npdu += 6
        w[c.S_FLAGS] |= _FORWARDED
    if function == _DISTRIBUTE:
        w[c.S_FLAGS] |= _FOREIGN
    if function != _UNICAST:
        w[c.S_FLAGS] |= _TO_ALL
    apdu = _npdu(data, at + npdu, at + size, w)
    if apdu < 0:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    if w[c.S_FUNC] == NETWORK:
        w[APDU_AT] = apdu - at
        return _network(data, apdu, at + size, w)
    return _apdu(data, at, apdu - at, size, w)


def _kernels() -> tuple[Any, Any, Any]:
    return frame, head, body


MODULE = ProtocolModule(protocol=Protocol.BACNET, tcp_ports=(), udp_ports=(47808,), kernels=_kernels)
