"""Brokers killed with -9, each time one that leads."""

from __future__ import annotations

import random
import time

from infra.kafka.broker import Cluster
from tests.faults.conftest import MakeGround
from tests.faults.ground import Ground
from tests.faults.processes import until
from tests.faults.verdict import dose, hold, seed, verdict

WORKING_AGAIN_S = 30.0


def leader(ours: Ground, partition: int) -> int:
    """The node that leads a partition of the records."""
    name = ours.records.name
    return int(ours.admin.list_topics(name, timeout=30).topics[name].partitions[partition].leader)


def in_sync(ours: Ground) -> bool:
    """Whether every copy of every partition is up to date."""
    known = ours.admin.list_topics(timeout=30).topics
    return all(len(p.isrs) == len(p.replicas) == 3 for t in known.values() for p in t.partitions.values())


def test_leaders_killed(ground: MakeGround, trio: Cluster) -> None:
    kills = dose("BROKER_KILLS", 3)
    ours = ground(seed(17), trio.bootstrap, replication=3)
    rng, began, slowest = random.Random(ours.seed), time.monotonic(), 0.0
    team = [ours.workers.start() for _ in range(2)]
    until("both have partitions", lambda: len(ours.members()) == len(team) and ours.assigned())
    for _ in range(kills):
        until("every copy is up to date", lambda: in_sync(ours))
        ours.blocks(5)
        # Nothing is waited for: messages are on their way when the node dies.
        victim = leader(ours, rng.randrange(ours.partitions))
        trio.kill(victim)
        killed = time.monotonic()
        ours.blocks(5)
        ours.flush()
        ends = ours.ends(ours.records)
        until(
            "what came after the kill is judged",
            lambda ends=ends: all(map(int.__ge__, ours.reached(), ends)),
            WORKING_AGAIN_S - (time.monotonic() - killed),
        )
        slowest = max(slowest, time.monotonic() - killed)
        trio.start(victim)
    ours.finish()
    ours.wait()
    assert ours.leave(team) == [0, 0]
    hold(verdict(ours, "leading broker of three killed with -9", kills, began, slowest_s=round(slowest, 1)))
