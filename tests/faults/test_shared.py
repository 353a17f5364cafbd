"""Two workers that both believe that every partition is theirs."""

from __future__ import annotations

import re
import time

from tests.faults.conftest import MakeGround
from tests.faults.verdict import dose, hold, seed, verdict


def test_two_on_one_partition(ground: MakeGround) -> None:
    times, together_s = dose("SHARED", 2), dose("SHARED_S", 15)
    ours = ground(seed(13), partitions=1, epoch_s=0.1)
    began, taken = time.monotonic(), 0
    for last in [False] * (times - 1) + [True]:
        pair = [
            ours.workers.start(entry="tests.faults.entry", FIELDTAP_FORCED="1", FIELDTAP_KEEP="1") for _ in range(2)
        ]
        start = ours.epochs()
        end = time.monotonic() + together_s
        while time.monotonic() < end or ours.epochs() < start + 20:
            ours.workers.check()
            ours.blocks(1)
            ours.flush()
            time.sleep(0.05)
        if last:
            ours.finish()
            ours.wait()
        assert ours.leave(pair) == [0, 0]
        taken += sum(int(n) for p in pair for n in re.findall(r"worker: .*\btaken (\d+)", p.said()))
    made = verdict(ours, "two workers on one partition", times, began, epochs=ours.epochs(), taken=taken)
    hold(made)
