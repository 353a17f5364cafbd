"""Publishing: the findings of an epoch that has become true, as Parquet under names that follow from it alone."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.ledger.epoch import Epoch
from pipeline.ledger.parquet import pack
from pipeline.ledger.place import Place
from pipeline.store import Store

FRESH, MERGED = "findings", "compacted"
"""Roots of what epochs published, and of what compaction made of it."""
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


def folder(root: str, run: str, day: str = "") -> str:
    """The folder of a run's findings, or of one day of them."""
    return f"{root}/run={run}" + (f"/date={day}" if day else "")


_NAME = re.compile(r"\w+/run=([^/]+)/date=([^/]+)/part\+([^/+]+)\+(\d{5})\+(\d{20})-(\d{20})\.parquet")


class File(NamedTuple):
    """A published file, as its name says it."""

    place: Place
    day: str
    start: int
    next: int
    name: str
    size: int


def published(store: Store, root: str, run: str) -> list[File]:
    """Every file of a run below `root`, in the order of names; what has another name is not ours, and left alone."""
    found = []
    for name, size in store.names(folder(root, run)):
        match = _NAME.fullmatch(name)
        if match is not None:
            run, day, topic_id, partition, start, stop = match.groups()
            found.append(File(Place(run, topic_id, int(partition)), day, int(start), int(stop), name, size))
    return found


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
            pack(rows if len(touched) == 1 else rows.take(np.flatnonzero(days == day)), stem),
        )
        for day in touched
    ]
