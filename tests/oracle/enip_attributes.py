"""Attributes of CIP objects as fieldtap and tshark tell them, in the same words."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

from schemas.codes import Identity, PointType, Quality, Space

Field = tuple[str, str, str]
"""tshark's name, shown text, and bytes in hexadecimal."""
GET_ALL, GET_LIST, SET_LIST, GET_SINGLE, SET_SINGLE = 0x01, 0x03, 0x04, 0x0E, 0x10
GETS = (GET_ALL, GET_LIST, GET_SINGLE)


def _numbered(prefix: str, attribute: int, names: str) -> dict[str, int]:
    return {f"{prefix}{name}": attribute | n << 16 for n, name in enumerate(names.split(), 1)}


FIELDS: dict[str, int] = {
    "cip.class_revision": 1, "cip.max_instance": 2, "cip.num_instance": 3, "cip.num_class_attr": 6,
    "cip.num_inst_attr": 7, "cip.mr.num_available": 2, "cip.mr.num_active": 3,
    "cip.id.vendor_id": 1, "cip.id.device_type": 2, "cip.id.product_code": 3, "cip.id.status": 5,
    "cip.id.serial_number": 6, "cip.id.product_name": 7, "cip.id.state": 8, "cip.id.config_value": 9,
    "cip.id.heartbeat": 10, **_numbered("cip.id.", 4, "major_rev minor_rev"),
    "cip.tcpip.status": 1, "cip.tcpip.config_cap": 2, "cip.tcpip.config_control": 3, "cip.tcpip.hostname": 6,
    **_numbered("cip.tcpip.", 5, "ip_addr subnet_mask gateway name_server name_server2 domain_name"),
    "cip.tcpip.ttl_value": 8, **_numbered("cip.tcpip.mcast.", 9, "alloc reserved num_mcast addr_start"),
    "cip.tcpip.select_acd": 10, "cip.tcpip.quick_connect": 12, "cip.tcpip.encap_inactivity": 13,
    "cip.elink.interface_speed": 1, "cip.elink.iflags": 2, "cip.elink.physical_address": 3,
    **_numbered("cip.elink.icount.", 4, "in_octets in_ucast in_nucast in_discards in_errors in_unknown_protos "
                "out_octets out_ucast out_nucast out_discards out_errors"),
    **_numbered("cip.elink.icontrol.", 6, "control_bits forced_speed"), "cip.elink.interface_type": 7,
    "cip.elink.interface_state": 8, "cip.elink.admin_state": 9, "cip.elink.interface_label": 10,
    "cip.elink.icapability.capability_bits": 11 | 1 << 16,
    "cip.qos.8021q_enable": 1,
    **{f"cip.qos.{name}": n for n, name in enumerate(
        ("ptp_event", "ptp_general", "urgent", "scheduled", "high", "low", "explicit"), 2)},
}  # fmt: skip
"""Fields of tshark: the attribute, and its field above 16 bits."""
TEXTS = {"cip.id.product_name", "cip.tcpip.domain_name", "cip.tcpip.hostname", "cip.elink.interface_label"}
OCTETS = {"cip.elink.physical_address"}
PARTS = {
    "cip.tcpip.snn.time": (7, ""), "cip.tcpip.snn.date": (7, "cip.tcpip.snn.time"),
    "cip.num_attr": (4, ""), "cip.attr_num": (4, "cip.num_attr"),
    "cip.num_service": (5, ""), "cip.service_code": (5, "cip.num_service"),
    "cip.mr.num_classes": (1, ""), "cip.mr.class": (1, "cip.mr.num_classes"),
    "cip.path_len": (4, ""), "cip.epath": (4, "cip.path_len"),
    "cip.elink.icapability.array_count": (11 | 2 << 16, ""),
    "cip.elink.icapability.speed": (11 | 2 << 16, "cip.elink.icapability.array_count"),
    "cip.elink.icapability.duplex": (11 | 2 << 16, "cip.elink.icapability.array_count"),
}  # fmt: skip
"""Fields that are bytes together with us: the attribute, and the field that begins them; counts are no part of them."""
COUNTS = {"cip.num_attr", "cip.num_service", "cip.mr.num_classes", "cip.path_len", "cip.elink.icapability.array_count"}

_ROLES = {Identity.VENDOR: 1, Identity.PRODUCT_CODE: 3, Identity.SERIAL: 6, Identity.MODEL: 7}


def text_of(raw: bytes) -> str:
    """Bytes as names of the wire are kept."""
    return raw.decode("utf-8", "backslashreplace")


def ours(row: Any, names: dict[int, str]) -> dict[str, Any]:
    """Attributes asked for or refused, attributes told with their values, and what has no known type."""
    items, told, unknown = [], [], []
    for p in row.points:
        number = p.addr_sub
        if p.space == Space.IDENTITY and p.addr == Identity.FIRMWARE:
            told += [(4 | 1 << 16, float(int(p.value) >> 8)), (4 | 2 << 16, float(int(p.value) & 0xFF))]
        elif p.space == Space.IDENTITY:
            told.append((_ROLES[Identity(p.addr)], names[p.raw % (1 << 64)] if p.raw else p.value))
        elif p.quality & Quality.ADDRESS_UNKNOWN:
            unknown.append(p.value)
        elif p.type == PointType.UNKNOWN:
            items.append(number)
        elif p.type in (PointType.TEXT, PointType.BYTES):
            told.append((number, names[p.raw % (1 << 64)] if p.raw else ""))
        else:
            told.append((number, p.value))
    return {"items": tuple(items), "addresses": tuple(n for n, _ in told), "values": tuple(v for _, v in told),
            "data": tuple(unknown)}  # fmt: skip


def tshark(service: int, status: int | None, attribute: int, fields: Sequence[Field]) -> dict[str, Any]:
    """The same of the fields behind the path of a message; `status` is None of a request.

    Attributes are listed, if empty, of messages that give some; all else is said where there is something to say.
    """
    answers = status is not None
    gives = status & 0xFF in (0, 6, 0x0A) and service in GETS if status is not None else service not in GETS
    lists = service in (GET_LIST, SET_LIST)
    count = next((int(shown) for name, shown, _ in fields if name.endswith("list.attr_count")), 0)
    items: list[int] = []
    told: list[tuple[int, float | str]] = []
    unknown: list[float] = []
    number, seen, parts = attribute, 0, b""
    for name, shown, raw in fields:
        if name == "cip.attribute":
            number, seen = int(shown, 0), seen + 1
            if service == GET_LIST and not answers:
                items.append(number)
        elif name.endswith("list.attr_status") and int(shown, 0):
            items.append(number)
        elif name in PARTS:
            at, first = PARTS[name]
            if not first:
                parts = b"" if name in COUNTS else bytes.fromhex(raw)
                told.append((at, text_of(parts)))
            else:
                parts += bytes.fromhex(raw)
                told[-1] = (at, text_of(parts))
        elif name in FIELDS:
            told.append((FIELDS[name], _value(name, shown, raw)))
        elif name == "cip.data" and raw:
            last = not lists or seen == count
            unknown += [] if last else words(bytes.fromhex(raw))
            told += _untyped(number, bytes.fromhex(raw)) if last else []
    said: dict[str, Any] = {"items": tuple(items)} if lists else {}
    if gives:
        said["addresses"] = tuple(n for n, _ in told)
    if told:
        said["values"] = tuple(v for _, v in told)
    return said | ({"data": tuple(unknown)} if unknown else {})


def _value(name: str, shown: str, raw: str) -> float | str:
    if name in TEXTS:
        return shown
    if name in OCTETS:
        return text_of(bytes.fromhex(raw))
    return float(int.from_bytes(bytes.fromhex(raw), "little"))


def _untyped(number: int, raw: bytes) -> Iterable[tuple[int, float | str]]:
    if len(raw) in (1, 2, 4, 8):
        return [(number, float(int.from_bytes(raw, "little")))]
    return [(number, text_of(raw))]


def words(raw: bytes) -> list[float]:
    """Bytes as words, and one that is left over."""
    even = len(raw) // 2 * 2
    return [float(n) for (n,) in struct.iter_unpack("<H", raw[:even])] + [float(n) for n in raw[even:]]
