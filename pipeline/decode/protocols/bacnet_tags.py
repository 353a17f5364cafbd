"""Tags and typed values of BACnet's application layer: ANSI/ASHRAE 135-2016, 20.2."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, be32, u8
from pipeline.decode.protocols.bacnet_codes import (
    BAD_LENGTH,
    LISTS,
    SIZES,
    T_CLASS,
    T_LENGTH,
    T_NUMBER,
    T_VALUE,
    WORDS,
)
from pipeline.decode.runs import add_run
from pipeline.decode.values import bacnet_date_ms, bacnet_daytime_ms
from schemas.codes import Anomaly, Quality, Space

Row = NDArray[np.int64]

APPLICATION, CONTEXT, OPENING, CLOSING = range(4)
"""Classes of tags, in T_CLASS; T_NUMBER and T_LENGTH are those of the tag that was read last."""
LONGEST = 255
"""Octets of a text or of octets without a meaning here that are kept."""
DEEPEST = 32

_MALFORMED, _RESERVED = int(Anomaly.MALFORMED), int(Anomaly.RESERVED_CODE)
_TRUNCATED = int(Quality.TRUNCATED)
_PROPERTY = int(Space.BACNET_PROPERTY)
_TEXT, _DATE, _TIME = 7, 10, 11
_ELEMENT = 1 << 32
_MOST_ELEMENTS = 0x7FFFFFFE


@kernel()
def tag(data: Bytes, at: int, end: int, w: Row) -> int:
    """Read the tag at `at` (20.2.1); the place of its contents, -1 with an anomaly where it is cut off or none."""
    if at >= end:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return -1
    first = u8(data, at)
    at += 1
    number, length, context = first >> 4, i64(first & 7), first & 8
    if number == 15 and at < end:
        number = u8(data, at)
        at += 1
    kind = i64(CONTEXT if context else APPLICATION)
    if length >= 6:
        if not context:
            w[c.S_ANOMALY] |= _MALFORMED
            return -1
        kind = i64(OPENING if length == 6 else CLOSING)
        length = i64(0)
    elif not context and number == 1:
        length = i64(0)  # a boolean's value is in its tag
    elif length == 5:
        if at < end:
            length = u8(data, at)
        at += 1
        if length == 254 and at + 2 <= end:
            length = be16(data, at)
            at += 2
        elif length == 255 and at + 4 <= end:
            length = be32(data, at)
            at += 4
    w[T_CLASS], w[T_NUMBER], w[T_LENGTH] = kind, number, length
    if at > end or length > end - at:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return -1
    return at


@kernel(inline=True)
def is_tag(data: Bytes, at: int, end: int, number: int, kind: int) -> bool:
    """Whether the tag at `at` is one of that number and class; numbers below 15."""
    if at >= end:
        return False
    first = u8(data, at)
    if first >> 4 != number:
        return False
    if kind == APPLICATION:
        return first & 8 == 0
    if kind == CONTEXT:
        return bool(first & 8 and first & 7 < 6)
    return first & 15 == (14 if kind == OPENING else 15)


@kernel()
def number_in(data: Bytes, at: int, length: int) -> int:
    """An unsigned number of up to 7 octets; the largest there is for longer ones."""
    if length > 7:
        return 0x7FFFFFFFFFFFFF
    value = i64(0)
    for i in range(length):
        value = (value << 8) | u8(data, at + i)
    return value


@kernel()
def field(data: Bytes, at: int, end: int, number: int, kind: int, w: Row) -> int:
    """A primitive that has to be there, its number into T_VALUE; the place behind it, -1 with an anomaly."""
    if at < 0:
        return -1
    if at < end and not is_tag(data, at, end, number, kind):
        w[c.S_ANOMALY] |= _MALFORMED
        return -1
    start = at
    at = tag(data, at, end, w)
    if at < 0:
        return -1
    if kind == APPLICATION and number == 1:
        w[T_VALUE] = u8(data, start) & 7
        return at
    w[T_VALUE] = number_in(data, at, w[T_LENGTH])
    return int(at + w[T_LENGTH])


@kernel()
def bracket(data: Bytes, at: int, end: int, number: int, kind: int, w: Row) -> int:
    """An opening or closing tag that has to be there; the place behind it, -1 with an anomaly."""
    if at < 0:
        return -1
    if not is_tag(data, at, end, number, kind):
        w[c.S_ANOMALY] |= BAD_LENGTH if at >= end else _MALFORMED
        return -1
    return at + 1


@kernel()
def pass_over(data: Bytes, at: int, end: int, w: Row) -> int:
    """The place behind the closing tag that belongs to an opening one before `at`; -1 with an anomaly."""
    depth = i64(1)
    while depth > 0:
        at = tag(data, at, end, w)
        if at < 0:
            return -1
        at += w[T_LENGTH]
        if w[T_CLASS] == OPENING:
            depth += 1
        elif w[T_CLASS] == CLOSING:
            depth -= 1
        if depth > DEEPEST:
            w[c.S_ANOMALY] |= _MALFORMED
            return -1
    return at


@kernel()
def _octets(data: Bytes, at: int, size: int, encoding: int, addr: int, sub: int, direction: int, w: Row) -> int:
    """A text, or octets as they are, as one point."""
    quality = _TRUNCATED if size > LONGEST else 0
    run = add_run(w, _PROPERTY, addr, 1, encoding, at, direction, quality)
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = sub
        w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = min(size, LONGEST)
    return run


@kernel()
def _word(data: Bytes, start: int, at: int, w: Row) -> int:
    """The form of the application value whose tag at `start` was read; 0 where it is octets to us."""
    number, length = w[T_NUMBER], w[T_LENGTH]
    if number > 15 or length > 9 or at - start != (1 if length <= 4 else 2):
        return 0
    if number == _DATE and length == 4 and bacnet_date_ms(data, at) < 0:
        return 0
    if number == _TIME and length == 4 and bacnet_daytime_ms(data, at) < 0:
        return 0
    return int(WORDS[number, length])


@kernel()
def _element(data: Bytes, start: int, at: int, addr: int, sub: int, direction: int, grows: bool, w: Row) -> int:
    """The application value whose tag at `start` was read as a point, in the run before it where it `grows`."""
    word = _word(data, start, at, w)
    if word == 0:
        if w[T_NUMBER] > 12:
            w[c.S_ANOMALY] |= _RESERVED
        elif SIZES[w[T_NUMBER]] >= 0 and SIZES[w[T_NUMBER]] != w[T_LENGTH]:
            w[c.S_ANOMALY] |= _MALFORMED
        if w[T_NUMBER] == _TEXT and w[T_LENGTH] > 0 and u8(data, at) == 0:  # UTF-8: 20.2.9
            return int(_octets(data, at + 1, w[T_LENGTH] - 1, c.ENC_TEXT, addr, sub, direction, w))
        return int(_octets(data, at, w[T_LENGTH], c.ENC_BYTES, addr, sub, direction, w))
    last = c.RUNS_AT + (w[c.S_RUNS] - 1) * c.RUN
    size = (word >> f.SIZE_AT) & 255
    if grows and w[last + c.N_ENCODING] == word and w[last + c.N_OFFSET] + w[last + c.N_COUNT] * size == start:
        w[last + c.N_COUNT] += 1
        return int(w[c.S_RUNS] - 1)
    run = add_run(w, _PROPERTY, addr, 1, word, start, direction, 0)
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = sub
        w[c.RUNS_AT + run * c.RUN + c.N_STEP] = _ELEMENT
    return run


@kernel()
def values(
    data: Bytes, at: int, end: int, closing: int, thing: int, sub: int, index: int, direction: int, w: Row
) -> int:
    """The values of one property up to the closing tag of that number, as points.

    `thing` is the object identifier, `index` the array index or -1.  Elements of a whole array or list are counted
    from 1.  What is constructed, or has a tag whose meaning hangs on the property, is given as its octets.

    Returns:
        The place behind the closing tag; -1 with an anomaly.
    """
    first, number = w[c.S_RUNS], i64(0)
    counts = index < 0
    addr = thing if counts else thing | (min(index, _MOST_ELEMENTS) + 1) << 32
    if counts and sub < LISTS.size and LISTS[sub]:
        addr = thing | 2 * _ELEMENT
    while True:
        start = at
        at = tag(data, at, end, w)
        if at < 0:
            return -1
        if w[T_CLASS] == CLOSING:
            if w[T_NUMBER] == closing:
                return at
            w[c.S_ANOMALY] |= _MALFORMED
            return -1
        if number == 1 and counts:
            addr = thing | 2 * _ELEMENT
            if w[c.S_RUNS] > first:
                w[c.RUNS_AT + first * c.RUN + c.N_ADDR] = addr
        if number > 0 and counts:
            addr += _ELEMENT
        number += 1
        if w[T_CLASS] == APPLICATION:
            _element(data, start, at, addr, sub, direction, counts and w[c.S_RUNS] > first, w)
            at += w[T_LENGTH]
            continue
        opens = w[T_CLASS] == OPENING
        at = pass_over(data, at, end, w) if opens else at + w[T_LENGTH]
        if at < 0:
            return -1
        _octets(data, start, at - start, c.ENC_BYTES, addr, sub, direction, w)
