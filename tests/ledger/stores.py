"""Stores for tests: one that is a dictionary, and ones that do something wrong."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.ledger import Chain, Epoch, Place
from pipeline.owner import Owner
from pipeline.store import StoreMissing, StoreUnclear
from tests.simulation.log import Note, Tally

PLACE = Place("r", "topic", 0)


class Names:
    """A store in a dictionary; notes what is asked of it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []

    def create(self, name: str, data: bytes) -> bool:
        """See `Store`."""
        self.asked.append(("create", name))
        if name in self.objects:
            return False
        self.objects[name] = data
        return True

    def read(self, name: str) -> bytes:
        """See `Store`."""
        self.asked.append(("read", name))
        if name not in self.objects:
            raise StoreMissing(name)
        return self.objects[name]

    def names(self, prefix: str, *, after: str = "") -> list[tuple[str, int]]:
        """See `Store`."""
        self.asked.append(("names", prefix))
        folder = prefix.rstrip("/") + "/"
        return sorted((n, len(d)) for n, d in self.objects.items() if n.startswith(folder) and n > after)

    def replace(self, name: str, data: bytes) -> None:
        """See `Store`."""
        self.asked.append(("replace", name))
        self.objects[name] = data


class FailsOnce(Names):
    """Gives no clear answer to the first call of `what` about a name that contains `part`; `done` says whether it was
    done all the same."""

    def __init__(self, what: str, part: str, *, done: bool) -> None:
        super().__init__()
        self._left: str | None = what
        self._part, self._done = part, done

    def create(self, name: str, data: bytes) -> bool:
        """See `Store`."""
        self._fail("create", name, lambda: super(FailsOnce, self).create(name, data))
        return super().create(name, data)

    def read(self, name: str) -> bytes:
        """See `Store`."""
        self._fail("read", name, lambda: None)
        return super().read(name)

    def replace(self, name: str, data: bytes) -> None:
        """See `Store`."""
        self._fail("replace", name, lambda: super(FailsOnce, self).replace(name, data))
        super().replace(name, data)

    def _fail(self, what: str, name: str, do: Callable[[], object]) -> None:
        if self._left == what and self._part in name:
            self._left = None
            if self._done:
                do()
            raise StoreUnclear(f"{what} {name}: no answer")


class Flickers(Names):
    """Gives damaged bytes `times` times when an epoch is read, then whole ones."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def read(self, name: str) -> bytes:
        """See `Store`."""
        data = super().read(name)
        if name.startswith("epochs") and self.times:
            self.times -= 1
            return data[:-1]
        return data


def owner(store: Names, place: Place = PLACE, *, sent: list[Epoch] | None = None, collect_every: int = 0) -> Owner:
    """An owner with a small stage; `sent` notes what it sends."""
    send = (lambda epoch: None) if sent is None else sent.append
    return Owner(Chain(store, place), Tally(), origin=lambda: 0, send=send, collect_every=collect_every)


def drain(it: Owner) -> list[str]:
    """Every step until there is nothing to do; their names."""
    steps = []
    while step := it.step():
        steps.append(step.name)
    return steps


def work(store: Names, notes: tuple[Note, ...], cuts: tuple[int, ...], place: Place = PLACE) -> Owner:
    """An owner that has made epochs which end at `cuts`."""
    it = owner(store, place)
    it.open()
    for cut in cuts:
        if cut > it.position:
            it.feed(notes[it.position : cut])
            it.cut()
    drain(it)
    return it
