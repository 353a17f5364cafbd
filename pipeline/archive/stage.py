"""ArchiveStage: what a partition's log of records comes to when it is kept and not judged."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.columns import records
from pipeline.archive.part import Files, Part
from pipeline.owner import Frozen, Message
from pipeline.stage import Refused, gap, still_open
from pipeline.transport.codec import decode
from pipeline.transport.message import Newer, Poison, Stretch
from pipeline.transport.tracker import Admission, Tracker
from schemas.alert import ALERT

_NOTHING = records([])


class ArchiveStage:
    """A deterministic function of one partition's log (`pipeline.owner.Stage`); its state is what it has counted.

    Attributes:
        refused: messages that cannot be used.
        live: nothing, ever: it judges nothing.
        parts: files of the epochs frozen and not yet published, oldest first, by the offset at which they begin.
    """

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self.refused: list[Refused] = []
        self.live: list[pa.Table] = []
        self.restore(None)

    def restore(self, state: Mapping[str, NDArray[Any]] | None) -> None:
        """Forget everything, and go on from `state`."""
        self.refused.clear()
        self.parts: deque[tuple[int, Files]] = deque()
        self._tracker = Tracker()
        self._open: set[int] = set()
        self._seen = False
        self._first = -1
        self._part = Part()
        if state is not None:
            self._tracker.restore({k.removeprefix("tracker/"): v for k, v in state.items() if k.startswith("tracker/")})
            self._open = {int(s) for s in state["open"]}
            self._seen = bool(state["seen"][0])

    @property
    def ended(self) -> bool:
        """Whether every shard that ever wrote here has said that its input is over."""
        return self._seen and not self._open

    def take(self, messages: Sequence[Message]) -> None:
        """Apply messages in the order of the log."""
        for message in messages:
            if self._first < 0:
                self._first = message.offset
            try:
                self._apply(decode(message.header, message.value, partition=self._partition))
            except Poison as poison:
                self.refused.append(Refused(message, poison.reason, False))
            except Newer as newer:
                self.refused.append(Refused(message, str(newer), True))

    def freeze(self) -> Frozen:
        """State now; the files of what came since the last call go to `parts`."""
        part, self._part = self._part, Part()
        first, self._first = self._first, -1
        self.parts.append((first, part.close()))
        state = {f"tracker/{name}": array for name, array in self._tracker.snapshot().items()}
        state["open"] = np.array(sorted(self._open), np.int64)
        state["seen"] = np.array([self._seen], np.uint8)
        return Frozen(state, ALERT.empty_table(), None, self.ended)

    def counters(self) -> dict[str, int]:
        """Messages and records taken, what was missing or repeated."""
        return dict(self._tracker.counters())

    def files(self, start: int) -> Files | None:
        """The files of the epoch that begins at `start`, where this stage made it; they are then given up."""
        while self.parts and self.parts[0][0] <= start:
            first, files = self.parts.popleft()
            if first == start:
                return files
        return None

    def _apply(self, stretch: Stretch) -> None:
        admission, missing = self._tracker.admit(stretch.header)
        if admission is Admission.DUPLICATE:
            return
        batch = _NOTHING if stretch.batch is None else stretch.batch
        marks = stretch.marks
        if admission is Admission.GAP:
            marks = ((0, gap(stretch.header, missing)), *marks)
        self._seen = True
        self._open, _ = still_open(self._open, batch, marks)
        self._part.add(batch, marks)
