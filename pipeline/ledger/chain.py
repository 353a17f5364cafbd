"""Chain: the epochs of one partition, each created once at the offset where the one before it ends."""

from __future__ import annotations

import json
from collections.abc import Callable

from pipeline.ledger.epoch import Epoch, EpochDamaged
from pipeline.ledger.place import MOST, LedgerError, Place
from pipeline.store import Store, StoreMissing, StoreUnclear

_READS = 3
"""A checksum must be wrong so many times before an object is called damaged."""
_LISTINGS = 5
"""How often the chain is listed anew when its end has been emptied meanwhile."""


class ChainDamaged(LedgerError):  # noqa: N818
    """The partition must stop: what its next owner would build on is damaged or gone."""


class Taken(LedgerError):  # noqa: N818
    """Another owner's epoch stands where ours should be: drop state and partition, assign anew."""


class Chain:
    """What the store holds of one partition.

    Group membership makes no difference to what is written here: whoever creates an epoch first has made it true.

    Raises (every method):
        StoreUnclear: no clear answer; the call may be repeated.
    """

    def __init__(self, store: Store, place: Place) -> None:
        self.store = store
        self.place = place

    def origin(self, start: Callable[[], int]) -> int:
        """The offset at which the chain starts: what the first owner found, for ever.

        Args:
            start: gives the first offset that the log still has; asked only where no origin is known yet.

        Raises:
            ChainDamaged: the origin cannot be read, or is gone.
        """
        if not self._has_origin():
            if not self.starts():
                first = start()
                if self.store.create(self.place.origin, _origin(first)):
                    return first
            elif not self._has_origin():
                raise ChainDamaged(
                    f"{self.place}: there are epochs, but their origin is gone; run fieldtap ledger repair"
                )
        return self._read_origin()

    def starts(self, after: int = -1) -> list[tuple[int, int]]:
        """(start, size in bytes) of the epochs that start later than `after`, ascending; emptied ones have no bytes."""
        prefix = f"{self.place.epochs}/"
        found = self.store.names(self.place.epochs, after=self.place.epoch(after) if after >= 0 else "")
        return [(_offset(name, prefix), size) for name, size in found]

    def tip(self, hint: int = 0) -> Epoch | None:
        """The last epoch, verified; None where there is none yet.

        Args:
            hint: an offset near the end, to make the listing shorter; any number gives the same answer.

        Raises:
            ChainDamaged: it is damaged, or names that must be kept are gone.
        """
        for _ in range(_LISTINGS):
            listed = (self.starts(hint - 1) if hint > 0 else None) or self.starts()
            if not listed:
                return None
            last, size = listed[-1]
            try:
                return self.verified(last)
            except ChainDamaged as error:
                # Whoever reads slowly may find the object emptied, for the chain has grown meanwhile.
                damage, hint = error, last
                if size and not self.starts(last):
                    break
        raise damage

    def check_kept(self, origin: int) -> None:
        """Make sure that the first epoch's name is still there: names are what keeps a sleeper from writing anew.

        Raises:
            ChainDamaged: it is gone.
        """
        try:
            self.store.read(self.place.epoch(origin))
        except StoreMissing as error:
            raise ChainDamaged(
                f"{self.place}: the name of its first epoch, {origin}, is gone; no lifecycle rule may delete objects "
                "of the ledger"
            ) from error

    def mend_origin(self) -> None:
        """Write the origin anew, where it is damaged or gone and the first epoch's name says where it was.

        Raises:
            ChainDamaged: it is damaged, and there is no epoch.
        """
        starts = self.starts()
        if not starts and not self._has_origin():
            return
        try:
            self._read_origin()
        except ChainDamaged:
            if not starts:
                raise
            self.store.replace(self.place.origin, _origin(starts[0][0]))

    def create(self, epoch: Epoch) -> None:
        """Make `epoch` true.  After an unclear answer, the same bytes must be tried again.

        Raises:
            Taken: another epoch stands there.
        """
        name = self.place.epoch(epoch.start)
        if self.store.create(name, epoch.data):
            return
        try:
            there = self.store.read(name)
        except StoreMissing as error:
            raise StoreUnclear(f"{self.place}: epoch {epoch.start} was taken, yet it is not there") from error
        if not self._is_ours(there, epoch):
            raise Taken(f"{self.place}: another owner's epoch stands at {epoch.start}")

    def verified(self, start: int) -> Epoch:
        """The epoch that starts at `start`, read up to three times until its checksum is right.

        Raises:
            ChainDamaged: it never was.
        """
        reason = ""
        for _ in range(_READS):
            try:
                return Epoch(self._bytes(start), self.place, start)
            except EpochDamaged as error:
                reason = str(error)
        raise ChainDamaged(f"{self.place}: epoch {start} is damaged: {reason}; run fieldtap ledger repair")

    def _is_ours(self, there: bytes, epoch: Epoch) -> bool:
        """Only equal bytes are ours: a request of an earlier try of this very process may have landed late."""
        return there == epoch.data

    def _bytes(self, start: int) -> bytes:
        try:
            return self.store.read(self.place.epoch(start))
        except StoreMissing as error:
            raise ChainDamaged(
                f"{self.place}: epoch {start} is listed, but it is not there; does a lifecycle rule delete objects?"
            ) from error

    def _has_origin(self) -> bool:
        # Listed, not just read: only a listing makes sure that it outlasts a power loss.
        folder = self.place.origin.rpartition("/")[0]
        return self.place.origin in [name for name, _ in self.store.names(folder)]

    def _read_origin(self) -> int:
        data = b""
        for _ in range(_READS):
            try:
                data = self.store.read(self.place.origin)
                first = json.loads(data)["start"]
            except StoreMissing as error:
                raise ChainDamaged(
                    f"{self.place}: its origin is listed, but it is not there; does a lifecycle rule delete objects?"
                ) from error
            except (ValueError, KeyError, TypeError):
                continue
            if isinstance(first, int) and 0 <= first <= MOST and data == _origin(first):
                return first
        raise ChainDamaged(f"{self.place}: its origin cannot be read, found {data[:60]!r}")


def _origin(start: int) -> bytes:
    from google_crc32c import value

    return json.dumps({"format": 1, "start": start, "check": value(b"%d" % start)}).encode()


def _offset(name: str, prefix: str) -> int:
    digits = name.removeprefix(prefix)
    if len(digits) != 20 or not digits.isdecimal():
        raise ChainDamaged(f"{name}: lies among the epochs, but is none")
    return int(digits)
