"""The archive: records, points and marks of the log as partitioned Parquet, exactly once, and the way back.

Below `archive/run=<run>/` of the store lie `records/`, `points/` and `marks/`, each by the day of the epoch's first
record.  One file of each covers the messages of one epoch of one partition, in their order; all three have the same
name: topic id, partition, first offset and the offset after the last.  `names/` holds the names met in them.
"""

ARCHIVE = "archive."
"""Before the name of a run in the ledger, whose chain says what was kept, not what was judged."""


def root_of(run: str) -> str:
    """The folder of a run's archive in its store, by the run's name in the ledger or without the prefix."""
    return f"archive/run={run.removeprefix(ARCHIVE)}"
