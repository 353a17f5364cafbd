"""Values that S7comm sends without being asked each time: subscriptions of variables, and what is sent for them.

A subscription names its variables once; the answer gives it a number, under which its values come from then on.
`notes` keeps the variables by flow and number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.notes import note, noted
from pipeline.decode.protocols import s7_types as t
from pipeline.decode.protocols.s7_head import BAD_LENGTH, REQUEST, RESPONSE
from pipeline.decode.protocols.s7_items import (
    GOOD,
    KNOWN,
    MOST,
    about,
    asked_word,
    data_size,
    item_size,
    items_of_request,
    keep,
    packed,
    refused,
    values_of,
    without_value,
)
from schemas.codes import Anomaly, Direction

Row = NDArray[np.int64]

SUBSCRIPTIONS, TABLES = 0x5C1, 0x5C2
"""What the numbers of a flow stand for, in the table of notes."""

_HOW_MANY, _FOREVER = 0xFF, 1 << 62
_COUNT = int(Anomaly.COUNT_OUT_OF_RANGE | Anomaly.MALFORMED)
_CONFLICT = int(Anomaly.CONFLICTING_RESPONSE)
_UNKNOWN, _READ, _REPORT = int(Direction.UNKNOWN), int(Direction.READ), int(Direction.REPORT)
_RESERVED_CODE = 0
"""Return code of a variable of a table whose data is there all the same."""


@kernel()
def remember(what: int, number: int, count: int, w: Row) -> int:
    """Keep the variables of the request as those of that number; of an answer whose request is missing, none."""
    flow = w[c.X_FLOW] ^ what
    note(w, flow, number << 8 | _HOW_MANY, count)
    for i in range(min(count, MOST)):
        word = asked_word(i, w)
        note(w, flow, number << 8 | i, int(word & ~KNOWN) if word < 0 else 0)
    return 0


@kernel()
def _recalled(what: int, number: int, i: int, w: Row) -> int:
    """Variable `i` of that number, 0 where it is not known; it stays so as long as it is sent."""
    flow = w[c.X_FLOW] ^ what
    word = noted(w, flow, number << 8 | i, _FOREVER)
    if word <= 0:
        return 0
    note(w, flow, number << 8 | i, word)
    return int(word | KNOWN)


@kernel()
def known_for(what: int, number: int, count: int, w: Row) -> bool:
    """Whether variables are known for a number, as many as are sent; another number of them is a conflict."""
    wanted = noted(w, w[c.X_FLOW] ^ what, number << 8 | _HOW_MANY, _FOREVER)
    if wanted <= 0:
        return False
    note(w, w[c.X_FLOW] ^ what, number << 8 | _HOW_MANY, wanted)
    if wanted != count:
        w[c.S_ANOMALY] |= _CONFLICT
    return bool(wanted == count)


@kernel()
def word_of(what: int, number: int, i: int, known: bool, w: Row) -> int:
    """Variable `i` of what is answered, or sent under a number; 0 where it is not known."""
    if w[c.S_KIND] == RESPONSE:
        return int(asked_word(i, w))
    return int(_recalled(what, number, i, w)) if known else 0


@kernel()
def carried(data: Bytes, at: int, end: int, count: int, what: int, number: int, w: Row) -> int:
    """`count` values with their return codes, data[at:end]; the place behind them.

    Of a table each is filled up to an even length, and one that failed has no data.
    """
    answers, table = w[c.S_KIND] == RESPONSE, what == TABLES
    direction = _READ if answers else _REPORT
    known = not answers and known_for(what, number, count, w)
    for i in range(count):
        word = word_of(what, number, i, known, w)
        if i == 0 and not answers:
            about(word, 0, w)
        if at + 4 > end:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return end
        code, size = u8(data, at), data_size(data, at)
        good = code == GOOD or (table and code == _RESERVED_CODE)
        if not good:
            refused(code, word, at, direction, w)
            size = i64(0) if table else size
        if at + 4 + size > end:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return end
        if good:
            values_of(data, at + 4, size, word, u8(data, at + 1), i + 1, direction, w)
        at += 4 + size + (size & 1 if table or i < count - 1 else 0)
    return at


@kernel()
def _subscribes(data: Bytes, at: int, end: int, w: Row) -> int:
    """A subscription: how many variables, how often (which is not told here), and each of them."""
    if end - at < 4:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    count = be16(data, at)
    w[c.S_FLAGS] |= min(count, 255) << 16
    if count == 0 or count > 255:
        w[c.S_ANOMALY] |= _COUNT
        return 0
    at += 4
    for i in range(count):
        size = item_size(data, at, end)
        if size < 0:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return 0
        word = packed(data, at)
        if i == 0:
            about(word, be16(data, at + 4) if word < 0 else 0, w)
        keep(i, word, w)
        if count > 1:
            without_value(word, at, _UNKNOWN, 0, w)
        at += size + (size & 1 if i < count - 1 else 0)
    return 0


@kernel()
def _ends(data: Bytes, at: int, end: int, w: Row) -> int:
    """The end of a subscription: its number is the address."""
    if w[c.S_KIND] != REQUEST:
        return 0
    if end - at < 2:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    w[c.S_ADDR] = u8(data, at + 1)
    return 0


@kernel()
def ended(w: Row) -> int:
    """Forget the variables of a subscription whose end was accepted."""
    if w[c.S_KIND] == RESPONSE and w[c.S_HAS_REQUEST] and w[c.S_STATUS] == 0:
        note(w, w[c.X_FLOW] ^ SUBSCRIPTIONS, w[c.S_ADDR] << 8 | _HOW_MANY, 0)
    return 0


@kernel()
def cyclic(data: Bytes, at: int, end: int, number: int, w: Row) -> int:
    """Cyclic data: `number` is that of the subscription, except in the request that makes one."""
    sub = w[c.S_SUBFUNC]
    if sub == t.UNSUBSCRIBE:
        return int(_ends(data, at, end, w))
    if sub != t.CYCLIC_READ and sub != t.ON_CHANGE and sub != t.CHANGE_ITEMS:
        return 0
    if w[c.S_KIND] == REQUEST:
        return int(_subscribes(data, at, end, w))
    if end - at < 2:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    count = be16(data, at)
    w[c.S_FLAGS] |= min(count, 255) << 16
    if count > 255:
        w[c.S_ANOMALY] |= _COUNT
        return 0
    if w[c.S_KIND] == RESPONSE:
        items_of_request(count, w)
        remember(SUBSCRIPTIONS, number, count, w)
    return int(carried(data, at + 2, end, count, SUBSCRIPTIONS, number, w))
