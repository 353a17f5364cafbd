"""What fieldtap makes of a capture, as messages."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from detectors.columns import Columns
from pipeline.capture.files import Captures
from pipeline.decode.decoder import Decoder, DecodeSettings
from schemas.codes import Anomaly, Kind, Protocol, Space
from tests.oracle.message import Message

VALUES = (Space.COIL, Space.DISCRETE_INPUT, Space.HOLDING_REGISTER, Space.INPUT_REGISTER, Space.FIFO, Space.FILE_RECORD)
_HALVES = {Kind.REQUEST: "request", Kind.RESPONSE: "response"}
_ADDRESSED = {1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 24}
_COUNTED = {1, 2, 3, 4, 5, 6, 15, 16, 23}


def batches(path: Path, settings: DecodeSettings | None = None) -> tuple[list[Columns], Decoder]:
    """All records of a capture."""
    decoder = Decoder(settings)
    found = [batch for block in Captures([path]) for batch in decoder.feed(block)]
    found.extend(decoder.finish())
    return found, decoder


def messages(path: Path) -> list[Message]:
    """Requests and responses of the Modbus in a capture, in the order of their records."""
    found, decoder = batches(path)
    names = decoder.names()
    packets: dict[int, int] = {}
    out: list[Message] = []
    for batch in found:
        out.extend(_of_batch(batch, names, packets))
    return out


def _of_batch(batch: Columns, names: Any, packets: dict[int, int]) -> Iterator[Message]:
    column = {
        name: getattr(batch, name).tolist()
        for name in (
            "kind", "protocol", "packet", "seq", "peer_seq", "rtt_us", "unit", "txn", "func", "subfunc", "addr",
            "count", "status", "anomaly", "length", "offsets",
        )
    }  # fmt: skip
    points = {name: getattr(batch.points, name).tolist() for name in ("space", "addr", "addr_sub", "value", "raw")}
    for i in range(len(batch)):
        row = {name: values[i] for name, values in column.items()}
        packets[row["seq"]] = row["packet"]
        if row["protocol"] != Protocol.MODBUS or row["kind"] not in _HALVES:
            continue
        at, end = column["offsets"][i], column["offsets"][i + 1]
        said = _said(row, packets)
        said.update(_points({name: values[at:end] for name, values in points.items()}, names, row["func"]))
        yield Message(row["packet"], said, _ends(batch, i))


def _ends(batch: Columns, i: int) -> str:
    """Client and server of a record over IPv4."""
    source, target = (
        f"{IPv4Address(address[i].tobytes()[-4:])}:{port[i]}"
        for address, port in ((batch.src_ip, batch.src_port), (batch.dst_ip, batch.dst_port))
    )
    return f"{source}>{target}" if batch.client_is_src[i] else f"{target}>{source}"


def _said(row: dict[str, Any], packets: dict[int, int]) -> dict[str, Any]:
    """The fields that stand in the record itself."""
    said: dict[str, Any] = {
        "kind": _HALVES[row["kind"]],
        "txn": row["txn"],
        "unit": row["unit"],
        "function": row["func"],
        "subfunction": row["subfunc"],
        "length": row["length"] - 6,
        "anomaly": Anomaly(row["anomaly"]),
    }
    if row["status"]:
        said["exception"] = row["status"]
    if row["func"] in _ADDRESSED:
        said["reference"] = row["addr"]
    if row["func"] in _COUNTED or row["func"] == 24:
        said["quantity"] = row["count"]
    if row["peer_seq"]:
        said["request"] = packets.get(row["peer_seq"], 0)
        said["response_us"] = row["rtt_us"]
    return said


def _points(points: dict[str, list[Any]], names: Any, function: int) -> dict[str, Any]:
    """The fields that stand in the points."""
    said: dict[str, Any] = {}
    spaces = points["space"]
    if not spaces:
        return {"values": (), "addresses": ()}
    if spaces[0] in VALUES:
        return {"values": tuple(points["value"]), "addresses": tuple(points["addr"])}
    if spaces[0] == Space.HOLDING_MASK:
        said["masks"] = tuple(points["value"])
    elif spaces[0] == Space.DEVICE_ID:
        raw = points["raw"]
        said["objects"] = tuple((a, names[r & _U64]) for a, r in zip(points["addr"], raw, strict=True))
    elif points["raw"][0]:
        said["data"] = names[points["raw"][0] & _U64]
    else:
        said["data"] = tuple(points["value"])
    return said


_U64 = 0xFFFFFFFFFFFFFFFF
