"""Objects of a DNP3 fragment behind their header: points, statuses of controls, times, files, attributes, strings.

Clauses are of IEEE Std 1815-2012.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, le16, le32, u8
from pipeline.decode.naming import add_name
from pipeline.decode.protocols.dnp3_objects import (
    ATTRIBUTE,
    BITS,
    DOUBLE_BITS,
    GROUPS,
    SIZE,
    SIZED,
    SPACE,
    STATUS,
    STRING,
    UNKNOWN,
    WORD,
)
from pipeline.decode.runs import add_run
from schemas.codes import Anomaly, Direction, Identity, Kind, Op, Quality, RecordFlag, Space

Row = NDArray[np.int64]

REQUEST, RESPONSE, UNSOLICITED = int(Kind.REQUEST), int(Kind.RESPONSE), int(Kind.UNSOLICITED)
BAD_LENGTH = int(Anomaly.MALFORMED | Anomaly.LENGTH_MISMATCH)
FILE_STATUS = 0x200
"""Status of a file operation, plus the code of A.36.4 or A.36.6."""

_RESERVED = int(Anomaly.RESERVED_CODE)
_READ, _WRITTEN, _ECHO, _REPORT = (
    int(d) for d in (Direction.READ, Direction.WRITTEN, Direction.ECHO, Direction.REPORT)
)
_TIME_INVALID = int(Quality.TIME_INVALID)
_FILE_READ, _FILE_WRITE = int(Op.FILE_READ), int(Op.FILE_WRITE)
_IDENTITY, _SAYS_IDENTITY = int(Space.IDENTITY), int(RecordFlag.IDENTITY)
_LATEST_MS = 9_000_000_000_000
_U8, _U16, _U32, _I8, _I16, _I32, _F32, _F64, _TIME = (
    f.form(v) for v in (f.V_U8, f.V_U16LE, f.V_U32LE, f.V_I8, f.V_I16LE, f.V_I32LE, f.V_F32LE, f.V_F64LE, f.V_TIME48)
)


def _roles() -> NDArray[np.int64]:
    """The Identity that an attribute tells, by its variation (A.1)."""
    found = np.zeros(256, np.int64)
    for variation, role in {
        252: Identity.VENDOR,
        250: Identity.MODEL,
        248: Identity.SERIAL,
        247: Identity.NAME,
        245: Identity.LOCATION,
        243: Identity.HARDWARE,
        242: Identity.FIRMWARE,
    }.items():
        found[variation] = int(role)
    return found


_ROLES = _roles()


@kernel()
def _direction(w: Row) -> int:
    if w[c.S_KIND] == REQUEST:
        return _WRITTEN
    if w[c.S_KIND] == UNSOLICITED:
        return _REPORT
    return _ECHO if 2 <= w[c.S_FUNC] <= 6 else _READ


@kernel(inline=True)
def _index(data: Bytes, at: int, width: int) -> int:
    if width == 0:
        return 0
    return u8(data, at) if width == 1 else (le16(data, at) if width == 2 else le32(data, at))


@kernel()
def _note_first(w: Row, space: int, addr: int) -> int:
    """The record names the first of its points."""
    if w[c.S_RUNS] == 0:
        w[c.S_SPACE] = space
        w[c.S_ADDR] = addr
    return 0


@kernel()
def _packed(data: Bytes, at: int, end: int, group: int, size: int, w: Row) -> int:
    """Values of one or two bits, packed (A.2.1, A.4.1); the place behind them."""
    count, each = w[c.S_EXTRA + 3], i64(8 if size == BITS else 4)
    there = min(count, (end - at) * each)
    space = SPACE[group]
    if space > 0 and there > 0:
        _note_first(w, space, w[c.S_EXTRA + 2])
        word = c.ENC_BIT if size == BITS else WORD[group, 1]
        add_run(w, space, w[c.S_EXTRA + 2], there, word, at, _direction(w), 0)
    if there < count:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return -1
    return int(at + (count + each - 1) // each)


@kernel()
def _common_time(data: Bytes, at: int, variation: int, w: Row) -> int:
    """Common time of occurrence (A.28), for the relative times that follow; its doubt goes with it, as a sign."""
    ms = le32(data, at) | (le16(data, at + 4) << 32)
    if 0 < ms < _LATEST_MS:
        w[c.S_EXTRA + 1] = ms * 1_000_000 if variation == 1 else -ms * 1_000_000
    return 0


@kernel()
def _outcomes(data: Bytes, at: int, stride: int, count: int, w: Row) -> int:
    """Statuses of controls (A.8.1.2.6), and the digest of what was controlled without them."""
    h = w[c.S_EXTRA]
    for i in range(count):
        for k in range(stride - 1):
            h = ((h ^ u8(data, at + i * stride + k)) * 0x01000193) & 0x7FFFFFFF
        status = u8(data, at + (i + 1) * stride - 1) & 0x7F
        if status != 0 and w[c.S_STATUS] == 0 and w[c.S_KIND] == RESPONSE:
            w[c.S_STATUS] = status
    w[c.S_EXTRA] = h
    return 0


@kernel()
def _fixed(data: Bytes, at: int, end: int, group: int, variation: int, width: int, w: Row) -> int:
    """Objects of one size, each with an index of `width` bytes before it: one run; the place behind them."""
    size, count = i64(SIZE[group, variation]), w[c.S_EXTRA + 3]
    stride = width + size
    there = min(count, (end - at) // stride) if stride > 0 else i64(0)
    word = WORD[group, variation & 15] if variation < 16 else i64(0)
    if there > 0 and word != 0:
        first = w[c.S_EXTRA + 2] if width == 0 else _index(data, at, width)
        _note_first(w, SPACE[group], first)
        relative = (word >> f.TIME_AT) & 15 == f.T_DNP3_RELATIVE
        cto = w[c.S_EXTRA + 1] if relative else i64(0)
        quality = _TIME_INVALID if cto < 0 else i64(0)
        start = w[c.S_EXTRA + 2] if width == 0 else i64(0)
        run = add_run(w, SPACE[group], start, there, word | (width << f.INDEX_AT), at, _direction(w), quality)
        if run >= 0:
            w[c.RUNS_AT + run * c.RUN + c.N_SOURCE_TS] = abs(cto)
            if width > 0:
                w[c.RUNS_AT + run * c.RUN + c.N_STEP] = 0
    if there > 0 and STATUS[group] > 0:
        _outcomes(data, at, stride, there, w)
    elif there > 0 and group == 51:
        _common_time(data, at + (there - 1) * stride + width, variation, w)
    if there < count and size > 0:
        w[c.S_ANOMALY] |= BAD_LENGTH
        return -1
    return at + there * stride


@kernel()
def _text(data: Bytes, at: int, size: int, space: int, addr: int, sub: int, w: Row) -> int:
    """One text as a point."""
    _note_first(w, space, addr)
    run = add_run(w, space, addr, 1, c.ENC_TEXT, at, _direction(w), 0)
    if run >= 0:
        w[c.RUNS_AT + run * c.RUN + c.N_LENGTH] = size
        w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = sub
    return run


@kernel()
def _strings(data: Bytes, at: int, end: int, group: int, size: int, width: int, w: Row) -> int:
    """Octet strings, as long as their variation says (A.44 to A.47); the place behind them."""
    for i in range(w[c.S_EXTRA + 3]):
        if at + width + size > end or size == 0:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return -1
        addr = _index(data, at, width) if width > 0 else w[c.S_EXTRA + 2] + i
        _text(data, at + width, size, SPACE[group], addr, 0, w)
        at += width + size
    return at


@kernel()
def _number_form(kind: int, size: int) -> int:
    """Form of an attribute's number by its type and length (A.1.1), 0 where it is none."""
    if kind == 2 or kind == 6:
        return _U8 if size == 1 else (_U16 if size == 2 else (_U32 if size == 4 else 0))
    if kind == 3:
        return _I8 if size == 1 else (_I16 if size == 2 else (_I32 if size == 4 else 0))
    if kind == 4:
        return _F32 if size == 4 else (_F64 if size == 8 else 0)
    return _TIME if kind == 7 and size == 6 else 0


@kernel()
def _attributes(data: Bytes, at: int, end: int, variation: int, width: int, w: Row) -> int:
    """Device attributes (A.1): type, length and value; what identifies the device is told as that too."""
    for i in range(w[c.S_EXTRA + 3]):
        if at + width + 2 > end:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return -1
        owner = _index(data, at, width) if width > 0 else w[c.S_EXTRA + 2] + i
        kind, size = u8(data, at + width), u8(data, at + width + 1)
        at += width + 2
        if at + size > end:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return -1
        form = _number_form(kind, size)
        for again in range(2 if _ROLES[variation] > 0 and w[c.S_KIND] == RESPONSE else 1):
            space = _IDENTITY if again else SPACE[0]
            addr = _ROLES[variation] if again else i64(variation)
            if again:
                w[c.S_FLAGS] |= _SAYS_IDENTITY
            if form != 0:
                _note_first(w, space, addr)
                run = add_run(w, space, addr, 1, form, at, _direction(w), 0)
                if run >= 0:
                    w[c.RUNS_AT + run * c.RUN + c.N_ADDR_SUB] = 0 if again else owner
            elif kind == 1 and size > 0:
                _text(data, at, size, space, addr, 0 if again else owner, w)
        at += size
    return at


@kernel()
def _file(data: Bytes, at: int, size: int, variation: int, w: Row) -> int:
    """File objects (A.36): the file's name, whether it is read or written, and what became of it."""
    w[c.S_SPACE] = SPACE[70]
    name, length = i64(0), i64(0)
    if variation == 3 and size >= 26:
        name, length = le16(data, at), le16(data, at + 2)
        if w[c.S_FUNC] == 25:
            mode = le16(data, at + 20)
            w[c.S_OP] = _FILE_WRITE if mode == 2 or mode == 3 else _FILE_READ
    elif variation == 7 and size >= 20:
        name, length = le16(data, at), le16(data, at + 2)
    elif variation == 8:
        length = size
    code = i64(0)
    if variation == 4 and size >= 13:
        code = u8(data, at + 12)
    elif variation == 6 and size >= 9:
        code = u8(data, at + 8)
    if code != 0 and w[c.S_STATUS] == 0 and w[c.S_KIND] == RESPONSE:
        w[c.S_STATUS] = FILE_STATUS | code
    if length > 0:
        if name + length > size:
            w[c.S_ANOMALY] |= BAD_LENGTH
        else:
            w[c.S_NAME_ID] = add_name(data, at + name, length, w)
    return 0


@kernel()
def _sized(data: Bytes, at: int, end: int, group: int, variation: int, width: int, w: Row) -> int:
    """Objects with their size before them; the place behind them."""
    for _ in range(w[c.S_EXTRA + 3]):
        if at + width > end:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return -1
        size = _index(data, at, width)
        at += width
        if at + size > end:
            w[c.S_ANOMALY] |= BAD_LENGTH
            return -1
        if group == 70:
            _file(data, at, size, variation, w)
        at += size
    return at


@kernel()
def objects(data: Bytes, at: int, end: int, group: int, variation: int, prefix: int, w: Row) -> int:
    """The objects of a header; the place behind them, -1 where they are not known or cut off.

    First index and count of the header are in S_EXTRA + 2 and + 3, a common time of occurrence in S_EXTRA + 1.
    """
    size = i64(SIZE[group, variation]) if group < GROUPS else i64(UNKNOWN)
    if prefix >= 4:
        return _sized(data, at, end, group, variation, 1 << (prefix - 4), w) if prefix < 7 else -1
    width = 1 << (prefix - 1) if prefix > 0 else i64(0)
    if size in (BITS, DOUBLE_BITS):
        if width > 0:
            w[c.S_ANOMALY] |= _RESERVED
            return -1
        return _packed(data, at, end, group, size, w)
    if size == STRING:
        return _strings(data, at, end, group, variation, width, w)
    if size == ATTRIBUTE:
        return _attributes(data, at, end, variation, width, w)
    if size in (UNKNOWN, SIZED):
        w[c.S_ANOMALY] |= _RESERVED
        return -1
    return _fixed(data, at, end, group, variation, width, w)
