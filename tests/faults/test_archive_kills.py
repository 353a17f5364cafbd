"""Archive workers killed with -9 at any moment while shards go on sending: what they keep is what was sent, once."""

from __future__ import annotations

import random
import time

import numpy as np

from pipeline.archive.replay import Archive
from tests.faults.conftest import MakeGround
from tests.faults.feed import BLOCK, SHARDS, number
from tests.faults.ground import RUN
from tests.faults.processes import Workers, until
from tests.faults.verdict import dose, seed


def test_archive_kills_under_load(ground: MakeGround) -> None:
    kills, records = dose("KILLS", 12), dose("RECORDS", 400_000)
    ours = ground(seed(17))
    rng, blocks = random.Random(ours.seed), -(-records // (BLOCK * len(SHARDS)))
    folder = ours.folder / "archives"
    folder.mkdir()
    words = ["archive", *ours.workers.arguments[1:]]
    archives = Workers(words, folder)
    team, kept_pieces = [archives.start() for _ in range(2)], 0

    def feed(due: int) -> None:
        """Send a block, unless as much is sent as is due: the feed keeps step with the kills."""
        archives.check()
        if ours.feed.blocks < due:
            ours.blocks(1)
        else:
            ours.flush()
            time.sleep(0.02)

    def grown() -> bool:
        # One more block each time, so that there is something to keep, however much was sent before a worker began.
        feed(ours.feed.blocks + 1)
        return len(Archive(ours.store, RUN).pieces) > kept_pieces

    try:
        for kill in range(kills):
            # Every kill finds workers that keep what is sent; on a slow machine they begin later.
            until("the archive grows", grown, pause_s=0.3)
            kept_pieces = len(Archive(ours.store, RUN).pieces)
            moment = time.monotonic() + rng.uniform(0.1, 3.0)
            while time.monotonic() < moment:
                feed(blocks * (kill + 1) // kills)
            victim = rng.randrange(len(team))
            team[victim].kill()
            team[victim] = archives.start()
        ours.blocks(max(0, blocks - ours.feed.blocks))
        ours.finish()
        # Who comes last publishes what a dead one left at its end.
        last = Workers([*words, "--until-end"], ours.folder).start()
        until("the last archive has all of it", lambda: not last.alive, 180)
        assert last.child.returncode == 0, last.said()
        archives.check()
    finally:
        archives.end()
    archive = Archive(ours.store, RUN)
    assert len(archive.pieces) > kept_pieces
    kept = [
        number(batch.shard, batch.seq)
        for topic, partition in archive.partitions()
        for batch, _ in archive.stretches(topic, partition)
    ]
    sent = [number(np.full(n, shard), np.arange(1, n + 1)) for shard in SHARDS for n in [ours.feed.blocks * BLOCK]]
    print(f"\narchive killed with -9: times={kills} records={ours.feed.records:,} pieces={len(archive.pieces)}")
    np.testing.assert_array_equal(np.sort(np.concatenate(kept)), np.sort(np.concatenate(sent)))
