"""Brokers for the tests of this folder, and the ground that each stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.kafka.broker import Cluster
from tests.faults.ground import SESSION_MS, Ground
from tests.kafka.conftest import cluster, kafka_installed, pytest_collection_modifyitems, topic_prefix
from tests.kafka.conftest import _three as _three

__all__ = ["cluster", "kafka_installed", "pytest_collection_modifyitems", "topic_prefix"]

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


@pytest.fixture
def ground(quick: Cluster, topic_prefix: str, tmp_path: Path) -> Iterator[MakeGround]:
    """Makes a ground; its workers end with the test."""
    made: list[Ground] = []

    def make(seed: int, bootstrap: str = quick.bootstrap, **settings: Any) -> Ground:
        made.append(Ground(bootstrap, topic_prefix, tmp_path, seed, **settings))
        return made[-1]

    yield make
    for one in made:
        one.workers.end()
