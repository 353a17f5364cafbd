"""Readable views of what the data holds as numbers, the same on every surface.

What comes from the wire is hostile: every text of it passes :func:`visible`, so that no name can move a cursor, hide
a line or reverse the reading order of a terminal.  Markup of a particular surface is that surface's business.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from enum import IntEnum, IntFlag
from functools import cache
from typing import Any

from numpy.typing import NDArray

from pipeline.decode import protocols
from pipeline.decode.protocols.base import ProtocolNames
from schemas.codes import (
    Activity,
    Anomaly,
    Direction,
    Kind,
    Match,
    Op,
    Outcome,
    PointType,
    Protocol,
    Quality,
    Severity,
    Space,
    Transport,
)

TEXT_LIMIT = 256
"""Longest text of the wire that is shown, in characters."""

_V4_MAPPED = bytes(10) + b"\xff\xff"
_PROTOCOLS: dict[int, str] = {
    Protocol.MODBUS: "Modbus",
    Protocol.S7COMM: "S7comm",
    Protocol.S7COMM_PLUS: "S7comm-plus",
    Protocol.ENIP: "EtherNet/IP",
    Protocol.IEC104: "IEC-104",
    Protocol.BACNET: "BACnet",
    Protocol.MODBUS_TLS: "Modbus/TLS",
    Protocol.OPCUA: "OPC UA",
    Protocol.SAMPLED_VALUES: "sampled values",
    Protocol.PROFINET: "PROFINET",
    Protocol.HART_IP: "HART-IP",
    Protocol.GE_SRTP: "GE-SRTP",
    Protocol.ETHERCAT: "EtherCAT",
    Protocol.ISO_TSAP: "ISO-TSAP",
    Protocol.TELNET: "Telnet",
    Protocol.SYSLOG: "syslog",
    Protocol.KERBEROS: "Kerberos",
    Protocol.NETBIOS: "NetBIOS",
    Protocol.BROWSER: "browser",
    Protocol.MDNS: "mDNS",
}
_OUTCOMES: dict[int, str] = {Outcome.UNKNOWN: "outcome unknown"}
_TRANSPORTS: dict[int, str] = {Transport.TCP: "TCP", Transport.UDP: "UDP", Transport.ETHERNET: "Ethernet"}


def visible(text: str, limit: int = TEXT_LIMIT) -> str:
    """`text` on one line: what is not printable (control characters, escapes, reading-order marks) as `\\xNN`.

    A text longer than `limit` characters is cut and ends in an ellipsis.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else _escaped(c) for c in cut)


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def packed_address(text: str) -> bytes | None:
    """The 16 bytes of an address as RECORD has them; None where `text` is none."""
    from ipaddress import IPv4Address, ip_address

    try:
        address = ip_address(text)
    except ValueError:
        return None
    return bytes(10) + b"\xff\xff" + address.packed if isinstance(address, IPv4Address) else address.packed


def address_text(address: bytes | NDArray[Any]) -> str:
    """An address of RECORD (16 bytes, or the two uint64 words of them) as text; empty for all zeros.

    IPv4, mapped into IPv6, reads as IPv4.

    Raises:
        ValueError: not 16 bytes.
    """
    raw = address if isinstance(address, bytes) else address.tobytes()
    if len(raw) != 16:
        raise ValueError(f"an address has 16 bytes, not {len(raw)}")
    if not any(raw):
        return ""
    if raw.startswith(_V4_MAPPED):
        return ".".join(str(octet) for octet in raw[12:])
    return str(ipaddress.IPv6Address(raw))


def mac_text(mac: int) -> str:
    """A 48-bit MAC as `00:1d:9c:c7:b0:70`; empty for 0."""
    return (int(mac) & 0xFFFF_FFFF_FFFF).to_bytes(6, "big").hex(":") if mac else ""


def _code_text(kind: type[IntEnum], code: int, unknown: str) -> str:
    """The words of an enumeration's member; `unknown` and the number for one that is not in it."""
    try:
        return kind(int(code)).name.lower().replace("_", " ")
    except ValueError:
        return f"{unknown} {int(code)}"


def _flag_texts(kind: type[IntFlag], bits: int) -> tuple[str, ...]:
    """The words of every set bit, lowest first; a bit without a name reads `bit N`."""
    value = int(bits)
    named = {int(f): str(f.name).lower().replace("_", " ") for f in kind}
    return tuple(named.get(1 << i, f"bit {i}") for i in range(value.bit_length()) if value >> i & 1)


def protocol_text(protocol: int) -> str:
    """A protocol's usual name, such as `Modbus` or `EtherNet/IP`."""
    special = _PROTOCOLS.get(int(protocol))
    if special is not None:
        return special
    try:
        found = Protocol(int(protocol))
    except ValueError:
        return f"protocol {int(protocol)}"
    return "unknown" if found is Protocol.UNKNOWN else found.name.replace("_", " ")


def op_text(op: int) -> str:
    """The protocol-neutral verb, such as `program download`."""
    return _code_text(Op, op, "operation")


def kind_text(kind: int) -> str:
    """Which half of an exchange, such as `request`."""
    return _code_text(Kind, kind, "kind")


def match_text(match: int) -> str:
    """What became of the pairing, such as `late`."""
    return _code_text(Match, match, "match")


def transport_text(transport: int) -> str:
    """`TCP`, `UDP`, `Ethernet` or empty."""
    return _TRANSPORTS.get(int(transport), "")


def space_text(space: int) -> str:
    """The kind of point, such as `holding register`."""
    return _code_text(Space, space, "space")


def type_text(kind: int) -> str:
    """How a value was encoded, such as `u16`."""
    return _code_text(PointType, kind, "type")


def direction_text(direction: int) -> str:
    """Who asserts a value, such as `written`."""
    return _code_text(Direction, direction, "direction")


def activity_text(activity: int) -> str:
    """`create`, `update` or `close`."""
    return _code_text(Activity, activity, "activity")


def severity_text(severity: int) -> str:
    """`informational` to `critical`."""
    return _code_text(Severity, severity, "severity")


def outcome_text(outcome: int) -> str:
    """What became of an operation: `accepted`, `refused`, `no answer` or `outcome unknown`."""
    return _OUTCOMES.get(int(outcome)) or _code_text(Outcome, outcome, "outcome")


def anomaly_texts(anomaly: int) -> tuple[str, ...]:
    """The name of every anomaly bit that is set."""
    return _flag_texts(Anomaly, anomaly)


def quality_texts(quality: int) -> tuple[str, ...]:
    """The name of every quality bit that is set; none for a good value."""
    return _flag_texts(Quality, quality)


@cache
def _tables(protocol: int) -> ProtocolNames | None:
    try:
        return protocols.names(Protocol(protocol))
    except ValueError:
        return None


def function_text(protocol: int, func: int, subfunc: int = 0) -> str:
    """A function with its number: `write single register (6)`, `UMAS: stop PLC (90/65)`, else `function 99`."""
    tables, func, subfunc = _tables(int(protocol)), int(func), int(subfunc)
    name = tables.functions.get(func) if tables else None
    if tables is None or name is None:
        return f"function {func}/{subfunc}" if subfunc else f"function {func}"
    detail = tables.subfunctions.get((func, subfunc))
    if detail is not None:
        return f"{name}: {detail} ({func}/{subfunc})"
    return f"{name} ({func}/{subfunc})" if subfunc else f"{name} ({func})"


def status_text(protocol: int, status: int) -> str:
    """`ok` for 0, else the protocol's error with its number: `illegal data address (2)`, else `status 77`."""
    if not status:
        return "ok"
    tables = _tables(int(protocol))
    name = tables.statuses.get(int(status)) if tables else None
    return f"{name} ({int(status)})" if name else f"status {int(status)}"


def identity_text(protocol: int, identity: int, value: float) -> str:
    """What a device says of itself as a number (Identity), in the protocol's words, such as its vendor's name."""
    tables = _tables(int(protocol))
    if value != value or tables is None:
        return ""
    return visible(tables.identity(int(identity), float(value)))


def tag_text(
    protocol: int,
    space: int,
    addr: int,
    addr_sub: int = 0,
    name_id: int = 0,
    names: Mapping[int, str] | None = None,
    register_base: int = 1,
) -> str:
    """A point as its field writes it: its own name where the wire has one, `hr:40001`, `vendor name`; empty for none.

    Args:
        protocol, space, addr, addr_sub, name_id: as in RECORD and POINT.
        names: texts of name ids; an id that is not in it reads `name:` and its hexadecimal digits.
        register_base: number of the first register, 1 as in manuals or 0 as on the wire.
    """
    space, addr, addr_sub, tables = int(space), int(addr), int(addr_sub), _tables(int(protocol))
    if name_id:
        text = (names or {}).get(int(name_id)) or f"name:{int(name_id):016x}"
        return visible(tables.named(text, addr, addr_sub) if tables else text)
    if space == Space.NONE:
        return ""
    if tables is None:
        suffix = f"{addr_sub}.{addr}" if addr_sub else f"{addr}"
        return f"{space_text(space).replace(' ', '-')}:{suffix}"
    return tables.objects.get((space, addr)) or visible(tables.tag(space, addr, addr_sub, register_base))
