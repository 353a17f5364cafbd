"""The second stage: questions across devices, from the panes that the partitions of the first stage send.

A pane is judged when every source has passed it, its rows in the order (pane, client, bucket, device): so it finds the
same whatever the number of sources, and in whatever order their messages arrive.  With an era every finding of it is
closed: that an input has ended is known from its place in that order, never from which message came last.  State is
per bucket of the client, as that of the first stage is per bucket of the device; the findings, their merging and their
evidence are the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.base import Buckets, Mark, State
from pipeline.detect import Loop
from pipeline.findings.taught import LIMIT, order_of
from pipeline.panes import rows as panes
from pipeline.panes.rows import NO_PANE, PaneOrder, Reached, Rows
from pipeline.second.columns import columns_of
from pipeline.second.message import PaneMessage
from schemas.alert import ALERT
from schemas.codes import BUCKETS, MarkKind
from schemas.pane import PANE_COLUMNS

__all__ = ["Admission", "SecondStage"]

_NOWHERE = (-1, NO_PANE)


class Admission(IntEnum):
    """What became of a message."""

    TAKEN = 0
    DUPLICATE = 1
    """It came before; dropped."""
    MISSING = 2
    """Taken, but messages before it never came."""


@dataclass(slots=True)
class _Source:
    """What is known of one partition of the first stage."""

    reached: Reached | None = None
    expected: tuple[int, int] | None = None
    ended: bool = False


class SecondStage:
    """Judges the panes of several sources.

    Args:
        sources: partitions of the first stage, numbered from 0.
        build: the loop with its detectors, given the record time at which the site's learning starts (None for
            unknown); called once, before anything is judged.
        max_waiting: rows held while a source is waited for; beyond it the oldest pane is judged without it.
    """

    def __init__(self, sources: int, build: Callable[[int | None], Loop], *, max_waiting: int = 1 << 20) -> None:
        self._build = build
        self._limit = max_waiting
        self._sources = [_Source() for _ in range(sources)]
        self._waiting: list[Rows] = []
        self._orders: list[PaneOrder] = []
        self._judged: tuple[int, int] = _NOWHERE
        self._start = NO_PANE
        self._loop: Loop | None = None
        self._counts = np.zeros(len(_COUNTS), np.int64)

    @property
    def loop(self) -> Loop | None:
        """The loop, once something was judged."""
        return self._loop

    @property
    def ended(self) -> bool:
        """Whether the input of every source is over."""
        return all(source.ended for source in self._sources)

    def admit(self, message: PaneMessage) -> Admission:
        """Take a message, once, whoever sent it again."""
        source = self._sources[message.source]
        place = (message.start, message.number)
        if source.expected is not None and place < source.expected:
            self._counts[_DUPLICATES] += 1
            return Admission.DUPLICATE
        missing = place[1] != 0 if source.expected is None else place != source.expected
        source.expected = (message.next, 0) if message.last else (message.start, message.number + 1)
        self._counts[_MESSAGES] += 1
        self._counts[_MISSING] += missing
        self.hear(message.orders)
        reached = message.reached if message.last else None
        self.add(message.source, message.rows, reached, ended=message.last and message.ended)
        return Admission.MISSING if missing else Admission.TAKEN

    def add(self, source: int, rows: Rows, reached: Reached | None, *, ended: bool = False) -> None:
        """Take rows of a source, then that it has come to `reached` (None: not yet further), or has ended."""
        n = panes.count(rows)
        self._counts[_ROWS] += n
        if n:
            self._waiting.append(rows)
            first = (int(rows["era"][0]), int(rows["pane"][0]))
            if first < self._judged:
                self._counts[_LATE] += int(_before(rows, self._judged).sum())
        if reached is not None:
            held = self._sources[source]
            held.reached = reached if held.reached is None else max(held.reached, reached)
            held.ended = ended
            self._judge()
        self._relieve()

    def hear(self, orders: Iterable[PaneOrder]) -> None:
        """Take what a person has called normal; it counts from its place in the order of the panes on."""
        for order in orders:
            if len(self._orders) < LIMIT:
                self._orders.append(order)
            else:
                self._counts[_REFUSED] += 1
        self._orders.sort()

    def take(self) -> pa.Table:
        """Rows of findings since the last call, schema ALERT."""
        return ALERT.empty_table() if self._loop is None else self._loop.take()

    def snapshot(self, buckets: Buckets) -> State:
        """All state of these client buckets in canonical order, and where the sources stand."""
        waiting = panes.join(self._waiting or [panes.empty()])
        of = panes.buckets_of(waiting["client"])
        order = panes.order(waiting)
        order = order[np.argsort(of[order], kind="stable")]
        order = order[np.isin(of[order], buckets)]
        state: State = {f"waiting/{name}": column[order] for name, column in waiting.items()}
        state["sources"] = np.array([_packed(s) for s in self._sources], np.int64).reshape(-1, _SOURCE_WIDTH)
        state["stage"] = np.array([*self._judged, self._start, self._loop is not None], np.int64)
        state["counts"] = self._counts.copy()
        state |= self._orders_of(buckets)
        if self._loop is not None:
            parts = {f"detector.{d.name}": d.snapshot(buckets) for d in self._loop.detectors}
            parts["findings"] = self._loop.findings.snapshot(buckets)
            state |= {f"{part}/{name}": array for part, held in parts.items() for name, array in held.items()}
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot, into an empty stage or beside client buckets that it does not yet hold.

        Raises:
            ValueError: it is of another number of sources.
        """
        if len(state["sources"]) != len(self._sources):
            raise ValueError(f"state of {len(state['sources'])} sources, here are {len(self._sources)}")
        self._sources = [_unpacked(row.tolist()) for row in state["sources"]]
        era, pane, start, begun = (int(n) for n in state["stage"])
        self._judged, self._start = (era, pane), start
        self._counts[: len(state["counts"])] = state["counts"]  # an older state may know fewer
        self._restore_orders(state)
        waiting = {c.name: state[f"waiting/{c.name}"] for c in PANE_COLUMNS}
        if panes.count(waiting):
            self._waiting.append(waiting)
        if begun:
            loop = self._begun()
            for detector in loop.detectors:
                detector.restore(_part(state, f"detector.{detector.name}/"))
            loop.findings.restore(_part(state, "findings/"))

    def counters(self) -> dict[str, int]:
        """Rows and messages taken, what was missing, late or judged too early, orders without room, rows that wait."""
        counted = {name: int(n) for name, n in zip(_COUNTS, self._counts, strict=True)}
        return {**counted, "waiting": self._held()}

    def _judge(self) -> None:
        """Judge every pane that all sources have passed."""
        reached = [s.reached for s in self._sources]
        known = [r for r in reached if r is not None]
        if len(known) == len(reached):
            if self._start == NO_PANE:
                starts = [r.start_ns for r in known if r.start_ns != NO_PANE]
                self._start = min(starts, default=NO_PANE)
            self._pass(min(r.place for r in known))

    def _relieve(self) -> None:
        """Where too many rows wait, judge the oldest panes without those that some source still has."""
        while self._held() > self._limit:
            era, pane = min(_first(part) for part in self._waiting)
            self._counts[_FORCED] += 1
            self._pass((era, pane + 1))

    def _held(self) -> int:
        return sum(panes.count(part) for part in self._waiting)

    def _pass(self, place: tuple[int, int]) -> None:
        """Judge the rows before `place`."""
        waiting = panes.join(self._waiting or [panes.empty()])
        due = _before(waiting, place)
        orders = [order for order in self._orders if order.place < place]
        if due.any() or orders:
            self._waiting = [] if due.all() else [panes.take(waiting, ~due)]
            self._orders = self._orders[len(orders) :]
            ready = panes.take(waiting, due)
            for era in sorted({*np.unique(ready["era"]).tolist(), *(order.era for order in orders)}):
                self._enter(era)
                part = panes.take(ready, np.flatnonzero(ready["era"] == era))
                self._run(panes.take(part, panes.order(part)), [order for order in orders if order.era == era])
        self._enter(place[0])
        self._judged = max(self._judged, place)
        if self._loop is not None and place[1] != NO_PANE:
            self._loop.findings.advance(place[1])

    def _enter(self, era: int) -> None:
        """The eras before `era` are over: every finding of theirs is closed."""
        if era > self._judged[0]:
            self._judged = (era, NO_PANE)
            if self._loop is not None:
                self._loop.finish()

    def _run(self, ready: Rows, orders: list[PaneOrder]) -> None:
        """Rows of an era in order through the loop, with a TIME mark where each pane begins, behind its orders."""
        pane, loop = ready["pane"], self._begun()
        begins = np.flatnonzero(np.diff(pane, prepend=pane[:1] - 1))
        marks = [(int(np.searchsorted(pane, order.pane_ns)), _control(order)) for order in orders]
        marks += [(int(at), Mark(MarkKind.TIME, int(pane[at]))) for at in begins]
        marks.sort(key=lambda placed: placed[0])
        if len(pane):
            loop.on_stretch(columns_of(ready), tuple(marks))
        else:
            for _, mark in marks:
                loop.on_mark(mark)

    def _orders_of(self, buckets: Buckets) -> State:
        kept = [order for order in self._orders if order.subject[0] % BUCKETS in buckets]
        return {
            "orders/place": np.array([order.place for order in kept], np.int64).reshape(-1, 2),
            "orders/subject": np.array([order.subject for order in kept], np.uint64).reshape(-1, 3),
            "orders/extent": np.array([order.extent for order in kept], np.float64),
        }

    def _restore_orders(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Nothing, in a state that is older than orders of this stage."""
        if "orders/place" not in state:
            return
        columns = (state[f"orders/{name}"].tolist() for name in ("place", "subject", "extent"))
        self.hear(
            PaneOrder(era, pane, (device, what, key), extent)
            for (era, pane), (device, what, key), extent in zip(*columns, strict=True)
        )

    def _begun(self) -> Loop:
        if self._loop is None:
            self._loop = self._build(None if self._start == NO_PANE else self._start)
        return self._loop


_COUNTS = ("rows", "messages", "duplicates", "missing", "late", "forced", "orders_refused")
_ROWS, _MESSAGES, _DUPLICATES, _MISSING, _LATE, _FORCED, _REFUSED = range(len(_COUNTS))
_SOURCE_WIDTH = 8


def _control(order: PaneOrder) -> Mark:
    return Mark(MarkKind.CONTROL, max(order.pane_ns, 0), text=order_of(order.subject, order.extent))


def _before(rows: Rows, place: tuple[int, int]) -> NDArray[np.bool_]:
    era = rows["era"].astype(np.int64)
    before: NDArray[np.bool_] = (era < place[0]) | ((era == place[0]) & (rows["pane"] < place[1]))
    return before


def _first(rows: Rows) -> tuple[int, int]:
    at = np.lexsort((rows["pane"], rows["era"]))[0]
    return int(rows["era"][at]), int(rows["pane"][at])


def _part(state: Mapping[str, NDArray[Any]], prefix: str) -> State:
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}


def _packed(source: _Source) -> list[int]:
    reached = source.reached or (0, NO_PANE, NO_PANE)
    return [
        source.reached is not None,
        *reached,
        source.expected is not None,
        *(source.expected or (0, 0)),
        source.ended,
    ]


def _unpacked(row: list[int]) -> _Source:
    has, era, pane, start, expects, offset, number, ended = row
    return _Source(Reached(era, pane, start) if has else None, (offset, number) if expects else None, bool(ended))
