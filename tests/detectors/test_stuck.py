"""Standstills of values against the plain-Python twin, and what makes one strange."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from detectors.columns import records
from detectors.kernels import still
from detectors.kernels.wide import TYPED
from detectors.lifecycle import Learning
from detectors.value import Params, ValueDetector
from schemas.codes import Direction, PointType, Severity, Space
from tests.reference import value as twin

S = 1_000_000_000
START = 1_700_000_000 * S
ALL = np.arange(1024)
Row = dict[str, Any]


def poll(second: float, value: float, **more: Any) -> Row:
    base = {"space": int(Space.INPUT_REGISTER), "addr": 3, "value": value, "type": int(PointType.U16)}
    point = base | {"direction": int(Direction.READ)} | more
    return {"ts": START + round(second * S), "device": 1, "unit": 1, "points": [point]}


def series(values: Iterable[float], start: float = 0.0, step: float = 1.0, **more: Any) -> list[Row]:
    return [poll(start + i * step, float(x), **more) for i, x in enumerate(values)]


def level(n: int, hold: int = 1) -> list[float]:
    """A quantity that goes round between 100 and 200, standing for `hold` polls at each value."""
    return [150.0 + round(50 * math.sin(i // hold / 7)) + i // hold % 3 for i in range(n)]


def learned(values: Iterable[float]) -> ValueDetector:
    """A detector that has learned all of `values`, one a second, and then seen 150."""
    teacher, ours = ValueDetector(Params(), Learning(mode="learn")), ValueDetector(Params(), Learning())
    teacher.on_batch(records(series(values)))
    ours.adopt(teacher.learned())
    assert ours.counters()["live"] == 1
    assert stuck(ours, [poll(0, 150.0)]) == []
    return ours


def stuck(ours: ValueDetector, rows: list[Row]) -> list[int]:
    """Rows at which a standstill is told."""
    alerts = ours.on_batch(records(rows))
    uids = {f.code: f.uid for f in ours.findings}
    assert {uids[int(w)] for w in alerts.what} <= {"value.stuck"}
    assert all(s == Severity.MEDIUM for s in alerts.severity)
    return [int(row) for row in alerts.row]


@pytest.mark.parametrize("seed", range(6))
def test_standstills_agree_with_the_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    second = 0.0
    for part in range(40):
        pace = 0.2 if rng.random() < 0.1 else 1.0
        rest = rng.random() < (0.3 if part > 15 else 0.0)
        x = 150.0
        for i in range(50):
            second += pace * float(rng.uniform(0.8, 1.2)) + (700.0 if rng.random() < 0.002 and part > 10 else 0.0)
            x = x if rest and i > 2 else float(rng.integers(100, 120 + 10 * (seed % 3)))
            rows.append(poll(second, x))
            rows[-1]["points"].append(poll(0, float(i // (2 + seed) % 7 * 5 + 100), addr=4)["points"][0])
            if rng.random() < 0.01 and seed > 3:
                rows.append(poll(second, 104.0, addr=3 + int(rng.integers(0, 2)), direction=int(Direction.WRITTEN)))
    params = Params(window_s=20.0, rearm_s=60.0)
    learning = Learning(value_s=300.0, value_samples=300)

    def distinct_of(values: list[float]) -> int:
        return len(set(values))

    expected = twin.Value(params, learning, distinct_of).judge(rows)
    ours = ValueDetector(params, learning)
    uids = {f.code: f.uid for f in ours.findings}
    alerts = ours.on_batch(records(rows))
    found = [(int(r), uids[int(w)]) for r, w in zip(alerts.row, alerts.what, strict=True)]
    assert found == [f[:2] for f in expected]
    assert seed > 3 or "value.stuck" in {uid for _, uid in found}


@pytest.mark.parametrize("share", [1e-6, 0.03, 0.2, 0.5, 0.9, 0.99, 0.9995])
def test_patience_is_the_logarithm_that_it_stands_for(share: float) -> None:
    assert still.patience(share) == min(math.ceil(math.log(1e-9) / math.log(share)), still.LONGEST)


def test_patience_has_ends() -> None:
    assert still.patience(0.0) == 1
    assert still.patience(1.0) == still.LONGEST


def test_a_quantity_that_always_moved_is_told_when_it_stands_longer_than_chance_allows() -> None:
    values = level(600, hold=2)
    ours = learned(values)
    limit = still.patience(1 - sum(a != b for a, b in pairwise(values)) / 599)
    assert 20 < limit < 45
    assert stuck(ours, series([150.0] * limit, 1)) == []
    assert stuck(ours, series([150.0], limit + 1)) == [0]
    assert stuck(ours, series([151.0, *[152.0] * (limit + 1)], 100)) == []
    assert stuck(ours, series([152.0], 101 + limit + 1)) == [0]


def test_a_longer_standstill_while_learning_is_given_half_as_much_again() -> None:
    values = level(600)
    values[300:331] = [values[300]] * 31
    ours = learned(values)
    assert stuck(ours, series([150.0] * 80, 1))[:1] == [3 * 30 // 2 + 2]


def test_it_is_told_for_a_while_and_again_after_an_hour() -> None:
    ours = learned(level(600))
    seconds = [10 * row for row in stuck(ours, series([150.0] * 500, 1, step=10.0))]
    first = seconds[0]
    assert first < 100
    assert seconds == [*range(first, first + 600, 10), *range(first + 3600, min(first + 4200, 5000), 10)]


def test_more_polls_in_the_same_time_are_no_standstill() -> None:
    values = level(1200, hold=2)
    ours = learned(values)
    fast = [poll(1 + i * 0.01, 150.0) for i in range(300)]
    assert stuck(ours, fast) == []
    assert stuck(ours, series([150.0] * 40, 4)) != []


def test_after_a_long_silence_nobody_knows() -> None:
    ours = learned(level(600, hold=2))
    assert stuck(ours, series([150.0] * 25, 1) + series([150.0] * 25, 800)) == []


def test_a_tag_that_rests_for_long_is_left_alone() -> None:
    values = level(600)
    values[200:280] = [values[200]] * 80
    assert stuck(learned(values), series([150.0] * 500, 1)) == []


def test_states_and_counters_and_seldom_changes_are_left_alone() -> None:
    states, counter = [149.0 + i % 3 for i in range(600)], [7.0 * i for i in range(600)]
    for values in (states, counter, level(600, hold=14)):
        assert stuck(learned(values), series([150.0] * 300, 1)) == []


def test_a_tag_that_somebody_writes_is_left_alone() -> None:
    ours = learned(level(600))
    ours.on_batch(records([poll(1, 150.0, direction=int(Direction.WRITTEN))]))
    assert stuck(ours, series([150.0] * 100, 2)) == []


def test_a_baseline_without_it_says_nothing() -> None:
    teacher = ValueDetector(Params(), Learning(mode="learn"))
    teacher.on_batch(records(series(level(600))))
    rows = teacher.learned()
    for parameter, told in (("gap_ns", True), ("unchanged", False)):
        without = ~np.char.endswith(rows["parameter"], parameter)
        pupil = ValueDetector(Params(), Learning())
        pupil.adopt({name: column[without] for name, column in rows.items()})
        assert bool(stuck(pupil, series([150.0] * 100))) == told


def test_a_tag_that_the_site_file_now_reads_otherwise_is_learned_anew() -> None:
    typed = {"type": TYPED | int(PointType.F32)}
    ours = learned(level(600))
    state = ours.snapshot(ALL)
    assert len(ours.on_batch(records([poll(1, 9e9)]))) == 1
    assert len(ours.on_batch(records(series([9e9] * 50, 2, **typed)))) == 0
    assert ours.counters()["learn"] == 1
    ours.restore(state)
    assert len(ours.on_batch(records([poll(1, 9e9, type=int(PointType.F32))]))) == 1
