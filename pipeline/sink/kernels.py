"""Kernels of the sink: a record's keys beside each of its points, and which points differ from their tag's last."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import kernel
from detectors.kernels.mix import mix

WORDS = 8
"""Words of a tag in the table of :func:`changed`: one cache line."""
_PROBES = 64
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_M1, _M2, _M3 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0xD6E8FEB86659FD93)
_KNOWN, _FIRST, _NO_ROOM = 0, 1, 2


@kernel()
def spread(
    offsets: Any,
    ts: Any,
    seq: Any,
    device: Any,
    unit: Any,
    ts_out: Any,
    seq_out: Any,
    device_out: Any,
    unit_out: Any,
) -> None:
    """Repeat the keys of record i for the points `offsets[i]:offsets[i + 1]`, counted from `offsets[0]`.

    Args:
        offsets: int64, n + 1, ascending.
        ts: int64, n, as are seq and device (uint64) and unit (uint32); read-only.
        ts_out: int64 like its `ts`, as are the other outputs; at least `offsets[n] - offsets[0]` long.
    """
    base = offsets[0]
    for i in range(len(ts)):
        start, stop = offsets[i] - base, offsets[i + 1] - base
        if start == stop:
            continue
        ts_out[start:stop] = ts[i]
        seq_out[start:stop] = seq[i]
        device_out[start:stop] = device[i]
        unit_out[start:stop] = unit[i]


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
