"""Poisoned messages: mutations of real ones, most of them with a checksum that fits, through decode and all detectors.

    python tests/transport/poison.py --inputs 20000 --seed 1

Prints a summary as JSON.  Run in a process of its own, a crash of any library is seen as well; with
NUMBA_BOUNDSCHECK=1 (the default here) so is an index out of bounds in a kernel.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("NUMBA_BOUNDSCHECK", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from detectors.base import Mark
from detectors.columns import Columns
from detectors.lifecycle import Learning
from detectors.registry import DETECTORS
from pipeline import detect
from pipeline.findings import Findings
from pipeline.findings.merge import types_of
from pipeline.transport import codec
from pipeline.transport.codec import Oversize, decode
from pipeline.transport.envelope import first_message
from pipeline.transport.message import Header, Newer, Poison, Stretch
from schemas.codes import MarkKind
from schemas.record import RECORD_COLUMNS
from tests.fuzz.campaign import peak_bytes
from tests.transport.streams import golden, message

Message = tuple[bytes | None, bytes | None]
Mutation = Callable[[random.Random, bytes, bytes], Message]

NUMBERS = (0, 1, 2, 7, 8, 63, 64, 127, 128, 255, 256, 4095, 1 << 15, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
           1 << 32, (1 << 62), (1 << 63) - 1, 1 << 63, (1 << 64) - 8, (1 << 64) - 1)  # fmt: skip
WARM = 100
"""Messages that pass before the slowest is noted."""
LIFE = 2_000
"""Messages that one set of detectors sees, so that its memory is bounded by the campaign."""


def seeds() -> list[tuple[bytes, bytes]]:
    """Honest messages: every golden capture, with and without marks, and marks alone."""
    found = []
    for _, batch in golden():
        end = len(batch)
        marks = (
            (0, Mark(MarkKind.TIME, int(batch.ts[0]))),
            (end // 2, Mark(MarkKind.GAP, int(batch.ts[0]), 0, 5, '{"reason": "spool full"}')),
            (end, Mark(MarkKind.CONTROL, int(batch.ts[0]), 0, 0, "{}")),
        )
        found += [message(batch), message(batch, marks)]
    end_mark = ((0, Mark(MarkKind.END, 1_700_000_000_000_000_000)),)
    return [*found, message(None, end_mark)]


def resealed(header: bytes, value: bytes) -> tuple[bytes, bytes]:
    """The message with a checksum that fits, if its header can be read at all."""
    try:
        return Header.parse(header).seal(value), value
    except (Poison, Newer):
        return header, value


def _words(rng: random.Random, data: bytes, start: int, stop: int) -> bytes:
    """A few numbers of 1 to 8 bytes between start and stop changed."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        width = rng.choice((1, 2, 4, 4, 8, 8))
        at = rng.randrange(start, max(start + 1, stop - width))
        if width > 1 and rng.random() < 0.8:
            at -= at % min(width, 4)
        here = int.from_bytes(out[at : at + width], "little")
        number = rng.choice((rng.choice(NUMBERS), here + rng.choice((-8, -1, 1, 8)), rng.getrandbits(8 * width)))
        out[at : at + width] = (number % (1 << (8 * width))).to_bytes(width, "little")
    return bytes(out[: len(data)])


def header_raw(rng: random.Random, header: bytes, value: bytes) -> Message:
    return _words(rng, header, 0, len(header)), value


def header_sealed(rng: random.Random, header: bytes, value: bytes) -> Message:
    return resealed(_words(rng, header, 4, len(header) - 4), value)


def schema_metadata(rng: random.Random, header: bytes, value: bytes) -> Message:
    return resealed(header, _words(rng, value, 0, len(first_message(value))))


def batch_metadata(rng: random.Random, header: bytes, value: bytes) -> Message:
    start = len(first_message(value))
    size = struct.unpack_from("<i", value, start + 4)[0]
    return resealed(header, _words(rng, value, start, start + 8 + size))


def body(rng: random.Random, header: bytes, value: bytes) -> Message:
    start = len(first_message(value))
    start += 8 + struct.unpack_from("<i", value, start + 4)[0]
    return resealed(header, _words(rng, value, min(start, len(value) - 9), len(value) - 8))


def anywhere(rng: random.Random, header: bytes, value: bytes) -> Message:
    return resealed(header, _words(rng, value, 0, len(value)))


def shortened(rng: random.Random, header: bytes, value: bytes) -> Message:
    return resealed(header, value[: rng.randrange(len(value))])


def lengthened(rng: random.Random, header: bytes, value: bytes) -> Message:
    return resealed(header, value + rng.choice((b"\0", rng.randbytes(8), value)))


def missing(rng: random.Random, header: bytes, value: bytes) -> Message:
    return rng.choice(
        ((None, value), (header, None), (b"", value), (header, b""), (header[: rng.randrange(72)], value))
    )


def noise(rng: random.Random, header: bytes, value: bytes) -> Message:
    return resealed(header, rng.randbytes(rng.randrange(4096)))


def _columns(rng: random.Random, batch: Columns) -> Columns:
    """A few columns of records or points with other numbers in them."""
    records, points = {}, {}
    for _ in range(rng.choice((1, 1, 2, 5))):
        if rng.random() < 0.3 and len(batch.points):
            name = rng.choice([f.name for f in fields(batch.points)])
            points[name] = _numbers(rng, getattr(batch.points, name))
        else:
            name = rng.choice([*(c.name for c in RECORD_COLUMNS), "offsets"])
            records[name] = _numbers(rng, getattr(batch, name))
    if "offsets" in records:  # Arrow would not write others
        records["offsets"][[0, -1]] = batch.offsets[[0, -1]]
    return replace(batch, **records, points=replace(batch.points, **points))


def _numbers(rng: random.Random, array: Any) -> Any:
    out = array.copy()
    flat = out.reshape(-1).view(f"u{out.dtype.itemsize}")
    some = range(len(flat)) if rng.random() < 0.3 else [rng.randrange(len(flat)) for _ in range(3)]
    one = rng.choice(NUMBERS) if rng.random() < 0.5 else None
    for i in some:
        flat[i] = (rng.getrandbits(64) if one is None else one) % (1 << (8 * out.dtype.itemsize))
    return out


def contents(rng: random.Random, header: bytes, value: bytes) -> Message:
    """A well-formed message of records that nobody wrote; its header is made to fit where that can be done."""
    batch = decode(header, value, partition=0).batch
    if batch is None:
        return resealed(header, value)
    lying = _columns(rng, batch)
    try:
        new, content = message(lying)
    except (struct.error, ValueError, OverflowError, Oversize):
        return resealed(header, codec._stream(lying.to_batch(), rng.randbytes(rng.randrange(60))))
    return (new, content) if rng.random() < 0.7 else resealed(header, content)


class Splice:
    """The start of one message and the end of another, or the header of one with the value of another."""

    def __init__(self, others: list[tuple[bytes, bytes]]) -> None:
        self._others = others

    def __call__(self, rng: random.Random, header: bytes, value: bytes) -> Message:
        other_header, other = rng.choice(self._others)
        if rng.random() < 0.3:
            return resealed(other_header, value)
        cut, start = rng.randrange(len(value)), rng.randrange(len(other))
        same = rng.random() < 0.5
        return resealed(header, value[:cut] + other[cut if same else start :])


def mutations(others: list[tuple[bytes, bytes]]) -> tuple[Mutation, ...]:
    once = (header_raw, header_sealed, schema_metadata, anywhere, shortened, lengthened, missing, noise, Splice(others))
    return (*once, batch_metadata, batch_metadata, batch_metadata, body, body, contents, contents, contents, contents)


def stream(seed: int) -> Iterator[tuple[str, Message]]:
    """Name of the mutation and message, without end."""
    rng = random.Random(seed)
    honest = seeds()
    kinds = mutations(honest)
    while True:
        mutate = rng.choice(kinds)
        name = getattr(mutate, "__name__", type(mutate).__name__).lower()
        yield name, mutate(rng, *rng.choice(honest))


class Plant:
    """All detectors and what merges their findings, as a worker has them."""

    def __init__(self) -> None:
        detectors = detect.build(DETECTORS, Learning())
        self.loop = detect.Loop(detectors, Findings(types_of(detectors)), marks_time=False)

    def take(self, stretch: Stretch) -> int:
        """Judge what was accepted; rows of findings."""
        if stretch.batch is None:
            for _, mark in stretch.marks:
                self.loop.on_mark(mark)
        else:
            self.loop.on_stretch(stretch.batch, stretch.marks)
        return int(self.loop.take().num_rows)


def run(inputs: int, seed: int) -> dict[str, Any]:
    """Decode `inputs` mutated messages; the summary."""
    refused: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    total = {"inputs": inputs, "accepted": 0, "newer": 0, "records": 0, "findings": 0}
    slowest, early = 0.0, 0
    source, plant = stream(seed), Plant()
    for number in range(inputs):
        if number % LIFE == LIFE - 1:
            plant = Plant()
        kind, (header, value) = next(source)
        started = time.process_time()
        try:
            stretch = decode(header, value, partition=0)
        except Poison as poison:
            refused[poison.reason] += 1
            continue
        except Newer:
            total["newer"] += 1
            continue
        finally:
            if number > WARM:
                slowest = max(slowest, time.process_time() - started)
        accepted[kind] += 1
        total["accepted"] += 1
        total["records"] += 0 if stretch.batch is None else len(stretch.batch)
        total["findings"] += plant.take(stretch)
        if total["accepted"] == 500:
            early = peak_bytes()
    total["refused"] = sum(refused.values())
    memory = {"early_peak_mb": round(early / 1e6), "peak_mb": round(peak_bytes() / 1e6)}
    told = {"reasons": dict(sorted(refused.items())), "accepted_by": dict(sorted(accepted.items()))}
    return total | memory | {"slowest_ms": round(1e3 * slowest, 1)} | told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with np.errstate(over="ignore"):
        print(json.dumps(run(arguments.inputs, arguments.seed)))


if __name__ == "__main__":
    main()
