"""Parked: messages that a worker put away as too new, put back into the log by code that reads them.

A copy is the same header and the same value in the same partition, so that it has the number that the shard gave it: a
worker takes it once, however often it is put back.  What counts is the order within the stream of a shard's start: a
worker that has taken a later message of it drops an earlier one as repeated.  So only what nothing has gone past is
put back; the rest is for a new run, which finds it where it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import TransportError
from pipeline.store import StoreUnclear
from pipeline.transport import topics
from pipeline.transport.codec import decode
from pipeline.transport.log import HEADER, LogMessage, read
from pipeline.transport.message import Header, Newer, Poison
from pipeline.transport.settings import ClientSettings, connect
from pipeline.worker.topic import describe
from pipeline.worker.watermarks import Watermarks

if TYPE_CHECKING:
    from confluent_kafka import Producer

    from pipeline.config import Config
    from pipeline.worker.topic import TopicInfo

_AT_ONCE_BYTES = 64 << 20
"""Values held in memory at once."""
_SILENCE_S = 30.0
Stream = tuple[int, int, int]
"""(partition, shard, boot)."""


@dataclass(slots=True)
class Replayed:
    """What became of the parked messages of a topic of records, each counted once.

    Attributes:
        topic: its name.
        sent, records: put back now, and the records in them.
        there: put back before.
        passed: not put back, for the log has gone on past them.
        overtaken: put back, but their shard sent later ones meanwhile, so that they are passed all the same.
        newer: newer than this code still.
        unreadable: not a message of records, or damaged.
        others: of other topics, such as that of the second stage.
    """

    topic: str
    sent: int = 0
    records: int = 0
    there: int = 0
    passed: int = 0
    overtaken: int = 0
    newer: int = 0
    unreadable: int = 0
    others: int = 0


class ParkedMessage(LogMessage):
    """A message of the topic of parked ones.

    Attributes:
        source: (topic, partition, offset) of where it stood; None where it does not say so.
    """

    __slots__ = ("source",)

    def __init__(self, message: Any) -> None:
        """Of a `confluent_kafka.Message` without error."""
        super().__init__(message)
        said = next((bytes(c) for name, c in message.headers() or () if name == "source" and c is not None), b"")
        topic, _, rest = said.decode(errors="replace").partition("/")
        partition, _, offset = rest.partition("/")
        known = partition.isdecimal() and offset.isdecimal()
        self.source = (topic, int(partition), int(offset)) if known else None


class _Entry(NamedTuple):
    """A parked message that this code reads; ascending as it stood in the log."""

    partition: int
    offset: int
    place: tuple[int, int]
    """Partition and offset among the parked ones."""
    stream: Stream
    number: int
    records: int
    size: int


def replay(bootstrap: str, config: Config, *, make: Callable[[dict[str, Any]], Producer] | None = None) -> Replayed:
    """Put parked messages of the records back behind the log's end.

    Args:
        bootstrap: addresses of brokers.
        config: settings; of them, those of Kafka.
        make: makes the producer.

    Raises:
        TransportError: Kafka does not answer, or does not take them (what it took is not sent again the next time), or
            the topic of records was made anew since.
    """
    return _Replay(bootstrap, config).run(make)


class _Replay:
    def __init__(self, bootstrap: str, config: Config) -> None:
        self._bootstrap, self._kafka = bootstrap, config.kafka
        self._group = config.kafka.topic(f"{config.worker.group}.replay")
        self._records = describe(bootstrap, config, topics.RECORDS)
        self._parked = describe(bootstrap, config, topics.PARKED)
        self._watermarks = Watermarks(self._kafka.client(bootstrap, "admin"))
        self._report = Replayed(self._records.name)
        self._sources: set[tuple[int, int]] = set()
        self._reached: dict[Stream, int] = {}

    def run(self, make: Callable[[dict[str, Any]], Producer] | None) -> Replayed:
        report, entries = self._report, self._index()
        copies, ends = self._look(entries)
        due = []
        for entry in entries:
            if entry.number > self._reached.get(entry.stream, -1):
                due.append(entry)
            elif (entry.stream, entry.number) in copies:
                report.there += 1
            else:
                report.passed += 1
        if due:
            self._send(due, make)
            report.overtaken = len(due) - self._arrived(due, ends)
        report.sent, report.records = len(due), sum(entry.records for entry in due)
        return report

    def _index(self) -> list[_Entry]:
        """Parked messages of the records that this code reads, one of each number, in the order of the log."""
        found: dict[tuple[Stream, int], _Entry] = {}
        report = self._report
        for partition in range(self._parked.partitions):
            for message in self._read(self._parked, partition, 0, ParkedMessage):
                if message.source is None or message.source[0] != self._records.name:
                    report.others += 1
                    continue
                source: tuple[int, int] = message.source[1:]
                if source in self._sources:
                    continue
                self._sources.add(source)
                try:
                    head = decode(message.header, message.value, partition=source[0]).header
                except Poison:
                    report.unreadable += 1
                except Newer:
                    report.newer += 1
                else:
                    stream, size = (head.partition, head.shard, head.boot), len(message.value or b"")
                    one = _Entry(*source, (partition, message.offset), stream, head.number, head.count, size)
                    found[stream, head.number] = min(one, found.get((stream, head.number), one))
        return sorted(found.values())

    def _look(self, entries: Sequence[_Entry]) -> tuple[set[tuple[Stream, int]], dict[int, int]]:
        """Which of `entries` have a copy in the log, and where it ends; notes how far their streams have come."""
        wanted = {(entry.stream, entry.number) for entry in entries}
        stood = {(entry.partition, entry.offset): (entry.stream, entry.number) for entry in entries}
        first: dict[int, int] = {}
        for entry in entries:
            first.setdefault(entry.partition, entry.offset)
        copies, ends = set(), dict(first)
        for partition, start in first.items():
            for offset, stream, number in self._headers(partition, start):
                ends[partition] = offset + 1
                if stood.get((partition, offset), (stream, number)) != (stream, number):
                    raise TransportError(
                        f"topic {self._records.name}: another message stands at offset {offset} of partition "
                        f"{partition} than was parked from there: it is not the log that they come from"
                    )
                if (partition, offset) in self._sources:
                    continue
                self._reached[stream] = max(number, self._reached.get(stream, -1))
                if (stream, number) in wanted:
                    copies.add((stream, number))
        return copies, ends

    def _arrived(self, sent: Sequence[_Entry], ends: dict[int, int]) -> int:
        """How many of `sent` came to stand before all later ones of their stream."""
        left = {(entry.stream, entry.number) for entry in sent}
        for partition in {entry.partition for entry in sent}:
            for _, stream, number in self._headers(partition, ends[partition]):
                if number > self._reached.get(stream, -1):
                    self._reached[stream] = number
                    left.discard((stream, number))
        return len(sent) - len(left)

    def _headers(self, partition: int, start: int) -> Iterator[tuple[int, Stream, int]]:
        """(offset, stream, number) of the messages of the records from `start` on that say so."""
        for message in self._read(self._records, partition, start, LogMessage):
            try:
                head = Header.parse(message.header or b"")
            except (Poison, Newer):
                continue
            if head.holds(message.value or b"") and head.partition == partition:
                yield message.offset, (partition, head.shard, head.boot), head.number

    def _read(self, topic: TopicInfo, partition: int, start: int, make: Any, stop: int | None = None) -> Iterator[Any]:
        """What the log still has of [start, stop), or of all from `start` on."""
        try:
            low, high = self._watermarks.of(topic.name, partition)
        except StoreUnclear as unclear:
            raise TransportError(str(unclear)) from None
        client = self._kafka.client(self._bootstrap, "consumer")
        client["group.id"] = self._group
        client.setdefault("check.crcs", True)
        client.setdefault("log_level", 0)
        end = high if stop is None else min(stop, high)
        return read(client, topic.name, partition, max(low, start), end, make) if max(low, start) < end else iter(())

    def _send(self, entries: Sequence[_Entry], make: Callable[[dict[str, Any]], Producer] | None) -> None:
        from confluent_kafka import Producer

        client = ClientSettings(self._kafka.client(self._bootstrap, "producer"))
        # One that is given up, while later ones arrive, would be passed.
        client["message.timeout.ms"] = 0
        client.setdefault("log_level", 0)
        producer, failed = connect(make or Producer, client), list[str]()

        def delivered(error: object, _: object) -> None:
            if error is not None:
                failed.append(str(error))

        for part in _portions(entries):
            held = self._contents(part)
            for entry in part:
                header, value = held[entry.place]
                producer.produce(
                    self._records.name,
                    value,
                    headers=[(HEADER, header)],
                    partition=entry.partition,
                    on_delivery=delivered,
                )
                producer.poll(0)
            self._await(producer, failed)

    def _await(self, producer: Producer, failed: Sequence[str]) -> None:
        left, since = len(producer), monotonic()
        while left and not failed and monotonic() - since < _SILENCE_S:
            if (now := producer.flush(0.5)) < left:
                left, since = now, monotonic()
        if left or failed:
            why = failed[0] if failed else f"no answer in {_SILENCE_S:g} s"
            raise TransportError(f"topic {self._records.name}: parked messages were not taken: {why}; begin again")

    def _contents(self, entries: Iterable[_Entry]) -> dict[tuple[int, int], tuple[bytes, bytes]]:
        """Header and value by place among the parked ones."""
        wanted: dict[int, set[int]] = {}
        for entry in entries:
            wanted.setdefault(entry.place[0], set()).add(entry.place[1])
        found = {}
        for partition, offsets in wanted.items():
            for message in self._read(self._parked, partition, min(offsets), LogMessage, max(offsets) + 1):
                if message.offset in offsets:
                    found[partition, message.offset] = (message.header, message.value)
        return found


def _portions(entries: Sequence[_Entry]) -> Iterator[list[_Entry]]:
    """Entries in order, so many at a time as may be held in memory."""
    part: list[_Entry] = []
    size = 0
    for entry in entries:
        if part and size + entry.size > _AT_ONCE_BYTES:
            yield part
            part, size = [], 0
        part.append(entry)
        size += entry.size
    if part:
        yield part
