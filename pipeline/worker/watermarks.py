"""Watermarks: where the log of a partition begins and ends, asked without the client that is a member of the group.

A client of confluent-kafka serves one call at a time, also while it calls back: asked from another thread during a
rebalance, it would answer only after that, and a broker that says nothing would keep it from polling.
"""

from __future__ import annotations

from contextlib import suppress

from pipeline.store import StoreUnclear
from pipeline.transport.settings import ClientSettings, connect

_ANSWER_S = 3.0


class Watermarks:
    """Asks the broker; may be called from any thread."""

    def __init__(self, client: ClientSettings) -> None:
        """With the settings of an admin client.

        Raises:
            ConfigError, TransportError: no client can be made of them.
        """
        from confluent_kafka.admin import AdminClient

        client.setdefault("log_level", 0)  # what goes wrong comes as an error
        self._admin = connect(AdminClient, client)

    def of(self, topic: str, partition: int) -> tuple[int, int]:
        """Offsets of the first message that the log still has, and of the next one that will come.

        Raises:
            StoreUnclear: the broker did not tell; ask again.
        """
        from confluent_kafka import KafkaException, TopicPartition
        from confluent_kafka.admin import OffsetSpec

        place = TopicPartition(topic, partition)
        ends = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]
        low, high, cause = -1, -1, None
        try:
            # One partition may be asked for one offset at a time.
            told = [self._admin.list_offsets({place: spec}, request_timeout=_ANSWER_S)[place] for spec in ends]
            low, high = (int(future.result(timeout=2 * _ANSWER_S).offset) for future in told)
        except (KafkaException, TimeoutError) as error:
            cause = error
        if not 0 <= low <= high:
            # Of a leader that died the client may hear no error, only an offset that is none; it goes on asking it.
            self._look_for_leader(topic)
            raise StoreUnclear(f"{topic}/{partition}: the broker did not tell where the log begins and ends") from cause
        return low, high

    def _look_for_leader(self, topic: str) -> None:
        from confluent_kafka import KafkaException

        with suppress(KafkaException):
            self._admin.list_topics(topic, timeout=_ANSWER_S)
