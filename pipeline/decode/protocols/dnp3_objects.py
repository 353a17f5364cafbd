"""Objects of DNP3: how each variation lies on the wire, and what it is about (IEEE Std 1815-2012, annex A)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.decode import forms as f
from schemas.codes import PointType, Space

UNKNOWN, BITS, DOUBLE_BITS, STRING, ATTRIBUTE, SIZED = -1, -2, -3, -4, -5, -6
"""Sizes that are none: not known here; packed one bit or two bits each; as long as its variation says; an attribute
with its own length; only with its size before it."""


@dataclass(frozen=True, slots=True)
class Object:
    """One variation of a group.

    Attributes:
        name: what it is called.
        size: bytes of an object without its prefix, or one of the sizes that are none.
        space: kind of its points.
        word: form of its values (`forms`), 0 where they are no points.
        status: offset of a control's status, -1 where it has none.
    """

    name: str
    size: int
    space: Space = Space.NONE
    word: int = 0
    status: int = -1


def _flagged(name: str, space: Space, value: int, codec: int, time: int = f.T_NONE) -> Object:
    """A value with flags before it, and a time behind it."""
    at = 0 if value in (f.V_BIT7, f.V_HIGH2) else 1
    end = at + f.BYTES.get(value, 1)
    word = f.form(value, at=at, quality=codec, time=time, time_at=end)
    return Object(name, f.element_size(word), space, word)


def _plain(name: str, space: Space, value: int, *, at: int = 0, size: int = 0, status: int = -1, time: int = f.T_NONE,
           time_at: int = 0, kind: PointType | None = None) -> Object:  # fmt: skip
    word = f.form(value, at=at, size=size, time=time, time_at=time_at, kind=kind)
    return Object(name, f.element_size(word), space, word, status)


def _binaries() -> dict[tuple[int, int], Object]:
    found: dict[tuple[int, int], Object] = {}
    for group, event, name, space, value, packed in (
        (1, 2, "binary input", Space.BINARY_INPUT, f.V_BIT7, BITS),
        (3, 4, "double-bit input", Space.DOUBLE_BIT_INPUT, f.V_HIGH2, DOUBLE_BITS),
        (10, 11, "binary output", Space.BINARY_OUTPUT, f.V_BIT7, BITS),
    ):
        word = f.form(f.V_PACKED2) if packed == DOUBLE_BITS else 0
        found[group, 1] = Object(f"{name}, packed", packed, space, word)
        found[group, 2] = _flagged(f"{name} with flags", space, value, f.Q_DNP3_BINARY)
        found[event, 1] = _flagged(f"{name} event", space, value, f.Q_DNP3_BINARY)
        found[event, 2] = _flagged(f"{name} event with time", space, value, f.Q_DNP3_BINARY, f.T_DNP3)
        if group != 10:
            relative = _flagged(f"{name} event with relative time", space, value, f.Q_DNP3_BINARY, f.T_DNP3_RELATIVE)
            found[event, 3] = relative
    output = Space.BINARY_OUTPUT
    block = f.form(f.V_U8, size=11, kind=PointType.ENUM)
    found[12, 1] = Object("control relay output block", 11, output, block, 10)
    found[12, 2] = Object("pattern control block", 11, Space.NONE, 0, 10)
    found[12, 3] = Object("pattern mask", BITS)
    found[13, 1] = _plain("binary output command event", output, f.V_BIT7)
    found[13, 2] = _plain("binary output command event with time", output, f.V_BIT7, time=f.T_DNP3, time_at=1)
    return found


def _counters() -> dict[tuple[int, int], Object]:
    found: dict[tuple[int, int], Object] = {}
    codec = f.Q_DNP3_COUNTER
    for group, name, space in (
        (20, "counter", Space.COUNTER),
        (21, "frozen counter", Space.FROZEN_COUNTER),
        (22, "counter event", Space.COUNTER),
        (23, "frozen counter event", Space.FROZEN_COUNTER),
    ):
        for variation, (value, bits) in enumerate(((f.V_U32LE, 32), (f.V_U16LE, 16)), 1):
            found[group, variation] = _flagged(f"{name}, {bits} bits, with flags", space, value, codec)
            size = found[group, variation].size
            found[group, variation + 2] = Object(f"delta of {name}, {bits} bits, with flags", size)
            if group != 20:
                timed = _flagged(f"{name}, {bits} bits, with flags and time", space, value, codec, f.T_DNP3)
                found[group, variation + 4] = timed
                found[group, variation + 6] = Object(f"delta of {name}, {bits} bits, with flags and time", timed.size)
            if group in (20, 21):
                plain = 4 if group == 20 else 8
                found[group, variation + plain] = _plain(f"{name}, {bits} bits", space, value)
                found[group, variation + plain + 2] = Object(f"delta of {name}, {bits} bits", size - 1)
    return found


_NUMBERS = ((f.V_I32LE, "32 bits"), (f.V_I16LE, "16 bits"), (f.V_F32LE, "float"), (f.V_F64LE, "double"))


def _analogs() -> dict[tuple[int, int], Object]:
    found: dict[tuple[int, int], Object] = {}
    codec, command = f.Q_DNP3_ANALOG, Space.ANALOG_OUTPUT
    for group, name, space, flagged, timed, plain in (
        (30, "analog input", Space.ANALOG_INPUT, (1, 2, 5, 6), (), (3, 4)),
        (31, "frozen analog input", Space.FROZEN_ANALOG, (1, 2, 7, 8), (3, 4), (5, 6)),
        (32, "analog input event", Space.ANALOG_INPUT, (1, 2, 5, 6), (3, 4, 7, 8), ()),
        (33, "frozen analog input event", Space.FROZEN_ANALOG, (1, 2, 5, 6), (3, 4, 7, 8), ()),
        (40, "analog output status", command, (1, 2, 3, 4), (), ()),
        (42, "analog output event", command, (1, 2, 5, 6), (3, 4, 7, 8), ()),
    ):
        for variation, (value, bits) in zip(flagged, _NUMBERS, strict=True):
            found[group, variation] = _flagged(f"{name}, {bits}, with flags", space, value, codec)
        for variation, (value, bits) in zip(timed, _NUMBERS, strict=False):
            found[group, variation] = _flagged(f"{name}, {bits}, with flags and time", space, value, codec, f.T_DNP3)
        for variation, (value, bits) in zip(plain, _NUMBERS, strict=False):
            found[group, variation] = _plain(f"{name}, {bits}", space, value)
    for variation, (value, bits) in enumerate(_NUMBERS, 1):
        size = f.BYTES[value]
        found[41, variation] = _plain(f"analog output, {bits}", command, value, size=size + 1, status=size)
        event = (1, 2, 5, 6)[variation - 1]
        found[43, event] = _plain(f"analog output command event, {bits}", command, value, at=1)
        timed_name = f"analog output command event, {bits}, with time"
        found[43, event + 2] = _plain(timed_name, command, value, at=1, time=f.T_DNP3, time_at=1 + size)
    for variation, value in ((1, f.V_U16LE), (2, f.V_U32LE), (3, f.V_F32LE)):
        found[34, variation] = _plain("analog input deadband", Space.DEADBAND, value)
    return found


def _others() -> dict[tuple[int, int], Object]:
    clock = f.form(f.V_TIME48)
    found = {
        (50, 1): Object("time and date", 6, Space.DEVICE_TIME, clock),
        (50, 2): Object("time and date with interval", 10, Space.DEVICE_TIME, f.form(f.V_TIME48, size=10)),
        (50, 3): Object("time and date at last recorded time", 6, Space.DEVICE_TIME, clock),
        (50, 4): Object("indexed time and date with interval", 11, Space.DEVICE_TIME, f.form(f.V_TIME48, size=11)),
        (51, 1): Object("common time of occurrence", 6),
        (51, 2): Object("common time of occurrence, not synchronized", 6),
        (52, 1): Object("time delay, coarse", 2),
        (52, 2): Object("time delay, fine", 2),
        (60, 1): Object("class 0 data", 0),
        (60, 2): Object("class 1 data", 0),
        (60, 3): Object("class 2 data", 0),
        (60, 4): Object("class 3 data", 0),
        (80, 1): Object("internal indications", BITS, Space.INTERNAL_INDICATION),
        (81, 1): Object("storage object", 3),
        (101, 1): Object("binary-coded decimal, 4 digits", 2),
        (101, 2): Object("binary-coded decimal, 8 digits", 4),
        (101, 3): Object("binary-coded decimal, 16 digits", 8),
        (102, 1): Object("unsigned integer, 8 bits", 1),
        (120, 3): Object("aggressive mode request", 6),
        (120, 4): Object("session key status request", 2),
        (121, 1): Object("security statistic", 7),
        (122, 1): Object("security statistic event", 7),
        (122, 2): Object("security statistic event with time", 13),
    }
    files = ("identifier", "authentication", "command", "command status", "transport", "transport status",
             "descriptor", "specification")  # fmt: skip
    found |= {(70, v): Object(f"file {name}", SIZED, Space.FILE_OBJECT) for v, name in enumerate(files, 1)}
    for group, name in ((82, "device profile"), (83, "private object"), (85, "data set prototype"),
                        (86, "data set descriptor"), (87, "data set"), (88, "data set event"), (90, "application"),
                        (91, "status of requested operation"), (120, "authentication")):  # fmt: skip
        found |= {(group, v): Object(name, SIZED) for v in range(16) if (group, v) not in found}
    for group, name, space in (
        (110, "octet string", Space.OCTET_STRING),
        (111, "octet string event", Space.OCTET_STRING),
        (112, "virtual terminal output", Space.VIRTUAL_TERMINAL),
        (113, "virtual terminal event", Space.VIRTUAL_TERMINAL),
    ):
        found |= {(group, v): Object(name, STRING, space) for v in range(256)}
    return found | {(0, v): Object("device attribute", ATTRIBUTE, Space.DEVICE_ATTRIBUTE) for v in range(256)}


OBJECTS: dict[tuple[int, int], Object] = _binaries() | _counters() | _analogs() | _others()

GROUPS = 128
SIZE: NDArray[np.int8] = np.full((GROUPS, 256), UNKNOWN, np.int8)
SPACE: NDArray[np.int64] = np.zeros(GROUPS, np.int64)
WORD: NDArray[np.int64] = np.zeros((GROUPS, 16), np.int64)
STATUS: NDArray[np.int64] = np.full(GROUPS, -1, np.int64)
"""The same as tables that kernels look up.  A group has one space; only variations below 16 have forms; a control's
status, where STATUS is 1, is the last byte of its object."""
for (_group, _variation), _object in OBJECTS.items():
    SIZE[_group, _variation] = _object.size
    SPACE[_group] = max(SPACE[_group], int(_object.space))
    if _object.word:
        WORD[_group, _variation] = _object.word
    if _object.status >= 0:
        STATUS[_group] = 1
