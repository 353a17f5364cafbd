"""What each direction of a TCP stream said last, so that a copy that says something else is found.

The last PDUs of a direction are remembered by sequence number, length and a keyed hash of their bytes.  Hashing each
of them would cost more than all else: while the block that holds a PDU is at hand, its place there is enough, and of
most PDUs the hash is never needed.  `seal` hashes what is remembered when the block ends.

A row of `said` is one direction of a flow: the place of the next PDU, whether the row is listed in `fresh`, then three
PDUs, each its sequence number, length and UNREAD in one word, and its hash, or its place in the block while UNREAD.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, le32, le64, u8

Row = NDArray[np.int64]
Rows = NDArray[np.int64]

SAID = 8
FRESH = 1024
_FIRST, _END = 2, 8
_SEQUENCE = 0xFFFFFFFF
_LENGTH = 0xFFFFFFF
_UNREAD = 1 << 62
_K1 = i64(-7046029254386353131)
_K2 = i64(-4658895280553007687)
_LOW = 0xFFFFFFFF


@kernel()
def digest(data: Bytes, at: int, size: int, key: int) -> int:
    """Hash of data[at:at + size] under a secret key: nobody can choose bytes that have the hash of others."""
    a = (key ^ size) * _K1
    b = ~key
    i = i64(0)
    while i + 16 <= size:
        a = (a ^ le64(data, at + i)) * _K1
        b = (b ^ le64(data, at + i + 8)) * _K2
        a ^= (a >> 32) & _LOW
        b ^= (b >> 29) & _LOW
        i += 16
    if i + 8 <= size:
        b = (b ^ le64(data, at + i)) * _K2
        b ^= (b >> 29) & _LOW
        i += 8
    if i + 4 <= size:
        a = (a ^ le32(data, at + i)) * _K1
        a ^= (a >> 32) & _LOW
        i += 4
    while i < size:
        a = (a ^ u8(data, at + i)) * _K1
        a ^= (a >> 32) & _LOW
        i += 1
    b = (b ^ a) * _K2
    return int(b ^ ((b >> 31) & _LOW))


@kernel()
def seal(block: Bytes, said: Rows, fresh: Row, w: Row) -> int:
    """Hash what is remembered by its place in the block that is about to go."""
    for i in range(w[c.C_FRESH]):
        row = fresh[i]
        said[row, 1] = 0
        for at in range(_FIRST, _END, 2):
            span = said[row, at]
            if span & _UNREAD:
                said[row, at] = span & ~_UNREAD
                said[row, at + 1] = digest(block, said[row, at + 1], (span >> 32) & _LENGTH, w[c.C_KEY])
    w[c.C_FRESH] = 0
    return 0


@kernel()
def _list(block: Bytes, row: int, said: Rows, fresh: Row, w: Row) -> int:
    """Note that a row refers to the block."""
    if w[c.C_FRESH] >= fresh.size:
        seal(block, said, fresh, w)
    said[row, 1] = 1
    fresh[w[c.C_FRESH]] = row
    w[c.C_FRESH] += 1
    return 0


@kernel(inline=True)
def remember(data: Bytes, at: int, size: int, row: int, said: Rows, fresh: Row, w: Row) -> int:
    """Note the PDU data[at:at + size] of the bytes at hand, in place of the oldest of its direction."""
    place = said[row, 0] & 6
    said[row, 0] = place + 2 if place < _END - _FIRST - 2 else 0
    place += _FIRST
    span = ((w[c.C_LAST] - (w[c.C_END] - at)) & _SEQUENCE) | (size << 32)
    if w[c.C_BUF] == c.BUF_BLOCK:
        said[row, place] = span | _UNREAD
        said[row, place + 1] = at
        if said[row, 1] == 0:
            _list(data, row, said, fresh, w)
    else:
        said[row, place] = span
        said[row, place + 1] = digest(data, at, size, w[c.C_KEY])
    return 0


@kernel()
def forget(row: int, said: Rows) -> int:
    """A connection begins: nothing has been said."""
    said[row, 0] = 0
    for at in range(_FIRST, _END):
        said[row, at] = 0
    return 0


@kernel()
def _is_said(data: Bytes, at: int, size: int, sequence: int, row: int, said: Rows, w: Row) -> bool:
    """Whether data[at:at + size] is one of the PDUs remembered for that sequence number."""
    for place in range(_FIRST, _END, 2):
        span = said[row, place]
        if span & ~_UNREAD != sequence | (size << 32):
            continue
        if not span & _UNREAD:
            if said[row, place + 1] == digest(data, at, size, w[c.C_KEY]):
                return True
            continue
        same = True
        for i in range(size):
            same = same and data[said[row, place + 1] + i] == data[at + i]
        if same:
            return True
    return False


@kernel()
def differing(data: Bytes, at: int, size: int, sequence: int, row: int, said: Rows, w: Row) -> int:
    """Where data[at:at + size], a copy by its sequence number, says something else than what was said; else -1.

    Only whole PDUs are compared.  That it begins where a PDU began that it does not reach to the end of is told by
    an offset in C_NEED: it may be a piece of the same, or a shorter PDU.
    """
    first = i64(-1)
    w[c.C_NEED] = -1
    for place in range(_FIRST, _END, 2):
        span = said[row, place]
        if span == 0:
            continue
        start, length = span & _SEQUENCE, (span >> 32) & _LENGTH
        skip = ((start - sequence + 0x80000000) & _SEQUENCE) - 0x80000000
        if skip < 0 or skip >= size:
            continue
        if skip + length > size:
            w[c.C_NEED] = skip
        elif (first < 0 or skip < first) and not _is_said(data, at + skip, length, start, row, said, w):
            first = skip
    return int(first)
