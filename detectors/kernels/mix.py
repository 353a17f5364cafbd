"""64-bit mixing: the hash behind devices, flows, slots and finding ids.

The finaliser of SplitMix64 (Steele, Lea, Flood 2014: "Fast splittable pseudorandom number generators"), folded
over the words of a key.  Not a secret: every table that uses it is bounded, so chosen collisions cost time only.
"""

from __future__ import annotations

import numpy as np

from detectors.jit import kernel

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)


@kernel(inline=True)
def mix(seed: np.uint64, word: np.uint64) -> np.uint64:
    """The hash of `seed` followed by `word`; both uint64."""
    z = (seed ^ word) + _GAMMA
    z = (z ^ (z >> np.uint64(30))) * _M1
    z = (z ^ (z >> np.uint64(27))) * _M2
    return z ^ (z >> np.uint64(31))
