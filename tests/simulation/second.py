"""The second stage's side: what is sent to it, and how it drops what it had already."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from pipeline.ledger import Epoch, Place
from tests.simulation.storage import Network

TARGETS = 2
_ROWS = 2
"""Rows of a message at most."""


class Parcel(NamedTuple):
    """A message to the second stage."""

    source: int
    start: int
    next: int
    i: int
    last: bool
    rows: tuple[int, ...]


class Receiver:
    """One partition of the second stage: one expected position per source partition.

    Args:
        origin: gives the offset at which a source partition's chain starts.
    """

    def __init__(self, origin: Callable[[int], int]) -> None:
        self._origin = origin
        self.expected: dict[int, tuple[int, int]] = {}
        self.rows: dict[int, list[int]] = {}
        self.alarms: list[str] = []

    def take(self, parcel: Parcel) -> None:
        """Take a message, or drop it if it was here before."""
        expected = self.expected.get(parcel.source) or (self._origin(parcel.source), 0)
        here = (parcel.start, parcel.i)
        if here > expected:
            self.alarms.append(f"source {parcel.source}: expected {expected}, found {here}")
        if here == expected:
            self.rows.setdefault(parcel.source, []).extend(parcel.rows)
            self.expected[parcel.source] = (parcel.next, 0) if parcel.last else (parcel.start, parcel.i + 1)


@lru_cache(8192)
def _uids(data: bytes, place: Place, start: int) -> list[int]:
    sends = Epoch(data, place, start).sends
    return [] if sends is None else sends.column("uid").to_pylist()


class Sender:
    """Sends an epoch's rows; every target gets at least one message, the last of which says so."""

    def __init__(self, network: Network, receivers: list[Receiver]) -> None:
        self._network = network
        self._receivers = receivers

    def send(self, epoch: Epoch) -> None:
        """Send all; raises StoreUnclear where a message's fate is unclear."""
        uids = _uids(epoch.data, epoch.place, epoch.start)
        for target, receiver in enumerate(self._receivers):
            rows = [uid for uid in uids if uid % TARGETS == target]
            for parcel in self.parcels(epoch, rows):
                self._network.carry("send", lambda to=receiver, parcel=parcel: to.take(parcel))

    def parcels(self, epoch: Epoch, rows: list[int]) -> list[Parcel]:
        """The messages for one target."""
        chunks = [tuple(rows[at : at + _ROWS]) for at in range(0, len(rows), _ROWS)] or [()]
        return [
            Parcel(epoch.place.partition, epoch.start, epoch.next, i, i == len(chunks) - 1, chunk)
            for i, chunk in enumerate(chunks)
        ]
