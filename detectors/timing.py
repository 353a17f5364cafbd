"""Timing: polls that fall silent, devices that no longer answer, polls that come too often, answers that come late."""

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
from detectors.kernels import seen
from detectors.kernels import slots as k
from detectors.kernels import timing as kernel
from detectors.lifecycle import SECOND_NS, Learning
from detectors.slots import Slots, restore_into, snapshot_of
from schemas.codes import Kind, LearnState, MarkKind, Match, Op, Protocol, Severity, Transport

_DENIAL = Attack("TA0107", "T0814", "Denial of Service")
_VIEW = Attack("TA0105", "T0815", "Denial of View")
_BLOCK = Attack("TA0107", "T0804", "Block Reporting Message")
_COMMAND = Attack("TA0106", "T0855", "Unauthorized Command Message")
_MIDDLE = Attack("TA0100", "T0830", "Adversary-in-the-Middle")

SUBJECTS = ("poll", "report")
PARAMETERS = ("mean", "high", "least", "slowest")
"""Of a channel in a baseline, after "poll." or "report.": mean and largest gap, least mean of recent gaps, largest
response time, all in seconds.  `code` is the channel: its function and addresses as a hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """`[detectors.timing]`."""

    faster: float = 3.0
    """How many times as often as ever learned a poll must come to be told."""
    slower: float = 5.0
    """How many times as long as ever learned answers must take, several in a row, to be told."""
    window_s: float = 600.0
    """How long polls that are too often, or answers too late, are counted as evidence, from the first."""
    rearm_s: float = 3600.0
    """After how long a channel that is still so is reported again."""
    max_keys: int = 4096
    """Polls, and kinds of reports, remembered for each of the 1024 device buckets."""


class TimingDetector:
    """When each channel speaks.  Only channels that were regular while they were learned are missed."""

    name = "timing"
    version = "1"
    wants_time = True
    findings = (
        FindingType(
            code=kernel.TYPE_UNANSWERED,
            uid="timing.unanswered",
            title="Device no longer answers",
            text="{device} unit {unit} has not answered {client} for {observed} (normal: {expected}), "
            "though it was asked ({function})",
            types=("operational",),
            analytic_type=3,
            attacks=(_DENIAL, _VIEW),
            fits=(
                ("fault", "the device or its line is down"),
                ("attack", "the device was stopped or cut off"),
            ),
            confidence=80,
            measure="s",
        ),
        FindingType(
            code=kernel.TYPE_SILENT,
            uid="timing.silent",
            title="Regular exchange has stopped",
            text="nothing more between {client} and {device} unit {unit} for {observed} (normal: {expected}): "
            "{function}",
            types=("operational",),
            analytic_type=3,
            attacks=(_VIEW, _BLOCK),
            fits=(
                ("fault", "the client or the line is down"),
                ("attack", "the view of the process was cut off"),
            ),
            confidence=60,
            measure="s",
        ),
        FindingType(
            code=kernel.TYPE_FASTER,
            uid="timing.faster",
            title="Polled much more often than ever",
            text="{function} between {client} and {device} unit {unit} comes every {observed} (normal: {expected})",
            types=("operational", "policy"),
            analytic_type=3,
            attacks=(_COMMAND, _DENIAL),
            fits=(
                ("misoperation", "a client polls more often than before, or a second one does"),
                ("attack", "messages are put in between"),
            ),
            confidence=60,
            measure="s",
        ),
        FindingType(
            code=kernel.TYPE_SLOWER,
            uid="timing.slower",
            title="Answers take much longer than ever",
            text="{device} unit {unit} takes {observed} to answer {client} (normal: {expected}): {function}",
            types=("operational",),
            analytic_type=3,
            attacks=(_MIDDLE, _DENIAL),
            fits=(
                ("fault", "a loaded device or line"),
                ("attack", "somebody in between passes messages on"),
            ),
            confidence=40,
            measure="s",
        ),
    )

    def __init__(self, params: Params, learning: Learning) -> None:
        self._channels = Slots(params.max_keys, {"channel": kernel.CHANNEL})
        self._devices = Slots(params.max_keys, {"face": kernel.FACE})
        self._tables = {"channels": self._channels, "devices": self._devices}
        self._evidence = evidence.buffer()
        self._lengths = kernel.Lengths(
            learns_only=learning.learns_only,
            value_ns=learning.value_ns,
            faster=float(params.faster),
            slower=float(params.slower),
            window_ns=int(params.window_s * SECOND_NS),
            rearm_ns=int(params.rearm_s * SECOND_NS),
            limit=params.max_keys,
        )

    def on_batch(self, batch: Columns) -> Alerts:
        """Judge and learn."""
        if not len(batch):
            return Alerts.none()
        wire = kernel.Wire(*(evidence.read_only(getattr(batch, name)) for name in kernel.Wire._fields))
        most = kernel.MOST_KEYS
        return evidence.run(lambda at: self._scan(at, wire), len(batch), self._channels, self._evidence, most)

    def _scan(self, start: int, wire: kernel.Wire) -> int:
        self._devices.reserve(1)
        channels, devices = self._channels, self._devices
        at: int = kernel.timings(
            start,
            wire,
            channels.table,
            channels.held["channel"],
            devices.table,
            devices.held["face"],
            self._lengths,
            self._evidence,
        )
        return at

    def on_mark(self, mark: Mark) -> Recalled | None:
        """What is silent for too long; nothing where the capture point itself was blind."""
        rows = self._channels.rows("channel")
        if mark.kind is MarkKind.GAP:
            # What was not seen is no silence, and the next answer closes no gap.
            rows["told"] = kernel.BLIND
        elif mark.kind is MarkKind.TIME:
            late = np.empty(len(rows), np.int64)
            n = kernel.overdue(rows, len(rows), mark.shard, mark.ts_ns, mark.count * SECOND_NS, late)
            if n:
                return self._tell(late[:n], mark.ts_ns)
        return None

    def _tell(self, late: NDArray[np.int64], now: int) -> Recalled:
        """Evidence of channels that are late, in an order that does not depend on how they came to be held."""
        keys, rows = self._channels.keys, self._channels.rows("channel")
        bucket = keys[late, 0] % k.N_BUCKETS
        late = late[np.lexsort((keys[late, k.BORN], keys[late, k.HASH], bucket))]
        patience = np.array([kernel.patience_ns(rows, slot) for slot in late])
        of, newest = self._newest(late)
        asked = rows["asked"][late] > rows["last"][late]
        alive = newest[of] - rows["last"][late] > patience
        what = np.where(asked, kernel.TYPE_UNANSWERED, kernel.TYPE_SILENT)
        about = [
            seen.about_device(w, keys[s, 0]) if a else seen.about_pair(w, keys[s, 1], keys[s, 2], keys[s, 0])
            for w, s, a in zip(what.tolist(), late, asked, strict=True)
        ]
        rows["told"][late] = kernel.TOLD
        alerts = Alerts.of(
            np.arange(len(late)),
            what,
            np.array(about, np.uint64),
            severity=np.where(asked | ~alive, Severity.MEDIUM, Severity.LOW),
            high=patience / SECOND_NS,
            observed=(now - rows["last"][late]) / SECOND_NS,
        )
        return Recalled(self._recall(late, now), alerts)

    def _newest(self, late: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(for each late channel the number of its client and device, ns of the latest record of each such pair)."""
        keys, rows = self._channels.keys, self._channels.rows("channel")
        near = np.flatnonzero(np.isin(keys[:, 0], keys[late, 0]))
        _, of = np.unique(keys[near, :3], axis=0, return_inverse=True)
        of = of.reshape(-1)
        newest = np.full(int(of.max()) + 1, k.UNSET, np.int64)
        np.maximum.at(newest, of, rows["last"][near])
        return of[np.searchsorted(near, late)], newest

    def _recall(self, late: NDArray[np.int64], now: int) -> Columns:
        """The latest record of each of these channels, as far as it is held, at the time at which it is missed."""
        keys, rows = self._channels.keys[late], self._channels.rows("channel")[late]
        faces = self._faces(keys[:, 0])
        reports = (keys[:, 3] >> np.uint64(40)) == kernel.REPORTS
        return records(
            [
                {
                    "ts": now,
                    "shard": int(row["shard"]),
                    "boot": int(row["boot"]),
                    "seq": int(row["seq"]),
                    "packet": int(row["packet"]),
                    "device": int(key[0]),
                    "src_ip": face[["ip_hi", "ip_lo"]].tobytes()[:16],
                    "src_mac": int(face["mac"]),
                    "src_port": int(face["port"]),
                    "vlan": int(face["vlan"]),
                    "dst_ip": key[1:3].tobytes(),
                    "protocol": int(row["protocol"]),
                    "kind": Kind.UNSOLICITED if report else Kind.RESPONSE,
                    "match": Match.NONE if report else Match.MATCHED,
                    "op": int(row["op"]),
                    "func": int(row["func"]),
                    "space": int(row["space"]),
                    "addr": int(row["addr"]),
                    "unit": int(key[3] & np.uint64(0xFFFFFFFF)),
                }
                for key, row, face, report in zip(keys, rows, faces, reports, strict=True)
            ]
        )

    def _faces(self, devices: NDArray[np.uint64]) -> NDArray[Any]:
        """FACE of each device, zeros where none is held."""
        known = self._devices.keys[:, 0]
        faces = np.zeros(len(devices), kernel.FACE)
        if len(known):
            order = np.argsort(known, kind="stable")
            at = order[np.minimum(np.searchsorted(known[order], devices), len(known) - 1)]
            found = known[at] == devices
            faces[found] = self._devices.rows("face")[at[found]]
        return faces

    def snapshot(self, buckets: Buckets) -> State:
        """All state of these buckets."""
        return snapshot_of(self._tables, buckets)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot."""
        restore_into(self._tables, state)

    def counters(self) -> Mapping[str, int]:
        """Channels held, live and periodic; forgotten and refused; bytes of state."""
        rows = self._channels.rows("channel")
        live = rows["state"] == LearnState.LIVE
        periodic = live & (rows["high"] <= kernel.REGULAR * rows["mean"])
        channels, devices = self._channels.counters(), self._devices.counters()
        both = {name: channels[name] + devices[name] for name in ("forgotten", "refused", "state_bytes")}
        return {"keys": channels["keys"], "live": int(live.sum()), "periodic": int(periodic.sum()), **both}

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """A row for each channel and parameter, see PARAMETERS; channels with too few gaps are left to learn."""
        rows = self._channels.rows("channel")
        at = np.flatnonzero((rows["state"] == LearnState.LIVE) | (rows["n"] >= kernel.GAPS))
        keys, rows = self._channels.keys[at], rows[at]
        subject = (keys[:, 3] >> np.uint64(40)).astype(np.int64)
        one = baseline_columns(
            device=keys[:, 0],
            peer=keys[:, 1:3],
            unit=(keys[:, 3] & np.uint64(0xFFFFFFFF)).astype(np.uint32),
            space=rows["space"],
            addr=rows["addr"],
            code=keys[:, 4],
            n=rows["n"].astype(np.uint64),
            first=rows["first"],
            last=np.maximum(rows["first"], rows["last"]),
        )
        columns = {name: np.repeat(column, len(PARAMETERS), axis=0) for name, column in one.items()}
        columns["value"] = np.column_stack([rows[name] for name in PARAMETERS]).astype(np.float64).reshape(-1)
        names = np.array([[f"{s}.{name}" for name in PARAMETERS] for s in SUBJECTS], "U24")
        columns["parameter"] = names[subject].reshape(-1)
        return columns

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """Its channels are judged from the second answer on; others learn from their own first sight."""
        codes = {f"{s}.{name}": (i, name) for i, s in enumerate(SUBJECTS) for name in PARAMETERS}
        named = [codes[str(name)] for name in baseline["parameter"]]
        words = np.zeros((len(named), k.WORDS), np.uint64)
        words[:, 0], words[:, 1:3], words[:, 4] = baseline["device"], addresses(baseline["peer"]), baseline["code"]
        subject = np.array([i for i, _ in named], np.uint64)
        words[:, 3] = np.asarray(baseline["unit"]).astype(np.uint64) | subject << np.uint64(40)
        before = len(self._channels)
        places = self._channels.add(words, k.KNOWN)
        rows = self._channels.rows("channel")
        rows[before:] = np.zeros(1, kernel.CHANNEL)
        for name in ("last", "asked", "since", "behind_since"):
            rows[name][before:] = k.UNSET
        rows["state"][places], rows["told"][places] = LearnState.LIVE, kernel.BLIND
        for name in ("first", "last"):
            rows[name][places] = np.asarray(baseline[name]).astype(np.int64)
        for name in ("n", "space", "addr"):
            rows[name][places] = baseline[name]
        value, names = np.asarray(baseline["value"], np.float64), np.array([name for _, name in named])
        for name in PARAMETERS:
            rows[name][places[names == name]] = value[names == name]
        rows["recent"][places] = rows["mean"][places]


def example(rng: np.random.Generator) -> list[Columns]:
    """Three devices polled by two clients; then one client stops, one asks too often, and one device dies."""
    start = 1_700_000_000 * SECOND_NS
    devices = [int(d) for d in rng.integers(1, 1 << 63, 3)]
    rows: list[dict[str, Any]] = []

    def put(second: float, device: int, client: int, addr: int, asks: bool, kind: Kind, rtt_us: int = 0) -> None:
        ends = [bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([host]) for host in (client, 100 + device)]
        rows.append(
            {
                "ts": int(start + second * SECOND_NS),
                "device": devices[device],
                "protocol": Protocol.MODBUS,
                "transport": Transport.TCP,
                "unit": 1,
                "src_ip": ends[not asks],
                "dst_ip": ends[asks],
                "src_port": 40_000 if asks else 502,
                "dst_port": 502 if asks else 40_000,
                "client_is_src": int(asks),
                "kind": kind,
                "op": Op.REPORT if kind is Kind.UNSOLICITED else Op.READ,
                "func": 3,
                "addr": addr,
                "count": 8,
                "rtt_us": rtt_us,
                "match": Match.PENDING if asks else Match.MATCHED if kind is Kind.RESPONSE else Match.NONE,
            }
        )

    def poll(second: float, device: int, client: int, addr: int, answer_s: float = 0.01) -> None:
        put(second, device, client, addr, True, Kind.REQUEST)
        if answer_s:
            put(second + answer_s, device, client, addr, False, Kind.RESPONSE, int(answer_s * 1e6))

    for second in range(420):
        for device in range(3):
            if not (device == 1 and second >= 330):
                poll(second + 0.1 * device, device, 1, 0)
            elif second % 5 == 0:
                poll(second + 0.1, device, 1, 0, 0.0)
            if second % 5 == 2 and not (device == 2 and second > 340) and not (device == 1 and second >= 330):
                poll(second + 0.3 + 0.1 * device, device, 2, 40, 0.01 if second < 380 else 0.2)
        if second % 10 == 4 and second < 350:
            put(second + 0.7, 0, 2, 0, False, Kind.UNSOLICITED)
        if 310 <= second < 330:
            for n in range(8):
                poll(second + 0.15 + n / 10, 2, 1, 0)
    rows.sort(key=lambda row: row["ts"])
    for seq, row in enumerate(rows):
        row["seq"], row["packet"] = seq, seq + 1
    return [records(rows[at : at + 17]) for at in range(0, len(rows), 17)]
