"""Wide: what detectors see of registers to which the site file or a baseline gives a type.

Stored points stay as on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detectors.columns import Columns
from detectors.evidence import read_only
from detectors.kernels import wide as kernel
from detectors.kinds import ORDERS
from schemas.codes import PointType

PLAIN = "u16"
"""Type of a tag of the site file that is read as it is on the wire, whatever a baseline says."""
TYPES = {"i16": PointType.I16, "u32": PointType.U32, "i32": PointType.I32, "f32": PointType.F32}
"""Types that words on the wire do not show by themselves."""


@dataclass(frozen=True, slots=True)
class TypedTag:
    """A tag with a type of TYPES, or PLAIN; a two-word one lies at `addr` and `addr + 1`, its bytes in `order`."""

    unit: int
    space: int
    addr: int
    addr_sub: int
    type: str
    order: str

    @property
    def form(self) -> int:
        """How it is read, as the type of its points."""
        if self.type == PLAIN:
            return kernel.PLAIN
        return kernel.TYPED | ORDERS.index(self.order) << 5 | int(TYPES[self.type])


@dataclass(frozen=True, slots=True)
class TypedDevice:
    """A device of the site: `ip` as RECORD has it or empty, else `mac`; `vlan` -1 for any."""

    ip: bytes
    mac: int
    vlan: int
    tags: tuple[TypedTag, ...]


@dataclass(frozen=True, slots=True)
class LearnedTags:
    """Types that a baseline holds, arrays of equal length: of a device's id and unit, as `TypedTag` has the rest."""

    device: NDArray[np.uint64]
    unit: NDArray[np.uint32]
    space: NDArray[np.uint16]
    addr: NDArray[np.uint64]
    addr_sub: NDArray[np.uint32]
    form: NDArray[np.uint8]


class Reading:
    """Batches with values in the place of their words; the batch itself where no tag has a type."""

    def __init__(self, devices: Sequence[TypedDevice] = (), learned: LearnedTags | None = None) -> None:
        self._counts = np.zeros(len(kernel.COUNTS), np.int64)
        hosts, tags = [], []
        for number, device in enumerate(devices, 1):
            scope = device.vlan + 1
            if device.ip:
                hi, lo = (int(w) for w in np.frombuffer(device.ip, np.uint64))
                hosts.append((hi, lo, scope, number))
            else:
                hosts.append((device.mac, 0, scope | 1 << 32, number))
            tags += [(number << 32 | t.unit, t.addr_sub << 32 | t.space, t.addr, t.form) for t in device.tags]
        if learned is not None:
            known, of = np.unique(learned.device, return_inverse=True)
            hosts += [(int(device), 0, 1 << 33, number) for number, device in enumerate(known, len(devices) + 1)]
            w0 = (of + len(devices) + 1).astype(np.uint64) << np.uint64(32) | learned.unit.astype(np.uint64)
            w1 = learned.addr_sub.astype(np.uint64) << np.uint64(32) | learned.space.astype(np.uint64)
            tags += zip(w0.tolist(), w1.tolist(), learned.addr.tolist(), learned.form.tolist(), strict=True)
        self._hosts, self._tags = _table(hosts), _table(tags)
        self._idle = all(form == kernel.PLAIN for *_, form in tags)

    def of(self, batch: Columns) -> Columns:
        """`batch` as detectors are to see it: columns `value`, `type` and `quality` of its points are other ones."""
        if self._idle or not len(batch) or batch.offsets[0] == batch.offsets[-1]:
            return batch
        points = batch.points
        wire = kernel.Wire(*(read_only(getattr(batch, name)) for name in kernel.Wire._fields))
        words = kernel.Words(*(read_only(getattr(points, name)) for name in kernel.Words._fields))
        out = kernel.Read(points.value.copy(), points.type.copy(), points.quality.copy())
        kernel.read(wire, words, self._hosts, self._tags, out, self._counts)
        for array in out:
            array.flags.writeable = False
        return replace(batch, points=replace(points, **out._asdict()))

    def counters(self) -> Mapping[str, int]:
        """Values joined from two words, signed words, and halves of values, which are passed over."""
        return {name: int(n) for name, n in zip(kernel.COUNTS, self._counts, strict=True)}


def _table(rows: Sequence[tuple[int, int, int, int]]) -> NDArray[np.uint64]:
    """An open-addressed table of rows of three words of key and one of content."""
    table = np.zeros((4 << max(len(rows) - 1, 1).bit_length(), 4), np.uint64)
    kernel.fill(table, np.array(rows, np.uint64).reshape(-1, 4))
    return table
