"""ObjectStore: objects in S3, Google Cloud Storage, Azure, or the memory of this process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from pipeline.store.base import StoreError, StoreMissing, StoreUnclear, checked

_CONNECT_S, _REQUEST_S, _RETRY_S = 5, 60, 20
_RETRIES = 2


def open_objects(url: str, options: Mapping[str, str] | None = None) -> ObjectStore:
    """The store at `url`: `s3://bucket/folder`, `gs://…`, `az://account/container/folder` or `memory:///`.

    Args:
        url: its path becomes a prefix of every name.
        options: what the provider's client wants to know, such as `endpoint` or `region`; the rest is taken from the
            environment, as the provider documents it.

    Raises:
        StoreError: no such kind of store, or an option that it does not know.
    """
    given: dict[str, Any] = {}
    if not url.startswith("memory:"):
        given["retry_config"] = {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_S)}
        given["client_options"] = {
            "connect_timeout": timedelta(seconds=_CONNECT_S),
            "timeout": timedelta(seconds=_REQUEST_S),
            "allow_http": _endpoint(options or {}).startswith("http://"),
        }
        if options:
            given["config"] = dict(options)
    try:
        return ObjectStore(from_url(url, **given), url)
    except (BaseError, ValueError) as error:
        raise StoreError(f"{url}: cannot open the store: {_brief(error)}") from error


class ObjectStore:
    """A store with conditional puts; see :class:`pipeline.store.Store`.

    Args:
        client: a store of `obstore`.
        place: its address, for messages.
    """

    def __init__(self, client: Any, place: str) -> None:
        self._client = client
        self._place = place

    def __str__(self) -> str:
        return self._place

    def create(self, name: str, data: bytes) -> bool:
        """See :class:`pipeline.store.Store`."""
        try:
            obstore.put(self._client, checked(name), data, mode="create", use_multipart=False)
        except AlreadyExistsError as error:
            self._must_exist(name, error)
            return False
        except (BaseError, OSError) as error:
            raise self._unclear("create", name, error) from error
        return True

    def read(self, name: str) -> bytes:
        """See :class:`pipeline.store.Store`."""
        try:
            return bytes(obstore.get(self._client, checked(name)).bytes())
        except FileNotFoundError as error:
            raise StoreMissing(f"{self._place}: nothing is there under {name}") from error
        except (BaseError, OSError) as error:
            raise self._unclear("read", name, error) from error

    def names(self, prefix: str, *, after: str = "") -> list[tuple[str, int]]:
        """See :class:`pipeline.store.Store`."""
        try:
            pages = obstore.list(self._client, checked(prefix.rstrip("/")), offset=after or None)
            found = [(entry["path"], entry["size"]) for page in pages for entry in page]
        except (BaseError, OSError) as error:
            raise self._unclear("list", prefix, error) from error
        return sorted(entry for entry in found if entry[0] > after)

    def replace(self, name: str, data: bytes) -> None:
        """See :class:`pipeline.store.Store`."""
        try:
            obstore.put(self._client, checked(name), data, mode="overwrite", use_multipart=False)
        except (BaseError, OSError) as error:
            raise self._unclear("replace", name, error) from error

    def _must_exist(self, name: str, refusal: Exception) -> None:
        """A conflict with another request that is under way is told as "exists" too, though nothing may come of it."""
        try:
            obstore.head(self._client, name)
        except (BaseError, OSError) as error:
            raise self._unclear("create", name, refusal) from error

    def _unclear(self, what: str, name: str, error: Exception) -> StoreUnclear:
        return StoreUnclear(f"{self._place}: cannot {what} {name}: {_brief(error)}")


def _endpoint(options: Mapping[str, str]) -> str:
    """The address of the service where someone gave one; plain HTTP is spoken only with one that says so itself."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return options.get("endpoint") or next((os.environ[name] for name in names if os.environ.get(name)), "")


def _brief(error: Exception) -> str:
    return " ".join(str(error).partition("Debug source")[0].split())[:300]
