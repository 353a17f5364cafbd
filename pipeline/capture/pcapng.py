"""pcapng: how a file starts, and the time of the first packet without a kernel.

The format is that of draft-ietf-opsawg-pcapng; the walk over the blocks is in `pipeline.capture.kernels`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

SECTION = 0x0A0D0D0A
INTERFACE = 1
OLD_PACKET = 2
ENHANCED_PACKET = 6

_BYTE_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_LONGEST = 1 << 20
"""Bytes of a block that are looked at: times and resolutions stand at its start."""
_SEARCHED = 1 << 26
"""Bytes searched for a first packet."""


def is_pcapng(head: bytes) -> bool:
    """Whether a file that starts with `head` is pcapng, as far as `head` goes."""
    return len(head) >= 4 and head[:4] == b"\x0a\x0d\x0d\x0a" and (len(head) < 12 or head[8:12] in _BYTE_ORDERS)


def first_time(read: Callable[[int], bytes]) -> int | None:
    """The time of the first packet that has one, in ns; None where there is none near the start.

    `read` gives the next n bytes, or what is left.
    """
    units: list[tuple[int, int]] = []
    for order, kind, body in _blocks(read):
        if kind == SECTION:
            units = []
        elif kind == INTERFACE:
            units.append(_unit(body, order))
        elif kind in (ENHANCED_PACKET, OLD_PACKET) and len(body) >= 12:
            number, upper, lower = struct.unpack_from(order + "III", body)
            if kind == OLD_PACKET:
                number = int(struct.unpack_from(order + "H", body)[0])
            if number >= len(units):
                return None
            per_second, offset_s = units[number]
            return int((upper << 32 | lower) * 1_000_000_000 // per_second + offset_s * 1_000_000_000)
    return None


def _blocks(read: Callable[[int], bytes]) -> Iterator[tuple[str, int, bytes]]:
    """Byte order, type and the start of the body of each block, until something is amiss."""
    order, searched = "<", 0
    while len(head := read(12)) == 12 and searched < _SEARCHED:
        if head[:4] == b"\x0a\x0d\x0d\x0a":
            order = _BYTE_ORDERS.get(head[8:12], "")
        if not order:
            return
        kind, total = struct.unpack_from(order + "II", head)
        if total < 12 or total & 3:
            return
        searched += total
        rest = total - 12
        kept = read(min(rest, _LONGEST))
        if len(kept) < min(rest, _LONGEST):
            return
        _pass_over(read, min(rest - len(kept), _SEARCHED))
        yield order, kind, (head[8:] + kept)[: total - 12]


def _pass_over(read: Callable[[int], bytes], count: int) -> None:
    while count > 0 and (got := len(read(min(count, _LONGEST)))):
        count -= got


def _unit(body: bytes, order: str) -> tuple[int, int]:
    """Units per second and seconds to add, of an interface description."""
    per_second, offset_s, at = 1_000_000, 0, 8
    while len(body) - at >= 4:
        code, length = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : at + 4 + length]
        if code == 0 or len(value) < length:
            break
        if code == 9 and length == 1:
            per_second = (2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F)
        elif code == 14 and length == 8:
            offset_s = int(struct.unpack(order + "q", value)[0])
        at += 4 + (length + 3 & ~3)
    return per_second, offset_s
