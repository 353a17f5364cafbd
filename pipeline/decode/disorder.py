"""TCP segments that are not the next of their stream: copies, overlaps, what comes too early, and jumps.

Retransmissions, overlaps, reordering, copies by the mirror, mid-stream starts and one-sided mirrors are normal here.
A copy that says something else than what was said is a record of its own, marked OVERLAP_DIFFERS: which of the two
the receiver believed is not for decode to say.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, indirect_call, kernel
from pipeline.decode import copies, holes, streams
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode.assembly import at_hand, load_left, set_aside
from pipeline.decode.bytes import Bytes
from pipeline.decode.pdu import set_context
from pipeline.decode.room import lose
from pipeline.decode.state import Memory
from schemas.codes import Anomaly

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Chunks = NDArray[np.uint8]

_DIFFERS = int(Anomaly.OVERLAP_DIFFERS)
_FAR = 1 << 24  # a jump beyond this is another connection, not a hole
call = indirect_call()


@kernel()
def is_due(data: Bytes, m: Memory, w: Row) -> bool:
    """Whether a segment that does not begin where its stream stands goes on with it, trimmed to what is new."""
    flow, k, direction = m.flow, w[c.G_FLOW], w[c.G_DIR]
    base = c.F_DIR + direction * c.DIRECTION
    if flow[k, base + c.D_NEXT] < 0:
        flow[k, base + c.D_FLAGS] |= c.DIR_MIDSTREAM
        return True
    distance = streams.after(w[c.G_SEQ], flow[k, base + c.D_NEXT])
    if abs(distance) > _FAR:
        return _jump(flow, m.held, m.chunks, m.links, m.said, m.stream, w, k, direction)
    if distance > 0:
        flow[k, base + c.D_FLAGS] |= c.DIR_REORDERED
        streams.hold(data, w, flow, k, m.held, m.chunks, m.links, m.holes)
        if holes.is_lost(w, flow, k, direction, m.held, i64(0)):
            holes.give_up(w, flow, k, direction)
        return False
    whole = distance + w[c.G_LEN] <= 0
    if whole:
        w[n.N_COPY] += 1
    else:
        w[n.N_OVERLAP] += 1
    if w[c.G_LEN] > 1 and _contradicts(data, flow, m.chunks, m.links, m.said, w, k, direction, distance):
        return False
    if whole:
        return False
    w[c.G_OFF] -= distance
    w[c.G_LEN] += distance
    w[c.G_SEQ] = flow[k, base + c.D_NEXT]
    return True


@kernel()
def _jump(flow: Rows, held: Rows, chunks: Chunks, links: Row, said: Rows, stream: Bytes, w: Row, k: int, direction: int) -> bool:  # fmt: skip # noqa: E501
    """Another connection on the same ports, or noise: what was kept and held of the last comes first."""
    base = c.F_DIR + direction * c.DIRECTION
    if flow[k, base + c.D_HELD] >= 0:
        set_aside(w, i64(c.STAGE_TCP))
        holes.give_up(w, flow, k, direction)
        return False
    left = flow[k, base + c.D_LEFT_LEN]
    if left > 0:
        set_aside(w, i64(c.STAGE_TCP))
        w[c.C_LAST] = flow[k, base + c.D_NEXT]
        w[c.C_FINAL] = 1
        w[c.G_MISSING] = 1
        load_left(flow, k, base, chunks, links, stream, w)
        at_hand(w, i64(c.BUF_STREAM), i64(0), left, left)
        return False
    streams.forget_direction(flow, k, direction, held, links, said, w)
    flow[k, base + c.D_FLAGS] |= c.DIR_RESYNC
    return True


@kernel()
def _contradicts(data: Bytes, flow: Rows, chunks: Chunks, links: Row, said: Rows, w: Row, k: int, direction: int, distance: int) -> bool:  # fmt: skip # noqa: E501
    """Whether a copy says something else than the PDU that was said in its place; then that is at hand.

    A copy of one byte is a keep-alive, whose byte means nothing (RFC 1122 4.2.3.6).  A copy that differs from a PDU
    that is still incomplete marks the next record.
    """
    at, size = w[c.G_OFF], w[c.G_LEN]
    base = c.F_DIR + direction * c.DIRECTION
    left = flow[k, base + c.D_LEFT_LEN]
    if left > 0:
        start = max(i64(0), -distance - left)  # of the copy, where the kept bytes begin
        common = min(size, -distance) - start
        skip = left + distance + start
        if common > 0 and streams.differs(data, at + start, flow[k, base + c.D_LEFT], skip, common, chunks, links):
            w[n.N_DIFFERS] += 1
            flow[k, base + c.D_FLAGS] |= c.DIR_DIFFERS
    other = copies.differing(data, at, size, w[c.G_SEQ], 2 * k + direction, said, w)
    if other < 0 and w[c.C_NEED] >= 0:
        other = w[c.C_NEED]
        set_context(w, flow, k, direction, i64(1))
        length = call(w[c.FRAMES_AT + flow[k, c.F_PROTOCOL]], data, at + other, at + size, w)
        if length <= 0 or other + length > size:
            return False
    if other < 0:
        return False
    w[n.N_DIFFERS] += 1
    w[c.G_ANOMALY] |= _DIFFERS
    w[c.C_LAST] = (w[c.G_SEQ] + size) & 0xFFFFFFFF
    w[c.C_FINAL] = 1
    if size > -distance:
        lose(flow, k, base, i64(0), links, w)
        flow[k, base + c.D_NEXT] = (w[c.C_LAST] + w[c.G_MISSING]) & 0xFFFFFFFF
    at_hand(w, w[c.G_BUF], at + other, at + size, i64(0))
    return True
