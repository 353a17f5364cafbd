"""Forms of values in plain Python: slices, `struct` and `datetime`, one value after the other."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.decode import forms as f
from schemas.codes import Quality

_STRUCT = {
    f.V_U8: "<B", f.V_I8: "<b", f.V_U16LE: "<H", f.V_I16LE: "<h", f.V_U32LE: "<I", f.V_I32LE: "<i", f.V_F32LE: "<f",
    f.V_F64LE: "<d", f.V_U64LE: "<Q", f.V_I64LE: "<q", f.V_U16BE: ">H", f.V_I16BE: ">h", f.V_U32BE: ">I",
    f.V_I32BE: ">i", f.V_F32BE: ">f", f.V_F64BE: ">d", f.V_U64BE: ">Q", f.V_I64BE: ">q",
}  # fmt: skip
_DNP3 = {0: Quality.GOOD, 1: Quality.RESTART, 2: Quality.COMM_LOST, 3: Quality.REMOTE_FORCED, 4: Quality.LOCAL_FORCED}
_IEC = {4: Quality.BLOCKED, 5: Quality.SUBSTITUTED, 6: Quality.NOT_TOPICAL, 7: Quality.INVALID}
_BITS = {
    f.Q_DNP3_BINARY: _DNP3 | {5: Quality.CHATTER},
    f.Q_DNP3_COUNTER: _DNP3 | {5: Quality.OVERFLOW, 6: Quality.DISCONTINUITY},
    f.Q_DNP3_ANALOG: _DNP3 | {5: Quality.OVERFLOW, 6: Quality.REFERENCE_ERROR},
    f.Q_IEC: _IEC | {0: Quality.OVERFLOW},
    f.Q_IEC_BITS: _IEC,
    f.Q_IEC_TOTAL: {5: Quality.OVERFLOW, 6: Quality.DISCONTINUITY, 7: Quality.INVALID},
    f.Q_IEC_EVENT: _IEC | {3: Quality.TIME_INVALID},
}


@dataclass
class Value:
    """One point of a run."""

    addr: int
    value: float
    raw: int
    quality: int
    source_ns: int


def number(data: bytes, code: int, i: int) -> float:
    """The value at the beginning of `data`."""
    if code in _STRUCT:
        return float(struct.unpack_from(_STRUCT[code], data)[0])
    byte = data[0] if data else 0
    if code in (f.V_U24BE, f.V_I24BE):
        return float(int.from_bytes(data[:3], "big", signed=code == f.V_I24BE))
    if code == f.V_CLOCK_S7:
        return s7_seconds(data)
    if code >= f.V_DATE_BACNET:
        return bacnet_seconds(data, code)
    if code == f.V_NORMAL16:
        return float(struct.unpack_from("<h", data)[0]) / 32768
    if code == f.V_STEP7:
        return float((byte & 127) - (128 if byte & 64 else 0))
    if code in (f.V_TIME48, f.V_TIME_CP56):
        ms = int.from_bytes(data[:6], "little") if code == f.V_TIME48 else cp56_ms(data)
        return ms / 1000 if ms is not None else math.nan
    bits = {f.V_BIT0: byte & 1, f.V_BIT7: byte >> 7, f.V_LOW2: byte & 3, f.V_HIGH2: byte >> 6}
    return float(bits[code]) if code in bits else math.nan


def cp56_ms(data: bytes) -> int | None:
    """Seven-octet binary time as milliseconds since 1970, read as UTC."""
    ms = int.from_bytes(data[:2], "little")
    if ms >= 60_000 or data[6] & 127 > 99 or data[4] & 31 == 0:
        return None
    try:
        at = datetime(2000 + (data[6] & 127), data[5] & 15, 1, data[3] & 31, data[2] & 63, tzinfo=UTC)
    except ValueError:
        return None
    return round(at.timestamp() * 1000) + ms + (data[4] & 31) * 86_400_000 - 86_400_000


def s7_seconds(data: bytes) -> float:
    """Reserved, century, then two decimal digits a byte: year, month, day, hour, minute, second, milliseconds."""
    try:
        year, month, day, hour, minute, second, hundredths = (int(f"{byte:02x}") for byte in data[2:9])
        ms = 10 * hundredths + int(f"{data[9] >> 4:x}")
        first = datetime(year + (1900 if year >= 90 else 2000), month, 1, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return math.nan
    return first.timestamp() + (day - 1) * 86_400 + ms / 1000 if 1 <= day <= 31 else math.nan


def bacnet_seconds(data: bytes, code: int) -> float:
    """Date, time of day, or both with an octet between them."""
    date, time = data[:4], data[5:9] if code == f.V_CLOCK_BACNET else data[:4]
    seconds = 0.0
    if code != f.V_DATE_BACNET:
        hour, minute, second, hundredths = time
        if hour > 23 or minute > 59 or second > 59 or hundredths > 99:
            return math.nan
        seconds = (hour * 3_600_000 + minute * 60_000 + second * 1000 + hundredths * 10) / 1000
    if code != f.V_DAYTIME_BACNET:
        if not (70 <= date[0] < 255 and 1 <= date[1] <= 12 and 1 <= date[2] <= 31):
            return math.nan
        first = datetime(1900 + date[0], date[1], 1, tzinfo=UTC).timestamp() + (date[2] - 1) * 86_400
        seconds = first + seconds
    return seconds


def time_ns(data: bytes, codec: int, base_ns: int, now_ns: int) -> tuple[int, bool]:
    """The device's time and whether it is in doubt."""
    if codec == f.T_NONE:
        return base_ns, False
    if codec == f.T_DNP3:
        ms = int.from_bytes(data[:6], "little")
        return (ms * 1_000_000, False) if ms < 9_000_000_000_000 else (0, True)
    if codec == f.T_DNP3_RELATIVE:
        return (base_ns + int.from_bytes(data[:2], "little") * 1_000_000, False) if base_ns else (0, True)
    doubt = bool(data[2] & 128)
    if codec == f.T_CP56:
        found = cp56_ms(data)
        return (found * 1_000_000, doubt) if found is not None else (0, True)
    ms, minute = int.from_bytes(data[:2], "little"), data[2] & 63
    if ms >= 60_000 or minute >= 60:
        return 0, True
    hour = now_ns // 3_600_000_000_000 * 3_600_000
    near = min(
        (hour + k * 3_600_000 + minute * 60_000 + ms for k in (-1, 0, 1)), key=lambda t: abs(t - now_ns // 10**6)
    )
    return near * 1_000_000, doubt


def values(
    data: bytes, word: int, addr: int, step: int, count: int, quality: int, base_ns: int, now_ns: int
) -> list[Value]:
    """The points of a run that begins with `data`."""
    code, width, codec = word & 255, word >> f.INDEX_AT & 15, word >> f.QUALITY_AT & 15
    stride, found = width + f.element_size(word), []
    for i in range(count):
        own = addr + i * step + int.from_bytes(data[i * stride : i * stride + width], "little")
        if code == f.V_PACKED2:
            found.append(Value(own, float(data[i // 4] >> 2 * (i % 4) & 3), 0, quality, base_ns))
            continue
        element = data[i * stride + width : (i + 1) * stride]
        said = quality
        if codec:
            byte = element[word >> f.QUALITY_PLACE & 63]
            said |= sum(int(q) for bit, q in _BITS[codec].items() if byte >> bit & 1)
            said |= Quality.OFFLINE if codec <= f.Q_DNP3_ANALOG and not byte & 1 else 0
        timing = word >> f.TIME_AT & 15
        at = word >> f.TIME_PLACE & 63
        source, doubt = time_ns(element[at:], timing, base_ns, now_ns)
        place = element[word >> f.VALUE_PLACE & 63 :]
        value, raw = number(place, code, i), 0
        if code in (f.V_U64LE, f.V_I64LE, f.V_U64BE, f.V_I64BE):
            exact = struct.unpack_from(_STRUCT[code], place)[0]
            raw = exact if abs(exact) > 1 << 53 else 0
            raw -= 1 << 64 if raw >= 1 << 63 else 0
        found.append(Value(own, value, raw, int(said) | (Quality.TIME_INVALID if doubt else 0), source))
    return found
