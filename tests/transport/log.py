"""What stands in Kafka: every message of a topic, and what a worker would make of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from detectors.base import Mark
from detectors.columns import Columns
from pipeline.transport.codec import decode
from pipeline.transport.message import HEADER_NAME, Header
from pipeline.transport.tracker import Admission, Tracker
from tests.transport.streams import joined

Message = tuple[bytes | None, bytes | None]
ANSWER_S = 60.0


def read_log(bootstrap: str, topic: str) -> list[list[Message]]:
    """(header, value) of every message, by partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "log_level": 0, "check.crcs": True})
    try:
        partitions = len(consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions)
        found: list[list[Message]] = [[] for _ in range(partitions)]
        wanted = {
            p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=ANSWER_S, cached=False)[1]
            for p in range(partitions)
        }
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
        deadline = time.monotonic() + ANSWER_S
        missing = {p for p, end in wanted.items() if end}
        while missing:
            assert time.monotonic() < deadline, f"nothing came for partitions {missing}"
            for message in consumer.consume(1000, timeout=0.5):
                assert message.error() is None, message.error()
                headers = dict(message.headers() or [])
                found[message.partition()].append((headers.get(HEADER_NAME), message.value()))
                if message.offset() + 1 >= wanted[message.partition()]:
                    missing.discard(message.partition())
        return found
    finally:
        consumer.close()


@dataclass
class Taken:
    """One partition's stream as a worker takes it: batches and marks in order, repeated messages left out."""

    batches: list[Columns] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    sequence: list[Any] = field(default_factory=list)
    """("records", first seq, last seq) and marks, records cut at marks only."""
    counters: dict[str, int] = field(default_factory=dict)
    headers: list[Header] = field(default_factory=list)

    @property
    def records(self) -> Columns | None:
        """All records."""
        return joined(self.batches) if self.batches else None

    @property
    def seqs(self) -> list[int]:
        """Of all records."""
        return [seq for batch in self.batches for seq in batch.seq.tolist()]


def take(messages: list[Message], partition: int) -> Taken:
    """What is left of a partition's log when repeated messages are dropped; a gap is in the counters."""
    tracker, taken = Tracker(), Taken()
    for header, value in messages:
        stretch = decode(header, value, partition=partition)
        if tracker.admit(stretch.header).admission is Admission.DUPLICATE:
            continue
        taken.headers.append(stretch.header)
        if stretch.batch is not None:
            taken.batches.append(stretch.batch)
        taken.marks += [mark for _, mark in stretch.marks]
        taken.sequence += _events(stretch.batch, stretch.marks)
    taken.counters = dict(tracker.counters())
    return taken


def _events(batch: Columns | None, marks: Any) -> Iterator[Any]:
    seqs = batch.seq.tolist() if batch is not None else []
    start = 0
    for row, mark in marks:
        yield from seqs[start:row]
        yield mark
        start = row
    yield from seqs[start:]


def take_all(bootstrap: str, topic: str) -> list[Taken]:
    """Every partition's stream."""
    return [take(messages, p) for p, messages in enumerate(read_log(bootstrap, topic))]
