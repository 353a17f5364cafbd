"""Replay: a device answers as it did once before, answer by answer: a recording in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import evidence
from detectors.base import Alerts, Attack, Buckets, FindingType, Mark, Recalled, State
from detectors.columns import Columns, records
from detectors.existence import addresses, baseline_columns
from detectors.kernels import replay as kernel
from detectors.kernels import slots as k
from detectors.kernels.mix import mix
from detectors.lifecycle import SECOND_NS, Learning
from detectors.slots import Slots, restore_into, snapshot_of
from schemas.codes import Direction, Kind, LearnState, Match, Op, PointType, Protocol, Space, Transport

_SPOOF = Attack("TA0103", "T0856", "Spoof Reporting Message")
_VIEW = Attack("TA0105", "T0832", "Manipulation of View")
_MIDDLE = Attack("TA0100", "T0830", "Adversary-in-the-Middle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """`[detectors.replay]`."""

    window_s: float = 600.0
    """How long answers that come again are counted as evidence, from the first."""
    rearm_s: float = 3600.0
    """After how long answers that still come again are reported again."""
    max_blocks: int = 4096
    """Blocks, which are what a client reads of a device at once, remembered for each of the 1024 device buckets."""
    max_rings: int = 128
    """Blocks among them whose answers are remembered, in 1 KiB each: those that changed at least sixteen times."""


class ReplayDetector:
    """What each client reads of a device at once, against all it read before; blocks that repeat are left alone."""

    name = "replay"
    version = "1"
    wants_time = False
    findings = (
        FindingType(
            code=kernel.TYPE_REPLAY,
            uid="replay.answers",
            title="Answers that were given before",
            text="{device} answers {client} as it did before, value by value: {observed} in a row",
            types=("value", "protocol"),
            analytic_type=3,
            attacks=(_SPOOF, _VIEW, _MIDDLE),
            fits=(
                ("attack", "a recording is played in the device's place, to hide the process"),
                ("misoperation", "a simulator or a test that repeats itself"),
            ),
            confidence=85,
            measure="answers",
        ),
    )

    def __init__(self, params: Params, learning: Learning) -> None:
        self._blocks = Slots(params.max_blocks, {"block": kernel.BLOCK})
        self._rings = Slots(params.max_rings, {"anchor": kernel.ANCHOR}, per=kernel.RING)
        self._tables = {"blocks": self._blocks, "rings": self._rings}
        self._evidence = evidence.buffer()
        self._settings = kernel.Settings(
            learns_only=learning.learns_only,
            value_ns=learning.value_ns,
            window_ns=int(params.window_s * SECOND_NS),
            rearm_ns=int(params.rearm_s * SECOND_NS),
            blocks=params.max_blocks,
            rings=params.max_rings,
        )

    def on_batch(self, batch: Columns) -> Alerts:
        """Judge and learn."""
        if not len(batch):
            return Alerts.none()
        wire = kernel.Wire(*(evidence.read_only(getattr(batch, name)) for name in kernel.Wire._fields))
        held = {name: getattr(batch.points, name) for name in kernel.Values._fields if name != "bits"}
        held["bits"] = np.ascontiguousarray(batch.points.value).view(np.uint64)
        points = kernel.Values(**{name: evidence.read_only(column) for name, column in held.items()})
        return evidence.run(
            lambda at: self._scan(at, wire, points), len(batch), self._blocks, self._evidence, kernel.MOST_KEYS
        )

    def _scan(self, start: int, wire: kernel.Wire, points: kernel.Values) -> int:
        self._rings.reserve(kernel.MOST_KEYS)
        blocks = self._blocks
        rings = kernel.Rings(table=self._rings.table, anchor=self._rings.held["anchor"])
        at: int = kernel.replays(
            start, wire, points, blocks.table, blocks.held["block"], rings, self._settings, self._evidence
        )
        return at

    def on_mark(self, mark: Mark) -> Recalled | None:
        """Nothing here waits for time; answers that were lost are answers that differ."""
        return None

    def snapshot(self, buckets: Buckets) -> State:
        """All state of these buckets."""
        return snapshot_of(self._tables, buckets)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot."""
        restore_into(self._tables, state)

    def counters(self) -> Mapping[str, int]:
        """Blocks held, judged and left alone; blocks whose answers are kept; forgotten and refused; bytes of state."""
        blocks, rings = self._blocks.counters(), self._rings.counters()
        rows = self._blocks.rows("block")
        live = rows["state"] == LearnState.LIVE
        left_alone = live & (rows["most"] >= kernel.TOO_OFTEN)
        return {
            **{name: blocks[name] + rings[name] for name in ("forgotten", "refused", "state_bytes")},
            "keys": blocks["keys"],
            "recorded": rings["keys"],
            "judged": int(live.sum() - left_alone.sum()),
            "left alone": int(left_alone.sum()),
        }

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """Blocks that were seen often enough, by their first value: `code` is how many values they have, `value` how
        many anchors in a row came again."""
        keys, rows = self._blocks.keys, self._blocks.rows("block")
        keep = (rows["state"] == LearnState.LIVE) | (rows["n"] >= kernel.LEAST)
        keys, rows = keys[keep], rows[keep]
        return baseline_columns(
            device=keys[:, 0],
            peer=keys[:, 1:3],
            unit=(keys[:, 3] & np.uint64(0xFFFFFFFF)).astype(np.uint32),
            space=(keys[:, 3] >> np.uint64(32) & np.uint64(0xFFFF)).astype(np.uint16),
            addr=rows["addr"],
            addr_sub=rows["sub"],
            name_id=rows["name"],
            parameter=np.full(len(keys), "repeated", "U24"),
            code=keys[:, 3] >> np.uint64(48),
            value=rows["most"].astype(np.float64),
            n=rows["n"].astype(np.uint64),
            first=rows["first"],
            last=rows["seen"],
        )

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """Its blocks are judged from the first answer, by what is heard from then on; others learn first."""
        rows = {name: np.asarray(column) for name, column in baseline.items() if name != "peer"}
        n = len(rows["device"])
        words = np.zeros((n, k.WORDS), np.uint64)
        words[:, 0], words[:, 1:3] = rows["device"], addresses(baseline["peer"])
        words[:, 3] = rows["unit"].astype(np.uint64) | rows["space"].astype(np.uint64) << np.uint64(32)
        words[:, 3] |= rows["code"].astype(np.uint64) << np.uint64(48)
        named = zip(rows["addr"], rows["addr_sub"], rows["name_id"], strict=True)
        words[:, 4] = [_place(*(np.uint64(word) for word in words_of)) for words_of in named]
        slots = self._blocks.add(words, k.KNOWN)
        held = self._blocks.rows("block")
        held[slots] = np.zeros(1, kernel.BLOCK)
        held["since"][slots], held["state"][slots] = k.UNSET, LearnState.LIVE
        for name, column in (("addr", "addr"), ("sub", "addr_sub"), ("name", "name_id"), ("n", "n")):
            held[name][slots] = rows[column]
        held["first"][slots], held["seen"][slots] = rows["first"].astype(np.int64), rows["last"].astype(np.int64)
        held["most"][slots] = rows["value"].astype(np.uint16)


def _place(addr: np.uint64, sub: np.uint64, name: np.uint64) -> np.uint64:
    """The last word of a block's key, as the kernel has it."""
    return np.uint64(mix(np.uint64(mix(np.uint64(mix(np.uint64(0), addr)), sub)), name))


def example(rng: np.random.Generator) -> list[Columns]:
    """Two devices polled each second, one of which reports a ramp that repeats itself; then one plays a recording."""
    start = 1_700_000_000 * SECOND_NS
    devices = [int(d) for d in rng.integers(1, 1 << 63, 2)]
    rows: list[dict[str, Any]] = []
    noise = rng.integers(0, 1000, (700, 3))

    def answer(second: int, device: int, values: NDArray[np.int64]) -> None:
        read = {"space": Space.HOLDING_REGISTER, "type": PointType.U16, "direction": Direction.READ}
        ends = [bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([host]) for host in (1, 100 + device)]
        rows.append(
            {
                "ts": start + second * SECOND_NS,
                "seq": len(rows),
                "device": devices[device],
                "protocol": Protocol.MODBUS,
                "transport": Transport.TCP,
                "unit": 1,
                "src_ip": ends[1],
                "dst_ip": ends[0],
                "kind": Kind.RESPONSE,
                "op": Op.READ,
                "func": 3,
                "match": Match.MATCHED,
                "points": [read | {"addr": 10 + at, "value": float(v)} for at, v in enumerate(values)],
            }
        )

    for second in range(560):
        recorded = second - 150 if 480 <= second < 540 else second
        answer(second, 0, noise[recorded])
        answer(second, 0, np.array([second % 90]))
        answer(second, 1, noise[second % 200, :1])
    return [records(rows[at : at + 29]) for at in range(0, len(rows), 29)]
