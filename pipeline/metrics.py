"""Counters: what a stage says of itself, as rows of HEALTH."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from schemas.health import HEALTH

HealthRow = tuple[str, str, str, int]
"""(stage, counter, reason, value)."""


class Counters:
    """The counters of one stage.  Not shared between threads: each stage owns its own."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._values: dict[tuple[str, str], int] = {}

    def add(self, counter: str, n: int = 1, *, reason: str = "") -> None:
        """Count `n` more."""
        key = (counter, reason)
        self._values[key] = self._values.get(key, 0) + int(n)

    def put(self, counter: str, value: int, *, reason: str = "") -> None:
        """Set a counter that is kept elsewhere."""
        self._values[counter, reason] = int(value)

    def get(self, counter: str, *, reason: str = "") -> int:
        """The counter so far, 0 where it was never touched."""
        return self._values.get((counter, reason), 0)

    def rows(self) -> list[HealthRow]:
        """The counters in order of name."""
        return [(self.stage, counter, reason, n) for (counter, reason), n in sorted(self._values.items())]


def health_table(rows: Iterable[HealthRow]) -> pa.Table:
    """Rows as a table of schema HEALTH; those of one key are added up, in order of first sight."""
    totals: dict[tuple[str, str, str], int] = {}
    for stage, counter, reason, value in rows:
        key = (stage, counter, reason)
        totals[key] = totals.get(key, 0) + max(0, int(value))
    columns = {
        "stage": [k[0] for k in totals],
        "counter": [k[1] for k in totals],
        "reason": [k[2] for k in totals],
        "value": list(totals.values()),
    }
    return pa.table(columns, schema=HEALTH)
