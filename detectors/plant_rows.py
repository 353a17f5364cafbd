"""Rows: what `detectors.plant` keeps of clean traffic until it is fitted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.kernels import plant as kernel
from detectors.kernels.plant_keys import keys_of
from detectors.lifecycle import SECOND_NS
from detectors.plant_fit import Model, fit, grid

if TYPE_CHECKING:
    from detectors.plant import Params

MOST_VALUES = 20_000_000
"""Values that are kept, of all devices; further ones are passed over and counted."""

MOST_TAGS = 8
"""Tags of a device that are remembered, as a multiple of those that its model may have."""

TAG = np.dtype(
    [
        ("unit", np.uint32),
        ("space", np.uint16),
        ("sub", np.uint32),
        ("addr", np.uint64),
        ("name", np.uint64),
    ]
)
"""A tag of a device."""


class Fitted(NamedTuple):
    """A device's model with its tags (n,), rows behind it, and ns of the first and the last of them."""

    device: int
    tags: NDArray[Any]
    model: Model
    rows: int
    first: int
    last: int


class Rows:
    """The last value of each tag in each step of the grid."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._grid_ns = int(params.grid_s * SECOND_NS)
        self._tags: dict[int, tuple[int, tuple[Any, ...]]] = {}
        self._held: dict[int, int] = {}
        self._parts: list[tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.float64]]] = []
        self.values = 0
        self.refused = 0

    def take(self, wire: kernel.Wire, points: kernel.Values) -> None:
        """Keep the values of a batch."""
        size = int(wire.offsets[-1] - wire.offsets[0])
        keys, rows, chosen = np.empty(size, np.uint64), np.empty(size, np.int64), np.empty(size, np.int64)
        n = keys_of(wire, points, keys, rows, chosen)
        keys, rows, chosen = keys[:n], rows[:n], chosen[:n]
        steps = wire.ts[rows] // self._grid_ns
        order = np.lexsort((np.arange(n), steps, keys))
        last = np.append((np.diff(keys[order]) != 0) | (np.diff(steps[order]) != 0), True)[:n]
        kept = np.sort(order[last]) if n else order
        if self.values + len(kept) > MOST_VALUES:
            self.refused += len(kept)
            return
        self.values += len(kept)
        self._parts.append((keys[kept], steps[kept], points.value[chosen[kept]]))
        new, where = np.unique(keys[kept], return_index=True)
        for key, at in zip(new.tolist(), kept[where].tolist(), strict=True):
            i, j = int(rows[at]), int(chosen[at])
            device = int(wire.device[i])
            if key not in self._tags and self._held.get(device, 0) < MOST_TAGS * self._params.max_tags:
                self._held[device] = self._held.get(device, 0) + 1
                tag = (wire.unit[i], points.space[j], points.addr_sub[j], points.addr[j], points.name_id[j])
                self._tags[key] = device, tag

    def fitted(self) -> Iterator[Fitted]:
        """A model for each device that allows one."""
        if not self._parts:
            return
        keys, steps, values = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        own: dict[int, list[int]] = {}
        for key, (device, _) in self._tags.items():
            own.setdefault(device, []).append(key)
        order = np.argsort(keys, kind="stable")
        bounds = {int(k): (int(a), int(b)) for k, a, b in _runs(keys[order])}
        for device, tags in sorted(own.items()):
            chosen = sorted(tags, key=lambda key: self._tags[key][1])[: self._params.max_tags]
            at = np.concatenate([order[slice(*bounds[key])] for key in chosen])
            number = np.repeat(np.arange(len(chosen)), [bounds[key][1] - bounds[key][0] for key in chosen])
            found = self._model(device, chosen, steps[at], number, values[at])
            if found is not None:
                yield found

    def _model(
        self, device: int, chosen: list[int], steps: NDArray[np.int64], number: NDArray[np.int64], values: Any
    ) -> Fitted | None:
        span = (int(steps.max()) - int(steps.min())) * self._params.grid_s
        if span < self._params.least_learning_s:
            return None
        once = np.unique(np.stack([number, steps]), axis=1)[0]
        often = np.bincount(once, minlength=len(chosen)) * kernel.STALE > len(np.unique(steps))
        keep = np.flatnonzero(often)
        if not len(keep):
            return None
        renumber = np.cumsum(often) - 1
        mine = often[number]
        at, rows = grid(steps[mine], renumber[number[mine]], values[mine], len(keep), self._params.max_rows)
        model = fit(at, rows, self._params.smooth, self._params.margin)
        if model is None:
            return None
        tags = np.array([self._tags[chosen[i]][1] for i in keep], TAG)[model.keep]
        return Fitted(device, tags, model, len(rows), int(at[0]) * self._grid_ns, int(at[-1]) * self._grid_ns)


def _runs(keys: NDArray[np.uint64]) -> Iterator[tuple[int, int, int]]:
    """(key, start, stop) of each run of equal keys."""
    edges = [0, *(np.flatnonzero(np.diff(keys)) + 1).tolist(), len(keys)]
    for start, stop in pairwise(edges):
        yield int(keys[start]), start, stop
