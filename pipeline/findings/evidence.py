"""Pieces of evidence of one batch as arrays, and what they have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.base import Alerts
from detectors.columns import Columns
from schemas.codes import BUCKETS, Outcome

Pieces = NDArray[np.intp]
"""Indices of evidence, ascending: the order of the records."""

OUTCOME_RANK = np.array([0, 3, 2, 1], np.int64)
"""Weight of each Outcome: that something was done weighs more than that it was refused or went unanswered."""
RANKED_OUTCOME = (Outcome.UNKNOWN, Outcome.NO_ANSWER, Outcome.REFUSED, Outcome.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The alerts of a batch beside the columns of their records that merging needs; equal-length arrays."""

    batch: Columns
    alerts: Alerts
    ts: NDArray[np.int64]
    device: NDArray[np.uint64]
    severity: NDArray[np.int64]
    rank: NDArray[np.int64]
    extent: NDArray[np.float64]
    """How far the value seen lies outside of normal; -inf where there is no value."""

    @staticmethod
    def of(batch: Columns, alerts: Alerts) -> Evidence:
        """Look up the records of `alerts`."""
        return Evidence(
            batch=batch,
            alerts=alerts,
            ts=batch.ts[alerts.row],
            device=batch.device[alerts.row],
            severity=alerts.severity.astype(np.int64),
            rank=OUTCOME_RANK[np.minimum(alerts.outcome, 3)],
            extent=extent_of(alerts.low, alerts.high, alerts.observed),
        )

    def by_bucket(self) -> Iterator[tuple[int, Pieces]]:
        """The pieces of each device bucket."""
        bucket = (self.device % np.uint64(BUCKETS)).astype(np.int64)
        for pieces in _split(bucket):
            yield int(bucket[pieces[0]]), pieces

    def by_subject(self, pieces: Pieces) -> list[Pieces]:
        """`pieces` by (device, what, key), in the order in which the subjects first appear."""
        if len(pieces) == 1:
            return [pieces]
        device, what, key = self.device[pieces], self.alerts.what[pieces], self.alerts.key[pieces]
        order = np.lexsort((device, what, key))
        device, what, key = device[order], what[order], key[order]
        new = (key[1:] != key[:-1]) | (what[1:] != what[:-1]) | (device[1:] != device[:-1])
        groups = [pieces[part] for part in np.split(order, np.flatnonzero(new) + 1)]
        groups.sort(key=lambda group: int(group[0]))
        return groups


def _split(codes: NDArray[np.int64]) -> list[Pieces]:
    """Indices of each distinct code, ascending within it; the smallest code first."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    return np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1)


def extent_of(
    low: NDArray[np.float64], high: NDArray[np.float64], observed: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance of a value to the nearest bound of normal; where there are no bounds, its magnitude.

    -inf where there is no value.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        outside = np.fmax(low - observed, observed - high)
    outside = np.where(np.isnan(outside), np.abs(observed), outside)
    return np.where(np.isnan(observed), -np.inf, outside)
