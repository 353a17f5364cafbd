"""Peer: new clients, pairs, services and devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.base import Attack, Buckets, FindingType, State
from detectors.columns import Columns, records
from detectors.existence import Existence, addresses, baseline_columns
from detectors.kernels import peer as kernel
from detectors.kernels import seen
from detectors.kernels import slots as k
from detectors.lifecycle import SECOND_NS, Learning
from schemas.codes import WRITING, Direction, Kind, Match, Op, Protocol, Space, Transport

_ROGUE = Attack("TA0108", "T0848", "Rogue Master")
_REMOTE = Attack("TA0109", "T0886", "Remote Services")
_DISCOVERY = Attack("TA0102", "T0846", "Remote System Discovery")
_EXPOSED = Attack("TA0108", "T0883", "Internet Accessible Device")
_MIDDLE = Attack("TA0100", "T0830", "Adversary-in-the-Middle")
_SPOOF = Attack("TA0103", "T0856", "Spoof Reporting Message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """`[detectors.peer]`."""

    window_s: float = 600.0
    """How long a stranger's requests are counted as evidence, from its first."""
    rearm_s: float = 86_400.0
    """After how long a stranger that was reported is reported again."""
    max_keys: int = 16_384
    """Devices, pairs and services remembered for each of the 1024 device buckets; beyond it the oldest strangers go."""


class PeerDetector(Existence):
    """Who talks to whom, over which protocol and port, from which network card; what is strange alarms at once."""

    name = "peer"
    version = "1"
    findings = (
        FindingType(
            code=kernel.TYPE_CLIENT,
            uid="peer.new_client",
            title="Unknown client",
            text="{client} is in no learned conversation, and asks {device} to {op}",
            types=("policy",),
            analytic_type=4,
            attacks=(_ROGUE, _DISCOVERY),
            fits=(
                ("attack", "an intruder looks around"),
                ("misoperation", "a laptop or a new client that nobody announced"),
            ),
            confidence=80,
        ),
        FindingType(
            code=seen.TYPE_PAIR,
            uid="peer.new_pair",
            title="New conversation",
            text="{client} talks to {device} for the first time: {op}",
            types=("policy",),
            analytic_type=4,
            attacks=(_ROGUE, _REMOTE),
            fits=(
                ("attack", "a client that was taken over reaches further"),
                ("misoperation", "a new connection that nobody announced"),
            ),
            confidence=75,
        ),
        FindingType(
            code=kernel.TYPE_SERVICE,
            uid="peer.new_service",
            title="New service in a known conversation",
            text="{client} uses another protocol or port of {device}: {op}",
            types=("policy",),
            analytic_type=4,
            attacks=(_REMOTE,),
            fits=(
                ("attack", "another way into the device is tried"),
                ("misoperation", "a new use of the device that nobody announced"),
            ),
            confidence=60,
        ),
        FindingType(
            code=kernel.TYPE_DEVICE,
            uid="peer.new_device",
            title="New device",
            text="{device} answers for the first time, to {client}",
            types=("policy",),
            analytic_type=4,
            attacks=(_ROGUE, _DISCOVERY),
            fits=(
                ("misoperation", "a new device that nobody announced"),
                ("attack", "somebody answers in a device's place"),
            ),
            confidence=60,
        ),
        FindingType(
            code=kernel.TYPE_ANSWERING,
            uid="peer.device_mac",
            title="Device answers from another network card",
            text="{device} answers {client} from {device_mac}, which never spoke for it before",
            types=("policy",),
            analytic_type=4,
            attacks=(_MIDDLE, _SPOOF),
            fits=(
                ("attack", "somebody answers in the device's place"),
                ("misoperation", "the device or its network card was exchanged"),
            ),
            confidence=75,
        ),
        FindingType(
            code=kernel.TYPE_ASKING,
            uid="peer.client_mac",
            title="Client asks from another network card",
            text="somebody asks {device} as {client} from {client_mac}, which never spoke for it before",
            types=("policy",),
            analytic_type=4,
            attacks=(_MIDDLE, _ROGUE),
            fits=(
                ("attack", "somebody asks in the client's name"),
                ("misoperation", "the client or its network card was exchanged"),
            ),
            confidence=75,
        ),
        FindingType(
            code=kernel.TYPE_EXTERNAL,
            uid="peer.external",
            title="Client from the Internet",
            text="{client}, an address of the Internet, talks to {device} for the first time: {op}",
            types=("policy",),
            analytic_type=4,
            attacks=(_EXPOSED, _REMOTE),
            fits=(
                ("attack", "somebody reached the device from outside"),
                ("misoperation", "remote maintenance that nobody announced, or a device open to the Internet"),
            ),
            confidence=80,
        ),
    )

    def __init__(self, params: Params, learning: Learning) -> None:
        super().__init__(learning, params.window_s, params.rearm_s, params.max_keys, kernel.MOST_KEYS)
        self._writes = np.zeros(256, np.uint8)
        self._writes[[int(op) for op in WRITING]] = 1
        self._clients = np.zeros((0, 2), np.uint64)

    def _scan(self, start: int, wire: seen.Wire) -> int:
        rows = self.slots.held["seen"]
        table = self.slots.table
        at: int = kernel.peers(start, wire, self._writes, self._clients, table, rows, self._rules, self._evidence)
        return at

    def snapshot(self, buckets: Buckets) -> State:
        """All state of these buckets, and the clients that the baseline knows anywhere on the site."""
        return {**super().snapshot(buckets), "clients": self._clients}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot."""
        super().restore(state)
        self._know(state["clients"])

    def _know(self, clients: NDArray[np.uint64]) -> None:
        self._clients = np.ascontiguousarray(np.unique(np.concatenate([self._clients, clients]), axis=0))

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """Known services (`code`: protocol << 56 | port), devices, MACs (`code`; without a peer: the device's)."""
        keys, rows = self.slots.keys, self.slots.rows("seen")
        kind = keys[:, 3] & np.uint64(0xFF)
        marks = (kind == kernel.PAIR) | ((kind == kernel.LINK) & (keys[:, 4] == 0))
        keep = ((keys[:, k.STATUS] & k.KNOWN) != 0) & ~marks
        keys, rows, kind = keys[keep], rows[keep], kind[keep]
        protocol = keys[:, 3] >> np.uint64(8) & np.uint64(0xFF)
        service = protocol << np.uint64(56) | keys[:, 3] >> np.uint64(16)
        return baseline_columns(
            device=keys[:, 0],
            peer=keys[:, 1:3],
            parameter=np.array(["", "service", "", "device", "mac"])[kind.astype(np.int64)],
            code=np.where(kind == kernel.SERVICE, service, keys[:, 4]),
            n=rows["n"].astype(np.uint64),
            first=rows["first"],
            last=rows["last"],
        )

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """Its services, pairs, devices and MAC addresses are known; every other is strange from the first record."""
        self.slots.adopt_everywhere()
        peer = addresses(baseline["peer"])
        code = np.asarray(baseline["code"], np.uint64)
        is_service, is_mac = (np.asarray(baseline["parameter"]) == name for name in ("service", "mac"))
        words = np.zeros((len(code), k.WORDS), np.uint64)
        words[:, 0] = baseline["device"]
        words[:, 1:3] = peer
        service = kernel.SERVICE | code >> np.uint64(56) << np.uint64(8) | (code & np.uint64(0xFFFF)) << np.uint64(16)
        words[:, 3] = np.where(is_service, service, np.where(is_mac, kernel.LINK, kernel.DEVICE))
        words[is_mac, 4] = code[is_mac]
        self._enter(words, baseline)
        for rows, kind in ((is_service, kernel.PAIR), (is_mac, kernel.LINK)):
            marks = words[rows]
            marks[:, 3], marks[:, 4] = kind, 0
            self._enter(marks, {name: np.asarray(baseline[name])[rows] for name in ("first", "last", "n")})
        self._know(peer[is_service])


def example(rng: np.random.Generator) -> list[Columns]:
    """Two clients and two devices; then a third client asks and writes, and a known one takes a new port."""
    start = 1_700_000_000 * SECOND_NS
    devices = [int(d) for d in rng.integers(1, 1 << 63, 2)]
    rows: list[dict[str, Any]] = []

    def ask(second: float, client: int, device: int, op: Op = Op.READ, port: int = 502) -> None:
        base: dict[str, Any] = {
            "device": devices[device] if device < 2 else devices[0] ^ 0x5A5A00,
            "protocol": Protocol.MODBUS,
            "transport": Transport.TCP,
            "unit": 1,
            "op": op,
            "func": 3 if op == Op.READ else 6,
        }
        asked, served = bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([client]), bytes(15) + bytes([100 + device])
        at = int(start + second * SECOND_NS)
        value = {"space": Space.HOLDING_REGISTER, "value": float(rng.integers(40, 60)), "direction": Direction.READ}
        asker, server = 0x0200_0000_0000 + client, 0x0200_0000_0100 + device
        if second > 600:
            asker += 0x1000
        request = {"src_ip": asked, "dst_ip": served, "src_port": 40_000 + client, "dst_port": port, "src_mac": asker}
        answer = {"src_ip": served, "dst_ip": asked, "src_port": port, "dst_port": 40_000 + client, "src_mac": server}
        rows.append(
            base
            | request
            | {"ts": at, "seq": len(rows), "kind": Kind.REQUEST, "client_is_src": 1, "match": Match.PENDING}
        )
        rows.append(
            base
            | answer
            | {"ts": at + 1_000_000, "seq": len(rows), "kind": Kind.RESPONSE, "match": Match.MATCHED, "points": [value]}
        )

    for second in range(0, 300, 10):
        ask(second, 1, 0)
        ask(second + 0.1, 2, 1)
    ask(299.9, 2, 0)
    for second in range(300, 340, 10):
        ask(second + 0.5, 3, 0)
        ask(second + 1.0, 1, 0, port=1502)
        ask(second + 2.0, 1, 0)
    ask(341.0, 3, 0, Op.WRITE)
    ask(342.0, 1, 2)
    ask(950.0, 3, 0)
    ask(951.0, 3, 0, Op.WRITE)
    for second in range(952, 960):
        ask(second, 1 + second % 2, second % 2)
    return [records(rows[at : at + 17]) for at in range(0, len(rows), 17)]
