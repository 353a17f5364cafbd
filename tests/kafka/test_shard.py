"""A shard into a real Kafka: what arrives is what decode gives, in order, once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from detectors.base import Mark
from detectors.columns import Columns
from pipeline.marks import Seconds
from pipeline.synth import bulk, simulate
from schemas.codes import BUCKETS, MarkKind
from tests.transport import shards
from tests.transport.log import Taken, take_all
from tests.transport.streams import batches, differences, joined

FreshTopic = Callable[..., str]
PARTITIONS = 5


def expected(paths: list[Path], partitions: int) -> list[list[object]]:
    """What each partition must hold: seqs and marks in the order of the stream."""
    return _expected(tuple(paths), partitions)


@lru_cache(maxsize=4)
def _expected(paths: tuple[Path, ...], partitions: int) -> list[list[object]]:
    seconds, found, last = Seconds(), [[] for _ in range(partitions)], 0  # type: ignore[var-annotated]
    for batch in batches(list(paths)):
        if not last:
            for stream in found:
                stream.append(Mark(MarkKind.START, int(batch.ts[0])))
        marks = dict.fromkeys(range(len(batch) + 1), ())
        for row, mark in seconds.of(batch.ts):
            marks[row] = (*marks[row], mark)  # type: ignore[assignment]
        part = (batch.device % np.uint64(BUCKETS)).astype(int) % partitions
        for row, (p, seq) in enumerate(zip(part.tolist(), batch.seq.tolist(), strict=True)):
            for stream in found:
                stream += marks[row]
            found[p].append(seq)
        last = max(last, int(batch.ts.max())) if last else int(batch.ts.max())
    for stream in found:
        stream.append(Mark(MarkKind.END, last))
    return found


def merged(taken: list[Taken]) -> Columns:
    """All records of all partitions in the order of their seq."""
    whole = joined([batch for one in taken for batch in one.batches])
    return whole.take(np.argsort(whole.seq, kind="stable"))


def whole(paths: list[Path]) -> Columns:
    """All records that decode gives."""
    return _whole(tuple(paths))


@lru_cache(maxsize=4)
def _whole(paths: tuple[Path, ...]) -> Columns:
    return joined(list(batches(list(paths))))


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The capture of a plant: 6 minutes, some packets each second."""
    folder = tmp_path_factory.mktemp("plant")
    simulate(folder, minutes=6, seed=3)
    return folder / "plant.pcap"


@pytest.fixture(scope="module")
def polls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of many packets."""
    path = tmp_path_factory.mktemp("polls") / "polls.pcap"
    bulk(path, packets=60_000, registers=10, flows=40, seed=1)
    return path


def test_what_arrives_is_what_decode_gives(
    broker: str, fresh_topic: FreshTopic, topic_prefix: str, tmp_path: Path, plant: Path, polls: Path
) -> None:
    topic = fresh_topic(PARTITIONS, "fieldtap.records")
    fresh_topic(1, "fieldtap.names")
    settings = shards.config(tmp_path / "settings.toml", topic_prefix)
    sources = [plant, polls]
    code, out, err = shards.finish(shards.start(shards.command(sources, broker, tmp_path / "spool", settings)))
    assert code == 0, err
    taken = take_all(broker, topic)
    assert differences(merged(taken), whole(sources), but=["boot"]) == []
    assert [one.sequence for one in taken] == expected(sources, PARTITIONS)
    assert all(one.counters["duplicates"] == one.counters["gaps"] == 0 for one in taken)
    assert "records" in out
