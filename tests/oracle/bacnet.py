"""BACnet/IP as fieldtap, tshark and ICSNPP tell it, in the same words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.decode.protocols.bacnet_words import OBJECT_TYPES, PROPERTIES
from schemas.codes import BacnetFlag, Kind, PointType, Protocol, Space
from tests.decode.reading import Decoded, decode_file
from tests.oracle import bacnet_events, pdml
from tests.oracle.data import DATA
from tests.oracle.message import Message
from tests.oracle.zeek import rows

_TRACES = "parsing/icsnpp-bacnet/testing/traces"
CAPTURES: dict[str, str] = {
    "bacnet-example": f"{_TRACES}/bacnet_example.pcap",
    "bacnet-refusals": f"{_TRACES}/bacnet_error_reject_abort.pcap",
    "bacnet-segmented": f"{_TRACES}/bacnet_segmented_data.pcap",
    "bacnet-services": f"{_TRACES}/bacnet_services.pcap",
}
"""Short name and place of the captures of BACnet/IP."""
LOGS = {
    "bacnet-example": "basic",
    "bacnet-segmented": "segmented_data",
    "bacnet-services": "services",
    "bacnet-refusals": "error-reject-abort",
}
"""The published logs of ICSNPP by capture."""
GOLDEN = ("bacnet_read", "bacnet_write", "bacnet_refusals", "bacnet_discovery", "bacnet_several_properties",
          "bacnet_changes_of_value", "bacnet_control", "bacnet_routed", "bacnet_link", "bacnet_events", "bacnet_logs",
          "bacnet_transfers", "bacnet_files_and_objects")  # fmt: skip
"""Golden captures that tshark reads too."""

_UNCONFIRMED, _NETWORK, _LINK = 0x100, 0x200, 0x300
_CARRIERS = (4, 9, 10, 11)
_NO_SERVICE = {4: 0x404, 6: 0x406, 7: 0x407}
_VALUED = {(0, 1), (0, 15), (0, 16), (3, 12), (3, 14), (1, 0), (1, 2)}
"""Type of APDU and service of what carries values of properties."""
_FROM_DEVICE = (Kind.RESPONSE, Kind.UNSOLICITED)


def ours(path: Path) -> list[Message]:
    """The messages of a capture, in the order of their records."""
    found = decode_file(path)
    kinds = (Kind.FOREIGN, Kind.TIMEOUT)
    rows = [row for row in found.records if row.protocol == Protocol.BACNET and row.kind not in kinds]
    return [_ours(row, found) for row in rows]


def _ours(row: Any, found: Decoded) -> Message:
    server = row.kind in _FROM_DEVICE or bool(row.flags & BacnetFlag.FROM_SERVER)
    source, target = (row.unit, row.peer_unit) if server else (row.peer_unit, row.unit)
    said: dict[str, Any] = {
        "kind": Kind(row.kind).name.lower(),
        "function": row.func,
        "txn": row.txn,
        "source": source,
        "destination": target,
        "exception": row.status,
        "reference": row.addr & 0xFFFFFFFF,
        "subfunction": row.addr_sub,
        "quantity": row.count,
        "anomaly": row.anomaly,
        "values": tuple(_value(p, found) for p in row.points if p.space == Space.BACNET_PROPERTY),
    } | bacnet_events.ours(row, found.names)
    return Message(row.packet, said)


def _value(point: Any, found: Decoded) -> Any:
    if point.type in (PointType.TEXT, PointType.BYTES):
        return found.names.get(point.raw & (1 << 64) - 1, "")
    return "NULL" if point.type == PointType.UNKNOWN else _six(point.value)


def _six(value: float) -> float | None:
    """Six digits, as many as everyone shows; None for no number."""
    return None if math.isnan(value) else float(f"{value:.6g}")


def tshark(path: Path) -> list[Message]:
    """The messages of a capture as tshark dissects them; of one in segments, the last, where it is whole."""
    found = []
    for number, layers in pdml.packets(path, "bvlc bacnet bacapp"):
        own = {layer.name: layer for layer in layers if layer.name in ("bvlc", "bacnet", "bacapp")}
        said = _dissected(own)
        if said is not None:
            found.append(Message(number, said))
    return found


def _dissected(layers: dict[str, pdml.Layer]) -> dict[str, Any] | None:
    if "bvlc" not in layers:
        return None
    if not layers["bvlc"].first("bvlc.function"):
        return {}  # it gives up on a message whose length is wrong
    function = layers["bvlc"].number("bvlc.function")
    if function not in _CARRIERS:
        return {"function": _LINK | function} if function else {}
    network = layers["bacnet"]
    if network.first("bacnet.mesgtyp"):
        said = _stations(network) | {"function": _NETWORK | network.number("bacnet.mesgtyp")}
        numbers = network.all("bacnet.dnet")
        if numbers and not said.get("destination", 1):
            said["reference"] = int(numbers[0])
        return said
    if "bacapp" not in layers:
        return None
    layer = layers["bacapp"]
    if layer.first("bacapp.more_segments") == "1":
        return None
    return _stations(network) | _apdu(layer)


def _stations(network: pdml.Layer) -> dict[str, Any]:
    """Stations with an address of at most two octets; longer ones are a digest with us."""
    said: dict[str, Any] = {}
    for name, letter, flag in (("destination", "d", "dest"), ("source", "s", "src")):
        if network.first(f"bacnet.control_{flag}") != "1":
            said[name] = 0
        elif int(network.first(f"bacnet.{letter}len", "0")) <= 2:
            raws = [raw for field, _, raw in network.fields if field.startswith(f"bacnet.{letter}adr")]
            said[name] = network.number(f"bacnet.{letter}net") << 16 | int(raws[0] if raws else "0", 16)
    return said


def _apdu(layer: pdml.Layer) -> dict[str, Any]:
    kind = layer.number("bacapp.type")
    said: dict[str, Any] = {}
    if kind != 1:
        said["txn"] = layer.number("bacapp.invoke_id")
    if kind == 4:
        return said | {"function": _NO_SERVICE[4]}
    if kind in (6, 7):
        reason = "bacapp.reject_reason" if kind == 6 else "bacapp.abort_reason"
        return said | {"exception": (kind - 4) << 24 | layer.number(reason)}
    service = layer.number("bacapp.unconfirmed_service" if kind == 1 else "bacapp.confirmed_service")
    said["function"] = service | (_UNCONFIRMED if kind == 1 else 0)
    if kind == 5:
        family, code = layer.number("bacapp.error_class"), layer.number("bacapp.error_code")
        return said | {"exception": 1 << 24 | family << 16 | code}
    said |= bacnet_events.contents(layer, kind, service)
    things = list(_things(layer))
    if things and (kind, service) in {
        (0, 12),
        (0, 14),
        (0, 15),
        (0, 16),
        (3, 12),
        (3, 14),
        (1, 0),
        (0, 6),
        (0, 7),
        (0, 26),
        (3, 26),
        (0, 0),
    }:
        said["reference"] = things[0]
    properties = layer.all("bacapp.property_identifier")
    if properties and service in (12, 14, 15, 16) and kind in (0, 3):
        said |= {"subfunction": int(properties[0]), "quantity": len(properties)}
    if (kind, service) in _VALUED:
        values = list(_values(layer))
        if None not in values:
            said["values"] = tuple(values)
    return said


def _things(layer: pdml.Layer) -> Iterator[int]:
    kind = 0
    for name, shown, _ in layer.fields:
        if name == "bacapp.objectType":
            kind = int(shown)
        elif name == "bacapp.instance_number":
            yield kind << 22 | int(shown)


def _values(layer: pdml.Layer) -> Iterator[Any]:
    """The values with an application tag, each from the field that shows it; None for what is not compared.

    Between brackets deeper than those of a list of values it is constructed, and octets to us.
    """
    fields, depth = layer.fields, 0
    refused = False
    for (name, shown, raw), (_, below, _) in zip(fields, [*fields[1:], ("", "", "")], strict=True):
        if re.match(r"\{\[\d+\]", shown):
            depth += 1
            refused = "[5]" in shown
        elif re.match(r"\}\[\d+\]", shown):
            depth -= 1
            refused = False
        if below.startswith("Application Tag:") and not refused:
            yield _shown(below.removeprefix("Application Tag:").strip(), name, shown, raw)
        elif below.startswith("Context Tag:") and depth >= 2 and not re.match("Property|Priority|property", shown):
            yield None


def _shown(kind: str, name: str, shown: str, raw: str) -> Any:
    if kind.startswith("Null"):
        return "NULL"
    if kind.startswith("Boolean"):
        return float("TRUE" in shown or shown in ("True", "1"))
    if kind.startswith("Bit String"):
        octets = bytes.fromhex(raw)[2 if bytes.fromhex(raw)[0] & 7 < 5 else 3 :]
        return _six(float(int.from_bytes(octets))) if len(octets) <= 4 else None
    if kind.startswith("BACnetObjectIdentifier"):
        return _six(float(int.from_bytes(bytes.fromhex(raw)[-4:])))
    if kind.startswith("Character"):
        found = re.search(r"'(.*)'\s*$", shown, re.S)
        return found.group(1) if found and "UTF-8" in shown else None
    if kind.startswith("Enumerated"):
        numbers = re.findall(r"\((\d+)\)|^(\d+)$", shown)
        return float("".join(numbers[-1])) if numbers else None
    if kind.startswith(("Unsigned", "Signed", "Real", "Double")):
        numbers = re.findall(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", shown.partition(":")[2] or shown)
        return _six(float(numbers[-1])) if numbers else None
    return None


# --- ICSNPP, which tells no packets

_ICSNPP = DATA / "parsing/icsnpp-bacnet/testing/baseline"
_PROPERTY_NUMBERS = {name: number for number, name in PROPERTIES.items()}
_TYPE_NUMBERS = {name: number for number, name in OBJECT_TYPES.items()}
_READS = {"read-property-request": 0, "read-property-ack": 1}


def _counted(found: Counter[tuple[int, int, int]]) -> list[Message]:
    """A message for each triple, whose place is a number of its own, and how often it was said."""
    return [
        Message(1 + a + (b << 4) + (c << 36), {"function": a, "reference": b, "subfunction": c, "quantity": times})
        for (a, b, c), times in found.items()
    ]


def ours_of_reads(path: Path) -> list[Message]:
    """How often each property was asked for, and values of it were answered."""
    found: Counter[tuple[int, int, int]] = Counter()
    for message in ours(path):
        said = message.said
        if said["function"] == 12 and said["exception"] == 0:
            answers = said["kind"] == "response"
            found[int(answers), said["reference"], said["subfunction"]] += len(said["values"]) if answers else 1
    return _counted(+found)


def _property(name: str) -> int:
    if name.startswith("Vendor Specific"):
        return int(name.partition("(")[2].rstrip(")"))
    return _PROPERTY_NUMBERS[name.lower().replace("daylights", "daylight")]


def icsnpp_reads(test: str) -> list[Message]:
    """bacnet_property.log, counted the same way: it has a row for each value."""
    found: Counter[tuple[int, int, int]] = Counter()
    for row in rows(_ICSNPP / f"analyzer.{test}" / "bacnet_property.log"):
        if row["pdu_service"] in _READS:
            thing = _TYPE_NUMBERS[row["object_type"]] << 22 | int(row["instance_number"])
            found[_READS[row["pdu_service"]], thing, _property(row["property"])] += 1
    return _counted(found)
