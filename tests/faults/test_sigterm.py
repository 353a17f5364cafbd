"""Workers asked to end leave whole epochs behind, and the next ones go on from there."""

from __future__ import annotations

import random
import time

from pipeline.ledger.publish import files
from pipeline.second.message import decode
from pipeline.transport.log import HEADER
from pipeline.transport.topics import PANES
from tests.faults.conftest import MakeGround
from tests.faults.ground import TARGETS, Ground
from tests.faults.processes import until
from tests.faults.verdict import dose, hold, seed, verdict

REVOKE_S = 5.0


def unfinished(ours: Ground) -> list[str]:
    """What the last epochs lack: findings not published, panes not sent."""
    lacking, there = [], {name for name, _ in ours.store.names("findings")}
    sent = sent_until(ours)
    for p, tip in enumerate(ours.tips(ours.records)):
        if tip is not None:
            lacking += [name for name, _ in files(tip) if name not in there]
            lacking += [f"panes of {p} to {q}" for q in range(TARGETS) if sent.get((p, q)) != tip.next]
    return lacking


def sent_until(ours: Ground) -> dict[tuple[int, int], int]:
    """(source, target) to the offset up to which the source's panes have been sent."""
    found: dict[tuple[int, int], int] = {}
    for message in ours.all_of(PANES):
        header = dict(message.headers())[HEADER]
        target = message.partition()
        pane = decode(header, message.value(), sources=ours.partitions, partition=target, partitions=TARGETS)
        if pane.last:
            found[pane.source, target] = max(found.get((pane.source, target), 0), pane.next)
    return found


def test_sigterm(ground: MakeGround) -> None:
    times = dose("TERMS", 2)
    # An epoch would last for minutes: what is judged when the workers leave, they made true on leaving.
    ours = ground(seed(20), epoch_s=120.0, revoke_s=REVOKE_S)
    rng, began = random.Random(ours.seed), time.monotonic()
    left = 0
    for _ in range(times):
        team = [ours.workers.start() for _ in range(2)]
        until("all partitions are given out", ours.assigned)
        moment = time.monotonic() + rng.uniform(1.0, 2.0)
        while time.monotonic() < moment:
            ours.blocks(1)
            ours.flush()
            time.sleep(0.05)
        before = ours.epochs()
        for process in team:
            process.terminate()
        codes = [process.leave(REVOKE_S + 30) for process in team]
        assert codes == [0, 0]
        assert unfinished(ours) == []
        left += ours.epochs() - before
    team = [ours.workers.start() for _ in range(2)]
    ours.finish()
    ours.wait()
    assert ours.leave(team) == [0, 0]
    assert left > 0
    hold(verdict(ours, "SIGTERM under load", times, began, epochs_on_leaving=left))
