"""S7comm as fieldtap, tshark, ICSNPP and the IPAL transcriber tell it, in the same words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from schemas.codes import Kind, PointType, Protocol, S7Flag
from tests.decode.reading import decode_file
from tests.oracle import pdml, s7_user
from tests.oracle.data import DATA
from tests.oracle.message import Message
from tests.oracle.s7_items import Item, data_of, items_of, place, values_of
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
          "s7comm_download", "s7comm_upload", "s7comm_identity", "s7comm_userdata", "s7comm_partner",
          "s7comm_blocks", "s7comm_cyclic", "s7comm_tables", "s7comm_alarms")  # fmt: skip
"""Golden captures that tshark reads too."""

_KINDS = {Kind.REQUEST: "request", Kind.RESPONSE: "response", Kind.UNSOLICITED: "unsolicited"}


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
        said |= {"subfunction": row.subfunc, "reference": (row.addr, row.addr_sub)} | _points(row, names)
    if row.name_id:
        said["name"] = names[row.name_id & (1 << 64) - 1]
    return said


def _points(row: Any, names: dict[int, str]) -> dict[str, Any]:
    """What userdata carries: values and texts with their places and times, and places without a value."""
    texts = {i: names[p.raw & (1 << 64) - 1] for i, p in enumerate(row.points) if p.type == PointType.TEXT}
    told = [i for i, p in enumerate(row.points) if i in texts or p.value == p.value]
    points = [row.points[i] for i in told]
    return {
        "values": tuple(texts[i] if i in texts else float(f"{row.points[i].value:.6g}") for i in told),
        "addresses": tuple((p.space, p.addr, p.addr_sub) for p in points),
        "times": tuple(p.source_ts // 1_000_000 for p in points),
        "items": tuple((p.space, p.addr, p.addr_sub) for i, p in enumerate(row.points) if i not in told),
    }


def tshark(path: Path) -> list[Message]:
    """The messages of S7comm of a capture as tshark dissects them; an answer's items are those of its request."""
    asked: dict[tuple[int, int], list[Item]] = {}
    before = s7_user.Asked()
    return [Message(number, _dissected(layer, asked, before)) for number, layers in pdml.packets(path, "s7comm cotp")
            for layer in layers if layer.name == "s7comm"]  # fmt: skip


def _dissected(layer: pdml.Layer, asked: dict[tuple[int, int], list[Item]], before: s7_user.Asked) -> dict[str, Any]:
    kind, txn = layer.number("s7comm.header.rosctr"), layer.number("s7comm.header.pduref")
    error = layer.first("s7comm.header.errcls") and layer.number("s7comm.header.errcls") << 8 | layer.number("s7comm.header.errcod")  # fmt: skip # noqa: E501
    said: dict[str, Any] = {"txn": txn, "exception": error or 0}
    if kind == 7:
        user = said | _user(layer)
        return user | s7_user.contents(layer, txn, user["kind"], before)
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
        items = asked[key] = list(items_of(layer))
        if function == 4:
            return more | {"items": tuple(place(item, 0, 0) for item in items if item)}
    else:
        items = asked.get(key, [])
    codes = [int(code, 0) for code in layer.all("s7comm.data.returncode")]
    if said["kind"] == "response":
        more["exception"] = said["exception"] or next((code for code in codes if code != 0xFF), 0)
        if len(items) == len(codes):
            more["items"] = tuple(place(items[i], 0, 0) for i, code in enumerate(codes) if code != 0xFF and items[i])
        if function == 5:
            return more
    return more | values_of(items, data_of(layer))


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
