"""Replay: recordings are told, what repeats itself is not, and it agrees with its twin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.columns import records
from detectors.kernels import replay as kernel
from detectors.lifecycle import Learning
from detectors.replay import Params, ReplayDetector
from schemas.codes import Direction, Severity
from tests.reference import replay as twin

S = 1_000_000_000
START = 1_700_000_000 * S
Row = dict[str, Any]
Values = NDArray[np.float64]


def host(number: int) -> bytes:
    return bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([number])


def answers(courses: Values, start_s: int = 0, addr: int = 10, client: int = 1, **more: Any) -> list[Row]:
    """One answer a second, the rows of `courses` their values."""
    ends = {"src_ip": host(100), "dst_ip": host(client)}

    def points(values: Sequence[float]) -> list[Row]:
        read = {"space": 4, "direction": int(Direction.READ)}
        return [read | {"addr": addr + at, "value": float(value)} for at, value in enumerate(values)]

    base = {"device": 7, "unit": 1, "client_is_src": 0} | ends | more
    return [base | {"ts": START + (start_s + at) * S, "points": points(row)} for at, row in enumerate(courses)]


def noise(n: int, seed: int = 1, width: int = 3) -> Values:
    return np.random.default_rng(seed).integers(0, 500, (n, width)).astype(np.float64)


def detector(**learning: Any) -> ReplayDetector:
    return ReplayDetector(Params(), Learning(**{"value_s": 200.0, **learning}))


def told(rows: list[Row], one: ReplayDetector | None = None) -> list[tuple[int, float]]:
    alerts = (one or detector()).on_batch(records(rows))
    assert set(alerts.what.tolist()) <= {kernel.TYPE_REPLAY}
    assert set(alerts.severity.tolist()) <= {Severity.HIGH}
    return list(zip(alerts.row.tolist(), alerts.observed.tolist(), strict=True))


def test_a_recording_is_told_after_two_anchors_and_counted() -> None:
    course = noise(600)
    course[500:580] = course[300:380]
    found = told(answers(course))
    assert 530 <= found[0][0] < 550
    assert len(found) >= 2
    assert [many for _, many in found] == [32.0, 48.0, 64.0][: len(found)]
    assert found[-1][0] < 580


def test_one_that_is_too_short_or_differs_in_one_value_is_not() -> None:
    short = noise(600)
    short[500:530] = short[300:330]
    assert told(answers(short)) == []
    forged = noise(600)
    forged[500:580] = forged[300:380]
    forged[500:580:9, 1] += 1
    assert told(answers(forged)) == []


def test_a_ramp_may_come_again_though_learning_saw_it_once_only() -> None:
    ramp = np.concatenate([np.arange(400), np.arange(400)])
    assert told(answers(np.column_stack([ramp, 7 - ramp]).astype(np.float64))) == []


def test_what_repeats_itself_while_learning_is_left_alone() -> None:
    one = detector()
    assert told(answers(np.tile(noise(120), (6, 1))), one) == []
    assert one.counters()["left alone"] == 1
    assert one.counters()["judged"] == 0


def test_what_stands_still_is_not_a_repetition() -> None:
    course = noise(700)
    course[400:500] = course[399]
    assert told(answers(course)) == []


def test_each_client_and_each_block_has_its_own_past() -> None:
    """A second client that is told the same, later, is not told a recording; nor is one poll another."""
    course = noise(400)
    rows = answers(course) + answers(course, 400, client=2) + answers(course, 800, addr=50)
    assert told(sorted(rows, key=lambda row: row["ts"])) == []


def test_values_that_are_written_say_nothing() -> None:
    course = noise(600)
    course[500:580] = course[300:380]
    rows = answers(course)
    for row in rows:
        for point in row["points"]:
            point["direction"] = int(Direction.WRITTEN)
    one = detector()
    assert told(rows, one) == []
    assert one.counters()["keys"] == 0


def test_with_a_baseline_what_was_heard_since_may_not_come_again() -> None:
    teacher = detector(mode="learn")
    assert told(answers(noise(400)), teacher) == []
    taught = teacher.learned()
    assert taught["parameter"].tolist() == ["repeated"]
    assert (taught["addr"][0], taught["code"][0], taught["n"][0], taught["value"][0]) == (10, 3, 400, 0.0)
    one = detector()
    one.adopt(taught)
    fresh = noise(200, seed=5)
    assert told(answers(np.concatenate([fresh, fresh[50:120]]), 1000), one) != []
    assert all(np.array_equal(taught[name], column) for name, column in adopted(taught).items())


def adopted(taught: Any) -> Any:
    one = detector()
    one.adopt(taught)
    return one.learned()


def test_blocks_and_their_rings_are_bounded_and_what_goes_is_counted() -> None:
    one = ReplayDetector(Params(max_blocks=20, max_rings=2), Learning(value_s=200.0))
    rows = [row for addr in range(30) for row in answers(noise(20, addr), addr=100 * addr)]
    told(rows, one)
    counters = one.counters()
    assert (counters["keys"], counters["recorded"]) == (20, 2)
    assert counters["forgotten"] == 10 + 28


def test_it_agrees_with_its_twin() -> None:
    """Over blocks that are noise, recordings of it, and integers that come again by themselves."""
    found = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        width = int(rng.integers(1, 4))
        course = rng.integers(0, int(rng.choice([2, 4, 500])), (1500, width)).astype(np.float64)
        for _ in range(4):
            start, length = int(rng.integers(300, 1300)), int(rng.integers(20, 120))
            back = int(rng.integers(length, start))
            course[start : start + length] = course[start - back : start - back + length]
        rows = answers(course) + answers(noise(700, seed + 50, 2), addr=90, client=2)
        rows.sort(key=lambda row: row["ts"])
        for learns_only in (False, True):
            one = detector(mode="learn" if learns_only else "detect")
            ours = told(rows, one)
            assert ours == twin.replays(rows, 200.0, learns_only)
            found += len(ours)
    assert found > 20
