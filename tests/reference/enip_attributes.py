"""Lists of attributes of CIP objects, as plain Python: which points an answer comes to."""

from __future__ import annotations

import struct

LAYOUT: dict[tuple[int, int], str] = {
    (0xF5, 1): "I", (0xF5, 2): "I", (0xF5, 3): "I", (0xF5, 4): "w", (0xF5, 5): "IIIIIt", (0xF5, 6): "t", (0xF5, 7): "6",
    (0xF5, 8): "B", (0xF5, 9): "BBHI", (0xF5, 13): "H", (0xF6, 1): "I", (0xF6, 2): "I", (0xF6, 3): "6",
    (0xF6, 4): 11 * "I", (0xF6, 5): 12 * "I", (0xF6, 6): "HH", (0xF6, 7): "B", (0xF6, 8): "B", (0xF6, 9): "B",
    (0xF6, 10): "s", (0x48, 4): "B", (0x06, 8): "H",
}  # fmt: skip
"""Fields of an attribute: numbers as `struct` has them, a text behind one byte (s) or two and made even (t), words
behind their number (w), six bytes (6)."""
OF_CLASS = {1: "H", 2: "H", 3: "H", 4: "w", 5: "w", 6: "H", 7: "H"}
"""Of the class itself, where it is no vendor's."""

Point = tuple[int, float | str | None, bool]
"""Attribute with the field above 16 bits, value (None for none), and whether it stands at its address."""


def taken(letter: str, data: bytes) -> tuple[float | str, int]:
    """A field's value, and how many bytes it has.

    Raises:
        ValueError: it is cut off.
    """
    try:
        if letter in "BHI":
            return float(struct.unpack_from("<" + letter, data)[0]), struct.calcsize(letter)
        if letter == "6":
            size, start = 6, 0
        else:
            start = 1 if letter == "s" else 2
            size = int.from_bytes(data[:start], "little") * (2 if letter == "w" else 1)
            struct.unpack_from(f"{start}x", data)
        text = struct.unpack_from(f"{start}x{size}s", data)[0].decode("latin-1")
    except struct.error as cut:
        raise ValueError(letter) from cut
    whole = start + size
    return text, whole + (size % 2 if letter == "t" and whole < len(data) else 0)


def fields(layout: str, data: bytes) -> tuple[list[float | str], int]:
    """The fields of an attribute, and its size."""
    found, at = [], 0
    for letter in layout:
        value, size = taken(letter, data[at:])
        found.append(value)
        at += size
    return found, at


def told(family: int, instance: int, data: bytes) -> list[Point]:
    """The points of an answer to Get_Attribute_List."""
    (count,), at, found = struct.unpack_from("<H", data), 2, []
    count = min(count, (len(data) - 2) // 4)
    for k in range(count):
        if at + 4 > len(data):
            break
        number, status = struct.unpack_from("<HH", data, at)
        at += 4
        if status:
            found.append((number, None, True))
            continue
        try:
            layout = OF_CLASS[number] if instance == 0 and family != 0x8B else LAYOUT[family, number]
            values, size = fields(layout, data[at:])
        except (KeyError, ValueError):
            return found + unknown(number, data[at:], k + 1 == count)
        found += [(number | (n << 16 if len(values) > 1 else 0), v, True) for n, v in enumerate(values, 1)]
        at += size
    return found


def unknown(number: int, data: bytes, last: bool) -> list[Point]:
    """A value without a layout: words without an address where it is not the last, else a number or bytes."""
    if not last:
        words = [data[k : k + 2] for k in range(0, len(data), 2)]
        return [(number, float(int.from_bytes(word, "little")), False) for word in words]
    if len(data) in (1, 2, 4, 8):
        return [(number, float(int.from_bytes(data, "little")), True)]
    return [(number, data.decode("latin-1"), True)] if data else []
