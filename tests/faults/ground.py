"""Ground: topics, ledger and settings of one test, what its shards send, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.config import load
from pipeline.ledger import Chain, Epoch, Place
from pipeline.setup import Setup
from pipeline.store import Store, open_store
from pipeline.transport import topics
from pipeline.transport.log import HEADER
from pipeline.worker.topic import TopicInfo, describe
from tests.faults.feed import LEARN_S, Feed, Sent
from tests.faults.processes import Process, Workers, until

RUN = "live"
TARGETS = 2
SESSION_MS = 2000
"""After which a worker that says nothing is put out of its group; see `quick` in conftest.py."""


@dataclass
class Ground:
    """Everything of one test.

    Attributes:
        bootstrap: of Kafka.
        prefix: before the names of its topics and groups.
        folder: for its settings, and what workers print.
        partitions: of the records.
        address: of the store; None for a folder of its own.
        epoch_s, probe_every, revoke_s, protocol: settings of the worker.
        consumer: further settings of its Kafka consumer.
    """

    bootstrap: str
    prefix: str
    folder: Path
    seed: int
    partitions: int = 4
    replication: int = 1
    address: str | None = None
    epoch_s: float = 0.3
    revoke_s: float = 20.0
    probe_every: int = 16
    protocol: str = "consumer"
    start_ns: int | None = None
    consumer: Mapping[str, Any] = field(default_factory=dict)
    acknowledged: int = 0
    """Messages that Kafka has taken for good."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.url = self.address or str(self.folder / "store")
        self.store: Store = open_store(self.url)
        file = self.folder / "fieldtap.toml"
        file.write_text(self._settings())
        self.setup = Setup(load(file))
        self._make_topics()
        self.feed = Feed(self.seed, self.partitions, **({"start_ns": self.start_ns} if self.start_ns else {}))
        self._producer = Producer({**self.client, "enable.idempotence": True, "acks": "all", "linger.ms": 5})
        words = ["detect", "--kafka", self.bootstrap, "--store", self.url, "--config", str(file)]
        self.workers = Workers(words, self.folder)
        config = self.setup.config
        self.records = describe(self.bootstrap, config, topics.RECORDS)
        self.panes = describe(self.bootstrap, config, topics.PANES)

    def _settings(self) -> str:
        consumer = {"fetch.wait.max.ms": 50, **self.consumer}
        if self.protocol == "classic":
            consumer |= {"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": SESSION_MS // 6}
        lines = [f'"{key}" = {value!r}' for key, value in consumer.items()]
        return "\n".join(
            [
                "[learning]",
                f"site_s = {LEARN_S}.0",
                f"value_s = {LEARN_S}.0",
                "[worker]",
                f"epoch_s = {self.epoch_s}",
                f"revoke_s = {self.revoke_s}",
                f"probe_every = {self.probe_every}",
                f'protocol = "{self.protocol}"',
                "[kafka]",
                f'topic_prefix = "{self.prefix}"',
                "[kafka.consumer]",
                *lines,
                "",
            ]
        )

    def _make_topics(self) -> None:
        many = {topics.RECORDS: self.partitions, topics.PANES: TARGETS, topics.PARKED: self.partitions}
        every = (*many, topics.FINDINGS_LIVE, topics.DEAD_LETTERS, topics.NAMES)
        copies = self.replication
        config = {"min.insync.replicas": "2" if copies > 2 else "1", "max.message.bytes": "1048576"}
        new = [NewTopic(self.prefix + t, many.get(t, 1), replication_factor=copies, config=config) for t in every]
        for made in self.admin.create_topics(new).values():
            made.result(timeout=30)

    # --- Kafka

    @property
    def client(self) -> dict[str, Any]:
        """Settings of any client."""
        return {"bootstrap.servers": self.bootstrap, "log_level": 0}

    @cached_property
    def admin(self) -> AdminClient:
        """A client for questions about the cluster."""
        return AdminClient(self.client)

    @property
    def group(self) -> str:
        """The group of the workers."""
        return f"{self.prefix}{self.setup.config.worker.group}.{RUN}"

    def members(self) -> dict[str, set[tuple[str, int]]]:
        """Members of the group, and what each has; none where the coordinator knows of none yet."""
        try:
            # A first question may be lost while brokers make the topic of offsets; the next one is answered.
            asked = self.admin.describe_consumer_groups([self.group], request_timeout=5.0)
            found = asked[self.group].result(timeout=30)
        except KafkaException:
            return {}
        return {
            m.member_id: {(p.topic, p.partition) for p in (m.assignment.topic_partitions if m.assignment else ())}
            for m in found.members
        }

    def assigned(self) -> bool:
        """Whether every partition has been given to someone."""
        given = [place for places in self.members().values() for place in places]
        return len(given) == self.partitions + TARGETS

    def send(self, messages: Iterable[Sent]) -> int:
        """Send messages of shards; how many records."""
        records = 0
        for message in messages:
            headers = [(HEADER, message.header)]
            self.put(topics.RECORDS, message.partition, message.value, headers)
            records += message.records
        return records

    def put(
        self, topic: str, partition: int, value: bytes | None, headers: list[tuple[str, bytes]] | None = None
    ) -> None:
        """Send one message."""
        while True:
            try:
                self._producer.produce(
                    self.prefix + topic, value, partition=partition, headers=headers, on_delivery=self._arrived
                )
                break
            except BufferError:
                self._producer.poll(0.05)
        self._producer.poll(0)

    def _arrived(self, error: object, _: Message) -> None:
        assert error is None, error
        self.acknowledged += 1

    def flush(self) -> None:
        """Wait until Kafka has taken everything."""
        until("Kafka takes every message", lambda: self._producer.flush(1.0) == 0)

    def blocks(self, n: int) -> None:
        """Send so many blocks of every shard."""
        for _ in range(n):
            self.send(self.feed.block())

    def finish(self) -> None:
        """Send the end of every shard's input, and wait until Kafka has it all."""
        self.send(self.feed.end())
        self.flush()

    def ends(self, topic: TopicInfo) -> list[int]:
        """The offset at which each partition ends."""
        consumer = Consumer({**self.client, "group.id": f"{self.prefix}look"})
        try:
            return [
                int(consumer.get_watermark_offsets(TopicPartition(topic.name, p), timeout=30)[1])
                for p in range(topic.partitions)
            ]
        finally:
            consumer.close()

    def all_of(self, topic: str) -> list[Message]:
        """Every message of a topic."""
        info = describe(self.bootstrap, self.setup.config, topic)
        left = {p: end for p, end in enumerate(self.ends(info)) if end}
        consumer = Consumer({**self.client, "group.id": f"{self.prefix}look", "auto.offset.reset": "earliest"})
        consumer.assign([TopicPartition(info.name, p, 0) for p in left])
        found: list[Message] = []
        end = monotonic() + 60
        while left:
            assert monotonic() < end, f"{info.name}: nothing more, yet {left}"
            for message in consumer.consume(1000, 0.2):
                found.append(message)
                if message.offset() + 1 >= left.get(message.partition(), 0):
                    left.pop(message.partition(), None)
        consumer.close()
        return found

    # --- the ledger

    def chain(self, topic: TopicInfo, partition: int) -> Chain:
        """The chain of a partition."""
        return Chain(self.store, Place(RUN, topic.id, partition))

    def tips(self, topic: TopicInfo) -> list[Epoch | None]:
        """The last epoch of each partition."""
        return [self.chain(topic, p).tip() for p in range(topic.partitions)]

    def reached(self) -> list[int]:
        """The offset up to which the records of each partition have been judged for good."""
        return [0 if tip is None else tip.next for tip in self.tips(self.records)]

    def epochs(self) -> int:
        """How many epochs of records there are."""
        return sum(len(self.chain(self.records, p).starts()) for p in range(self.partitions))

    def done(self) -> bool:
        """Whether everything sent is judged for good, the panes too."""
        self.workers.check()
        ends = self.ends(self.records)
        if self.reached() != ends:
            return False
        pane_ends = self.ends(self.panes)
        for tip, end in zip(self.tips(self.panes), pane_ends, strict=True):
            if tip is None or tip.next != end or expected(tip, self.partitions) != ends:
                return False
        return True

    def wait(self, within_s: float = 180.0) -> None:
        """Wait until everything sent is judged for good."""
        try:
            until("everything is judged", self.done, within_s, 0.2)
        except AssertionError as error:
            said = "\n".join(p.said() for p in self.workers.running)
            state = f"records {self.reached()} of {self.ends(self.records)}"
            raise AssertionError(f"{error}; {state}; workers:\n{said}") from None

    def unbroken(self) -> bool:
        """Whether every epoch still readable ends where another starts, or is the last."""
        for topic in (self.records, self.panes):
            for p in range(topic.partitions):
                chain = self.chain(topic, p)
                for (start, size), (following, _) in pairwise(chain.starts()):
                    if size and chain.verified(start).next != following:
                        return False
        return True

    def leave(self, processes: Sequence[Process] | None = None) -> list[int]:
        """Ask workers to end in good order; their exit codes."""
        return [p.leave() for p in (self.workers.running if processes is None else processes)]


def expected(tip: Epoch, sources: int) -> list[int]:
    """The offset at which the second stage expects each source's next epoch."""
    rows = tip.state["sources"].tolist()
    assert len(rows) == sources
    return [offset if expects else 0 for _, _, _, _, expects, offset, _, _ in rows]
