"""EtherNet/IP as fieldtap and tshark tell it, in the same words."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.codes import Kind, Protocol, Space
from tests.decode.reading import decode_file
from tests.oracle import pdml
from tests.oracle.message import Message
from tests.reference.enip import CODES

ICSNPP = "parsing/icsnpp-enip/tests/traces"
MIXED = "parsing/mixed/enip"
CAPTURES: dict[str, str] = {
    "enip_cip_example": f"{ICSNPP}/enip_cip_example.pcap",
    "multiple_service_packet_cip": f"{ICSNPP}/multiple_service_packet_cip.pcapng",
    "set_attribute_single_service_cip": f"{ICSNPP}/set_attribute_single_service_cip.pcapng",
    "logix_download": f"{MIXED}/ControlLogix_Logix5000_download_upload_run.pcap",
    "EIP-ChangeDateAttempt": f"{MIXED}/EIP-ChangeDateAttempt.pcap",
    "EIP-RemoteModeChangeAttempt": f"{MIXED}/EIP-RemoteModeChangeAttempt.pcap",
    "EIP-SoftwareUpload": f"{MIXED}/EIP-SoftwareUpload.pcap",
    "cip-eth-set-2": f"{MIXED}/cip-eth-set-2.pcap",
    "cip-multiple-1": f"{MIXED}/cip-multiple-1.pcap",
    "cip_start_plc": f"{MIXED}/cip_start_plc.pcap",
    "cip_stop_plc": f"{MIXED}/cip_stop_plc.pcap",
    "cip_unlock_cpu": f"{MIXED}/cip_unlock_cpu.pcap",
}
"""Short name and place of the captures of EtherNet/IP."""

GOLDEN = ("enip_tags", "enip_types", "enip_structures", "enip_several", "enip_objects", "enip_connections", "enip_pccc",
          "enip_split_and_pipelined")  # fmt: skip
"""Golden captures that tshark reads too."""

_TAG, _PCCC, _MANAGER, _IO = 0x200, 0x300, 0x500, 0x600
_PLACES = ("cip.class", "cip.instance", "cip.attribute")
_TAG_SERVICES, _OPENS = (0x4C, 0x4D, 0x52, 0x53), (0x54, 0x5B)


def _row_name(row: Any, names: dict[int, str]) -> str:
    """The name of a tag as tshark would join its symbols: without indices."""
    text = names[row.name_id % (1 << 64)]
    return "".join(part.partition("]")[2] if i else part for i, part in enumerate(text.split("[")))


def ours(path: Path) -> list[Message]:
    """The messages of CIP of a capture, in the order of their records; of those wrapped, what is inside."""
    found = decode_file(path)
    return [Message(row.packet, _ours(row, found.names)) for row in found.records
            if row.protocol == Protocol.ENIP and row.kind in (Kind.REQUEST, Kind.RESPONSE)
            and row.func & 0xF00 != 0x100]  # fmt: skip


def _ours(row: Any, names: dict[int, str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "kind": "request" if row.kind == Kind.REQUEST else "response",
        "function": 0x4B if _PCCC <= row.func < _MANAGER else row.func & 0x7F,
        "anomaly": row.anomaly,
    }
    if row.kind == Kind.RESPONSE and not _PCCC <= row.func < _MANAGER:
        said["exception"] = row.status
    if row.space == Space.CIP_ATTRIBUTE and not _PCCC <= row.func < _MANAGER:
        said["reference"] = (row.addr >> 32, row.addr & 0xFFFFFFFF)
        if row.addr_sub:
            said["attribute"] = row.addr_sub
    if row.space == Space.CIP_SYMBOL:
        said["name"] = _row_name(row, names)
        told = [p for p in row.points if p.value == p.value]
        if told:
            said["values"] = tuple(float(f"{p.value:.6g}") for p in told)
    return said


def tshark(path: Path) -> list[Message]:
    """The same as tshark dissects them."""
    found = []
    for number, layers in pdml.packets(path, "enip cip cipcm cipcls cippccc cipcco"):
        for i, layer in enumerate(layers):
            if layer.name != "cip" or not layer.first("cip.sc"):
                continue
            own = list(_own(layer))
            data = layers[i + 1] if i + 1 < len(layers) and layers[i + 1].name == "cipcls" else None
            said = _dissected(own, data)
            wraps = said["function"] == 0x52 and said.get("reference", (0, 0))[0] == 6 and said["kind"] == "request"
            if not wraps:
                found.append(Message(number, said))
    return found


def _own(layer: pdml.Layer) -> Iterator[tuple[str, str, str]]:
    """The fields of a message down to the end of its path."""
    in_path = False
    for one in layer.fields:
        if in_path and not one[0]:
            return
        in_path |= one[1].startswith("Request Path")
        yield one


def _dissected(own: list[tuple[str, str, str]], data: pdml.Layer | None) -> dict[str, Any]:
    shown: dict[str, list[str]] = {}
    for name, text, _ in own:
        shown.setdefault(name, []).append(text)

    def number(name: str) -> int:
        return int(shown[name][0], 0)

    answers = number("cip.rr") == 1
    said: dict[str, Any] = {"kind": "response" if answers else "request", "function": number("cip.sc")}
    if answers:
        extended = int(shown["cip.addstat"][0], 0) if shown.get("cip.addstat") else 0
        said["exception"] = number("cip.genstat") | extended << 8
    if "cip.symbol" in shown:
        said["name"] = ".".join(shown["cip.symbol"])
        values = list(_values(said, data)) if data is not None else []
        if values:
            said["values"] = tuple(values)
    elif "cip.class" in shown:
        # A second class and instance name an object inside the first.
        last = max(i for i, (name, _, _) in enumerate(own) if name == "cip.class")
        inside = {name: int(text, 0) for name, text, _ in own[last:] if name in _PLACES}
        said["reference"] = inside["cip.class"], inside.get("cip.instance", 0)
        if "cip.attribute" in inside:
            said["attribute"] = inside["cip.attribute"]
    if said.get("reference", (0, 0))[0] == 6 and (answers or said["function"] in _OPENS):
        del said["reference"]  # an answer to what an Unconnected Send held has tshark call the send's path its own
    if said["function"] == 0x4B and said.get("reference") == (0x67, 1):
        del said["reference"]  # PCCC has addresses and a status of its own
        said.pop("exception", None)
    return said


def _values(said: dict[str, Any], data: pdml.Layer) -> Iterator[float]:
    """The values of an elementary type in what tshark leaves as bytes."""
    raw = b"".join(bytes.fromhex(value) for name, _, value in data.fields if name == "cip.data")
    service, reads = said["function"], said["function"] in (0x4C, 0x52)
    if service not in _TAG_SERVICES or reads != (said["kind"] == "response") or said.get("exception", 0) not in (0, 6):
        return
    code = CODES.get(int.from_bytes(raw[:2], "little"))
    if code is None:
        return
    raw = raw[2:] if reads else raw[8 if service == 0x53 else 4 :]
    for (value,) in struct.iter_unpack("<" + code, raw):
        yield float(f"{float(value):.6g}")


def ours_cyclic(path: Path) -> list[Message]:
    """The datagrams of class 1 connections."""
    return [Message(row.packet, {"txn": row.txn, "quantity": row.count}) for row in decode_file(path).records
            if row.protocol == Protocol.ENIP and row.func == _IO]  # fmt: skip


def cyclic(path: Path) -> list[Message]:
    """The same as tshark dissects them."""
    found = []
    for number, layers in pdml.packets(path, "enip cipio"):
        for layer in layers:
            if layer.name == "enip" and layer.first("enip.cpf.sai.seq"):
                size = int(layer.all("enip.cpf.length")[-1])
                found.append(Message(number, {"txn": layer.number("enip.cpf.sai.seq"), "quantity": size - 2}))
    return found
