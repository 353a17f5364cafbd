"""Scan: a client reaches many devices that it never reached before, at once or slowly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import evidence
from detectors.across import Panes
from detectors.base import Alerts, Attack, Buckets, FindingType, Mark, Recalled, State
from detectors.columns import Columns
from detectors.existence import baseline_columns, enter_known, rules_of
from detectors.kernels import scan as kernel
from detectors.kernels import seen
from detectors.kernels import slots as k
from detectors.lifecycle import Learning
from detectors.slots import Slots, restore_into, snapshot_of
from schemas.codes import WRITING, Op

_DISCOVERY = Attack("TA0102", "T0846", "Remote System Discovery")
_INFORMATION = Attack("TA0102", "T0888", "Remote System Information Discovery")
_COMMAND = Attack("TA0106", "T0855", "Unauthorized Command Message")
_BRUTE = Attack("TA0106", "T0806", "Brute Force I/O")


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """`[detectors.scan]`."""

    sweep_devices: int = 3
    """Devices outside of what it learned that a client may reach within ten minutes …"""
    write_devices: int = 2
    """… of those, to how many it may write …"""
    hour_devices: int = 8
    """… how many it may reach within an hour …"""
    day_devices: int = 20
    """… and within a day."""
    share: float = 0.1
    """How many more for each device that it did learn.  No limit grows beyond 60."""
    window_s: float = 600.0
    """How long further devices are counted as evidence, from the first beyond a limit."""
    rearm_s: float = 3600.0
    """After how long a client that was reported is reported again."""
    max_keys: int = 16_384
    """Pairs of client and device learned for each of the 1024 buckets of clients."""
    max_clients: int = 32
    """Clients whose unlearned devices are remembered for each of these buckets; beyond it the oldest go."""


class ScanDetector:
    """Counts for each client the distinct devices that it did not learn: within ten minutes, an hour and a day.

    The counts are exact: a client's set holds 64 devices, more than any limit.
    """

    name = "scan"
    version = "1"
    wants_time = False
    findings = (
        FindingType(
            code=kernel.TYPE_SWEEP,
            uid="scan.sweep",
            title="Scan for devices",
            text="{client} reached {observed} devices within ten minutes that it never reached before "
            "(normal: {expected}), {device} among them",
            types=("policy",),
            analytic_type=2,
            attacks=(_DISCOVERY, _INFORMATION),
            fits=(
                ("attack", "an intruder looks for devices"),
                ("misoperation", "a tool that looks for devices"),
            ),
            confidence=85,
            measure="",
        ),
        FindingType(
            code=kernel.TYPE_WRITES,
            uid="scan.writes",
            title="Writes to many devices",
            text="{client} wrote to {observed} devices within ten minutes that it never reached before "
            "(normal: {expected}): {op} of {device} among others",
            types=("policy",),
            analytic_type=2,
            attacks=(_COMMAND, _BRUTE),
            fits=(
                ("attack", "somebody drives many devices at once"),
                ("misoperation", "a program is rolled out"),
            ),
            confidence=90,
            measure="",
        ),
        FindingType(
            code=kernel.TYPE_HOUR,
            uid="scan.hour",
            title="Slow scan for devices",
            text="{client} reached {observed} devices within an hour that it never reached before "
            "(normal: {expected}), {device} among them",
            types=("policy",),
            analytic_type=2,
            attacks=(_DISCOVERY, _INFORMATION),
            fits=(
                ("attack", "an intruder looks for devices, slowly"),
                ("misoperation", "somebody goes from device to device"),
            ),
            confidence=75,
            measure="",
        ),
        FindingType(
            code=kernel.TYPE_DAY,
            uid="scan.day",
            title="Very slow scan for devices",
            text="{client} reached {observed} devices within a day that it never reached before "
            "(normal: {expected}), {device} among them",
            types=("policy",),
            analytic_type=2,
            attacks=(_DISCOVERY, _INFORMATION),
            fits=(
                ("attack", "an intruder looks for devices, very slowly"),
                ("misoperation", "somebody goes from device to device"),
            ),
            confidence=60,
            measure="",
        ),
    )

    def __init__(self, params: Params, learning: Learning) -> None:
        self._pairs = Slots(params.max_keys, {"seen": seen.SEEN})
        self._clients = Slots(params.max_clients, {"reached": kernel.REACHED}, per=kernel.SET)
        self._tables = {"pairs": self._pairs, "clients": self._clients}
        self._evidence = evidence.buffer()
        self._writing = np.zeros(256, np.uint8)
        self._writing[[int(op) for op in WRITING]] = 1
        self._rules = rules_of(learning, params.window_s, params.rearm_s, params.max_keys)
        self._limits = kernel.Limits(
            sweep=params.sweep_devices,
            writes=params.write_devices,
            hour=params.hour_devices,
            day=params.day_devices,
            share=float(params.share),
            clients=params.max_clients,
        )

    def on_batch(self, batch: Columns) -> Alerts:
        """Judge and learn."""
        if not len(batch):
            return Alerts.none()
        wire = kernel.Wire(*(evidence.read_only(getattr(batch, name)) for name in kernel.Wire._fields))
        return evidence.run(lambda at: self._scan(at, wire), len(batch), self._pairs, self._evidence, kernel.MOST_KEYS)

    def _scan(self, start: int, wire: kernel.Wire) -> int:
        self._clients.reserve(1)
        pairs, clients = self._pairs, self._clients
        at: int = kernel.scans(
            start,
            wire,
            self._writing,
            pairs.table,
            pairs.held["seen"],
            clients.table,
            clients.held["reached"],
            self._rules,
            self._limits,
            self._evidence,
        )
        return at

    def on_mark(self, mark: Mark) -> Recalled | None:
        """Nothing here waits for time."""
        return None

    def snapshot(self, buckets: Buckets) -> State:
        """All state of these buckets."""
        return snapshot_of(self._tables, buckets)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot."""
        restore_into(self._tables, state)

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """Known pairs: `device` is the client, `code` the device that it reaches."""
        keys, rows = self._pairs.keys, self._pairs.rows("seen")
        keep = ((keys[:, k.STATUS] & k.KNOWN) != 0) & (keys[:, 2] == kernel.PAIR)
        keys, rows = keys[keep], rows[keep]
        return baseline_columns(
            device=keys[:, 0],
            parameter=np.full(len(keys), "reaches", "U24"),
            code=keys[:, 1],
            n=rows["n"].astype(np.uint64),
            first=rows["first"],
            last=rows["last"],
        )

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """Its pairs are known; every other is counted from the first record."""
        self._pairs.adopt_everywhere()
        client = np.asarray(baseline["device"], np.uint64)
        words = np.zeros((len(client), k.WORDS), np.uint64)
        words[:, 0], words[:, 1], words[:, 2] = client, baseline["code"], kernel.PAIR
        enter_known(self._pairs, words, baseline)
        clients, pairs = np.unique(client, return_counts=True)
        words = np.zeros((len(clients), k.WORDS), np.uint64)
        words[:, 0], words[:, 2] = clients, kernel.CLIENT
        slots = self._pairs.add(words, k.KNOWN)
        rows = self._pairs.rows("seen")
        rows["since"][slots], rows["n"][slots], rows["flags"][slots] = k.UNSET, 1, pairs

    def counters(self) -> Mapping[str, int]:
        """Keys and clients held, forgotten and refused; bytes of state."""
        pairs, clients = self._pairs.counters(), self._clients.counters()
        both = {name: pairs[name] + clients[name] for name in ("forgotten", "refused", "state_bytes")}
        return {"keys": pairs["keys"], "clients": clients["keys"], **both}


def example(rng: np.random.Generator) -> Sequence[Columns]:
    """Two clients of three devices; then one sweeps, one goes slowly, and a stranger writes to many."""
    panes = Panes(rng)
    for second in range(0, 300, 10):
        for client, device in ((1, 101), (1, 102), (2, 103)):
            panes.asks(second + client, client, device)
            panes.answers(second + client, client, device)
    for second in range(300, 900, 10):
        panes.asks(second + 1, 1, 101)
    for n in range(3):
        panes.asks(310 + 20 * n, 1, 110 + n)
    for n in range(3, 9):
        panes.asks(800 + 20 * n, 1, 110 + n)
    for n in range(24):
        panes.asks(1000 + 1900 * n, 2, 120 + n)
    for n in range(20):
        panes.asks(3000 + 400 * n, 3, 150 + n)
    for n in range(6):
        panes.asks(20_000 + 10 * n, 4, 180 + n, Op.WRITE if n != 1 else Op.READ)
    for n in range(90):
        panes.asks(30_000 + n, 5, 101 + n)
    return panes.batches()
