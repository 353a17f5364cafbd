"""Type identifications of IEC 60870-5-104: how an information object lies on the wire, and what it is about.

IEC 60870-5-101:2003 7.2.1 and 7.3 for the types, 7.2.6 for their elements; IEC 60870-5-104:2006 6 for 58 to 64 and 107.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.decode import forms as f
from schemas.codes import Op, PointType, Space


@dataclass(frozen=True, slots=True)
class Type:
    """A type identification.

    Attributes:
        size: bytes of an information object behind its address; of a file segment, those before its content.
        space: kind of the points.
        op: what it asks for, or reports.
        word: form of its values (`forms`), without the address; 0 where it carries none.
        qualifier: offset of the byte that qualifies a command or parameter, -1 for none.
    """

    size: int
    space: Space
    op: Op
    word: int = 0
    qualifier: int = -1


def _monitored(space: Space, value: int, at: int, quality: int = f.Q_IEC, kind: PointType | None = None) -> list[Type]:
    """A type of the monitoring direction without time, with CP24Time2a and with CP56Time2a; quality at `at`."""
    found = []
    for time in (f.T_NONE, f.T_CP24, f.T_CP56):
        word = f.form(value, quality=quality, quality_at=at, time=time, time_at=at + 1, kind=kind)
        found.append(Type(f.element_size(word), space, Op.REPORT, word))
    return found


def _event(value: int, at: int) -> list[Type]:
    """An event of protection equipment with CP24Time2a and with CP56Time2a behind its CP16Time2a."""
    found = []
    for time in (f.T_CP24, f.T_CP56):
        kind = None if value == f.V_LOW2 else PointType.BITS
        word = f.form(value, quality=f.Q_IEC_EVENT, quality_at=at, time=time, time_at=at + 3, kind=kind)
        found.append(Type(f.element_size(word), Space.IEC_PROTECTION, Op.REPORT, word))
    return found


def _command(space: Space, op: Op, value: int, size: int, qualifier: int, kind: PointType | None = None) -> list[Type]:
    """A command without and with CP56Time2a."""
    plain = f.form(value, size=size, kind=kind)
    timed = f.form(value, time=f.T_CP56, time_at=size, kind=kind)
    return [Type(size, space, op, plain, qualifier), Type(size + 7, space, op, timed, qualifier)]


def _types() -> dict[int, Type]:
    measured, bits = Space.IEC_MEASURED, PointType.BITS
    found: dict[int, Type] = {}
    for numbers, types in (
        ((1, 2, 30), _monitored(Space.IEC_SINGLE, f.V_BIT0, 0, f.Q_IEC_BITS)),
        ((3, 4, 31), _monitored(Space.IEC_DOUBLE, f.V_LOW2, 0, f.Q_IEC_BITS)),
        ((5, 6, 32), _monitored(Space.IEC_STEP, f.V_STEP7, 1)),
        ((7, 8, 33), _monitored(Space.IEC_BITSTRING, f.V_U32LE, 4, kind=bits)),
        ((9, 10, 34), _monitored(measured, f.V_NORMAL16, 2)),
        ((11, 12, 35), _monitored(measured, f.V_I16LE, 2)),
        ((13, 14, 36), _monitored(measured, f.V_F32LE, 4)),
        ((15, 16, 37), _monitored(Space.IEC_TOTAL, f.V_I32LE, 4, f.Q_IEC_TOTAL)),
        ((17, 38), _event(f.V_LOW2, 0)),
        ((18, 39), _event(f.V_U8, 1)),
        ((19, 40), _event(f.V_U8, 1)),
        ((45, 58), _command(Space.IEC_COMMAND, Op.CONTROL, f.V_BIT0, 1, 0)),
        ((46, 59), _command(Space.IEC_COMMAND, Op.CONTROL, f.V_LOW2, 1, 0)),
        ((47, 60), _command(Space.IEC_COMMAND, Op.CONTROL, f.V_LOW2, 1, 0, PointType.ENUM)),
        ((48, 61), _command(Space.IEC_SETPOINT, Op.WRITE, f.V_NORMAL16, 3, 2)),
        ((49, 62), _command(Space.IEC_SETPOINT, Op.WRITE, f.V_I16LE, 3, 2)),
        ((50, 63), _command(Space.IEC_SETPOINT, Op.WRITE, f.V_F32LE, 5, 4)),
        ((51, 64), _command(Space.IEC_COMMAND, Op.WRITE, f.V_U32LE, 4, -1, bits)),
    ):
        found |= dict(zip(numbers, types, strict=False))
    packed = f.form(f.V_U16LE, quality=f.Q_IEC, quality_at=4, kind=bits)  # behind the states, which of them changed
    none, config, file = Space.NONE, Op.CONFIGURE, Space.IEC_FILE
    return found | {
        20: Type(5, Space.IEC_SINGLE, Op.REPORT, packed),
        21: Type(2, measured, Op.REPORT, f.form(f.V_NORMAL16)),
        70: Type(1, none, Op.REPORT, 0, 0),
        100: Type(1, none, Op.READ, 0, 0),
        101: Type(1, none, Op.READ, 0, 0),
        102: Type(0, none, Op.READ),
        103: Type(7, Space.DEVICE_TIME, Op.TIME, f.form(f.V_TIME_CP56)),
        104: Type(2, none, Op.DIAGNOSE),
        105: Type(1, none, Op.RESTART, 0, 0),
        106: Type(2, none, Op.TIME),
        107: Type(9, none, Op.DIAGNOSE),
        110: Type(3, Space.IEC_PARAMETER, config, f.form(f.V_NORMAL16, size=3), 2),
        111: Type(3, Space.IEC_PARAMETER, config, f.form(f.V_I16LE, size=3), 2),
        112: Type(5, Space.IEC_PARAMETER, config, f.form(f.V_F32LE, size=5), 4),
        113: Type(1, none, config, 0, 0),
        120: Type(6, file, Op.FILE_READ),
        121: Type(7, file, Op.FILE_READ),
        122: Type(4, file, Op.FILE_READ, 0, 3),
        123: Type(5, file, Op.FILE_READ, 0, 3),
        124: Type(4, file, Op.FILE_READ, 0, 3),
        125: Type(4, file, Op.FILE_READ),
        126: Type(13, file, Op.FILE_READ),
        127: Type(16, file, Op.FILE_READ),
    }


TYPES: dict[int, Type] = _types()

SIZE: NDArray[np.int64] = np.full(256, -1, np.int64)
SPACE: NDArray[np.int64] = np.zeros(256, np.int64)
OP: NDArray[np.int64] = np.zeros(256, np.int64)
WORD: NDArray[np.int64] = np.zeros(256, np.int64)
QUALIFIER: NDArray[np.int64] = np.full(256, -1, np.int64)
for _number, _type in TYPES.items():
    SIZE[_number] = _type.size
    SPACE[_number] = int(_type.space)
    OP[_number] = int(_type.op)
    WORD[_number] = _type.word
    QUALIFIER[_number] = _type.qualifier
"""The same as tables that kernels look up; SIZE is -1 for a type that is not known."""
