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
_MASK = (1 << 64) - 1


@kernel(inline=True)
def _compiled(seed: np.uint64, word: np.uint64) -> np.uint64:
    z = (seed ^ word) + _GAMMA
    z = (z ^ (z >> np.uint64(30))) * _M1
    z = (z ^ (z >> np.uint64(27))) * _M2
    return z ^ (z >> np.uint64(31))


def _interpreted(seed: np.uint64, word: np.uint64) -> np.uint64:
    """The same on Python's integers: numpy warns of the overflow that is meant."""
    z = (int(seed) ^ int(word)) + int(_GAMMA) & _MASK
    z = (z ^ z >> 30) * int(_M1) & _MASK
    z = (z ^ z >> 27) * int(_M2) & _MASK
    return np.uint64(z ^ z >> 31)


mix = _compiled if hasattr(_compiled, "py_func") else _interpreted
"""mix(seed, word): the hash of `seed` followed by `word`; both uint64.

Seed and word are joined by XOR, so that mix(a, b) is mix(b, a): the hash of two numbers a, b, hashes among them, is
mix(mix(0, a), b).
"""


@kernel(inline=True)
def _folded(seed: np.uint64, word: np.uint64) -> np.uint64:
    z = (seed ^ word) * _GAMMA
    return z ^ (z >> np.uint64(32))


def _folded_by_hand(seed: np.uint64, word: np.uint64) -> np.uint64:
    z = (int(seed) ^ int(word)) * int(_GAMMA) & _MASK
    return np.uint64(z ^ z >> 32)


fold = _folded if hasattr(_folded, "py_func") else _folded_by_hand
"""fold(seed, word): half as dear as `mix`, for the inner words of a long row whose end goes through `mix`."""
