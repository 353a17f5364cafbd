"""Schemas: what was published stays readable, and cannot change unseen."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas import codes, freeze
from schemas.compat import COLUMNS, fill, may_read, problems
from schemas.field import Column, schema_of
from schemas.record import POINT_COLUMNS, RECORD, RECORD_COLUMNS

NAMES = sorted(COLUMNS)
FROZEN = [(name, version) for name, versions in sorted(freeze.frozen_schemas().items()) for version in sorted(versions)]
OLD = pa.schema([pa.field("ts", pa.int64(), nullable=False), pa.field("unit", pa.uint8(), nullable=False)])


def without(schema: pa.Schema, name: str) -> pa.Schema:
    return schema.remove(schema.get_field_index(name))


# --- drift


@pytest.mark.parametrize("name", NAMES)
def test_a_published_schema_changes_only_with_its_version(name: str) -> None:
    frozen = freeze.frozen_schemas()
    assert freeze.schema_drift(name, freeze.SCHEMAS[name], frozen.get(name, {})) == []


@pytest.mark.parametrize(("name", "version"), FROZEN)
def test_every_published_version_may_still_be_read(name: str, version: int) -> None:
    old = freeze.frozen_schemas()[name][version]
    assert problems(old, freeze.SCHEMAS[name]) == []


def test_numbers_never_change_their_meaning() -> None:
    assert freeze.code_drift(freeze.enumerations(), freeze.frozen_codes()) == []


def test_every_number_is_frozen() -> None:
    assert freeze.frozen_codes() == freeze.enumerations(), "run python -m schemas.freeze"


def test_the_drift_of_a_schema_is_seen() -> None:
    column = Column("ts", pa.int64(), "time")
    published = {1: schema_of((column,), version=1, name="x")}
    retyped = schema_of((Column("ts", pa.int32(), "time"),), version=1, name="x")
    grown = schema_of((column, Column("unit", pa.uint8(), "unit")), version=1, name="x")
    grown_properly = schema_of((column, Column("unit", pa.uint8(), "unit")), version=2, name="x")
    assert freeze.schema_drift("x", published[1], published) == []
    assert freeze.schema_drift("x", retyped, published) == ["x v1 differs from its frozen copy: raise its VERSION"]
    assert freeze.schema_drift("x", grown, published) == ["x v1 differs from its frozen copy: raise its VERSION"]
    assert freeze.schema_drift("x", grown_properly, published) == ["x v2 is not frozen"]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"READ": 1, "WRITE": 2}, []),
        ({"READ": 1, "WRITE": 2, "STOP": 3}, []),
        ({"READ": 1}, ["Op.WRITE was removed or renamed"]),
        ({"READ": 1, "WRITE": 3}, ["Op.WRITE was 2, is 3"]),
        ({"READ": 1, "WRITE": 2, "STOP": 2}, ["Op.STOP takes the number 2 of WRITE"]),
    ],
)
def test_the_drift_of_an_enumeration_is_seen(now: dict[str, int], told: list[str]) -> None:
    assert freeze.code_drift({"Op": now}, {"Op": {"READ": 1, "WRITE": 2}}) == told


def test_freezing_leaves_alone_what_was_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert freeze.freeze(tmp_path) == []
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    changed = schema_of((Column("name_id", pa.uint32(), "narrower"),), version=1, name="name")
    monkeypatch.setitem(freeze.SCHEMAS, "name", changed)
    assert freeze.freeze(tmp_path) == ["name v1 differs from its frozen copy: raise its VERSION"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_every_dataset_is_frozen_and_described() -> None:
    assert set(freeze.SCHEMAS) == set(COLUMNS)
    for name, schema in freeze.SCHEMAS.items():
        assert schema.names == [c.name for c in COLUMNS[name]]
        assert schema.metadata[b"fieldtap.schema"].decode() == name


# --- reading what is older


def test_columns_may_be_added() -> None:
    assert may_read(OLD, OLD.append(pa.field("label", pa.uint16(), nullable=False)))


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (without(OLD, "unit"), "column 'unit' was removed"),
        (OLD.set(1, pa.field("unit", pa.uint32(), nullable=False)), "column 'unit' was uint8, is uint32"),
        (OLD.set(1, pa.field("unit", pa.uint8())), "column 'unit' changed whether it may be null"),
        (OLD.set(1, pa.field("slave", pa.uint8(), nullable=False)), "column 'unit' was removed"),
    ],
)
def test_columns_are_never_removed_renamed_or_retyped(new: pa.Schema, told: str) -> None:
    assert problems(OLD, new) == [told]
    assert not may_read(OLD, new)


@pytest.mark.parametrize("name", NAMES)
def test_an_older_file_is_filled_with_defaults(name: str, tmp_path: Path) -> None:
    schema = freeze.SCHEMAS[name]
    rows = pa.Table.from_pylist([row(name), row(name)], schema=schema)
    added = schema.names[-1]
    path = tmp_path / "old.parquet"
    pq.write_table(rows.drop_columns([added]), path)
    filled = fill(pq.read_table(path), name)
    default = next(c.default for c in COLUMNS[name] if c.name == added)
    assert filled.schema.equals(pa.schema(list(schema)))
    assert filled.column(added).to_pylist() == [pa.scalar(default, schema.field(added).type).as_py()] * 2
    assert filled.drop_columns([added]).equals(rows.drop_columns([added]).replace_schema_metadata(None))


def test_filling_puts_columns_in_order_and_drops_strangers() -> None:
    table = pa.table({"stranger": [1], "text": ["Level"], "name_id": pa.array([7], pa.uint64())})
    assert fill(table, "name").to_pylist() == [{"name_id": 7, "text": "Level"}]


def test_filling_an_unknown_schema_is_an_error() -> None:
    with pytest.raises(KeyError):
        fill(pa.table({}), "nothing")


def row(name: str) -> Mapping[str, Any]:
    """A row of defaults; NaN, which equals nothing, becomes 0."""
    return {c.name: 0.0 if c.default != c.default else pa.scalar(c.default, c.type).as_py() for c in COLUMNS[name]}


# --- columns and numbers


@pytest.mark.parametrize("name", NAMES)
def test_every_column_has_a_meaning_and_a_default(name: str) -> None:
    names = [c.name for c in COLUMNS[name]]
    assert len(set(names)) == len(names)
    for column in COLUMNS[name]:
        assert column.meaning.strip(), column.name
        assert pa.scalar(column.default, column.type).is_valid, column.name
        assert not column.field().nullable


def test_a_record_in_memory_is_its_row_and_its_points() -> None:
    assert RECORD.names == [*(c.name for c in RECORD_COLUMNS), "points"]
    assert [f.name for f in RECORD.field("points").type.value_type] == [c.name for c in POINT_COLUMNS]


@pytest.mark.parametrize("name", sorted(freeze.enumerations()))
def test_no_two_names_share_a_number_and_zero_says_nothing(name: str) -> None:
    members = freeze.enumerations()[name]
    assert len(set(members.values())) == len(members)
    assert next(m for m, n in members.items() if n == 0) in {"UNKNOWN", "NONE", "GOOD"}


def test_protocols_fit_the_byte_that_carries_them() -> None:
    kinds = [kind for kind in vars(codes).values() if isinstance(kind, type) and issubclass(kind, IntEnum)]
    narrow = {codes.Protocol, codes.Kind, codes.Op, codes.Match, codes.PointType, codes.Direction, codes.Severity}
    assert narrow <= set(kinds)
    assert max(max(kind) for kind in narrow) <= 255
    assert max(codes.Space) <= 0xFFFF
    assert max(codes.Quality) <= 0xFFFF
