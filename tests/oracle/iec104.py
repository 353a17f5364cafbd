"""IEC 60870-5-104 as fieldtap, tshark and the IPAL transcriber tell it, in the same words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.codes import Iec104Flag, Kind, Protocol, Quality
from tests.decode.reading import decode_file
from tests.oracle import pdml
from tests.oracle.data import DATA
from tests.oracle.message import Message

CAPTURES: dict[str, str] = {
    "iec104": "parsing/ipal/iec104.pcap",
    "104deneme": "parsing/mixed/iec104/104deneme.pcap",
    "TestDissectIec104": "parsing/mixed/iec104/TestDissectIec104.pcap",
    "energy-orig": "detection/iec104-energy/orig.pcap",
    "energy-test": "detection/iec104-energy/test.pcap",
}
"""Short name and place of the captures of IEC 104."""

GOLDEN = ("iec104_monitoring", "iec104_commands", "iec104_system", "iec104_session", "iec104_split_and_pipelined")
"""Golden captures that tshark reads too."""

_VALUES = (
    "float", "normval", "scalval", "siq.spi", "diq.dpi", "vti.v", "bitstring", "bcr.count", "sco.on", "dco.on", "rco.up"
)  # fmt: skip
_QUALITIES = {
    "ov": Quality.OVERFLOW, "bl": Quality.BLOCKED, "sb": Quality.SUBSTITUTED, "nt": Quality.NOT_TOPICAL,
    "iv": Quality.INVALID, "cy": Quality.OVERFLOW, "ca": Quality.DISCONTINUITY,
}  # fmt: skip
_ASDU = "iec60870_asdu."


def ours(path: Path) -> list[Message]:
    """The APDUs of a capture, in the order of their records."""
    kinds = (Kind.FOREIGN, Kind.TIMEOUT)
    return [_ours(row) for row in decode_file(path).records if row.protocol == Protocol.IEC104 and row.kind not in kinds]  # fmt: skip # noqa: E501


def _ours(row: Any) -> Message:
    said: dict[str, Any] = {"function": row.func, "unit": row.unit, "anomaly": row.anomaly, "length": row.length}
    if row.func >= 256:
        if row.func == 0x101:
            said["received"] = row.txn >> 16
        return Message(row.packet, said)
    said |= {
        "sent": row.txn & 0xFFFF,
        "received": row.txn >> 16,
        "cause": row.flags & 63,
        "negative": bool(row.flags & Iec104Flag.NEGATIVE),
        "test": bool(row.flags & Iec104Flag.TEST),
        "originator": row.peer_unit,
        "quantity": row.count,
        "reference": row.addr,
        "addresses": tuple(p.addr for p in row.points),
        "values": tuple(_six(p.value) for p in row.points),
        "qualities": tuple(p.quality & ~Quality.TIME_INVALID for p in row.points),
        "times": tuple(p.source_ts // 1_000_000 for p in row.points if p.source_ts and not 2 <= row.func <= 19),
    }
    return Message(row.packet, said)


def _six(value: float) -> float | None:
    """Six digits, as many as everyone shows; None for no number."""
    return float(f"{value:.6g}") if value == value else None


def tshark(path: Path) -> list[Message]:
    """The APDUs of a capture as tshark dissects them."""
    return [Message(number, said) for number, layers in pdml.packets(path, "iec60870_104 iec60870_asdu")
            for said in _dissected(layers)]  # fmt: skip


def _dissected(layers: list[pdml.Layer]) -> Iterator[dict[str, Any]]:
    """Each APDU's header, joined with the ASDU that follows it."""
    for i, layer in enumerate(layers):
        if layer.name != "iec60870_104" or not layer.first("iec60870_104.type"):
            continue
        kind = layer.number("iec60870_104.type") & 3
        if kind == 3:
            yield {"function": 0x103 | layer.number("iec60870_104.utype") << 2, "unit": 0}
        elif kind == 1:
            yield {"function": 0x101, "unit": 0, "received": layer.number("iec60870_104.rx")}
        elif i + 1 < len(layers) and layers[i + 1].first("iec60870_asdu.addr"):
            numbers = {"sent": layer.number("iec60870_104.tx"), "received": layer.number("iec60870_104.rx")}
            yield numbers | _asdu(layers[i + 1])


def _asdu(layer: pdml.Layer) -> dict[str, Any]:
    own = [(name.removeprefix(_ASDU), _shown(name, shown, raw)) for name, shown, raw in layer.fields if name.startswith(_ASDU)]  # fmt: skip # noqa: E501
    first = dict(reversed(own))
    number = int(first["typeid"])
    said: dict[str, Any] = {
        "function": number,
        "unit": int(first["addr"]),
        "cause": int(first["causetx"]),
        "negative": first["nega"] == "1",
        "test": first["test"] == "1",
        "originator": int(first["oa"]),
        "quantity": int(first["numix"]),
        "reference": int(first["ioa"]) if "ioa" in first else 0,
    }
    values = [_six(_number(shown)) for name, shown in own if name in _VALUES]
    if number == 103:
        values = [_six(t / 1000) for t in _times(own)]
    if not values:
        return said
    said["values"] = tuple(values)
    said["addresses"] = tuple(int(shown) for name, shown in own if name == "ioa")
    if number <= 40:
        said["qualities"] = tuple(_qualities(own))
    if number != 103:
        said["times"] = tuple(_times(own))
    return said


def _shown(name: str, shown: str, raw: str) -> str:
    """What is shown; bitstrings, whose octets tshark takes in the wrong order (5-101, 7.2.6.13), from their bytes."""
    return str(int.from_bytes(bytes.fromhex(raw), "little")) if name == "iec60870_asdu.bitstring" else shown


def _number(shown: str) -> float:
    if shown in ("True", "False"):
        return float(shown == "True")
    return float(int(shown, 0)) if shown.startswith("0x") else float(shown)


def _qualities(own: list[tuple[str, str]]) -> Iterator[int]:
    """The quality bits of each object: its fields stand between its address and the next."""
    found: int | None = None
    for name, shown in own:
        if name == "ioa":
            if found is not None:
                yield found
            found = 0
        group, _, bit = name.partition(".")
        if found is not None and bit in _QUALITIES and not group.startswith("cp") and shown == "1":
            found |= int(_QUALITIES[bit])
    if found is not None:
        yield found


def _times(own: list[tuple[str, str]]) -> Iterator[int]:
    """Milliseconds since 1970 of each seven-octet time, from its parts."""
    parts: dict[str, int] = {}
    for name, shown in own:
        if not name.startswith("cp56time."):
            continue
        parts[name.removeprefix("cp56time.")] = int(shown)
        if name.endswith(".year"):
            at = datetime(2000 + parts["year"], parts["month"], parts["day"], parts["hour"], parts["min"], tzinfo=UTC)
            yield round(at.timestamp() * 1000) + parts["ms"]


def ours_in_turn(path: Path) -> list[Message]:
    """I and U frames placed by their running number, as the IPAL transcriber tells them."""
    found = [message for message in ours(path) if message.said["function"] != 0x101]
    return [Message(number, message.said) for number, message in enumerate(found, 1)]


def ipal() -> list[Message]:
    """The messages of iec104.ipal: one for each I or U frame, with `common address.object address` of its values."""
    rows = [json.loads(line) for line in (DATA / "parsing/ipal/iec104.ipal").read_text().splitlines()]
    return [Message(number, _transcribed(row)) for number, row in enumerate(rows, 1)]


def _transcribed(row: dict[str, Any]) -> dict[str, Any]:
    kind, _, number = row["type"].partition("-")
    said: dict[str, Any] = {"length": row["length"]}
    if kind == "I":
        said["function"] = int(number)
    values = {name: value for name, value in row["data"].items() if "." in name}
    if values:
        said["unit"] = int(next(iter(values)).split(".")[0])
        said["addresses"] = tuple(int(name.split(".")[1]) for name in values)
        said["values"] = tuple(_six(float(value)) for value in values.values())
    return said
