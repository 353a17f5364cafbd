"""Names met on the wire: from shards to findings, and into the archive."""

from __future__ import annotations

from pathlib import Path

from confluent_kafka import Producer

from pipeline.archive.replay import Archive
from pipeline.config import Config
from pipeline.setup import Setup
from pipeline.store import open_store
from pipeline.transport.settings import ClientSettings
from pipeline.transport.tags import NAME_ID, TopicNames
from tests.faults.processes import until
from tests.kafka.conftest import FreshTopic
from tests.kafka.deployment import Site, file_run, same

CAPTURE = Path(__file__).parents[1] / "golden" / "s7comm_download" / "input.pcap"
BLOCK = "_0A00001P"


def test_workers_and_archives_know_them(broker: str, topic_prefix: str, tmp_path: Path) -> None:
    site = Site(broker, topic_prefix, 2, tmp_path, Setup(Config()))
    expected = file_run([CAPTURE], site.setup, 2)
    assert BLOCK in expected.found["tag"].to_pylist()
    site.shards([[CAPTURE]])
    site.workers(2)
    assert same(site.outcome(), expected) == []
    site.archive()
    assert BLOCK in Archive(open_store(str(tmp_path / "store")), "archive").names().values()
    assert same(site.replayed(), expected) == []


def test_those_told_later_are_known_later(broker: str, fresh_topic: FreshTopic) -> None:
    topic = fresh_topic(2, "names")
    producer = Producer({"bootstrap.servers": broker, "log_level": 0})

    def tell(partition: int, *messages: tuple[bytes | None, bytes | None]) -> None:
        for key, value in messages:
            producer.produce(topic, value, key, partition=partition)
        assert producer.flush(30) == 0

    tell(0, (NAME_ID.pack(1), b"Tank"))
    tell(1, (NAME_ID.pack(2), b"Pump \xff"), (b"short", b"x"), (NAME_ID.pack(3), None), (None, b"y"))
    client = ClientSettings({"bootstrap.servers": broker, "group.id": "names", "auto.offset.reset": "error"})
    names = TopicNames(client, topic, 2, most=3)
    try:
        assert names.catch_up(30.0)
        assert (dict(names), names.refused) == ({1: "Tank", 2: "Pump \ufffd"}, 3)
        assert names.get(4) is None
        tell(1, (NAME_ID.pack(4), b"Valve"))
        assert until("a name told later", lambda: names.get(4)) == "Valve"
        tell(0, (NAME_ID.pack(5), b"one too many"), (NAME_ID.pack(1), b"Tank"))
        until("the one too many", lambda: len(names) == 3 and names.refused == 4)
        assert 5 not in names
    finally:
        names.close()
    assert (names[4], len(names)) == ("Valve", 3)
