"""Outbox: what a worker writes to Kafka: provisional findings, rows for the second stage, messages it refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.stage import Refused
from pipeline.store import StoreUnclear
from pipeline.transport.log import HEADER
from pipeline.transport.settings import ClientSettings, connect

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

_SEND_S = 30.0


class Outbox:
    """One producer for all partitions of a worker.

    Provisional findings are sent once and may be lost or doubled; readers fold them by id.  Refused messages must have
    arrived before the epoch that counts them becomes true.  Rows for the second stage are sent until they arrive.

    Attributes:
        failed: messages to the live topic that did not arrive.
    """

    def __init__(self, client: ClientSettings, topics: Mapping[str, str]) -> None:
        """A producer.

        Args:
            client: settings of the Kafka client.
            topics: names of the topics `live`, `dead`, `parked` and `panes`.
        """
        from confluent_kafka import Producer

        settings = ClientSettings(client)
        settings["message.timeout.ms"] = 0
        self._producer = connect(Producer, settings)
        self._topics = topics
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, int], int] = {}
        self.failed = 0

    def poll(self) -> None:
        """Serve delivery reports."""
        self._producer.poll(0)

    def live(self, tables: Iterable[pa.Table]) -> None:
        """Send provisional findings, one JSON message a row, keyed by the finding's id."""
        for table in tables:
            for row in rows_as_json(table):
                self._produce(self._topics["live"], row[1], key=row[0], on_delivery=self._count)

    def refuse(self, source: tuple[str, int], refused: Sequence[Refused]) -> None:
        """Put away messages that cannot be used, with where they came from and why."""
        for message, reason, newer in refused:
            topic = self._topics["parked" if newer else "dead"]
            headers: list[tuple[str, bytes | None]] = [
                ("source", f"{source[0]}/{source[1]}/{message.offset}".encode()),
                ("reason", reason.encode()),
            ]
            if message.header is not None:
                headers.append((HEADER, message.header))
            with self._lock:
                self._waiting[source] = self._waiting.get(source, 0) + 1

            def arrived(error: KafkaError | None, _: object, source: tuple[str, int] = source) -> None:
                with self._lock:
                    self._waiting[source] -= 1 if error is None else 0

            self._produce(topic, message.value, headers=headers, on_delivery=arrived)

    def delivered(self, source: tuple[str, int]) -> bool:
        """Whether all refused messages of a partition have arrived."""
        with self._lock:
            return not self._waiting.get(source)

    def deliver(self, seconds: float) -> None:
        """Wait for everything sent, so long at most."""
        self._producer.flush(seconds)

    def send(self, messages: Sequence[tuple[int, bytes, bytes]]) -> None:
        """Send (partition, header, value) to the second stage, and wait until all have arrived.

        Raises:
            StoreUnclear: they did not arrive in time; some may yet, and sending them again does no harm.
        """
        left = len(messages)
        lock = threading.Lock()

        def arrived(error: KafkaError | None, _: object) -> None:
            nonlocal left
            with lock:
                left -= 1 if error is None else 0

        for partition, header, value in messages:
            self._produce(
                self._topics["panes"], value, partition=partition, headers=[(HEADER, header)], on_delivery=arrived
            )
        deadline = monotonic() + _SEND_S
        while left:
            self._producer.poll(0.05)
            if monotonic() > deadline:
                raise StoreUnclear(f"{self._topics['panes']}: {left} messages not acknowledged in {_SEND_S:g} s")

    def _produce(self, topic: str, value: bytes | None, **more: Any) -> None:
        while True:
            try:
                self._producer.produce(topic, value, **more)
                return
            except BufferError:
                self._producer.poll(0.05)

    def _count(self, error: KafkaError | None, _: object) -> None:
        self.failed += error is not None


def rows_as_json(table: pa.Table) -> list[tuple[bytes, bytes]]:
    """(id, JSON object) of every row of ALERT; times as nanoseconds since the epoch, ids as text."""
    found = []
    for row in without_times(table).to_pylist():
        uid = f"{row['finding_info_uid']:016x}"
        row.update(finding_info_uid=uid, parent_uid=f"{row['parent_uid']:016x}", device=f"{row['device']:016x}")
        found.append((uid.encode(), json.dumps(_finite(row), separators=(",", ":")).encode()))
    return found


def without_times(table: pa.Table) -> pa.Table:
    """The table with times as int64 ns: Python's own know no nanoseconds."""
    return table.cast(pa.schema([_plain(f) for f in table.schema]))


def _plain(field: pa.Field) -> pa.Field:
    """The field with times as int64."""
    return pa.field(field.name, _plain_type(field.type), field.nullable)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.int64()
    if pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_field))
    if pa.types.is_struct(kind):
        return pa.struct([_plain(kind.field(i)) for i in range(kind.num_fields)])
    return kind


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: none instead."""
    return {k: None if isinstance(v, float) and v != v else v for k, v in row.items()}
