"""Paths of CIP (volume 1, appendix C-1): class, instance, attribute, connection points, names of tags, routes.

A tag's name is the text that its manufacturer's tools show: parts joined by points, indices in brackets, except the
last index, which is the address.  Of a path without name the address is the class above 32 bits of the instance, the
second part the attribute.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, le16, le32, u8
from pipeline.decode.naming import add_built, put_byte, put_number, put_text
from pipeline.decode.protocols import enip_types as t
from schemas.codes import Anomaly, Space

Row = NDArray[np.int64]

BAD_LENGTH = int(Anomaly.MALFORMED | Anomaly.LENGTH_MISMATCH)
_RESERVED = int(Anomaly.RESERVED_CODE)
_SYMBOL, _ATTRIBUTE, _ASSEMBLY = int(Space.CIP_SYMBOL), int(Space.CIP_ATTRIBUTE), int(Space.CIP_ASSEMBLY)
_CLASS, _INSTANCE, _MEMBER, _POINT, _ATTR, _SPECIAL = range(6)
_DOT, _OPEN, _CLOSE = 46, 91, 93
_LETTERS = tuple(b"symbol:")
NAMED = -2
"""What `path` gives in place of a class where the path names a tag."""


@kernel()
def _segment_size(data: Bytes, at: int, end: int) -> int:
    """Bytes of the segment at `at` with its padding, -1 where it is reserved, 0 where it is cut off."""
    first = u8(data, at)
    kind, size = first >> 5, i64(2)
    if kind >= 5:
        return -1
    if at + 2 > end:
        return 0
    second = u8(data, at + 1)
    if kind == 0:
        port = 2 if first & 15 == 15 else 0
        size = (2 + second + port + 1) & ~1 if first & 16 else 2 + port + (port >> 1)
        if not first & 16 and port:
            size = 4
    elif kind == 1:
        form = first & 3
        if first == 0x34:
            size = 2 + (8 if second == 4 else 0)
        elif form == 3 or (first >> 2) & 7 > _SPECIAL:
            return -1
        else:
            size = 2 if form == 0 else (4 if form == 1 else 6)
    elif kind == 2:
        size = 2 + 2 * second if first & 16 else 2
    elif kind == 3:
        if first & 31 == 0:
            return -1
        size = (1 + (first & 31) + 1) & ~1
    elif first == 0x91:
        size = (2 + second + 1) & ~1
    elif first == 0x80:
        size = 2 + 2 * second
    else:
        return -1
    return int(size) if at + size <= end else 0


@kernel()
def _logical(data: Bytes, at: int) -> int:
    """The number of a logical segment."""
    form = u8(data, at) & 3
    return u8(data, at + 1) if form == 0 else (le16(data, at + 2) if form == 1 else le32(data, at + 2))


@kernel()
def path(data: Bytes, at: int, end: int, w: Row) -> int:
    """Read the path data[at:end] into the record; its class, -1 for none, NAMED for a tag's name.

    Of two connection points, the second one goes into the second part of the address.
    """
    family, instance, attribute, element, used = i64(-1), i64(-1), i64(-1), i64(-1), i64(0)
    first_point, last_point = i64(-1), i64(-1)
    while at < end:
        size = _segment_size(data, at, end)
        if size <= 0:
            w[c.S_ANOMALY] |= BAD_LENGTH if size == 0 else _RESERVED
            break
        first = u8(data, at)
        kind = first >> 5
        if kind == 0 and first < 15:
            w[c.S_UNIT] = u8(data, at + 1)
        elif kind == 1:
            number, what = _logical(data, at), (first >> 2) & 7
            if what == _CLASS:  # a second one is an object inside the first
                family, instance, attribute = number, i64(-1), i64(-1)
            elif what == _INSTANCE:
                instance = number
            elif what == _ATTR:
                attribute = number
            elif what == _POINT:
                first_point = number if first_point < 0 else first_point
                last_point = number
            elif what == _MEMBER:
                if element >= 0:
                    used = put_byte(w, put_number(w, put_byte(w, used, _OPEN), element), _CLOSE)
                element = number
        elif kind == 3 or first == 0x91:
            if element >= 0:
                used = put_byte(w, put_number(w, put_byte(w, used, _OPEN), element), _CLOSE)
                element = i64(-1)
            if used > 0:
                used = put_byte(w, used, _DOT)
            if kind == 3:
                used = put_text(w, used, data, at + 1, first & 31)
            else:
                used = put_text(w, used, data, at + 2, u8(data, at + 1))
        at += size
    w[t.ELEMENT] = element + 1
    if used > 0:
        w[c.S_SPACE] = _SYMBOL
        w[c.S_NAME_ID] = add_built(w, i64(0), used)
        w[c.S_ADDR] = max(element, 0)
        w[c.S_ADDR_SUB] = 1 if element >= 0 else 0
        return NAMED
    if first_point >= 0:
        w[c.S_SPACE] = _ASSEMBLY
        w[c.S_ADDR] = first_point
        w[c.S_ADDR_SUB] = last_point
    elif family >= 0:
        w[c.S_SPACE] = _ATTRIBUTE
        w[c.S_ADDR] = ((family & 0xFFFF) << 32) | max(instance, 0)
        w[c.S_ADDR_SUB] = max(attribute, 0)
    return int(family)


@kernel()
def numbered_tag(w: Row) -> int:
    """Name a tag that is addressed by its number in the list of symbols (1756-PM020): `symbol:12`, with its index."""
    used = i64(0)
    for letter in _LETTERS:
        used = put_byte(w, used, i64(letter))
    used = put_number(w, used, w[c.S_ADDR] & 0xFFFFFFFF)
    w[c.S_SPACE] = _SYMBOL
    w[c.S_NAME_ID] = add_built(w, i64(0), used)
    w[c.S_ADDR] = max(w[t.ELEMENT] - 1, 0)
    w[c.S_ADDR_SUB] = 1 if w[t.ELEMENT] > 0 else 0
    return 0
