"""Readable names of S7comm's numbers.  Imports nothing that compiles."""

from __future__ import annotations

from enum import IntEnum

from pipeline.decode.protocols.base import ProtocolNames, number_text
from pipeline.decode.protocols.s7_types import (
    COTP,
    DISCONNECTED,
    NO_CODE,
    PLUS,
    SIZES,
    USERDATA,
    AlarmPart,
    BlockPart,
    DiagnosticPart,
)
from schemas.codes import Identity, Protocol, Space

_JOBS = {
    0x00: "CPU services",
    0x04: "read variables",
    0x05: "write variables",
    0x1A: "request download",
    0x1B: "download block",
    0x1C: "download ended",
    0x1D: "start upload",
    0x1E: "upload",
    0x1F: "end upload",
    0x28: "PI service",
    0x29: "PLC stop",
    0xF0: "setup communication",
}
_GROUPS = {
    0: "mode transition",
    1: "programmer commands",
    2: "cyclic data",
    3: "block functions",
    4: "CPU functions",
    5: "security",
    6: "PBC BSEND/BRECV",
    7: "time functions",
    15: "NC programming",
}
_TPDUS = {
    0xE0: "connection request",
    0xD0: "connection confirm",
    0x80: "disconnect request",
    0xC0: "disconnect confirm",
    0x70: "TPDU error",
    0x10: "expedited data",
    0xF0: "data without S7",
}
_PLUS = {
    0x04BB: "explore",
    0x04CA: "create object",
    0x04D4: "delete object",
    0x04F2: "set variable",
    0x0524: "get link",
    0x0542: "set multiple variables",
    0x054C: "get multiple variables",
    0x0556: "begin sequence",
    0x0560: "end sequence",
    0x056B: "invoke",
    0x0586: "get variables with substructures",
    PLUS: "message without opcode",
    PLUS | 0x31: "request",
    PLUS | 0x32: "response",
    PLUS | 0x33: "notification",
}

FUNCTIONS: dict[int, str] = (
    _JOBS
    | {USERDATA | group: name for group, name in _GROUPS.items()}
    | {COTP | code: f"COTP {name}" for code, name in _TPDUS.items()}
    | {code: f"S7comm-plus {name}" for code, name in _PLUS.items()}
)

_BLOCKS = {0x08: "OB", 0x0A: "DB", 0x0B: "SDB", 0x0C: "FC", 0x0D: "SFC", 0x0E: "FB", 0x0F: "SFB"}
_SUBFUNCTIONS: dict[int, dict[int, str]] = {
    0: {
        0: "stop",
        1: "warm restart",
        2: "run",
        3: "hot restart",
        4: "hold",
        6: "cold restart",
        9: "redundant run",
        11: "link-up",
        12: "update",
    },
    1: {
        0x01: "block status",
        0x02: "watch variables",
        0x03: "interrupt stack",
        0x04: "block stack",
        0x05: "local data stack",
        0x06: "measure time",
        0x07: "select forces",
        0x08: "modify variables",
        0x09: "force variables",
        0x0A: "breakpoint",
        0x0B: "leave hold",
        0x0C: "memory reset",
        0x0D: "disable job",
        0x0E: "enable job",
        0x0F: "delete job",
        0x10: "list jobs",
        0x11: "read job",
        0x12: "replace job",
        0x13: "block status",
        0x16: "flash LED",
    },
    2: {1: "read cyclically", 4: "unsubscribe", 5: "read on change", 7: "change variables", 8: "read data record"},
    3: {1: "list blocks", 2: "list blocks of type", 3: "block information"},
    4: {
        0x01: "read system status list",
        0x02: "message service",
        0x03: "diagnostic message",
        0x05: "ALARM_8 indication",
        0x06: "NOTIFY indication",
        0x07: "ALARM_8 lock",
        0x08: "ALARM_8 unlock",
        0x09: "SCAN indication",
        0x0B: "alarm acknowledgement",
        0x0C: "alarm acknowledged, indication",
        0x0D: "alarm lock, indication",
        0x0E: "alarm unlock, indication",
        0x11: "ALARM_SQ indication",
        0x12: "ALARM_S indication",
        0x13: "alarm query",
        0x16: "NOTIFY_8 indication",
    },
    5: {1: "password", 2: "clear password"},
    7: {1: "read clock", 2: "set clock", 3: "read clock (following)", 4: "set clock (following)"},
}
SUBFUNCTIONS: dict[tuple[int, int], str] = (
    {(function, code): size.name for function in (4, 5) for code, size in SIZES.items()}
    | {(USERDATA | group, sub): name for group, names in _SUBFUNCTIONS.items() for sub, name in names.items()}
    | {(function, code): name for function in range(0x1A, 0x1E) for code, name in _BLOCKS.items()}
)

STATUSES: dict[int, str] = {
    0x01: "hardware error",
    0x03: "access denied",
    0x05: "invalid address",
    0x06: "data type not supported",
    0x07: "data type inconsistent",
    0x0A: "object does not exist",
    NO_CODE: "no return code",
    0x0110: "invalid block number",
    0x0113: "invalid block type",
    0x0114: "block not found",
    0x0116: "block is write-protected",
    0x0119: "wrong password",
    0x8001: "not possible in this state of the block",
    0x8100: "service unknown",
    0x8104: "not implemented, or wrong frame",
    0x8301: "not enough memory",
    0x8304: "no further upload in parallel",
    0x8305: "function not available",
    0x8401: "wrong sequence of services",
    0x8402: "not possible in this state of the object",
    0x8404: "function cannot be performed",
    0x8500: "wrong frame",
    0x8701: "error addressing the object",
    0x8702: "service not supported",
    0x8703: "access refused",
    0xD001: "illegal job number",
    0xD002: "illegal job variant",
    0xD201: "syntax error in block name",
    0xD202: "syntax error in parameters",
    0xD209: "block not found on the module",
    0xD20E: "no more blocks",
    0xD210: "invalid block number",
    0xD241: "not permitted at this protection level",
    0xD242: "other programming device holds the block",
    0xD401: "unknown system status list",
    0xD402: "unknown index of the system status list",
    0xD602: "wrong password",
    0xDC01: "wrong date or time",
    DISCONNECTED: "disconnected",
    DISCONNECTED | 1: "disconnected: congestion",
    DISCONNECTED | 2: "disconnected: session entity not attached",
    DISCONNECTED | 3: "disconnected: address unknown",
    DISCONNECTED | 128: "disconnected: normal",
    DISCONNECTED | 129: "disconnected: remote congestion",
    DISCONNECTED | 133: "disconnected: protocol error",
    DISCONNECTED | 136: "disconnected: connection refused",
}

OBJECTS: dict[tuple[int, int], str] = {
    (int(Space.S7_SYSTEM_STATUS), 0x0011): "SZL module identification",
    (int(Space.S7_SYSTEM_STATUS), 0x0111): "SZL module identification, one record",
    (int(Space.S7_SYSTEM_STATUS), 0x001C): "SZL component identification",
    (int(Space.S7_SYSTEM_STATUS), 0x011C): "SZL component identification, one record",
    (int(Space.S7_SYSTEM_STATUS), 0x0131): "SZL communication capabilities",
    (int(Space.S7_SYSTEM_STATUS), 0x0132): "SZL communication status",
    (int(Space.S7_SYSTEM_STATUS), 0x0424): "SZL current mode",
    (int(Space.S7_SYSTEM_STATUS), 0x0074): "SZL LEDs",
    (int(Space.S7_SYSTEM_STATUS), 0x00A0): "SZL diagnostic buffer",
} | {(int(Space.IDENTITY), int(role)): f"identity: {role.name.lower().replace('_', ' ')}" for role in Identity if role}

_LETTER: dict[int, str] = {
    Space.S7_INPUT: "i",
    Space.S7_OUTPUT: "q",
    Space.S7_FLAG: "m",
    Space.S7_PERIPHERAL: "p",
    Space.S7_LOCAL: "l",
    Space.S7_DATA_BLOCK: "db",
    Space.S7_INSTANCE_BLOCK: "di",
}
_WIDTH = {0: "x", 1: "b", 2: "w", 4: "d"}


_TOLD = (Space.S7_BLOCK, Space.S7_ALARM, Space.S7_DIAGNOSTIC, Space.S7_MODE, Space.S7_JOB)


def _told(space: int, addr: int, addr_sub: int) -> str:
    """What is no variable, such as `db5 checksum`, `alarm 60000001 signals`, `mode`."""
    if space == Space.S7_MODE:
        return "mode"
    if space == Space.S7_JOB:
        kind = SUBFUNCTIONS.get((USERDATA | 1, addr >> 8), f"function {addr >> 8}")
        return f"job {addr & 0xFF}: {kind}"
    if space == Space.S7_BLOCK:
        kind, part = _BLOCKS.get(addr >> 16, f"block type {addr >> 16:02x} ").lower(), _part(BlockPart, addr_sub)
        return f"{kind}s" if addr_sub == BlockPart.COUNT else f"{kind}{addr & 0xFFFF} {part}"
    if space == Space.S7_DIAGNOSTIC:
        return f"diagnosis {addr:04x} {_part(DiagnosticPart, addr_sub)}"
    event, element = addr & 0xFFFFFFFF, addr >> 32
    if addr_sub < AlarmPart.VALUE:
        return f"alarm {event:08x} {_part(AlarmPart, addr_sub)}"
    going = addr_sub >= AlarmPart.VALUE_GOING
    number = addr_sub - (AlarmPart.VALUE_GOING if going else AlarmPart.VALUE) + 1
    return f"alarm {event:08x} value {number}{' as it went' if going else ''}[{element}]"


def _part(parts: type[IntEnum], number: int) -> str:
    """The name of a part in small letters."""
    return parts(number).name.lower().replace("_", " ") if number in parts.__members__.values() else f"part {number}"


def tag(space: int, addr: int, addr_sub: int, register_base: int = 1) -> str:
    """A variable as engineers write it, in small letters, such as `db5.dbd8`, `mw10`, `q4.1`, `t7`."""
    if space in (Space.S7_COUNTER, Space.S7_TIMER):
        return f"{'c' if space == Space.S7_COUNTER else 't'}{addr}"
    if space == Space.S7_SYSTEM_STATUS:
        return f"szl:{addr:04x}.{addr_sub:04x}"
    if space in _TOLD:
        return _told(space, addr, addr_sub)
    if space not in _LETTER:
        return f"space{space}:{addr}.{addr_sub}" if space else f"item {addr_sub & 0xFFFF} byte {addr // 8}"
    letter, block, size = _LETTER[space], addr_sub & 0xFFFF, addr_sub >> 16
    width = _WIDTH.get(size, f"[{size}]")
    where = f"{addr // 8}.{addr % 8}" if size == 0 or addr % 8 else f"{addr // 8}"
    if space in (Space.S7_DATA_BLOCK, Space.S7_INSTANCE_BLOCK):
        return f"{letter}{block}.{letter}{width}{where}"
    return f"{letter}{'' if size == 0 else width}{where}"


def identity(role: int, value: float) -> str:
    """Versions, which S7 gives as `V` and three numbers."""
    bits = int(value)
    if role in (Identity.FIRMWARE, Identity.HARDWARE) and bits >> 24 == ord("V"):
        return f"V{bits >> 16 & 255}.{bits >> 8 & 255}.{bits & 255}"
    return number_text(role, value)


NAMES = ProtocolNames(
    protocol=Protocol.S7COMM,
    functions=FUNCTIONS,
    subfunctions=SUBFUNCTIONS,
    statuses=STATUSES,
    objects=OBJECTS,
    tag=tag,
    identity=identity,
)
