"""Role: a controller starts to ask, or a client starts to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.across import Panes
from detectors.base import Attack, FindingType
from detectors.columns import Columns
from detectors.existence import Existence, baseline_columns
from detectors.kernels import role as kernel
from detectors.kernels import seen
from detectors.kernels import slots as k
from detectors.lifecycle import Learning
from schemas.codes import WRITING, Op

_ROGUE = Attack("TA0108", "T0848", "Rogue Master")
_REMOTE = Attack("TA0109", "T0886", "Remote Services")
_COMMAND = Attack("TA0106", "T0855", "Unauthorized Command Message")
_MIDDLE = Attack("TA0100", "T0830", "Adversary-in-the-Middle")
_SPOOF = Attack("TA0103", "T0856", "Spoof Reporting Message")

_PARAMETERS = {int(kernel.ASKS): "asks", int(kernel.ANSWERS): "answers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """`[detectors.role]`."""

    window_s: float = 600.0
    """How long what an address does in its new role is counted as evidence, from the first."""
    rearm_s: float = 86_400.0
    """After how long an address that was reported is reported again."""
    max_keys: int = 4096
    """Roles remembered for each of the 1024 buckets of addresses; beyond it the oldest strange ones go."""


class RoleDetector(Existence):
    """Which addresses ask and which answer; one that only ever did one of it and does the other alarms at once."""

    name = "role"
    version = "1"
    findings = (
        FindingType(
            code=kernel.TYPE_ASKS,
            uid="role.device_asks",
            title="A device acts as a client",
            text="{client} only ever answered, and now asks {device} to {op}",
            types=("policy",),
            analytic_type=4,
            attacks=(_REMOTE, _ROGUE, _COMMAND),
            fits=(
                ("attack", "a device that was taken over reaches further"),
                ("misoperation", "its program was changed"),
            ),
            confidence=80,
        ),
        FindingType(
            code=kernel.TYPE_ANSWERS,
            uid="role.client_answers",
            title="A client acts as a device",
            text="{device} only ever asked, and now answers {client}",
            types=("policy",),
            analytic_type=4,
            attacks=(_MIDDLE, _SPOOF),
            fits=(
                ("attack", "a back door, or somebody in a device's place"),
                ("misoperation", "a service was started on it"),
            ),
            confidence=65,
        ),
    )

    def __init__(self, params: Params, learning: Learning) -> None:
        super().__init__(learning, params.window_s, params.rearm_s, params.max_keys, kernel.MOST_KEYS)
        self._writing = np.zeros(256, np.uint8)
        self._writing[[int(op) for op in WRITING]] = 1

    def _scan(self, start: int, wire: seen.Wire) -> int:
        table, rows = self.slots.table, self.slots.held["seen"]
        at: int = kernel.roles(start, wire, self._writing, table, rows, self._rules, self._evidence)
        return at

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """Known roles of an address, by `parameter`."""
        keys, rows = self.slots.keys, self.slots.rows("seen")
        keep = (keys[:, k.STATUS] & k.KNOWN) != 0
        keys, rows = keys[keep], rows[keep]
        return baseline_columns(
            device=keys[:, 0],
            parameter=np.array([_PARAMETERS[int(role)] for role in keys[:, 1]], "U24"),
            n=rows["n"].astype(np.uint64),
            first=rows["first"],
            last=rows["last"],
        )

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """Its roles are known; another one alarms from the first record."""
        self.slots.adopt_everywhere()
        words = np.zeros((len(baseline["device"]), k.WORDS), np.uint64)
        words[:, 0] = baseline["device"]
        for role, name in _PARAMETERS.items():
            words[np.asarray(baseline["parameter"]) == name, 1] = role
        self._enter(words, baseline)


def example(rng: np.random.Generator) -> Sequence[Columns]:
    """Two clients and three devices; then a device asks and writes, and a client answers."""
    panes = Panes(rng)
    for second in range(0, 900, 10):
        for client, device in ((1, 101), (1, 102), (2, 103)):
            panes.asks(second + client, client, device)
            panes.answers(second + client, client, device)
    for second in range(310, 400, 10):
        panes.asks(second, 101, 102)
        panes.answers(second + 5, 1, 2)
    for second in range(700, 760, 10):
        panes.asks(second, 101, 103, Op.WRITE)
        panes.asks(second, 3, 2)
        panes.answers(second, 3, 104)
    panes.asks(850, 104, 101)
    panes.asks(950, 101, 102)
    return panes.batches()
