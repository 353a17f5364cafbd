"""Events and logs of BACnet as tshark dissects them, from the octets that it labels."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from schemas.codes import PointType, Space
from tests.oracle import pdml

_EVENTS = {(0, 2), (1, 3)}
"""Type of APDU and service of notifications."""
_SUMMARIES = {(3, 3), (3, 4)}
_CONSTRUCTED = {3, 10, 18, 19}
"""Kinds of events whose values are constructed, or not read as the standard has them."""
_LOGGED = re.compile(r"(boolean-value|real value|enum value|unsigned value|signed value|bitstring value|null value)\b")


def ours(row: Any, names: dict[int, str]) -> dict[str, Any]:
    """What a record says of an event, and the times of what a log holds; constructed values are octets to us."""
    points = [p for p in row.points if p.type != PointType.BYTES]
    logged = [p for p in points if p.space == Space.BACNET_PROPERTY and row.func == 26]
    return {
        "notified": tuple(_value(p, names) for p in points),
        "times": tuple(p.source_ts // 1_000_000 for p in logged),
    }


def _value(point: Any, names: dict[int, str]) -> Any:
    if point.type == PointType.TEXT:
        return names.get(point.raw & (1 << 64) - 1, "")
    return float(f"{point.value:.6g}") if point.value == point.value else None


def contents(layer: pdml.Layer, kind: int, service: int) -> dict[str, Any]:
    """The same of tshark."""
    if (kind, service) in _EVENTS:
        return _notification(layer)
    if (kind, service) in _SUMMARIES:
        return {"notified": tuple(value for value in _primitives(layer) if value is not None)}
    if (kind, service) == (3, 26):
        return _log(layer)
    return {}


def _notification(layer: pdml.Layer) -> dict[str, Any]:
    things = [int(shown) for name, shown, _ in layer.fields if name in ("bacapp.objectType", "bacapp.instance_number")]
    said: dict[str, Any] = {"reference": things[2] << 22 | things[3]}
    if layer.number("bacapp.event_type") in _CONSTRUCTED:
        return said
    return said | {"notified": tuple(value for value in _primitives(layer) if value is not None)}


def _primitives(layer: pdml.Layer) -> Iterator[Any]:
    """Values of what has a tag of its own and is neither an object nor a time; None for what it does not label."""
    fields = layer.fields
    for (name, shown, raw), (_, below, _) in zip(fields, [*fields[1:], ("", "", "")], strict=True):
        if not re.match(r"(Context|Application) Tag: ", below) or re.match(r"ObjectIdentifier|Date:|[Tt]ime:", shown):
            continue
        yield _read(name, shown, raw)


def _read(name: str, shown: str, raw: str) -> Any:
    octets = bytes.fromhex(raw)
    if "(Real)" in shown:
        return _six(struct.unpack("!f", octets[-4:])[0])
    if "(Double)" in shown:
        return _six(struct.unpack("!d", octets[-8:])[0])
    if "(Bit String)" in shown:
        return float(int.from_bytes(octets[2:])) if len(octets) > 2 else None
    if found := re.search(r"\((?:Unsigned|Signed)\) (-?\d+)", shown):
        return _six(float(found.group(1)))
    if found := re.search(r": UTF-8 '(.*)'$", shown):
        return found.group(1)
    if found := re.search(r": (TRUE|FALSE)$", shown):
        return float(found.group(1) == "TRUE")
    if name:
        return float(int(shown, 0))
    found = re.search(r"\((\d+)\)$", shown)
    return float(found.group(1)) if found else None


def _six(value: float) -> float:
    return float(f"{value:.6g}")


def _log(layer: pdml.Layer) -> dict[str, Any]:
    """Values and times of a trend log's records, and how many there are."""
    shown = [text for _, text, _ in layer.fields]
    counts = [int(found.group(1)) for text in shown if (found := re.match(r"item Count: \(Unsigned\) (\d+)", text))]
    if layer.number("bacapp.objectType") != 20 or "{[10]" in shown or not counts:
        return {"quantity": counts[0]} if counts else {}
    times: list[int] = []
    values: list[Any] = []
    date = when = 0
    for (_, text, raw), (_, below, _) in zip(layer.fields, [*layer.fields[1:], ("", "", "")], strict=True):
        if text.startswith("Date:"):
            date = _day_ms(bytes.fromhex(raw)[1:])
        elif text.startswith("Time:"):
            hour, minute, second, hundredths = bytes.fromhex(raw)[1:]
            when = date + 1000 * (3600 * hour + 60 * minute + second) + 10 * hundredths if date >= 0 else 0
        elif text == "{[8]":
            values.append("NULL")
            times.append(when)
        elif _LOGGED.match(text) and "Context Tag" in below:
            values.append("NULL" if text.startswith("null") else _read("", text, raw))
            times.append(when)
    return {"quantity": counts[0], "values": tuple(values), "times": tuple(times)}


def _day_ms(octets: bytes) -> int:
    year, month, day = octets[:3]
    return -1 if year == 255 or day == 255 else int(datetime(1900 + year, month, day, tzinfo=UTC).timestamp()) * 1000
