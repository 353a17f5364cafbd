"""Evidence: the arrays that kernels write alerts into, and the loop that gives them room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.base import Alerts
from detectors.kernels.evidence import Evidence
from detectors.slots import Slots

_ROOM = 4096


def buffer(room: int = _ROOM) -> Evidence:
    """Room for `room` alerts."""
    return Evidence(
        filled=np.zeros(1, np.int64),
        marks=np.zeros((room, 5), np.int64),
        about=np.zeros((room, 2), np.uint64),
        numbers=np.zeros((room, 3), np.float64),
    )


def drain(evidence: Evidence) -> Alerts:
    """The alerts so far, copied out."""
    n = int(evidence.filled[0])
    if n == 0:
        return Alerts.none()
    evidence.filled[0] = 0
    # A column of a single row is contiguous already: without a copy it would be the buffer itself.
    marks, about, numbers = evidence.marks[:n].copy(), evidence.about[:n].copy(), evidence.numbers[:n].copy()
    return Alerts.of(
        marks[:, 0],
        marks[:, 1],
        about[:, 0],
        parent=about[:, 1],
        severity=marks[:, 2],
        point=marks[:, 3],
        outcome=marks[:, 4],
        low=numbers[:, 0],
        high=numbers[:, 1],
        observed=numbers[:, 2],
    )


def run(scan: Callable[[int], int], n: int, slots: Slots, evidence: Evidence, most_keys: int) -> Alerts:
    """All records of a batch through a kernel that stops where it lacks room.

    Args:
        scan: the kernel, from the record to start with to the record to go on with.
        n: records of the batch.
        slots: the table that is given room for `most_keys` more whenever `scan` stops.
        evidence: what `scan` writes alerts into, emptied whenever it stops.
        most_keys: keys that one record can add.
    """
    parts = []
    at = 0
    while at < n:
        slots.reserve(most_keys)
        at = scan(at)
        parts.append(drain(evidence))
    return parts[0] if len(parts) == 1 else Alerts.join(parts)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A contiguous read-only view: a kernel is compiled once for each way an array may be laid out."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
