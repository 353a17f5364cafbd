"""Names of DNP3 numbers: IEEE Std 1815-2012, 4.4, 9.2.4, annex A."""

from __future__ import annotations

from pipeline.decode.protocols.base import ProtocolNames
from pipeline.decode.protocols.dnp3_objects import OBJECTS
from schemas.codes import Protocol, Space

FUNCTIONS: dict[int, str] = {
    0: "confirm",
    1: "read",
    2: "write",
    3: "select",
    4: "operate",
    5: "direct operate",
    6: "direct operate, no answer",
    7: "freeze",
    8: "freeze, no answer",
    9: "freeze and clear",
    10: "freeze and clear, no answer",
    11: "freeze at time",
    12: "freeze at time, no answer",
    13: "cold restart",
    14: "warm restart",
    15: "initialize data",
    16: "initialize application",
    17: "start application",
    18: "stop application",
    19: "save configuration",
    20: "enable unsolicited messages",
    21: "disable unsolicited messages",
    22: "assign class",
    23: "delay measurement",
    24: "record current time",
    25: "open file",
    26: "close file",
    27: "delete file",
    28: "get file information",
    29: "authenticate file",
    30: "abort file transfer",
    31: "activate configuration",
    32: "authentication request",
    33: "authentication request, no answer",
    129: "response",
    130: "unsolicited response",
    131: "authentication response",
    0x100: "link: acknowledge",
    0x101: "link: not acknowledged",
    0x10B: "link: status",
    0x10F: "link: not supported",
    0x140: "link: reset link states",
    0x141: "link: reset user process",
    0x142: "link: test link states",
    0x143: "link: confirmed user data",
    0x144: "link: unconfirmed user data",
    0x149: "link: request status",
}

_BY_OBJECT = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 20, 21, 22, 25, 26, 27, 28, 29, 30, 31)
_MANY = (0, 110, 111, 112, 113)

OBJECT_NAMES: dict[tuple[int, int], str] = {
    (group, variation): kind.name for (group, variation), kind in OBJECTS.items() if group not in _MANY
} | {
    (group, 0): name
    for group, name in (
        (1, "binary input"), (2, "binary input event"), (3, "double-bit input"), (4, "double-bit input event"),
        (10, "binary output"), (20, "counter"), (21, "frozen counter"), (22, "counter event"),
        (23, "frozen counter event"), (30, "analog input"), (31, "frozen analog input"), (32, "analog input event"),
        (40, "analog output status"), (60, "class data"), (110, "octet string"), (111, "octet string event"),
    )
} | {(0, variation): "device attribute" for variation in range(1, 256)}  # fmt: skip

SUBFUNCTIONS: dict[tuple[int, int], str] = {
    (function, group << 8 | variation): name
    for function in _BY_OBJECT
    for (group, variation), name in OBJECT_NAMES.items()
}

CONTROL_STATUSES: dict[int, str] = {
    1: "timeout: operate too late after select",
    2: "no select",
    3: "format error",
    4: "not supported",
    5: "already active",
    6: "hardware error",
    7: "local control",
    8: "too many operations",
    9: "not authorized",
    10: "automation inhibit",
    11: "processing limited",
    12: "out of range",
    13: "downstream local",
    14: "already complete",
    15: "blocked",
    16: "canceled",
    17: "blocked by other master",
    18: "downstream failure",
    126: "non-participating",
    127: "undefined",
}
_REFUSALS = {1: "function not supported", 2: "object unknown", 4: "parameter error", 16: "already executing"}
_FILE_STATUSES = {
    1: "permission denied",
    2: "invalid mode",
    3: "file not found",
    4: "file locked",
    5: "too many open files",
    6: "invalid handle",
    7: "write block size",
    8: "communication lost",
    9: "cannot abort",
    16: "not opened",
    17: "handle expired",
    18: "buffer overrun",
    19: "fatal error",
    20: "block out of sequence",
    255: "undefined",
}

STATUSES: dict[int, str] = (
    CONTROL_STATUSES
    | {
        0x100 | bits: ", ".join(text for bit, text in _REFUSALS.items() if bits & bit)
        for bits in range(1, 0x18)
        if not bits & ~0x17
    }
    | {0x200 | code: f"file: {text}" for code, text in _FILE_STATUSES.items()}
)

ATTRIBUTES: dict[int, str] = {
    211: "user-specific attributes",
    242: "software version",
    243: "hardware version",
    244: "owner",
    245: "location",
    246: "identification code",
    247: "device name",
    248: "serial number",
    249: "conformance",
    250: "product name and model",
    252: "manufacturer",
    255: "list of attributes",
}
_IDENTITY = ("", "vendor", "model", "firmware", "serial", "name", "location", "product code", "hardware")

OBJECT_TEXTS: dict[tuple[int, int], str] = {
    (int(Space.DEVICE_ATTRIBUTE), variation): name for variation, name in ATTRIBUTES.items()
} | {(int(Space.IDENTITY), role): f"identity: {name}" for role, name in enumerate(_IDENTITY) if role}

_PREFIX: dict[int, str] = {
    Space.BINARY_INPUT: "bi",
    Space.DOUBLE_BIT_INPUT: "dbi",
    Space.BINARY_OUTPUT: "bo",
    Space.COUNTER: "ctr",
    Space.FROZEN_COUNTER: "fctr",
    Space.ANALOG_INPUT: "ai",
    Space.FROZEN_ANALOG: "fai",
    Space.ANALOG_OUTPUT: "ao",
    Space.OCTET_STRING: "os",
    Space.VIRTUAL_TERMINAL: "vt",
    Space.DEVICE_ATTRIBUTE: "attribute",
    Space.DEADBAND: "deadband",
    Space.INTERNAL_INDICATION: "iin",
    Space.FILE_OBJECT: "file",
    Space.DEVICE_TIME: "clock",
}


def tag(space: int, addr: int, addr_sub: int, register_base: int = 1) -> str:
    """A point by its kind and index, such as `ai:7`."""
    prefix = _PREFIX.get(space, f"space{space}")
    return f"{prefix}:{addr}.{addr_sub}" if addr_sub else f"{prefix}:{addr}"


NAMES = ProtocolNames(
    protocol=Protocol.DNP3,
    functions=FUNCTIONS,
    subfunctions=SUBFUNCTIONS,
    statuses=STATUSES,
    objects=OBJECT_TEXTS,
    tag=tag,
)
