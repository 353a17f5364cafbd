"""Names of Modbus numbers: MODBUS Application Protocol Specification V1.1b3, and Schneider's UMAS as observed."""

from __future__ import annotations

from pipeline.decode.protocols.base import ProtocolNames
from schemas.codes import Protocol, Space

FUNCTIONS: dict[int, str] = {
    1: "read coils",
    2: "read discrete inputs",
    3: "read holding registers",
    4: "read input registers",
    5: "write single coil",
    6: "write single register",
    7: "read exception status",
    8: "diagnostics",
    11: "get comm event counter",
    12: "get comm event log",
    15: "write multiple coils",
    16: "write multiple registers",
    17: "report server id",
    20: "read file record",
    21: "write file record",
    22: "mask write register",
    23: "read/write multiple registers",
    24: "read FIFO queue",
    43: "encapsulated interface transport",
    90: "UMAS",
}

SUBFUNCTIONS: dict[tuple[int, int], str] = {
    (8, 0): "return query data",
    (8, 1): "restart communications",
    (8, 2): "return diagnostic register",
    (8, 3): "change ASCII input delimiter",
    (8, 4): "force listen only mode",
    (8, 10): "clear counters and diagnostic register",
    (8, 11): "return bus message count",
    (8, 12): "return bus communication error count",
    (8, 13): "return bus exception error count",
    (8, 14): "return server message count",
    (8, 15): "return server no response count",
    (8, 16): "return server NAK count",
    (8, 17): "return server busy count",
    (8, 18): "return bus character overrun count",
    (8, 20): "clear overrun counter and flag",
    (43, 13): "CANopen general reference",
    (43, 14): "read device identification",
    (90, 0x01): "init communication",
    (90, 0x02): "read id",
    (90, 0x03): "read project info",
    (90, 0x04): "read PLC info",
    (90, 0x06): "read card info",
    (90, 0x0A): "repeat",
    (90, 0x10): "take PLC reservation",
    (90, 0x11): "release PLC reservation",
    (90, 0x12): "keep alive",
    (90, 0x20): "read memory block",
    (90, 0x21): "write memory block",
    (90, 0x22): "read variables",
    (90, 0x23): "write variables",
    (90, 0x24): "read coils and registers",
    (90, 0x25): "write coils and registers",
    (90, 0x30): "initialise upload",
    (90, 0x31): "upload block",
    (90, 0x32): "end upload",
    (90, 0x33): "initialise download",
    (90, 0x34): "download block",
    (90, 0x35): "end download",
    (90, 0x39): "read ethernet master data",
    (90, 0x40): "start PLC",
    (90, 0x41): "stop PLC",
    (90, 0x50): "monitor PLC",
    (90, 0x58): "check PLC",
    (90, 0x70): "read I/O object",
    (90, 0x71): "write I/O object",
    (90, 0x73): "get status module",
    (90, 0xFD): "error response",
    (90, 0xFE): "OK response",
}

EXCEPTIONS: dict[int, str] = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target failed to respond",
    0xFD: "UMAS error",
    256: "exception without a code",
}

DEVICE_ID_OBJECTS: dict[tuple[int, int], str] = {
    (Space.DEVICE_ID, 0): "vendor name",
    (Space.DEVICE_ID, 1): "product code",
    (Space.DEVICE_ID, 2): "revision",
    (Space.DEVICE_ID, 3): "vendor URL",
    (Space.DEVICE_ID, 4): "product name",
    (Space.DEVICE_ID, 5): "model name",
    (Space.DEVICE_ID, 6): "user application name",
}

_SPACES: dict[int, str] = {int(s): s.name.lower().replace("_", "-") for s in Space}
_REFERENCE: dict[int, tuple[str, int]] = {
    Space.COIL: ("co", 0),
    Space.DISCRETE_INPUT: ("di", 1),
    Space.INPUT_REGISTER: ("ir", 3),
    Space.HOLDING_REGISTER: ("hr", 4),
}


def tag(space: int, addr: int, addr_sub: int, register_base: int = 1) -> str:
    """The conventional name of a Modbus point.

    With `register_base` 1 (the default) register 0 is `hr:40001`, as vendors' manuals count; with 0 it is `hr:0`, as
    the wire does.  Addresses beyond 9,998 take the six-digit form (`hr:410000`).
    """
    reference = _REFERENCE.get(space)
    if reference is not None:
        prefix, digit = reference
        if register_base == 0:
            return f"{prefix}:{addr}"
        number = addr + register_base
        return f"{prefix}:{digit}{number:04d}" if number <= 9999 else f"{prefix}:{digit}{number:05d}"
    if space == Space.FILE_RECORD:
        return f"file:{addr_sub}.{addr}"
    if space == Space.HOLDING_MASK:
        return f"hr-{'or' if addr_sub else 'and'}-mask:{addr}"
    return f"{_SPACES.get(space, f'space{space}')}:{addr}"


NAMES = ProtocolNames(
    protocol=Protocol.MODBUS,
    functions=FUNCTIONS,
    subfunctions=SUBFUNCTIONS,
    statuses=EXCEPTIONS,
    objects=DEVICE_ID_OBJECTS,
    tag=tag,
)
