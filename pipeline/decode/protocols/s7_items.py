"""Items of read and write jobs of S7comm: area, data block, address, transport size and values of each.

A point's address is the bit address on the wire (eight times the byte, plus the bit), and of a counter or timer its
number.  Its second part is the data block in the low 16 bits and the bytes of an element above them, so that a byte
and a double word that begin at one place are two tags.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, be32, u8
from pipeline.decode.handover import hand_on, handed_on
from pipeline.decode.protocols import s7_types as t
from pipeline.decode.protocols.s7_head import BAD_LENGTH
from pipeline.decode.runs import add_run
from schemas.codes import Anomaly, Direction, Quality

Row = NDArray[np.int64]

_FEW = c.S_EXTRAS - 1
MOST = _FEW + c.HANDOVER
"""Items of a request that its answer is given; the values of those beyond are told without their address."""
GOOD = 0xFF
"""Return code of an item that succeeded."""

KNOWN = np.int64(-(1 << 63))
"""The bit of an item as a number that says that its syntax is S7ANY."""
_MANY = 127
_SPEC, _ANY, _ANY_SIZE = 0x12, 0x10, 10
_COUNT = int(Anomaly.COUNT_OUT_OF_RANGE | Anomaly.MALFORMED)
_CONFLICT = int(Anomaly.CONFLICTING_RESPONSE)
_OVERFLOW = int(Anomaly.ADDRESS_OVERFLOW)
_RESERVED = int(Anomaly.RESERVED_CODE)
_UNKNOWN, _READ, _WRITTEN, _ECHO = (
    int(d) for d in (Direction.UNKNOWN, Direction.READ, Direction.WRITTEN, Direction.ECHO)
)
_ADDRESS_UNKNOWN, _INVALID = int(Quality.ADDRESS_UNKNOWN), int(Quality.INVALID)
_LAST_ADDRESS = 1 << 24


@kernel()
def packed(data: Bytes, at: int) -> int:
    """The item at `at` as one number: address, data block, area, transport size and count; 1 for other syntaxes.

    Negative for an item of the syntax S7ANY, so that it is never 0.
    """
    if u8(data, at) != _SPEC or u8(data, at + 1) != _ANY_SIZE or u8(data, at + 2) != _ANY:
        return 1
    word = be32(data, at + 8) & 0xFFFFFF
    word |= (be16(data, at + 6) << 24) | (u8(data, at + 8) << 40) | (u8(data, at + 3) << 48)
    return int(word | (min(be16(data, at + 4), _MANY) << 56) | KNOWN)


@kernel()
def _numbered(word: int) -> bool:
    """Whether an item is of counters or timers, which are numbered rather than addressed."""
    area = (word >> 40) & 0xFF
    return bool(area == t.COUNTER or area == t.TIMER)


@kernel()
def space_of(word: int) -> int:
    """The space of an item, 0 where its syntax or area is not known."""
    return int(t.AREA[(word >> 40) & 0xFF]) if word < 0 else 0


@kernel()
def _each(word: int) -> int:
    """Bytes of an element, 0 for a bit; what has a size that is not known is told in bytes."""
    if _numbered(word):
        return 2
    size = t.BYTES[(word >> 48) & 0xFF]
    return int(size) if size >= 0 else 1


@kernel()
def second_of(word: int) -> int:
    """Second part of an item's address: data block and bytes of an element."""
    if _numbered(word):
        return 0
    area = (word >> 40) & 0xFF
    block = (word >> 24) & 0xFFFF if area == 0x84 or area == 0x85 else i64(0)
    return int(block | (_each(word) << 16))


@kernel()
def without_value(word: int, at: int, direction: int, quality: int, w: Row) -> int:
    """One point without a value, at an item's address; nothing where that is not known."""
    space = space_of(word)
    if space == 0:
        return 0
    run = add_run(w, space, word & 0xFFFFFF, 1, t.NOTHING[(word >> 48) & 0xFF], at, direction, quality)
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = second_of(word)
    return 0


@kernel()
def _raw(data: Bytes, at: int, size: int, sort: int, number: int, direction: int, w: Row) -> int:
    """Values of an item that is not known: as the transport size of the data says, else byte by byte.

    Their addresses count from 0, the second part is the item's number.
    """
    form, each = t.RAW[sort], i64(1)
    if form != 0:
        each = 2 if sort == t.D_INTEGER else 4
    if form == 0 or size % each != 0:
        form, each = t.WORD[2], i64(1)
    if sort == t.D_BIT and size == 1:
        form = t.WORD[t.BIT]
    run = add_run(w, 0, 0, size // each, form, at, direction, _ADDRESS_UNKNOWN)
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_STEP] = 8 * each
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = number
    return 0


@kernel()
def values_of(data: Bytes, at: int, size: int, word: int, sort: int, number: int, direction: int, w: Row) -> int:
    """Points of the values of an item, data[at:at + size].

    Values of another number than was asked for are told raw: which of them are meant nobody says.
    """
    space, each = space_of(word), _each(word)
    if space == 0 or (each == 0 and size != 1):
        return _raw(data, at, size, sort, number, direction, w)
    form, step, count = t.WORD[(word >> 48) & 0xFF], i64(8 * each), i64(1)
    if _numbered(word):
        form, step = t.WORD[t.COUNTER], i64(1)
    elif form == 0:
        form = t.WORD[2]
    if each > 0:
        count = size // each
    asked = (word >> 56) & _MANY
    if (each > 0 and count * each != size) or (asked < _MANY and count != asked):
        w[c.S_ANOMALY] |= _COUNT if direction == _WRITTEN else _CONFLICT
        return _raw(data, at, size, sort, number, direction, w)
    addr = word & 0xFFFFFF
    if addr + count * step > _LAST_ADDRESS:
        w[c.S_ANOMALY] |= _OVERFLOW
    run = add_run(w, space, addr, count, form, at, direction, 0)
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_STEP] = step
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = second_of(word)
    return 0


@kernel()
def item_size(data: Bytes, at: int, end: int) -> int:
    """Bytes of the item at `at`, -1 where it is cut off."""
    if at + 2 > end or at + 2 + u8(data, at + 1) > end:
        return -1
    return 2 + u8(data, at + 1)


@kernel()
def about(word: int, count: int, w: Row) -> int:
    """The record is about its first item, of so many elements; one of a syntax or area not known has no address."""
    if word >= 0:
        return 0
    w[c.S_SPACE] = space_of(word)
    w[c.S_ADDR] = word & 0xFFFFFF
    w[c.S_ADDR_SUB] = second_of(word)
    w[c.S_COUNT] = count
    if space_of(word) == 0 or t.BYTES[(word >> 48) & 0xFF] < 0:
        w[c.S_ANOMALY] |= _RESERVED
    return 0


@kernel()
def keep(i: int, word: int, w: Row) -> int:
    """Hand item `i` of a request on to its answer, where there is room."""
    if i >= MOST:
        return 0
    w[c.S_EXTRA] = i + 1
    if i < _FEW:
        w[c.S_EXTRA + 1 + i] = word
    else:
        hand_on(w, i - _FEW, word)
    return 0


@kernel()
def data_size(data: Bytes, at: int) -> int:
    """Bytes of the data whose return code is at `at`: their length counts bits for bits, bytes and integers.

    What failed may have a length without data, and the transport size null.
    """
    sort, length = u8(data, at + 1), be16(data, at + 2)
    if sort == t.D_NULL and u8(data, at) != GOOD and u8(data, at) != 0:
        return 0
    return (length + 7) >> 3 if t.D_BIT <= sort <= t.D_INTEGER else length


@kernel()
def asked(data: Bytes, at: int, end: int, values: int, limit: int, w: Row) -> int:
    """The items of a job, data[at:end] with function and count before them.

    Of a write, their values are data[values:limit]; of a read of several, each item is told as a point without value.
    """
    if end - at < 2:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    writes, count = u8(data, at) == t.WRITE, u8(data, at + 1)
    w[c.S_FLAGS] |= count << 16
    if count == 0:
        w[c.S_ANOMALY] |= _COUNT
    at += 2
    for i in range(count):
        size = item_size(data, at, end)
        if size < 0:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return 0
        word = packed(data, at)
        if i == 0:
            w[c.S_SUBFUNC] = u8(data, at + 3) if word < 0 else 0
            about(word, be16(data, at + 4), w)
        keep(i, word, w)
        at += size + (size & 1 if i < count - 1 else 0)
        if not writes:
            if count > 1:
                without_value(word, at, _UNKNOWN, 0, w)
            continue
        if values + 4 > limit or values + 4 + data_size(data, values) > limit:
            w[c.S_ANOMALY] |= BAD_LENGTH
            values = limit
            continue
        size = data_size(data, values)
        values_of(data, values + 4, size, word, u8(data, values + 1), i + 1, _WRITTEN, w)
        values += 4 + size + (size & 1 if i < count - 1 else 0)
    return 0


@kernel()
def items_of_request(count: int, w: Row) -> int:
    """An answer has `count` items; the addresses of a request that asked for another number are not its own."""
    w[c.S_FLAGS] |= count << 16
    if w[c.S_HAS_REQUEST] and (w[c.ASKED + c.S_FLAGS] >> 16) & 0xFF != count:
        w[c.S_ANOMALY] |= _CONFLICT
        w[c.ASKED + c.S_EXTRA] = 0
    return count


@kernel()
def _items_of_answer(data: Bytes, at: int, end: int, w: Row) -> int:
    """How many items an answer has, by its parameters."""
    if end - at < 2:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    return int(items_of_request(u8(data, at + 1), w))


@kernel()
def asked_word(i: int, w: Row) -> int:
    """Item `i` of the request, 0 where it is not known."""
    if w[c.S_HAS_REQUEST] == 0 or i >= w[c.ASKED + c.S_EXTRA]:
        return 0
    return int(w[c.ASKED + c.S_EXTRA + 1 + i]) if i < _FEW else handed_on(w, i - _FEW)


@kernel()
def refused(code: int, word: int, at: int, direction: int, w: Row) -> int:
    """An item that failed: the first of them is the record's status."""
    if w[c.S_STATUS] == 0:
        w[c.S_STATUS] = code if code != 0 else t.NO_CODE
    return without_value(word, at, direction, _INVALID, w)


@kernel()
def read_values(data: Bytes, at: int, end: int, values: int, limit: int, w: Row) -> int:
    """What a read gave: data[values:limit], the parameters data[at:end]."""
    count = _items_of_answer(data, at, end, w)
    for i in range(count):
        if values + 4 > limit:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return 0
        code, size = u8(data, values), data_size(data, values)
        if code != GOOD:
            refused(code, asked_word(i, w), values, _READ, w)
        if values + 4 + size > limit:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return 0
        if code == GOOD:
            values_of(data, values + 4, size, asked_word(i, w), u8(data, values + 1), i + 1, _READ, w)
        values += 4 + size + (size & 1 if i < count - 1 else 0)
    return 0


@kernel()
def write_codes(data: Bytes, at: int, end: int, codes: int, limit: int, w: Row) -> int:
    """What became of each item of a write: a return code each, data[codes:limit]."""
    count = _items_of_answer(data, at, end, w)
    if limit - codes < count:
        w[c.S_ANOMALY] |= BAD_LENGTH
    for i in range(min(count, max(limit - codes, 0))):
        code = u8(data, codes + i)
        if code != GOOD:
            refused(code, asked_word(i, w), codes + i, _ECHO, w)
    return 0
