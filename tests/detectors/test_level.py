"""Levels that move, states and bits that were never seen, rests that last, and what a device does as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from detectors.columns import records
from detectors.lifecycle import Learning
from detectors.value import Params, ValueDetector
from schemas.codes import Direction, Op, PointType, Severity
from tests.detectors.test_value import Row, Seen, distinct_of, judge, point, record, series, titles
from tests.reference import value as twin

LONG = 2400


def noise(seed: int, n: int, level: float = 100.0) -> Any:
    """What a sensor says of a quiet quantity."""
    return np.random.default_rng(seed).normal(level, 1.0, n)


def taught(rows: list[Row]) -> ValueDetector:
    """What has learned all of these records."""
    teacher, ours = ValueDetector(Params(), Learning(mode="learn")), ValueDetector(Params(), Learning())
    teacher.on_batch(records(rows))
    ours.adopt(teacher.learned())
    return ours


def learned(values: Iterable[float], **more: Any) -> ValueDetector:
    """What has learned all of these of one tag, one a second."""
    ours = taught(series(values, **more))
    assert ours.counters()["live"] == 1
    return ours


def told(ours: ValueDetector, values: Iterable[float], start: int = LONG, **more: Any) -> Seen:
    return judge(ours, series(values, start=start, **more))


@pytest.mark.parametrize("seed", range(4))
def test_levels_agree_with_the_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.concatenate([noise(seed, LONG), noise(seed + 9, 1200) + 2.5 * (rng.random(1200) < 0.5).cumsum() % 9 / 4])
    x[LONG + 300] = 1e308
    rows = series(x, kind=PointType.F64)
    learning = Learning(value_s=LONG - 1.0, value_samples=60)
    expected = twin.Value(Params(), learning, lambda values: min(len(set(values)), 40)).judge(rows)
    ours = judge(ValueDetector(Params(), learning), rows)
    assert [f[:3] for f in ours] == [f[:3] for f in expected]
    np.testing.assert_allclose([f[3:] for f in ours], [f[3:] for f in expected], rtol=1e-6)
    assert {f[1] for f in ours} >= {"value.drift", "value.range"}


@pytest.mark.parametrize("sign", [1, -1])
def test_a_level_that_creeps_away_within_its_range_is_told_and_then_where_it_belongs(sign: int) -> None:
    ours = learned(noise(1, LONG), kind=PointType.F32)
    assert told(ours, noise(2, 1000), kind=PointType.F32) == []
    creeping = noise(3, 400) + sign * np.minimum(np.arange(400) / 60, 2.0)
    found = [f for f in told(ours, creeping, LONG + 1000, kind=PointType.F32) if f[1] == "value.drift"]
    row, _, severity, low, high, seen = found[0]
    assert severity == Severity.LOW
    assert row < 150
    assert low < 100 < high
    assert (seen - 100) * sign > (high - low) / 2
    assert len(found) <= 3


def test_a_level_that_lies_elsewhere_than_it_was_learned_is_found_first() -> None:
    ours = learned(noise(1, LONG), kind=PointType.F32)
    assert told(ours, noise(2, 900) + 1.2, kind=PointType.F32) == []
    assert "value.drift" in {f[1] for f in told(ours, noise(3, 300) - 1.2, LONG + 900, kind=PointType.F32)}


def test_a_level_that_never_rests_is_not_judged() -> None:
    walk = 100 + np.cumsum(np.random.default_rng(5).normal(0, 0.1, 2 * LONG))
    ours = learned(walk[:LONG], kind=PointType.F32)
    assert "value.drift" not in {f[1] for f in told(ours, walk[LONG:], kind=PointType.F32)}


def test_too_short_a_learning_says_nothing_of_levels() -> None:
    ours = learned(noise(1, 1600), kind=PointType.F32)
    assert {f[1] for f in told(ours, noise(3, 300) + 1.5, kind=PointType.F32)} <= {"value.range"}


def test_a_step_is_told_of_a_value_that_lies_outside_already() -> None:
    ours = learned(noise(1, LONG), kind=PointType.F32)
    outside = np.full(900, 112.0)
    assert {f[1] for f in told(ours, outside, kind=PointType.F32)} >= {"value.range"}
    found = told(ours, [130.0], LONG + 900, kind=PointType.F32)
    assert [f[1] for f in found if f[1] != "value.drift"] == ["value.jump"]


STATES = [2.0, 7.0, 7.0, 4.0, 2.0]


def states(n: int) -> list[float]:
    return [STATES[i // 3 % len(STATES)] for i in range(n)]


def test_a_state_that_was_never_seen_is_told_when_it_is_taken() -> None:
    ours = learned(states(600))
    strange = next(x for x in (3.0, 5.0, 6.0) if twin.bit(x) not in {twin.bit(y) for y in STATES})
    found = told(ours, [2.0, strange, strange, 4.0])
    assert [f[:3] for f in found] == [(1, "value.state", Severity.LOW)]
    assert found[0][5] == strange
    told(ours, [strange], LONG + 9, direction=int(Direction.WRITTEN))
    assert told(ours, [strange], LONG + 10) == []


def test_states_that_came_late_or_seldom_leave_room_for_more() -> None:
    late = [2.0 if i % 6 < 3 else 7.0 for i in range(590)] + [4.0] * 10
    assert told(learned(late), [5.0]) == []
    assert told(learned(states(80)), [3.0, 5.0, 6.0]) == []
    floats = learned(states(600), kind=PointType.F32)
    assert told(floats, [3.0, 5.0, 6.0], kind=PointType.F32) == []


def flags(seed: int, n: int, moving: int = 0b1011_0110) -> list[float]:
    """A status word: one bit of `moving` flips now and then, two others are always set."""
    rng = np.random.default_rng(seed)
    bits = [b for b in range(8) if moving >> b & 1]
    word, out = 0x8100, []
    for i in range(n):
        if i % 3 == 0:
            word ^= 1 << int(rng.choice(bits))
        out.append(float(word))
    return out


def test_a_bit_that_never_changed_is_told() -> None:
    ours = learned(flags(1, 900))
    assert ours.counters()["bit field"] == 1
    assert told(ours, flags(2, 300)) == []
    assert [f[:3] for f in told(ours, [float(0x8100 | 1)])] == [(0, "value.bit", Severity.LOW)]
    assert [f[1] for f in told(ours, [float(0x0100 | 2)], LONG + 9)] == ["value.bit"]


@pytest.mark.parametrize("shape", ["walker", "counter", "level", "two"])
def test_what_is_no_field_of_bits_is_not_taken_for_one(shape: str) -> None:
    rng = np.random.default_rng(4)
    shapes = {
        "walker": 500 + np.cumsum(rng.choice([-1, 0, 1], 900)),
        "counter": np.arange(900) // 2,
        "level": np.round(500 + 90 * np.sin(np.arange(900) / 20)),
        "two": rng.choice([3, 9], 900),
    }
    assert learned(shapes[shape].astype(float)).counters()["bit field"] == 0


def pump(n: int, on: int = 40, off: int = 25) -> list[float]:
    return [float(i % (on + off) < on) for i in range(n)]


def test_a_state_that_lasts_longer_than_it_ever_did_is_told() -> None:
    ours = learned(pump(65 * 60), kind=PointType.BOOL)
    found = told(ours, [1.0] * 79, 65 * 60, kind=PointType.BOOL)
    assert {f[1:3] for f in found} == {("value.rest", Severity.LOW)}
    row, _, _, low, high, seen = found[0]
    assert (low, high) == (0.0, 1.5 * 40 + 2)
    assert high < seen == row <= high + 2
    other = told(ours, [0.0] * 45, 65 * 60 + 79, kind=PointType.BOOL)
    assert [f[0] for f in other] == list(range(40, 45))


def test_rests_that_were_seen_seldom_say_nothing() -> None:
    ours = learned(pump(65 * 40), kind=PointType.BOOL)
    assert told(ours, [1.0] * 300, 65 * 60, kind=PointType.BOOL) == []


def many(ours: ValueDetector, count: int, at: float, by: float) -> Seen:
    """A poll of eight tags of which `count` deviate."""
    return judge(ours, [record(at, *(point(100.0 + by * (a < count), a) for a in range(8)))])


@pytest.fixture
def eight() -> ValueDetector:
    x = np.round(noise(1, 900))
    return taught([record(i, *(point(float(x[i]), a) for a in range(8))) for i in range(900)])


def test_many_tags_of_a_device_at_once_are_one_finding_about_it(eight: ValueDetector) -> None:
    assert {f[1] for f in many(eight, 5, 1000, 40.0)} == {"value.range"}
    assert many(eight, 0, 1020, 0.0) == []
    found = many(eight, 8, 1040, 40.0)
    several = [f for f in found if f[1] == "value.several"]
    assert several[0][3:] == (0.0, 5.0, 6.0)
    alerts = eight.on_batch(records([record(1041, *(point(150.0, a) for a in range(8)))]))
    assert len({int(p) for p in alerts.parent}) == 1


def test_after_a_normal_command_what_a_device_does_weighs_less_unless_it_is_grave(eight: ValueDetector) -> None:
    width = float(np.ptp(np.round(noise(1, 900))))

    def ranks(at: float, by: float = 0.8) -> list[int]:
        many(eight, 0, at - 1, 0.0)
        return [f[2] for f in many(eight, 1, at, by * width) if f[1] == "value.range"]

    write: Row = {"direction": int(Direction.WRITTEN)}
    judge(eight, [record(i, point(40.0 + i % 2, 99, **write)) for i in range(400)])
    assert ranks(1000) == [Severity.MEDIUM]
    judge(eight, [record(1001, point(40.0, 99, **write)), record(1002, point(41.0, 99, **write))])
    assert ranks(1010) == [Severity.LOW]
    assert ranks(1012, 2.0) == [Severity.HIGH]
    assert ranks(1123) == [Severity.MEDIUM]
    judge(eight, [record(1200, point(900.0, 99, **write))])
    assert ranks(1202) == [Severity.MEDIUM]
    judge(eight, [{**record(1300), "op": int(Op.RESTART)}])
    assert ranks(1302) == [Severity.LOW]


@pytest.mark.parametrize("seed", range(4))
def test_words_and_rests_agree_with_the_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 2600
    on = np.repeat(rng.random(n // 5) < 0.5, 5).astype(float)
    signals = [flags(seed, n), states(n), pump(n, 8, 9), list(on), list(np.round(noise(seed, n) * 3))]
    rows: list[Row] = []
    for i in range(n):
        strange = rng.random() < (0.02 if i > n // 2 else 0)
        values = [float(rng.integers(0, 70_000)) if strange and rng.random() < 0.5 else s[i] for s in signals]
        values[1] = float(rng.integers(2, 8)) if strange else values[1]
        values[2] = 1.0 if n - 700 < i < n - 400 else values[2]
        second = i + (700 if i > n - 300 else 0) + float(rng.random())
        rows.append(record(second, *(point(x, a) for a, x in enumerate(values)), device=1 + 1024 * (seed % 2)))
        if rng.random() < (0.004 if i < n // 2 else 0.0005):
            written = point(float(i % 9), 4, direction=int(Direction.WRITTEN))
            rows.append(record(second, written))
        if rng.random() < 0.002:
            rows.append({**record(second), "op": int(Op.RESTART)})
    learning = Learning(value_s=1300.0, value_samples=40, write_samples=4)
    ours = ValueDetector(Params(window_s=30.0, rearm_s=90.0), learning)
    expected = twin.Value(Params(window_s=30.0, rearm_s=90.0), learning, distinct_of).judge(rows)
    cut = len(rows) // 3
    found = [*judge(ours, rows[:cut]), *((f[0] + cut, *f[1:]) for f in titles(ours.on_batch(records(rows[cut:]))))]
    assert [f[:3] for f in found] == [f[:3] for f in expected]
    np.testing.assert_allclose([f[3:] for f in found], [f[3:] for f in expected], rtol=1e-6)
    assert {f[1] for f in found} >= {"value.range", "value.bit", "value.state", "value.rest"}


def test_a_baseline_keeps_states_bits_rests_and_levels() -> None:
    teacher = ValueDetector(Params(), Learning(mode="learn"))
    n = 65 * 60
    signals = [flags(1, n), states(n), pump(n), list(np.round(noise(1, n) * 3))]
    teacher.on_batch(records([record(i, *(point(s[i], a) for a, s in enumerate(signals))) for i in range(n)]))
    rows = teacher.learned()
    ours = ValueDetector(Params(), Learning())
    ours.adopt(rows)
    again = ours.learned()
    order = [np.lexsort((r["parameter"], r["addr"])) for r in (rows, again)]
    for name in ("addr", "parameter", "value"):
        assert (rows[name][order[0]] == again[name][order[1]]).all()
    named = {str(name) for name in rows["parameter"]}
    kept = ("states", "bits_ever", "bits_always", "rest_low_s", "rest_high_s", "level_scale", "level_limit")
    assert {f"reported.{name}" for name in kept} <= named


def test_a_value_that_was_written_is_told_by_the_write_alone() -> None:
    def reads(x: float, at: int) -> list[str]:
        return [f[1] for f in told(ours, [x], at)]

    ours = learned([7.0] * 400)
    told(ours, [9.0], 500, direction=int(Direction.WRITTEN))
    assert reads(9.0, 501) == reads(9.0, 2000) == []
    assert reads(7.0, 2001) == []
    assert reads(8.0, 2002) == ["value.constant"]


def test_a_decided_tag_takes_no_more_than_256_bytes() -> None:
    tags = range(4000)
    ours = taught([record(i, *(point(float(7 * i % 97), a) for a in tags)) for i in range(20)])
    state = ours.snapshot(np.arange(1024))
    assert sum(array.nbytes for array in state.values()) <= 256 * len(tags)
