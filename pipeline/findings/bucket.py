"""Bucket: the open windows of one device bucket, their bound, and when they are forgotten.

Every decision here follows from the bucket's own evidence in its order, never from how it was cut into batches: the
bucket's time is the greatest record time of its evidence, windows leave only when that time enters a new minute, and
between two such moments the table only grows, so that who finds it full does not depend on who asks together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.findings.evidence import Evidence, Pieces
from pipeline.findings.window import WINDOW_NS, Identity, Window
from schemas.codes import Severity

TICK_NS = 60 * 1_000_000_000
GRACE_NS = WINDOW_NS
"""How long after its end a window still takes late evidence, and how far back time may run and be the same capture."""
LIMIT = 1024
"""Windows that a bucket holds, where nothing else is said."""


@dataclass(slots=True)
class Bucket:
    """Open and lately closed windows of one device bucket.

    Attributes:
        time: greatest record time of its evidence so far.
        dropped: pieces of evidence that found no room.
        limit: windows that it holds.
    """

    time: int | None = None
    dropped: int = 0
    limit: int = LIMIT
    windows: dict[Identity, Window] = field(default_factory=dict)
    keyed: dict[tuple[int, int], list[Window]] = field(default_factory=dict)
    """Windows by (device, key): where a parent is looked up; replaced ones stay until :meth:`settle`."""

    @property
    def minor_limit(self) -> int:
        """Windows that findings below high severity may fill, so that noise cannot crowd out what is serious."""
        return self.limit - self.limit // 4

    def minutes(self, ts: NDArray[np.int64]) -> list[tuple[int, int, int | None]]:
        """Cut times of evidence where the bucket's time enters another minute.

        Returns:
            (start, stop, time): time is the bucket's time at `start` where a minute begins, else None.
        """
        low, high = int(ts.min()), int(ts.max())
        if self.time is not None:
            reached = max(self.time, high)
            if low >= reached - GRACE_NS and reached // TICK_NS == self.time // TICK_NS:
                self.time = reached
                return [(0, len(ts), None)]
        times = _bucket_times(ts, self.time)
        ticks = times // TICK_NS
        before = ticks[0] - 1 if self.time is None else self.time // TICK_NS
        begins = np.flatnonzero(np.diff(ticks, prepend=before))
        self.time = int(times[-1])
        cuts = sorted({0, len(ts), *(int(b) for b in begins)})
        moments = {int(b): int(times[b]) for b in begins}
        return [(a, b, moments.get(a)) for a, b in pairwise(cuts)]

    def forget(self, time: int) -> list[Window]:
        """Let go of windows whose grace is over, and when many are held, of all that ended; by (end, id)."""
        gone = [w for w in self.windows.values() if w.end + GRACE_NS <= time or w.start >= time + GRACE_NS]
        if len(self.windows) - len(gone) >= self.minor_limit:
            gone = [w for w in self.windows.values() if w.end <= time or w.start >= time + GRACE_NS]
        for window in gone:
            del self.windows[window.identity]
            self._unkey(window)
        return sorted(gone, key=lambda w: (w.end, w.uid))

    def admit(self, groups: Sequence[tuple[Identity, Pieces]], evidence: Evidence) -> list[int]:
        """From which of its pieces on each new subject finds room; its number of pieces where it finds none."""
        if len(self.windows) + len(groups) <= self.minor_limit:
            return [0] * len(groups)
        tries: list[tuple[int, int, int, int]] = []
        for g, (identity, pieces) in enumerate(groups):
            if identity in self.windows:
                continue
            serious = evidence.severity[pieces] >= Severity.HIGH
            if not serious[0]:
                tries.append((int(pieces[0]), g, 0, self.minor_limit))
            if serious.any():
                at = int(np.argmax(serious))
                tries.append((int(pieces[at]), g, at, self.limit))
        return self._admitted(groups, sorted(tries))

    def _admitted(
        self, groups: Sequence[tuple[Identity, Pieces]], tries: Sequence[tuple[int, int, int, int]]
    ) -> list[int]:
        held = len(self.windows)
        start = [0 if identity in self.windows else len(pieces) for identity, pieces in groups]
        for _, g, at, limit in tries:
            if start[g] == len(groups[g][1]) and held < limit:
                start[g], held = at, held + 1
        self.dropped += sum(start)
        return start

    def hold(self, window: Window) -> None:
        """Make `window` the one of its subject."""
        self.windows[window.identity] = window
        device, _, key = window.identity
        self.keyed.setdefault((device, key), []).append(window)

    def parent_of(self, window: Window, row_of: NDArray[np.int64]) -> int:
        """Id of the finding under which `window` is rolled up, 0 for none.

        It must be open, by its own window, at the evidence that opened `window`; evidence of one record counts as
        simultaneous.  Where several findings share the key, the latest start, then the smallest type decides.

        Args:
            row_of: record of each piece of evidence.
        """
        row = int(row_of[window.opened])
        latest: dict[int, Window] = {}
        for found in self.keyed.get((window.identity[0], window.parent_key), ()):
            if found.identity != window.identity and (found.opened < 0 or int(row_of[found.opened]) <= row):
                latest[found.identity[1]] = found
        open_now = [f for f in latest.values() if f.holds(window.start) and f.parent_uid != window.uid]
        return min(open_now, key=lambda f: (-f.start, f.identity[1])).uid if open_now else 0

    def settle(self, opened: Sequence[Window]) -> None:
        """After a stretch of evidence: forget which piece opened what, and windows that others replaced."""
        for window in opened:
            window.opened = -1
        for device, key in {(w.identity[0], w.identity[2]) for w in opened}:
            kept = [w for w in self.keyed[device, key] if self.windows.get(w.identity) is w]
            self.keyed[device, key] = kept

    def _unkey(self, window: Window) -> None:
        place = (window.identity[0], window.identity[2])
        kept = [w for w in self.keyed[place] if w is not window]
        if kept:
            self.keyed[place] = kept
        else:
            del self.keyed[place]


def _bucket_times(ts: NDArray[np.int64], time: int | None) -> NDArray[np.int64]:
    """The greatest time so far at each piece; it starts anew where time runs back by more than the grace."""
    times = np.maximum.accumulate(ts if time is None else np.maximum(ts, time))
    if (ts >= times - GRACE_NS).all():
        return times
    times, reached = np.empty_like(ts), int(ts[0]) if time is None else time
    for i, seen in enumerate(ts.tolist()):
        reached = seen if seen < reached - GRACE_NS else max(reached, seen)
        times[i] = reached
    return times
