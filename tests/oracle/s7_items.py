"""Items of S7comm as tshark shows them: places and elements, in the words of fieldtap."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from schemas.codes import Space
from tests.oracle import pdml

_AREAS = {
    0x80: Space.S7_PERIPHERAL, 0x81: Space.S7_INPUT, 0x82: Space.S7_OUTPUT, 0x83: Space.S7_FLAG,
    0x84: Space.S7_DATA_BLOCK, 0x85: Space.S7_INSTANCE_BLOCK, 0x1C: Space.S7_COUNTER, 0x1D: Space.S7_TIMER,
}  # fmt: skip
_ELEMENTS = {1: "?", 2: "B", 3: "B", 4: "H", 5: "h", 6: "I", 7: "i", 8: "f", 9: "H", 10: "I", 11: "i", 12: "H",
             0x1C: "H", 0x1D: "H"}  # fmt: skip
_RAW = {5: "h", 6: "i", 7: "f"}
Item = tuple[int, int, int, int] | None
"""Area, data block, address and transport size of an item; None where its syntax is not S7ANY."""


def items_of(layer: pdml.Layer) -> Iterator[Item]:
    """The items that a request names."""
    found: dict[str, str] = {}
    for name, shown, raw in layer.fields:
        part = name.removeprefix("s7comm.param.item.")
        if part == "syntaxid" and int(shown, 0) != 0x10:
            yield None
        found[part] = raw
        if part == "address" and int(found["syntaxid"], 16) == 0x10:
            area = int(found["area"], 16)
            block = int(found["db"], 16) if area in (0x84, 0x85) else 0
            yield area, block, int(raw, 16), int(found["transp_size"], 16)


def _width(item: Item, sort: int) -> int:
    letter = _ELEMENTS[item[3]] if item else _RAW.get(sort, "B")
    return 0 if letter == "?" else struct.calcsize(letter)


def _elements(item: Item, sort: int, data: bytes) -> tuple[float, ...]:
    if not item and sort == 3:
        return (float(data[0] & 1),)
    letter = _ELEMENTS[item[3]] if item else _RAW.get(sort, "B")
    return struct.unpack(f">{len(data) // struct.calcsize(letter)}{letter}", data)


def place(item: Item, k: int, number: int, raw: int = 1) -> tuple[int, int, int]:
    """Space, address and second part of element `k` of an item; of one that is not known `number` and `raw` bytes."""
    if not item:
        return 0, 8 * raw * k, number + 1
    area, block, address, _ = item
    if area in (0x1C, 0x1D):
        return _AREAS[area], address + k, 0
    width = _width(item, 0)
    return _AREAS[area], address + 8 * width * k, block | width << 16


def data_of(layer: pdml.Layer, before: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """(number, transport size, bytes) of each item that has data; `before` return codes are not theirs."""
    number, sort = -1 - before, 0
    for name, shown, raw in layer.fields:
        if name == "s7comm.data.returncode":
            number += 1
        elif name == "s7comm.data.transportsize":
            sort = int(shown, 0)
        elif name == "s7comm.resp.data":
            yield number, sort, bytes.fromhex(raw)


def values_of(items: Sequence[Item], told: Iterable[tuple[int, int, bytes]]) -> dict[str, Any]:
    """`values` and `addresses` of data, element by element."""
    values: list[float] = []
    places: list[tuple[int, int, int]] = []
    for number, sort, data in told:
        item = items[number] if number < len(items) else None
        for k, value in enumerate(_elements(item, sort, data)):
            values.append(float(f"{value:.6g}"))
            places.append(place(item, k, number, _width(item, sort)))
    return {"values": tuple(values), "addresses": tuple(places)}
