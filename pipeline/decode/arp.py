"""ARP: who says on the link that an address is its own (RFC 826), as records of Kind.ANNOUNCE.

Requests and replies say it alike.  A probe (RFC 5227 2.1.1) comes from no address, and says nothing.  What is said
again makes no record until `REPEAT_NS` later, and a second has `CLAIMS_PER_SECOND` records at most: a flood costs no
more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from detectors.kernels.mix import mix
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, be32, be48, u8
from pipeline.decode.flows import device_hash
from pipeline.decode.link import mapped
from pipeline.decode.pdu import clear
from pipeline.decode.state import Memory
from schemas.codes import Kind, Protocol, RecordFlag, Transport

Row = NDArray[np.int64]

CLAIMS = 4096
"""Addresses whose last claim is remembered, each in the one place that its hash gives."""
(A_KEY, A_MAC, A_TS) = range(3)
CLAIM = 3
REPEAT_NS = 10 * c.NANOSECONDS
CLAIMS_PER_SECOND = 256

_ARP, _ETHERNET = int(Protocol.ARP), int(Transport.ETHERNET)
_ANNOUNCE, _BROADCAST = int(Kind.ANNOUNCE), int(RecordFlag.BROADCAST)
_SIZE = 28
_EVERYBODY = 0xFFFFFFFFFFFF


@kernel()
def is_claim(data: Bytes, at: int, end: int) -> bool:
    """Whether a request or reply for IPv4 over Ethernet lies at `at`, whose sender has an address of a host."""
    if at + _SIZE > end or be32(data, at) != 0x00010800 or be16(data, at + 4) != 0x0604:
        return False
    operation, first = be16(data, at + 6), u8(data, at + 14)
    return bool(1 <= operation <= 2 and be48(data, at + 8) != 0 and first not in (0, 127) and first < 224)


@kernel()
def is_repeated(claims: NDArray[np.int64], key: int, mac: int, ts: int) -> bool:
    """Whether this is what was told last of the address, less than `REPEAT_NS` before."""
    place = key & (CLAIMS - 1)
    since = ts - claims[place, A_TS]
    return bool(claims[place, A_KEY] == key and claims[place, A_MAC] == mac and 0 <= since < REPEAT_NS)


@kernel()
def is_within_bound(w: Row) -> bool:
    """Whether the second of the packet has room for a further record; counted."""
    second = w[c.G_TS] // c.NANOSECONDS
    if w[c.C_CLAIMS_AT] != second:
        w[c.C_CLAIMS_AT], w[c.C_CLAIMS] = second, 0
    w[c.C_CLAIMS] += 1
    return bool(w[c.C_CLAIMS] <= CLAIMS_PER_SECOND)


@kernel()
def announce(data: Bytes, m: Memory, w: Row) -> bool:
    """Fill scratch and segment with the record of the ARP packet at G_L4_OFF; False where it gives none, counted.

    The sender's addresses are those that it claims; the device is whose address that is.  Before the first record of
    the input nothing is told, so that a capture without an industrial protocol has no records, and learning starts
    with the first of those.
    """
    at = w[c.G_L4_OFF]
    if w[c.C_SEQ] == 1 or not is_claim(data, at, w[c.G_L4_END]):
        w[n.N_NOT_IP] += 1
        return False
    vlan = w[c.G_VLAN] if w[c.C_VLAN_SCOPE] else 0
    address, mac = mapped(data, at + 14), be48(data, at + 8)
    device = device_hash(w[c.C_SITE], i64(0), address, i64(vlan))
    key = i64(mix(np.uint64(device), np.uint64(w[c.G_VLAN])))
    if is_repeated(m.claims, key, mac, w[c.G_TS]):
        w[n.N_NOT_IP] += 1
        return False
    if not is_within_bound(w):
        w[n.N_CLAIMS_LOST] += 1
        return False
    place = key & (CLAIMS - 1)
    m.claims[place, A_KEY], m.claims[place, A_MAC], m.claims[place, A_TS] = key, mac, w[c.G_TS]
    clear(w)
    w[c.G_SRC_HI] = w[c.G_DST_HI] = w[c.G_SPORT] = w[c.G_DPORT] = 0
    w[c.G_SRC_LO], w[c.G_DST_LO] = address, mapped(data, at + 24)
    w[c.G_SMAC] = mac
    w[c.G_TRANSPORT] = _ETHERNET
    w[c.S_KIND], w[c.S_FUNC], w[c.S_LENGTH] = _ANNOUNCE, be16(data, at + 6), _SIZE
    w[c.S_FLAGS] = _BROADCAST if w[c.G_DMAC] == _EVERYBODY else 0
    k = w[c.C_FLOWS] & c.INDEX  # the first row that no flow has: `next_packet` sees to one
    m.flow[k, c.F_HASH] = i64(mix(mix(np.uint64(device), np.uint64(w[c.G_DST_LO])), np.uint64(_ARP)))
    m.flow[k, c.F_DEVICE] = device
    m.flow[k, c.F_PROTOCOL] = _ARP
    m.flow[k, c.F_CLIENT] = 1
    w[c.C_FLOW], w[c.C_DIR], w[c.C_ASKED], w[c.C_GAP], w[c.C_JOINED] = k, 0, -1, 0, 0
    return True
