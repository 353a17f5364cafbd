"""Signatures of a protocol's kernels: explicit, because the driver reaches them through function pointers.

frame(data, at, end, context) -> length of the PDU at `at`; 0: more bytes are needed to know; -1: not this protocol
head(data, at, size, context, s) -> 0; fills role, pairing key, transaction and unit into the scratch
body(data, at, size, context, s, request, runs) -> 0; fills the other fields, and the runs of points
"""

from __future__ import annotations

FRAME = "int64(uint8[::1], int64, int64, int64[::1])"
HEAD = "int64(uint8[::1], int64, int64, int64[::1], int64[::1])"
BODY = "int64(uint8[::1], int64, int64, int64[::1], int64[::1], int64[::1], int64[:, ::1])"
