"""Groups: how often each (client, server, link, unit, function) was seen, in bounded arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from detectors.columns import Columns

_COLUMNS = (
    "ts", "src_ip", "dst_ip", "src_mac", "dst_mac", "src_port", "dst_port", "vlan",
    "device", "unit", "client_is_src", "protocol", "kind", "op", "func", "status",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """One group; times are nanoseconds since 1970 UTC, addresses 16 bytes."""

    client: bytes
    server: bytes
    client_mac: int
    server_mac: int
    device: int
    port: int
    protocol: int
    op: int
    func: int
    unit: int
    vlan: int
    first_ns: int
    last_ns: int
    requests: int
    responses: int
    errors: int
    timeouts: int
    records: int


class Groups:
    """Counts records into groups; beyond `limit` groups, records of new ones are only counted.

    Attributes:
        left_out: records that found no room.
    """

    def __init__(self, limit: int) -> None:
        from pipeline.inventory import kernels

        slots = 1 << max(6, (2 * limit - 1).bit_length())
        self._keys = np.zeros((slots, kernels.WORDS), np.uint64)
        self._server = np.zeros((slots, 2), np.uint64)
        self._counts = np.zeros((slots, kernels.COUNTS), np.int64)
        self._records = np.zeros(slots, np.int64)
        self._used = np.array([0, limit, 0], np.int64)
        self._kernel: Callable[..., None] = kernels.group

    def add(self, batch: Columns) -> None:
        """Count the records of `batch`."""
        views = []
        for name in _COLUMNS:
            view = np.ascontiguousarray(getattr(batch, name)).view()
            view.flags.writeable = False
            views.append(view)
        self._kernel(*views, self._keys, self._server, self._counts, self._records, self._used)

    @property
    def left_out(self) -> int:
        """Records that belong to no group because there was no room for theirs."""
        return int(self._used[2])

    def __len__(self) -> int:
        return int(self._used[0])

    def __iter__(self) -> Iterator[Group]:
        """The groups in order of their first record, ties by key: the same however the input was cut."""
        taken = np.flatnonzero(self._keys[:, 7])
        keys = self._keys[taken]
        order = np.lexsort((*(keys[:, i] for i in range(7)), self._counts[taken, 0]))
        for slot in taken[order].tolist():
            k = [int(word) for word in self._keys[slot]]
            counts = [int(n) for n in self._counts[slot]]
            yield Group(
                client=self._keys[slot, :2].tobytes(),
                server=self._server[slot].tobytes(),
                client_mac=k[3],
                server_mac=k[4],
                device=k[2],
                port=k[5] >> 32 & 0xFFFF,
                protocol=k[5] & 0xFF,
                op=k[5] >> 8 & 0xFF,
                func=k[5] >> 16 & 0xFFFF,
                unit=k[6] & 0xFFFF_FFFF,
                vlan=k[6] >> 32,
                first_ns=counts[0],
                last_ns=counts[1],
                requests=counts[2],
                responses=counts[3],
                errors=counts[4],
                timeouts=counts[5],
                records=int(self._records[slot]),
            )
