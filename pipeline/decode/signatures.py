"""Signatures of a protocol's kernels: explicit, because the driver reaches them through function pointers.

`w` is the work row of `layout`: scratch (S_), the request that a response answers (ASKED + S_), context (X_), runs.

frame(data, at, end, w) -> length of the PDU at `at`; 0: more bytes are needed to know; -1: not this protocol; where
    X_STRICT is not set and the PDU is whole, it may do what head does, and say so in X_HEADED: that saves a call
head(data, at, size, w) -> 0; fills role, pairing key and echo, transaction, unit and function into the scratch
body(data, at, size, w) -> 0; fills the other fields, and the runs of points
"""

from __future__ import annotations

FRAME = "int64(uint8[::1], int64, int64, int64[::1])"
HEAD = FRAME
BODY = FRAME
