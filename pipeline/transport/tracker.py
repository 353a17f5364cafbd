"""Tracker: tells new messages from repeated ones, and sees those that are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.transport.message import Header

MOST_STREAMS = 1 << 16
"""(shard, boot) pairs remembered at most; of one shard the newest boots are kept."""
BOOTS_PER_SHARD = 16
"""Boots of one shard remembered at most: messages of an older one are duplicates."""


class Admission(IntEnum):
    """What is to be done with a message."""

    NEXT = 0
    DUPLICATE = 1
    GAP = 2


class Verdict(NamedTuple):
    """What is to be done with a message: a DUPLICATE is dropped, NEXT and GAP are taken.

    `missing` is the number of messages lost before a GAP, 0 otherwise.
    """

    admission: Admission
    missing: int = 0


@dataclass(slots=True)
class _Stream:
    expected: int
    last_seq: int


class Tracker:
    """The expected number of each (shard, boot) within one partition.

    A shard that was killed sends again what it does not know to have arrived; its producer keeps the order within a
    partition.  So one number for each stream is enough: what is below was taken already.
    """

    def __init__(self) -> None:
        self._streams: dict[int, dict[int, _Stream]] = {}
        self._counts = dict.fromkeys(_COUNTERS, 0)

    def admit(self, header: Header) -> Verdict:
        """Judge the next message of the partition's log."""
        boots = self._streams.setdefault(header.shard, {})
        stream = boots.get(header.boot)
        if stream is None:
            if len(boots) >= BOOTS_PER_SHARD and header.boot < min(boots):
                return self._duplicate(header)
            stream = boots[header.boot] = _Stream(0, 0)
            if len(boots) > BOOTS_PER_SHARD:
                del boots[min(boots)]
        missing = header.number - stream.expected
        if missing < 0:
            return self._duplicate(header)
        stream.expected = header.number + 1
        stream.last_seq = header.last_seq
        self._counts["messages"] += 1
        self._counts["records"] += header.count
        if missing:
            self._counts["gaps"] += 1
            self._counts["missing_messages"] += missing
            return Verdict(Admission.GAP, missing)
        return Verdict(Admission.NEXT)

    def counters(self) -> Mapping[str, int]:
        """Messages and records taken, duplicates dropped, gaps and the messages missing in them."""
        return dict(self._counts)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """All state, in the order of (shard, boot)."""
        rows = [
            (shard, boot, stream.expected, stream.last_seq)
            for shard, boots in sorted(self._streams.items())
            for boot, stream in sorted(boots.items())
        ]
        table = np.array(rows, np.uint64).reshape(-1, len(_COLUMNS))
        found: dict[str, NDArray[Any]] = {name: table[:, i].copy() for i, name in enumerate(_COLUMNS)}
        found["counts"] = np.array([self._counts[name] for name in _COUNTERS], np.uint64)
        return found

    def restore(self, state: Mapping[str, NDArray[Any]] | None) -> None:
        """Take over a snapshot in the place of what is held; None for nothing.

        Raises:
            KeyError, ValueError: it is no snapshot.
        """
        self._streams = {}
        self._counts = dict.fromkeys(_COUNTERS, 0)
        if state is None:
            return
        for shard, boot, expected, last in zip(*(state[name].tolist() for name in _COLUMNS), strict=True):
            self._streams.setdefault(shard, {})[boot] = _Stream(expected, last)
        self._counts = dict(zip(_COUNTERS, state["counts"].tolist(), strict=True))

    def _duplicate(self, header: Header) -> Verdict:
        self._counts["duplicates"] += 1
        self._counts["duplicate_records"] += header.count
        return Verdict(Admission.DUPLICATE)


_COLUMNS = ("shard", "boot", "expected", "last_seq")
_COUNTERS = ("messages", "records", "duplicates", "duplicate_records", "gaps", "missing_messages")
