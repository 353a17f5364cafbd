"""Parting: every record to its partition, in order, whole, with the marks where they stood; as the plain twin says."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.base import Mark
from detectors.columns import Columns, records
from pipeline.marks import Marks
from pipeline.transport.split import _POINT_BYTES, _RECORD_BYTES, Split
from schemas.codes import MarkKind
from tests.reference.split import PlainSplit
from tests.transport.streams import differences, golden, joined


def random_batches(rng: np.random.Generator, count: int) -> list[tuple[Columns, Marks]]:
    """Batches of records of some devices, with some points each, and marks between them."""
    found, seq = [], 0
    for _ in range(count):
        rows = []
        for _ in range(int(rng.integers(1, 60))):
            seq += 1
            points = [{"addr": seq, "value": float(k), "raw": -k} for k in range(int(rng.integers(0, 9)))]
            ip = bytes(10) + b"\xff\xff" + rng.bytes(4)
            rows.append({"seq": seq, "device": int(rng.integers(0, 1 << 62)), "src_ip": ip, "points": points})
        at = sorted(int(a) for a in rng.integers(0, len(rows) + 1, int(rng.integers(0, 5))))
        found.append((records(rows), tuple((row, Mark(MarkKind.TIME, 1000 * seq + i)) for i, row in enumerate(at))))
    return found


class Collected:
    """What a Split gives, collected: batches and marks by partition."""

    def __init__(self, split: Split) -> None:
        self.split = split
        self.batches: list[list[Columns]] = [[] for _ in range(split.partitions)]
        self.cut: list[list[tuple[list[int], list[tuple[int, Mark]]]]] = [[] for _ in range(split.partitions)]
        self.marks: list[list[tuple[int, Mark]]] = [[] for _ in range(split.partitions)]

    def add(self, batch: Columns, marks: Marks) -> None:
        def on_mark(number: int, held: list[int]) -> None:
            for part, rows in enumerate(held):
                self.marks[part].append((rows, marks[number][1]))

        self.split.add(batch, marks, on_mark=on_mark, on_full=self.end)

    def end(self, part: int) -> None:
        batch = self.split.look(part)
        self.batches[part].append(batch.take(np.arange(len(batch))))
        self.cut[part].append((batch.seq.tolist(), self.marks[part]))
        self.marks[part] = []
        self.split.empty(part)


@pytest.mark.parametrize("partitions", [1, 3, 12])
@pytest.mark.parametrize("most_bytes", [1, 3_000, 1 << 20])
def test_it_agrees_with_its_twin(partitions: int, most_bytes: int) -> None:
    rng = np.random.default_rng(partitions * 7 + most_bytes)
    found = Collected(Split(partitions, most_bytes=most_bytes, shard=4))
    twin = PlainSplit(partitions, most_bytes=most_bytes, record_bytes=_RECORD_BYTES, point_bytes=_POINT_BYTES)
    floor = rng.integers(0, 300, partitions)
    found.split.floor[:] = floor
    found.split.set_boot(6)
    twin.floor = floor.tolist()
    parts = random_batches(rng, 30)
    for batch, marks in parts:
        found.add(batch, marks)
        rows = zip(batch.device.tolist(), batch.seq.tolist(), batch.n_points.tolist(), strict=True)
        twin.add(list(rows), list(marks))
    for part in range(partitions):
        found.end(part)
        twin.end(part)
    assert found.cut == twin.cut
    whole = joined([batch for batch, _ in parts])
    for batches in found.batches:
        kept = joined(batches)
        assert differences(kept, whole.take(np.flatnonzero(np.isin(whole.seq, kept.seq))), but=["shard", "boot"]) == []
        assert (kept.shard == 4).all()
        assert (kept.boot == 6).all()
    assert max(len(messages) for messages in twin.cut) > 1 or most_bytes > 3_000


def test_a_record_with_as_many_points_as_decode_gives_fits() -> None:
    many = records([{"seq": 1, "points": [{"addr": k} for k in range(1 << 15)]}, {"seq": 2}])
    found = Collected(Split(1, most_bytes=1, shard=0))
    found.add(many, ())
    found.end(0)
    assert differences(joined(found.batches[0]), many) == []


def test_every_column_of_a_golden_capture_is_kept() -> None:
    for _, batch in golden():
        found = Collected(Split(1, most_bytes=1 << 20, shard=0))
        found.add(batch, ())
        found.end(0)
        assert differences(joined(found.batches[0]), batch) == []
