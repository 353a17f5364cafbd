"""One water works with its network: hosts, controllers, and who polls what."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from pipeline.synth.clients import Exchange, Poller, Session, read, read_write
from pipeline.synth.process import STEP_S, Process
from pipeline.synth.server import Server
from pipeline.synth.tags import DISTRIBUTION, FILTRATION, INTAKE, SERIAL
from pipeline.synth.wire import Host, Tap

if TYPE_CHECKING:
    from pipeline.synth.field.line import Datagrams, Line

WARM_UP_S = 600.0
"""How long the process has run before the capture begins, so that no start-up transient is in it."""

PRESSURE_SETPOINT = 10
"""Address of PLC-3's pressure setpoint."""
HEARTBEAT = 14

IDENTITIES: tuple[tuple[str, ...], ...] = (
    ("Schneider Electric", "BMX P34 2020", "v3.20"),
    ("Schneider Electric", "BMX P34 2020", "v3.20"),
    ("WAGO", "750-8212", "03.10.08"),
    ("Moxa", "MGate MB3180", "2.4"),
)
CONTROLLERS = ("PLC-1 intake", "PLC-2 filtration", "PLC-3 distribution", "GW-4 serial gateway")
_CONTROLLER_MACS = ("00:80:f4:1a:20", "00:80:f4:1a:21", "00:30:de:42:07", "00:90:e8:6b:11")
_TAGS = (INTAKE, FILTRATION, DISTRIBUTION, SERIAL)

HMI_BLOCKS: tuple[list[Exchange], ...] = (
    [(1, read(4, 0, 10)), (1, read(3, 0, 5)), (1, read(2, 0, 5)), (1, read(1, 0, 3))],
    [(1, read(4, 0, 14)), (1, read(3, 0, 5)), (1, read(2, 0, 5)), (1, read(1, 0, 7))],
    [(1, read(4, 0, 10)), (1, read(3, 0, 3)), (1, read(3, 10, 6)), (1, read(2, 0, 4)), (1, read(1, 0, 2))],
    [(11, read(4, 0, 4)), (12, read(3, 0, 8)), (13, read(4, 0, 3))],
)
HISTORIAN_BLOCKS: tuple[list[Exchange], ...] = (
    [(1, read(4, 0, 10)), (1, read(2, 0, 5))],
    [(1, read(4, 0, 14)), (1, read(2, 0, 5))],
    [(1, read(4, 0, 10)), (1, read(3, 0, 3)), (1, read(3, 10, 4))],
    [(11, read(4, 0, 3)), (12, read(3, 0, 4)), (13, read(4, 0, 2))],
)
ENGINEERING_BLOCKS: tuple[list[Exchange], ...] = (
    [(1, read(3, 0, 5)), (1, read(1, 0, 3))],
    [(1, read(3, 0, 5)), (1, read(1, 0, 7))],
    [(1, read(3, 10, 6)), (1, read(1, 0, 2))],
)


class Schedule:
    """What is to happen when; simultaneous things happen in the order in which they were asked for."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Callable[[float], object]]] = []
        self._asked = 0

    def at(self, when: float, what: Callable[[float], object]) -> None:
        """Do `what` at `when` seconds; it is told the time."""
        self._asked += 1
        heapq.heappush(self._waiting, (when, self._asked, what))

    def run(self, until: float) -> None:
        """Do all that is due before `until`."""
        while self._waiting and self._waiting[0][0] < until:
            when, _, what = heapq.heappop(self._waiting)
            what(when)


class Plant:
    """One replica of the plant on its own /16.

    Attributes:
        number: which replica, from 0.
        servers: the controllers, in the order of `CONTROLLERS`.
        hmi, historian, engineering, router: hosts beside them.
        hmi_pollers, historian_pollers: their cyclic clients, one per controller.
        held: sources of tags that an operator leaves alone because an intruder holds them.
        visits: Modbus connections, those that have ended too.
        lines: connections that speak other protocols.
    """

    def __init__(self, number: int, seed: int, tap: Tap, schedule: Schedule, second_of_day: float) -> None:
        self.number = number
        self.tap = tap
        self.schedule = schedule
        self._seed = seed
        self._second_of_day = second_of_day
        self._ports: dict[str, int] = {}
        self.held: set[str] = set()
        self.visits: list[Session] = []
        self.lines: list[Line | Datagrams] = []
        self.process = Process(self.rng("process"))
        self._settle_process()
        self.servers = [
            Server(host, self.process, tags, index=i if i < 3 else -1, identity=IDENTITIES[i])
            for i, (host, tags) in enumerate(zip(self._controllers(), _TAGS, strict=True))
        ]
        self.hmi = self.host("HMI-1", "2.21", "00:14:22:5e:30", ttl=128)
        self.historian = self.host("HIST-1 historian", "2.31", "00:14:22:5e:31")
        self.engineering = self.host("ENG-1 engineering station", "2.41", "00:14:22:5e:32", ttl=128)
        self.router = self.host("RT-1 router", "2.1", "00:80:63:09:44")
        self.hmi_pollers = [self._poller(self.hmi, i, HMI_BLOCKS[i], 1.0) for i in range(4)]
        self.historian_pollers = [self._poller(self.historian, i, HISTORIAN_BLOCKS[i], 5.0) for i in range(4)]
        schedule.at(0.0, self._step)
        self._start_clients()

    def rng(self, purpose: str) -> Random:
        """A source of randomness that nothing else draws from."""
        return Random(f"{self._seed}/{self.number}/{purpose}")  # noqa: S311

    def host(self, name: str, suffix: str, mac: str, ttl: int = 64) -> Host:
        """A host of this replica's network: the last two parts of its address, the first five of its MAC address."""
        return Host(name, f"10.{10 + self.number}.{suffix}", f"{mac}:{self.number:02x}", ttl)

    def port(self, host: Host) -> int:
        """The next ephemeral port of `host`."""
        last = self._ports.get(host.name) or 49152 + self.rng(host.name).randrange(8000)
        self._ports[host.name] = last + 1
        return last + 1

    def session(self, client: Host, server: int, purpose: str, port: int = 0) -> Session:
        """A connection of `client` to controller `server`."""
        made = Session(self.tap, client, self.servers[server], port or self.port(client), self.rng(purpose))
        self.visits.append(made)
        return made

    def _controllers(self) -> list[Host]:
        return [
            self.host(name, f"1.{11 + i}", _CONTROLLER_MACS[i], ttl=64 if i < 2 else 255)
            for i, name in enumerate(CONTROLLERS)
        ]

    def _settle_process(self) -> None:
        for step in range(-round(WARM_UP_S / STEP_S), 0):
            self.process.step(self._second_of_day + step * STEP_S)
        self.process.set_totals()

    def _step(self, at: float) -> None:
        self.process.step(self._second_of_day + at)
        self.schedule.at(at + STEP_S, self._step)

    def _poller(self, client: Host, server: int, blocks: list[Exchange], period_s: float) -> Poller:
        purpose = f"{client.name}-{server}"
        return Poller(self.session(client, server, purpose), blocks, period_s, self.rng(purpose + "-pace"))

    def _start_clients(self) -> None:
        pace = self.rng("start")
        for i, poller in enumerate(self.hmi_pollers):
            self.schedule.at(0.6 + 0.21 * i + 0.01 * pace.random(), self._greet(poller))
        for i, poller in enumerate(self.historian_pollers):
            self.schedule.at(0.1 + 1.1 * i + 0.01 * pace.random(), self._cycle(poller))
        self.schedule.at(5.0, self._beat)

    def _greet(self, poller: Poller) -> Callable[[float], None]:
        """The HMI's start: a handshake, then identification of every unit."""

        def greet(at: float) -> None:
            self.schedule.at(poller.greet(poller.session.link.open(at)) + 0.05, self._cycle(poller))

        return greet

    def _cycle(self, poller: Poller) -> Callable[[float], None]:
        def cycle(at: float) -> None:
            self.schedule.at(poller.next_time(at, poller.cycle(at)), cycle)

        return cycle

    def _beat(self, at: float) -> None:
        beat = round(at / 10.0) % 60
        self.hmi_pollers[2].command(1, read_write(PRESSURE_SETPOINT, 6, HEARTBEAT, [beat]))
        self.schedule.at(at + 10.0, self._beat)
