"""Learning: what a tag shows goes into its extremes, steps, rests, states, bits and means, until it is settled."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import kernel
from detectors.kernels.drift import begin_drift, learn_drift
from detectors.kernels.settle import LEARN, SHADOW, mark_extremes, settle, unwrapped
from detectors.kernels.still import NEVER, learn_still
from detectors.kernels.words import begin_word, learn_word

PAGE = 8
"""Tags to a page."""

REPORTED = 1
WRITTEN = 2
"""Direction class: what the device says, what it is told."""


@kernel()
def clear(hot: Any, page: Any) -> None:
    """Forget the eight tags of `page`."""
    for tag in range(page * PAGE, (page + 1) * PAGE):
        hot["state"][tag] = 0
        hot["n"][tag] = 0


@kernel()
def begin(tags: Any, tag: Any, x: Any, ts: Any, kind: Any) -> None:
    """First sight of a tag."""
    hot, cold, drift = tags.hot, tags.cold, tags.drift
    hot["low"][tag] = x
    hot["high"][tag] = x
    hot["last"][tag] = x
    hot["reach"][tag] = 0.0
    hot["seen"][tag] = ts
    hot["gap"][tag] = 0
    hot["n"][tag] = 1
    hot["state"][tag] = LEARN
    hot["kind"][tag] = 0
    hot["type"][tag] = kind
    hot["alarmed"][tag] = 0
    hot["same"][tag] = 0
    hot["still"][tag] = 0
    cold["first"][tag] = ts
    cold["since"][tag] = NEVER
    cold["low"][tag] = x
    cold["high"][tag] = x
    cold["step"][tag] = 0.0
    cold["wrapped"][tag] = 0.0
    cold["travel"][tag] = 0.0
    cold["margin"][tag] = 0.0
    cold["wider"][tag] = 0.0
    cold["ups"][tag] = 0
    cold["downs"][tag] = 0
    cold["moved"][tag] = ts
    cold["longest"][tag] = 0
    cold["longest_ns"][tag] = 0
    cold["unchanged"][tag] = 0.0
    cold["mean"][tag] = x
    cold["squares"][tag] = 0.0
    cold["variance"][tag] = 0.0
    cold["rest_low"][tag] = 0.0
    cold["rest_high"][tag] = 0.0
    begin_word(cold, tag, x)
    begin_drift(drift, tag, x)


@kernel()
def learn_spread(cold: Any, tag: Any, x: Any, d: Any, n: Any) -> None:
    """Mean, variance and mean square of steps with the `n`-th value, a step `d` from the one before (Welford 1962)."""
    part = 1.0 / np.float64(n)
    away = x - cold["mean"][tag]
    cold["mean"][tag] += part * away
    variance = np.float64(cold["variance"][tag])
    cold["variance"][tag] = variance + part * (away * (x - cold["mean"][tag]) - variance)
    squares = np.float64(cold["squares"][tag])
    cold["squares"][tag] = squares + (d * d - squares) / np.float64(n - 1)


@kernel()
def learn(tags: Any, tag: Any, x: Any, ts: Any, kind: Any, side: Any, lengths: Any) -> Any:
    """Take a value as normal; whether the tag has just gone live."""
    hot, cold, drift = tags.hot, tags.cold, tags.drift
    hot["n"][tag] += 1
    n = hot["n"][tag]
    d = x - hot["last"][tag]
    size = abs(d)
    hot["low"][tag] = min(hot["low"][tag], x)
    hot["high"][tag] = max(hot["high"][tag], x)
    hot["reach"][tag] = max(hot["reach"][tag], size)
    way = unwrapped(d, kind)
    cold["wrapped"][tag] = max(cold["wrapped"][tag], abs(way))
    cold["travel"][tag] += size
    if way > 0.0:
        cold["ups"][tag] += 1
    elif way < 0.0:
        cold["downs"][tag] += 1
    if d != 0.0:
        learn_word(cold, tag, x, hot["last"][tag], n)
    learn_spread(cold, tag, x, d, n)
    learn_drift(drift, tag, x, n)
    learn_still(hot, cold, tag, x, ts)
    hot["gap"][tag] = max(hot["gap"][tag], ts - hot["seen"][tag])
    hot["last"][tag] = x
    hot["seen"][tag] = max(hot["seen"][tag], ts)
    if lengths.learns_only:
        if n >= 16 and (n & (n - 1)) == 0:
            mark_extremes(hot, cold, tag)
        return False
    samples = lengths.samples if side == REPORTED else lengths.writes
    age = ts - cold["first"][tag]
    if hot["state"][tag] == LEARN:
        if 4 * age >= 3 * lengths.value_ns and 4 * n >= 3 * samples:
            mark_extremes(hot, cold, tag)
            hot["state"][tag] = SHADOW
        return False
    if age >= lengths.value_ns and n >= samples:
        settle(hot, cold, drift, tag, lengths)
        return True
    return False
