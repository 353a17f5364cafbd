"""The reader's view: every finding of a run once, whatever has been compacted so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import pyarrow as pa

from pipeline.ledger.parquet import unpack
from pipeline.ledger.place import LedgerError, Place
from pipeline.ledger.publish import FRESH, MERGED, File, published
from pipeline.store import Store, StoreUnclear, open_store

_TRIES = 20
"""How often the files are listed anew while a compaction goes on beside."""


def findings(source: str | Store, run: str, *, threads: int = 8) -> pa.Table:
    """All rows that a run's epochs have published, each exactly once; several rows may concern one finding.

    Args:
        source: address of the store, or the store.
        run: name of the run.
        threads: how many files are read at a time.

    Raises:
        StoreUnclear: no clear answer.
        LedgerError: a file is damaged.
    """
    store = open_store(source) if isinstance(source, str) else source
    for _ in range(_TRIES):
        # In this order: what a compaction merges in between is then still read as it was, or found to be empty.
        fresh = published(store, FRESH, run)
        merged = published(store, MERGED, run)
        loose = uncovered(fresh, merged)
        tables = tables_of(store, loose, threads)
        if all(table.num_rows for table in tables):
            return joined([*tables_of(store, merged, threads), *tables])
    raise StoreUnclear(f"{store}: the findings of run {run} are being compacted all the while; read them again")


def uncovered(fresh: Iterable[File], merged: Iterable[File]) -> list[File]:
    """Those of `fresh` whose rows are in none of `merged`."""
    ranges: defaultdict[tuple[Place, str], list[File]] = defaultdict(list)
    for file in merged:
        ranges[file.place, file.day].append(file)
    return [
        file
        for file in fresh
        if not any(m.start <= file.start and file.next <= m.next for m in ranges[file.place, file.day])
    ]


def tables_of(store: Store, files: Sequence[File], threads: int) -> list[pa.Table]:
    """The rows of each file.

    Raises:
        LedgerError: a file is damaged.
    """

    def rows(file: File) -> pa.Table:
        try:
            return unpack(store.read(file.name), file.name)
        except ValueError as error:
            raise LedgerError(f"{store}: {error}") from error

    if threads < 2 or len(files) < 2:
        return [rows(file) for file in files]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(rows, files))


def joined(tables: list[pa.Table]) -> pa.Table:
    """All rows of `tables`, with the columns that older files lack; the schema of ALERT where there are none."""
    from schemas.alert import ALERT
    from schemas.compat import fill

    whole = [
        fill(t, "alert").replace_schema_metadata(ALERT.metadata)
        if (t.schema.metadata or {}).get(b"fieldtap.schema") == b"alert"
        else t.replace_schema_metadata()
        for t in tables
    ]
    return pa.concat_tables(whole, promote_options="default") if whole else ALERT.empty_table()
