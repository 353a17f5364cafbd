"""Bytes of BACnet/IP (ASHRAE 135): tags, APDUs, NPDUs and BVLL messages."""

from __future__ import annotations

import struct

ANALOG_INPUT, ANALOG_OUTPUT, BINARY_OUTPUT, DEVICE, FILE = 0, 1, 4, 8, 10
PRESENT_VALUE, OBJECT_NAME, OBJECT_LIST, PRIORITY_ARRAY, STATUS_FLAGS, OUT_OF_SERVICE = 85, 77, 76, 87, 111, 81
UNICAST, BROADCAST, FORWARDED, DISTRIBUTE = 10, 11, 4, 9
MORE, SEGMENTED = 4, 8


def oid(kind: int, instance: int) -> int:
    """An object identifier: type and instance (20.2.14)."""
    return kind << 22 | instance


def tag(number: int, content: bytes, context: bool = True) -> bytes:
    """A primitive: its tag, as short as it can be, and its contents."""
    size, first = len(content), (number if number < 15 else 15) << 4 | 8 * context
    more = bytes([number]) if number >= 15 else b""
    if size < 5:
        return bytes([first | size]) + more + content
    length = bytes([size]) if size < 254 else struct.pack("!BH", 254, size)
    return bytes([first | 5]) + more + length + content


def number(value: int) -> bytes:
    """An unsigned number in as few octets as it takes."""
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8))


def signed(value: int) -> bytes:
    """A signed number in as few octets as it takes."""
    return value.to_bytes(value.bit_length() // 8 + 1, signed=True)


def ctx(at: int, value: int) -> bytes:
    """An unsigned number under a context tag."""
    return tag(at, number(value))


def ctx_oid(at: int, thing: int) -> bytes:
    """An object identifier under a context tag."""
    return tag(at, thing.to_bytes(4))


def within(at: int, content: bytes) -> bytes:
    """Contents between the opening and closing tag of that number."""
    return bytes([at << 4 | 14]) + content + bytes([at << 4 | 15])


NULL = b"\0"


def boolean(value: bool) -> bytes:
    """A boolean."""
    return bytes([0x10 | value])


def unsigned(value: int) -> bytes:
    """An unsigned integer."""
    return tag(2, number(value), False)


def integer(value: int) -> bytes:
    """A signed integer."""
    return tag(3, signed(value), False)


def real(value: float) -> bytes:
    """A real of single precision."""
    return tag(4, struct.pack("!f", value), False)


def double(value: float) -> bytes:
    """A real of double precision."""
    return tag(5, struct.pack("!d", value), False)


def octets(value: bytes) -> bytes:
    """An octet string."""
    return tag(6, value, False)


def text(value: str, charset: int = 0) -> bytes:
    """A character string."""
    return tag(7, bytes([charset]) + value.encode(), False)


def bits(value: str) -> bytes:
    """A bit string such as `0100`."""
    whole = value.ljust(-(-len(value) // 8) * 8, "0")
    return tag(8, bytes([len(whole) - len(value)]) + bytes(int(whole[i : i + 8], 2) for i in range(0, len(whole), 8)), False)  # fmt: skip # noqa: E501


def enumerated(value: int) -> bytes:
    """An enumerated value."""
    return tag(9, number(value), False)


def date(year: int, month: int, day: int, weekday: int = 255) -> bytes:
    """A date; a year from 2155 on means any."""
    return tag(10, bytes([year - 1900 if year < 2155 else 255, month, day, weekday]), False)


def daytime(hour: int, minute: int, second: int, hundredths: int = 0) -> bytes:
    """A time of day."""
    return tag(11, bytes([hour, minute, second, hundredths]), False)


def identifier(thing: int) -> bytes:
    """An object identifier as a value."""
    return tag(12, thing.to_bytes(4), False)


def error(family: int, code: int) -> bytes:
    """Class and code of an error."""
    return enumerated(family) + enumerated(code)


# --- APDUs


def request(service: int, invoke: int, body: bytes = b"") -> bytes:
    """A confirmed request that takes answers of up to 1,476 octets, unsegmented."""
    return bytes([0x02, 0x05, invoke, service]) + body


def unconfirmed(service: int, body: bytes = b"") -> bytes:
    """An unconfirmed request."""
    return bytes([0x10, service]) + body


def simple_ack(service: int, invoke: int) -> bytes:
    """An answer without contents."""
    return bytes([0x20, invoke, service])


def complex_ack(service: int, invoke: int, body: bytes) -> bytes:
    """An answer with contents."""
    return bytes([0x30, invoke, service]) + body


def refusal(service: int, invoke: int, body: bytes) -> bytes:
    """An error as answer."""
    return bytes([0x50, invoke, service]) + body


def reject(invoke: int, reason: int) -> bytes:
    """A reject."""
    return bytes([0x60, invoke, reason])


def abort(invoke: int, reason: int, server: bool = True) -> bytes:
    """An abort."""
    return bytes([0x70 | server, invoke, reason])


def segment_ack(invoke: int, sequence: int, window: int = 4, *, server: bool = False, negative: bool = False) -> bytes:
    """The acknowledgement of a segment."""
    return bytes([0x40 | server | negative << 1, invoke, sequence, window])


def segments(apdu: bytes, size: int) -> list[bytes]:
    """A confirmed request or complex acknowledgement in segments of `size` bytes."""
    header = 3 if apdu[0] >> 4 == 0 else 2
    body = apdu[header + 1 :]
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return [
        bytes([apdu[0] | SEGMENTED | (MORE if k + 1 < len(pieces) else 0)])
        + apdu[1:header] + bytes([k & 255, 4]) + apdu[header : header + 1] + piece
        for k, piece in enumerate(pieces)
    ]  # fmt: skip


def property_of(thing: int, sub: int, index: int | None = None, first: int = 0) -> bytes:
    """Object, property and array index with tags from `first` on."""
    found = ctx_oid(first, thing) + ctx(first + 1, sub)
    return found if index is None else found + ctx(first + 2, index)


# --- network layer and link


def station(network: int, address: bytes) -> bytes:
    """A network number and a station address on it."""
    return struct.pack("!HB", network, len(address)) + address


def npdu(apdu: bytes, *, to: bytes = b"", source: bytes = b"", expects: bool = False, message: bool = False) -> bytes:
    """An NPDU; `to` and `source` are stations."""
    control = 4 * expects | 0x20 * bool(to) | 0x08 * bool(source) | 0x80 * message
    return bytes([1, control]) + to + source + (b"\xff" if to else b"") + apdu


def bvll(function: int, body: bytes) -> bytes:
    """A BVLL message (annex J.2)."""
    return struct.pack("!BBH", 0x81, function, 4 + len(body)) + body


def announced(instance: int, vendor: int = 260) -> bytes:
    """An I-Am."""
    return unconfirmed(0, identifier(oid(DEVICE, instance)) + unsigned(1476) + enumerated(3) + unsigned(vendor))


def changed(process: int, device: int, thing: int, *values: tuple[int, bytes], remaining: int = 60) -> bytes:
    """Contents of a COV notification."""
    listed = b"".join(ctx(0, sub) + within(2, value) for sub, value in values)
    return ctx(0, process) + ctx_oid(1, oid(DEVICE, device)) + ctx_oid(2, thing) + ctx(3, remaining) + within(4, listed)


# --- events and logs


def stamped(number: int, content: bytes) -> bytes:
    """A time stamp of a date and a time within brackets."""
    return within(number, within(2, content))


def notified(
    process: int, device: int, thing: int, when: bytes, kind: int, states: tuple[int, int], values: bytes = b"",
    *, text: bytes = b"", notify: int = 0, priority: int = 100, ack: bool = True, group: int = 1,
) -> bytes:  # fmt: skip
    """Contents of an event notification; `when` is a time stamp with tag 3, `values` what stands within tag 12."""
    said = ctx(0, process) + ctx_oid(1, oid(DEVICE, device)) + ctx_oid(2, thing) + when
    said += ctx(4, group) + ctx(5, priority) + ctx(6, kind) + (tag(7, b"\0" + text) if text else b"") + ctx(8, notify)
    if notify != 2:  # an acknowledgement has neither
        said += ctx(9, ack) + ctx(10, states[0])
    return said + ctx(11, states[1]) + (within(12, values) if values else b"")


def logged(when: bytes, datum: bytes, flags: bytes = b"") -> bytes:
    """A record of a log: its time, what was logged, status flags."""
    return within(0, when) + within(1, datum) + flags


def summarised(thing: int, state: int, acked: str, priorities: tuple[int, int, int]) -> bytes:
    """An object of an answer to GetEventInformation."""
    stamps = b"".join(tag(0, b"\xff\xff\xff\xff") for _ in range(3))
    said = ctx_oid(0, thing) + ctx(1, state) + tag(2, bits(acked)[1:]) + within(3, stamps) + ctx(4, 0)
    return said + tag(5, bits("111")[1:]) + within(6, b"".join(unsigned(priority) for priority in priorities))
