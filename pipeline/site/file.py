"""Reading `site.toml`, strictly: every setting must exist, have its type, and not contradict another."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.errors import SiteError
from pipeline.site.model import IMPACTS, ROLES, TYPES, WORD_ORDERS, Maintenance, Site, SiteDevice, SiteTag
from schemas.codes import Space

_SPACES: dict[str, int] = {s.name.lower(): int(s) for s in Space if s is not Space.NONE}
_BITS = frozenset({"coil", "discrete_input", "binary_input", "binary_output"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_U32 = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class _Table:
    """One table of the file, and how an error names the place."""

    where: str
    values: Mapping[str, Any]

    def error(self, message: str) -> SiteError:
        return SiteError(f"{self.where}: {message}")

    def only(self, known: Iterable[str]) -> None:
        """Refuse a setting that does not exist."""
        names = list(known)
        for name in self.values:
            if name not in names:
                raise self.error(f"{name!r}: no such setting{_hint(name, names)}")

    def text(self, name: str, default: str = "", choices: Iterable[str] = ()) -> str:
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise self.error(f"{name!r} must be text, not {value!r}")
        allowed = list(choices)
        if allowed and value not in allowed:
            listed = f" (one of {', '.join(allowed)})" if len(allowed) <= 8 else ""
            raise self.error(f"{name!r}: no such value {value!r}{_hint(value, allowed) or listed}")
        return value

    def needed(self, name: str) -> str:
        value = self.text(name).strip()
        if not value:
            raise self.error(f"{name!r} is missing")
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or (value != default and not low <= value <= high):
            raise self.error(f"{name!r} must be a whole number from {low} to {high}, not {value!r}")
        return value

    def number(self, name: str, default: float) -> float:
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(f"{name!r} must be a number, not {value!r}")
        return float(value)

    def tables(self, name: str, word: str) -> list[_Table]:
        """The array of tables `name`; errors in the second one say `word 2`."""
        value = self.values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise self.error(f"{name!r} must be written as [[{name}]]")
        return [_Table(f"{self.where}: {word} {i}", v) for i, v in enumerate(value, 1)]


def _hint(name: str, known: Iterable[str]) -> str:
    import difflib

    names = list(known)
    begun = [n for n in names if name and n.startswith(name)]
    close = begun or difflib.get_close_matches(name, names, 1)
    return f", did you mean {close[0]!r}?" if close else ""


def read(path: Path) -> Site:
    """See :meth:`pipeline.site.Site.load`."""
    import tomllib

    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as failure:
        raise SiteError(f"{path}: cannot be read: {failure.strerror or failure}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise SiteError(f"{path}: not TOML: {failure}") from None
    root = _Table(str(path), content)
    root.only(("name", "register_base", "device", "maintenance"))
    devices = tuple(_device(t) for t in root.tables("device", "device"))
    _distinct(root, devices)
    windows = tuple(_maintenance(t, devices) for t in root.tables("maintenance", "maintenance"))
    return Site(root.text("name"), root.whole("register_base", 1, 0, 1), devices, windows)


def _device(table: _Table) -> SiteDevice:
    table.only(("name", "ip", "mac", "vlan", "zone", "role", "impact", "tag"))
    ip, mac = _address(table), _mac(table)
    if bool(ip) == bool(mac):
        raise table.error("give either 'ip' or 'mac'" + (", not both" if ip else ""))
    tags = tuple(_tag(t) for t in table.tables("tag", "tag"))
    _apart(table, tags)
    return SiteDevice(
        name=table.needed("name"),
        ip=ip,
        mac=mac,
        vlan=table.whole("vlan", -1, 0, 4095),
        zone=table.text("zone"),
        role=table.text("role", "other", ROLES),
        impact=table.text("impact", "medium", IMPACTS),
        tags=tags,
    )


def _address(table: _Table) -> str:
    text = table.text("ip").strip()
    if not text:
        return ""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise table.error(f"'ip': {text!r} is not an IP address") from None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def _mac(table: _Table) -> str:
    text = table.text("mac").strip().lower().replace("-", ":")
    if text and not _MAC.fullmatch(text):
        raise table.error(f"'mac': {text!r} is not a MAC address such as 00:1d:9c:c7:b0:70")
    return text


def _tag(table: _Table) -> SiteTag:
    if "symbol" in table.values:
        return _symbol(table)
    table.only(
        ("name", "unit_id", "space", "addr", "addr_sub", "type", "word_order", "scale", "offset", "unit"),
    )
    space = table.text("space", "holding_register", _SPACES)
    kind = table.text("type", "bool" if space in _BITS else "u16", TYPES)
    order = table.text("word_order", "ABCD", WORD_ORDERS)
    scale = _scale(table)
    if "addr" not in table.values:
        raise table.error("'addr' is missing, or 'symbol'")
    if space in _BITS and kind != "bool":
        raise table.error(f"'type': a {space.replace('_', ' ')} is a bool, not {kind!r}")
    if order != "ABCD" and TYPES[kind] == 1:
        raise table.error(f"'word_order': {order!r} needs a two-register type, not {kind!r}")
    return SiteTag(
        name=table.needed("name"),
        unit_id=table.whole("unit_id", 1, 0, _U32),
        space=_SPACES[space],
        addr=table.whole("addr", 0, 0, (1 << 64) - 2),
        addr_sub=table.whole("addr_sub", 0, 0, _U32),
        type=kind,
        word_order=order,
        scale=scale,
        offset=table.number("offset", 0.0),
        unit=table.text("unit"),
    )


def _symbol(table: _Table) -> SiteTag:
    """A tag that the wire names, and whose type it tells."""
    table.only(("name", "symbol", "unit_id", "scale", "offset", "unit"))
    return SiteTag(
        name=table.needed("name"),
        unit_id=table.whole("unit_id", 0, 0, _U32),
        space=int(Space.NONE),
        addr=0,
        scale=_scale(table),
        offset=table.number("offset", 0.0),
        unit=table.text("unit"),
        symbol=table.needed("symbol"),
    )


def _scale(table: _Table) -> float:
    scale = table.number("scale", 1.0)
    if scale == 0.0:
        raise table.error("'scale' must not be 0")
    return scale


def _apart(table: _Table, tags: tuple[SiteTag, ...]) -> None:
    """Refuse two tags of a device that share a name or an address."""
    names: dict[str, int] = {}
    held: dict[tuple[int, int, int, int], SiteTag] = {}
    symbols: dict[tuple[int, str], int] = {}
    for i, tag in enumerate(tags, 1):
        if tag.name in names:
            raise table.error(f"tag {i}: 'name': {tag.name!r} is already tag {names[tag.name]}")
        names[tag.name] = i
        if tag.symbol:
            first = symbols.setdefault((tag.unit_id, tag.symbol), i)
            if first != i:
                raise table.error(f"tag {i}: 'symbol': {tag.symbol!r} is already tag {first}")
            continue
        for addr in range(tag.addr, tag.addr + tag.width):
            other = held.setdefault((*tag.key, addr), tag)
            if other is not tag:
                raise table.error(f"tag {i}: {tag.name!r} overlaps {other.name!r} at address {addr}")


def _distinct(root: _Table, devices: tuple[SiteDevice, ...]) -> None:
    """Refuse two devices that share a name, or an address where VLANs do not tell them apart."""
    names: dict[str, int] = {}
    seen: dict[str, list[tuple[int, SiteDevice]]] = {}
    for i, device in enumerate(devices, 1):
        first = names.setdefault(device.name, i)
        if first != i:
            raise root.error(f"device {i}: 'name': {device.name!r} is already device {first}")
        address = device.ip or device.mac
        for j, other in seen.setdefault(address, []):
            if device.vlan == other.vlan:
                what = "ip" if device.ip else "mac"
                raise root.error(f"device {i}: {what!r}: {address!r} is already device {j} ({other.name!r})")
        seen[address].append((i, device))


def _maintenance(table: _Table, devices: tuple[SiteDevice, ...]) -> Maintenance:
    table.only(("start", "end", "devices", "reason"))
    start, end = _moment(table, "start"), _moment(table, "end")
    if end <= start:
        raise table.error("'end' must be after 'start'")
    listed = table.values.get("devices", [])
    if not isinstance(listed, list) or not all(isinstance(d, str) for d in listed):
        raise table.error("'devices' must be a list of device names")
    known = {d.name: d.name for d in devices} | {d.ip: d.name for d in devices if d.ip}
    for name in listed:
        if name not in known:
            raise table.error(f"'devices': no device {name!r} in this file{_hint(name, known)}")
    return Maintenance(start, end, frozenset(known[d] for d in listed), table.text("reason"))


def _moment(table: _Table, name: str) -> int:
    value = table.values.get(name)
    if not isinstance(value, datetime):
        raise table.error(f"{name!r} must be a date and time such as 2026-03-01T08:00:00Z")
    if value.tzinfo is None:
        raise table.error(f"{name!r} needs a time zone, such as a Z at its end")
    return (value - _EPOCH) // timedelta(microseconds=1) * 1000
