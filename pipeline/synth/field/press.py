"""The sludge press: a thickener that the backwash fills, a belt press, and the Logix controller of both."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from pipeline.synth.encode import cip as e
from pipeline.synth.field.line import Line, repeat
from pipeline.synth.field.tags import Area
from pipeline.synth.plant import Plant
from pipeline.synth.process import Process, Swing
from pipeline.synth.wire import UNMARKED, Host

PORT = 44_818
_IDENTITY = e.identity(1, 14, 107, (20, 13), 0x00C0FFA1, "1769-L33ER/A LOGIX5333ER")


@dataclass(frozen=True, slots=True)
class Symbol:
    """A tag by its name: the attribute of the area that it shows, and its CIP type."""

    name: str
    source: str
    type: int = e.REAL


LEVEL, FEED, TORQUE, SPEED = (
    Symbol("Thickener.Level", "level"),
    Symbol("Press.Feed", "feed"),
    Symbol("Press.Torque", "torque"),
    Symbol("Press.BeltSpeed", "speed"),
)
SOLIDS, RUNNING = Symbol("Press.CakeSolids", "solids"), Symbol("Press.Running", "running", e.BOOL)
SPEED_SETPOINT, ENABLE = Symbol("Press.BeltSpeedSP", "sp_speed"), Symbol("Press.Enable", "enabled", e.BOOL)
POLLED = (LEVEL, FEED, TORQUE, SPEED, SOLIDS, RUNNING, SPEED_SETPOINT, ENABLE)


class Sludge(Area):
    """A thickener with a press that runs while there is enough in it.

    Attributes:
        stopped: whether the controller is in program mode: outputs are off.
    """

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._rng = rng
        self._inflow = Swing(rng, 1.2, 60.0)
        self._cake = Swing(rng, 0.8, 45.0)
        self._volume = rng.uniform(6.0, 9.0)
        self._pressing = False
        self.stopped = False
        self.sp_speed, self.enabled, self.running = 4.0, 1, 0
        self.level = self.feed = self.torque = self.speed = self.solids = 0.0

    def step(self, process: Process, seconds: float) -> None:
        """Advance."""
        noise = self._rng.gauss
        inflow = 6.0 + self._inflow.step() + 3.0 * sum(valve.position for valve in process.backwash)
        self._pressing = self._volume > 9.0 or (self._pressing and self._volume > 8.0)
        self.running = int(self._pressing and bool(self.enabled) and not self.stopped)
        feed = 4.5 * self.sp_speed * self.running
        self._volume = min(max(self._volume + 4.0 * (inflow - feed) * seconds / 3600.0, 0.0), 15.0)
        self.level = 10.0 * self._volume / 1.5 + noise(0, 0.05)
        self.feed = max(feed + noise(0, 0.05), 0.0)
        self.speed += min(max(self.sp_speed * self.running - self.speed, -0.8 * seconds), 0.8 * seconds)
        self.torque = max(11.0 * self.speed + noise(0, 0.3), 0.0)
        self.solids = 22.0 + self._cake.step() + noise(0, 0.05)


class Controller:
    """The Logix controller."""

    def __init__(self, plant: Plant) -> None:
        self.area = Sludge(plant.rng("press"))
        self.host = plant.host("PLC-9 sludge press", "1.19", "00:00:bc:5a:19")
        self.rng = plant.rng("press-pace")
        self.sessions = 0


class Dialogue:
    """One session with the controller, and unconnected requests in it."""

    def __init__(self, controller: Controller, line: Line) -> None:
        self.controller = controller
        self.line = line
        self._session = 0
        self._context = 0

    def open(self, at: float) -> float:
        """The handshake and the session; gives the time after it."""
        self.controller.sessions += 1
        version = struct.pack("<HH", 1, 0)
        now = self.line.say(self.line.open(at) + 0.001, 0, e.encapsulated(e.REGISTER, 0, version))
        self._session = 0x0102_0000 + self.controller.sessions
        return self.line.say(now + 0.004, 1, e.encapsulated(e.REGISTER, self._session, version))

    def close(self, at: float) -> None:
        """The end of session and connection."""
        self.line.close(self.line.say(at, 0, e.encapsulated(e.UNREGISTER, self._session)) + 0.001)

    def ask(self, at: float, request: bytes, answer: bytes, mark: int = UNMARKED) -> float:
        """A request and its answer."""
        self._context += 1
        self.line.exchanges += 1
        context = self._context.to_bytes(8, "little")
        asked = e.encapsulated(e.SEND_RR_DATA, self._session, e.unconnected(request, 10), context=context)
        now = self.line.say(at, 0, asked, mark) + 0.005 + 0.003 * self.controller.rng.random()
        told = e.encapsulated(e.SEND_RR_DATA, self._session, e.unconnected(answer), context=context)
        return self.line.say(now, 1, told, mark)

    def identify(self, at: float, mark: int = UNMARKED) -> float:
        """All attributes of the identity."""
        asked = e.request(e.GET_ALL, e.instance(e.IDENTITY, 1))
        return self.ask(at, asked, e.response(e.GET_ALL, _IDENTITY), mark)

    def read(self, at: float, symbols: Sequence[Symbol] = POLLED, mark: int = UNMARKED) -> float:
        """Tags by name, in one Multiple Service Packet."""
        area = self.controller.area
        asked = [e.request(e.READ_TAG, e.symbol(s.name), b"\1\0") for s in symbols]
        told = [e.response(e.READ_TAG, e.value(s.type, area.read(s.source))) for s in symbols]
        request = e.request(e.SEVERAL, e.instance(e.ROUTER, 1), e.several(asked))
        return self.ask(at, request, e.response(e.SEVERAL, e.several(told)), mark)

    def write(self, at: float, tag: Symbol, value: float, mark: int = UNMARKED) -> float:
        """A tag by name."""
        setattr(self.controller.area, tag.source, value if tag.type == e.REAL else int(value))
        encoded = e.value(tag.type, value)
        request = e.request(e.WRITE_TAG, e.symbol(tag.name), encoded[:2] + b"\1\0" + encoded[2:])
        return self.ask(at, request, e.response(e.WRITE_TAG), mark)

    def command(self, at: float, service: int, family: int, data: bytes = b"", mark: int = UNMARKED) -> float:
        """A service of the first instance of a class, such as a reset or a change of mode."""
        return self.ask(at, e.request(service, e.instance(family, 1), data), e.response(service), mark)


class PressClients:
    """The HMI polls and writes; engineering looks in now and then.

    Attributes:
        controller: the Logix controller.
        hmi: the HMI's session.
        held: whether the operator leaves the press alone.
    """

    def __init__(self, plant: Plant) -> None:
        self.controller = Controller(plant)
        self.held = False
        self._plant = plant
        self._rng = plant.rng("press-clients")
        self._second = False
        self._visits = 0
        self.hmi = self.dialogue(plant.hmi)
        plant.schedule.at(0.75, self._begin)
        repeat(plant, self._rng, 3.51, 3.0, self._poll)
        plant.schedule.at(self._rng.uniform(30.0, 60.0), self._act)
        plant.schedule.at(self._rng.uniform(120.0, 200.0), self._visit)

    def dialogue(self, client: Host) -> Dialogue:
        """A session of a host of the plant, not yet open."""
        self._visits += 1
        line = Line(self._plant, client, self.controller.host, PORT, f"press-{client.name}-{self._visits}")
        return Dialogue(self.controller, line)

    def _begin(self, at: float) -> None:
        self.hmi.identify(self.hmi.open(at) + 0.002)

    def _poll(self, at: float) -> None:
        self.hmi.line.rest(self.hmi.read(at))

    def _act(self, at: float) -> None:
        """The operator changes the belt's speed between two presets, or pauses the press for a moment."""
        if not self.held and self._rng.random() < 0.6:
            self._second = not self._second
            self.hmi.write(at, SPEED_SETPOINT, 4.4 if self._second else 4.0)
        elif not self.held:
            self.hmi.write(at, ENABLE, 0)
            self._plant.schedule.at(at + self._rng.uniform(12.0, 20.0), lambda then: self.hmi.write(then, ENABLE, 1))
        self._plant.schedule.at(at + self._rng.uniform(50.0, 100.0), self._act)

    def _visit(self, at: float) -> None:
        """Engineering identifies the controller and reads."""
        visit = self.dialogue(self._plant.engineering)
        now = visit.identify(visit.open(at) + 0.3)
        now = visit.read(now + 0.8)
        visit.close(now + 4.0)
        self._plant.schedule.at(at + self._rng.uniform(300.0, 480.0), self._visit)
