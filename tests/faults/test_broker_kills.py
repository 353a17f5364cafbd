"""Brokers killed with -9, each time one that leads."""

from __future__ import annotations

import random
import time
from contextlib import suppress

from infra.kafka.broker import Cluster
from pipeline.store import StoreUnclear
from pipeline.transport.settings import ClientSettings
from pipeline.worker.watermarks import Watermarks
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


def test_where_a_log_ends_is_told_again_after_its_leader_died(ground: MakeGround, trio: Cluster) -> None:
    ours = ground(seed(18), trio.bootstrap, replication=3)
    until("every copy is up to date", lambda: in_sync(ours))
    topic, watermarks = ours.records.name, Watermarks(ClientSettings(ours.client))
    assert [watermarks.of(topic, p) for p in range(ours.partitions)] == [(0, 0)] * ours.partitions
    ours.blocks(3)
    ours.flush()
    victim = leader(ours, 0)
    trio.kill(victim)

    def told() -> list[tuple[int, int]]:
        with suppress(StoreUnclear):
            return [watermarks.of(topic, p) for p in range(ours.partitions)]
        return []

    found = until("where every log ends", told, WORKING_AGAIN_S)
    trio.start(victim)
    # A new leader tells what it knows to be on a majority; that grows to what was acknowledged.
    ends = [(0, end) for end in ours.ends(ours.records)]
    until("all that was acknowledged", lambda: told() == ends, WORKING_AGAIN_S)
    assert min(high for _, high in found) > 0


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
