"""Kernels with a planted fault: where bounds are checked, they must fail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode.bytes import be16


@kernel()
def beyond(data: NDArray[np.uint8]) -> int:
    """Read one byte behind the end."""
    return int(data[data.size])


@kernel()
def load_beyond(data: NDArray[np.uint8]) -> int:
    """Load a word of which the last byte is behind the end."""
    return int(be16(data, data.size - 1))
