"""Flows: both directions of a 5-tuple, in an open-addressing table of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from detectors.kernels.mix import mix
from pipeline.decode import counters as n
from pipeline.decode import layout as c

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Ports = NDArray[np.uint8]

_K1 = i64(-7046029254386353131)
_K2 = i64(-4658895280553007687)
_K3 = i64(-2960836687051489901)
_LOW = i64(0x7FFFFFFF)
_TCP = 1
_SYN, _ACK = 2, 16


@kernel(inline=True)
def table_hash(a_hi: int, a_lo: int, b_hi: int, b_lo: int, ports: int, vlan: int) -> int:
    """Non-negative hash for the table alone; what is published is made by `mix`."""
    # Independent products, which the processor overlaps; the high halves come down before the last.
    h = ((a_lo ^ (a_hi * _K3)) * _K1) ^ ((b_lo ^ (b_hi * _K3)) * _K2) ^ ((ports ^ (vlan << 40)) * _K3)
    h = (h ^ (h >> 32)) * _K1
    return (h ^ (h >> 32)) & 0x7FFFFFFFFFFFFFFF


@kernel(inline=True)
def a_is_source(w: Row) -> int:
    """1 where the sender is the flow's lesser endpoint, else 0; no branch, as it changes from packet to packet."""
    s_hi, s_lo, d_hi, d_lo = w[c.G_SRC_HI], w[c.G_SRC_LO], w[c.G_DST_HI], w[c.G_DST_LO]
    ports = i64(w[c.G_SPORT] <= w[c.G_DPORT])
    low = i64(s_lo < d_lo) | (i64(s_lo == d_lo) & ports)
    return int(i64(s_hi < d_hi) | (i64(s_hi == d_hi) & low))


@kernel(inline=True)
def find_flow(w: Row, flow: Rows, index: Row) -> int:
    """Row of the segment's flow, set in G_FLOW with its direction in G_DIR; -1 when it is new.

    Leaves the place for a new one in C_NEED.
    """
    vlan = w[c.G_VLAN] if w[c.C_VLAN_SCOPE] else 0
    from_a = a_is_source(w)
    swap = from_a - 1  # all bits where the sender is the greater endpoint
    w[c.G_DIR] = 1 - from_a
    hi, lo = (w[c.G_SRC_HI] ^ w[c.G_DST_HI]) & swap, (w[c.G_SRC_LO] ^ w[c.G_DST_LO]) & swap
    a_hi, a_lo, b_hi, b_lo = w[c.G_SRC_HI] ^ hi, w[c.G_SRC_LO] ^ lo, w[c.G_DST_HI] ^ hi, w[c.G_DST_LO] ^ lo
    port = (w[c.G_SPORT] ^ w[c.G_DPORT]) & swap
    ports = ((w[c.G_SPORT] ^ port) << 20) | ((w[c.G_DPORT] ^ port) << 4) | w[c.G_TRANSPORT]
    h = table_hash(a_hi, a_lo, b_hi, b_lo, ports, vlan)
    mask = index.size - 1
    at = h & mask
    tag = (h >> 32) & _LOW
    while True:
        entry = index[at]
        if entry == 0:
            w[c.C_NEED] = at
            return -1
        if entry >> 32 == tag:
            k = (entry & 0xFFFFFFFF) - 1
            if (
                flow[k, c.F_A_LO] == a_lo
                and flow[k, c.F_B_LO] == b_lo
                and flow[k, c.F_PORTS] == ports
                and flow[k, c.F_A_HI] == a_hi
                and flow[k, c.F_B_HI] == b_hi
                and flow[k, c.F_VLAN] == vlan
            ):
                return int(k)
        at = (at + 1) & mask


@kernel(inline=True)
def server_sends(w: Row) -> bool:
    """Which end serves where both ports are known, by the handshake, else by the lower port."""
    if w[c.G_TRANSPORT] == _TCP and w[c.G_TCP] & _SYN:
        return bool(w[c.G_TCP] & _ACK)
    return bool(w[c.G_SPORT] < w[c.G_DPORT])


@kernel()
def other_protocol(flow: Rows, k: int, ports: Ports) -> int:
    """The protocol of the flow's other known port, once; 0 for none."""
    if not flow[k, c.F_FLAGS] & c.FLOW_TWO_PORTS:
        return 0
    flow[k, c.F_FLAGS] &= ~c.FLOW_TWO_PORTS
    table = (flow[k, c.F_PORTS] & 15) - 1
    low, high = i64(ports[table, flow[k, c.F_PORTS] >> 20]), i64(ports[table, (flow[k, c.F_PORTS] >> 4) & 0xFFFF])
    return high if low == flow[k, c.F_PROTOCOL] else low


@kernel()
def add_flow(w: Row, flow: Rows, index: Row, ports: Ports) -> int:
    """Put a new flow at the place that `find_flow` left; the caller has made sure that there is room.

    `ports` has four rows of 65,536: protocols decoded on TCP and UDP ports, then names of those merely counted.
    """
    k = w[c.C_FLOWS]
    w[c.C_FLOWS] = k + 1
    w[n.N_FLOWS] += 1
    flow[k, :] = 0
    source, target = 0, 1
    if w[c.G_DIR] == 1:
        source, target = 1, 0
    for end in range(2):
        hi, lo = (w[c.G_SRC_HI], w[c.G_SRC_LO]) if end == source else (w[c.G_DST_HI], w[c.G_DST_LO])
        flow[k, c.F_A_HI + 2 * end] = hi
        flow[k, c.F_A_LO + 2 * end] = lo
        base = c.F_DIR + end * c.DIRECTION
        flow[k, base + c.D_NEXT] = -1
        flow[k, base + c.D_LEFT] = -1
        flow[k, base + c.D_LEFT_TAIL] = -1
        flow[k, base + c.D_HELD] = -1
        flow[k, base + c.D_ACKED] = -1
    low, high = (w[c.G_SPORT], w[c.G_DPORT]) if source == 0 else (w[c.G_DPORT], w[c.G_SPORT])
    flow[k, c.F_PORTS] = (low << 20) | (high << 4) | w[c.G_TRANSPORT]
    flow[k, c.F_VLAN] = w[c.G_VLAN] if w[c.C_VLAN_SCOPE] else 0
    flow[k, c.F_CLIENT] = -1
    flow[k, c.F_PENDING] = -1
    flow[k, c.F_LAST_TXN] = -1
    table = w[c.G_TRANSPORT] - 1
    by_target = i64(ports[table, w[c.G_DPORT]])
    by_source = i64(ports[table, w[c.G_SPORT]])
    if by_target != 0 and by_source != 0 and by_target != by_source:
        server = source if server_sends(w) else target
        flow[k, c.F_PROTOCOL] = by_source if server == source else by_target
        flow[k, c.F_FLAGS] = c.FLOW_TWO_PORTS
        set_client(flow, k, 1 - server, c.HOW_PORT, w)
    elif by_target != 0 and by_source == 0:
        flow[k, c.F_PROTOCOL] = by_target
        set_client(flow, k, source, c.HOW_PORT, w)
    elif by_source != 0:
        flow[k, c.F_PROTOCOL] = by_source
        if by_target == 0:
            set_client(flow, k, target, c.HOW_PORT, w)
    flow[k, c.F_NAME] = max(i64(ports[2 + table, w[c.G_DPORT]]), i64(ports[2 + table, w[c.G_SPORT]]))
    name_flow(flow, k)
    h = table_hash(
        flow[k, c.F_A_HI],
        flow[k, c.F_A_LO],
        flow[k, c.F_B_HI],
        flow[k, c.F_B_LO],
        flow[k, c.F_PORTS],
        flow[k, c.F_VLAN],
    )
    index[w[c.C_NEED]] = (((h >> 32) & _LOW) << 32) | (k + 1)
    return int(k)


@kernel()
def name_flow(flow: Rows, k: int) -> int:
    """Publish the flow's id: hash of 5-tuple, VLAN scope and connection counter."""
    h = np.uint64(0)
    for column in (c.F_A_HI, c.F_A_LO, c.F_B_HI, c.F_B_LO, c.F_PORTS, c.F_VLAN, c.F_CONNECTION):
        h = mix(h, np.uint64(flow[k, column]))
    flow[k, c.F_HASH] = i64(h)
    return 0


@kernel()
def device_hash(site: int, hi: int, lo: int, vlan: int) -> int:
    """Id of a device: hash of site, address and VLAN scope, as int64 bits."""
    h = mix(np.uint64(site), np.uint64(hi))
    h = mix(h, np.uint64(lo))
    return i64(mix(h, np.uint64(vlan)))


@kernel()
def set_client(flow: Rows, k: int, client: int, how: int, w: Row) -> int:
    """Note which end is the client; the other end is the device."""
    flow[k, c.F_CLIENT] = client
    flow[k, c.F_CLIENT_HOW] = how
    server = 1 - client
    hi, lo = flow[k, c.F_A_HI + 2 * server], flow[k, c.F_A_LO + 2 * server]
    flow[k, c.F_DEVICE] = device_hash(w[c.C_SITE], hi, lo, flow[k, c.F_VLAN])
    return 0


@kernel()
def index_flows(flow: Rows, count: int, index: Row) -> int:
    """Fill an empty index with the first `count` flows."""
    mask = index.size - 1
    for k in range(count):
        h = table_hash(
            flow[k, c.F_A_HI],
            flow[k, c.F_A_LO],
            flow[k, c.F_B_HI],
            flow[k, c.F_B_LO],
            flow[k, c.F_PORTS],
            flow[k, c.F_VLAN],
        )
        at = h & mask
        while index[at] != 0:
            at = (at + 1) & mask
        index[at] = (((h >> 32) & _LOW) << 32) | (k + 1)
    return 0


@kernel()
def turn(w: Row, flow: Rows, k: int, direction: int) -> int:
    """Write the addresses of one direction of a flow into the segment row."""
    a = c.F_A_HI + 2 * direction
    b = c.F_A_HI + 2 * (1 - direction)
    w[c.G_SRC_HI] = flow[k, a]
    w[c.G_SRC_LO] = flow[k, a + 1]
    w[c.G_DST_HI] = flow[k, b]
    w[c.G_DST_LO] = flow[k, b + 1]
    ports = flow[k, c.F_PORTS]
    low, high = (ports >> 20) & 0xFFFF, (ports >> 4) & 0xFFFF
    w[c.G_SPORT] = low if direction == 0 else high
    w[c.G_DPORT] = high if direction == 0 else low
    w[c.G_TRANSPORT] = ports & 15
    w[c.G_FLOW] = k
    w[c.G_DIR] = direction
    return 0
