"""From records to Kafka and back: each step on one core, then a shard as it runs, into a real Kafka."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.conftest import Sizes
from benchmarks.measure import rates, repeat
from benchmarks.process import fieldtap
from benchmarks.workloads import Shelf, Workload, batches
from detectors.columns import Columns
from infra.kafka import jars
from infra.kafka.broker import Cluster
from pipeline.shard.settings import SpoolSettings
from pipeline.synth import bulk
from pipeline.transport.codec import decode, encode
from pipeline.transport.split import Split
from pipeline.transport.spool import Spool

PARTITIONS = 12
HELD_RECORDS = 100_000
Message = tuple[bytes, bytes]


@pytest.fixture(scope="module")
def held(shelf: Shelf, sizes: Sizes) -> tuple[Columns, ...]:
    """Records in memory, few enough to be held."""
    capture = shelf.capture(Workload(min(sizes.held, HELD_RECORDS)))
    return tuple(batch.take(np.arange(len(batch))) for batch in batches(capture.path))


def _count(held: Sequence[Columns]) -> int:
    return sum(len(batch) for batch in held)


def _note(benchmark: Any, what: str, timed: Any, records: int, more: str = "") -> None:
    workload = f"{records:,} records, 5 points each{more}"
    benchmark.extra_info.update(what=what, workload=workload, **rates(timed, records=records))


def _encoded(batch: Columns) -> Message:
    return encode(batch, (), shard=0, boot=0, partition=0, number=0, previous_seq=int(batch.seq[0]) - 1)


def _cut(held: Sequence[Columns], rows: int) -> list[Columns]:
    return [batch.slice(start, min(len(batch), start + rows)) for batch in held for start in range(0, len(batch), rows)]


@pytest.mark.parametrize("rows", [1024, 4096])
def test_encode(benchmark: Any, held: tuple[Columns, ...], rows: int) -> None:
    """Batches to messages."""
    parts = _cut(held, rows)
    timed = repeat(benchmark, lambda: sum(len(_encoded(batch)[1]) for batch in parts), rounds=7)
    size = sum(len(_encoded(batch)[1]) for batch in parts)
    assert 0 < size < 100 * _count(held)
    _note(benchmark, f"encode, {rows:,} records a message", timed, _count(held))
    benchmark.extra_info["bytes_per_record"] = round(size / _count(held), 1)


@pytest.mark.parametrize("rows", [1024, 4096])
def test_decode(benchmark: Any, held: tuple[Columns, ...], rows: int) -> None:
    """Messages to batches, with every check."""
    messages = [_encoded(batch) for batch in _cut(held, rows)]

    def records() -> int:
        return sum(len(decode(*message, partition=0).batch or ()) for message in messages)

    assert records() == _count(held)
    _note(benchmark, f"decode messages, {rows:,} records each", repeat(benchmark, records, rounds=7), _count(held))


@pytest.mark.parametrize("partitions", [1, PARTITIONS])
def test_split(benchmark: Any, held: tuple[Columns, ...], partitions: int) -> None:
    """Batches parted among partitions, buffers emptied when they are full."""
    split = Split(partitions, most_bytes=2 << 20, shard=0)
    kept = [0]

    def full(partition: int) -> None:
        kept[0] += split.held(partition)
        split.empty(partition)

    def work() -> int:
        kept[0] = 0
        for batch in held:
            split.add(batch, (), on_mark=lambda *_: None, on_full=full)
        for partition in range(partitions):
            full(partition)
        return kept[0]

    assert work() == _count(held)
    _note(benchmark, f"split, {partitions} partitions", repeat(benchmark, work, rounds=7), _count(held))


def test_spool(benchmark: Any, held: tuple[Columns, ...], tmp_path: Path) -> None:
    """Messages appended, synced, read and acknowledged."""
    messages = [_encoded(batch) for batch in _cut(held, 4096)]
    spool = Spool(tmp_path, SpoolSettings(), 1)

    def work() -> int:
        for header, value in messages:
            spool.append(0, header, value, last_seq=0, marks=0)
        spool.flush()
        read = 0
        while (ready := spool.read(0.0)) is not None:
            spool.acknowledge(ready.token)
            read += 1
        return read

    assert work() == len(messages)
    timed = repeat(benchmark, work, rounds=5)
    spool.close()
    _note(benchmark, "spool: append, sync, read, acknowledge", timed, _count(held))


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Kafka of one node on this machine, with the topics."""
    why = jars.missing()
    if why is not None:
        pytest.skip(why)
    one = Cluster(tmp_path_factory.mktemp("kafka"), tied=True)
    one.up()
    fieldtap("topics", "apply", "--kafka", one.bootstrap)
    yield one.bootstrap
    one.kill(1)


def test_shard(benchmark: Any, shelf: Shelf, sizes: Sizes, polls: Workload, kafka: str, tmp_path: Path) -> None:
    """A shard as a command: its CPU time, without that of a start over a thousand packets."""
    small = tmp_path / "small.pcap"
    bulk(small, packets=1000, registers=10, flows=10, seed=1)
    spool = tmp_path / "spool"

    def run(path: Path) -> float:
        shutil.rmtree(spool, ignore_errors=True)
        done = fieldtap("capture", str(path), "--kafka", kafka, "--spool", str(spool))
        assert re.search(r"^dropped +0 *$", done.out, re.M), done.out
        return done.cpu

    large = shelf.capture(polls).path
    started = min(run(small) for _ in range(3 if benchmark.enabled else 1))
    cpus: list[float] = []
    timed = repeat(benchmark, lambda: cpus.append(run(large)), rounds=3)
    cpu = max(min(cpus) - started, 1e-9)
    benchmark.extra_info.update(
        what="shard into Kafka, one core of its own",
        workload=f"{polls.packets:,} records, 5 points each; Kafka of one node on the same machine",
        records_per_s=round(polls.packets / cpu),
        records_per_s_wall=round(polls.packets / timed.wall),
        start_s=round(started, 2),
    )
