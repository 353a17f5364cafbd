"""What S7comm's codes mean: transport sizes of items and of data, areas, operations; as tables that kernels look up.

There is no published standard.  The codes are those that the captures of the agreement tests, tshark and real
stacks agree on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pipeline.decode import forms as f
from schemas.codes import Op, PointType, Space


@dataclass(frozen=True, slots=True)
class Size:
    """A transport size of an item.

    Attributes:
        name: its name.
        bytes: of one element; 0 for a bit.
        word: the form of one element.
    """

    name: str
    bytes: int
    word: int


_BCD16 = f.form(f.V_U16BE, kind=PointType.BITS)

SIZES: dict[int, Size] = {
    0x01: Size("BIT", 0, f.form(f.V_BIT0)),
    0x02: Size("BYTE", 1, f.form(f.V_U8)),
    0x03: Size("CHAR", 1, f.form(f.V_U8)),
    0x04: Size("WORD", 2, f.form(f.V_U16BE)),
    0x05: Size("INT", 2, f.form(f.V_I16BE)),
    0x06: Size("DWORD", 4, f.form(f.V_U32BE)),
    0x07: Size("DINT", 4, f.form(f.V_I32BE)),
    0x08: Size("REAL", 4, f.form(f.V_F32BE)),
    0x09: Size("DATE", 2, f.form(f.V_U16BE)),
    0x0A: Size("TIME_OF_DAY", 4, f.form(f.V_U32BE)),
    0x0B: Size("TIME", 4, f.form(f.V_I32BE)),
    0x0C: Size("S5TIME", 2, _BCD16),
    0x1C: Size("COUNTER", 2, _BCD16),
    0x1D: Size("TIMER", 2, _BCD16),
}
"""Dates are days since 1990, times milliseconds; S5TIME, COUNTER and TIMER are told as their 16 bits, in BCD."""

COUNTER, TIMER = 0x1C, 0x1D
BIT = 0x01

WORD: NDArray[np.int64] = np.zeros(256, np.int64)
BYTES: NDArray[np.int64] = np.full(256, -1, np.int64)
"""Form and bytes of an element by transport size; -1 bytes for one that is not known."""
for _code, _size in SIZES.items():
    WORD[_code] = _size.word
    BYTES[_code] = _size.bytes

AREAS: dict[int, Space] = {
    0x80: Space.S7_PERIPHERAL,
    0x81: Space.S7_INPUT,
    0x82: Space.S7_OUTPUT,
    0x83: Space.S7_FLAG,
    0x84: Space.S7_DATA_BLOCK,
    0x85: Space.S7_INSTANCE_BLOCK,
    0x86: Space.S7_LOCAL,
    0x87: Space.S7_LOCAL,
    0x1C: Space.S7_COUNTER,
    0x1D: Space.S7_TIMER,
}
AREA: NDArray[np.int64] = np.zeros(256, np.int64)
for _code, _space in AREAS.items():
    AREA[_code] = int(_space)

NO_CODE = 0x100
"""Status of an item whose return code is 0, where one was due."""

DISCONNECTED = 0x10000
"""Status of a connection that is refused or closed, plus the reason of ISO 8073 13.5.3."""

# --- transport sizes of data
D_NULL, D_BIT, D_BYTE, D_INTEGER, D_DINTEGER, D_REAL, D_OCTETS = 0, 3, 4, 5, 6, 7, 9
RAW: NDArray[np.int64] = np.zeros(256, np.int64)
"""Form of the elements of data whose item is not known, by their transport size; 0 for bytes."""
for _code, _form in ((D_INTEGER, f.V_I16BE), (D_DINTEGER, f.V_I32BE), (D_REAL, f.V_F32BE)):
    RAW[_code] = f.form(_form)

# --- functions of jobs
CPU_SERVICES, READ, WRITE, SETUP = 0x00, 0x04, 0x05, 0xF0
DOWNLOAD_REQUEST, DOWNLOAD, DOWNLOAD_END = 0x1A, 0x1B, 0x1C
UPLOAD_START, UPLOAD, UPLOAD_END = 0x1D, 0x1E, 0x1F
PI_SERVICE, PLC_STOP = 0x28, 0x29
OPS: dict[int, Op] = {
    READ: Op.READ,
    WRITE: Op.WRITE,
    SETUP: Op.SESSION,
    **dict.fromkeys((DOWNLOAD_REQUEST, DOWNLOAD, DOWNLOAD_END), Op.PROGRAM_DOWNLOAD),
    **dict.fromkeys((UPLOAD_START, UPLOAD, UPLOAD_END), Op.PROGRAM_UPLOAD),
    PI_SERVICE: Op.CONTROL,
    PLC_STOP: Op.STOP,
}
OP: NDArray[np.int64] = np.full(256, int(Op.VENDOR), np.int64)
for _code, _op in OPS.items():
    OP[_code] = int(_op)

# --- userdata: groups, and operations of their sub-functions
USERDATA = 0x200
"""Functions of userdata: this, and the group."""
MODE, PROGRAMMER, CYCLIC, BLOCKS, CPU, SECURITY, BSEND, CLOCK, NC = 0, 1, 2, 3, 4, 5, 6, 7, 15
SZL, PASSWORD = 0x01, 0x01
WATCH, MODIFY, FORCE = 0x02, 0x08, 0x09
DISABLE_JOB, ENABLE_JOB, DELETE_JOB, LIST_JOBS, READ_JOB, REPLACE_JOB = range(0x0D, 0x13)
"""Programmer commands: tables of variables that are watched, modified or forced, and the jobs that do so."""
CYCLIC_READ, UNSUBSCRIBE, ON_CHANGE, CHANGE_ITEMS = 0x01, 0x04, 0x05, 0x07
MESSAGES, DIAGNOSTIC, ALARM_QUERY, SCAN = 0x02, 0x03, 0x13, 0x09

USER_OPS: dict[tuple[int, int], Op] = {
    **{(PROGRAMMER, sub): Op.DIAGNOSE for sub in range(256)},
    (PROGRAMMER, MODIFY): Op.WRITE,
    (PROGRAMMER, FORCE): Op.FORCE,
    (PROGRAMMER, 0x0C): Op.MEMORY_RESET,
    (CYCLIC, CYCLIC_READ): Op.READ,
    (CYCLIC, UNSUBSCRIBE): Op.SESSION,
    (CYCLIC, ON_CHANGE): Op.READ,
    (CYCLIC, CHANGE_ITEMS): Op.READ,
    (BLOCKS, 0x01): Op.DISCOVER,
    (BLOCKS, 0x02): Op.DISCOVER,
    (BLOCKS, 0x03): Op.DISCOVER,
    (CPU, SZL): Op.DIAGNOSE,
    **{(CPU, sub): Op.ALARM for sub in (*range(2, 0x14), 0x16)},
    (SECURITY, PASSWORD): Op.AUTHENTICATE,
    (SECURITY, 0x02): Op.AUTHENTICATE,
    (CLOCK, 0x01): Op.READ,
    (CLOCK, 0x02): Op.TIME,
    (CLOCK, 0x03): Op.READ,
    (CLOCK, 0x04): Op.TIME,
}
USER_OP: NDArray[np.int64] = np.full((16, 256), int(Op.VENDOR), np.int64)
USER_OP[MODE, :] = int(Op.REPORT)
for (_group, _sub), _op in USER_OPS.items():
    USER_OP[_group, _sub] = int(_op)


class BlockPart(IntEnum):
    """What a point of Space.S7_BLOCK says of its block; the second part of its address."""

    COUNT = 1
    LANGUAGE = 2
    FLAGS = 3
    LOAD_MEMORY = 4
    PROTECTION = 5
    INTERFACE = 6
    ADDITIONAL = 7
    LOCAL_DATA = 8
    CODE = 9
    AUTHOR = 10
    FAMILY = 11
    NAME = 12
    VERSION = 13
    CHECKSUM = 14


class AlarmPart(IntEnum):
    """What a point of Space.S7_ALARM says of its message; associated values are VALUE and their number."""

    SUBJECT = 0
    SIGNALS = 1
    STATE = 2
    ACKNOWLEDGED_GOING = 3
    ACKNOWLEDGED_COMING = 4
    GOING = 5
    COMING = 6
    CHANGED = 7
    WENT = 8
    TYPE = 9
    VALUE = 16
    VALUE_GOING = 32


class DiagnosticPart(IntEnum):
    """What a point of Space.S7_DIAGNOSTIC says of its entry."""

    PRIORITY = 1
    BLOCK = 2
    DATA_ID = 3
    INFO_1 = 4
    INFO_2 = 5


# --- COTP and S7comm-plus
COTP = 0x100
"""Functions of COTP: this, and the code of the TPDU."""
CR, CC, DR, DC, ER, ED, DT = 0xE0, 0xD0, 0x80, 0xC0, 0x70, 0x10, 0xF0
PLUS = 0x700
"""Functions of S7comm-plus without a function of their own: this, and the opcode."""
PLUS_FUNCTIONS = 0x0400
"""Functions of S7comm-plus are told by their own number from here on."""
PLUS_REQUEST, PLUS_RESPONSE, PLUS_NOTIFICATION = 0x31, 0x32, 0x33
PLUS_OPS: dict[int, Op] = {
    0x04BB: Op.DISCOVER,
    0x04F2: Op.WRITE,
    0x0542: Op.WRITE,
    0x054C: Op.READ,
    0x0586: Op.READ,
}

NOTHING: NDArray[np.int64] = np.full(256, f.form(f.V_NONE), np.int64)
"""Form of a point without a value by the transport size of its item: what was only asked for, or refused."""
for _code, _size in SIZES.items():
    NOTHING[_code] = f.form(f.V_NONE, kind=PointType(_size.word >> f.TYPE_AT & 255))
