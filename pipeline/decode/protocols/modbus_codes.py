"""What Modbus function codes mean to kernels: their verb, the kind of point they address, which are reserved.

Clauses are of the MODBUS Application Protocol Specification V1.1b3.
"""

from __future__ import annotations

from detectors.jit import kernel
from schemas.codes import Op, Space

NO_CODE = 256
"""Status of an exception response that carries no exception code, or code 0: it is an error all the same."""

_COIL, _DISCRETE, _HOLDING, _INPUT = (
    int(Space.COIL),
    int(Space.DISCRETE_INPUT),
    int(Space.HOLDING_REGISTER),
    int(Space.INPUT_REGISTER),
)
_FILE, _FIFO, _DIAGNOSTIC, _STATUS, _EVENT, _SERVER, _DEVICE = (
    int(Space.FILE_RECORD),
    int(Space.FIFO),
    int(Space.DIAGNOSTIC),
    int(Space.EXCEPTION_STATUS),
    int(Space.COMM_EVENT),
    int(Space.SERVER_ID),
    int(Space.DEVICE_ID),
)
(_OP_READ, _OP_WRITE, _OP_BOTH, _OP_IDENTIFY, _OP_DIAGNOSE, _OP_RESTART, _OP_LISTEN, _OP_CLEAR, _OP_FILE_READ,
 _OP_FILE_WRITE, _OP_VENDOR, _OP_RESERVE, _OP_UPLOAD, _OP_DOWNLOAD, _OP_START, _OP_STOP, _OP_SESSION) = (
    int(o)
    for o in (Op.READ, Op.WRITE, Op.READ_WRITE, Op.IDENTIFY, Op.DIAGNOSE, Op.RESTART, Op.LISTEN_ONLY,
              Op.CLEAR_COUNTERS, Op.FILE_READ, Op.FILE_WRITE, Op.VENDOR, Op.RESERVE, Op.PROGRAM_UPLOAD,
              Op.PROGRAM_DOWNLOAD, Op.START, Op.STOP, Op.SESSION)
)  # fmt: skip


@kernel()
def op_of_umas(sub: int) -> int:
    """Verb of a UMAS function."""
    if sub == 0x40:
        return _OP_START
    if sub == 0x41:
        return _OP_STOP
    if sub == 0x10 or sub == 0x11:
        return _OP_RESERVE
    if 0x30 <= sub <= 0x32:
        return _OP_UPLOAD
    if 0x33 <= sub <= 0x35:
        return _OP_DOWNLOAD
    if sub == 0x21 or sub == 0x23 or sub == 0x25 or sub == 0x71:
        return _OP_WRITE
    if sub == 0x20 or sub == 0x22 or sub == 0x24 or sub == 0x70:
        return _OP_READ
    if 0x02 <= sub <= 0x06:
        return _OP_IDENTIFY
    return _OP_SESSION if sub == 0x01 or sub == 0x12 else _OP_DIAGNOSE


@kernel()
def op_of(function: int, sub: int) -> int:
    """Protocol-neutral verb of a function."""
    if 1 <= function <= 4 or function == 24:
        return _OP_READ
    if function == 5 or function == 6 or function == 15 or function == 16 or function == 22:
        return _OP_WRITE
    if function == 23:
        return _OP_BOTH
    if function == 20:
        return _OP_FILE_READ
    if function == 21:
        return _OP_FILE_WRITE
    if function == 17 or (function == 43 and sub == 14):
        return _OP_IDENTIFY
    if function == 8:
        if sub == 1:
            return _OP_RESTART
        if sub == 4:
            return _OP_LISTEN
        return _OP_CLEAR if sub == 10 or sub == 20 else _OP_DIAGNOSE
    if function == 7 or function == 11 or function == 12:
        return _OP_DIAGNOSE
    return op_of_umas(sub) if function == 90 else _OP_VENDOR


@kernel()
def space_of(function: int) -> int:
    """Kind of the points that a function addresses."""
    if function == 1 or function == 5 or function == 15:
        return _COIL
    if function == 2:
        return _DISCRETE
    if function == 4:
        return _INPUT
    if function == 3 or function == 6 or function == 16 or function == 22 or function == 23:
        return _HOLDING
    if function == 20 or function == 21:
        return _FILE
    if function == 24:
        return _FIFO
    if function == 8:
        return _DIAGNOSTIC
    if function == 7:
        return _STATUS
    if function == 11 or function == 12:
        return _EVENT
    if function == 17:
        return _SERVER
    return _DEVICE if function == 43 else 0


@kernel()
def is_public(function: int) -> bool:
    """Whether a request may carry this function code: public, or used on the wire by vendors."""
    return (
        1 <= function <= 8
        or 11 <= function <= 12
        or 15 <= function <= 17
        or 20 <= function <= 24
        or function == 43
        or function == 90
    )


@kernel()
def is_open_to_users(function: int) -> bool:
    """Codes that the specification leaves to users: 5.1."""
    return 65 <= function <= 72 or 100 <= function <= 110


@kernel()
def is_reserved(function: int, sub: int) -> bool:
    """Codes that are neither public nor open to users, and reserved sub-codes: 5.1, 6.8 and annex A."""
    if function == 8:
        return 5 <= sub <= 9 or sub == 19 or sub >= 21
    if function == 43:
        return sub != 13 and sub != 14
    return not is_public(function) and not is_open_to_users(function)


@kernel()
def is_named_exception(status: int) -> bool:
    """Whether the specification, or an earlier version of it (7), names this exception code: 7."""
    return 1 <= status <= 8 or 10 <= status <= 11
