"""DNP3 as fieldtap, tshark, Suricata, ICSNPP and the IPAL transcriber tell it, in the same words."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.codes import Dnp3Flag, Kind, Protocol, Space
from tests.decode.reading import decode_file
from tests.oracle import pdml
from tests.oracle.data import DATA
from tests.oracle.message import Message
from tests.oracle.zeek import rows

CAPTURES: dict[str, str] = {
    "icsnpp-dnp3": "parsing/icsnpp-dnp3/testing/traces/dnp3_example.pcap",
    "ipal-dnp3": "parsing/ipal/dnp3.pcap",
    "DNP3Value": "parsing/mixed/dnp3/DNP3Value.pcap",
    "dnp3-eve": "parsing/suricata-verify/dnp3-eve/input.pcap",
    "dnp3-max-points": "parsing/suricata-verify/dnp3-max-points/test.pcap",
    "dnp3-5h": "throughput/dnp3_5h.pcap",
}
"""Short name and place of the captures of DNP3."""
GOLDEN = ("dnp3_integrity_poll", "dnp3_events", "dnp3_controls", "dnp3_functions", "dnp3_several_segments",
          "dnp3_several_outstations")  # fmt: skip
"""Golden captures that tshark reads too."""

_RAW = {Kind.RESPONSE: 129, Kind.UNSOLICITED: 130}
_FLAGS = {"first": Dnp3Flag.FIRST, "final": Dnp3Flag.FINAL, "confirm": Dnp3Flag.CONFIRM, "unsolicited": Dnp3Flag.UNSOLICITED}  # fmt: skip # noqa: E501
_VALUES = {
    f"dnp3.al.{name}"
    for name in (
        *("bit", "2bit", "ana.int", "ana.float", "ana.double", "anaout.int", "anaout.float", "anaout.double", "cnt"),
        *("biq.b7", "boq.b7", "bocs"),
    )
}
_TIMED, _DOUBLE = {50, 51, 52}, {3, 4}
"""Groups that are times themselves; groups whose two bits tshark shows apart."""


def ours(path: Path) -> list[Message]:
    """The fragments and the link frames of a capture, in the order of their records."""
    skipped = (Kind.FOREIGN, Kind.TIMEOUT, Kind.DATA)
    return [_ours(row) for row in decode_file(path).records if row.protocol == Protocol.DNP3 and row.kind not in skipped]  # fmt: skip # noqa: E501


def _ours(row: Any) -> Message:
    to_outstation = bool(row.flags & Dnp3Flag.FROM_MASTER)
    said: dict[str, Any] = {
        "function": _RAW.get(row.kind, row.func),
        "source": row.peer_unit if to_outstation else row.unit,
        "destination": row.unit if to_outstation else row.peer_unit,
    }
    if row.func >= 0x100:
        return Message(row.packet, said)
    said |= {"txn": row.txn} | {name: bool(row.flags & bit) for name, bit in _FLAGS.items()}
    points = [p for p in row.points if p.space != Space.IDENTITY]
    said |= {
        "addresses": tuple(p.addr for p in points),
        "values": tuple(_six(p.value) for p in points),
        "times": tuple(p.source_ts // 1_000_000 for p in points if p.source_ts),
        "controls": Counter((p.addr, int(p.value)) for p in points if p.space == Space.BINARY_OUTPUT and p.type == 14),
    }
    if row.kind in _RAW:
        said["indications"] = row.flags & 0xFFFF
    return Message(row.packet, said)


def _six(value: float) -> float | None:
    return float(f"{value:.6g}") if value == value else None


def tshark(path: Path) -> list[Message]:
    """The fragments and link frames of a capture as tshark dissects them."""
    return [Message(number, said) for number, layers in pdml.packets(path, "dnp3") for said in _dissected(layers)]


def _dissected(layers: list[pdml.Layer]) -> Iterator[dict[str, Any]]:
    for layer in layers:
        if layer.name != "dnp3" or not layer.first("dnp3.src"):
            continue
        said: dict[str, Any] = {"source": layer.number("dnp3.src"), "destination": layer.number("dnp3.dst")}
        if not layer.first("dnp3.tr.ctl"):
            control = int(layer.first("dnp3.ctl"), 0)
            yield said | {"function": 0x100 | control & 0x4F}
        elif layer.first("dnp3.al.func"):
            yield said | _application(layer)


def _application(layer: pdml.Layer) -> dict[str, Any]:
    said: dict[str, Any] = {"function": layer.number("dnp3.al.func"), "txn": layer.number("dnp3.al.seq")}
    short = {"first": "fir", "final": "fin", "confirm": "con", "unsolicited": "uns"}
    said |= {name: layer.first(f"dnp3.al.{field}") == "1" for name, field in short.items()}
    if layer.first("dnp3.al.iin"):
        said["indications"] = int.from_bytes(layer.number("dnp3.al.iin").to_bytes(2, "big"), "little")
    groups = {int(text, 0) >> 8 for text in layer.all("dnp3.al.obj")}
    points = _points(layer)
    if (
        points
        and not any(int(text) for text in layer.all("dnp3.al.objq.prefix"))
        and all(value is not None for _, value in points)
    ):
        said["addresses"] = tuple(index for index, _ in points)
        said["values"] = tuple(value for _, value in points)
    if not groups & _TIMED:
        said["times"] = tuple(filter(None, (_ms(text) for text in layer.all("dnp3.al.timestamp"))))
    return said


def _points(layer: pdml.Layer) -> list[tuple[int, float | None]]:
    """Index and value of each point, None where no value is shown; of double bits the second follows the first."""
    found: list[tuple[int, float | None]] = []
    group = 0
    for name, shown, _ in layer.fields:
        if name == "dnp3.al.obj":
            group = int(shown, 0) >> 8
        elif name == "dnp3.al.point_index":
            found.append((int(shown), None))
        elif found and name in _VALUES:
            value = _number(shown) * (2 if group in _DOUBLE and name == "dnp3.al.biq.b7" else 1)
            found[-1] = (found[-1][0], _six(value))
        elif found and name == "dnp3.al.biq.b6" and group in _DOUBLE:
            found[-1] = (found[-1][0], (found[-1][1] or 0.0) + _number(shown))
    return found


def _number(shown: str) -> float:
    return float(int(shown, 0)) if shown.startswith("0x") else float(shown)


def _ms(shown: str) -> int:
    """A time as tshark shows it, in milliseconds since 1970."""
    text, _, fraction = shown.removesuffix(" UTC").partition(".")
    at = datetime.strptime(re.sub(r"\s+", " ", text), "%b %d, %Y %H:%M:%S").replace(tzinfo=UTC)
    return round(at.timestamp() * 1000) + int((fraction + "000")[:3])


# --- Suricata


def suricata() -> list[Message]:
    """The events that Suricata's own test expects, in turn: it places them where they were acknowledged."""
    text = (DATA / "parsing/suricata-verify/dnp3-eve/test.yaml").read_text()
    events = [dict(re.findall(r"^\s+([\w.\[\]]+): (.+)$", part, re.M)) for part in text.split("- filter:")]
    events = sorted((event for event in events if "pcap_cnt" in event), key=lambda event: int(event["pcap_cnt"]))
    return [Message(number, _event(event)) for number, event in enumerate(events, 1)]


def ours_without_confirms(path: Path) -> list[Message]:
    """Requests and responses in turn, as Suricata tells them."""
    found = [message for message in ours_in_turn(path) if message.said["function"] > 0]
    return [Message(number, message.said) for number, message in enumerate(found, 1)]


def _event(event: dict[str, str]) -> dict[str, Any]:
    control = "dnp3.application.control"
    short = {"first": "fir", "final": "fin", "confirm": "con", "unsolicited": "uns"}
    said: dict[str, Any] = {
        "source": int(event["dnp3.src"]),
        "destination": int(event["dnp3.dst"]),
        "function": int(event["dnp3.application.function_code"]),
        "txn": int(event[f"{control}.sequence"]),
    }
    said |= {name: event[f"{control}.{field}"] == "true" for name, field in short.items() if f"{control}.{field}" in event}  # fmt: skip # noqa: E501
    words = [value for name, value in event.items() if name.startswith("dnp3.iin.indicators")]
    if said["function"] >= 129:
        said["indications"] = sum(int(_INDICATIONS[word]) for word in words)
    return said


_INDICATIONS = {
    "device_restart": Dnp3Flag.DEVICE_RESTART,
    "class1": Dnp3Flag.CLASS_1_EVENTS,
    "class2": Dnp3Flag.CLASS_2_EVENTS,
    "class3": Dnp3Flag.CLASS_3_EVENTS,
    "class1_events": Dnp3Flag.CLASS_1_EVENTS,
    "class2_events": Dnp3Flag.CLASS_2_EVENTS,
    "class3_events": Dnp3Flag.CLASS_3_EVENTS,
    "need_time": Dnp3Flag.NEED_TIME,
    "local_control": Dnp3Flag.LOCAL_CONTROL,
    "device_trouble": Dnp3Flag.DEVICE_TROUBLE,
    "no_func_code_support": Dnp3Flag.NO_FUNCTION_CODE_SUPPORT,
    "object_unknown": Dnp3Flag.OBJECT_UNKNOWN,
    "parameter_error": Dnp3Flag.PARAMETER_ERROR,
}


# --- ICSNPP and IPAL, which tell no packets


def ours_of_controls(path: Path) -> list[Message]:
    """How often each control block was said, by function, index and code: one message for each."""
    found: Counter[tuple[int, int, int]] = Counter()
    for message in ours(path):
        for (index, code), times in message.said.get("controls", {}).items():
            found[message.said["function"], index, code] += times
    return _counted(found)


def icsnpp_controls() -> list[Message]:
    """dnp3_control.log, counted the same way."""
    functions = {"SELECT": 3, "OPERATE": 4, "DIRECT_OPERATE": 5, "RESPONSE": 129}
    operations = {"Nul": 0, "Pulse On": 1, "Pulse Off": 2, "Latch On": 3, "Latch Off": 4}
    trips = {"Nul": 0, "Close": 1, "Trip": 2}
    found: Counter[tuple[int, int, int]] = Counter()
    for row in rows(DATA / "parsing/icsnpp-dnp3/testing/baseline/analyzer.basic/dnp3_control.log"):
        code = operations[row["operation_type"]] | trips[row["trip_control_code"]] << 6
        code |= 0x20 if row["clear_bit"] == "T" else 0
        found[functions[row["function_code"]], int(row["index_number"]), code] += 1
    return _counted(found)


def _counted(found: Counter[tuple[int, int, int]]) -> list[Message]:
    """Messages whose place is a number of their own for each function, index and code."""
    return [
        Message(
            1 + code + 256 * index + (function << 24), {"function": function, "reference": index, "quantity": times}
        )
        for (function, index, code), times in found.items()
    ]


def ours_in_turn(path: Path) -> list[Message]:
    """Fragments placed by their running number, as the IPAL transcriber tells them."""
    found = [message for message in ours(path) if message.said["function"] < 0x100]
    return [Message(number, message.said) for number, message in enumerate(found, 1)]


def ipal() -> list[Message]:
    """The messages of dnp3.ipal."""
    lines = [json.loads(line) for line in (DATA / "parsing/ipal/dnp3.ipal").read_text().splitlines()]
    return [
        Message(number, {"function": row["type"]} | ({"txn": row["data"]["SEQ"]} if "SEQ" in row["data"] else {}))
        for number, row in enumerate(lines, 1)
    ]
