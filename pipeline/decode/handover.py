"""More numbers than S_EXTRA has room for, handed on from a request to its answer: the items of a long read, say.

A small table by the seq of the request, bounded: a request of the same place takes it over, and the older one's answer
finds nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import layout as c

Row = NDArray[np.int64]


@kernel(inline=True)
def _place(seq: int) -> int:
    return c.HANDED_AT + (seq & (c.HANDOVERS - 1)) * (c.HANDOVER + 1)


@kernel()
def hand_on(w: Row, k: int, number: int) -> int:
    """Keep number `k` of the request at hand, below HANDOVER; number 0 first."""
    place = _place(w[c.C_SEQ])
    if k == 0:
        w[place] = w[c.C_SEQ]
    w[place + 1 + k] = number
    return 0


@kernel()
def handed_on(w: Row, k: int) -> int:
    """Number `k` that the request of the answer at hand kept, 0 where it is lost."""
    place = _place(w[c.S_PEER_SEQ])
    return int(w[place + 1 + k]) if w[place] == w[c.S_PEER_SEQ] else 0
