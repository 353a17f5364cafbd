"""Brokers for the tests of this folder, and the ground that each stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.kafka.broker import Cluster
from tests.faults.ground import SESSION_MS, Ground
from tests.kafka.conftest import kafka_installed, pytest_collection_modifyitems, topic_prefix

__all__ = ["kafka_installed", "pytest_collection_modifyitems", "topic_prefix"]

MakeGround = Callable[..., Ground]
QUICK = {
    "group.consumer.session.timeout.ms": str(SESSION_MS),
    "group.consumer.heartbeat.interval.ms": str(SESSION_MS // 6),
    "offsets.topic.num.partitions": "1",
}
"""A worker that died or sleeps is put out of its group soon."""


@pytest.fixture(scope="session")
def quick(kafka_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One node of its own, with short sessions."""
    one = Cluster(tmp_path_factory.mktemp("quick"), tied=True, settings=QUICK)
    one.up()
    yield one
    one.kill(1)


@pytest.fixture(scope="module")
def trio(kafka_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes, whose absence is noticed soon."""
    noticed = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}
    three = Cluster(tmp_path_factory.mktemp("trio"), tied=True, settings=QUICK | noticed)
    three.up(nodes=3)
    yield three
    three.kill(1, 2, 3)


@pytest.fixture
def ground(request: pytest.FixtureRequest, topic_prefix: str, tmp_path: Path) -> Iterator[MakeGround]:
    """Makes a ground, on the quick node unless told otherwise; its workers end with the test."""
    made: list[Ground] = []

    def make(seed: int, bootstrap: str = "", **settings: Any) -> Ground:
        where = bootstrap or request.getfixturevalue("quick").bootstrap
        made.append(Ground(where, topic_prefix, tmp_path, seed, **settings))
        return made[-1]

    yield make
    for one in made:
        one.workers.end()
