"""Records as short lines that a person can review."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from enum import IntFlag
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

from schemas.codes import (
    Anomaly,
    BacnetFlag,
    CipFlag,
    Direction,
    Dnp3Flag,
    Iec104Flag,
    Kind,
    Match,
    Op,
    PointType,
    Protocol,
    Quality,
    RecordFlag,
    S7Flag,
    Space,
    Transport,
)
from tests.decode.reading import Decoded, decode_file

FLAGS: dict[int, type[IntFlag]] = {
    Protocol.IEC104: Iec104Flag,
    Protocol.DNP3: Dnp3Flag,
    Protocol.BACNET: BacnetFlag,
    Protocol.S7COMM: S7Flag,
    Protocol.ENIP: CipFlag,
}
OMITTED_WHEN_ZERO = (
    *("vlan", "unit", "txn", "subfunc", "addr", "count", "addr_sub", "status", "gap_bytes", "peer_seq", "peer_unit"),
)


def lines(path: Path) -> list[str]:
    """One JSON object per record of a capture, keys sorted; zeros, names' ids and device hashes are left out."""
    found = decode_file(path)
    flows: dict[int, int] = {}
    return [json.dumps(_row(record, found, flows), sort_keys=True, ensure_ascii=True) for record in found.records]


def _row(record: Any, found: Decoded, flows: dict[int, int]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "seq": record.seq,
        "packet": record.packet,
        "flow": flows.setdefault(record.flow, len(flows) + 1),
        "from": f"{_address(record.src_ip)} {record.src_port}",
        "kind": Kind(record.kind).name.lower(),
        "func": record.func,
        "length": record.length,
    }
    row |= {name: getattr(record, name) for name in OMITTED_WHEN_ZERO if getattr(record, name)}
    if record.protocol != Protocol.MODBUS:
        row["protocol"] = Protocol(record.protocol).name.lower()
    if record.transport != Transport.TCP:
        row["transport"] = Transport(record.transport).name.lower()
    for name, codes in (("op", Op), ("match", Match), ("space", Space)):
        if value := getattr(record, name):
            row[name] = codes(value).name.lower()
    if record.anomaly:
        row["anomaly"] = _flags(Anomaly(record.anomaly))
    if record.flags:
        row["flags"] = _own_flags(record.protocol, record.flags)
    if record.name_id:
        row["name"] = found.names.get(record.name_id, "?")
    if record.rtt_us >= 0:
        row["rtt_us"] = record.rtt_us
    if record.kind == Kind.ANNOUNCE:
        row |= {"mac": record.src_mac.to_bytes(6, "big").hex(":"), "to": _address(record.dst_ip)}
    if record.points:
        row["points"] = _points(record.points, found)
    return row


def _address(raw: bytes) -> str:
    address = IPv6Address(raw)
    return str(address.ipv4_mapped or address)


def _flags(value: IntFlag) -> str:
    return "|".join(sorted(flag.name.lower() for flag in type(value) if flag and flag in value and flag.name))


def _own_flags(protocol: int, flags: int) -> str:
    """The flags of every protocol, and those of this one; first the cause of IEC 104, the ROSCTR and items of S7."""
    if protocol not in FLAGS:
        return _flags(RecordFlag(flags))
    words = [f"cause {flags & 63}"] if protocol == Protocol.IEC104 else []
    own = flags & 0xFFFFC0 if words else flags & 0xFFFFFF
    if protocol == Protocol.S7COMM:
        words = [f"rosctr {flags & 7}"] + ([f"{flags >> 16 & 255} items"] if flags >> 16 & 255 else [])
        own = flags & 0xFFF8
    common = RecordFlag(flags & 0xFF000000)
    return "|".join([*words, *filter(None, (_flags(FLAGS[protocol](own)), _flags(common)))])


def _points(points: list[Any], found: Decoded) -> list[str]:
    """Runs of points: `direction space addr.sub = values`, with type and quality where they are not the usual."""
    runs: list[tuple[tuple[Any, ...], int, list[str]]] = []
    for p in points:
        kind = (p.direction, p.space, p.addr_sub, p.type, p.quality)
        text = f"{p.value:.10g}"
        if math.isnan(p.value) and p.type in (PointType.TEXT, PointType.BYTES):
            text = found.names.get(p.raw & (1 << 64) - 1, "?")
        if p.raw and p.type not in (PointType.TEXT, PointType.BYTES):
            text += f" exactly {p.raw}"
        if p.name_id:
            text += f" '{found.names.get(p.name_id, '?')}'"
        if p.source_ts:
            text += f" @{datetime.fromtimestamp(p.source_ts / 1e9, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3]
        if runs and runs[-1][0] == kind and runs[-1][1] + len(runs[-1][2]) == p.addr:
            runs[-1][2].append(text)
        else:
            runs.append((kind, p.addr, [text]))
    said = []
    for (direction, space, sub, type_, quality), addr, values in runs:
        where = f"{Direction(direction).name} {Space(space).name} {addr}".lower() + (f".{sub}" if sub else "")
        how = [PointType(type_).name.lower()] + ([_flags(Quality(quality))] if quality else [])
        said.append(f"{where} = {' '.join(values)} ({', '.join(how)})")
    return said
