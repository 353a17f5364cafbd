"""Messages to the second stage: rows of PANE as columns of plain bytes behind a packed header.

A row has a fixed width, so a message's length follows from its number of rows: there is nothing to parse in a value,
and nothing that could declare more than was sent.  Everything here may come from somebody else, and is held against
bounds before it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import google_crc32c
import numpy as np
import pyarrow as pa

from pipeline.panes import rows as panes
from pipeline.panes.rows import NO_PANE, ORDER_BYTES, PaneOrder, Reached, Rows
from pipeline.transport.message import MOST_VALUE_BYTES, TIME_BOUND, Newer, Poison
from schemas.codes import BUCKETS, Role
from schemas.pane import PANE_COLUMNS, PANE_NS, VERSION

FORMAT = 2
"""Version of the header: 1 where a message holds no orders, as older readers know it."""

_MAGIC = b"FTPN"
_HEADER = struct.Struct("<4sHHHHIIqqIqqQBxxx")
_CRC = struct.Struct("<I")
_LAST, _ENDED = 1, 2
_WITHOUT_ORDERS = 1


@dataclass(frozen=True, slots=True)
class PaneMessage:
    """One message: part `number` of what partition `source` sent for its epoch [start, next).

    Attributes:
        last: whether it is the epoch's last one for its target: only then has the source reached `reached`.
        ended: whether the source's input is over.
        chain: which run over which topic of records sent it, as 64 bits.
    """

    source: int
    start: int
    next: int
    number: int
    last: bool
    ended: bool
    reached: Reached
    rows: Rows
    chain: int = 0
    orders: tuple[PaneOrder, ...] = ()


WIDTHS = tuple(16 if panes.is_address(c.type) else panes.dtype_of(c.type).itemsize for c in PANE_COLUMNS)
ROW_BYTES = sum(WIDTHS)
MOST_ROWS = MOST_VALUE_BYTES // ROW_BYTES
MOST_ORDERS = MOST_VALUE_BYTES // ORDER_BYTES


def split(table: pa.Table, partitions: int) -> list[list[Rows]]:
    """For each target partition the rows of its client buckets, in parts that fit a message; one part at least."""
    rows, _ = panes.from_table(table)
    target = panes.buckets_of(rows["client"]) % partitions
    return [list(_parts(panes.take(rows, np.flatnonzero(target == number)))) for number in range(partitions)]


def _parts(rows: Rows) -> Iterator[Rows]:
    for start in range(0, max(panes.count(rows), 1), MOST_ROWS):
        yield panes.take(rows, np.arange(start, min(start + MOST_ROWS, panes.count(rows))))


def messages(
    table: pa.Table, partitions: int, *, source: int, start: int, next: int, ended: bool = False, chain: int = 0
) -> list[tuple[int, bytes, bytes]]:
    """(target partition, header, value) of everything that an epoch sends: the same bytes whenever it is asked.

    Args:
        table: rows and how far the source has come, as `pipeline.panes.Collector.sends` gives them.
        partitions: how many there are of the second stage.
        source: partition whose epoch it is.
        start, next: offsets [start, next) of the epoch.
        ended: whether the source's input is over.
        chain: which run over which topic of records sends it.
    """
    _, reached = panes.from_table(table)
    found = []
    for target, rows in enumerate(split(table, partitions)):
        orders = [o for o in panes.orders_of(table) if o.subject[0] % BUCKETS % partitions == target]
        parts: list[tuple[Rows, Sequence[PaneOrder]]] = [(part, ()) for part in rows]
        parts += [(panes.empty(), orders[at : at + MOST_ORDERS]) for at in range(0, len(orders), MOST_ORDERS)]
        for number, (part, told) in enumerate(parts):
            last = number == len(parts) - 1
            whole = PaneMessage(source, start, next, number, last, ended, reached, part, chain, tuple(told))
            found.append((target, *encode(whole)))
    return found


def encode(message: PaneMessage) -> tuple[bytes, bytes]:
    """Header and value of a message."""
    value = b"".join(np.ascontiguousarray(message.rows[c.name]).tobytes() for c in PANE_COLUMNS)
    value += panes.pack_orders(message.orders)
    flags = _LAST * message.last | _ENDED * message.ended
    head = _HEADER.pack(
        _MAGIC,
        FORMAT if message.orders else _WITHOUT_ORDERS,
        VERSION,
        message.source,
        len(message.orders),
        panes.count(message.rows),
        message.number,
        message.start,
        message.next,
        *message.reached,
        message.chain,
        flags,
    )
    return head + _CRC.pack(_checksum(head, value)), value


def decode(header: bytes | None, value: bytes | None, *, sources: int, partition: int, partitions: int) -> PaneMessage:
    """A message from its header and value; its rows are read-only views of the value.

    Args:
        sources: partitions of the first stage.
        partition, partitions: for which partition of the second stage it is read, of how many.

    Raises:
        Poison: it is none of ours, damaged, or says what cannot be.
        Newer: its format or schema is newer.
    """
    if header is None or len(header) < 6 or header[:4] != _MAGIC:
        raise Poison("header: not ours")
    version = int.from_bytes(header[4:6], "little")
    if version > FORMAT:
        raise Newer(version)
    if len(header) != _HEADER.size + _CRC.size or not version:
        raise Poison("header: of another length")
    value = b"" if value is None else bytes(value)
    head = header[: _HEADER.size]
    if _CRC.unpack_from(header, _HEADER.size)[0] != _checksum(head, value):
        raise Poison("checksum: differs")
    _, _, schema, source, told, count, number, start, stop, era, pane_ns, start_ns, chain, flags = _HEADER.unpack(head)
    if schema > VERSION:
        raise Newer(schema)
    reached = Reached(era, pane_ns, start_ns)
    if (told > 0) != (version > _WITHOUT_ORDERS) or told > MOST_ORDERS:
        raise Poison("header: a number out of bounds")
    if source >= sources or flags > (_LAST | _ENDED) or not 0 <= start <= stop or not _is_place(reached):
        raise Poison("header: a number out of bounds")
    if schema != VERSION or len(value) != count * ROW_BYTES + told * ORDER_BYTES or count > MOST_ROWS:
        raise Poison("value: of another length")
    rows, orders = _rows(value, count), panes.parse_orders(value[count * ROW_BYTES :])
    _check(rows, reached, partition, partitions)
    _check_orders(orders, reached, partition, partitions)
    last, ended = bool(flags & _LAST), bool(flags & _ENDED)
    return PaneMessage(source, start, stop, number, last, ended, reached, rows, chain, orders)


def _is_place(reached: Reached) -> bool:
    times = (reached.pane_ns, reached.start_ns)
    return all(t == NO_PANE or -TIME_BOUND <= t <= TIME_BOUND for t in times) and (
        reached.pane_ns == NO_PANE or reached.pane_ns % PANE_NS == 0
    )


def _rows(value: bytes, count: int) -> Rows:
    found, at = {}, 0
    for column, width in zip(PANE_COLUMNS, WIDTHS, strict=True):
        kind = np.dtype(np.uint64) if panes.is_address(column.type) else panes.dtype_of(column.type)
        words = np.frombuffer(value, kind, count * width // kind.itemsize, at) if count else np.zeros(0, kind)
        found[column.name] = words.reshape(-1, 2) if panes.is_address(column.type) else words
        at += count * width
    return found


def _check(rows: Rows, reached: Reached, partition: int, partitions: int) -> None:
    """Refuse rows that no collector makes.

    Raises:
        Poison: there is one.
    """
    if not panes.count(rows):
        return
    if (panes.buckets_of(rows["client"]) % partitions != partition).any():
        raise Poison("rows: of another partition")
    if (rows["pane"] % PANE_NS != 0).any():
        raise Poison("rows: no such pane")
    if any((rows[name] < -TIME_BOUND).any() or (rows[name] > TIME_BOUND).any() for name in ("pane", "ts")):
        raise Poison("rows: a time out of bounds")
    if not np.isin(rows["role"], (Role.CLIENT, Role.SERVER)).all():
        raise Poison("rows: no such role")
    era, pane = rows["era"].astype(np.int64), rows["pane"]
    if ((era > reached.era) | ((era == reached.era) & (pane >= reached.pane_ns))).any():
        raise Poison("rows: of a pane that is still open")
    if ((era[1:] < era[:-1]) | ((era[1:] == era[:-1]) & (pane[1:] < pane[:-1]))).any():
        raise Poison("rows: out of order")


def _check_orders(orders: Sequence[PaneOrder], reached: Reached, partition: int, partitions: int) -> None:
    """Refuse orders that no collector makes.

    Raises:
        Poison: there is one.
    """
    for order in orders:
        if order.subject[0] % BUCKETS % partitions != partition:
            raise Poison("orders: of another partition")
        if order.place > reached.place or not _is_place(Reached(order.era, order.pane_ns, NO_PANE)):
            raise Poison("orders: no such pane")
        if order.extent != order.extent:
            raise Poison("orders: no number")


def _checksum(head: bytes, value: bytes) -> int:
    return int(google_crc32c.extend(google_crc32c.value(head), value))


def bucket_parts(partition: int, partitions: int) -> Sequence[int]:
    """The client buckets of a partition of the second stage."""
    return range(partition, BUCKETS, partitions)
