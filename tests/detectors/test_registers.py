"""The collector of words: what it keeps, what it is bounded by, and what it tells of registers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from detectors import registers
from detectors.columns import Columns, records
from detectors.kernels import infer
from detectors.kernels.wide import PART
from detectors.kinds import FLOAT32, SIGNED16, type_text
from detectors.registers import Registers
from detectors.wide import Reading, TypedDevice, TypedTag
from schemas.codes import Direction, PointType, Quality, Space
from tests.detectors import register_streams as streams
from tests.detectors.register_streams import Words

Row = dict[str, Any]
N = 400
SERVER = bytes(10) + b"\xff\xff\x0a\x00\x00\x01"
START = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


def answer(second: int, words: Sequence[int], addr: int = 0, **more: Any) -> Row:
    """One answer of adjacent registers; what `more` says of points goes to them."""
    of_points = {name: more.pop(name) for name in ("quality", "direction", "type", "name_id") if name in more}
    space, sub, step = (more.pop(name, usual) for name, usual in (("space", 3), ("addr_sub", 0), ("step", 1)))
    points = [
        {
            "space": space,
            "addr": addr + step * i,
            "addr_sub": sub,
            "value": float(word),
            "type": PointType.U16,
            "direction": Direction.READ,
            **of_points,
        }
        for i, word in enumerate(words)
    ]
    return {"ts": START + second * SECOND_NS, "device": 9, "unit": 1, "src_ip": SERVER, "points": points, **more}


def polls(words: Words, addr: int = 0, **more: Any) -> list[Row]:
    """`words` read once a second."""
    return [answer(second, sample, addr, **more) for second, sample in enumerate(words.T.tolist())]


def told(collector: Registers) -> dict[tuple[int, ...], str]:
    """(unit, space, second part of the address, address) to what is told of it."""
    rows = collector.learned()
    key = zip(*(rows[name].tolist() for name in ("unit", "space", "addr_sub", "addr")), strict=True)
    return dict(zip(key, map(type_text, rows["value"].tolist()), strict=True))


def collected(rows: Sequence[Row], cut: int = 10_000, **limits: int) -> Registers:
    collector = Registers(registers.LIMITS._replace(**limits))
    for at in range(0, len(rows), cut):
        collector.on_batch(records(rows[at : at + cut]))
    return collector


def plant(rng: np.random.Generator) -> Words:
    """A constant, a float, a counter of two words, a signed quantity, one without sign."""
    parts = [
        np.full((1, N), 7, np.uint16),
        streams.float32(rng, N, "CDAB"),
        streams.counter32(rng, N, "CDAB"),
        streams.signed(rng, N),
        streams.analog(rng, N),
    ]
    return np.concatenate(parts)


PLANT = {
    (1, 3, 0, 11): "float32 CDAB",
    (1, 3, 0, 13): "counter32 CDAB",
    (1, 3, 0, 15): "signed analog16",
    (1, 3, 0, 16): "analog16",
}


@pytest.mark.parametrize("cut", [1, 37, 10_000])
def test_what_registers_hold_is_told_however_the_stream_is_cut(cut: int) -> None:
    collector = collected(polls(plant(np.random.default_rng(1)), 10), cut)
    assert told(collector) == PLANT
    rows = collector.learned()
    assert set(rows["n"]) == {N}
    assert set(rows["first"]) == {START}
    assert set(rows["last"]) == {START + (N - 1) * SECOND_NS}


def test_the_latest_samples_count_and_what_was_constant_before_is_known() -> None:
    """A ring begins with the first change; what came before it is the one word that the register always was."""
    rng = np.random.default_rng(2)
    still = np.full(700, 5, np.uint16)
    one, other = streams.enum(rng, 300)[0], streams.counter16(rng, 1000)[0]
    late = np.concatenate([still, one])
    collector = collected(polls(np.stack([late, other])))
    samples, since, elapsed_ns = collector._samples(0)
    np.testing.assert_array_equal(samples, np.stack([late, other])[:, -infer.SAMPLES :])
    assert 0 <= since <= infer.SAMPLES // 2
    assert elapsed_ns == (infer.SAMPLES - 1 - since) * SECOND_NS


@pytest.mark.parametrize("n", [1, 2, 255, 256, 257, 511, 512, 513, 767, 768, 769, 1300])
def test_the_time_of_a_sample_is_kept(n: int) -> None:
    words = np.arange(n, dtype=np.uint16)[None]
    collector = collected(polls(words))
    samples, since, elapsed_ns = collector._samples(0)
    assert samples.tolist() == words[:, -infer.SAMPLES :].tolist()
    assert elapsed_ns == (samples.shape[1] - 1 - since) * SECOND_NS


def test_words_that_were_not_read_together_are_no_pair() -> None:
    words = streams.float32(np.random.default_rng(3), N, "ABCD")
    apart = [row for second in range(N) for row in polls(words[:1, second : second + 1], 0)]
    apart += [row for second in range(N) for row in polls(words[1:, second : second + 1], 1)]
    assert "float32 ABCD" not in told(collected(apart)).values()
    assert told(collected(polls(words)))[1, 3, 0, 0] == "float32 ABCD"


def test_of_two_polls_of_a_register_the_one_with_more_samples_tells() -> None:
    words = streams.float32(np.random.default_rng(4), N, "ABCD")
    half = polls(words[1:, : N // 2 + 20], 1)
    assert told(collected(polls(words) + half)) == {(1, 3, 0, 0): "float32 ABCD"}


@pytest.mark.parametrize(
    "more",
    [
        {"quality": int(Quality.INVALID)},
        {"quality": int(Quality.ADDRESS_UNKNOWN)},
        {"quality": PART},
        {"direction": int(Direction.WRITTEN)},
        {"direction": int(Direction.ECHO)},
        {"type": int(PointType.U8)},
        {"name_id": 4},
    ],
)
def test_what_is_no_word_that_a_device_reports_is_left_alone(more: Row) -> None:
    words = plant(np.random.default_rng(5))
    rows = polls(words, 10, **more)
    collector = collected(rows)
    assert (told(collector), collector.counters()["words read"]) == ({}, 0)


def test_units_spaces_and_devices_are_told_apart() -> None:
    rng = np.random.default_rng(6)
    made = {(9, 1, 3): "ABCD", (9, 2, 3): "CDAB", (9, 1, 4): "ABCD", (8, 1, 3): "DCBA"}
    rows = []
    for (device, unit, space), order in made.items():
        words = np.concatenate([streams.float32(rng, N, order) for _ in range(3)])
        rows += polls(words, device=device, unit=unit, space=space)
    found = collected(rows).learned()
    key = zip(found["device"].tolist(), found["unit"].tolist(), found["space"].tolist(), strict=True)
    orders = {k: type_text(value) for k, value in zip(key, found["value"].tolist(), strict=True)}
    assert orders == {k: f"float32 {order}" for k, order in made.items()}


def test_what_the_site_file_types_is_not_told() -> None:
    tag = TypedTag(unit=1, space=3, addr=11, addr_sub=0, type="u32", order="ABCD")
    reading = Reading([TypedDevice(SERVER, 0, -1, (tag,))])
    collector = Registers()
    collector.on_batch(reading.of(records(polls(plant(np.random.default_rng(1)), 10))))
    assert told(collector) == {k: v for k, v in PLANT.items() if k[3] != 11}


def test_words_of_data_blocks_are_two_bytes_apart() -> None:
    words = streams.float32(np.random.default_rng(7), N, "ABCD")
    rows = polls(words, 320, space=int(Space.S7_DATA_BLOCK), addr_sub=5, step=16)
    collector = collected(rows)
    assert told(collector) == {(1, int(Space.S7_DATA_BLOCK), 5, 320): "float32 ABCD"}
    reading = Reading((), registers.tags_of(collector.learned()))
    points = reading.of(records(rows[:1])).points
    assert points.value[0] == pytest.approx(float(np.array(words[:, 0], ">u2").view(">f4")[0]))
    assert points.quality[1] & PART


def as_bytes(words: Words) -> Words:
    return np.stack([words >> 8, words & 255], axis=1).reshape(-1, words.shape[1])


@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_bytes_of_data_blocks_are_words_from_an_even_one_on(before: int) -> None:
    """A float and a counter, read byte by byte with what lies before them."""
    rng = np.random.default_rng(10)
    words = np.concatenate([streams.float32(rng, N, "ABCD"), streams.counter32(rng, N, "ABCD")])
    octets = np.concatenate([rng.integers(0, 256, (before, N)).astype(np.uint16), as_bytes(words)])
    at = 320 - 8 * before
    space = int(Space.S7_DATA_BLOCK)
    rows = polls(octets, at, space=space, addr_sub=5, step=8, type=int(PointType.U8))
    collector = collected(rows)
    assert told(collector) == {(1, space, 5, 320): "float32 ABCD", (1, space, 5, 352): "counter32 ABCD"}
    points = Reading((), registers.tags_of(collector.learned())).of(records(rows[:1])).points
    passed = (points.quality & PART) != 0
    assert passed.tolist() == [False] * before + [False, True, True, True] * 2
    assert points.value[before] == pytest.approx(float(words[:2, 0].astype(">u2").view(">f4")[0]))
    assert points.value[before + 4] == int(words[2, 0]) << 16 | int(words[3, 0])
    half = records([answer(0, [1, 2, 3], 320, space=space, addr_sub=5, step=8, type=int(PointType.U8))])
    points = Reading((), registers.tags_of(collector.learned())).of(half).points
    assert [bool(q & PART) for q in points.quality] == [True, False, False]


def test_a_constant_costs_bytes_and_a_change_a_ring() -> None:
    constant = collected(polls(np.full((120, 20), 3, np.uint16)))
    assert constant.counters()["registers that change"] == 0
    few = collected([row for a in range(0, 60_000, 120) for row in polls(np.full((120, 1), 3, np.uint16), a)])
    assert few.counters()["registers"] == 60_000
    spent = few.counters()["state_bytes"] - Registers().counters()["state_bytes"]
    assert spent < 16 * 60_000
    moving = collected(polls(np.arange(2, dtype=np.uint16)[None].repeat(120, 0)))
    assert moving.counters()["registers that change"] == 120


def test_hostile_addresses_and_changes_are_bounded_and_counted() -> None:
    rng = np.random.default_rng(8)
    rows = []
    for _ in range(4000):
        size = int(rng.integers(1, 30))
        addr, device = int(rng.integers(0, 1 << 16)), int(rng.choice([9, 1033, 77]))
        rows.append(answer(0, rng.integers(0, 1 << 16, size).tolist(), addr, device=device))
    rows += [answer(s, rng.integers(0, 1 << 16, 100).tolist(), 0, device=5) for s in range(3)]
    limits = {"bucket_blocks": 50, "bucket_rings": 40, "registers": 3000}
    counters = collected(rows, 300, **limits).counters()
    assert counters["blocks"] <= 101
    assert counters["registers"] <= 3000
    assert counters["registers that change"] == 40
    assert counters["registers that change without room"] == 60
    assert counters["words of blocks without room"] > 1000
    assert collected(rows, rings=7).counters()["registers that change"] == 7
    assert 1100 < collected(rows, registers=1200).counters()["registers"] <= 1200
    assert collected(rows, blocks=7).counters()["blocks"] == 7
    words = sum(len(row["points"]) for row in rows)
    assert counters["words read"] == words


def test_a_register_without_a_ring_is_not_told() -> None:
    rng = np.random.default_rng(9)
    words = np.concatenate([streams.counter16(rng, N), streams.float32(rng, N, "ABCD")])
    assert told(collected(polls(words), bucket_rings=1)) == {(1, 3, 0, 0): "counter16"}


def test_an_empty_stream_tells_nothing() -> None:
    collector = Registers()
    collector.on_batch(records([]))
    collector.on_batch(records([{"ts": START, "device": 9}]))
    assert {len(column) for column in collector.learned().values()} == {0}


def learned_reading(*values: tuple[int, float], site: Sequence[TypedTag] = ()) -> Reading:
    """A reading by types learned of registers of device 9, unit 1, and by a site file."""
    n = len(values)
    rows = {
        "device": np.full(n, 9, np.uint64),
        "unit": np.full(n, 1, np.uint32),
        "space": np.full(n, 3, np.uint16),
        "addr": np.array([addr for addr, _ in values], np.uint64),
        "addr_sub": np.zeros(n, np.uint32),
        "parameter": np.full(n, "type"),
        "value": np.array([value for _, value in values], np.float64),
    }
    devices = [TypedDevice(SERVER, 0, -1, tuple(site))] if site else []
    return Reading(devices, registers.tags_of(rows))


FLOAT = float(FLOAT32 << 8 | int(infer.form_of(FLOAT32, 0)))
SIGNED = float(SIGNED16 << 8 | int(infer.form_of(SIGNED16, 0)))


def seen(reading: Reading, **more: Any) -> list[float]:
    """What detectors see of registers 4 to 7 with the words 0x42C8, 0, 0xFFFF, 9; NaN for what they pass over."""
    points = reading.of(batch(**more)).points
    parts = (points.quality & PART) != 0
    return [float("nan") if part else float(x) for x, part in zip(points.value, parts, strict=True)]


def batch(**more: Any) -> Columns:
    return records([answer(0, [0x42C8, 0, 0xFFFF, 9], 4, **more)])


def test_devices_of_one_batch_are_read_each_by_its_own() -> None:
    reading = learned_reading((4, FLOAT))
    points = reading.of(records([answer(0, [0x42C8, 0], 4, device=device) for device in (8, 9, 9, 8, 9)])).points
    assert points.value[::2].tolist() == [0x42C8, 100.0, 100.0, 0x42C8, 100.0]


def test_a_byte_is_no_signed_word() -> None:
    space = int(Space.S7_DATA_BLOCK)
    rows = [answer(0, [200, 201], 4, space=space, step=8, type=int(PointType.U8))]
    columns = {"device": 9, "unit": 1, "space": space, "addr": 4, "addr_sub": 0, "parameter": "type", "value": SIGNED}
    reading = Reading((), registers.tags_of({name: np.array([value]) for name, value in columns.items()}))
    points = reading.of(records(rows)).points
    assert (points.value.tolist(), points.type.tolist()) == ([200.0, 201.0], [int(PointType.U8)] * 2)


def test_a_baselines_types_are_read_by() -> None:
    assert str(seen(learned_reading((4, FLOAT), (6, SIGNED)))) == "[100.0, nan, -1.0, 9.0]"
    assert seen(learned_reading((4, FLOAT)), device=8) == [0x42C8, 0, 0xFFFF, 9]
    assert seen(learned_reading((4, FLOAT)), unit=2) == [0x42C8, 0, 0xFFFF, 9]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ((4, "u16"), "[17096.0, 0.0, 65535.0, 9.0]"),
        ((4, "i16"), "[17096.0, 0.0, 65535.0, 9.0]"),
        ((5, "u16"), "[17096.0, 0.0, 65535.0, 9.0]"),
        ((5, "u32"), "[17096.0, 65535.0, nan, 9.0]"),
        ((3, "u32"), "[17096.0, 0.0, 65535.0, 9.0]"),
        ((6, "u16"), "[100.0, nan, 65535.0, 9.0]"),
        ((3, "u16"), "[100.0, nan, 65535.0, 9.0]"),
    ],
)
def test_the_site_file_wins(tag: tuple[int, str], expected: str) -> None:
    typed = TypedTag(unit=1, space=3, addr=tag[0], addr_sub=0, type=tag[1], order="ABCD")
    assert str(seen(learned_reading((4, FLOAT), site=[typed]))) == expected


@pytest.mark.parametrize("value", [-1.0, float("nan"), 1e300, 12.0, float(0x2FF), float(0x200), 65536.0 + FLOAT])
def test_a_baseline_that_says_nonsense_is_not_read_by(value: float) -> None:
    reading = learned_reading((4, value))
    assert reading.of(batch()).points.value.tolist() == [0x42C8, 0, 0xFFFF, 9]
    assert type_text(value) in ("", "float32 ABCD", "float32 DCBA")
