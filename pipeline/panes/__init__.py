"""Panes: what each client did with each device in ten seconds of record time, gathered from a stream of records.

The pane that is open follows from the TIME marks alone: it is the one in which the furthest mark lies, and it closes
at the first mark at or past its end.  So the same rows leave whatever the batching, and however the device buckets are
spread over partitions, each of which has all marks of the stream.  A record that comes late is counted in the open
pane.  Where a capture point's marks run back, and where its input ends, everything open leaves, and another era begins:
partitions that have the marks of several capture points in different orders still agree on how many eras there were.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors import evidence
from detectors.base import Buckets, Mark, State
from detectors.columns import Columns
from pipeline.decode.memory import site_hash
from pipeline.findings.taught import order_about
from pipeline.marks import ORDERS_SHARD, Marks
from pipeline.panes import kernels
from pipeline.panes.rows import NO_PANE, Closed, PaneOrder, Reached, Rows, buckets_of, rows_of, to_table
from schemas.codes import BUCKETS, DANGEROUS, WRITING, MarkKind
from schemas.pane import PANE_NS

__all__ = ["NO_PANE", "Closed", "Collector", "Reached", "Rows", "rows_of"]


_FIRST_ROWS = 256
_TELLING = frozenset({MarkKind.START, MarkKind.TIME, MarkKind.END})
_KEY = ("device", "client_hi", "client_lo", "scope")


class Collector:
    """Gathers one partition's records into rows of PANE.

    Args:
        site: name of the site, as decode has it.
        vlan_scope: whether VLANs tell devices apart, as decode has it.
        max_pairs: pairs that one device bucket may hold in the open pane.
        start_ns: where record time begins; None for the first START mark, or TIME mark where there is none.
        taught: codes of finding types of the second stage: orders about them go on with the panes.
    """

    def __init__(
        self,
        site: str = "",
        *,
        vlan_scope: bool = False,
        max_pairs: int = 1024,
        start_ns: int | None = None,
        taught: Collection[int] = (),
    ) -> None:
        self._site = np.int64(site_hash(site))
        self._scoped = vlan_scope
        self._limit = max_pairs
        self._graveness = np.ones(256, np.uint8)
        self._graveness[[int(op) for op in WRITING]] = 2
        self._graveness[[int(op) for op in DANGEROUS]] = 3
        self._table = _table(_FIRST_ROWS)
        self._era = 0
        self._pane = NO_PANE
        self._start = NO_PANE if start_ns is None else start_ns
        self._latest = self._start
        self._marked: dict[int, int] = {}
        self._taught = taught
        self._orders: list[PaneOrder] = []

    @property
    def reached(self) -> Reached:
        """How far the stream has come: every row of an earlier (era, pane) has left."""
        return Reached(self._era, self._pane, self._start)

    def on_stretch(self, batch: Columns, marks: Marks) -> list[Closed]:
        """Count records with the marks that stand in them; the panes that closed, for :func:`rows_of` or `sends`."""
        wire = None
        left, start = [], 0
        for at, mark in marks:
            if (order := order_about(mark, self._taught)) is not None:
                self._orders.append(PaneOrder(self._era, self._pane, *order))
            if mark.kind not in _TELLING or mark.shard == ORDERS_SHARD:
                continue
            place = self._after(mark)
            if place == (self._era, self._pane):
                continue
            if at > start:
                wire = self._wire(batch) if wire is None else wire
                self._gather(wire, start, at)
                start = at
            if self._pane != NO_PANE or place[0] != self._era:
                left.append(self._leave())
            self._era, self._pane = place
        if start < len(batch):
            self._gather(self._wire(batch) if wire is None else wire, start, len(batch))
        return [pane for pane in left if len(pane)]

    def finish(self) -> list[Closed]:
        """The end of bounded input: everything open leaves; what may follow nevertheless is another era."""
        left = self._leave()
        self._era, self._pane = self._era + 1, NO_PANE
        return [left] if len(left) else []

    def sends(self, left: Sequence[Closed]) -> pa.Table:
        """Panes that closed as one table of PANE, which says how far the stream has come; orders since the last."""
        orders, self._orders = self._orders, []
        return to_table(rows_of(left), self.reached, orders)

    def snapshot(self, buckets: Buckets) -> State:
        """The open pane of these device buckets in the order of its keys, and where the stream's marks stand."""
        held = self._table.rows[: self._table.used[0]]
        of = buckets_of(held["device"])
        order = np.lexsort((*(held[name] for name in reversed(_KEY)), of))
        order = order[np.isin(of[order], buckets)]
        state: State = {name: np.ascontiguousarray(held[name][order]) for name in kernels.OPEN.names or ()}
        refused = self._table.refused[buckets]
        state["refused"] = np.column_stack([buckets, refused])[refused > 0].astype(np.int64)
        state["clock"] = np.array([self._era, self._pane, self._start, self._latest], np.int64)
        state["marked"] = np.array(sorted(self._marked.items()), np.int64).reshape(-1, 2)
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot, into an empty collector or beside buckets that it does not yet hold."""
        n, used = len(state["device"]), int(self._table.used[0])
        self._reserve(n)
        for name in kernels.OPEN.names or ():
            self._table.rows[name][used : used + n] = state[name]
        self._table.used[0] = used + n
        self._table.held[:] += np.bincount(buckets_of(state["device"]), minlength=BUCKETS)
        self._table.refused[state["refused"][:, 0]] = state["refused"][:, 1]
        kernels.index(self._table)
        self._era, self._pane, self._start, self._latest = (int(x) for x in state["clock"])
        self._marked = {int(shard): int(ts) for shard, ts in state["marked"]}

    def counters(self) -> dict[str, int]:
        """Pairs in the open pane, records that found no room, how often time ran back, bytes of state."""
        return {
            "open": int(self._table.used[0]),
            "refused": int(self._table.refused.sum()),
            "eras": self._era,
            "state_bytes": sum(a.nbytes for a in self._table),
        }

    def _after(self, mark: Mark) -> tuple[int, int]:
        """Era and open pane after a mark."""
        if mark.kind is MarkKind.END:
            self._marked.pop(mark.shard, None)
            return self._era + 1, NO_PANE
        self._latest = mark.ts_ns
        if self._start == NO_PANE:
            self._start = mark.ts_ns
        if mark.kind is MarkKind.START:
            return self._era, self._pane
        last = self._marked.get(mark.shard)
        self._marked[mark.shard] = mark.ts_ns
        pane = mark.ts_ns // PANE_NS * PANE_NS
        if last is not None and mark.ts_ns <= last:
            return self._era + 1, pane
        return self._era, max(self._pane, pane)

    def _wire(self, batch: Columns) -> kernels.Wire:
        return kernels.Wire(*(evidence.read_only(getattr(batch, name)) for name in kernels.Wire._fields))

    def _gather(self, wire: kernels.Wire, start: int, stop: int) -> None:
        while start < stop:
            start = kernels.gather(
                start, stop, wire, self._graveness, self._table, self._limit, self._site, self._scoped
            )
            if start < stop:
                self._reserve(1)

    def _reserve(self, free: int) -> None:
        used, capacity = int(self._table.used[0]), len(self._table.rows)
        if used + free <= capacity:
            return
        while capacity < used + free:
            capacity *= 2
        grown = _table(capacity)._replace(used=self._table.used, held=self._table.held, refused=self._table.refused)
        grown.rows[:used] = self._table.rows[:used]
        self._table = grown
        kernels.index(grown)

    def _leave(self) -> Closed:
        """Close the open pane."""
        table, used = self._table, int(self._table.used[0])
        left = table.rows[:used].copy()
        pane = self._pane
        if pane == NO_PANE and used:
            pane = int(left["ts"].min()) if self._latest == NO_PANE else self._latest
            pane = pane // PANE_NS * PANE_NS
        left["era"], left["pane"] = self._era, pane
        if len(table.rows) > _FIRST_ROWS and 8 * used < len(table.rows):
            self._table = _table(len(table.rows) // 2)._replace(refused=table.refused)
        elif used:
            table.places.fill(0)
            table.held.fill(0)
            table.used[0] = 0
        return left


def _table(capacity: int) -> kernels.Table:
    return kernels.Table(
        places=np.zeros(2 * capacity, np.int32),
        rows=np.zeros(capacity, kernels.OPEN),
        used=np.zeros(1, np.int64),
        held=np.zeros(BUCKETS, np.int64),
        refused=np.zeros(BUCKETS, np.int64),
    )
