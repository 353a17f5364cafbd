"""What protocols remember between PDUs beyond X_STATE: a small table of (key, key) to number, bounded, oldest out.

Such as a selection that waits for its operate, or what a connection id stands for.  `a` is by custom X_FLOW or the
device, mixed with a number of the protocol's own for what is noted; `b` is what it is about.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import layout as c

Row = NDArray[np.int64]

_WAYS = 4
_K = i64(-7046029254386353131)
_A, _B, _VALUE, _TS, _USED = range(5)


@kernel()
def _set_of(a: int, b: int) -> int:
    h = (a ^ (b * -4658895280553007687)) * _K
    return int(c.NOTES_AT + ((h >> 24) & (c.NOTES // _WAYS - 1)) * _WAYS * c.NOTE)


@kernel()
def note(w: Row, a: int, b: int, value: int) -> int:
    """Remember `value` of (a, b), at the time of the packet at hand."""
    first = _set_of(a, b)
    best = first
    for k in range(first, first + _WAYS * c.NOTE, c.NOTE):
        if w[k + _USED] and w[k + _A] == a and w[k + _B] == b:
            best = k
            break
        if w[k + _USED] == 0:
            if w[best + _USED]:
                best = k
        elif w[best + _USED] and w[k + _TS] < w[best + _TS]:
            best = k
    w[best + _A] = a
    w[best + _B] = b
    w[best + _VALUE] = value
    w[best + _TS] = w[c.G_TS]
    w[best + _USED] = 1
    return 0


@kernel()
def noted(w: Row, a: int, b: int, within_ns: int) -> int:
    """What was remembered of (a, b) within the time, -1 for nothing: values are not negative."""
    first = _set_of(a, b)
    for k in range(first, first + _WAYS * c.NOTE, c.NOTE):
        if w[k + _USED] and w[k + _A] == a and w[k + _B] == b and w[c.G_TS] - w[k + _TS] <= within_ns:
            return int(w[k + _VALUE])
    return -1
