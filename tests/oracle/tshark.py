"""What tshark makes of a capture, as messages: its PDML, one `proto` element for each PDU of a packet."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any
from xml.parsers import expat

from tests.oracle.message import Message, bits, registers

Fields = dict[str, list[str]]
_LAYERS = ("mbtcp", "mbudp", "mbrtu", "modbus")
_PORTS = re.compile(r"Src Port: (\d+), Dst Port: (\d+)")
_BYTES = {"modbus.data", "modbus.object_str_value", "modbus.object_value", "modbus.and_mask", "modbus.or_mask"}
_NUMBERS = {
    "modbus.func_code": "function",
    "modbus.reference_num": "reference",
    "modbus.read_reference_num": "reference",
    "modbus.bit_cnt": "quantity",
    "modbus.word_cnt": "quantity",
    "modbus.read_word_cnt": "quantity",
    "modbus.exception_code": "exception",
    "modbus.diagnostic_code": "subfunction",
    "modbus.mei": "subfunction",
    "modbus.request_frame": "request",
    "mbtcp.trans_id": "txn",
    "mbtcp.unit_id": "unit",
    "mbrtu.unit_id": "unit",
}


class _Reader:
    """Collects the fields of each Modbus PDU while the XML streams by."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._packet = 0
        self._is_response = False
        self._layer = ""
        self._header: Fields = {}
        self._fields: Fields = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An opening tag."""
        name = attributes.get("name", "")
        if tag == "field":
            self._field(name, attributes)
        elif tag == "proto":
            self._proto(name, attributes.get("showname", ""))
        elif tag == "packet":
            self._layer = ""

    def end(self, tag: str) -> None:
        """A closing tag."""
        if tag == "proto" and self._layer == "modbus":
            self.messages.append(Message(self._packet, _said(self._header, self._fields, self._is_response)))
        if tag == "proto":
            self._layer = ""

    def _proto(self, name: str, shown: str) -> None:
        self._layer = name
        if name in _LAYERS[:3]:
            self._header = {}
        elif name == "modbus":
            self._fields = {}
        elif name in ("tcp", "udp"):
            ports = _PORTS.search(shown)
            self._is_response = ports is not None and ports.group(1) == "502"

    def _field(self, name: str, attributes: dict[str, str]) -> None:
        if self._layer == "geninfo" and name == "num":
            self._packet = int(attributes["show"])
        elif self._layer == "modbus":
            text = attributes.get("value" if _is_bytes(name) else "show", "")
            self._fields.setdefault(name, []).append(text)
        elif self._layer in _LAYERS[:3]:
            self._header.setdefault(name, []).append(attributes.get("show", ""))


def _is_bytes(name: str) -> bool:
    return name in (
        "modbus.data",
        "modbus.object_str_value",
        "modbus.object_value",
        "modbus.and_mask",
        "modbus.or_mask",
    )


def _said(header: Fields, fields: Fields, is_response: bool) -> dict[str, Any]:
    """A PDU's fields in our words."""
    said: dict[str, Any] = {"kind": "response" if is_response else "request"}
    for source in (header, fields):
        for name, ours in _NUMBERS.items():
            if name in source:
                said[ours] = int(source[name][0], 0)
    if "modbus.response_time" in fields:
        said["response_us"] = round(float(fields["modbus.response_time"][0]) * 1e6)
    if "modbus.and_mask" in fields:
        said["masks"] = tuple(int(fields[name][0], 16) for name in ("modbus.and_mask", "modbus.or_mask"))
    if said["function"] in (20, 21):
        said.pop("quantity", None)  # of the first group only
    said.update(_values(said, fields))
    if "modbus.object_id" in fields and is_response:
        texts = fields.get("modbus.object_str_value", []) + fields.get("modbus.object_value", [])
        said["objects"] = tuple(
            (int(number), _text(text)) for number, text in zip(fields["modbus.object_id"], texts, strict=False)
        )
    return said


def _values(said: dict[str, Any], fields: Fields) -> dict[str, Any]:
    """Values and their addresses; where tshark leaves the bytes to its reader, read as the specification says."""
    for number, value in (("modbus.bitnum", "modbus.bitval"), ("modbus.regnum16", "modbus.regval_uint16")):
        if number in fields:
            return {
                "addresses": tuple(int(text) for text in fields[number]),
                "values": tuple(int(text) for text in fields.get(value, ())),
            }
    data = fields.get("modbus.data")
    if data is None:
        return {}
    raw, function = bytes.fromhex(data[0]), said["function"]
    if function == 5:
        return {"values": (int(raw == b"\xff\x00"),)}
    if function == 6:
        return {"values": registers(raw)}
    if function == 15:
        return {"values": bits(raw, said["quantity"])}
    if function == 23:
        values = registers(raw)
        if "modbus.write_reference_num" not in fields:
            return {"values": values}
        first = int(fields["modbus.write_reference_num"][0])
        return {"values": values, "addresses": tuple(range(first, first + len(values)))}
    if function in (20, 21, 24):
        return {"values": registers(raw)}
    if function in (7, 8):
        return {"data": tuple(raw) if function == 7 else registers(raw)}
    return {"data": _text(data[0])}


def _text(value: str) -> str:
    return bytes.fromhex(value).decode("utf-8", "backslashreplace")


def messages(path: Path, *options: str) -> list[Message]:
    """The Modbus PDUs of a capture; `options` are tshark's own, such as how a port is to be read."""
    command = [
        "tshark",
        "-n",
        "-r",
        str(path),
        *options,
        "-Y",
        "modbus",
        "-T",
        "pdml",
        "-J",
        "mbtcp mbudp mbrtu modbus",
    ]
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout is not None
        parser.ParseFile(running.stdout)
    return reader.messages
