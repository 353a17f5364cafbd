"""A topic as it is on the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import TransportError
from pipeline.transport import topics
from pipeline.transport.settings import ClientSettings, connect

if TYPE_CHECKING:
    from pipeline.config import Config


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """Its full name, its id, and how many partitions it has."""

    name: str
    id: str
    partitions: int


def describe(bootstrap: str, config: Config, name: str) -> TopicInfo:
    """A topic's id and number of partitions.

    Raises:
        TransportError: Kafka does not answer, or there is no such topic.
    """
    from confluent_kafka import KafkaError, KafkaException, TopicCollection
    from confluent_kafka.admin import AdminClient

    topic = config.kafka.topic(name)
    client = config.kafka.client(bootstrap, "admin")
    client.setdefault("log_level", 0)  # what goes wrong comes as an error
    heard: list[str] = []

    def make(given: ClientSettings) -> AdminClient:
        listening: dict[str, Any] = {**given, "error_cb": lambda error: heard.append(error.str())}
        return AdminClient(listening)

    admin = connect(make, client)
    try:
        found = admin.describe_topics(TopicCollection([topic]), request_timeout=topics.ANSWER_S)[topic].result()
    except KafkaException as error:
        said = error.args[0]
        missing = said.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        admin.poll(0)
        why = f" ({heard[0]})" if heard else ""
        hint = "; `fieldtap topics apply` makes the topics" if missing else why
        raise TransportError(f"kafka at {bootstrap}: {topic}: {said.str()}{hint}") from None
    uuid = found.topic_id
    high, low = (n & 0xFFFFFFFFFFFFFFFF for n in (uuid.get_most_significant_bits(), uuid.get_least_significant_bits()))
    return TopicInfo(topic, f"{high:016x}{low:016x}", len(found.partitions))
