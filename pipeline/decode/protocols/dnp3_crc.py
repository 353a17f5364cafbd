"""The CRC of DNP3 link frames (IEEE Std 1815-2012, 9.2.4 and annex E): polynomial 0x3D65, lowest bit first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode.bytes import Bytes, le16, le64, u8

BLOCK = 16
"""Bytes of user data before each CRC."""
HEADER = 8
"""Bytes of a frame's header before its CRC."""


def _tables() -> NDArray[np.int64]:
    """Remainders of a byte that is followed by 0 to 7 bytes of zeros: eight bytes are reckoned at once."""
    found = np.zeros((8, 256), np.int64)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA6BC if crc & 1 else crc >> 1
        found[0, byte] = crc
    for k in range(1, 8):
        found[k] = found[k - 1] >> 8 ^ found[0, found[k - 1] & 255]
    return found


_TABLES = _tables()


@kernel()
def crc(data: Bytes, at: int, size: int) -> int:
    """CRC of data[at:at + size]."""
    found = i64(0)
    while size >= 8:
        x = le64(data, at) ^ found
        found = _TABLES[7, x & 255] ^ _TABLES[6, (x >> 8) & 255] ^ _TABLES[5, (x >> 16) & 255]
        found ^= _TABLES[4, (x >> 24) & 255] ^ _TABLES[3, (x >> 32) & 255] ^ _TABLES[2, (x >> 40) & 255]
        found ^= _TABLES[1, (x >> 48) & 255] ^ _TABLES[0, (x >> 56) & 255]
        at += 8
        size -= 8
    for i in range(size):
        found = (found >> 8) ^ _TABLES[0, (found ^ u8(data, at + i)) & 255]
    return found ^ 0xFFFF


@kernel()
def holds(data: Bytes, at: int, size: int) -> bool:
    """Whether the CRC behind data[at:at + size] is right."""
    return bool(crc(data, at, size) == le16(data, at + size))


@kernel()
def whole_blocks(data: Bytes, at: int, end: int, size: int) -> int:
    """Bytes of user data that lie in data[at:end] with their CRC, of `size`; -1 where a CRC is wrong."""
    done = i64(0)
    while done < size:
        block = min(BLOCK, size - done)
        if at + block + 2 > end:
            return done
        if not holds(data, at, block):
            return -1
        at += block + 2
        done += block
    return done
