"""What the IPAL transcriber said of a capture, as messages: one JSON object for each packet."""

from __future__ import annotations

import json
from typing import Any

from tests.oracle.data import DATA
from tests.oracle.message import Message

_ASKS = {"interrogate", "command"}


def messages() -> list[Message]:
    """The messages of modbus.ipal; their ids count the packets of its capture from 0."""
    lines = (DATA / "parsing/ipal/modbus.ipal").read_text().splitlines()
    return [_message(json.loads(line)) for line in lines]


def _message(row: dict[str, Any]) -> Message:
    asks = row["activity"] in _ASKS
    device = row["dest" if asks else "src"]
    said: dict[str, Any] = {
        "kind": "request" if asks else "response",
        "unit": int(device.rsplit(":", 1)[1]),
        "function": row["type"],
        "length": row["length"] - 6,
    }
    if row["responds to"]:
        said["request"] = row["responds to"][0] + 1
    addresses = tuple(int(name.rsplit(".", 1)[1]) for name in row["data"])
    values = tuple(row["data"].values())
    if asks:
        said |= {"reference": addresses[0], "quantity": len(addresses)}
    if row["activity"] in ("command", "inform"):
        said |= {"addresses": addresses, "values": values}
    return Message(row["id"] + 1, said)
