"""The operations of a file system that a folder store is made of, each one step that may be the last before a crash."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Protocol


class Files(Protocol):
    """A file system.  Folders end without a slash.  What is not synced may be gone after a power loss.

    Raises (every method):
        OSError: as the system says.
    """

    def write(self, path: str, data: bytes) -> None:
        """A new file with `data`, whose content is on disk when this returns; on an error there is no file."""
        ...

    def link(self, path: str, to: str) -> None:
        """A second name for a file; FileExistsError where that name is taken."""
        ...

    def rename(self, path: str, to: str) -> None:
        """Another name for a file, in place of what has that name."""
        ...

    def unlink(self, path: str) -> None:
        """Remove a name."""
        ...

    def make(self, folder: str) -> None:
        """A folder, unless it is there."""
        ...

    def sync(self, folder: str) -> None:
        """The names in a folder are on disk when this returns."""
        ...

    def read(self, path: str) -> bytes:
        """The content of a file."""
        ...

    def entries(self, folder: str) -> list[tuple[str, int]]:
        """(name, size in bytes) of what is in a folder, in any order; -1 for folders."""
        ...


class Disk:
    """The file system of the machine; see :class:`Files` for what is promised."""

    def write(self, path: str, data: bytes) -> None:
        """See :class:`Files`."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(handle, rest) :]
                os.fsync(handle)
            finally:
                os.close(handle)
        except BaseException:
            with suppress(OSError):
                os.unlink(path)
            raise

    def link(self, path: str, to: str) -> None:
        """See :class:`Files`."""
        os.link(path, to)

    def rename(self, path: str, to: str) -> None:
        """See :class:`Files`."""
        os.replace(path, to)

    def unlink(self, path: str) -> None:
        """See :class:`Files`."""
        os.unlink(path)

    def make(self, folder: str) -> None:
        """See :class:`Files`."""
        with suppress(FileExistsError):
            os.mkdir(folder)

    def sync(self, folder: str) -> None:
        """See :class:`Files`."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def read(self, path: str) -> bytes:
        """See :class:`Files`."""
        with open(path, "rb") as file:
            return file.read()

    def entries(self, folder: str) -> list[tuple[str, int]]:
        """See :class:`Files`."""
        found = []
        with os.scandir(folder) as listed:
            for entry in listed:
                with suppress(FileNotFoundError):
                    found.append((entry.name, -1 if entry.is_dir() else entry.stat().st_size))
        return found

    def age_s(self, path: str) -> float:
        """Seconds since a file was written."""
        import time

        return time.time() - os.stat(path).st_mtime
