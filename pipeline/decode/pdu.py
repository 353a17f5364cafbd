"""One PDU: which half of an exchange it is, what it answers, and how it was captured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, indirect_call, kernel
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode import pairing
from pipeline.decode.assembly import keep_left
from pipeline.decode.copies import remember
from pipeline.decode.emit import count_points
from pipeline.decode.flows import other_protocol, set_client, turn
from pipeline.decode.joining import join, settle_join
from pipeline.decode.state import Memory
from pipeline.decode.streams import after
from schemas.codes import FAULTS, Anomaly, Kind, Match, Transport
from schemas.codes import RecordFlag as Flag

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Bytes = NDArray[np.uint8]

_REQUEST, _RESPONSE, _TIMEOUT, _FOREIGN = int(Kind.REQUEST), int(Kind.RESPONSE), int(Kind.TIMEOUT), int(Kind.FOREIGN)
_CONFIRM = int(Kind.CONFIRM)
_NONE, _MATCHED, _UNMATCHED, _LATE, _DUPLICATE = (
    int(Match.NONE),
    int(Match.MATCHED),
    int(Match.UNMATCHED),
    int(Match.LATE),
    int(Match.DUPLICATE),
)
_TCP = int(Transport.TCP)
_BAD = int(Anomaly.MALFORMED | Anomaly.LENGTH_MISMATCH)
_NOT_PROTOCOL = int(Anomaly.NOT_PROTOCOL)
_ROLE = int(Anomaly.ROLE_CONFLICT)
_SEQUENCE = int(Anomaly.SEQUENCE_ERROR)
_UNSEEN = int(Anomaly.MIDSTREAM | Anomaly.RESYNCHRONISED | Anomaly.GAP_BEFORE)
_TRUNCATED, _SPLIT, _PIPELINED, _REORDERED, _MIDSTREAM, _GAP, _RESYNC, _DIFFERS = (
    int(a)
    for a in (
        Anomaly.TRUNCATED,
        Anomaly.SPLIT_PDU,
        Anomaly.PIPELINED,
        Anomaly.OUT_OF_ORDER,
        Anomaly.MIDSTREAM,
        Anomaly.GAP_BEFORE,
        Anomaly.RESYNCHRONISED,
        Anomaly.OVERLAP_DIFFERS,
    )
)
_BY_SHAPE = int(Flag.BY_SHAPE)
_FAULTS = int(FAULTS)
call = indirect_call()


@kernel(inline=True)
def clear(w: Row) -> int:
    """An empty record."""
    for i in range(c.S_AT, c.S_AT + c.SCRATCH):
        w[i] = 0
    w[c.S_RTT] = -1
    return 0


@kernel()
def timeout_record(pend: Rows, q: int, flow: Rows, w: Row, timeout: int) -> int:
    """Fill scratch and segment of the row that says that request q was not answered in time."""
    clear(w)
    for i in range(c.HANDED_ON):
        w[c.S_AT + i] = pend[q, i]
    k = pend[q, c.Q_FLOW]
    turn(w, flow, k, pend[q, c.Q_DIR])
    if flow[k, c.F_CLIENT_HOW] == c.HOW_PEER:
        set_client(flow, k, pend[q, c.Q_CLIENT], c.HOW_PEER, w)
    w[c.G_TS] = pend[q, c.Q_TS] + timeout
    w[c.G_PACKET] = pend[q, c.Q_PACKET]
    w[c.G_SMAC] = pend[q, c.Q_SMAC]
    w[c.G_DMAC] = pend[q, c.Q_DMAC]
    w[c.G_VLAN] = pend[q, c.Q_VLAN]
    w[c.S_KIND] = _TIMEOUT
    w[c.S_PEER_SEQ] = pend[q, c.Q_SEQ]
    return 0


@kernel(inline=True)
def decide_kind(pend: Rows, flow: Rows, k: int, direction: int, w: Row) -> int:
    """Whether the PDU is a request or a response; learns who the client is where ports and SYN did not tell.

    A kind that head has written stays.  Returns the pending request of a response or confirm, -1 for none.
    """
    client, how = flow[k, c.F_CLIENT], flow[k, c.F_CLIENT_HOW]
    role = w[c.S_ROLE]
    if role == c.PEER_REQUEST or role == c.PEER_RESPONSE:
        client = direction if role == c.PEER_REQUEST else 1 - direction
        if how != c.HOW_PEER or client != flow[k, c.F_CLIENT]:
            set_client(flow, k, client, c.HOW_PEER, w)
    elif role == c.SURE_REQUEST or role == c.SURE_RESPONSE:
        client = direction if role == c.SURE_REQUEST else 1 - direction
        if how == c.HOW_PROTOCOL:
            w[c.S_ANOMALY] |= _ROLE if client != flow[k, c.F_CLIENT] else 0
            client = flow[k, c.F_CLIENT]
        else:
            set_client(flow, k, client, c.HOW_PROTOCOL, w)
    elif role != 0 and how == c.HOW_NONE:
        client = direction if role == c.ROLE_REQUEST else 1 - direction
        set_client(flow, k, client, c.HOW_MEANING, w)
    elif client < 0:
        waiting = pairing.find(pend, flow, k, direction, w)
        client = 1 - direction if waiting >= 0 else direction
        set_client(flow, k, client, c.HOW_NONE, w)
    if w[c.S_KIND] == 0:
        w[c.S_KIND] = _REQUEST if client == direction else _RESPONSE
    if w[c.S_KIND] != _RESPONSE and w[c.S_KIND] != _CONFIRM:
        return -1
    return int(pairing.find(pend, flow, k, direction, w))


@kernel(inline=True)
def settle_response(pend: Rows, flow: Rows, k: int, q: int, w: Row) -> int:
    """Write match, peer and response time; the request's scratch goes where the body looks for it.

    A request that the capture cut short is matched, but what it asked for is not known.
    """
    w[c.C_ANSWER] = (w[c.S_KEY] << 16) | w[c.S_FUNC]
    w[c.S_HAS_REQUEST] = 1 if q >= 0 and pend[q, c.Q_CUT] == 0 else 0
    if q >= 0:
        pairing.recall(pend, q, w)
        w[c.S_MATCH] = _LATE if pend[q, c.Q_LATE] and pend[q, c.Q_ANSWERED] == 0 else _MATCHED
        w[c.S_PEER_SEQ] = pend[q, c.Q_SEQ]
        w[c.S_RTT] = min(max(0, w[c.G_TS] - pend[q, c.Q_TS]) // 1000, 0x7FFFFFFF)
    elif w[c.S_KIND] == _CONFIRM:
        w[c.S_MATCH] = _NONE
    elif flow[k, c.F_LAST_TXN] == w[c.C_ANSWER]:
        w[c.S_MATCH] = _DUPLICATE
        w[c.S_PEER_SEQ] = flow[k, c.F_LAST_SEQ]
    else:
        w[c.S_MATCH] = _UNMATCHED
    return 0


@kernel()
def is_behind(flow: Rows, k: int, w: Row) -> bool:
    """Whether the sender has acknowledged bytes of its peer that were not captured, or not yet."""
    other = c.F_DIR + (1 - w[c.C_DIR]) * c.DIRECTION
    acked, reached = flow[k, other + c.D_ACKED], flow[k, other + c.D_NEXT]
    return bool(flow[k, other + c.D_HELD] >= 0 or (acked >= 0 and reached >= 0 and after(acked, reached) > 0))


@kernel(inline=True)
def circumstances(flow: Rows, k: int, base: int, w: Row, at: int, more: bool) -> int:
    """Anomaly bits of how the PDU was captured, and in C_GAP the bytes that are missing before it."""
    bits = w[c.G_ANOMALY]
    if at == 0 and w[c.C_FRONT] > 0:
        bits |= _SPLIT
    if more:
        bits |= _PIPELINED
    flags = flow[k, base + c.D_FLAGS]
    if flags:
        if flags & c.DIR_MIDSTREAM:
            bits |= _MIDSTREAM
        if flags & c.DIR_REORDERED:
            bits |= _REORDERED
        if flags & c.DIR_RESYNC:
            bits |= _RESYNC
        if flags & c.DIR_DIFFERS:
            bits |= _DIFFERS
        flow[k, base + c.D_FLAGS] = 0
    gap = flow[k, base + c.D_GAP]
    if gap:
        bits |= _GAP
        flow[k, base + c.D_GAP] = 0
    if w[c.S_ANOMALY] & _SEQUENCE and (bits & _UNSEEN or is_behind(flow, k, w)):
        w[c.S_ANOMALY] &= ~_SEQUENCE  # what was missed explains a number that does not follow
    w[c.S_ANOMALY] |= bits
    w[c.C_GAP] = min(gap, 0x7FFFFFFF)
    return 0


@kernel(inline=True)
def set_context(w: Row, flow: Rows, k: int, direction: int, strict: int) -> int:
    """What a protocol is told of the flow."""
    w[c.X_STATE] = flow[k, c.F_STATE] if flow[k, c.F_PROTOCOL] > 0 else 0
    w[c.X_SENDER_IS_CLIENT] = 0 if flow[k, c.F_CLIENT] == 1 - direction else 1
    w[c.X_STRICT] = strict
    w[c.X_TRANSPORT] = flow[k, c.F_PORTS] & 15
    w[c.X_HEADED] = 0
    w[c.X_FLOW] = flow[k, c.F_HASH]
    w[c.X_PART] = w[c.C_PART]
    w[c.X_JOINED] = 0
    return 0


@kernel()
def foreign_record(flow: Rows, k: int, w: Row) -> int:
    """Fill the row that says that the bytes on this port are another protocol's; once per flow."""
    clear(w)
    w[c.S_KIND] = _FOREIGN
    w[c.S_ANOMALY] = _NOT_PROTOCOL
    flow[k, c.F_FLAGS] |= c.FLOW_FOREIGN_SAID
    return 0


@kernel(inline=True)
def next_pdu(data: Bytes, m: Memory, w: Row) -> int:
    """Take the next PDU from the bytes at hand, C_POS to C_END of `data`.

    Returns:
        EMIT: the scratch holds a record, its request's row in C_ASKED or -1; AGAIN: nothing to write; FULL: the batch
        has no room for its points, and nothing has been changed.
    """
    flow = m.flow
    k, direction = w[c.C_FLOW] & c.INDEX, w[c.C_DIR] & 1
    at, end = w[c.C_POS] & c.INDEX, w[c.C_END] & c.INDEX
    base = c.F_DIR + direction * c.DIRECTION
    if at >= end:
        w[c.C_WORK] = c.WORK_HELD
        return c.AGAIN
    protocol = flow[k, c.F_PROTOCOL]
    set_context(w, flow, k, direction, 0)
    clear(w)
    length = call(w[c.FRAMES_AT + protocol], data, at, end, w)
    if length < 0:
        other = other_protocol(flow, k, m.ports)
        if other:
            flow[k, c.F_PROTOCOL] = other
            flow[k, c.F_STATE] = 0
            if flow[k, c.F_CLIENT_HOW] == c.HOW_PORT:
                set_client(flow, k, 1 - flow[k, c.F_CLIENT], c.HOW_PORT, w)
            w[c.C_NEED] = other
            return c.AGAIN if (w[c.C_LOADED] >> other) & 1 else c.LOAD_PROTOCOL
        w[n.N_FOREIGN] += 1
        w[c.C_POS] = end
        if flow[k, c.F_FLAGS] & c.FLOW_FOREIGN_SAID:
            return c.AGAIN
        foreign_record(flow, k, w)
        w[c.C_JOINED] = 0
        w[c.S_LENGTH] = end - at
        circumstances(flow, k, base, w, at, False)
        return c.EMIT
    short = length == 0 or at + length > end
    if short and w[c.G_TRANSPORT] == _TCP and w[c.C_FINAL] == 0 and w[c.G_MISSING] == 0:
        keep_left(data, flow, k, base, at, end, length, m.chunks, m.links, w)
        w[c.C_POS] = end
        return c.AGAIN
    size = end - at if short else length
    source, begin, said = data, at, size
    if w[c.C_PART] == 0 or w[c.C_JOINED] == 0:
        if w[c.X_HEADED] == 0:
            call(w[c.HEADS_AT + protocol], data, at, size, w)
        w[c.C_JOINED] = 0
        if w[c.S_JOIN]:
            w[c.C_JOINED] = join(data, m.joins, m.chunks, m.links, m.joined, w)
            if w[c.C_JOINED] == 0:
                flow[k, c.F_STATE] = w[c.X_STATE]
                remember(data, at, size, 2 * k + direction, m.said, m.fresh, w)
                w[c.C_POS] = at + size
                return c.AGAIN
    if w[c.C_JOINED] > 0:
        source, begin, said = m.joined, i64(0), w[c.C_JOINED]
        w[c.X_JOINED] = 1
        call(w[c.HEADS_AT + protocol], source, begin, said, w)
    q = decide_kind(m.pend, flow, k, direction, w)
    if w[c.S_KIND] == _RESPONSE or w[c.S_KIND] == _CONFIRM:
        settle_response(m.pend, flow, k, q, w)
    if w[c.C_JOINED] < 0:
        w[c.C_JOINED] = 0
        w[c.S_ANOMALY] |= _SEQUENCE
    else:
        call(w[c.BODIES_AT + protocol], source, begin, said, w)
    if w[c.C_POINTS] + min(count_points(w), c.POINTS_PER_PDU) > c.POINTS:
        return c.FULL
    flow[k, c.F_STATE] = w[c.X_STATE]
    if w[c.C_JOINED] > 0:
        settle_join(m.joins, m.links, w)
    if short:
        w[c.S_ANOMALY] = (w[c.S_ANOMALY] & ~_FAULTS) | _TRUNCATED if w[c.G_MISSING] else w[c.S_ANOMALY] | _BAD
    elif w[c.C_PART] == 0:
        remember(data, at, size, 2 * k + direction, m.said, m.fresh, w)
    circumstances(flow, k, base, w, at, at + size < end)
    w[c.S_LENGTH] = said
    if flow[k, c.F_FLAGS] & c.FLOW_BY_SHAPE:
        w[c.S_FLAGS] |= _BY_SHAPE
    w[c.C_ASKED] = q
    if w[c.S_MORE] > w[c.C_PART]:
        w[c.C_PART] = w[c.S_MORE]
        return c.EMIT
    w[c.C_PART] = 0
    w[c.C_POS] = at + size
    if at + size >= end:
        w[c.C_WORK] = c.WORK_HELD if flow[k, base + c.D_HELD] >= 0 else c.WORK_NONE
    return c.EMIT
