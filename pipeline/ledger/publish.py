"""Publishing: the findings of an epoch that has become true, as Parquet under names that follow from it alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from pipeline.ledger.epoch import Epoch
from pipeline.store import Store

FRESH = "findings"
"""Root of what epochs published."""
_DAY_NS = 86_400_000_000_000
_MOST_DAYS = 31
"""Files of an epoch at most; with rows of more days than that, its clock is broken, and all go to the first one's."""


class Publisher:
    """Puts findings where readers look: `findings/run=…/date=…/part+<topic id>+<partition>+<start>-<next>.parquet`.

    One file per day (UTC) of record time that the epoch's rows touch, none where there are no rows.  It takes epochs
    as the store holds them, so that two owners can only publish the same.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def publish(self, epoch: Epoch) -> None:
        """Publish what is not published yet.

        Raises:
            StoreUnclear: no clear answer; publish it again.
        """
        for name, data in files(epoch):
            self._store.create(name, data)


Publish = Callable[[Epoch], None]


def folder(root: str, run: str, day: str = "") -> str:
    """The folder of a run's findings, or of one day of them."""
    return f"{root}/run={run}" + (f"/date={day}" if day else "")


def files(epoch: Epoch) -> list[tuple[str, bytes]]:
    """(name, content) of each file that the epoch's findings make."""
    rows = epoch.findings
    if rows is None:
        return []
    stem = epoch.place.stem(epoch.start, epoch.next)
    days = rows.column("time").cast(pa.int64()).to_numpy() // _DAY_NS
    touched = np.unique(days)
    if len(touched) > _MOST_DAYS:
        days, touched = np.broadcast_to(days[0], days.shape), days[:1]
    return [
        (
            f"{folder(FRESH, epoch.place.run, str(np.datetime64(int(day), 'D')))}/{stem}.parquet",
            parquet(rows if len(touched) == 1 else rows.take(np.flatnonzero(days == day)), stem),
        )
        for day in touched
    ]


def parquet(rows: pa.Table, stem: str) -> bytes:
    """The bytes of a Parquet file; the same rows give the same bytes."""
    from pyarrow import parquet as pq

    schema = rows.schema.with_metadata({**(rows.schema.metadata or {}), b"fieldtap.epoch": stem.encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(rows.cast(schema), sink, compression="zstd", compression_level=3, store_schema=False)
    found: bytes = sink.getvalue().to_pybytes()
    return found
