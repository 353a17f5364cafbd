"""A shard killed with -9 again and again: after the tracker, everything is there once and in order.

FIELDTAP_KILLS gives the number of kills (`make faults-shard KILLS=500`), FIELDTAP_SEED another course of them.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.synth import bulk
from tests.kafka.test_shard import expected, merged, whole
from tests.transport import shards
from tests.transport.log import Message, read_log, take
from tests.transport.streams import differences

FreshTopic = Callable[..., str]
KILLS = int(os.environ.get("FIELDTAP_KILLS", "20"))
SEED = int(os.environ.get("FIELDTAP_SEED", "1"))
PARTITIONS = 3
PACKETS = 400_000
SLOW = """
[shard]
batch_kb = 64
[spool]
budget_mb = 1
policy = "block"
sync_ms = 20
[kafka.producer]
"linger.ms" = 250
"""
"""The shard may be no further ahead of Kafka than a MiB, and Kafka answers late: so that kills hit it at work."""


def kill(process: object, spool: Path, rng: random.Random) -> bool:
    """Kill a shard at a moment that chance gives; False where it was done before."""
    progress = spool / "progress"
    before = progress.stat().st_mtime_ns if progress.exists() else 0

    def works() -> bool:
        return progress.exists() and progress.stat().st_mtime_ns != before

    if rng.random() < 0.8:
        deadline = time.monotonic() + shards.MOST_S
        while not works() and process.poll() is None and time.monotonic() < deadline:  # type: ignore[attr-defined]
            time.sleep(0.002)
        time.sleep(rng.random() * 0.25)
    else:
        time.sleep(rng.random() * 1.5)
    ended = process.poll() is not None  # type: ignore[attr-defined]
    process.kill()  # type: ignore[attr-defined]
    process.communicate()  # type: ignore[attr-defined]
    return not ended


def numbers_mean_one_message(log: list[list[Message]]) -> int:
    """How many messages were sent more than once; each time they must be the same."""
    again = 0
    for partition, messages in enumerate(log):
        seen: dict[tuple[int, int], Message] = {}
        for message in messages:
            header = take([message], partition).headers[0]
            key = (header.boot, header.number)
            assert seen.setdefault(key, message) == message, f"message {key} of partition {partition} has two contents"
        again += len(messages) - len(seen)
    return again


def test_killed_again_and_again(broker: str, fresh_topic: FreshTopic, topic_prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "polls.pcap"
    bulk(path, packets=max(PACKETS, KILLS * 10_000), registers=10, flows=40, seed=1)
    topic = fresh_topic(PARTITIONS, "fieldtap.records")
    settings = shards.config(tmp_path / "settings.toml", topic_prefix, SLOW)
    words = shards.command([path], broker, tmp_path / "spool", settings)
    rng, kills = random.Random(SEED), 0
    while kills < KILLS:
        assert kill(shards.start(words), tmp_path / "spool", rng), f"it was done after {kills} kills"
        kills += 1
    shards.config(settings, topic_prefix)
    code, out, err = shards.finish(shards.start(words))
    assert code == 0, err
    assert "resumed" in out
    log = read_log(broker, topic)
    taken = [take(messages, partition) for partition, messages in enumerate(log)]
    again = numbers_mean_one_message(log)
    counted = sum(one.counters["duplicates"] for one in taken)
    summary = {
        "kills": kills,
        "seed": SEED,
        "messages": sum(len(messages) for messages in log),
        "records": sum(one.counters["records"] for one in taken),
        "sent again": again,
        "removed": counted,
        "gaps": sum(one.counters["gaps"] for one in taken),
    }
    print(json.dumps(summary))
    assert differences(merged(taken), whole([path])) == []
    assert [one.sequence for one in taken] == expected([path], PARTITIONS)
    assert again == counted > 0
    assert summary["gaps"] == 0
    assert json.loads((tmp_path / "spool" / "shard.json").read_text())["finished"]
