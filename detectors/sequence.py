"""Sequence: what is said in another order than ever, where the order was always the same."""

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
from detectors.kernels import sequence as kernel
from detectors.kernels import slots as k
from detectors.lifecycle import SECOND_NS, Learning
from detectors.slots import Slots
from schemas.codes import Kind, LearnState, MarkKind, Match, Op, Protocol, Space, Transport

_COMMAND = Attack("TA0106", "T0855", "Unauthorized Command Message")
_BLOCK = Attack("TA0107", "T0804", "Block Reporting Message")
_MIDDLE = Attack("TA0100", "T0830", "Adversary-in-the-Middle")

MODES = tuple(f"{alphabet}.{order}" for alphabet in ("all", "no acks") for order in (1, 2, 3))
"""Ways to judge by number: with acknowledgements or without, and how many symbols are looked at together."""
CHANNEL = "channel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """`[detectors.sequence]`."""

    window_s: float = 600.0
    """How long what is out of order is counted as evidence, from the first."""
    rearm_s: float = 3600.0
    """After how long a conversation that is still out of order is reported again."""
    max_keys: int = 16_384
    """Conversations and their sequences remembered for each of the 1024 device buckets."""


class SequenceDetector:
    """Each conversation against the sequences that it was made of; one whose order never settled is left alone."""

    name = "sequence"
    version = "1"
    wants_time = False
    findings = (
        FindingType(
            code=kernel.TYPE_SYMBOL,
            uid="sequence.unknown_message",
            title="Message that was never part of this exchange",
            text="{function} between {client} and {device} unit {unit} was never part of their exchange",
            types=("protocol",),
            analytic_type=4,
            attacks=(_COMMAND, _MIDDLE),
            fits=(
                ("misoperation", "a program was changed, or used otherwise"),
                ("attack", "messages are put in between"),
            ),
            confidence=50,
        ),
        FindingType(
            code=kernel.TYPE_TRANSITION,
            uid="sequence.unknown_order",
            title="Messages in another order than ever",
            text="{function} between {client} and {device} unit {unit} comes where it never came: something was added, "
            "left out or moved",
            types=("protocol",),
            analytic_type=4,
            attacks=(_MIDDLE, _BLOCK, _COMMAND),
            fits=(
                ("attack", "messages were added, left out or moved"),
                ("fault", "the capture misses packets"),
            ),
            confidence=50,
        ),
    )

    def __init__(self, params: Params, learning: Learning) -> None:
        self._keys = Slots(params.max_keys, {"flow": kernel.FLOW})
        self._evidence = evidence.buffer()
        self._settings = kernel.Settings(
            learns_only=learning.learns_only,
            value_ns=learning.value_ns,
            window_ns=int(params.window_s * SECOND_NS),
            rearm_ns=int(params.rearm_s * SECOND_NS),
            limit=params.max_keys,
        )

    def on_batch(self, batch: Columns) -> Alerts:
        """Judge and learn."""
        if not len(batch):
            return Alerts.none()
        wire = kernel.Wire(*(evidence.read_only(getattr(batch, name)) for name in kernel.Wire._fields))
        return evidence.run(lambda at: self._scan(at, wire), len(batch), self._keys, self._evidence, kernel.MOST_KEYS)

    def _scan(self, start: int, wire: kernel.Wire) -> int:
        keys = self._keys
        at: int = kernel.sequences(start, wire, keys.table, keys.held["flow"], self._settings, self._evidence)
        return at

    def on_mark(self, mark: Mark) -> Recalled | None:
        """Where records were lost, nobody knows what came before the next one."""
        if mark.kind is MarkKind.GAP:
            rows = self._keys.rows("flow")
            for name in ("a1", "a2", "b1", "b2"):
                rows[name] = 0
        return None

    def snapshot(self, buckets: Buckets) -> State:
        """All state of these buckets."""
        return self._keys.snapshot(buckets)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot."""
        self._keys.restore(state)

    def counters(self) -> Mapping[str, int]:
        """Keys held, forgotten and refused; conversations that are judged, and those left alone; bytes of state."""
        rows = self._keys.rows("flow")[self._channels()]
        live = rows["state"] == LearnState.LIVE
        left_alone = live & (rows["mode"] == kernel.OPEN)
        return {
            **self._keys.counters(),
            "judged": int(live.sum() - left_alone.sum()),
            "left alone": int(left_alone.sum()),
        }

    def _channels(self) -> NDArray[np.intp]:
        return np.flatnonzero(self._keys.keys[:, 3] == kernel.CHANNEL << np.uint64(32))

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """Conversations that have settled, with the way to judge (MODES; 255: none), and their sequences in `code`."""
        channels = self._channels()
        keys, rows = self._keys.keys, self._keys.rows("flow").copy()
        for slot in channels[rows["state"][channels] != LearnState.LIVE]:
            if rows["n1"][slot] >= kernel.LEAST:
                kernel.settle(rows, slot)
        channels = channels[rows["state"][channels] == LearnState.LIVE]
        mode = rows["mode"][channels].astype(np.int64)
        grams = np.flatnonzero((keys[:, 3] >> np.uint64(32) & np.uint64(0xFF)) == kernel.GRAM)
        of = {key.tobytes(): int(m) for key, m in zip(keys[channels, :3], mode, strict=True)}
        own = (keys[grams, 3] >> np.uint64(40)).astype(np.int64)
        taken = np.array([of.get(key.tobytes(), kernel.OPEN) for key in keys[grams, :3]], np.int64)
        keep = (taken != kernel.OPEN) & ((own == taken) | (own == taken // kernel.ORDERS * kernel.ORDERS))
        grams, own = grams[keep], own[keep]
        at = np.concatenate([channels, grams])
        names = np.array([CHANNEL] * len(channels) + [MODES[number] for number in own], "U24")
        return baseline_columns(
            device=keys[at, 0],
            peer=keys[at, 1:3],
            parameter=names,
            code=keys[at, 4],
            value=np.concatenate([mode, np.zeros(len(grams))]).astype(np.float64),
            n=np.maximum(rows["n0"][at], 1).astype(np.uint64),
            first=rows["first"][at],
            last=rows["last"][at],
        )

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """Its conversations are judged from the first that is long enough; others learn from their own first sight."""
        names = np.asarray(baseline["parameter"]).astype("U24")
        channel = names == CHANNEL
        words = np.zeros((len(names), k.WORDS), np.uint64)
        words[:, 0], words[:, 1:3], words[:, 4] = baseline["device"], addresses(baseline["peer"]), baseline["code"]
        number = np.array([0 if name == CHANNEL else MODES.index(str(name)) for name in names], np.uint64)
        words[:, 3] = np.where(
            channel, kernel.CHANNEL << np.uint64(32), kernel.GRAM << np.uint64(32) | number << np.uint64(40)
        )
        before = len(self._keys)
        places = self._keys.add(words, k.KNOWN)
        rows = self._keys.rows("flow")
        rows[before:] = np.zeros(1, kernel.FLOW)
        rows["since"][before:], rows["mode"][before:], rows["state"][before:] = k.UNSET, kernel.OPEN, LearnState.LEARN
        for name, held in (("first", "first"), ("last", "last"), ("n", "n0")):
            rows[held][places] = np.asarray(baseline[name]).astype(np.int64)
        rows["mode"][places[channel]] = np.asarray(baseline["value"])[channel].astype(np.uint8)
        rows["state"][places[channel]] = LearnState.LIVE


def example(rng: np.random.Generator) -> list[Columns]:
    """A cycle of polls, reports with their acknowledgements; then a poll out of turn, one left out, and a new one."""
    start = 1_700_000_000 * SECOND_NS
    devices = [int(d) for d in rng.integers(1, 1 << 63, 2)]
    rows: list[dict[str, Any]] = []

    def put(second: float, device: int, asks: bool, kind: Kind, func: int, addr: int = 0) -> None:
        ends = [bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([host]) for host in (1, 100 + device)]
        rows.append(
            {
                "ts": int(start + second * SECOND_NS),
                "seq": len(rows),
                "device": devices[device],
                "protocol": Protocol.IEC104,
                "transport": Transport.TCP,
                "unit": 7,
                "src_ip": ends[not asks],
                "dst_ip": ends[asks],
                "client_is_src": int(asks),
                "kind": kind,
                "op": Op.READ,
                "func": func,
                "space": Space.IEC_MEASURED,
                "addr": addr,
                "match": Match.MATCHED if kind is Kind.RESPONSE else Match.NONE,
            }
        )

    def poll(second: float, device: int, addr: int, func: int = 102) -> None:
        put(second, device, True, Kind.REQUEST, func, addr)
        put(second + 0.01, device, False, Kind.RESPONSE, func)

    for second in range(400):
        for device in range(2):
            turn = second % 4
            if second == 333 and device == 0:
                continue
            poll(second + device / 4, device, turn)
            if turn == 2:
                put(second + device / 4 + 0.02, device, False, Kind.UNSOLICITED, 13)
                put(second + device / 4 + 0.03, device, True, Kind.CONTROL, 257)
            if second == 310 and device == 1:
                poll(second + 0.3, device, 3)
            if second == 350 and device == 0:
                poll(second + 0.1, device, 9, 45)
    rows.sort(key=lambda row: row["ts"])
    for seq, row in enumerate(rows):
        row["seq"] = seq
    return [records(rows[at : at + 17]) for at in range(0, len(rows), 17)]
