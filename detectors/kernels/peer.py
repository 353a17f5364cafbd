"""Peer: who talks to whom, over which protocol and port.

Keys of one table: a service (client, device, protocol, port), the pair it belongs to, the device once it has spoken,
and the MAC addresses that both speak from; further claims of addresses (`claim`) and what devices say they are
(`identity`).  A record of a known service costs one lookup.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.claim import claim
from detectors.kernels.evidence import report
from detectors.kernels.identity import MOST_SAID, identify, says_identity
from detectors.kernels.peer_keys import (
    DEVICE,
    LINK,
    PAIR,
    SERVICE,
    TRUSTED,
    TYPE_ANSWERING,
    TYPE_ASKING,
    TYPE_CLIENT,
    TYPE_DEVICE,
    TYPE_EXTERNAL,
    TYPE_SERVICE,
)
from detectors.kernels.seen import (
    TYPE_PAIR,
    about_client,
    about_device,
    about_pair,
    add,
    holds_client,
    is_due,
    is_known,
    is_live,
    look,
    tick,
    touch,
)
from detectors.kernels.slots import ADOPTED, N_BUCKETS, find, hash_words, is_key
from schemas.codes import Kind, Severity

ANSWERED = 1
"""Flag of a service: its device has spoken over it."""
WROTE = 2
"""Flag of a strange service: its client has written."""
OF_STRANGER = 4
"""Flag of a strange service: its pair is strange too."""
SITE_STRANGER = 8
"""Flag of a strange service: no baseline knows its client at all."""

MOST_KEYS = 5 + 2 * MOST_SAID
MOST_ALERTS = 5 + MOST_SAID
"""What one record can add."""

_FOREIGN = int(Kind.FOREIGN)
_TIMEOUT = int(Kind.TIMEOUT)
_ANNOUNCE = int(Kind.ANNOUNCE)
_MEDIUM = int(Severity.MEDIUM)
_HIGH = int(Severity.HIGH)
_LOW32 = np.uint64(0xFFFFFFFF)
_MAPPED = np.uint64(0xFFFF0000)


class Wire(NamedTuple):
    """The record columns that are judged; see `schemas.record`."""

    ts: NDArray[np.int64]
    device: NDArray[np.uint64]
    src_ip: NDArray[np.uint64]
    dst_ip: NDArray[np.uint64]
    src_port: NDArray[np.uint16]
    dst_port: NDArray[np.uint16]
    src_mac: NDArray[np.uint64]
    vlan: NDArray[np.uint32]
    client_is_src: NDArray[np.uint8]
    protocol: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    op: NDArray[np.uint8]
    unit: NDArray[np.uint32]
    space: NDArray[np.uint16]
    flags: NDArray[np.uint32]
    anomaly: NDArray[np.uint64]
    offsets: NDArray[np.int32]


class Values(NamedTuple):
    """The point columns that tell what a device says it is; see `schemas.record`."""

    space: NDArray[np.uint16]
    addr: NDArray[np.uint64]
    value: NDArray[np.float64]
    raw: NDArray[np.int64]
    type: NDArray[np.uint8]
    quality: NDArray[np.uint16]
    direction: NDArray[np.uint8]


@kernel()
def is_external(hi: Any, lo: Any) -> Any:
    """Whether an address is one of the Internet: none that a site gives itself (RFC 1918, 6598, 3927, 4193, 4291).

    Words are the 16 bytes of the address as the machine reads them, the first byte lowest.
    """
    if hi == 0 and (lo & _LOW32) == _MAPPED:
        a = np.int64(lo >> np.uint64(32)) & 255
        b = np.int64(lo >> np.uint64(40)) & 255
        own = a in (0, 10, 127) or a >= 224 or (a == 172 and 16 <= b < 32) or (a == 192 and b == 168)
        return not (own or (a == 169 and b == 254) or (a == 100 and 64 <= b < 128))
    return (np.int64(hi) & 0xE0) == 0x20  # 2000::/3


@kernel()
def _accuse(out: Any, row: Any, flags: Any, severity: Any, hi: Any, lo: Any, device: Any) -> None:
    """Report a record of a strange service."""
    pair = about_pair(TYPE_PAIR, hi, lo, device)
    if (flags & OF_STRANGER) == 0:
        report(out, row, TYPE_SERVICE, severity, 0, about_pair(TYPE_SERVICE, hi, lo, device), pair)
        return
    client = np.uint64(0)
    if is_external(hi, lo):
        report(out, row, TYPE_EXTERNAL, _HIGH, 0, about_pair(TYPE_EXTERNAL, hi, lo, device), np.uint64(0))
    if (flags & SITE_STRANGER) != 0:
        client = about_client(TYPE_CLIENT, hi, lo)
        report(out, row, TYPE_CLIENT, severity, 0, client, np.uint64(0))
    report(out, row, TYPE_PAIR, severity, 0, pair, client)


@kernel()
def _meet(table: Any, rows: Any, clients: Any, rules: Any, ts: Any, hi: Any, lo: Any, device: Any, service: Any) -> Any:
    """Hold a service met for the first time, and its pair; (slot or -1, flags, whether it is strange)."""
    bucket = np.int64(device % N_BUCKETS)
    live = is_live(table.buckets, bucket, rules)
    zero = np.uint64(0)
    pair = look(table, device, hi, lo, PAIR, zero)
    known_pair = pair >= 0 and is_known(table, pair)
    if pair < 0:
        add(table, rows, rules, live, not live, ts, device, hi, lo, PAIR, zero)
    else:
        touch(rows, pair, ts)
    slot = add(table, rows, rules, live, not live, ts, device, hi, lo, service, zero)
    flags = 0
    if live and not known_pair:
        flags = OF_STRANGER
        if table.buckets[bucket, ADOPTED] != 0 and not holds_client(clients, hi, lo):
            flags |= SITE_STRANGER
    if slot >= 0:
        rows["flags"][slot] = flags
    return slot, flags, live


@kernel()
def _hear(table: Any, rows: Any, rules: Any, out: Any, row: Any, ts: Any, hi: Any, lo: Any, device: Any) -> None:
    """The device speaks over a service for the first time."""
    zero = np.uint64(0)
    slot = look(table, device, zero, zero, DEVICE, zero)
    if slot >= 0:
        touch(rows, slot, ts)
        return
    live = is_live(table.buckets, np.int64(device % N_BUCKETS), rules)
    add(table, rows, rules, live, not live, ts, device, zero, zero, DEVICE, zero)
    if live:
        about = about_device(TYPE_DEVICE, device)
        report(out, row, TYPE_DEVICE, _MEDIUM, 0, about, about_pair(TYPE_PAIR, hi, lo, device))


@kernel()
def _is_usual(table: Any, rows: Any, rules: Any, ts: Any, hi: Any, lo: Any, device: Any, mac: Any) -> Any:
    """(Whether this MAC address is normal for a speaker, its slot)."""
    slot = look(table, device, hi, lo, LINK, mac)
    if slot >= 0:
        touch(rows, slot, ts)
        return is_known(table, slot) or (rows["flags"][slot] & TRUSTED) != 0, slot
    live = is_live(table.buckets, np.int64(device % N_BUCKETS), rules)
    first = look(table, device, hi, lo, LINK, np.uint64(0)) < 0
    slot = add(table, rows, rules, live, not live, ts, device, hi, lo, LINK, mac)
    if first:
        add(table, rows, rules, live, not live, ts, device, hi, lo, LINK, np.uint64(0))
        if slot >= 0:
            rows["flags"][slot] |= TRUSTED
    return first or not live, slot


@kernel()
def _note_card(table: Any, rows: Any, device: Any, mac: Any) -> None:
    """Note the MAC address that a device spoke from last, for whom a claim is held against."""
    mark = look(table, device, np.uint64(0), np.uint64(0), LINK, np.uint64(0))
    if mark >= 0:
        rows["answering_mac"][mark] = mac


@kernel()
def _speak(
    table: Any, rows: Any, rules: Any, out: Any, row: Any, ts: Any, hi: Any, lo: Any, device: Any, mac: Any, asks: Any,
    service: Any,
) -> None:  # fmt: skip
    """Client or device speaks from another MAC address than before; a learned one is noted in its service's row."""
    if asks:
        usual, slot = _is_usual(table, rows, rules, ts, hi, lo, device, mac)
    else:
        usual, slot = _is_usual(table, rows, rules, ts, np.uint64(0), np.uint64(0), device, mac)
    if usual:
        if asks:
            rows["asking_mac"][service] = mac
        else:
            rows["answering_mac"][service] = mac
            _note_card(table, rows, device, mac)
    elif is_due(rows, slot, ts, rules):
        what = TYPE_ASKING if asks else TYPE_ANSWERING
        about = about_pair(what, hi, lo, device) if asks else about_device(what, device)
        report(out, row, what, _HIGH, 0, about, np.uint64(0))


@kernel()
def peers(
    start: Any, wire: Any, points: Any, writes: Any, known: Any, table: Any, rows: Any, rules: Any, out: Any
) -> Any:
    """Judge and learn the records from `start` on, until they end or there is no more room.

    Args:
        start: first record.
        wire, points: Wire and Values.
        writes: uint8 (256,), 1 for each operation that changes something.
        known: `peer_keys.Known`.
        table: `slots.Table`.
        rows: SEEN, by slot.
        rules: `seen.Rules`.
        out: `evidence.Evidence`.

    Returns:
        The record to go on with; the number of records where all are done.
    """
    zero = np.uint64(0)
    slot = np.int64(-1)
    for i in range(start, len(wire.ts)):
        if table.used[0] + MOST_KEYS > len(table.keys) or out.filled[0] + MOST_ALERTS > len(out.marks):
            return i
        kind = np.int64(wire.kind[i])
        if kind in (_FOREIGN, _TIMEOUT):
            continue
        if kind == _ANNOUNCE:
            claim(table, rows, known, rules, out, i, wire)
            continue
        device = wire.device[i]
        ts = wire.ts[i]
        bucket = np.int64(device % N_BUCKETS)
        tick(table.buckets, bucket, ts, rules.start_ns)
        asks = wire.client_is_src[i] != 0
        if asks:
            hi, lo, port = wire.src_ip[i, 0], wire.src_ip[i, 1], np.uint64(wire.dst_port[i])
        else:
            hi, lo, port = wire.dst_ip[i, 0], wire.dst_ip[i, 1], np.uint64(wire.src_port[i])
        service = SERVICE | np.uint64(wire.protocol[i]) << np.uint64(8) | port << np.uint64(16)
        if slot < 0 or not is_key(table.keys, slot, device, hi, lo, service, zero):
            slot = find(table, hash_words(device, hi, lo, service, zero), device, hi, lo, service, zero)
        new = slot < 0
        if new:
            slot, flags, strange = _meet(table, rows, known.clients, rules, ts, hi, lo, device, service)
        else:
            touch(rows, slot, ts)
            flags = rows["flags"][slot]
            strange = not is_known(table, slot)
        if strange and (new or asks):
            wrote = writes[wire.op[i]] != 0 and asks
            first_write = wrote and (flags & WROTE) == 0
            due = is_due(rows, slot, ts, rules)
            if due or first_write:
                _accuse(out, i, flags, _HIGH if wrote else _MEDIUM, hi, lo, device)
            if first_write and slot >= 0:
                rows["flags"][slot] |= WROTE
        if not asks and (flags & ANSWERED) == 0:
            if slot >= 0:
                rows["flags"][slot] |= ANSWERED
            _hear(table, rows, rules, out, i, ts, hi, lo, device)
        mac = wire.src_mac[i]
        if slot >= 0 and mac != zero and not (asks and strange):
            usual = rows["asking_mac"][slot] if asks else rows["answering_mac"][slot]
            if mac != usual and is_key(table.keys, slot, device, hi, lo, service, zero):
                _speak(table, rows, rules, out, i, ts, hi, lo, device, mac, asks, slot)
        if says_identity(wire, i):
            identify(table, rows, rules, out, i, wire, points)
    return len(wire.ts)
