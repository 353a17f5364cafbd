"""Reading numbers from captured bytes, widened to int64.  Callers check bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import is_checked, kernel, unaligned_load

Bytes = NDArray[np.uint8]

if is_checked():

    @kernel(inline=True)
    def u8(data: Bytes, at: int) -> int:
        """One byte."""
        return np.int64(data[at])

    @kernel(inline=True)
    def be16(data: Bytes, at: int) -> int:
        """Two bytes, most significant first."""
        return (u8(data, at) << 8) | u8(data, at + 1)

    @kernel(inline=True)
    def le16(data: Bytes, at: int) -> int:
        """Two bytes, least significant first."""
        return u8(data, at) | (u8(data, at + 1) << 8)

    @kernel(inline=True)
    def be32(data: Bytes, at: int) -> int:
        """Four bytes, most significant first."""
        return (be16(data, at) << 16) | be16(data, at + 2)

    @kernel(inline=True)
    def le32(data: Bytes, at: int) -> int:
        """Four bytes, least significant first."""
        return le16(data, at) | (le16(data, at + 2) << 16)

    @kernel(inline=True)
    def le64(data: Bytes, at: int) -> int:
        """Eight bytes, least significant first, as a signed number."""
        return le32(data, at) | (le32(data, at + 4) << 32)

else:
    u8 = unaligned_load(8, big_endian=True)
    be16 = unaligned_load(16, big_endian=True)
    le16 = unaligned_load(16, big_endian=False)
    be32 = unaligned_load(32, big_endian=True)
    le32 = unaligned_load(32, big_endian=False)
    le64 = unaligned_load(64, big_endian=False)


@kernel(inline=True)
def be48(data: Bytes, at: int) -> int:
    """Six bytes, most significant first."""
    return (be32(data, at) << 16) | be16(data, at + 4)


@kernel()
def crc16_modbus(data: Bytes, start: int, end: int) -> int:
    """CRC-16/MODBUS of data[start:end]: MODBUS over Serial Line V1.02, 6.2.2 and appendix B."""
    crc = np.int64(0xFFFF)
    for i in range(start, end):
        crc ^= u8(data, i)
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc
