"""The site file: what people call the devices and tags of a plant, how values are scaled, when it is maintained.

Everything in it is optional, nothing in it is guessed: a setting that does not exist or contradicts another is one
clear error.  Addresses of tags are those of the wire (from 0), whatever `register_base` says about showing them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

IMPACTS = ("low", "medium", "high")
"""How bad it is if a device fails or does harm."""
ROLES = ("controller", "hmi", "historian", "engineering", "gateway", "other")
TYPES = {"bool": 1, "u16": 1, "i16": 1, "u32": 2, "i32": 2, "f32": 2}
"""Types of a tag, and how many addresses each takes."""
WORD_ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")


@dataclass(frozen=True, slots=True)
class SiteTag:
    """A point that has a name.

    Attributes:
        name: what people call it.
        unit_id: unit behind the device.
        space: Space.
        addr, addr_sub: first address on the wire, counted from 0, and its second part.
        type: key of :data:`TYPES`; a two-register type covers `addr` and `addr + 1`.
        word_order: order of a two-register type's bytes, most significant first being ABCD.
        scale, offset: engineering value = raw * scale + offset.
        unit: engineering unit.
        symbol: the name that the wire has for it, as it is shown, such as `Program:Main.Level` or `Flows[5]`; empty
            where it is found by its address.
    """

    name: str
    unit_id: int
    space: int
    addr: int
    addr_sub: int = 0
    type: str = "u16"
    word_order: str = "ABCD"
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    symbol: str = ""

    @property
    def width(self) -> int:
        """How many addresses it takes."""
        return TYPES[self.type]

    @property
    def key(self) -> tuple[int, int, int]:
        """(unit, space, second part of the address)."""
        return self.unit_id, self.space, self.addr_sub


@dataclass(frozen=True, slots=True)
class SiteDevice:
    """A device that has a name; `ip` or `mac` is its address, `vlan` -1 where it is not told apart by VLAN."""

    name: str
    ip: str = ""
    mac: str = ""
    vlan: int = -1
    zone: str = ""
    role: str = "other"
    impact: str = "medium"
    tags: tuple[SiteTag, ...] = ()


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A time [start_ns, end_ns) in which findings about `devices` (names; empty for all) are expected."""

    start_ns: int
    end_ns: int
    devices: frozenset[str]
    reason: str


class Site:
    """The names of one plant; :meth:`load` reads them, :meth:`empty` knows none."""

    def __init__(
        self,
        name: str = "",
        register_base: int = 1,
        devices: tuple[SiteDevice, ...] = (),
        maintenance: tuple[Maintenance, ...] = (),
    ) -> None:
        self.name = name
        self.register_base = register_base
        self.devices = devices
        self.maintenance = maintenance
        self._by_ip = {(d.ip, d.vlan): d for d in devices if d.ip}
        self._by_mac = {(d.mac, d.vlan): d for d in devices if d.mac}
        self._tags = {
            (d.name, *tag.key, tag.addr + word): tag
            for d in devices
            for tag in d.tags
            if not tag.symbol
            for word in range(tag.width)
        }
        self._symbols = {(d.name, tag.unit_id, tag.symbol): tag for d in devices for tag in d.tags if tag.symbol}

    @classmethod
    def empty(cls) -> Site:
        """A site without a file."""
        return cls()

    @classmethod
    def load(cls, path: str | Path) -> Site:
        """Read a site file.

        Raises:
            SiteError: it cannot be read, is not TOML, has a setting that does not exist, or contradicts itself.
        """
        from pipeline.site.file import read

        return read(Path(path))

    def device_of(self, ip: str, mac: str | None = None, vlan: int | None = None) -> SiteDevice | None:
        """The device at this address; one named with its VLAN goes before one named without."""
        scope = -1 if vlan is None else vlan & 0xFFFF
        for seen in (scope, -1):
            if ip and (ip, seen) in self._by_ip:
                return self._by_ip[ip, seen]
        for seen in (scope, -1):
            if mac and (mac, seen) in self._by_mac:
                return self._by_mac[mac, seen]
        return None

    def name_of(self, ip: str, mac: str | None = None, vlan: int | None = None) -> str:
        """The device's name, empty where it has none."""
        device = self.device_of(ip, mac, vlan)
        return device.name if device else ""

    def zone_of(self, ip: str, mac: str | None = None, vlan: int | None = None) -> str:
        """The device's zone, empty where it has none."""
        device = self.device_of(ip, mac, vlan)
        return device.zone if device else ""

    def tag_of(
        self,
        ip: str,
        unit: int,
        space: int,
        addr: int,
        addr_sub: int = 0,
        *,
        mac: str | None = None,
        vlan: int | None = None,
    ) -> SiteTag | None:
        """The tag at this address of the device's unit; both words of a two-register tag give the tag."""
        device = self.device_of(ip, mac, vlan)
        return self.tag_in(device, unit, space, addr, addr_sub) if device else None

    def tag_in(self, device: SiteDevice, unit: int, space: int, addr: int, addr_sub: int = 0) -> SiteTag | None:
        """The tag at this address of a device that is already known."""
        return self._tags.get((device.name, unit, space, addr_sub, addr))

    def symbol_in(self, device: SiteDevice, unit: int, symbol: str) -> SiteTag | None:
        """The tag that the wire names so, of a device that is already known."""
        return self._symbols.get((device.name, unit, symbol))

    def scaled(self, tag: SiteTag, raw: float) -> float:
        """The engineering value of what one register or bit holds.

        A register is raw on the wire: an `i16` above 32,767 is negative.  Two-register types cannot be read from one
        word and give NaN.
        """
        if tag.width != 1:
            return math.nan
        value = raw - 65536.0 if tag.type == "i16" and raw > 32767.0 else raw
        return value * tag.scale + tag.offset

    def maintenance_at(self, device: str, ts_ns: int) -> Maintenance | None:
        """The maintenance of the device of this name at this time, None outside of any."""
        for window in self.maintenance:
            if window.start_ns <= ts_ns < window.end_ns and (not window.devices or device in window.devices):
                return window
        return None

    def maintenance_of(self, device: str) -> tuple[Maintenance, ...]:
        """Every maintenance that concerns the device of this name."""
        return tuple(m for m in self.maintenance if not m.devices or device in m.devices)
