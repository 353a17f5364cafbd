"""Where the ledger lies: a folder or an object store in which a name can be taken only once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.store.base import Store, StoreError, StoreFull, StoreMissing, StoreUnclear, checked

__all__ = ["Store", "StoreError", "StoreFull", "StoreMissing", "StoreUnclear", "checked", "open_store", "probe"]

_PROBE = "probe/exclusive"


def open_store(url: str, options: Mapping[str, str] | None = None) -> Store:
    """The store at `url`: a folder or `file://…`, `s3://…`, `gs://…`, `az://…`, `memory:///`.

    Args:
        url: where it is.
        options: settings of an object store, such as `endpoint`; see :func:`pipeline.store.objects.open_objects`.

    Raises:
        StoreError: no such kind of store, or it cannot be used.
    """
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme in ("", "file"):
        from pipeline.store.folder import open_folder

        return open_folder(Path(unquote(urlsplit(url).path) if scheme else url))
    from pipeline.store.objects import open_objects

    return open_objects(url, options)


def probe(store: Store) -> None:
    """Make sure that a name can be taken only once: some stores that look like S3 ignore the condition.

    It leaves one small object, `probe/exclusive`.

    Raises:
        StoreError: the store does not keep that promise, so that two workers could both own a partition.
        StoreUnclear: no clear answer.
    """
    store.create(_PROBE, os.urandom(16))
    second = os.urandom(16)
    if store.create(_PROBE, second) or store.read(_PROBE) == second:
        raise StoreError(f"{store}: a name that was taken could be created again; it must refuse (If-None-Match: *)")
    if _PROBE not in [name for name, _ in store.names("probe")]:
        raise StoreError(f"{store}: an object that was created is not listed")
