"""The log: messages of one partition between two offsets, read without joining a group."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any

from pipeline.errors import FieldtapError
from pipeline.transport.settings import ClientSettings, connect

HEADER = "fieldtap"
"""Name of the one header of a message."""
_SILENCE_S = 30.0


class LogMessage:
    """A message of Kafka as stages see it.

    Attributes:
        offset: its place in the partition.
        header: content of the header `fieldtap`, None where there is none.
        value: its content.
    """

    __slots__ = ("header", "offset", "value")

    def __init__(self, message: Any) -> None:
        """Of a `confluent_kafka.Message` without error."""
        self.offset: int = message.offset()
        self.value: bytes | None = message.value()
        self.header: bytes | None = None
        for name, content in message.headers() or ():
            if name == HEADER and isinstance(content, bytes):
                self.header = content


def read(
    client: ClientSettings, topic: str, partition: int, start: int, stop: int, make: type[Any] = LogMessage
) -> Iterator[Any]:
    """Messages [start, stop) of a partition, in order.

    Args:
        client: settings of the Kafka client; a group is named in them and never joined.
        make: what a message becomes.

    Raises:
        FieldtapError: the log does not hold them, or gives nothing for half a minute.
    """
    from confluent_kafka import Consumer, TopicPartition

    consumer = connect(Consumer, client)
    try:
        consumer.assign([TopicPartition(topic, partition, start)])
        at, heard = start, monotonic()
        while at < stop:
            for message in consumer.consume(1024, 0.5):
                error = message.error()
                if error is not None:
                    _judge(error, f"{topic}/{partition}: cannot read offset {at}")
                elif at <= (message.offset() or 0) < stop:
                    heard = monotonic()
                    at = (message.offset() or 0) + 1
                    yield make(message)
            if monotonic() - heard > _SILENCE_S:
                raise FieldtapError(f"{topic}/{partition}: no message {at} in {_SILENCE_S:g} s")
    finally:
        consumer.close()


def _judge(error: Any, doing: str) -> None:
    """Pass over what the client mends by itself.

    Raises:
        FieldtapError: it will not mend.
    """
    from confluent_kafka import KafkaError

    if error.code() not in (KafkaError._PARTITION_EOF, KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
        raise FieldtapError(f"{doing}: {error.str()}")
