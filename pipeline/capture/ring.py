"""Ring: the few buffers that all blocks of a run are read into, over and over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.capture.kernels import INDEX_ROWS

DEPTH = 4
"""One block with the consumer, two waiting for it, one being filled."""


class Ring:
    """Byte buffers and packet indexes, each used again DEPTH blocks later.

    Memory that was never written costs nothing, so a buffer is as large as the largest record wants.

    Attributes:
        lent: a block of the present buffer is out, so that it must not be written to.
    """

    def __init__(self, capacity: int, packets: int) -> None:
        self._buffers = [np.empty(capacity, np.uint8) for _ in range(DEPTH)]
        self._indexes = [np.empty((INDEX_ROWS, packets), np.int64) for _ in range(DEPTH)]
        self._buffer = 0
        self._index = 0
        self.lent = False

    @property
    def buffer(self) -> NDArray[np.uint8]:
        """Where bytes go now."""
        return self._buffers[self._buffer]

    @property
    def index(self) -> NDArray[np.int64]:
        """Where the walk notes packets now."""
        return self._indexes[self._index]

    def lend(self) -> None:
        """A block of the present buffer and index goes out."""
        self.lent = True
        self._index = (self._index + 1) % DEPTH

    def unlent_buffer(self) -> NDArray[np.uint8]:
        """The present buffer if nobody reads it, else the one longest out of use."""
        if self.lent:
            self._buffer = (self._buffer + 1) % DEPTH
            self.lent = False
        return self.buffer
