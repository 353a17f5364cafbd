"""Streams for tests of transport: records of captures, and equality of records and points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path

import numpy as np

from detectors.columns import Columns, Points
from pipeline.capture.files import Captures
from pipeline.decode.decoder import Decoder, DecodeSettings
from pipeline.marks import Marks
from pipeline.transport.codec import encode
from schemas.record import RECORD_COLUMNS

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CAPTURES = sorted(GOLDEN.glob("*/input.pcap"))


def batches(paths: Sequence[Path], settings: DecodeSettings | None = None) -> Iterator[Columns]:
    """The records of captures, copied, so that they may be kept."""
    decoder = Decoder(settings)
    for block in Captures(paths):
        for batch in decoder.feed(block):
            yield batch.take(np.arange(len(batch)))
    for batch in decoder.finish():
        yield batch.take(np.arange(len(batch)))


@cache
def golden() -> tuple[tuple[str, Columns], ...]:
    """Name and records of every golden capture."""
    return tuple((path.parent.name, batch) for path in CAPTURES for batch in batches([path]))


def message(batch: Columns | None, marks: Marks = (), *, partition: int = 0, number: int = 0) -> tuple[bytes, bytes]:
    """A message of some records that follow on nothing."""
    shard, boot = (int(batch.shard[0]), int(batch.boot[0])) if batch is not None else (0, 0)
    before = int(batch.seq[0]) - 1 if batch is not None else 0
    return encode(batch, marks, shard=shard, boot=boot, partition=partition, number=number, previous_seq=before)


def differences(found: Columns, expected: Columns, *, but: Sequence[str] = ()) -> list[str]:
    """Columns in which two batches differ, bit for bit; the offsets may start elsewhere."""
    names = [c.name for c in RECORD_COLUMNS if c.name not in but]
    pairs = {name: (getattr(found, name), getattr(expected, name)) for name in names}
    pairs |= {f"points.{f.name}": (_inside(found, f.name), _inside(expected, f.name)) for f in fields(Points)}
    pairs["offsets"] = (np.diff(found.offsets), np.diff(expected.offsets))
    return [name for name, (a, b) in pairs.items() if a.tobytes() != b.tobytes() or a.dtype != b.dtype]


def _inside(columns: Columns, name: str) -> np.ndarray:
    whole: np.ndarray = getattr(columns.points, name)
    return whole[columns.offsets[0] : columns.offsets[-1]] if len(columns) else whole[:0]


def joined(parts: Sequence[Columns]) -> Columns:
    """Batches as one."""
    whole = {c.name: np.concatenate([getattr(p, c.name) for p in parts]) for c in RECORD_COLUMNS}
    counts = np.concatenate([np.diff(p.offsets) for p in parts])
    offsets = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    inside = {f.name: np.concatenate([_inside(p, f.name) for p in parts]) for f in fields(Points)}
    return Columns(**whole, offsets=offsets, points=Points(**inside))
