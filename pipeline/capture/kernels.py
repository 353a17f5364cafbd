"""Kernels that walk the bytes of a capture and note where its packets lie.

Both walkers share one signature, so that one loop drives either format:

    walk(data, start, stop, state, interfaces, index) -> (position, count, reason)

`data[start:stop]` are bytes not walked yet; `state` (int64, STATE_WORDS) and `interfaces` (int64, rows of
INTERFACE_WORDS) live from call to call and belong to one file; `index` (int64, INDEX_ROWS by room) takes `count`
packets.
`position` is how far the walk came: always a border between records, or inside a block that is being passed over.
Every length read from the file is held against `stop` and the limits below before it is used.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from detectors.columns import I64, U8
from detectors.jit import kernel

MAX_CAPTURED = 262_144
"""Largest captured length believed, in bytes: the largest snapshot length that capture tools write."""
MAX_RECORD = 2 * MAX_CAPTURED
"""Most bytes of one record that are held at once; what a pcapng block has beyond is passed over."""
MAX_INTERFACES = 65_536
TIME_LIMIT = 1 << 62
"""Times are held to -2^62..2^62 ns (years 1823 to 2116), so that no difference of two overflows int64."""

# Why a walk stopped.
MORE = 0
FULL = 1
BAD_CAPTURED = 2
ZEROS = 3
BAD_LENGTH = 4
LENGTHS_DIFFER = 5
NO_INTERFACE = 6
TOO_MANY_INTERFACES = 7
BAD_ORDER = 8
BAD_VERSION = 9
NO_SECTION = 10
OTHER = 11  # never leaves this file: go on with something else

# Words of `state`.
BIG = 0  # 1: integers are big-endian
HEADER = 1  # pcap: bytes of a record's header
KIND = 2  # pcapng: type of the block last begun, 0 for none
SKIP = 3  # pcapng: bytes of that block still to pass over, its closing length included
TOTAL = 4  # pcapng: length of that block
INTERFACES = 5  # pcapng: interfaces of the section
LAST_TS = 6  # pcapng: time of the last packet, for packets without one
NEED = 7  # MORE: bytes from `position` that were wanted
FOUND = 8  # any other reason: what was found, and
BOUND = 9  # what it was held against
CLAMPED = 10  # times held to TIME_LIMIT so far
STATE_WORDS = 11

# Rows of `index`, columns of a PacketBlock.
OFFSET = 0
CAPTURED = 1
ORIGINAL = 2
TS_NS = 3
LINK_OF = 4
INDEX_ROWS = 5

# Words of a row of `interfaces`.
LINK = 0
SNAPLEN = 1
RESOLUTION = 2  # if_tsresol as written
OFFSET_S = 3  # seconds to add
SCALE = 4  # nanoseconds per unit; 0: the slow way
LIMIT = 5  # largest time for which SCALE serves
INTERFACE_WORDS = 6

SECTION = 0x0A0D0D0A
INTERFACE = 1
OLD_PACKET = 2
SIMPLE_PACKET = 3
ENHANCED_PACKET = 6

Word: TypeAlias = int | np.int64

_SECOND = 1_000_000_000
_SECONDS_LIMIT = 1 << 40
_POWERS = np.array([10**n for n in range(20)], np.uint64)
_LOW = np.uint64(0xFFFF_FFFF)
_HALF = np.uint64(32)
_NANO = np.uint64(_SECOND)


@kernel(inline=True)
def u16(data: U8, at: Word, big: Word) -> Word:
    """The 16-bit unsigned integer at `at`, as int64; the caller has checked that it is there."""
    first, second = np.int64(data[at]), np.int64(data[at + 1])
    if big:
        return (first << 8) | second
    return first | (second << 8)


@kernel(inline=True)
def u32(data: U8, at: Word, big: Word) -> Word:
    """The 32-bit unsigned integer at `at`, as int64; the caller has checked that it is there."""
    first, second = np.int64(data[at]), np.int64(data[at + 1])
    third, fourth = np.int64(data[at + 2]), np.int64(data[at + 3])
    if big:
        return (first << 24) | (second << 16) | (third << 8) | fourth
    return first | (second << 8) | (third << 16) | (fourth << 24)


@kernel()
def walk_pcap(data: U8, start: Word, stop: Word, state: I64, interfaces: I64, index: I64) -> tuple[Word, Word, Word]:
    """Walk the records of a pcap file, whose header gave `state` and row 0 of `interfaces`."""
    big, header = state[BIG], state[HEADER]
    scale, number = interfaces[0, SCALE], interfaces[0, LINK]
    position, count, room = start, 0, index.shape[1]
    while count < room:
        left = stop - position - header
        if left < 0:
            state[NEED] = header
            return position, count, MORE
        seconds = u32(data, position, big)
        fraction = u32(data, position + 4, big)
        kept = u32(data, position + 8, big)
        wire = u32(data, position + 12, big)
        if kept > MAX_CAPTURED:
            state[FOUND], state[BOUND] = kept, MAX_CAPTURED
            return position, count, BAD_CAPTURED
        if seconds | fraction | kept | wire == 0:
            return position, count, ZEROS
        if left < kept:
            state[NEED] = header + kept
            return position, count, MORE
        index[OFFSET, count] = position + header
        index[CAPTURED, count] = kept
        index[ORIGINAL, count] = max(wire, kept)
        index[TS_NS, count] = seconds * _SECOND + fraction * scale
        index[LINK_OF, count] = number
        position += header + kept
        count += 1
    return position, count, FULL


@kernel()
def fine_ns(value: np.uint64, resolution: Word, offset_s: Word) -> Word:
    """Nanoseconds of `value` units of an if_tsresol `resolution` byte, plus `offset_s` seconds, rounded down.

    Exact for every resolution: the top bit set means units of 2^-n s, else 10^-n s.  Seconds and offset are each
    held to 2^40 before they are added, the sum to TIME_LIMIT.
    """
    exponent = resolution & 0x7F
    if resolution & 0x80:
        whole, nanos = _binary_time(value, exponent)
    else:
        whole, nanos = _decimal_time(value, exponent)
    seconds = np.int64(min(whole, np.uint64(_SECONDS_LIMIT))) + min(max(offset_s, -_SECONDS_LIMIT), _SECONDS_LIMIT)
    if seconds >= TIME_LIMIT // _SECOND:
        return TIME_LIMIT
    if seconds < -(TIME_LIMIT // _SECOND):
        return -TIME_LIMIT
    return seconds * _SECOND + np.int64(nanos)


@kernel()
def _binary_time(value: np.uint64, exponent: Word) -> tuple[np.uint64, np.uint64]:
    """Whole seconds and nanoseconds of `value` * 2^-exponent s."""
    whole, part = value, np.uint64(0)
    if exponent >= 64:
        whole, part = np.uint64(0), value
    elif exponent > 0:
        whole = value >> np.uint64(exponent)
        part = value & ((np.uint64(1) << np.uint64(exponent)) - np.uint64(1))
    # part * 10^9 takes up to 94 bits: its upper 62 and lower 32 are kept apart.
    lower = (part & _LOW) * _NANO
    upper = (part >> _HALF) * _NANO + (lower >> _HALF)
    if exponent < 32:
        return whole, lower >> np.uint64(exponent)
    if exponent < 96:
        return whole, upper >> np.uint64(exponent - 32)
    return whole, np.uint64(0)


@kernel()
def _decimal_time(value: np.uint64, exponent: Word) -> tuple[np.uint64, np.uint64]:
    """Whole seconds and nanoseconds of `value` * 10^-exponent s."""
    whole, part = np.uint64(0), value
    if exponent < 20:
        whole = value // _POWERS[exponent]
        part = value - whole * _POWERS[exponent]
    if exponent <= 9:
        return whole, part * _POWERS[9 - exponent]
    if exponent < 29:
        return whole, part // _POWERS[exponent - 9]
    return whole, np.uint64(0)


@kernel(inline=True)
def _order(data: U8, at: Word) -> Word:
    """Byte order that a section's magic at `at` tells: 1 big, 0 little, -1 neither."""
    magic = u32(data, at, 1)
    if magic == 0x1A2B3C4D:
        return 1
    if magic == 0x4D3C2B1A:
        return 0
    return -1


@kernel()
def _begin_section(data: U8, position: Word, order: Word, state: I64) -> Word:
    """A section header: its own byte order, no interfaces yet."""
    major = u16(data, position + 12, order)
    if major != 1:
        state[FOUND], state[BOUND] = major, u16(data, position + 14, order)
        return BAD_VERSION
    state[BIG], state[INTERFACES] = order, 0
    return OTHER


@kernel()
def _add_interface(data: U8, position: Word, end: Word, state: I64, interfaces: I64) -> Word:
    """An interface description; `end` is where its options end at the latest."""
    number, big = state[INTERFACES], state[BIG]
    if number >= len(interfaces):
        state[FOUND], state[BOUND] = number + 1, len(interfaces)
        return TOO_MANY_INTERFACES
    interfaces[number, LINK] = u16(data, position + 8, big)
    interfaces[number, SNAPLEN] = u32(data, position + 12, big)
    interfaces[number, RESOLUTION], interfaces[number, OFFSET_S] = 6, 0
    at = position + 16
    while end - at >= 4:
        code, length = u16(data, at, big), u16(data, at + 2, big)
        if code == 0 or end - at - 4 < length:
            break
        if code == 9 and length == 1:
            interfaces[number, RESOLUTION] = np.int64(data[at + 4])
        elif code == 14 and length == 8:
            interfaces[number, OFFSET_S] = _offset_of(data, at + 4, big)
        at += 4 + ((length + 3) & ~3)
    interfaces[number, SCALE], interfaces[number, LIMIT] = 0, -1
    if interfaces[number, RESOLUTION] <= 9 and interfaces[number, OFFSET_S] == 0:
        interfaces[number, SCALE] = np.int64(_POWERS[9 - interfaces[number, RESOLUTION]])
        interfaces[number, LIMIT] = (TIME_LIMIT - 1) // interfaces[number, SCALE]
    state[INTERFACES] = number + 1
    return OTHER


@kernel(inline=True)
def _offset_of(data: U8, at: Word, big: Word) -> Word:
    """The signed 64-bit seconds at `at`, held to +-2^40."""
    first, second = u32(data, at, big), u32(data, at + 4, big)
    upper, lower = second, first
    if big:
        upper, lower = first, second
    if upper >= 1 << 31:
        upper -= 1 << 32
    return min(max((upper << 32) + lower, -_SECONDS_LIMIT), _SECONDS_LIMIT)


@kernel()
def _walk_packets(
    data: U8, position: Word, stop: Word, count: Word, state: I64, interfaces: I64, index: I64
) -> tuple[Word, Word, Word]:
    """Walk packet blocks as long as one follows the other; OTHER: here is something else.

    No array goes into a call with branches from this loop: the reference counts would cost more than the walk.
    """
    big, known = state[BIG], state[INTERFACES]
    while count < index.shape[1]:
        left = stop - position
        if left < 12 or big < 0 or state[SKIP] > 0:
            return position, count, OTHER
        kind, total = u32(data, position, big), u32(data, position + 4, big)
        header = 28
        if kind == SIMPLE_PACKET:
            header = 12
        elif kind not in (ENHANCED_PACKET, OLD_PACKET):
            return position, count, OTHER
        held = min(total, MAX_RECORD)
        state[KIND], state[TOTAL] = kind, total
        if total < header + 4 or total & 3:
            state[FOUND], state[BOUND] = total, header + 4
            return position, count, BAD_LENGTH
        if left < held:
            state[NEED] = total
            return position, count, MORE
        if held == total and u32(data, position + total - 4, big) != total:
            state[FOUND], state[BOUND] = u32(data, position + total - 4, big), total
            return position, count, LENGTHS_DIFFER
        number: Word = 0
        if kind == ENHANCED_PACKET:
            number = u32(data, position + 8, big)
        elif kind == OLD_PACKET:
            number = u16(data, position + 8, big)
        if number >= known:
            state[FOUND], state[BOUND] = number, known
            return position, count, NO_INTERFACE
        kept = wire = u32(data, position + header - 4, big)
        if kind != SIMPLE_PACKET:
            kept = u32(data, position + 20, big)
        elif interfaces[number, SNAPLEN] > 0:
            kept = min(wire, interfaces[number, SNAPLEN])
        bound = min(MAX_CAPTURED, total - header - 4)
        if kept > bound:
            state[FOUND], state[BOUND] = kept, bound
            return position, count, BAD_CAPTURED
        if kind != SIMPLE_PACKET:
            upper, lower = u32(data, position + 12, big), u32(data, position + 16, big)
            units = (upper << 32) | lower
            if 0 <= units <= interfaces[number, LIMIT]:
                state[LAST_TS] = units * interfaces[number, SCALE]
            else:
                wide = (np.uint64(upper) << _HALF) | np.uint64(lower)
                state[LAST_TS] = fine_ns(wide, interfaces[number, RESOLUTION], interfaces[number, OFFSET_S])
                if abs(state[LAST_TS]) == TIME_LIMIT:
                    state[CLAMPED] += 1
        index[OFFSET, count] = position + header
        index[CAPTURED, count] = kept
        index[ORIGINAL, count] = max(wire, kept)
        index[TS_NS, count] = state[LAST_TS]
        index[LINK_OF, count] = interfaces[number, LINK]
        state[SKIP] = total - held
        position += held
        count += 1
    return position, count, FULL


@kernel()
def _pass_over(data: U8, position: Word, stop: Word, state: I64) -> tuple[Word, Word]:
    """Go on inside a block of no interest: the new position, and OTHER when the block is done."""
    body = min(state[SKIP] - 4, stop - position)
    position += body
    state[SKIP] -= body
    if state[SKIP] > 4 or stop - position < 4:
        return position, MORE
    closing = u32(data, position, state[BIG])
    if closing != state[TOTAL]:
        state[FOUND], state[BOUND] = closing, state[TOTAL]
        return position, LENGTHS_DIFFER
    state[SKIP] = 0
    return position + 4, OTHER


@kernel()
def _walk_block(data: U8, position: Word, stop: Word, state: I64, interfaces: I64) -> tuple[Word, Word]:
    """Walk one block that is no packet: the new position, and OTHER when all is well."""
    left, order = stop - position, state[BIG]
    if left < 12:
        state[NEED], state[KIND] = 12, 0
        return position, MORE
    kind, least = u32(data, position, order), 12
    state[KIND] = kind
    if kind == SECTION:
        order, least = _order(data, position + 8), 28
        if order < 0:
            state[FOUND] = u32(data, position + 8, 1)
            return position, BAD_ORDER
    elif order < 0:
        return position, NO_SECTION
    elif kind == INTERFACE:
        least = 20
    total = u32(data, position + 4, order)
    held = min(total, MAX_RECORD)
    state[TOTAL] = total
    if total < least or total & 3:
        state[FOUND], state[BOUND] = total, least
        return position, BAD_LENGTH
    if least == 12:
        state[SKIP] = total - 8
        return position + 8, OTHER
    if left < held:
        state[NEED] = total
        return position, MORE
    if held == total and u32(data, position + total - 4, order) != total:
        state[FOUND], state[BOUND] = u32(data, position + total - 4, order), total
        return position, LENGTHS_DIFFER
    if kind == SECTION:
        reason = _begin_section(data, position, order, state)
    else:
        reason = _add_interface(data, position, position + min(held, total - 4), state, interfaces)
    if reason == OTHER:
        state[SKIP] = total - held
        position += held
    return position, reason


@kernel()
def walk_pcapng(data: U8, start: Word, stop: Word, state: I64, interfaces: I64, index: I64) -> tuple[Word, Word, Word]:
    """Walk the blocks of a pcapng file; `state` starts as zeros with BIG -1 (no section yet)."""
    position: Word = start
    count: Word = 0
    while True:
        position, count, reason = _walk_packets(data, position, stop, count, state, interfaces, index)
        if reason == OTHER and state[SKIP] > 0:
            position, reason = _pass_over(data, position, stop, state)
        elif reason == OTHER:
            position, reason = _walk_block(data, position, stop, state, interfaces)
        if reason != OTHER:
            return position, count, reason
