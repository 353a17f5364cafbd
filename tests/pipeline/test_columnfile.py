"""Parquet files of our own making: whatever the columns hold, other people's readers read it back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.sink.chunk import Repeated
from pipeline.sink.columnfile import ColumnFile
from pipeline.sink.thrift import fields_of

SCHEMA = pa.schema(
    [
        pa.field("ts", pa.timestamp("ns", "UTC"), nullable=False),
        pa.field("u8", pa.uint8(), nullable=False),
        pa.field("u16", pa.uint16(), nullable=False),
        pa.field("u32", pa.uint32(), nullable=False),
        pa.field("i32", pa.int32(), nullable=False),
        pa.field("u64", pa.uint64(), nullable=False),
        pa.field("i64", pa.int64(), nullable=False),
        pa.field("grows", pa.uint64(), nullable=False),
        pa.field("narrow", pa.uint32(), nullable=False),
        pa.field("f64", pa.float64(), nullable=False),
        pa.field("ip", pa.binary(16), nullable=False),
    ],
    metadata={"about": "a test"},
)
DELTA, RANGED = frozenset({"i32", "i64", "grows", "narrow"}), frozenset({"ts"})
DTYPES: dict[str, Any] = {
    "ts": np.int64, "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "i32": np.int32, "u64": np.uint64,
    "i64": np.int64, "grows": np.uint64, "narrow": np.uint32, "f64": np.float64, "ip": np.uint64,
}  # fmt: skip
KEYS = ("ts", "u16", "u32", "u64", "grows")
SHAPES = ("constant", "other constant", "few", "any", "rising", "extreme")


def column(name: str, shape: str, n: int, rng: np.random.Generator) -> NDArray[Any]:
    dtype = np.dtype(DTYPES[name])
    size = 2 * n if name == "ip" else n
    whole = rng.integers(0, 256, size * dtype.itemsize, dtype=np.uint8).view(dtype)
    if shape == "extreme" and dtype.kind != "f":
        info = np.iinfo(dtype)
        whole = rng.choice(np.array([info.min, info.max], dtype), size)
    elif shape == "extreme":
        whole = rng.choice(np.array([np.nan, np.inf, -0.0, 5e-324]), size)
    elif shape == "rising":
        whole = np.cumsum(rng.integers(0, 50, size)).astype(dtype)
    elif shape == "few":
        whole = rng.integers(0, 3, size).astype(dtype)
    elif shape != "any":
        whole = np.full(size, len(shape)).astype(dtype)
    return whole.reshape(n, 2) if name == "ip" else whole


def written(path: Path, pieces: list[tuple[int, dict[str, Any]]], group_rows: int) -> None:
    file = ColumnFile(path.open("wb"), SCHEMA, delta=DELTA, ranged=RANGED, group_rows=group_rows)
    for rows, columns in pieces:
        file.write(rows, columns)
    file.close()


def spread(values: Any) -> NDArray[Any]:
    return np.repeat(values.values, values.counts) if isinstance(values, Repeated) else values


def expected(pieces: list[tuple[int, dict[str, Any]]], name: str) -> bytes:
    return b"".join(np.ascontiguousarray(spread(columns[name])).tobytes() for _, columns in pieces)


def read(table: pa.Table, name: str) -> bytes:
    found = table.column(name).combine_chunks()
    found = found.chunk(0) if isinstance(found, pa.ChunkedArray) else found
    if pa.types.is_large_binary(found.type) or pa.types.is_binary(found.type):
        return b"".join(found.to_pylist())
    width = 16 if pa.types.is_fixed_size_binary(found.type) else found.type.bit_width // 8
    content = found.buffers()[1].to_pybytes() if len(found) else b""
    return content[found.offset * width :][: len(found) * width]


def check(path: Path, pieces: list[tuple[int, dict[str, Any]]]) -> None:
    by_arrow, by_polars = pq.read_table(path), pl.read_parquet(path).to_arrow()
    by_duckdb = duckdb.from_parquet(str(path)).to_arrow_table()
    assert by_arrow.schema.equals(SCHEMA, check_metadata=True)
    for name in SCHEMA.names:
        want = expected(pieces, name)
        assert read(by_arrow, name) == want, name
        assert read(by_polars, name) == want, name
        if name != "ts":  # DuckDB keeps microseconds of a time with a zone
            assert read(by_duckdb.select([name]), name) == want, name
    times = np.frombuffer(expected(pieces, "ts"), np.int64)
    at = 0
    for group in range(pq.read_metadata(path).num_row_groups):
        about = pq.read_metadata(path).row_group(group)
        here = times[at : at + about.num_rows]
        at += about.num_rows
        ranges = about.column(0).statistics
        assert (ranges.min_raw, ranges.max_raw) == (here.min(), here.max())
    assert at == len(times)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_goes_in_comes_out(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 20)))
    pieces: list[tuple[int, dict[str, Any]]] = []
    for _ in range(data.draw(st.integers(1, 5))):
        n = data.draw(st.sampled_from((1, 2, 7, 33, 129, 1000)))
        counts = rng.integers(1, data.draw(st.sampled_from((2, 4, 300))), n)
        repeats = data.draw(st.booleans())
        rows = int(counts.sum()) if repeats else n
        columns: dict[str, Any] = {}
        for name in SCHEMA.names:
            shape = data.draw(st.sampled_from(SHAPES))
            if repeats and name in KEYS:
                columns[name] = Repeated(column(name, shape, n, rng), counts)
            else:
                columns[name] = column(name, shape, rows, rng)
        pieces.append((rows, columns))
    path = tmp_path_factory.mktemp("file") / "x.parquet"
    written(path, pieces, data.draw(st.sampled_from((1, 100, 1 << 30))))
    check(path, pieces)


def test_without_rows_there_is_a_schema(tmp_path: Path) -> None:
    written(tmp_path / "x.parquet", [(0, {})], 10)
    assert pq.read_table(tmp_path / "x.parquet").schema.equals(SCHEMA, check_metadata=True)
    assert pl.read_parquet(tmp_path / "x.parquet").height == 0


def test_more_constants_than_a_dictionary_may_hold(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pieces = []
    for i in range(4_200):
        columns = {name: column(name, "few", 8, rng) for name in SCHEMA.names}
        pieces.append((8, columns | {"u32": np.full(8, i, np.uint32)}))
    written(tmp_path / "x.parquet", pieces, 1 << 30)
    check(tmp_path / "x.parquet", pieces)
    group = pq.read_metadata(tmp_path / "x.parquet").row_group(0)
    assert group.column(SCHEMA.get_field_index("u32")).encodings == ("PLAIN", "RLE", "RLE_DICTIONARY")


def test_a_constant_costs_a_few_bytes_however_long_it_lasts(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pieces = [(9_000, {name: column(name, "constant", 9_000, rng) for name in SCHEMA.names}) for _ in range(10)]
    written(tmp_path / "x.parquet", pieces, 1 << 30)
    check(tmp_path / "x.parquet", pieces)
    group = pq.read_metadata(tmp_path / "x.parquet").row_group(0)
    assert group.num_rows == 90_000
    small = [group.column(i) for i, name in enumerate(SCHEMA.names) if name != "u8"]
    assert max(c.total_compressed_size for c in small) < 100


def test_a_column_that_is_no_number_is_refused() -> None:
    with pytest.raises(TypeError, match="column text"):
        ColumnFile(io.BytesIO(), pa.schema([("text", pa.string())]))


def test_a_footer_with_a_map_is_none_of_parquet() -> None:
    with pytest.raises(ValueError, match="a map"):
        fields_of(bytes([0x1B, 0x00, 0x00]))
