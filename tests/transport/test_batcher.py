"""The batcher: messages that follow on each other, cut by bytes and age, with boots at steps of the clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.base import Mark
from detectors.columns import Columns, records
from pipeline.shard.settings import ShardSettings, SpoolSettings
from pipeline.transport.batcher import TOO_LARGE, Batcher
from pipeline.transport.spool import Spool
from schemas.codes import MarkKind
from tests.transport.log import Taken, take
from tests.transport.streams import differences, golden, joined

HOUR_NS = 3_600_000_000_000
START = 1_700_000_000_000_000_000


class StandingClock:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def shard(
    folder: Path, *, partitions: int = 1, resume: bool = False, **settings: Any
) -> Iterator[tuple[Any, Spool, Any]]:
    clock = StandingClock()
    spool = Spool(folder, SpoolSettings(), partitions)
    try:
        kinds = ShardSettings(**settings)
        yield Batcher(spool, kinds, partitions=partitions, shard=2, boot=5, resume=resume, clock=clock), spool, clock
    finally:
        spool.close()


def stream(count: int, *, first: int = 1, step_ns: int = 1000, start: int = START, **row: Any) -> Columns:
    rows = [{"seq": first + i, "ts": start + i * step_ns, "shard": 2, "boot": 5, "device": i} for i in range(count)]
    return records([r | row for r in rows])


def taken(spool: Spool, partitions: int = 1) -> list[Taken]:
    found: list[list[Any]] = [[] for _ in range(partitions)]
    spool.flush()
    while (ready := spool.read(0.0)) is not None:
        found[ready.partition].append((ready.header, ready.value))
    return [take(messages, partition) for partition, messages in enumerate(found)]


def test_messages_follow_on_each_other(tmp_path: Path) -> None:
    whole = stream(1000)
    with shard(tmp_path, batch_kb=16) as (batcher, spool, _):
        batcher.add(whole.slice(0, 400))
        batcher.add(whole.slice(400, 1000))
        batcher.end()
        (found,) = taken(spool)
    assert differences(joined(found.batches), whole) == []
    assert [h.number for h in found.headers] == list(range(len(found.headers)))
    assert len(found.headers) > 10
    assert [h.previous_seq for h in found.headers[1:]] == [h.last_seq for h in found.headers[:-1]]
    assert found.headers[0].previous_seq == 0
    assert {(h.shard, h.boot) for h in found.headers} == {(2, 5)}
    assert found.marks == [Mark(MarkKind.START, START, 2), Mark(MarkKind.END, int(whole.ts[-1]), 2)]
    assert all(h.raw <= 16 << 10 or h.count == 1 for h in found.headers)


def test_a_message_is_cut_when_it_is_old_enough_and_not_before(tmp_path: Path) -> None:
    with shard(tmp_path, batch_ms=200) as (batcher, spool, clock):
        batcher.add(stream(3))
        clock.now += 0.15
        batcher.add(stream(3, first=4))
        batcher.cut_aged()
        assert taken(spool)[0].headers == []
        clock.now += 0.05
        batcher.cut_aged()
        assert [h.count for h in taken(spool)[0].headers] == [6]
        clock.now += 10
        batcher.cut_aged()
        assert taken(spool)[0].headers == []


def test_marks_of_every_second_go_to_every_partition(tmp_path: Path) -> None:
    with shard(tmp_path, partitions=4) as (batcher, spool, _):
        batcher.add(stream(50, step_ns=250_000_000, device=0))
        batcher.end()
        found = taken(spool, 4)
    times = [mark.ts_ns for mark in found[0].marks if mark.kind is MarkKind.TIME]
    assert times == [START + second * 1_000_000_000 for second in range(1, 13)]
    assert all(one.marks == found[0].marks for one in found)
    assert [len(one.seqs) for one in found] == [50, 0, 0, 0]
    assert found[0].sequence.index(found[0].marks[1]) == 5


def test_slow_traffic_with_more_marks_than_records_fits_into_messages(tmp_path: Path) -> None:
    with shard(tmp_path, partitions=2) as (batcher, spool, _):
        for k in range(3):
            batcher.add(stream(8192, first=1 + 8192 * k, start=START + 8192 * k * 10**9, step_ns=10**9))
        batcher.end()
        found = taken(spool, 2)
    assert [len(one.marks) for one in found] == [1 + 3 * 8192] * 2


@pytest.mark.parametrize("step", [HOUR_NS + 10**9, -HOUR_NS - 10**9, (1 << 62) - START, -(1 << 62) - START])
def test_a_step_of_the_clock_begins_a_new_boot(tmp_path: Path, step: int) -> None:
    before, after = stream(10), stream(10, first=11, start=START + step)
    with shard(tmp_path) as (batcher, spool, _):
        batcher.add(joined([before, after]))
        assert (batcher.boot, batcher.steps) == (6, 1)
        batcher.add(stream(5, first=21, start=START + step))
        batcher.end()
        (found,) = taken(spool)
    assert [(h.boot, h.number, h.previous_seq, h.last_seq) for h in found.headers] == [
        (5, 0, 0, 10),
        (6, 0, 0, 25),
        (6, 1, 25, 25),
    ]
    assert joined(found.batches).boot.tolist() == [5] * 10 + [6] * 15
    assert ("shard", "clock_steps", "", 1) in batcher.health()


def test_an_hour_is_no_step(tmp_path: Path) -> None:
    with shard(tmp_path) as (batcher, _, __):
        batcher.add(joined([stream(10), stream(10, first=11, start=START + HOUR_NS)]))
        assert batcher.boot == 5


@pytest.mark.parametrize("cut", [0, 1, 137, 400, 999, 1000])
def test_decoded_again_a_stream_goes_on_where_it_was(tmp_path: Path, cut: int) -> None:
    """Whatever was spooled of it; here with other batches, sizes and a step of the clock."""
    late = stream(600, first=401, start=START + 3 * HOUR_NS, step_ns=40_000_000)
    whole = joined([stream(400, step_ns=30_000_000), late])
    with shard(tmp_path / "plain", partitions=3, batch_kb=32) as (batcher, spool, _):
        batcher.add(whole)
        batcher.end()
        plain = taken(spool, 3)
    with shard(tmp_path / "cut", partitions=3, batch_kb=16) as (batcher, spool, _):
        batcher.add(whole.slice(0, cut))
        if cut % 2:
            batcher.cut_all()
    with shard(tmp_path / "cut", partitions=3, batch_kb=64, resume=True) as (batcher, spool, _):
        for start in range(0, 1000, 130):
            batcher.add(whole.slice(start, min(1000, start + 130)))
        batcher.end()
        again = taken(spool, 3)
    assert [one.sequence for one in again] == [one.sequence for one in plain]
    for one, other in zip(again, plain, strict=True):
        assert differences(joined(one.batches), joined(other.batches)) == []
        assert one.counters["gaps"] == one.counters["duplicates"] == 0
    with shard(tmp_path / "cut", partitions=3, resume=True) as (batcher, spool, _):
        batcher.add(whole)
        batcher.end()
        assert [one.headers for one in taken(spool, 3)] == [one.headers for one in again], "nothing is added"


def test_what_is_too_large_for_one_message_becomes_several(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = []
    for seq in range(1, 33):
        points = [{"raw": int(v), "addr": int(v)} for v in rng.integers(0, 1 << 62, 2000)]
        rows.append({"seq": seq, "ts": START + seq * 300_000_000, "shard": 2, "boot": 5, "points": points})
    whole = records(rows)
    with shard(tmp_path, batch_kb=8192) as (batcher, spool, _):
        batcher.add(whole)
        batcher.end()
        (found,) = taken(spool)
    assert differences(joined(found.batches), whole) == []
    assert len(found.headers) > 2
    assert len([mark for mark in found.marks if mark.kind is MarkKind.TIME]) == 9
    assert found.sequence.index(found.marks[1]) == 4


def test_a_record_too_large_for_any_message_is_dropped_and_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    words = rng.integers(0, 1 << 62, (32_000, 4)).tolist()
    points = [{"raw": a, "addr": b, "name_id": c, "source_ts": d} for a, b, c, d in words]
    rows = [{"seq": k, "ts": START + k, "shard": 2, "boot": 5, "points": points if k == 2 else []} for k in (1, 2, 3)]
    with shard(tmp_path, batch_kb=8192) as (batcher, spool, _):
        batcher.add(records(rows))
        batcher.end()
        (found,) = taken(spool)
        dropped = [(reason, n) for _, counter, reason, n in spool.health() if counter == "dropped"]
    assert found.seqs == [1, 3]
    assert dropped == [(TOO_LARGE, 1)]
    assert [(mark.kind, mark.count) for mark in found.marks] == [
        (MarkKind.START, 0),
        (MarkKind.GAP, 1),
        (MarkKind.END, 0),
    ]
    assert '"reason": "larger than a message"' in found.marks[1].text


def test_golden_captures_arrive_whole(tmp_path: Path) -> None:
    for number, (_, batch) in enumerate(golden()):
        with shard(tmp_path / str(number), clock_step_s=1e9) as (batcher, spool, _):
            batcher.add(batch)
            batcher.end()
            (found,) = taken(spool)
        assert differences(joined(found.batches), batch, but=["shard", "boot"]) == []
