"""The site file of the simulated plant."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.synth.field.tags import FieldTag
from pipeline.synth.field.works import Field
from pipeline.synth.server import Server
from pipeline.synth.tags import Tag
from pipeline.synth.wire import Host


def site_text(fields: Iterable[Field]) -> str:
    """The site file that names all devices and tags of the replicas, as TOML."""
    lines = ['name = "waterworks"', "register_base = 1"]
    for field in fields:
        plant = field.plant
        suffix = f" #{plant.number + 1}" if plant.number else ""
        for server in plant.servers:
            lines += _device(server.host, suffix, "control", "gateway" if server.gateway else "controller")
            lines += [line for tag in _tags(server) for line in _tag(tag)]
        for host, role in (
            (plant.hmi, "hmi"),
            (plant.historian, "historian"),
            (plant.engineering, "engineering"),
            (plant.router, "other"),
        ):
            lines += _device(host, suffix, "supervision", role)
        for device in field.devices():
            lines += _device(device.host, suffix, device.zone, device.role)
            lines += [line for tag in device.tags for line in _field_tag(tag)]
    return "\n".join(lines) + "\n"


def _tags(server: Server) -> list[Tag]:
    return [tag for table in server.tables.values() for tag in table.tags]


def _device(host: Host, suffix: str, zone: str, role: str) -> list[str]:
    return [
        "",
        "[[device]]",
        f'name = "{host.name}{suffix}"',
        f'ip = "{host.address}"',
        f'zone = "{zone}"',
        f'role = "{role}"',
    ]


def _place(tag: Tag | FieldTag) -> list[str]:
    return [
        "",
        "[[device.tag]]",
        f'name = "{tag.name}"',
        f"unit_id = {tag.unit_id}",
        f'space = "{tag.space.name.lower()}"',
        f"addr = {tag.addr}",
    ]


def _tag(tag: Tag) -> list[str]:
    lines = [*_place(tag), f'type = "{tag.type}"']
    if tag.width == 2:
        lines.append(f'word_order = "{tag.word_order}"')
    if tag.scale != 1.0:
        lines.append(f"scale = {tag.scale!r}")
    if tag.offset:
        lines.append(f"offset = {tag.offset!r}")
    if tag.unit:
        lines.append(f'unit = "{tag.unit}"')
    return lines


def _field_tag(tag: FieldTag) -> list[str]:
    lines = _place(tag)
    if tag.addr_sub:
        lines.append(f"addr_sub = {tag.addr_sub}")
    if tag.unit:
        lines.append(f'unit = "{tag.unit}"')
    return lines
