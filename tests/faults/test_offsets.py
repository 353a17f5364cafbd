"""Kafka's offsets delayed, repeated, refused, wrong, forgotten, and their topic deleted: nobody notices."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from tests.faults.conftest import MakeGround
from tests.faults.ground import Ground
from tests.faults.processes import until
from tests.faults.verdict import dose, hold, seed, verdict

OFFSETS = "__consumer_offsets"


def committed(ours: Ground) -> list[int]:
    """Offsets that the group has of the records, in order of partition; none where it has none."""
    asked = [ConsumerGroupTopicPartitions(ours.group)]
    try:
        found = ours.admin.list_consumer_group_offsets(asked)[ours.group].result(timeout=30).topic_partitions
    except KafkaException:
        return []
    known = {p.partition: p.offset for p in found if p.topic == ours.records.name and p.offset >= 0}
    return [known[p] for p in sorted(known)]


def judged(ours: Ground) -> bool:
    """Whether all records sent are judged for good."""
    ours.workers.check()
    return ours.reached() == ours.ends(ours.records)


def odd_commits(ours: Ground) -> None:
    """Work for a while with workers of which one delays its commits, one repeats old ones, and one is refused."""
    kinds = ("delayed", "repeated", "refused")
    team = [ours.workers.start(entry="tests.faults.entry", FIELDTAP_COMMITS=kind) for kind in kinds]
    until("all partitions are given out", ours.assigned)
    for _ in range(6):
        ours.blocks(1)
        ours.flush()
        until("a block is judged", lambda: judged(ours))
    # Partitions move while commits are on their way.
    team[1].kill()
    ours.blocks(1)
    ours.flush()
    until("the others take over", lambda: judged(ours))
    assert ours.leave([team[0], team[2]]) == [0, 0]


def forgotten(ours: Ground) -> None:
    """Delete the group with its offsets, as their retention does once nobody is left."""
    until("the group is empty", lambda: not ours.members())
    ours.admin.delete_consumer_groups([ours.group])[ours.group].result(timeout=30)
    assert committed(ours) == []


def wrong(where: str) -> Callable[[Ground], None]:
    """Set the group's offsets to the start of the log, or beyond its end."""

    def put(ours: Ground) -> None:
        ends = ours.ends(ours.records)
        offsets = [0 if where == "start" else end + 1000 for end in ends]
        places = [TopicPartition(ours.records.name, p, offset) for p, offset in enumerate(offsets)]
        until("the group is empty", lambda: not ours.members())
        asked = [ConsumerGroupTopicPartitions(ours.group, places)]
        ours.admin.alter_consumer_group_offsets(asked)[ours.group].result(timeout=30)
        assert committed(ours) == offsets

    return put


def topic_deleted(ours: Ground) -> None:
    """Delete the topic of all offsets and groups while workers work; who ends of it is started again."""
    team = [ours.workers.start() for _ in range(2)]
    ours.blocks(1)
    ours.flush()
    until("a block is judged", lambda: judged(ours))
    for process in team:
        process.doomed = True
    ours.admin.delete_topics([OFFSETS])[OFFSETS].result(timeout=30)

    def judged_by_someone() -> bool:
        for at, process in enumerate(team):
            if not process.alive:
                team[at] = ours.workers.start()
                team[at].doomed = True
        return judged(ours)

    for _ in range(3):
        ours.blocks(1)
        ours.flush()
        until("a block is judged without offsets", judged_by_someone)
    for process in team:
        process.kill()


MISFORTUNES: dict[str, Callable[[Ground], None]] = {
    "delayed, repeated, refused": odd_commits,
    "set to the start": wrong("start"),
    "set beyond the end": wrong("end"),
    "forgotten": forgotten,
    "deleted with their topic": topic_deleted,
}
COUNTED = 7
"""The first is three of them."""


def test_offsets(ground: MakeGround) -> None:
    times = dose("OFFSETS", 1)
    ours = ground(seed(19))
    rng, began = random.Random(ours.seed), time.monotonic()
    ours.blocks(1)
    for _ in range(times):
        for name in rng.sample(sorted(MISFORTUNES), len(MISFORTUNES)):
            MISFORTUNES[name](ours)
            ours.blocks(1)
            ours.flush()
            one = ours.workers.start()
            until(f"the next worker goes on after offsets {name}", lambda: judged(ours))
            assert ours.leave([one]) == [0]
    one = ours.workers.start()
    ours.finish()
    ours.wait()
    assert ours.leave([one]) == [0]
    hold(verdict(ours, "offsets delayed, repeated, refused, wrong, lost", times * COUNTED, began))
