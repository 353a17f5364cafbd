"""What the commands `detect` and `archive` are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.errors import TransportError
from pipeline.ledger import Chain, Epoch, Place
from pipeline.owner import Owner
from pipeline.second.message import messages as pane_messages
from pipeline.setup import Setup
from pipeline.stage import RecordStage
from pipeline.store import Store, open_store, probe
from pipeline.transport import topics as names
from pipeline.transport.log import read
from pipeline.transport.settings import connect
from pipeline.worker.held import Held, Judging
from pipeline.worker.loop import Partition, Worker
from pipeline.worker.outbox import Outbox
from pipeline.worker.watermarks import Watermarks

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic as it is on the cluster."""

    name: str
    id: str
    partitions: int


@dataclass(slots=True)
class WorkReport:
    """What a worker did: counters of its own, and of the stages that it had at its end, by topic."""

    counts: dict[str, int] = field(default_factory=dict)
    stages: dict[str, dict[str, int]] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)


def describe(bootstrap: str, config: Config, name: str) -> TopicInfo:
    """A topic's id and number of partitions.

    Raises:
        TransportError: Kafka does not answer, or there is no such topic.
    """
    from confluent_kafka import KafkaException, TopicCollection
    from confluent_kafka.admin import AdminClient

    topic = config.kafka.topic(name)
    admin = connect(AdminClient, config.kafka.client(bootstrap, "admin"))
    try:
        found = admin.describe_topics(TopicCollection([topic]), request_timeout=names.ANSWER_S)[topic].result()
    except KafkaException as error:
        raise TransportError(
            f"kafka at {bootstrap}: {topic}: {error.args[0].str()}; `fieldtap topics apply` makes the topics"
        ) from None
    uuid = found.topic_id
    high, low = (n & 0xFFFFFFFFFFFFFFFF for n in (uuid.get_most_significant_bits(), uuid.get_least_significant_bits()))
    return TopicInfo(topic, f"{high:016x}{low:016x}", len(found.partitions))


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
        self.records = describe(bootstrap, self.config, names.RECORDS)

    def chain(self, topic: TopicInfo, partition: int) -> Chain:
        """The chain of a partition."""
        return Chain(self.store, Place(self.settings.run, topic.id, partition))

    def consumer(self) -> dict[str, Any]:
        """Settings of the client that reads."""
        kafka, own = self.config.kafka, self.settings
        client = {
            "check.crcs": True,
            "fetch.queue.backoff.ms": 20,
            "queued.max.messages.kbytes": 131_072,
            **kafka.client(self.bootstrap, "consumer"),
            "group.id": kafka.topic(f"{own.group}.{own.run}"),
            "group.protocol": own.protocol,
        }
        if own.protocol == "classic":
            client.setdefault("partition.assignment.strategy", "cooperative-sticky")
        return client

    def outbox(self) -> Outbox:
        """What writes to the other topics."""
        kafka = self.config.kafka
        topics = {
            "live": kafka.topic(names.FINDINGS_LIVE),
            "dead": kafka.topic(names.DEAD_LETTERS),
            "parked": kafka.topic(names.PARKED),
            "panes": kafka.topic(names.PANES),
        }
        return Outbox(kafka.client(self.bootstrap, "producer"), topics)

    def first(self, topic: TopicInfo, partition: int) -> Callable[[], int]:
        """What tells at which offset a chain without epochs begins."""

        def watermark() -> int:
            low, high = self.watermarks.of(topic.name, partition)
            return low if self.settings.start == "earliest" else high

        return watermark

    def ended(self, topics: list[TopicInfo]) -> bool:
        """Whether the last epoch of every partition says that its input is over."""
        for topic in topics:
            for partition in range(topic.partitions):
                tip = self.chain(topic, partition).tip()
                if tip is None or not tip.ended:
                    return False
        return True

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
        self._panes = describe(deployment.bootstrap, deployment.config, names.PANES)
        self.topics = [deployment.records, self._panes]

    def hold(self, partition: Partition, pool: ThreadPoolExecutor, check: Callable[[int], None]) -> Held:
        """What holds a partition of either topic."""
        place, records, panes = self._deployment, self._deployment.records, self._panes
        number = partition[1]
        stage: Judging
        send: Callable[[Epoch], None] | None = None
        if partition[0] == records.name:
            topic = records
            stage = RecordStage(place.setup, number, records.partitions)
            send = self._send
        else:
            from pipeline.second.stage import PaneStage

            topic = panes
            most = place.config.panes.max_waiting
            stage = PaneStage(records.partitions, number, panes.partitions, place.setup.across, max_waiting=most)
        owner = Owner(
            place.chain(topic, number), stage, origin=place.first(topic, number), send=send, versions=place.versions()
        )
        return Held(
            partition,
            stage,
            owner,
            pool,
            place.settings,
            delivered=lambda: self._outbox.delivered(partition),
            check=check,
        )

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
                )
            )


class Keeping:
    """The partitions of `fieldtap archive`: records, points and marks to Parquet."""

    def __init__(self, deployment: Deployment, outbox: Outbox) -> None:
        self._deployment = deployment
        self._outbox = outbox
        self.topics = [deployment.records]

    def hold(self, partition: Partition, pool: ThreadPoolExecutor, check: Callable[[int], None]) -> Held:
        """What holds a partition."""
        from pipeline.archive.publish import ArchivePublisher
        from pipeline.archive.stage import ArchiveStage

        place, number = self._deployment, partition[1]
        stage, chain = ArchiveStage(number), place.chain(place.records, number)

        def log(start: int, stop: int) -> Iterator[Any]:
            return read(place.consumer(), place.records.name, number, start, stop)

        publisher = ArchivePublisher(place.store, place.settings.run, stage, log, chain)
        owner = Owner(
            chain,
            stage,
            origin=place.first(place.records, number),
            publish=publisher.publish,
            versions=place.versions(),
        )
        return Held(
            partition,
            stage,
            owner,
            pool,
            place.settings,
            delivered=lambda: self._outbox.delivered(partition),
            check=check,
        )


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
    topics = [topic.name for topic in partitions.topics]
    worker = Worker(
        deployment.consumer(), topics, partitions.hold, outbox, deployment.watermarks, deployment.settings, say=say
    )
    report = WorkReport()
    try:
        worker.run(stop, lambda: until_end and deployment.ended(partitions.topics))
        report.stages = _stages(worker)
        report.stopped = [f"{h.name[0]}/{h.name[1]}: {h.problem}" for h in worker.held.values() if h.problem]
    finally:
        worker.close()
    report.counts = {**worker.counts, "live findings not delivered": outbox.failed}
    return report


def _stages(worker: Worker) -> dict[str, dict[str, int]]:
    totals: dict[str, dict[str, int]] = {}
    for (topic, _), held in worker.held.items():
        own = totals.setdefault(topic, {})
        for name, n in held.stage.counters().items():
            own[name] = own.get(name, 0) + n
    return totals
