"""Names of the numbers of EtherNet/IP, CIP and PCCC.

From The CIP Networks Library, volume 1 (appendices A and B, chapter 5) and volume 2 (2-3), Rockwell 1756-PM020 and
1770-RM516.
"""

from __future__ import annotations

from pipeline.decode.protocols.base import ProtocolNames, number_text
from pipeline.decode.protocols.enip_attributes import name_of
from schemas.codes import Identity, Protocol, Space

CLASSES: dict[int, str] = {
    0x01: "identity", 0x02: "message router", 0x04: "assembly", 0x05: "connection", 0x06: "connection manager",
    0x08: "discrete input", 0x09: "discrete output", 0x0A: "analog input", 0x0B: "analog output", 0x0F: "parameter",
    0x37: "file", 0x43: "time sync", 0x47: "device level ring", 0x48: "QoS", 0x64: "program name", 0x66: "connection",
    0x67: "PCCC", 0x68: "program", 0x69: "data file", 0x6B: "symbol", 0x6C: "template", 0x70: "task",
    0x8B: "wall clock time", 0xA1: "upgrade", 0xAC: "controller changes", 0xF5: "TCP/IP interface",
    0xF6: "Ethernet link", 0x300: "module diagnostics", 0x338: "upgrade",
}  # fmt: skip

_SERVICES: dict[int, str] = {
    0x01: "get attributes all", 0x02: "set attributes all", 0x03: "get attribute list", 0x04: "set attribute list",
    0x05: "reset", 0x06: "start", 0x07: "stop", 0x08: "create", 0x09: "delete", 0x0A: "multiple service packet",
    0x0D: "apply attributes", 0x0E: "get attribute single", 0x10: "set attribute single", 0x11: "find next",
    0x14: "error response", 0x15: "restore", 0x16: "save", 0x17: "no operation", 0x18: "get member",
    0x19: "set member", 0x1A: "insert member", 0x1B: "remove member", 0x1C: "group sync",
    0x1D: "get connection point member list",
}  # fmt: skip
_OF_CLASS = {0x4B: "service 75"}
"""Services whose meaning is their class's, where one is known: `(service, class)` has it."""

FUNCTIONS: dict[int, str] = {
    **_SERVICES,
    **_OF_CLASS,
    0x100: "NOP", **{0x100 | command: "legacy command" for command in (1, 2, 3, 5)},
    0x104: "list services", 0x163: "list identity", 0x164: "list interfaces", 0x165: "register session",
    0x166: "unregister session", 0x16F: "send RR data", 0x170: "send unit data", 0x172: "indicate status",
    0x173: "cancel",
    0x24C: "read tag", 0x24D: "write tag", 0x24E: "read modify write tag", 0x252: "read tag fragmented",
    0x253: "write tag fragmented", 0x255: "get instance attribute list", 0x203: "get attribute list of a tag",
    0x54E: "forward close", 0x552: "unconnected send", 0x554: "forward open", 0x556: "get connection data",
    0x557: "search connection data", 0x55A: "get connection owner", 0x55B: "large forward open",
    0x600: "cyclic data",
    **{0x300 | function: f"PCCC: {name}" for function, name in {
        0x00: "word range write", 0x01: "word range read", 0x02: "bit write", 0x07: "disable outputs",
        0x0A: "set variables", 0x0B: "set ENQs", 0x11: "get edit resource", 0x12: "return edit resource",
        0x26: "read modify write", 0x29: "read section size", 0x3A: "set CPU mode", 0x41: "disable forces",
        0x50: "download all request", 0x52: "download completed", 0x53: "upload all request", 0x55: "upload completed",
        0x57: "initialize memory", 0x5E: "initialize memory and port", 0x67: "typed write", 0x68: "typed read",
        0x79: "read modify write N", 0x80: "change mode", 0x81: "open file", 0x82: "close file", 0x88: "change mode",
        0xA1: "protected typed logical read with two fields", 0xA2: "protected typed logical read",
        0xA7: "protected typed file read", 0xA9: "protected typed logical write with two fields",
        0xAA: "protected typed logical write", 0xAB: "protected typed logical write with mask",
        0xAF: "protected typed file write",
    }.items()},
    **{0x400 | command: f"PCCC: {name}" for command, name in {
        0x00: "protected write", 0x01: "unprotected read", 0x02: "protected bit write", 0x05: "unprotected bit write",
        0x08: "unprotected write",
    }.items()},
}  # fmt: skip
SUBFUNCTIONS: dict[tuple[int, int], str] = {
    **{(service, family): f"of {name}" for service in _SERVICES for family, name in CLASSES.items()},
    (0x4B, 0x67): "execute PCCC",
}

_GENERAL: dict[int, str] = {
    0x01: "connection failure", 0x02: "resource unavailable", 0x03: "invalid parameter value",
    0x04: "path segment error", 0x05: "path destination unknown", 0x06: "partial transfer", 0x07: "connection lost",
    0x08: "service not supported", 0x09: "invalid attribute value", 0x0A: "attribute list error",
    0x0B: "already in requested mode", 0x0C: "object state conflict", 0x0D: "object already exists",
    0x0E: "attribute not settable", 0x0F: "privilege violation", 0x10: "device state conflict",
    0x11: "reply data too large", 0x12: "fragmentation of a primitive value", 0x13: "not enough data",
    0x14: "attribute not supported", 0x15: "too much data", 0x16: "object does not exist",
    0x17: "fragmentation sequence not in progress", 0x18: "no stored attribute data", 0x19: "store operation failure",
    0x1A: "request too large for routing", 0x1B: "response too large for routing", 0x1C: "missing attribute list entry",
    0x1D: "invalid attribute value list", 0x1E: "embedded service error", 0x1F: "vendor specific error",
    0x20: "invalid parameter", 0x21: "write-once value already written", 0x22: "invalid reply received",
    0x25: "key failure in path", 0x26: "path size invalid", 0x27: "unexpected attribute in list",
    0x28: "invalid member ID", 0x29: "member not settable", 0xFF: "general error",
}  # fmt: skip
_EXTENDED: dict[tuple[int, int], str] = {
    (0x01, 0x0100): "connection in use", (0x01, 0x0103): "transport class not supported",
    (0x01, 0x0106): "ownership conflict", (0x01, 0x0107): "connection not found",
    (0x01, 0x0109): "invalid connection size", (0x01, 0x0111): "interval not supported",
    (0x01, 0x0113): "out of connections", (0x01, 0x0114): "vendor or product code mismatch",
    (0x01, 0x0115): "device type mismatch", (0x01, 0x0116): "revision mismatch",
    (0x01, 0x0203): "connection timed out", (0x01, 0x0204): "unconnected request timed out",
    (0x01, 0x0311): "port not available", (0x01, 0x0312): "link address not valid",
    (0x01, 0x0315): "invalid segment in path", (0xFF, 0x2104): "offset beyond the tag",
    (0xFF, 0x2105): "beyond the end of the tag", (0xFF, 0x2107): "type does not match the tag",
}  # fmt: skip
STATUSES: dict[int, str] = {
    **_GENERAL,
    **{general | extended << 8: f"{_GENERAL[general]}: {text}" for (general, extended), text in _EXTENDED.items()},
    **{1 << 24 | code: text for code, text in {
        1: "command not supported", 2: "insufficient memory", 3: "incorrect data", 0x64: "invalid session",
        0x65: "invalid length", 0x69: "protocol revision not supported",
    }.items()},
    **{2 << 24 | code: f"PCCC: {text}" for code, text in {
        0x10: "illegal command or format", 0x20: "host has a problem", 0x40: "host could not complete",
        0x50: "address problem", 0x60: "function disallowed", 0x70: "processor in program mode",
    }.items()},
}  # fmt: skip

VENDORS: dict[int, str] = {
    1: "Rockwell Automation", 5: "Rockwell Automation/Reliance", 26: "Festo", 40: "WAGO", 44: "Parker Hannifin",
    47: "Omron", 48: "Turck", 50: "Danfoss", 58: "ABB", 90: "HMS Industrial Networks", 108: "Beckhoff Automation",
    145: "Siemens", 161: "Mitsubishi Electric", 243: "Schneider Electric", 283: "Hilscher", 356: "FANUC Robotics",
    562: "Phoenix Contact", 808: "SICK",
}  # fmt: skip
"""The commonest of the vendors' numbers that ODVA gives out."""

_IDENTITY = ("", "vendor", "model", "firmware", "serial", "name", "location", "product code", "hardware")
_CONNECTION = ("connection id to the target", "connection id to the originator", "interval to the target",
               "interval to the originator")  # fmt: skip
OBJECTS: dict[tuple[int, int], str] = {
    **{(int(Space.IDENTITY), role): f"identity: {name}" for role, name in enumerate(_IDENTITY) if role},
    **{(int(Space.CIP_IO), what): name for what, name in enumerate(_CONNECTION)},
}
_FILES = {0x84: "S", 0x85: "B", 0x86: "T", 0x87: "C", 0x88: "R", 0x89: "N", 0x8A: "F", 0x8B: "O", 0x8C: "I", 0x8D: "ST",
          0x8E: "A", 0x91: "L"}  # fmt: skip


def identity(role: int, value: float) -> str:
    """A vendor by its number, a firmware as major and minor revision, a serial number as devices print it."""
    number = int(value)
    if role == Identity.VENDOR:
        return VENDORS.get(number, f"vendor {number}")
    if role == Identity.FIRMWARE:
        return f"{number >> 8}.{number & 0xFF:03d}"
    return f"{number:08X}" if role == Identity.SERIAL else number_text(role, value)


def named(name: str, addr: int, addr_sub: int) -> str:
    """A tag, with its index where it is an element of an array; of a structure, a word and whose it is."""
    if addr_sub & 2:
        whole = f"{name}[{addr >> 32}]" if addr_sub & 1 else name
        return f"{whole} byte {addr & 0xFFFFFFFF} of {addr_sub >> 16:#06x}"
    return f"{name}[{addr}]" if addr_sub else name


def tag(space: int, addr: int, addr_sub: int, register_base: int = 1) -> str:
    """Such as `identity:1 attribute 7 (product name)`, `assembly:101 byte 4`, `N7:0`."""
    if space == Space.CIP_ATTRIBUTE:
        family, instance = addr >> 32, addr & 0xFFFFFFFF
        what = f"{CLASSES.get(family, f'class {family:#x}')}:{instance}"
        if not addr_sub:
            return what
        number = f"{addr_sub & 0xFFFF}.{addr_sub >> 16}" if addr_sub >> 16 else f"{addr_sub}"
        called = name_of(family, instance, addr_sub)
        return f"{what} attribute {number} ({called})" if called else f"{what} attribute {number}"
    if space in (Space.CIP_ASSEMBLY, Space.CIP_IO):
        what = "assembly" if space == Space.CIP_ASSEMBLY else "connection"
        if not addr >> 16:
            return f"{what}:{addr}"
        return f"{what}:{addr >> 16} " + ("run" if addr_sub else f"byte {addr & 0xFFFF}")
    if space == Space.PCCC_FILE:
        kind, below = addr_sub & 0xFF, addr_sub >> 8
        place = f"{_FILES.get(kind, f'type{kind}-')}{addr >> 16}:{addr & 0xFFFF}"
        return f"{place}.{below}" if below else place
    return f"space{space}:{addr}.{addr_sub}" if addr_sub else f"space{space}:{addr}"


NAMES = ProtocolNames(
    protocol=Protocol.ENIP,
    functions=FUNCTIONS,
    subfunctions=SUBFUNCTIONS,
    statuses=STATUSES,
    objects=OBJECTS,
    tag=tag,
    named=named,
    identity=identity,
)
