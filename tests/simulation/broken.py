"""The ledger with one rule left out each: what must make the simulation find a violation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipeline.ledger import Chain, ChainDamaged, Epoch, EpochDamaged, Taken
from pipeline.ledger.collect import Collected
from pipeline.ledger.compact import Compacted, closed
from pipeline.ledger.parquet import emptied, pack
from pipeline.ledger.place import Place
from pipeline.ledger.publish import FRESH, MERGED, File, folder, published
from pipeline.ledger.view import findings, tables_of, uncovered
from pipeline.owner import Message, Owner, Step, _Unfinished
from pipeline.store import Store, StoreUnclear
from pipeline.store.folder import FolderStore
from tests.simulation.scene import Rules
from tests.simulation.second import Parcel, Sender
from tests.simulation.storage import Objects


@dataclass(frozen=True)
class Case:
    """A rule left out.

    Attributes:
        rules: the code without it.
        given: the dose under which it matters, by names of `Dose`.
        lasting: parts of `rules` that are no breach, and stay when the rule is put back.
    """

    rules: Rules
    given: dict[str, Any]
    lasting: Rules = field(default_factory=Rules)


# --- rule 1: origin


class StartsAnywhere(Owner):
    """Without an origin: each first start begins with the log's first message of the moment."""

    def open(self, hint: int = 0) -> int:
        first = self._origin()
        tip = self.chain.tip(hint)
        if tip is not None:
            return super().open(hint)
        self._stage.restore(None)
        self._position = self._start = self._finished = first
        return first


# --- rules 2, 5, 6, 13: the end of the chain is finished by whoever comes next


class TakesTheEndForFinished(Owner):
    """Does not publish and send the end of the chain again."""

    def open(self, hint: int = 0) -> int:
        at = super().open(hint)
        self._queue.clear()
        return at


class TakesTheLastForFinished(Owner):
    """Thinks that an ended input needs no more work."""

    def open(self, hint: int = 0) -> int:
        at = super().open(hint)
        if self._ended:
            self._queue.clear()
        return at


# --- rule 3: create


class KnowsProcessesOnly(Chain):
    """Takes what the same process made for ours."""

    def _is_ours(self, there: bytes, epoch: Epoch) -> bool:
        try:
            return Epoch(there, self.place, epoch.start).versions == epoch.versions
        except EpochDamaged:
            return False


class TrustsItsTry(Owner):
    """After an unclear answer, takes whatever stands there for its own."""

    def _create(self, head: _Unfinished) -> None:
        try:
            super()._create(head)
        except StoreUnclear:
            self._tried = head
            raise
        except Taken:
            if getattr(self, "_tried", None) is not head:
                raise
            self._taken, head.landed = None, head.ours


class Overwrites(Chain):
    """After an unclear answer, takes it for a failure, and puts its own in place."""

    def create(self, epoch: Epoch) -> None:
        tried: set[int] = self.__dict__.setdefault("tried", set())
        if epoch.start in tried:
            self.store.replace(self.place.epoch(epoch.start), epoch.data)
            return
        tried.add(epoch.start)
        super().create(epoch)


# --- rule 4: publish


class PublishesFromMemory(Owner):
    """Publishes what it has computed before it is true."""

    def _create(self, head: _Unfinished) -> None:
        if head.ours is not None:
            self._publish(head.ours)
        super()._create(head)


# --- rule 5: send


class SendsBeforeTrue(Owner):
    """Sends rows before they are true."""

    def _create(self, head: _Unfinished) -> None:
        if head.ours is not None and self._send is not None:
            self._send(head.ours)
        super()._create(head)


class SaysNothingOfNothing(Sender):
    """Sends no message to a target for which there are no rows."""

    def parcels(self, epoch: Epoch, rows: list[int]) -> list[Parcel]:
        return super().parcels(epoch, rows) if rows else []


# --- rule 6: order


class CreatesAhead(Owner):
    """Creates every epoch that it has, before older ones are published."""

    def step(self) -> Step:
        for head in list(self._queue):
            if head.due is Step.CREATE:
                return self._advance(head)
        return super().step()


# --- rule 7: damage


class MovesDamageAside(Chain):
    """Removes a damaged end and goes on from the epoch before."""

    def tip(self, hint: int = 0) -> Epoch | None:
        while True:
            try:
                return super().tip(hint)
            except ChainDamaged:
                assert isinstance(self.store, Objects)
                self.store.objects.pop(self.place.epoch(self.starts()[-1][0]), None)


# --- rule 8: collecting garbage


def keep_one(chain: Chain) -> Collected:
    """Empties all but the last epoch, which nobody has verified."""
    full = [start for start, size in chain.starts() if size]
    for start in full[:-1]:
        chain.store.replace(chain.place.epoch(start), b"")
    return Collected(len(full[:-1]), 0)


def delete_names(chain: Chain) -> Collected:
    """Deletes old epochs together with their names."""
    starts = [start for start, _ in chain.starts()]
    assert isinstance(chain.store, Objects)
    for start in starts[:-2]:
        chain.store.objects.pop(chain.place.epoch(start), None)
    return Collected(len(starts[:-2]), 0)


class DoesNotLook(Chain):
    """Does not look whether names were kept."""

    def check_kept(self, origin: int) -> None:
        pass


# --- rule 9: compaction and readers


def empty_first(store: Store, **_: Any) -> Compacted:
    """Empties the files before the merged one is there."""

    def merge(files: list[File]) -> None:
        tables = tables_of(store, files, 1)
        if all(table.num_rows for table in tables):
            for file, table in zip(files, tables, strict=True):
                store.replace(file.name, emptied(table.schema))
            store.create(*_merged(files, tables))

    return _compact(store, closed, merge)


def merge_open_days(store: Store, **_: Any) -> Compacted:
    """Merges what is there of a day, though more of it may come."""

    def days(place: Place, files: list[File], starts: list[int]) -> Iterator[list[File]]:
        for day in sorted({file.day for file in files}):
            of_day = sorted((file for file in files if file.day == day), key=lambda file: file.start)
            if len(of_day) > 1:
                yield of_day

    def merge(files: list[File]) -> None:
        tables = [table for table in tables_of(store, files, 1) if table.num_rows]
        if tables:
            store.create(*_merged(files, tables))
            for file in files:
                store.replace(file.name, emptied(tables[0].schema))

    return _compact(store, days, merge)


def _compact(store: Store, runs: Any, merge: Callable[[list[File]], None]) -> Compacted:
    place = Place("r1", "_aZ09-topic", 0)
    starts = [start for start, _ in Chain(store, place).starts()]
    for files in runs(place, published(store, FRESH, place.run), starts):
        merge(files)
    return Compacted(0, 0, 0)


def _merged(files: list[File], tables: list[pa.Table]) -> tuple[str, bytes]:
    stem = files[0].place.stem(files[0].start, files[-1].next)
    rows = pa.concat_tables(tables, promote_options="default")
    return f"{folder(MERGED, files[0].place.run, files[0].day)}/{stem}.parquet", pack(rows, stem)


def glob_both(store: Store, run: str, **_: Any) -> pa.Table:
    """Reads all files of both roots."""
    tables = tables_of(store, published(store, FRESH, run) + published(store, MERGED, run), 1)
    return pa.concat_tables(tables, promote_options="default") if tables else findings(store, run, threads=1)


def merged_first(store: Store, run: str, **_: Any) -> pa.Table:
    """Lists what is merged before what is not, and does not look at what it finds."""
    merged = published(store, MERGED, run)
    loose = uncovered(published(store, FRESH, run), merged)
    tables = tables_of(store, merged + loose, 1)
    return pa.concat_tables(tables, promote_options="default") if tables else findings(store, run, threads=1)


# --- rule 10: folders


class NoSyncAfterListing(FolderStore):
    """Relies on names that it saw."""

    def _after_list(self, folder: str) -> None:
        pass


class NoSyncAfterRefusal(FolderStore):
    """Relies on the name that was in its way."""

    def _after_refusal(self, folder: str) -> None:
        pass


class NoSyncAfterCreation(FolderStore):
    """Relies on the name that it has just made."""

    def _after_create(self, folder: str) -> None:
        pass


# --- rule 11: the store


class IgnoresTheCondition(Objects):
    """A look-alike of S3 that puts whatever it is told to."""

    def create(self, name: str, data: bytes) -> bool:
        self.replace(name, data)
        return True


# --- the log


class TakesAnyOffset(Owner):
    """Does not look whether messages follow one another."""

    def feed(self, messages: Sequence[Message]) -> None:
        self._check()
        self._stage.take(messages)
        self._position = messages[-1].offset + 1 if messages else self._position


class CollectsBadly(Owner):
    """Collects as `keep_one` does."""

    def _collect(self) -> Step:
        self._since_collected = 0
        keep_one(self.chain)
        return Step.COLLECT


class Deletes(Owner):
    """Collects as `delete_names` does."""

    def _collect(self) -> Step:
        self._since_collected = 0
        delete_names(self.chain)
        return Step.COLLECT


_CALM = {"disk": False, "partitions": 1, "damage": 0.0, "bystanders": ()}
_DISK = {**_CALM, "disk": True, "power": 0.01, "trouble": 0.02, "ticks": 500}
_LATE = {"trouble": 0.25, "late": 0.05, "rebalance": 0.05}

_BUSY = {**_CALM, "bystanders": ("compact", "read", "read"), "trouble": 0.0, "messages": 30, "ticks": 500}

CASES: dict[str, Case] = {
    "1: no origin": Case(Rules(owner=StartsAnywhere), {**_CALM, "truncate": 0.03, "rebalance": 0.05}),
    "2: the end is taken for finished": Case(Rules(owner=TakesTheEndForFinished), {**_CALM, "crash": 0.02}),
    "3: an incarnation is enough": Case(
        Rules(chain=KnowsProcessesOnly, incarnations=True),
        {
            **_CALM,
            "trouble": 0.3,
            "give_up": 0.9,
            "crash": 0.0,
            "rebalance": 0.0,
            "sleep": 0.0,
            "messages": 30,
            "ticks": 900,
            "threads": True,
        },
        Rules(incarnations=True),
    ),
    "3: what stands there after an unclear answer is ours": Case(Rules(owner=TrustsItsTry), {**_CALM, **_LATE}),
    "3: an unclear answer is a failure": Case(Rules(chain=Overwrites), {**_CALM, **_LATE}),
    "4: published from memory": Case(Rules(owner=PublishesFromMemory), {**_CALM, **_LATE}),
    "5: sent before it is true": Case(Rules(owner=SendsBeforeTrue), {**_CALM, **_LATE}),
    "5: no message where there are no rows": Case(Rules(sender=SaysNothingOfNothing), _CALM),
    "6: created before the older one is published": Case(Rules(owner=CreatesAhead), {**_CALM, "crash": 0.02}),
    "7: damage is moved aside": Case(Rules(chain=MovesDamageAside), {**_CALM, "damage": 0.03, "rebalance": 0.05}),
    "8: only the last is kept": Case(
        Rules(owner=CollectsBadly, collect=keep_one),
        {**_CALM, "damage": 0.02, "damages": 1, "retention": 0, "crash": 0.01},
    ),
    "8: names are deleted": Case(
        Rules(owner=Deletes, chain=DoesNotLook), {**_CALM, **_LATE, "rebalance": 0.05}, Rules(chain=DoesNotLook)
    ),
    "9: emptied before merged": Case(
        Rules(compact=empty_first), {**_CALM, "bystanders": ("compact", "compact"), "trouble": 0.1, "messages": 24}
    ),
    "9: a day is merged before it is over": Case(
        Rules(compact=merge_open_days), {**_CALM, "bystanders": ("compact", "read"), "messages": 24}
    ),
    "9: readers read both roots": Case(
        Rules(view=glob_both), {**_CALM, "bystanders": ("compact", "read", "read"), "messages": 24}
    ),
    "9: readers list in the wrong order": Case(Rules(view=merged_first), _BUSY),
    "10: no sync after a listing": Case(Rules(folder=NoSyncAfterListing), {**_DISK, "power": 0.02}),
    "10: no sync after a refusal": Case(Rules(folder=NoSyncAfterRefusal), {**_DISK, "trouble": 0.1}),
    "10: no sync after a creation": Case(Rules(folder=NoSyncAfterCreation), _DISK),
    "11: the store ignores the condition": Case(Rules(objects=IgnoresTheCondition), {**_CALM, "rebalance": 0.05}),
    "13: an ended input is taken for finished": Case(Rules(owner=TakesTheLastForFinished), {**_CALM, "crash": 0.02}),
    "messages of any offset are taken": Case(Rules(owner=TakesAnyOffset), _CALM),
}
