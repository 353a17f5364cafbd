"""What Modbus function codes mean to kernels: their verb, the kind of point they address, which are reserved.

Clauses are of the MODBUS Application Protocol Specification V1.1b3.
"""

from __future__ import annotations

import numpy as np

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


_CODES = range(128)
_PUBLIC = {*range(1, 9), 11, 12, 15, 16, 17, *range(20, 25), 43, 90}
_USERS = {*range(65, 73), *range(100, 111)}
_VERBS = {
    **dict.fromkeys((1, 2, 3, 4, 24), _OP_READ),
    **dict.fromkeys((5, 6, 15, 16, 22), _OP_WRITE),
    23: _OP_BOTH,
    20: _OP_FILE_READ,
    21: _OP_FILE_WRITE,
    17: _OP_IDENTIFY,
    **dict.fromkeys((7, 11, 12), _OP_DIAGNOSE),
}
_SPACES = {
    **dict.fromkeys((1, 5, 15), _COIL),
    2: _DISCRETE,
    4: _INPUT,
    **dict.fromkeys((3, 6, 16, 22, 23), _HOLDING),
    **dict.fromkeys((20, 21), _FILE),
    24: _FIFO,
    8: _DIAGNOSTIC,
    7: _STATUS,
    **dict.fromkeys((11, 12), _EVENT),
    17: _SERVER,
    43: _DEVICE,
}
_VERB = np.array([_VERBS.get(f, _OP_VENDOR) for f in _CODES])
_SPACE = np.array([_SPACES.get(f, 0) for f in _CODES])
_IS_PUBLIC = np.array([f in _PUBLIC for f in _CODES])
_IS_RESERVED = np.array([f not in _PUBLIC | _USERS for f in _CODES])
# One load where a chain of comparisons would be as long as the list of codes.


@kernel(inline=True)
def op_of(function: int, sub: int) -> int:
    """Protocol-neutral verb of a function."""
    if function == 8:
        if sub == 1:
            return _OP_RESTART
        if sub == 4:
            return _OP_LISTEN
        return _OP_CLEAR if sub == 10 or sub == 20 else _OP_DIAGNOSE
    if function == 43 and sub == 14:
        return _OP_IDENTIFY
    return int(op_of_umas(sub) if function == 90 else _VERB[function & 127])


@kernel(inline=True)
def space_of(function: int) -> int:
    """Kind of the points that a function addresses."""
    return int(_SPACE[function & 127])


@kernel(inline=True)
def is_public(function: int) -> bool:
    """Whether a request may carry this function code (0 to 127): public, or used on the wire by vendors."""
    return bool(_IS_PUBLIC[function & 127])


@kernel(inline=True)
def is_reserved(function: int, sub: int) -> bool:
    """Codes that are neither public nor open to users, and reserved sub-codes: 5.1, 6.8 and annex A."""
    if function == 8:
        return 5 <= sub <= 9 or sub == 19 or sub >= 21
    if function == 43:
        return sub != 13 and sub != 14
    return bool(_IS_RESERVED[function & 127])


@kernel()
def is_named_exception(status: int) -> bool:
    """Whether the specification, or an earlier version of it (7), names this exception code: 7."""
    return 1 <= status <= 8 or 10 <= status <= 11
