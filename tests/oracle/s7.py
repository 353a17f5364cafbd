"""S7comm as fieldtap, tshark, ICSNPP and the IPAL transcriber tell it, in the same words."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.codes import Kind, Protocol, S7Flag, Space
from tests.decode.reading import decode_file
from tests.oracle import pdml
from tests.oracle.data import DATA
from tests.oracle.message import Message
from tests.oracle.zeek import rows

ICSNPP = "parsing/icsnpp-s7comm/tests"
CAPTURES: dict[str, str] = {
    "s7comm_clean": "parsing/mixed/s7/s7comm_clean.pcap",
    "step7_s300_readDiagData": "parsing/mixed/s7/step7_s300_readDiagData.pcapng",
    "wincc_s300": "parsing/mixed/s7/wincc_s300_setup-alarm-read_2.pcapng",
    "snap7": f"{ICSNPP}/traces/snap7.pcap",
    "s7ident": f"{ICSNPP}/traces/s7ident.pcap",
    "s7comm_plus": f"{ICSNPP}/traces/s7comm_plus.pcap",
    "ipal-s7": "parsing/ipal/s7.pcap",
}
"""Short name and place of the captures of S7comm."""

GOLDEN = ("s7comm_session", "s7comm_items", "s7comm_writes", "s7comm_fragments", "s7comm_control",
          "s7comm_download", "s7comm_upload", "s7comm_identity", "s7comm_userdata", "s7comm_partner")  # fmt: skip
"""Golden captures that tshark reads too."""

_KINDS = {Kind.REQUEST: "request", Kind.RESPONSE: "response", Kind.UNSOLICITED: "unsolicited"}
_AREAS = {
    0x80: Space.S7_PERIPHERAL, 0x81: Space.S7_INPUT, 0x82: Space.S7_OUTPUT, 0x83: Space.S7_FLAG,
    0x84: Space.S7_DATA_BLOCK, 0x85: Space.S7_INSTANCE_BLOCK, 0x1C: Space.S7_COUNTER, 0x1D: Space.S7_TIMER,
}  # fmt: skip
_ELEMENTS = {1: "?", 2: "B", 3: "B", 4: "H", 5: "h", 6: "I", 7: "i", 8: "f", 9: "H", 10: "I", 11: "i", 12: "H",
             0x1C: "H", 0x1D: "H"}  # fmt: skip
_RAW = {5: "h", 6: "i", 7: "f"}
Item = tuple[int, int, int, int] | None
"""Area, data block, address and transport size of an item; None where its syntax is not S7ANY."""


def ours(path: Path) -> list[Message]:
    """The messages of S7comm of a capture, in the order of their records."""
    return [Message(row.packet, _ours(row, found.names)) for found in (decode_file(path),) for row in found.records
            if row.protocol == Protocol.S7COMM and row.kind in _KINDS and row.func < 0x300 and row.func & 0x300 != 0x100]  # fmt: skip # noqa: E501


def _ours(row: Any, names: dict[int, str]) -> dict[str, Any]:
    said: dict[str, Any] = {"kind": _KINDS[row.kind], "txn": row.txn, "function": row.func, "anomaly": row.anomaly,
                            "exception": row.status}  # fmt: skip
    if row.func in (4, 5):
        said["quantity"] = row.flags >> 16 & 255
        told = [p for p in row.points if p.value == p.value]
        said["values"] = tuple(float(f"{p.value:.6g}") for p in told)
        said["addresses"] = tuple((p.space, p.addr, p.addr_sub) for p in told)
        said["items"] = tuple((p.space, p.addr, p.addr_sub) for p in row.points if p.value != p.value)
        if row.func == 4 and row.kind == Kind.REQUEST and said["quantity"] == 1:
            said["items"] = ((row.space, row.addr, row.addr_sub),) if row.space else ()
    if row.func >= 0x200:
        said["subfunction"] = row.subfunc
    if row.space == Space.S7_SYSTEM_STATUS:
        said["reference"] = (row.addr, row.addr_sub)
    if row.name_id:
        said["name"] = names[row.name_id & (1 << 64) - 1]
    return said


def tshark(path: Path) -> list[Message]:
    """The messages of S7comm of a capture as tshark dissects them; an answer's items are those of its request."""
    asked: dict[tuple[int, int], list[Item]] = {}
    return [Message(number, _dissected(layer, asked)) for number, layers in pdml.packets(path, "s7comm cotp")
            for layer in layers if layer.name == "s7comm"]  # fmt: skip


def _dissected(layer: pdml.Layer, asked: dict[tuple[int, int], list[Item]]) -> dict[str, Any]:
    kind, txn = layer.number("s7comm.header.rosctr"), layer.number("s7comm.header.pduref")
    error = layer.first("s7comm.header.errcls") and layer.number("s7comm.header.errcls") << 8 | layer.number("s7comm.header.errcod")  # fmt: skip # noqa: E501
    said: dict[str, Any] = {"txn": txn, "exception": error or 0}
    if kind == 7:
        return said | _user(layer)
    said["kind"] = "request" if kind == 1 else "response"
    if not layer.first("s7comm.param.func"):
        return said
    function = said["function"] = layer.number("s7comm.param.func")
    if function in (4, 5):
        return said | _variables(layer, said, asked)
    if kind == 1 and layer.first("s7comm.data.blockcontrol.errorcode"):
        said["exception"] = layer.number("s7comm.data.blockcontrol.errorcode")
    if kind == 1 and function != 0x28 and layer.first("s7comm.param.blockcontrol.filename"):
        said["name"] = layer.first("s7comm.param.blockcontrol.filename")
    service = layer.first("s7comm.param.pistart.servicename")
    if service and function == 0x29:
        said["name"] = service
    return said


def _variables(layer: pdml.Layer, said: dict[str, Any], asked: dict[tuple[int, int], list[Item]]) -> dict[str, Any]:
    function, key = said["function"], (said["txn"], said["function"])
    more: dict[str, Any] = {"quantity": layer.number("s7comm.param.itemcount")}
    if said["kind"] == "request":
        items = asked[key] = list(_items(layer))
        if function == 4:
            return more | {"items": tuple(_place(item, 0, 0) for item in items if item)}
    else:
        items = asked.get(key, [])
    codes = [int(code, 0) for code in layer.all("s7comm.data.returncode")]
    if said["kind"] == "response":
        more["exception"] = said["exception"] or next((code for code in codes if code != 0xFF), 0)
        if len(items) == len(codes):
            more["items"] = tuple(_place(items[i], 0, 0) for i, code in enumerate(codes) if code != 0xFF and items[i])
        if function == 5:
            return more
    values: list[float] = []
    places: list[tuple[int, int, int]] = []
    for number, sort, data in _data(layer):
        item = items[number] if number < len(items) else None
        for k, value in enumerate(_elements(item, sort, data)):
            values.append(float(f"{value:.6g}"))
            places.append(_place(item, k, number, _width(item, sort)))
    return more | {"values": tuple(values), "addresses": tuple(places)}


def _items(layer: pdml.Layer) -> Iterator[Item]:
    found: dict[str, str] = {}
    for name, shown, raw in layer.fields:
        part = name.removeprefix("s7comm.param.item.")
        if part == "syntaxid" and int(shown, 0) != 0x10:
            yield None
        found[part] = raw
        if part == "address" and int(found["syntaxid"], 16) == 0x10:
            area = int(found["area"], 16)
            block = int(found["db"], 16) if area in (0x84, 0x85) else 0
            yield area, block, int(raw, 16), int(found["transp_size"], 16)


def _data(layer: pdml.Layer) -> Iterator[tuple[int, int, bytes]]:
    """(number, transport size, bytes) of each item that has data."""
    number, sort = -1, 0
    for name, shown, raw in layer.fields:
        if name == "s7comm.data.returncode":
            number += 1
        elif name == "s7comm.data.transportsize":
            sort = int(shown, 0)
        elif name == "s7comm.resp.data":
            yield number, sort, bytes.fromhex(raw)


def _width(item: Item, sort: int) -> int:
    letter = _ELEMENTS[item[3]] if item else _RAW.get(sort, "B")
    return 0 if letter == "?" else struct.calcsize(letter)


def _elements(item: Item, sort: int, data: bytes) -> tuple[float, ...]:
    if not item and sort == 3:
        return (float(data[0] & 1),)
    letter = _ELEMENTS[item[3]] if item else _RAW.get(sort, "B")
    return struct.unpack(f">{len(data) // struct.calcsize(letter)}{letter}", data)


def _place(item: Item, k: int, number: int, raw: int = 1) -> tuple[int, int, int]:
    """Space, address and second part of element `k` of an item."""
    if not item:
        return 0, 8 * raw * k, number + 1
    area, block, address, _ = item
    if area in (0x1C, 0x1D):
        return _AREAS[area], address + k, 0
    width = _width(item, 0)
    return _AREAS[area], address + 8 * width * k, block | width << 16


def _user(layer: pdml.Layer) -> dict[str, Any]:
    kind = layer.number("s7comm.param.userdata.type")
    said: dict[str, Any] = {
        "kind": {4: "request", 8: "response"}.get(kind, "unsolicited"),
        "function": 0x200 | layer.number("s7comm.param.userdata.funcgroup"),
    }
    if layer.first("s7comm.param.userdata.subfunc"):
        said["subfunction"] = layer.number("s7comm.param.userdata.subfunc")
    if layer.first("s7comm.param.errcod") and kind == 8:
        said["exception"] = layer.number("s7comm.param.errcod")
    if layer.first("s7comm.data.userdata.szl_id"):
        said["reference"] = layer.number("s7comm.data.userdata.szl_id"), layer.number("s7comm.data.userdata.szl_index")
    return said


def ours_openings(path: Path) -> list[Message]:
    """The requests and confirms of connections."""
    return [Message(row.packet, {"called": row.addr, "calling": row.addr_sub}) for row in decode_file(path).records
            if row.protocol == Protocol.S7COMM and row.func in (0x1E0, 0x1D0)]  # fmt: skip


def openings(path: Path) -> list[Message]:
    """The same as tshark dissects them."""
    found = []
    for number, layers in pdml.packets(path, "cotp"):
        for layer in layers:
            raw = {name: value for name, _, value in layer.fields}
            if layer.name == "cotp" and int(layer.first("cotp.type", "0"), 0) in (0xE, 0xD):
                ends = {"called": "cotp.dst-tsap", "calling": "cotp.src-tsap"}
                found.append(Message(number, {ours: _tsap(raw, name) for ours, name in ends.items()}))
    return found


def _tsap(raw: dict[str, str], name: str) -> int:
    text = raw.get(name) or raw.get(f"{name}-bytes", "")
    return int(text, 16) if len(text) == 4 else 0


def ours_plus(path: Path) -> list[Message]:
    """The messages of S7comm-plus that begin with an opcode, placed by their running number."""
    found = [
        row
        for row in decode_file(path).records
        if row.protocol == Protocol.S7COMM and row.flags & S7Flag.PLUS and row.kind in _KINDS
    ]
    told = [row for row in found if row.func != 0x700]
    return [Message(n, {"kind": _KINDS[row.kind], "function": row.func, "version": row.addr_sub}) for n, row in enumerate(told, 1)]  # fmt: skip # noqa: E501


def icsnpp_plus() -> list[Message]:
    """The lines of ICSNPP's log of S7comm-plus."""
    kinds = {"0x31": "request", "0x32": "response", "0x33": "unsolicited"}
    found = []
    for number, row in enumerate(rows(DATA / ICSNPP / "baseline/analyzer.s7comm_plus/s7comm_plus.log"), 1):
        function = int(row.get("function_code", "0x733"), 16)
        found.append(
            Message(number, {"kind": kinds[row["opcode"]], "function": function, "version": int(row["version"])})
        )
    return found


def ours_in_turn(path: Path) -> list[Message]:
    """The messages placed by their running number."""
    return [Message(number, message.said) for number, message in enumerate(ours(path), 1)]


def ours_anywhere(path: Path) -> list[Message]:
    """The messages without a place: of each kind in turn, told apart by number and function."""
    return [Message(0, message.said) for message in ours(path)]


def icsnpp(name: str) -> list[Message]:
    """The lines of ICSNPP's log of S7comm, which has not all of them."""
    return [Message(0, _logged(row)) for row in rows(DATA / ICSNPP / f"baseline/analyzer.{name}/s7comm.log")]


def _logged(row: dict[str, str]) -> dict[str, Any]:
    code, kind = int(row["function_code"], 16), int(row["rosctr_code"])
    said: dict[str, Any] = {"txn": _swapped(int(row["pdu_reference"])), "kind": "request" if kind == 1 else "response"}
    if kind != 7:
        return said | {"function": code}
    sub, direction = int(row["subfunction_code"], 16), {4: "request", 8: "response"}
    return said | {"function": 0x200 | code & 15, "subfunction": sub, "kind": direction.get(code >> 4, "unsolicited")}


def _swapped(number: int) -> int:
    """A number that ICSNPP reads with its bytes in the wrong order: the others of the header are the other way."""
    return int.from_bytes(number.to_bytes(2, "little"))


def ipal() -> list[Message]:
    """The messages of s7.ipal: its keys are the numbers of symbols, its values bits."""
    said = [json.loads(line) for line in (DATA / "parsing/ipal/s7.ipal").read_text().splitlines()]
    return [Message(number, {"kind": {1: "request", 3: "response"}[row["type"]], "quantity": len(row["data"])}
                    | ({"values": tuple(row["data"].values())} if row["type"] == 3 else {}))
            for number, row in enumerate(said, 1)]  # fmt: skip
