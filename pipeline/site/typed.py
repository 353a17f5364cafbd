"""The tags of a site that are words on the wire, and how they are read."""

from __future__ import annotations

import ipaddress

from detectors.wide import PLAIN, TYPES, TypedDevice, TypedTag
from pipeline.site.model import Site, SiteDevice, SiteTag


def typed_devices(site: Site) -> list[TypedDevice]:
    """Every device of `site`, those without such tags too: they may stand before another of the same address."""
    return [TypedDevice(_ip(d.ip), _mac(d.mac), d.vlan, _tags(d)) for d in site.devices]


def _ip(text: str) -> bytes:
    """An address as RECORD has it, empty for none."""
    if not text:
        return b""
    address = ipaddress.ip_address(text)
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def _mac(text: str) -> int:
    return int(text.replace(":", ""), 16) if text else 0


def _tags(device: SiteDevice) -> tuple[TypedTag, ...]:
    return tuple(_typed(tag) for tag in device.tags if not tag.symbol and (tag.type == PLAIN or tag.type in TYPES))


def _typed(tag: SiteTag) -> TypedTag:
    return TypedTag(tag.unit_id, tag.space, tag.addr, tag.addr_sub, tag.type, tag.word_order)
