"""Drift: a level that moves away from where it was, too little at a time for the range and the steps to show it.

Two exponentially weighted means follow the value, one fast, one slow; a two-sided CUSUM (Page 1954) adds up how far the
fast one lies from the slow one, in units of their mean distance, beyond what is allowed for.  Its limit comes from the
largest sum that learning saw.  Numbers are float32: forty bytes a tag would be double.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import kernel

FAST = 0.2
"""Weight of a value in the fast mean."""
SLOW = 0.0025
"""Weight of a value in the slow mean."""
ALLOWED = 2.0
"""Distance of the means that adds nothing, in units of their mean distance."""
CUT = 6.0
"""A distance counts at most so many times into the mean distance."""
WARM = 400
"""Values until the slow mean means something: 1 / SLOW."""
LEAST = 4 * WARM
"""Values of which a limit can be learned."""
FACTOR = 1.25
FLOOR = 5.0
"""The limit is FACTOR times the largest sum learned, plus FLOOR."""
ROUGH = 0.1
"""Least ratio of the mean square of steps to the variance (von Neumann 1941; 2 for noise, 0 for what creeps): below
it a level has no place where it belongs."""

DRIFT = np.dtype(
    [
        ("fast", np.float32),
        ("slow", np.float32),
        ("scale", np.float32),
        ("up", np.float32),
        ("down", np.float32),
        ("limit", np.float32),
    ]
)
"""Both means, their mean distance, the sums upward and downward, and the limit (0: not judged; while learning: the
largest sum so far; below 0: it has moved).  `up` is below 0 while the level is to be found."""


_HUGE = 1e30


@kernel(inline=True)
def _bounded(x: Any) -> Any:
    """A number that float32 has room for, with those that are made of it."""
    return min(max(x, -_HUGE), _HUGE)


@kernel(inline=True)
def begin_drift(drift: Any, tag: Any, x: Any) -> None:
    """First sight of a tag."""
    drift["fast"][tag] = _bounded(x)
    drift["slow"][tag] = _bounded(x)
    drift["scale"][tag] = 0.0
    drift["up"][tag] = 0.0
    drift["down"][tag] = 0.0
    drift["limit"][tag] = 0.0


@kernel(inline=True)
def _follow(drift: Any, tag: Any, e: Any, weight: Any) -> None:
    """Let the slow mean and the mean distance follow."""
    size = abs(e)
    scale = np.float64(drift["scale"][tag])
    drift["slow"][tag] += weight * e
    drift["scale"][tag] = scale + weight * (min(size, CUT * scale) - scale)


@kernel(inline=True)
def _add_up(drift: Any, tag: Any, e: Any) -> Any:
    """Add a distance to both sums; the larger one."""
    scale = np.float64(drift["scale"][tag])
    if scale <= 0.0:
        return 0.0
    z = e / scale
    up = max(0.0, np.float64(drift["up"][tag]) + z - ALLOWED)
    down = max(0.0, np.float64(drift["down"][tag]) - z - ALLOWED)
    drift["up"][tag] = up
    drift["down"][tag] = down
    return max(up, down)


@kernel()
def learn_drift(drift: Any, tag: Any, x: Any, n: Any) -> None:
    """Take the `n`-th value of a tag as normal."""
    part = 1.0 / np.float64(n)
    drift["fast"][tag] += max(FAST, part) * (_bounded(x) - np.float64(drift["fast"][tag]))
    e = np.float64(drift["fast"][tag]) - np.float64(drift["slow"][tag])
    if n <= WARM:
        drift["slow"][tag] += max(SLOW, part) * e
        scale = np.float64(drift["scale"][tag])
        drift["scale"][tag] = scale + max(SLOW, part) * (abs(e) - scale)
        return
    largest = _add_up(drift, tag, e)
    drift["limit"][tag] = max(np.float64(drift["limit"][tag]), largest)
    _follow(drift, tag, e, SLOW)


@kernel()
def settle_drift(drift: Any, tag: Any, judged: Any, n: Any, roughness: Any) -> None:
    """The largest sum learned becomes the limit; 0 where the level cannot be judged."""
    largest = np.float64(drift["limit"][tag])
    finite = largest < _HUGE and 0.0 < drift["scale"][tag] < _HUGE
    able = judged and finite and n >= LEAST and roughness >= ROUGH
    drift["limit"][tag] = FACTOR * largest + FLOOR if able else 0.0
    if not able:
        drift["fast"][tag] = 0.0
        drift["slow"][tag] = 0.0
        drift["scale"][tag] = 0.0
    drift["up"][tag] = 0.0
    drift["down"][tag] = 0.0


@kernel()
def _find(drift: Any, tag: Any, x: Any) -> None:
    """Find the level anew: the first WARM values since a baseline was adopted; `up` counts them from -WARM to 0.

    A baseline may have been learned in another season: where the level lies is not known, how much it moves is.
    """
    k = WARM + 1 + np.int64(drift["up"][tag])
    part = 1.0 / np.float64(k)
    drift["fast"][tag] += max(FAST, part) * (_bounded(x) - np.float64(drift["fast"][tag]))
    e = np.float64(drift["fast"][tag]) - np.float64(drift["slow"][tag])
    drift["slow"][tag] += max(SLOW, part) * e
    drift["up"][tag] += 1.0


@kernel()
def adopt_level(drift: Any, tag: Any) -> None:
    """The level of a tag whose limit a baseline tells is to be found."""
    drift["fast"][tag] = 0.0
    drift["slow"][tag] = 0.0
    drift["up"][tag] = -WARM
    drift["down"][tag] = 0.0


@kernel(inline=True)
def drifts(drift: Any, tag: Any, x: Any) -> Any:
    """Whether the level has just moved; that is told once, and again when it has come to rest in between."""
    if drift["up"][tag] < 0.0:
        _find(drift, tag, x)
        return False
    drift["fast"][tag] += FAST * (_bounded(x) - np.float64(drift["fast"][tag]))
    e = np.float64(drift["fast"][tag]) - np.float64(drift["slow"][tag])
    limit = np.float64(drift["limit"][tag])
    bound = abs(limit)
    largest = _add_up(drift, tag, e)
    drift["up"][tag] = min(np.float64(drift["up"][tag]), 2.0 * bound)
    drift["down"][tag] = min(np.float64(drift["down"][tag]), 2.0 * bound)
    if limit > 0.0 and largest > bound:
        drift["limit"][tag] = -bound
        return True
    _follow(drift, tag, e, SLOW)
    if largest <= 0.5 * bound:
        drift["limit"][tag] = bound
    return False
