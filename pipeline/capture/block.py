"""PacketBlock: a stretch of raw bytes and where the packets lie in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PacketBlock:
    """Packets that one kernel call walks.

    The arrays belong to the reader and are valid until the next block is asked for: decode keeps no view of them.

    Attributes:
        data: the bytes, C-contiguous uint8, writable flag set (one kernel signature for every source).
        offset: int64, start of each packet's bytes in `data`.
        captured: int64, bytes kept of each packet; `offset + captured <= len(data)` always.
        original: int64, bytes the packet had on the wire.
        ts_ns: int64, capture time, nanoseconds since 1970 UTC.
        link: int64, link type of each packet (tcpdump's LINKTYPE numbers).
        first_packet: running number over the whole input of the first packet here, from 1.
        capture: index of the capture file among the captures of the run.
    """

    data: NDArray[np.uint8]
    offset: NDArray[np.int64]
    captured: NDArray[np.int64]
    original: NDArray[np.int64]
    ts_ns: NDArray[np.int64]
    link: NDArray[np.int64]
    first_packet: int
    capture: int

    def __len__(self) -> int:
        return len(self.offset)
