"""Names met on the wire, as shards tell them: a compacted topic from name id to text (`sender`).

Names stand beside the stream.  A finding that is written before its name has come shows the id; rows of it that are
written later show the name.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any

from pipeline.transport.settings import ClientSettings, connect

NAME_ID = struct.Struct("<Q")
"""Key of a message: the name id."""
MOST = 1_000_000
"""Names held; what comes after them stays a number."""
_AT_ONCE = 10_000
_ANSWER_S = 2.0


class TopicNames(Mapping[int, str]):
    """Name id to text, as far as told; may be asked from any thread.

    The client fetches in threads of its own.  What it has is taken in when a name is asked for that is not known.

    Attributes:
        refused: messages that were no name, or one too many.
    """

    def __init__(self, client: ClientSettings, topic: str, partitions: int, *, most: int = MOST) -> None:
        """Begin to read.

        Args:
            client: settings of the Kafka client; a group is named in them and never joined.
            most: names to hold.

        Raises:
            ConfigError, TransportError: no client can be made of them.
        """
        from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

        settings = ClientSettings(client)
        settings["enable.partition.eof"] = True
        settings["fetch.wait.max.ms"] = 100  # a worker begins when it has heard that there are no more
        self._consumer: Any = connect(Consumer, settings)
        with suppress(KafkaException):
            # Who leads a partition that the client has not heard of yet is asked for only half a second later.
            self._consumer.list_topics(topic, timeout=_ANSWER_S)
        self._consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
        self._behind = set(range(partitions))
        self._most = most
        self._known: dict[int, str] = {}
        self._lock = threading.Lock()
        self.refused = 0

    def catch_up(self, within_s: float) -> bool:
        """Whether all names that were told before this call are known, now or after `within_s`."""
        end = monotonic() + within_s
        while self._behind and monotonic() < end:
            self._take(0.1)
        return not self._behind

    def __getitem__(self, name_id: int) -> str:
        if name_id not in self._known:
            self._take(0.0)
        return self._known[name_id]

    def __iter__(self) -> Iterator[int]:
        self._take(0.0)
        return iter(dict(self._known))

    def __len__(self) -> int:
        self._take(0.0)
        return len(self._known)

    def close(self) -> None:
        """Read no more; what is known stays."""
        with self._lock:
            self._consumer.close()
            self._consumer = None

    def _take(self, wait_s: float) -> None:
        from confluent_kafka import KafkaError

        with self._lock:
            if self._consumer is None:
                return
            for message in self._consumer.consume(_AT_ONCE, wait_s):
                error = message.error()
                if error is None:
                    self._learn(message.key(), message.value())
                elif error.code() == KafkaError._PARTITION_EOF:
                    self._behind.discard(message.partition())
                # Anything else the client mends by itself: names may come late.

    def _learn(self, key: bytes | None, value: bytes | None) -> None:
        if key is None or len(key) != NAME_ID.size or value is None:
            self.refused += 1
            return
        (name_id,) = NAME_ID.unpack(key)
        if len(self._known) < self._most or name_id in self._known:
            self._known[name_id] = value.decode(errors="replace")
        else:
            self.refused += 1
