"""EtherNet/IP as fieldtap and tshark tell it, in the same words."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pipeline.decode.protocols.enip_names import named
from schemas.codes import CipFlag, Kind, Protocol, Space
from tests.decode.reading import decode_file
from tests.oracle import enip_attributes as attributes
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
    "ipal-cip": "parsing/ipal/cip.pcapng",
}
"""Short name and place of the captures of EtherNet/IP."""

GOLDEN = ("enip_tags", "enip_types", "enip_structures", "enip_several", "enip_objects", "enip_connections", "enip_pccc",
          "enip_split_and_pipelined", "enip_attribute_lists", "enip_whole_objects", "enip_texts_and_words",
          "enip_run_idle")  # fmt: skip
"""Golden captures that tshark reads too."""

_TAG, _PCCC, _MANAGER, _IO = 0x200, 0x300, 0x500, 0x600
_PLACES = ("cip.class", "cip.instance", "cip.attribute")
_TAG_SERVICES, _OPENS = (0x4C, 0x4D, 0x52, 0x53), (0x54, 0x5B)
_ATTRIBUTES = (attributes.GET_ALL, attributes.GET_LIST, attributes.SET_LIST, attributes.GET_SINGLE,
               attributes.SET_SINGLE)  # fmt: skip
_NUMBERS_OF_OPENING = ("cip.cm.ot_connid", "cip.cm.to_connid", "cip.cm.otrpi", "cip.cm.torpi", "cip.cm.otapi",
                       "cip.cm.toapi")  # fmt: skip
_TEXTS = {0xDA: 1, 0xD0: 2}
_TOLD = (Kind.REQUEST, Kind.RESPONSE, Kind.CONTROL, Kind.UNSOLICITED)


def ours(path: Path) -> list[Message]:
    """The messages of CIP of a capture, in the order of their records; of those wrapped, what is inside."""
    found = decode_file(path)
    return [Message(row.packet, _ours(row, found.names)) for row in found.records
            if row.protocol == Protocol.ENIP and row.kind in (Kind.REQUEST, Kind.RESPONSE)
            and row.func & 0xF00 != 0x100]  # fmt: skip


def _ours(row: Any, names: dict[int, str]) -> dict[str, Any]:
    of_pccc = _PCCC <= row.func < _MANAGER
    said: dict[str, Any] = {
        "kind": "request" if row.kind == Kind.REQUEST else "response",
        "function": 0x4B if of_pccc else row.func & 0x7F,
        "session": row.peer_unit,
        "anomaly": row.anomaly,
    }
    if not of_pccc:
        said["txn"] = row.txn
        if row.kind == Kind.RESPONSE:
            said["exception"] = row.status
    if row.space == Space.CIP_ATTRIBUTE and not of_pccc:
        said["reference"] = (row.addr >> 32, row.addr & 0xFFFFFFFF)
        if row.addr_sub:
            said["attribute"] = row.addr_sub
    if row.func in _ATTRIBUTES and row.space == Space.CIP_ATTRIBUTE:
        said |= attributes.ours(row, names)
    elif row.func & 0xFF in _OPENS:
        said["items"] = (row.addr, row.addr_sub) if row.space == Space.CIP_ASSEMBLY else ()
        said["values"] = tuple(p.value for p in row.points)
    if row.space == Space.CIP_SYMBOL:
        said["name"] = named(names[row.name_id % (1 << 64)], row.addr, row.addr_sub)
        said["values"] = tuple(float(f"{p.value:.6g}") for p in row.points if p.value == p.value)
        said["data"] = tuple(names[p.raw % (1 << 64)] if p.raw else "" for p in row.points if p.value != p.value)
    return said


def tshark(path: Path) -> list[Message]:
    """The same as tshark dissects them."""
    found = []
    for number, layers in pdml.packets(path, "enip cip cipcm cipcls cippccc cipcco"):
        carrier = layers[0]
        for i, layer in enumerate(layers):
            carrier = layer if layer.name == "enip" else carrier
            if layer.name != "cip" or not layer.first("cip.sc"):
                continue
            own = list(_own(layer))
            data = layers[i + 1] if i + 1 < len(layers) and layers[i + 1].name in ("cipcls", "cipcm") else None
            source = layer
            if data is not None and layer.number("cip.rr") and data.first("cip.cm.sc") == "0x52":
                source = data  # the answer to what an Unconnected Send held: its path stands in the manager's part
                own = [one for one in own if one[0] not in _PLACES] + list(_own(data))
            said = _dissected(own, list(_behind(source)), data) | _carried(carrier)
            wraps = said["function"] == 0x52 and said.get("reference", (0, 0))[0] == 6 and said["kind"] == "request"
            if said["function"] == 0x4B and _pccc(layers[i + 1 :]):
                del said["txn"]  # PCCC counts for itself
            if not wraps:
                found.append(Message(number, said))
    return found


def _pccc(behind: list[pdml.Layer]) -> bool:
    return bool(behind) and behind[0].name == "cippccc"


def _carried(carrier: pdml.Layer) -> dict[str, Any]:
    """What the encapsulation says: session, and the sequence count or the low half of the sender's context."""
    context = bytes.fromhex(next(raw for name, _, raw in carrier.fields if name == "enip.context"))
    counted = carrier.first("cip.seq")
    txn = int(counted) if counted else int.from_bytes(context[:4], "little")
    return {"session": carrier.number("enip.session"), "txn": txn}


def _own(layer: pdml.Layer) -> Iterator[tuple[str, str, str]]:
    """The fields of a message down to the end of its path."""
    in_path = False
    for one in layer.fields:
        if in_path and not one[0]:
            return
        in_path |= one[1].startswith("Request Path")
        yield one


def _behind(layer: pdml.Layer) -> Iterator[tuple[str, str, str]]:
    """The fields of attributes, behind the path."""
    begun = False
    for one in layer.fields:
        begun |= not one[0] and one[1].startswith(("Get Attribute", "Set Attribute"))
        if begun:
            yield one


Fields = list[tuple[str, str, str]]


def _dissected(own: Fields, behind: Fields, data: pdml.Layer | None) -> dict[str, Any]:
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
        said["name"] = _name(own)
        if data is not None:
            said |= _values(said, data)
    elif "cip.class" in shown:
        # A second class and instance name an object inside the first.
        last = max(i for i, (name, _, _) in enumerate(own) if name == "cip.class")
        inside = {name: int(text, 0) for name, text, _ in own[last:] if name in _PLACES}
        said["reference"] = inside["cip.class"], inside.get("cip.instance", 0)
        if "cip.attribute" in inside:
            said["attribute"] = inside["cip.attribute"]
        if said["function"] in _ATTRIBUTES and "cip.connpoint" not in shown:
            asked, status = said.get("attribute", 0), said.get("exception")
            said |= attributes.tshark(said["function"], status, asked, behind)
    if said.get("reference", (0, 0))[0] == 6 and said["function"] in _OPENS and data is not None:
        said |= _opening(data)
    if said.get("reference", (0, 0))[0] == 6 and said["function"] in _OPENS:
        del said["reference"]  # the address is that of the connection
    if said["function"] == 0x4B and said.get("reference") == (0x67, 1):
        del said["reference"]  # PCCC has addresses and a status of its own
        said.pop("exception", None)
    return said


def _name(own: Fields) -> str:
    """A tag's symbols and indices, as its field writes them."""
    text = ""
    for name, shown, _ in own:
        if name == "cip.symbol":
            text += ("." if text else "") + shown
        elif name == "cip.member":
            text += f"[{int(shown, 0)}]"
    return text


def _opening(data: pdml.Layer) -> dict[str, Any]:
    """Connection points, ids and intervals of a Forward Open or its answer."""
    fields = [one for one in data.fields if "[" not in one[1][:1]]
    said: dict[str, Any] = {}
    numbers = [int(shown, 0) for name, shown, _ in fields if name in _NUMBERS_OF_OPENING]
    if len(numbers) == 4:
        said["values"] = tuple(float(n) for n in numbers)
    points = [int(shown, 0) for name, shown, _ in fields if name == "cip.connpoint"]
    if points:
        said["items"] = (points[0], points[-1])
    return said


def _values(said: dict[str, Any], data: pdml.Layer) -> dict[str, Any]:
    """What a tag's read or write carries, in what tshark leaves as bytes: numbers, words of a structure, texts."""
    raw = b"".join(bytes.fromhex(value) for name, _, value in data.fields if name == "cip.data")
    service, reads = said["function"], said["function"] in (0x4C, 0x52)
    if service not in _TAG_SERVICES or reads != (said["kind"] == "response") or said.get("exception", 0) not in (0, 6):
        return {}
    kind, structured = int.from_bytes(raw[:2], "little"), raw[:2] == b"\xa0\x02"
    handle = int.from_bytes(raw[2:4], "little")
    raw = raw[(4 if structured else 2) + (0 if reads else 6 if service == 0x53 else 2) :]
    if structured and handle == 0x0FCE:
        return {"data": (attributes.text_of(raw[4 : 4 + int.from_bytes(raw[:4], "little")]),)}
    if structured:
        return {"values": tuple(attributes.words(raw))}
    if kind in _TEXTS and int.from_bytes(raw[: _TEXTS[kind]], "little") <= len(raw) - _TEXTS[kind]:
        start = _TEXTS[kind]
        return {"data": (attributes.text_of(raw[start : start + int.from_bytes(raw[:start], "little")]),)}
    code = CODES.get(kind)
    if code is None:
        return {}
    return {"values": tuple(float(f"{float(value):.6g}") for (value,) in struct.iter_unpack("<" + code, raw))}


def ours_encapsulated(path: Path) -> list[Message]:
    """One message for each of the encapsulation: command, session, length and status."""
    found, packets = [], {}
    for row in decode_file(path).records:
        packets[row.seq] = row.packet
        if row.protocol == Protocol.ENIP and row.func != _IO and not row.flags & CipFlag.EMBEDDED and row.kind in _TOLD:
            said = _ours_encapsulated(row)
            found.append(Message(row.packet, said | ({"request": packets[row.peer_seq]} if row.peer_seq else {})))
    return found


def _ours_encapsulated(row: Any) -> dict[str, Any]:
    own = row.func & 0xF00 == 0x100
    command = row.func & 0xFF if own else 0x70 if row.flags & CipFlag.CONNECTED else 0x6F
    status = row.status & 0xFFFF if row.status >> 24 == 1 else 0
    return {"function": command, "session": row.peer_unit, "length": row.length - 24, "exception": status}


def encapsulated(path: Path) -> list[Message]:
    """The same as tshark dissects them."""
    found = []
    for number, layers in pdml.packets(path, "enip"):
        for layer in layers:
            if layer.name == "enip" and layer.first("enip.command"):
                said = {"function": layer.number("enip.command"), "session": layer.number("enip.session"),
                        "length": layer.number("enip.length"), "exception": layer.number("enip.status")}  # fmt: skip
                if layer.first("enip.response_to"):
                    said["request"] = layer.number("enip.response_to")
                found.append(Message(number, said))
    return found


def identities(path: Path) -> list[Message]:
    """What devices tell of themselves in lists of identities, as tshark dissects it."""
    found = []
    for number, layers in pdml.packets(path, "enip"):
        for layer in layers:
            if layer.name == "enip" and layer.first("enip.lir.vendor"):
                raw = {name: bytes.fromhex(value) for name, _, value in layer.fields if name.startswith("enip.lir.")}
                told = [int.from_bytes(raw[f"enip.lir.{name}"], order) for name, order in _LISTED]
                objects = (*told[:6], layer.first("enip.lir.name"), told[6])
                found.append(Message(number, {"objects": objects}))
    return found


_LISTED: tuple[tuple[str, Literal["little", "big"]], ...] = (
    ("vendor", "little"), ("devtype", "little"), ("prodcode", "little"), ("revision", "big"), ("status", "little"),
    ("serial", "little"), ("state", "little"),
)  # fmt: skip


def ours_cyclic(path: Path) -> list[Message]:
    """The datagrams of class 1 connections: data, and run or idle before it where there is a header."""
    return [Message(row.packet, {"txn": row.txn, "quantity": row.count, "values": tuple(row.values)})
            for row in decode_file(path).records if row.protocol == Protocol.ENIP and row.func == _IO]  # fmt: skip


def cyclic(path: Path) -> list[Message]:
    """The same as tshark dissects them."""
    found = []
    for number, layers in pdml.packets(path, "enip cipio"):
        for i, layer in enumerate(layers):
            if layer.name == "enip" and layer.first("enip.cpf.sai.seq"):
                said = {"txn": layer.number("enip.cpf.sai.seq")}
                found.append(Message(number, said | _data(layers[i + 1])))
    return found


def _data(layer: pdml.Layer) -> dict[str, Any]:
    header = [int(shown, 0) & 1 for name, shown, _ in layer.fields if name == "cip.32bitheader"]
    raw = b"".join(bytes.fromhex(value) for name, _, value in layer.fields if name in ("cipio.data", "cip.data"))
    if not layer.first("cip.seq"):
        raw = raw[2:]  # of an unknown connection, the count is data
    return {"quantity": len(raw), "values": (*map(float, header), *attributes.words(raw))}
