"""Numbers of EtherNet/IP and CIP: commands, services, segments, types, and what operation each service is.

Clauses are of The CIP Networks Library, volume 1 (CIP) and volume 2 (EtherNet/IP adaptation), and of Rockwell's
publication 1756-PM020 (Logix data access).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.decode import forms as f
from pipeline.decode import layout as c
from schemas.codes import Op, PointType

# --- encapsulation (volume 2, 2-3)
NOP, LIST_SERVICES, LIST_IDENTITY, LIST_INTERFACES = 0x00, 0x04, 0x63, 0x64
REGISTER, UNREGISTER, RR_DATA, UNIT_DATA, INDICATE, CANCEL = 0x65, 0x66, 0x6F, 0x70, 0x72, 0x73
LEGACY = (1, 2, 3, 5)
"""Reserved for what Rockwell used before; its tools still send the first."""
COMMANDS = np.zeros(256, np.uint8)
COMMANDS[[NOP, *LEGACY, LIST_SERVICES, LIST_IDENTITY, LIST_INTERFACES, REGISTER, UNREGISTER, RR_DATA, UNIT_DATA,
          INDICATE, CANCEL]] = 1  # fmt: skip
HEADER = 24
LONGEST = 65_511
"""Bytes of an encapsulation message behind its header, at most."""

# --- items of the common packet format (volume 2, 2-6)
I_IDENTITY, I_CONNECTED_ADDRESS, I_CONNECTED, I_UNCONNECTED, I_SEQUENCED = 0x0C, 0xA1, 0xB1, 0xB2, 0x8002

# --- services (volume 1, appendix A; 1756-PM020)
GET_ALL, SET_ALL, GET_LIST, SET_LIST, RESET, START, STOP, CREATE, DELETE, MULTIPLE = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
GET_SINGLE, SET_SINGLE = 0x0E, 0x10
EXECUTE_PCCC, READ_TAG, WRITE_TAG, MODIFY_TAG, READ_PART, WRITE_PART = 0x4B, 0x4C, 0x4D, 0x4E, 0x52, 0x53
LIST_TAGS = 0x55
FORWARD_CLOSE, UNCONNECTED_SEND, FORWARD_OPEN, LARGE_FORWARD_OPEN = 0x4E, 0x52, 0x54, 0x5B

# --- classes
IDENTITY, ASSEMBLY, CONNECTION_MANAGER, SYMBOL, PCCC = 1, 4, 6, 0x6B, 0x67

# --- what `func` says beside the service itself (below 0x80, with the class as sub-function)
ENCAPSULATION, TAG, FUNC_PCCC, FUNC_PCCC_COMMAND, MANAGER, IO = 0x100, 0x200, 0x300, 0x400, 0x500, 0x600
"""A command; a service at a tag; the function of a PCCC command 0x0F; another PCCC command; a service of the connection
manager; cyclic data."""
FUNCTIONS = 0x601

# --- statuses
OF_ENCAPSULATION, OF_PCCC = 1 << 24, 2 << 24
PARTIAL, LIST_ERROR = 6, 0x0A
"""General status of an answer whose rest is to be asked for, and of a list whose attributes have their own."""


def _ops() -> NDArray[np.uint8]:
    found = np.full(FUNCTIONS, int(Op.VENDOR), np.uint8)
    table: dict[int, Op] = {
        GET_ALL: Op.READ, SET_ALL: Op.WRITE, GET_LIST: Op.READ, SET_LIST: Op.WRITE, RESET: Op.RESTART,
        START: Op.START, STOP: Op.STOP, CREATE: Op.CONFIGURE, DELETE: Op.CONFIGURE, MULTIPLE: Op.SESSION,
        0x0D: Op.CONFIGURE, GET_SINGLE: Op.READ, SET_SINGLE: Op.WRITE, 0x11: Op.DISCOVER, 0x15: Op.CONFIGURE,
        0x16: Op.CONFIGURE, 0x17: Op.SESSION, 0x18: Op.READ, 0x19: Op.WRITE, EXECUTE_PCCC: Op.VENDOR,
        TAG | READ_TAG: Op.READ, TAG | READ_PART: Op.READ, TAG | WRITE_TAG: Op.WRITE, TAG | WRITE_PART: Op.WRITE,
        TAG | MODIFY_TAG: Op.WRITE, TAG | LIST_TAGS: Op.DISCOVER,
        MANAGER | FORWARD_OPEN: Op.SESSION, MANAGER | LARGE_FORWARD_OPEN: Op.SESSION,
        MANAGER | FORWARD_CLOSE: Op.SESSION, MANAGER | UNCONNECTED_SEND: Op.SESSION,
        MANAGER | 0x56: Op.READ, MANAGER | 0x57: Op.READ, MANAGER | 0x5A: Op.READ,
        FUNC_PCCC | 0x00: Op.WRITE, FUNC_PCCC | 0x01: Op.READ, FUNC_PCCC | 0x02: Op.WRITE,
        FUNC_PCCC | 0x07: Op.STOP, FUNC_PCCC | 0x0A: Op.CONFIGURE, FUNC_PCCC | 0x0B: Op.CONFIGURE,
        FUNC_PCCC | 0x11: Op.CONFIGURE, FUNC_PCCC | 0x12: Op.CONFIGURE, FUNC_PCCC | 0x26: Op.WRITE,
        FUNC_PCCC | 0x29: Op.READ, FUNC_PCCC | 0x3A: Op.MODE, FUNC_PCCC | 0x41: Op.FORCE,
        FUNC_PCCC | 0x50: Op.PROGRAM_DOWNLOAD, FUNC_PCCC | 0x52: Op.PROGRAM_DOWNLOAD,
        FUNC_PCCC | 0x53: Op.PROGRAM_UPLOAD, FUNC_PCCC | 0x55: Op.PROGRAM_UPLOAD,
        FUNC_PCCC | 0x57: Op.MEMORY_RESET, FUNC_PCCC | 0x67: Op.WRITE, FUNC_PCCC | 0x68: Op.READ,
        FUNC_PCCC | 0x79: Op.WRITE, FUNC_PCCC | 0x80: Op.MODE, FUNC_PCCC | 0x81: Op.FILE_READ,
        FUNC_PCCC | 0x82: Op.FILE_WRITE, FUNC_PCCC | 0x88: Op.CONFIGURE, FUNC_PCCC | 0xA1: Op.READ,
        FUNC_PCCC | 0xA2: Op.READ, FUNC_PCCC | 0xA7: Op.READ, FUNC_PCCC | 0xA9: Op.WRITE,
        FUNC_PCCC | 0xAA: Op.WRITE, FUNC_PCCC | 0xAB: Op.WRITE, FUNC_PCCC | 0xAF: Op.WRITE,
        FUNC_PCCC_COMMAND | 0x00: Op.WRITE, FUNC_PCCC_COMMAND | 0x01: Op.READ, FUNC_PCCC_COMMAND | 0x02: Op.WRITE,
        FUNC_PCCC_COMMAND | 0x05: Op.WRITE, FUNC_PCCC_COMMAND | 0x06: Op.DIAGNOSE, FUNC_PCCC_COMMAND | 0x08: Op.WRITE,
        ENCAPSULATION | LIST_SERVICES: Op.DISCOVER, ENCAPSULATION | LIST_IDENTITY: Op.DISCOVER,
        ENCAPSULATION | LIST_INTERFACES: Op.DISCOVER, IO: Op.REPORT,
    }  # fmt: skip
    for command in (NOP, REGISTER, UNREGISTER, RR_DATA, UNIT_DATA, INDICATE, CANCEL):
        table[ENCAPSULATION | command] = Op.SESSION
    for function, op in table.items():
        found[function] = int(op)
    return found


OPS = _ops()

_ELEMENTS: dict[int, tuple[int, PointType | None]] = {
    0xC1: (f.V_BIT0, None), 0xC2: (f.V_I8, None), 0xC3: (f.V_I16LE, None), 0xC4: (f.V_I32LE, None),
    0xC5: (f.V_I64LE, None), 0xC6: (f.V_U8, None), 0xC7: (f.V_U16LE, None), 0xC8: (f.V_U32LE, None),
    0xC9: (f.V_U64LE, None), 0xCA: (f.V_F32LE, None), 0xCB: (f.V_F64LE, None), 0xD1: (f.V_U8, PointType.BITS),
    0xD2: (f.V_U16LE, PointType.BITS), 0xD3: (f.V_U32LE, PointType.BITS), 0xD4: (f.V_U64LE, PointType.BITS),
}  # fmt: skip
FORM = np.zeros(256, np.int64)
"""Form of the values of an elementary type (volume 1, C-6.1), 0 for a type that is not known."""
SIZE = np.zeros(256, np.int64)
for _type, (_value, _kind) in _ELEMENTS.items():
    FORM[_type] = f.form(_value, kind=_kind)
    SIZE[_type] = f.BYTES.get(_value, 1)

RAW = np.zeros(9, np.int64)
"""Form of a value of so many bytes whose type is not known, 0 for none."""
for _bytes, _value in ((1, f.V_U8), (2, f.V_U16LE), (4, f.V_U32LE), (8, f.V_U64LE)):
    RAW[_bytes] = f.form(_value, kind=PointType.BITS)

SHORT_STRING, STRING, STRUCTURE, STRING_HANDLE = 0xDA, 0xD0, 0x02A0, 0x0FCE
"""Types of texts behind a length of one byte or two; of a structure, which its handle follows; the handle of Logix' own
STRING: a length and 82 characters."""
STRUCTURED = 2
"""In the second part of a tag's address: a word of a structure; the lowest bit is that of an element of an array."""

# --- for the time of a PDU, and from a request to its answer
MESSAGE_AT, MESSAGE_END, OFFSET, EMBEDDED, ELEMENT, TRANSPORT = range(c.S_EXTRA, c.S_EXTRA + 6)
"""Place and end of the CIP message from the beginning of the PDU, 0 for none; byte offset of a fragment; messages of a
Multiple Service Packet that become records; index that a path ends in, plus 1; transport class of a connection plus 1,
and the bytes of its data to the target above 8 bits, to the originator above 32, 0 where they vary."""
