"""A deployment for tests: shards, workers and an archive over topics of their own, and what must come of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from confluent_kafka.admin import AdminClient, NewTopic
from numpy.typing import NDArray

from detectors.columns import Columns
from pipeline.archive.replay import Archive
from pipeline.findings import fold
from pipeline.ledger.view import findings
from pipeline.panes import rows as panes
from pipeline.run.judges import Judges
from pipeline.run.report import Hooks
from pipeline.run.source import Source
from pipeline.second import SecondStage
from pipeline.second.message import bucket_parts
from pipeline.setup import Setup
from pipeline.shard.capture import Files, capture
from pipeline.stage import RecordStage
from pipeline.store import open_store
from pipeline.transport import topics
from pipeline.transport.settings import KafkaSettings
from pipeline.worker.compose import Deployment, Detection, Keeping, WorkReport, work
from pipeline.worker.settings import WorkerSettings
from schemas.codes import BUCKETS

SECOND = 2
"""Partitions of the second stage."""
State = dict[tuple[str, int], dict[str, NDArray[Any]]]
"""Arrays of the detectors by (stage, partition)."""


@dataclass(frozen=True)
class Outcome:
    """What came of some input: findings, one row each in the order of their ids, and the state at the end."""

    found: pa.Table
    state: State


class Sink:
    """Keeps rows of findings."""

    def __init__(self) -> None:
        self.rows: list[pa.Table] = []

    def on_batch(self, batch: Columns) -> None:
        """Records are not kept."""

    def on_findings(self, rows: pa.Table) -> None:
        self.rows.append(rows)


class Site:
    """Topics of their own on a broker, with a store."""

    def __init__(self, bootstrap: str, prefix: str, partitions: int, folder: Path, setup: Setup, **own: Any) -> None:
        self.bootstrap, self.partitions, self.folder = bootstrap, partitions, folder
        worker = WorkerSettings(**{"epoch_s": 0.2, "revoke_s": 5.0, **own})
        config = replace(setup.config, kafka=KafkaSettings(topic_prefix=prefix), worker=worker)
        self.setup = replace(setup, config=config)
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        counts = {topics.RECORDS: partitions, topics.PANES: SECOND, topics.PARKED: partitions}
        names = (topics.RECORDS, topics.PANES, topics.FINDINGS_LIVE, topics.DEAD_LETTERS, topics.PARKED, topics.NAMES)
        made = admin.create_topics([NewTopic(prefix + n, counts.get(n, 1), replication_factor=1) for n in names])
        for future in made.values():
            future.result(timeout=60)
        deadline = time.monotonic() + 60
        while not {prefix + n for n in names} <= admin.list_topics(timeout=10).topics.keys():
            assert time.monotonic() < deadline, "the broker does not tell of topics that it made"
            time.sleep(0.05)

    def shards(self, inputs: Sequence[Sequence[Path]]) -> None:
        """A shard for each of `inputs`, all at once, until all is in Kafka."""

        def one(number: int, paths: Sequence[Path]) -> None:
            config = replace(self.setup.config, decode=replace(self.setup.config.decode, shard=number))
            capture(Files(paths), self.bootstrap, self.folder / f"spool-{number}", config, hooks=Hooks())

        together([lambda n=n, paths=paths: one(n, paths) for n, paths in enumerate(inputs)])

    def workers(self, number: int, run: str = "live") -> list[WorkReport]:
        """So many workers, until all input is judged and true."""
        config = replace(self.setup.config, worker=replace(self.setup.config.worker, run=run))
        return together([lambda: self._work(replace(self.setup, config=config), Detection) for _ in range(number)])

    def archive(self) -> None:
        """One that keeps records, until all of them are kept."""
        worker = replace(self.setup.config.worker, group="fieldtap-archive", run="archive")
        self._work(replace(self.setup, config=replace(self.setup.config, worker=worker)), Keeping)

    def _work(self, setup: Setup, kind: type[Detection] | type[Keeping]) -> WorkReport:
        place = Deployment(self.bootstrap, str(self.folder / "store"), setup, setup.config.worker)
        told: list[str] = []
        report = work(place, kind, stop=lambda: False, say=told.append, until_end=True)
        assert report.stopped == [], told
        return report

    def outcome(self, run: str = "live") -> Outcome:
        """What the ledger says of a run."""
        place = Deployment(
            self.bootstrap, str(self.folder / "store"), self.setup, replace(self.setup.config.worker, run=run)
        )
        held: State = {}
        for stage, topic in (("records", place.records), ("panes", place.panes())):
            for partition in range(topic.partitions):
                tip = place.chain(topic, partition).tip()
                assert tip is not None, (stage, partition)
                assert tip.ended, (stage, partition)
                held[stage, partition] = of_detectors(tip.state)
        return Outcome(ordered(findings(place.store, run)), held)

    def replayed(self) -> Outcome:
        """What judging the archive gives."""
        archive = Archive(open_store(str(self.folder / "store")), "archive")
        rows, held = [], {}
        second, names = SecondStage(self.partitions, self.setup.across), archive.names()
        for topic, partition in archive.partitions():
            stage = RecordStage(self.setup, partition, self.partitions, names)
            for batch, marks in archive.stretches(topic, partition):
                stage.judge(batch, marks)
            frozen = stage.freeze()
            assert frozen.ended
            assert frozen.sends is not None
            second.hear(panes.orders_of(frozen.sends))
            second.add(partition, *panes.from_table(frozen.sends), ended=True)
            rows.append(frozen.findings)
            held["records", partition] = of_detectors(frozen.state)
        rows.append(second.take())
        for partition in range(SECOND):
            state = second.snapshot(np.array(bucket_parts(partition, SECOND)))
            held["panes", partition] = of_detectors(state)
        return Outcome(ordered(pa.concat_tables(rows)), held)


def file_run(paths: Sequence[Path], setup: Setup, partitions: int) -> Outcome:
    """What `fieldtap run` finds, and its state as so many partitions would hold it."""
    source = Source(paths, setup.config.decode, Hooks())
    judges = Judges(source, setup.config, setup.site, setup.baseline)
    sink = Sink()
    judges.run([sink])
    first = [d for d in judges.detectors if d.name in setup.config.enabled]
    across = [d for d in judges.detectors if d.name in setup.config.across]
    held: State = {}
    for stage, count, detectors in (("records", partitions, first), ("panes", SECOND, across)):
        for partition in range(count):
            buckets = np.arange(partition, BUCKETS, count)
            held[stage, partition] = {
                f"detector.{d.name}/{name}": array for d in detectors for name, array in d.snapshot(buckets).items()
            }
    return Outcome(ordered(pa.concat_tables(sink.rows)) if sink.rows else ordered(None), held)


def of_detectors(state: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: array for name, array in state.items() if name.startswith("detector.")}


def ordered(rows: pa.Table | None) -> pa.Table:
    """One row a finding, in the order of their ids."""
    from schemas.alert import ALERT

    table = fold(rows if rows is not None else ALERT.empty_table())
    return table.sort_by([("finding_info_uid", "ascending")]).combine_chunks()


def same(one: Outcome, other: Outcome) -> list[str]:
    """In what two outcomes differ; a stage that never judged anything has no state, and need not."""
    wrong = [] if equal_tables(one.found, other.found) else ["findings"]
    for place in sorted(one.state.keys() | other.state.keys()):
        a, b = one.state.get(place, {}), other.state.get(place, {})
        for name in sorted(a.keys() | b.keys()):
            left, right = a.get(name), b.get(name)
            if left is None or right is None:
                given = left if left is not None else right
                assert given is not None
                if given.size and given.any():
                    wrong.append(f"{place} {name} only on one side")
            elif not np.array_equal(left, right, equal_nan=left.dtype.kind == "f"):
                wrong.append(f"{place} {name}")
    return wrong


def equal_tables(one: pa.Table, other: pa.Table) -> bool:
    """Equality in which NaN equals NaN."""

    def plain(table: pa.Table) -> list[dict[str, Any]]:
        return [{k: None if v != v else v for k, v in row.items()} for row in _without_times(table).to_pylist()]

    return one.schema.equals(other.schema) and plain(one) == plain(other)


def _without_times(table: pa.Table) -> pa.Table:
    from pipeline.worker.outbox import without_times

    return without_times(table)


def together(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """All tasks at once in threads; what they return, or the first exception."""
    results: list[Any] = [None] * len(tasks)
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            results[number] = tasks[number]()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return results
