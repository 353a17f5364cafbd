"""A shard when Kafka is away, its spool overflows, it is asked to stop, or it is started again."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.kafka.broker import Cluster
from pipeline.config import Config, configure
from pipeline.errors import ConfigError, FieldtapError, TransportError
from pipeline.run.report import Hooks
from pipeline.shard.capture import Files, ShardReport, capture
from pipeline.synth import bulk
from schemas.codes import BUCKETS, MarkKind
from tests.kafka.test_shard import expected, merged, whole
from tests.transport import shards
from tests.transport.log import Taken, read_log, take_all
from tests.transport.streams import GOLDEN, differences

FreshTopic = Callable[..., str]
PARTITIONS = 3
PACKETS = 100_000
SMALL = {"budget_mb": 1, "segment_mb": 1, "sync_ms": 20}


class Shard(threading.Thread):
    """A shard in a thread; `stop` is its SIGTERM."""

    def __init__(self, paths: list[Path], bootstrap: str, spool: Path, config: Config) -> None:
        super().__init__()
        self.stopping = threading.Event()
        self.told: list[str] = []
        self.report = ShardReport()
        self.error: FieldtapError | None = None
        self._work = lambda: capture(
            Files(paths), bootstrap, spool, config, hooks=Hooks(stop=self.stopping.is_set), tell=self.told.append
        )
        self.spool = spool
        self.start()

    def run(self) -> None:
        try:
            self.report = self._work()
        except FieldtapError as error:
            self.error = error

    def note(self) -> dict[str, Any]:
        path = self.spool / "shard.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def has_ended(self) -> bool:
        return bool(self.note().get("ended"))

    def done(self) -> ShardReport:
        self.join(shards.MOST_S)
        assert not self.is_alive(), self.told
        if self.error is not None:
            raise self.error
        return self.report


def settings(prefix: str, **tables: dict[str, Any]) -> Config:
    return configure({"kafka": {"topic_prefix": prefix}, **tables})


@pytest.fixture(scope="module")
def polls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("polls") / "polls.pcap"
    bulk(path, packets=PACKETS, registers=10, flows=40, seed=1)
    return path


@pytest.fixture(scope="module")
def node(kafka_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Kafka of one node that a test may kill; it runs when a test begins."""
    one = Cluster(tmp_path_factory.mktemp("node"), tied=True)
    one.up()
    yield one
    one.kill(1)


def make_topics(bootstrap: str, prefix: str, partitions: int = PARTITIONS) -> str:
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    names = [(f"{prefix}fieldtap.records", partitions), (f"{prefix}fieldtap.names", 1)]
    for answer in admin.create_topics([NewTopic(name, n, replication_factor=1) for name, n in names]).values():
        answer.result(timeout=30)
    return names[0][0]


def lost_by_marks(taken: list[Taken]) -> list[int]:
    return [sum(mark.count for mark in one.marks if mark.kind is MarkKind.GAP) for one in taken]


def missing(taken: list[Taken], path: Path) -> list[int]:
    """Records that did not arrive, by partition."""
    device = whole([path]).device
    part = (device % np.uint64(BUCKETS)).astype(int) % PARTITIONS
    return [int((part == p).sum()) - len(one.seqs) for p, one in enumerate(taken)]


# --- Kafka is away


def test_a_kafka_that_is_not_yet_up_gets_everything_later(
    node: Cluster, topic_prefix: str, tmp_path: Path, polls: Path
) -> None:
    topic = make_topics(node.bootstrap, topic_prefix)
    node.kill(1)
    try:
        config = settings(topic_prefix, shard={"partitions": PARTITIONS})
        shard = Shard([polls], node.bootstrap, tmp_path, config)
        shards.wait_until(shard.has_ended, most_s=120)
        assert not shard.note()["finished"]
    finally:
        node.start(1)
    report = shard.done()
    assert (report.records, report.dropped, report.unsent) == (PACKETS, {}, 0)
    taken = take_all(node.bootstrap, topic)
    assert differences(merged(taken), whole([polls])) == []
    assert [one.sequence for one in taken] == expected([polls], PARTITIONS)
    assert shard.note()["finished"]


def test_a_kafka_that_dies_and_comes_back_loses_nothing(
    node: Cluster, topic_prefix: str, tmp_path: Path, polls: Path
) -> None:
    topic = make_topics(node.bootstrap, topic_prefix)
    shard = Shard([polls], node.bootstrap, tmp_path, settings(topic_prefix, shard={"batch_kb": 64}))
    shards.wait_until(lambda: any(tmp_path.glob("*.segment")), most_s=60)
    node.kill(1)
    try:
        shards.wait_until(lambda: shard.has_ended() or not shard.is_alive(), most_s=120)
    finally:
        node.start(1)
    assert shard.done().dropped == {}
    taken = take_all(node.bootstrap, topic)
    assert differences(merged(taken), whole([polls])) == []
    assert [one.sequence for one in taken] == expected([polls], PARTITIONS)


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
def test_what_overflows_is_counted_exactly(
    node: Cluster, topic_prefix: str, tmp_path: Path, polls: Path, policy: str
) -> None:
    topic = make_topics(node.bootstrap, topic_prefix)
    node.kill(1)
    try:
        config = settings(
            topic_prefix, shard={"partitions": PARTITIONS, "batch_kb": 64}, spool=SMALL | {"policy": policy}
        )
        shard = Shard([polls], node.bootstrap, tmp_path, config)
        shards.wait_until(shard.has_ended, most_s=120)
        assert sum(path.stat().st_size for path in tmp_path.glob("*.segment")) < (1 << 20) + (64 << 10)
    finally:
        node.start(1)
    report = shard.done()
    taken = take_all(node.bootstrap, topic)
    gone = missing(taken, polls)
    assert sum(gone) > 20_000
    assert lost_by_marks(taken) == gone
    assert sum(report.dropped.values()) == sum(gone)
    assert [one.marks[-1].kind for one in taken] == [MarkKind.END] * PARTITIONS
    arrived = merged(taken)
    rows = np.flatnonzero(np.isin(whole([polls]).seq, arrived.seq))
    assert differences(arrived, whole([polls]).take(rows)) == []
    if policy == "drop_oldest":
        assert sum(one.counters["missing_messages"] for one in taken) > 0
        assert all(one.seqs[-1] > PACKETS - PARTITIONS * 40 for one in taken), "the newest are kept"
    else:
        assert sum(one.counters["missing_messages"] for one in taken) == 0
        assert all(one.seqs[0] < 400 for one in taken), "the oldest are kept"


def test_a_spool_that_blocks_waits_and_loses_nothing(
    node: Cluster, topic_prefix: str, tmp_path: Path, polls: Path
) -> None:
    topic = make_topics(node.bootstrap, topic_prefix)
    node.kill(1)
    try:
        config = settings(topic_prefix, shard={"partitions": PARTITIONS}, spool=SMALL | {"policy": "block"})
        shard = Shard([polls], node.bootstrap, tmp_path, config)
        shards.wait_until(lambda: _size(tmp_path) > 3 << 18, most_s=120)
    finally:
        node.start(1)
    assert shard.done().dropped == {}
    taken = take_all(node.bootstrap, topic)
    assert [one.sequence for one in taken] == expected([polls], PARTITIONS)


def test_asked_to_stop_while_the_spool_blocks_it_ends_and_goes_on_later(
    node: Cluster, topic_prefix: str, tmp_path: Path, polls: Path
) -> None:
    topic = make_topics(node.bootstrap, topic_prefix)
    config = settings(topic_prefix, shard={"partitions": PARTITIONS, "stop_s": 0}, spool=SMALL | {"policy": "block"})
    node.kill(1)
    try:
        shard = Shard([polls], node.bootstrap, tmp_path, config)
        shards.wait_until(lambda: _size(tmp_path) > 3 << 18, most_s=120)
        shard.stopping.set()
        report = shard.done()
    finally:
        node.start(1)
    assert report.interrupted
    assert report.unsent > 0
    assert report.dropped == {}
    assert not shard.has_ended()
    again = Shard([polls], node.bootstrap, tmp_path, config).done()
    assert again.resumed
    assert [one.sequence for one in take_all(node.bootstrap, topic)] == expected([polls], PARTITIONS)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.segment") if path.exists())


# --- stopped and started


def test_sigterm_ends_it_in_good_order(
    broker: str, fresh_topic: FreshTopic, topic_prefix: str, tmp_path: Path, polls: Path
) -> None:
    topic = fresh_topic(PARTITIONS, "fieldtap.records")
    fresh_topic(1, "fieldtap.names")
    slow = '[shard]\nbatch_kb = 64\n[spool]\nbudget_mb = 1\npolicy = "block"\n[kafka.producer]\n"linger.ms" = 200'
    words = shards.command([polls], broker, tmp_path / "spool", shards.config(tmp_path / "a.toml", topic_prefix, slow))
    process = shards.start(words)
    shards.wait_until(lambda: any(read_log(broker, topic)), process)
    process.send_signal(signal.SIGTERM)
    code, out, err = shards.finish(process)
    assert code == 0, err
    assert "interrupted after" in err
    before = take_all(broker, topic)
    assert 0 < sum(len(one.seqs) for one in before) < PACKETS
    assert not any(mark.kind is MarkKind.END for one in before for mark in one.marks)
    fast = shards.command([polls], broker, tmp_path / "spool", shards.config(tmp_path / "b.toml", topic_prefix))
    code, out, err = shards.finish(shards.start(fast))
    assert code == 0, err
    assert "resumed" in out
    taken = take_all(broker, topic)
    assert differences(merged(taken), whole([polls])) == []
    assert [one.sequence for one in taken] == expected([polls], PARTITIONS)


def test_a_finished_run_begins_anew_with_another_boot(
    broker: str, fresh_topic: FreshTopic, topic_prefix: str, tmp_path: Path
) -> None:
    topic = fresh_topic(PARTITIONS, "fieldtap.records")
    fresh_topic(1, "fieldtap.names")
    first, second = GOLDEN / "modbus_umas" / "input.pcap", GOLDEN / "modbus_udp" / "input.pcap"
    config = settings(topic_prefix)
    reports = [Shard([path], broker, tmp_path, config).done() for path in (first, first, second)]
    assert [(r.boot, r.resumed) for r in reports] == [(0, False), (1, False), (2, False)]
    taken = take_all(broker, topic)
    assert sorted({int(boot) for one in taken for batch in one.batches for boot in batch.boot}) == [0, 1, 2]
    ends = [mark for one in taken for mark in one.marks if mark.kind is MarkKind.END]
    assert len(ends) == 3 * PARTITIONS


def test_names_arrive_beside_the_records(
    broker: str, fresh_topic: FreshTopic, topic_prefix: str, tmp_path: Path
) -> None:
    from pipeline.decode.decoder import Decoder

    fresh_topic(PARTITIONS, "fieldtap.records")
    topic = fresh_topic(1, "fieldtap.names")
    files = Files([GOLDEN / "modbus_device_id" / "input.pcap"])
    decoder = Decoder()
    for block in files.captures:
        list(decoder.feed(block))
    Shard([GOLDEN / "modbus_device_id" / "input.pcap"], broker, tmp_path, settings(topic_prefix)).done()
    found = dict(_keyed(broker, topic))
    assert len(decoder.names()) > 0
    assert found == {name_id.to_bytes(8, "little"): text.encode() for name_id, text in decoder.names().items()}


def _keyed(bootstrap: str, topic: str) -> list[tuple[bytes, bytes]]:
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "names", "log_level": 0})
    try:
        end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30, cached=False)[1]
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        found = consumer.consume(end, timeout=30)
        return [(message.key(), message.value()) for message in found]
    finally:
        consumer.close()


def test_a_topic_with_other_partitions_is_refused(
    broker: str, fresh_topic: FreshTopic, topic_prefix: str, tmp_path: Path
) -> None:
    fresh_topic(PARTITIONS, "fieldtap.records")
    golden = GOLDEN / "modbus_umas" / "input.pcap"
    config = settings(topic_prefix, shard={"partitions": 7})
    with pytest.raises(TransportError, match="has 3 partitions, the spool was begun with 7"):
        Shard([golden], broker, tmp_path, config).done()


def test_a_topic_that_is_missing_is_told(broker: str, topic_prefix: str, tmp_path: Path) -> None:
    golden = GOLDEN / "modbus_umas" / "input.pcap"
    with pytest.raises(TransportError, match="fieldtap topics apply makes the topics"):
        Shard([golden], broker, tmp_path, settings(topic_prefix)).done()


def test_the_spool_of_another_shard_is_refused(
    broker: str, fresh_topic: FreshTopic, topic_prefix: str, tmp_path: Path
) -> None:
    fresh_topic(PARTITIONS, "fieldtap.records")
    golden = GOLDEN / "modbus_umas" / "input.pcap"
    config = settings(topic_prefix, shard={"stop_s": 0})
    report = Shard([golden], broker, tmp_path, config).done()
    assert report.names_unsent > 0, "there is no topic for them, and records go on"
    other = replace(config, decode=replace(config.decode, shard=9))
    with pytest.raises(ConfigError, match="is the spool of shard 0, not of shard 9"):
        Shard([golden], broker, tmp_path, other).done()
