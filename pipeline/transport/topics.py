"""The topics of fieldtap: what they are for, and how they must be.

`apply` makes what is missing and brings settings in line.  It never changes the number of partitions, which
is frozen when a topic is made, because the partition of a device follows from it.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError, TransportError
from pipeline.transport.settings import ClientSettings, KafkaSettings, connect, flat

if TYPE_CHECKING:
    from confluent_kafka import KafkaError
    from confluent_kafka.admin import AdminClient, ConfigEntry

RECORDS = "fieldtap.records"
PANES = "fieldtap.panes"
FINDINGS_LIVE = "fieldtap.findings.live"
DEAD_LETTERS = "fieldtap.dead-letters"
PARKED = "fieldtap.parked"
NAMES = "fieldtap.names"

PARTITIONS = 12
MOST_REPLICAS = 3
MOST_PARTITIONS = 1024
"""A partition holds whole device buckets, of which there are 1,024."""
ANSWER_S = 15.0
FROZEN = (
    "the partition of a device follows from it, so give the topics file the number that there is, or begin with new "
    "topics (topic_prefix)"
)
"""What to do about a number of partitions."""
_MIB = 1 << 20
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """How a topic must be."""

    name: str
    partitions: int
    replication: int | None = None
    """Copies of each partition; None for three, or as many as there are brokers."""
    config: Mapping[str, str] = field(default_factory=dict)
    """Kafka's own settings of a topic, as text."""

    def wanted(self, replicas: int) -> dict[str, str]:
        """Settings that it must have with so many copies: a write is held by a majority of three."""
        return {"min.insync.replicas": "2" if replicas >= MOST_REPLICAS else "1", **self.config}


def _config(retention_ms: int | None, **more: str) -> dict[str, str]:
    # Shards stamp messages with the time of the traffic.  Kept by that time, an old capture would be deleted at once,
    # and a clock that runs ahead would be refused; so the broker stamps the arrival.
    own = {"cleanup.policy": "compact"} if retention_ms is None else {"retention.ms": str(retention_ms)}
    shared = {"compression.type": "producer", "max.message.bytes": str(_MIB), "message.timestamp.type": "LogAppendTime"}
    return {"cleanup.policy": "delete", **own, **shared, **more}


TOPICS: tuple[Topic, ...] = (
    Topic(name=RECORDS, partitions=PARTITIONS, config=_config(7 * _DAY_MS)),
    Topic(name=PANES, partitions=4, config=_config(7 * _DAY_MS)),
    Topic(name=FINDINGS_LIVE, partitions=1, config=_config(7 * _DAY_MS)),
    Topic(name=DEAD_LETTERS, partitions=1, config=_config(30 * _DAY_MS)),
    Topic(name=PARKED, partitions=PARTITIONS, config=_config(30 * _DAY_MS)),
    Topic(name=NAMES, partitions=1, config=_config(None)),
)
"""Every topic; `infra/topics.toml` says the same with what each is for."""


def load(path: Path | None) -> tuple[Topic, ...]:
    """The topics of a file, or the defaults where it is None.  What the file leaves out keeps its default.

    Raises:
        ConfigError: the file cannot be read, or says what cannot be.
    """
    if path is None:
        return TOPICS
    try:
        table = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the topics: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    known = {topic.name: topic for topic in TOPICS}
    for name in table:
        if name not in known:
            raise ConfigError(f"{path}: {name!r}: no such topic; there are {', '.join(known)}")
    return tuple(_topic(topic, table.get(topic.name, {}), f'{path}: "{topic.name}"') for topic in TOPICS)


def _topic(default: Topic, table: Any, place: str) -> Topic:
    if not isinstance(table, dict):
        raise ConfigError(f"{place}: expected a table, found {table!r:.60}")
    rest = dict(table)
    partitions = _count(rest.pop("partitions", default.partitions), MOST_PARTITIONS, f"{place}.partitions")
    replication = default.replication
    if "replication" in rest:
        replication = _count(rest.pop("replication"), 100, f"{place}.replication")
    config = dict(default.config)
    for key, value in flat(rest):
        if not isinstance(value, str | int | float):
            raise ConfigError(f"{place}.{key}: expected text, a number, or true or false, found {value!r:.60}")
        config[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return replace(default, partitions=partitions, replication=replication, config=config)


def _count(value: Any, most: int, place: str) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ConfigError(f"{place}: expected a whole number of 1 to {most}, found {value!r:.60}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A topic as it is in the cluster, beside how it must be."""

    topic: Topic
    name: str
    """In the cluster."""
    partitions: int = 0
    """0 when it is missing."""
    replication: int = 0
    config: Mapping[str, str] = field(default_factory=dict)

    def differences(self) -> Iterator[str]:
        """What is not as it must be, each as a phrase."""
        if not self.partitions:
            yield "is missing, or hidden from this user"
            return
        if frozen := self.wrong_partitions():
            yield frozen
        wanted = self.topic.replication
        if wanted is not None and wanted != self.replication:
            yield f"has {self.replication} replicas, {wanted} wanted: kafka-reassign-partitions changes that"
        for key, (is_now, must) in self.settings_to_change().items():
            yield f"has {key} = {is_now}, {must} wanted"

    def wrong_partitions(self) -> str | None:
        """What to say of a wrong number of partitions, None of a right one."""
        if self.partitions in (0, self.topic.partitions):
            return None
        return f"has {self.partitions} partitions, {self.topic.partitions} wanted, and the number is frozen"

    def settings_to_change(self) -> dict[str, tuple[str, str]]:
        """Settings that differ: key to what it is and what it must be."""
        wanted = self.topic.wanted(self.replication)
        return {k: (self.config.get(k, "nothing"), must) for k, must in wanted.items() if self.config.get(k) != must}


class Topics:
    """The topics in a cluster.

    Args:
        bootstrap: addresses of brokers.
        settings: how to enter.
        topics: as they must be.

    Raises:
        ConfigError, TransportError: see :func:`pipeline.transport.settings.connect`.
    """

    def __init__(self, bootstrap: str, settings: KafkaSettings, topics: Sequence[Topic] = TOPICS) -> None:
        self._bootstrap = bootstrap
        self._settings = settings
        self._topics = topics
        self._said = ""
        given = settings.client(bootstrap, "admin")
        given.setdefault("log_level", 0)  # what goes wrong comes as an error
        self._admin = connect(self._listening, given)

    def _listening(self, given: ClientSettings) -> AdminClient:
        from confluent_kafka.admin import AdminClient

        listening: dict[str, Any] = {**given, "error_cb": self._heard}
        return AdminClient(listening)

    def _heard(self, error: KafkaError) -> None:
        self._said = error.str()

    def look(self) -> list[Found]:
        """Each topic as it is now.

        Raises:
            TransportError: no broker answers, or it refuses.
        """
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import ConfigResource

        try:
            there = self._admin.list_topics(timeout=ANSWER_S).topics
        except KafkaException as error:
            raise self._failed("no answer", error) from None
        found = {t.name: Found(topic=t, name=self._settings.topic(t.name)) for t in self._topics}
        for name, one in found.items():
            seen = there.get(one.name)
            if seen is not None and seen.error is None:
                copies = min(len(partition.replicas) for partition in seen.partitions.values())
                found[name] = replace(one, partitions=len(seen.partitions), replication=copies)
        asked = {n: ConfigResource(ConfigResource.Type.TOPIC, f.name) for n, f in found.items() if f.partitions}
        answers = self._admin.describe_configs(list(asked.values()), request_timeout=ANSWER_S) if asked else {}
        for name, resource in asked.items():
            entries: dict[str, ConfigEntry] = self._answer(
                answers[resource], f"{resource.name}: cannot see its settings"
            )
            config = {key: str(entry.value) for key, entry in entries.items()}
            found[name] = replace(found[name], config=config)
        return list(found.values())

    def apply(self) -> Iterator[str]:
        """Make what is missing, bring settings in line; yields what was done.

        Raises:
            TransportError: a topic has another number of partitions (before anything is changed), or Kafka refuses.
        """
        found = self.look()
        if wrong := [f"{one.name} {why}" for one in found if (why := one.wrong_partitions())]:
            raise TransportError(f"topics apply: {'; '.join(wrong)}: {FROZEN}; nothing was changed")
        for one in found:
            if not one.partitions:
                yield self._make(one)
            elif one.settings_to_change():
                yield self._set(one)
        self._settle({one.name for one in found})

    def _settle(self, names: set[str]) -> None:
        """Until every partition has a leader: a new topic is known a moment after it was made."""
        end = time.monotonic() + ANSWER_S
        while True:
            there = self._admin.list_topics(timeout=ANSWER_S).topics
            led = {n for n in names & there.keys() if all(p.leader >= 0 for p in there[n].partitions.values())}
            if led == names:
                return
            if time.monotonic() > end:
                missing = ", ".join(sorted(names - led))
                raise TransportError(f"kafka at {self._bootstrap}: {missing}: no leader after {ANSWER_S:.0f} s")
            time.sleep(0.05)

    def _make(self, one: Found) -> str:
        from confluent_kafka.admin import NewTopic

        replicas = one.topic.replication or min(MOST_REPLICAS, len(self._admin.list_topics(timeout=ANSWER_S).brokers))
        new = NewTopic(one.name, one.topic.partitions, replicas, config=one.topic.wanted(replicas))
        answer = self._admin.create_topics([new], operation_timeout=ANSWER_S, request_timeout=2 * ANSWER_S)[one.name]
        self._answer(answer, f"{one.name}: cannot be made")
        return f"{one.name}: made with {one.topic.partitions} partitions and {replicas} replicas"

    def _set(self, one: Found) -> str:
        from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

        changes = one.settings_to_change()
        entries = [
            ConfigEntry(key, must, incremental_operation=AlterConfigOpType.SET) for key, (_, must) in changes.items()
        ]
        resource = ConfigResource(ConfigResource.Type.TOPIC, one.name, incremental_configs=entries)
        answer = self._admin.incremental_alter_configs([resource], request_timeout=ANSWER_S)[resource]
        self._answer(answer, f"{one.name}: its settings cannot be changed")
        told = (f"{key} = {must} (was {is_now})" for key, (is_now, must) in changes.items())
        return f"{one.name}: {', '.join(told)}"

    def _answer(self, answer: Any, what: str) -> Any:
        from confluent_kafka import KafkaException

        try:
            return answer.result(timeout=3 * ANSWER_S)
        except KafkaException as error:
            raise self._failed(what, error) from None

    def _failed(self, what: str, error: Exception) -> TransportError:
        self._admin.poll(0)
        said = error.args[0].str()
        heard = f" ({self._said})" if self._said and self._said != said else ""
        return TransportError(f"kafka at {self._bootstrap}: {what}: {said}{heard}")
