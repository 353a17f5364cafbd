"""What an operator meets: a second run over the same topics, topics that changed, messages that cannot be read."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from pipeline.config import Config
from pipeline.errors import TransportError
from pipeline.setup import Setup
from pipeline.store import StoreUnclear, open_store
from pipeline.store.base import Store
from pipeline.synth import simulate
from pipeline.transport import topics
from pipeline.worker.compose import Deployment, Detection, work
from tests.kafka.deployment import Site, same


def test_another_run_judges_all_anew_beside_the_first(broker: str, topic_prefix: str, tmp_path: Path) -> None:
    """Rows of the first run lie in the topic of the second stage: they are not the second run's."""
    simulate(tmp_path / "one", minutes=10, seed=2, attacks=("scan",))
    simulate(tmp_path / "two", minutes=10, seed=9, attacks=("scan",))
    captures = [[tmp_path / name / "plant.pcap"] for name in ("one", "two")]
    used, fresh = (Site(broker, f"{topic_prefix}{n}.", 2, tmp_path / n, Setup(Config())) for n in ("used", "fresh"))
    used.shards(captures[:1])
    used.workers(1)
    for site in (used, fresh):
        for capture in captures[site is used :]:
            site.shards([capture])
    used.workers(1, "again")
    fresh.workers(1)
    assert fresh.outcome().found.num_rows > 10
    assert same(used.outcome("again"), fresh.outcome()) == []


def test_a_run_does_not_go_on_over_topics_that_grew(broker: str, topic_prefix: str, tmp_path: Path) -> None:
    simulate(tmp_path / "plant", minutes=1, seed=2)
    site = Site(broker, topic_prefix, 2, tmp_path, Setup(Config()))
    site.shards([[tmp_path / "plant" / "plant.pcap"]])
    site.workers(1)
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})
    name = topic_prefix + topics.RECORDS
    admin.create_partitions([NewPartitions(name, 3)])[name].result(timeout=60)

    def begin() -> Deployment:
        return Deployment(broker, str(tmp_path / "store"), site.setup, site.setup.config.worker)

    with pytest.raises(TransportError, match="began with partitions 2, now 3"):
        begin()


def test_what_cannot_be_read_is_told_once_and_put_away(broker: str, topic_prefix: str, tmp_path: Path) -> None:
    simulate(tmp_path / "plant", minutes=1, seed=2)
    site = Site(broker, topic_prefix, 1, tmp_path, Setup(Config()))
    producer = Producer({"bootstrap.servers": broker, "log_level": 0})
    for _ in range(5):
        producer.produce(topic_prefix + topics.RECORDS, b"junk", partition=0)
    producer.flush(60)
    site.shards([[tmp_path / "plant" / "plant.pcap"]])
    place = Deployment(broker, str(tmp_path / "store"), site.setup, site.setup.config.worker)
    told: list[str] = []
    report = work(place, Detection, stop=lambda: False, say=told.append, until_end=True)
    assert report.stages[topic_prefix + topics.RECORDS]["dead_letters"] == 5
    (line,) = [line for line in told if "header: missing" in line]
    assert line.startswith(f"{topic_prefix}{topics.RECORDS}/0: message 0: header: missing: to the dead letters")
    assert place.watermarks.of(topic_prefix + topics.DEAD_LETTERS, 0) == (0, 5)


class Refusing:
    """A store that takes no epoch, a few times."""

    def __init__(self, store: Store, times: int) -> None:
        self._store, self.left = store, times
        self.read, self.names, self.replace = store.read, store.names, store.replace

    def create(self, name: str, data: bytes) -> bool:
        if name.startswith("epochs") and self.left:
            self.left -= 1
            raise StoreUnclear(f"cannot create {name}: {errno.errorcode[errno.ENOSPC]}")
        return self._store.create(name, data)


def test_a_store_that_does_not_answer_is_told_and_when_it_does(broker: str, topic_prefix: str, tmp_path: Path) -> None:
    simulate(tmp_path / "plant", minutes=1, seed=2)
    site = Site(broker, topic_prefix, 1, tmp_path, Setup(Config()))
    site.shards([[tmp_path / "plant" / "plant.pcap"]])
    place = Deployment(broker, str(tmp_path / "store"), site.setup, site.setup.config.worker)
    place.store = Refusing(open_store(str(tmp_path / "store")), 3)
    told: list[str] = []
    work(place, Detection, stop=lambda: False, say=told.append, until_end=True)
    about = [line for line in told if "ENOSPC" in line or "nothing waits" in line]
    assert len(about) >= 2
    assert len(about) % 2 == 0
    assert "tried again until it works" in about[0]
