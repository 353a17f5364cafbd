"""Keys of the tags that `detectors.plant` learns of."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import kernel
from detectors.kernels.plant import HUGE, READ, REPORT, UNUSABLE
from detectors.kernels.slots import hash_words


@kernel()
def keys_of(wire: Any, points: Any, keys: Any, rows: Any, chosen: Any) -> Any:
    """The values that rows can be made of, while learning.

    Args:
        wire, points: Wire and Values.
        keys: uint64 (points,), filled with the hash of each value's tag.
        rows: int64 (points,), filled with its record.
        chosen: int64 (points,), filled with its place among the points.

    Returns:
        How many there are.
    """
    n = 0
    for i in range(len(wire.ts)):
        for j in range(wire.offsets[i], wire.offsets[i + 1]):
            if points.direction[j] not in (READ, REPORT) or (points.quality[j] & UNUSABLE) != 0:
                continue
            if not (abs(points.value[j]) <= HUGE):
                continue
            w1 = np.uint64(wire.unit[i]) | np.uint64(points.space[j]) << np.uint64(32)
            keys[n] = hash_words(wire.device[i], w1, np.uint64(points.addr_sub[j]), points.name_id[j], points.addr[j])
            rows[n] = i
            chosen[n] = j
            n += 1
    return n
