"""The loop gives the same findings however the stream is cut, spread over loops, or stopped and restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from detectors.base import Alerts, Mark, Recalled
from detectors.columns import from_batch, records
from detectors.lifecycle import Learning
from detectors.registry import DETECTORS
from pipeline.detect import Loop, build, run
from pipeline.findings import Findings, FindingSettings, fold, types_of
from schemas.alert import ALERT
from schemas.codes import Activity, MarkKind
from tests.pipeline.scripted import SECOND, T0, TYPES, WRITE, Scripted, batches, plain, row, stream


def rows_of(rows: Sequence[Mapping[str, Any]], sizes: Sequence[int], limit: int = 1024) -> pa.Table:
    """Every row that a loop over batches of these sizes writes."""
    loop = Loop([Scripted()], Findings(TYPES, settings=FindingSettings(bucket_findings=limit)))
    run(batches(rows, sizes), loop)
    return loop.take()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sizes", [(1,), (7, 1, 64), (300,)])
def test_any_batching_gives_the_same_folded_findings(seed: int, sizes: tuple[int, ...]) -> None:
    rows = stream(seed, 1500)
    whole = fold(rows_of(rows, (len(rows),)))
    assert whole.num_rows > 20
    assert plain(fold(rows_of(rows, sizes))) == plain(whole)


@pytest.mark.parametrize("seed", range(3))
def test_any_batching_gives_the_same_rows_beside_their_closing(seed: int) -> None:
    rows = stream(seed, 1500)
    created_and_updated = [
        [r for r in plain(rows_of(rows, sizes)) if r["activity_id"] != Activity.CLOSE] for sizes in ((1,), (1500,))
    ]
    assert created_and_updated[0] == created_and_updated[1]


@pytest.mark.parametrize("limit", [16, 24])
def test_a_full_bucket_drops_the_same_evidence_whatever_the_batching(limit: int) -> None:
    rows = stream(9, 1500, devices=1, keys=60)
    tables = []
    for sizes in ((1,), (13, 200), (1500,)):
        loop = Loop([Scripted()], Findings(TYPES, settings=FindingSettings(bucket_findings=limit)))
        run(batches(rows, sizes), loop)
        tables.append((plain(fold(loop.take())), loop.findings.counters()["dropped"]))
    assert tables[0][1] > 100
    assert tables[0] == tables[1] == tables[2]


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_buckets_spread_over_loops_give_the_same_findings(parts: int) -> None:
    rows = stream(5, 1500)
    split = [rows_of([r for r in rows if r["device"] % 1024 % parts == part], (97,)) for part in range(parts)]
    assert plain(fold(pa.concat_tables(split))) == plain(fold(rows_of(rows, (64,))))


@pytest.mark.parametrize("stop", [1, 400, 1100])
def test_a_restored_stage_goes_on_where_it_stopped(stop: int) -> None:
    rows = stream(3, 1500)
    first, second = Findings(TYPES), Findings(TYPES)
    loop = Loop([Scripted()], first)
    for batch in batches(rows[:stop], (50,)):
        loop.on_batch(batch)
    buckets = np.arange(1024)
    state = first.snapshot(buckets)
    second.restore(state)
    for name, array in second.snapshot(buckets).items():
        np.testing.assert_array_equal(array, state[name], err_msg=name)
    rest = Loop([Scripted()], second)
    run(batches(rows[stop:], (50,)), rest)
    table = pa.concat_tables([loop.take(), rest.take()])
    assert plain(fold(table)) == plain(fold(rows_of(rows, (50,))))


def test_a_snapshot_of_some_buckets_leaves_the_others_out() -> None:
    findings = Findings(TYPES)
    loop = Loop([Scripted()], findings)
    loop.on_batch(records([row(0, device=3), row(1, device=4)]))
    state = findings.snapshot(np.array([4]))
    assert state["bucket"].tolist() == [4]
    assert state["identity"][:, 0].tolist() == [4]


class Timed(Scripted):
    wants_time = True


def marks(rows: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> tuple[list[Mark], list[int]]:
    """The marks a detector saw, and after how many records each."""
    detector, seen, places = Timed(), 0, []

    class Counting(Timed):
        def on_batch(self, batch: Any) -> Any:
            nonlocal seen
            seen += len(batch)
            return detector.on_batch(batch)

        def on_mark(self, mark: Mark) -> Any:
            places.append(seen)
            return detector.on_mark(mark)

    run(batches(rows, sizes), Loop([Counting()], Findings(TYPES)))
    return detector.marks, places


def test_detectors_hear_of_time_once_for_each_further_ten_seconds() -> None:
    rows = [row(s) for s in (0.2, 0.9, 1.0, 9.4, 9.99, 35.5, 38.6, 40.0)]
    found, places = marks(rows, (7,))
    assert [(m.kind, (m.ts_ns - T0) / SECOND) for m in found] == [
        (MarkKind.TIME, 1),
        (MarkKind.TIME, 35),
        (MarkKind.TIME, 40),
        (MarkKind.END, 40),
    ]
    assert places == [2, 5, 7, 8]


def test_time_that_runs_back_a_little_is_no_time_and_far_back_another_capture_s() -> None:
    rows = [row(s) for s in (100.5, 111.5, 83.5, 104.5, 115.0, 120.0, 3.5, 24.5)]
    found, places = marks(rows, (4,))
    assert [(m.ts_ns - T0) / SECOND for m in found[:-1]] == [111, 120, 24]
    assert places[:-1] == [1, 5, 7]


def test_what_a_mark_brings_to_light_is_a_finding_with_the_record_it_points_to() -> None:
    class Late(Timed):
        """Finds at the second mark what it saw before the first."""

        def on_batch(self, batch: Any) -> Any:
            return Alerts.none()

        def on_mark(self, mark: Mark) -> Recalled | None:
            super().on_mark(mark)
            if len(self.marks) != 2:
                return None
            of = records([row(0.5, seq=41, device=9)])
            return Recalled(of, Alerts.of(np.zeros(1, np.int64), WRITE.code, np.ones(1, np.uint64)))

    loop = Loop([Late()], Findings(TYPES))
    run(batches([row(s, device=3) for s in range(40)], (16,)), loop)
    (found,) = fold(loop.take()).to_pylist()
    assert (found["device"], found["evidences"][0]["seq"], found["count"]) == (9, 41, 1)


@pytest.mark.parametrize("sizes", [(1,), (3, 40)])
def test_marks_do_not_depend_on_batching(sizes: tuple[int, ...]) -> None:
    rows = stream(1, 400)
    assert marks(rows, sizes) == marks(rows, (400,))


def test_batches_are_not_cut_where_nobody_wants_time() -> None:
    sizes = []

    class Sized(Scripted):
        def on_batch(self, batch: Any) -> Any:
            sizes.append(len(batch))
            return super().on_batch(batch)

    run(batches([row(s) for s in range(10)], (5,)), Loop([Sized()], Findings(TYPES)))
    assert sizes == [5, 5]


def test_sinks_get_every_record_and_every_row() -> None:
    class Keeping:
        def __init__(self) -> None:
            self.records, self.tables = 0, []  # type: ignore[var-annotated]

        def on_batch(self, batch: Any) -> None:
            self.records += len(batch)

        def on_findings(self, rows: pa.Table) -> None:
            self.tables.append(rows)

    sink = Keeping()
    run(batches([row(0), row(1), row(700)], (2,)), Loop([Scripted()], Findings(TYPES)), [sink])
    assert sink.records == 3
    table = pa.concat_tables(sink.tables)
    assert table.schema.equals(ALERT)
    assert table.column("activity_id").to_pylist() == [1, 3, 1, 3]


def test_an_unknown_detector_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        build(["nosuch"], None)


def example(name: str) -> pa.RecordBatch:
    """The shipped example of detector `name` as one batch."""
    module = import_module(DETECTORS[name].partition(":")[0])
    parts = [columns.to_batch() for columns in module.example(np.random.default_rng(1))]
    return pa.Table.from_batches(parts).combine_chunks().to_batches()[0]


def judged(name: str, batch: pa.RecordBatch, size: int) -> pa.Table:
    """Rows that all registered detectors give on `batch`, learning from the example's first record."""
    start = example(name).column("ts").cast(pa.int64())[0].as_py()
    detectors = build(DETECTORS, Learning(start_ns=start))
    loop = Loop(detectors, Findings(types_of(detectors), versions={d.name: d.version for d in detectors}))
    run((from_batch(batch.slice(at, size)) for at in range(0, batch.num_rows, size)), loop)
    return loop.take()


@pytest.mark.parametrize("name", [name for name in DETECTORS if name != "plant"])  # it judges by a baseline alone
def test_the_shipped_detectors_find_the_same_under_any_batching_and_split(name: str) -> None:
    batch = example(name)
    whole = fold(judged(name, batch, batch.num_rows))
    assert any(uid.startswith(f"{name}.") for uid in whole.column("analytic_uid").to_pylist())
    assert plain(fold(judged(name, batch, 3))) == plain(whole)
    part = from_batch(batch).bucket % 2
    split = [judged(name, batch.filter(pa.array(part == p)), 10) for p in (0, 1)]
    assert plain(fold(pa.concat_tables(split))) == plain(whole)
