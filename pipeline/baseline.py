"""Baseline files: what detectors learned to be normal, as sorted rows that can be shown, compared and approved."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.base import Detector
from pipeline.errors import BaselineError, OutputError
from schemas.baseline import BASELINE, BASELINE_COLUMNS, SORT_KEY, VERSION
from schemas.codes import LearnState

_SCHEMA, _VERSION = b"fieldtap.schema", b"fieldtap.version"
_DIGEST, _LINEAGE = b"fieldtap.digest", b"fieldtap.lineage"
_JUDGED = ("value", "state")
"""The columns in which two baselines differ; how often and when something was seen is no difference."""

DIFF = pa.schema(
    [
        *(BASELINE.field(name) for name in SORT_KEY),
        pa.field("change", pa.string(), nullable=False),
        pa.field("old_value", pa.float64(), nullable=False),
        pa.field("new_value", pa.float64(), nullable=False),
        pa.field("old_state", pa.uint8(), nullable=False),
        pa.field("new_state", pa.uint8(), nullable=False),
        pa.field("old_n", pa.uint64(), nullable=False),
        pa.field("new_n", pa.uint64(), nullable=False),
    ]
)
"""Rows of :func:`diff`: the key, `change` (added, removed or changed), both sides; NaN, 0, 0 where there is none."""


IDENTITY, TEXTS = "identity", 256
"""Parameter of what a device said of itself, and the bit of `addr_sub` that says that `code` is the id of a text."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline in memory.

    Attributes:
        table: rows of schema BASELINE in the order of SORT_KEY.
        digest: SHA-256 of the rows, hexadecimal: the baseline's id in findings.
        lineage: captures learned from, parents, settings, and texts of the names that rows hold the ids of.
    """

    table: pa.Table
    digest: str
    lineage: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """See :func:`read`."""
        return read(path)

    def names(self) -> dict[int, str]:
        """Texts of name ids: a finding names what was learned though nobody has said it since."""
        found = self.lineage.get("names")
        if not isinstance(found, Mapping):
            return {}
        return {int(name, 16): str(text) for name, text in found.items()}


def digest_of(table: pa.Table) -> str:
    """SHA-256 over names, types and values of every column, however the table is cut into chunks."""
    digest = hashlib.sha256(str(table.num_rows).encode())
    for field, column in zip(table.schema, table.columns, strict=True):
        digest.update(f"\n{field.name}:{field.type}\n".encode())
        digest.update(_bytes_of(column))
    return digest.hexdigest()


def _bytes_of(column: pa.ChunkedArray) -> bytes:
    array = _one(column)
    if pa.types.is_string(column.type):
        ends = _whole(array, np.dtype(np.int32), 1)
        text = array.buffers()[2]
        lengths = np.diff(ends).tobytes()
        return lengths + bytes(text.slice(int(ends[0]), int(ends[-1] - ends[0]))) if text is not None else lengths
    if pa.types.is_fixed_size_binary(column.type):
        return _addresses(array).tobytes()
    return bytes(_numbers(array).tobytes())


def _whole(array: pa.Array, kind: np.dtype[Any], more: int = 0) -> NDArray[Any]:
    """The second buffer of `array` from its first entry, as `kind`; `more` entries beyond its length."""
    data = array.buffers()[1]
    if data is None:
        return np.zeros(len(array) + more, kind)
    return np.frombuffer(data, kind)[array.offset : array.offset + len(array) + more]


def _addresses(array: pa.Array) -> NDArray[np.uint64]:
    """16-byte strings as uint64 (n, 2)."""
    data = array.buffers()[1]
    words = np.zeros(0, np.uint64) if data is None else np.frombuffer(data, np.uint64)
    return words[2 * array.offset : 2 * (array.offset + len(array))].reshape(-1, 2)


def _numbers(array: pa.Array) -> NDArray[Any]:
    """A column of numbers or times (int64 ns)."""
    found: NDArray[Any] = (array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array).to_numpy()
    return np.ascontiguousarray(found)


def _one(column: pa.ChunkedArray) -> pa.Array:
    """The column as one array."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _ordered(table: pa.Table) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in SORT_KEY]).combine_chunks()


def _empty() -> pa.Table:
    return BASELINE.empty_table()


def collect(detectors: Sequence[Detector]) -> pa.Table:
    """All that `detectors` know to be normal: rows of schema BASELINE in the order of SORT_KEY.

    Raises:
        ValueError: a detector gave columns of different lengths, or two rows of one key.
    """
    parts = [_learned(detector) for detector in detectors]
    table = _ordered(pa.concat_tables([_empty(), *parts]))
    twice = _same_key(table)
    if twice.any():
        row = table.slice(int(np.argmax(twice)), 1).select(SORT_KEY).to_pylist()[0]
        raise ValueError(f"two rows for one key of a baseline: {row}")
    return table


def names_in(table: pa.Table, names: Mapping[int, str]) -> dict[str, str]:
    """The texts of what devices said of themselves, by the ids in hexadecimal, for the lineage of a baseline."""
    import pyarrow.compute as pc

    said = table.filter(pc.equal(table.column("parameter"), IDENTITY))
    texts = said.filter(pc.greater_equal(said.column("addr_sub"), TEXTS))
    return {f"{name:016x}": names[name] for name in texts.column("code").unique().to_pylist() if name in names}


NOTHING = "nothing"
"""Parameter of the one row of a detector that learned and met nothing: who never saw a write, knows no writer."""


def _learned(detector: Detector) -> pa.Table:
    rows = rows_of(detector.name, detector.learned())
    if rows.num_rows:
        return rows
    state = np.array([LearnState.LIVE], np.uint8)
    return rows_of(detector.name, {"parameter": np.array([NOTHING]), "state": state})


def rows_of(detector: str, columns: Mapping[str, NDArray[Any]]) -> pa.Table:
    """Rows of schema BASELINE from columns as `Detector.learned` gives them; those that are missing say "none"."""
    n = len(next(iter(columns.values()), ()))
    arrays = []
    for column in BASELINE_COLUMNS:
        if column.name == "detector":
            array = pa.repeat(pa.scalar(detector, pa.string()), n)
        elif column.name not in columns:
            array = pa.repeat(pa.scalar(column.default, column.type), n)
        else:
            array = _arrow(columns[column.name], column.type)
        if len(array) != n:
            raise ValueError(f"learned column {column.name!r} of {detector} has {len(array)} rows, not {n}")
        arrays.append(array)
    return pa.table(arrays, schema=BASELINE)


def _arrow(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_binary(kind):
        raw = np.ascontiguousarray(values).tobytes()
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(raw)])
    if pa.types.is_string(kind):
        return pa.array([str(v) for v in values], kind)
    if pa.types.is_timestamp(kind):
        return pa.array(np.asarray(values, np.int64), pa.int64()).cast(kind)
    return pa.array(np.asarray(values, kind.to_pandas_dtype()), kind)


def adopt(table: pa.Table, detectors: Sequence[Detector]) -> list[str]:
    """Let each detector start from its rows; the names of detectors that never learned, and so must.

    Detectors get what their `learned` gives: arrays by column name, `peer` as uint64 (n, 2), times as int64 ns,
    `parameter` as text.
    """
    import pyarrow.compute as pc

    missing = []
    for detector in detectors:
        rows = table.filter(pc.equal(table.column("detector"), detector.name))
        if rows.num_rows:
            detector.adopt(_arrays(rows.filter(pc.not_equal(rows.column("parameter"), NOTHING))))
        else:
            missing.append(detector.name)
    return missing


def _arrays(table: pa.Table) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for column in BASELINE_COLUMNS:
        if column.name == "detector":
            continue
        values = _one(table.column(column.name))
        if pa.types.is_fixed_size_binary(column.type):
            found[column.name] = _addresses(values)
        elif pa.types.is_string(column.type):
            found[column.name] = np.array(values.to_pylist(), np.str_)
        else:
            found[column.name] = _numbers(values)
    return found


def columns_of(table: pa.Table, detector: str) -> dict[str, NDArray[Any]]:
    """The rows of one detector as its `adopt` gets them."""
    import pyarrow.compute as pc

    return _arrays(table.filter(pc.equal(table.column("detector"), detector)))


def write(path: Path, table: pa.Table, lineage: Mapping[str, Any] | None = None) -> str:
    """Write a baseline file, whole or not at all; its digest.

    Args:
        path: the file, replaced where it exists.
        table: rows of schema BASELINE, in any order.
        lineage: captures learned from, parents, settings; must be JSON.

    Raises:
        OutputError: the file cannot be written.
    """
    import pyarrow.parquet as pq

    rows = _ordered(table.cast(BASELINE))
    digest = digest_of(rows)
    extra = {_DIGEST: digest.encode(), _LINEAGE: json.dumps(dict(lineage or {}), sort_keys=True).encode()}
    rows = rows.replace_schema_metadata({**BASELINE.metadata, **extra})
    pending = path.with_name(f".{path.name}.{os.getpid()}.writing")
    try:
        with pending.open("xb") as file:
            pq.write_table(rows, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        os.replace(pending, path)
        _sync_folder(path.parent)
    except BaseException as failure:
        with suppress(OSError):
            pending.unlink()
        if isinstance(failure, OSError):
            raise OutputError(f"{path}: cannot write the baseline: {failure.strerror or failure}") from failure
        raise
    return digest


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path) -> Baseline:
    """Read a baseline file and check it.

    Raises:
        BaselineError: it cannot be read, is no baseline, is of another version, or its rows are not those written.
    """
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            table = pq.ParquetFile(pa.PythonFile(file, mode="r")).read()
    except OSError as failure:
        if failure.errno is None:
            raise BaselineError(f"{path}: not a baseline: damaged or not Parquet") from None
        raise BaselineError(f"{path}: cannot be read: {failure.strerror}") from None
    except pa.ArrowException:
        raise BaselineError(f"{path}: not a baseline: damaged or not Parquet") from None
    return _checked(path, table)


def _checked(path: Path, table: pa.Table) -> Baseline:
    from schemas import compat

    metadata = table.schema.metadata or {}
    if metadata.get(_SCHEMA) != b"baseline":
        raise BaselineError(f"{path}: not a baseline: a Parquet file without its mark")
    version = metadata.get(_VERSION, b"").decode(errors="replace")
    if version != str(VERSION):
        raise BaselineError(f"{path}: baseline of version {version or '?'}, this fieldtap reads version {VERSION}")
    problems = compat.problems(table.schema, BASELINE)
    if problems:
        raise BaselineError(f"{path}: not a baseline: {problems[0]}")
    digest = digest_of(table)
    if metadata.get(_DIGEST, b"").decode(errors="replace") != digest:
        raise BaselineError(f"{path}: damaged: its rows do not have the digest that it names")
    try:
        lineage = json.loads(metadata.get(_LINEAGE, b"{}"))
    except ValueError:
        raise BaselineError(f"{path}: damaged: its lineage is not JSON") from None
    return Baseline(compat.fill(table, "baseline"), digest, lineage)


def diff(old: pa.Table, new: pa.Table) -> pa.Table:
    """What changed from `old` to `new`: rows of schema DIFF in the order of the key, none where they agree.

    A row is "changed" where its value or state differs; keys are taken to be unique on each side.
    """
    import pyarrow.compute as pc

    both = pa.concat_tables([_ordered(old), _ordered(new)])
    side = pa.array(np.repeat(np.array([0, 1], np.uint8), [old.num_rows, new.num_rows]))
    both = both.append_column("side", side).sort_by([(n, "ascending") for n in (*SORT_KEY, "side")]).combine_chunks()
    same = np.append(_same_key(both), False)
    is_new = both.column("side").to_numpy() == 1
    second = np.concatenate([[False], same[:-1]])[: len(same)]
    first = np.flatnonzero(~second)[: both.num_rows]
    first = first[first < both.num_rows]
    pair = same[first]
    mate = np.minimum(first + 1, max(both.num_rows - 1, 0))
    change = np.where(pair, "changed", np.where(is_new[first], "added", "removed"))
    sides = {"old": (first, pair | ~is_new[first]), "new": (np.where(pair, mate, first), pair | is_new[first])}
    columns: dict[str, Any] = {name: both.column(name).take(first) for name in SORT_KEY}
    columns["change"] = pa.array(change.tolist(), pa.string())
    for name, none in (("value", np.nan), ("state", 0), ("n", 0)):
        values = both.column(name).to_numpy()
        for which, (at, there) in sides.items():
            columns[f"{which}_{name}"] = np.where(there, values[at], np.array(none, values.dtype))
    table = pa.table([columns[f.name] for f in DIFF], schema=DIFF)
    changed = np.zeros(len(first), np.bool_)
    for name in _JUDGED:
        a, b = columns[f"old_{name}"], columns[f"new_{name}"]
        changed |= ~((a == b) | ((a != a) & (b != b)))
    return table.filter(pc.or_(pa.array(~pair), pa.array(changed)))


def _same_key(table: pa.Table) -> NDArray[np.bool_]:
    """Whether each row of a sorted table has the key of the row after it; one fewer than there are rows."""
    same = np.ones(max(table.num_rows - 1, 0), np.bool_)
    for name in SORT_KEY:
        values = _one(table.column(name))
        if pa.types.is_fixed_size_binary(values.type):
            words = _addresses(values)
            same &= (words[:-1] == words[1:]).all(axis=1)
            continue
        numbers = _numbers(values.dictionary_encode().indices if pa.types.is_string(values.type) else values)
        same &= numbers[:-1] == numbers[1:]
    return same
