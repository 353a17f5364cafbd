"""Names met on the wire, beside the records of an archive: files of (name id, text), each named by what it holds."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import FieldtapError
from pipeline.sink.names import names_table
from pipeline.store import Store
from schemas.health import NAME

FOLDER = "names"


class NameFiles:
    """Writes names that were told since the last time; may be asked from any thread.

    The text of an id never changes, so files may say the same name again: a worker begins with all that it is told.
    """

    def __init__(self, store: Store, root: str, told: Mapping[int, str]) -> None:
        """Below `root`.

        Args:
            told: name id to text, in the order in which they came.
        """
        self._store = store
        self._root = root
        self._told = told
        self._written = 0
        self._lock = threading.Lock()

    def keep(self) -> None:
        """Write what is new.

        Raises:
            StoreError: it cannot be written; it is tried again the next time.
        """
        with self._lock:
            if len(self._told) == self._written:
                return
            new = dict(islice(self._told.items(), self._written, None))
            content = BytesIO()
            pq.write_table(names_table(new), content, compression="zstd")
            name = sha256(content.getvalue()).hexdigest()[:32]
            self._store.create(f"{self._root}/{FOLDER}/{name}.parquet", content.getvalue())
            self._written += len(new)


def names_of(store: Store, root: str) -> dict[int, str]:
    """All names that an archive holds.

    Raises:
        FieldtapError: a file is damaged.
    """
    found: dict[int, str] = {}
    for name, _ in store.names(f"{root}/{FOLDER}/"):
        try:
            table = pq.read_table(pa.BufferReader(store.read(name)), schema=NAME)
        except (pa.ArrowException, OSError) as error:
            raise FieldtapError(f"{name}: damaged: {error}") from error
        found.update(zip(table["name_id"].to_pylist(), table["text"].to_pylist(), strict=True))
    return found
