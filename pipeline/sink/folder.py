"""OutputFolder: the folder of results, filled out of sight and put in place only when it is complete."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from pipeline.errors import OutputError
from pipeline.sink.dataset import sync

DATASETS = ("records", "points", "alerts")
"""Folders of parts."""
TABLES = ("assets", "conversations", "health", "captures", "names")
"""Single files, `<name>.parquet`; `health` is in every output, and known by it."""

_STAGE = ".partial"
_FORMER = ".former"


def strangers(folder: Path) -> list[str]:
    """What lies in `folder` that fieldtap did not write, by name, in order."""
    ours = {f"{t}.parquet" for t in TABLES} | {_STAGE, _FORMER}
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink() and entry.name in DATASETS:
            found += [f"{entry.name}/{e.name}" for e in sorted(entry.iterdir()) if not _is_part(e)]
        elif entry.name not in ours or (entry.is_dir() and entry.name not in (_STAGE, _FORMER)):
            found.append(entry.name)
    return found


def _is_part(entry: Path) -> bool:
    return entry.is_file() and entry.name.startswith("part-") and entry.suffix == ".parquet"


class OutputFolder:
    """Results in the making.

    Everything is written below :attr:`stage`.  :meth:`commit` puts it in place of what an earlier run left there;
    :meth:`discard` leaves the folder as it was found.  A lock keeps two runs from writing to one folder.

    Raises:
        OutputError: the folder cannot be made or written to, holds files that fieldtap did not write, or another
            run writes there now.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made = self._make(path)
        self.stage = path / _STAGE
        try:
            self._check()
            self._lock = self._take()
        except OutputError:
            self._unmake()
            raise

    @property
    def replaces(self) -> bool:
        """Whether an earlier run's results lie here."""
        return (self.path / "health.parquet").exists()

    def commit(self) -> None:
        """Put the results in place; what an earlier run left goes."""
        former = self.path / _FORMER
        try:
            shutil.rmtree(former, ignore_errors=True)
            former.mkdir()
            for name in (*DATASETS, *(f"{t}.parquet" for t in TABLES)):
                if (self.path / name).exists():
                    os.replace(self.path / name, former / name)
                if (self.stage / name).exists():
                    os.replace(self.stage / name, self.path / name)
            sync(self.path)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot put the results in place: {error.strerror or error}") from error
        shutil.rmtree(former, ignore_errors=True)
        self._release()

    def discard(self) -> None:
        """Remove what was written, and the folder if it did not exist before."""
        self._release()
        self._unmake()

    def _release(self) -> None:
        shutil.rmtree(self.stage, ignore_errors=True)
        os.close(self._lock)

    def _make(self, path: Path) -> list[Path]:
        missing = [p for p in (path, *path.parents) if not p.exists()]
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise OutputError(f"{path}: cannot write results here: it is a file, not a folder") from error
        except OSError as error:
            raise OutputError(f"{path}: cannot write results here: {error.strerror}") from error
        return missing

    def _unmake(self) -> None:
        for made in self._made:
            try:
                made.rmdir()
            except OSError:
                return

    def _check(self) -> None:
        try:
            found = strangers(self.path)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot read the folder: {error.strerror}") from error
        if found:
            names = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
            raise OutputError(f"{self.path}: holds {names}, which fieldtap did not write; choose another --out")

    def _take(self) -> int:
        try:
            self.stage.mkdir(exist_ok=True)
            handle = os.open(self.stage, os.O_RDONLY)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot write results here: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for entry in self.stage.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        except BlockingIOError as error:
            os.close(handle)
            raise OutputError(f"{self.path}: another fieldtap is writing here") from error
        except OSError as error:
            os.close(handle)
            raise OutputError(f"{self.path}: cannot clear what a killed run left: {error.strerror}") from error
        return handle
