"""Forms of values: every value, quality and time against the plain twin, on random bytes."""

from __future__ import annotations

import random
import struct
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.decode import forms as f
from pipeline.decode import layout as c
from pipeline.decode.values import write_coded
from schemas.codes import PointType, Quality
from tests.reference import values as twin

NOW_NS = 1_767_225_600_123_000_000
VALUES = list(f.TYPES)
QUALITIES = (f.Q_DNP3_BINARY, f.Q_DNP3_COUNTER, f.Q_DNP3_ANALOG, f.Q_IEC, f.Q_IEC_BITS, f.Q_IEC_TOTAL, f.Q_IEC_EVENT)
TIMES = (f.T_DNP3, f.T_DNP3_RELATIVE, f.T_CP56, f.T_CP24)


def write(data: bytes, word: int, count: int, *, addr: int = 0, step: int = 1, quality: int = 0, base: int = 0,
          sub: int = 0, name: int = 0) -> SimpleNamespace:  # fmt: skip
    """The columns that a run of `count` values gives, at place 3 of them."""
    w = np.zeros(c.WORK, np.int64)
    w[c.G_TS] = NOW_NS
    run = c.RUNS_AT
    columns = {c.N_SPACE: 9, c.N_ADDR: addr, c.N_STEP: step, c.N_ENCODING: word, c.N_OFFSET: 1, c.N_QUALITY: quality,
               c.N_DIRECTION: 2, c.N_ADDR_SUB: sub, c.N_NAME_ID: name, c.N_SOURCE_TS: base}  # fmt: skip
    for column, number in columns.items():
        w[run + column] = number
    pt64, pt32 = np.zeros(c.PT64 * c.PT, np.int64), np.zeros(c.PT32 * c.PT, np.int32)
    pt16, pt8 = np.zeros(c.PT16 * c.PT, np.int16), np.zeros(c.PT8 * c.PT, np.uint8)
    value = np.zeros(c.PT, np.float64)
    wire = np.frombuffer(bytearray(b"\0" + data), np.uint8)
    write_coded(wire, w, run, pt64, pt32, value, pt16, pt8, 3, count)
    assert not value[:3].any()
    assert not value[3 + count :].any()
    places = slice(3, 3 + count)
    return SimpleNamespace(
        addr=pt64[c.P_ADDR * c.PT :][places].tolist(),
        raw=pt64[c.P_RAW * c.PT :][places].tolist(),
        name=pt64[c.P_NAME_ID * c.PT :][places].tolist(),
        source_ns=pt64[c.P_SOURCE_TS * c.PT :][places].tolist(),
        sub=pt32[places].tolist(),
        value=value[places].tolist(),
        quality=pt16[c.P_QUALITY * c.PT :][places].view(np.uint16).tolist(),
        kind=set(pt8[c.P_TYPE * c.PT :][places].tolist()),
        sparse=bool(w[c.C_SPARSE]),
    )


def agrees(data: bytes, word: int, count: int, **how: int) -> None:
    found = write(data, word, count, **how)
    wanted = twin.values(data, word, how.get("addr", 0), how.get("step", 1), count, how.get("quality", 0),
                         how.get("base", 0), NOW_NS)  # fmt: skip
    assert found.addr == [v.addr for v in wanted]
    assert [repr(v) for v in found.value] == [repr(v.value) for v in wanted]
    assert found.raw == [v.raw for v in wanted]
    assert found.quality == [v.quality for v in wanted]
    assert found.source_ns == [v.source_ns for v in wanted]
    assert found.sparse or not (any(found.quality) or any(found.raw) or any(found.source_ns))


@pytest.mark.parametrize("value", VALUES)
def test_every_value(value: int) -> None:
    draw = random.Random(value)
    for index in range(5):
        word = f.form(value, index=0 if value == f.V_PACKED2 else index)
        agrees(draw.randbytes(4000), word, 150, addr=7)
    agrees(b"\0" * 400, f.form(value), 20)
    agrees(b"\xff" * 400, f.form(value), 20, addr=1 << 40, step=8)


@pytest.mark.parametrize("quality", QUALITIES)
def test_every_quality(quality: int) -> None:
    data = b"".join(bytes([byte, 1, 2]) for byte in range(256))
    agrees(data, f.form(f.V_I16LE, at=1, quality=quality), 256)
    agrees(data, f.form(f.V_I16LE, at=1, quality=quality), 256, quality=int(Quality.ADDRESS_UNKNOWN))


@pytest.mark.parametrize("time", TIMES)
def test_every_time(time: int) -> None:
    draw = random.Random(time)
    word = f.form(f.V_U8, quality=f.Q_IEC, time=time, time_at=1)
    size = 1 + f.TIME_BYTES[time]
    for base in (0, NOW_NS):
        agrees(draw.randbytes(200 * size), word, 200, base=base)
    near = b"".join(
        b"\1" + struct.pack("<HBBBBB", ms, minute, hour, day, month, year)[: size - 1]
        for ms in (0, 59_999, 60_000) for minute in (0, 29, 30, 59, 63, 128) for hour in (0, 23, 24)
        for day, month, year in ((1, 1, 26), (31, 12, 99), (29, 2, 24), (0, 1, 1), (1, 13, 1))
    )  # fmt: skip
    agrees(near, word, len(near) // size)


def test_a_time_is_what_the_calendar_says() -> None:
    at = datetime(2024, 2, 29, 23, 59, 58, 765_000, UTC)
    data = struct.pack("<HBBBBB", 58_765, 59, 23, 29 | 4 << 5, 2, 24)
    assert write(data, f.form(f.V_TIME_CP56), 1).value == [at.timestamp()]
    assert write(bytes.fromhex("00 19 24 02 29 23 59 58 76 55"), f.form(f.V_CLOCK_S7), 1).value == [at.timestamp()]
    assert repr(write(bytes.fromhex("00 20 24 02 2a 23 59 58 76 55"), f.form(f.V_CLOCK_S7), 1).value) == "[nan]"
    found = write(b"\0" + data, f.form(f.V_U8, time=f.T_CP56, time_at=1), 1)
    assert found.source_ns == [round(at.timestamp() * 1000) * 1_000_000]


def test_sub_address_and_name_go_to_every_point() -> None:
    found = write(bytes(8), f.form(f.V_U8), 4, sub=5, name=6)
    assert (found.sub, found.name, found.sparse) == ([5] * 4, [6] * 4, True)


def test_the_type_of_points() -> None:
    assert write(bytes(8), f.form(f.V_U8), 4).kind == {PointType.U8}
    assert write(bytes(8), f.form(f.V_U8, kind=PointType.ENUM), 4).kind == {PointType.ENUM}


def test_a_form_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="parts up to 5 of 4 bytes"):
        f.form(f.V_F32LE, at=1, size=4)
    with pytest.raises(ValueError, match="index of 5 bytes"):
        f.form(f.V_U8, index=5)
