"""Words that become values: against the plain-Python twin, for every type and word order, whoever the device is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detectors.columns import Columns, records
from detectors.kernels import wide as kernel
from detectors.lifecycle import Learning
from detectors.value import Params, ValueDetector
from detectors.wide import Reading, TypedDevice, TypedTag
from schemas.codes import Direction, PointType, Quality, Space
from tests.reference import wide as twin

HOLDING, INPUT = int(Space.HOLDING_REGISTER), int(Space.INPUT_REGISTER)
ORDERS = tuple(twin.BYTES_AT)
INTEGERS = (("u32", 0), ("i32", -2), ("i32", 70_000), ("i32", -(1 << 31)))
CLIENT, SERVER = (bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([i]) for i in (1, 2))
Row = dict[str, Any]


def point(addr: int, value: float, **more: Any) -> Row:
    base = {"space": HOLDING, "addr": addr, "addr_sub": 0, "name_id": 0, "value": float(value), "quality": 0}
    return base | {"type": int(PointType.U16), "direction": int(Direction.READ)} | more


def record(points: list[Row], **more: Any) -> Row:
    return {"src_ip": SERVER, "dst_ip": CLIENT, "unit": 1, "device": 9, "points": points, **more}


def tag(addr: int, kind: str = "f32", order: str = "ABCD", **more: Any) -> TypedTag:
    return TypedTag(**({"unit": 1, "space": HOLDING, "addr": addr, "addr_sub": 0, "type": kind, "order": order} | more))


def device(*tags: TypedTag, **more: Any) -> TypedDevice:
    return TypedDevice(**({"ip": SERVER, "mac": 0, "vlan": -1, "tags": tags} | more))


def seen(reading: Reading, rows: list[Row]) -> list[twin.Seen]:
    """What detectors see of every point of `rows`."""
    points = reading.of(records(rows)).points
    names = {int(t): n for n, t in (("i16", PointType.I16), ("u32", PointType.U32), ("f32", PointType.F32))}
    names[int(PointType.I32)] = "i32"
    bad = int(Quality.ADDRESS_UNKNOWN | Quality.INVALID) | kernel.PART
    return [
        (float(v), names[int(t) & kernel.BASE] if t & kernel.TYPED else "", bool(q & bad))
        for v, t, q in zip(points.value, points.type, points.quality, strict=True)
    ]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("f32", 92.5),
        ("f32", -1e-30),
        ("f32", math.inf),
        ("f32", -math.inf),
        ("u32", 4000000001),
        ("u32", 0),
        ("i32", -2),
        ("i32", 70000),
        ("i32", -(1 << 31)),
    ],
)
def test_two_words_are_the_value_that_they_carry(kind: str, order: str, value: float) -> None:
    words = twin.encode(value, kind, order)
    rows = [record([point(4, words[0]), point(5, words[1])])]
    expected = twin.decode(*words, kind, order)
    assert expected == pytest.approx(value, rel=1e-7)
    assert seen(Reading([device(tag(4, kind, order))]), rows) == [(expected, kind, False), (float(words[1]), "", True)]


@pytest.mark.parametrize("words", [(0x7FC0, 0), (0x7F80, 1), (0xFFFF, 0xFFFF)])
def test_a_float_that_is_no_number_is_none(words: tuple[int, int]) -> None:
    rows = [record([point(4, words[0]), point(5, words[1])])]
    assert math.isnan(seen(Reading([device(tag(4))]), rows)[0][0])


@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_with_its_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = ("i16", "u32", "i32", "f32")
    tags: dict[tuple[int, int, int], tuple[str, str]] = {}
    addr = 0
    while addr < 60:
        key = (int(rng.choice([HOLDING, INPUT])), int(rng.integers(0, 2)), addr)
        tags[key] = str(rng.choice(kinds)), str(rng.choice(ORDERS))
        addr += int(rng.integers(1, 4))
    typed = [tag(a, k, o, space=s, addr_sub=sub) for (s, sub, a), (k, o) in tags.items()]
    rows, expected = [], []
    for _ in range(120):
        space, sub, at = int(rng.choice([HOLDING, INPUT])), int(rng.integers(0, 2)), int(rng.integers(0, 50))
        points = []
        for i in range(int(rng.integers(0, 14))):
            more: Row = {"space": space, "addr_sub": sub}
            if rng.random() < 0.1:
                more["quality"] = int(1 << rng.integers(0, 13))
            if rng.random() < 0.05:
                more |= {"name_id": 7} if rng.random() < 0.3 else {"direction": int(rng.integers(0, 5))}
            if rng.random() < 0.05:
                more["type"] = int(rng.integers(0, 18))
            at += 1 + int(rng.random() < 0.05)
            points.append(point(at, int(rng.integers(0, 1 << 16)), **more) | {"addr": at + i * 0})
        known = rng.random() < 0.8
        rows.append(record(points, unit=1 if known else 2))
        expected += twin.read(points, tags if known else {})
    ours = seen(Reading([device(*typed)]), rows)
    assert repr(ours) == repr(expected)
    assert {kind for _, kind, _ in ours} == {"", *kinds}


def test_half_of_a_value_is_passed_over() -> None:
    reading = Reading([device(tag(4))])
    alone = [[point(4, 17_000)], [point(3, 1), point(4, 17_000)], [point(4, 17_000), point(6, 1)]]
    for points in alone:
        marked = [p for p, (*_, bad) in zip(points, seen(reading, [record(points)]), strict=True) if bad]
        assert [p["addr"] for p in marked] == [4]
    assert seen(reading, [record([point(5, 3), point(6, 4)])]) == [(3.0, "", False), (4.0, "", False)]
    assert dict(reading.counters()) == {"wide values joined": 0, "signed values": 0, "halves of wide values": 3}


def test_a_value_spans_no_two_records() -> None:
    found = seen(Reading([device(tag(4))]), [record([point(4, 1)]), record([point(5, 2)])])
    assert found == [(1.0, "", True), (2.0, "", False)]


def test_written_values_are_joined_too_and_the_asking_side_names_the_device() -> None:
    words = twin.encode(2.5, "f32", "CDAB")
    points = [point(4 + i, w, direction=int(Direction.WRITTEN)) for i, w in enumerate(words)]
    row = record(points, src_ip=CLIENT, dst_ip=SERVER, client_is_src=1)
    assert seen(Reading([device(tag(4, order="CDAB"))]), [row])[0] == (2.5, "f32", False)
    assert seen(Reading([device(tag(4), ip=CLIENT)]), [row])[0] == (float(words[0]), "", False)


@pytest.mark.parametrize(
    ("devices", "row", "kind"),
    [
        ([{"vlan": 5}], {"vlan": 5}, "u32"),
        ([{"vlan": 5}], {"vlan": 5 | 9 << 16}, "u32"),
        ([{"vlan": 5}], {"vlan": 6}, ""),
        ([{}], {"vlan": 6}, "u32"),
        ([{}, {"vlan": 6, "tags": ()}], {"vlan": 6}, ""),
        ([{"ip": b"", "mac": 77}], {"src_mac": 77}, "u32"),
        ([{"ip": b"", "mac": 77}], {"src_mac": 78}, ""),
        ([{"ip": b"", "mac": 77, "vlan": 3}], {"src_mac": 77, "vlan": 3}, "u32"),
        ([{"ip": b"", "mac": 77}, {"tags": ()}], {"src_mac": 77}, ""),
        ([{"ip": CLIENT}], {}, ""),
    ],
)
def test_a_device_is_found_as_the_site_file_finds_it(devices: list[Row], row: Row, kind: str) -> None:
    reading = Reading([replace(device(tag(4, "u32")), **more) for more in devices])
    assert seen(reading, [record([point(4, 1), point(5, 2)], **row)])[0][1] == kind


def test_without_typed_tags_the_batch_itself_is_handed_on() -> None:
    batch = records([record([point(4, 1), point(5, 2)])])
    assert Reading().of(batch) is batch
    assert Reading([device()]).of(batch) is batch


def test_the_batch_is_left_as_it_was() -> None:
    batch = records([record([point(3, 1)]), record([point(4, 1), point(5, 40_000)])])
    copy = batch.take(np.arange(2))
    found = Reading([device(tag(4))]).of(batch)
    assert found.points.value[1] != batch.points.value[1]
    for name in ("value", "type", "quality", "addr"):
        np.testing.assert_array_equal(getattr(batch.points, name), getattr(copy.points, name))
    with pytest.raises(ValueError, match="read-only"):
        found.points.value[0] = 3.0


def polls(seconds: range, level: float = 0.0) -> Columns:
    """A float that swings between 90 and 110, in word order CDAB, once a second."""
    rows = []
    for second in seconds:
        words = twin.encode(level or 100.0 + 10 * math.sin(second / 9), "f32", "CDAB")
        points = [point(4, words[0]), point(5, words[1])]
        rows.append(record(points, ts=1_700_000_000_000_000_000 + second * 1_000_000_000))
    return records(rows)


def judged(teacher: Reading, pupil: Reading) -> list[tuple[int, float]]:
    """(record, value) of what alarms where a baseline learned by one reading judges by another."""
    learning, detector = ValueDetector(Params(), Learning(mode="learn")), ValueDetector(Params(), Learning())
    learning.on_batch(teacher.of(polls(range(600))))
    detector.adopt(learning.learned())
    for batch in (polls(range(600, 1000)), polls(range(1000, 1001), level=130.0)):
        alerts = detector.on_batch(pupil.of(batch))
    return [(int(row), float(x)) for row, x in zip(alerts.row, alerts.observed, strict=True)]


def test_a_baseline_of_words_does_not_judge_values_nor_the_other_way_round() -> None:
    typed, turned = Reading([device(tag(4, order="CDAB"))]), Reading([device(tag(4, order="ABCD"))])
    assert judged(typed, typed) == [(0, 130.0)]
    assert judged(Reading(), typed) == [(0, 130.0)]
    assert judged(turned, typed) == [(0, 130.0)]
    assert [x for _, x in judged(typed, Reading())] == [float(twin.encode(130.0, "f32", "CDAB")[1])]
