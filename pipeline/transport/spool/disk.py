"""Disk: the files of the spool, their growth and their syncing; it knows nothing of policies or of Kafka."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
import time
from pathlib import Path

import google_crc32c

from pipeline.errors import OutputError
from pipeline.transport.spool.frames import FrameKind, frame
from pipeline.transport.spool.segment import Segment, replay
from pipeline.transport.spool.standing import Losses, Position, Standing, add_losses

Place = tuple[int, int]
"""(segment, byte in it)."""

_PROGRESS = struct.Struct("<IQQQQQ")
_SLOT = 64
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Disk:
    """The segments of a spool.  Every method is called with `changed` held; the syncing thread takes it itself.

    Attributes:
        changed: notified whenever something is synced, or cannot be.
        segments: those that there are, the last being written to.
        standing: where the partitions stand with all that was written.
        durable: up to where all is synced.
        acknowledged: up to where Kafka had all when that was last noted.
        lost: what was found damaged when it was opened.
        damaged: whether something that was synced, and may have been sent, is gone.
    """

    def __init__(self, folder: Path, partitions: int, *, segment_bytes: int, sync_s: float, sync_bytes: int) -> None:
        """Open the folder, or begin one; what is torn at the end is cut off.

        Raises:
            OSError: it cannot be read or written.
            OutputError: another process has it.
        """
        self.folder = folder
        self.changed = threading.Condition()
        self.segments: list[Segment] = []
        self.standing = Standing([Position() for _ in range(partitions)])
        self.lost: Losses = {}
        self._segment_bytes, self._sync_s, self._sync_bytes = segment_bytes, sync_s, sync_bytes
        self._unsynced, self._unsynced_since = 0, 0.0
        self._closing = False
        self._failure: OSError | None = None
        self._file = -1
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder)
        self._progress = os.open(folder / "progress", os.O_RDWR | os.O_CREAT, 0o640)
        self._generation, self.acknowledged, synced = _noted(self._progress)
        self._replay()
        if self._file < 0:
            self._begin(self.acknowledged[0] + 1)
        self.durable: Place = self.end
        self.damaged = max(synced, self.acknowledged) > self.durable
        self.acknowledged = max(min(self.acknowledged, self.durable), (self.segments[0].number, 0))
        self._syncer = threading.Thread(target=self._sync_on, name="spool-sync", daemon=True)
        self._syncer.start()

    @property
    def end(self) -> Place:
        """Where the next frame goes."""
        return self.segments[-1].number, self.segments[-1].size

    def used(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self.segments)

    def write(self, pieces: tuple[bytes, ...]) -> int:
        """Append a frame; its size, 0 where the disk is full.  The caller adds it to what the segment holds.

        Raises:
            OutputError: it cannot be written for another reason.
        """
        self.check()
        size = sum(len(piece) for piece in pieces)
        try:
            if self.segments[-1].size + size > self._segment_bytes and self.segments[-1].holds:
                self.roll()
            _write(self._file, pieces, size)
        except OSError as error:
            os.ftruncate(self._file, self.segments[-1].size)
            if error.errno in _NO_ROOM:
                return 0
            raise OutputError(f"{self.folder}: cannot write to the spool: {error.strerror}") from error
        self.segments[-1].size += size
        if not self._unsynced:
            self._unsynced_since = time.monotonic()
        self._unsynced += size
        if self._unsynced >= self._sync_bytes or self._unsynced == size:
            self.changed.notify_all()
        return size

    def roll(self) -> None:
        """Begin a new segment, once all of the old one is synced."""
        self.sync()
        self._begin(self.segments[-1].number + 1)

    def remove(self, segment: Segment) -> None:
        """Delete a segment that is not written to."""
        (self.folder / segment.name).unlink(missing_ok=True)
        self.segments.remove(segment)

    def sync(self) -> None:
        """Sync all that was written."""
        os.fsync(self._file)
        self._synced(self.end, self._unsynced)

    def note(self, acknowledged: Place) -> None:
        """Note how far Kafka is, and what is synced; to lose the note means to send more again."""
        self.acknowledged = acknowledged
        self._generation += 1
        data = _PROGRESS.pack(0, self._generation, *self.acknowledged, *self.durable)[4:]
        os.pwrite(self._progress, struct.pack("<I", google_crc32c.value(data)) + data, _SLOT * (self._generation % 2))

    def check(self) -> None:
        """Raise what the syncing thread met.

        Raises:
            OutputError: the disk refused to sync.
        """
        if self._failure is not None:
            raise OutputError(f"{self.folder}: cannot sync the spool: {self._failure.strerror}") from self._failure

    def close(self) -> None:
        """Sync and let go of the folder; called without `changed`."""
        with self.changed:
            if self._failure is None:
                self.sync()
            self._closing = True
            self.changed.notify_all()
        self._syncer.join()
        for descriptor in (self._file, self._progress, self._lock):
            os.close(descriptor)

    def _begin(self, number: int) -> None:
        """A new segment, which is on disk with its first frame before anything older may go."""
        segment = Segment(number)
        path = self.folder / segment.name
        pieces = frame(FrameKind.STANDING, (self.standing.pack(),))
        segment.size = sum(len(piece) for piece in pieces)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o640)
        try:
            _write(file, pieces, segment.size)
            os.fsync(file)
            _sync_folder(self.folder)
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file = file
        self.segments.append(segment)
        self.durable = self.end

    # --- syncing

    def _synced(self, place: Place, size: int) -> None:
        self.durable = max(self.durable, place)
        self._unsynced -= size
        self._unsynced_since = time.monotonic()
        self.note(self.acknowledged)
        self.changed.notify_all()

    def _sync_on(self) -> None:
        with self.changed:
            while not self._closing:
                due = self._unsynced_since + self._sync_s - time.monotonic() if self._unsynced else None
                if due is None or (due > 0 and self._unsynced < self._sync_bytes):
                    self.changed.wait(due)
                else:
                    self._sync_beside()

    def _sync_beside(self) -> None:
        """Sync without holding up who writes or reads."""
        place, size = self.end, self._unsynced
        file = os.dup(self._file)
        failure: OSError | None = None
        self.changed.release()
        try:
            os.fsync(file)
        except OSError as error:
            failure = error
        finally:
            os.close(file)
            self.changed.acquire()
        if failure is not None:
            self._failure, self._closing = failure, True
            self.changed.notify_all()
        elif place > self.durable:
            self._synced(place, min(size, self._unsynced))

    # --- opening

    def _replay(self) -> None:
        standing: Standing | None = None
        dropped: set[int] = set()
        for path in sorted(self.folder.glob("*.segment")):
            segment = Segment(int(path.stem))
            follows = bool(self.segments) and self.segments[-1].number == segment.number - 1
            after, damaged, gone = replay(path, segment, standing if follows else None)
            if after is None:  # the crash came while it was begun
                path.unlink()
                continue
            add_losses(self.lost, damaged)
            dropped.update(gone)
            standing = after
            self.segments.append(segment)
        for segment in self.segments[:-1]:
            if segment.number in dropped or segment.number < self.acknowledged[0]:
                self.remove(segment)
        if standing is None:
            return
        self.standing = standing
        self._file = os.open(self.folder / self.segments[-1].name, os.O_RDWR | os.O_APPEND)
        os.ftruncate(self._file, self.segments[-1].size)
        os.fsync(self._file)


def _locked(folder: Path) -> int:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise OutputError(f"{folder}: another process uses this spool") from None
    return lock


def _noted(progress: int) -> tuple[int, Place, Place]:
    """(generation, acknowledged, synced) of the newest whole note."""
    best = (0, 0, 0, 0, 0)
    for at in (0, _SLOT):
        data = os.pread(progress, _PROGRESS.size, at)
        if len(data) == _PROGRESS.size and google_crc32c.value(data[4:]) == _PROGRESS.unpack(data)[0]:
            best = max(best, _PROGRESS.unpack(data)[1:])
    return best[0], (best[1], best[2]), (best[3], best[4])


def _write(file: int, pieces: tuple[bytes, ...], size: int) -> None:
    if os.writev(file, pieces) != size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
