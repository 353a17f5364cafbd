"""Memory of batches, recycled: fresh memory costs three times what writing to used memory costs.

A batch's columns are views of an arena.  When the last view is gone, wherever it went (a detector, the writer's
queue, an Arrow buffer), the arena is free again.
"""

from __future__ import annotations

import threading
import weakref
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.columns import Columns, Points
from pipeline.decode import layout as c
from pipeline.decode.state import Output


class _Lease(np.ndarray[Any, Any]):
    """A view that numpy keeps as the base of its views, so that its end marks the end of all of them."""


_PARTS: tuple[tuple[str, Any, int], ...] = (
    ("rec64", np.int64, c.REC64 * c.REC),
    ("pt64", np.int64, c.PT64 * c.PT),
    ("value", np.float64, c.PT),
    ("rec32", np.int32, c.REC32 * c.REC),
    ("pt32", np.int32, c.PT32 * c.PT),
    ("rec16", np.int16, c.REC16 * c.REC),
    ("pt16", np.int16, c.PT16 * c.PT),
    ("rec8", np.uint8, c.REC8 * c.REC),
    ("pt8", np.uint8, c.PT8 * c.PT),
)
_ENDS = tuple(accumulate(np.dtype(kind).itemsize * size for _, kind, size in _PARTS))
_BYTES = _ENDS[-1]
_PLACES = {name: (start, stop) for (name, *_), start, stop in zip(_PARTS, (0, *_ENDS), _ENDS, strict=False)}
"""First and last byte of each part."""
_RARE64 = (c.R_NAME_ID, c.R_ANOMALY)
_RARE32 = (c.R_VLAN, c.R_PEER_UNIT, c.R_SUBFUNC, c.R_ADDR_SUB, c.R_STATUS, c.R_FLAGS, c.R_GAP)
_SPARSE64 = (c.P_NAME_ID, c.P_RAW, c.P_SOURCE_TS)


class Arena(NamedTuple):
    """The memory of a batch, and its columns for the kernels."""

    memory: NDArray[np.uint8]
    output: Output


def _output(memory: NDArray[np.uint8]) -> Output:
    parts = {name: memory[slice(*_PLACES[name])].view(kind).view(np.ndarray) for name, kind, _ in _PARTS}
    return Output(**parts)


class Arenas:
    """Free arenas, and the means to take one and to get it back.

    Args:
        shard, boot: of every record.
    """

    def __init__(self, shard: int, boot: int) -> None:
        self._free: list[Arena] = []
        self._lock = threading.Lock()
        self._shard = shard
        self._boot = boot
        self.made = 0

    def take(self) -> Arena:
        """An arena whose rare and sparse columns are zero."""
        with self._lock:
            if self._free:
                return self._free.pop()
            self.made += 1
        memory = np.zeros(_BYTES, np.uint8)
        output = _output(memory)
        output.rec32.view(np.uint32)[c.R_BOOT * c.REC :][: c.REC] = self._boot
        output.rec16.view(np.uint16)[c.R_SHARD * c.REC :][: c.REC] = self._shard
        return Arena(memory, output)

    def columns(self, arena: Arena, records: int, points: int, *, rare: bool, sparse: bool) -> Columns:
        """The first rows as read-only columns; the arena returns when the last view of them is gone.

        Args:
            arena: what was filled.
            records, points: rows.
            rare, sparse: whether rare columns of records, and sparse ones of points, were written.
        """
        lease = arena.memory.view(_Lease)
        dirty = (records if rare else 0, points if sparse else 0)
        weakref.finalize(lease, self._give_back, arena, *dirty).atexit = False
        lease.flags.writeable = False
        return _columns(lease, records, points)

    def _give_back(self, arena: Arena, records: int, points: int) -> None:
        output = arena.output
        if records:
            for column in _RARE64:
                output.rec64[column * c.REC : column * c.REC + records] = 0
            for column in _RARE32:
                output.rec32[column * c.REC : column * c.REC + records] = 0
        if points:
            for column in _SPARSE64:
                output.pt64[column * c.PT : column * c.PT + points] = 0
            output.pt32[:points] = 0
            output.pt16[c.P_QUALITY * c.PT : c.P_QUALITY * c.PT + points] = 0
        with self._lock:
            self._free.append(arena)


def _table(memory: NDArray[np.uint8], name: str, kind: Any, stride: int, rows: int) -> NDArray[Any]:
    """The columns of one width, each `rows` long: (column, row)."""
    start, stop = _PLACES[name]
    table: NDArray[Any] = memory[start:stop].view(kind).view(np.ndarray).reshape(-1, stride)[:, :rows]
    return table


def _columns(memory: NDArray[np.uint8], n: int, points: int) -> Columns:
    """Views made a table at a time: a batch has sixty, and numpy takes its time for each that is asked for alone."""
    start, stop = _PLACES["rec64"]
    wide = memory[start:stop].view(np.uint64).view(np.ndarray)
    r64 = (*wide[: c.R_SRC_IP * c.REC].reshape(-1, c.REC)[:, :n],)
    r32 = (*_table(memory, "rec32", np.uint32, c.REC, n),)
    r16 = (*_table(memory, "rec16", np.uint16, c.REC, n),)
    r8 = (*_table(memory, "rec8", np.uint8, c.REC, n),)
    p64 = (*_table(memory, "pt64", np.uint64, c.PT, points),)
    p16 = (*_table(memory, "pt16", np.uint16, c.PT, points),)
    p8 = (*_table(memory, "pt8", np.uint8, c.PT, points),)
    start = _PLACES["rec32"][0] + 4 * c.R_OFFSET * c.REC
    return Columns(
        ts=r64[c.R_TS].view(np.int64),
        shard=r16[c.R_SHARD],
        boot=r32[c.R_BOOT],
        seq=r64[c.R_SEQ],
        packet=r64[c.R_PACKET],
        src_mac=r64[c.R_SRC_MAC],
        dst_mac=r64[c.R_DST_MAC],
        vlan=r32[c.R_VLAN],
        src_ip=wide[c.R_SRC_IP * c.REC :][: 2 * n].reshape(n, 2),
        dst_ip=wide[c.R_DST_IP * c.REC :][: 2 * n].reshape(n, 2),
        src_port=r16[c.R_SRC_PORT],
        dst_port=r16[c.R_DST_PORT],
        transport=r8[c.R_TRANSPORT],
        flow=r64[c.R_FLOW],
        device=r64[c.R_DEVICE],
        client_is_src=r8[c.R_CLIENT_IS_SRC],
        protocol=r8[c.R_PROTOCOL],
        kind=r8[c.R_KIND],
        op=r8[c.R_OP],
        unit=r32[c.R_UNIT],
        peer_unit=r32[c.R_PEER_UNIT],
        txn=r32[c.R_TXN],
        match=r8[c.R_MATCH],
        peer_seq=r64[c.R_PEER_SEQ],
        rtt_us=r32[c.R_RTT].view(np.int32),
        func=r16[c.R_FUNC],
        subfunc=r32[c.R_SUBFUNC],
        space=r16[c.R_SPACE],
        addr=r64[c.R_ADDR],
        count=r32[c.R_COUNT],
        addr_sub=r32[c.R_ADDR_SUB],
        name_id=r64[c.R_NAME_ID],
        status=r32[c.R_STATUS],
        flags=r32[c.R_FLAGS],
        anomaly=r64[c.R_ANOMALY],
        gap_bytes=r32[c.R_GAP],
        length=r32[c.R_LENGTH],
        label=r16[c.R_LABEL],
        n_points=r32[c.R_N_POINTS],
        offsets=memory[start : start + 4 * (n + 1)].view(np.int32).view(np.ndarray),
        points=Points(
            space=p16[c.P_SPACE],
            addr=p64[c.P_ADDR],
            addr_sub=_table(memory, "pt32", np.uint32, c.PT, points)[0],
            name_id=p64[c.P_NAME_ID],
            value=_table(memory, "value", np.float64, c.PT, points)[0],
            raw=p64[c.P_RAW].view(np.int64),
            type=p8[c.P_TYPE],
            quality=p16[c.P_QUALITY],
            direction=p8[c.P_DIRECTION],
            source_ts=p64[c.P_SOURCE_TS].view(np.int64),
        ),
    )
