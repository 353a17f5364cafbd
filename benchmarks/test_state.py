"""What detectors hold: bytes for a tag, how long a snapshot takes, and what a flood of made-up addresses leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.conftest import Sizes
from detectors.base import Detector
from detectors.columns import Columns, records
from detectors.lifecycle import SECOND_NS, Learning
from detectors.registry import DETECTORS
from pipeline import detect
from schemas.codes import BUCKETS, Direction, Kind, Match, Op, PointType, Protocol, Space, Transport

POLL = 100
"""Registers of a poll."""
SWEEPS = 12
START_NS = 1_700_000_000 * SECOND_NS
QUICKLY = Learning(site_s=5.0, value_s=5.0, value_samples=8)


def polls(tags: int, sweep: int, changing: float) -> Columns:
    """Answers of as many devices as `tags` need, one second after the ones before; a share of the tags moves."""
    one = records(
        [
            {
                "protocol": Protocol.MODBUS,
                "transport": Transport.TCP,
                "src_port": 502,
                "dst_port": 40_000,
                "kind": Kind.RESPONSE,
                "op": Op.READ,
                "func": 3,
                "unit": 1,
                "match": Match.MATCHED,
                "points": [
                    {"space": Space.HOLDING_REGISTER, "addr": at, "type": PointType.U16, "direction": Direction.READ}
                    for at in range(POLL)
                ],
            }
        ]
    )
    n = tags // POLL
    many = one.take(np.zeros(n, np.intp))
    rng = np.random.default_rng(sweep)
    moving = np.tile(np.arange(POLL) < changing * POLL, n)
    value = np.where(moving, rng.integers(0, 1000, n * POLL), 7).astype(np.float64)
    return replace(
        many,
        ts=np.full(n, START_NS + sweep * SECOND_NS) + np.arange(n),
        seq=np.arange(n, dtype=np.uint64) + np.uint64(sweep * n),
        device=np.arange(1, n + 1, dtype=np.uint64),
        points=replace(many.points, value=value),
    )


def learned(names: Sequence[str], tags: int) -> list[Detector]:
    """Detectors that know so many tags, a tenth of which move."""
    detectors = detect.build(names, QUICKLY)
    for sweep in range(SWEEPS):
        batch = polls(tags, sweep, 0.1)
        for detector in detectors:
            detector.on_batch(batch)
    return detectors


@pytest.mark.parametrize("names", [("value",), tuple(DETECTORS)], ids=["value", "all"])
def test_bytes_of_a_tag(benchmark: Any, sizes: Sizes, names: tuple[str, ...]) -> None:
    """State of a million tags, with what tables allocate ahead; values learned a second are reported beside it."""
    tags = 1_000_000 if benchmark.enabled else 10_000
    detectors = benchmark.pedantic(learned, args=(names, tags), rounds=1, iterations=1)
    held = sum(detector.counters()["state_bytes"] for detector in detectors)
    (value,) = (detector for detector in detectors if detector.name == "value")
    assert value.counters()["live"] == tags
    benchmark.extra_info.update(
        what=f"state, {'value' if len(names) == 1 else 'all detectors'}",
        workload=f"{tags:,} tags in polls of {POLL}, a tenth of them moving",
        mib=round(held / 2**20),
        bytes_a_tag=round(held / tags),
    )


@pytest.mark.parametrize("names", [("value",), tuple(DETECTORS)], ids=["value", "all"])
def test_snapshot(benchmark: Any, names: tuple[str, ...]) -> None:
    """Everything that detectors hold of 100,000 tags, copied out, and taken over by new ones."""
    tags = 100_000 if benchmark.enabled else 10_000
    detectors = learned(names, tags)
    buckets = np.arange(BUCKETS)

    def copy() -> tuple[float, float]:
        start = time.perf_counter()
        states = [detector.snapshot(buckets) for detector in detectors]
        middle = time.perf_counter()
        others = detect.build(names, QUICKLY)
        made = time.perf_counter()
        for other, state in zip(others, states, strict=True):
            other.restore(state)
        return middle - start, time.perf_counter() - made

    took: list[tuple[float, float]] = []
    benchmark.pedantic(lambda: took.append(copy()), rounds=7 if benchmark.enabled else 1, iterations=1)
    benchmark.extra_info.update(
        what=f"snapshot, {'value' if len(names) == 1 else 'all detectors'}",
        workload=f"{tags:,} tags in polls of {POLL}",
        snapshot_ms=round(1e3 * min(out for out, _ in took), 1),
        restore_ms=round(1e3 * min(back for _, back in took), 1),
    )


def strangers(many: int, size: int = 100_000) -> Iterator[Columns]:
    """Requests of `many` clients that do not exist, each to a device of its own."""
    one = records([{"protocol": Protocol.MODBUS, "transport": Transport.TCP, "dst_port": 502, "client_is_src": 1,
                    "kind": Kind.REQUEST, "op": Op.READ, "func": 3, "unit": 1, "match": Match.PENDING}])  # fmt: skip
    rng = np.random.default_rng(1)
    for first in range(0, many, size):
        n = min(size, many - first)
        batch = one.take(np.zeros(n, np.intp))
        yield replace(
            batch,
            ts=START_NS + (first + np.arange(n)) * 10_000,
            seq=np.arange(first, first + n, dtype=np.uint64),
            device=rng.integers(1, 1 << 63, n).astype(np.uint64),
            src_ip=rng.integers(0, 1 << 63, (n, 2)).astype(np.uint64),
        )


def test_flood(benchmark: Any) -> None:
    """Ten million clients and devices that do not exist: what is held stays bounded, what is forgotten is counted."""
    many = 10_000_000 if benchmark.enabled else 20_000
    detectors = detect.build(tuple(DETECTORS), Learning(site_s=0.0, start_ns=START_NS))

    def flood() -> int:
        return sum(len(detector.on_batch(batch)) for batch in strangers(many) for detector in detectors)

    evidence = benchmark.pedantic(flood, rounds=1, iterations=1)
    counters = [detector.counters() for detector in detectors]
    assert evidence > 0
    benchmark.extra_info.update(
        what="flood of strangers, all detectors",
        workload=f"{many:,} clients, each with a device of its own",
        mib=round(sum(c["state_bytes"] for c in counters) / 2**20),
        keys=sum(c["keys"] for c in counters),
        forgotten=sum(c["forgotten"] for c in counters),
    )
