"""Where TIME marks stand in a stream of records: at the first record of each further second of record time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.base import Mark
from schemas.codes import MarkKind

SECOND_NS = 1_000_000_000

ORDERS_SHARD = 65_535
"""Who orders (`pipeline.worker.orders`): no capture point has this number, and its END is the end of no input."""
Marks = tuple[tuple[int, Mark], ...]
"""(record of the batch before which the mark stands, mark), ascending; at the batch's length it stands at its end."""


class Seconds:
    """Finds the TIME marks of one capture point's stream, batch after batch.

    A shard places them before it parts the stream among partitions; the loop over a file places the same ones, so that
    a replay sees them where the live stream had them.
    """

    def __init__(self, shard: int = 0) -> None:
        self._shard = shard
        self._second: int | None = None

    def of(self, ts: NDArray[np.int64]) -> Marks:
        """The marks of the next batch, whose record times are `ts` (int64 ns).

        Time that runs back by more than a second starts anew without a mark; by less, it is the same second still.
        """
        found = []
        for at in [0, *(np.flatnonzero(np.diff(ts // SECOND_NS)) + 1).tolist()] if len(ts) else ():
            second = int(ts[at]) // SECOND_NS
            if self._second is None or second < self._second - 1:
                self._second = second
            elif second > self._second:
                found.append((at, Mark(MarkKind.TIME, second * SECOND_NS, self._shard, second - self._second)))
                self._second = second
        return tuple(found)
