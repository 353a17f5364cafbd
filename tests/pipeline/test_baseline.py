"""Baseline files: the same rows give the same file, and nothing damaged is believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import baseline
from pipeline.errors import BaselineError, OutputError
from schemas.baseline import BASELINE, SORT_KEY
from tests.pipeline.scripted import Scripted, ip, plain


def learned(values: list[float], devices: list[int] | None = None) -> dict[str, Any]:
    n = len(values)
    return {
        "device": np.array(devices or range(n, 0, -1), np.uint64),
        "addr": np.arange(n, dtype=np.uint64),
        "peer": np.frombuffer(ip("10.0.0.9") * n, np.uint64).reshape(-1, 2),
        "parameter": np.full(n, "high", "U24"),
        "value": np.array(values),
        "state": np.full(n, 3, np.uint8),
        "n": np.full(n, 10, np.uint64),
        "first": np.full(n, 5, np.int64),
        "last": np.full(n, 1_700_000_000_000_000_001, np.int64),
    }


def table_of(values: list[float], devices: list[int] | None = None) -> pa.Table:
    detector = Scripted()
    detector.adopted = learned(values, devices)
    return baseline.collect([detector])


def test_collected_rows_are_sorted_and_whole() -> None:
    table = table_of([1.0, 2.0, 3.0])
    assert table.schema.equals(BASELINE)
    assert table.column("device").to_pylist() == [1, 2, 3]
    assert table.column("value").to_pylist() == [3.0, 2.0, 1.0]
    first = plain(table)[0]
    assert (first["peer"], first["detector"], first["last"]) == (ip("10.0.0.9"), "scripted", 1_700_000_000_000_000_001)
    assert (first["unit"], first["space"], first["name_id"]) == (0, 0, 0)


def test_two_rows_of_one_key_are_refused() -> None:
    detector = Scripted()
    detector.adopted = {"device": np.array([1, 1], np.uint64), "value": np.array([1.0, 2.0])}
    with pytest.raises(ValueError, match="two rows for one key"):
        baseline.collect([detector])


def test_columns_of_different_lengths_are_refused() -> None:
    detector = Scripted()
    detector.adopted = {"device": np.array([1, 2], np.uint64), "value": np.array([1.0])}
    with pytest.raises(ValueError, match="'value' of scripted has 1 rows, not 2"):
        baseline.collect([detector])


def test_what_was_written_is_read(tmp_path: Path) -> None:
    table = table_of([1.0, float("nan"), 3.0])
    path = tmp_path / "b.parquet"
    digest = baseline.write(path, table, {"captures": ["a.pcap"]})
    found = baseline.Baseline.load(path)
    assert plain(found.table) == plain(table)
    assert (found.digest, found.lineage) == (digest, {"captures": ["a.pcap"]})
    assert [p.name for p in tmp_path.iterdir()] == ["b.parquet"]


def test_the_digest_is_of_the_rows_and_not_of_their_order_or_chunks(tmp_path: Path) -> None:
    table = table_of([1.0, 2.0, 3.0, 4.0])
    shuffled = pa.concat_tables([table.slice(2), table.slice(0, 2)])
    digest = baseline.write(tmp_path / "a.parquet", table)
    assert baseline.write(tmp_path / "b.parquet", shuffled, {"parent": "x"}) == digest
    assert baseline.digest_of(shuffled) != digest
    assert baseline.digest_of(pa.concat_tables([shuffled.slice(2, 1), table.slice(1)])) == digest
    assert baseline.digest_of(table_of([1.0, 2.0, 3.0, 5.0])) != digest


def test_a_detector_gets_back_what_it_learned() -> None:
    detector, other = Scripted(), Scripted()
    other.name = "other"
    columns = learned([1.0, 2.0], [1, 2])
    detector.adopted = columns
    table = baseline.collect([detector])
    fresh = Scripted()
    assert baseline.adopt(table, [fresh, other]) == ["other"]
    assert fresh.adopted is not None
    for name, array in columns.items():
        np.testing.assert_array_equal(fresh.adopted[name], array, err_msg=name)
    assert fresh.adopted["peer"].dtype == np.uint64
    assert other.adopted is None


def test_an_empty_baseline_can_be_written_and_compared(tmp_path: Path) -> None:
    empty = BASELINE.empty_table()
    baseline.write(tmp_path / "b.parquet", empty)
    found = baseline.read(tmp_path / "b.parquet").table
    assert found.num_rows == 0
    assert baseline.diff(found, empty).num_rows == 0
    assert baseline.diff(found, table_of([1.0])).column("change").to_pylist() == ["added"]
    assert baseline.diff(table_of([1.0]), found).column("change").to_pylist() == ["removed"]


def test_who_learned_and_met_nothing_knows_that_nothing_is_normal() -> None:
    rows = table_of([])
    assert rows.column("parameter").to_pylist() == [baseline.NOTHING]
    pupil = Scripted()
    assert baseline.adopt(rows, [pupil]) == []
    assert pupil.adopted is not None
    assert len(pupil.adopted["device"]) == 0
    assert baseline.adopt(BASELINE.empty_table(), [Scripted()]) == ["scripted"]


def test_a_diff_tells_what_was_added_removed_and_changed() -> None:
    old = table_of([1.0, 2.0, 3.0, float("nan")], [1, 2, 3, 4])
    new = table_of([1.0, 7.0, 3.0, float("nan"), 5.0], [1, 2, 9, 4, 5])
    rows = plain(baseline.diff(old, new))
    assert [(r["device"], r["change"], r["old_value"], r["new_value"]) for r in rows] == [
        (2, "changed", "2.0", "7.0"),
        (3, "removed", "3.0", "nan"),
        (5, "added", "nan", "5.0"),
        (9, "added", "nan", "3.0"),
    ]
    assert [(r["old_n"], r["new_n"], r["old_state"], r["new_state"]) for r in rows] == [
        (10, 10, 3, 3),
        (10, 0, 3, 0),
        (0, 10, 0, 3),
        (0, 10, 0, 3),
    ]
    assert set(SORT_KEY) < set(rows[0])


def test_counts_and_times_are_no_difference() -> None:
    old = table_of([1.0])

    def other(name: str, value: int) -> pa.Table:
        column = pa.array([value], pa.int64()).cast(BASELINE.field(name).type)
        return old.set_column(BASELINE.get_field_index(name), BASELINE.field(name), column)

    assert baseline.diff(old, other("n", 99)).num_rows == 0
    assert baseline.diff(old, other("last", 99)).num_rows == 0
    assert baseline.diff(old, other("state", 1)).column("change").to_pylist() == ["changed"]


def rewritten(path: Path, table: pa.Table, **metadata: str) -> None:
    changed = {f"fieldtap.{name}".encode(): text.encode() for name, text in metadata.items()}
    pq.write_table(table.replace_schema_metadata({**pq.read_schema(path).metadata, **changed}), path)


def test_changed_rows_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    baseline.write(path, table_of([1.0, 2.0]))
    rewritten(path, table_of([1.0, 2.5]))
    with pytest.raises(BaselineError, match=r"b\.parquet: damaged: its rows do not have the digest"):
        baseline.read(path)


def test_another_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    baseline.write(path, table_of([1.0]))
    rewritten(path, table_of([1.0]), version="2")
    with pytest.raises(BaselineError, match="baseline of version 2, this fieldtap reads version 1"):
        baseline.read(path)


def test_what_is_no_baseline_is_refused(tmp_path: Path) -> None:
    text, other, cut = tmp_path / "text", tmp_path / "other.parquet", tmp_path / "cut.parquet"
    text.write_text("hello")
    pq.write_table(pa.table({"a": [1]}), other)
    baseline.write(cut, table_of([1.0, 2.0]))
    cut.write_bytes(cut.read_bytes()[:-9])
    for path, message in ((text, "not a baseline"), (other, "not a baseline"), (cut, "not a baseline: damaged")):
        with pytest.raises(BaselineError, match=f"{path.name}: {message}"):
            baseline.read(path)
    with pytest.raises(BaselineError, match="nosuch: cannot be read: No such file"):
        baseline.read(tmp_path / "nosuch")
    with pytest.raises(BaselineError, match="cannot be read: Is a directory"):
        baseline.read(tmp_path)


def test_an_unwritable_place_is_named_and_the_old_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match=r"b\.parquet: cannot write the baseline: No such file"):
        baseline.write(tmp_path / "nosuch" / "b.parquet", table_of([1.0]))
    path = tmp_path / "b.parquet"
    baseline.write(path, table_of([1.0]))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OutputError, match="No space left"):
        baseline.write(path, table_of([2.0]))
    assert baseline.read(path).table.column("value").to_pylist() == [1.0]
    assert [p.name for p in tmp_path.iterdir()] == ["b.parquet"]
