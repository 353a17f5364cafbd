"""Rate: floods of requests, bursts of refusals, and searches for units, functions and points of a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import evidence
from detectors.base import Alerts, Attack, Buckets, FindingType, Mark, Recalled, State
from detectors.columns import Columns, records
from detectors.existence import addresses, baseline_columns, rules_of
from detectors.kernels import rate as kernel
from detectors.kernels import search
from detectors.kernels import slots as k
from detectors.lifecycle import SECOND_NS, Learning
from detectors.slots import Slots, restore_into, snapshot_of
from schemas.codes import Kind, Match, Op, Protocol, Space, Transport

_DENIAL = Attack("TA0107", "T0814", "Denial of Service")
_BRUTE = Attack("TA0106", "T0806", "Brute Force I/O")
_INFORMATION = Attack("TA0102", "T0888", "Remote System Information Discovery")
_POINTS = Attack("TA0100", "T0861", "Point & Tag Identification")

ASKED = "asked"
_QUESTION = ("device", "unit", "space", "addr", "addr_sub", "name_id")
_MOST = {"busiest second": "most", "errors a minute": "most_errors"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """`[detectors.rate]`."""

    least_per_s: int = 50
    """Requests that a client may always send to a device within a second; all clients together twice as many."""
    errors: int = 10
    """Refusals that a client may always get from a device within a minute."""
    units: int = 4
    """Units that it did not learn of which a client may ask within a minute …"""
    functions: int = 6
    """… functions …"""
    points: int = 20
    """… and points, each by where a request begins."""
    hour: int = 3
    """How many times as many of these within an hour; no limit grows beyond 60."""
    window_s: float = 600.0
    """How long further ones are counted as evidence, from the first beyond a limit."""
    rearm_s: float = 3600.0
    """After how long a client that still searches is reported again."""
    max_keys: int = 16_384
    """Pairs of client and device, and questions that they learned, for each of the 1024 device buckets."""
    max_searches: int = 64
    """Pairs whose strange questions are counted, for each of these buckets; beyond it the oldest go."""

    def __post_init__(self) -> None:
        most = max(self.units, self.functions, self.points)
        if not 0 < self.hour * most <= 60:
            raise ValueError(f"hour times units, functions and points: expected 1 to 60, found {self.hour * most}")


class RateDetector:
    """Counts what each client asks of each device, against the busiest second that was learned; and what is new."""

    name = "rate"
    version = "1"
    wants_time = False
    findings = (
        FindingType(
            code=kernel.TYPE_FLOOD,
            uid="rate.flood",
            title="Flood of requests",
            text="{client} sends {device} {observed} requests within a second (normal: {expected})",
            types=("operational",),
            analytic_type=3,
            attacks=(_DENIAL, _BRUTE),
            fits=(
                ("attack", "the device is to be overwhelmed"),
                ("fault", "a program that asks in a loop"),
            ),
            confidence=85,
            measure="",
        ),
        FindingType(
            code=kernel.TYPE_DEVICE_FLOOD,
            uid="rate.device_flood",
            title="Flood of requests from many",
            text="{device} is sent {observed} requests within a second by all clients together (normal: {expected}), "
            "{client} among them",
            types=("operational",),
            analytic_type=3,
            attacks=(_DENIAL,),
            fits=(
                ("attack", "the device is to be overwhelmed"),
                ("fault", "a program that asks in a loop"),
            ),
            confidence=80,
            measure="",
        ),
        FindingType(
            code=kernel.TYPE_UNITS,
            uid="rate.unit_scan",
            title="Search for units",
            text="{client} asks {device} for {observed} units that it never asked for (normal: {expected})",
            types=("policy",),
            analytic_type=2,
            attacks=(_INFORMATION,),
            fits=(
                ("attack", "somebody looks for what is behind a gateway"),
                ("misoperation", "a tool that looks for devices"),
            ),
            confidence=85,
            measure="",
        ),
        FindingType(
            code=kernel.TYPE_FUNCTIONS,
            uid="rate.function_scan",
            title="Search for functions",
            text="{client} tries {observed} functions of {device} that it never used (normal: {expected})",
            types=("policy", "protocol"),
            analytic_type=2,
            attacks=(_INFORMATION, _BRUTE),
            fits=(
                ("attack", "somebody looks for what the device can do"),
                ("misoperation", "a tool that looks for functions"),
            ),
            confidence=85,
            measure="",
        ),
        FindingType(
            code=kernel.TYPE_POINTS,
            uid="rate.point_scan",
            title="Search for points",
            text="{client} asks {device} for {observed} places that it never asked for (normal: {expected})",
            types=("policy",),
            analytic_type=2,
            attacks=(_POINTS, _INFORMATION),
            fits=(
                ("attack", "somebody looks for what the device holds"),
                ("misoperation", "a tool that reads everything"),
            ),
            confidence=75,
            measure="",
        ),
        FindingType(
            code=kernel.TYPE_ERRORS,
            uid="rate.errors",
            title="Burst of refusals",
            text="{device} refuses {client} {observed} times within a minute (normal: {expected}): {function}",
            types=("operational", "policy"),
            analytic_type=3,
            attacks=(_INFORMATION, _BRUTE),
            fits=(
                ("attack", "somebody tries what the device does not do"),
                ("misoperation", "a client is set up for another program of the device"),
            ),
            confidence=60,
            measure="",
        ),
    )

    def __init__(self, params: Params, learning: Learning) -> None:
        self._keys = Slots(params.max_keys, {"counts": kernel.COUNTS})
        self._searches = Slots(params.max_searches, {"search": search.SEARCH}, per=search.PER)
        self._tables = {"keys": self._keys, "searches": self._searches}
        self._evidence = evidence.buffer()
        self._rules = rules_of(learning, params.window_s, params.rearm_s, params.max_keys)
        self._limits = kernel.Limits(
            least=params.least_per_s,
            errors=params.errors,
            units=params.units,
            functions=params.functions,
            points=params.points,
            hour=params.hour,
            window_ns=int(params.window_s * SECOND_NS),
            rearm_ns=int(params.rearm_s * SECOND_NS),
            searches=params.max_searches,
        )

    def on_batch(self, batch: Columns) -> Alerts:
        """Judge and learn."""
        if not len(batch):
            return Alerts.none()
        wire = kernel.Wire(*(evidence.read_only(getattr(batch, name)) for name in kernel.Wire._fields))
        return evidence.run(lambda at: self._scan(at, wire), len(batch), self._keys, self._evidence, kernel.MOST_KEYS)

    def _scan(self, start: int, wire: kernel.Wire) -> int:
        self._searches.reserve(1)
        keys, searches = self._keys, self._searches
        at: int = kernel.rates(
            start,
            wire,
            keys.table,
            keys.held["counts"],
            searches.table,
            searches.held["search"],
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

    def counters(self) -> Mapping[str, int]:
        """Keys and searching pairs held, forgotten and refused; bytes of state."""
        keys, searches = self._keys.counters(), self._searches.counters()
        both = {name: keys[name] + searches[name] for name in ("forgotten", "refused", "state_bytes")}
        return {"keys": keys["keys"], "searches": searches["keys"], **both}

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """Pairs with their busiest second and most refusals a minute, and what they asked.

        `code` of a question: protocol << 56 | function << 32 | sub-function; its address is where it begins.
        """
        keys, rows = self._keys.keys, self._keys.rows("counts")
        keep = (keys[:, k.STATUS] & k.KNOWN) != 0
        keys, rows = keys[keep], rows[keep]
        subject = keys[:, 3] & np.uint64(0xFF)
        pairs = np.flatnonzero(subject == kernel.PAIR)
        asked = np.flatnonzero(subject == kernel.ASKED)
        at = np.concatenate([np.repeat(pairs, len(_MOST)), asked])
        of = rows[at]
        most = np.column_stack([rows[held][pairs] for held in _MOST.values()]).reshape(-1)
        call = of["protocol"].astype(np.uint64) << np.uint64(56) | of["func"].astype(np.uint64) << np.uint64(32)
        return baseline_columns(
            device=keys[at, 0],
            peer=keys[at, 1:3],
            unit=(keys[at, 3] >> np.uint64(8)).astype(np.uint32),
            space=of["space"],
            addr=of["addr"],
            addr_sub=of["sub"],
            name_id=of["name"],
            parameter=np.concatenate([np.tile(np.array([*_MOST], "U24"), len(pairs)), np.full(len(asked), ASKED)]),
            code=call | of["subfunc"].astype(np.uint64),
            value=np.concatenate([most.astype(np.float64), np.zeros(len(asked))]),
            n=np.maximum(of["n"], 1).astype(np.uint64),
            first=of["first"],
            last=of["last"],
        )

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """What it holds is known; everything else counts from the first record."""
        self._keys.adopt_everywhere()
        names = np.asarray(baseline["parameter"]).astype("U24")
        asked = names == ASKED
        self._adopt_pairs({name: np.asarray(column)[~asked] for name, column in baseline.items()}, names[~asked])
        self._adopt_questions({name: np.asarray(column)[asked] for name, column in baseline.items()})

    def _adopt_pairs(self, baseline: Mapping[str, NDArray[Any]], names: NDArray[Any]) -> None:
        words = np.zeros((len(names), k.WORDS), np.uint64)
        words[:, 0], words[:, 1:3], words[:, 3] = baseline["device"], addresses(baseline["peer"]), kernel.PAIR
        before = len(self._keys)
        places = self._keys.add(words, k.KNOWN)
        rows = self._keys.rows("counts")
        rows[before:] = np.zeros(1, kernel.COUNTS)
        for name in ("second", "minute", "told"):
            rows[name][before:] = k.UNSET
        self._date(places, baseline)
        for name, held in _MOST.items():
            rows[held][places[names == name]] = baseline["value"][names == name].astype(np.int32)

    def _adopt_questions(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        n, code = len(baseline["device"]), np.asarray(baseline["code"], np.uint64)
        held: dict[str, Any] = {name: baseline[name] for name in _QUESTION} | {
            "ts": np.asarray(baseline["first"]).astype(np.int64),
            "src_ip": addresses(baseline["peer"]),
            "dst_ip": np.zeros((n, 2), np.uint64),
            "protocol": code >> np.uint64(56),
            "func": code >> np.uint64(32) & np.uint64(0xFFFF),
            "subfunc": code & np.uint64(0xFFFFFFFF),
        }
        like = records([])
        columns = [held.get(name, np.zeros(n)) for name in kernel.Wire._fields]
        kinds = [getattr(like, name).dtype for name in kernel.Wire._fields]
        wire = kernel.Wire(*(evidence.read_only(c.astype(t)) for c, t in zip(columns, kinds, strict=True)))
        self._keys.reserve(4 * n)
        places = np.empty(n, np.int64)
        rules = self._rules._replace(limit=1 << 62)
        kernel.know(wire, self._keys.table, self._keys.held["counts"], rules, places)
        self._date(places, baseline)

    def _date(self, places: NDArray[np.int64], baseline: Mapping[str, NDArray[Any]]) -> None:
        rows = self._keys.rows("counts")
        for name in ("first", "last", "n"):
            rows[name][places] = np.asarray(baseline[name]).astype(np.int64)


def example(rng: np.random.Generator) -> list[Columns]:
    """Two clients of two devices; then a flood, refusals, and searches, fast and slow."""
    start = 1_700_000_000 * SECOND_NS
    devices = [int(d) for d in rng.integers(1, 1 << 63, 2)]
    rows: list[dict[str, Any]] = []

    def put(second: float, device: int, client: int, unit: int, func: int, addr: int, status: int = 0) -> None:
        for asks in (True, False):
            ends = [bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([host]) for host in (client, 100 + device)]
            rows.append(
                {
                    "ts": int(start + (second + 0.005 * (not asks)) * SECOND_NS),
                    "device": devices[device],
                    "protocol": Protocol.MODBUS,
                    "transport": Transport.TCP,
                    "unit": unit,
                    "src_ip": ends[not asks],
                    "dst_ip": ends[asks],
                    "client_is_src": int(asks),
                    "kind": Kind.REQUEST if asks else Kind.RESPONSE,
                    "op": Op.READ,
                    "func": func,
                    "space": Space.HOLDING_REGISTER,
                    "addr": addr,
                    "status": 0 if asks else status,
                    "match": Match.PENDING if asks else Match.MATCHED,
                }
            )

    for second in range(300):
        for device in range(2):
            put(second, device, 1, 1, 3, 10 * (second % 3), int(second % 30 == 0))
            put(second + 0.5, device, 2, 2, 4, 0)
    for n in range(120):
        put(310 + n / 140, 0, 1, 1, 3, 0)
        put(320 + n / 3, 1, 1, 1, 3, 10, 2)
    for n in range(30):
        put(330 + n, 0, 2, 3 + n, 4, 0)
        put(400 + n, 1, 9, 2, 20 + n, 0)
        put(500 + n / 2, 0, 1, 1, 3, 1000 + n)
    for n in range(100):
        put(900 + 30 * n, 1, 2, 2, 4, 2000 + n)
    for n in range(240):
        put(5000 + n / 250, 0, 10 + n % 40, 1, 3, 0)
    rows.sort(key=lambda row: row["ts"])
    for seq, row in enumerate(rows):
        row["seq"] = seq
    return [records(rows[at : at + 17]) for at in range(0, len(rows), 17)]
