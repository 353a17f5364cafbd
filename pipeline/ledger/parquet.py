"""Parquet files of the ledger in memory: bytes from rows, rows from bytes."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

_FRESH: dict[str, Any] = {"compression": "zstd", "compression_level": 3}
_MERGED: dict[str, Any] = {"compression": "zstd", "compression_level": 9, "row_group_size": 1 << 16}


def pack(rows: pa.Table, stem: str, *, merged: bool = False) -> bytes:
    """The bytes of a file with checksums in its pages; the same rows give the same bytes.

    Args:
        rows: what is in it.
        stem: its name without the ending; kept in its metadata.
        merged: whether many small files became one: then it is worth more effort to make it small.
    """
    from pyarrow import parquet as pq

    # The name of one of the files that rows came from must not stay in what they became.
    metadata = {k: v for k, v in (rows.schema.metadata or {}).items() if k != b"fieldtap.epoch"}
    named = {**metadata, b"fieldtap.epoch": stem.encode()} if stem else metadata
    sink = pa.BufferOutputStream()
    pq.write_table(
        rows.replace_schema_metadata(named), sink, write_page_checksum=True, **(_MERGED if merged else _FRESH)
    )
    found: bytes = sink.getvalue().to_pybytes()
    return found


def emptied(schema: pa.Schema) -> bytes:
    """A file of `schema` without rows: what stays under the name of one whose rows are elsewhere.

    Readers in wide use break on files without bytes, not on files without rows.
    """
    return pack(schema.empty_table(), "")


def unpack(data: bytes, name: str) -> pa.Table:
    """The rows of a file.

    Raises:
        ValueError: it is damaged.
    """
    from pyarrow import parquet as pq

    try:
        return pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{name}: damaged: {error}") from error
