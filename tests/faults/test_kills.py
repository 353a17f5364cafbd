"""Workers killed with -9 at any moment, and between the steps of an epoch, while shards go on sending."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle

from tests.faults.conftest import MakeGround
from tests.faults.entry import BEFORE_CREATE, BEFORE_PUBLISH, BEFORE_SEND
from tests.faults.feed import BLOCK, SHARDS
from tests.faults.ground import Ground
from tests.faults.processes import Process
from tests.faults.verdict import dose, hold, seed, verdict

STEPS = (BEFORE_CREATE, BEFORE_PUBLISH, BEFORE_SEND)
AIMED_EVERY = 4
AIMING_S = 20.0


class Aim:
    """Workers that stop themselves between two steps, so that the kill finds them there."""

    def __init__(self, ours: Ground) -> None:
        self._ours = ours
        self._steps = cycle(STEPS)

    def start(self) -> Process:
        """The next one."""
        ours = self._ours
        own = {"FIELDTAP_HOLD_AT": next(self._steps), "FIELDTAP_HOLDS": str(ours.folder / "stopped")}
        return ours.workers.start(entry="tests.faults.entry", FIELDTAP_RECORDS_ID=ours.records.id, **own)


def test_kills_under_load(ground: MakeGround) -> None:
    kills, records = dose("KILLS", 20), dose("RECORDS", 2_000_000)
    ours = ground(seed(11), probe_every=dose("PROBE_EVERY", 16))
    rng, aim, began = random.Random(ours.seed), Aim(ours), time.monotonic()
    team, aimed = [ours.workers.start() for _ in range(2)], aim.start()
    blocks, at_steps = -(-records // (BLOCK * len(SHARDS))), 0

    def feed(due: int) -> None:
        """Send a block, unless as much is sent as is due: the feed keeps step with the kills."""
        ours.workers.check()
        if ours.feed.blocks < due:
            ours.blocks(1)
        else:
            ours.flush()
            time.sleep(0.02)

    def stops(process: Process) -> bool:
        # One more block each time: without records no epoch would come, and it would never stop.
        feed(ours.feed.blocks + 1)
        return process.stopped

    for kill in range(kills):
        due = blocks * (kill + 1) // kills
        moment = time.monotonic() + rng.uniform(0.1, 3.0)
        while time.monotonic() < moment:
            feed(due)
        if kill % AIMED_EVERY == AIMED_EVERY - 1:
            at_steps += stopped_within(partial(stops, aimed), AIMING_S)
            aimed.kill()
            aimed = aim.start()
        else:
            victim = rng.randrange(len(team))
            team[victim].kill()
            team[victim] = ours.workers.start()
    aimed.kill()
    ours.blocks(max(0, blocks - ours.feed.blocks))
    ours.finish()
    ours.wait()
    codes = ours.leave()
    made = verdict(ours, "worker killed with -9", kills, began, between_steps=at_steps, epochs=ours.epochs())
    assert codes == [0] * len(team)
    assert at_steps
    hold(made)


def stopped_within(stops: Callable[[], bool], seconds: float) -> bool:
    """Whether a worker stopped between two steps; one that was given panes alone never does, and is killed as it is."""
    deadline = time.monotonic() + seconds
    while not stops():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
