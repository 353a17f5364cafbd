"""Numbers of BACnet that its kernels share: PDU types, services, what they are to everybody, forms of values.

Clauses are of ANSI/ASHRAE 135-2016.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import forms as f
from pipeline.decode import layout as c
from schemas.codes import Anomaly, Identity, Op, PointType

CONFIRMED, UNCONFIRMED, SIMPLE_ACK, COMPLEX_ACK, SEGMENT_ACK, ERROR, REJECT, ABORT = range(8)
"""Types of APDU (20.1)."""
UNCONFIRMED_SERVICE, NETWORK, LINK, NO_SERVICE = 0x100, 0x200, 0x300, 0x400
"""Functions that are no confirmed service: these, plus the unconfirmed service, the network layer's message, the
virtual link's function, and the type of an APDU that names no service."""
OF_ERROR, OF_REJECT, OF_ABORT, OF_LINK, OF_NETWORK = (n << 24 for n in range(1, 6))
"""Statuses: these, plus class << 16 and code of an error (18), the reason of a reject or abort, a result code of the
virtual link (J.2.1), or the reason of a message that a router rejects (6.4.4)."""
DEVICE = 8
"""The object type of devices."""
STATUS_FLAGS, PRESENT_VALUE, OUT_OF_SERVICE = 111, 85, 81

APDU_AT, T_CLASS, T_NUMBER, PDU_TYPE, T_LENGTH, T_VALUE, REFUSALS = (
    c.S_EXTRA,
    *(c.S_EXTRA + k for k in range(2, 8)),
)
"""Extras of the scratch: where the APDU lies, the tag at hand (`bacnet_tags`), the type of APDU, and how many
properties were refused."""

BAD_LENGTH = int(Anomaly.MALFORMED | Anomaly.LENGTH_MISMATCH)
TRAILING = int(Anomaly.TRAILING_BYTES | Anomaly.MALFORMED)


@kernel(inline=True)
def is_notice(service: int) -> bool:
    """Whether a confirmed service is a device's own message, which its receiver confirms (13.1, 13.8)."""
    return bool(service == 1 or service == 2 or service == 31 or service == 32)


@kernel(inline=True)
def tells(service: int) -> bool:
    """Whether an unconfirmed service is a device's own message."""
    return bool(service <= 3 or service == 11 or service == 12)


def _ops() -> NDArray[np.int64]:
    """The neutral verb of each function, confirmed services first (21, 6.4, J.2)."""
    found = np.full(0x500, int(Op.VENDOR), np.int64)
    unconfirmed, network, link = UNCONFIRMED_SERVICE, NETWORK, LINK
    for op, functions in {
        Op.READ: (12, 13, 14, 26, 33),
        Op.WRITE: (8, 9, 15, 16),
        Op.REPORT: (1, 19, 31, 32, *(unconfirmed + k for k in (2, 5, 11, 12))),
        Op.ALARM: (0, 2, 3, 4, 29, unconfirmed + 3),
        Op.ENABLE_REPORTING: (5, 28, 30),
        Op.FILE_READ: (6,),
        Op.FILE_WRITE: (7,),
        Op.CONFIGURE: (10, 11, unconfirmed + 14, network + 6, network + 7, link + 1, link + 8),
        Op.LISTEN_ONLY: (17,),
        Op.RESTART: (20,),
        Op.SESSION: (21, 22, 23, network + 8, network + 9, link + 5),
        Op.AUTHENTICATE: (24, 25, 34, *(network + k for k in range(10, 18)), link + 12),
        Op.CONTROL: (27, unconfirmed + 10),
        Op.IDENTIFY: (unconfirmed, unconfirmed + 1, network + 1, network + 2, network + 0x13),
        Op.TIME: (unconfirmed + 6, unconfirmed + 9),
        Op.DISCOVER: (unconfirmed + 7, unconfirmed + 8, unconfirmed + 13, network, network + 0x12),
        Op.DIAGNOSE: (*(network + k for k in (3, 4, 5)), *(link + k for k in (2, 3, 6, 7))),
        Op.UNKNOWN: (*(link + k for k in (0, 4, 9, 10, 11)), *range(NO_SERVICE, 0x500)),
        Op.CONFIRM: (NO_SERVICE | SEGMENT_ACK,),
    }.items():
        found[list(functions)] = int(op)
    return found


OPS: NDArray[np.int64] = _ops()

RESTARTS: NDArray[np.int64] = np.array(
    [int(o) for o in (Op.RESTART, Op.RESTART, *[Op.PROGRAM_UPLOAD] * 2, *[Op.PROGRAM_DOWNLOAD] * 3, Op.CONFIGURE)]
)
"""What each state of ReinitializeDevice asks for (16.4): cold and warm start, backup, restore, activate changes."""
COMMUNICATION: NDArray[np.int64] = np.array(
    [int(o) for o in (Op.ENABLE_REPORTING, Op.LISTEN_ONLY, Op.DISABLE_REPORTING)]
)
"""What DeviceCommunicationControl asks for (16.1): enable, disable, disable initiation."""

CONFIGURES: NDArray[np.bool_] = np.zeros(512, np.bool_)
"""Properties whose change alters how a device alarms or judges rather than what it does: limits, event settings."""
CONFIGURES[[17, 25, 35, 45, 52, 59, 72, 102, 113, 353, 354]] = True

LISTS: NDArray[np.bool_] = np.zeros(512, np.bool_)
"""Properties that are arrays or lists (12), so that one element of a whole one is the first."""
LISTS[[2, 3, 7, 23, 30, 38, 39, 53, 54, 55, 76, 87, 102, 110, 116, 122, 123, 130, 152, 154, 159, 165, 170, 171, 202,
       206, 209, 210, 211, 351, 352, 371]] = True  # fmt: skip

ROLES: NDArray[np.int64] = np.zeros(512, np.int64)
"""The Identity that a property of a device object tells (12.11)."""
for _property, _role in {
    121: Identity.VENDOR,
    120: Identity.VENDOR,
    70: Identity.MODEL,
    44: Identity.FIRMWARE,
    372: Identity.SERIAL,
    77: Identity.NAME,
    58: Identity.LOCATION,
}.items():
    ROLES[_property] = int(_role)


def _words() -> NDArray[np.int64]:
    """The form of each application tag and length (20.2), its tag octets included; 0 where it is none."""
    found = np.zeros((16, 16), np.int64)

    def put(number: int, length: int, value: int, kind: PointType | None = None, skip: int = 0) -> None:
        first = (1 if length <= 4 else 2) + skip
        found[number, length] = f.form(value, at=first, size=first + length - skip, kind=kind)

    found[0, 0] = f.form(f.V_NONE, size=1)
    found[1, 0] = f.form(f.V_BIT0)
    for length, value in ((1, f.V_U8), (2, f.V_U16BE), (3, f.V_U24BE), (4, f.V_U32BE), (8, f.V_U64BE)):
        put(2, length, value)
        if length < 8:
            put(8, length + 1, value, PointType.BITS, 1)
            put(9, length, value, PointType.ENUM)
    for length, value in ((1, f.V_I8), (2, f.V_I16BE), (3, f.V_I24BE), (4, f.V_I32BE), (8, f.V_I64BE)):
        put(3, length, value)
    put(4, 4, f.V_F32BE)
    put(5, 8, f.V_F64BE)
    put(10, 4, f.V_DATE_BACNET)
    put(11, 4, f.V_DAYTIME_BACNET)
    put(12, 4, f.V_U32BE)
    return found


WORDS: NDArray[np.int64] = _words()
SIZES: NDArray[np.int64] = np.array([0, 0, -1, -1, 4, 8, -1, -1, -1, -1, 4, 4, 4])
"""Octets of an application value by its tag (20.2), -1 for as many as it takes."""
CLOCK = f.form(f.V_CLOCK_BACNET, at=1)
"""A date and a time with their tags."""
