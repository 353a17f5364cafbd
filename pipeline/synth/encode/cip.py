"""Bytes of EtherNet/IP and CIP: encapsulation, unconnected messages, services, tags by name (CIP volumes 1 and 2)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

LIST_IDENTITY, REGISTER, UNREGISTER, SEND_RR_DATA = 0x63, 0x65, 0x66, 0x6F
"""Commands of the encapsulation (volume 2, 2-3.2)."""
GET_ALL, RESET, START, STOP, SEVERAL, READ_TAG, WRITE_TAG = 0x01, 0x05, 0x06, 0x07, 0x0A, 0x4C, 0x4D
IDENTITY, ROUTER, MODES = 0x01, 0x02, 0x8E
"""Classes: identity, message router, and a Logix controller's modes."""
BOOL, DINT, REAL = 0xC1, 0xC4, 0xCA
_UNCONNECTED = 0xB2


def encapsulated(command: int, session: int, data: bytes = b"", *, context: bytes = bytes(8), status: int = 0) -> bytes:
    """A message of the encapsulation."""
    return struct.pack("<HHII8sI", command, len(data), session, status, context, 0) + data


def unconnected(message: bytes, timeout_s: int = 0) -> bytes:
    """Contents of SendRRData: an unconnected message behind a null address."""
    return struct.pack("<IHHHHHH", 0, timeout_s, 2, 0, 0, _UNCONNECTED, len(message)) + message


def symbol(name: str) -> bytes:
    """The path of a tag: a symbolic segment for each part of its name, padded to words."""
    parts = [part.encode() for part in name.split(".")]
    return b"".join(bytes([0x91, len(part)]) + part + b"\0" * (len(part) & 1) for part in parts)


def instance(family: int, number: int) -> bytes:
    """The path of an instance of a class."""
    return bytes([0x20, family, 0x24, number])


def request(service: int, path: bytes, data: bytes = b"") -> bytes:
    """A request to what `path` leads to."""
    return bytes([service, len(path) // 2]) + path + data


def response(service: int, data: bytes = b"", status: int = 0) -> bytes:
    """The answer to a request."""
    return bytes([service | 0x80, 0, status, 0]) + data


def several(messages: Sequence[bytes]) -> bytes:
    """Contents of a Multiple Service Packet, or of its answer: how many, where each begins, and they themselves."""
    at, offsets = 2 + 2 * len(messages), []
    for message in messages:
        offsets.append(at)
        at += len(message)
    return struct.pack(f"<{1 + len(offsets)}H", len(offsets), *offsets) + b"".join(messages)


def value(kind: int, number: float) -> bytes:
    """A value with its type before it."""
    if kind == REAL:
        return struct.pack("<Hf", kind, number)
    return struct.pack("<HB" if kind == BOOL else "<Hi", kind, int(number))


def identity(vendor: int, device: int, product: int, revision: tuple[int, int], serial: int, name: str) -> bytes:
    """The attributes of an identity object: vendor to product name (volume 1, 5-2)."""
    head = struct.pack("<HHHBBHI", vendor, device, product, *revision, 0x0030, serial)
    return head + bytes([len(name)]) + name.encode()
