"""A connection on which one message goes at a time, whoever of the two sends it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from pipeline.synth.plant import Plant
from pipeline.synth.wire import DELAYED_ACK_S, UNMARKED, Connection, Host, udp

_GAP_S = 0.0004


class Line:
    """A TCP connection between a client and a device.

    Attributes:
        link: the connection.
        exchanges: how many requests the client sent.
        taint: the attack that has a hand in all that the device says, if any.
        is_open: whether it is established.
    """

    def __init__(self, plant: Plant, client: Host, server: Host, port: int, purpose: str, mark: int = UNMARKED) -> None:
        self.link = Connection(plant.tap, client, server, plant.port(client), plant.rng(purpose), server_port=port)
        self.link.mark = mark
        self.exchanges = 0
        self.taint = UNMARKED
        self.is_open = False
        self._free = 0.0
        plant.lines.append(self)

    def open(self, at: float) -> float:
        """The handshake; gives the time after it."""
        self.is_open = True
        self._free = self.link.open(at)
        return self._free

    def close(self, at: float) -> float:
        """An orderly end by the client; gives the time after it."""
        self.is_open = False
        self.rest(at)
        self._free = self.link.close(self._free)
        return self._free

    def say(self, at: float, side: int, payload: bytes, mark: int = UNMARKED) -> float:
        """A message of the client (side 0) or the device at `at`, or when what goes before is over; gives the time."""
        now = max(at, self._free + _GAP_S)
        self.link.send(now, side, payload, self.taint if mark == UNMARKED and side else mark)
        self._free = now
        return now

    def rest(self, at: float) -> None:
        """Send the acknowledgements that have no data to ride on."""
        now = max(at, self._free)
        self.link.settle(now)
        self._free = now + DELAYED_ACK_S


def repeat(plant: Plant, rng: Random, first: float, period_s: float, what: Callable[[float], object]) -> None:
    """Do `what` at `first` seconds and every `period_s` from then on, with a little jitter."""

    def turn(at: float) -> None:
        what(at)
        plant.schedule.at(at + period_s + rng.gauss(0, 0.003), turn)

    plant.schedule.at(first, turn)


class Datagrams:
    """A client and a device that speak over UDP, each from the same port.

    Attributes:
        exchanges: how many requests the client sent.
        taint: the attack that has a hand in all that the device says, if any.
        mark: the attack that all its packets belong to, if any.
    """

    def __init__(self, plant: Plant, client: Host, server: Host, port: int, mark: int = UNMARKED) -> None:
        self.exchanges = 0
        self.taint = UNMARKED
        self.mark = mark
        self._tap = plant.tap
        self._ends = (client, server)
        self._port = port
        plant.lines.append(self)

    def say(self, at: float, side: int, payload: bytes, mark: int = UNMARKED, to: Host | None = None) -> float:
        """A datagram of the client (side 0) or the device, to the other or to `to`; gives the time."""
        if mark == UNMARKED:
            mark = self.taint if side and self.taint != UNMARKED else self.mark
        source, other = self._ends[side], self._ends[1 - side]
        self._tap.put(at, udp(source, to or other, (self._port, self._port), payload), mark)
        return at
