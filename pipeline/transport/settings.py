"""The `[kafka]` table: settings of librdkafka, handed on word for word, with secrets that never stand in the file.

A key is librdkafka's own (`linger.ms`, `ssl.ca.location`); what it means and which values it takes is librdkafka's
matter.  Here only the kind is checked, and a few keys are refused because the delivery of records rests on them.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pipeline.errors import ConfigError, TransportError

Role = Literal["producer", "consumer", "admin"]
T = TypeVar("T")

MOST_SECRET_BYTES = 1 << 16
_SECRET = re.compile(r"(password|secret|passphrase)$|key\.pem$|^sasl\.oauthbearer\.config$")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{0,100}")

DECIDED: Mapping[Role, Mapping[str, str | bool]] = {
    "producer": {"enable.idempotence": True, "acks": "all"},
    "consumer": {"enable.auto.commit": False, "enable.auto.offset.store": False, "auto.offset.reset": "error"},
    "admin": {},
}
"""What fieldtap sets for each kind of client."""

_IDEMPOTENCE = "a record counts as sent only when every replica in sync has it, once and in order"
_LEDGER = "where reading goes on stands in the ledger, never in Kafka's offsets"
_PARTITION = "the partition of a record follows from its device"
REFUSED: Mapping[str, str] = {
    "bootstrap.servers": "--kafka names the brokers",
    "metadata.broker.list": "--kafka names the brokers",
    "enable.idempotence": _IDEMPOTENCE,
    "acks": _IDEMPOTENCE,
    "request.required.acks": _IDEMPOTENCE,
    "transactional.id": "an epoch becomes true in the ledger, not by a transaction of Kafka",
    "partitioner": _PARTITION,
    "enable.auto.commit": _LEDGER,
    "auto.commit.enable": _LEDGER,
    "auto.commit.interval.ms": _LEDGER,
    "enable.auto.offset.store": _LEDGER,
    "auto.offset.reset": "where the ledger's place is gone from the topic, fieldtap must say so, not read on elsewhere",
    "group.id": "the group follows from the command and the run",
    "allow.auto.create.topics": "fieldtap topics apply makes the topics",
}
"""Keys that are no one's to set, with the reason that is told."""


class ClientSettings(dict[str, str | int | float | bool]):
    """Settings of one client, as confluent-kafka takes them; printed without what is secret.

    Attributes:
        masked: keys whose values came from the environment or a file.
    """

    masked: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        hidden = {key for key in self if key in self.masked or _SECRET.search(key)}
        return repr({key: "***" if key in hidden else value for key, value in self.items()})


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a value is found when a client is made: an environment variable, or a file."""

    source: Literal["env", "file"]
    name: str
    """Of the variable, or the path; a relative one counts from the settings file."""
    place: str
    """Where the settings speak of it, for messages."""

    def value(self) -> str:
        """The secret itself.

        Raises:
            ConfigError: it is missing, empty, too large or no text.
        """
        found = self._variable() if self.source == "env" else self._content()
        if not found:
            raise ConfigError(f"{self.place}: {self._told()} is empty")
        return found

    def _told(self) -> str:
        return f"environment variable {self.name}" if self.source == "env" else self.name

    def _variable(self) -> str:
        found = os.environ.get(self.name)
        if found is None:
            raise ConfigError(f"{self.place}: {self._told()} is not set")
        return found

    def _content(self) -> str:
        try:
            with Path(self.name).open("rb") as file:
                content = file.read(MOST_SECRET_BYTES + 1)
        except OSError as error:
            raise ConfigError(f"{self.place}: cannot read {self.name}: {error.strerror}") from error
        if len(content) > MOST_SECRET_BYTES:
            raise ConfigError(f"{self.place}: {self.name} is larger than {MOST_SECRET_BYTES} bytes")
        try:
            return content.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise ConfigError(f"{self.place}: {self.name} is no text") from None


Setting = str | int | float | bool | Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """How clients of Kafka are made."""

    topic_prefix: str = ""
    """Stands before the name of every topic and group, so that two sites can share a cluster."""
    common: Mapping[str, Setting] = field(default_factory=dict)
    """For every client: `[kafka]`."""
    producer: Mapping[str, Setting] = field(default_factory=dict)
    """For those that write: `[kafka.producer]`; goes before `common`."""
    consumer: Mapping[str, Setting] = field(default_factory=dict)
    """For those that read: `[kafka.consumer]`; goes before `common`."""

    @classmethod
    def of(cls, table: Mapping[str, Any], where: str) -> KafkaSettings:
        """From the `[kafka]` table of a settings file.

        Args:
            table: as parsed.
            where: the file, for messages; relative paths of secrets count from its folder.

        Raises:
            ConfigError: a key that is refused, a value of the wrong kind, or a secret that stands in the file.
        """
        rest = dict(table)
        prefix = rest.pop("topic_prefix", "")
        if not isinstance(prefix, str) or not _TOPIC.fullmatch(prefix):
            raise ConfigError(
                f"{where}: kafka.topic_prefix: expected at most 100 letters, digits, dots, dashes and underscores, "
                f"found {prefix!r:.120}"
            )
        sides = {side: rest.pop(side, {}) for side in ("producer", "consumer")}
        for side, found in sides.items():
            if not isinstance(found, dict):
                raise ConfigError(f"{where}: kafka.{side}: expected a table, found {found!r:.60}")
        bound = {side: _bind(found, where, f"kafka.{side}") for side, found in sides.items()}
        return cls(topic_prefix=prefix, common=_bind(rest, where, "kafka"), **bound)

    def topic(self, name: str) -> str:
        """The name of a topic or group in the cluster."""
        return self.topic_prefix + name

    def client(self, bootstrap: str, role: Role) -> ClientSettings:
        """All settings of one client, with its secrets and with what fieldtap decides.

        Args:
            bootstrap: addresses of brokers, `host:port` with commas between.
            role: a consumer needs `group.id` besides; give `settings.topic(…)`.

        Raises:
            ConfigError: a secret is missing.
        """
        sides: dict[Role, Mapping[str, Setting]] = {"producer": self.producer, "consumer": self.consumer, "admin": {}}
        given = {**self.common, **sides[role]}
        resolved = {key: value.value() if isinstance(value, Secret) else value for key, value in given.items()}
        made = ClientSettings({"bootstrap.servers": bootstrap, **resolved, **DECIDED[role]})
        made.masked = frozenset(key for key, value in given.items() if isinstance(value, Secret))
        return made


def connect(kind: Callable[[ClientSettings], T], settings: ClientSettings) -> T:
    """A client of confluent-kafka: `connect(Producer, settings)`.

    Raises:
        ConfigError: librdkafka does not know a key, or does not take its value.
        TransportError: it cannot work with these settings, such as a certificate that is not there.
    """
    from confluent_kafka import KafkaError, KafkaException

    try:
        return kind(settings)
    except KafkaException as error:
        said = error.args[0]
        told = said.str() if isinstance(said, KafkaError) else str(said)
        if told.startswith(("No such configuration", "Invalid value", "Configuration property")):
            raise ConfigError(f"[kafka]: {told}") from None
        raise TransportError(f"kafka at {settings.get('bootstrap.servers')}: {told}") from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"[kafka]: {error}") from None


def _bind(table: Mapping[str, Any], where: str, path: str) -> dict[str, Setting]:
    bound: dict[str, Setting] = {}
    for key, value in flat(table):
        place = f"{where}: {path}.{key}"
        if key in REFUSED:
            raise ConfigError(f"{place}: not to be set: {REFUSED[key]}")
        if key in bound:
            raise ConfigError(f"{place}: set twice")
        bound[key] = _setting(key, value, where, place)
    return bound


def flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Keys of a table with their dots, and values: TOML takes an unquoted `linger.ms = 5` for a table `linger`."""
    for key, value in table.items():
        if isinstance(value, dict) and not _is_reference(value):
            yield from flat(value, f"{before}{key}.")
        else:
            yield before + key, value


def _is_reference(table: Mapping[str, Any]) -> bool:
    return len(table) == 1 and not table.keys().isdisjoint({"env", "file"})


def _setting(key: str, value: Any, where: str, place: str) -> Setting:
    if isinstance(value, dict):
        ((source, name),) = value.items()
        if not isinstance(name, str) or not name:
            raise ConfigError(f'{place}: expected {{ {source} = "…" }} with text, found {name!r:.60}')
        if source == "env":
            return Secret("env", name, place)
        return Secret("file", str(Path(where).parent / name), place)
    if _SECRET.search(key):
        # The value is not shown: the message may go to a log.
        raise ConfigError(
            f'{place}: a secret does not stand in the file: give {{ env = "NAME" }} or {{ file = "PATH" }}'
        )
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise ConfigError(f"{place}: expected text, a number, or true or false, found {value!r:.60}")
    return value
