"""Names of BACnet numbers: ANSI/ASHRAE 135-2016, 6.4, 18, 21, J.2."""

from __future__ import annotations

from pipeline.decode.protocols.bacnet_words import ERROR_CODES, OBJECT_TYPES, PROPERTIES
from pipeline.decode.protocols.base import ProtocolNames, number_text
from schemas.codes import Identity, Protocol, Space

FUNCTIONS: dict[int, str] = {
    0: "acknowledge alarm",
    1: "confirmed COV notification",
    2: "confirmed event notification",
    3: "get alarm summary",
    4: "get enrollment summary",
    5: "subscribe COV",
    6: "atomic read file",
    7: "atomic write file",
    8: "add list element",
    9: "remove list element",
    10: "create object",
    11: "delete object",
    12: "read property",
    13: "read property conditional",
    14: "read property multiple",
    15: "write property",
    16: "write property multiple",
    17: "device communication control",
    18: "confirmed private transfer",
    19: "confirmed text message",
    20: "reinitialize device",
    21: "VT open",
    22: "VT close",
    23: "VT data",
    24: "authenticate",
    25: "request key",
    26: "read range",
    27: "life safety operation",
    28: "subscribe COV property",
    29: "get event information",
    30: "subscribe COV property multiple",
    31: "confirmed COV notification multiple",
    32: "confirmed audit notification",
    33: "audit log query",
    34: "authentication request",
    0x100: "I-Am",
    0x101: "I-Have",
    0x102: "COV notification",
    0x103: "event notification",
    0x104: "private transfer",
    0x105: "text message",
    0x106: "time synchronization",
    0x107: "Who-Has",
    0x108: "Who-Is",
    0x109: "UTC time synchronization",
    0x10A: "write group",
    0x10B: "COV notification multiple",
    0x10C: "audit notification",
    0x10D: "Who-Am-I",
    0x10E: "You-Are",
    0x200: "network: who is router to network",
    0x201: "network: I am router to network",
    0x202: "network: I could be router to network",
    0x203: "network: reject message",
    0x204: "network: router busy",
    0x205: "network: router available",
    0x206: "network: initialize routing table",
    0x207: "network: initialize routing table acknowledged",
    0x208: "network: establish connection",
    0x209: "network: disconnect connection",
    0x212: "network: what is network number",
    0x213: "network: network number is",
    0x300: "link: result",
    0x301: "link: write broadcast distribution table",
    0x302: "link: read broadcast distribution table",
    0x303: "link: broadcast distribution table",
    0x304: "link: forwarded NPDU",
    0x305: "link: register foreign device",
    0x306: "link: read foreign device table",
    0x307: "link: foreign device table",
    0x308: "link: delete foreign device",
    0x309: "link: distribute broadcast",
    0x30A: "link: unicast NPDU",
    0x30B: "link: broadcast NPDU",
    0x30C: "link: secured",
    0x400: "confirmed request cut short",
    0x401: "unconfirmed request cut short",
    0x402: "simple acknowledgement cut short",
    0x403: "complex acknowledgement cut short",
    0x404: "segment acknowledgement",
    0x405: "error cut short",
    0x406: "reject",
    0x407: "abort",
}

_STATES = ("cold start", "warm start", "start backup", "end backup", "start restore", "end restore", "abort restore",
           "activate changes")  # fmt: skip
_EVENT_TYPES = ("change of bitstring", "change of state", "change of value", "command failure", "floating limit",
                "out of range", "", "", "change of life safety", "extended", "buffer ready", "unsigned range", "",
                "access event", "double out of range", "signed out of range", "unsigned out of range",
                "change of characterstring", "change of status flags", "change of reliability", "none",
                "change of discrete value", "change of timer")  # fmt: skip
_EVENT_STATES = ("normal", "fault", "offnormal", "high limit", "low limit", "life safety alarm")
_LIFE_SAFETY = ("none", "silence", "silence audible", "silence visual", "reset", "reset alarm", "reset fault",
                "unsilence", "unsilence audible", "unsilence visual")  # fmt: skip
SUBFUNCTIONS: dict[tuple[int, int], str] = {
    **{(service, k): name for service in (2, 0x103) for k, name in enumerate(_EVENT_TYPES) if name},
    **{(0, k): name for k, name in enumerate(_EVENT_STATES)},
    **{(27, k): name for k, name in enumerate(_LIFE_SAFETY)},
    (26, 3): "by position",
    (26, 6): "by sequence number",
    (26, 7): "by time",
    (29, 1): "more follow",
    **{(17, k): name for k, name in enumerate(("enable", "disable", "disable initiation"))},
    **{(20, k): name for k, name in enumerate(_STATES)},
    **{(service, k): f"at priority {k}" for service in (15, 16, 0x10A) for k in range(1, 17)},
}

ERROR_CLASSES = ("device", "object", "property", "resources", "security", "services", "vt", "communication")
_REJECTS = ("other", "buffer overflow", "inconsistent parameters", "invalid parameter data type", "invalid tag",
            "missing required parameter", "parameter out of range", "too many arguments", "undefined enumeration",
            "unrecognized service")  # fmt: skip
_ABORTS = ("other", "buffer overflow", "invalid APDU in this state", "preempted by higher priority task",
           "segmentation not supported", "security error", "insufficient security", "window size out of range",
           "application exceeded reply time", "out of resources", "TSM timeout", "APDU too long")  # fmt: skip
_RESULTS = ("write broadcast distribution table", "read broadcast distribution table", "register foreign device",
            "read foreign device table", "delete foreign device", "distribute broadcast")  # fmt: skip
_UNROUTED = ("other error", "not directly connected to the network", "router busy", "unknown network message",
             "message too long", "source authentication error", "addressing error")  # fmt: skip

STATUSES: dict[int, str] = {
    **{
        1 << 24 | family << 16 | code: f"{name}: {text.replace('-', ' ')}"
        for family, name in enumerate(ERROR_CLASSES)
        for code, text in ERROR_CODES.items()
    },
    **{2 << 24 | reason: f"reject: {text}" for reason, text in enumerate(_REJECTS)},
    **{3 << 24 | reason: f"abort: {text}" for reason, text in enumerate(_ABORTS)},
    **{4 << 24 | 16 * k: f"refused: {text}" for k, text in enumerate(_RESULTS, 1)},
    **{5 << 24 | reason: f"not routed: {text}" for reason, text in enumerate(_UNROUTED)},
}

VENDORS: dict[int, str] = {
    0: "ASHRAE",
    1: "NIST",
    2: "Trane",
    3: "Daikin Applied",
    5: "Johnson Controls",
    7: "Siemens",
    8: "Delta Controls",
    10: "Schneider Electric",
    14: "Cimetrics",
    15: "Cornell University",
    16: "Carrier",
    17: "Honeywell",
    18: "Alerton",
    24: "Automated Logic",
    28: "KMC Controls",
    35: "Reliable Controls",
    36: "Tridium",
    42: "Acuity Brands",
}
"""The commonest of the vendors' numbers that ASHRAE gives out."""

_IDENTITY = ("", "vendor", "model", "firmware", "serial", "name", "location", "product code", "hardware")
OBJECT_TEXTS: dict[tuple[int, int], str] = {
    (int(Space.IDENTITY), role): f"identity: {name}" for role, name in enumerate(_IDENTITY) if role
}


def identity(role: int, value: float) -> str:
    """A vendor by its number."""
    if role == Identity.VENDOR:
        return VENDORS.get(int(value), f"vendor {value:.0f}")
    return number_text(role, value)


_PARAMETERS = {0: "process", 3: "sequence number", 4: "notification class", 5: "priority", 6: "event type",
               7: "message", 8: "notify type", 9: "ack required", 10: "from state", 16: "acked state"}  # fmt: skip
_OF_LOG = {0: "log status", 3: "position", 6: "sequence number", 7: "time", 9: "clock change"}
_EVENT_VALUE = 1 << 16


def _object(thing: int) -> str:
    """An object such as `analog-input:3`."""
    kind = thing >> 22 & 0x3FF
    return f"{OBJECT_TYPES.get(kind, f'type {kind}')}:{thing & 0x3FFFFF}"


def _beside(space: int, addr: int, addr_sub: int) -> str:
    """What is no property: `analog-input:3 priority[1]`, `analog-input:3 event value 5.0`, `group 23 channel 1`."""
    if space == Space.BACNET_PRIVATE:
        return f"{VENDORS.get(addr, f'vendor {addr}')} service {addr_sub}"
    if space == Space.BACNET_GROUP:
        return f"group {addr} channel {addr_sub}"
    index = f"[{(addr >> 32) - 1}]" if addr >> 32 else ""
    if space == Space.BACNET_LOG:
        return f"{_object(addr)} {_OF_LOG.get(addr_sub, f'part {addr_sub}')}{index}"
    if addr_sub >= _EVENT_VALUE:
        return f"{_object(addr)} event value {addr_sub >> 8 & 0xFF}.{addr_sub & 0xFF}"
    return f"{_object(addr)} {_PARAMETERS.get(addr_sub, f'parameter {addr_sub}')}{index}"


def tag(space: int, addr: int, addr_sub: int, register_base: int = 1) -> str:
    """A property of an object, such as `analog-input:3 present-value`, with its array index where it has one."""
    if space == Space.DEVICE_TIME:
        return "clock"
    if Space.BACNET_EVENT <= space <= Space.BACNET_GROUP:
        return _beside(space, addr, addr_sub)
    if space != Space.BACNET_PROPERTY:
        return f"space{space}:{addr}.{addr_sub}" if addr_sub else f"space{space}:{addr}"
    what, index = _object(addr), addr >> 32
    if not addr_sub and not index:
        return what
    name = PROPERTIES.get(addr_sub, f"property {addr_sub}")
    return f"{what} {name}[{index - 1}]" if index else f"{what} {name}"


NAMES = ProtocolNames(
    protocol=Protocol.BACNET,
    functions=FUNCTIONS,
    subfunctions=SUBFUNCTIONS,
    statuses=STATUSES,
    objects=OBJECT_TEXTS,
    tag=tag,
    identity=identity,
)
