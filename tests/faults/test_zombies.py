"""Workers that sleep past their session at the worst moments, and wake when others have gone on."""

from __future__ import annotations

import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle, islice

from pipeline.ledger.compact import compact
from tests.faults.conftest import MakeGround
from tests.faults.entry import AFTER_COMPACTION, AFTER_REJOIN, LABELS
from tests.faults.ground import RUN, Ground
from tests.faults.processes import Process, until
from tests.faults.verdict import dose, hold, seed, verdict

SLEEPERS = 5
DAY_S = 86_400


@dataclass
class Sleeper:
    """A worker that stops itself."""

    process: Process
    ground: Ground
    log: str
    missed: list[int] = field(default_factory=list)
    merged: int = 0

    @property
    def labels(self) -> list[str]:
        """Where it has stopped so far."""
        try:
            with open(self.log) as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def wake_if_passed(self) -> None:
        """Wake it when it sleeps and others have gone past all that there was when it fell asleep."""
        if not self.process.stopped:
            self.missed = []
            return
        if not self.missed:
            self.missed = self.ground.ends(self.ground.records)
        if any(now < then for now, then in zip(self.ground.reached(), self.missed, strict=True)):
            return
        if self.labels[-1] == AFTER_COMPACTION:
            pass_a_day(self.ground)
            self.merged += compact(self.ground.store, RUN).merged
        stops = len(self.labels)
        self.process.signal(signal.SIGCONT)
        until("it goes on", lambda: not self.process.stopped or len(self.labels) > stops)
        self.missed = []


def pass_a_day(ground: Ground) -> None:
    """Let a day of record time pass, so that what was found before it can be merged."""
    ground.feed.leap(DAY_S)
    for _ in range(2):
        ground.blocks(1)
        ground.flush()
        ends = ground.ends(ground.records)
        until("the next day is judged", lambda ends=ends: all(map(int.__ge__, ground.reached(), ends)))


def test_sleepers(ground: MakeGround) -> None:
    each = dose("SLEEPS", 5)
    ours = ground(seed(12), partitions=SLEEPERS + 1)
    began = time.monotonic()
    labels = list(islice(cycle(LABELS), each * len(LABELS)))
    sleepers = []
    for n in range(SLEEPERS):
        log = str(ours.folder / f"sleeps{n}")
        own = {"FIELDTAP_HOLD_AT": ",".join(labels[n * each : (n + 1) * each]), "FIELDTAP_HOLDS": log}
        process = ours.workers.start(entry="tests.faults.entry", FIELDTAP_RECORDS_ID=ours.records.id, **own)
        sleepers.append(Sleeper(process, ours, log))
    ours.workers.start()
    wanted = len(labels) + labels.count(AFTER_REJOIN)
    end = time.monotonic() + 60 + 10 * wanted
    while sum(len(s.labels) for s in sleepers) < wanted or any(s.process.stopped for s in sleepers):
        assert time.monotonic() < end, f"they slept only at {[s.labels for s in sleepers]}"
        ours.workers.check()
        ours.blocks(1)
        for sleeper in sleepers:
            sleeper.wake_if_passed()
        time.sleep(0.1)
    ours.finish()
    ours.wait()
    codes = ours.leave()
    slept = Counter(label for sleeper in sleepers for label in sleeper.labels)
    merged = sum(sleeper.merged for sleeper in sleepers)
    more = {label: slept[label] for label in LABELS} | {"merged": merged}
    made = verdict(ours, "worker stopped past its session, then continued", len(labels), began, **more)
    assert codes == [0] * (SLEEPERS + 1)
    assert slept == Counter(labels) + Counter({AFTER_REJOIN: each})
    assert merged >= each
    hold(made)
