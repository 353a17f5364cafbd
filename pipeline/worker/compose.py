"""What the commands `detect` and `archive` are made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pipeline.archive import ARCHIVE, root_of
from pipeline.archive.names import NameFiles
from pipeline.archive.publish import ArchivePublisher
from pipeline.archive.stage import ArchiveStage
from pipeline.errors import ConfigError, TransportError
from pipeline.ledger import Chain, Epoch, Place, Publisher
from pipeline.ledger.repair import Messages
from pipeline.owner import Owner, Stage
from pipeline.second.message import messages as pane_messages
from pipeline.second.stage import PaneStage
from pipeline.setup import Setup
from pipeline.stage import RecordStage
from pipeline.store import Store, StoreUnclear, open_store, probe
from pipeline.transport import topics
from pipeline.transport.log import LogMessage, read
from pipeline.transport.settings import ClientSettings
from pipeline.transport.tags import TopicNames
from pipeline.worker.held import Held
from pipeline.worker.loop import Partition, Worker
from pipeline.worker.outbox import Outbox
from pipeline.worker.topic import TopicInfo, describe
from pipeline.worker.watermarks import Watermarks

if TYPE_CHECKING:
    from pipeline.worker.settings import WorkerSettings


@dataclass(slots=True)
class WorkReport:
    """What a worker did: counters of its own, and of the stages that it had at its end, by topic."""

    counts: dict[str, int] = field(default_factory=dict)
    stages: dict[str, dict[str, int]] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)


_READING: dict[str, str | int | float | bool] = {
    "check.crcs": True,
    "fetch.queue.backoff.ms": 20,
    "queued.max.messages.kbytes": 131_072,
    "fetch.wait.max.ms": 100,
    "log_level": 0,  # what goes wrong comes as an error
}
"""What a client that reads large messages does well to have; `[kafka.consumer]` goes before it.

With its own defaults the client waits a second when its queue was full, never looks at checksums, and, where nothing
comes, goes on asking for half a second at one place when it was told another.
"""


_NAMES_S = 10.0
"""For the names told before a worker began to come; who has not heard of one shows its id."""


class Deployment:
    """Where a run reads, and where it writes; the same for every worker."""

    def __init__(self, bootstrap: str, store: str, setup: Setup, settings: WorkerSettings) -> None:
        """Find the topics and try the store.

        Raises:
            TransportError: Kafka does not answer, or a topic is missing.
            StoreError: the store cannot be used.
        """
        self.bootstrap = bootstrap
        self.setup = setup
        self.settings = settings
        self.config = setup.config
        self.store: Store = open_store(store)
        probe(self.store)
        self.watermarks = Watermarks(self.config.kafka.client(bootstrap, "admin"))
        self.records = self._as_begun(describe(bootstrap, self.config, topics.RECORDS))

    def panes(self) -> TopicInfo:
        """The topic of the second stage.

        Raises:
            TransportError: see :meth:`_as_begun`.
        """
        return self._as_begun(describe(self.bootstrap, self.config, topics.PANES), records=self.records.id)

    @cached_property
    def names(self) -> TopicNames:
        """Names met on the wire, as shards tell them.

        Raises:
            TransportError: Kafka does not answer, or there is no topic of names.
        """
        topic = describe(self.bootstrap, self.config, topics.NAMES)
        return TopicNames(self.consumer(), topic.name, topic.partitions)

    def close(self) -> None:
        """Hear of no more names."""
        if "names" in self.__dict__:
            self.names.close()

    @property
    def number(self) -> int:
        """The run over its topic of records as 64 bits: several runs share the topic of the second stage."""
        place = self.chain(self.records, 0).place
        return int.from_bytes(sha256(f"{place.run}/{place.topic_id}".encode()).digest()[:8], "little")

    def _as_begun(self, topic: TopicInfo, **facts: str) -> TopicInfo:
        """The topic, if it is as the run found it at its first start.

        Raises:
            TransportError: it has other partitions, or what is sent to it comes from another topic: state would be
                judged on in the wrong place.
        """
        name = f"topics/{self.chain(topic, 0).place.run}/{topic.id}"
        now = {"partitions": str(topic.partitions), **facts}
        if not self.store.create(name, json.dumps(now).encode()):
            began = json.loads(self.store.read(name))
            if wrong := [f"{key} {value}, now {now.get(key)}" for key, value in began.items() if now.get(key) != value]:
                raise TransportError(
                    f"topic {topic.name}: the run {self.settings.run} began with {' and '.join(wrong)}; "
                    "it cannot go on so: begin a new run over new topics"
                )
        return topic

    def chain(self, topic: TopicInfo, partition: int) -> Chain:
        """The chain of a partition."""
        return Chain(self.store, Place(self.settings.run, topic.id, partition))

    def consumer(self) -> ClientSettings:
        """Settings of the client that reads."""
        kafka, own = self.config.kafka, self.settings
        client = kafka.client(self.bootstrap, "consumer")
        for key, value in _READING.items():
            client.setdefault(key, value)
        client["group.id"] = kafka.topic(f"{own.group}.{own.run}")
        client["group.protocol"] = own.protocol
        if own.protocol == "classic":
            client["partition.assignment.strategy"] = "cooperative-sticky"
        return client

    def outbox(self) -> Outbox:
        """What writes to the other topics."""
        kafka = self.config.kafka
        others = {
            "live": kafka.topic(topics.FINDINGS_LIVE),
            "dead": kafka.topic(topics.DEAD_LETTERS),
            "parked": kafka.topic(topics.PARKED),
            "panes": kafka.topic(topics.PANES),
        }
        client = kafka.client(self.bootstrap, "producer")
        client.setdefault("log_level", 0)  # the client that reads tells when Kafka is away
        return Outbox(client, others)

    def first(self, topic: TopicInfo, partition: int) -> Callable[[], int]:
        """What tells at which offset a chain without epochs begins."""

        def watermark() -> int:
            low, high = self.watermarks.of(topic.name, partition)
            return low if self.settings.start == "earliest" else high

        return watermark

    def ends(self, topics: list[TopicInfo]) -> list[tuple[TopicInfo, Epoch]] | None:
        """The last epoch of every partition, where all say that their input is over and their logs hold no more.

        A capture point that began when all others had ended has more to say after such an end.
        """
        found = []
        for topic in topics:
            for partition in range(topic.partitions):
                tip = self.chain(topic, partition).tip()
                if tip is None or not tip.ended or not self._is_last(topic, tip):
                    return None
                found.append((topic, tip))
        return found

    def _is_last(self, topic: TopicInfo, tip: Epoch) -> bool:
        with suppress(StoreUnclear):
            return self.watermarks.of(topic.name, tip.place.partition)[1] <= tip.next
        return False

    def versions(self) -> Mapping[str, str]:
        """What judged, kept in each epoch."""
        from importlib.metadata import version

        baseline = self.setup.baseline
        return {"fieldtap": version("fieldtap"), "baseline": baseline.digest if baseline is not None else ""}


class Detection:
    """The partitions of `fieldtap detect`: records judged, their panes sent on, panes judged."""

    def __init__(self, deployment: Deployment, outbox: Outbox) -> None:
        self._deployment = deployment
        self._outbox = outbox
        self._panes = deployment.panes()
        self._names = deployment.names  # now: partitions are given while the client calls back, and must not wait
        self.topics = [deployment.records, self._panes]

    def hold(self, partition: Partition, pool: ThreadPoolExecutor, check: Callable[[int], None]) -> Held:
        """What holds a partition of either topic."""
        place, number = self._deployment, partition[1]
        first = partition[0] == place.records.name
        topic = place.records if first else self._panes
        stage = record_stage(place, number, self._names) if first else pane_stage(place, self._panes, number)
        owner = Owner(
            place.chain(topic, number),
            stage,
            origin=place.first(topic, number),
            send=self._send if first else None,
            versions=place.versions(),
        )
        delivered = partial(self._outbox.delivered, partition)
        return Held(partition, stage, owner, pool, place.settings, delivered=delivered, check=check)

    def finish(self, topic: TopicInfo, tip: Epoch) -> None:
        """Publish and send the end of a chain, which anyone may do and nobody can do twice."""
        Publisher(self._deployment.store).publish(tip)
        if topic is self.topics[0]:
            self._send(tip)

    def _send(self, epoch: Epoch) -> None:
        if epoch.sends is not None:
            source = epoch.place.partition
            self._outbox.send(
                pane_messages(
                    epoch.sends,
                    self._panes.partitions,
                    source=source,
                    start=epoch.start,
                    next=epoch.next,
                    ended=epoch.ended,
                    chain=self._deployment.number,
                )
            )


def record_stage(place: Deployment, number: int, names: Mapping[int, str]) -> RecordStage:
    """What judges a partition of the records."""
    return RecordStage(place.setup, number, place.records.partitions, names)


def pane_stage(place: Deployment, panes: TopicInfo, number: int) -> PaneStage:
    """What judges a partition of the panes."""
    most = place.config.panes.max_waiting
    sources, chain = place.records.partitions, place.number
    return PaneStage(sources, number, panes.partitions, place.setup.across, max_waiting=most, chain=chain)


def recompute(deployment: Deployment, place: Place) -> tuple[Stage, Messages, Mapping[str, str]]:
    """What repair needs of a partition: a stage as its worker has it, a reader of its log, and the versions.

    Raises:
        ConfigError: there is no topic of this id.
    """
    stage: Stage
    topic = deployment.records
    deployment.names.catch_up(_NAMES_S)
    if place.topic_id == topic.id:
        kept = place.run.startswith(ARCHIVE)
        stage = ArchiveStage(place.partition) if kept else record_stage(deployment, place.partition, deployment.names)
    else:
        topic = deployment.panes()
        stage = pane_stage(deployment, topic, place.partition)
    if place.topic_id != topic.id or place.partition >= topic.partitions:
        raise ConfigError(f"{place}: there is no such topic or partition; {topic.name} has the id {topic.id}")

    def messages(start: int, stop: int) -> Iterator[list[LogMessage]]:
        for message in read(deployment.consumer(), topic.name, place.partition, start, stop):
            yield [message]

    return stage, messages, deployment.versions()


class Keeping:
    """The partitions of `fieldtap archive`: records, points and marks to Parquet."""

    def __init__(self, deployment: Deployment, outbox: Outbox) -> None:
        self._deployment = deployment
        self._outbox = outbox
        self.topics = [deployment.records]
        self._names = NameFiles(deployment.store, root_of(deployment.settings.run), deployment.names)

    def hold(self, partition: Partition, pool: ThreadPoolExecutor, check: Callable[[int], None]) -> Held:
        """What holds a partition."""
        place, number = self._deployment, partition[1]
        stage, chain = ArchiveStage(number), place.chain(place.records, number)

        def log(start: int, stop: int) -> Iterator[Any]:
            return read(place.consumer(), place.records.name, number, start, stop)

        publisher = ArchivePublisher(place.store, stage, log, chain, self._names)
        owner = Owner(
            chain,
            stage,
            origin=place.first(place.records, number),
            publish=publisher.publish,
            versions=place.versions(),
        )
        delivered = partial(self._outbox.delivered, partition)
        return Held(partition, stage, owner, pool, place.settings, delivered=delivered, check=check)

    def finish(self, topic: TopicInfo, tip: Epoch) -> None:
        """Publish the end of a chain, from the log."""
        place, number = self._deployment, tip.place.partition

        def log(start: int, stop: int) -> Iterator[Any]:
            return read(place.consumer(), topic.name, number, start, stop)

        chain = place.chain(topic, number)
        ArchivePublisher(place.store, ArchiveStage(number), log, chain, self._names).publish(tip)


def work(
    deployment: Deployment,
    kind: type[Detection] | type[Keeping],
    *,
    stop: Callable[[], bool],
    say: Callable[[str], None],
    until_end: bool = False,
) -> WorkReport:
    """Work until asked to stop, or with `until_end` until all input is over and all of it is true.

    Raises:
        TransportError, StoreError: it can never work.
    """
    outbox = deployment.outbox()
    partitions = kind(deployment, outbox)
    if not deployment.names.catch_up(_NAMES_S):
        say(f"names of tags: not all heard within {_NAMES_S:g} s; findings may show ids")
    topics = [topic.name for topic in partitions.topics]
    worker = Worker(
        deployment.consumer(), topics, partitions.hold, outbox, deployment.watermarks, deployment.settings, say=say
    )
    report = WorkReport()
    try:
        worker.run(stop, lambda: until_end and _over(deployment, partitions, worker))
        report.stages = _stages(worker)
        report.stopped = [f"{h.name[0]}/{h.name[1]}: {h.problem}" for h in worker.held.values() if h.problem]
    finally:
        worker.close()
        deployment.close()
    report.counts = {
        **worker.counts,
        "live findings not delivered": outbox.failed,
        "names not kept": deployment.names.refused,
    }
    return report


def _over(deployment: Deployment, partitions: Detection | Keeping, worker: Worker) -> bool:
    """Whether all input is judged and true.

    Another worker may have died between the last epoch of a partition and its findings: they are published here.
    """
    ends = deployment.ends(partitions.topics)
    if ends is None:
        return False
    for topic, tip in ends:
        if (topic.name, tip.place.partition) not in worker.held:
            partitions.finish(topic, tip)
    return True


def _stages(worker: Worker) -> dict[str, dict[str, int]]:
    totals: dict[str, dict[str, int]] = {}
    for (topic, _), held in worker.held.items():
        own = totals.setdefault(topic, {})
        for name, n in held.stage.counters().items():
            own[name] = own.get(name, 0) + n
    return totals
