"""Inventory: which devices and clients there are, and who talks to whom about what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from detectors.columns import Columns
from pipeline.inventory.groups import Group, Groups
from pipeline.inventory.identity import Identities
from pipeline.metrics import Counters, HealthRow
from pipeline.names import address_text, mac_text
from schemas.asset import ASSET, CONVERSATION
from schemas.codes import WRITING

if TYPE_CHECKING:
    from pipeline.site import Site

MACS = VLANS = PORTS = 16
UNITS = FUNCTIONS = 256


@dataclass(slots=True)
class _Asset:
    address: bytes
    device: int = 0
    is_server: int = 0
    is_client: int = 0
    macs: dict[int, None] = field(default_factory=dict)
    vlans: dict[int, None] = field(default_factory=dict)
    protocols: dict[int, None] = field(default_factory=dict)
    units: dict[int, None] = field(default_factory=dict)
    ports: dict[int, None] = field(default_factory=dict)
    first_ns: int = (1 << 63) - 1
    last_ns: int = -(1 << 63)
    records: int = 0
    writes: int = 0
    errors: int = 0

    def add(self, group: Group, *, mac: int, serving: bool) -> None:
        self.is_server |= serving
        self.is_client |= not serving
        if mac:
            _keep(self.macs, mac, MACS)
        _keep(self.vlans, group.vlan, VLANS)
        _keep(self.protocols, group.protocol, UNITS)
        if serving:
            self.device = group.device
            _keep(self.units, group.unit, UNITS)
            _keep(self.ports, group.port, PORTS)
        self.first_ns = min(self.first_ns, group.first_ns)
        self.last_ns = max(self.last_ns, group.last_ns)
        self.records += group.records
        self.writes += group.requests if group.op in WRITING else 0
        self.errors += group.errors


def _keep(seen: dict[int, None], value: int, limit: int) -> None:
    if len(seen) < limit:
        seen[value] = None


class Inventory:
    """Collects assets and conversations batch by batch.

    Args:
        limit: distinct (client, server, link, unit, function) groups; beyond it records are only counted.
    """

    def __init__(self, limit: int = 1 << 16) -> None:
        self._groups = Groups(limit)
        self._identities = Identities()

    def add(self, batch: Columns) -> None:
        """Note the records of `batch`."""
        self._groups.add(batch)
        self._identities.add(batch)

    def health(self) -> list[HealthRow]:
        """What did not fit."""
        counters = Counters("inventory")
        counters.put("groups", len(self._groups))
        counters.put("left out", self._groups.left_out, reason="records of further groups")
        counters.put("left out", self._identities.left_out, reason="identity objects of further devices")
        return counters.rows()

    def assets(self, names: Mapping[int, str], site: Site) -> pa.Table:
        """One row per device or client, in order of address, as ASSET.

        Args:
            names: name id to text (`Decoder.names`).
            site: names and zones.
        """
        rows = sorted(self._found(), key=lambda a: (a.address, min(a.macs, default=0), a.device))
        return pa.Table.from_pylist([self._asset(a, names, site) for a in rows], schema=ASSET)

    def _found(self) -> list[_Asset]:
        servers: dict[tuple[bytes, int, int], _Asset] = {}
        groups = list(self._groups)
        for g in groups:
            key = (g.server, 0 if any(g.server) else g.server_mac, g.device)
            servers.setdefault(key, _Asset(g.server)).add(g, mac=g.server_mac, serving=True)
        homes: dict[tuple[bytes, int], list[_Asset]] = {}
        for (address, mac, _), asset in servers.items():
            homes.setdefault((address, mac), []).append(asset)
        for g in groups:
            if not any(g.client) and not g.client_mac:
                continue
            at = homes.setdefault((g.client, 0 if any(g.client) else g.client_mac), [])
            if not at:
                at.append(_Asset(g.client))
            home = next((a for a in at if g.vlan in a.vlans), at[0])
            home.add(g, mac=g.client_mac, serving=False)
        return [asset for at in homes.values() for asset in at]

    def _asset(self, a: _Asset, names: Mapping[int, str], site: Site) -> dict[str, object]:
        ip = address_text(a.address)
        mac = mac_text(next(iter(a.macs), 0))
        vlan = next(iter(a.vlans), 0) & 0xFFFF
        said = self._identities.of(a.device, names)
        return {
            "ip": ip,
            "macs": [mac_text(m) for m in a.macs],
            "vlans": [v for v in sorted(a.vlans) if v],
            "name": site.name_of(ip, mac, vlan),
            "zone": site.zone_of(ip, mac, vlan),
            "device": a.device,
            "is_server": a.is_server,
            "is_client": a.is_client,
            "protocols": sorted(a.protocols),
            "units": sorted(a.units),
            "ports": sorted(a.ports),
            "vendor": said.vendor,
            "model": said.model,
            "firmware": said.firmware,
            "serial": said.serial,
            "said_name": said.name,
            "first_seen": a.first_ns,
            "last_seen": a.last_ns,
            "records": a.records,
            "writes": a.writes,
            "errors": a.errors,
        }

    def conversations(self) -> pa.Table:
        """One row per (client, device, port, unit, protocol) in order of addresses, as CONVERSATION."""
        found: dict[tuple[bytes, bytes, int, int, int, int], list[Group]] = {}
        for g in self._groups:
            found.setdefault((g.client, g.server, g.device, g.port, g.unit, g.protocol), []).append(g)
        rows = [
            {
                "client_ip": address_text(key[0]),
                "server_ip": address_text(key[1]),
                "device": key[2],
                "server_port": key[3],
                "unit": key[4],
                "protocol": key[5],
                "functions": sorted({g.func for g in groups})[:FUNCTIONS],
                "ops": sorted({g.op for g in groups}),
                "first_seen": min(g.first_ns for g in groups),
                "last_seen": max(g.last_ns for g in groups),
                "requests": sum(g.requests for g in groups),
                "responses": sum(g.responses for g in groups),
                "errors": sum(g.errors for g in groups),
                "timeouts": sum(g.timeouts for g in groups),
            }
            for key, groups in sorted(found.items())
        ]
        return pa.Table.from_pylist(rows, schema=CONVERSATION)
