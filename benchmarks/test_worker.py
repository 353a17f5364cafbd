"""Workers against a real broker on the same machine: judging, keeping, end to end, how soon, and how soon again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.conftest import Sizes
from benchmarks.measure import repeat
from benchmarks.process import ROOT, Finished, fieldtap
from benchmarks.workloads import Shelf, Workload
from infra.kafka import jars
from infra.kafka.broker import Cluster
from pipeline.ledger.view import findings
from pipeline.transport import topics

PARTITIONS = 4
SECONDS = float(os.environ.get("FIELDTAP_BENCH_SECONDS", "10"))
"""How long the run end to end is meant to last."""


JUDGING = {"three detectors": '[detectors]\nenabled = ["peer", "function", "value"]', "all detectors": "", "": ""}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of one node."""
    why = jars.missing()
    if why is not None:
        pytest.skip(why)
    one = Cluster(tmp_path_factory.mktemp("broker"), tied=True)
    one.up()
    yield one.bootstrap
    one.kill(1)


class Place:
    """Topics, settings and a store of their own."""

    def __init__(self, kafka: str, folder: Path, settings: str = "") -> None:
        from confluent_kafka.admin import AdminClient, NewTopic

        self.kafka, self.folder = kafka, folder
        self.prefix = f"b{uuid.uuid4().hex[:8]}."
        self.config = folder / "fieldtap.toml"
        self.config.write_text(f'{settings}\n[kafka]\ntopic_prefix = "{self.prefix}"\n')
        admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
        wanted = {topics.RECORDS: PARTITIONS, topics.PANES: 2, topics.PARKED: PARTITIONS}
        names = (topics.RECORDS, topics.PANES, topics.FINDINGS_LIVE, topics.DEAD_LETTERS, topics.PARKED, topics.NAMES)
        new = [NewTopic(self.prefix + name, wanted.get(name, 1), replication_factor=1) for name in names]
        for future in admin.create_topics(new).values():
            future.result(timeout=60)

    def shard(self, capture: Path) -> list[str]:
        spool = self.folder / "spool"
        return ["capture", str(capture), "--kafka", self.kafka, "--spool", str(spool), "--config", str(self.config)]

    def worker(self, command: str, store: str, *more: str) -> list[str]:
        where = ["--kafka", self.kafka, "--store", str(self.folder / store), "--config", str(self.config)]
        return [command, *where, "--until-end", *more]


def _start_s(kafka: str, folder: Path, settings: str, capture: Path, command: str, *more: str) -> Finished:
    """What a worker takes that has next to nothing to do."""
    place = Place(kafka, folder, settings)
    fieldtap(*place.shard(capture))
    return fieldtap(*place.worker(command, "store", *more), cores=[0])


@pytest.mark.parametrize(
    ("command", "judging"), [("detect", "three detectors"), ("detect", "all detectors"), ("archive", "")]
)
def test_worker(
    benchmark: Any, kafka: str, shelf: Shelf, polls: Workload, tmp_path: Path, command: str, judging: str
) -> None:
    """One worker on one core, with everything in the log before it starts; by CPU time less that of an idle one."""
    capture = shelf.capture(polls)
    place = Place(kafka, tmp_path, JUDGING[judging])
    more: list[str] = []
    if command == "detect":
        baseline = tmp_path / "baseline.parquet"
        fieldtap("learn", str(capture.path), "--out", str(baseline))
        more = ["--baseline", str(baseline)]
    fieldtap(*place.shard(capture.path))
    runs: list[Finished] = []

    def once() -> None:
        name = f"r{len(runs)}"
        runs.append(fieldtap(*place.worker(command, "store", "--run", name, *more), cores=[0]))

    repeat(benchmark, once, rounds=3)
    assert all(f"records {capture.packets:,}" in run.out for run in runs), runs[0].out
    folder = tmp_path / "idle"
    folder.mkdir()
    idle = _start_s(kafka, folder, JUDGING[judging], shelf.capture(Workload(2, 10, 1)).path, command, *more)
    cpu, wall = min(run.cpu for run in runs), min(run.wall for run in runs)
    benchmark.extra_info.update(
        what=f"worker, {command}" + (f", {judging}" if judging else ""),
        workload=f"{polls}, {PARTITIONS} partitions",
        records_per_s=round(capture.packets / max(cpu - idle.cpu, 1e-9)),
        records_per_s_wall=round(capture.packets / max(wall - idle.wall, 1e-9)),
        start_cpu_s=round(idle.cpu, 2),
    )


@pytest.mark.parametrize(
    ("judging", "archived"), [("three detectors", False), ("all detectors", False), ("three detectors", True)]
)
def test_end_to_end(
    benchmark: Any, kafka: str, shelf: Shelf, sizes: Sizes, tmp_path: Path, judging: str, archived: bool
) -> None:
    """Shard, broker and worker at once on two cores, from packets to findings in the ledger."""
    packets = max(sizes.packets, int(800_000 * SECONDS)) if benchmark.enabled else sizes.packets
    capture = shelf.capture(Workload(packets))
    place = Place(kafka, tmp_path, JUDGING[judging])
    baseline = tmp_path / "baseline.parquet"
    fieldtap("learn", str(shelf.capture(Workload(sizes.packets)).path), "--out", str(baseline))
    commands = {
        "shard": place.shard(capture.path),
        "detect": place.worker("detect", "store", "--baseline", str(baseline)),
    }
    if archived:
        commands["archive"] = place.worker("archive", "store")
    ends: dict[str, float] = {}

    def once() -> None:
        start = time.monotonic()
        threads = [
            threading.Thread(target=lambda n=n, c=c: (_finish(c), ends.update({n: time.monotonic() - start})))
            for n, c in commands.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    repeat(benchmark, once, rounds=1)
    assert set(ends) == set(commands), "a process failed"
    benchmark.extra_info.update(
        what=f"end to end, 2 cores, {judging}" + (", with archive" if archived else ""),
        workload=f"{capture.packets:,} packets, 5 points a packet, {PARTITIONS} partitions",
        records_per_s_wall=round(capture.packets / ends["detect"]),
        seconds=round(ends["detect"], 1),
        behind_the_shard_s=round(ends["detect"] - ends["shard"], 2),
        **({"archive_behind_s": round(ends["archive"] - ends["shard"], 2)} if archived else {}),
    )


def _finish(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)


def test_latency(benchmark: Any, kafka: str, shelf: Shelf, sizes: Sizes, tmp_path: Path) -> None:
    """From a packet to its finding in the live topic, at 50,000 records a second."""
    rate, seconds = (50_000, max(20.0, SECONDS)) if benchmark.enabled else (5_000, 6.0)
    capture = shelf.capture(Workload(int(rate * seconds)))
    quick = "[learning]\nsite_s = 1.0\nvalue_s = 1.0\nvalue_samples = 10\n"
    place = Place(kafka, tmp_path, quick)
    delays: list[float] = []
    stop = threading.Event()
    listener = threading.Thread(target=_listen, args=(kafka, place.prefix + topics.FINDINGS_LIVE, delays, stop))
    worker = threading.Thread(target=_finish, args=(place.worker("detect", "store"),))

    def once() -> None:
        listener.start()
        worker.start()
        words = [str(capture.path), kafka, str(tmp_path / "spool"), str(place.config), str(rate), str(seconds)]
        subprocess.run([sys.executable, "-m", "benchmarks.live", *words], cwd=ROOT, check=True)
        worker.join()
        stop.set()
        listener.join()

    repeat(benchmark, once, rounds=1) if not benchmark.enabled else benchmark.pedantic(once, rounds=1)
    assert len(delays) > 10
    found = np.array(delays)
    # A worker that starts beside the shard is seconds behind at first; what is asked is how soon it is when it runs.
    steady = found[len(found) // 5 :]
    benchmark.extra_info.update(
        what="packet to finding in the live topic",
        workload=f"{rate:,} records/s for {seconds:g} s, {len(found):,} findings told",
        p50_ms=round(float(np.percentile(steady, 50)), 1),
        p99_ms=round(float(np.percentile(steady, 99)), 1),
        most_ms=round(float(steady.max()), 1),
    )


def _listen(kafka: str, topic: str, delays: list[float], stop: threading.Event) -> None:
    from confluent_kafka import Consumer, TopicPartition

    settings = {"bootstrap.servers": kafka, "group.id": "x", "auto.offset.reset": "earliest", "fetch.wait.max.ms": 5}
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(topic, 0, 0)])
    while not stop.is_set():
        message = consumer.poll(0.05)
        if message is None or message.error() is not None:
            continue
        row = json.loads(message.value() or b"{}")
        if row["activity_id"] != 3:
            delays.append(time.time_ns() / 1e6 - row["time"] / 1e6)
    consumer.close()


def test_restart(benchmark: Any, kafka: str, shelf: Shelf, sizes: Sizes, tmp_path: Path) -> None:
    """A worker that takes up the state of 100,000 tags and sees that all is done, as a whole process."""
    flows = 1_000 if benchmark.enabled else 20
    capture = shelf.capture(Workload(flows * 200, registers=100, flows=flows))
    place = Place(kafka, tmp_path)
    fieldtap(*place.shard(capture.path))
    first = fieldtap(*place.worker("detect", "store"))
    again: list[Finished] = []
    repeat(benchmark, lambda: again.append(fieldtap(*place.worker("detect", "store"))), rounds=3)
    assert f"records {capture.packets:,}" in first.out
    assert findings(str(tmp_path / "store"), "live").num_rows >= 0
    size = sum(p.stat().st_size for p in (tmp_path / "store" / "epochs").rglob("*") if p.is_file())
    benchmark.extra_info.update(
        what="restart of a worker",
        workload=f"{flows * 100:,} tags of state, {size / 1e6:,.1f} MB of epochs",
        restart_s=round(min(run.wall for run in again), 2),
    )
