"""The rest of the network: address resolution, time, pings, and an encrypted connection."""

from __future__ import annotations

import struct
from random import Random

from pipeline.synth.plant import Plant
from pipeline.synth.wire import UNMARKED, Connection, Host, arp, checksum, ipv4, udp

_NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900 to 1970 (RFC 5905, 6)."""
_ICMP = 1


class Background:
    """Traffic that is not industrial, each kind at its own pace."""

    def __init__(self, plant: Plant, epoch_s: float) -> None:
        self._plant = plant
        self._epoch_s = epoch_s
        self._rng = plant.rng("background")
        self._pings = 0
        self._web = Connection(plant.tap, plant.engineering, plant.historian, 51900, self._rng, server_port=443)
        for what, first in ((self._resolve, 0.3), (self._time, 2.0), (self._ping, 4.0), (self._browse, 9.0)):
            plant.schedule.at(first + self._rng.random(), what)

    def _resolve(self, at: float) -> None:
        """Clients ask anew who has a controller's address (RFC 826)."""
        plant = self._plant
        client = self._rng.choice([plant.hmi, plant.historian])
        server = self._rng.choice(plant.servers).host
        resolve(plant, client, server, at)
        plant.schedule.at(at + self._rng.uniform(8.0, 20.0), self._resolve)

    def _time(self, at: float) -> None:
        """Everyone asks the router for the time (RFC 5905)."""
        plant = self._plant
        for i, host in enumerate([server.host for server in plant.servers] + [plant.hmi, plant.historian]):
            asked = at + 0.9 * i
            plant.tap.put(asked, udp(host, plant.router, (123, 123), self._ntp(0x23, 0, asked)))
            plant.tap.put(asked + 0.0008, udp(plant.router, host, (123, 123), self._ntp(0x24, 2, asked)))
        plant.schedule.at(at + 64.0, self._time)

    def _ntp(self, first: int, stratum: int, at: float) -> bytes:
        now = self._epoch_s + at + _NTP_EPOCH_S
        stamp = struct.pack("!II", int(now), int(now % 1 * (1 << 32)))
        times = (stamp * 4) if stratum else bytes(24) + stamp
        return struct.pack("!BBbbIII", first, stratum, 6, -20, 0, 0x40, 0x0A0A0201) + times

    def _ping(self, at: float) -> None:
        """The HMI watches its way out (RFC 792)."""
        plant = self._plant
        self._pings = self._pings + 1 & 0xFFFF
        body = bytes(range(97, 97 + 23)) + bytes(range(97, 97 + 9))
        for delay, src, dst, kind in ((0.0, plant.hmi, plant.router, 8), (0.0007, plant.router, plant.hmi, 0)):
            echo = struct.pack("!BBHHH", kind, 0, 0, 1, self._pings) + body
            src.idents += 1
            echo = echo[:2] + checksum(echo).to_bytes(2, "big") + echo[4:]
            plant.tap.put(at + delay, ipv4(src, dst, src.idents, _ICMP, echo))
        plant.schedule.at(at + 30.0, self._ping)

    def _browse(self, at: float) -> None:
        """An engineer's encrypted session with the historian, opened before the capture (RFC 8446, 5.1)."""
        now = at
        for _ in range(self._rng.randint(2, 5)):
            self._web.send(now, 0, _encrypted(self._rng, self._rng.randint(80, 400)))
            now += self._rng.uniform(0.002, 0.03)
            for _ in range(self._rng.randint(1, 3)):
                self._web.send(now, 1, _encrypted(self._rng, self._rng.randint(200, 1400)))
                now += 0.0003
            now += self._rng.uniform(0.1, 1.5)
        self._web.settle(now)
        self._plant.schedule.at(at + self._rng.uniform(40.0, 90.0), self._browse)


def resolve(plant: Plant, client: Host, server: Host, at: float, mark: int = UNMARKED) -> None:
    """An ARP request and its answer."""
    plant.tap.put(at, arp(1, client, server), mark)
    plant.tap.put(at + 0.0003, arp(2, server, client), mark)


def _encrypted(rng: Random, size: int) -> bytes:
    return b"\x17\x03\x03" + size.to_bytes(2, "big") + rng.randbytes(size)
