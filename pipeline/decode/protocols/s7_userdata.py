"""Userdata of S7comm: system status lists with what they say of the device, blocks, clock, password, programmer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.notes import note, noted
from pipeline.decode.protocols import s7_types as t
from pipeline.decode.protocols.s7_alarms import later_answer, messages, mode
from pipeline.decode.protocols.s7_blocks import blocks, follows, text_length
from pipeline.decode.protocols.s7_cyclic import cyclic, ended
from pipeline.decode.protocols.s7_head import BAD_LENGTH, REQUEST, RESPONSE, UNSOLICITED
from pipeline.decode.protocols.s7_tables import started, tables
from pipeline.decode.runs import add_run
from pipeline.decode.values import s7_clock_ms
from schemas.codes import Anomaly, Direction, Identity, Op, RecordFlag, S7Flag, Space

Row = NDArray[np.int64]

MODULE_IDENTIFICATION, COMPONENT_IDENTIFICATION = 0x11, 0x1C
"""Partial lists that identify: the low byte of an SZL id, whatever its extract."""

_PARTS_NS = 60 * c.NANOSECONDS
_CONFLICT = int(Anomaly.CONFLICTING_RESPONSE)
_MORE, _PASSWORD = int(S7Flag.MORE), int(S7Flag.PASSWORD)
_SAYS_IDENTITY = int(RecordFlag.IDENTITY)
_READ, _WRITTEN = int(Direction.READ), int(Direction.WRITTEN)
_IDENTITY, _SZL, _CLOCK = int(Space.IDENTITY), int(Space.S7_SYSTEM_STATUS), int(Space.DEVICE_TIME)
_IDENTIFY, _ALARM, _REPORT = int(Op.IDENTIFY), int(Op.ALARM), int(Op.REPORT)
_PRODUCT_CODE, _HARDWARE, _FIRMWARE = int(Identity.PRODUCT_CODE), int(Identity.HARDWARE), int(Identity.FIRMWARE)
_VERSION, _TIME = f.form(f.V_U32BE), f.form(f.V_CLOCK_S7)
_GOOD, _NO_DATA, _NULL = 0xFF, 0x0A, 0
_LISTS = 0x571
_FOLLOWS = 1


def _components() -> NDArray[np.int64]:
    """The Identity that a record of list 0x1C tells, by its index."""
    found = np.zeros(16, np.int64)
    for index, role in {
        1: Identity.NAME,
        3: Identity.LOCATION,
        5: Identity.SERIAL,
        7: Identity.MODEL,
    }.items():
        found[index] = int(role)
    return found


_COMPONENTS = _components()


@kernel()
def _says(role: int, encoding: int, at: int, size: int, w: Row) -> int:
    """A point of what the device says that it is."""
    run = add_run(w, _IDENTITY, role, 1, encoding, at, _READ, 0)
    if run >= 0 and encoding == c.ENC_TEXT:
        w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = size
    w[c.S_FLAGS] |= _SAYS_IDENTITY
    return 0


@kernel()
def _identity(data: Bytes, at: int, each: int, count: int, lists: int, w: Row) -> int:
    """The records of an identifying list: order number and versions (0x11), names and serial number (0x1C).

    A version is `V` and three numbers, told as the 32 bits that they are.
    """
    for i in range(count):
        place = at + i * each
        index = be16(data, place) & 0xFF
        if lists == MODULE_IDENTIFICATION:
            size = text_length(data, place + 2, 20)
            if index == 1 and size > 0:
                _says(_PRODUCT_CODE, c.ENC_TEXT, place + 2, size, w)
            if (index == 6 or index == 7) and u8(data, place + 24) == 86:
                _says(_HARDWARE if index == 6 else _FIRMWARE, _VERSION, place + 24, 4, w)
            continue
        role = _COMPONENTS[index & 15] if index < 16 else i64(0)
        size = text_length(data, place + 2, each - 2)
        if role > 0 and size > 0:
            _says(role, c.ENC_TEXT, place + 2, size, w)
    return 0


@kernel()
def _list_of(lists: int, index: int, w: Row) -> int:
    """The record is about a status list; two of them identify the device."""
    w[c.S_SPACE] = _SZL
    w[c.S_ADDR] = lists
    w[c.S_ADDR_SUB] = index
    if lists & 0xFF in (MODULE_IDENTIFICATION, COMPONENT_IDENTIFICATION):
        w[c.S_OP] = _IDENTIFY
    return 0


@kernel()
def _later_part(data: Bytes, at: int, end: int, w: Row) -> bool:
    """Whether parameters belong to a later part of a list, which is asked for by the sequence number of the one before.

    Which list that is was said by the first part; where that was not seen it stays unknown.
    """
    asks = w[c.S_KIND] == REQUEST
    reference = u8(data, at + 8) if end - at >= 12 else i64(0)
    later = asks and end - at >= 12
    if w[c.S_KIND] == RESPONSE:
        later = w[c.ASKED + c.S_EXTRA] == _FOLLOWS if w[c.S_HAS_REQUEST] else reference != 0
    if later and asks:
        w[c.S_EXTRA] = _FOLLOWS
        known = noted(w, w[c.X_FLOW] ^ _LISTS, u8(data, at + 7), _PARTS_NS)
        if known >= 0:
            _list_of(known >> 16, known & 0xFFFF, w)
    return bool(later)


@kernel()
def _status_list(data: Bytes, at: int, end: int, sequence: int, w: Row) -> int:
    """The first part of a system status list: its id and index, and the records that are whole."""
    if end - at < 4:
        return 0
    lists, index = be16(data, at), be16(data, at + 2)
    if w[c.S_HAS_REQUEST] and w[c.ASKED + c.S_ADDR] != lists:
        w[c.S_ANOMALY] |= _CONFLICT
    _list_of(lists, index, w)
    if w[c.S_KIND] != RESPONSE or end - at < 8:
        return 0
    if w[c.S_FLAGS] & _MORE:
        note(w, w[c.X_FLOW] ^ _LISTS, sequence, (lists << 16) | index)
    each, count = be16(data, at + 4), be16(data, at + 6)
    w[c.S_COUNT] = count
    least = 28 if lists & 0xFF == MODULE_IDENTIFICATION else 4
    if w[c.S_OP] == _IDENTIFY and each >= least:
        _identity(data, at + 8, each, min(count, (end - at - 8) // each), lists & 0xFF, w)
    return 0


@kernel()
def _clock(data: Bytes, at: int, end: int, w: Row) -> int:
    """A time, and the bytes as they stand there where they are none."""
    if end - at < 10:
        return 0
    w[c.S_SPACE] = _CLOCK
    direction = _WRITTEN if w[c.S_KIND] == REQUEST else _READ
    if s7_clock_ms(data, at) >= 0:
        add_run(w, _CLOCK, i64(0), i64(1), i64(_TIME), at, i64(direction), i64(0))
        return 0
    run = add_run(w, _CLOCK, i64(0), i64(1), i64(c.ENC_BYTES), at, i64(direction), i64(0))
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = 10
    return 0


@kernel()
def _outcome(data: Bytes, at: int, end: int, values: int, limit: int, w: Row) -> int:
    """Error code of the parameters, else the return code of the data; no data beside no error is a success."""
    if end - at >= 12:
        w[c.S_STATUS] = be16(data, at + 10)
    if w[c.S_STATUS] != 0 or limit - values < 4 or u8(data, values) == _GOOD:
        return 0
    if end - at < 12 or u8(data, values) != _NO_DATA or u8(data, values + 1) != _NULL:
        w[c.S_STATUS] = u8(data, values)
    return 0


@kernel()
def _paired(w: Row) -> int:
    """An answer is about what was asked, where it answers that."""
    if w[c.ASKED + c.S_FUNC] != w[c.S_FUNC] or w[c.ASKED + c.S_SUBFUNC] != w[c.S_SUBFUNC]:
        w[c.S_ANOMALY] |= _CONFLICT
        w[c.S_HAS_REQUEST] = 0
        return 0
    w[c.S_OP] = w[c.ASKED + c.S_OP]
    w[c.S_SPACE] = w[c.ASKED + c.S_SPACE]
    w[c.S_ADDR] = w[c.ASKED + c.S_ADDR]
    w[c.S_COUNT] = w[c.ASKED + c.S_COUNT]
    w[c.S_ADDR_SUB] = w[c.ASKED + c.S_ADDR_SUB]
    w[c.S_NAME_ID] = w[c.ASKED + c.S_NAME_ID]
    return 0


@kernel()
def _without_data(data: Bytes, at: int, end: int, group: int, sub: int, w: Row) -> bool:
    """What is said whether or not data follows; whether that is all."""
    if group == t.CPU and sub == t.SZL:
        return bool(_later_part(data, at, end, w))
    if group == t.CPU and sub == t.ALARM_QUERY:
        return bool(later_answer(data, at, end, w))
    if group == t.BLOCKS:
        return bool(follows(data, at, end, w))
    if group == t.MODE:
        mode(data, at, end, w)
    elif group == t.PROGRAMMER:
        started(u8(data, at + 7), w)
    elif group == t.CYCLIC and sub == t.UNSUBSCRIBE:
        ended(w)
    elif group == t.SECURITY and sub == t.PASSWORD and w[c.S_KIND] == REQUEST:
        w[c.S_FLAGS] |= _PASSWORD
        return True
    return False


@kernel()
def _contents(data: Bytes, at: int, end: int, number: int, w: Row) -> int:
    """What the data of userdata says; `number` is the sequence number of the parameters."""
    group, sub = w[c.S_FUNC] & 15, w[c.S_SUBFUNC]
    if group == t.CPU:
        return int(_status_list(data, at, end, number, w) if sub == t.SZL else messages(data, at, end, w))
    if group == t.CYCLIC:
        return int(cyclic(data, at, end, number, w))
    if group == t.PROGRAMMER:
        return int(tables(data, at, end, number, w))
    if group == t.BLOCKS:
        return int(blocks(data, at, end, number, w))
    return int(_clock(data, at, end, w)) if group == t.CLOCK else 0


@kernel()
def userdata(data: Bytes, at: int, end: int, values: int, limit: int, w: Row) -> int:
    """Userdata with parameters data[at:end] and data data[values:limit]."""
    group, sub = w[c.S_FUNC] & 15, w[c.S_SUBFUNC] & 0xFF
    if end - at < 8:
        return 0
    w[c.S_OP] = t.USER_OP[group, sub]
    if w[c.S_KIND] == UNSOLICITED:
        w[c.S_OP] = _ALARM if group == t.CPU else _REPORT
    elif w[c.S_KIND] == RESPONSE:
        _outcome(data, at, end, values, limit, w)
        if w[c.S_HAS_REQUEST]:
            _paired(w)
    if _without_data(data, at, end, group, sub, w):
        return 0
    if limit - values < 4 or u8(data, values) != _GOOD:
        return 0
    size = be16(data, values + 2)
    place = values + 4
    if place + size > limit:
        w[c.S_ANOMALY] |= BAD_LENGTH
        size = limit - place
    return int(_contents(data, place, place + size, u8(data, at + 7), w))
