"""From a packet's bytes to its transport payload: link layer, VLANs, IP, TCP, UDP, mirror encapsulations.

`parse_packet` fills one segment row and says what it is.  Whatever it skips is counted by reason.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, be32, be48, be64, le32, le64, u8
from schemas.codes import Protocol, Transport

Row = NDArray[np.int64]

LINKS: dict[int, str] = {
    0: "BSD loopback",
    1: "Ethernet",
    12: "raw IP",
    14: "raw IP",
    101: "raw IP",
    108: "OpenBSD loopback",
    113: "Linux cooked",
    228: "raw IPv4",
    229: "raw IPv6",
    276: "Linux cooked v2",
}
"""Link types that are read, by tcpdump's LINKTYPE number."""

SKIPPED, SEGMENT, FRAGMENT = 0, 1, 2

_TCP = int(Transport.TCP)
_UDP = int(Transport.UDP)
_TRUNCATED = 1 << 32  # Anomaly.TRUNCATED
_ARP, _ICMP, _IGMP, _LLDP, _STP, _GOOSE, _SV, _PROFINET, _ETHERCAT, _PTP = (
    int(p)
    for p in (
        Protocol.ARP,
        Protocol.ICMP,
        Protocol.IGMP,
        Protocol.LLDP,
        Protocol.STP,
        Protocol.GOOSE,
        Protocol.SAMPLED_VALUES,
        Protocol.PROFINET,
        Protocol.ETHERCAT,
        Protocol.PTP,
    )
)
_DEPTH = 4
_MAC = 0xFFFFFFFFFFFF


@kernel(inline=True)
def mapped(data: Bytes, at: int) -> int:
    """The last eight bytes of an IPv4-mapped address, as they lie in memory."""
    return (le32(data, at) << 32) | 0xFFFF0000


@kernel()
def name_of_ethertype(ethertype: int) -> int:
    """Protocol number of an Ethernet type that is not IP, 0 for one without a name here."""
    if ethertype == 0x0806:
        return _ARP
    if ethertype == 0x88CC:
        return _LLDP
    if ethertype == 0x88B8:
        return _GOOSE
    if ethertype == 0x88BA:
        return _SV
    if ethertype == 0x8892:
        return _PROFINET
    if ethertype == 0x88A4:
        return _ETHERCAT
    if ethertype == 0x88F7:
        return _PTP
    if ethertype < 1536:
        return _STP
    return 0


@kernel()
def _behind_extensions(data: Bytes, at: int, stop: int, w: Row) -> int:
    """Offset behind the extension headers (RFC 8200 4, RFC 4302, RFC 6275) whose first is of type G_L4; -1 cut short.

    G_L4 becomes the type of what follows.  Behind the header of a fragment (G_FRAG, G_MORE) lies its piece.
    """
    for _ in range(16):
        kind = w[c.G_L4]
        if kind != 0 and kind != 43 and kind != 44 and kind != 51 and kind != 60 and kind != 135:
            break
        if at + 8 > stop:
            return -1
        skip = 8
        if kind == 51:
            skip = (u8(data, at + 1) + 2) * 4
        elif kind == 44:
            offset = be16(data, at + 2)
            w[c.G_FRAG] = offset & 0xFFF8
            w[c.G_MORE] = offset & 1
            w[c.G_IPID] = be32(data, at + 4)
        else:
            skip = (u8(data, at + 1) + 1) * 8
        w[c.G_L4] = u8(data, at)
        at += skip
        if w[c.G_FRAG] | w[c.G_MORE]:
            break
    return at if at <= stop else -1


@kernel()
def _into_datagram(data: Bytes, end: int, w: Row) -> int:
    """Offset of TCP or UDP in a datagram joined from fragments, which may begin with extension headers; -1 for none."""
    w[c.G_FRAG] = 0
    w[c.G_MORE] = 0
    at = _behind_extensions(data, 0, end, w)
    return -1 if w[c.G_FRAG] | w[c.G_MORE] else at


@kernel(inline=True)
def parse_transport(data: Bytes, at: int, end: int, missing: int, w: Row) -> int:
    """TCP or UDP header at `at`; the IP payload ends at `end`, and `missing` more bytes were on the wire."""
    protocol = w[c.G_L4]
    if protocol != 6 and protocol != 17 and w[c.G_SRC_HI] != 0 and at == 0:
        at = _into_datagram(data, end, w)  # only a joined datagram starts at 0
        protocol = w[c.G_L4]
        if at < 0:
            w[n.N_BAD_IP] += 1
            return SKIPPED
    if protocol == 6:
        if at + 20 > end:
            w[n.N_SHORT_L4] += 1
            return SKIPPED
        header = (u8(data, at + 12) >> 4) * 4
        if header < 20:
            w[n.N_BAD_L4] += 1
            return SKIPPED
        if at + header > end:
            w[n.N_SHORT_L4] += 1
            return SKIPPED
        w[c.G_TRANSPORT] = _TCP
        w[c.G_SEQ] = be32(data, at + 4)
        w[c.G_ACK] = be32(data, at + 8)
        w[c.G_TCP] = u8(data, at + 13)
        w[c.G_LEN] = end - at - header
        w[c.G_OFF] = at + header
    elif protocol == 17:
        if at + 8 > end:
            w[n.N_SHORT_L4] += 1
            return SKIPPED
        length = be16(data, at + 4)
        if length != 0 and length < 8:
            w[n.N_BAD_L4] += 1
            return SKIPPED
        if length != 0 and at + length < end:
            end = at + length
        w[c.G_TRANSPORT] = _UDP
        w[c.G_SEQ] = 0
        w[c.G_ACK] = 0
        w[c.G_TCP] = 0
        w[c.G_LEN] = end - at - 8
        w[c.G_OFF] = at + 8
    else:
        if protocol == 1 or protocol == 58:
            w[c.G_NAME] = _ICMP
        elif protocol == 2:
            w[c.G_NAME] = _IGMP
        w[n.N_IPSEC if protocol == 50 else n.N_OTHER_IP] += 1
        return SKIPPED
    w[c.G_SPORT] = be16(data, at)
    w[c.G_DPORT] = be16(data, at + 2)
    w[c.G_MISSING] = missing
    if missing > 0:
        w[c.G_ANOMALY] |= _TRUNCATED
        w[n.N_CUT] += 1
    return SEGMENT


@kernel(inline=True)
def _ip4(data: Bytes, at: int, end: int, cut: int, w: Row) -> int:
    """IPv4 header; fills addresses and the bounds of its payload."""
    if at + 20 > end:
        w[n.N_SHORT_IP] += 1
        return SKIPPED
    header = (u8(data, at) & 15) * 4
    total = be16(data, at + 2)
    if total == 0:  # left zero by segmentation offload
        total = end - at + cut
    if u8(data, at) >> 4 != 4 or header < 20 or total < header:
        w[n.N_BAD_IP] += 1
        return SKIPPED
    if at + header > end:
        w[n.N_SHORT_IP] += 1
        return SKIPPED
    w[c.G_SRC_HI] = 0
    w[c.G_SRC_LO] = mapped(data, at + 12)
    w[c.G_DST_HI] = 0
    w[c.G_DST_LO] = mapped(data, at + 16)
    w[c.G_IPID] = be16(data, at + 4)
    w[c.G_L4] = u8(data, at + 9)
    fragment = be16(data, at + 6)
    w[c.G_FRAG] = (fragment & 0x1FFF) * 8
    w[c.G_MORE] = (fragment >> 13) & 1
    w[c.G_L4_OFF] = at + header
    stop = at + total
    w[c.G_MISSING] = min(stop - end, cut) if stop > end else 0  # a length beyond the wire lies
    w[c.G_L4_END] = end if stop > end else stop
    return FRAGMENT if fragment & 0x3FFF else SEGMENT


@kernel()
def _ip6(data: Bytes, at: int, end: int, cut: int, w: Row) -> int:
    """IPv6 header and its extension headers (RFC 8200)."""
    if at + 40 > end:
        w[n.N_SHORT_IP] += 1
        return SKIPPED
    payload = be16(data, at + 4)
    stop = at + 40 + payload if payload else end + cut
    w[c.G_SRC_HI] = le64(data, at + 8)
    w[c.G_SRC_LO] = le64(data, at + 16)
    w[c.G_DST_HI] = le64(data, at + 24)
    w[c.G_DST_LO] = le64(data, at + 32)
    w[c.G_MISSING] = min(stop - end, cut) if stop > end else 0  # a length beyond the wire lies
    w[c.G_L4_END] = min(stop, end)
    w[c.G_L4] = u8(data, at + 6)
    w[c.G_IPID] = 0
    at = _behind_extensions(data, at + 40, w[c.G_L4_END], w)
    if at < 0:
        w[n.N_SHORT_IP] += 1
        return SKIPPED
    w[c.G_L4_OFF] = at
    return FRAGMENT if w[c.G_FRAG] | w[c.G_MORE] else SEGMENT


@kernel()
def _mirror(data: Bytes, w: Row) -> int:
    """Offset of the inner Ethernet frame (IPv4: negative) of a mirror encapsulation, 0 where there is none.

    GRE with transparent Ethernet, ERSPAN types I to III (draft-foschiano-erspan), VXLAN (RFC 7348).
    """
    at, end = int(w[c.G_L4_OFF]), int(w[c.G_L4_END])
    if w[c.G_L4] == 47 and at + 4 <= end:
        flags = be16(data, at)
        kind = be16(data, at + 2)
        skip = 4
        for bit in (0x8000, 0x2000, 0x1000):
            if flags & bit:
                skip += 4
        if kind == 0x88BE:
            return at + skip + (8 if flags & 0x1000 else 0)
        if kind == 0x22EB:
            inner = at + skip + 12
            if inner <= end and u8(data, inner - 1) & 1:
                inner += 8
            return inner
        if kind == 0x6558:
            return at + skip
        if kind == 0x0800:
            return -(at + skip)
        return 0
    if w[c.G_L4] == 17 and at + 16 <= end and be16(data, at + 2) == 4789 and u8(data, at + 8) == 8:
        return at + 16
    return 0


@kernel(inline=True)
def _ethernet(data: Bytes, at: int, end: int, w: Row) -> int:
    """Ethernet header with its VLAN tags: offset behind it, -1 when cut short.  Leaves the type in G_FRAG."""
    if at + 14 > end:
        return -1
    w[c.G_DMAC] = (be64(data, at) >> 16) & _MAC
    w[c.G_SMAC] = (be64(data, at + 6) >> 16) & _MAC
    ethertype = be16(data, at + 12)
    at += 14
    vlan = 0
    for _ in range(_DEPTH):
        if ethertype != 0x8100 and ethertype != 0x88A8 and ethertype != 0x9100:
            break
        if at + 4 > end:
            return -1
        vlan = ((vlan & 0xFFFF) << 16) | (be16(data, at) & 0x0FFF)
        ethertype = be16(data, at + 2)
        at += 4
    w[c.G_VLAN] = vlan
    w[c.G_FRAG] = ethertype
    return at


@kernel()
def _cooked(data: Bytes, at: int, end: int, link: int, w: Row) -> int:
    """Headers of the other link types; same result as `_ethernet`."""
    if link == 113:
        if at + 16 > end:
            return -1
        w[c.G_SMAC] = be48(data, at + 6) if be16(data, at + 4) == 6 else 0
        w[c.G_FRAG] = be16(data, at + 14)
        at += 16
    elif link == 276:
        if at + 20 > end:
            return -1
        w[c.G_SMAC] = be48(data, at + 12) if u8(data, at + 11) == 6 else 0
        w[c.G_FRAG] = be16(data, at)
        at += 20
    else:
        if link == 0 or link == 108:
            at += 4
        if at >= end:
            return -1
        w[c.G_FRAG] = 0x86DD if u8(data, at) >> 4 == 6 else 0x0800
        return at
    vlan = 0
    for _ in range(_DEPTH):
        if w[c.G_FRAG] != 0x8100 and w[c.G_FRAG] != 0x88A8:
            break
        if at + 4 > end:
            return -1
        vlan = ((vlan & 0xFFFF) << 16) | (be16(data, at) & 0x0FFF)
        w[c.G_FRAG] = be16(data, at + 2)
        at += 4
    w[c.G_VLAN] = vlan
    return at


@kernel(inline=True)
def parse_packet(data: Bytes, start: int, end: int, wire: int, link: int, w: Row) -> int:
    """Fill `seg` from the packet data[start:end], which had `wire` bytes on the wire.

    Returns:
        SEGMENT: a TCP or UDP payload lies at G_OFF; FRAGMENT: a piece of a datagram lies at G_L4_OFF to G_L4_END;
        SKIPPED: counted in `stats`, with the protocol's number in G_NAME where it has a name; ARP lies at G_L4_OFF to
        G_L4_END too, and is counted by who reads it.
    """
    w[c.G_SMAC] = 0
    w[c.G_DMAC] = 0
    w[c.G_VLAN] = 0
    w[c.G_ANOMALY] = 0
    w[c.G_NAME] = 0
    w[c.G_BUF] = c.BUF_BLOCK
    cut = max(0, wire - (end - start))
    at = start
    for _ in range(_DEPTH):
        if link == 1:
            at = _ethernet(data, at, end, w)
        elif link == 113 or link == 276 or link == 0 or link == 12 or link == 14 or link == 101 or link == 108 or link == 228 or link == 229:  # fmt: skip # noqa: E501
            at = _cooked(data, at, end, link, w)
        else:
            w[n.N_UNKNOWN_LINK] += 1
            return SKIPPED
        if at < 0:
            w[n.N_SHORT_LINK] += 1
            return SKIPPED
        ethertype = w[c.G_FRAG]
        w[c.G_FRAG] = 0
        w[c.G_MORE] = 0
        if ethertype == 0x0800:
            kind = _ip4(data, at, end, cut, w)
        elif ethertype == 0x86DD:
            kind = _ip6(data, at, end, cut, w)
        else:
            w[c.G_NAME] = name_of_ethertype(ethertype)
            if w[c.G_NAME] == _ARP:
                w[c.G_L4_OFF] = at
                w[c.G_L4_END] = end
            else:
                w[n.N_NOT_IP] += 1
            return SKIPPED
        if kind != SEGMENT:
            return kind
        if w[c.G_L4] == 6:
            return parse_transport(data, w[c.G_L4_OFF], w[c.G_L4_END], w[c.G_MISSING], w)
        inner = _mirror(data, w)
        if inner == 0:
            return parse_transport(data, w[c.G_L4_OFF], w[c.G_L4_END], w[c.G_MISSING], w)
        w[n.N_DECAPSULATED] += 1
        link = 1 if inner > 0 else 228
        at = abs(inner)
        end = w[c.G_L4_END]
        cut = w[c.G_MISSING]
    w[n.N_NESTED] += 1
    return SKIPPED
