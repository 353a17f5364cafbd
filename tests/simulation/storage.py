"""Stores of the simulation: an object store behind a bad network, and a disk that loses what was not synced."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from pipeline.store import StoreMissing, StoreUnclear
from tests.simulation.world import World


class Network:
    """Requests on their way: they may get lost, arrive late, or arrive twice."""

    def __init__(self, world: World, trouble: float) -> None:
        self.world = world
        self.trouble = trouble
        self.late: list[Callable[[], object]] = []

    def carry(self, label: str, apply: Callable[[], object]) -> object:
        """Carry a request to where it is applied, and its answer back.

        Raises:
            StoreUnclear: one of both was lost, or is late.
        """
        world = self.world
        world.pause(label)
        if not world.chance(self.trouble):
            answer = apply()
            world.pause(f"{label} answered")
            return answer
        fate = world.rng.randrange(5)
        world.counts[("lost request", "lost answer", "late", "late and lost", "twice")[fate]] += 1
        if fate in (1, 4):
            answer = apply()
        if fate in (2, 3, 4):
            self.late.append(apply)
        if fate == 4:
            return answer
        raise StoreUnclear(f"{label}: no answer")

    def deliver(self) -> None:
        """One of the late requests arrives, if there are any."""
        if self.late:
            self.late.pop(self.world.rng.randrange(len(self.late)))()

    def deliver_all(self) -> None:
        """All late requests arrive, in any order."""
        while self.late:
            self.deliver()


class Objects:
    """A store with conditional puts, see `Store`."""

    def __init__(self, network: Network) -> None:
        self.objects: dict[str, bytes] = {}
        self._network = network

    def create(self, name: str, data: bytes) -> bool:
        """See `Store`."""

        def put() -> bool:
            if name in self.objects:
                return False
            self.objects[name] = data
            return True

        return bool(self._network.carry(f"create {name}", put))

    def read(self, name: str) -> bytes:
        """See `Store`."""
        data = self._network.carry(f"read {name}", lambda: self.objects.get(name))
        if data is None:
            raise StoreMissing(name)
        assert isinstance(data, bytes)
        return data

    def names(self, prefix: str, *, after: str = "") -> list[tuple[str, int]]:
        """See `Store`."""
        folder = f"{prefix.rstrip('/')}/"

        def listing() -> list[tuple[str, int]]:
            return sorted((n, len(d)) for n, d in self.objects.items() if n.startswith(folder) and n > after)

        found = self._network.carry(f"list {prefix}", listing)
        assert isinstance(found, list)
        return found

    def replace(self, name: str, data: bytes) -> None:
        """See `Store`."""
        self._network.carry(f"replace {name}", lambda: self.objects.__setitem__(name, data))


class LossyDisk:
    """A file system, see `Files`: a power loss undoes any part of what was not synced."""

    def __init__(self, world: World, trouble: float) -> None:
        self.world = world
        self.trouble = trouble
        self.now: dict[str, dict[str, bytes | None]] = {"/store": {}}
        self.synced: dict[str, dict[str, bytes | None]] = {"/store": {}}

    def write(self, path: str, data: bytes) -> None:
        """See `Files`."""
        self._step("write", path)
        folder, _, name = path.rpartition("/")
        if self.world.chance(self.trouble / 2):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._of(folder)[name] = data

    def link(self, path: str, to: str) -> None:
        """See `Files`."""
        self._step("link", to)
        folder, _, name = to.rpartition("/")
        if name in self._of(folder):
            raise FileExistsError(errno.EEXIST, to)
        self._of(folder)[name] = self._file(path)
        self._maybe_fail()

    def rename(self, path: str, to: str) -> None:
        """See `Files`."""
        self._step("rename", to)
        folder, _, name = to.rpartition("/")
        self._of(folder)[name] = self._file(path)
        self.unlink(path)

    def unlink(self, path: str) -> None:
        """See `Files`."""
        self.world.pause("unlink")
        folder, _, name = path.rpartition("/")
        if name not in self._of(folder):
            raise FileNotFoundError(errno.ENOENT, path)
        del self._of(folder)[name]

    def make(self, folder: str) -> None:
        """See `Files`."""
        self._step("make", folder)
        parent, _, name = folder.rpartition("/")
        self._of(parent).setdefault(name, None)
        self.now.setdefault(folder, {})
        self.synced.setdefault(folder, {})

    def sync(self, folder: str) -> None:
        """See `Files`."""
        self._step("sync", folder)
        self.synced[folder] = dict(self._of(folder))

    def read(self, path: str) -> bytes:
        """See `Files`."""
        self._step("read", path)
        return self._file(path)

    def entries(self, folder: str) -> list[tuple[str, int]]:
        """See `Files`."""
        self._step("list", folder)
        return [(name, -1 if data is None else len(data)) for name, data in self._of(folder).items()]

    def lose_power(self) -> None:
        """Of each name that was not synced, either its last state or the synced one is there afterwards."""
        for folder in list(self.now):
            now, synced = self.now[folder], self.synced[folder]
            for name in {**now, **synced}:
                if now.get(name, b"-") is not synced.get(name, b"-") and self.world.rng.random() < 0.5:
                    if name in synced:
                        now[name] = synced[name]
                    else:
                        self._remove(folder, name)
            self.synced[folder] = dict(now)

    def _remove(self, folder: str, name: str) -> None:
        gone = f"{folder}/{name}"
        if self.now.get(folder, {}).pop(name, b"") is None:
            for below in [f for f in self.now if f == gone or f.startswith(f"{gone}/")]:
                self.now[below] = {}
                self.synced[below] = {}

    def _step(self, what: str, path: str) -> None:
        self.world.pause(f"{what} {path}")
        self._maybe_fail()

    def _maybe_fail(self) -> None:
        if self.world.chance(self.trouble):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _of(self, folder: str) -> dict[str, bytes | None]:
        parent, _, name = folder.rpartition("/")
        if folder not in self.now or (folder != "/store" and name not in self.now.get(parent, {})):
            raise FileNotFoundError(errno.ENOENT, folder)
        return self.now[folder]

    def _file(self, path: str) -> bytes:
        folder, _, name = path.rpartition("/")
        data = self._of(folder).get(name)
        if data is None:
            raise FileNotFoundError(errno.ENOENT, path)
        return data
