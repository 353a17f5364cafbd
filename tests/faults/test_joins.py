"""Workers come and go all the while."""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.faults.conftest import MakeGround
from tests.faults.processes import until
from tests.faults.verdict import dose, hold, seed, verdict

MOST = 4


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_join_and_leave(ground: MakeGround, protocol: str) -> None:
    times = dose("JOINS", 20)
    ours = ground(seed(18), protocol=protocol)
    rng, began = random.Random(ours.seed), time.monotonic()
    team, left = [ours.workers.start() for _ in range(2)], []
    for _ in range(times):
        moment = time.monotonic() + rng.uniform(0.1, 1.6)
        while time.monotonic() < moment:
            ours.workers.check()
            ours.blocks(1)
            ours.flush()
            time.sleep(0.1)
        if len(team) == 1 or (len(team) < MOST and rng.random() < 0.5):
            team.append(ours.workers.start())
        else:
            leaving = team.pop(rng.randrange(len(team)))
            if len(left) % 2 == 0:
                # On a slow machine none would else come so far as to leave in good order.
                until("it listens", lambda worker=leaving: ": reading " in worker.said())
            leaving.terminate()
            left.append(leaving)
    ours.finish()
    ours.wait()
    codes = ours.leave(team) + [p.leave() for p in left]
    made = verdict(ours, f"join and leave, {protocol} protocol", times, began, epochs=ours.epochs())
    # Who is asked to leave before it has come so far as to listen dies of the signal.
    assert set(codes) <= {0, -signal.SIGTERM}
    assert codes.count(0) > len(codes) // 2
    hold(made)
