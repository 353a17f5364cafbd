"""Streams of records among several hosts, cut, spread over partitions, and brought to the second stage in any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from detectors.base import Mark, State
from detectors.columns import Columns, records
from detectors.lifecycle import Learning
from detectors.registry import ACROSS
from pipeline.detect import Loop, build
from pipeline.findings import Findings, types_of
from pipeline.marks import Marks, Seconds
from pipeline.panes import Collector, rows_of
from pipeline.panes.kernels import client_id
from pipeline.panes.rows import Rows
from pipeline.second import SecondStage
from pipeline.second.message import decode, messages
from schemas.codes import BUCKETS, Kind, MarkKind, Op, Protocol
from tests.pipeline.scripted import SECOND, T0, ip

SITE = np.int64(0)
Sent = tuple[int, bytes, bytes]
"""(target partition, header, value)"""


def id_of(host: int) -> int:
    """Device id of host `host` of 10.0.0.0/16, at a site without a name."""
    hi, lo = np.frombuffer(ip(f"10.0.{host // 256}.{host % 256}"), np.uint64)
    return int(client_id(SITE, hi, lo, np.uint64(0)))


def exchange(at_s: float, client: int, server: int, op: Op = Op.READ, *, answered: bool = True) -> list[dict[str, Any]]:
    """A request and its answer."""
    asker, asked = (ip(f"10.0.{host // 256}.{host % 256}") for host in (client, server))
    ts = T0 + round(at_s * SECOND)
    both = {"device": id_of(server), "protocol": Protocol.MODBUS, "op": op, "func": 3, "unit": 1}
    request = {"ts": ts, "src_ip": asker, "dst_ip": asked, "client_is_src": 1, "kind": Kind.REQUEST}
    answer = {"ts": ts + 2_000_000, "src_ip": asked, "dst_ip": asker, "client_is_src": 0, "kind": Kind.RESPONSE}
    return [both | request, both | answer][: 1 + answered]


def numbered(rows: list[dict[str, Any]]) -> Columns:
    """Records in the order of their time as one shard numbers them."""
    rows = sorted(rows, key=lambda row: int(row["ts"]))
    return records([row | {"seq": i + 1, "packet": i + 1} for i, row in enumerate(rows)])


def busy(seed: int, seconds: int = 1500) -> Columns:
    """Hosts that ask each other, then a sweep, a controller that asks, a client that answers; some records late."""
    random = np.random.default_rng(seed)
    rows = []
    for second in range(0, seconds, 4):
        for client, server in ((1, 101), (1, 102), (2, 102), (2, 103), (3, 104)):
            rows += exchange(second + float(random.random()), client, server)
    for n in range(8):
        rows += exchange(700 + 11 * n, 9, 101 + n, Op.WRITE if n > 3 else Op.READ)
        rows += exchange(1000 + 7 * n, 1, 110 + n, answered=bool(n % 2))
    for second in range(800, 900, 7):
        rows += exchange(second, 101, 103, Op.WRITE)
        rows += exchange(second + 50, 4, 3)
    for second in range(3, seconds, 50):  # addresses that are announced ask nobody
        rows.append(exchange(second, 1, 101)[1] | {"kind": Kind.ANNOUNCE, "protocol": Protocol.ARP, "op": Op.UNKNOWN})
    stream = numbered(rows)
    late = random.random(len(stream)) < 0.05
    ts = np.where(late, stream.ts - 900_000_000, stream.ts)
    ts.flags.writeable = False
    return replace(stream, ts=ts)


Stretches = list[tuple[Columns, Marks]]


def stretches(stream: Columns, sizes: Sequence[int]) -> Stretches:
    """A stream with its marks, cut into pieces of these sizes over and over."""
    seconds, found, at, i = Seconds(), [], 0, 0
    while at < len(stream):
        stop = min(at + sizes[i % len(sizes)], len(stream))
        batch = stream.slice(at, stop)
        marks = seconds.of(batch.ts)
        if at == 0:
            marks = ((0, Mark(MarkKind.START, int(stream.ts[0]))), *marks)
        found.append((batch, marks))
        at, i = stop, i + 1
    return found


def part_of(whole: Stretches, partition: int, partitions: int) -> Stretches:
    """What a partition gets of it: the records of its device buckets, and every mark."""
    found = []
    for batch, marks in whole:
        mine = batch.bucket % partitions == partition
        before = np.concatenate([[0], np.cumsum(mine)])
        found.append((batch.take(np.flatnonzero(mine)), tuple((int(before[at]), mark) for at, mark in marks)))
    return found


def judging(start_ns: int | None) -> Loop:
    """The loop of the second stage with all of its detectors."""
    detectors = build(ACROSS, Learning(start_ns=start_ns, site_s=600.0))
    return Loop(detectors, Findings(types_of(detectors)), marks_time=False)


def sent(part: Stretches, source: int, targets: int, epoch: int = 3, collector: Collector | None = None) -> list[Sent]:
    """Everything that a partition sends, an epoch to every `epoch` stretches."""
    collector = collector or Collector()
    found: list[Sent] = []
    for start in range(0, len(part), epoch):
        closed = []
        stop = min(start + epoch, len(part))
        for batch, marks in part[start:stop]:
            closed += collector.on_stretch(batch, marks)
        ended = stop == len(part)
        closed += collector.finish() if ended else []
        table = collector.sends(closed)
        found += messages(table, targets, source=source, start=start, next=stop, ended=ended)
    return found


def shuffled(logs: Sequence[Sequence[Any]], seed: int) -> Iterator[Any]:
    """The messages of several logs in one order: each log's own order is kept."""
    random = np.random.default_rng(seed)
    turns = np.repeat(np.arange(len(logs)), [len(log) for log in logs])
    random.shuffle(turns)
    ways = [iter(log) for log in logs]
    for turn in turns:
        yield next(ways[turn])


def stages(sources: int, targets: int, **more: Any) -> list[SecondStage]:
    """The second stage, spread over partitions."""
    return [SecondStage(sources, judging, **more) for _ in range(targets)]


def deliver(stage: SecondStage, log: Sequence[Sent] | Iterator[Sent], sources: int, targets: int) -> None:
    """Messages of one target partition, decoded and taken."""
    for target, header, value in log:
        stage.admit(decode(header, value, sources=sources, partition=target, partitions=targets))


def by_bucket(made: Sequence[SecondStage]) -> dict[int, State]:
    """The state of every client bucket that has any, whichever stage has it."""
    found = {}
    for partition, stage in enumerate(made):
        for bucket in range(partition, BUCKETS, len(made)):
            state = stage.snapshot(np.array([bucket]))
            own = {n: a for n, a in state.items() if n not in ("sources", "stage", "counts")}
            if any(len(array) for array in own.values()):
                found[bucket] = own
    return found


def findings(made: Sequence[SecondStage]) -> pa.Table:
    """The rows that stages have found, in no common order."""
    return pa.concat_tables([stage.take() for stage in made])


def many(n: int) -> Rows:
    """Rows of `n` pairs."""
    collector = Collector(max_pairs=1 << 20)
    collector.on_stretch(numbered([r for i in range(n) for r in exchange(0, i, 7, answered=False)]), ())
    return rows_of(collector.finish())
