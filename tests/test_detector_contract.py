"""What every detector promises, over the registry and the detectors' own examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.base import FITS, TICK_NS, Alerts, Detector, Mark, State
from detectors.columns import Columns, Points, records
from detectors.lifecycle import Learning
from detectors.registry import ACROSS, REGISTERED, load
from schemas.baseline import BASELINE_COLUMNS
from schemas.codes import BUCKETS, Kind, MarkKind
from schemas.record import POINT_COLUMNS, RECORD_COLUMNS

NAMES = sorted(REGISTERED)
ALL = np.arange(BUCKETS)
Found = list[tuple[Any, ...]]
Ticks = Sequence[tuple[int, int]]


def module(name: str) -> Any:
    return import_module(REGISTERED[name].partition(":")[0])


def build(name: str, **learning: Any) -> Detector:
    """A new detector; one that judges nothing without a baseline has learned the clean part of its example."""
    params = getattr(module(name), "EXAMPLE_PARAMS", None) or module(name).Params()
    detector = load(name)(params, Learning(**learning))
    if getattr(module(name), "NEEDS_BASELINE", False) and learning.get("mode") != "learn":
        detector.adopt(taught(name))
    return detector


@cache
def taught(name: str) -> Mapping[str, NDArray[Any]]:
    teacher = build(name, mode="learn")
    feed(teacher, clean(name, whole(module(name).example(np.random.default_rng(7)))))
    return teacher.learned()


def whole(parts: Sequence[Columns]) -> Columns:
    """All records of an example as one batch."""
    columns = {c.name: np.concatenate([getattr(p, c.name) for p in parts]) for c in RECORD_COLUMNS}
    points = {c.name: np.concatenate([getattr(p.points, c.name) for p in parts]) for c in POINT_COLUMNS}
    offsets = np.concatenate([[0], np.cumsum(columns["n_points"])]).astype(np.int32)
    for array in (*columns.values(), *points.values(), offsets):
        array.flags.writeable = False
    return Columns(**columns, offsets=offsets, points=Points(**points))


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def stream(name: str) -> Columns:
    return whole(module(name).example(np.random.default_rng(7)))


def about(batch: Columns, alerts: Alerts) -> Found:
    """Alerts without what depends on batching: `row` and `point` are positions in a batch."""

    def number(x: np.float64) -> float | None:
        return None if np.isnan(x) else float(x)

    return [
        (
            int(batch.device[row]),
            int(batch.seq[row]),
            int(alerts.what[i]),
            int(alerts.key[i]),
            int(alerts.parent[i]),
            int(alerts.severity[i]),
            int(alerts.outcome[i]),
            number(alerts.low[i]),
            number(alerts.high[i]),
            number(alerts.observed[i]),
        )
        for i, row in enumerate(alerts.row)
    ]


def feed(detector: Detector, stream: Columns, cuts: Sequence[int] = (), ticks: Ticks | None = None) -> Found:
    """The alerts of `stream` cut at `cuts`; it hears of time where it wants to, by default at `ticks_of(stream)`."""
    places: dict[int, list[int]] = {}
    for seq, ts in (ticks_of(stream) if ticks is None else ticks) if detector.wants_time else ():
        places.setdefault(int(np.searchsorted(stream.seq, np.uint64(seq))), []).append(ts)
    found: Found = []
    edges = sorted({0, *cuts, *places, len(stream)})
    for start, stop in pairwise([*edges, len(stream)]):
        for ts in places.get(start, ()):
            late = detector.on_mark(Mark(MarkKind.TIME, ts))
            found += about(*late) if late is not None else []
        batch = stream.slice(start, stop)
        found += about(batch, detector.on_batch(batch))
    return found


def ticks_of(stream: Columns) -> Ticks:
    """(number of the record before which it stands, ns) of each further ten seconds in a stream."""
    tick = np.maximum.accumulate(stream.ts // TICK_NS)
    places = np.flatnonzero(np.diff(tick, prepend=tick[:1])).tolist()
    return [(int(stream.seq[at]), int(tick[at]) * TICK_NS) for at in places]


def part(stream: Columns, start: int, stop: int) -> tuple[Columns, Ticks]:
    """Records of a stream, and the ticks that stand before them in it."""
    piece = stream.slice(start, stop)
    own = set(piece.seq.tolist())
    return piece, [(seq, ts) for seq, ts in ticks_of(stream) if seq in own]


def on(detector: Detector, stream: Columns, start: int, stop: int) -> Found:
    """The alerts of a part of a stream."""
    piece, ticks = part(stream, start, stop)
    return feed(detector, piece, ticks=ticks)


def start_of(stream: Columns) -> int:
    return int(stream.ts[0])


def assert_same_state(one: State, other: State) -> None:
    assert one.keys() == other.keys()
    for key, array in one.items():
        assert array.dtype == other[key].dtype, key
        np.testing.assert_array_equal(array, other[key], err_msg=key)


def test_its_example_alarms_near_the_threshold_and_only_after_learning(name: str, stream: Columns) -> None:
    detector = build(name, start_ns=start_of(stream))
    found = feed(detector, stream)
    codes = {code for _, _, code, *_ in found}
    assert codes <= {f.code for f in detector.findings}
    assert len(codes) >= min(3, len(detector.findings))
    silent = build(name, mode="learn")
    assert feed(silent, stream) == []


def test_finding_types_are_its_own_and_their_texts_can_be_filled(name: str) -> None:
    known = {"client", "device", "unit", "tag", "function", "op", "observed", "expected", "outcome"}
    known |= {"client_mac", "device_mac"}
    for finding in build(name).findings:
        assert finding.uid.startswith(f"{name}.")
        assert finding.text.format(**dict.fromkeys(known, "x"))
        assert 0 < finding.confidence <= 100
        assert all(a.technique.startswith("T0") and a.tactic.startswith("TA01") for a in finding.attacks)


def test_the_second_stage_has_no_time_but_that_of_its_panes() -> None:
    assert not any(build(each).wants_time for each in ACROSS)


def test_finding_codes_are_unique_over_all_detectors() -> None:
    codes = [f.code for each in NAMES for f in build(each).findings]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("given_start", [True, False])
def test_any_batching_gives_the_same_alerts_and_state(name: str, stream: Columns, given_start: bool) -> None:
    start = start_of(stream) if given_start else None
    rng = np.random.default_rng(11)
    reference = build(name, start_ns=start)
    expected = feed(reference, stream)
    random_cuts = [sorted(rng.integers(0, len(stream), 40).tolist()) for _ in range(5)]
    for cuts in ([], range(1, len(stream)), range(0, len(stream), 64), *random_cuts):
        detector = build(name, start_ns=start)
        assert feed(detector, stream, list(cuts)) == expected
        assert_same_state(detector.snapshot(ALL), reference.snapshot(ALL))


@pytest.mark.parametrize("given_start", [True, False])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_split_by_bucket_gives_the_same_alerts(name: str, stream: Columns, workers: int, given_start: bool) -> None:
    start = start_of(stream) if given_start else None
    expected = feed(build(name, start_ns=start), stream)
    found: Found = []
    for worker in range(workers):
        own = stream.take(np.flatnonzero(stream.bucket % workers == worker))
        found += feed(build(name, start_ns=start), own, range(0, len(own), 13), ticks_of(stream))
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_restored_anywhere_it_has_the_same_future(name: str, stream: Columns) -> None:
    start = start_of(stream)
    expected = feed(build(name, start_ns=start), stream)
    running = build(name, start_ns=start)
    found: Found = []
    for at in range(0, len(stream), 41):
        found += on(running, stream, at, min(at + 41, len(stream)))
        state = running.snapshot(ALL)
        running = build(name, start_ns=start)
        running.restore(state)
        assert_same_state(running.snapshot(ALL), state)
    assert found == expected


def test_buckets_move_between_workers_one_by_one(name: str, stream: Columns) -> None:
    start = start_of(stream)
    half = len(stream) // 2
    reference = build(name, start_ns=start)
    expected = feed(reference, stream)
    first = build(name, start_ns=start)
    found = on(first, stream, 0, half)
    second = build(name, start_ns=start)
    for bucket in np.unique(stream.bucket)[::-1]:
        second.restore(first.snapshot(np.array([bucket])))
    found += on(second, stream, half, len(stream))
    assert found == expected
    assert_same_state(second.snapshot(ALL), reference.snapshot(ALL))


def test_a_snapshot_is_of_the_buckets_asked_for_and_made_of_plain_arrays(name: str, stream: Columns) -> None:
    detector = build(name)
    feed(detector, stream)
    state = detector.snapshot(ALL)
    assert all(array.dtype.kind in "iufb" for array in state.values())
    mine = np.unique(stream.bucket)
    others = np.setdiff1d(ALL, mine)
    assert all(len(array) == 0 for array in detector.snapshot(others).values())
    assert any(len(array) for array in detector.snapshot(mine).values())
    before = {key: array.copy() for key, array in state.items()}
    feed(detector, stream)
    assert_same_state(state, before)


def test_nothing_comes_of_nothing(name: str) -> None:
    detector = load(name)(module(name).Params(), Learning())
    assert len(detector.on_batch(records([]))) == 0
    for kind in MarkKind:
        assert detector.on_mark(Mark(kind, 1_700_000_000_000_000_000)) is None
    assert detector.counters()["keys"] == 0
    assert all(len(column) == 0 for column in detector.learned().values())


def test_it_does_not_write_to_its_input(name: str, stream: Columns) -> None:
    copy = stream.take(np.arange(len(stream)))
    feed(build(name), stream)
    for c in RECORD_COLUMNS:
        np.testing.assert_array_equal(getattr(stream, c.name), getattr(copy, c.name))
    for field in fields(Points):
        np.testing.assert_array_equal(getattr(stream.points, field.name), getattr(copy.points, field.name))


def hostile(rng: np.random.Generator, n: int) -> Columns:
    """Records of random numbers in every column, with points of random numbers."""

    def anything(dtype: np.dtype[Any], size: int) -> NDArray[Any]:
        if dtype.kind == "f":
            return rng.choice([0.0, -0.0, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 1.5], size)
        info = np.iinfo(dtype)
        small = rng.integers(0, 4, size).astype(dtype)
        return np.where(rng.random(size) < 0.5, small, rng.integers(info.min, info.max, size, dtype, True))

    empty = records([])
    counts = rng.integers(0, 9, n)
    columns = {c.name: anything(getattr(empty, c.name).dtype, n) for c in RECORD_COLUMNS if not c.name.endswith("_ip")}
    columns |= {c: rng.integers(0, 3, (n, 2)).astype(np.uint64) for c in ("src_ip", "dst_ip")}
    columns["ts"] = rng.integers(0, 2_000_000_000, n) * 1_000_000_000
    columns["seq"] = np.arange(n, dtype=np.uint64)
    points = {c.name: anything(getattr(empty.points, c.name).dtype, int(counts.sum())) for c in POINT_COLUMNS}
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return Columns(**columns, offsets=offsets, points=Points(**points))


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=25, deadline=None)
def test_codes_and_numbers_that_nobody_knows_are_survived_alike(seed: int) -> None:
    stream = hostile(np.random.default_rng(seed), 60)
    for each in NAMES:
        one, other = build(each, site_s=1.0), build(each, site_s=1.0)
        assert feed(one, stream) == feed(other, stream, range(0, 60, 7))
        assert_same_state(one.snapshot(ALL), other.snapshot(ALL))
        one.learned()


def in_order(rows: Mapping[str, NDArray[Any]]) -> list[tuple[Any, ...]]:
    names = [c.name for c in BASELINE_COLUMNS if c.name != "detector"]
    return sorted(zip(*([x.tobytes() if c == "peer" else x for x in rows[c]] for c in names), strict=True), key=repr)


def clean(name: str, stream: Columns) -> Columns:
    """The part of an example that is normal: 290 seconds, if its module does not say otherwise."""
    seconds = getattr(module(name), "CLEAN_S", 290)
    return stream.slice(0, int(np.searchsorted(stream.ts, stream.ts[0] + seconds * 1_000_000_000)))


def test_what_is_learned_can_be_adopted(name: str, stream: Columns) -> None:
    teacher = build(name, mode="learn")
    feed(teacher, clean(name, stream))
    rows = teacher.learned()
    assert set(rows) == {c.name for c in BASELINE_COLUMNS} - {"detector"}
    assert len({len(column) for column in rows.values()}) == 1
    assert len(rows["device"]) > 0
    assert (rows["first"] <= rows["last"]).all()
    assert (rows["n"] > 0).all()
    pupil = build(name)
    pupil.adopt(rows)
    assert in_order(pupil.learned()) == in_order(rows)


def test_with_a_baseline_it_alarms_at_once_and_stays_quiet_over_what_was_learned(name: str, stream: Columns) -> None:
    teacher = build(name, mode="learn")
    feed(teacher, clean(name, stream))
    rows = teacher.learned()
    rest = stream.slice(len(clean(name, stream)), len(stream))
    pupil = build(name)
    pupil.adopt(rows)
    assert feed(pupil, clean(name, stream)) == []
    fresh = build(name)
    fresh.adopt(rows)
    assert feed(fresh, rest)


def test_an_adopted_baseline_survives_restore_and_gives_way_to_state(name: str, stream: Columns) -> None:
    teacher = build(name, mode="learn")
    feed(teacher, clean(name, stream))
    rest = stream.slice(len(clean(name, stream)), len(stream))
    reference = build(name)
    reference.adopt(teacher.learned())
    expected = feed(reference, rest)
    running = build(name)
    running.adopt(teacher.learned())
    found = on(running, rest, 0, 30)
    for adopts in (False, True):
        again = build(name)
        if adopts:
            again.adopt(teacher.learned())
        again.restore(running.snapshot(ALL))
        assert found + on(again, rest, 30, len(rest)) == expected


def test_counters_speak_of_its_state(name: str, stream: Columns) -> None:
    detector = build(name)
    feed(detector, stream)
    counters = detector.counters()
    assert counters["keys"] > 0
    assert counters["state_bytes"] > 0
    assert counters["forgotten"] == counters["refused"] == 0


def test_a_full_bucket_forgets_and_says_so(name: str, stream: Columns) -> None:
    rng = np.random.default_rng(3)
    many = hostile(rng, 3000)
    ours = {c.name: getattr(many, c.name) for c in RECORD_COLUMNS}
    ours |= {"device": np.full(3000, 5, np.uint64), "kind": np.full(3000, Kind.REQUEST, np.uint8)}
    ours |= {"src_ip": rng.integers(0, 1 << 60, (3000, 2)).astype(np.uint64)}
    if name in ACROSS:  # their keys are addresses, and the devices that these reach while they learn
        ours |= {"device": rng.integers(0, 3000, 3000).astype(np.uint64) * np.uint64(BUCKETS) + np.uint64(5)}
        ours |= {"ts": np.sort(many.ts) // 4}
    flood = Columns(**ours, offsets=many.offsets, points=many.points)
    if getattr(module(name), "NEEDS_BASELINE", False):  # nothing from the wire makes it hold more
        detector = build(name)
        keys = detector.counters()["keys"]
        feed(detector, flood)
        assert detector.counters()["keys"] == keys > 0
        return
    limit = {{"value": "max_pages", "replay": "max_blocks"}.get(name, "max_keys"): 50}
    one = load(name)(module(name).Params(**limit), Learning(start_ns=0, site_s=1e9))
    other = load(name)(module(name).Params(**limit), Learning(start_ns=0, site_s=1e9))
    found = feed(one, flood)
    assert one.counters()["keys"] == 50
    assert one.counters()["forgotten"] > 0
    assert feed(other, flood, range(0, 3000, 17)) == found
    assert_same_state(one.snapshot(ALL), other.snapshot(ALL))


@pytest.mark.parametrize("name", NAMES)
def test_each_finding_says_what_may_be_behind_it(name: str) -> None:
    for kind in load(name).findings:
        assert len(kind.fits) >= 2, kind.uid
        assert {fit for fit, _ in kind.fits} <= set(FITS), kind.uid
