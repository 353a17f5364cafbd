"""Wide: registers that the site file or a baseline gives a type become the values they mean, two words at a time.

Tables are open-addressed rows of three words of key and one of content, 0 for an empty place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.mix import mix
from schemas.codes import PointType, Quality, Space

TYPED = 0x80
"""Bit of a point's type: it is said how the value is read; below it word order (bits 5, 6) and PointType."""
PLAIN = 1
"""Content of a tag that the site file has as it is on the wire, so that no baseline reads it otherwise."""
BASE = 0x1F
"""Mask of the PointType in such a type."""
PART = 1 << 15
"""Quality bit of a word whose value is told by another point, or that is only half of a value."""

JOINED = 0
SIGNED = 1
HALVES = 2
COUNTS = ("wide values joined", "signed values", "halves of wide values")

_U8 = int(PointType.U8)
_U16 = int(PointType.U16)
_I16 = int(PointType.I16)
_I32 = int(PointType.I32)
_F32 = int(PointType.F32)
_BAD = int(Quality.ADDRESS_UNKNOWN | Quality.INVALID)
_OF_MAC = np.uint64(1 << 32)
_OF_DEVICE = np.uint64(1 << 33)
_S7_INPUT = int(Space.S7_INPUT)
_S7_INSTANCE_BLOCK = int(Space.S7_INSTANCE_BLOCK)
_S7_PERIPHERAL = int(Space.S7_PERIPHERAL)
_S7_LOCAL = int(Space.S7_LOCAL)
_NONE = np.uint64(0)


class Wire(NamedTuple):
    """The record columns that tell whose points they are; see `schemas.record`."""

    src_ip: NDArray[np.uint64]
    dst_ip: NDArray[np.uint64]
    src_mac: NDArray[np.uint64]
    dst_mac: NDArray[np.uint64]
    vlan: NDArray[np.uint32]
    client_is_src: NDArray[np.uint8]
    device: NDArray[np.uint64]
    unit: NDArray[np.uint32]
    offsets: NDArray[np.int32]


class Words(NamedTuple):
    """The point columns that tell which words belong together; see `schemas.record`."""

    space: NDArray[np.uint16]
    addr: NDArray[np.uint64]
    addr_sub: NDArray[np.uint32]
    name_id: NDArray[np.uint64]
    value: NDArray[np.float64]
    type: NDArray[np.uint8]
    quality: NDArray[np.uint16]
    direction: NDArray[np.uint8]


class Read(NamedTuple):
    """Copies of three point columns, in which values take the place of their words."""

    value: NDArray[np.float64]
    type: NDArray[np.uint8]
    quality: NDArray[np.uint16]


@kernel()
def place_of(table: Any, w0: Any, w1: Any, w2: Any) -> Any:
    """Where a key stands in `table`, or the empty place where it would."""
    mask = len(table) - 1
    at = np.int64(mix(mix(mix(np.uint64(0), w0), w1), w2) & np.uint64(mask))
    while table[at, 3] != _NONE and not (table[at, 0] == w0 and table[at, 1] == w1 and table[at, 2] == w2):
        at = (at + 1) & mask
    return at


@kernel()
def fill(table: Any, rows: Any) -> None:
    """Enter rows into an empty table; of rows with one key the first stays.

    Args:
        table: uint64 (m, 4), m a power of two, more than twice the rows.
        rows: uint64 (n, 4).
    """
    for i in range(len(rows)):
        at = place_of(table, rows[i, 0], rows[i, 1], rows[i, 2])
        if table[at, 3] == _NONE:
            for word in range(4):
                table[at, word] = rows[i, word]


@kernel(inline=True)
def content(table: Any, w0: Any, w1: Any, w2: Any) -> Any:
    """What is held for a key, 0 for none."""
    return table[place_of(table, w0, w1, w2), 3]


@kernel()
def host_of(hosts: Any, hi: Any, lo: Any, mac: Any, vlan: Any) -> Any:
    """The number of the site's device at an address, 0 for none: by IP before MAC, with its VLAN before without."""
    scope = np.uint64(vlan & np.uint32(0xFFFF)) + np.uint64(1)
    found = content(hosts, hi, lo, scope)
    if found == _NONE:
        found = content(hosts, hi, lo, _NONE)
    if found == _NONE:
        found = content(hosts, mac, _NONE, scope | _OF_MAC)
    if found == _NONE:
        found = content(hosts, mac, _NONE, _OF_MAC)
    return found


@kernel(inline=True)
def counts_bits(space: Any) -> Any:
    """Whether addresses of this space count bits, so that words may be read byte by byte."""
    return _S7_INPUT <= space <= _S7_INSTANCE_BLOCK or space in (_S7_PERIPHERAL, _S7_LOCAL)


@kernel(inline=True)
def word_step(space: Any) -> Any:
    """How far the addresses of adjacent words are apart."""
    return np.uint64(16 if counts_bits(space) else 1)


@kernel(inline=True)
def parts_of(points: Any, j: Any) -> Any:
    """How many points like j make a value of two words: 2 for words, 4 for bytes of a data block, 0 for others."""
    if points.name_id[j] != _NONE:
        return 0
    if points.type[j] == _U16:
        return 2
    return 4 if points.type[j] == _U8 and counts_bits(np.int64(points.space[j])) else 0


@kernel(inline=True)
def follows(points: Any, k: Any) -> Any:
    """Whether point k is the next part of a value that the point before it is part of."""
    j = k - 1
    step = np.uint64(8) if points.type[j] == _U8 else word_step(np.int64(points.space[j]))
    return (
        points.addr[k] == points.addr[j] + step
        and points.space[k] == points.space[j]
        and points.addr_sub[k] == points.addr_sub[j]
        and points.name_id[k] == points.name_id[j]
        and points.direction[k] == points.direction[j]
        and points.type[k] == points.type[j]
    )


@kernel()
def are_whole(points: Any, j: Any, parts: Any, stop: Any) -> Any:
    """Whether a value of so many parts lies at point j, before point `stop`."""
    if j + parts > stop:
        return False
    whole = True
    for k in range(j + 1, j + parts):
        whole = whole and follows(points, k)
    return whole


@kernel()
def word_at(points: Any, j: Any, parts: Any) -> Any:
    """The word at point j, of two bytes where a value has four parts."""
    return points.value[j] if parts == 2 else points.value[j] * 256.0 + points.value[j + 1]


@kernel(inline=True)
def swapped(word: Any) -> Any:
    """A word with its bytes the other way round."""
    return (word & 0xFF) << 8 | word >> 8


@kernel()
def _float(bits: Any) -> Any:
    """The number of an IEEE 754 single; the many NaNs are one, since casting a signalling one is an error."""
    if bits & 0x7F800000 == 0x7F800000:
        if bits & 0x7FFFFF != 0:
            return np.nan
        return -np.inf if bits >= 1 << 31 else np.inf
    return np.float64(np.uint32(bits).view(np.float32))


@kernel()
def joined(first: Any, second: Any, form: Any) -> Any:
    """The value that two words carry, by the word order and type in `form`."""
    one = np.int64(first)
    two = np.int64(second)
    order = (form >> 5) & 3
    if order >= 2:
        one = swapped(one)
        two = swapped(two)
    if order in (1, 3):
        one, two = two, one
    bits = one << 16 | two
    kind = form & BASE
    if kind == _F32:
        return _float(bits)
    if kind == _I32 and bits >= 1 << 31:
        bits -= 1 << 32
    return np.float64(bits)


@kernel(inline=True)
def is_wide(form: Any) -> Any:
    """Whether a value of this type takes two words."""
    return form & TYPED != 0 and form & BASE != _I16


@kernel()
def form_at(tags: Any, site: Any, learned: Any, unit: Any, w1: Any, addr: Any, step: Any) -> Any:
    """How the point at an address is read: as the site file says, else as was learned where the two do not cross."""
    low = np.uint64(unit)
    form = np.int64(0)
    if site != _NONE:
        form = np.int64(content(tags, site << np.uint64(32) | low, w1, addr))
    if form != 0 or learned == _NONE:
        return form
    form = np.int64(content(tags, learned << np.uint64(32) | low, w1, addr))
    if form != 0 and site != _NONE:
        w0 = site << np.uint64(32) | low
        if is_wide(np.int64(content(tags, w0, w1, addr - step))):
            return np.int64(0)
        if is_wide(form) and content(tags, w0, w1, addr + step) != _NONE:
            return np.int64(0)
    return form


@kernel()
def read(wire: Any, points: Any, hosts: Any, tags: Any, out: Any, counts: Any) -> None:
    """Turn words into values where the site file or a baseline says how.

    Args:
        wire: `Wire`.
        points: `Words`.
        hosts: table from (address, VLAN scope), and from a device's id, to the number of a list of tags.
        tags: table from (number of the list and unit, space and second part of the address, address) to a form.
        out: `Read`, copies of the columns in `points`; the value stands at its first word, the other is a PART.
        counts: int64, by COUNTS.
    """
    site = learned = _NONE
    device = hi = lo = mac = ~_NONE
    vlan = np.uint32(0)
    for i in range(len(wire.unit)):
        j = np.int64(wire.offsets[i])
        stop = np.int64(wire.offsets[i + 1])
        if j == stop:
            continue
        asks = wire.client_is_src[i] != 0
        ip = wire.dst_ip if asks else wire.src_ip
        link = wire.dst_mac[i] if asks else wire.src_mac[i]
        if ip[i, 0] != hi or ip[i, 1] != lo or link != mac or wire.vlan[i] != vlan:
            hi, lo, mac, vlan = ip[i, 0], ip[i, 1], link, wire.vlan[i]
            site = host_of(hosts, hi, lo, mac, vlan)
        if wire.device[i] != device:
            device = wire.device[i]
            learned = content(hosts, device, _NONE, _OF_DEVICE)
        if site == _NONE and learned == _NONE:
            continue
        while j < stop:
            form = np.int64(0)
            parts = parts_of(points, j)
            if parts != 0:
                w1 = np.uint64(points.addr_sub[j]) << np.uint64(32) | np.uint64(points.space[j])
                step = word_step(np.int64(points.space[j]))
                form = form_at(tags, site, learned, wire.unit[i], w1, points.addr[j], step)
            if form & TYPED == 0 or (parts == 4 and not is_wide(form)):
                j += 1
            elif form & BASE == _I16:
                if points.value[j] > 32767.0:
                    out.value[j] = points.value[j] - 65536.0
                out.type[j] = form
                counts[SIGNED] += 1
                j += 1
            elif are_whole(points, j, parts, stop):
                second = word_at(points, j + parts // 2, parts)
                out.value[j] = joined(word_at(points, j, parts), second, form)
                out.type[j] = form
                for k in range(j + 1, j + parts):
                    out.quality[j] |= points.quality[k]
                    out.quality[k] |= PART
                counts[JOINED] += 1
                j += parts
            else:
                out.quality[j] |= PART
                counts[HALVES] += 1
                j += 1
