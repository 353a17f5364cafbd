"""Making and enlarging decode's state: plain arrays with free lists, started small, bounded."""

from __future__ import annotations

import secrets

import numpy as np
from numpy.typing import NDArray

from detectors.kernels.mix import mix
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode.arp import CLAIM, CLAIMS
from pipeline.decode.copies import FRESH, SAID
from pipeline.decode.flows import index_flows
from pipeline.decode.pairing import remove
from pipeline.decode.ports import port_table
from pipeline.decode.protocols import DECODERS
from pipeline.decode.state import Memory
from pipeline.decode.streams import forget_direction

_HELD = 1 << 14
_CHUNKS = 1 << 16
_FIRST_FLOWS = 1 << 10
_FIRST_PENDING = 1 << 10


def _chain(rows: NDArray[np.int64], column: int, first: int) -> None:
    """Link rows first … into a free list."""
    rows[first:, column] = np.arange(first + 1, len(rows) + 1)
    rows[-1, column] = -1


def make(site: str, vlan_scope: bool, timeout_ns: int, shard: int, boot: int) -> Memory:
    """Empty state."""
    ctl = np.zeros(c.WORK, np.int64)
    ctl[c.C_OLDEST : c.C_LATE_NEWEST + 1] = -1
    ctl[c.C_SEQ] = 1
    ctl[c.C_NOW] = np.iinfo(np.int64).min // 2
    ctl[c.C_TIMEOUT] = timeout_ns
    ctl[c.C_VLAN_SCOPE] = vlan_scope
    ctl[c.C_SITE] = site_hash(site)
    ctl[c.C_SHARD] = shard
    ctl[c.C_BOOT] = boot
    ctl[c.C_REGISTERED] = sum(1 << p for p in DECODERS)
    ctl[c.C_FREE_CHUNK_COUNT] = _CHUNKS
    ctl[c.C_KEY] = secrets.randbits(63)
    pend = np.zeros((_FIRST_PENDING, c.PENDING), np.int64)
    _chain(pend, c.Q_NEXT, 0)
    held = np.zeros((_HELD, c.HELD), np.int64)
    _chain(held, c.H_NEXT, 0)
    links = np.arange(1, _CHUNKS + 1)
    links[-1] = -1
    return Memory(
        w=ctl,
        traffic=np.zeros(256, np.int64),
        ports=port_table(),
        flow=np.zeros((_FIRST_FLOWS, c.FLOW), np.int64),
        places=np.zeros(4 * _FIRST_FLOWS, np.int64),
        pend=pend,
        held=held,
        chunks=np.zeros((_CHUNKS, c.CHUNK), np.uint8),
        links=links,
        holes=np.zeros((c.HOLES, 3), np.int64),
        said=np.zeros((2 * _FIRST_FLOWS, SAID), np.int64),
        fresh=np.zeros(FRESH, np.int64),
        fragments=np.zeros((c.FRAGMENTS, c.FRAGMENT), np.int64),
        datagram=np.zeros(1 << 16, np.uint8),
        stream=np.zeros(c.STREAM_BYTES, np.uint8),
        name_ids=np.zeros(2 * c.NAMES, np.int64),
        name_where=np.zeros((c.NAMES, 3), np.int64),
        name_text=np.zeros(c.NAME_BYTES, np.uint8),
        joins=np.zeros((c.JOINS, 8), np.int64),
        joined=np.zeros(1 << 17, np.uint8),
        text=np.zeros(c.TEXT, np.uint8),
        claims=np.zeros((CLAIMS, CLAIM), np.int64),
    )


def site_hash(site: str) -> int:
    """Seed of all device ids of a site, as int64."""
    h = np.uint64(0)
    data = site.encode()
    for at in range(0, len(data), 8):
        h = np.uint64(mix(h, np.uint64(int.from_bytes(data[at : at + 8], "little"))))
    return int(np.int64(h))


def grow_flows(memory: Memory) -> Memory:
    """Twice the flows, index rebuilt."""
    flow = np.zeros((2 * len(memory.flow), c.FLOW), np.int64)
    flow[: len(memory.flow)] = memory.flow
    index = np.zeros(4 * len(flow), np.int64)
    index_flows(flow, int(memory.w[c.C_FLOWS]), index)
    said = np.zeros((2 * len(flow), SAID), np.int64)
    said[: len(memory.said)] = memory.said
    return memory._replace(flow=flow, places=index, said=said)


def grow_pending(memory: Memory) -> Memory:
    """Twice the pending requests; called when none is free."""
    old = len(memory.pend)
    pend = np.zeros((2 * old, c.PENDING), np.int64)
    pend[:old] = memory.pend
    _chain(pend, c.Q_NEXT, old)
    memory.w[c.C_FREE_PENDING] = old
    return memory._replace(pend=pend)


def forget_flows(memory: Memory) -> int:
    """Drop all flows, requests and held bytes: a new epoch.  Returns how many requests were open."""
    w = memory.w
    flow = memory.flow[: int(w[c.C_FLOWS])]
    for direction in range(2):
        base = c.F_DIR + direction * c.DIRECTION
        w[n.N_INCOMPLETE] += flow[:, base + c.D_LEFT_LEN].sum()
        w[n.N_HELD_LOST] += flow[:, base + c.D_HELD_BYTES].sum()
    open_requests = 0
    q = int(w[c.C_OLDEST])
    while q >= 0:
        open_requests += 1
        q = int(memory.pend[q, c.Q_AFTER])
    _chain(memory.pend, c.Q_NEXT, 0)
    _chain(memory.held, c.H_NEXT, 0)
    memory.links[:] = np.arange(1, len(memory.links) + 1)
    memory.links[-1] = -1
    memory.places[:] = 0
    memory.fragments[:] = 0
    w[c.C_OLDEST : c.C_LATE_NEWEST + 1] = -1
    for column in (c.C_FREE_PENDING, c.C_FREE_CHUNK, c.C_FREE_HELD, c.C_FLOWS, c.C_HOLE_HEAD, c.C_HOLE_TAIL):
        w[column] = 0
    memory.said[:, 1] = 0
    w[c.C_FRESH] = w[c.C_HAND] = 0
    w[c.C_FREE_CHUNK_COUNT] = len(memory.links)
    w[n.N_UNJOINED] += memory.joins[:, c.T_LENGTH].sum()
    memory.joins[:] = 0
    w[c.NOTES_AT : c.NOTES_AT + c.NOTES * c.NOTE] = 0
    w[c.C_WORK] = w[c.C_ASIDE] = w[c.C_DEADLINE] = w[c.C_PART] = w[c.C_JOINS] = 0
    return open_requests


def forget_silent(memory: Memory) -> int:
    """Drop the half of the flows that were silent longest; returns how many.

    The driver asks for room only between packets, so nothing is at work on a flow here.
    """
    w, flow = memory.w, memory.flow
    count = int(w[c.C_FLOWS])
    order = np.argsort(flow[:count, c.F_LAST_TS], kind="stable")
    drop = np.sort(order[: count // 2])
    for direction in range(2):
        base = c.F_DIR + direction * c.DIRECTION
        keeps_bytes = (flow[drop, base + c.D_LEFT] >= 0) | (flow[drop, base + c.D_HELD] >= 0)
        for k in drop[keeps_bytes]:
            forget_direction(flow, int(k), direction, memory.held, memory.links, memory.said, w)
    gone = np.zeros(count, np.bool_)
    gone[drop] = True
    _forget_requests(memory, gone)
    keep = np.flatnonzero(~gone)
    place = np.full(count, -1)
    place[keep] = np.arange(len(keep))
    flow[: len(keep)] = flow[keep]
    said = memory.said.reshape(-1, 2, SAID)
    said[: len(keep)] = said[keep]
    memory.pend[:, c.Q_FLOW] = np.maximum(place[np.minimum(memory.pend[:, c.Q_FLOW], count - 1)], 0)
    holes = memory.holes
    holes[:, 0] = place[np.minimum(holes[:, 0], count - 1)]
    holes[holes[:, 0] < 0] = (0, 0, -1)  # a time that no direction has: stale
    w[c.C_FLOWS] = len(keep)
    memory.places[:] = 0
    index_flows(flow, len(keep), memory.places)
    return len(drop)


def _forget_requests(memory: Memory, gone: NDArray[np.bool_]) -> None:
    """Drop the open and the late requests of flows that are gone."""
    for column in (c.C_OLDEST, c.C_LATE_OLDEST):
        q = int(memory.w[column])
        while q >= 0:
            following = int(memory.pend[q, c.Q_AFTER])
            if gone[memory.pend[q, c.Q_FLOW]]:
                memory.w[n.N_OPEN] += column == c.C_OLDEST
                remove(memory.pend, memory.flow, memory.w, q)
            q = following
