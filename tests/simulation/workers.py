"""Who works on the ledger in the simulation: owners and zombies, an operator, compaction, collection, readers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pipeline.ledger import ChainDamaged, LedgerError, Taken
from pipeline.ledger.repair import damage, repair
from pipeline.owner import Owner, Step
from pipeline.store import StoreUnclear
from tests.simulation.log import Note, Tally
from tests.simulation.world import Process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.simulation.scene import Scene

_BACKLOG = 4


class Hold:
    """A worker's hold on a partition, for as long as it believes to have it."""

    def __init__(self, scene: Scene, worker: Process, partition: int) -> None:
        self.scene = scene
        self.worker = worker
        self.partition = partition
        self.believes = False
        self.owner: Owner | None = None
        self.lost: Owner | None = None

    def poll(self) -> None:
        """One assignment, from opening to the loss of the partition."""
        world = self.scene.world
        self.owner = None
        world.wait(self._wanted)
        owner = self.scene.owner(self.worker, self.partition)
        if not self._open(owner):
            return
        if owner.position < self.scene.first:
            world.counts["refused"] += 1
            world.wait(lambda: False)
        self.owner = owner
        try:
            while self._wanted() and self.lost is not owner:
                if world.chance(0.4):
                    world.pause("poll")
                if world.chance(self.scene.dose.abandon):
                    break
                if not self._one(owner):
                    world.wait(lambda: not self._wanted() or self.lost is owner)
        except Taken:
            world.counts["taken"] += 1
        self.owner = None

    def io(self) -> None:
        """The steps of the owner, in a thread of their own."""
        self.scene.world.wait(lambda: self.owner is not None and self.owner is not self.lost and self.owner.backlog > 0)
        owner = self.owner
        assert owner is not None
        try:
            self._step(owner)
        except Taken:
            self.lost = owner

    def _wanted(self) -> bool:
        return self.believes and not self.scene.stopped[self.partition]

    def _open(self, owner: Owner) -> bool:
        while self._wanted():
            try:
                owner.open(self.scene.world.rng.choice((0, self.scene.committed[self.partition], 3)))
            except StoreUnclear:
                self.scene.world.pause("open again")
            except ChainDamaged:
                self.scene.stop(self.partition)
            else:
                return True
        return False

    def _one(self, owner: Owner) -> bool:
        """One action; False when all is done."""
        rng, log = self.scene.world.rng, self.scene.logs[self.partition]
        if owner.position == len(log) and not owner.cut() and not owner.backlog:
            return False
        drawn = rng.random()
        if drawn < 0.02:
            self._feed_wrong(owner, rng.choice((-1, 1, 2)))
        elif drawn < 0.4 and owner.backlog < _BACKLOG:
            owner.feed(log[owner.position : owner.position + rng.choice((1, 1, 2, 3))])
            if drawn < 0.35:
                owner.cut()
        elif not self.scene.dose.threads:
            self._step(owner)
        elif owner.backlog:
            self.scene.world.pause("poll")
        return True

    def _feed_wrong(self, owner: Owner, by: int) -> None:
        notes = self.scene.logs[self.partition][max(owner.position + by, 0) :][:2]
        if notes and notes[0].offset != owner.position:
            try:
                owner.feed(notes)
            except ValueError:
                return
            self.scene.world.violated(f"partition {self.partition}: messages out of place were taken")

    def _step(self, owner: Owner) -> None:
        scene, world = self.scene, self.scene.world
        try:
            owner.step()
        except StoreUnclear:
            world.pause("step again")
            if owner._queue and owner._queue[0].due is Step.CREATE and world.chance(scene.dose.give_up):
                self.lost = owner
        scene.committed[self.partition] = owner.finished
        scene.finished[self.partition] = max(scene.finished[self.partition], owner.finished)
        if scene.assigned[self.partition] is not self.worker:
            world.counts["zombie steps"] += 1


class Operator:
    """Stops the workers of a partition whose chain is damaged, repairs it, and lets them go on."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def work(self) -> None:
        """One repair."""
        scene = self._scene
        scene.world.wait(lambda: any(scene.stopped))
        partition = scene.stopped.index(True)
        for worker in scene.workers:
            scene.world.kill(worker)
        mend(scene, partition)
        scene.stopped[partition] = False


def mend(scene: Scene, partition: int) -> None:
    """What an operator does: `fieldtap ledger repair`, with --next where it is asked for."""
    log = scene.logs[partition]

    kept_from = 0

    def messages(start: int, stop: int) -> Iterator[Sequence[Note]]:
        for at in range(max(start, kept_from), stop, 2):
            yield log[at : min(at + 2, stop)]

    chain = scene.chain(scene.operator, partition)
    while True:
        try:
            found = damage(chain)
            kept_from = 0 if found is None else max(found.start - scene.dose.retention, 0)
            stop = None if found is None or found.extent is not None else scene.covered[partition][found.start]
            repaired = repair(chain, Tally(), messages, stop=stop)
        except (StoreUnclear, ChainDamaged):
            scene.world.pause("repair again")
            continue
        if repaired is not None:
            scene.world.counts["repaired"] += 1
            if repaired.agrees is False:
                scene.world.violated(f"partition {partition}: the repaired epoch is not the one that was published")
        return


class Bystander:
    """Somebody who compacts, collects or reads, now and then."""

    def __init__(self, scene: Scene, what: str) -> None:
        self._scene = scene
        self._what = what

    def work(self) -> None:
        """Once."""
        world = self._scene.world
        until = world.at + world.rng.randint(5, 60)
        world.wait(lambda: world.at >= until)
        try:
            getattr(self, self._what)()
        except StoreUnclear:
            world.counts[f"{self._what} unclear"] += 1
        else:
            world.counts[self._what] += 1

    def compact(self) -> None:
        """Merge what is closed."""
        scene = self._scene
        done = scene.rules.compact(scene.store_of(scene.bystander), threads=1)
        scene.world.counts["merged"] += done.merged

    def collect(self) -> None:
        """Empty old epochs of a partition."""
        scene = self._scene
        partition = scene.world.rng.randrange(scene.dose.partitions)
        scene.world.counts["emptied"] += scene.rules.collect(scene.chain(scene.bystander, partition)).emptied

    def read(self) -> None:
        """Read the findings: nothing twice, nothing made up, nothing missing that had been finished before."""
        scene = self._scene
        finished = list(scene.finished)
        try:
            found = Counter(scene.read(scene.bystander))
        except LedgerError as error:
            scene.world.violated(f"a reader found damage: {error}")
            return
        known = Counter(scene.oracle())
        must = Counter(row for p, upto in enumerate(finished) for row in scene.clean[p].findings if row[2] < upto)
        if found - known or must - found:
            scene.world.violated(
                f"a reader found {sum((found - known).values())} rows too many, missed {sum((must - found).values())}"
            )
