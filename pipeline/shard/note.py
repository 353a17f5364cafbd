"""Note: what a shard remembers beside its spool, so that a start knows what the one before it did."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path

from pipeline.errors import OutputError

_FILE = "shard.json"


@dataclass(slots=True, kw_only=True)
class Note:
    """What is remembered.

    Attributes:
        shard: number of the capture point.
        partitions: among which its records are parted.
        next_boot: the boot that the next run begins with.
        sources: what the last run read, and how, as a digest.
        boot: with which it began.
        ended: whether all of it, with the END marks, is in the spool.
        finished: whether all of it is in Kafka.
    """

    shard: int
    partitions: int
    next_boot: int = 0
    sources: str = ""
    boot: int = 0
    ended: bool = False
    finished: bool = True

    @staticmethod
    def load(folder: Path) -> Note | None:
        """The note in a spool's folder, None where there is none.

        Raises:
            OutputError: it cannot be read, or is none.
        """
        path = folder / _FILE
        try:
            table = json.loads(path.read_bytes())
            return Note(**{f.name: table[f.name] for f in fields(Note)})
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(f"{path}: is no note of a shard: {error}") from error

    def store(self, folder: Path) -> None:
        """Write it in the place of the one there, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        path, beside = folder / _FILE, folder / f"{_FILE}.new"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with beside.open("w") as file:
                json.dump(asdict(self), file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def identity(parts: Iterable[object]) -> str:
    """A digest of what a run reads and of the settings that decide what comes of it."""
    return sha256("\n".join(str(part) for part in parts).encode()).hexdigest()
