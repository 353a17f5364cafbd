"""Settle: what has been learned of a tag becomes the bounds it is held against.

After IPAL's "SIMPLE" MinMax and Gradient (Wolsing et al. 2022), with margins widened by what the last part of the
learning showed beyond the first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from detectors.jit import kernel
from detectors.kernels.drift import settle_drift
from detectors.kernels.still import ANALOG, settle_rest, still_limit
from detectors.kernels.wide import BASE
from detectors.kernels.words import BITFIELD, DISCRETE, is_bits, popcount, settle_states
from schemas.codes import LearnState, PointType

LEARN = int(LearnState.LEARN)
SHADOW = int(LearnState.SHADOW)
LIVE = int(LearnState.LIVE)

CONSTANT = 1
COUNTER = 4
UNSCORABLE = 5
KINDS = ("", "constant", "discrete", "analog", "counter", "unscorable", "bit field")
"""What a tag was found to be: one value; few values, no margin; a range with margin and steps; rising or falling
throughout, steps alone; a register that is no quantity of its own, such as the low half of a float; bits alone."""

HOT = np.dtype(
    [
        ("low", np.float64),
        ("high", np.float64),
        ("last", np.float64),
        ("reach", np.float64),
        ("seen", np.int64),
        ("gap", np.int64),
        ("n", np.int64),
        ("state", np.uint8),
        ("kind", np.uint8),
        ("type", np.uint8),
        ("alarmed", np.uint8),
        ("same", np.uint16),
        ("still", np.uint16),
    ],
    align=True,
)
"""What every value of a tag touches, 64 bytes: bounds (while learning: extremes), value before, largest normal step,
ns of the latest value, longest silence learned, values, LearnState, kind, type of its points (PointType, or as
`detectors.kernels.wide` has it), whether it is out of range, for how many polls it has not changed, and how many of
these are normal (0: any number)."""

COLD = np.dtype(
    [
        ("low", np.float64),
        ("high", np.float64),
        ("step", np.float64),
        ("margin", np.float64),
        ("wider", np.float64),
        ("wrapped", np.float64),
        ("travel", np.float64),
        ("mean", np.float64),
        ("unchanged", np.float64),
        ("bits", np.uint64),
        ("first", np.int64),
        ("since", np.int64),
        ("moved", np.int64),
        ("longest_ns", np.int64),
        ("squares", np.float32),
        ("variance", np.float32),
        ("rest_low", np.float32),
        ("rest_high", np.float32),
        ("ups", np.uint32),
        ("downs", np.uint32),
        ("longest", np.uint32),
        ("fresh", np.uint32),
        ("ones", np.uint32),
        ("always", np.uint32),
        ("changed", np.uint16),
        ("toggled", np.uint16),
        ("doubled", np.uint16),
    ]
)
"""What only learning and alarms touch: extremes and largest step of the first part of learning, then of all; margin
as a share of the range; largest step where the number wraps; way travelled; mean; share of polls without a change;
one bit for each distinct value; ns of first sight; ns since it is out of range, or at which a standstill was told; ns
of the value that did not change since; longest standstill learned, in ns; mean square of steps; variance; longest rest
at either end of the range, in seconds; steps up, steps down; longest standstill in polls; values until the last new
one; bits that were ever set, and that always were; changes looked at, bits that flipped in them, and how many were a
power of two.  While learning, `margin` and `wider` are the overshoot of range and steps up to the latest mark,
`unchanged` that of the range up to the mark before."""

FEW = 10
"""Up to so many distinct values a tag is a state, not a quantity."""

_U16 = int(PointType.U16)
_I16 = int(PointType.I16)
_U32 = int(PointType.U32)
_I32 = int(PointType.I32)
_SPAN16 = 65536.0
_SPAN32 = 4294967296.0


class Lengths(NamedTuple):
    """Settings, as numbers; meaning as in `detectors.value.Params` and `detectors.lifecycle.Learning`."""

    learns_only: bool
    value_ns: int
    samples: int
    writes: int
    margin: float
    step_margin: float
    step_floor: float
    window_ns: int
    rearm_ns: int
    limit: int


@kernel(inline=True)
def wrap_span(form: Any) -> Any:
    """How far apart an integer's ends are by its encoding, 0.0 where it does not wrap."""
    kind = form & BASE
    if kind in (_U16, _I16):
        return _SPAN16
    return _SPAN32 if kind in (_U32, _I32) else 0.0


@kernel(inline=True)
def unwrapped(d: Any, kind: Any) -> Any:
    """The step `d` of an integer that may have run over its end: the shorter way round."""
    span = wrap_span(kind)
    if span > 0.0 and abs(d) > 0.5 * span:
        return d + span if d < 0.0 else d - span
    return d


@kernel()
def overshoot(hot: Any, cold: Any, tag: Any) -> Any:
    """How far the last part of learning went beyond the first, as a share of the first's range, at most 1."""
    width = cold["high"][tag] - cold["low"][tag]
    if width <= 0.0:
        return 0.0
    over = max(cold["low"][tag] - hot["low"][tag], hot["high"][tag] - cold["high"][tag])
    return min(over / width, 1.0)


@kernel()
def growth(hot: Any, cold: Any, tag: Any) -> Any:
    """How much larger the largest step of the last part of learning is, as a share of the first's, at most 1."""
    before = cold["step"][tag]
    return min((hot["reach"][tag] - before) / before, 1.0) if before > 0.0 else 0.0


@kernel()
def mark_extremes(hot: Any, cold: Any, tag: Any) -> None:
    """Note range and steps so far; what goes beyond them later tells how much margin the tag needs.

    What went beyond the mark before is kept, so that there is always a stretch to calibrate by.
    """
    cold["unchanged"][tag] = cold["margin"][tag]
    cold["margin"][tag] = overshoot(hot, cold, tag)
    cold["wider"][tag] = growth(hot, cold, tag)
    cold["low"][tag] = hot["low"][tag]
    cold["high"][tag] = hot["high"][tag]
    cold["step"][tag] = hot["reach"][tag]


@kernel()
def classify(hot: Any, cold: Any, tag: Any) -> Any:
    """What a tag is, by what it has shown while learning."""
    width = hot["high"][tag] - hot["low"][tag]
    if width == 0.0:
        return CONSTANT
    kind = np.int64(hot["type"][tag])
    distinct = popcount(cold["bits"][tag])
    ups = np.int64(cold["ups"][tag])
    downs = np.int64(cold["downs"][tag])
    if distinct > FEW and (100 * downs <= ups or 100 * ups <= downs):
        return COUNTER
    if distinct > FEW and is_bits(cold, tag):
        return BITFIELD
    if distinct > FEW and kind in (_U16, _I16):
        wide = width > 0.9 * _SPAN16
        rough = width > 0.5 * _SPAN16 and cold["travel"][tag] > 0.25 * width * np.float64(hot["n"][tag] - 1)
        if wide or rough:
            return UNSCORABLE
    walks = distinct >= 4 and hot["reach"][tag] <= width / 3.0
    return ANALOG if distinct > FEW or walks else DISCRETE


@kernel()
def apply_bounds(hot: Any, cold: Any, tag: Any) -> None:
    """Bounds from the extremes, the margin and the kind in `cold` and `hot`, and LIVE from now on."""
    kind = hot["kind"][tag]
    low = cold["low"][tag]
    high = cold["high"][tag]
    slack = cold["margin"][tag] * (high - low)
    hot["low"][tag] = low - slack
    hot["high"][tag] = high + slack
    hot["reach"][tag] = cold["step"][tag]
    if kind in (COUNTER, UNSCORABLE, BITFIELD):
        hot["low"][tag] = -np.inf
        hot["high"][tag] = np.inf
    if kind in (CONSTANT, DISCRETE, UNSCORABLE, BITFIELD):
        hot["reach"][tag] = np.inf
    hot["still"][tag] = still_limit(cold, tag, kind, hot["n"][tag], hot["gap"][tag])
    hot["state"][tag] = LIVE


@kernel()
def settle(hot: Any, cold: Any, drift: Any, tag: Any, lengths: Any) -> None:
    """End the learning of a tag: margin = the setting + the overshoot, at least one step of a tag that walks.

    The largest normal step is that learned, times one plus `step_margin` plus the overshoot of steps, plus
    `step_floor` of the range.
    """
    found = classify(hot, cold, tag)
    hot["kind"][tag] = found
    width = hot["high"][tag] - hot["low"][tag]
    margin = 0.0
    step = hot["reach"][tag]
    if found == COUNTER:
        step = cold["wrapped"][tag]
    if found == ANALOG:
        margin = lengths.margin + max(overshoot(hot, cold, tag), cold["margin"][tag])
        if popcount(cold["bits"][tag]) <= FEW:
            margin = max(margin, step / width)
    wider = max(growth(hot, cold, tag), cold["wider"][tag])
    floor = lengths.step_floor * width if found == ANALOG else 0.0
    cold["low"][tag] = hot["low"][tag]
    cold["high"][tag] = hot["high"][tag]
    cold["margin"][tag] = margin
    cold["step"][tag] = step * (1.0 + lengths.step_margin + wider) + floor
    steps = hot["n"][tag] - 1
    moves = np.int64(cold["ups"][tag]) + np.int64(cold["downs"][tag])
    cold["unchanged"][tag] = 1.0 - np.float64(moves) / np.float64(steps) if steps > 0 else 0.0
    variance = np.float64(cold["variance"][tag])
    roughness = np.float64(cold["squares"][tag]) / variance if variance > 0.0 else 0.0
    settle_drift(drift, tag, found == ANALOG, hot["n"][tag], roughness)
    settle_rest(cold, tag, found == DISCRETE and popcount(cold["bits"][tag]) == 2)
    settle_states(cold, tag, found, np.int64(hot["type"][tag]), hot["n"][tag])
    apply_bounds(hot, cold, tag)


@kernel()
def settle_all(hot: Any, cold: Any, drift: Any, lengths: Any) -> None:
    """Settle every tag that is still learning."""
    for tag in range(len(hot)):
        if hot["state"][tag] in (LEARN, SHADOW):
            settle(hot, cold, drift, tag, lengths)
