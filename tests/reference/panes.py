"""Panes in plain Python: records among marks to rows, one dictionary per (pane, client, device)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from detectors.base import Mark
from schemas.codes import DANGEROUS, WRITING, Kind, MarkKind, Op, Role
from schemas.pane import PANE_NS

Row = dict[str, Any]
COUNTED = ("requests", "writes", "answers", "errors", "timeouts")


class Panes:
    """`client_of(address, vlan)` gives the device id of an address."""

    def __init__(self, client_of: Callable[[bytes], int]) -> None:
        self._client_of = client_of
        self._held: dict[tuple[int, bytes], Row] = {}
        self._era, self._pane = 0, None
        self._start: int | None = None
        self._last: dict[int, int] = {}
        self.rows: list[Row] = []

    def record(self, row: Row) -> None:
        if row["kind"] in (Kind.FOREIGN, Kind.ANNOUNCE):
            return
        asks = row["client_is_src"]
        client, device = (row["src_ip"], row["dst_ip"]) if asks else (row["dst_ip"], row["src_ip"])
        new = {name: row[name] for name in ("ts", "shard", "boot", "seq", "packet", "device", "vlan")}
        new |= {"client": self._client_of(client), "client_ip": client, "device_ip": device, "ops": 0, "grave": 0}
        held = self._held.setdefault((row["device"], client), new | dict.fromkeys(COUNTED, 0))
        op = row["op"]
        grave = 1
        if op in set(Op):
            grave = 3 if Op(op) in DANGEROUS else 2 if Op(op) in WRITING else 1
        held["ops"] |= 1 << min(op, 63)
        if grave > held["grave"]:
            held |= {"grave": grave} | {name: row[name] for name in ("op", "func", "unit", "protocol")}
        if row["kind"] == Kind.TIMEOUT:
            held["timeouts"] += 1
        elif asks:
            held["requests"] += 1
            held["writes"] += grave > 1
        else:
            held["answers"] += 1
            held["errors"] += row["status"] != 0

    def mark(self, mark: Mark) -> None:
        if mark.kind is MarkKind.START and self._start is None:
            self._start = mark.ts_ns
        if mark.kind is not MarkKind.TIME:
            return
        if self._start is None:
            self._start = mark.ts_ns
        back = mark.shard in self._last and mark.ts_ns <= self._last[mark.shard]
        self._last[mark.shard] = mark.ts_ns
        pane = mark.ts_ns // PANE_NS * PANE_NS
        if back:
            self.leave()
            self._era, self._pane = self._era + 1, pane
        elif self._pane is None:
            self._pane = pane
        elif pane > self._pane:
            self.leave()
            self._pane = pane

    def leave(self) -> None:
        """Everything open goes."""
        pane = self._pane
        if pane is None:
            began = min((r["ts"] for r in self._held.values()), default=0) if self._start is None else self._start
            pane = began // PANE_NS * PANE_NS
        found = [row | {"era": self._era, "pane": pane, "role": Role.CLIENT} for row in self._held.values()]
        spoke: dict[int, list[Row]] = {}
        for row in found:
            if row["answers"]:
                spoke.setdefault(row["device"], []).append(row)
        for device, rows in spoke.items():
            first = min(rows, key=_place)
            total = {name: sum(r[name] for r in rows) for name in ("answers", "errors")}
            silent = dict.fromkeys(("requests", "writes", "timeouts"), 0)
            found.append(first | total | silent | {"client": device, "role": Role.SERVER})
        self.rows += sorted(found, key=_order)
        self._held.clear()


def _place(row: Row) -> Sequence[int]:
    return [row[name] for name in ("ts", "shard", "boot", "seq", "packet")]


def _order(row: Row) -> Sequence[int]:
    return [row["client"], row["device"] % 1024, row["device"], row["role"], *_place(row)]
