"""Block functions of S7comm: how many blocks of each type there are, which, and what a block says of itself.

A point's address is the block's type above 16 bits of its number, its second part a `BlockPart`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, be32, u8
from pipeline.decode.naming import add_name
from pipeline.decode.notes import note, noted
from pipeline.decode.protocols import s7_types as t
from pipeline.decode.protocols.s7_control import digit
from pipeline.decode.protocols.s7_head import BAD_LENGTH, REQUEST, RESPONSE
from pipeline.decode.runs import add_run
from schemas.codes import Anomaly, Direction, PointType, Quality, S7Flag, Space

Row = NDArray[np.int64]

_BLOCK, _READ = int(Space.S7_BLOCK), int(Direction.READ)
_CONFLICT, _RESERVED = int(Anomaly.CONFLICTING_RESPONSE), int(Anomaly.RESERVED_CODE)
_ADDRESS_UNKNOWN, _MORE = int(Quality.ADDRESS_UNKNOWN), int(S7Flag.MORE)
_COUNTS, _OF_TYPE, _INFORMATION = 1, 2, 3
_ENTRY, _INFORMATION_SIZE, _TEXT = 4, 78, 8
_PARTS, _PARTS_NS = 0x5B1, 60 * c.NANOSECONDS
_U16, _LANGUAGE = f.form(f.V_U16BE), f.form(f.V_U8, kind=PointType.ENUM)
_COUNT_PART, _LANGUAGE_PART = int(t.BlockPart.COUNT), int(t.BlockPart.LANGUAGE)
_NUMBERS = tuple(
    (int(part), offset, f.form(value, kind=kind))
    for part, offset, value, kind in (
        (t.BlockPart.FLAGS, 9, f.V_U8, PointType.BITS),
        (t.BlockPart.LANGUAGE, 10, f.V_U8, PointType.ENUM),
        (t.BlockPart.LOAD_MEMORY, 14, f.V_U32BE, PointType.U32),
        (t.BlockPart.PROTECTION, 18, f.V_U32BE, PointType.ENUM),
        (t.BlockPart.ADDITIONAL, 36, f.V_U16BE, PointType.U16),
        (t.BlockPart.LOCAL_DATA, 38, f.V_U16BE, PointType.U16),
        (t.BlockPart.CODE, 40, f.V_U16BE, PointType.U16),
        (t.BlockPart.VERSION, 66, f.V_U8, PointType.U8),
        (t.BlockPart.CHECKSUM, 68, f.V_U16BE, PointType.BITS),
        (t.BlockPart.INTERFACE, 34, f.V_U16BE, PointType.U16),
    )
)
"""Part, place and form of the numbers in a block's information."""
_INTERFACE_PART = int(t.BlockPart.INTERFACE)
_TEXTS = tuple(
    (int(part), offset) for part, offset in ((t.BlockPart.AUTHOR, 42), (t.BlockPart.FAMILY, 50), (t.BlockPart.NAME, 58))
)
_DAY_MS, _EPOCH_DAYS = 86_400_000, 5113
"""Days from 1970 to the first of January 1984, from which blocks count."""
_FOLLOWS = 1


@kernel()
def text_length(data: Bytes, at: int, most: int) -> int:
    """Characters of a text that is filled up with zeros or spaces."""
    size = i64(0)
    for i in range(most):
        byte = u8(data, at + i)
        if byte == 0:
            break
        if byte != 32:
            size = i64(i + 1)
    return int(size)


@kernel()
def _number(data: Bytes, at: int, size: int, base: int) -> int:
    """A number in digits of that base, -1 for none."""
    found = i64(0)
    for i in range(size):
        value = digit(u8(data, at + i))
        if value < 0 or value >= base:
            return -1
        found = found * base + value
    return int(found)


@kernel()
def _changed_ns(data: Bytes, at: int) -> int:
    """When code or interface of a block was changed: milliseconds of the day, and days; 0 where it is no time."""
    ms, days = be32(data, at), be16(data, at + 4)
    if ms >= _DAY_MS or (ms == 0 and days == 0):
        return 0
    return int(((days + _EPOCH_DAYS) * _DAY_MS + ms) * 1_000_000)


@kernel()
def _says(addr: int, part: int, word: int, at: int, quality: int, w: Row) -> int:
    """A point of a block."""
    run = add_run(w, _BLOCK, addr, 1, word, at, _READ, quality)
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = part
    return run


@kernel()
def _asked(data: Bytes, at: int, end: int, w: Row) -> int:
    """What is asked about blocks: of a type, or of one, whose type, number and place are its name."""
    if w[c.S_SUBFUNC] != _OF_TYPE and w[c.S_SUBFUNC] != _INFORMATION:
        return 0
    w[c.S_NAME_ID] = add_name(data, at, min(end - at, 8), w)
    one = w[c.S_SUBFUNC] == _INFORMATION
    if end - at < (8 if one else 2):
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    kind, number = _number(data, at, 2, 16), _number(data, at + 2, 5, 10) if one else i64(0)
    if kind >= 0 and number >= 0:
        w[c.S_SPACE] = _BLOCK
        w[c.S_ADDR] = kind << 16 | number
    return 0


@kernel()
def _counts(data: Bytes, at: int, end: int, w: Row) -> int:
    """How many blocks there are of each type."""
    w[c.S_SPACE] = _BLOCK
    w[c.S_COUNT] = (end - at) // _ENTRY
    if (end - at) % _ENTRY:
        w[c.S_ANOMALY] |= BAD_LENGTH
    for place in range(at, end - _ENTRY + 1, _ENTRY):
        kind = _number(data, place, 2, 16)
        if kind < 0:
            w[c.S_ANOMALY] |= _RESERVED
        else:
            _says(kind << 16, _COUNT_PART, _U16, place + 2, 0, w)
    return 0


@kernel()
def _of_type(data: Bytes, at: int, end: int, sequence: int, w: Row) -> int:
    """The blocks of a type: number and language of each.

    A list may come in parts that are cut anywhere: the entry across a cut is left out.
    """
    known = w[c.S_HAS_REQUEST] and w[c.S_SPACE] == _BLOCK
    kind = w[c.S_ADDR] & ~i64(0xFFFF) if known else i64(0)
    used = i64(0)
    if w[c.S_HAS_REQUEST] and w[c.ASKED + c.S_EXTRA] == _FOLLOWS:
        used = w[c.ASKED + c.S_EXTRA + 1] - 1
    left = (used + end - at) % _ENTRY
    at += (_ENTRY - used) % _ENTRY
    if w[c.S_FLAGS] & _MORE:
        note(w, w[c.X_FLOW] ^ _PARTS, sequence, kind | left)
    elif left != 0:
        w[c.S_ANOMALY] |= BAD_LENGTH
    w[c.S_COUNT] = max(end - at, 0) // _ENTRY
    quality = 0 if known else _ADDRESS_UNKNOWN
    for place in range(at, end - _ENTRY + 1, _ENTRY):
        _says(kind | be16(data, place), _LANGUAGE_PART, _LANGUAGE, place + 3, quality, w)
    return 0


@kernel()
def _information(data: Bytes, at: int, end: int, w: Row) -> int:
    """What a block says of itself, with the time at which its code, or its interface, was changed."""
    if end - at < _INFORMATION_SIZE:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return 0
    kind = u8(data, at + 11)  # the same numbers as in requests, there in digits
    if kind == 0:
        w[c.S_ANOMALY] |= _RESERVED
        return 0
    addr = kind << 16 | be16(data, at + 12)
    if w[c.S_HAS_REQUEST] and w[c.S_SPACE] == _BLOCK and w[c.S_ADDR] != addr:
        w[c.S_ANOMALY] |= _CONFLICT
    w[c.S_SPACE] = _BLOCK
    w[c.S_ADDR] = addr
    w[c.S_COUNT] = 1
    code_ns, interface_ns = _changed_ns(data, at + 22), _changed_ns(data, at + 28)
    for part, offset, word in _NUMBERS:
        run = _says(addr, part, word, at + offset, 0, w)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_SOURCE_TS] = interface_ns if part == _INTERFACE_PART else code_ns
    for part, offset in _TEXTS:
        size = text_length(data, at + offset, _TEXT)
        run = _says(addr, part, c.ENC_TEXT, at + offset, 0, w) if size > 0 else -1
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = size
    return 0


@kernel()
def follows(data: Bytes, at: int, end: int, w: Row) -> bool:
    """Whether parameters ask for the next part of a list; of which type it is was noted with the part before.

    Or whether they answer with a part whose place in its list nobody knows.
    """
    if end - at < 12 or w[c.S_SUBFUNC] != _OF_TYPE:
        return False
    if w[c.S_KIND] != REQUEST:
        return bool(w[c.S_HAS_REQUEST] == 0 and u8(data, at + 8) != 0)
    if u8(data, at + 7) == 0:
        return False
    known = noted(w, w[c.X_FLOW] ^ _PARTS, u8(data, at + 7), _PARTS_NS)
    if known >= 0:
        w[c.S_SPACE] = _BLOCK
        w[c.S_ADDR] = known & ~i64(0xFFFF)
        w[c.S_EXTRA] = _FOLLOWS
        w[c.S_EXTRA + 1] = 1 + (known & 0xFFFF)
    return True


@kernel()
def blocks(data: Bytes, at: int, end: int, sequence: int, w: Row) -> int:
    """What data[at:end] asks or tells about blocks; `sequence` numbers the answer whose parts follow."""
    if w[c.S_KIND] == REQUEST:
        return int(_asked(data, at, end, w))
    if w[c.S_KIND] != RESPONSE:
        return 0
    if w[c.S_SUBFUNC] == _COUNTS:
        return int(_counts(data, at, end, w))
    if w[c.S_SUBFUNC] == _OF_TYPE:
        return int(_of_type(data, at, end, sequence, w))
    return int(_information(data, at, end, w)) if w[c.S_SUBFUNC] == _INFORMATION else 0
