"""Taught: what a person has called normal, and so is no finding any more."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from detectors.base import Buckets, Mark
from pipeline.findings.evidence import Evidence
from pipeline.findings.window import Identity
from schemas.codes import BUCKETS, MarkKind

TOLERANCE = 0.25
"""How much further outside of normal than what was taught a value may lie, as a share of that distance."""
LIMIT = 65_536
"""Subjects that may be taught by marks; what a mark orders beyond it is refused, counted."""
_WORD = 1 << 64


class Taught:
    """Subjects with the distance outside of normal up to which they are taught.

    A value further out than that is a finding still: who teaches a pressure of 12 bar has said nothing about 90.
    """

    def __init__(self, extents: Mapping[Identity, float] | None = None) -> None:
        self._extents: dict[Identity, float] = {}
        self._keys = np.zeros(0, np.uint64)
        for identity, extent in (extents or {}).items():
            self._extents[identity] = extent
        self._index()

    def __len__(self) -> int:
        return len(self._extents)

    def items(self) -> Iterable[tuple[Identity, float]]:
        """Subjects and distances, in the order of the subjects."""
        return sorted(self._extents.items())

    def add(self, identity: Identity, extent: float) -> bool:
        """Teach a subject, or teach it further; False where there is no room."""
        if identity not in self._extents and len(self._extents) >= LIMIT:
            return False
        self._extents[identity] = max(extent, self._extents.get(identity, -np.inf))
        self._index()
        return True

    def of(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Which pieces of evidence are taught."""
        found = np.isin(evidence.alerts.key, self._keys)
        for at in np.flatnonzero(found).tolist():
            alerts = evidence.alerts
            extent = self._extents.get((int(evidence.device[at]), int(alerts.what[at]), int(alerts.key[at])))
            found[at] = extent is not None and bool(evidence.extent[at] <= reach(extent))
        return found

    def within(self, buckets: Buckets) -> list[tuple[Identity, float]]:
        """Those of devices in these buckets, in the order of the subjects."""
        return [item for item in self.items() if np.isin(item[0][0] % BUCKETS, buckets)]

    def _index(self) -> None:
        self._keys = np.array(sorted({key for _, _, key in self._extents}), np.uint64)


def reach(extent: float) -> float:
    """How far outside of normal a value may lie that was taught up to `extent`."""
    return extent * (1.0 + TOLERANCE) if extent > 0 else extent


def order_of(identity: Identity, extent: float) -> str:
    """The text of a CONTROL mark that teaches a subject."""
    device, what, key = identity
    number = extent if np.isfinite(extent) else None
    return json.dumps({"teach": {"device": device, "what": what, "key": key, "extent": number}})


def ordered(text: str) -> tuple[Identity, float] | None:
    """What a CONTROL mark teaches; None where it says something else, or nothing that makes sense."""
    try:
        order = json.loads(text)["teach"]
        device, what, key = (int(order[name]) for name in ("device", "what", "key"))
        extent = -np.inf if order["extent"] is None else float(order["extent"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    if not (0 <= device < _WORD and 0 <= key < _WORD and 0 <= what < _WORD) or extent != extent:
        return None
    return (device, what, key), extent


def order_about(mark: Mark, codes: Collection[int]) -> tuple[Identity, float] | None:
    """What a mark teaches, where that is of a finding type of these codes."""
    order = ordered(mark.text) if codes and mark.kind is MarkKind.CONTROL else None
    return order if order is not None and order[0][1] in codes else None
