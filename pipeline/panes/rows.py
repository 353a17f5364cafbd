"""Rows of PANE as numpy columns, and as tables that carry how far their source has come."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.findings.window import Identity
from pipeline.panes.kernels import OPEN
from schemas.codes import BUCKETS, Role
from schemas.pane import PANE, PANE_COLUMNS

Rows = dict[str, NDArray[Any]]
"""Columns of PANE by name, of equal length n; times int64 ns, addresses uint64 (n, 2)."""

Closed = NDArray[Any]
"""A pane that closed, as `pipeline.panes.kernels.OPEN`, in no order."""

NO_PANE = np.iinfo(np.int64).min
"""Pane of a stream in which no TIME mark has stood."""

_REACHED = b"fieldtap.reached"
_ORDERS = b"fieldtap.orders"


class Reached(NamedTuple):
    """How far a source has come: every row of an earlier (era, pane) has left it.

    Attributes:
        era: how often time has run back, or a capture point's input has ended.
        pane_ns: start of its open pane, NO_PANE before the first TIME mark of the era.
        start_ns: where its record time began, NO_PANE before that.
    """

    era: int
    pane_ns: int
    start_ns: int

    @property
    def place(self) -> tuple[int, int]:
        """What places are compared by."""
        return self.era, self.pane_ns


class PaneOrder(NamedTuple):
    """What a person has called normal of what is found across devices (`pipeline.findings.taught`).

    Attributes:
        era, pane_ns: where it stands: it counts from this pane on; NO_PANE for the start of the era.
        subject, extent: what it is about, and up to how far outside of normal.
    """

    era: int
    pane_ns: int
    subject: Identity
    extent: float

    @property
    def place(self) -> tuple[int, int]:
        """What places are compared by."""
        return self.era, self.pane_ns


_ORDER = struct.Struct("<IqQQQd")
ORDER_BYTES = _ORDER.size


def pack_orders(orders: Iterable[PaneOrder]) -> bytes:
    """Orders as bytes, ORDER_BYTES each."""
    return b"".join(_ORDER.pack(o.era, o.pane_ns, *o.subject, o.extent) for o in orders)


def parse_orders(data: bytes) -> tuple[PaneOrder, ...]:
    """Orders from their bytes.

    Raises:
        struct.error: the bytes are not a number of orders.
    """
    return tuple(
        PaneOrder(era, pane, (device, what, key), extent)
        for era, pane, device, what, key, extent in _ORDER.iter_unpack(data)
    )


def dtype_of(kind: pa.DataType) -> np.dtype[Any]:
    """How a column that is no address is held."""
    return np.dtype(np.int64) if pa.types.is_timestamp(kind) else np.dtype(kind.to_pandas_dtype())


def is_address(kind: pa.DataType) -> bool:
    """Whether a column is 16 bytes wide, held as two words."""
    return bool(pa.types.is_fixed_size_binary(kind))


def empty() -> Rows:
    """No rows."""
    return {
        c.name: np.zeros((0, 2), np.uint64) if is_address(c.type) else np.zeros(0, dtype_of(c.type))
        for c in PANE_COLUMNS
    }


def count(rows: Rows) -> int:
    """How many rows there are."""
    return len(rows["pane"])


def take(rows: Rows, which: NDArray[Any]) -> Rows:
    """The rows at `which`: indices, or a mask."""
    return {name: column[which] for name, column in rows.items()}


def join(parts: Sequence[Rows]) -> Rows:
    """All rows of `parts`."""
    if len(parts) == 1:
        return parts[0]
    kept = [p for p in parts if count(p)] or [empty()]
    return {c.name: np.concatenate([p[c.name] for p in kept]) for c in PANE_COLUMNS}


def buckets_of(column: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The bucket of each device id."""
    return (column % np.uint64(BUCKETS)).astype(np.int64)


def order(rows: Rows) -> NDArray[np.intp]:
    """Their canonical order: (era, pane, client, bucket, device), then whatever else tells two rows apart."""
    names = ("packet", "seq", "boot", "shard", "ts", "role", "device")
    keys = [rows[name] for name in names]
    return np.lexsort((*keys, buckets_of(rows["device"]), rows["client"], rows["pane"], rows["era"]))


_MADE = ("role", "client_ip", "device_ip")


def rows_of(closed: Sequence[Closed]) -> Rows:
    """The rows of panes that closed, in canonical order: who asked whom, and who answered."""
    held = np.empty(sum(map(len, closed)), OPEN)
    at = 0
    for pane in closed:  # np.concatenate would compare the fields of each with Python code
        held[at : at + len(pane)] = pane
        at += len(pane)
    found = join([_asked(held), _answered(held)])
    return take(found, order(found))


def _asked(held: Closed) -> Rows:
    found: Rows = {c.name: held[c.name].copy() for c in PANE_COLUMNS if c.name not in _MADE}
    found["role"] = np.full(len(held), Role.CLIENT, np.uint8)
    found["client_ip"] = np.column_stack([held["client_hi"], held["client_lo"]])
    found["device_ip"] = np.column_stack([held["device_hi"], held["device_lo"]])
    found["client_ip"][(held["client_hi"] == 0) & (held["client_lo"] == held["client_mac"])] = 0
    return found


_FIRST = ("client", "packet", "seq", "boot", "shard", "ts", "device", "pane", "era")


def _answered(held: Closed) -> Rows:
    """A row for each device that answered in a pane: the first of its rows with answers, and all answers."""
    spoke = held[held["answers"] > 0]
    spoke = spoke[np.lexsort([spoke[name] for name in _FIRST])]
    new = np.zeros(max(len(spoke) - 1, 0), np.bool_)
    for name in ("device", "pane", "era"):
        new |= spoke[name][1:] != spoke[name][:-1]
    first = np.flatnonzero(np.append(True, new)[: len(spoke)])
    found = _asked(spoke[first])
    for name in ("answers", "errors"):
        totals = np.add.reduceat(spoke[name].astype(np.int64), first) if len(first) else np.zeros(0, np.int64)
        found[name] = np.minimum(totals, np.iinfo(np.uint32).max).astype(np.uint32)
    found["client"] = found["device"].copy()
    found["role"][:] = Role.SERVER
    for name in ("requests", "writes", "timeouts"):
        found[name][:] = 0
    return found


def to_table(rows: Rows, reached: Reached, orders: Sequence[PaneOrder] = ()) -> pa.Table:
    """The rows as a table of schema PANE, which also says how far their source has come, and what was ordered."""
    arrays = [
        pa.Array.from_buffers(c.type, count(rows), [None, pa.py_buffer(np.ascontiguousarray(rows[c.name]))])
        for c in PANE_COLUMNS
    ]
    said = ",".join(str(n) for n in reached).encode()
    told = {_REACHED: said} | ({_ORDERS: pack_orders(orders).hex().encode()} if orders else {})
    return pa.table(arrays, schema=PANE.with_metadata({**PANE.metadata, **told}))


def from_table(table: pa.Table) -> tuple[Rows, Reached]:
    """What :func:`to_table` was given.

    Raises:
        ValueError: the table is none that :func:`to_table` made.
    """
    said = (table.schema.metadata or {}).get(_REACHED, b"").split(b",")
    if not table.schema.equals(PANE) or len(said) != len(Reached._fields):
        raise ValueError("not a table of panes")
    era, pane_ns, start_ns = (int(n) for n in said)
    return {c.name: _numpy(table.column(c.name), c.type) for c in PANE_COLUMNS}, Reached(era, pane_ns, start_ns)


def orders_of(table: pa.Table) -> tuple[PaneOrder, ...]:
    """The orders that :func:`to_table` was given."""
    return parse_orders(bytes.fromhex((table.schema.metadata or {}).get(_ORDERS, b"").decode()))


def _numpy(column: pa.ChunkedArray, kind: pa.DataType) -> NDArray[Any]:
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], kind)
    data = array.buffers()[1]
    if is_address(kind):
        words = np.frombuffer(data, np.uint64) if data is not None else np.zeros(0, np.uint64)
        return words[2 * array.offset : 2 * (array.offset + len(array))].reshape(-1, 2)
    flat = np.frombuffer(data, dtype_of(kind)) if data is not None else np.zeros(0, dtype_of(kind))
    return flat[array.offset : array.offset + len(array)]
