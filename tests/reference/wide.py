"""Words as values in plain Python: `struct` reads them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from schemas.codes import PointType, Quality

BYTES_AT = {"ABCD": (0, 1, 2, 3), "CDAB": (2, 3, 0, 1), "BADC": (1, 0, 3, 2), "DCBA": (3, 2, 1, 0)}
FORMS = {"u32": ">I", "i32": ">i", "f32": ">f"}
SAME = ("space", "addr_sub", "name_id", "direction")
Row = dict[str, Any]
Seen = tuple[float, str, bool]
"""(value, type of the site file or "", whether it is passed over)"""


def encode(value: float, kind: str, order: str) -> list[int]:
    """The two words that carry `value`."""
    packed = struct.pack(FORMS[kind], value if kind == "f32" else int(value))
    moved = bytes(packed[i] for i in BYTES_AT[order])
    return [moved[0] << 8 | moved[1], moved[2] << 8 | moved[3]]


def decode(first: float, second: float, kind: str, order: str) -> float:
    """The value that two words carry."""
    packed = struct.pack(">HH", int(first), int(second))
    return float(struct.unpack(FORMS[kind], bytes(packed[i] for i in BYTES_AT[order]))[0])


def read(points: list[Row], tags: Mapping[tuple[int, int, int], tuple[str, str]]) -> list[Seen]:
    """The points of one record; `tags` by (space, second part of the address, address)."""
    seen = [(p["value"], "", bool(p["quality"] & (Quality.ADDRESS_UNKNOWN | Quality.INVALID))) for p in points]
    j = 0
    while j < len(points):
        p, q = points[j], points[j + 1] if j + 1 < len(points) else None
        kind, order = tags.get((p["space"], p["addr_sub"], p["addr"]), ("", ""))
        plain = p["type"] == PointType.U16 and not p["name_id"]
        if not plain or not kind:
            j += 1
        elif kind == "i16":
            seen[j] = p["value"] - 65536 if p["value"] > 32767 else p["value"], kind, seen[j][2]
            j += 1
        elif q and q["addr"] == p["addr"] + 1 and q["type"] == p["type"] and all(p[n] == q[n] for n in SAME):
            seen[j] = decode(p["value"], q["value"], kind, order), kind, seen[j][2] or seen[j + 1][2]
            seen[j + 1] = q["value"], "", True
            j += 2
        else:
            seen[j] = p["value"], "", True
            j += 1
    return seen
