"""Placeholders in the tables of function pointers for protocols whose kernels are not loaded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode.bytes import Bytes
from pipeline.decode.signatures import BODY, FRAME, HEAD

Row = NDArray[np.int64]
Rows = NDArray[np.int64]


@kernel(FRAME)
def frame(data: Bytes, at: int, end: int, w: Row) -> int:
    """Not this protocol."""
    return -1


@kernel(HEAD)
def head(data: Bytes, at: int, size: int, w: Row) -> int:
    """Says nothing."""
    return 0


@kernel(BODY)
def body(data: Bytes, at: int, size: int, w: Row) -> int:
    """Says nothing."""
    return 0
