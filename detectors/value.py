"""Value: ranges, steps and standstills of tags, for what devices report and for what is written to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import evidence, value_baseline
from detectors.base import Alerts, Attack, Buckets, FindingType, Mark, Recalled, State
from detectors.columns import Columns, records
from detectors.kernels import drift, settle, upset
from detectors.kernels import value as kernel
from detectors.kernels.learning import PAGE
from detectors.lifecycle import SECOND_NS, Learning
from detectors.slots import Slots
from schemas.codes import Direction, Kind, LearnState, Match, Op, PointType, Protocol, Space, Transport

_MODIFY = Attack("TA0106", "T0836", "Modify Parameter")
_SPOOF = Attack("TA0103", "T0856", "Spoof Reporting Message")
_CONTROL = Attack("TA0106", "T0831", "Manipulation of Control")


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
    version = "2"
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
            fits=(
                ("fault", "a sensor, or the process itself"),
                ("attack", "the value is forged, or the process driven away"),
            ),
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
            fits=(
                ("misoperation", "a mistyped setpoint"),
                ("attack", "the process is driven to where it must not be"),
            ),
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
            fits=(
                ("fault", "a sensor, its line, or a restart"),
                ("attack", "the value is forged"),
            ),
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
            fits=(
                ("misoperation", "a mistyped setpoint"),
                ("attack", "the process is driven to where it must not be"),
            ),
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
            fits=(
                ("misoperation", "a setting was changed at the device"),
                ("attack", "a setting was changed that never should be"),
            ),
            confidence=60,
        ),
        FindingType(
            code=upset.TYPE_STUCK,
            uid="value.stuck",
            title="Value stands still",
            text="{tag} of {device} stands still at {observed}; it always moved before, within {expected}",
            types=("value", "operational"),
            analytic_type=3,
            attacks=(_SPOOF,),
            fits=(
                ("fault", "a sensor, its line, or a program that stopped"),
                ("attack", "the value is frozen to hide the process"),
            ),
            confidence=60,
        ),
        FindingType(
            code=kernel.TYPE_DRIFT,
            uid="value.drift",
            title="Level moves",
            text="{tag} of {device} has moved to about {observed}, its level was {expected}",
            types=("value", "operational"),
            analytic_type=3,
            attacks=(_SPOOF,),
            fits=(
                ("fault", "a sensor that ages, or the process itself"),
                ("attack", "the value or the process is moved little by little"),
            ),
            confidence=50,
        ),
        FindingType(
            code=upset.TYPE_REST,
            uid="value.rest",
            title="State lasts longer than ever",
            text="{tag} of {device} has been in one state for {observed}, before at most {expected}",
            types=("value", "operational"),
            analytic_type=3,
            attacks=(_SPOOF, _CONTROL),
            fits=(
                ("fault", "a drive, valve or switch that no longer moves"),
                ("attack", "it is held in its state"),
            ),
            confidence=40,
            measure="s",
        ),
        FindingType(
            code=kernel.TYPE_BIT,
            uid="value.bit",
            title="Bit changed that never did",
            text="{tag} of {device} reads {observed}, in which a bit has changed that never did before",
            types=("value",),
            analytic_type=3,
            attacks=(_SPOOF,),
            fits=(
                ("fault", "an alarm or a defect that the device reports"),
                ("attack", "a mode or a protection was switched off"),
            ),
            confidence=50,
        ),
        FindingType(
            code=kernel.TYPE_STATE,
            uid="value.state",
            title="State never seen",
            text="{tag} of {device} reads {observed}, a state that it never had",
            types=("value",),
            analytic_type=3,
            attacks=(_SPOOF,),
            fits=(
                ("fault", "a state of the device that is seldom"),
                ("attack", "a mode that nobody uses was forced"),
            ),
            confidence=50,
        ),
        FindingType(
            code=upset.TYPE_SEVERAL,
            uid="value.several",
            title="Many tags of a device deviate together",
            text="{observed} of {device} deviate within ten seconds: a restart, lost sensors, or not the device it was",
            types=("value", "operational"),
            analytic_type=3,
            attacks=(_SPOOF, _CONTROL),
            fits=(
                ("fault", "a restart, a lost supply, or lost sensors"),
                ("attack", "another device, or a recording, in its place"),
            ),
            confidence=60,
            measure="tags",
        ),
    )

    def __init__(self, params: Params, learning: Learning) -> None:
        self.learning = learning
        self.slots = Slots(params.max_pages, {"hot": settle.HOT, "cold": settle.COLD, "drift": drift.DRIFT}, per=PAGE)
        self._evidence = evidence.buffer()
        self._skipped = np.zeros(len(kernel.SKIP_REASONS) + 1, np.int64)
        self._withheld = np.zeros(1, np.int64)
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
        if not len(batch):
            return Alerts.none()
        most = kernel.PIECES * int(np.diff(batch.offsets).max())
        if most > len(self._evidence.marks):
            self._evidence = evidence.buffer(most)
        wire = kernel.Wire(*(evidence.read_only(getattr(batch, name)) for name in kernel.Wire._fields))
        points = kernel.Values(*(evidence.read_only(getattr(batch.points, name)) for name in kernel.Values._fields))
        return evidence.run(lambda at: self._scan(at, wire, points), len(batch), self.slots, self._evidence, most)

    def _scan(self, start: int, wire: kernel.Wire, points: kernel.Values) -> int:
        tags = upset.Tags(**self.slots.held, withheld=self._withheld)
        at: int = kernel.values(
            start, wire, points, self.slots.table, tags, self._lengths, self._skipped, self._evidence
        )
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
            "withheld after a command": int(self._withheld[0]),
            "learned anew": int(self._skipped[kernel.ANEW]),
        }

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """A row for each tag and parameter, see `detectors.value_baseline`."""
        return value_baseline.learned(self.slots, self._lengths, self.learning.budget_per_day)

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """Its learned tags are judged from the first record; the others learn from their own first sight."""
        value_baseline.adopt(self.slots, baseline)


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
