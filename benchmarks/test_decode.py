"""Capture and decode on one core, the capture in the page cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import objects
from benchmarks.conftest import Sizes
from benchmarks.measure import Timed, rates, repeat
from benchmarks.workloads import Shelf, Workload, batches, count
from pipeline.capture.files import Captures


def _decode(benchmark: Any, shelf: Shelf, workload: Workload, what: str) -> None:
    capture = shelf.capture(workload)
    assert count(capture.path) == (capture.packets, capture.points)
    timed = repeat(benchmark, lambda: count(capture.path), rounds=7)
    amounts = {"packets": capture.packets, "points": capture.points, "bytes": capture.size}
    benchmark.extra_info.update(what=what, workload=str(workload), **rates(timed, **amounts))


@pytest.mark.parametrize("registers", [10, 60, 125])
def test_registers(benchmark: Any, shelf: Shelf, sizes: Sizes, registers: int) -> None:
    """Polls of few and of many registers."""
    packets = max(1, sizes.packets * 10 // max(registers, 10)) if registers > 10 else sizes.packets
    _decode(benchmark, shelf, Workload(packets, registers), f"decode, {registers} registers")


@pytest.mark.parametrize("flows", [10, 1_000, 100_000, 1_000_000])
def test_flows(benchmark: Any, shelf: Shelf, sizes: Sizes, flows: int) -> None:
    """Few and many connections; the table of a million starts empty and grows."""
    _decode(benchmark, shelf, Workload(sizes.packets, 10, flows), f"decode, {flows:,} flows")


def test_index(benchmark: Any, shelf: Shelf, polls: Workload) -> None:
    """Reading the file and finding its packets, without decode."""
    capture = shelf.capture(polls)

    def packets() -> int:
        return sum(len(block) for block in Captures([capture.path]))

    assert packets() == capture.packets
    timed = repeat(benchmark, packets, rounds=7)
    measured = rates(timed, packets=capture.packets, bytes=capture.size)
    benchmark.extra_info.update(what="read and index", workload=str(polls), **measured)


def _first(path: Path, packets: int) -> tuple[int, int, float]:
    """(records, values, their sum) of the first `packets` packets."""
    records = values = 0
    total = 0.0
    for batch in batches(path):
        n = int(np.searchsorted(batch.packet, packets, "right"))
        records += n
        values += int(batch.offsets[n])
        total += float(batch.points.value[: batch.offsets[n]].sum())
    return records, values, total


def test_objects(benchmark: Any, shelf: Shelf, sizes: Sizes, polls: Workload) -> None:
    """Against a loop over dpkt's objects: rounds alternate, so that both meet the same machine."""
    capture = shelf.capture(polls)
    loop = Timed(lambda: objects.decode(capture.path, sizes.objects))
    assert loop() == _first(capture.path, sizes.objects)

    def setup() -> tuple[()]:
        loop()
        return ()

    timed = repeat(benchmark, lambda: count(capture.path), rounds=5, setup=setup)
    per_object, per_packet = loop.cpu / sizes.objects, timed.cpu / capture.packets
    benchmark.extra_info.update(
        what="decode against dpkt objects",
        workload=f"{polls}; dpkt: the first {sizes.objects:,}",
        objects_packets_per_s=round(1 / per_object),
        ratio=round(per_object / per_packet, 1),
        **rates(timed, packets=capture.packets),
    )
