"""Plant: the tags of a device that no longer move together as they did while they were learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import evidence, plant_baseline
from detectors.base import Alerts, Attack, Buckets, FindingType, Mark, Recalled, State
from detectors.columns import Columns, records
from detectors.kernels import plant as kernel
from detectors.kernels import slots as k
from detectors.lifecycle import SECOND_NS, Learning
from detectors.plant_rows import Rows
from detectors.slots import Slots, restore_into, snapshot_of
from schemas.codes import Direction, Kind, Match, Op, PointType, Protocol, Space, Transport

_SPOOF = Attack("TA0103", "T0856", "Spoof Reporting Message")
_CONTROL = Attack("TA0106", "T0831", "Manipulation of Control")
_VIEW = Attack("TA0105", "T0832", "Manipulation of View")

NEEDS_BASELINE = True
"""Without one it judges nothing: a model is fitted by `fieldtap learn`, not while traffic is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """`[detectors.plant]`."""

    grid_s: float = 10.0
    """Step of the grid on which the values of a device are put beside each other; at least the slowest poll."""
    smooth: float = 0.3
    """Weight of the newest row in the smoothed statistics."""
    margin: float = 1.3
    """How far beyond what unseen rows of clean traffic reached the limits are, as a factor."""
    hysteresis: float = 0.5
    """Below which share of its limit a statistic must fall to be normal again."""
    window_s: float = 600.0
    """How long a deviation is counted as evidence, from its first."""
    rearm_s: float = 3600.0
    """After how long a deviation that lasts is reported again."""
    least_learning_s: float = 86_400.0
    """How long the clean traffic must be of which a model is fitted: an hour shows too few of a plant's states."""
    max_tags: int = 128
    """Tags of a device that its model can have."""
    max_rows: int = 20_000
    """Rows of a device of which it is fitted, the latest."""

    def __post_init__(self) -> None:
        if not self.grid_s >= 0.001:
            raise ValueError(f"grid_s: expected at least 0.001, found {self.grid_s}")


EXAMPLE_PARAMS, CLEAN_S = Params(least_learning_s=0.0), 3000
"""Settings for the example, and its seconds that are normal."""


class PlantDetector:
    """Scores each row of a device's grid by the baseline's model; the next values of the tags to blame are evidence."""

    name = "plant"
    version = "1"
    wants_time = False
    findings = (
        FindingType(
            code=kernel.TYPE_DEVIATION,
            uid="plant.deviation",
            title="Values no longer fit each other",
            text="the values of {device} do not move together as they did; most of all {tag}, which reads {observed} "
            "(normal by itself: {expected})",
            types=("value", "operational"),
            analytic_type=3,
            attacks=(_SPOOF, _CONTROL, _VIEW),
            fits=(
                ("fault", "a sensor, a drive, or a leak"),
                ("attack", "values are forged, or the process driven away"),
            ),
            confidence=60,
        ),
        FindingType(
            code=kernel.TYPE_CONTRIBUTOR,
            uid="plant.contributor",
            title="Part of a deviation",
            text="{tag} of {device} does not fit the other values either: it reads {observed} "
            "(normal by itself: {expected})",
            types=("value", "operational"),
            analytic_type=3,
            attacks=(_SPOOF, _CONTROL, _VIEW),
            fits=(
                ("fault", "a sensor, a drive, or a leak"),
                ("attack", "values are forged, or the process driven away"),
            ),
            confidence=40,
        ),
    )

    def __init__(self, params: Params, learning: Learning) -> None:
        self._params = params
        self._devices = Slots(1 << 40, {"group": kernel.GROUP})
        self._pages = Slots(1 << 40, {"tag": kernel.TAG}, per=kernel.PAGE)
        self._tables = {"devices": self._devices, "pages": self._pages}
        self._evidence = evidence.buffer()
        self._found = np.zeros(3)
        self._known: Mapping[str, NDArray[Any]] = plant_baseline.nothing()
        self._models, self._of = plant_baseline.models(self._known)
        self._rows = Rows(params) if learning.learns_only else None
        self._settings = kernel.Settings(
            grid_ns=int(params.grid_s * SECOND_NS),
            smooth=float(params.smooth),
            hysteresis=float(params.hysteresis),
            window_ns=int(params.window_s * SECOND_NS),
            rearm_ns=int(params.rearm_s * SECOND_NS),
        )

    def on_batch(self, batch: Columns) -> Alerts:
        """Judge, or, while learning from clean traffic, keep rows."""
        if not len(batch) or batch.offsets[0] == batch.offsets[-1]:
            return Alerts.none()
        if self._rows is None and not len(self._devices):
            return Alerts.none()
        wire = kernel.Wire(*(evidence.read_only(getattr(batch, name)) for name in kernel.Wire._fields))
        points = kernel.Values(*(evidence.read_only(getattr(batch.points, name)) for name in kernel.Values._fields))
        if self._rows is not None:
            self._rows.take(wire, points)
            return Alerts.none()
        most = int(np.diff(batch.offsets).max())
        if most > len(self._evidence.marks):
            self._evidence = evidence.buffer(most)
        return evidence.run(lambda at: self._scan(at, wire, points), len(batch), self._devices, self._evidence, 0)

    def _scan(self, start: int, wire: kernel.Wire, points: kernel.Values) -> int:
        at: int = kernel.plants(
            start,
            wire,
            points,
            self._devices.table,
            self._devices.held["group"],
            self._pages.table,
            self._pages.held["tag"],
            self._models,
            self._settings,
            self._found,
            self._evidence,
        )
        return at

    def on_mark(self, mark: Mark) -> Recalled | None:
        """Nothing here waits for time."""
        return None

    def snapshot(self, buckets: Buckets) -> State:
        """All state of these buckets; the models are the baseline's, and rows that are being learned are not state."""
        return snapshot_of(self._tables, buckets)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot, made with the same baseline."""
        restore_into(self._tables, state)
        self._point()

    def counters(self) -> Mapping[str, int]:
        """Devices with a model, tags in them, values that were learned and passed over; bytes of state."""
        devices, pages = self._devices.counters(), self._pages.counters()
        learned, refused = (self._rows.values, self._rows.refused) if self._rows is not None else (0, 0)
        return {
            "keys": devices["keys"],
            "tags": len(self._models.places),
            "learned_values": learned,
            "forgotten": 0,
            "refused": refused,
            "state_bytes": devices["state_bytes"] + pages["state_bytes"],
        }

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """A model for each device whose tags move together: see `detectors.plant_baseline`."""
        return self._known if self._rows is None else plant_baseline.rows_of(self._rows.fitted(), self._params.grid_s)

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """Judge by its models from the first whole row on."""
        self._known = {name: np.asarray(column) for name, column in baseline.items()}
        self._models, self._of = plant_baseline.models(self._known)
        grids = self._known["value"][self._known["parameter"] == "grid"]
        if len(grids):
            self._settings = self._settings._replace(grid_ns=int(grids[0] * SECOND_NS))
        before = len(self._devices)
        self._devices.add(plant_baseline.device_words(self._of), k.KNOWN)
        groups = self._devices.rows("group")[before:]
        groups[:] = np.zeros(1, kernel.GROUP)
        groups["step"] = groups["since"] = k.UNSET
        groups["rows"] = -1
        before = len(self._pages)
        self._pages.add(plant_baseline.page_words(self._of), k.KNOWN)
        self._pages.rows("tag")[before * kernel.PAGE :] = np.zeros(1, kernel.TAG)
        self._point()

    def _point(self) -> None:
        """Let devices and tags that are held and the models find each other."""
        devices = self._devices.add(plant_baseline.device_words(self._of), k.KNOWN)
        pages = self._pages.add(plant_baseline.page_words(self._of), k.KNOWN)
        # Only now: what is added may move the rows.
        groups, tags = self._devices.rows("group"), self._pages.rows("tag")
        groups["model"] = tags["index"] = -1
        groups["model"][devices] = np.arange(len(self._of))
        for at, (place, index) in enumerate(zip(pages, plant_baseline.places(self._of), strict=True)):
            tag = int(place) * kernel.PAGE + index[0]
            self._models.places[at] = tag
            tags["index"][tag] = index[1]


def example(rng: np.random.Generator) -> list[Columns]:
    """Two tanks whose levels follow their flows, polled on the grid; then one flow is forged, and one level drifts."""
    start = 1_700_000_000 * SECOND_NS
    devices = [int(d) for d in rng.integers(1, 1 << 63, 2)]
    rows: list[dict[str, Any]] = []
    level = [5.0, 5.0]
    for step in range(360):
        for device in range(2):
            inflow = 3.0 + np.sin(step / 7 + device) + 0.02 * float(rng.standard_normal())
            outflow = 3.0 + np.sin(step / 11) + 0.02 * float(rng.standard_normal())
            level[device] += 0.05 * (inflow - outflow)
            shown = level[device] + (0.02 * (step - 310) if device == 0 and step > 310 else 0.0)
            both = inflow - outflow if device == 1 and step > 330 else inflow + outflow
            rows.append(
                {
                    "ts": int(start + (10 * step + device / 4) * SECOND_NS),
                    "seq": len(rows),
                    "device": devices[device],
                    "protocol": Protocol.MODBUS,
                    "transport": Transport.TCP,
                    "unit": 1,
                    "kind": Kind.RESPONSE,
                    "op": Op.READ,
                    "func": 3,
                    "match": Match.MATCHED,
                    "points": [
                        {
                            "space": Space.HOLDING_REGISTER,
                            "addr": addr,
                            "value": float(value),
                            "type": PointType.F32,
                            "direction": Direction.READ,
                        }
                        for addr, value in enumerate((inflow, outflow, shown, both), 6)
                    ],
                }
            )
    return [records(rows[at : at + 17]) for at in range(0, len(rows), 17)]
