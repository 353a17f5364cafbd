"""FolderStore: objects as files, created exclusively by hard link, and on disk before anyone may rely on them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.store.base import StoreError, StoreFull, StoreMissing, StoreUnclear, checked
from pipeline.store.disk import Disk, Files

_PENDING = ".pending"
"""Files in the making lie here: no name begins with a dot, so that no listing shows them."""
_STALE_S = 3600.0
"""A file in the making that is older was left by a crash.  A writer that slept for longer fails, and tries anew."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


def open_folder(root: Path) -> FolderStore:
    """The store in folder `root`, which is made if it is missing.

    Raises:
        StoreError: it cannot be made or written to, or the file system has no hard links.
    """
    disk = Disk()
    try:
        root.mkdir(parents=True, exist_ok=True)
        disk.sync(str(root.absolute().parent))
    except OSError as error:
        raise StoreError(f"{root}: cannot make the store's folder: {error.strerror or error}") from error
    store = FolderStore(str(root.absolute()), disk)
    _sweep(disk, f"{store.root}/{_PENDING}")
    _try_link(store, root)
    return store


def _sweep(disk: Disk, pending: str) -> None:
    with suppress(OSError):
        for name, _ in disk.entries(pending):
            with suppress(OSError):
                if disk.age_s(f"{pending}/{name}") > _STALE_S:
                    disk.unlink(f"{pending}/{name}")


def _try_link(store: FolderStore, root: Path) -> None:
    one, other = store.pending(), store.pending()
    disk = Disk()
    try:
        disk.make(os.path.dirname(one))
        disk.write(one, b"")
        try:
            disk.link(one, other)
            disk.unlink(other)
        finally:
            disk.unlink(one)
    except OSError as error:
        raise StoreError(
            f"{root}: cannot be a store: a file was written and linked to try it, and this failed: "
            f"{error.strerror or error}; the file system must know hard links"
        ) from error


class FolderStore:
    """A store in a folder of a file system with hard links; see :class:`pipeline.store.Store`.

    An object is written and synced under a name that no listing shows, then linked to its own, which fails when that
    is taken.  The folder is synced after that, and also after a listing or a refusal: whoever has seen a name may rely
    on it, though the process that linked it has not come to its own sync yet.

    Args:
        root: an absolute path.
        files: the file system.
    """

    def __init__(self, root: str, files: Files) -> None:
        self.root = root
        self._files = files
        self._lasting: set[str] = {root}

    def __str__(self) -> str:
        return self.root

    def create(self, name: str, data: bytes) -> bool:
        """See :class:`pipeline.store.Store`."""
        path = f"{self.root}/{checked(name)}"
        with self._told("create", name):
            folder = self._made(path.rpartition("/")[0])
            with self._written(data) as pending:
                try:
                    self._files.link(pending, path)
                    created = True
                except FileExistsError:
                    created = False
            (self._after_create if created else self._after_refusal)(folder)
            return created

    def read(self, name: str) -> bytes:
        """See :class:`pipeline.store.Store`."""
        with self._told("read", name):
            try:
                return self._files.read(f"{self.root}/{checked(name)}")
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                raise StoreMissing(f"{self.root}: nothing is there under {name}") from error

    def names(self, prefix: str, *, after: str = "") -> list[tuple[str, int]]:
        """See :class:`pipeline.store.Store`."""
        with self._told("list", prefix):
            return sorted(entry for entry in self._below(checked(prefix.rstrip("/"))) if entry[0] > after)

    def replace(self, name: str, data: bytes) -> None:
        """See :class:`pipeline.store.Store`."""
        path = f"{self.root}/{checked(name)}"
        with self._told("replace", name):
            folder = self._made(path.rpartition("/")[0])
            with self._written(data) as pending:
                self._files.rename(pending, path)
            self._files.sync(folder)

    def pending(self) -> str:
        """A path of its own for a file in the making."""
        return f"{self.root}/{_PENDING}/{os.getpid()}-{os.urandom(8).hex()}"

    def _after_create(self, folder: str) -> None:
        self._files.sync(folder)

    def _after_refusal(self, folder: str) -> None:
        self._files.sync(folder)

    def _after_list(self, folder: str) -> None:
        self._files.sync(folder)
        self._settle(folder)

    @contextmanager
    def _written(self, data: bytes) -> Iterator[str]:
        path = self.pending()
        self._made(f"{self.root}/{_PENDING}")
        self._files.write(path, data)
        try:
            yield path
        finally:
            with suppress(FileNotFoundError):
                self._files.unlink(path)

    def _below(self, prefix: str) -> list[tuple[str, int]]:
        folder = f"{self.root}/{prefix}"
        try:
            listed = self._files.entries(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = []
        for name, size in listed:
            if size >= 0:
                found.append((f"{prefix}/{name}", size))
            else:
                found += self._below(f"{prefix}/{name}")
        self._after_list(folder)
        return found

    def _made(self, folder: str) -> str:
        if folder not in self._lasting:
            parent = self._made(folder.rpartition("/")[0])
            self._files.make(folder)
            self._files.sync(parent)
            self._lasting.add(folder)
        return folder

    def _settle(self, folder: str) -> None:
        if folder not in self._lasting:
            parent = folder.rpartition("/")[0]
            self._settle(parent)
            self._files.sync(parent)
            self._lasting.add(folder)

    @contextmanager
    def _told(self, what: str, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = StoreFull if error.errno in _FULL else StoreUnclear
            raise kind(f"{self.root}: cannot {what} {name}: {error.strerror or error}") from error
