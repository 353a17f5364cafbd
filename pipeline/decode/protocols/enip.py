"""EtherNet/IP: encapsulation over TCP and UDP, its items, cyclic data over UDP, and the header of a CIP message.

Clauses: The CIP Networks Library, volume 2, 2-3 to 2-6 (encapsulation, common packet format), volume 1, 2-4 (messages).
What a message says is in `enip_body`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, le16, le32, le64, u8
from pipeline.decode.notes import noted
from pipeline.decode.protocols import enip_types as t
from pipeline.decode.protocols.base import ProtocolModule
from pipeline.decode.protocols.enip_body import CONNECTIONS, KEPT_NS, MOST_EMBEDDED, body
from pipeline.decode.protocols.enip_path import BAD_LENGTH, NAMED, numbered_tag, path
from pipeline.decode.signatures import FRAME, HEAD
from schemas.codes import CipFlag, Kind, Protocol, Transport

Row = NDArray[np.int64]

_UDP = int(Transport.UDP)
_REQUEST, _RESPONSE, _UNSOLICITED, _CONTROL, _DATA = (
    int(k) for k in (Kind.REQUEST, Kind.RESPONSE, Kind.UNSOLICITED, Kind.CONTROL, Kind.DATA)
)
_CONNECTED, _WRAPPED, _EMBEDDED = int(CipFlag.CONNECTED), int(CipFlag.UNCONNECTED_SEND), int(CipFlag.EMBEDDED)
_OF_COMMAND, _OF_MESSAGE, _OF_CONNECTION = 1 << 40, 2 << 40, 3 << 40
_MIX = -7046029254386353131


@kernel()
def is_cyclic(data: Bytes, at: int, size: int) -> bool:
    """Whether a datagram is data of a class 0 or 1 connection: a sequenced address and a connected data item."""
    if size < 18 or le16(data, at) != 2 or le16(data, at + 2) != t.I_SEQUENCED or le16(data, at + 4) != 8:
        return False
    return bool(le16(data, at + 14) == t.I_CONNECTED and le16(data, at + 16) + 18 == size)


@kernel()
def _status_known(status: int) -> bool:
    return bool(status <= 3 or status in (0x64, 0x65, 0x69, 0x6A))


@kernel(FRAME)
def frame(data: Bytes, at: int, end: int, w: Row) -> int:
    """Length of the message that starts at `at`, 0 when more bytes are needed to know, -1 when this is none."""
    size = end - at
    if w[c.X_TRANSPORT] == _UDP and is_cyclic(data, at, size):
        return size
    if (size > 0 and t.COMMANDS[u8(data, at)] == 0) or (size > 1 and u8(data, at + 1) != 0):
        return -1
    if size < t.HEADER:
        return -1 if w[c.X_STRICT] else 0
    length, status = le16(data, at + 2), le32(data, at + 8)
    if length > t.LONGEST or not _status_known(status) or le32(data, at + 20) != 0:
        return -1
    if w[c.X_STRICT]:
        carries = u8(data, at) in (t.REGISTER, t.RR_DATA, t.UNIT_DATA, t.LIST_IDENTITY)
        return t.HEADER + length if carries and t.HEADER + length == size else -1
    return t.HEADER + length


@kernel()
def _item(data: Bytes, at: int, end: int, kind: int) -> int:
    """Place of the length of the first item of a kind, behind interface handle and time-out; -1 where there is none."""
    if at + 8 > end:
        return -1
    at += 6
    count = le16(data, at)
    at += 2
    for _ in range(min(count, 8)):
        if at + 4 > end:
            return -1
        if le16(data, at) == kind:
            return at + 2
        at += 4 + le16(data, at + 2)
    return -1


@kernel()
def _message(data: Bytes, at: int, end: int, base: int, w: Row) -> int:
    """The header of the CIP message data[at:end]: kind, service and what it is addressed to."""
    w[t.MESSAGE_AT] = at - base
    w[t.MESSAGE_END] = end - base
    w[c.S_KIND] = _CONTROL
    if end - at < 2:
        w[c.S_ANOMALY] |= BAD_LENGTH
        w[t.MESSAGE_AT] = 0
        return -1
    code = u8(data, at) & 0x7F
    w[c.S_FUNC] = code
    if u8(data, at) & 0x80:
        w[c.S_KIND] = _RESPONSE
        w[c.S_ROLE] = c.SURE_RESPONSE
        if end - at < 4 or end - at < 4 + 2 * u8(data, at + 3):
            w[c.S_ANOMALY] |= BAD_LENGTH
            w[t.MESSAGE_AT] = 0
        return -1
    w[c.S_KIND] = _REQUEST
    w[c.S_ROLE] = c.SURE_REQUEST
    stop = at + 2 + 2 * u8(data, at + 1)
    if stop > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        w[t.MESSAGE_AT] = 0
        stop = end
    family = path(data, at + 2, stop, w)
    at_tag = family == NAMED or (
        family == t.SYMBOL and (t.READ_TAG <= code <= t.MODIFY_TAG or t.READ_PART <= code <= 0x55)
    )
    if at_tag:
        w[c.S_FUNC] = t.TAG | code
        if family == t.SYMBOL and code != t.LIST_TAGS:
            numbered_tag(w)
    elif family == t.CONNECTION_MANAGER and code >= t.FORWARD_CLOSE:
        w[c.S_FUNC] = t.MANAGER | code
    elif family > 0:
        w[c.S_SUBFUNC] = family
    return int(family)


@kernel()
def _unwrap(data: Bytes, at: int, end: int, base: int, w: Row) -> int:
    """The message inside an Unconnected Send (volume 1, 3-5.5.4), and the slot that its route leads to."""
    at += 2 + 2 * u8(data, at + 1)
    if end - at < 4:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    size = le16(data, at + 2)
    start, route = at + 4, at + 4 + size + (size & 1)
    if start + size > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    w[c.S_SPACE], w[c.S_ADDR], w[c.S_ADDR_SUB] = 0, 0, 0
    w[c.S_FLAGS] |= _WRAPPED
    if route + 2 <= end:
        path(data, route + 2, min(end, route + 2 + 2 * u8(data, route)), w)
    return _message(data, start, start + size, base, w)


@kernel()
def _embedded(data: Bytes, at: int, end: int, base: int, part: int, w: Row) -> int:
    """Message `part`, from 1 on, of the Multiple Service Packet data[at:end] (volume 1, A-4.10); 0 is the packet."""
    at += 4 + 2 * u8(data, at + 3) if u8(data, at) & 0x80 else 2 + 2 * u8(data, at + 1)
    count = le16(data, at) if end - at >= 2 else i64(0)
    w[t.EMBEDDED] = min(count, MOST_EMBEDDED) if at + 2 + 2 * count <= end else 0
    if part == 0 or part > w[t.EMBEDDED]:
        return 0
    start = at + le16(data, at + 2 * part)
    stop = at + le16(data, at + 2 * part + 2) if part < count and at + 4 + 2 * part <= end else end
    if start < at + 2 + 2 * count or stop > end or start > stop:
        w[c.S_ANOMALY] |= BAD_LENGTH
        w[t.MESSAGE_AT] = 0
        return 0
    w[c.S_SPACE], w[c.S_ADDR], w[c.S_ADDR_SUB], w[c.S_SUBFUNC] = 0, 0, 0, 0
    w[c.S_FLAGS] |= _EMBEDDED
    return _message(data, start, stop, base, w)


@kernel()
def _cip(data: Bytes, at: int, end: int, base: int, w: Row) -> int:
    """A CIP message, the one inside it where it is wrapped, or the one of many that X_PART asks for."""
    _message(data, at, end, base, w)
    if w[c.S_FUNC] == t.MANAGER | t.UNCONNECTED_SEND and w[t.MESSAGE_AT] > 0:
        _unwrap(data, at, end, base, w)
    if w[c.S_FUNC] == t.MULTIPLE and w[t.MESSAGE_AT] > 0:
        _embedded(data, base + w[t.MESSAGE_AT], base + w[t.MESSAGE_END], base, w[c.X_PART], w)
    return 0


@kernel()
def _unconnected(data: Bytes, at: int, end: int, w: Row) -> int:
    """SendRRData: a message that belongs to no connection; its answer has the same session and sender context."""
    context = le64(data, at + 12)
    w[c.S_TXN] = context & 0xFFFFFFFF
    mixed = ((context ^ le32(data, at + 4)) * _MIX >> 32) & 0xFFFFFFFF
    w[c.S_KEY] = mixed | (w[c.X_PART] << 32) | _OF_MESSAGE
    if end == at + t.HEADER and le32(data, at + 8) != 0:  # refused before any message was looked at
        w[c.S_KIND] = _RESPONSE
        w[c.S_ROLE] = c.SURE_RESPONSE
        return 0
    place = _item(data, at + t.HEADER, end, i64(t.I_UNCONNECTED))
    if place < 0 or place + 2 + le16(data, place) > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    _cip(data, place + 2, place + 2 + le16(data, place), at, w)
    return 0


@kernel()
def _connected(data: Bytes, at: int, end: int, w: Row) -> int:
    """SendUnitData: a message over a connection; its answer has the same count, and the connection's other number."""
    if end == at + t.HEADER and le32(data, at + 8) != 0:
        return 0
    address = _item(data, at + t.HEADER, end, i64(t.I_CONNECTED_ADDRESS))
    place = _item(data, at + t.HEADER, end, i64(t.I_CONNECTED))
    if address < 0 or address + 6 > end or place < 0 or place + 4 > end or place + 2 + le16(data, place) > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    connection, count = le32(data, address + 2), le16(data, place + 2)
    w[c.S_FLAGS] |= _CONNECTED
    w[c.S_TXN] = count
    _cip(data, place + 4, place + 2 + le16(data, place), at, w)
    one = noted(w, w[c.X_FLOW] ^ CONNECTIONS, connection, KEPT_NS)
    known = (one * _MIX >> 40) & 0xFFFF if one >= 0 else i64(0)
    w[c.S_KEY] = count | (known << 16) | (w[c.X_PART] << 32) | _OF_CONNECTION
    return 0


@kernel()
def _command(data: Bytes, at: int, size: int, command: int, w: Row) -> int:
    """Commands of the encapsulation itself: what lists and opens sessions."""
    length, session = le16(data, at + 2), le32(data, at + 4)
    context = le64(data, at + 12)
    w[c.S_TXN] = context & 0xFFFFFFFF
    w[c.S_KEY] = ((context * _MIX >> 32) & 0xFFFFFFFF) | _OF_COMMAND | (command << 44)
    answers = i64(-1)
    if command == t.REGISTER:
        answers = i64(session != 0 or le32(data, at + 8) != 0)
    elif command in (t.LIST_IDENTITY, t.LIST_SERVICES, t.LIST_INTERFACES):
        answers = i64(length > 0)
    else:
        w[c.S_KIND] = _CONTROL
    if answers == 1:
        told = w[c.X_TRANSPORT] == _UDP
        w[c.S_KIND] = _UNSOLICITED if told else _RESPONSE
        w[c.S_ROLE] = c.SURE_RESPONSE
    elif answers == 0:
        w[c.S_KIND] = _REQUEST
        w[c.S_ROLE] = c.SURE_REQUEST
    return 0


@kernel(HEAD)
def head(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill kind, role, key, transaction, service and path of the message data[at:at + size]."""
    w[c.S_KIND] = _CONTROL
    if w[c.X_TRANSPORT] == _UDP and is_cyclic(data, at, size):
        w[c.S_KIND] = _DATA
        w[c.S_FUNC] = t.IO
        return 0
    command = u8(data, at) if size > 0 else i64(0)
    w[c.S_FUNC] = t.ENCAPSULATION | command
    if size < t.HEADER:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    w[c.S_PEER_UNIT] = le32(data, at + 4)
    end = at + min(size, t.HEADER + le16(data, at + 2))
    if command == t.RR_DATA:
        return _unconnected(data, at, end, w)
    if command == t.UNIT_DATA:
        return _connected(data, at, end, w)
    return _command(data, at, size, command, w)


def _kernels() -> tuple[Any, Any, Any]:
    return frame, head, body


MODULE = ProtocolModule(protocol=Protocol.ENIP, tcp_ports=(44818,), udp_ports=(44818, 2222), kernels=_kernels)
