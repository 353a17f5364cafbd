"""Compaction: the many small files of a day that is over become one, and readers notice nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from pipeline.ledger.chain import Chain
from pipeline.ledger.parquet import emptied, pack, unpack
from pipeline.ledger.place import LedgerError, Place
from pipeline.ledger.publish import FRESH, MERGED, File, folder, published
from pipeline.ledger.view import joined, tables_of
from pipeline.store import Store


class Compacted(NamedTuple):
    """What a compaction did: files made, files emptied, rows merged."""

    merged: int
    emptied: int
    rows: int


def compact(store: Store, run: str | None = None, *, threads: int = 8) -> Compacted:
    """Merge what is closed; may run at any time, in several places, beside owners and readers, and be cut short.

    What is merged follows from the names of the files alone: for each partition and day, the consecutive epochs that
    found something on that day, once a later epoch has found nothing on it.  So two compactions make the same files.

    Args:
        store: where the ledger lies.
        run: only this run.
        threads: how many files are read at a time.

    Raises:
        StoreUnclear: no clear answer; compact again.
        LedgerError: the files contradict the chain, or one is damaged.
    """
    done = Compacted(0, 0, 0)
    for name, places in sorted(_runs(store).items()):
        if run is None or run == name:
            # The chains come first: all that was published before their ends is in the listing that follows.
            starts = {place: [start for start, _ in Chain(store, place).starts()] for place in places}
            fresh: defaultdict[Place, list[File]] = defaultdict(list)
            for file in published(store, FRESH, name):
                fresh[file.place].append(file)
            merged = {file.name for file in published(store, MERGED, name)}
            for place in places:
                for files in closed(place, fresh[place], starts[place]):
                    made = _merge(store, files, merged, threads)
                    done = Compacted(*(a + b for a, b in zip(done, made, strict=True)))
    return done


def closed(place: Place, files: Sequence[File], starts: Sequence[int]) -> Iterator[list[File]]:
    """The runs of a partition's files that may be merged, each of one day and in the order of offsets.

    Args:
        place: the partition.
        files: what it has published.
        starts: where its epochs start.  Only epochs before the last one are surely published whole.

    Raises:
        LedgerError: the files are not those of the chain.
    """
    epochs: defaultdict[tuple[int, int], dict[str, File]] = defaultdict(dict)
    for file in files:
        if starts and file.next <= starts[-1]:
            epochs[file.start, file.next][file.day] = file
    order = sorted(epochs)
    _check(place, order, starts)
    for day in sorted({file.day for days in epochs.values() for file in days.values()}):
        run: list[File] = []
        for extent in order:
            if day in epochs[extent]:
                run.append(epochs[extent][day])
                continue
            if len(run) > 1:
                yield run
            run = []


def _check(place: Place, order: list[tuple[int, int]], starts: Sequence[int]) -> None:
    follows = dict(pairwise(starts))
    for first, last in order:
        if follows.get(first) != last:
            raise LedgerError(f"{place}: the file of [{first}, {last}) does not fit the chain; nothing is merged")


def _runs(store: Store) -> dict[str, list[Place]]:
    found: defaultdict[str, list[Place]] = defaultdict(list)
    for name, _ in store.names("origin"):
        _, run, topic_id, partition = name.split("/")
        found[run].append(Place(run, topic_id, int(partition)))
    return found


def _merge(store: Store, files: list[File], there: set[str], threads: int) -> Compacted:
    first, last = files[0], files[-1]
    stem = first.place.stem(first.start, last.next)
    name = f"{folder(MERGED, first.place.run, first.day)}/{stem}.parquet"
    made = rows = 0
    if name not in there:
        made, rows = _create(store, files, name, stem, threads)
    whole = unpack(store.read(name), name)
    nothing = emptied(whole.schema)
    full = [file for file in files if file.size != len(nothing)]
    for file in full:
        store.replace(file.name, nothing)
    return Compacted(made, len(full), rows)


def _create(store: Store, files: list[File], name: str, stem: str, threads: int) -> tuple[int, int]:
    tables = tables_of(store, files, threads)
    if not all(table.num_rows for table in tables):
        # Another compaction has come first, and has merged them: files are emptied only after that.
        store.read(name)
        return 0, 0
    rows = joined(tables).sort_by("time")
    return int(store.create(name, pack(rows, stem, merged=True))), rows.num_rows
