"""Scene: one run of the simulation, and the judgement of what it left."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np
import pytest

from pipeline.ledger import Chain, ChainDamaged, Epoch, Place, Publisher, parquet, publish, view
from pipeline.ledger import compact as compaction
from pipeline.ledger.collect import collect
from pipeline.ledger.compact import compact
from pipeline.ledger.epoch import extent_in
from pipeline.ledger.publish import FRESH, MERGED, published
from pipeline.ledger.view import findings, tables_of
from pipeline.owner import Owner
from pipeline.store import Store
from pipeline.store.folder import FolderStore
from tests.simulation.log import Clean, Note, Row, Tally, clean, log, rows_of
from tests.simulation.second import TARGETS, Receiver, Sender
from tests.simulation.storage import LossyDisk, Network, Objects
from tests.simulation.workers import Bystander, Hold, Operator, mend
from tests.simulation.world import Actor, Process, World

_TRUNCATED = 3
"""First message that is left after the log was truncated."""
RUN, TOPIC = "r1", "_aZ09-topic"


@dataclass(frozen=True)
class Rules:
    """The code under test; tests put something in its place that leaves out one rule."""

    chain: type[Chain] = Chain
    owner: type[Owner] = Owner
    folder: type[FolderStore] = FolderStore
    objects: type[Objects] = Objects
    publisher: type[Publisher] = Publisher
    sender: type[Sender] = Sender
    collect: Callable[[Chain], Any] = collect
    incarnations: bool = False
    """Whether epochs tell which process made them; then no two processes make the same bytes."""
    compact: Callable[..., Any] = compact
    view: Callable[..., Any] = findings


@dataclass(frozen=True)
class Dose:
    """How much of what."""

    disk: bool = False
    partitions: int = 1
    workers: int = 2
    messages: int = 16
    threads: bool = False
    trouble: float = 0.08
    crash: float = 0.004
    power: float = 0.0
    rebalance: float = 0.02
    late: float = 0.03
    sleep: float = 0.01
    damage: float = 0.001
    damages: int = 1 << 30
    """How often at most."""
    abandon: float = 0.01
    """Chance that a worker drops a partition and takes it anew, within one process."""
    give_up: float = 0.1
    """Chance of that after an unclear answer to a creation."""
    retention: int = 1 << 30
    """Messages before what is finished that the log still has, for repair."""
    truncate: float = 0.0
    """Chance that the log's first messages go before anybody started."""
    lifecycle: float = 0.0
    """Chance that a rule of the store deletes the oldest epoch."""
    ticks: int = 300
    collect_every: int = 1
    bystanders: tuple[str, ...] = ("compact", "collect", "read")


def dose(seed: int) -> Dose:
    """What the seed draws."""
    rng = Random(seed ^ 0x5EED)
    disk = rng.random() < 0.4
    return Dose(
        disk=disk,
        partitions=rng.choice((1, 1, 2)),
        workers=rng.choice((2, 3)),
        messages=rng.randint(10, 24),
        threads=rng.random() < 0.5,
        trouble=rng.choice((0.0, 0.05, 0.15)) / (3 if disk else 1),
        crash=rng.choice((0.0, 0.003, 0.01)),
        power=rng.choice((0.0, 0.003)) if disk else 0.0,
        rebalance=rng.choice((0.005, 0.03)),
        damage=rng.choice((0.0, 0.003)),
        ticks=rng.randint(150, 350) * (2 if disk else 1),
        collect_every=rng.choice((1, 2, 5)),
        bystanders=tuple(rng.sample(("compact", "collect", "read"), rng.randint(0, 3))),
    )


@dataclass
class Outcome:
    """What came of a run."""

    seed: int
    counts: Counter[str]
    lost: int = 0
    doubled: int = 0
    violations: list[str] = field(default_factory=list)
    trace: int = 0


class Scene:
    """Logs, stores, workers and what happens to them."""

    def __init__(self, seed: int, dose: Dose, rules: Rules) -> None:
        self.seed, self.dose, self.rules = seed, dose, rules
        self.world = World(seed, dose.ticks)
        self.logs: list[tuple[Note, ...]] = [log((seed + p) % 8, dose.messages) for p in range(dose.partitions)]
        self.clean: list[Clean] = [clean(notes) for notes in self.logs]
        self.network = Network(self.world, dose.trouble)
        self.disk = LossyDisk(self.world, dose.trouble)
        self.objects = rules.objects(self.network)
        self.receivers = [Receiver(self._origin) for _ in range(TARGETS)]
        self.workers = [Process(f"worker {n}") for n in range(dose.workers)]
        self.operator, self.bystander = Process("operator"), Process("bystander")
        self.assigned = [self.workers[0]] * dose.partitions
        self.first = 0
        self.stopped = [False] * dose.partitions
        self.committed = [0] * dose.partitions
        self.finished = [0] * dose.partitions
        self.covered: list[dict[int, int]] = [{} for _ in self.logs]
        self.holds = [Hold(self, worker, p) for worker in self.workers for p in range(dose.partitions)]
        self._folders: dict[tuple[str, int], FolderStore] = {}
        self._people()
        self._events()

    def _people(self) -> None:
        act = self.world.actors.append
        for hold in self.holds:
            hold.believes = hold.worker is self.workers[0]
            act(Actor(f"{hold.worker.name} on {hold.partition}", hold.worker, hold.poll))
            if self.dose.threads:
                act(Actor(f"{hold.worker.name} on {hold.partition} io", hold.worker, hold.io))
        act(Actor("operator", self.operator, Operator(self).work))
        for what in self.dose.bystanders:
            act(Actor(what, self.bystander, Bystander(self, what).work))

    def _events(self) -> None:
        dose = self.dose
        self.world.events = [
            (dose.late, self.network.deliver),
            (dose.rebalance, self._rebalance),
            (dose.sleep, self._sleep),
            (dose.crash, self._crash),
            (dose.damage, self._damage),
            (dose.power, self._lose_power),
            (dose.truncate, self._truncate),
            (dose.lifecycle, self._delete_oldest),
        ]

    # --- what the people are given

    def place(self, partition: int) -> Place:
        """The partition as the ledger knows it."""
        return Place(RUN, TOPIC, partition)

    def store_of(self, process: Process) -> Store:
        """The store as a process sees it."""
        if not self.dose.disk:
            return self.objects
        key = (process.name, process.incarnation)
        if key not in self._folders:
            self._folders[key] = self.rules.folder("/store", self.disk)
        return self._folders[key]

    def chain(self, process: Process, partition: int) -> Chain:
        """A partition's chain as a process sees it."""
        return self.rules.chain(self.store_of(process), self.place(partition))

    def owner(self, process: Process, partition: int) -> Owner:
        """An owner of a partition."""
        chain = self.chain(process, partition)
        return self.rules.owner(
            chain,
            Tally(),
            origin=lambda: self.first,
            publish=self.rules.publisher(chain.store).publish,
            send=self.rules.sender(self.network, self.receivers).send,
            versions={"worker": f"{process.name}.{process.incarnation}"} if self.rules.incarnations else None,
            collect_every=self.dose.collect_every,
        )

    def read(self, process: Process) -> list[Row]:
        """All findings, as a reader sees them."""
        table = self.rules.view(self.store_of(process), RUN, threads=1)
        return rows_of(table) if table.num_rows else []

    def oracle(self) -> list[Row]:
        """All findings of a clean pass."""
        return [row for part in self.clean for row in part.findings]

    def _origin(self, partition: int) -> int:
        name = self.place(partition).origin
        landed = self._objects_in(name.rpartition("/")[0]).get(name)
        return 0 if landed is None else int(json.loads(landed)["start"])

    # --- what happens

    def _rebalance(self) -> None:
        rng = self.world.rng
        partition = rng.randrange(self.dose.partitions)
        self.assigned[partition] = rng.choice(self.workers)
        for hold in self.holds:
            if hold.partition == partition:
                mine = hold.worker is self.assigned[partition]
                if hold.believes and not mine and rng.random() < 0.6:
                    self.world.counts["zombies"] += 1
                    continue
                hold.believes = mine

    def _sleep(self) -> None:
        actor = self.world.rng.choice(self.world.actors)
        actor.weight = 1.0 if actor.weight < 1 else 0.01

    def _crash(self) -> None:
        self.world.kill(self.world.rng.choice([*self.workers, *self.workers, self.operator, self.bystander]))

    def _lose_power(self) -> None:
        self.world.counts["power losses"] += 1
        for process in [*self.workers, self.operator, self.bystander]:
            self.world.kill(process)
        self.disk.lose_power()

    def stop(self, partition: int) -> None:
        """The alarm: nobody works on the partition until it is repaired."""
        self.stopped[partition] = True

    def _truncate(self) -> None:
        if not any(self.finished):
            self.first = _TRUNCATED

    def _delete_oldest(self) -> None:
        names = sorted(self._objects_in(self.place(0).epochs))
        if len(names) > 3:
            del self.objects.objects[names[0]]

    def _damage(self) -> None:
        rng = self.world.rng
        place = self.place(rng.randrange(self.dose.partitions))
        there = self._objects_in(place.epochs)
        full = sorted(name for name, data in there.items() if data)
        if full and not self.stopped[place.partition] and self.world.counts["damaged"] < self.dose.damages:
            name = full[-1] if self.dose.damages == 1 or rng.random() < 0.7 else rng.choice(full)
            extent = extent_in(there[name], place, int(name[-20:]))
            if extent is not None:
                self.covered[place.partition][extent.start] = extent.next
            self._put(name, damaged(rng, there[name]))
            self.world.counts["damaged"] += 1

    def _objects_in(self, folder: str) -> dict[str, bytes]:
        if self.dose.disk:
            return {f"{folder}/{n}": d for n, d in self.disk.now.get(f"/store/{folder}", {}).items() if d is not None}
        return {n: d for n, d in self.objects.objects.items() if n.startswith(f"{folder}/")}

    def _put(self, name: str, data: bytes) -> None:
        if not self.dose.disk:
            self.objects.objects[name] = data
            return
        folder, _, file = f"/store/{name}".rpartition("/")
        for names in (self.disk.now[folder], self.disk.synced[folder]):
            if file in names:
                names[file] = data

    # --- the end

    def run(self) -> Outcome:
        """The time of trouble, then one good worker per partition, then the judgement."""
        self.world.trouble()
        late_first = self.world.rng.random() < 0.5
        if late_first:
            self.network.deliver_all()
        outcome = Outcome(self.seed, self.world.counts, trace=self.world.trace)
        try:
            if not self.world.violations:
                whole = [self._settle(p) for p in range(self.dose.partitions)].count(False) == 0
                self.network.deliver_all()
                if whole:
                    self._judge(outcome)
        except Exception as error:
            self.world.violated(f"at the end: {type(error).__name__}: {error}")
        outcome.violations = self.world.violations + [a for r in self.receivers for a in r.alarms]
        return outcome

    def _settle(self, partition: int) -> bool:
        owner = self.owner(Process("good worker"), partition)
        try:
            owner.open()
        except ChainDamaged:
            mend(self, partition)
            owner.open()
        if owner.position < self.first:
            self.world.counts["refused"] += 1
            return False
        if owner.position < len(self.logs[partition]):
            owner.feed(self.logs[partition][owner.position :])
            owner.cut()
        while owner.step():
            pass
        if self.first:
            start = owner.chain.origin(lambda: -1)
            self.clean[partition] = clean(self.logs[partition][start:])
            self.world.counts[f"origin {start}"] += 1
        return True

    def _judge(self, outcome: Outcome) -> None:
        process = Process("judge")
        store = self.store_of(process)
        for root in (FRESH, MERGED):
            rows = [r for t in tables_of(store, published(store, root, RUN), 1) if t.num_rows for r in rows_of(t)]
            if len(set(rows)) < len(rows):
                self.world.violated(f"{root}: rows are doubled")
        for _ in range(2):
            known, found = Counter(self.oracle()), Counter(self.read(process))
            outcome.lost += sum((known - found).values())
            outcome.doubled += sum((found - known).values())
            outcome.counts["merged"] += self.rules.compact(store, threads=1).merged
        for p, part in enumerate(self.clean):
            self._judge_partition(outcome, self.chain(process, p), part)
        if outcome.lost or outcome.doubled:
            self.world.violated(f"{outcome.lost} rows lost, {outcome.doubled} doubled")

    def _judge_partition(self, outcome: Outcome, chain: Chain, part: Clean) -> None:
        p = chain.place.partition
        tip = chain.tip()
        assert tip is not None
        if not tip.ended or any(not np.array_equal(tip.state[name], part.state[name]) for name in part.state):
            self.world.violated(f"partition {p}: the state at {tip.next} is not that of a clean pass")
        outcome.counts["epochs"] += len(chain.starts())
        for target, receiver in enumerate(self.receivers):
            expected = [uid for uid in part.sends if uid % TARGETS == target]
            had = Counter(receiver.rows.get(p, []))
            outcome.lost += sum((Counter(expected) - had).values())
            outcome.doubled += sum((had - Counter(expected)).values())
            if receiver.rows.get(p, []) != expected and had == Counter(expected):
                self.world.violated(f"partition {p}: target {target} had its rows in another order")


def damaged(rng: Random, data: bytes) -> bytes:
    """`data` cut short, longer, with bits turned, or with a stretch of other bytes; never the same."""
    kind = rng.randrange(5)
    if kind == 0:
        return data[: rng.randrange(len(data))]
    if kind == 1:
        return data + bytes(rng.randrange(256) for _ in range(rng.randint(1, 40)))
    at, size = rng.randrange(len(data)), 1 if kind < 4 else rng.randint(2, 200)
    piece = bytes(b ^ rng.randint(1, 255) for b in data[at : at + size])
    return data[:at] + piece + data[at + len(piece) :]


_files = publish.files
_unpack = lru_cache(8192)(parquet.unpack)
_files_of = lru_cache(8192)(lambda data, place, start: _files(Epoch(data, place, start)))


@contextmanager
def remembering() -> Iterator[None]:
    """Pure functions of the ledger give again what they gave for equal bytes: thousands of runs share few logs."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (view, compaction):
            patch.setattr(module, "unpack", _unpack)
        patch.setattr(publish, "files", lambda epoch: _files_of(epoch.data, epoch.place, epoch.start))
        yield


def simulate(seed: int, rules: Rules | None = None, **given: Any) -> Outcome:
    """One run of the simulation.

    Args:
        seed: decides everything.
        rules: the code under test.
        given: what is not drawn from the seed, by names of :class:`Dose`.
    """
    with remembering():
        return Scene(seed, replace(dose(seed), **given), rules or Rules()).run()
