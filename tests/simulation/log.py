"""The log, a small deterministic stage over it, and what one clean pass of it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.owner import Frozen

_HOUR_NS = 3_600_000_000_000
_FIRST_NS = 1_772_000_000_000_000_000
_PRIME = (1 << 61) - 1
KEYS = 5

FINDINGS = pa.schema([("time", pa.timestamp("ns", "UTC")), ("uid", pa.int64()), ("offset", pa.int64())])
SENDS = pa.schema([("uid", pa.int64())])

Row = tuple[int, int, int]
"""(time, uid, offset)."""


class Note(NamedTuple):
    """A message: a number, a time in hours, and whether it is the last."""

    offset: int
    number: int
    hour: int
    last: bool
    header: bytes | None = None
    value: bytes | None = None


class Clean(NamedTuple):
    """What a clean pass gives."""

    findings: tuple[Row, ...]
    sends: tuple[int, ...]
    state: dict[str, NDArray[Any]]


@lru_cache(64)
def log(which: int, length: int) -> tuple[Note, ...]:
    """A log of `length` messages; time goes on by some hours each, and sometimes back."""
    rng = Random(which * 1000 + length)
    hour, notes = 0, []
    for offset in range(length):
        hour += rng.choice((1, 2, 3, 3, 4, -2))
        notes.append(Note(offset, rng.randrange(1 << 30), hour, offset == length - 1))
    return tuple(notes)


class Tally:
    """A stage: a running hash over all numbers, counts by key, and rows that depend on both."""

    def __init__(self) -> None:
        self.restore(None)

    def restore(self, state: Mapping[str, NDArray[Any]] | None) -> None:
        """See `Stage`."""
        self._hash = 1 if state is None else int(state["hash"][0])
        self._counts = [0] * KEYS if state is None else state["counts"].tolist()
        self._ended = False
        self._found: list[Row] = []
        self._sent: list[int] = []

    def take(self, messages: Sequence[Note]) -> None:
        """See `Stage`."""
        for note in messages:
            self._hash = (self._hash * 1_000_003 + note.number) % _PRIME
            self._counts[note.number % KEYS] += 1
            if note.number % 5 < 2:
                for n in range(1 + note.number % 2):
                    uid = self._hash ^ (self._counts[n] << 20)
                    self._found.append((_FIRST_NS + (note.hour + n * 9) * _HOUR_NS, uid, note.offset))
            self._sent += [self._hash ^ n for n in range(note.number % 3)]
            self._ended |= note.last

    def freeze(self) -> Frozen:
        """See `Stage`."""
        found, sent = tuple(self._found), tuple(self._sent)
        self._found, self._sent = [], []
        state = {"hash": np.array([self._hash]), "counts": np.array(self._counts)}
        return Frozen(state, findings_of(found), sends_of(sent), self._ended)


@lru_cache(4096)
def findings_of(rows: tuple[Row, ...]) -> pa.Table:
    """Rows as a table."""
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.Table.from_arrays([pa.array(c, f.type) for c, f in zip(columns, FINDINGS, strict=True)], schema=FINDINGS)


@lru_cache(4096)
def sends_of(rows: tuple[int, ...]) -> pa.Table:
    """Rows for the second stage as a table."""
    return pa.Table.from_arrays([pa.array(rows, pa.int64())], schema=SENDS)


def rows_of(table: pa.Table) -> list[Row]:
    """The rows of a table of findings."""
    columns = [table.column("time").cast(pa.int64()), table.column("uid"), table.column("offset")]
    return list(zip(*(c.to_pylist() for c in columns), strict=True))


@lru_cache(64)
def clean(notes: tuple[Note, ...]) -> Clean:
    """What a stage gives that takes the whole log at once."""
    stage = Tally()
    stage.take(notes)
    state, findings, sends, _ = stage.freeze()
    assert sends is not None
    return Clean(tuple(rows_of(findings)), tuple(sends.column("uid").to_pylist()), state)
