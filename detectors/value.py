"""Value: ranges, steps and standstills of tags, for what devices report and for what is written to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import evidence
from detectors.base import Alerts, Attack, Buckets, FindingType, Mark, Recalled, State
from detectors.columns import Columns, records
from detectors.existence import baseline_columns
from detectors.kernels import settle, still
from detectors.kernels import slots as k
from detectors.kernels import value as kernel
from detectors.lifecycle import SECOND_NS, Learning
from detectors.slots import Slots
from schemas.codes import Direction, Kind, LearnState, Match, Op, PointType, Protocol, Space, Transport

_MODIFY = Attack("TA0106", "T0836", "Modify Parameter")
_SPOOF = Attack("TA0103", "T0856", "Spoof Reporting Message")

SIDES = {kernel.REPORTED: "reported", kernel.WRITTEN: "written"}
HOT_PARAMETERS = {"gap_ns": "gap", "kind": "kind", "type": "type"}
COLD_PARAMETERS = ("low", "high", "margin", "step", "unchanged", "longest", "longest_ns")
PARAMETERS = (*COLD_PARAMETERS, *HOT_PARAMETERS)
"""Parameters of a tag in a baseline, after "reported." or "written.": the learned range, the margin as a share of it,
the largest normal step, the share of polls without a change, the longest standstill in polls and in ns, the longest
silence, the kind (`detectors.kernels.settle.KINDS`), and how its points were encoded (PointType, or as
`detectors.kernels.wide` has it): learned of one encoding of the site file, it says nothing about another."""
_FEW_REPORTS = 4
"""A reported tag with fewer than this part of `value_samples` goes into a baseline as not learned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """`[detectors.value]`."""

    margin: float = 0.10
    """How far beyond the learned range a quantity may go, as a share of the range; states and constants have none."""
    step_margin: float = 0.5
    """How much larger than the largest learned step a step may be, as a share of it."""
    step_floor: float = 0.05
    """Added to the largest normal step, as a share of the range."""
    window_s: float = 600.0
    """How long a value that stays outside its range is counted as evidence, from when it left it."""
    rearm_s: float = 3600.0
    """After how long a value that is still outside is reported again."""
    max_pages: int = 4096
    """Pages of eight consecutive tags remembered for each of the 1024 device buckets; beyond it the oldest that are
    still learning go."""


class ValueDetector:
    """Each tag against its learned range, its largest step and its longest standstill; what alarms is never learned."""

    name = "value"
    version = "1"
    wants_time = False
    findings = (
        FindingType(
            code=kernel.TYPE_RANGE,
            uid="value.range",
            title="Value outside its range",
            text="{tag} of {device} reads {observed}, learned {expected}",
            types=("value",),
            analytic_type=3,
            attacks=(_SPOOF,),
            confidence=60,
        ),
        FindingType(
            code=kernel.TYPE_WRITTEN_RANGE,
            uid="value.written_range",
            title="Written value outside what was ever written",
            text="{client} writes {observed} to {tag} of {device}, learned {expected}",
            types=("value",),
            analytic_type=3,
            attacks=(_MODIFY,),
            confidence=75,
        ),
        FindingType(
            code=kernel.TYPE_JUMP,
            uid="value.jump",
            title="Value jumps",
            text="{tag} of {device} jumps to {observed}, a normal step would end in {expected}",
            types=("value",),
            analytic_type=3,
            attacks=(_SPOOF,),
            confidence=50,
        ),
        FindingType(
            code=kernel.TYPE_WRITTEN_JUMP,
            uid="value.written_jump",
            title="Written value jumps",
            text="{client} writes {observed} to {tag} of {device}, a normal step would end in {expected}",
            types=("value",),
            analytic_type=3,
            attacks=(_MODIFY,),
            confidence=50,
        ),
        FindingType(
            code=kernel.TYPE_CONSTANT,
            uid="value.constant",
            title="Constant value changed",
            text="{tag} of {device} reads {observed}, and was always {expected}",
            types=("value",),
            analytic_type=3,
            attacks=(_SPOOF,),
            confidence=60,
        ),
        FindingType(
            code=kernel.TYPE_STUCK,
            uid="value.stuck",
            title="Value stands still",
            text="{tag} of {device} stands still at {observed}; it always moved before, within {expected}",
            types=("value", "operational"),
            analytic_type=3,
            attacks=(_SPOOF,),
            confidence=60,
        ),
    )

    def __init__(self, params: Params, learning: Learning) -> None:
        self.learning = learning
        self.slots = Slots(params.max_pages, {"hot": settle.HOT, "cold": settle.COLD}, per=kernel.PAGE)
        self._evidence = evidence.buffer()
        self._skipped = np.zeros(len(kernel.SKIP_REASONS) + 1, np.int64)
        self._lengths = settle.Lengths(
            learns_only=learning.learns_only,
            value_ns=learning.value_ns,
            samples=learning.value_samples,
            writes=learning.write_samples,
            margin=float(params.margin),
            step_margin=float(params.step_margin),
            step_floor=float(params.step_floor),
            window_ns=int(params.window_s * SECOND_NS),
            rearm_ns=int(params.rearm_s * SECOND_NS),
            limit=params.max_pages,
        )

    def on_batch(self, batch: Columns) -> Alerts:
        """Judge and learn."""
        if not len(batch) or batch.offsets[0] == batch.offsets[-1]:
            return Alerts.none()
        most = int(np.diff(batch.offsets).max())
        if most > len(self._evidence.marks):
            self._evidence = evidence.buffer(most)
        wire = kernel.Wire(*(evidence.read_only(getattr(batch, name)) for name in kernel.Wire._fields))
        points = kernel.Values(*(evidence.read_only(getattr(batch.points, name)) for name in kernel.Values._fields))
        return evidence.run(lambda at: self._scan(at, wire, points), len(batch), self.slots, self._evidence, most)

    def _scan(self, start: int, wire: kernel.Wire, points: kernel.Values) -> int:
        hot, cold = self.slots.held["hot"], self.slots.held["cold"]
        table = self.slots.table
        at: int = kernel.values(start, wire, points, table, hot, cold, self._lengths, self._skipped, self._evidence)
        return at

    def on_mark(self, mark: Mark) -> Recalled | None:
        """Nothing here waits for time."""
        return None

    def snapshot(self, buckets: Buckets) -> State:
        """All state of these buckets."""
        return self.slots.snapshot(buckets)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot."""
        self.slots.restore(state)

    def counters(self) -> Mapping[str, int]:
        """Tags by state and kind, pages held and forgotten, values passed over by reason, bytes of state.

        "learned anew": tags that the site file reads otherwise than when they were learned.
        """
        hot = self.slots.rows("hot")
        states = np.bincount(hot["state"], minlength=len(LearnState))
        kinds = np.bincount(hot["kind"][hot["state"] == LearnState.LIVE], minlength=len(settle.KINDS))
        return {
            **self.slots.counters(),
            "tags": int(states[1:].sum()),
            **{s.name.lower(): int(states[s]) for s in (LearnState.LEARN, LearnState.SHADOW, LearnState.LIVE)},
            **{name: int(kinds[kind]) for kind, name in enumerate(settle.KINDS) if name},
            **{f"skipped: {r}": int(n) for r, n in zip(kernel.SKIP_REASONS, self._skipped, strict=False)},
            "learned anew": int(self._skipped[kernel.ANEW]),
        }

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """A row for each tag and parameter, see PARAMETERS; a tag with too few values says LEARN in `state`."""
        hot, cold = self.slots.rows("hot").copy(), self.slots.rows("cold").copy()
        settle.settle_all(hot, cold, self._lengths)
        tags = np.flatnonzero(hot["state"])
        hot, cold = hot[tags], cold[tags]
        keys = self.slots.keys[tags // kernel.PAGE]
        side = (keys[:, 1] >> np.uint64(48)).astype(np.int64)
        enough = (side == kernel.WRITTEN) | (_FEW_REPORTS * hot["n"] >= self.learning.value_samples)
        numbers = [*(cold[name] for name in COLD_PARAMETERS), *(hot[name] for name in HOT_PARAMETERS.values())]
        names = [[f"{SIDES[s]}.{name}" for name in PARAMETERS] for s in SIDES]
        one = baseline_columns(
            device=keys[:, 0],
            unit=(keys[:, 1] & np.uint64(0xFFFFFFFF)).astype(np.uint32),
            space=(keys[:, 1] >> np.uint64(32) & np.uint64(0xFFFF)).astype(np.uint16),
            addr=keys[:, 4] << np.uint64(3) | (tags % kernel.PAGE).astype(np.uint64),
            addr_sub=keys[:, 2].astype(np.uint32),
            name_id=keys[:, 3],
            state=np.where(enough, LearnState.LIVE, LearnState.LEARN).astype(np.uint8),
            n=hot["n"].astype(np.uint64),
            first=cold["first"],
            last=np.maximum(cold["first"], hot["seen"]),
        )
        rows = {name: np.repeat(column, len(PARAMETERS), axis=0) for name, column in one.items()}
        rows["value"] = np.column_stack(numbers).astype(np.float64).reshape(-1)
        rows["parameter"] = np.array(names, "U24")[side - 1].reshape(-1)
        return rows

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """Its learned tags are judged from the first record; the others learn from their own first sight."""
        keep = np.flatnonzero(np.asarray(baseline["state"]) == LearnState.LIVE)
        rows = {name: np.asarray(column)[keep] for name, column in baseline.items()}
        side, field = _parameters(rows["parameter"])
        words = np.zeros((len(keep), k.WORDS), np.uint64)
        unit, space = np.asarray(rows["unit"]).astype(np.uint64), np.asarray(rows["space"]).astype(np.uint64)
        words[:, 0] = rows["device"]
        words[:, 1] = unit | space << np.uint64(32) | side << np.uint64(48)
        words[:, 2] = rows["addr_sub"]
        words[:, 3] = rows["name_id"]
        addr = np.asarray(rows["addr"], np.uint64)
        words[:, 4] = addr >> np.uint64(3)
        tags = self._pages(words) * kernel.PAGE + (addr & np.uint64(7)).astype(np.int64)
        self._set(tags, field, rows)

    def _pages(self, words: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The slots of pages, cleared where they are new."""
        before = len(self.slots)
        slots = self.slots.add(words, k.KNOWN)
        for page in range(before, len(self.slots)):
            kernel.clear(self.slots.held["hot"], self.slots.held["cold"], page)
        return slots

    def _set(self, tags: NDArray[np.int64], field: NDArray[np.int64], rows: Mapping[str, NDArray[Any]]) -> None:
        hot, cold = self.slots.held["hot"], self.slots.held["cold"]
        value = np.asarray(rows["value"], np.float64)
        cold["unchanged"][tags] = 1.0
        for name in ("longest", "longest_ns", "moved"):
            cold[name][tags] = 0
        for name in ("type", "same"):
            hot[name][tags] = 0
        for i, name in enumerate(PARAMETERS):
            held, place = (hot, HOT_PARAMETERS[name]) if name in HOT_PARAMETERS else (cold, name)
            held[place][tags[field == i]] = value[field == i]
        hot["n"][tags] = rows["n"].astype(np.int64)
        hot["last"][tags] = np.nan
        hot["seen"][tags] = rows["last"].astype(np.int64)
        cold["first"][tags] = rows["first"].astype(np.int64)
        for name in ("since", "told"):
            cold[name][tags] = still.NEVER
        for tag in np.unique(tags):
            settle.apply_bounds(hot, cold, tag)


def _parameters(names: NDArray[Any]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """(direction class, index into PARAMETERS) of each parameter's name."""
    codes = {f"{SIDES[side]}.{name}": (side, i) for side in SIDES for i, name in enumerate(PARAMETERS)}
    pairs = np.array([codes[str(name)] for name in names], np.int64).reshape(-1, 2)
    return pairs[:, 0].astype(np.uint64), pairs[:, 1]


def example(rng: np.random.Generator) -> list[Columns]:
    """Two devices polled each second; then values just inside and just outside the margins, a
    written one, and one that no longer moves."""
    start = 1_700_000_000 * SECOND_NS
    devices = [int(d) for d in rng.integers(1, 1 << 63, 2)]
    rows: list[dict[str, Any]] = []

    def put(second: float, device: int, direction: Direction, values: Mapping[int, float]) -> None:
        points = [
            {
                "space": Space.HOLDING_REGISTER,
                "addr": addr,
                "value": value,
                "type": PointType.U16,
                "direction": direction,
            }
            for addr, value in values.items()
        ]
        is_write = direction == Direction.WRITTEN
        rows.append(
            {
                "ts": int(start + second * SECOND_NS),
                "seq": len(rows),
                "device": devices[device],
                "protocol": Protocol.MODBUS,
                "transport": Transport.TCP,
                "unit": 1,
                "client_is_src": int(is_write),
                "kind": Kind.REQUEST if is_write else Kind.RESPONSE,
                "op": Op.WRITE if is_write else Op.READ,
                "func": 16 if is_write else 3,
                "match": Match.PENDING if is_write else Match.MATCHED,
                "points": points,
            }
        )

    def level(second: int) -> float:
        """A triangle between 1000 and 1100 in steps of 2."""
        return 1000.0 + 2.0 * abs(second % 100 - 50)

    for second in range(340):
        for device in range(2):
            polled = {
                5: level(second + 7 * device),
                6: 42.0,
                8: float(second // 20 % 3),
                9: float(17 * second % 65_536),
                10: 500.0 + 7 * (second // 2) % 83,
            }
            put(second + device / 4, device, Direction.READ, polled)
        if second % 20 == 0:
            put(second + 0.5, 0, Direction.WRITTEN, {5: 50.0 + second // 20 % 4})
    for second, value in enumerate((1110.0, 1110.5, 1125.1, 1150.0, 1098.0, 1090.1, 1082.2), 340):
        put(second, 0, Direction.READ, {5: value, 6: 42.0 if value != 1090.1 else 43.0, 8: 1.0, 9: 17.0 * second})
    put(350.0, 0, Direction.WRITTEN, {5: 53.0})
    put(351.0, 0, Direction.WRITTEN, {5: 54.5})
    for second in range(360, 400):
        put(second, 1, Direction.READ, {10: 540.0})
    return [records(rows[at : at + 31]) for at in range(0, len(rows), 31)]
