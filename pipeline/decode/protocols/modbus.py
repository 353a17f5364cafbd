"""Modbus over TCP and UDP: MBAP framing, and RTU framing as serial gateways tunnel it.

Clauses are of the MODBUS Application Protocol Specification V1.1b3 and the MODBUS Messaging on TCP/IP
Implementation Guide V1.0b.  The bodies of requests and responses are in `modbus_body`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, crc16_modbus, u8
from pipeline.decode.protocols.base import ProtocolModule
from pipeline.decode.protocols.modbus_body import body
from pipeline.decode.protocols.modbus_codes import is_named_exception, is_public
from pipeline.decode.protocols.modbus_parts import echo_of
from pipeline.decode.signatures import FRAME, HEAD
from schemas.codes import Anomaly, Protocol, RecordFlag, Transport

Row = NDArray[np.int64]

UNKNOWN_FRAMING, MBAP, RTU = 0, 1, 2
_LONGEST = 254  # bytes behind the length field: unit and a PDU of 253 (Implementation Guide 3.1.3)
_RTU_LONGEST = 256
_TCP = int(Transport.TCP)
_MOST_BITS = 2000  # V1.1b3, 6.1 and 6.2
_BAD_ID = int(Anomaly.BAD_PROTOCOL_ID)
_LENGTH = int(Anomaly.LENGTH_MISMATCH | Anomaly.MALFORMED)
_OVERSIZE = int(Anomaly.OVERSIZE | Anomaly.MALFORMED)
_BAD_CRC = int(Anomaly.BAD_CHECKSUM)
_RTU_FLAG = int(RecordFlag.MODBUS_RTU)
_BROADCAST = int(RecordFlag.BROADCAST)


@kernel()
def _role_of_file_read(data: Bytes, at: int, size: int) -> int:
    """Function 20: groups of a request start with the reference type 6, those of a response with an odd length."""
    if size < 3 or size != 1 + u8(data, at + 1):
        return c.ROLE_EITHER
    if u8(data, at + 2) == 6:
        return c.ROLE_REQUEST if size % 7 == 1 else c.ROLE_EITHER
    return c.ROLE_RESPONSE if u8(data, at + 2) % 2 == 1 and u8(data, at + 3) == 6 else c.ROLE_EITHER


@kernel()
def role_of(data: Bytes, at: int, end: int) -> int:
    """Which half of an exchange the PDU data[at:end] can be by its length: request, response, or either."""
    function = u8(data, at)
    size = end - at - 1
    if function >= 0x80:
        return c.ROLE_RESPONSE if size == 1 else c.ROLE_EITHER
    first = u8(data, at + 1) if size >= 1 else -1
    if function <= 4:
        if size == 4 and function <= 2 and first == 3:  # three bytes of bits, or an address from 768 on
            return c.ROLE_EITHER if 1 <= be16(data, at + 3) <= _MOST_BITS else c.ROLE_RESPONSE
        if size == 4:
            return c.ROLE_REQUEST
        return c.ROLE_RESPONSE if size == 1 + first else c.ROLE_EITHER
    if function == 15 or function == 16:
        if size == 4:
            return c.ROLE_RESPONSE
        return c.ROLE_REQUEST if size >= 6 and size == 5 + u8(data, at + 5) else c.ROLE_EITHER
    if function == 7 or function == 11 or function == 12 or function == 17:
        return c.ROLE_REQUEST if size == 0 else c.ROLE_RESPONSE
    if function == 20:
        return _role_of_file_read(data, at, size)
    if function == 23:
        request = size >= 10 and size == 9 + u8(data, at + 9)
        response = size == 1 + first
        return (1 if request else 0) - (1 if response else 0)
    if function == 24:
        return c.ROLE_REQUEST if size == 2 else c.ROLE_RESPONSE
    if function == 43 and first == 14:
        return c.ROLE_REQUEST if size == 3 else (c.ROLE_RESPONSE if size >= 6 else c.ROLE_EITHER)
    if function == 90 and size >= 2:
        return c.ROLE_RESPONSE if u8(data, at + 2) >= 0xFD else c.ROLE_REQUEST
    return c.ROLE_EITHER


@kernel()
def looks_right(data: Bytes, at: int, end: int) -> bool:
    """Whether the PDU data[at:end] has the shape of a public function: evidence enough on an unknown port."""
    function = u8(data, at)
    size = end - at - 1
    if function >= 0x80:
        return is_public(function & 0x7F) and size == 1 and is_named_exception(u8(data, at + 1))
    if not is_public(function) or function == 90:
        return False
    if function == 5:
        return size == 4 and u8(data, at + 4) == 0 and (u8(data, at + 3) == 0 or u8(data, at + 3) == 0xFF)
    if function == 6:
        return size == 4
    if function == 8:
        return size >= 4 and size % 2 == 0 and be16(data, at + 1) <= 21
    if function == 22:
        return size == 6
    if function == 20 or function == 21:
        return size >= 2 and size == 1 + u8(data, at + 1)
    return role_of(data, at, end) != c.ROLE_EITHER


@kernel()
def rtu_length(data: Bytes, at: int, end: int, from_client: int) -> int:
    """Bytes of the RTU frame at `at` by its function and sender, 0 where that does not tell."""
    if at + 4 > end:
        return 0
    function = u8(data, at + 1)
    if function >= 0x80:
        return 5
    if from_client == 1:
        if function <= 6 or function == 8:
            return 8
        if function == 15 or function == 16:
            return 9 + u8(data, at + 6) if at + 7 <= end else 0
        if function == 20 or function == 21:
            return 5 + u8(data, at + 2)
        if function == 22:
            return 10
        if function == 23:
            return 13 + u8(data, at + 10) if at + 11 <= end else 0
        if function == 24:
            return 6
        return 7 if function == 43 else 4
    if function <= 4 or function == 12 or function == 17 or function == 20 or function == 21 or function == 23:
        return 5 + u8(data, at + 2)
    if function == 7:
        return 5
    if function == 22:
        return 10
    if function == 24:
        return 6 + be16(data, at + 2)
    return 0 if function == 43 else 8


@kernel()
def _crc_holds(data: Bytes, at: int, end: int) -> bool:
    return end - at >= 4 and crc16_modbus(data, at, end - 2) == u8(data, end - 2) | (u8(data, end - 1) << 8)


@kernel()
def _frame_rtu(data: Bytes, at: int, end: int, w: Row) -> int:
    """Length of the RTU frame at `at`, -1 where no checksum holds."""
    size = end - at
    if size < 4:
        return 0 if w[c.X_STATE] == RTU else -1
    for sender in (w[c.X_SENDER_IS_CLIENT], 1 - w[c.X_SENDER_IS_CLIENT]):
        length = rtu_length(data, at, end, sender)
        if 4 <= length <= size and _crc_holds(data, at, at + length):
            return length
    if size <= _RTU_LONGEST and _crc_holds(data, at, end):
        return size
    if w[c.X_STATE] != RTU:
        return -1
    length = rtu_length(data, at, end, w[c.X_SENDER_IS_CLIENT])
    return length if 4 <= length <= _RTU_LONGEST else min(size, _RTU_LONGEST)


@kernel()
def _begins_rtu(data: Bytes, at: int, end: int, w: Row) -> bool:
    """Whether data[at:end] may be the beginning of a first RTU frame: of a public function, and longer than this."""
    if w[c.X_STATE] != UNKNOWN_FRAMING or w[c.X_TRANSPORT] != _TCP or not is_public(u8(data, at + 1) & 0x7F):
        return False
    length = rtu_length(data, at, end, w[c.X_SENDER_IS_CLIENT])
    return length == 0 or end - at < length <= _RTU_LONGEST


@kernel()
def _shape_rtu(data: Bytes, at: int, end: int, w: Row) -> int:
    """RTU frame on an unknown port: checksum and the shape of a public function must both hold."""
    length = _frame_rtu(data, at, end, w)
    return length if length >= 4 and looks_right(data, at + 1, at + length - 2) else -1


@kernel(inline=True)
def _head_mbap(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill the scratch with what stands before the body of an MBAP PDU (Implementation Guide 3.1.3)."""
    w[c.S_TXN] = be16(data, at) if size >= 2 else 0
    w[c.S_UNIT] = u8(data, at + 6) if size >= 7 else 0
    w[c.S_KEY] = (w[c.S_TXN] << 8) | w[c.S_UNIT]
    if size < 8:
        w[c.S_ANOMALY] |= _LENGTH
        return 0
    w[c.S_FUNC] = u8(data, at + 7) & 0x7F
    if be16(data, at + 2) != 0:
        w[c.S_ANOMALY] |= _BAD_ID
    length = be16(data, at + 4)
    if 6 + length != size:
        w[c.S_ANOMALY] |= _LENGTH
    if length > _LONGEST:
        w[c.S_ANOMALY] |= _OVERSIZE
    w[c.S_ROLE] = role_of(data, at + 7, at + size)
    w[c.S_ECHO] = echo_of(data, at + 7, at + size, w[c.S_ROLE])
    return 0


@kernel(FRAME)
def frame(data: Bytes, at: int, end: int, w: Row) -> int:
    """Length of the PDU that starts at `at`, 0 when more bytes are needed to know, -1 when this is no Modbus.

    A wrong length field takes the rest of the segment with it: the PDU is kept as malformed, and the next segment
    starts afresh.
    """
    size = end - at
    if w[c.X_STATE] == RTU:
        return _frame_rtu(data, at, end, w)
    if size < 8:
        if w[c.X_STRICT]:
            return _shape_rtu(data, at, end, w)
        if w[c.X_STATE] == UNKNOWN_FRAMING and _crc_holds(data, at, end):
            return size
        wrong = size >= 4 and be16(data, at + 2) != 0
        return -1 if wrong and not _begins_rtu(data, at, end, w) else 0
    identifier = be16(data, at + 2)
    length = be16(data, at + 4)
    exact = 6 + length == size and 2 <= length <= _LONGEST
    if w[c.X_STRICT]:
        if identifier == 0 and exact and w[c.X_STATE] == MBAP:
            return size
        if identifier == 0 and 2 <= length <= _LONGEST and 6 + length <= size and looks_right(data, at + 7, at + 6 + length):  # fmt: skip # noqa: E501
            return 6 + length
        return _shape_rtu(data, at, end, w)
    if identifier == 0 and (exact or w[c.X_STATE] == MBAP) and 2 <= length <= _LONGEST:
        if 6 + length <= size:
            w[c.X_STATE] = MBAP
            w[c.X_HEADED] = 1
            _head_mbap(data, at, 6 + length, w)
        return 6 + length
    if w[c.X_STATE] == UNKNOWN_FRAMING and size <= _RTU_LONGEST and _frame_rtu(data, at, end, w) > 0:
        return _frame_rtu(data, at, end, w)
    if identifier == 0:
        return 6 + length if 2 <= length <= _LONGEST else size
    if exact and (w[c.X_STATE] == MBAP or is_public(u8(data, at + 7) & 0x7F)):
        return size
    return 0 if _begins_rtu(data, at, end, w) else -1


@kernel(HEAD)
def head(data: Bytes, at: int, size: int, w: Row) -> int:
    """Fill role, pairing key, unit, function and echo of the PDU data[at:at + size]; the framing goes into X_STATE."""
    if w[c.X_STATE] == UNKNOWN_FRAMING:
        exact = size >= 8 and be16(data, at + 2) == 0 and 6 + be16(data, at + 4) == size
        w[c.X_STATE] = RTU if not exact and _crc_holds(data, at, at + size) else MBAP
    if w[c.X_STATE] == RTU:
        w[c.S_FLAGS] = _RTU_FLAG
        w[c.S_UNIT] = u8(data, at)
        w[c.S_KEY] = w[c.S_UNIT]
        w[c.S_FUNC] = u8(data, at + 1) & 0x7F if size >= 2 else 0
        if not _crc_holds(data, at, at + size):
            w[c.S_ANOMALY] |= _BAD_CRC
        if w[c.S_UNIT] == 0:
            w[c.S_FLAGS] |= _BROADCAST
        if size >= 4:
            w[c.S_ROLE] = role_of(data, at + 1, at + size - 2)
            w[c.S_ECHO] = echo_of(data, at + 1, at + size - 2, w[c.S_ROLE])
        return 0
    return _head_mbap(data, at, size, w)


def _kernels() -> tuple[Any, Any, Any]:
    return frame, head, body


MODULE = ProtocolModule(protocol=Protocol.MODBUS, tcp_ports=(502,), udp_ports=(502,), kernels=_kernels)
