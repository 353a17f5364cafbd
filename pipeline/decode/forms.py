"""Forms: how the values of a run of points lie on the wire, in one number that `add_run` takes as its encoding.

An element of a run is, in this order: an index of 0 to 4 bytes, least significant first, where each value has an
index of its own; then `size` bytes in which the value, a byte of quality and a time have their places.  So hundreds
of DNP3 objects with an index and flags each, or of IEC 60870-5 information objects, are one run.

The point's address is N_ADDR + i * N_STEP, plus the element's index.  Relative times count from N_SOURCE_TS.
"""

from __future__ import annotations

from schemas.codes import PointType

# --- values
(V_NONE, V_U8, V_I8, V_U16LE, V_I16LE, V_U32LE, V_I32LE, V_F32LE, V_F64LE, V_U64LE, V_I64LE, V_U16BE, V_I16BE, V_U32BE,
 V_I32BE, V_F32BE, V_F64BE, V_U64BE, V_I64BE, V_BIT0, V_BIT7, V_LOW2, V_HIGH2, V_PACKED2, V_NORMAL16, V_STEP7, V_TIME48,
 V_TIME_CP56, V_U24BE, V_I24BE, V_DATE_BACNET, V_DAYTIME_BACNET, V_CLOCK_BACNET,
 V_CLOCK_S7) = range(34)  # fmt: skip
"""BIT0, BIT7: that bit of a byte.  LOW2, HIGH2: two bits of a byte.  PACKED2: two bits each, four to a byte, without
index.  NORMAL16: a signed fraction of 32768.  STEP7: seven bits, signed.  TIME48, TIME_CP56: seconds since 1970.
DATE_BACNET, DAYTIME_BACNET: seconds since 1970 of a day, seconds of a day; CLOCK_BACNET: both, a tag between them.
CLOCK_S7: seconds since 1970.
Bits that are packed eight to a byte are `layout.ENC_BIT`."""

TYPES: dict[int, PointType] = {
    V_NONE: PointType.UNKNOWN,
    V_U8: PointType.U8,
    V_I8: PointType.I8,
    V_U16LE: PointType.U16,
    V_I16LE: PointType.I16,
    V_U32LE: PointType.U32,
    V_I32LE: PointType.I32,
    V_F32LE: PointType.F32,
    V_F64LE: PointType.F64,
    V_U64LE: PointType.U64,
    V_I64LE: PointType.I64,
    V_U16BE: PointType.U16,
    V_I16BE: PointType.I16,
    V_U32BE: PointType.U32,
    V_I32BE: PointType.I32,
    V_F32BE: PointType.F32,
    V_F64BE: PointType.F64,
    V_U64BE: PointType.U64,
    V_I64BE: PointType.I64,
    V_BIT0: PointType.BOOL,
    V_BIT7: PointType.BOOL,
    V_LOW2: PointType.DOUBLE_BIT,
    V_HIGH2: PointType.DOUBLE_BIT,
    V_PACKED2: PointType.DOUBLE_BIT,
    V_NORMAL16: PointType.I16,
    V_STEP7: PointType.I8,
    V_TIME48: PointType.TIME,
    V_TIME_CP56: PointType.TIME,
    V_U24BE: PointType.U32,
    V_I24BE: PointType.I32,
    V_DATE_BACNET: PointType.TIME,
    V_DAYTIME_BACNET: PointType.TIME,
    V_CLOCK_BACNET: PointType.TIME,
    V_CLOCK_S7: PointType.TIME,
}

BYTES: dict[int, int] = {
    V_NONE: 0,
    V_U16LE: 2,
    V_I16LE: 2,
    V_U32LE: 4,
    V_I32LE: 4,
    V_F32LE: 4,
    V_F64LE: 8,
    V_U64LE: 8,
    V_I64LE: 8,
    V_U16BE: 2,
    V_I16BE: 2,
    V_U32BE: 4,
    V_I32BE: 4,
    V_F32BE: 4,
    V_F64BE: 8,
    V_U64BE: 8,
    V_I64BE: 8,
    V_NORMAL16: 2,
    V_TIME48: 6,
    V_TIME_CP56: 7,
    V_U24BE: 3,
    V_I24BE: 3,
    V_DATE_BACNET: 4,
    V_DAYTIME_BACNET: 4,
    V_CLOCK_BACNET: 9,
    V_CLOCK_S7: 10,
}
"""Bytes of a value where it is not one."""

# --- quality of a value, in a byte of its own or beside it
(Q_NONE, Q_DNP3_BINARY, Q_DNP3_COUNTER, Q_DNP3_ANALOG, Q_IEC, Q_IEC_BITS, Q_IEC_TOTAL, Q_IEC_EVENT) = range(8)

# --- the device's own time of a value
(T_NONE, T_DNP3, T_DNP3_RELATIVE, T_CP56, T_CP24) = range(5)
TIME_BYTES = {T_NONE: 0, T_DNP3: 6, T_DNP3_RELATIVE: 2, T_CP56: 7, T_CP24: 3}

# --- where each part lies in the word
INDEX_AT, QUALITY_AT, TIME_AT, SIZE_AT, VALUE_PLACE, QUALITY_PLACE, TIME_PLACE, TYPE_AT = 8, 12, 16, 20, 28, 34, 40, 46
MARK = 1 << 55


def form(
    value: int,
    *,
    index: int = 0,
    at: int = 0,
    quality: int = Q_NONE,
    quality_at: int = 0,
    time: int = T_NONE,
    time_at: int = 0,
    size: int = 0,
    kind: PointType | None = None,
) -> int:
    """The word of a form.

    Args:
        value: one of V_….
        index: bytes of the index before each element.
        at, quality_at, time_at: offsets within the element, behind the index.
        quality: one of Q_…, of the byte at `quality_at`.
        time: one of T_….
        size: bytes of the element without its index; 0 for as many as its parts need.
        kind: the type that points are given, where it is not that of the value.

    Raises:
        ValueError: an index wider than 4 bytes, or a part that does not lie within the element.
    """
    ends = [at + BYTES.get(value, 1)]
    if quality != Q_NONE:
        ends.append(quality_at + 1)
    if time != T_NONE:
        ends.append(time_at + TIME_BYTES[time])
    size = size or max(ends)
    if not 0 <= index <= 4 or max(ends) > size or size > 63:
        raise ValueError(f"form of value {value}: index of {index} bytes, parts up to {max(ends)} of {size} bytes")
    word = MARK | value | index << INDEX_AT | quality << QUALITY_AT | time << TIME_AT | size << SIZE_AT
    word |= at << VALUE_PLACE | quality_at << QUALITY_PLACE | time_at << TIME_PLACE
    return word | int(TYPES[value] if kind is None else kind) << TYPE_AT


def with_index(word: int, index: int) -> int:
    """The same form with an index of that many bytes before each element; also within kernels, on plain numbers."""
    return word & ~(15 << INDEX_AT) | index << INDEX_AT


def element_size(word: int) -> int:
    """Bytes of an element without its index."""
    return word >> SIZE_AT & 255
