"""Point runs: how a protocol says which values a PDU carries, without writing a column itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import layout as c

Row = NDArray[np.int64]
Rows = NDArray[np.int64]


@kernel(inline=True)
def add_run(
    s: Row, runs: Rows, space: int, addr: int, count: int, encoding: int, offset: int, direction: int, quality: int
) -> int:
    """Append a run of `count` values from byte `offset`; its number, or -1 when the PDU has too many."""
    k = s[c.S_RUNS]
    if k >= c.RUNS or count <= 0:
        return -1
    s[c.S_RUNS] = k + 1
    runs[k, c.N_SPACE] = space
    runs[k, c.N_ADDR] = addr
    runs[k, c.N_STEP] = 1
    runs[k, c.N_COUNT] = count
    runs[k, c.N_ENCODING] = encoding
    runs[k, c.N_OFFSET] = offset
    runs[k, c.N_QUALITY] = quality
    runs[k, c.N_DIRECTION] = direction
    runs[k, c.N_ADDR_SUB] = 0
    runs[k, c.N_NAME_ID] = 0
    runs[k, c.N_LENGTH] = 0
    runs[k, c.N_SOURCE_TS] = 0
    return int(k)
