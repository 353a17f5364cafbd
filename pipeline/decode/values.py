"""Writing the points of a run whose encoding is a word of `forms`: values, qualities and times of many protocols.

Clauses: IEEE Std 1815-2012 A.2 to A.24 and 11.9 (flags and times of DNP3 objects), IEC 60870-5-101:2003 7.2.6
(information elements), ANSI/ASHRAE 135-2016 20.2.12 and 20.2.13 (date and time).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, be32, be64, le16, le32, le64, u8
from schemas.codes import Quality

Row = NDArray[np.int64]
A32 = NDArray[np.int32]
A16 = NDArray[np.int16]
A8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

_EXACT = 1 << 53
_TIME_INVALID = int(Quality.TIME_INVALID)
_LATEST_MS = 9_000_000_000_000
_MS = 1_000_000
_MINUTE = 60_000
_HOUR = 3_600_000


def _qualities() -> NDArray[np.int64]:
    """Quality of each (codec, byte): one look-up for a point."""
    bits: dict[int, tuple[Quality, ...]] = {
        f.Q_DNP3_BINARY: (
            Quality.RESTART,
            Quality.COMM_LOST,
            Quality.REMOTE_FORCED,
            Quality.LOCAL_FORCED,
            Quality.CHATTER,
            Quality.GOOD,
        ),
        f.Q_DNP3_COUNTER: (
            Quality.RESTART,
            Quality.COMM_LOST,
            Quality.REMOTE_FORCED,
            Quality.LOCAL_FORCED,
            Quality.OVERFLOW,
            Quality.DISCONTINUITY,
        ),
        f.Q_DNP3_ANALOG: (
            Quality.RESTART,
            Quality.COMM_LOST,
            Quality.REMOTE_FORCED,
            Quality.LOCAL_FORCED,
            Quality.OVERFLOW,
            Quality.REFERENCE_ERROR,
        ),
        f.Q_IEC: (
            Quality.GOOD,
            Quality.GOOD,
            Quality.GOOD,
            Quality.BLOCKED,
            Quality.SUBSTITUTED,
            Quality.NOT_TOPICAL,
            Quality.INVALID,
        ),
        f.Q_IEC_BITS: (
            Quality.GOOD,
            Quality.GOOD,
            Quality.GOOD,
            Quality.BLOCKED,
            Quality.SUBSTITUTED,
            Quality.NOT_TOPICAL,
            Quality.INVALID,
        ),
        f.Q_IEC_TOTAL: (
            Quality.GOOD,
            Quality.GOOD,
            Quality.GOOD,
            Quality.GOOD,
            Quality.OVERFLOW,
            Quality.DISCONTINUITY,
            Quality.INVALID,
        ),
        f.Q_IEC_EVENT: (
            Quality.GOOD,
            Quality.GOOD,
            Quality.TIME_INVALID,
            Quality.BLOCKED,
            Quality.SUBSTITUTED,
            Quality.NOT_TOPICAL,
            Quality.INVALID,
        ),
    }
    found = np.zeros((8, 256), np.int64)
    for codec, meanings in bits.items():
        for byte in range(256):
            found[codec, byte] = sum(int(q) for i, q in enumerate(meanings) if byte >> (i + 1) & 1)
            if codec <= f.Q_DNP3_ANALOG and not byte & 1:
                found[codec, byte] |= int(Quality.OFFLINE)
            if codec == f.Q_IEC and byte & 1:
                found[codec, byte] |= int(Quality.OVERFLOW)
    return found


QUALITIES = _qualities()


@kernel(inline=True)
def index_at(data: Bytes, at: int, width: int) -> int:
    """An index of 0 to 4 bytes, least significant first."""
    if width == 0:
        return 0
    if width == 1:
        return u8(data, at)
    if width == 2:
        return le16(data, at)
    if width == 3:
        return le16(data, at) | (u8(data, at + 2) << 16)
    return le32(data, at)


@kernel()
def civil_ms(year: int, month: int, day: int) -> int:
    """Milliseconds from 1970 to midnight of a day of the Gregorian calendar."""
    y = year - 1 if month <= 2 else year
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return int((era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468) * 24 * _HOUR)


@kernel()
def cp56_ms(data: Bytes, at: int) -> int:
    """CP56Time2a (7.2.6.18) as milliseconds since 1970, read as UTC; -1 where it is no time."""
    ms, minute, hour = le16(data, at), u8(data, at + 2) & 63, u8(data, at + 3) & 31
    day, month, year = u8(data, at + 4) & 31, u8(data, at + 5) & 15, u8(data, at + 6) & 127
    if ms >= _MINUTE or minute >= 60 or hour >= 24 or day < 1 or month < 1 or month > 12 or year > 99:
        return -1
    return civil_ms(2000 + year, month, day) + hour * _HOUR + minute * _MINUTE + ms


@kernel()
def cp24_ms(data: Bytes, at: int, ts_ns: int) -> int:
    """CP24Time2a (7.2.6.19), minute and milliseconds, in the hour nearest to the capture; -1 for no time."""
    ms, minute = le16(data, at), u8(data, at + 2) & 63
    if ms >= _MINUTE or minute >= 60:
        return -1
    now = ts_ns // _MS
    found = now - now % _HOUR + minute * _MINUTE + ms
    if found - now > _HOUR // 2:
        return found - _HOUR
    return found + _HOUR if now - found > _HOUR // 2 else found


@kernel()
def _time(data: Bytes, at: int, codec: int, base_ns: int, w: Row) -> int:
    """Nanoseconds since 1970 of a device's time, -1 where it is none."""
    ms = i64(-1)
    if codec == f.T_DNP3:
        ms = le32(data, at) | (le16(data, at + 4) << 32)
    elif codec == f.T_DNP3_RELATIVE:
        return base_ns + le16(data, at) * _MS if base_ns > 0 else -1
    elif codec == f.T_CP56:
        ms = cp56_ms(data, at)
    elif codec == f.T_CP24:
        ms = cp24_ms(data, at, w[c.G_TS])
    return ms * _MS if 0 <= ms < _LATEST_MS else -1


@kernel(inline=True)
def _float(data: Bytes, at: int, code: int) -> float:
    if code == f.V_F32LE:
        return float(np.float64(np.uint32(le32(data, at)).view(np.float32)))
    if code == f.V_F64LE:
        return float(np.int64(le64(data, at)).view(np.float64))
    if code == f.V_F32BE:
        return float(np.float64(np.uint32(be32(data, at)).view(np.float32)))
    return float(np.int64(be64(data, at)).view(np.float64))


@kernel(inline=True)
def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


@kernel()
def _seldom(data: Bytes, at: int, code: int, i: int) -> int:
    """Whole numbers of the encodings that are no daily bread."""
    if code == f.V_U16BE:
        return be16(data, at)
    if code == f.V_I16BE:
        return _signed(be16(data, at), 16)
    if code == f.V_U32BE:
        return be32(data, at)
    if code == f.V_I32BE:
        return _signed(be32(data, at), 32)
    if code == f.V_U64LE or code == f.V_I64LE:
        return le64(data, at)
    if code == f.V_U64BE or code == f.V_I64BE:
        return be64(data, at)
    if code == f.V_U24BE:
        return (be16(data, at) << 8) | u8(data, at + 2)
    if code == f.V_I24BE:
        return _signed((be16(data, at) << 8) | u8(data, at + 2), 24)
    if code == f.V_PACKED2:
        return (u8(data, at) >> (2 * (i & 3))) & 3
    value = u8(data, at) & 127
    return value - 128 if value >= 64 else value


@kernel(inline=True)
def _integer(data: Bytes, at: int, code: int, i: int) -> int:
    if code == f.V_BIT7:
        return u8(data, at) >> 7
    if code == f.V_I16LE or code == f.V_NORMAL16:
        return _signed(le16(data, at), 16)
    if code == f.V_I32LE:
        return _signed(le32(data, at), 32)
    if code == f.V_U32LE:
        return le32(data, at)
    if code == f.V_U16LE:
        return le16(data, at)
    if code == f.V_BIT0:
        return u8(data, at) & 1
    if code == f.V_LOW2:
        return u8(data, at) & 3
    if code == f.V_HIGH2:
        return u8(data, at) >> 6
    if code == f.V_U8:
        return u8(data, at)
    if code == f.V_I8:
        return _signed(u8(data, at), 8)
    return _seldom(data, at, code, i)


@kernel()
def bacnet_date_ms(data: Bytes, at: int) -> int:
    """A date of 135 20.2.12 as milliseconds since 1970; -1 where it is no one day: a pattern, or before 1970."""
    year, month, day = 1900 + u8(data, at), u8(data, at + 1), u8(data, at + 2)
    if year < 1970 or year == 2155 or month < 1 or month > 12 or day < 1 or day > 31:
        return -1
    return int(civil_ms(year, month, day))


@kernel()
def bacnet_daytime_ms(data: Bytes, at: int) -> int:
    """A time of 135 20.2.13 as milliseconds of the day; -1 where it is no one time."""
    hour, minute, second, hundredths = u8(data, at), u8(data, at + 1), u8(data, at + 2), u8(data, at + 3)
    if hour > 23 or minute > 59 or second > 59 or hundredths > 99:
        return -1
    return int(hour * _HOUR + minute * _MINUTE + second * 1000 + hundredths * 10)


@kernel()
def _clock_bacnet(data: Bytes, at: int, code: int) -> float:
    date = bacnet_date_ms(data, at) if code != f.V_DAYTIME_BACNET else 0
    time = i64(0)
    if code != f.V_DATE_BACNET:
        time = bacnet_daytime_ms(data, at + (5 if code == f.V_CLOCK_BACNET else 0))
    return float((date + time) / 1000.0) if date >= 0 and time >= 0 else np.nan


@kernel()
def _bcd(byte: int) -> int:
    """A byte of two decimal digits, 255 where it is none."""
    return (byte >> 4) * 10 + (byte & 15) if byte >> 4 < 10 and byte & 15 < 10 else 255


@kernel()
def s7_clock_ms(data: Bytes, at: int) -> int:
    """A clock of S7comm as milliseconds since 1970, read as UTC; -1 where it is no time.

    Ten bytes: one reserved, century, and DATE_AND_TIME of IEC 61131-3 as S7 has it, in BCD: year to milliseconds and
    weekday.  Years below 90 are of this century, whatever the century says: some devices leave it at 19.
    """
    year, month, day = _bcd(u8(data, at + 2)), _bcd(u8(data, at + 3)), _bcd(u8(data, at + 4))
    hour, minute, second = _bcd(u8(data, at + 5)), _bcd(u8(data, at + 6)), _bcd(u8(data, at + 7))
    hundredths, thousandths = _bcd(u8(data, at + 8)), u8(data, at + 9) >> 4
    if year > 99 or month < 1 or month > 12 or day < 1 or day > 31 or hour > 23 or minute > 59 or second > 59:
        return -1
    if hundredths > 99 or thousandths > 9:
        return -1
    days = civil_ms(1900 + year if year >= 90 else 2000 + year, month, day)
    return int(days + hour * _HOUR + minute * _MINUTE + second * 1000 + hundredths * 10 + thousandths)


@kernel()
def _clock(data: Bytes, at: int, code: int) -> float:
    """A time as the value: seconds since 1970, NaN where it is none."""
    if code == f.V_CLOCK_S7:
        ms = s7_clock_ms(data, at)
        return float(ms / 1000.0) if ms >= 0 else np.nan
    if code >= f.V_DATE_BACNET:
        return float(_clock_bacnet(data, at, code))
    ms = cp56_ms(data, at) if code == f.V_TIME_CP56 else le32(data, at) | (le16(data, at + 4) << 32)
    return float(ms / 1000.0) if ms >= 0 else np.nan


@kernel()
def write_rest(
    data: Bytes, w: Row, run: int, pt64: Row, value: F64, pt16: A16, p: int, count: int, stride: int, first: int
) -> int:
    """Times of the points, and the exact numbers of 64 bits."""
    word = w[run + c.N_ENCODING]
    code, codec, place = word & 255, (word >> f.TIME_AT) & 15, (word >> f.TIME_PLACE) & 63
    base = w[run + c.N_SOURCE_TS]
    wide = code == f.V_U64LE or code == f.V_I64LE or code == f.V_U64BE or code == f.V_I64BE
    for i in range(count):
        at = first + i * stride
        if codec != f.T_NONE:
            ts = _time(data, at + place, codec, base, w)
            invalid = ts < 0 or (codec >= f.T_CP56 and u8(data, at + place + 2) >> 7)
            pt64[c.P_SOURCE_TS * c.PT + p + i] = max(ts, 0)
            if invalid:
                pt16[c.P_QUALITY * c.PT + p + i] |= np.int16(-32768)
        else:
            pt64[c.P_SOURCE_TS * c.PT + p + i] = base
        if wide:
            number = _seldom(data, at + ((word >> f.VALUE_PLACE) & 63), code, 0)
            unsigned = code == f.V_U64LE or code == f.V_U64BE
            if number < 0 and unsigned:
                value[p + i] = np.float64(np.uint64(number))
            if (number < 0 and unsigned) or number > _EXACT or number < -_EXACT:
                pt64[c.P_RAW * c.PT + p + i] = number
    return 0


@kernel()
def write_coded(
    data: Bytes, w: Row, run: int, pt64: Row, pt32: A32, value: F64, pt16: A16, pt8: A8, p: int, count: int
) -> int:
    """The points of the run at w[run:], whose encoding is a word of `forms`, with all their columns."""
    word = w[run + c.N_ENCODING]
    code, width, codec = word & 255, (word >> f.INDEX_AT) & 15, (word >> f.QUALITY_AT) & 15
    stride = width + ((word >> f.SIZE_AT) & 255)
    first = w[run + c.N_OFFSET] + width
    place, flags = first + ((word >> f.VALUE_PLACE) & 63), first + ((word >> f.QUALITY_PLACE) & 63)
    addr, step, quality = w[run + c.N_ADDR], w[run + c.N_STEP], w[run + c.N_QUALITY]
    space, direction, kind = w[run + c.N_SPACE], w[run + c.N_DIRECTION], (word >> f.TYPE_AT) & 255
    if code == f.V_PACKED2:
        stride = 0
    seen = quality
    for i in range(count):
        at = place + i * stride
        own = addr + i * step
        if width > 0:
            own += index_at(data, first - width + i * stride, width)
        pt64[c.P_ADDR * c.PT + p + i] = own
        pt16[c.P_SPACE * c.PT + p + i] = space
        pt8[c.P_DIRECTION * c.PT + p + i] = direction
        pt8[c.P_TYPE * c.PT + p + i] = kind
        worth = quality
        if codec > 0:
            worth |= QUALITIES[codec, u8(data, flags + i * stride)]
            seen |= worth
        pt16[c.P_QUALITY * c.PT + p + i] = worth
        if code == f.V_F32LE or code == f.V_F64LE or code == f.V_F32BE or code == f.V_F64BE:
            value[p + i] = _float(data, at, code)
        elif code == f.V_NORMAL16:
            value[p + i] = np.float64(_integer(data, at, code, i)) / 32768.0
        elif code == f.V_NONE:
            value[p + i] = np.nan
        elif code == f.V_TIME48 or code == f.V_TIME_CP56 or code >= f.V_DATE_BACNET:
            value[p + i] = _clock(data, at, code)
        elif code == f.V_PACKED2:
            value[p + i] = np.float64((u8(data, at + (i >> 2)) >> (2 * (i & 3))) & 3)
        else:
            value[p + i] = np.float64(_integer(data, at, code, i))
    timed = (word >> f.TIME_AT) & 15 != 0 or w[run + c.N_SOURCE_TS] != 0
    if timed or (f.V_U64LE <= code <= f.V_I64LE) or code == f.V_U64BE or code == f.V_I64BE:
        write_rest(data, w, run, pt64, value, pt16, p, count, stride, first)
        w[c.C_SPARSE] = 1
    if w[run + c.N_ADDR_SUB] | w[run + c.N_NAME_ID]:
        for i in range(count):
            pt32[p + i] = w[run + c.N_ADDR_SUB]
            pt64[c.P_NAME_ID * c.PT + p + i] = w[run + c.N_NAME_ID]
        w[c.C_SPARSE] = 1
    if seen:
        w[c.C_SPARSE] = 1
    return 0
