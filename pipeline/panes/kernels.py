"""Counting records by who asks whom: one lookup a record, none where it is of the same two as the one before."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from detectors.kernels.mix import mix
from detectors.kernels.slots import N_BUCKETS
from pipeline.decode.flows import device_hash
from schemas.codes import Kind

OPEN = np.dtype(
    [
        ("device", np.uint64),
        ("client_hi", np.uint64),
        ("client_lo", np.uint64),
        ("scope", np.uint64),
        ("ops", np.uint64),
        ("requests", np.uint32),
        ("answers", np.uint32),
        ("writes", np.uint32),
        ("errors", np.uint32),
        ("timeouts", np.uint32),
        ("func", np.uint16),
        ("grave", np.uint8),
        ("op", np.uint8),
        ("client", np.uint64),
        ("pane", np.int64),
        ("ts", np.int64),
        ("seq", np.uint64),
        ("packet", np.uint64),
        ("device_hi", np.uint64),
        ("device_lo", np.uint64),
        ("client_mac", np.uint64),
        ("device_mac", np.uint64),
        ("era", np.uint32),
        ("boot", np.uint32),
        ("vlan", np.uint32),
        ("unit", np.uint32),
        ("shard", np.uint16),
        ("protocol", np.uint8),
        ("role", np.uint8),
    ]
)
"""A client and a device in a pane: the key (device, client's address, VLAN scope), then columns of PANE; what changes
with each record lies within one cache line."""

_ONE = np.uint64(1)
_FOREIGN, _ANNOUNCE = int(Kind.FOREIGN), int(Kind.ANNOUNCE)
_TIMEOUT = int(Kind.TIMEOUT)


class Wire(NamedTuple):
    """The record columns that are counted; see `schemas.record`."""

    ts: NDArray[np.int64]
    shard: NDArray[np.uint16]
    boot: NDArray[np.uint32]
    seq: NDArray[np.uint64]
    packet: NDArray[np.uint64]
    src_mac: NDArray[np.uint64]
    dst_mac: NDArray[np.uint64]
    vlan: NDArray[np.uint32]
    src_ip: NDArray[np.uint64]
    dst_ip: NDArray[np.uint64]
    device: NDArray[np.uint64]
    client_is_src: NDArray[np.uint8]
    protocol: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    op: NDArray[np.uint8]
    unit: NDArray[np.uint32]
    func: NDArray[np.uint16]
    status: NDArray[np.uint32]


class Table(NamedTuple):
    """The open pane.

    Attributes:
        places: int32, a power of two long, at least twice the rows; row + 1 or 0.
        rows: OPEN.
        used: int64 (1,), rows in use.
        held: int64 (1024,), rows in use by device bucket.
        refused: int64 (1024,), records that found no room, by device bucket.
    """

    places: NDArray[np.int32]
    rows: NDArray[Any]
    used: NDArray[np.int64]
    held: NDArray[np.int64]
    refused: NDArray[np.int64]


@kernel(inline=True)
def _hash(device: Any, hi: Any, lo: Any, scope: Any) -> Any:
    return mix(mix(device ^ scope, hi), lo)


@kernel(inline=True)
def _is(rows: Any, at: Any, device: Any, hi: Any, lo: Any, scope: Any) -> Any:
    """Whether the row is that of this device and client."""
    return (
        rows["client_lo"][at] == lo
        and rows["device"][at] == device
        and rows["client_hi"][at] == hi
        and rows["scope"][at] == scope
    )


@kernel()
def _find(table: Any, device: Any, hi: Any, lo: Any, scope: Any) -> Any:
    """(The row of this device and client or -1, its place in the index)."""
    mask = len(table.places) - 1
    at = np.int64(_hash(device, hi, lo, scope) & np.uint64(mask))
    while table.places[at] != 0:
        row = np.int64(table.places[at]) - 1
        if _is(table.rows, row, device, hi, lo, scope):
            return row, at
        at = (at + 1) & mask
    return np.int64(-1), at


@kernel()
def index(table: Any) -> None:
    """Fill the index anew from the rows in use."""
    table.places[:] = 0
    rows = table.rows
    for row in range(table.used[0]):
        key = rows["device"][row], rows["client_hi"][row], rows["client_lo"][row], rows["scope"][row]
        _, at = _find(table, key[0], key[1], key[2], key[3])
        table.places[at] = row + 1


@kernel()
def client_id(site: Any, hi: Any, lo: Any, scope: Any) -> Any:
    """The device id of a client's address, as decode gives it to a server."""
    return np.uint64(device_hash(site, i64(hi), i64(lo), i64(scope)))


@kernel()
def _open(table: Any, at: Any, wire: Any, i: Any, asks: Any, hi: Any, lo: Any, scope: Any, site: Any) -> Any:
    """A row for a client and a device met for the first time in this pane, by record `i`."""
    rows = table.rows
    row = table.used[0]
    table.used[0] += 1
    table.places[at] = row + 1
    rows["device"][row] = wire.device[i]
    rows["client_hi"][row] = hi
    rows["client_lo"][row] = lo
    rows["scope"][row] = scope
    rows["client"][row] = client_id(site, hi, lo, scope)
    rows["device_hi"][row] = wire.dst_ip[i, 0] if asks else wire.src_ip[i, 0]
    rows["device_lo"][row] = wire.dst_ip[i, 1] if asks else wire.src_ip[i, 1]
    rows["client_mac"][row] = wire.src_mac[i] if asks else wire.dst_mac[i]
    rows["device_mac"][row] = wire.dst_mac[i] if asks else wire.src_mac[i]
    rows["vlan"][row] = wire.vlan[i]
    rows["ts"][row] = wire.ts[i]
    rows["shard"][row] = wire.shard[i]
    rows["boot"][row] = wire.boot[i]
    rows["seq"][row] = wire.seq[i]
    rows["packet"][row] = wire.packet[i]
    rows["ops"][row] = 0
    rows["grave"][row] = 0
    rows["requests"][row] = 0
    rows["writes"][row] = 0
    rows["answers"][row] = 0
    rows["errors"][row] = 0
    rows["timeouts"][row] = 0
    return row


@kernel()
def gather(start: Any, stop: Any, wire: Any, graveness: Any, table: Any, limit: Any, site: Any, scoped: Any) -> Any:
    """Count records from `start` on, until `stop` or until there is no more room.

    Args:
        start, stop: records.
        wire: Wire.
        graveness: uint8 (256,), of each operation: 1, 2 where it changes something, 3 where it is dangerous.
        table: Table.
        limit: rows that a device bucket may hold.
        site: hash of the site's name.
        scoped: whether VLANs tell devices apart.

    Returns:
        The record to go on with.
    """
    rows = table.rows
    zero = np.uint64(0)
    scope = zero
    row = np.int64(-1)
    for i in range(start, stop):
        kind = np.int64(wire.kind[i])
        if kind in (_FOREIGN, _ANNOUNCE):
            continue
        asks = wire.client_is_src[i] != 0
        device = wire.device[i]
        if asks:
            hi, lo = wire.src_ip[i, 0], wire.src_ip[i, 1]
        else:
            hi, lo = wire.dst_ip[i, 0], wire.dst_ip[i, 1]
        if hi == zero and lo == zero:
            lo = wire.src_mac[i] if asks else wire.dst_mac[i]
        if scoped:
            scope = np.uint64(wire.vlan[i])
        if row < 0 or not _is(rows, row, device, hi, lo, scope):
            row, at = _find(table, device, hi, lo, scope)
            if row < 0:
                bucket = np.int64(device % N_BUCKETS)
                if table.held[bucket] >= limit:
                    table.refused[bucket] += 1
                    continue
                if table.used[0] >= len(rows):
                    return i
                table.held[bucket] += 1
                row = _open(table, at, wire, i, asks, hi, lo, scope, site)
        op = np.int64(wire.op[i])
        grave = graveness[op]
        rows["ops"][row] |= _ONE << np.uint64(op if op < 63 else 63)
        if grave > rows["grave"][row]:
            rows["grave"][row] = grave
            rows["op"][row] = op
            rows["func"][row] = wire.func[i]
            rows["unit"][row] = wire.unit[i]
            rows["protocol"][row] = wire.protocol[i]
        if kind == _TIMEOUT:
            rows["timeouts"][row] += 1
        elif asks:
            rows["requests"][row] += 1
            if grave > 1:
                rows["writes"][row] += 1
        else:
            rows["answers"][row] += 1
            if wire.status[i] != 0:
                rows["errors"][row] += 1
    return stop
