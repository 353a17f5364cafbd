"""Kernels of the sink: which points differ from their tag's last, and the encodings of columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import i64, kernel
from detectors.kernels.mix import mix

WORDS = 8
"""Words of a tag in the table of :func:`changed`: one cache line."""
_PROBES = 64
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_M1, _M2, _M3 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0xD6E8FEB86659FD93)
_KNOWN, _FIRST, _NO_ROOM = 0, 1, 2


@kernel()
def changed(
    offsets: Any,
    device: Any,
    unit: Any,
    space: Any,
    addr: Any,
    addr_sub: Any,
    name_id: Any,
    direction: Any,
    bits: Any,
    raw: Any,
    table: Any,
    used: Any,
    point_out: Any,
    record_out: Any,
) -> int:
    """Which points differ from the last one kept of their tag and direction; the first of a tag is kept.

    Args:
        offsets: int64, n + 1: where the points of each record lie in the point arrays.
        device: uint64, n; unit: uint32, n: the records' keys.
        space: uint16 like the other point columns in their own types; `bits` is uint64, the bits of `value`.
        raw: int64: with the bits it is the whole value, so that text compares by name.
        table: uint64, (capacity, WORDS), zeroed at first: device and unit hashed, space with direction and second
            part of the address, address, name; value bits, raw; unused; taken.  Capacity is a power of two.
        used: int64, 3: tags held, most that may be held, points of tags that found no room (those are kept).
        point_out, record_out: int64, as long as there are points: indices of what is kept.

    Returns:
        How many are kept.
    """
    kept = 0
    mask = np.uint64(len(table) - 1)
    for i in range(len(device)):
        stem = mix(mix(_ZERO, device[i]), np.uint64(unit[i]))
        for j in range(offsets[i], offsets[i + 1]):
            where = np.uint64(space[j]) | (np.uint64(direction[j]) << np.uint64(16))
            where |= np.uint64(addr_sub[j]) << np.uint64(32)
            at, name = addr[j], name_id[j]
            # Independent products, which the processor overlaps; keys are compared whole, so they need not be strong.
            slot = mix(stem ^ (where * _M1), (at * _M2) ^ (name * _M3)) & mask
            state = _NO_ROOM
            for _ in range(_PROBES):
                if table[slot, 7] == _ZERO:
                    if used[0] < used[1]:
                        used[0] += 1
                        table[slot, 0], table[slot, 1], table[slot, 2] = stem, where, at
                        table[slot, 3], table[slot, 7] = name, _ONE
                        state = _FIRST
                    break
                if (
                    table[slot, 0] == stem
                    and table[slot, 1] == where
                    and table[slot, 2] == at
                    and table[slot, 3] == name
                ):
                    state = _KNOWN
                    break
                slot = (slot + _ONE) & mask
            if state == _NO_ROOM:
                used[2] += 1
            elif state == _KNOWN and table[slot, 4] == bits[j] and table[slot, 5] == np.uint64(raw[j]):
                continue
            else:
                table[slot, 4], table[slot, 5] = bits[j], np.uint64(raw[j])
            point_out[kept], record_out[kept] = j, i
            kept += 1
    return kept


@kernel()
def same(words: Any) -> bool:
    """Whether all 64-bit words are equal.

    Args:
        words: uint64, read-only, not empty.
    """
    n = len(words)
    first = words[0]
    for i in range(min(n, 64)):  # what is not constant mostly shows it here
        if words[i] != first:
            return False
    differs = _ZERO
    for i in range(n):
        differs |= words[i] ^ first
    return bool(differs == _ZERO)


@kernel()
def split(memory: Any, out: Any) -> None:
    """BYTE_STREAM_SPLIT of float64: first byte of each value, then second bytes, and so on."""
    n = len(memory) // 8
    for byte in range(8):
        for i in range(n):
            out[byte * n + i] = memory[8 * i + byte]


@kernel(inline=True)
def _put_varint(value: Any, out: Any, at: int) -> int:
    """Write a uint64, seven bits a byte; the place behind it."""
    while value > np.uint64(0x7F):
        out[at] = np.uint8((value & np.uint64(0x7F)) | np.uint64(0x80))
        value >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(value)
    return at + 1


@kernel()
def runs(counts: Any, first: int, width: int, out: Any) -> int:
    """RLE runs of dictionary entries: entry `first` counts[0] times, the next one counts[1] times, and so on.

    Args:
        counts: int64, each at least 1.
        width: bytes of an entry's number.
        out: uint8, room for 10 + width bytes a run behind out[0], which stays as it is.

    Returns:
        The bytes of `out` that are used.
    """
    at = 1
    entry = first
    for i in range(len(counts)):
        at = _put_varint(np.uint64(counts[i]) << np.uint64(1), out, at)
        for k in range(width):
            out[at + k] = np.uint8((entry >> (8 * k)) & 0xFF)
        at += width
        entry += 1
    return at


@kernel(inline=True)
def _zigzag(value: int) -> Any:
    return np.uint64((value << 1) ^ (value >> 63))


@kernel(inline=True)
def _pack(steps: Any, start: int, low: int, width: int, out: Any, at: int) -> int:
    """The 32 steps from `start` on less `low`, of `width` bits each, the lowest first; the place behind."""
    word, filled = np.uint64(0), 0
    for j in range(32):
        value = np.uint64(steps[start + j] - low)
        word |= value << np.uint64(filled)
        filled += width
        if filled >= 64:
            for k in range(8):
                out[at + k] = np.uint8((word >> np.uint64(8 * k)) & np.uint64(0xFF))
            at += 8
            filled -= 64
            word = value >> np.uint64(width - filled) if filled > 0 else np.uint64(0)
    for k in range(filled // 8):
        out[at + k] = np.uint8((word >> np.uint64(8 * k)) & np.uint64(0xFF))
    return at + filled // 8


@kernel(inline=True)
def _width_of(bits: Any) -> int:
    """Bits up to the highest that is set."""
    width = 0
    while bits != np.uint64(0):
        bits >>= np.uint64(1)
        width += 1
    return width


@kernel()
def delta(values: Any, bits: int, steps: Any, out: Any) -> int:
    """DELTA_BINARY_PACKED in blocks of 128 and miniblocks of 32.

    Args:
        values: int64, read-only, at least one; only their low `bits` bits count, 32 or 64.
        steps: int64, 128: scratch.
        out: uint8, room for 512 bytes and 9 a value.

    Returns:
        The bytes of `out` that are used.
    """
    n = len(values)
    at = _put_varint(np.uint64(128), out, 0)
    at = _put_varint(np.uint64(4), out, at)
    at = _put_varint(np.uint64(n), out, at)
    half, mask = (1 << 31, (1 << 32) - 1) if bits == 32 else (0, -1)
    at = _put_varint(_zigzag(((values[0] + half) & mask) - half), out, at)
    for block in range(1, n, 128):
        here = values[block - 1 : min(n, block + 128)]
        count = len(here) - 1
        low = i64(0x7FFFFFFFFFFFFFFF)
        for i in range(count):
            steps[i] = ((here[i + 1] - here[i] + half) & mask) - half
            low = min(low, steps[i])
        for i in range(count, 128):
            steps[i] = low
        at = _put_varint(_zigzag(low), out, at)
        widths = at
        at += 4
        for mini in range(4):
            most = np.uint64(0)
            for i in range(32):
                most |= np.uint64(steps[32 * mini + i] - low)
            width = _width_of(most)
            out[widths + mini] = width
            if width:
                at = _pack(steps, 32 * mini, low, width, out, at)
    return at
