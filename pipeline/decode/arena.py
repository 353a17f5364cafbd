"""Memory of batches, recycled: fresh memory costs three times what writing to used memory costs.

A batch's columns are views of an arena.  When the last view is gone, wherever it went (a detector, the writer's
queue, an Arrow buffer), the arena is free again.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

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
_BYTES = sum(np.dtype(kind).itemsize * size for _, kind, size in _PARTS)
_RARE64 = (c.R_NAME_ID, c.R_ANOMALY)
_RARE32 = (c.R_VLAN, c.R_PEER_UNIT, c.R_SUBFUNC, c.R_ADDR_SUB, c.R_STATUS, c.R_FLAGS, c.R_GAP)
_SPARSE64 = (c.P_NAME_ID, c.P_RAW, c.P_SOURCE_TS)


def _output(memory: NDArray[np.uint8]) -> Output:
    parts: dict[str, NDArray[Any]] = {}
    at = 0
    for name, kind, size in _PARTS:
        width = np.dtype(kind).itemsize * size
        parts[name] = memory[at : at + width].view(kind).view(np.ndarray)
        at += width
    return Output(**parts)


class Arenas:
    """Free arenas, and the means to take one and to get it back."""

    def __init__(self) -> None:
        self._free: list[NDArray[np.uint8]] = []
        self._lock = threading.Lock()
        self.made = 0

    def take(self) -> tuple[NDArray[np.uint8], Output]:
        """An arena whose rare and sparse columns are zero, and its columns for the kernels."""
        with self._lock:
            memory = self._free.pop() if self._free else None
        if memory is None:
            memory = np.zeros(_BYTES, np.uint8)
            self.made += 1
        return memory, _output(memory)

    def columns(self, memory: NDArray[np.uint8], records: int, points: int, *, rare: bool, sparse: bool) -> Columns:
        """The first rows as read-only columns; the arena returns when the last view of them is gone.

        Args:
            memory: an arena.
            records, points: rows.
            rare, sparse: whether rare columns of records, and sparse ones of points, were written.
        """
        lease = memory.view(_Lease)
        dirty = (records if rare else 0, points if sparse else 0)
        weakref.finalize(lease, self._give_back, memory, *dirty).atexit = False
        lease.flags.writeable = False
        return _columns(_output(lease), records, points)

    def _give_back(self, memory: NDArray[np.uint8], records: int, points: int) -> None:
        output = _output(memory)
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
            self._free.append(memory)


def _columns(out: Output, n: int, points: int) -> Columns:
    def wide(column: int) -> NDArray[np.int64]:
        return out.rec64[column * c.REC : column * c.REC + n]

    def word(column: int) -> NDArray[np.int32]:
        return out.rec32[column * c.REC : column * c.REC + n]

    def half(column: int) -> NDArray[np.uint16]:
        return out.rec16[column * c.REC : column * c.REC + n].view(np.uint16)

    def byte(column: int) -> NDArray[np.uint8]:
        return out.rec8[column * c.REC : column * c.REC + n]

    def address(column: int) -> NDArray[np.uint64]:
        return out.rec64[column * c.REC : column * c.REC + 2 * n].view(np.uint64).reshape(n, 2)

    def u64(column: int) -> NDArray[np.uint64]:
        return wide(column).view(np.uint64)

    def u32(column: int) -> NDArray[np.uint32]:
        return word(column).view(np.uint32)

    def point64(column: int) -> NDArray[np.int64]:
        return out.pt64[column * c.PT : column * c.PT + points]

    return Columns(
        ts=wide(c.R_TS),
        shard=half(c.R_SHARD),
        boot=u32(c.R_BOOT),
        seq=u64(c.R_SEQ),
        packet=u64(c.R_PACKET),
        src_mac=u64(c.R_SRC_MAC),
        dst_mac=u64(c.R_DST_MAC),
        vlan=u32(c.R_VLAN),
        src_ip=address(c.R_SRC_IP),
        dst_ip=address(c.R_DST_IP),
        src_port=half(c.R_SRC_PORT),
        dst_port=half(c.R_DST_PORT),
        transport=byte(c.R_TRANSPORT),
        flow=u64(c.R_FLOW),
        device=u64(c.R_DEVICE),
        client_is_src=byte(c.R_CLIENT_IS_SRC),
        protocol=byte(c.R_PROTOCOL),
        kind=byte(c.R_KIND),
        op=byte(c.R_OP),
        unit=u32(c.R_UNIT),
        peer_unit=u32(c.R_PEER_UNIT),
        txn=u32(c.R_TXN),
        match=byte(c.R_MATCH),
        peer_seq=u64(c.R_PEER_SEQ),
        rtt_us=word(c.R_RTT),
        func=half(c.R_FUNC),
        subfunc=u32(c.R_SUBFUNC),
        space=half(c.R_SPACE),
        addr=u64(c.R_ADDR),
        count=u32(c.R_COUNT),
        addr_sub=u32(c.R_ADDR_SUB),
        name_id=u64(c.R_NAME_ID),
        status=u32(c.R_STATUS),
        flags=u32(c.R_FLAGS),
        anomaly=u64(c.R_ANOMALY),
        gap_bytes=u32(c.R_GAP),
        length=u32(c.R_LENGTH),
        label=half(c.R_LABEL),
        n_points=u32(c.R_N_POINTS),
        offsets=out.rec32[c.R_OFFSET * c.REC : c.R_OFFSET * c.REC + n + 1],
        points=Points(
            space=out.pt16[c.P_SPACE * c.PT : c.P_SPACE * c.PT + points].view(np.uint16),
            addr=point64(c.P_ADDR).view(np.uint64),
            addr_sub=out.pt32[:points].view(np.uint32),
            name_id=point64(c.P_NAME_ID).view(np.uint64),
            value=out.value[:points],
            raw=point64(c.P_RAW),
            type=out.pt8[c.P_TYPE * c.PT : c.P_TYPE * c.PT + points],
            quality=out.pt16[c.P_QUALITY * c.PT : c.P_QUALITY * c.PT + points].view(np.uint16),
            direction=out.pt8[c.P_DIRECTION * c.PT : c.P_DIRECTION * c.PT + points],
            source_ts=point64(c.P_SOURCE_TS),
        ),
    )
