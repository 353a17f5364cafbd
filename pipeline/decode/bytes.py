"""Reading numbers from captured bytes, widened to int64.  Callers check bounds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, is_checked, kernel, unaligned_load

Bytes = NDArray[np.uint8]

Load = Callable[[Bytes, int], int]


def _load(size: int, *, big_endian: bool) -> Load:
    """The load of `size` bytes: one machine load, or byte by byte where indices are checked."""
    if not is_checked():
        return unaligned_load(8 * size, big_endian=big_endian)

    @kernel(inline=True)
    def byte_by_byte(data: Bytes, at: int) -> int:
        value = i64(0)
        for i in range(size):
            value = (value << 8) | i64(data[at + (i if big_endian else size - 1 - i)])
        return value

    return byte_by_byte


u8 = _load(1, big_endian=True)
be16 = _load(2, big_endian=True)
le16 = _load(2, big_endian=False)
be32 = _load(4, big_endian=True)
le32 = _load(4, big_endian=False)
be64 = _load(8, big_endian=True)
le64 = _load(8, big_endian=False)
be64 = _load(8, big_endian=True)


@kernel(inline=True)
def be48(data: Bytes, at: int) -> int:
    """Six bytes, most significant first."""
    return (be32(data, at) << 16) | be16(data, at + 4)


@kernel()
def crc16_modbus(data: Bytes, start: int, end: int) -> int:
    """CRC-16/MODBUS of data[start:end]: MODBUS over Serial Line V1.02, 6.2.2 and appendix B."""
    crc = i64(0xFFFF)
    for i in range(start, end):
        crc ^= u8(data, i)
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc
