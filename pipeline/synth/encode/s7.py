"""Bytes of S7comm: TPKT (RFC 1006), COTP (RFC 905), and the messages in it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

BIT, BYTE, CHAR, WORD, INT, DWORD, DINT, REAL, COUNTER, TIMER = 1, 2, 3, 4, 5, 6, 7, 8, 0x1C, 0x1D
P, IN, Q, M, DB, DI = 0x80, 0x81, 0x82, 0x83, 0x84, 0x85
D_BIT, D_BYTE, D_INT, D_DINT, D_REAL, D_OCTETS = 3, 4, 5, 6, 7, 9
JOB, ACK, ACK_DATA, USER = 1, 2, 3, 7


def tpkt(tpdu: bytes, *, length: int | None = None) -> bytes:
    """A TPDU in its TPKT; `length` makes the length field a lie."""
    return struct.pack("!BBH", 3, 0, 4 + len(tpdu) if length is None else length) + tpdu


def dt(payload: bytes, *, last: bool = True) -> bytes:
    """A data TPDU."""
    return tpkt(bytes([2, 0xF0, 0x80 if last else 0]) + payload)


def connection(code: int, target: int, source: int, called: bytes = b"\1\2", calling: bytes = b"\1\0") -> bytes:
    """A connection request (0xE0) or confirm (0xD0)."""
    options = bytes([0xC0, 1, 10, 0xC1, len(calling)]) + calling + bytes([0xC2, len(called)]) + called
    return tpkt(bytes([6 + len(options), code]) + struct.pack("!HHB", target, source, 0) + options)


def disconnect(target: int, source: int, reason: int) -> bytes:
    """A disconnect request."""
    return tpkt(bytes([6, 0x80]) + struct.pack("!HHB", target, source, reason))


def message(kind: int, txn: int, parameters: bytes, data: bytes = b"", error: int = 0, pad: int = 0) -> bytes:
    """A message of S7comm; `pad` makes the length of its data a lie."""
    head = struct.pack("!BBHHHH", 0x32, kind, 0, txn, len(parameters), len(data) + pad)
    return head + (struct.pack("!H", error) if kind in (ACK, ACK_DATA) else b"") + parameters + data


def any_item(size: int, count: int, area: int, address: int, block: int = 0) -> bytes:
    """An item of syntax S7ANY; `address` in bits, or a number."""
    return struct.pack("!BBBBHHB", 0x12, 10, 0x10, size, count, block, area) + address.to_bytes(3, "big")


def symbolic(crc: int, *parts: int) -> bytes:
    """An item that names a variable of an optimised block by its checksum and path."""
    body = struct.pack("!BBHHI", 0xB2, 0xFF, 0, 0x0052, crc) + b"".join(struct.pack("!I", part) for part in parts)
    return bytes([0x12, len(body)]) + body


def value(sort: int, data: bytes, code: int = 0xFF) -> bytes:
    """Data of an item: its length counts bits for bits, bytes and integers."""
    length = 1 if sort == D_BIT else len(data) * (8 if sort in (D_BYTE, D_INT) else 1)
    return struct.pack("!BBH", code, sort, length) + data


def refused(code: int) -> bytes:
    """An item that is refused, with its code."""
    return struct.pack("!BBH", code, 0, 0)


def filled(items: Sequence[bytes]) -> bytes:
    """Items with a fill byte behind each of odd length but the last."""
    return b"".join(item + b"\0" * (len(item) & 1 if i < len(items) - 1 else 0) for i, item in enumerate(items))


def user(
    kind: int, group: int, sub: int, data: bytes = b"", *, more: int = 0, error: int = 0, part: int = 0, number: int = 1
) -> tuple[bytes, bytes]:
    """Parameters and data of userdata: kind 4 asks, 8 answers, 0 is unasked; `number` is the sequence number."""
    answer = struct.pack("!BBH", part, more, error) if kind != 4 else b""
    head = bytes([0, 1, 0x12, 4 + len(answer), 0x11 if kind == 4 else 0x12, kind << 4 | group, sub, number])
    return head + answer, value(D_OCTETS, data) if data else b"\x0a\0\0\0"


def next_part(group: int, sub: int, number: int, part: int) -> bytes:
    """Parameters of userdata that ask for the next part of an answer."""
    return bytes([0, 1, 0x12, 8, 0x12, 4 << 4 | group, sub, number, part, 0, 0, 0])


def clock(text: str) -> bytes:
    """A DATE_AND_TIME from its digits, such as `260105 101500 123 2`: to milliseconds, and the weekday."""
    return bytes.fromhex(text)


def subscription(*items: bytes, base: int = 1, factor: int = 2) -> bytes:
    """Data that subscribe to variables, sent every `factor` units of 100 ms, 1 s or 10 s (base 0, 1 or 2)."""
    return struct.pack("!HBB", len(items), base, factor) + filled(items)


def sent(*items: bytes) -> bytes:
    """Data of a subscription: values with their return codes."""
    return struct.pack("!H", len(items)) + filled(items)


def variable(area: int, width: int, start: int, *, many: int = 1, block: int = 0) -> bytes:
    """A variable of a table: area, width (0 bit, 1 to 3 bytes and words, 4 timer or counter), how many or which bit."""
    return struct.pack("!BBHH", area << 4 | width, many, block, start)


def even(items: Sequence[bytes]) -> bytes:
    """Values of a table, each filled up to an even length."""
    return b"".join(item + b"\0" * (len(item) & 1) for item in items)


def command(data: bytes, parameters: bytes = bytes(20)) -> bytes:
    """Data of a programmer's command: sizes, parameters, and what it is about."""
    return struct.pack("!HH", len(parameters), len(data)) + parameters + data


def alarm(syntax: int, event: int, flags: bytes = b"", *values: bytes) -> bytes:
    """An object of a message: its event id, bytes of signals, associated values."""
    return struct.pack("!BBBBI", 0x12, 6 + len(flags), syntax, len(values), event) + flags + filled(values)


def told(*objects: bytes, head: bytes = b"") -> bytes:
    """Data of a message with its objects; `head` is the time, where it has one."""
    return head + bytes([0, len(objects)]) + b"".join(objects)


def pending(event: int, flags: bytes, came: bytes, value_came: bytes, went: bytes, value_went: bytes) -> bytes:
    """An ALARM_S in the answer to a query: signals and acknowledgements, and times with values."""
    body = struct.pack("!BIB", 4, event, 0) + flags + came + value_came + went + value_went
    return bytes([len(body), 0, 0]) + body


def block_information(
    kind: bytes, number: int, *, code: tuple[int, int] = (0, 0), interface: tuple[int, int] = (0, 0),
    size: int = 0, texts: tuple[bytes, bytes, bytes] = (b"", b"", b""), version: int = 0x10, checksum: int = 0,
) -> bytes:  # fmt: skip
    """What a block says of itself; times are milliseconds of the day, and days since 1984."""
    head = struct.pack("!BBHH2sBBBBHII", 1, 0, 74, 0x2200, b"pp", 1, 1, 5, int(kind, 16), number, size + 94, 0)
    times = b"".join(struct.pack("!IH", *time) for time in (code, interface))
    named = b"".join(text.ljust(8, b"\0") for text in texts)
    return head + times + struct.pack("!4H", 28, 0, 2, size) + named + struct.pack("!BBHII", version, 0, checksum, 0, 0)


def transfer(function: int, name: bytes = b"", *, error: int = 0, number: int = 0, tail: bytes = b"") -> bytes:
    """Parameters of up- and download."""
    named = bytes([len(name)]) + name if name else b""
    return struct.pack("!BBHI", function, 0, error, number) + named + tail


def pi_service(name: bytes, block: bytes = b"") -> bytes:
    """Parameters that call a program invocation service."""
    return b"\x28" + bytes(6) + b"\xfd" + struct.pack("!H", len(block)) + block + bytes([len(name)]) + name


def stop() -> bytes:
    """Parameters that stop the program."""
    return b"\x29" + bytes(5) + b"\x09P_PROGRAM"


def plus(version: int, body: bytes, *, trailer: bool = True, digest: int = 32) -> bytes:
    """A message of S7comm-plus; version 3 has a checksum before the opcode."""
    body = (bytes([digest]) + bytes(digest) if version == 3 else b"") + body
    return struct.pack("!BBH", 0x72, version, len(body)) + body + (bytes([0x72, version, 0, 0]) if trailer else b"")


def plus_head(opcode: int, function: int, number: int) -> bytes:
    """The head of a message of S7comm-plus."""
    return struct.pack("!BHHHHI", opcode, 0, function, 0, number, 0x3A5) + bytes(3)
