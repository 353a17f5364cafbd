"""PaneStage: what a partition's log of panes comes to: state and findings across devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.detect import Loop
from pipeline.owner import Frozen, Message
from pipeline.second import Admission, SecondStage
from pipeline.second.message import bucket_parts, decode
from pipeline.stage import Refused
from pipeline.transport.message import Newer, Poison
from schemas.alert import ALERT

_OTHERS = 2


class PaneStage:
    """A deterministic function of one partition's log of panes (`pipeline.owner.Stage`).

    Args:
        sources: partitions of the first stage.
        partition, partitions: which of the second stage this is, of how many.
        build, max_waiting: see :class:`pipeline.second.SecondStage`.
        chain: the run and topic of records whose messages are taken; others share the topic, and are passed over.

    Attributes:
        refused: messages that cannot be used.
        live: rows of findings since they were last taken away.
    """

    def __init__(
        self,
        sources: int,
        partition: int,
        partitions: int,
        build: Callable[[int | None], Loop],
        *,
        max_waiting: int = 1 << 20,
        chain: int = 0,
    ) -> None:
        self._sources = sources
        self._partition = partition
        self._partitions = partitions
        self._build = build
        self._most = max_waiting
        self._chain = chain
        self._buckets = np.array(bucket_parts(partition, partitions), np.int64)
        self.refused: list[Refused] = []
        self.live: list[pa.Table] = []
        self.restore(None)

    def restore(self, state: Mapping[str, NDArray[Any]] | None) -> None:
        """Forget everything, and go on from `state`."""
        self.refused.clear()
        self.live.clear()
        self._found: list[pa.Table] = []
        self._refusals = np.zeros(3, np.int64)
        self._second = SecondStage(self._sources, self._build, max_waiting=self._most)
        if state is not None:
            self._refusals = state["refusals"].copy()
            self._second.restore(state)

    @property
    def ended(self) -> bool:
        """Whether the input of every source is over."""
        return self._second.ended

    def take(self, messages: Sequence[Message]) -> None:
        """Apply messages in the order of the log."""
        for message in messages:
            try:
                found = decode(
                    message.header,
                    message.value,
                    sources=self._sources,
                    partition=self._partition,
                    partitions=self._partitions,
                )
            except (Poison, Newer) as problem:
                newer = isinstance(problem, Newer)
                self._refusals[int(newer)] += 1
                self.refused.append(Refused(message, str(problem), newer))
                continue
            if found.chain != self._chain:
                self._refusals[_OTHERS] += 1
                continue
            if self._second.admit(found) is not Admission.DUPLICATE:
                rows = self._second.take()
                if rows.num_rows:
                    self._found.append(rows)
                    self.live.append(rows)

    def freeze(self) -> Frozen:
        """All state now, and what was found since the last call."""
        found, self._found = self._found, []
        state = {**self._second.snapshot(self._buckets), "refusals": self._refusals.copy()}
        return Frozen(state, pa.concat_tables(found) if found else ALERT.empty_table(), None, self.ended)

    def counters(self) -> dict[str, int]:
        """Rows and messages taken, what was missing, late or refused."""
        dead, parked, others = (int(n) for n in self._refusals)
        return {**self._second.counters(), "dead_letters": dead, "parked": parked, "of_other_runs": others}
