"""Slots: keys and what is held for them, growing within bounds, snapshot per device bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.base import Buckets, State
from detectors.kernels import slots as k
from schemas.codes import BUCKETS

_BUCKET_STATE = k.HEAD
"""Columns of a bucket's row that are state; those behind are positions in this process's arrays."""


class Slots:
    """A table of keys with arrays of held rows, `per` rows to a slot.

    Args:
        limit: keys that one device bucket may hold.
        rows: dtype of each held array, structured.
        per: rows of each held array to a slot.
    """

    def __init__(self, limit: int, rows: Mapping[str, np.dtype[Any]], per: int = 1) -> None:
        self.limit = limit
        self._per = per
        capacity = 256
        self.held: dict[str, NDArray[Any]] = {n: np.zeros(capacity * per, t) for n, t in rows.items()}
        buckets = np.zeros((BUCKETS, k.BUCKET_WIDTH), np.int64)
        buckets[:, [k.START, k.CLOCK]] = k.UNSET
        buckets[:, [k.HEAD, k.TAIL]] = -1
        self.table = self._arrays(capacity, buckets)

    def _arrays(self, capacity: int, buckets: NDArray[np.int64]) -> k.Table:
        return k.Table(
            places=np.zeros(2 * capacity, np.int32),
            keys=np.zeros((capacity, k.WIDTH), np.uint64),
            links=np.full((capacity, 2), -1, np.int32),
            buckets=buckets,
            used=np.zeros(1, np.int64),
        )

    def __len__(self) -> int:
        return int(self.table.used[0])

    @property
    def keys(self) -> NDArray[np.uint64]:
        """The keys in use, (n, WIDTH)."""
        return self.table.keys[: len(self)]

    def rows(self, name: str) -> NDArray[Any]:
        """What is held under `name` for the slots in use, (n * per,)."""
        return self.held[name][: len(self) * self._per]

    @property
    def nbytes(self) -> int:
        """Bytes of state, with what is allocated ahead."""
        arrays: tuple[NDArray[Any], ...] = (*self.table, *self.held.values())
        return sum(a.nbytes for a in arrays)

    def reserve(self, free: int) -> None:
        """See to at least `free` free slots, moving everything into larger arrays where needed."""
        used = len(self)
        capacity = len(self.table.keys)
        if used + free <= capacity:
            return
        while capacity < used + free:
            capacity *= 2
        grown = self._arrays(capacity, self.table.buckets)
        grown.keys[:used] = self.table.keys[:used]
        grown.used[0] = used
        for name, old in self.held.items():
            new = np.zeros(capacity * self._per, old.dtype)
            new[: used * self._per] = old[: used * self._per]
            self.held[name] = new
        self.table = grown
        self._rebuild()

    def _rebuild(self) -> None:
        k.rebuild(self.table, np.argsort(self.keys[:, k.BORN], kind="stable").astype(np.int64))

    def adopt_everywhere(self) -> None:
        """Every bucket has a baseline: what it does not hold is strange from the first record."""
        self.table.buckets[:, k.ADOPTED] = 1

    def add(self, words: NDArray[np.uint64], status: np.uint64) -> NDArray[np.int64]:
        """The slots of keys (n, 5), entered where they are new, past the bound: what a person approved is kept."""
        self.reserve(len(words))
        slots = np.empty(len(words), np.int64)
        k.enter(self.table, np.ascontiguousarray(words), status, slots)
        return slots

    def snapshot(self, buckets: Buckets) -> State:
        """Everything held of `buckets`, rows by (bucket, hash), one plain array for each field."""
        used = len(self)
        of = (self.keys[:, 0] % k.N_BUCKETS).astype(np.int64)
        order = np.lexsort((self.keys[:, k.BORN], self.keys[:, k.HASH], of))
        order = order[np.isin(of[order], buckets)]
        state: State = {"keys": self.keys[order]}
        for name, array in self.held.items():
            table = array[: used * self._per].reshape(used, self._per)[order]
            state |= {f"{name}.{field}": np.ascontiguousarray(table[field]) for field in table.dtype.names or ()}
        rows = self.table.buckets[buckets, :_BUCKET_STATE]
        touched = (rows[:, k.START] != k.UNSET) | (rows[:, k.ADOPTED] != 0) | (rows[:, k.BIRTHS] != 0)
        state["buckets"] = np.column_stack([buckets[touched], rows[touched]]).astype(np.int64)
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot; what was held of its buckets, such as a baseline's keys, gives way to it."""
        coming = state["buckets"]
        kept = np.flatnonzero(~np.isin((self.keys[:, 0] % k.N_BUCKETS).astype(np.int64), coming[:, 0]))
        n = len(kept) + len(state["keys"])
        keys = np.concatenate([self.keys[kept], state["keys"]])
        held = {name: self._merged(name, kept, state) for name in self.held}
        self.table.used[0] = 0
        self.reserve(n)
        self.table.keys[:n] = keys
        self.table.used[0] = n
        for name, rows in held.items():
            self.held[name][: n * self._per] = rows
        self.table.buckets[coming[:, 0], :_BUCKET_STATE] = coming[:, 1:]
        self._rebuild()

    def _merged(self, name: str, kept: NDArray[np.intp], state: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        old = self.rows(name).reshape(-1, self._per)[kept]
        new = np.zeros((len(state["keys"]), self._per), old.dtype)
        for field in old.dtype.names or ():
            new[field] = state[f"{name}.{field}"]
        return np.concatenate([old, new]).reshape(-1)

    def counters(self) -> dict[str, int]:
        """Keys held, forgotten and refused for want of room, and bytes of state."""
        buckets = self.table.buckets
        return {
            "keys": len(self),
            "forgotten": int(buckets[:, k.FORGOTTEN].sum()),
            "refused": int(buckets[:, k.REFUSED].sum()),
            "state_bytes": self.nbytes,
        }


def snapshot_of(tables: Mapping[str, Slots], buckets: Buckets) -> State:
    """Everything that several tables hold of `buckets`, each array under "<table>/<name>"."""
    return {f"{part}/{name}": a for part, table in tables.items() for name, a in table.snapshot(buckets).items()}


def restore_into(tables: Mapping[str, Slots], state: Mapping[str, NDArray[Any]]) -> None:
    """Let each table take over its part of a snapshot."""
    for part, table in tables.items():
        own = f"{part}/"
        table.restore({name.removeprefix(own): a for name, a in state.items() if name.startswith(own)})
