"""Taking in packets: timers first, then the packet's flow, its place in the stream, and its protocol."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, indirect_call, kernel
from pipeline.decode import arp, copies, holes, pairing, streams
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode.assembly import front, set_aside
from pipeline.decode.bytes import be16
from pipeline.decode.disorder import is_due
from pipeline.decode.flows import add_flow, find_flow
from pipeline.decode.fragments import add_fragment
from pipeline.decode.link import FRAGMENT, SKIPPED, parse_packet, parse_transport
from pipeline.decode.pdu import set_context, timeout_record
from pipeline.decode.ports import BEGINNINGS
from pipeline.decode.state import Memory, Packets
from schemas.codes import Anomaly, Protocol, Transport

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Bytes = NDArray[np.uint8]

_TCP, _ARP = int(Transport.TCP), int(Protocol.ARP)
_FRAGMENTED = int(Anomaly.FRAGMENTED)
_PROBES = 8  # segments of a flow on an unknown port that are tried for the shape of a protocol
call = indirect_call()


@kernel()
def datagram_is_copy(data: Bytes, w: Row, flow: Rows, k: int) -> bool:
    """Whether this datagram is the mirror's second copy: same IP id and bytes within 50 ms of the first.

    Where the sender does not number its datagrams (RFC 6864 4.1, and IPv6), a client may well say the same twice: then
    a copy is only what follows before the other end has spoken.
    """
    base = c.F_DIR + w[c.G_DIR] * c.DIRECTION
    other = c.F_DIR + (1 - w[c.G_DIR]) * c.DIRECTION
    digest = copies.digest(data, w[c.G_OFF], w[c.G_LEN], w[c.C_KEY] ^ w[c.G_IPID])
    since = flow[k, base + c.D_DIGEST_TS]
    same = flow[k, base + c.D_DIGEST] == digest and w[c.G_TS] - since <= c.MIRROR_NS
    if same and (w[c.G_IPID] != 0 or flow[k, other + c.D_DIGEST_TS] <= since):
        return True
    flow[k, base + c.D_DIGEST] = digest
    flow[k, base + c.D_DIGEST_TS] = w[c.G_TS]
    return False


@kernel()
def recognise(flow: Rows, k: int, p: int) -> int:
    """A flow on an unknown port whose bytes have the shape of protocol p."""
    if flow[k, c.F_STATE] > 0:  # earlier segments were not followed
        for direction in range(2):
            flow[k, c.F_DIR + direction * c.DIRECTION + c.D_NEXT] = -1
    flow[k, c.F_PROTOCOL] = p
    flow[k, c.F_FLAGS] |= c.FLOW_BY_SHAPE
    flow[k, c.F_STATE] = 0
    return 0


@kernel(inline=True)
def next_packet(packets: Packets, m: Memory, w: Row) -> int:
    """Read the next packet into the segment row.

    Returns:
        TAKEN: a TCP or UDP payload of the flow in G_FLOW; EMIT: a request expired first, or the packet is a record by
        itself; AGAIN: nothing to take; or what the caller has to provide.
    """
    i = w[c.C_NEXT] & c.INDEX
    if i >= w[c.C_N]:
        copies.seal(packets.data, m.said, m.fresh, w)
        return c.DONE
    ts = packets.ts[i]
    if ts > w[c.C_NOW]:
        w[c.C_NOW] = ts
    elif ts < w[c.C_NOW] - c.NANOSECONDS:
        return c.NEW_EPOCH
    if w[c.C_DEADLINE] <= w[c.C_NOW]:
        q = pairing.expire(m.pend, m.flow, w, w[c.C_NOW])
        if q >= 0:
            timeout_record(m.pend, q, m.flow, w, w[c.C_TIMEOUT])
            w[c.C_FLOW], w[c.C_DIR], w[c.C_ASKED], w[c.C_GAP] = w[c.G_FLOW], w[c.G_DIR], q, 0
            w[n.N_TIMEOUTS] += 1
            return c.EMIT
    if w[c.C_HOLE_HEAD] < w[c.C_HOLE_TAIL] and holes.give_up_in_time(m.flow, m.holes, w):
        return c.AGAIN
    if w[c.C_FLOWS] >= m.flow.shape[0]:
        copies.seal(packets.data, m.said, m.fresh, w)
        return c.GROW_FLOWS
    w[c.C_NEXT] = i + 1
    w[n.N_PACKETS] += 1
    w[n.N_BYTES] += packets.original[i]
    w[c.G_TS] = ts
    w[c.G_PACKET] = w[c.C_FIRST_PACKET] + i
    start = packets.offset[i]
    kind = parse_packet(packets.data, start, start + packets.captured[i], packets.original[i], packets.link[i], w)
    if kind == FRAGMENT:
        kind = join_fragment(packets.data, m, w)
        if kind < 0:
            return c.AGAIN
    if kind == SKIPPED:
        m.traffic[w[c.G_NAME]] += 1
        return c.EMIT if w[c.G_NAME] == _ARP and arp.announce(packets.data, m, w) else c.AGAIN
    k = find_flow(w, m.flow, m.places)
    if k < 0:
        k = add_flow(w, m.flow, m.places, m.ports)
        copies.forget(2 * k, m.said)
        copies.forget(2 * k + 1, m.said)
    k &= c.INDEX
    w[c.G_FLOW] = k
    m.flow[k, c.F_LAST_TS] = ts
    protocol = m.flow[k, c.F_PROTOCOL]
    m.traffic[(protocol if protocol > 0 else m.flow[k, c.F_NAME]) & 255] += 1
    return c.TAKEN


@kernel()
def join_fragment(data: Bytes, m: Memory, w: Row) -> int:
    """Keep an IP fragment; the transport header of the datagram that it completes, -1 while it completes none."""
    whole = add_fragment(data, w, m.fragments, m.held, m.chunks, m.links, m.datagram)
    if whole == 0:
        return -1
    copies.seal(data, m.said, m.fresh, w)  # the datagram's payload may be a copy, and lies elsewhere
    kind = parse_transport(m.datagram, 0, whole, 0, w)
    w[c.G_BUF] = c.BUF_DATAGRAM
    w[c.G_ANOMALY] |= _FRAGMENTED
    return int(kind)


@kernel(inline=True)
def follow_tcp(m: Memory, w: Row) -> int:
    """Numbering and acknowledgement of a TCP segment: AGAIN when something older comes first, else TAKEN.

    A SYN beside FIN or RST opens nothing (RFC 9293 3.10.7): it is an attack on the reader, or noise.
    """
    k, direction, flags = w[c.G_FLOW] & c.INDEX, w[c.G_DIR] & 1, w[c.G_TCP]
    other = c.F_DIR + (1 - direction) * c.DIRECTION
    if flags & (streams.SYN | streams.FIN | streams.RST) == streams.SYN:
        streams.open_connection(w, m.flow, k, m.held, m.links, m.said)
    if flags & streams.ACK:
        acked = m.flow[k, other + c.D_ACKED]
        if acked < 0 or streams.after(w[c.G_ACK], acked) > 0:
            m.flow[k, other + c.D_ACKED] = w[c.G_ACK]
        says = i64(w[c.G_LEN] > 0)
        if m.flow[k, other + c.D_HELD] >= 0 and holes.is_lost(w, m.flow, k, 1 - direction, m.held, says):
            # what the peer acknowledged came before what it says now
            set_aside(w, i64(c.STAGE_TCP))
            holes.give_up(w, m.flow, k, 1 - direction)
            return c.AGAIN
    return c.TAKEN


@kernel()
def may_begin(data: Bytes, at: int, size: int, protocol: int) -> bool:
    """Whether data[at:] begins as a PDU of the protocol may: a look before its kernels are loaded, or called."""
    mask = BEGINNINGS[protocol, 0]
    return bool(mask == 0 or (size >= 2 and be16(data, at) & mask == BEGINNINGS[protocol, 1]))


@kernel()
def find_shape(data: Bytes, m: Memory, w: Row) -> int:
    """The protocol whose shape the payload has, 0 for none; after some segments without one the flow is ignored."""
    k, at = w[c.G_FLOW], w[c.G_OFF]
    for p in range(1, c.PROTOCOLS):
        if (w[c.C_LOADED] >> p) & 1 and may_begin(data, at, w[c.G_LEN], p):
            set_context(w, m.flow, k, w[c.G_DIR], 1)
            if call(w[c.FRAMES_AT + p], data, at, at + w[c.G_LEN], w) > 0:
                recognise(m.flow, k, p)
                return p
    w[n.N_UNKNOWN] += 1
    m.flow[k, c.F_STATE] += 1
    if m.flow[k, c.F_STATE] >= _PROBES:
        m.flow[k, c.F_PROTOCOL] = c.IGNORED
    return 0


@kernel(inline=True)
def protocol_of(data: Bytes, m: Memory, w: Row) -> int:
    """The protocol of the segment's flow; 0 or less when there is none, or it has to be loaded first (C_NEED)."""
    protocol = m.flow[w[c.G_FLOW] & c.INDEX, c.F_PROTOCOL]
    w[c.C_NEED] = 0
    missing = w[c.C_REGISTERED] & ~w[c.C_LOADED]
    if protocol == c.UNDECIDED:
        for p in range(1, c.PROTOCOLS if missing else 0):
            if (missing >> p) & 1 and may_begin(data, w[c.G_OFF], w[c.G_LEN], p):
                w[c.C_NEED] = p
                return 0
        return int(find_shape(data, m, w))
    if protocol == c.IGNORED:
        w[n.N_UNKNOWN] += 1
    elif (missing >> protocol) & 1:
        w[c.C_NEED] = protocol
        return 0
    return int(protocol)


@kernel(inline=True)
def take_up(data: Bytes, m: Memory, w: Row, stage: int) -> int:
    """Put the payload of the segment row at hand, as far as it is new and in order.

    `stage` says how far a segment that was set aside had come.  Returns AGAIN or LOAD_PROTOCOL.
    """
    flow = m.flow
    k, direction = w[c.G_FLOW] & c.INDEX, w[c.G_DIR] & 1
    base = c.F_DIR + direction * c.DIRECTION
    is_tcp = w[c.G_TRANSPORT] == _TCP
    if is_tcp and stage == c.STAGE_NEW and follow_tcp(m, w) == c.AGAIN:
        return c.AGAIN
    if is_tcp and stage != c.STAGE_ACCEPTED and w[c.G_TCP] & streams.RST:
        streams.forget_direction(flow, k, i64(0), m.held, m.links, m.said, w)
        streams.forget_direction(flow, k, i64(1), m.held, m.links, m.said, w)
        return c.AGAIN
    payload = w[c.G_LEN] + w[c.G_MISSING]
    if payload <= 0:
        w[n.N_EMPTY] += 1
        closing = is_tcp and w[c.G_TCP] & streams.FIN and flow[k, base + c.D_LEFT_LEN] > 0
        if not closing or w[c.G_SEQ] != flow[k, base + c.D_NEXT]:
            return c.AGAIN
    protocol = protocol_of(data, m, w)
    if protocol <= 0:
        if w[c.C_NEED] == 0:
            return c.AGAIN
        set_aside(w, i64(max(stage, c.STAGE_TCP)))
        return c.LOAD_PROTOCOL
    w[c.C_FLOW] = k
    w[c.C_DIR] = direction
    w[c.C_FRONT] = 0
    w[c.C_FINAL] = 0
    if not is_tcp:
        if datagram_is_copy(data, w, flow, k):
            w[n.N_DATAGRAM_COPY] += 1
            return c.AGAIN
    elif payload > 0:
        if stage != c.STAGE_ACCEPTED:
            if w[c.G_SEQ] != flow[k, base + c.D_NEXT] and not is_due(data, m, w):
                return c.AGAIN
            if flow[k, base + c.D_HELD] >= 0:
                streams.compare_held(data, w, flow, k, base, m.held, m.chunks, m.links)
            flow[k, base + c.D_NEXT] = (w[c.G_SEQ] + w[c.G_LEN] + w[c.G_MISSING]) & 0xFFFFFFFF
        w[c.C_LAST] = (w[c.G_SEQ] + w[c.G_LEN]) & 0xFFFFFFFF
        if w[c.G_TCP] & streams.FIN:
            w[c.C_FINAL] = 1
    w[c.C_WORK] = c.WORK_BYTES
    w[c.C_BUF] = w[c.G_BUF]
    w[c.C_POS] = w[c.G_OFF]
    w[c.C_END] = w[c.G_OFF] + w[c.G_LEN]
    if is_tcp and flow[k, base + c.D_LEFT_LEN] > 0:
        continue_pdu(data, m, w, protocol)
    return c.AGAIN


@kernel()
def continue_pdu(data: Bytes, m: Memory, w: Row, protocol: int) -> int:
    """A payload behind the kept beginning of a PDU: join them, unless the payload is a whole PDU by itself.

    In that case the kept bytes were no beginning of it: they stand alone, malformed, and the payload comes after.
    """
    k, direction = w[c.G_FLOW], w[c.G_DIR]
    base = c.F_DIR + direction * c.DIRECTION
    at, size = w[c.G_OFF], w[c.G_LEN]
    alone = i64(0)
    if size > 0 and m.flow[k, base + c.D_NEED] != m.flow[k, base + c.D_LEFT_LEN] + size:
        set_context(w, m.flow, k, direction, 1)
        alone = call(w[c.FRAMES_AT + protocol], data, at, at + size, w)
    if size == 0 or alone == size:
        if size > 0:
            set_aside(w, i64(c.STAGE_ACCEPTED))
        w[c.C_LAST] = w[c.G_SEQ]
        w[c.C_FINAL] = 1
        m.flow[k, base + c.D_NEED] = 0
        size = 0
    if not front(data, at, i64(size), m.flow, k, base, m.chunks, m.links, m.stream, w):
        w[c.C_WORK] = c.WORK_HELD
    return 0
