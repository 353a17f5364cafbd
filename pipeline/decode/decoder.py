"""Decoder: packet blocks in, batches of records out, with all state of flows and pairing between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.columns import Columns
from pipeline.capture.block import PacketBlock
from schemas.codes import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSettings:
    """How packets are read."""

    site: str = ""
    """Name of the site: part of every device id, so that two sites' archives can be joined."""
    vlan_tells_devices_apart: bool = False
    """Whether the same address in another VLAN is another device."""
    request_timeout_s: float = 5.0
    """After how long, by record time, an unanswered request becomes a timeout row."""
    max_flows: int = 1 << 20
    """Flows remembered at once; the longest silent are forgotten, and counted."""
    shard: int = 0
    """Number of the capture point."""
    boot: int = 0
    """Number of the shard's start."""


class Decoder:
    """One shard's decode.  Feed it blocks in order; it keeps no view of a block."""

    def __init__(self, settings: DecodeSettings | None = None) -> None:
        from pipeline.decode import memory
        from pipeline.decode.arena import Arenas

        self.settings = settings or DecodeSettings()
        self._memory = memory.make(
            self.settings.site,
            self.settings.vlan_tells_devices_apart,
            round(self.settings.request_timeout_s * 1e9),
            self.settings.shard,
            self.settings.boot,
        )
        self._arenas = Arenas(self.settings.shard, self.settings.boot)
        self._arena = self._arenas.take()

    def feed(self, block: PacketBlock) -> Iterator[Columns]:
        """The records that `block` completes, in batches of at most `layout.RECORDS`.

        Records that fill no batch are kept for the next block.  A batch's memory is given back for reuse when the
        last view of it is gone.
        """
        from pipeline.decode import layout as c

        ctl = self._memory.w
        ctl[c.C_NEXT] = 0
        ctl[c.C_N] = len(block)
        ctl[c.C_FIRST_PACKET] = block.first_packet
        while True:
            status = self._drive(block)
            if status == c.DONE:
                return
            if status == c.FULL:
                yield self._batch()
            else:
                self._provide(status)

    def flush(self) -> Iterator[Columns]:
        """The records so far, though they fill no batch: for a source that pauses or is asked to stop."""
        from pipeline.decode import layout as c

        if self._memory.w[c.C_RECORDS]:
            yield self._batch()

    def finish(self) -> Iterator[Columns]:
        """What is left at the end of bounded input: streams with holes are closed, then the last batch.

        Requests that are still open stay pending: whether they would have been answered is not known.
        """
        from pipeline.decode import layout as c
        from pipeline.decode import memory

        ctl = self._memory.w
        while ctl[c.C_HOLE_HEAD] < ctl[c.C_HOLE_TAIL] or ctl[c.C_WORK]:
            yield from self.feed(_nothing_at(int(ctl[c.C_NOW])))
            if not self._give_up_hole():
                break
        if ctl[c.C_RECORDS]:
            yield self._batch()
        from pipeline.decode import counters as n

        self._memory.w[n.N_OPEN] += memory.forget_flows(self._memory)

    def health(self) -> list[tuple[str, str, str, int]]:
        """(stage, counter, reason, value) rows for HEALTH so far."""
        from pipeline.decode import counters
        from pipeline.decode.layout import COUNTERS_AT

        counted = self._memory.w[COUNTERS_AT : COUNTERS_AT + len(counters.NAMES)]
        rows = [(*name, int(v)) for name, v in zip(counters.NAMES, counted, strict=True) if v]
        for number, packets in enumerate(self._memory.traffic):
            if packets:
                name = Protocol(number).name.lower() if number in _PROTOCOLS else f"protocol {number}"
                rows.append(("link", "protocol", name, int(packets)))
        return rows

    def named(self) -> int:
        """How many names were met so far."""
        from pipeline.decode import layout as c

        return int(self._memory.w[c.C_NAMES])

    def names(self, first: int = 0, stop: int | None = None) -> Mapping[int, str]:
        """Names in the order in which they were met, all by default: name id to text, what is not UTF-8 escaped."""
        found: dict[int, str] = {}
        for k in range(first, self.named() if stop is None else stop):
            name, at, size = (int(v) for v in self._memory.name_where[k])
            found[name & 0xFFFFFFFFFFFFFFFF] = bytes(self._memory.name_text[at : at + size]).decode(
                "utf-8", "backslashreplace"
            )
        return found

    def _drive(self, block: PacketBlock) -> int:
        from pipeline.decode.drive import drive
        from pipeline.decode.state import Packets

        packets = Packets(block.data, block.offset, block.captured, block.original, block.ts_ns, block.link)
        return drive(packets, self._memory, self._arena.output)

    def _give_up_hole(self) -> bool:
        """Put the oldest hole's stream to work; False when none is left."""
        from pipeline.decode import layout as c
        from pipeline.decode.holes import give_up_oldest

        m = self._memory
        while m.w[c.C_HOLE_HEAD] < m.w[c.C_HOLE_TAIL]:
            if give_up_oldest(m.flow, m.holes, m.w):
                return True
        return False

    def _provide(self, status: int) -> None:
        """Do what the driver asked for."""
        from pipeline.decode import counters as n
        from pipeline.decode import layout as c
        from pipeline.decode import memory

        ctl = self._memory.w
        if status == c.GROW_PENDING:
            self._memory = memory.grow_pending(self._memory)
        elif status == c.GROW_FLOWS:
            if 2 * len(self._memory.flow) <= self.settings.max_flows:
                self._memory = memory.grow_flows(self._memory)
            else:
                ctl[n.N_FLOWS_LOST] += memory.forget_silent(self._memory)
        elif status == c.NEW_EPOCH:
            ctl[n.N_EPOCHS] += 1
            ctl[n.N_OPEN] += memory.forget_flows(self._memory)
            ctl[c.C_NOW] = np.iinfo(np.int64).min // 2
        elif status == c.LOAD_PROTOCOL:
            self._load(Protocol(int(ctl[c.C_NEED])))

    def _load(self, protocol: Protocol) -> None:
        from detectors.jit import address_of
        from pipeline.decode import layout as c
        from pipeline.decode.protocols import decoder

        for table, function in zip((c.FRAMES_AT, c.HEADS_AT, c.BODIES_AT), decoder(protocol).kernels(), strict=True):
            self._memory.w[table + protocol] = address_of(function)
        self._memory.w[c.C_LOADED] |= 1 << protocol

    def _batch(self) -> Columns:
        """The records so far as columns, and a new arena to go on with."""
        from pipeline.decode import layout as c

        ctl = self._memory.w
        records, points = int(ctl[c.C_RECORDS]), int(ctl[c.C_POINTS])
        self._arena.output.rec32[c.R_OFFSET * c.REC + records] = points
        rare, sparse = bool(ctl[c.C_RARE]), bool(ctl[c.C_SPARSE])
        batch = self._arenas.columns(self._arena, records, points, rare=rare, sparse=sparse)
        self._arena = self._arenas.take()
        ctl[c.C_RECORDS] = ctl[c.C_POINTS] = ctl[c.C_RARE] = ctl[c.C_SPARSE] = 0
        return batch


_PROTOCOLS = {int(p) for p in Protocol}


def _nothing_at(now: int) -> PacketBlock:
    """A block without packets."""
    none = np.zeros(0, np.int64)
    data: NDArray[np.uint8] = np.zeros(1, np.uint8)
    return PacketBlock(data, none, none, none, none, none, 1, 0)
