"""Signatures of a protocol's kernels: explicit, because the driver reaches them through function pointers.

`w` is the work row of `layout`: scratch (S_), the request that a response answers (ASKED + S_), context (X_), runs.

frame(data, at, end, w) -> length of the PDU at `at`; 0: more bytes are needed to know; -1: not this protocol; where
    X_STRICT is not set and the PDU is whole, it may do what head does, and say so in X_HEADED: that saves a call
head(data, at, size, w) -> 0; fills role, pairing key and echo, transaction, unit and function into the scratch
body(data, at, size, w) -> 0; fills the other fields, and the runs of points

Any of them may be called again for the same PDU, so none counts anything.  What else head and body can say:

* S_KIND, by head: the kind of record, where it is more than request or response.  An UNSOLICITED that asks (S_ASKS) is
  answered by a CONFIRM of the same key.
* S_ROLE SURE_REQUEST, SURE_RESPONSE, by head: the client is certain, whoever opened the connection.  PEER_REQUEST,
  PEER_RESPONSE: so for this exchange, as both ends ask on one flow.
* S_KEEP: more answers to the request may follow; it stays open, and makes no timeout.
* S_JOIN and J_…, by head: the PDU is a segment of a longer message (`joining`).
* S_MORE, by body: the PDU has another record; head and body are called again with that number in X_PART.  Numbers rise.
* S_NAME_ID, N_NAME_ID: names (`naming`).  N_ENCODING: forms of values (`forms`).
* X_STATE: 64 bits of the flow to keep; it is kept after body.  More, by key: `notes`.
"""

from __future__ import annotations

FRAME = "int64(uint8[::1], int64, int64, int64[::1])"
HEAD = FRAME
BODY = FRAME
