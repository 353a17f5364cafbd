"""Command: new writers and targets, bursts of writes, commands without their selection, and what becomes of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import command_baseline, evidence
from detectors.base import Alerts, Attack, Buckets, FindingType, Mark, Recalled, State
from detectors.columns import Columns, records
from detectors.existence import rules_of
from detectors.kernels import command as kernel
from detectors.kernels import readback
from detectors.lifecycle import SECOND_NS, Learning
from detectors.slots import Slots, restore_into, snapshot_of
from schemas.codes import Direction, Kind, MarkKind, Match, Op, PointType, Protocol, RecordFlag, Space, Transport

_COMMAND = Attack("TA0106", "T0855", "Unauthorized Command Message")
_MODIFY = Attack("TA0106", "T0836", "Modify Parameter")
_BRUTE = Attack("TA0106", "T0806", "Brute Force I/O")
_SPOOF = Attack("TA0103", "T0856", "Spoof Reporting Message")
_BLOCK = Attack("TA0107", "T0803", "Block Command Message")

VALUED = (Op.WRITE, Op.READ_WRITE, Op.CONTROL, Op.SELECT, Op.FORCE)
"""Operations that give points a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """`[detectors.command]`."""

    window_s: float = 600.0
    """How long a new writer or target is counted as evidence, from the first."""
    rearm_s: float = 86_400.0
    """After how long one that was reported is reported again."""
    max_keys: int = 8192
    """Writers, and pages of eight consecutive targets, remembered for each of the 1024 device buckets."""
    max_pages: int = 4096
    """Pages of eight consecutive written tags whose values are followed, for each of these buckets."""


class CommandDetector:
    """Who writes what to a device, in which way and how often; and whether the device does as it was told."""

    name = "command"
    version = "1"
    wants_time = False
    findings = (
        FindingType(
            code=kernel.TYPE_WRITER,
            uid="command.new_writer",
            title="New writer",
            text="{client} writes to {device} unit {unit} for the first time: {tag} = {observed} ({function})",
            types=("policy",),
            analytic_type=4,
            attacks=(_COMMAND, _MODIFY),
            fits=(
                ("attack", "an intruder drives the process"),
                ("misoperation", "a client that only read was given more to do"),
            ),
            confidence=80,
        ),
        FindingType(
            code=kernel.TYPE_TARGET,
            uid="command.new_target",
            title="Point written for the first time",
            text="{client} writes {observed} to {tag} of {device}, which it never wrote before",
            types=("policy",),
            analytic_type=4,
            attacks=(_COMMAND, _MODIFY),
            fits=(
                ("misoperation", "a setpoint that is seldom changed"),
                ("attack", "somebody drives what operators leave alone"),
            ),
            confidence=40,
        ),
        FindingType(
            code=kernel.TYPE_UNSELECTED,
            uid="command.unselected",
            title="Command without its selection",
            text="{client} operates {tag} of {device} ({function}) without the selection that always came before",
            types=("protocol", "policy"),
            analytic_type=2,
            attacks=(_COMMAND,),
            fits=(
                ("attack", "a tool that skips what the program always does"),
                ("fault", "the selection was lost in the capture"),
            ),
            confidence=80,
        ),
        FindingType(
            code=readback.TYPE_NOT_TAKEN,
            uid="command.not_taken",
            title="Written value is not what the device reports",
            text="{tag} of {device} reads {observed}, not the {expected} that was written",
            types=("value", "operational"),
            analytic_type=2,
            attacks=(_SPOOF, _BLOCK),
            fits=(
                ("fault", "the device refuses or limits the value in silence"),
                ("attack", "what is read is forged"),
            ),
            confidence=70,
        ),
        FindingType(
            code=readback.TYPE_GHOST,
            uid="command.ghost_change",
            title="Value changed without being written",
            text="{tag} of {device} reads {observed} instead of {expected}, and nobody was seen to write it",
            types=("value",),
            analytic_type=2,
            attacks=(_MODIFY, _SPOOF),
            fits=(
                ("misoperation", "somebody set it at the device itself, or past the capture"),
                ("attack", "a command on a way that is not watched"),
            ),
            confidence=60,
        ),
        FindingType(
            code=kernel.TYPE_WRITE_RATE,
            uid="command.write_rate",
            title="Burst of writes",
            text="{client} wrote to {device} {observed} times within a minute (normal: {expected})",
            types=("policy", "operational"),
            analytic_type=3,
            attacks=(_BRUTE, _COMMAND),
            fits=(
                ("fault", "a program that writes in a loop"),
                ("attack", "an operator's commands are overridden"),
            ),
            confidence=80,
            measure="",
        ),
    )

    def __init__(self, params: Params, learning: Learning) -> None:
        self._keys = Slots(params.max_keys, {"command": kernel.COMMAND})
        self._tags = Slots(params.max_pages, {"tag": readback.TAG}, per=readback.PAGE)
        self._tables = {"keys": self._keys, "tags": self._tags}
        self._written = np.zeros(readback.BLOOM, np.uint8)
        self._evidence = evidence.buffer()
        self._valued = np.zeros(256, np.uint8)
        self._valued[list(VALUED)] = 1
        self._limit = params.max_pages
        self._rules = rules_of(learning, params.window_s, params.rearm_s, params.max_keys)

    def on_batch(self, batch: Columns) -> Alerts:
        """Judge and learn."""
        if not len(batch):
            return Alerts.none()
        most = int(np.diff(batch.offsets).max()) + 1
        if 2 * most > len(self._evidence.marks):
            self._evidence = evidence.buffer(2 * most)
        wire = kernel.Wire(*(evidence.read_only(getattr(batch, name)) for name in kernel.Wire._fields))
        points = kernel.Values(*(evidence.read_only(getattr(batch.points, name)) for name in kernel.Values._fields))
        return evidence.run(lambda at: self._scan(at, wire, points, most), len(batch), self._keys, self._evidence, most)

    def _scan(self, start: int, wire: kernel.Wire, points: kernel.Values, most: int) -> int:
        self._tags.reserve(most)
        keys, tags = self._keys, self._tags
        at: int = kernel.commands(
            start,
            wire,
            points,
            self._valued,
            keys.table,
            keys.held["command"],
            self._rules,
            tags.table,
            tags.held["tag"],
            self._written,
            self._limit,
            self._evidence,
        )
        return at

    def on_mark(self, mark: Mark) -> Recalled | None:
        """Where records were lost, a write may have been among them: values are looked at anew."""
        if mark.kind is MarkKind.GAP:
            self._tags.rows("tag")["flags"] &= readback.IS_TAG
        return None

    def snapshot(self, buckets: Buckets) -> State:
        """All state of these buckets."""
        return snapshot_of(self._tables, buckets)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot."""
        restore_into(self._tables, state)
        self._mark()

    def _mark(self) -> None:
        readback.mark_all(self._tags.table.keys, len(self._tags), self._written)

    def counters(self) -> Mapping[str, int]:
        """Writers and pages of targets held, forgotten and refused; pages of followed tags; bytes of state."""
        keys, tags = self._keys.counters(), self._tags.counters()
        both = {name: keys[name] + tags[name] for name in ("forgotten", "refused", "state_bytes")}
        return {"keys": keys["keys"], "pages": tags["keys"], **both}

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """Writers with their busiest minute and their ways to operate, their targets, and how written tags behave."""
        return command_baseline.learned(self._keys, self._tags)

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """Its writers and targets are known, and its tags behave as they did; strangers are told at once."""
        command_baseline.adopt(self._keys, self._tags, baseline)
        self._mark()


def example(rng: np.random.Generator) -> list[Columns]:
    """Two devices; a client that sets points and operates a breaker as one should; then all that is not normal."""
    start = 1_700_000_000 * SECOND_NS
    devices = [int(d) for d in rng.integers(1, 1 << 63, 2)]
    rows: list[dict[str, Any]] = []

    def put(second: float, device: int, kind: Kind, client: int = 1, **more: Any) -> None:
        ends = [bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([host]) for host in (client, 100 + device)]
        asks = kind is Kind.REQUEST
        rows.append(
            {
                "ts": int(start + second * SECOND_NS),
                "seq": len(rows),
                "device": devices[device],
                "protocol": Protocol.DNP3,
                "transport": Transport.TCP,
                "unit": 1,
                "src_ip": ends[0 if asks else 1],
                "dst_ip": ends[1 if asks else 0],
                "client_is_src": int(asks),
                "kind": kind,
                "match": Match.PENDING if asks else Match.MATCHED,
            }
            | more
        )

    def point(addr: int, value: float, direction: Direction) -> dict[str, Any]:
        return {
            "space": Space.ANALOG_OUTPUT,
            "addr": addr,
            "value": value,
            "type": PointType.F32,
            "direction": direction,
        }

    def write(second: float, device: int, addr: int, value: float, client: int = 1, status: int = 0) -> None:
        points = [point(addr, value, Direction.WRITTEN)]
        put(second, device, Kind.REQUEST, client, op=Op.WRITE, func=2, points=points)
        about = {"space": Space.ANALOG_OUTPUT, "addr": addr, "count": 1, "status": status}
        put(second + 0.01, device, Kind.RESPONSE, client, op=Op.WRITE, func=2, **about)

    def operate(second: float, device: int, addr: int, staged: bool, client: int = 1) -> None:
        points = [{"space": Space.BINARY_OUTPUT, "addr": addr, "value": 1.0, "direction": Direction.WRITTEN}]
        if staged:
            put(second, device, Kind.REQUEST, client, op=Op.SELECT, func=3, points=points)
        flags = int(RecordFlag.SELECTED) if staged else 0
        put(second + 0.1, device, Kind.REQUEST, client, op=Op.CONTROL, func=4, flags=flags, points=points)

    def read(second: float, device: int, *values: float) -> None:
        points = [point(addr, value, Direction.READ) for addr, value in enumerate(values, 6)]
        put(second, device, Kind.RESPONSE, op=Op.READ, func=1, points=points)

    state = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    for second in range(0, 300, 2):
        for device in range(2):
            if second % 40 == 10 * device:
                state[device][0] = float(second % 7)
                write(second, device, 6, state[device][0])
                state[device][1] += 1.0
                write(second + 0.2, device, 7, state[device][1])
            if second % 50 == 4:
                operate(second + 0.3, device, 3, staged=True)
            state[device][2] += 0.5
            read(second + 0.5, device, *state[device])
    operate(301, 0, 3, staged=False)
    operate(302, 1, 4, staged=True)
    operate(303, 1, 5, staged=False)
    write(304, 0, 6, 5.5)
    for second in range(305, 315):
        read(second, 0, state[0][0], state[0][1], 1.0)
    write(316, 1, 7, 99.0, status=1)
    for second in range(317, 325):
        read(second, 1, state[1][0] + 3.0 * (second > 320), state[1][1], 1.0)
    for n in range(30):
        write(330 + n, 0, 7, float(n))
    write(370, 1, 6, 4.0, client=9)
    operate(371, 1, 3, staged=False, client=9)
    return [records(rows[at : at + 17]) for at in range(0, len(rows), 17)]
