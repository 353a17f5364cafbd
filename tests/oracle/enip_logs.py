"""EtherNet/IP as ICSNPP's logs and IPAL's transcriber tell it; their lines name no packets, so they come in turn.

The logs were published without the line that names their columns: the names below are those of ICSNPP's documentation.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.codes import Identity, Kind, PointType, Protocol, Space
from tests.decode.reading import decode_file
from tests.oracle import enip
from tests.oracle import enip_attributes as attributes
from tests.oracle.data import DATA
from tests.oracle.message import Message

BASELINE = "parsing/icsnpp-enip/tests/baseline"
LOGS = {
    "enip_cip_example": "analyzer.basic",
    "multiple_service_packet_cip": "analyzer.multiple_service_request",
    "set_attribute_single_service_cip": "analyzer.set_attr_single_service",
}
"""Capture and the folder of its logs."""

_ENDS = "ts uid orig_h orig_p resp_h resp_p is_orig source_h source_p destination_h destination_p"
_COLUMNS = {
    "enip": "command_code command length session status context options",
    "cip": "sequence direction service_code service status_code status extended_code extended class class_name "
    "instance attribute",
    "cip_identity": "version address port vendor vendor_name device_type device_type_name product_code revision status "
    "serial name state",
    "cip_io": "connection sequence length data",
}
_STATUSES = {"Success": 0}
_WIRE = {PointType.BOOL: "?", PointType.I8: "b", PointType.I16: "h", PointType.I32: "i", PointType.F32: "f"}


def _rows(name: str, log: str) -> Iterator[dict[str, str]]:
    """The lines of a log, unset columns left out."""
    columns = f"{_ENDS} {_COLUMNS[log]}".split()
    for line in (DATA / BASELINE / LOGS[name] / f"{log}.log").read_text().splitlines():
        if line and not line.startswith("#"):
            yield {column: text for column, text in zip(columns, line.split("\t"), strict=True) if text != "-"}


def encapsulated(name: str) -> list[Message]:
    """enip.log: a line for each message of the encapsulation."""
    return [Message(n, {"function": int(row["command_code"], 16), "session": int(row["session"], 16),
                        "length": int(row["length"]), "exception": _STATUSES[row["status"]]})
            for n, row in enumerate(_rows(name, "enip"), 1)]  # fmt: skip


def messages(name: str) -> list[Message]:
    """cip.log: a line for each message of CIP."""
    return [Message(n, _message(row)) for n, row in enumerate(_rows(name, "cip"), 1)]


def _message(row: dict[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "kind": row["direction"],
        "function": int(row["service_code"], 16),
        "txn": int(row["sequence"]),
    }
    if "status_code" in row:
        said["exception"] = int(row["status_code"], 16) | int(row.get("extended_code", "0"), 16) << 8
    if "class" in row:
        said["reference"] = int(row["class"], 16), int(row["instance"], 16)
    if "attribute" in row:
        said["attribute"] = int(row["attribute"], 16)
    return said


def identities(name: str) -> list[Message]:
    """cip_identity.log: a line for each identity that a device told."""
    found = []
    for n, row in enumerate(_rows(name, "cip_identity"), 1):
        major, minor = row["revision"].split(".")
        objects = (int(row["vendor"]), int(row["device_type"]), int(row["product_code"]), int(major) << 8 | int(minor),
                   int(row["status"], 16), int(row["serial"], 16), row["name"], int(row["state"], 16))  # fmt: skip
        found.append(Message(n, {"objects": objects}))
    return found


def ours_listed(path: Path) -> list[Message]:
    """The identities that were listed."""
    found, told = decode_file(path), []
    for row in found.records:
        if row.protocol == Protocol.ENIP and row.func == 0x163 and row.points:
            said = {(p.space, p.addr, p.addr_sub): found.names[p.raw % (1 << 64)] if p.raw else int(p.value)
                    for p in row.points}  # fmt: skip
            told.append(Message(row.packet, {"objects": tuple(said.get(place) for place in _PLACES)}))
    return told


def ours_identities(path: Path) -> list[Message]:
    """The identities that were listed, in turn."""
    return in_turn(ours_listed(path))


_OBJECT = Space.CIP_ATTRIBUTE, 1 << 32 | 1
_PLACES = (
    (Space.IDENTITY, Identity.VENDOR, 0), (*_OBJECT, 2), (Space.IDENTITY, Identity.PRODUCT_CODE, 0),
    (Space.IDENTITY, Identity.FIRMWARE, 0), (*_OBJECT, 5), (Space.IDENTITY, Identity.SERIAL, 0),
    (Space.IDENTITY, Identity.MODEL, 0), (*_OBJECT, 8),
)  # fmt: skip
"""Where vendor, device type, product code, revision, status, serial number, name and state stand with us."""


def cyclic(name: str) -> list[Message]:
    """cip_io.log: a line for each datagram; its data begins with a count."""
    found = []
    for n, row in enumerate(_rows(name, "cip_io"), 1):
        words = tuple(attributes.words(bytes.fromhex(row["data"])[2:]))
        place = {"txn": int(row["sequence"]), "reference": int(row["connection"], 16)}
        found.append(Message(n, place | {"quantity": int(row["length"]) - 2, "values": words}))
    return found


def ours_cyclic(path: Path) -> list[Message]:
    """The datagrams of connections whose opening was not seen."""
    rows = [row for row in decode_file(path).records if row.protocol == Protocol.ENIP and row.kind == Kind.DATA]
    return [Message(n, {"txn": row.txn, "reference": row.addr, "quantity": row.count, "values": tuple(row.values)})
            for n, row in enumerate(rows, 1)]  # fmt: skip


def in_turn(found: list[Message]) -> list[Message]:
    """Messages placed by their running number."""
    return [Message(n, message.said) for n, message in enumerate(found, 1)]


def ours(path: Path) -> list[Message]:
    """The messages of CIP, in turn."""
    return in_turn(enip.ours(path))


def ours_encapsulated(path: Path) -> list[Message]:
    """The messages of the encapsulation, in turn."""
    return in_turn(enip.ours_encapsulated(path))


def ipal() -> list[Message]:
    """The messages of cip.ipal: service, tag, and the bytes of a value; `id` counts them from 0."""
    found = []
    for line in (DATA / "parsing/ipal/cip.ipal").read_text().splitlines():
        row = json.loads(line)
        ((name, value),) = row["data"].items()
        asks = row["activity"] in ("interrogate", "command")
        said: dict[str, Any] = {"kind": "request" if asks else "response", "function": row["type"], "name": name,
                                "data": value}  # fmt: skip
        if row["responds to"]:
            said["request"] = row["responds to"][0] + 1
        found.append(Message(row["id"] + 1, said))
    return found


def ours_of_tags(path: Path) -> list[Message]:
    """The messages at tags, in turn, with the bytes of their first value."""
    decoded = decode_file(path)
    rows = [row for row in decoded.records if row.space == Space.CIP_SYMBOL]
    number = {row.seq: n for n, row in enumerate(rows, 1)}
    found = []
    for row in rows:
        told = [
            struct.pack("<" + _WIRE[PointType(p.type)], p.value if p.type == PointType.F32 else int(p.value)).hex()
            for p in row.points
        ]
        said = {"kind": Kind(row.kind).name.lower(), "function": row.func & 0x7F,
                "name": decoded.names[row.name_id % (1 << 64)], "data": "".join(told) or None}  # fmt: skip
        found.append(Message(number[row.seq], said | ({"request": number[row.peer_seq]} if row.peer_seq else {})))
    return found
