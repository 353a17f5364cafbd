"""Parquet datasets: what goes in comes out, whole files only, whatever the threads and the batching."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.columns import Columns, records
from pipeline.errors import OutputError
from pipeline.sink import Dataset, OutputFolder, RecordSink, write_table
from pipeline.sink.dataset import ColumnDataset
from pipeline.sink.points import ChangedPoints
from schemas.record import POINT_COLUMNS, POINT_ROWS, RECORD_COLUMNS, RECORD_ROWS
from tests.reference.sink import changed_points, point_rows


def batch(n: int, *, first: int = 0, seed: int = 1, shards: int = 1) -> Columns:
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for i in range(first, first + n):
        values = [
            {"space": 3, "addr": a, "value": float(rng.integers(0, 3)), "type": 4, "direction": 1}
            for a in range(int(rng.integers(0, 4)))
        ]
        row = {
            "ts": 1_700_000_000_000_000_000 + i,
            "seq": i,
            "boot": 7,
            "shard": i % shards,
            "device": 1 + i % 5,
            "unit": i % 3,
            "src_ip": bytes(10) + b"\xff\xff" + i.to_bytes(4, "big"),
            "protocol": 1,
            "points": values,
        }
        rows.append(row)
    return records(rows)


def read(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(p) for p in sorted(folder.glob("part-*.parquet"))])


def expected_points(batches: list[Columns]) -> list[dict[str, Any]]:
    return [row for b in batches for row in point_rows(b)]


def plain(table: pa.Table) -> list[dict[str, Any]]:
    times = [i for i, f in enumerate(table.schema) if pa.types.is_timestamp(f.type)]
    for i in times:
        name = table.schema.field(i).name
        table = table.set_column(i, name, table.column(i).cast(pa.int64()))
    return table.to_pylist()


@pytest.mark.parametrize("threads", [1, 2])
def test_records_and_points_come_back_as_they_were(tmp_path: Path, threads: int) -> None:
    batches = [batch(50), batch(0), batch(1, first=50), batch(300, first=51)]
    sink = RecordSink(tmp_path, threads=threads, queue_bytes=1)
    for b in batches:
        sink.put(b)
    sink.close()
    found = read(tmp_path / "records")
    assert found.schema.equals(RECORD_ROWS)
    for column in RECORD_COLUMNS:
        want = np.concatenate([getattr(b, column.name) for b in batches])
        if column.name.endswith("_ip"):
            assert b"".join(found.column(column.name).to_pylist()) == want.tobytes()
        else:
            got = found.column(column.name)
            got = got.cast(pa.int64()) if pa.types.is_timestamp(column.type) else got
            assert got.to_pylist() == want.tolist()
    assert plain(read(tmp_path / "points")) == expected_points(batches)
    assert sink.counters.get("rows", reason="records") == 351


def test_the_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    for threads in (1, 2):
        sink = RecordSink(tmp_path / str(threads), threads=threads)
        for i in range(4):
            sink.put(batch(100, first=100 * i, seed=i))
        sink.close()
    for name in ("records", "points"):
        one, two = ((tmp_path / str(t) / name / "part-00000.parquet").read_bytes() for t in (1, 2))
        assert one == two


def test_a_part_of_a_batch_writes_its_own_points(tmp_path: Path) -> None:
    whole = batch(40)
    sink = RecordSink(tmp_path, threads=1)
    sink.put(whole.slice(10, 25))
    sink.close()
    assert plain(read(tmp_path / "points")) == point_rows(whole.slice(10, 25))
    assert read(tmp_path / "records").column("seq").to_pylist() == list(range(10, 25))


@pytest.mark.parametrize(("n", "shards"), [(30, 1), (200, 3), (5, 1)])
def test_points_of_mixed_shards_agree_with_their_twin(tmp_path: Path, n: int, shards: int) -> None:
    b = batch(n, seed=n, shards=shards)
    sink = RecordSink(tmp_path, threads=1)
    sink.put(b)
    sink.close()
    assert plain(read(tmp_path / "points")) == point_rows(b)


def rows_of(b: Columns) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(point_rows(b), schema=POINT_ROWS)


@pytest.mark.parametrize("tags", [1000, 3, 1])
def test_changed_points_agree_with_their_twin(tags: int) -> None:
    kernel = ChangedPoints(tags)
    memory: dict[Any, Any] = {}
    for i in range(6):
        b = batch(60, seed=i, first=60 * i)
        got = plain(pa.Table.from_batches([kernel.of(b)]))
        want = changed_points(b, memory, tags)
        assert got == want
    assert len(got) < len(b.points) or tags < 1000
    assert (kernel.unremembered > 0) == (tags < 1000)


def test_text_values_are_news_when_their_name_changes() -> None:
    def text(name_id: int) -> Columns:
        point = {"space": 9, "type": 12, "value": float("nan"), "raw": name_id}
        return records([{"seq": name_id, "points": [point]}])

    kernel = ChangedPoints(16)
    assert [kernel.of(text(n)).num_rows for n in (5, 5, 6, 6, 5)] == [1, 0, 1, 0, 1]


def test_none_keeps_no_points(tmp_path: Path) -> None:
    sink = RecordSink(tmp_path, points="none")
    sink.put(batch(10))
    sink.close()
    assert not (tmp_path / "points").exists()


def test_no_records_still_give_a_file_with_the_columns(tmp_path: Path) -> None:
    RecordSink(tmp_path).close()
    assert read(tmp_path / "records").schema.equals(RECORD_ROWS)
    assert read(tmp_path / "points").num_rows == 0


def test_parts_roll_and_no_row_is_lost(tmp_path: Path) -> None:
    data = Dataset(tmp_path, POINT_ROWS, part_rows=100, group_rows=40)
    batches = [batch(30, first=30 * i, seed=i) for i in range(10)]
    for b in batches:
        data.write(rows_of(b), reused=True)
    data.close()
    assert len(list(tmp_path.iterdir())) > 2
    assert plain(read(tmp_path)) == expected_points(batches)


def test_what_is_held_does_not_change_with_the_buffer_it_came_from(tmp_path: Path) -> None:
    data = Dataset(tmp_path, POINT_ROWS, part_rows=1 << 20)
    batches = [batch(9, first=9 * i, seed=i) for i in range(3)]
    for b in batches:
        data.write(rows_of(b), reused=True)
    data.close()
    assert plain(read(tmp_path)) == expected_points(batches)


def test_a_part_ends_before_its_footer_grows_large(tmp_path: Path) -> None:
    data = Dataset(tmp_path, POINT_ROWS, part_rows=1 << 40, group_rows=1)
    rows = rows_of(batch(2))
    for _ in range(300):
        data.write(rows, reused=True)
    data.close()
    groups = [pq.read_metadata(part).num_row_groups for part in sorted(tmp_path.glob("part-*"))]
    assert sum(groups) == 300
    assert max(groups) <= 256
    assert read(tmp_path).num_rows == 300 * rows.num_rows


def test_nothing_has_its_final_name_before_it_is_whole(tmp_path: Path) -> None:
    data = Dataset(tmp_path, POINT_ROWS, part_rows=1 << 20, group_rows=1)
    data.write(rows_of(batch(20)), reused=True)
    assert not list(tmp_path.glob("part-*"))
    data.abandon()
    assert not list(tmp_path.iterdir())


def test_other_readers_read_the_encodings(tmp_path: Path) -> None:
    sink = RecordSink(tmp_path)
    sink.put(batch(100))
    sink.close()
    frame = pl.read_parquet(tmp_path / "records" / "*.parquet")
    assert frame["seq"].to_list() == list(range(100))
    encodings = {
        encoding
        for name in ("records", "points")
        for column in _columns(tmp_path / name / "part-00000.parquet")
        for encoding in column.encodings
        if column.physical_type in ("INT32", "INT64", "FIXED_LEN_BYTE_ARRAY")
    }
    assert "BYTE_STREAM_SPLIT" not in encodings


def _columns(path: Path) -> list[Any]:
    group = pq.read_metadata(path).row_group(0)
    return [group.column(i) for i in range(group.num_columns)]


class FullDisk(ColumnDataset):
    """A dataset on a disk that has no room left."""

    def write(self, rows: int, columns: Any) -> None:
        raise OutputError(f"{self.folder}: cannot write: No space left on device")


def test_a_full_disk_met_by_the_thread_is_told_and_does_not_block(tmp_path: Path) -> None:
    sink = RecordSink(tmp_path, threads=2, queue_bytes=1)
    sink._records = FullDisk(tmp_path / "records", RECORD_ROWS, part_rows=1)
    with pytest.raises(OutputError, match="No space left"):  # noqa: PT012 (which call meets it is the thread's choice)
        for i in range(50):
            sink.put(batch(10, first=10 * i))
        sink.close()
    sink.abandon()
    assert not [t for t in threading.enumerate() if t.name == "sink"]


def test_a_table_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="gone"):
        write_table(tmp_path / "gone" / "x.parquet", pa.table({"a": [1]}))


def test_output_goes_to_place_only_on_commit(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "a" / "out")
    write_table(folder.stage / "health.parquet", pa.table({"a": [1]}))
    assert [p.name for p in folder.path.iterdir()] == [".partial"]
    folder.commit()
    assert [p.name for p in folder.path.iterdir()] == ["health.parquet"]


def test_discard_leaves_no_trace(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "a" / "out")
    write_table(folder.stage / "health.parquet", pa.table({"a": [1]}))
    folder.discard()
    assert not list(tmp_path.iterdir())


def test_a_second_run_replaces_the_first_only_when_done(tmp_path: Path) -> None:
    first = OutputFolder(tmp_path)
    write_table(first.stage / "health.parquet", pa.table({"a": [1]}))
    Dataset(first.stage / "points", POINT_ROWS, part_rows=1).close()
    first.commit()
    second = OutputFolder(tmp_path)
    assert second.replaces
    write_table(second.stage / "health.parquet", pa.table({"a": [2]}))
    assert pq.read_table(tmp_path / "health.parquet").to_pylist() == [{"a": 1}]
    second.commit()
    assert pq.read_table(tmp_path / "health.parquet").to_pylist() == [{"a": 2}]
    assert [p.name for p in tmp_path.iterdir()] == ["health.parquet"]


@pytest.mark.parametrize("stranger", ["notes.txt", "records/mine.csv", ".hidden", "points"])
def test_other_peoples_files_are_not_touched(tmp_path: Path, stranger: str) -> None:
    path = tmp_path / stranger
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(OutputError, match="did not write") as error:
        OutputFolder(tmp_path)
    assert stranger in str(error.value)
    assert path.read_text() == "mine"
    assert not (tmp_path / ".partial").exists()


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    left = tmp_path / ".partial" / "records"
    left.mkdir(parents=True)
    (left / ".part-00000.parquet.writing").write_text("half")
    folder = OutputFolder(tmp_path)
    assert not list(folder.stage.iterdir())
    folder.discard()


def test_two_runs_do_not_write_to_one_folder(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    with pytest.raises(OutputError, match="another fieldtap"):
        OutputFolder(tmp_path)
    folder.discard()
    OutputFolder(tmp_path).discard()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(OutputError, match="file, not a folder"):
        OutputFolder(tmp_path / "f")
    with pytest.raises(OutputError, match="cannot write results here"):
        OutputFolder(tmp_path / "f" / "below")


def test_point_columns_follow_the_record_keys() -> None:
    names = [f.name for f in POINT_ROWS]
    assert names[-len(POINT_COLUMNS) :] == [c.name for c in POINT_COLUMNS]
