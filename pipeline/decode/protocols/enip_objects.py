"""Attributes of CIP objects, one by one, in lists and all together; and what a device says that it is.

The second part of a point's address is the attribute and, of one that has several fields, the field from 1 on above 16
bits.  Clauses: The CIP Networks Library, volume 1, A-4 (services), 5-2.2 (identity object); volume 2, 2-4.2
(ListIdentity).  The layout of attributes is `enip_attributes`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, le16, u8
from pipeline.decode.notes import note
from pipeline.decode.protocols import enip_attributes as a
from pipeline.decode.protocols import enip_types as t
from pipeline.decode.protocols.enip_path import BAD_LENGTH
from pipeline.decode.runs import add_run
from schemas.codes import CipFlag, Direction, Identity, Op, Quality, RecordFlag, Space

Row = NDArray[np.int64]

_UNKNOWN, _READ, _WRITTEN = int(Direction.UNKNOWN), int(Direction.READ), int(Direction.WRITTEN)
_IDENTITY, _ATTRIBUTE = int(Space.IDENTITY), int(Space.CIP_ATTRIBUTE)
_IDENTIFY, _SAYS_IDENTITY = int(Op.IDENTIFY), int(RecordFlag.IDENTITY)
_VENDOR, _CODE, _FIRMWARE, _SERIAL, _MODEL = (
    int(i) for i in (Identity.VENDOR, Identity.PRODUCT_CODE, Identity.FIRMWARE, Identity.SERIAL, Identity.MODEL)
)
_INVALID, _ADDRESS_UNKNOWN = int(Quality.INVALID), int(Quality.ADDRESS_UNKNOWN)
_WRAPPED = int(CipFlag.UNCONNECTED_SEND)
_U16, _U32, _VERSION, _NOTHING = f.form(f.V_U16LE), f.form(f.V_U32LE), f.form(f.V_U16BE), f.form(f.V_NONE)
_FIRST_IDENTITY = t.IDENTITY << 32 | 1
_MOST_RAW = 512
"""Bytes of a field that are told, at most."""
SIZE_OF_ASSEMBLY = 0x5A55
"""Mixed into keys of `notes`: bytes of an assembly of a device."""

# --- the definitions as arrays: a row for each class, row 0 for any class itself
_CLASSES = (a.OF_CLASS, *sorted(family for family in {family for family, _ in a.ATTRIBUTES} if family))
_NUMBERS = 16
ROW = np.full(256, -1, np.int64)
FIRST = np.zeros(len(_CLASSES) * _NUMBERS, np.int64)
MANY = np.zeros(len(_CLASSES) * _NUMBERS, np.int64)
LEAST = np.zeros(len(_CLASSES), np.int64)
MOST = np.zeros(len(_CLASSES), np.int64)
FIELDS = np.array([kind for _, fields in a.ATTRIBUTES.values() for _, kind in fields], np.int64)
for _row, _family in enumerate(_CLASSES):
    if _family:
        ROW[_family] = _row
        LEAST[_row], MOST[_row] = a.WHOLE.get(_family, (0, 0))
_place = 0
for (_family, _number), (_, _fields) in a.ATTRIBUTES.items():
    _at = _CLASSES.index(_family) * _NUMBERS + _number
    FIRST[_at], MANY[_at] = _place, len(_fields)
    _place += len(_fields)


@kernel()
def _definition(addr: int, number: int) -> int:
    """Place of an attribute's definition, -1 where it has none; `addr` is class and instance."""
    family, instance = addr >> 32, addr & 0xFFFFFFFF
    row = i64(-1)
    if instance == 0 and (0 < family < 0x64 or 0xF0 <= family < 0x300):
        row = i64(0)
    elif instance != 0 and family < 256:
        row = ROW[family]
    if row < 0 or number >= _NUMBERS or MANY[row * _NUMBERS + number] == 0:
        return -1
    return int(row * _NUMBERS + number)


@kernel()
def _counted(data: Bytes, at: int, kind: int) -> int:
    """Elements of a counted field, whose count is there."""
    return u8(data, at) if (kind >> a.COUNT_AT) & 3 == 1 else le16(data, at)


@kernel()
def _field_size(data: Bytes, at: int, end: int, kind: int) -> int:
    """Bytes of a field, -1 where it is cut off."""
    size = i64(-1)
    if kind < 256:
        size = t.SIZE[kind]
    elif kind & a.OCTETS:
        size = kind >> a.SIZE_AT
    else:
        width = (kind >> a.COUNT_AT) & 3
        if at + width > end:
            return -1
        count = _counted(data, at, kind)
        size = width + count * ((kind >> a.SIZE_AT) & 15)
        if kind & a.EVEN and count & 1 and at + size < end:
            size += 1
    return int(size) if at + size <= end else -1


@kernel()
def _size(data: Bytes, at: int, end: int, number: int, w: Row) -> int:
    """Bytes of an attribute by its definition, -1 where it has none or is cut off."""
    place = _definition(w[c.S_ADDR], number) if w[c.S_SPACE] == _ATTRIBUTE else i64(-1)
    if place < 0:
        return -1
    size = i64(0)
    for k in range(MANY[place]):
        one = _field_size(data, at + size, end, FIELDS[FIRST[place] + k])
        if one < 0:
            return -1
        size += one
    return int(size)


@kernel()
def _point(encoding: int, at: int, size: int, sub: int, direction: int, quality: int, w: Row) -> int:
    """One point at the record's object; `size` counts of texts and bytes."""
    run = add_run(w, w[c.S_SPACE], w[c.S_ADDR], i64(1), encoding, at, direction, quality)
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = sub
        w[c.RUNS_AT + run * c.RUN + c.N_NAME_ID] = w[c.S_NAME_ID]
        if encoding < c.ENC_CODED:
            w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = min(size, _MOST_RAW)
    return 0


@kernel()
def _field(data: Bytes, at: int, kind: int, sub: int, direction: int, w: Row) -> int:
    """The point of a field that is there whole."""
    if kind < 256:
        return _point(t.FORM[kind], at, i64(0), sub, direction, i64(0), w)
    if kind & a.OCTETS:
        return _point(i64(c.ENC_BYTES), at, kind >> a.SIZE_AT, sub, direction, i64(0), w)
    size = _counted(data, at, kind) * ((kind >> a.SIZE_AT) & 15)
    encoding = i64(c.ENC_TEXT if kind & a.TEXT else c.ENC_BYTES)
    return _point(encoding, at + ((kind >> a.COUNT_AT) & 3), size, sub, direction, i64(0), w)


@kernel()
def _words(at: int, size: int, number: int, direction: int, quality: int, w: Row) -> int:
    """Bytes of which nobody knows what they are: words, and a byte that is left over, all at one address."""
    for part in range(2):
        first, many = (at, size // 2) if part == 0 else (at + size - 1, size & 1)
        run = add_run(w, w[c.S_SPACE], w[c.S_ADDR], many, t.RAW[2 - part], first, direction, quality)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_STEP] = 0
            w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = number
    return 0


@kernel()
def _raw(at: int, end: int, number: int, direction: int, quality: int, w: Row) -> int:
    """A value whose type nobody said: a number where it has the size of one, else its bytes."""
    size = end - at
    if size <= 0:
        return 0
    if quality != 0:
        return _words(at, size, number, direction, quality, w)
    if size <= 8 and t.RAW[size] != 0:
        return _point(t.RAW[size], at, i64(0), number, direction, quality, w)
    return _point(i64(c.ENC_BYTES), at, size, number, direction, quality, w)


@kernel()
def _says(role: int, encoding: int, at: int, size: int, w: Row) -> int:
    run = add_run(w, i64(_IDENTITY), role, i64(1), encoding, at, i64(_READ), i64(0))
    if run >= 0 and encoding == c.ENC_TEXT:
        w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = size
    w[c.S_FLAGS] |= _SAYS_IDENTITY
    return 1


@kernel()
def _identifies(data: Bytes, at: int, number: int, w: Row) -> int:
    """An attribute of the identity object that tells what the device is; 0 for another one."""
    if number == 1:
        return _says(i64(_VENDOR), i64(_U16), at, i64(0), w)
    if number == 3:
        return _says(i64(_CODE), i64(_U16), at, i64(0), w)
    if number == 4:
        return _says(i64(_FIRMWARE), i64(_VERSION), at, i64(0), w)
    if number == 6:
        return _says(i64(_SERIAL), i64(_U32), at, i64(0), w)
    if number == 7 and u8(data, at) > 0:
        return _says(i64(_MODEL), i64(c.ENC_TEXT), at + 1, u8(data, at), w)
    return 0


@kernel()
def _tell(data: Bytes, at: int, end: int, number: int, direction: int, w: Row) -> int:
    """The points of an attribute whose size is known."""
    if w[c.S_ADDR] == _FIRST_IDENTITY and direction == _READ and _identifies(data, at, number, w):
        return 0
    place = _definition(w[c.S_ADDR], number)
    many = MANY[place]
    for k in range(many):
        kind = FIELDS[FIRST[place] + k]
        _field(data, at, kind, number | (k + 1 << 16 if many > 1 else 0), direction, w)
        at += _field_size(data, at, end, kind)
    return 0


@kernel()
def _assembly(data: Bytes, at: int, end: int, number: int, w: Row) -> int:
    """Keep how large an assembly of the device itself is: its size (attribute 4) or its data (3) told it."""
    if w[c.S_ADDR] >> 32 != t.ASSEMBLY or w[c.S_UNIT] != 0 or w[c.S_FLAGS] & _WRAPPED:
        return 0
    if number == 3 or (number == 4 and end - at == 2):
        size = end - at if number == 3 else le16(data, at)
        note(w, w[c.G_SRC_LO] ^ SIZE_OF_ASSEMBLY, w[c.S_ADDR] & 0xFFFFFFFF, size)
    return 0


@kernel()
def attribute(data: Bytes, at: int, end: int, direction: int, w: Row) -> int:
    """The value of one attribute."""
    number = w[c.S_ADDR_SUB]
    if direction == _READ:
        _assembly(data, at, end, number, w)
    if at < end and _size(data, at, end, number, w) == end - at:
        return _tell(data, at, end, number, direction, w)
    return _raw(at, end, number, direction, i64(0), w)


@kernel()
def _without_value(at: int, number: int, direction: int, quality: int, w: Row) -> int:
    return _point(i64(_NOTHING), at, i64(0), number, direction, quality, w)


@kernel()
def _begins(data: Bytes, at: int, end: int, least: int, w: Row) -> int:
    """How many attributes a list has, as far as there is room for that many of `least` bytes."""
    count = le16(data, at) if end - at >= 2 else i64(0)
    w[c.S_COUNT] = count
    if end - at < 2 or at + 2 + least * count > end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0 if end - at < 2 else (end - at - 2) // least
    return count


@kernel()
def ask_list(data: Bytes, at: int, end: int, w: Row) -> int:
    """Get_Attribute_List (A-4.4): which attributes are asked for."""
    for k in range(_begins(data, at, end, i64(2), w)):
        _without_value(at, le16(data, at + 2 + 2 * k), i64(_UNKNOWN), i64(0), w)
    return 0


@kernel()
def _listed(data: Bytes, at: int, end: int, number: int, last: bool, direction: int, w: Row) -> int:
    """The value of an attribute of a list, and where it ends, -1 where nobody knows.

    What follows a value whose size nobody said cannot be told apart from it: all is bytes of the attribute, without
    its address where it was not the last.
    """
    size = _size(data, at, end, number, w)
    if size < 0:
        _raw(at, end, number, direction, i64(0 if last else _ADDRESS_UNKNOWN), w)
        return -1
    _tell(data, at, at + size, number, direction, w)
    return at + size


@kernel()
def set_list(data: Bytes, at: int, end: int, w: Row) -> int:
    """Set_Attribute_List (A-4.5): numbers and values."""
    count = _begins(data, at, end, i64(2), w)
    at += 2
    for k in range(count):
        if at + 2 > end:
            w[c.S_ANOMALY] |= BAD_LENGTH
            break
        at = _listed(data, at + 2, end, le16(data, at), k + 1 == count, i64(_WRITTEN), w)
        if at < 0:
            break
    return 0


@kernel()
def tell_list(data: Bytes, at: int, end: int, gives: bool, w: Row) -> int:
    """The answer to either: number and status of each attribute, and where it `gives` them, values."""
    count = _begins(data, at, end, i64(4), w)
    at += 2
    for k in range(count):
        if at + 4 > end:
            w[c.S_ANOMALY] |= BAD_LENGTH
            break
        number, status = le16(data, at), le16(data, at + 2)
        at += 4
        if status != 0:
            _without_value(at, number, i64(_READ if gives else _WRITTEN), i64(_INVALID), w)
        elif gives:
            at = _listed(data, at, end, number, k + 1 == count, i64(_READ), w)
        if at < 0:
            break
    return 0


@kernel()
def whole(data: Bytes, at: int, end: int, w: Row) -> int:
    """Get_Attributes_All (A-4.2): by the definition of the object, else raw."""
    addr = w[c.S_ADDR]
    row = ROW[addr >> 32] if w[c.S_SPACE] == _ATTRIBUTE and addr >> 32 < 256 and addr & 0xFFFFFFFF else i64(-1)
    if row < 0 or MOST[row] == 0:
        return _raw(at, end, i64(0), i64(_READ), i64(0), w) if w[c.S_SPACE] == _ATTRIBUTE else 0
    if addr >> 32 == t.IDENTITY:
        w[c.S_OP] = _IDENTIFY
    number = i64(1)
    while number <= MOST[row] and at < end:
        size = _size(data, at, end, number, w)
        if size < 0:
            break
        _tell(data, at, at + size, number, i64(_READ), w)
        at += size
        number += 1
    if number <= LEAST[row]:
        w[c.S_ANOMALY] |= BAD_LENGTH
    return 0


@kernel()
def _listed_beside(at: int, number: int, encoding: int, w: Row) -> int:
    """An attribute of the identity object in a list of identities that is no part of what the device is."""
    run = add_run(w, i64(_ATTRIBUTE), i64(_FIRST_IDENTITY), i64(1), encoding, at, i64(_READ), i64(0))
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = number
    return 0


@kernel()
def identity(data: Bytes, at: int, end: int, w: Row) -> int:
    """What a device tells of itself in a list of identities: attributes 1 to 8, one behind the other."""
    w[c.S_OP] = _IDENTIFY
    if end - at < 15 or end - at < 15 + u8(data, at + 14):
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    for number, place in ((1, 0), (3, 4), (4, 6), (6, 10), (7, 14)):
        _identifies(data, at + place, i64(number), w)
    _listed_beside(at + 2, i64(2), t.FORM[a.UINT], w)
    _listed_beside(at + 8, i64(5), t.FORM[a.WORD], w)
    at += 15 + u8(data, at + 14)
    if at < end:
        _listed_beside(at, i64(8), t.FORM[a.USINT], w)
    return 0
