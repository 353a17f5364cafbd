"""Workers killed with -9 at any moment, while shards go on sending."""

from __future__ import annotations

import random
import time

from tests.faults.conftest import MakeGround
from tests.faults.feed import BLOCK, SHARDS
from tests.faults.verdict import dose, hold, seed, verdict


def test_kills_under_load(ground: MakeGround) -> None:
    kills, records = dose("KILLS", 20), dose("RECORDS", 2_000_000)
    ours = ground(seed(11))
    rng, began = random.Random(ours.seed), time.monotonic()
    team = [ours.workers.start() for _ in range(3)]
    blocks = -(-records // (BLOCK * len(SHARDS)))
    for kill in range(kills):
        # The feed keeps step with the kills, so that there is always something under way.
        due = blocks * (kill + 1) // kills
        moment = time.monotonic() + rng.uniform(0.1, 4.0)
        while time.monotonic() < moment:
            if ours.feed.blocks < due:
                ours.blocks(1)
            else:
                ours.flush()
                time.sleep(0.02)
        ours.workers.check()
        victim = rng.randrange(len(team))
        team[victim].kill()
        team[victim] = ours.workers.start()
    ours.blocks(blocks - ours.feed.blocks)
    ours.finish()
    ours.wait()
    codes = ours.leave()
    made = verdict(ours, "worker killed with -9", kills, began, epochs=ours.epochs())
    assert codes == [0] * len(team)
    hold(made)
