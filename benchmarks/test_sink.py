"""The Parquet encoder on records in memory, one core."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq
import pytest

from benchmarks.conftest import Sizes
from benchmarks.measure import rates, repeat
from benchmarks.workloads import Shelf, Workload, batches
from detectors.columns import Columns
from pipeline.sink import RecordSink
from pipeline.sink.dataset import ColumnDataset
from pipeline.sink.points import point_columns
from schemas.record import POINT_ROWS

Held = list[Columns]


@pytest.fixture(scope="module")
def held(shelf: Shelf, sizes: Sizes) -> Held:
    """Records of polls, decoded beforehand."""
    return list(batches(shelf.capture(Workload(sizes.held)).path))


def _rows(folder: Path) -> int:
    return sum(pq.read_metadata(part).num_rows for part in folder.glob("*.parquet"))


def _size(folder: Path) -> int:
    return sum(part.stat().st_size for part in folder.rglob("*.parquet"))


def _records(folder: Path, held: Held, points: Literal["all", "changed", "none"]) -> None:
    sink = RecordSink(folder, points=points, threads=1)
    for batch in held:
        sink.put(batch)
    sink.close()


def _points(folder: Path, held: Held) -> None:
    dataset = ColumnDataset(folder / "points", POINT_ROWS, part_rows=1 << 40)
    for batch in held:
        dataset.write(len(batch.points), point_columns(batch))
    dataset.close()


@pytest.mark.parametrize("what", ["records", "points", "both", "changed"])
def test_sink(benchmark: Any, held: Held, tmp_path: Path, what: str) -> None:
    """Records alone, points alone, both, and records with the points that changed."""
    number = count()

    def write(folder: Path) -> None:
        if what == "points":
            _points(folder, held)
        else:
            points: dict[str, Literal["all", "changed", "none"]] = {"records": "none", "both": "all"}
            _records(folder, held, points.get(what, "changed"))

    timed = repeat(benchmark, write, rounds=5, setup=lambda: (tmp_path / str(next(number)),))
    records, points = sum(map(len, held)), sum(int(batch.offsets[-1]) for batch in held)
    last = tmp_path / str(next(number) - 1)
    assert what == "points" or _rows(last / "records") == records
    assert what in ("records", "changed") or _rows(last / "points") == points
    amounts = {"records": {"records": records}, "points": {"points": points}}
    benchmark.extra_info.update(
        what=f"sink, {what}",
        workload=f"{records:,} records, {points:,} points",
        bytes_written=_size(last),
        **rates(timed, **amounts.get(what, {"records": records, "points": points})),
    )
