"""TCP bytes in order, per flow and direction (RFC 9293 sequence arithmetic), with bounded memory and visible holes.

Retransmissions, overlaps, reordering, copies by the mirror, mid-stream starts and one-sided mirrors are normal here.
A hole is given up when the peer acknowledged past it and three segments came, at 64 KB, or after one second of
record time; what it swallowed is `gap_bytes` of the next record.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode import slab
from pipeline.decode.bytes import Bytes
from pipeline.decode.flows import name_flow, set_client

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Chunks = NDArray[np.uint8]

FIN, SYN, RST, ACK = 1, 2, 4, 16
NOTHING, DELIVER = 0, 1
_FAR = 1 << 24  # a jump beyond this is another connection, not a hole
_SAME = 1 << 16  # a SYN whose number lies so little behind is a late copy of this connection's
_DIFFERS = 1 << 13  # Anomaly.OVERLAP_DIFFERS


@kernel(inline=True)
def after(a: int, b: int) -> int:
    """Signed distance a - b of two sequence numbers, modulo 2**32."""
    return ((a - b + 0x80000000) & 0xFFFFFFFF) - 0x80000000


@kernel()
def forget_left(flow: Rows, k: int, base: int, links: Row, w: Row) -> int:
    """Drop the bytes of a PDU that will not be completed."""
    if flow[k, base + c.D_LEFT] >= 0:
        w[n.N_INCOMPLETE] += flow[k, base + c.D_LEFT_LEN]
        slab.release(flow[k, base + c.D_LEFT], links, w)
        flow[k, base + c.D_LEFT] = -1
        flow[k, base + c.D_LEFT_TAIL] = -1
        flow[k, base + c.D_LEFT_LEN] = 0
        flow[k, base + c.D_NEED] = 0
    return 0


@kernel()
def forget_direction(flow: Rows, k: int, direction: int, held: Rows, links: Row, w: Row) -> int:
    """Start a direction afresh: nothing kept, position unknown."""
    base = c.F_DIR + direction * c.DIRECTION
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
def open_connection(w: Row, flow: Rows, k: int, held: Rows, links: Row) -> int:
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
        forget_direction(flow, k, direction, held, links, w)
        if not answered:
            forget_direction(flow, k, 1 - direction, held, links, w)
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
def _differs(data: Bytes, at: int, h: int, skip: int, size: int, held: Rows, chunks: Chunks, links: Row) -> bool:
    """Whether data[at:at + size] differs from the held bytes that lie `skip` into segment h."""
    k = held[h, c.H_CHUNK]
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
    head = slab.append(data, at, size, -1, -1, 0, chunks, links, w)
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
                if _differs(data, at, here, skip, same, held, chunks, links):
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
def give_up_hole(flow: Rows, k: int, direction: int, held: Rows, links: Row, w: Row) -> int:
    """Go on behind the hole: its size becomes `gap_bytes` of the next record of this direction."""
    base = c.F_DIR + direction * c.DIRECTION
    first = flow[k, base + c.D_HELD]
    if first < 0:
        return 0
    hole = max(0, after(held[first, c.H_SEQ], flow[k, base + c.D_NEXT]))
    w[n.N_HOLE] += 1
    w[n.N_HOLE_BYTES] += hole
    forget_left(flow, k, base, links, w)
    flow[k, base + c.D_GAP] += hole
    flow[k, base + c.D_NEXT] = held[first, c.H_SEQ]
    return 1


@kernel()
def hole_is_lost(flow: Rows, k: int, direction: int, held: Rows) -> bool:
    """Whether the peer acknowledged past the hole and three segments came, or too much is held."""
    base = c.F_DIR + direction * c.DIRECTION
    first = flow[k, base + c.D_HELD]
    if first < 0 or after(held[first, c.H_SEQ], flow[k, base + c.D_NEXT]) <= 0:
        return False
    if flow[k, base + c.D_HELD_BYTES] >= c.HOLD_BYTES:
        return True
    acked = flow[k, base + c.D_ACKED]
    return bool(flow[k, base + c.D_N_HELD] >= 3 and acked >= 0 and after(acked, held[first, c.H_SEQ]) >= 0)


@kernel()
def _compare_held(data: Bytes, w: Row, flow: Rows, k: int, base: int, held: Rows, chunks: Chunks, links: Row) -> int:
    """Note where a segment in order differs from what is held of the same bytes; it is the segment that counts."""
    here = flow[k, base + c.D_HELD]
    while here >= 0:
        start = after(held[here, c.H_SEQ], w[c.G_SEQ])
        if start >= w[c.G_LEN]:
            break
        skip = max(0, -start)
        size = min(held[here, c.H_LEN] - skip, w[c.G_LEN] - max(0, start))
        if size > 0 and _differs(data, w[c.G_OFF] + max(0, start), here, skip, size, held, chunks, links):
            w[n.N_DIFFERS] += 1
            w[c.G_ANOMALY] |= _DIFFERS
        here = held[here, c.H_NEXT]
    return 0


@kernel(inline=True)
def accept(data: Bytes, w: Row, flow: Rows, k: int, held: Rows, chunks: Chunks, links: Row, holes: Rows) -> int:
    """Judge a TCP segment with payload: DELIVER (G_OFF and G_LEN trimmed to what is new), or NOTHING yet."""
    base = c.F_DIR + w[c.G_DIR] * c.DIRECTION
    expected = flow[k, base + c.D_NEXT]
    if expected < 0:
        expected = w[c.G_SEQ]
        flow[k, base + c.D_NEXT] = expected
        flow[k, base + c.D_FLAGS] |= c.DIR_MIDSTREAM
    distance = after(w[c.G_SEQ], expected)
    size = w[c.G_LEN]
    if abs(distance) > _FAR:
        forget_direction(flow, k, w[c.G_DIR], held, links, w)
        flow[k, base + c.D_NEXT] = w[c.G_SEQ]
        flow[k, base + c.D_FLAGS] |= c.DIR_RESYNC
        distance = 0
    if distance > 0:
        flow[k, base + c.D_FLAGS] |= c.DIR_REORDERED
        hold(data, w, flow, k, held, chunks, links, holes)
        return NOTHING
    if distance < 0:
        if distance + size <= 0:
            w[n.N_COPY] += 1
            return NOTHING
        w[n.N_OVERLAP] += 1
        w[c.G_OFF] -= distance
        w[c.G_LEN] = size + distance
        w[c.G_SEQ] = flow[k, base + c.D_NEXT]
    if flow[k, base + c.D_HELD] >= 0:
        _compare_held(data, w, flow, k, base, held, chunks, links)
    flow[k, base + c.D_NEXT] = (w[c.G_SEQ] + w[c.G_LEN] + w[c.G_MISSING]) & 0xFFFFFFFF
    return DELIVER


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
            w[c.G_TS] = held[h, c.H_TS]
            w[c.G_PACKET] = held[h, c.H_PACKET]
            w[c.G_SMAC] = held[h, c.H_SMAC]
            w[c.G_DMAC] = held[h, c.H_DMAC]
            w[c.G_VLAN] = held[h, c.H_VLAN]
            w[c.G_ANOMALY] = held[h, c.H_ANOMALY]
            w[c.G_MISSING] = held[h, c.H_MISSING]
            flow[k, base + c.D_NEXT] = (flow[k, base + c.D_NEXT] + fresh + held[h, c.H_MISSING]) & 0xFFFFFFFF
        else:
            w[n.N_COPY] += 1
        flow[k, base + c.D_HELD] = slab.drop_held(h, held, links, w)
        flow[k, base + c.D_N_HELD] -= 1
        flow[k, base + c.D_HELD_BYTES] -= size
        if fresh > 0:
            return int(fresh)
