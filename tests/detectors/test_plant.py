"""Plant: what it learns, what it tells and of whom, and that it agrees with its twin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.columns import Columns, records
from detectors.lifecycle import Learning
from detectors.plant import Params, PlantDetector
from detectors.plant_fit import fit
from schemas.codes import Direction, Kind, Match, Op, Quality, Severity, Space
from tests.reference import plant as twin

S = 1_000_000_000
STEP = 10 * S
START = 1_700_000_000 * S
SHORT = Params(least_learning_s=0.0)
UID = {f.code: f.uid for f in PlantDetector.findings}
F64 = NDArray[np.float64]


def record(step: float, values: dict[int, float], device: int = 7, quality: int = 0) -> dict[str, Any]:
    return {
        "ts": START + round(step * STEP),
        "device": device,
        "unit": 1,
        "kind": int(Kind.RESPONSE),
        "op": int(Op.READ),
        "match": int(Match.MATCHED),
        "points": [
            {
                "space": int(Space.INPUT_REGISTER),
                "addr": addr,
                "value": x,
                "direction": int(Direction.READ),
                "quality": quality,
            }
            for addr, x in values.items()
        ],
    }


def stream(rows: F64, first: int = 0, **more: Any) -> Columns:
    return records([record(first + i, dict(enumerate(row.tolist())), **more) for i, row in enumerate(rows)])


def process(n: int, seed: int, phase: float = 0.0) -> F64:
    """Two flows, their sum and their difference, and a level that follows; with noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) + phase
    one, two = 3 + np.sin(t / 3), 3 + np.sin(t / 4.3)
    level = 5 + np.sin(t / 6)
    return np.column_stack([one, two, one + two, one - two, level]) + 0.02 * rng.standard_normal((n, 5))


def learned(rows: F64, params: Params | None = None) -> PlantDetector:
    teacher = PlantDetector(params or SHORT, Learning(mode="learn"))
    teacher.on_batch(stream(rows))
    pupil = PlantDetector(params or SHORT, Learning())
    pupil.adopt(teacher.learned())
    return pupil


def told(one: PlantDetector, batch: Columns) -> list[tuple[str, int, int]]:
    """(finding type, severity, address)"""
    a = one.on_batch(batch)
    return [(UID[int(a.what[i])], int(a.severity[i]), int(batch.points.addr[a.point[i]])) for i in range(len(a))]


def test_clean_rows_are_quiet_and_a_value_within_its_own_range_is_told_when_the_others_disagree() -> None:
    one = learned(process(500, 1))
    assert told(one, stream(process(200, 2, 500), first=500)) == []
    forged = process(60, 3, 700)
    forged[20:, 2] = 6.0
    found = told(one, stream(forged, first=700))
    assert ("plant.deviation", Severity.MEDIUM, 2) in found
    assert {uid for uid, *_ in found} == {"plant.deviation", "plant.contributor"}


def test_what_is_told_names_the_tag_its_value_and_what_is_normal_of_it() -> None:
    one = learned(process(500, 1))
    forged = process(60, 3, 700)
    forged[20:, 3] += 1.0
    batch = stream(forged, first=700)
    a = one.on_batch(batch)
    first = int(np.argmax(a.what == 1001))
    assert batch.points.addr[a.point[first]] == 3
    assert a.observed[first] == batch.points.value[a.point[first]]
    assert a.low[first] < 0 < a.high[first]
    children = a.what == 1002
    assert (a.parent[children] == a.key[first]).all()


def test_without_a_baseline_it_says_nothing() -> None:
    one = PlantDetector(Params(), Learning())
    assert told(one, stream(process(300, 1))) == []
    assert one.counters()["keys"] == 0


def test_counters_and_constants_are_no_part_of_a_model() -> None:
    rows = process(500, 1)
    more = np.column_stack([rows, np.arange(500.0), np.full(500, 4.0)])
    one = learned(more)
    assert one.counters()["tags"] == 5


def test_a_quantity_that_drifts_is_left_out_and_one_that_rests_is_not() -> None:
    rows = np.column_stack([process(600, 3), np.zeros(600)])
    rows[:, 4] += np.arange(600) / 20
    rows[300:310, 5] = 1.0
    model = fit(np.arange(600), rows, 0.3, 1.3)
    assert model is not None
    assert model.keep.tolist() == [True, True, True, True, False, True]


@pytest.mark.parametrize("n", [100, 151])
def test_too_few_rows_give_no_model(n: int) -> None:
    assert learned(process(n, 1)).counters()["keys"] == (n > 150)


def test_many_devices_with_many_tags_all_find_their_models() -> None:
    """More than the tables hold at first: what is added moves the rows."""
    rows = np.hstack([process(200, 1)] * 8)
    teacher, pupil = PlantDetector(SHORT, Learning(mode="learn")), PlantDetector(SHORT, Learning())
    for device in range(20):
        wide = [
            record(i, {8 * tag: x for tag, x in enumerate(row.tolist())}, device=device) for i, row in enumerate(rows)
        ]
        teacher.on_batch(records(wide))
    pupil.adopt(teacher.learned())
    state = pupil.snapshot(np.arange(1024))
    assert sorted(state["devices/group.model"].ravel().tolist()) == list(range(20))
    assert (state["pages/tag.index"] >= 0).sum() == 800


def test_a_model_that_is_not_whole_is_refused() -> None:
    teacher = PlantDetector(SHORT, Learning(mode="learn"))
    teacher.on_batch(stream(process(500, 1)))
    rows = dict(teacher.learned())
    for name, value in (("kept", 99.0), ("scale", 0.0), ("grid", 0.0), ("limit.spe", 0.0)):
        broken = rows | {"value": np.where(rows["parameter"] == name, value, rows["value"])}
        with pytest.raises(ValueError, match="model of device 7 is not whole"):
            PlantDetector(SHORT, Learning()).adopt(broken)


def test_what_is_learned_does_not_depend_on_batching() -> None:
    rows = process(400, 1)
    one, other = (PlantDetector(SHORT, Learning(mode="learn")) for _ in range(2))
    batch = records(
        [r for i, row in enumerate(rows) for r in [record(i + n / 9, dict(enumerate(row))) for n in range(9)]]
    )
    one.on_batch(batch)
    for start in range(0, len(batch), 7):
        other.on_batch(batch.slice(start, min(start + 7, len(batch))))
    for name, column in one.learned().items():
        np.testing.assert_array_equal(column, other.learned()[name])


def test_an_hour_is_too_short_to_learn_a_plant() -> None:
    """8,640 steps of ten seconds are a day."""
    assert learned(process(8640, 1), Params()).counters()["keys"] == 0
    assert learned(process(8641, 1), Params()).counters()["keys"] == 1


def test_values_that_are_no_use_change_nothing() -> None:
    rows = process(500, 1)
    one, other = learned(rows), learned(rows)
    clean = stream(process(50, 2, 500), first=500)
    one.on_batch(clean)
    for batch in (
        stream(np.full((40, 5), 1e9), first=500, quality=int(Quality.INVALID)),
        stream(np.full((40, 5), np.nan), first=500),
        stream(np.full((40, 5), np.inf), first=500),
        stream(np.full((40, 5), 1e200), first=500),
        stream(np.full((40, 5), 1e9), first=500, device=8),
    ):
        assert told(other, batch) == []


def test_a_pause_is_no_deviation() -> None:
    one = learned(process(500, 1))
    assert told(one, stream(process(50, 2, 500), first=500)) == []
    assert told(one, stream(process(50, 3, 5000), first=600)) == []


def test_a_grid_that_was_learned_is_the_one_that_is_judged_on() -> None:
    teacher = PlantDetector(Params(grid_s=20.0, least_learning_s=0.0), Learning(mode="learn"))
    teacher.on_batch(stream(process(900, 1)))
    pupil = PlantDetector(Params(grid_s=10.0), Learning())
    pupil.adopt(teacher.learned())
    assert told(pupil, stream(process(200, 2, 900), first=900)) == []


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_its_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = process(500, seed)
    one = learned(rows)
    model = fit(np.arange(500), rows, SHORT.smooth, SHORT.margin)
    assert model is not None
    other = twin.Plant(model, SHORT.smooth, SHORT.hysteresis)
    judged = process(400, seed + 10, 500)
    judged[200:260, int(rng.integers(0, 5))] += 0.6
    step = 500
    flags: list[tuple[bool, bool]] = []
    due: dict[int, str] = {}
    since: int | None = None
    for row in judged:
        step += int(rng.choice([1, 1, 1, 1, 2, 4, 9], p=[0.3, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02]))
        values = {tag: float(x) for tag, x in enumerate(row) if rng.random() < 0.95}
        blamed = other.take(step, values)
        since = step if blamed and (since is None or step - since >= 360) else since
        if blamed and since is not None and step - since < 60:
            due = dict.fromkeys(blamed, "plant.contributor") | {blamed[0]: "plant.deviation"}
        expected = {(due.pop(tag), tag) for tag in [*due] if tag in values}
        assert {(uid, addr) for uid, _, addr in told(one, records([record(step, values)]))} == expected
        state = one.snapshot(np.array([7]))
        flags.append((bool(other.over), bool(state["devices/group.alarmed"][0])))
    assert [a for a, _ in flags] == [b for _, b in flags]
    assert any(a for a, _ in flags)
    assert not all(a for a, _ in flags)
