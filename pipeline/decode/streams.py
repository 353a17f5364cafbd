"""TCP streams, per flow and direction: where they stand, and segments that are held behind a hole.

Sequence arithmetic is that of RFC 9293.  What becomes of a segment that is not the next one is decided in `disorder`,
when a hole is given up in `holes`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode import slab
from pipeline.decode.bytes import Bytes
from pipeline.decode.copies import forget
from pipeline.decode.flows import name_flow, set_client
from pipeline.decode.room import append, forget_left

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Chunks = NDArray[np.uint8]

FIN, SYN, RST, ACK = 1, 2, 4, 16
_SAME = 1 << 16  # a SYN whose number lies so little behind is a late copy of this connection's
_DIFFERS = 1 << 13  # Anomaly.OVERLAP_DIFFERS


@kernel(inline=True)
def after(a: int, b: int) -> int:
    """Signed distance a - b of two sequence numbers, modulo 2**32."""
    return ((a - b + 0x80000000) & 0xFFFFFFFF) - 0x80000000


@kernel()
def forget_direction(flow: Rows, k: int, direction: int, held: Rows, links: Row, said: Rows, w: Row) -> int:
    """Start a direction afresh: nothing kept, nothing said, position unknown."""
    base = c.F_DIR + direction * c.DIRECTION
    forget(2 * k + direction, said)
    forget_left(flow, k, base, links, w)
    h = flow[k, base + c.D_HELD]
    while h >= 0:
        w[n.N_HELD_LOST] += held[h, c.H_LEN]
        h = slab.drop_held(h, held, links, w)
    for column in range(c.DIRECTION):
        flow[k, base + column] = 0
    flow[k, base + c.D_NEXT] = -1
    flow[k, base + c.D_LEFT] = -1
    flow[k, base + c.D_LEFT_TAIL] = -1
    flow[k, base + c.D_HELD] = -1
    flow[k, base + c.D_ACKED] = -1
    return 0


@kernel()
def open_connection(w: Row, flow: Rows, k: int, held: Rows, links: Row, said: Rows) -> int:
    """SYN: the sender's numbering starts; a number other than the expected one is a new connection.

    G_SEQ goes on to the first byte of data, for a SYN may carry some.
    """
    direction = w[c.G_DIR]
    base = c.F_DIR + direction * c.DIRECTION
    first = (w[c.G_SEQ] + 1) & 0xFFFFFFFF
    w[c.G_SEQ] = first
    known = flow[k, base + c.D_NEXT]
    answered = (w[c.G_TCP] & ACK) != 0
    if known >= 0 and not 0 <= after(known, first) < _SAME:
        forget_direction(flow, k, direction, held, links, said, w)
        if not answered:
            forget_direction(flow, k, 1 - direction, held, links, said, w)
            flow[k, c.F_CONNECTION] += 1
            flow[k, c.F_PENDING] = -1
            flow[k, c.F_N_PENDING] = 0
            flow[k, c.F_LAST_TXN] = -1
            flow[k, c.F_STATE] = 0
            name_flow(flow, k)
        known = -1
    if known < 0:
        flow[k, base + c.D_NEXT] = first
    client = 1 - direction if answered else direction
    if flow[k, c.F_CLIENT_HOW] != c.HOW_SYN or flow[k, c.F_CLIENT] != client:
        set_client(flow, k, client, c.HOW_SYN, w)
    return 0


@kernel()
def differs(data: Bytes, at: int, head: int, skip: int, size: int, chunks: Chunks, links: Row) -> bool:
    """Whether data[at:at + size] differs from the bytes that lie `skip` into a chain of chunks."""
    k = head
    for _ in range(skip // c.CHUNK):
        k = links[k]
    inside = skip % c.CHUNK
    for i in range(size):
        if chunks[k, inside] != data[at + i]:
            return True
        inside += 1
        if inside == c.CHUNK:
            k = links[k]
            inside = 0
    return False


@kernel()
def _keep(data: Bytes, at: int, size: int, before: int, here: int, base: int, w: Row, flow: Rows, held: Rows, chunks: Chunks, links: Row) -> int:  # fmt: skip # noqa: E501
    """A row for data[at:at + size] between the held segments `before` and `here`; -1 when there is no room."""
    row = slab.take_held(held, w)
    if row < 0:
        return -1
    head = append(data, at, size, i64(-1), i64(-1), i64(0), flow, w[c.G_FLOW], chunks, links, w)
    if head == -2:
        held[row, c.H_NEXT] = w[c.C_FREE_HELD]
        w[c.C_FREE_HELD] = row
        return -1
    held[row, c.H_LEN] = size
    held[row, c.H_CHUNK] = head
    held[row, c.H_TS] = w[c.G_TS]
    held[row, c.H_PACKET] = w[c.G_PACKET]
    held[row, c.H_SMAC] = w[c.G_SMAC]
    held[row, c.H_DMAC] = w[c.G_DMAC]
    held[row, c.H_VLAN] = w[c.G_VLAN]
    held[row, c.H_ANOMALY] = w[c.G_ANOMALY]
    held[row, c.H_NEXT] = here
    k = w[c.G_FLOW]
    if before >= 0:
        held[before, c.H_NEXT] = row
    else:
        flow[k, base + c.D_HELD] = row
    flow[k, base + c.D_N_HELD] += 1
    flow[k, base + c.D_HELD_BYTES] += size
    return int(row)


@kernel()
def hold(data: Bytes, w: Row, flow: Rows, k: int, held: Rows, chunks: Chunks, links: Row, holes: Rows) -> int:
    """Keep a segment that lies behind a hole, in the order of sequence numbers.

    Bytes that are already held stay as they came first; of the new segment, what lies between them is kept.
    """
    base = c.F_DIR + w[c.G_DIR] * c.DIRECTION
    sequence, size, at = w[c.G_SEQ], w[c.G_LEN], w[c.G_OFF]
    if size > c.HOLD_BYTES:
        w[n.N_HELD_LOST] += size
        return -1
    if flow[k, base + c.D_N_HELD] == 0:
        slot = w[c.C_HOLE_TAIL] % c.HOLES
        flow[k, base + c.D_HOLE_TS] = w[c.G_TS]
        holes[slot, 0] = k
        holes[slot, 1] = w[c.G_DIR]
        holes[slot, 2] = w[c.G_TS]
        w[c.C_HOLE_TAIL] += 1
    before = i64(-1)
    here = flow[k, base + c.D_HELD]
    kept = 0
    while size > 0:
        while here >= 0 and size > 0 and after(held[here, c.H_SEQ], sequence) <= 0:
            same = min(size, max(0, after(held[here, c.H_SEQ] + held[here, c.H_LEN], sequence)))
            if same > 0:
                skip = after(sequence, held[here, c.H_SEQ])
                if differs(data, at, held[here, c.H_CHUNK], skip, same, chunks, links):
                    w[n.N_DIFFERS] += 1
                    held[here, c.H_ANOMALY] |= _DIFFERS
                sequence = (sequence + same) & 0xFFFFFFFF
                at += same
                size -= same
            before = here
            here = held[here, c.H_NEXT]
        if size <= 0:
            break
        piece = size if here < 0 else min(size, after(held[here, c.H_SEQ], sequence))
        row = _keep(data, at, piece, before, here, base, w, flow, held, chunks, links)
        if row < 0:
            w[n.N_HELD_LOST] += size
            return -1
        held[row, c.H_SEQ] = sequence
        held[row, c.H_MISSING] = w[c.G_MISSING] if piece == size else 0
        before = row
        sequence = (sequence + piece) & 0xFFFFFFFF
        at += piece
        size -= piece
        kept += piece
    w[n.N_REORDERED if kept else n.N_COPY] += 1
    return 0


@kernel()
def compare_held(data: Bytes, w: Row, flow: Rows, k: int, base: int, held: Rows, chunks: Chunks, links: Row) -> int:
    """Note where a segment in order differs from what is held of the same bytes; it is the segment that counts."""
    here = flow[k, base + c.D_HELD]
    while here >= 0:
        start = after(held[here, c.H_SEQ], w[c.G_SEQ])
        if start >= w[c.G_LEN]:
            break
        skip = max(0, -start)
        size = min(held[here, c.H_LEN] - skip, w[c.G_LEN] - max(0, start))
        first = held[here, c.H_CHUNK]
        if size > 0 and differs(data, w[c.G_OFF] + max(0, start), first, skip, size, chunks, links):
            w[n.N_DIFFERS] += 1
            w[c.G_ANOMALY] |= _DIFFERS
        here = held[here, c.H_NEXT]
    return 0


@kernel()
def stand_for(h: int, held: Rows, w: Row) -> int:
    """The segment row says when and where held segment h was captured."""
    w[c.G_TS] = held[h, c.H_TS]
    w[c.G_PACKET] = held[h, c.H_PACKET]
    w[c.G_SMAC] = held[h, c.H_SMAC]
    w[c.G_DMAC] = held[h, c.H_DMAC]
    w[c.G_VLAN] = held[h, c.H_VLAN]
    w[c.G_ANOMALY] = held[h, c.H_ANOMALY]
    w[c.G_MISSING] = held[h, c.H_MISSING]
    return 0


@kernel()
def leave(flow: Rows, k: int, base: int, held: Rows, links: Row, w: Row) -> int:
    """Drop the first held segment."""
    h = flow[k, base + c.D_HELD]
    flow[k, base + c.D_N_HELD] -= 1
    flow[k, base + c.D_HELD_BYTES] -= held[h, c.H_LEN]
    flow[k, base + c.D_HELD] = slab.drop_held(h, held, links, w)
    return 0


@kernel()
def next_held(
    w: Row,
    flow: Rows,
    k: int,
    direction: int,
    held: Rows,
    chunks: Chunks,
    links: Row,
    out: Bytes,
    at: int,
) -> int:
    """Copy the next held segment that is in order to out[at:]; its bytes, or 0 when there is none.

    The segment row takes over when and where it was captured.
    """
    base = c.F_DIR + direction * c.DIRECTION
    while True:
        h = flow[k, base + c.D_HELD]
        if h < 0:
            return 0
        distance = after(held[h, c.H_SEQ], flow[k, base + c.D_NEXT])
        if distance > 0:
            return 0
        size = held[h, c.H_LEN]
        fresh = size + distance
        if fresh > 0:
            slab.load(held[h, c.H_CHUNK], size, chunks, links, out, at)
            for i in range(fresh):
                out[at + i] = out[at + i - distance]
            stand_for(h, held, w)
            flow[k, base + c.D_NEXT] = (flow[k, base + c.D_NEXT] + fresh + held[h, c.H_MISSING]) & 0xFFFFFFFF
        else:
            w[n.N_COPY] += 1
        leave(flow, k, base, held, links, w)
        if fresh > 0:
            return int(fresh)
