"""Kernel of the inventory: records counted into groups of one (client, server, link, unit, function)."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import kernel
from detectors.kernels.mix import mix

WORDS = 8
"""Words of a group's key: client address (2), device, client MAC, server MAC, numbers, unit and VLAN, in use."""
COUNTS = 6
"""Counters of a group: first and last time, requests, responses, errors, timeouts; `records` is kept apart."""

_PROBES = 32
_M0 = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xC2B2AE3D27D4EB4F)
_M2 = np.uint64(0x165667B19E3779F9)
_M3 = np.uint64(0xD6E8FEB86659FD93)
_M4 = np.uint64(0xA0761D6478BD642F)
_M5 = np.uint64(0xE7037ED1A0B428DB)
_REQUEST, _RESPONSE, _TIMEOUT, _ANNOUNCE = 1, 2, 5, 9


@kernel()
def group(
    ts: Any,
    src_ip: Any,
    dst_ip: Any,
    src_mac: Any,
    dst_mac: Any,
    src_port: Any,
    dst_port: Any,
    vlan: Any,
    device: Any,
    unit: Any,
    client_is_src: Any,
    protocol: Any,
    kind: Any,
    op: Any,
    func: Any,
    status: Any,
    keys: Any,
    server: Any,
    counts: Any,
    records: Any,
    used: Any,
) -> None:
    """Count each record into its group; an address that is announced asks nobody, and belongs to none.

    Args:
        ts: int64, n; the columns up to `status` are RECORD's in their own types, addresses (n, 2) uint64; read-only.
        keys: uint64, (slots, WORDS), zeroed at first; slots is a power of two.
        server: uint64, (slots, 2): the server's address, from the group's first record.
        counts: int64, (slots, COUNTS).
        records: int64, (slots,).
        used: int64, 3: groups held, most that may be held, records that found no room.
    """
    mask = np.uint64(len(keys) - 1)
    for i in range(len(ts)):
        if kind[i] == _ANNOUNCE:
            continue
        if client_is_src[i]:
            c0, c1, s0, s1 = src_ip[i, 0], src_ip[i, 1], dst_ip[i, 0], dst_ip[i, 1]
            cm, sm, port = src_mac[i], dst_mac[i], np.uint64(dst_port[i])
        else:
            c0, c1, s0, s1 = dst_ip[i, 0], dst_ip[i, 1], src_ip[i, 0], src_ip[i, 1]
            cm, sm, port = dst_mac[i], src_mac[i], np.uint64(src_port[i])
        d = device[i]
        numbers = np.uint64(protocol[i]) | (np.uint64(op[i]) << np.uint64(8)) | (np.uint64(func[i]) << np.uint64(16))
        numbers |= port << np.uint64(32)
        place = np.uint64(unit[i]) | (np.uint64(vlan[i]) << np.uint64(32))
        # Independent products, so that the processor overlaps them; a chain of mixes would wait for each.
        spread = (c0 * _M0) ^ (c1 * _M1) ^ (d * _M2) ^ (cm * _M3) ^ (sm * _M4) ^ (numbers * _M5)
        slot = mix(spread, place) & mask
        found = False
        for _ in range(_PROBES):
            if keys[slot, 7] == np.uint64(0):
                if used[0] < used[1]:
                    used[0] += 1
                    keys[slot, 0], keys[slot, 1], keys[slot, 2], keys[slot, 3] = c0, c1, d, cm
                    keys[slot, 4], keys[slot, 5], keys[slot, 6], keys[slot, 7] = sm, numbers, place, np.uint64(1)
                    server[slot, 0], server[slot, 1] = s0, s1
                    counts[slot, 0] = counts[slot, 1] = ts[i]
                    found = True
                break
            if (
                keys[slot, 0] == c0
                and keys[slot, 1] == c1
                and keys[slot, 2] == d
                and keys[slot, 3] == cm
                and keys[slot, 4] == sm
                and keys[slot, 5] == numbers
                and keys[slot, 6] == place
            ):
                found = True
                break
            slot = (slot + np.uint64(1)) & mask
        if not found:
            used[2] += 1
            continue
        counts[slot, 0] = min(counts[slot, 0], ts[i])
        counts[slot, 1] = max(counts[slot, 1], ts[i])
        records[slot] += 1
        k = kind[i]
        if k == _REQUEST:
            counts[slot, 2] += 1
        elif k == _RESPONSE:
            counts[slot, 3] += 1
            if status[i] != 0:
                counts[slot, 4] += 1
        elif k == _TIMEOUT:
            counts[slot, 5] += 1
