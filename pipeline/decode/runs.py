"""Point runs: how a protocol says which values a PDU carries, without writing a column itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import layout as c
from schemas.codes import Quality

Row = NDArray[np.int64]
Rows = NDArray[np.int64]

_TRUNCATED = int(Quality.TRUNCATED)


@kernel(inline=True)
def add_run(w: Row, space: int, addr: int, count: int, encoding: int, offset: int, direction: int, quality: int) -> int:
    """Append a run of `count` values from byte `offset`; its number, or -1 when the PDU has too many.

    `encoding` is one of `layout.ENC_…` or a word of `forms`.  Values that find no room are counted, and the last
    run says TRUNCATED.
    """
    k = w[c.S_RUNS]
    if k >= c.RUNS or count <= 0:
        if count > 0:
            w[c.S_LOST] += count
            w[c.RUNS_AT + (c.RUNS - 1) * c.RUN + c.N_QUALITY] |= _TRUNCATED
        return -1
    w[c.S_RUNS] = k + 1
    w[c.RUNS_AT + k * c.RUN + c.N_SPACE] = space
    w[c.RUNS_AT + k * c.RUN + c.N_ADDR] = addr
    w[c.RUNS_AT + k * c.RUN + c.N_STEP] = 1
    w[c.RUNS_AT + k * c.RUN + c.N_COUNT] = count
    w[c.RUNS_AT + k * c.RUN + c.N_ENCODING] = encoding
    w[c.RUNS_AT + k * c.RUN + c.N_OFFSET] = offset
    w[c.RUNS_AT + k * c.RUN + c.N_QUALITY] = quality
    w[c.RUNS_AT + k * c.RUN + c.N_DIRECTION] = direction
    w[c.RUNS_AT + k * c.RUN + c.N_ADDR_SUB] = 0
    w[c.RUNS_AT + k * c.RUN + c.N_NAME_ID] = 0
    w[c.RUNS_AT + k * c.RUN + c.N_LENGTH] = 0
    w[c.RUNS_AT + k * c.RUN + c.N_SOURCE_TS] = 0
    return int(k)
