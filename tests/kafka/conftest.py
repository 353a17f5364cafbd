"""A real Kafka for the tests of this folder.

`broker` is one node for the whole session, `cluster` three, for tests that kill some of them.  Every test takes names
of its own (`topic_prefix`, `fresh_topic`), so that none meets what another left behind.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from infra.kafka import jars
from infra.kafka.broker import Cluster

FreshTopic = Callable[..., str]
RUN = f"t{uuid.uuid4().hex[:8]}-"
"""Begins the name of everything that this run makes in Kafka."""
_NUMBERS = count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a broker, so that `-m 'not kafka'` leaves it out."""
    for item in items:
        if {"kafka_installed", "broker"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def kafka_installed() -> None:
    """Skips where no broker can be started, with what to install; an error where `FIELDTAP_REQUIRE_KAFKA` is 1."""
    why = jars.missing()
    if why is not None and os.environ.get("FIELDTAP_REQUIRE_KAFKA") == "1":
        pytest.fail(why, pytrace=False)
    if why is not None:
        pytest.skip(why)


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`bootstrap.servers` of a Kafka of one node, or of the one that `KAFKA_BOOTSTRAP` names."""
    elsewhere = os.environ.get("KAFKA_BOOTSTRAP")
    if elsewhere:
        yield elsewhere
        _delete_ours(elsewhere)
        return
    request.getfixturevalue("kafka_installed")
    one = Cluster(tmp_path_factory.mktemp("broker"), tied=True)
    one.up()
    yield one.bootstrap
    one.kill(1)


def _delete_ours(bootstrap: str) -> None:
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    ours = [name for name in admin.list_topics(timeout=30).topics if name.startswith(RUN)]
    for deleted in (admin.delete_topics(ours) if ours else {}).values():
        deleted.result(timeout=30)


@pytest.fixture(scope="session")
def _three(kafka_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    three = Cluster(tmp_path_factory.mktemp("cluster"), tied=True)
    three.up(nodes=3)
    yield three
    three.kill(1, 2, 3)


@pytest.fixture
def cluster(_three: Cluster) -> Cluster:
    """Three nodes that a test may kill, freeze and start; all of them run when it begins."""
    for node in _three.layout.nodes:
        _three.thaw(node)
    _three.up()
    return _three


@pytest.fixture
def topic_prefix() -> str:
    """What stands before the names of this test's topics and groups."""
    return f"{RUN}{next(_NUMBERS)}."


@pytest.fixture
def fresh_topic(broker: str, topic_prefix: str) -> FreshTopic:
    """Makes a topic that nobody else knows: `fresh_topic(partitions=1, name="records", **{"retention.ms": "1000"})`."""
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})

    def make(partitions: int = 1, name: str = "records", **config: str) -> str:
        topic = NewTopic(topic_prefix + name, partitions, replication_factor=1, config=config)
        admin.create_topics([topic])[topic.topic].result(timeout=30)
        return str(topic.topic)

    return make
