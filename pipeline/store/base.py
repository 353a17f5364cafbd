"""What the ledger needs of a store, its errors, and what a name may be."""

from __future__ import annotations

import re
from typing import Protocol

from pipeline.errors import FieldtapError

_SEGMENT = r"[A-Za-z0-9_=+-][A-Za-z0-9._=+-]{0,199}"
_NAME = re.compile(f"{_SEGMENT}(?:/{_SEGMENT})*")
_NAME_LENGTH = 900


class StoreError(FieldtapError):
    """A store that cannot be used, or a name that it cannot have."""


class StoreUnclear(StoreError):  # noqa: N818
    """No clear answer: it may have been done, or may be done later.  The same call may be repeated."""


class StoreFull(StoreUnclear):
    """The disk is full."""


class StoreMissing(StoreError):  # noqa: N818
    """Nothing is there under this name."""


class Store(Protocol):
    """Whole objects under names such as `epochs/r1/x/00000/00000000000000000000`; `/` parts folders.

    Every method may be called from several threads, and from several machines on one store.

    Raises (every method):
        StoreUnclear: no clear answer.
        StoreError: the name is none.
    """

    def create(self, name: str, data: bytes) -> bool:
        """Put `data` there unless something is there: True, ours is there now and stays; False, the name was taken."""
        ...

    def read(self, name: str) -> bytes:
        """The whole object.

        Raises:
            StoreMissing: nothing is there.
        """
        ...

    def names(self, prefix: str, *, after: str = "") -> list[tuple[str, int]]:
        """All (name, size in bytes) below folder `prefix` that sort after `after`, in order of name."""
        ...

    def replace(self, name: str, data: bytes) -> None:
        """Put `data` in place of what is there; for emptying what nobody needs any more, and for repair."""
        ...


def checked(name: str) -> str:
    """`name`, if every store can hold it.

    A name is segments of at most 200 letters, digits and `._=+-` with `/` between; no segment begins with a dot.

    Raises:
        StoreError: it is none.
    """
    if len(name) > _NAME_LENGTH or not _NAME.fullmatch(name):
        raise StoreError(f"{name!r:.100}: no name for an object: letters, digits and ._=+- with / between")
    return name
