"""What Zeek and its ICSNPP parser said of a capture, as messages: their published logs and event dumps.

Those tell no packet numbers, so their messages are placed by connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.oracle.data import DATA, ICSNPP, ZEEK
from tests.oracle.message import Message

Row = dict[str, str]

FUNCTIONS: dict[str, int] = {
    "READ_COILS": 1,
    "READ_DISCRETE_INPUTS": 2,
    "READ_HOLDING_REGISTERS": 3,
    "READ_INPUT_REGISTERS": 4,
    "WRITE_SINGLE_COIL": 5,
    "WRITE_SINGLE_REGISTER": 6,
    "READ_EXCEPTION_STATUS": 7,
    "DIAGNOSTICS": 8,
    "WRITE_MULTIPLE_COILS": 15,
    "WRITE_MULTIPLE_REGISTERS": 16,
    "REPORT_SLAVE_ID": 17,
    "READ_FILE_RECORD": 20,
    "WRITE_FILE_RECORD": 21,
    "MASK_WRITE_REGISTER": 22,
    "READ_WRITE_MULTIPLE_REGISTERS": 23,
    "READ_FIFO_QUEUE": 24,
    "ENCAP_INTERFACE_TRANSPORT": 43,
}
EXCEPTIONS = {"ILLEGAL_FUNCTION": 1, "ILLEGAL_DATA_ADDRESS": 2, "ILLEGAL_DATA_VALUE": 3, "SLAVE_DEVICE_FAILURE": 4}
_SUBFUNCTIONS = {"Return Diagnostic Register": 2, "Read Device Identification": 14}
_BASELINE = f"{ZEEK}/baseline/scripts.base.protocols.modbus"


def rows(path: Path) -> Iterator[Row]:
    """The rows of a Zeek log, unset fields left out."""
    names: list[str] = []
    for line in path.read_text().splitlines():
        if line.startswith("#fields"):
            names = line.split("\t")[1:]
        elif line and not line.startswith("#"):
            yield {name: value for name, value in zip(names, line.split("\t"), strict=True) if value != "-"}


def _ends(row: Row) -> str:
    return f"{row['id.orig_h']}:{row['id.orig_p']}>{row['id.resp_h']}:{row['id.resp_p']}"


def _vector(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _function(name: str) -> int:
    return int(name.removeprefix("unknown-")) & 0x7F if name.startswith("unknown-") else FUNCTIONS[name]


def _half(row: Row, kind: str, **said: Any) -> Message:
    said = {name: value for name, value in said.items() if value is not None}
    head = {"kind": kind, "txn": int(row["tid"]), "unit": int(row["unit"]), "function": _function(row["func"])}
    return Message(0, head | said, _ends(row))


def _number(row: Row, name: str) -> int | None:
    return int(row[name]) if name in row else None


def icsnpp_detailed() -> list[Message]:
    """modbus_detailed.log: a row for each exchange, or for each half where the parser does not join them."""
    found: list[Message] = []
    halves: set[tuple[str, str]] = set()
    for row in rows(DATA / ICSNPP / "baseline/analyzer.basic/modbus_detailed.log"):
        if "matched" not in row:
            key = (_ends(row), row["tid"])
            found.append(_half(row, "response" if key in halves else "request"))
            halves.add(key)
            continue
        found.extend(_exchange(row))
    return found


def _exchange(row: Row) -> Iterator[Message]:
    function = _function(row["func"])
    sub = _SUBFUNCTIONS.get(row.get("request_subfunction_code", row.get("mei_type", "")))
    asked = _vector(row["request_values"]) if "request_values" in row else None
    given = _vector(row["response_values"]) if "response_values" in row else None
    quantity = _number(row, "quantity") if function not in (20, 21) else None
    reference = _number(row, "address")
    about = {"reference": reference, "quantity": quantity if function != 24 else None, "subfunction": sub}
    yield _half(row, "request", values=asked, **about)
    exception = EXCEPTIONS[row["exception_code"]] if "exception_code" in row else None
    yield _half(row, "response", values=given, exception=exception, **about)


def icsnpp_masks() -> list[Message]:
    """modbus_mask_write_register.log: a row for each half."""
    path = DATA / ICSNPP / "baseline/analyzer.basic/modbus_mask_write_register.log"
    return [
        _half(
            row,
            row["request_response"].lower(),
            reference=int(row["address"]),
            masks=(int(row["and_mask"]), int(row["or_mask"])),
        )
        for row in rows(path)
    ]


def icsnpp_read_write() -> list[Message]:
    """modbus_read_write_multiple_registers.log: a row for each half."""
    found = []
    for row in rows(DATA / ICSNPP / "baseline/analyzer.basic/modbus_read_write_multiple_registers.log"):
        kind = row["request_response"].lower()
        values = _vector(row["write_registers" if kind == "request" else "read_registers"])
        first = _number(row, "write_start_address")
        found.append(
            _half(
                row,
                kind,
                reference=_number(row, "read_start_address"),
                quantity=_number(row, "read_quantity"),
                values=values,
                addresses=None if first is None else tuple(range(first, first + len(values))),
            )
        )
    return found


def zeek_log(test: str) -> list[Message]:
    """modbus.log of one of Zeek's own tests: a row for each PDU, with its half and exception."""
    halves = {"REQ": "request", "RESP": "response"}
    found = []
    for row in rows(DATA / f"{_BASELINE}.{test}/modbus.log"):
        exception = EXCEPTIONS[row["exception"]] if "exception" in row else None
        found.append(_half(row, halves[row["pdu_type"]], exception=exception))
    return found


_EVENT = re.compile(
    r"(?:1 )?modbus_(?P<event>\w+), \[orig_h=(?P<a>[\d.]+), orig_p=(?P<ap>\d+)/tcp, resp_h=(?P<b>[\d.]+), "
    r"resp_p=(?P<bp>\d+)/tcp.*?\[tid=(?P<tid>\w+), pid=0, uid=(?P<uid>\d+), function_code=(?P<function>\w+), "
    r"len=(?P<len>\d+)\](?:, (?P<rest>.*))?"
)


def zeek_events(test: str, file: str = "output", client: str = "") -> list[Message]:
    """The events that one of Zeek's own tests printed, those of `client` only where one is given.

    A PDU makes two events, `message` and that of its function; each is a message here.
    """
    found = []
    for line in (DATA / f"{_BASELINE}.{test}" / file).read_text().splitlines():
        match = _EVENT.match(line)
        if match and client in ("", match["a"]):
            place = f"{match['a']}:{match['ap']}>{match['b']}:{match['bp']}"
            found.append(Message(0, _event(match), place))
    return found


def _event(match: re.Match[str]) -> dict[str, Any]:
    event, rest = match["event"], match["rest"] or ""
    is_request = rest == "T" if event == "message" else event.endswith("_request")
    said: dict[str, Any] = {"event": event, "kind": "request" if is_request else "response"}
    said |= {"unit": int(match["uid"]), "length": int(match["len"])}
    if match["tid"].isdigit():
        said |= {"txn": int(match["tid"]), "function": int(match["function"])}
    if event == "exception":
        said["exception"] = int(rest)
    elif event.startswith("encap_interface_transport"):
        said["subfunction"] = int(rest.split(",")[0])
    elif event != "message":
        said |= _arguments(event, rest)
    return said


def _arguments(event: str, rest: str) -> dict[str, Any]:
    """Numbers and vectors behind an event's header."""
    vector = re.search(r"\[(.*)\]", rest)
    said: dict[str, Any] = {}
    if vector:
        said["values"] = tuple({"T": 1, "F": 0}.get(v) if v in "TF" else int(v) for v in vector[1].split(", "))
    numbers = [int(part) for part in rest.split("[")[0].split(", ") if part.strip().isdigit()]
    if numbers:
        said["reference"] = numbers[0]
    if len(numbers) > 1:
        said["quantity"] = numbers[1]
    return said
