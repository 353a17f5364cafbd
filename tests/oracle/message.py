"""One PDU as a parser tells it: the form in which ours and others' are held against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FIELDS: dict[str, str] = {
    "pdu": "the PDU is there",
    "kind": "request or response",
    "txn": "transaction identifier",
    "unit": "unit identifier",
    "function": "function code without the exception bit",
    "exception": "exception code",
    "subfunction": "diagnostic sub-function or MEI type",
    "reference": "first address",
    "quantity": "how many were asked for or written",
    "values": "bits or registers, in order",
    "addresses": "address of each bit or register",
    "masks": "AND and OR mask",
    "objects": "device identification objects",
    "length": "length field of the header",
    "data": "bytes without a meaning to the parser",
    "request": "packet of the request that a response answers",
    "response_us": "time from request to response, in microseconds",
    "source": "link address of the sender",
    "destination": "link address of the receiver",
    "first": "first fragment (FIR)",
    "final": "final fragment (FIN)",
    "confirm": "confirmation asked for (CON)",
    "unsolicited": "unsolicited (UNS)",
    "indications": "internal indications (IIN)",
    "sent": "send sequence number",
    "received": "receive sequence number",
    "cause": "cause of transmission",
    "negative": "negative confirmation (P/N)",
    "test": "test",
    "originator": "originator address",
    "qualities": "quality of each value",
    "items": "place of each item that was asked for or refused",
    "name": "block or service",
    "attribute": "attribute of an object",
    "called": "called TSAP",
    "calling": "calling TSAP",
    "session": "session handle",
    "version": "version of S7comm-plus",
    "notified": "what an event says beside its object and time",
    "times": "the device's own time of each value, in milliseconds",
}
"""What parsers are compared on."""


@dataclass(frozen=True, slots=True)
class Message:
    """A PDU.

    Attributes:
        packet: number of the packet that completed it, from 1; 0 where the parser does not tell.
        said: field of FIELDS to value, only what the parser says.
        ends: client and server as `address:port>address:port`, where the parser tells.
    """

    packet: int
    said: Mapping[str, Any]
    ends: str = ""


def bits(data: bytes, count: int) -> tuple[int, ...]:
    """The first `count` bits of packed bytes, the least significant of each first (V1.1b3, 6.1)."""
    return tuple((data[i >> 3] >> (i & 7)) & 1 for i in range(min(count, 8 * len(data))))


def registers(data: bytes) -> tuple[int, ...]:
    """The 16-bit numbers of `data`, most significant byte first (V1.1b3, 4.2)."""
    return tuple(int.from_bytes(data[i : i + 2]) for i in range(0, len(data) - 1, 2))
