"""Value against its plain-Python twin, and what it does with real shapes of signals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from detectors.base import Alerts
from detectors.columns import records
from detectors.kernels import settle
from detectors.kernels.words import bit_of, popcount
from detectors.lifecycle import Learning
from detectors.value import Params, ValueDetector
from schemas.codes import Direction, LearnState, PointType, Quality, Severity, Space
from tests.reference import value as twin

S = 1_000_000_000
START = 1_700_000_000 * S
Row = dict[str, Any]
Seen = list[tuple[int, str, int, float, float, float]]


def point(value: float, addr: int = 0, kind: PointType = PointType.U16, **more: Any) -> Row:
    base = {"space": int(Space.HOLDING_REGISTER), "addr": addr, "value": value, "type": int(kind)}
    return base | {"direction": int(Direction.READ)} | more


def record(second: float, *points: Row, device: int = 1, unit: int = 1) -> Row:
    return {"ts": START + round(second * S), "device": device, "unit": unit, "points": list(points)}


def titles(alerts: Alerts) -> Seen:
    uids = {f.code: f.uid for f in ValueDetector.findings}
    columns = (alerts.row, alerts.what, alerts.severity, alerts.low, alerts.high, alerts.observed)
    return [
        (int(r), uids[int(w)], int(s), float(low), float(high), float(x))
        for r, w, s, low, high, x in zip(*columns, strict=True)
    ]


def judge(detector: ValueDetector, rows: list[Row]) -> Seen:
    return titles(detector.on_batch(records(rows)))


def detector(params: Params | None = None, **learning: Any) -> ValueDetector:
    return ValueDetector(params or Params(), Learning(**learning))


def series(values: Iterable[float], start: int = 0, step: float = 1.0, **more: Any) -> list[Row]:
    """One tag, a value each `step` seconds."""
    return [record(start + i * step, point(float(x), **more)) for i, x in enumerate(values)]


def distinct_of(values: list[float]) -> int:
    bits = np.uint64(0)
    for x in values:
        bits |= np.uint64(bit_of(x))
    return int(popcount(bits))


SHAPES: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "constant": lambda rng, n: np.full(n, 7.0),
    "bits": lambda rng, n: rng.integers(0, 2, n),
    "states": lambda rng, n: rng.choice([3, 17, 90], n),
    "walk": lambda rng, n: np.round(50 + np.cumsum(rng.normal(0, 0.4, n))),
    "level": lambda rng, n: 400 + 100 * np.sin(np.arange(n) / 9.0) + rng.normal(0, 3, n),
    "noise": lambda rng, n: rng.normal(20, 1, n),
    "counter": lambda rng, n: np.cumsum(rng.integers(0, 900, n)) % 65_536,
    "falling": lambda rng, n: 60_000 - np.cumsum(rng.integers(0, 40, n)),
    "low word": lambda rng, n: rng.integers(0, 65_536, n),
    "rests": lambda rng, n: np.where(
        np.arange(n) > 200, 50.0, np.round(50 + 9 * np.sin(np.arange(n)) + rng.normal(0, 1, n))
    ),
    "typed": lambda rng, n: 400 + np.round(100 * np.sin(np.arange(n) / 9.0) + rng.normal(0, 3, n)),
    "spikes": lambda rng, n: rng.normal(20, 1, n) + 50 * (rng.random(n) < 0.02),
    "odd numbers": lambda rng, n: rng.choice([0.0, -0.0, math.nan, math.inf, 1e308, -1e308, 5e-324], n),
}


def mixture(seed: int) -> list[Row]:
    """All shapes at once, as reads of two devices and as writes, with silences, late records and bad points."""
    rng = np.random.default_rng(seed)
    n = 260
    signals = {name: shape(rng, n) for name, shape in SHAPES.items()}
    kinds = [PointType.U16, PointType.I16, PointType.F32, PointType.U32, PointType.BOOL, PointType.TEXT]
    types = {name: kinds[int(rng.integers(0, 6))] if rng.random() < 0.3 else PointType.U16 for name in SHAPES}
    rows, second = [], 0.0
    for i in range(n):
        second += float(rng.exponential(1.0)) * (40 if rng.random() < 0.01 else 1) - (rng.random() < 0.02)
        points = []
        for addr, (name, signal) in enumerate(signals.items()):
            more: Row = {"addr_sub": addr % 2, "name_id": addr // 9}
            if name == "typed" and i > n // 2:
                more["type"] = 128 | int(PointType.F32)
            if rng.random() < 0.1:
                more["direction"] = int(rng.integers(0, 6))
            if rng.random() < 0.05:
                more["quality"] = int(1 << rng.integers(0, 13))
            points.append(point(float(signal[i]), addr, types[name], **more))
        rows.append(record(second, *points, device=1 + 1024 * int(rng.random() < 0.2), unit=int(rng.random() < 0.1)))
    return rows


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("mode", ["detect", "learn"])
def test_it_agrees_with_its_twin(seed: int, mode: Any) -> None:
    rows = mixture(seed)
    params = Params(window_s=20.0, rearm_s=60.0)
    learning = Learning(mode=mode, value_s=60.0, value_samples=40, write_samples=4)
    expected = twin.Value(params, learning, distinct_of).judge(rows)
    ours = judge(ValueDetector(params, learning), rows)
    assert [found[:3] for found in ours] == [found[:3] for found in expected]
    np.testing.assert_allclose([f[3:] for f in ours], [f[3:] for f in expected], rtol=1e-12)
    assert bool(ours) == (mode == "detect")


def kind_of(values: Iterable[float], **more: Any) -> str:
    counters = dict(ours.counters()) if (ours := _fed(values, **more)) else {}
    return next(kind for kind in settle.KINDS if kind and counters[kind])


def _fed(values: Iterable[float], **more: Any) -> ValueDetector:
    ours = detector()
    ours.on_batch(records(series(values, **more)))
    assert ours.counters()["live"] == 1
    return ours


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ("constant", "constant"),
        ("bits", "discrete"),
        ("states", "discrete"),
        ("level", "analog"),
        ("noise", "analog"),
        ("counter", "counter"),
        ("falling", "counter"),
        ("low word", "unscorable"),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_a_tag_is_told_by_what_it_shows(shape: str, kind: str, seed: int) -> None:
    assert kind_of(SHAPES[shape](np.random.default_rng(seed), 320)) == kind


@pytest.mark.parametrize("seed", range(5))
def test_a_float_in_two_registers_does_not_alarm_for_ever(seed: int) -> None:
    rng = np.random.default_rng(seed)
    level = (40 + 5 * np.sin(np.arange(2000) / 30) + rng.normal(0, 0.05, 2000)).astype(np.float32)
    words = level.view(np.uint32)
    ours = detector()
    rows = [record(i, point(float(w >> 16), 0), point(float(w & 0xFFFF), 1)) for i, w in enumerate(words)]
    assert judge(ours, rows) == []
    assert ours.counters()["unscorable"] == 1


def test_a_value_alarms_beyond_its_margin_and_weighs_by_how_far() -> None:
    """One just beyond it must be there for two polls."""
    ours = detector()
    assert judge(ours, series([100.0 + abs(i % 80 - 40) for i in range(400)])) == []
    found = []
    # One probe per fresh copy of the state, each reached by a step back into the range first.
    state = ours.snapshot(np.arange(1024))
    for probe in (144.0, 144.1, 149.9, 150.1, 159.9, 160.1, 96.0, 95.9):
        again = detector()
        again.restore(state)
        told = [f for f in judge(again, series([140.0, probe, probe], 400)) if f[1] == "value.range"]
        found += [(probe, told[0][0], told[0][2])] if told else []
    assert found == [
        (144.1, 2, Severity.LOW),
        (149.9, 2, Severity.LOW),
        (150.1, 1, Severity.MEDIUM),
        (159.9, 1, Severity.MEDIUM),
        (160.1, 1, Severity.HIGH),
        (95.9, 2, Severity.LOW),
    ]


def test_a_constant_alarms_at_any_other_value() -> None:
    ours = detector()
    judge(ours, series([42.0] * 310))
    assert [(r, u) for r, u, *_ in judge(ours, series([42.0, math.nextafter(42.0, 43.0)], 400))] == [
        (1, "value.constant")
    ]


def test_states_have_no_margin() -> None:
    ours = detector()
    judge(ours, series([i % 3 for i in range(310)]))
    assert [f[5] for f in judge(ours, series([0, 2, 1, 2.01, -0.01], 400))] == [2.01, -0.01]


def test_a_step_within_the_range_alarms_where_it_is_too_large() -> None:
    values = [abs(i % 200 - 100.0) for i in range(400)]
    ours = detector()
    judge(ours, series(values))
    limit = 1.5 * 1.0 + 0.05 * 100.0
    assert judge(ours, series([99.0, 99.0 - limit], 400)) == []
    alarmed = judge(ours, series([99.0 - 2 * limit - 0.01, 99.0], 402))
    assert [(row, uid, rank) for row, uid, rank, *_ in alarmed] == [
        (0, "value.jump", Severity.LOW),
        (1, "value.jump", Severity.MEDIUM),
    ]


def test_silence_allows_a_larger_step_and_does_not_hide_a_jump() -> None:
    values = [abs(i % 200 - 100.0) for i in range(400)]
    for silence, alarms in ((1.0, True), (4.0, False)):
        ours = detector()
        judge(ours, series(values))
        assert bool(judge(ours, [record(399 + silence, point(79.0))])) == alarms


def test_written_values_are_judged_by_what_was_written_alone() -> None:
    ours = detector()
    rows = []
    for i in range(400):
        rows.append(record(i, point(100.0 + i % 50)))
        if i % 20 == 0:
            rows.append(record(i + 0.5, point(120.0 + i // 20 % 3, direction=int(Direction.WRITTEN))))
    assert judge(ours, rows) == []
    rows = [record(500, point(130.0, direction=int(Direction.WRITTEN))), record(501, point(130.0))]
    assert [(r, uid, rank) for r, uid, rank, *_ in judge(ours, rows)][:1] == [(0, "value.written_range", Severity.HIGH)]
    assert all(uid != "value.range" for _, uid, *_ in judge(ours, [record(502, point(131.0))]))


def test_what_was_never_written_is_judged_by_what_was_reported_and_learned_only_within() -> None:
    def writes(second: float, x: float) -> Row:
        return record(second, point(x, direction=int(Direction.WRITTEN)))

    one = detector(value_s=100.0, write_samples=2)
    assert judge(one, series([40.0 + i % 20 for i in range(200)])) == []
    assert judge(one, [writes(200, 55.0)]) == []
    other = detector(value_s=100.0, write_samples=2)
    assert judge(other, series([40.0] * 200)) == []
    told = [(0, "value.written_range", Severity.MEDIUM, 40.0, 40.0, 80.0)]
    assert judge(other, [writes(200, 80.0)]) == told
    assert judge(other, [writes(201 + second, 80.0) for second in range(700)])[-1][0] < 600
    assert judge(other, series([80.0], start=902)) == [], "the write was told"
    assert judge(other, [writes(5000, 80.0)]) == told, "nothing of it was learned"


def test_what_alarms_is_not_learned() -> None:
    ours = detector()
    judge(ours, series([100.0 + i % 40 for i in range(400)]))
    assert len(judge(ours, series([500.0] * 100, 400))) == 100


def test_a_value_that_stays_outside_is_told_for_a_while_then_again_after_an_hour_or_after_its_return() -> None:
    ours = detector()
    judge(ours, series([42.0] * 310))
    stuck = series([43.0] * 500, 400, step=10.0)
    seconds = [10 * row for row, *_ in judge(ours, stuck)]
    assert seconds == [*range(0, 600, 10), *range(3600, 4200, 10)]
    assert len(judge(ours, series([42.0, 43.0], 5400))) == 1


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"quality": int(Quality.ADDRESS_UNKNOWN)}, "bad quality"),
        ({"quality": int(Quality.INVALID)}, "bad quality"),
        ({"direction": int(Direction.ECHO)}, "echo or unknown direction"),
        ({"type": int(PointType.TEXT)}, "text or bytes"),
        ({"value": math.nan}, "not a number"),
        ({"value": -math.inf}, "not a number"),
    ],
)
def test_values_that_mean_nothing_are_passed_over_and_counted(more: Row, reason: str) -> None:
    ours = detector()
    judge(ours, series([42.0] * 310))
    assert judge(ours, [record(400, point(99.0) | more)]) == []
    assert ours.counters()[f"skipped: {reason}"] == 1


def test_learning_takes_both_time_and_values() -> None:
    quick, slow = detector(), detector()
    judge(quick, series([1.0] * 250, step=1.0))
    judge(slow, series([1.0] * 59, step=60.0))
    assert quick.counters()["shadow"] == slow.counters()["shadow"] == 1
    judge(quick, series([1.0] * 60, 250))
    judge(slow, series([1.0], 3600))
    assert quick.counters()["live"] == slow.counters()["live"] == 1


def test_a_signal_that_still_grows_at_the_end_of_learning_gets_more_margin() -> None:
    settled = detector(mode="learn")
    judge(settled, series([50.0 + 10 * math.sin(i) for i in range(512)]))
    growing = detector(mode="learn")
    judge(growing, series([50.0 + i / 50 * math.sin(i) for i in range(512)]))

    def margin(of: ValueDetector) -> float:
        rows = of.learned()
        return float(rows["value"][rows["parameter"] == "reported.margin"][0])

    assert margin(settled) < 0.11
    assert margin(growing) > 0.5


def test_a_tag_with_too_few_values_goes_into_a_baseline_as_not_learned() -> None:
    teacher = detector(mode="learn")
    rows = series([1.0] * 5) + series([2.0] * 50, addr=1) + series([3.0], addr=2, direction=int(Direction.WRITTEN))
    judge(teacher, rows)
    learned = teacher.learned()
    states = dict(zip(learned["addr"].tolist(), learned["state"].tolist(), strict=True))
    assert states == {0: LearnState.LEARN, 1: LearnState.LIVE, 2: LearnState.LIVE}
    pupil = detector()
    pupil.adopt(learned)
    probe = [point(9.0), point(9.0, 1), point(9.0, 2, direction=int(Direction.WRITTEN))]
    assert [uid for _, uid, *_ in judge(pupil, [record(0, *probe)])] == ["value.constant", "value.written_range"]


def test_a_poll_of_many_registers_fills_pages_of_eight() -> None:
    ours = detector()
    judge(ours, [record(0, *[point(float(a), a) for a in range(4, 129)])])
    assert ours.counters()["keys"] == 17
    assert ours.counters()["tags"] == 125


def test_a_record_with_more_values_than_there_is_room_for_alerts_is_judged_whole() -> None:
    ours = detector()
    normal = [point(1.0, a) for a in range(6000)]
    judge(ours, [record(5 * i, *normal) for i in range(62)])
    found = judge(ours, [record(400, *[point(2.0, a) for a in range(6000)])])
    assert [f[1] for f in found].count("value.constant") == 6000
