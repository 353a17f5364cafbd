"""Value in baselines: a row for each tag and parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.existence import baseline_columns
from detectors.kernels import settle, still
from detectors.kernels import slots as k
from detectors.kernels.drift import adopt_level
from detectors.kernels.learning import PAGE, REPORTED, WRITTEN, clear
from detectors.kernels.still import ANALOG
from detectors.kernels.words import ANY
from detectors.slots import Slots
from schemas.codes import LearnState

SIDES = {REPORTED: "reported", WRITTEN: "written"}
_FEW_REPORTS = 4
"""A reported tag with fewer than this part of `value_samples` goes into a baseline as not learned."""
_DAY_NS = 86_400_000_000_000
_SHARE = 0.5
"""Of the budget, for ranges; the rest is for all else."""
_LONG = 0.5
"""Doublings from which what came since the latest mark says enough; else what came between the two before does."""
_HOT, _COLD, _LEVEL, _HALF = 0, 1, 2, 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a parameter is held: an array, a field, of 64 bits which half; whether it has a row where it is 0."""

    array: int
    name: str
    always: bool = True
    shift: int = -1

    def of(self, arrays: list[NDArray[Any]]) -> NDArray[np.float64]:
        """The parameter of each tag."""
        held = arrays[self.array][self.name]
        if self.shift >= 0:
            held = np.where(held == ANY, np.uint64(0), held) >> np.uint64(self.shift) & np.uint64(_HALF)
        return np.asarray(held, np.float64)

    def set(self, arrays: list[NDArray[Any]], tags: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        """Give it to tags."""
        held = arrays[self.array][self.name]
        if self.shift < 0:
            held[tags] = value
        else:
            held[tags] |= value.astype(np.uint64) << np.uint64(self.shift)


PARAMETERS = {
    "low": _Place(_COLD, "low"),
    "high": _Place(_COLD, "high"),
    "margin": _Place(_COLD, "margin"),
    "step": _Place(_COLD, "step"),
    "unchanged": _Place(_COLD, "unchanged"),
    "longest": _Place(_COLD, "longest"),
    "longest_ns": _Place(_COLD, "longest_ns"),
    "gap_ns": _Place(_HOT, "gap"),
    "kind": _Place(_HOT, "kind"),
    "type": _Place(_HOT, "type"),
    "states": _Place(_COLD, "bits", always=False, shift=0),
    "more_states": _Place(_COLD, "bits", always=False, shift=32),
    "bits_ever": _Place(_COLD, "ones", always=False),
    "bits_always": _Place(_COLD, "always", always=False),
    "rest_low_s": _Place(_COLD, "rest_low", always=False),
    "rest_high_s": _Place(_COLD, "rest_high", always=False),
    "level_scale": _Place(_LEVEL, "scale", always=False),
    "level_limit": _Place(_LEVEL, "limit", always=False),
}
"""Parameters of a tag in a baseline, after "reported." or "written.": the learned range, the margin as a share of it,
the largest normal step, the share of polls without a change, the longest standstill in polls and in ns, the longest
silence, the kind (`detectors.kernels.settle.KINDS`), and how its points were encoded (PointType, or as
`detectors.kernels.wide` has it): learned of one encoding of the site file, it says nothing about another.  Where it has
them: the states it took, as bits of their hashes; bits ever and always set; the longest rest in either of two states;
the mean distance from the level, and how far it may go (`detectors.kernels.drift`)."""
_NAMES = tuple(PARAMETERS)


def learned(slots: Slots, lengths: settle.Lengths, budget_per_day: float) -> Mapping[str, NDArray[Any]]:
    """A row for each tag and parameter, see PARAMETERS; a tag with too few values says LEARN in `state`."""
    arrays = [slots.rows(name).copy() for name in ("hot", "cold", "drift")]
    lengths = calibrated(arrays[_HOT], arrays[_COLD], lengths, budget_per_day)
    settle.settle_all(arrays[_HOT], arrays[_COLD], arrays[_LEVEL], lengths)
    tags = np.flatnonzero((arrays[_HOT]["state"] != 0) & (arrays[_HOT]["n"] > 0))
    arrays[_LEVEL]["limit"] = np.abs(arrays[_LEVEL]["limit"])
    hot, cold, _ = arrays = [array[tags] for array in arrays]
    keys = slots.keys[tags // PAGE]
    side = (keys[:, 1] >> np.uint64(48)).astype(np.int64)
    enough = (side == WRITTEN) | (_FEW_REPORTS * hot["n"] >= lengths.samples)
    one = baseline_columns(
        device=keys[:, 0],
        unit=(keys[:, 1] & np.uint64(0xFFFFFFFF)).astype(np.uint32),
        space=(keys[:, 1] >> np.uint64(32) & np.uint64(0xFFFF)).astype(np.uint16),
        addr=keys[:, 4] << np.uint64(3) | (tags % PAGE).astype(np.uint64),
        addr_sub=keys[:, 2].astype(np.uint32),
        name_id=keys[:, 3],
        state=np.where(enough, LearnState.LIVE, LearnState.LEARN).astype(np.uint8),
        n=hot["n"].astype(np.uint64),
        first=cold["first"],
        last=np.maximum(cold["first"], hot["seen"]),
    )
    numbers = np.column_stack([place.of(arrays) for place in PARAMETERS.values()])
    names = np.array([[f"{SIDES[s]}.{name}" for name in PARAMETERS] for s in SIDES], "U24")[side - 1]
    tag, parameter = np.nonzero(np.array([place.always for place in PARAMETERS.values()]) | (numbers != 0))
    rows = {name: column[tag] for name, column in one.items()}
    return {**rows, "value": numbers[tag, parameter], "parameter": names[tag, parameter]}


def calibrated(hot: NDArray[Any], cold: NDArray[Any], lengths: settle.Lengths, budget_per_day: float) -> settle.Lengths:
    """Settings with a margin of ranges that keeps the tags that leave theirs within a day inside the budget.

    The last part of each tag's learning is held against the margin that the parts before would have given.  What a day
    brings follows from the law of records: of any distribution, equally many are to be expected each time that the
    number of values doubles.
    """
    tags = np.flatnonzero((hot["state"] == LearnState.LEARN) | (hot["state"] == LearnState.SHADOW))
    tags = tags[[settle.classify(hot, cold, tag) == ANALOG for tag in tags]]
    if not len(tags) or not lengths.learns_only:
        return lengths
    latest = np.array([settle.overshoot(hot, cold, tag) for tag in tags])
    since = np.log2(hot["n"][tags]) % 1.0
    is_long = since >= _LONG
    beyond = np.where(is_long, latest - cold["margin"][tags], cold["margin"][tags] - cold["unchanged"][tags])
    span_ns = int((hot["seen"][tags] - cold["first"][tags]).max())
    doublings = np.log2(1 + _DAY_NS / max(span_ns, 1)) * len(tags) / np.where(is_long, since, 1.0).sum()
    allowed = int(min(budget_per_day * _SHARE / doublings, len(tags)))
    worst = np.sort(beyond)[::-1]
    margin = float(worst[allowed]) if allowed < len(tags) else 0.0
    return lengths._replace(margin=max(lengths.margin, margin))


def adopt(slots: Slots, baseline: Mapping[str, NDArray[Any]]) -> None:
    """Enter the tags that were learned; parameters that a baseline does not name say nothing of their tag."""
    keep = np.flatnonzero(np.asarray(baseline["state"]) == LearnState.LIVE)
    rows = {name: np.asarray(column)[keep] for name, column in baseline.items()}
    side, parameter = _parameters(rows["parameter"])
    words = np.zeros((len(keep), k.WORDS), np.uint64)
    unit, space = np.asarray(rows["unit"]).astype(np.uint64), np.asarray(rows["space"]).astype(np.uint64)
    words[:, 0] = rows["device"]
    words[:, 1] = unit | space << np.uint64(32) | side << np.uint64(48)
    words[:, 2] = rows["addr_sub"]
    words[:, 3] = rows["name_id"]
    addr = np.asarray(rows["addr"], np.uint64)
    words[:, 4] = addr >> np.uint64(3)
    tags = _pages(slots, words) * PAGE + (addr & np.uint64(7)).astype(np.int64)
    _set(slots, tags, parameter, rows)


def _pages(slots: Slots, words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The slots of pages, cleared where they are new."""
    before = len(slots)
    found = slots.add(words, k.KNOWN)
    for page in range(before, len(slots)):
        clear(slots.held["hot"], page)
    return found


def _set(slots: Slots, tags: NDArray[np.int64], parameter: NDArray[np.int64], rows: Mapping[str, NDArray[Any]]) -> None:
    hot, cold, level = arrays = [slots.held[name] for name in ("hot", "cold", "drift")]
    for array in arrays:
        array[tags] = 0
    value = np.asarray(rows["value"], np.float64)
    for i, place in enumerate(PARAMETERS.values()):
        mine = parameter == i
        place.set(arrays, tags[mine], value[mine])
    cold["unchanged"][_without(tags, parameter, "unchanged")] = 1.0
    cold["bits"][_without(tags, parameter, "states", "more_states")] = ANY
    hot["n"][tags] = rows["n"].astype(np.int64)
    hot["last"][tags] = np.nan
    hot["seen"][tags] = rows["last"].astype(np.int64)
    cold["first"][tags] = rows["first"].astype(np.int64)
    cold["since"][tags] = still.NEVER
    for tag in np.unique(tags):
        settle.apply_bounds(hot, cold, tag)
        adopt_level(level, tag)


def _without(tags: NDArray[np.int64], parameter: NDArray[np.int64], *names: str) -> NDArray[np.int64]:
    """Tags of which a baseline says none of these."""
    named = np.isin(parameter, [_NAMES.index(name) for name in names])
    return tags[~np.isin(tags, tags[named])]


def _parameters(names: NDArray[Any]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """(direction class, index into PARAMETERS) of each parameter's name."""
    codes = {f"{SIDES[side]}.{name}": (side, i) for side in SIDES for i, name in enumerate(PARAMETERS)}
    pairs = np.array([codes[str(name)] for name in names], np.int64).reshape(-1, 2)
    return pairs[:, 0].astype(np.uint64), pairs[:, 1]
