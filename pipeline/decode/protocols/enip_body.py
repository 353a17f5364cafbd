"""The body kernel of EtherNet/IP: what a CIP message asks or answers, cyclic data, and what devices say that they are.

Clauses: The CIP Networks Library, volume 1, 3-5.5 (connections), A-4 (services); volume 2, 2-4 (commands), 3-2 (data).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, le16, le32, u8
from pipeline.decode.notes import note, noted
from pipeline.decode.protocols import enip_types as t
from pipeline.decode.protocols.enip_objects import (
    SIZE_OF_ASSEMBLY,
    ask_list,
    attribute,
    identity,
    set_list,
    tell_list,
    whole,
)
from pipeline.decode.protocols.enip_path import BAD_LENGTH, path
from pipeline.decode.protocols.enip_pccc import pccc
from pipeline.decode.protocols.enip_values import read_tag, write_tag
from pipeline.decode.runs import add_run
from pipeline.decode.signatures import BODY
from schemas.codes import Anomaly, CipFlag, Direction, Kind, Quality, Space, Transport

Row = NDArray[np.int64]

CONNECTIONS = 0x0C1B
"""Mixed into keys of `notes`: numbers of a connection on its flow."""
KEPT_NS = 7 * 86_400 * c.NANOSECONDS
MOST_EMBEDDED = 60
"""Messages of a Multiple Service Packet that become records of their own; that there are more is an anomaly of it."""

_DATA_OF = 0x010D
_FROM_TARGET, _UNCOUNTED, _HEADED = 1, 2, 4
"""Of cyclic data, below its assembly in what is noted of its connection: its way, no count, a header of run or idle."""
_RUN_HEADER = 4
_CONFLICT, _TOO_MANY = int(Anomaly.CONFLICTING_RESPONSE), int(Anomaly.COUNT_OUT_OF_RANGE)
_MORE, _WRAPPED, _TO_TARGET, _TO_ORIGINATOR = (
    int(b) for b in (CipFlag.MORE, CipFlag.UNCONNECTED_SEND, CipFlag.TO_TARGET, CipFlag.TO_ORIGINATOR)
)
_REQUEST, _RESPONSE, _UNSOLICITED = int(Kind.REQUEST), int(Kind.RESPONSE), int(Kind.UNSOLICITED)
_UNKNOWN, _READ, _WRITTEN, _REPORT = (
    int(d) for d in (Direction.UNKNOWN, Direction.READ, Direction.WRITTEN, Direction.REPORT)
)
_ASSEMBLY, _IO = int(Space.CIP_ASSEMBLY), int(Space.CIP_IO)
_ADDRESS_UNKNOWN = int(Quality.ADDRESS_UNKNOWN)
_UDP = int(Transport.UDP)
_U32 = f.form(f.V_U32LE)
_OT_ID, _TO_ID, _OT_INTERVAL, _TO_INTERVAL = range(4)
"""Addresses of what a connection is opened with, in space CIP_IO."""


@kernel()
def _recall(w: Row) -> int:
    """An answer is about what was asked."""
    for column in (c.S_OP, c.S_UNIT, c.S_FUNC, c.S_SUBFUNC, c.S_SPACE, c.S_ADDR, c.S_ADDR_SUB, c.S_COUNT, c.S_NAME_ID):
        w[column] = w[c.ASKED + column]
    w[c.S_FLAGS] |= w[c.ASKED + c.S_FLAGS] & _WRAPPED
    return 0


@kernel()
def _parts(data: Bytes, at: int, end: int, w: Row) -> int:
    """A Multiple Service Packet says how many messages it holds; each is a record of its own, up to a bound."""
    count = le16(data, at) if end - at >= 2 else i64(0)
    w[c.S_COUNT] = count
    if end - at < 2 or at + 2 + 2 * count > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
    elif count > MOST_EMBEDDED:
        w[c.S_ANOMALY] |= _TOO_MANY
    return 0


@kernel()
def _number(what: int, at: int, w: Row) -> int:
    """Something of a connection's opening; its numbers are new each time, so no direction lets them be judged."""
    add_run(w, i64(_IO), what, i64(1), i64(_U32), at, i64(_UNKNOWN), i64(0))
    return 0


@kernel()
def _data_size(data: Bytes, at: int, wide: int) -> int:
    """Bytes of a connection by its parameters, 0 where they may vary (3-5.5.1.1)."""
    if wide == 4:
        return 0 if le32(data, at) & 1 << 25 else le16(data, at)
    return 0 if le16(data, at) & 1 << 9 else le16(data, at) & 0x1FF


@kernel()
def _open(data: Bytes, at: int, end: int, wide: int, w: Row) -> int:
    """Forward Open (3-5.5.2): connection ids and intervals, and the connection points that the data belongs to.

    `wide` is how many bytes the parameters of a connection have.
    """
    words = at + 31 + 2 * wide
    if words >= end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    w[c.S_COUNT] = le32(data, at + 22)
    _number(i64(_OT_ID), at + 2, w)
    _number(i64(_TO_ID), at + 6, w)
    _number(i64(_OT_INTERVAL), at + 22, w)
    _number(i64(_TO_INTERVAL), at + 26 + wide, w)
    w[t.TRANSPORT] = 1 + (u8(data, words - 1) & 15)
    w[t.TRANSPORT] |= (_data_size(data, at + 26, wide) << 8) | (_data_size(data, at + 30 + wide, wide) << 32)
    stop = words + 1 + 2 * u8(data, words)
    if stop > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    path(data, words + 1, stop, w)
    return 0


@kernel()
def _headed(size: int, assembly: int, w: Row) -> int:
    """Whether data of a connection of that size begins with a header of run or idle (3-6.1).

    No opening says so: it does where the device told the assembly's own size before, and the connection has as many
    bytes more.
    """
    own = noted(w, w[c.G_SRC_LO] ^ SIZE_OF_ASSEMBLY, assembly & 0xFFFFFFFF, i64(KEPT_NS))
    return _HEADED if own >= 0 and w[c.S_UNIT] == 0 and size == own + _RUN_HEADER else 0


@kernel()
def _opened(data: Bytes, at: int, end: int, w: Row) -> int:
    """The answer to a Forward Open (3-5.5.2): the numbers that stand; they are kept for what comes over it."""
    if end - at < 24:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    to_target, to_originator = le32(data, at), le32(data, at + 4)
    _number(i64(_OT_ID), at, w)
    _number(i64(_TO_ID), at + 4, w)
    _number(i64(_OT_INTERVAL), at + 16, w)
    _number(i64(_TO_INTERVAL), at + 20, w)
    note(w, w[c.X_FLOW] ^ CONNECTIONS, to_target, to_target)
    note(w, w[c.X_FLOW] ^ CONNECTIONS, to_originator, to_target)
    if w[c.S_HAS_REQUEST] and w[c.S_SPACE] == _ASSEMBLY:
        how = w[c.ASKED + t.TRANSPORT]
        uncounted = i64(_UNCOUNTED if how & 0xFF == 1 else 0)
        for size, assembly, connection, way in (
            (how >> 8 & 0xFFFF, w[c.S_ADDR], to_target, i64(0)),
            (how >> 32 & 0xFFFF, w[c.S_ADDR_SUB], to_originator, i64(_FROM_TARGET)),
        ):
            headed = _headed(size - (0 if uncounted else 2), assembly, w)
            what = ((assembly & 0xFFFFFFFF) << 3) | uncounted | headed | way
            note(w, w[c.G_SRC_LO] ^ _DATA_OF, connection, what)
    return 0


@kernel()
def _run_header(at: int, end: int, direction: int, w: Row) -> int:
    """The header of data of a connection (3-6.1.4), whose lowest bit is run or idle; the place behind it."""
    if end - at < _RUN_HEADER:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return at
    run = add_run(w, w[c.S_SPACE], w[c.S_ADDR] << 16, i64(1), t.FORM[0xC1], at, direction, i64(0))
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = 1
    return at + _RUN_HEADER


@kernel()
def _cyclic(data: Bytes, at: int, end: int, w: Row) -> int:
    """Data of a class 0 or 1 connection (volume 2, 3-2): words without a type, of the assembly where it is known.

    A description of the assembly is not on the wire: all words are told as they are.  A count stands before the data
    unless the connection is known to be of class 0; a header of run or idle, where one is known, is a point.
    """
    connection = le32(data, at + 6)
    w[c.S_TXN] = le32(data, at + 10)
    found = noted(w, w[c.G_SRC_LO] ^ _DATA_OF, connection, i64(KEPT_NS))
    if found < 0:
        found = noted(w, w[c.G_DST_LO] ^ _DATA_OF, connection, i64(KEPT_NS))
    w[c.S_SPACE], w[c.S_ADDR] = _IO, connection
    direction, quality = i64(_REPORT), i64(_ADDRESS_UNKNOWN)
    if found >= 0:
        w[c.S_SPACE], w[c.S_ADDR] = _ASSEMBLY, found >> 3
        quality = i64(0)
        w[c.S_FLAGS] |= _TO_ORIGINATOR if found & _FROM_TARGET else _TO_TARGET
        direction = i64(_REPORT if found & _FROM_TARGET else _WRITTEN)
    start = at + (18 if found >= 0 and found & _UNCOUNTED else 20)
    if found >= 0 and found & _HEADED:
        start = _run_header(start, end, direction, w)
    size = end - start
    w[c.S_COUNT] = max(size, 0)
    if size >= 2:
        run = add_run(w, w[c.S_SPACE], w[c.S_ADDR] << 16, size // 2, t.RAW[2], start, direction, quality)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_STEP] = 2
    if size > 0 and size & 1:
        add_run(w, w[c.S_SPACE], (w[c.S_ADDR] << 16) | (size - 1), i64(1), t.RAW[1], end - 1, direction, quality)
    return 0


@kernel()
def _asked(data: Bytes, at: int, end: int, w: Row) -> int:
    """What a request asks, behind its path."""
    function = w[c.S_FUNC]
    w[c.S_OP] = t.OPS[function]
    if function == t.MULTIPLE:
        return _parts(data, at, end, w)
    if function == t.TAG | t.READ_TAG or function == t.TAG | t.READ_PART or function == t.TAG | t.MODIFY_TAG:
        least = 6 if function == t.TAG | t.READ_PART else 2
        if end - at < least:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return 0
        w[c.S_COUNT] = le16(data, at)
        w[t.OFFSET] = le32(data, at + 2) if least == 6 else 0
        return 0
    if function == t.TAG | t.WRITE_TAG or function == t.TAG | t.WRITE_PART:
        return write_tag(data, at, end, function == t.TAG | t.WRITE_PART, w)
    if function == t.SET_SINGLE:
        return attribute(data, at, end, i64(_WRITTEN), w)
    if function == t.GET_LIST:
        return ask_list(data, at, end, w)
    if function == t.SET_LIST:
        return set_list(data, at, end, w)
    if function == t.MANAGER | t.FORWARD_OPEN:
        return _open(data, at, end, i64(2), w)
    if function == t.MANAGER | t.LARGE_FORWARD_OPEN:
        return _open(data, at, end, i64(4), w)
    if function == t.EXECUTE_PCCC and w[c.S_SUBFUNC] == t.PCCC:
        return pccc(data, at, end, w)
    return 0


@kernel()
def _answered(data: Bytes, at: int, end: int, w: Row) -> int:
    """What an answer gives, behind its status."""
    function = w[c.S_FUNC]
    lists = function == t.GET_LIST or function == t.SET_LIST
    mixed = function == t.MULTIPLE or (lists and w[c.S_STATUS] & 0xFF == t.LIST_ERROR)
    if w[c.S_STATUS] != 0 and w[c.S_STATUS] != t.PARTIAL and not mixed:
        return 0
    if function == t.MULTIPLE:
        return _parts(data, at, end, w)
    if w[c.S_HAS_REQUEST] == 0:
        return 0
    if function == t.TAG | t.READ_TAG or function == t.TAG | t.READ_PART:
        return read_tag(data, at, end, w)
    if function == t.GET_SINGLE:
        return attribute(data, at, end, i64(_READ), w)
    if lists:
        return tell_list(data, at, end, function == t.GET_LIST, w)
    if function == t.GET_ALL:
        return whole(data, at, end, w)
    if function == t.MANAGER | t.FORWARD_OPEN or function == t.MANAGER | t.LARGE_FORWARD_OPEN:
        return _opened(data, at, end, w)
    if t.FUNC_PCCC <= function < t.MANAGER:
        return pccc(data, at, end, w)
    return 0


@kernel()
def _response(data: Bytes, at: int, end: int, w: Row) -> int:
    """An answer: general and extended status, then what it gives."""
    code = w[c.S_FUNC]
    general, words = u8(data, at + 2), u8(data, at + 3)
    w[c.S_STATUS] = general | (le16(data, at + 4) << 8 if words > 0 else 0)
    if general == t.PARTIAL:
        w[c.S_FLAGS] |= _MORE
    w[c.S_OP] = t.OPS[code]
    if w[c.S_HAS_REQUEST]:
        asked = w[c.ASKED + c.S_FUNC]
        pccc_asked = t.FUNC_PCCC <= asked < t.MANAGER
        service = t.EXECUTE_PCCC if pccc_asked else asked & 0x7F
        failed = code == t.UNCONNECTED_SEND and general != 0 and w[c.ASKED + c.S_FLAGS] & _WRAPPED != 0
        if code == service or failed:
            _recall(w)
        else:
            w[c.S_ANOMALY] |= _CONFLICT
            w[c.S_HAS_REQUEST] = 0
    return _answered(data, at + 4 + 2 * words, end, w)


@kernel()
def _command(data: Bytes, at: int, end: int, w: Row) -> int:
    """A command of the encapsulation: its status, and the identity that a device tells."""
    w[c.S_OP] = t.OPS[w[c.S_FUNC]]
    if end - at < t.HEADER:
        return 0
    status = le32(data, at + 8)
    if status != 0:
        w[c.S_STATUS] = t.OF_ENCAPSULATION | (status & 0xFFFF)
    if w[c.S_KIND] == _RESPONSE and w[c.S_HAS_REQUEST] and w[c.S_FUNC] == t.ENCAPSULATION | t.RR_DATA:
        _recall(w)
    if w[c.S_KIND] == _REQUEST:
        w[c.S_ASKS] = 0 if w[c.X_TRANSPORT] == _UDP else 1
    listed = at + t.HEADER
    if w[c.S_FUNC] == t.ENCAPSULATION | t.LIST_IDENTITY and (w[c.S_KIND] == _RESPONSE or w[c.S_KIND] == _UNSOLICITED):
        if end - listed < 6 or le16(data, listed + 2) != t.I_IDENTITY or listed + 6 + le16(data, listed + 4) > end:
            w[c.S_ANOMALY] |= BAD_LENGTH
        else:
            identity(data, listed + 24, listed + 6 + le16(data, listed + 4), w)
    return 0


@kernel(BODY)
def body(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill the scratch and the runs of the message data[at:at + size]."""
    if w[c.S_FUNC] == t.IO:
        w[c.S_OP] = t.OPS[t.IO]
        return _cyclic(data, at, at + size, w)
    if w[t.EMBEDDED] > w[c.X_PART]:
        w[c.S_MORE] = w[c.X_PART] + 1
    if size >= t.HEADER and w[t.MESSAGE_AT] == 0:
        return _command(data, at, at + min(size, t.HEADER + le16(data, at + 2)), w)
    if size < t.HEADER:
        return 0
    start, end = at + w[t.MESSAGE_AT], at + w[t.MESSAGE_END]
    if w[c.S_KIND] == _REQUEST:
        w[c.S_ASKS] = 1
        _asked(data, start + 2 + 2 * u8(data, start + 1), end, w)
    elif w[c.S_KIND] == _RESPONSE:
        _response(data, start, end, w)
    return 0
