"""Names of IEC 60870-5-104 numbers: IEC 60870-5-101:2003 7.2 and IEC 60870-5-104:2006."""

from __future__ import annotations

from pipeline.decode.protocols.base import ProtocolNames
from schemas.codes import Protocol, Space

FUNCTIONS: dict[int, str] = {
    1: "single-point information",
    2: "single-point information with time",
    3: "double-point information",
    4: "double-point information with time",
    5: "step position",
    6: "step position with time",
    7: "bitstring",
    8: "bitstring with time",
    9: "measured value, normalized",
    10: "measured value, normalized, with time",
    11: "measured value, scaled",
    12: "measured value, scaled, with time",
    13: "measured value, float",
    14: "measured value, float, with time",
    15: "integrated totals",
    16: "integrated totals with time",
    17: "protection event with time",
    18: "protection start events with time",
    19: "protection output circuits with time",
    20: "packed single-point information",
    21: "measured value, normalized, without quality",
    30: "single-point information with CP56 time",
    31: "double-point information with CP56 time",
    32: "step position with CP56 time",
    33: "bitstring with CP56 time",
    34: "measured value, normalized, with CP56 time",
    35: "measured value, scaled, with CP56 time",
    36: "measured value, float, with CP56 time",
    37: "integrated totals with CP56 time",
    38: "protection event with CP56 time",
    39: "protection start events with CP56 time",
    40: "protection output circuits with CP56 time",
    41: "security statistics with CP56 time",
    45: "single command",
    46: "double command",
    47: "regulating step command",
    48: "set-point command, normalized",
    49: "set-point command, scaled",
    50: "set-point command, float",
    51: "bitstring command",
    58: "single command with CP56 time",
    59: "double command with CP56 time",
    60: "regulating step command with CP56 time",
    61: "set-point command, normalized, with CP56 time",
    62: "set-point command, scaled, with CP56 time",
    63: "set-point command, float, with CP56 time",
    64: "bitstring command with CP56 time",
    70: "end of initialization",
    81: "authentication challenge",
    82: "authentication reply",
    83: "aggressive mode authentication request",
    84: "session key status request",
    85: "session key status",
    86: "session key change",
    87: "authentication error",
    90: "user certificate",
    91: "user status change",
    92: "update key change request",
    93: "update key change reply",
    94: "update key change, symmetric",
    95: "update key change, asymmetric",
    100: "interrogation",
    101: "counter interrogation",
    102: "read",
    103: "clock synchronization",
    104: "test",
    105: "reset process",
    106: "delay acquisition",
    107: "test with CP56 time",
    110: "parameter of measured value, normalized",
    111: "parameter of measured value, scaled",
    112: "parameter of measured value, float",
    113: "parameter activation",
    120: "file ready",
    121: "section ready",
    122: "call directory, select or call file",
    123: "last section or segment",
    124: "acknowledge file or section",
    125: "segment",
    126: "directory",
    127: "query log",
    0x101: "supervisory frame",
    0x107: "start data transfer activation",
    0x10B: "start data transfer confirmation",
    0x113: "stop data transfer activation",
    0x123: "stop data transfer confirmation",
    0x143: "test frame activation",
    0x183: "test frame confirmation",
}

_KINDS = {1: "threshold", 2: "smoothing factor", 3: "low limit", 4: "high limit"}
_FILE_CALLS = {
    0: "default",
    1: "select file",
    2: "request file",
    3: "deactivate file",
    4: "delete file",
    5: "select section",
    6: "request section",
    7: "deactivate section",
}
_FREEZES = {0: "read", 1: "freeze", 2: "freeze with reset", 3: "reset"}

SUBFUNCTIONS: dict[tuple[int, int], str] = {
    (100, 20): "station",
    **{(100, 20 + group): f"group {group}" for group in range(1, 17)},
    **{
        (101, freeze << 6 | request): f"{_FREEZES[freeze]}, {'all' if request == 5 else f'group {request}'}"
        for freeze in _FREEZES
        for request in range(1, 6)
    },
    (105, 1): "general reset",
    (105, 2): "reset of pending time-tagged information",
    (70, 0): "local power switch on",
    (70, 1): "local manual reset",
    (70, 2): "remote reset",
    **{(number, kind): name for number in (110, 111, 112) for kind, name in _KINDS.items()},
    (113, 1): "activate loaded parameters",
    (113, 2): "activate parameters of the object",
    (113, 3): "persistent cyclic transmission",
    **{(122, call): name for call, name in _FILE_CALLS.items()},
}

CAUSES: dict[int, str] = {
    1: "periodic, cyclic",
    2: "background scan",
    3: "spontaneous",
    4: "initialized",
    5: "request or requested",
    6: "activation",
    7: "activation confirmation",
    8: "deactivation",
    9: "deactivation confirmation",
    10: "activation termination",
    11: "return information by a remote command",
    12: "return information by a local command",
    13: "file transfer",
    14: "authentication",
    15: "maintenance of session key",
    16: "maintenance of user role and update key",
    20: "interrogated by station interrogation",
    **{20 + group: f"interrogated by group {group} interrogation" for group in range(1, 17)},
    37: "requested by general counter request",
    **{37 + group: f"requested by group {group} counter request" for group in range(1, 5)},
    44: "unknown type identification",
    45: "unknown cause of transmission",
    46: "unknown common address",
    47: "unknown information object address",
}
"""Causes of transmission (7.2.3): the low 6 bits of a record's flags."""

STATUSES: dict[int, str] = {
    **{cause: CAUSES[cause] for cause in (44, 45, 46, 47)},
    71: "activation refused",
    73: "deactivation refused",
    74: "activation ended badly",
}

_PREFIX: dict[int, str] = {
    Space.IEC_SINGLE: "sp",
    Space.IEC_DOUBLE: "dp",
    Space.IEC_STEP: "st",
    Space.IEC_BITSTRING: "bo",
    Space.IEC_MEASURED: "me",
    Space.IEC_TOTAL: "it",
    Space.IEC_PROTECTION: "ep",
    Space.IEC_COMMAND: "command",
    Space.IEC_SETPOINT: "setpoint",
    Space.IEC_PARAMETER: "parameter",
    Space.IEC_FILE: "file",
    Space.DEVICE_TIME: "clock",
}


def tag(space: int, addr: int, addr_sub: int, register_base: int = 1) -> str:
    """A point by its kind and information object address, such as `me:4001`; a second part is a file or parameter."""
    prefix = _PREFIX.get(space, f"space{space}")
    if space == Space.IEC_PARAMETER and addr_sub in _KINDS:
        return f"{prefix}:{addr} {_KINDS[addr_sub]}"
    return f"{prefix}:{addr}.{addr_sub}" if addr_sub else f"{prefix}:{addr}"


NAMES = ProtocolNames(
    protocol=Protocol.IEC104,
    functions=FUNCTIONS,
    subfunctions=SUBFUNCTIONS,
    statuses=STATUSES,
    tag=tag,
)
