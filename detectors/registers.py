"""Registers: what words of Modbus and S7 hold, told from how they change, where the wire gives them no type.

No detector: it judges nothing.  It sees a stream once, before the detectors learn from it, and what it found is read
by `detectors.wide` from then on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.columns import Columns
from detectors.evidence import read_only
from detectors.existence import baseline_columns
from detectors.kernels import infer, wide
from detectors.kernels import registers as kernel
from detectors.kinds import CONSTANT, KINDS, PARAMETER, SECOND_WORD, WIDE
from detectors.slots import Slots
from detectors.wide import LearnedTags
from schemas.codes import BUCKETS, LearnState

LIMITS = kernel.Limits(bucket_blocks=1024, bucket_rings=8192, blocks=1 << 18, registers=1 << 22, rings=1 << 18)
"""Rings take 1 KiB each: 8 MiB for each of the 1024 device buckets, 256 MiB in all."""


@cache
def _forms() -> list[int]:
    """The types by which `detectors.wide` may read what is told here.

    Not when this is imported: nothing may compile before a person is told that kernels are compiled now.
    """
    return sorted({int(infer.form_of(kind, order)) for kind in range(len(KINDS)) for order in range(4)} - {0})


class Registers:
    """Collects the words of registers, then tells what they hold."""

    def __init__(self, limits: kernel.Limits = LIMITS) -> None:
        self._limits = limits
        self._slots = Slots(limits.bucket_blocks, {"block": kernel.BLOCK})
        self._pools = kernel.Pools(
            last=np.zeros(4096, np.uint16),
            ring=np.zeros(4096, np.int32),
            rings=np.zeros((256, infer.SAMPLES), np.uint16),
            used=np.zeros(2, np.int64),
            of_bucket=np.zeros(BUCKETS, np.int64),
        )
        self._counts = np.zeros(len(kernel.COUNTS), np.int64)

    def on_batch(self, batch: Columns) -> None:
        """Take the words of a batch."""
        if not len(batch) or batch.offsets[0] == batch.offsets[-1]:
            return
        wire = kernel.Wire(*(read_only(getattr(batch, name)) for name in kernel.Wire._fields))
        points = wide.Words(*(read_only(getattr(batch.points, name)) for name in wide.Words._fields))
        most = int(np.diff(batch.offsets).max())
        at = 0
        while at < len(batch):
            self._reserve(most)
            held, pools = self._slots.held["block"], self._pools
            at = kernel.gather(at, wire, points, self._slots.table, held, pools, self._limits, self._counts)

    def _reserve(self, free: int) -> None:
        """Room for `free` more blocks, registers and rings."""
        self._slots.reserve(free)
        pools = self._pools
        registers, rings = (int(n) + free for n in pools.used)
        self._pools = pools._replace(
            last=_grown(pools.last, registers), ring=_grown(pools.ring, registers), rings=_grown(pools.rings, rings)
        )

    def counters(self) -> Mapping[str, int]:
        """Words read and passed over for want of room, blocks, registers, rings, and bytes of state."""
        pools = self._pools
        return {
            **{name: int(n) for name, n in zip(kernel.COUNTS, self._counts, strict=True)},
            "blocks": len(self._slots),
            "registers": int(pools.used[0]),
            "registers that change": int(pools.used[1]),
            "state_bytes": self._slots.nbytes + sum(a.nbytes for a in pools),
        }

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """A row for each register that changes and of which something can be told, as columns of BASELINE."""
        rows = [row for unit in self._units() for row in self._decided(unit)]
        device, unit, space, addr, sub, value, n, first, last = zip(*rows, strict=True) if rows else [()] * 9
        return baseline_columns(
            device=np.array(device, np.uint64),
            unit=np.array(unit, np.uint32),
            space=np.array(space, np.uint16),
            addr=np.array(addr, np.uint64),
            addr_sub=np.array(sub, np.uint32),
            parameter=np.full(len(rows), PARAMETER),
            value=np.array(value, np.float64),
            state=np.full(len(rows), LearnState.LIVE, np.uint8),
            n=np.array(n, np.uint64),
            first=np.array(first, np.int64),
            last=np.array(last, np.int64),
        )

    def _units(self) -> Iterator[NDArray[np.int64]]:
        """For each unit of a device, the blocks with a register that changes, those of most samples first."""
        keys, blocks = self._slots.keys, self._slots.rows("block")
        size = (keys[:, 4] & np.uint64(0xFFFFFFFF)).astype(np.int64)
        rings = np.concatenate([[0], np.cumsum(self._pools.ring[: self._pools.used[0]] >= 0)])
        moves = rings[blocks["base"] + size] > rings[blocks["base"]]
        unit = keys[:, 1] & np.uint64(0xFFFFFFFF)
        order = np.lexsort((keys[:, 3], keys[:, 2], keys[:, 1], -size, -blocks["n"], unit, keys[:, 0]))
        order = order[moves[order]]
        cuts = np.flatnonzero((np.diff(keys[order, 0]) != 0) | (np.diff(unit[order]) != 0)) + 1
        return (part for part in np.split(order, cuts) if len(part))

    def _decided(self, slots: NDArray[np.int64]) -> Iterator[tuple[int, ...]]:
        """What the registers of one unit hold: by the order of bytes that explains most of them."""
        work = np.zeros((infer.WORK_ROWS, infer.SAMPLES))
        votes = np.zeros(infer.N_ORDERS, np.int64)
        for slot in slots:
            samples, since, elapsed_ns = self._samples(int(slot))
            infer.vote(samples, samples.shape[1], since, elapsed_ns, work, votes)
        order = int(votes.argmax()) if votes.any() else -1
        told: set[tuple[int, ...]] = set()
        for slot in slots:
            samples, since, elapsed_ns = self._samples(int(slot))
            kinds = np.zeros(len(samples), np.uint8)
            infer.decide(samples, samples.shape[1], order, since, elapsed_ns, work, kinds)
            yield from self._told(int(slot), kinds, order, told)

    def _samples(self, slot: int) -> tuple[NDArray[np.uint16], int, int]:
        """The words of a block, oldest first; a sample, and the nanoseconds from it to the last."""
        block = self._slots.rows("block")[slot]
        size, base, total = int(self._slots.keys[slot, 4]) & 0xFFFFFFFF, int(block["base"]), int(block["n"])
        n = min(total, infer.SAMPLES)
        pools = self._pools
        ring = pools.ring[base : base + size]
        samples = np.repeat(pools.last[base : base + size, None], n, axis=1)
        kept = np.flatnonzero(ring >= 0)
        samples[kept] = pools.rings[ring[kept]][:, (np.arange(n) + total - n) % infer.SAMPLES]
        marked = max((total - 1) // kernel.MARK - 1, 0) * kernel.MARK
        return samples, marked - (total - n), int(block["last"] - block["before"])

    def _told(
        self, slot: int, kinds: NDArray[np.uint8], order: int, told: set[tuple[int, ...]]
    ) -> Iterator[tuple[int, ...]]:
        """Rows of a block's registers that no block before it has told of; of bytes, values of two words alone."""
        device, packed, sub, addr = (int(w) for w in self._slots.keys[slot, :4])
        unit, space = packed & 0xFFFFFFFF, packed >> 32
        block = self._slots.rows("block")[slot]
        step = int(wide.word_step(space))
        of_bytes = int(self._slots.keys[slot, 4]) >> 32
        span = int(block["n"]), int(block["first"]), int(block["last"])
        for i, kind in enumerate(kinds.tolist()):
            places = [(space, sub, addr + step * (i + word)) for word in range(1 + (kind in WIDE))]
            says = CONSTANT < kind < SECOND_WORD and (kind in WIDE or not of_bytes)
            if not says or any(place in told for place in places):
                continue
            told.update(places)
            value = kind << 8 | int(infer.form_of(kind, max(order, 0)))
            yield device, unit, space, addr + step * i, sub, value, *span


def tags_of(rows: Mapping[str, NDArray[Any]]) -> LearnedTags:
    """The types among rows of a baseline that values are read by; `rows` as `Registers.learned` gives them."""
    value = np.asarray(rows["value"], np.float64)
    fits = (np.asarray(rows["parameter"]) == PARAMETER) & (value >= 0) & (value < 1 << 16)
    form = np.where(fits, value, 0.0).astype(np.int64) & 0xFF
    at = np.flatnonzero(np.isin(form, _forms()))
    columns = {name: np.asarray(rows[name])[at] for name in ("device", "unit", "space", "addr", "addr_sub")}
    return LearnedTags(**columns, form=form[at].astype(np.uint8))


def _grown(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """`array`, or a larger one with its content where it has fewer rows."""
    if rows <= len(array):
        return array
    grown = np.zeros((max(2 * len(array), rows), *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown
