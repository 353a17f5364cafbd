"""The driver: walks the packets of a block and emits the records they complete, resumable at every PDU.

What it does next is always one of five steps: expire a request, give up a hole, go on with the bytes at hand, take
up a packet that was set aside, or read the next packet.  Only one place emits, so the emitter is compiled once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import indirect_call, kernel
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode import pairing, slab, streams
from pipeline.decode.emit import count_points, remember_name, write_record, write_run, write_sparse
from pipeline.decode.flows import add_flow, find_flow, set_client, turn
from pipeline.decode.fragments import add_fragment
from pipeline.decode.link import FRAGMENT, SKIPPED, parse_packet, parse_transport
from schemas.codes import FAULTS, Anomaly, Kind, Match, Op, Protocol, Transport
from schemas.codes import RecordFlag as Flag

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Bytes = NDArray[np.uint8]

_REQUEST, _RESPONSE, _TIMEOUT, _FOREIGN = int(Kind.REQUEST), int(Kind.RESPONSE), int(Kind.TIMEOUT), int(Kind.FOREIGN)
_PENDING, _MATCHED, _UNMATCHED, _LATE, _DUPLICATE = (
    int(Match.PENDING),
    int(Match.MATCHED),
    int(Match.UNMATCHED),
    int(Match.LATE),
    int(Match.DUPLICATE),
)
_NO_OP = int(Op.UNKNOWN)
_TCP = int(Transport.TCP)
_BAD = int(Anomaly.MALFORMED | Anomaly.LENGTH_MISMATCH)
_NOT_PROTOCOL = int(Anomaly.NOT_PROTOCOL)
_ROLE_CONFLICT = int(Anomaly.ROLE_CONFLICT)
_TRUNCATED, _SPLIT, _PIPELINED, _REORDERED, _MIDSTREAM, _GAP, _FRAGMENTED, _RESYNC = (
    int(a)
    for a in (
        Anomaly.TRUNCATED,
        Anomaly.SPLIT_PDU,
        Anomaly.PIPELINED,
        Anomaly.OUT_OF_ORDER,
        Anomaly.MIDSTREAM,
        Anomaly.GAP_BEFORE,
        Anomaly.FRAGMENTED,
        Anomaly.RESYNCHRONISED,
    )
)
_BY_SHAPE = int(Flag.BY_SHAPE)
_FAULTS = np.int64(FAULTS)
_DECODED = max(Protocol.MODBUS, 1)
_IDLE, _BYTES, _HELD = 0, 1, 2
call = indirect_call()
_INDEX = 0x3FFFFFFF
"""Masks what is an index anyway: with its sign known, the compiler drops the test for a negative one."""
_PROBES = 8
"""Segments of a flow on an unknown port that are tried for the shape of a protocol."""


class Packets(NamedTuple):
    """The arrays of a PacketBlock."""

    data: Bytes
    offset: Row
    captured: Row
    original: Row
    ts: Row
    link: Row


class Memory(NamedTuple):
    """All state of decode between blocks."""

    w: Row
    traffic: Row
    ports: NDArray[np.uint8]
    flow: Rows
    index: Row
    pend: Rows
    held: Rows
    chunks: NDArray[np.uint8]
    links: Row
    holes: Rows
    fragments: Rows
    datagram: Bytes
    stream: Bytes
    name_ids: Row
    name_where: Rows
    name_text: Bytes


class Output(NamedTuple):
    """The columns being filled."""

    rec64: Row
    rec32: NDArray[np.int32]
    rec16: NDArray[np.int16]
    rec8: NDArray[np.uint8]
    pt64: Row
    value: NDArray[np.float64]
    pt32: NDArray[np.int32]
    pt16: NDArray[np.int16]
    pt8: NDArray[np.uint8]


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
    turn(w, flow, pend[q, c.Q_FLOW], pend[q, c.Q_DIR])
    w[c.G_TS] = pend[q, c.Q_TS] + timeout
    w[c.G_PACKET] = pend[q, c.Q_PACKET]
    w[c.G_SMAC] = pend[q, c.Q_SMAC]
    w[c.G_DMAC] = pend[q, c.Q_DMAC]
    w[c.G_VLAN] = pend[q, c.Q_VLAN]
    w[c.S_KIND] = _TIMEOUT
    w[c.S_PEER_SEQ] = pend[q, c.Q_SEQ]
    return 0


@kernel()
def datagram_is_copy(data: Bytes, w: Row, flow: Rows, k: int) -> bool:
    """Whether this datagram is the mirror's second copy: same IP id and bytes within 50 ms."""
    base = c.F_DIR + w[c.G_DIR] * c.DIRECTION
    digest = np.int64(w[c.G_LEN])
    for i in range(w[c.G_LEN]):
        digest = digest * 1099511628211 + np.int64(data[w[c.G_OFF] + i])
    digest = (digest << 16) ^ w[c.G_IPID]
    same = flow[k, base + c.D_DIGEST] == digest and w[c.G_TS] - flow[k, base + c.D_DIGEST_TS] <= c.DUPLICATE_NS
    flow[k, base + c.D_DIGEST] = digest
    flow[k, base + c.D_DIGEST_TS] = w[c.G_TS]
    return bool(same and w[c.G_IPID] != 0)


@kernel(inline=True)
def decide_kind(pend: Rows, flow: Rows, k: int, direction: int, w: Row) -> int:
    """Whether the PDU is a request or a response; learns who the client is where ports and SYN did not tell.

    Returns the pending request of a response, -1 for none.
    """
    client, how = flow[k, c.F_CLIENT], flow[k, c.F_CLIENT_HOW]
    role = w[c.S_ROLE]
    if role != 0 and how == c.HOW_NONE:
        client = direction if role == c.ROLE_REQUEST else 1 - direction
        set_client(flow, k, client, c.HOW_MEANING, w)
    elif client < 0:
        waiting = pairing.find(pend, flow, k, direction, w[c.S_KEY], w[c.S_FUNC])
        client = 1 - direction if waiting >= 0 else direction
        set_client(flow, k, client, c.HOW_NONE, w)
    w[c.S_KIND] = _REQUEST if client == direction else _RESPONSE
    if w[c.S_KIND] == _REQUEST:
        return -1
    return int(pairing.find(pend, flow, k, direction, w[c.S_KEY], w[c.S_FUNC]))


@kernel(inline=True)
def settle_response(pend: Rows, flow: Rows, k: int, q: int, w: Row) -> int:
    """Write match, peer and response time; the request's scratch goes where the body looks for it."""
    w[c.S_HAS_REQUEST] = 1 if q >= 0 else 0
    if q >= 0:
        pairing.recall(pend, q, w)
        w[c.S_MATCH] = _LATE if pend[q, c.Q_LATE] else _MATCHED
        w[c.S_PEER_SEQ] = pend[q, c.Q_SEQ]
        w[c.S_RTT] = min(max(0, w[c.G_TS] - pend[q, c.Q_TS]) // 1000, 0x7FFFFFFF)
    elif flow[k, c.F_LAST_TXN] == w[c.S_KEY]:
        w[c.S_MATCH] = _DUPLICATE
        w[c.S_PEER_SEQ] = flow[k, c.F_LAST_SEQ]
    else:
        w[c.S_MATCH] = _UNMATCHED
    return 0


@kernel(inline=True)
def circumstances(flow: Rows, k: int, base: int, w: Row, at: int, more: bool) -> int:
    """Anomaly bits of how the PDU was captured; returns the gap bytes that this record reports."""
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
        flow[k, base + c.D_FLAGS] = 0
    gap = flow[k, base + c.D_GAP]
    if gap:
        bits |= _GAP
        flow[k, base + c.D_GAP] = 0
    w[c.S_ANOMALY] |= bits
    return int(min(gap, 0x7FFFFFFF))


@kernel()
def keep_left(m_stream: Bytes, flow: Rows, k: int, base: int, at: int, end: int, need: int, chunks: Bytes, links: Row, w: Row) -> int:  # fmt: skip # noqa: E501
    """Keep the bytes of a PDU that is not whole yet."""
    head = slab.append(m_stream, at, end - at, -1, -1, 0, chunks, links, w)
    if head == -2:
        w[n.N_INCOMPLETE] += end - at
        return 0
    flow[k, base + c.D_LEFT] = head
    flow[k, base + c.D_LEFT_TAIL] = w[c.C_NEED]
    flow[k, base + c.D_LEFT_LEN] = end - at
    flow[k, base + c.D_NEED] = need
    return 0


@kernel()
def front(data: Bytes, at: int, size: int, flow: Rows, k: int, base: int, chunks: Bytes, links: Row, stream: Bytes, w: Row) -> bool:  # fmt: skip # noqa: E501
    """Put the kept bytes of a PDU and the new ones behind each other into `stream`; False while still too few."""
    left = flow[k, base + c.D_LEFT_LEN]
    if flow[k, base + c.D_NEED] > left + size or left + size > c.HOLD_BYTES:
        head = np.int64(-2)
        if left + size <= c.HOLD_BYTES:
            head = slab.append(
                data, at, size, flow[k, base + c.D_LEFT], flow[k, base + c.D_LEFT_TAIL], left, chunks, links, w
            )
        if head == -2:
            streams.forget_left(flow, k, base, links, w)
            w[n.N_INCOMPLETE] += size
            return False
        flow[k, base + c.D_LEFT_TAIL] = w[c.C_NEED]
        flow[k, base + c.D_LEFT_LEN] = left + size
        return False
    slab.load(flow[k, base + c.D_LEFT], left, chunks, links, stream, 0)
    for i in range(size):
        stream[left + i] = data[at + i]
    slab.release(flow[k, base + c.D_LEFT], links, w)
    flow[k, base + c.D_LEFT] = -1
    flow[k, base + c.D_LEFT_TAIL] = -1
    flow[k, base + c.D_LEFT_LEN] = 0
    flow[k, base + c.D_NEED] = 0
    w[c.C_BUF] = c.BUF_STREAM
    w[c.C_POS] = 0
    w[c.C_END] = left + size
    w[c.C_FRONT] = left
    return True


@kernel()
def recognise(data: Bytes, w: Row, flow: Rows, k: int, p: int, length: int) -> int:
    """A flow on an unknown port whose bytes have the shape of protocol p."""
    if flow[k, c.F_STATE] > 0:  # earlier segments were not followed
        for direction in range(2):
            flow[k, c.F_DIR + direction * c.DIRECTION + c.D_NEXT] = -1
    flow[k, c.F_PROTOCOL] = p
    flow[k, c.F_FLAGS] |= c.FLOW_BY_SHAPE
    flow[k, c.F_STATE] = 0
    return 0


@kernel()
def give_up_oldest_hole(flow: Rows, held: Rows, links: Row, holes: Rows, w: Row) -> int:
    """Take the oldest hole's timer; the flow and direction to go on with as 2 * flow + direction, -1 when stale."""
    slot = w[c.C_HOLE_HEAD] % c.HOLES
    w[c.C_HOLE_HEAD] += 1
    k, direction, since = holes[slot, 0], holes[slot, 1], holes[slot, 2]
    base = c.F_DIR + direction * c.DIRECTION
    if flow[k, base + c.D_HELD] < 0 or flow[k, base + c.D_HOLE_TS] != since:
        return -1
    flow[k, base + c.D_HOLE_TS] = 0
    streams.give_up_hole(flow, k, direction, held, links, w)
    return int(2 * k + direction)


@kernel()
def rearm_hole(flow: Rows, k: int, direction: int, holes: Rows, w: Row) -> int:
    """A hole that remains behind the one given up gets a time of its own."""
    base = c.F_DIR + direction * c.DIRECTION
    if flow[k, base + c.D_HELD] >= 0 and flow[k, base + c.D_HOLE_TS] == 0:
        slot = w[c.C_HOLE_TAIL] % c.HOLES
        holes[slot, 0] = k
        holes[slot, 1] = direction
        holes[slot, 2] = w[c.C_NOW]
        flow[k, base + c.D_HOLE_TS] = w[c.C_NOW]
        w[c.C_HOLE_TAIL] += 1
    return 0


@kernel(inline=True)
def set_context(w: Row, flow: Rows, k: int, direction: int, strict: int) -> int:
    """What a protocol is told of the flow."""
    w[c.X_STATE] = flow[k, c.F_STATE] if flow[k, c.F_PROTOCOL] > 0 else 0
    w[c.X_SENDER_IS_CLIENT] = 0 if flow[k, c.F_CLIENT] == 1 - direction else 1
    w[c.X_STRICT] = strict
    w[c.X_TRANSPORT] = flow[k, c.F_PORTS] & 15
    return 0


@kernel()
def foreign_record(flow: Rows, k: int, w: Row) -> int:
    """Fill the row that says that the bytes on this port are another protocol's; once per flow."""
    clear(w)
    w[c.S_KIND] = _FOREIGN
    w[c.S_ANOMALY] = _NOT_PROTOCOL
    flow[k, c.F_FLAGS] |= c.FLOW_FOREIGN_SAID
    return 0


@kernel()
def drive(packets: Packets, m: Memory, out: Output) -> int:
    """Walk the packets from C_NEXT on.

    Returns:
        DONE: the block is walked; FULL: take the batch and call again; GROW_FLOWS, GROW_PENDING: enlarge and call
        again; NEW_EPOCH: time ran backwards, forget all flows and call again; LOAD_PROTOCOL: load the protocol in
        C_NEED and call again.
    """
    block, ts_ns, link = packets.data, packets.ts, packets.link
    starts, captured, original = packets.offset, packets.captured, packets.original
    w, traffic, ports = m.w, m.traffic, m.ports
    flow, index, pend = m.flow, m.index, m.pend
    held, chunks, links, holes = m.held, m.chunks, m.links, m.holes
    datagram, stream = m.datagram, m.stream
    rec64, rec32, rec16, rec8 = out.rec64, out.rec32, out.rec16, out.rec8
    pt64, value, pt32, pt16, pt8 = out.pt64, out.value, out.pt32, out.pt16, out.pt8
    names, where, text = m.name_ids, m.name_where, m.name_text
    while True:
        if w[c.C_RECORDS] >= c.RECORDS:
            return c.FULL
        if w[c.C_FREE_PENDING] < 0:
            return c.GROW_PENDING
        work = w[c.C_WORK]
        q = np.int64(-1)
        gap = np.int64(0)
        data = block
        if work == _BYTES:
            k, direction = w[c.C_FLOW] & _INDEX, w[c.C_DIR] & 1
            at, end = w[c.C_POS] & _INDEX, w[c.C_END] & _INDEX
            if at >= end:
                w[c.C_WORK] = _HELD
                continue
            if w[c.C_BUF] == c.BUF_DATAGRAM:
                data = datagram
            elif w[c.C_BUF] == c.BUF_STREAM:
                data = stream
            base = c.F_DIR + direction * c.DIRECTION
            protocol = flow[k, c.F_PROTOCOL]
            set_context(w, flow, k, direction, 0)
            length = call(w[c.FRAMES_AT + protocol], data, at, end, w)
            if length < 0:
                w[n.N_FOREIGN] += 1
                w[c.C_POS] = end
                if flow[k, c.F_FLAGS] & c.FLOW_FOREIGN_SAID:
                    continue
                foreign_record(flow, k, w)
                w[c.S_LENGTH] = end - at
                gap = circumstances(flow, k, base, w, at, False)
            else:
                short = length == 0 or at + length > end
                if short and w[c.G_TRANSPORT] == _TCP and w[c.C_FINAL] == 0 and w[c.G_MISSING] == 0:
                    keep_left(data, flow, k, base, at, end, length, chunks, links, w)
                    w[c.C_POS] = end
                    continue
                size = end - at if short else length
                clear(w)
                call(w[c.HEADS_AT + protocol], data, at, size, w)
                if flow[k, c.F_STATE] != w[c.X_STATE]:
                    flow[k, c.F_STATE] = w[c.X_STATE]
                q = decide_kind(pend, flow, k, direction, w)
                if w[c.S_KIND] == _RESPONSE:
                    settle_response(pend, flow, k, q, w)
                call(w[c.BODIES_AT + protocol], data, at, size, w)
                if short:
                    w[c.S_ANOMALY] = (w[c.S_ANOMALY] & ~_FAULTS) | _TRUNCATED if w[c.G_MISSING] else w[c.S_ANOMALY] | _BAD  # fmt: skip # noqa: E501
                if w[c.C_POINTS] + min(count_points(w), c.POINTS_PER_PDU) > c.POINTS:
                    return c.FULL
                gap = circumstances(flow, k, base, w, at, at + size < end)
                w[c.S_LENGTH] = size
                if flow[k, c.F_FLAGS] & c.FLOW_BY_SHAPE:
                    w[c.S_FLAGS] |= _BY_SHAPE
                w[c.C_POS] = at + size
                if at + size >= end:
                    w[c.C_WORK] = _HELD if flow[k, base + c.D_HELD] >= 0 else _IDLE
        elif work == _HELD:
            k, direction = w[c.C_FLOW], w[c.C_DIR]
            base = c.F_DIR + direction * c.DIRECTION
            w[c.C_WORK] = _IDLE
            if flow[k, base + c.D_HELD] < 0:
                continue
            left = flow[k, base + c.D_LEFT_LEN]
            size = streams.next_held(w, flow, k, direction, held, chunks, links, stream, left)
            if size == 0:
                rearm_hole(flow, k, direction, holes, w)
                continue
            turn(w, flow, k, direction)
            if left > 0:
                slab.load(flow[k, base + c.D_LEFT], left, chunks, links, stream, 0)
                slab.release(flow[k, base + c.D_LEFT], links, w)
                flow[k, base + c.D_LEFT] = -1
                flow[k, base + c.D_LEFT_LEN] = 0
                flow[k, base + c.D_NEED] = 0
            w[c.C_WORK] = _BYTES
            w[c.C_BUF] = c.BUF_STREAM
            w[c.C_POS] = 0
            w[c.C_END] = left + size
            w[c.C_FRONT] = left
            w[c.C_FINAL] = 0
            continue
        else:
            stage = w[c.C_ASIDE]
            if stage:
                w[c.C_ASIDE] = 0
                for i in range(c.SEGMENT):
                    w[c.SEGMENT_AT + i] = w[c.ASIDE_AT + i]
                k = w[c.G_FLOW]
            else:
                i = w[c.C_NEXT] & _INDEX
                if i >= w[c.C_N]:
                    return c.DONE
                ts = ts_ns[i]
                if ts > w[c.C_NOW]:
                    w[c.C_NOW] = ts
                elif ts < w[c.C_NOW] - c.NANOSECONDS:
                    return c.NEW_EPOCH
                if w[c.C_DEADLINE] <= w[c.C_NOW]:
                    q = pairing.expire(pend, flow, w, w[c.C_NOW])
                if q < 0:
                    if w[c.C_HOLE_HEAD] < w[c.C_HOLE_TAIL]:
                        since = holes[w[c.C_HOLE_HEAD] % c.HOLES, 2]
                        many = w[c.C_HOLE_TAIL] - w[c.C_HOLE_HEAD] >= c.HOLES - 2
                        if many or since + c.HOLD_NS <= w[c.C_NOW]:
                            place = give_up_oldest_hole(flow, held, links, holes, w)
                            if place >= 0:
                                w[c.C_WORK] = _HELD
                                w[c.C_FLOW] = place >> 1
                                w[c.C_DIR] = place & 1
                            continue
                    if w[c.C_FLOWS] >= flow.shape[0]:
                        return c.GROW_FLOWS
                    w[c.C_NEXT] = i + 1
                    w[n.N_PACKETS] += 1
                    w[n.N_BYTES] += original[i]
                    w[c.G_TS] = ts
                    w[c.G_PACKET] = w[c.C_FIRST_PACKET] + i
                    kind = parse_packet(block, starts[i], starts[i] + captured[i], original[i], link[i], w)
                    if kind == FRAGMENT:
                        whole = add_fragment(block, w, m.fragments, held, chunks, links, datagram)
                        if whole == 0:
                            continue
                        kind = parse_transport(datagram, 0, whole, 0, w)
                        w[c.G_BUF] = c.BUF_DATAGRAM
                        w[c.G_ANOMALY] |= _FRAGMENTED
                    if kind == SKIPPED:
                        traffic[w[c.G_NAME]] += 1
                        continue
                    k = find_flow(w, flow, index)
                    if k < 0:
                        k = add_flow(w, flow, index, ports)
                    k &= _INDEX
                    w[c.G_FLOW] = k
                    flow[k, c.F_LAST_TS] = ts
                    protocol = flow[k, c.F_PROTOCOL]
                    traffic[protocol if protocol > 0 else flow[k, c.F_NAME]] += 1
            if q >= 0:
                timeout_record(pend, q, flow, w, w[c.C_TIMEOUT])
                k, direction = w[c.G_FLOW], w[c.G_DIR]
                w[n.N_TIMEOUTS] += 1
            else:
                direction = w[c.G_DIR] & 1
                base = c.F_DIR + direction * c.DIRECTION
                other = c.F_DIR + (1 - direction) * c.DIRECTION
                if w[c.G_BUF] == c.BUF_DATAGRAM:
                    data = datagram
                flags = w[c.G_TCP]
                is_tcp = w[c.G_TRANSPORT] == _TCP
                if is_tcp and stage == 0:
                    if flags & streams.SYN:
                        open_needed = flow[k, c.F_PROTOCOL] != c.IGNORED or not flags & streams.ACK
                        if open_needed:
                            streams.open_connection(w, flow, k, held, links)
                    if flags & streams.ACK:
                        acked = flow[k, other + c.D_ACKED]
                        if acked < 0 or streams.after(w[c.G_ACK], acked) > 0:
                            flow[k, other + c.D_ACKED] = w[c.G_ACK]
                        if flow[k, other + c.D_HELD] >= 0 and streams.hole_is_lost(flow, k, 1 - direction, held):
                            streams.give_up_hole(flow, k, 1 - direction, held, links, w)
                            for j in range(c.SEGMENT):
                                w[c.ASIDE_AT + j] = w[c.SEGMENT_AT + j]
                            w[c.C_ASIDE] = 1
                            w[c.C_WORK] = _HELD
                            w[c.C_FLOW] = k
                            w[c.C_DIR] = 1 - direction
                            continue
                    if flags & streams.RST:
                        streams.forget_direction(flow, k, 0, held, links, w)
                        streams.forget_direction(flow, k, 1, held, links, w)
                        continue
                if w[c.G_LEN] + w[c.G_MISSING] <= 0:
                    w[n.N_EMPTY] += 1
                    closing = is_tcp and flags & streams.FIN and flow[k, base + c.D_LEFT_LEN] > 0
                    if not closing or w[c.G_SEQ] != flow[k, base + c.D_NEXT]:
                        continue
                protocol = flow[k, c.F_PROTOCOL]
                at = w[c.G_OFF]
                missing = w[c.C_REGISTERED] & ~w[c.C_LOADED]
                if protocol == c.UNDECIDED and missing:
                    protocol = np.int64(1)
                    while not (missing >> protocol) & 1:
                        protocol += 1
                elif protocol == c.UNDECIDED:
                    found = np.int64(0)
                    for p in range(1, c.PROTOCOLS):
                        if (w[c.C_LOADED] >> p) & 1 and found == 0:
                            set_context(w, flow, k, direction, 1)
                            length = call(w[c.FRAMES_AT + p], data, at, at + w[c.G_LEN], w)
                            if length > 0:
                                found = p
                                recognise(data, w, flow, k, p, length)
                    if found == 0:
                        w[n.N_UNKNOWN] += 1
                        flow[k, c.F_STATE] += 1
                        if flow[k, c.F_STATE] >= _PROBES:
                            flow[k, c.F_PROTOCOL] = c.IGNORED
                        continue
                    protocol = found
                elif protocol == c.IGNORED:
                    w[n.N_UNKNOWN] += 1
                    continue
                if not (w[c.C_LOADED] >> protocol) & 1:
                    for j in range(c.SEGMENT):
                        w[c.ASIDE_AT + j] = w[c.SEGMENT_AT + j]
                    w[c.C_ASIDE] = max(stage, 1)
                    w[c.C_NEED] = protocol
                    return c.LOAD_PROTOCOL
                w[c.C_FLOW] = k
                w[c.C_DIR] = direction
                w[c.C_FRONT] = 0
                w[c.C_FINAL] = 0
                if not is_tcp:
                    if datagram_is_copy(data, w, flow, k):
                        w[n.N_DATAGRAM_COPY] += 1
                        continue
                elif w[c.G_LEN] + w[c.G_MISSING] > 0:
                    fresh = stage == 2 or streams.accept(data, w, flow, k, held, chunks, links, holes)
                    if not fresh:
                        if streams.hole_is_lost(flow, k, direction, held):
                            streams.give_up_hole(flow, k, direction, held, links, w)
                            w[c.C_WORK] = _HELD
                        continue
                    at = w[c.G_OFF]
                    if flags & streams.FIN:
                        w[c.C_FINAL] = 1
                left = flow[k, base + c.D_LEFT_LEN] if is_tcp else 0
                w[c.C_WORK] = _BYTES
                if left == 0:
                    w[c.C_BUF] = w[c.G_BUF]
                    w[c.C_POS] = at
                    w[c.C_END] = at + w[c.G_LEN]
                    continue
                set_context(w, flow, k, direction, 1)
                alone = np.int64(0)
                if w[c.G_LEN] > 0 and flow[k, base + c.D_NEED] != left + w[c.G_LEN]:
                    alone = call(w[c.FRAMES_AT + protocol], data, at, at + w[c.G_LEN], w)
                if w[c.G_LEN] == 0 or alone == w[c.G_LEN]:
                    # the kept bytes are no beginning of what follows: they stand alone, malformed
                    if w[c.G_LEN] > 0:
                        for j in range(c.SEGMENT):
                            w[c.ASIDE_AT + j] = w[c.SEGMENT_AT + j]
                        w[c.C_ASIDE] = 2
                    w[c.C_FINAL] = 1
                    w[c.G_LEN] = 0
                    flow[k, base + c.D_NEED] = 0
                if not front(data, at, w[c.G_LEN], flow, k, base, chunks, links, stream, w):
                    w[c.C_WORK] = _HELD
                continue

        # emit
        row, seq = w[c.C_RECORDS] & _INDEX, w[c.C_SEQ]
        if w[c.S_KIND] == _REQUEST and w[c.S_ASKS]:
            w[c.S_MATCH] = _PENDING
        hashed = flow[k, c.F_HASH]
        if w[c.S_KIND] == _TIMEOUT:
            hashed = pend[q, c.Q_FLOW_HASH]
        rec64[c.R_SEQ * c.REC + row] = seq
        rec64[c.R_FLOW * c.REC + row] = hashed
        rec64[c.R_DEVICE * c.REC + row] = flow[k, c.F_DEVICE]
        rec32[c.R_GAP * c.REC + row] = gap
        rec8[c.R_CLIENT_IS_SRC * c.REC + row] = 1 if flow[k, c.F_CLIENT] == direction else 0
        rec8[c.R_PROTOCOL * c.REC + row] = max(flow[k, c.F_PROTOCOL], 0)
        write_record(rec64, rec32, rec16, rec8, row, w)
        p = w[c.C_POINTS] & _INDEX
        rec32[c.R_OFFSET * c.REC + row] = p
        for r in range(w[c.S_RUNS]):
            count = min(w[c.RUNS_AT + r * c.RUN + c.N_COUNT], c.POINTS_PER_PDU - (p - w[c.C_POINTS])) & _INDEX
            if write_run(data, w, r, pt64, value, pt32, pt16, pt8, p, count):
                raw = np.int64(0)
                if w[c.RUNS_AT + r * c.RUN + c.N_LENGTH] > 0:
                    raw = remember_name(
                        data,
                        w[c.RUNS_AT + r * c.RUN + c.N_OFFSET],
                        w[c.RUNS_AT + r * c.RUN + c.N_LENGTH],
                        names,
                        where,
                        text,
                        w,
                    )
                write_sparse(w, r, pt64, pt32, p, count, raw)
                w[c.C_SPARSE] = 1
            p += count
        rec32[c.R_N_POINTS * c.REC + row] = p - w[c.C_POINTS]
        w[n.N_POINTS] += p - w[c.C_POINTS]
        w[n.N_RECORDS] += 1
        if w[c.S_ANOMALY] & _FAULTS:
            w[n.N_FAULTS] += 1
        w[c.C_POINTS] = p
        w[c.C_RECORDS] = row + 1
        w[c.C_SEQ] = seq + 1
        if w[c.S_KIND] == _REQUEST:
            if w[c.S_ASKS]:
                pairing.add(pend, flow, w, seq)
        elif w[c.S_KIND] == _RESPONSE:
            flow[k, c.F_LAST_TXN] = w[c.S_KEY]
            flow[k, c.F_LAST_SEQ] = seq
            if q >= 0:
                pairing.remove(pend, flow, w, q)
