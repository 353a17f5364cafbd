"""Existence: what detectors share that ask whether something was there before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import evidence
from detectors.base import Alerts, Buckets, Mark, Recalled, State
from detectors.columns import Columns
from detectors.kernels import seen
from detectors.kernels import slots as k
from detectors.lifecycle import SECOND_NS, Learning
from detectors.slots import Slots
from schemas.codes import LearnState


class Existence:
    """Keys that are known or strange, from one start for the site.

    Args:
        learning: see :class:`Learning`; LEARN and SHADOW are one here, since nothing is calibrated.
        window_s: how long a stranger is evidence from its first sight.
        rearm_s: after how long it is evidence again.
        max_keys: keys that one device bucket may hold.
        most_keys: keys that one record can add.
    """

    wants_time = False

    def __init__(self, learning: Learning, window_s: float, rearm_s: float, max_keys: int, most_keys: int) -> None:
        self.learning = learning
        self.slots = Slots(max_keys, {"seen": seen.SEEN})
        self._evidence = evidence.buffer()
        self._most_keys = most_keys
        self._rules = rules_of(learning, window_s, rearm_s, max_keys)

    def _scan(self, start: int, wire: seen.Wire) -> int:
        """The detector's own kernel over `wire` from record `start`; the record to go on with."""
        raise NotImplementedError

    def on_batch(self, batch: Columns) -> Alerts:
        """Judge and learn."""
        if not len(batch):
            return Alerts.none()
        wire = seen.Wire(*(evidence.read_only(getattr(batch, name)) for name in seen.Wire._fields))
        return evidence.run(lambda at: self._scan(at, wire), len(batch), self.slots, self._evidence, self._most_keys)

    def on_mark(self, mark: Mark) -> Recalled | None:
        """Nothing here waits for time."""
        return None

    def snapshot(self, buckets: Buckets) -> State:
        """All state of these buckets."""
        return self.slots.snapshot(buckets)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot."""
        self.slots.restore(state)

    def counters(self) -> Mapping[str, int]:
        """Keys held, known, strange, forgotten, refused; bytes of state."""
        known = int(((self.slots.keys[:, k.STATUS] & k.KNOWN) != 0).sum())
        return {**self.slots.counters(), "known": known, "strange": len(self.slots) - known}

    def _enter(self, words: NDArray[np.uint64], baseline: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
        return enter_known(self.slots, words, baseline)


def rules_of(learning: Learning, window_s: float, rearm_s: float, max_keys: int) -> seen.Rules:
    """Settings as kernels take them; the arguments are those of :class:`Existence`."""
    return seen.Rules(
        learns_only=learning.learns_only,
        start_ns=k.UNSET if learning.start_ns is None else learning.start_ns,
        site_ns=learning.site_ns,
        window_ns=int(window_s * SECOND_NS),
        rearm_ns=int(rearm_s * SECOND_NS),
        limit=max_keys,
    )


def enter_known(slots: Slots, words: NDArray[np.uint64], baseline: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Hold the keys of a baseline as known; `words` (n, 5) beside its rows.  Their slots."""
    places = slots.add(words, k.KNOWN)
    rows = slots.rows("seen")
    rows["since"][places] = k.UNSET
    for name in ("flags", "asking_mac", "answering_mac"):
        rows[name][places] = 0
    for name in ("first", "last", "n"):
        rows[name][places] = np.asarray(baseline[name]).astype(np.int64)
    return places


def baseline_columns(**columns: Any) -> dict[str, NDArray[Any]]:
    """Columns of BASELINE without `detector`, those not given filled: of one length, `peer` as uint64 (n, 2)."""
    n = len(columns["device"])
    filled: dict[str, Any] = {
        "device": 0,
        "unit": np.zeros(n, np.uint32),
        "space": np.zeros(n, np.uint16),
        "addr": np.zeros(n, np.uint64),
        "addr_sub": np.zeros(n, np.uint32),
        "name_id": np.zeros(n, np.uint64),
        "peer": np.zeros((n, 2), np.uint64),
        "parameter": np.full(n, "", "U24"),
        "code": np.zeros(n, np.uint64),
        "value": np.zeros(n, np.float64),
        "state": np.full(n, LearnState.LIVE, np.uint8),
        "n": np.zeros(n, np.uint64),
        "first": np.zeros(n, np.int64),
        "last": np.zeros(n, np.int64),
    }
    return {name: np.ascontiguousarray(columns.get(name, default)) for name, default in filled.items()}


def addresses(peer: Any) -> NDArray[np.uint64]:
    """The column `peer` as uint64 (n, 2), from that or from 16-byte strings."""
    array = np.asarray(peer)
    if array.dtype == np.uint64:
        return array.reshape(-1, 2)
    return np.frombuffer(b"".join(bytes(p) for p in peer), np.uint64).reshape(-1, 2)
