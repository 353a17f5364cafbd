"""Peer: new clients, pairs, services and devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import evidence, peer_baseline
from detectors.base import MAC, NAME, Alerts, Attack, Buckets, FindingType, State
from detectors.columns import Columns, records
from detectors.existence import Existence
from detectors.kernels import peer as kernel
from detectors.kernels import peer_keys, seen
from detectors.lifecycle import SECOND_NS, Learning
from schemas.codes import (
    WRITING,
    Direction,
    Identity,
    Kind,
    Match,
    Op,
    PointType,
    Protocol,
    RecordFlag,
    Space,
    Transport,
)

_ROGUE = Attack("TA0108", "T0848", "Rogue Master")
_REMOTE = Attack("TA0109", "T0886", "Remote Services")
_DISCOVERY = Attack("TA0102", "T0846", "Remote System Discovery")
_EXPOSED = Attack("TA0108", "T0883", "Internet Accessible Device")
_MIDDLE = Attack("TA0100", "T0830", "Adversary-in-the-Middle")
_SPOOF = Attack("TA0103", "T0856", "Spoof Reporting Message")
_FIRMWARE = Attack("TA0110", "T0857", "System Firmware")
_MODULE = Attack("TA0110", "T0839", "Module Firmware")


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
    """Who talks to whom, over which protocol and port, from which network card, and what devices say they are; what is
    strange alarms at once."""

    name = "peer"
    version = "1"
    findings = (
        FindingType(
            code=peer_keys.TYPE_CLIENT,
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
            code=peer_keys.TYPE_SERVICE,
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
            code=peer_keys.TYPE_DEVICE,
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
            code=peer_keys.TYPE_ANSWERING,
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
            code=peer_keys.TYPE_ASKING,
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
            code=peer_keys.TYPE_EXTERNAL,
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
        FindingType(
            code=peer_keys.TYPE_CLAIM,
            uid="peer.arp_claim",
            title="Address claimed by another network card",
            text="{device_mac} says by ARP that it is {device}, which was {expected}",
            types=("policy",),
            analytic_type=4,
            attacks=(_MIDDLE, _SPOOF),
            confidence=75,
            measure=MAC,
            fits=(
                ("attack", "somebody draws the traffic of the address to himself"),
                ("misoperation", "the machine or its network card was exchanged, or the address was given twice"),
            ),
        ),
        FindingType(
            code=peer_keys.TYPE_DUPLICATE,
            uid="peer.duplicate_address",
            title="Two network cards claim one address in turn",
            text="{observed} and {expected} say by ARP in turn that they are {device}",
            types=("policy", "operational"),
            analytic_type=4,
            attacks=(_MIDDLE,),
            confidence=85,
            measure=MAC,
            fits=(
                ("attack", "somebody draws the traffic of the address to himself while its owner is there"),
                ("misoperation", "the address was given to two machines"),
            ),
        ),
        FindingType(
            code=peer_keys.TYPE_IDENTITY,
            uid="peer.identity",
            title="Device says that it is another",
            text="{device} unit {unit} says {tag} = {observed}, and said {expected} before",
            types=("policy",),
            analytic_type=4,
            attacks=(_FIRMWARE, _MODULE),
            confidence=80,
            measure=NAME,
            fits=(
                ("misoperation", "the device was exchanged, or its firmware was updated"),
                ("attack", "another device answers in its place, or its firmware was changed"),
            ),
        ),
    )

    def __init__(self, params: Params, learning: Learning) -> None:
        super().__init__(learning, params.window_s, params.rearm_s, params.max_keys, kernel.MOST_KEYS)
        self._writes = np.zeros(256, np.uint8)
        self._writes[[int(op) for op in WRITING]] = 1
        self._known = peer_baseline.NOBODY

    def on_batch(self, batch: Columns) -> Alerts:
        """Judge and learn."""
        if not len(batch):
            return Alerts.none()
        wire = kernel.Wire(*(evidence.read_only(getattr(batch, name)) for name in kernel.Wire._fields))
        points = kernel.Values(*(evidence.read_only(getattr(batch.points, name)) for name in kernel.Values._fields))

        def scan(start: int) -> int:
            rows, table = self.slots.held["seen"], self.slots.table
            at: int = kernel.peers(
                start, wire, points, self._writes, self._known, table, rows, self._rules, self._evidence
            )
            return at

        return evidence.run(scan, len(batch), self.slots, self._evidence, kernel.MOST_KEYS)

    def snapshot(self, buckets: Buckets) -> State:
        """All state of these buckets, and what the baseline knows anywhere on the site."""
        return {**super().snapshot(buckets), **self._known._asdict()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a snapshot; one from before a part of it was kept lacks that part."""
        super().restore(state)
        self._known = peer_baseline.joined(self._known, state)

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """See :func:`detectors.peer_baseline.learned`."""
        return peer_baseline.learned(self.slots)

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """What it holds is known; every other is strange from the first record."""
        self.slots.adopt_everywhere()
        peer_baseline.enter(self.slots, baseline)
        self._known = peer_baseline.joined(self._known, peer_baseline.known_of(baseline)._asdict())


def example(rng: np.random.Generator) -> list[Columns]:
    """Two clients and two devices; then a third client asks and writes, a known one takes a new port, somebody claims a
    device's address, and a device says that it has another firmware."""
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

    def say(second: float, device: int, mac: int, firmware: int) -> None:
        served = bytes(15) + bytes([100 + device])
        base: dict[str, Any] = {"device": devices[device], "src_ip": served, "src_mac": mac, "client_is_src": 0}
        at = int(start + second * SECOND_NS)
        rows.append(base | {"ts": at, "seq": len(rows), "protocol": Protocol.ARP, "kind": Kind.ANNOUNCE, "func": 2})
        role = {"space": Space.IDENTITY, "addr": Identity.FIRMWARE, "type": PointType.TEXT, "raw": firmware << 32}
        answer = {"protocol": Protocol.MODBUS, "src_port": 502, "kind": Kind.RESPONSE, "flags": RecordFlag.IDENTITY}
        asked = bytes(10) + b"\xff\xff\x0a\x00\x00\x01"
        place = {"ts": at + 1, "seq": len(rows), "dst_ip": asked, "unit": 1, "op": Op.IDENTIFY, "func": 43}
        value = role | {"value": float("nan"), "direction": Direction.READ}
        rows.append(base | answer | place | {"src_mac": 0x0200_0000_0100 + device, "points": [value]})

    for second in range(0, 300, 10):
        ask(second, 1, 0)
        ask(second + 0.1, 2, 1)
        if second % 50 == 0:
            say(second + 0.2, 0, 0x0200_0000_0100, 1 + second % 100)
    ask(299.9, 2, 0)
    for second in range(300, 340, 10):
        ask(second + 0.5, 3, 0)
        ask(second + 1.0, 1, 0, port=1502)
        ask(second + 2.0, 1, 0)
    for turn in range(6):
        say(340.0 + turn / 10, 0, 0x0200_0000_0100 + 0x66 * (turn % 2), 1 + turn // 3)
    ask(341.0, 3, 0, Op.WRITE)
    ask(342.0, 1, 2)
    ask(950.0, 3, 0)
    ask(951.0, 3, 0, Op.WRITE)
    for second in range(952, 960):
        ask(second, 1 + second % 2, second % 2)
    return [records(rows[at : at + 17]) for at in range(0, len(rows), 17)]
