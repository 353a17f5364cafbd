"""The coagulant dosing skid: a day tank and a pump that follows the flow, and the S7 controller that runs them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random

from pipeline.synth.encode import s7 as e
from pipeline.synth.field.line import Line, repeat
from pipeline.synth.field.tags import Area, FieldTag
from pipeline.synth.plant import Plant
from pipeline.synth.process import Process, Swing
from pipeline.synth.wire import UNMARKED, Host
from schemas.codes import Space

PORT = 102
SLOT = 2
"""Rack 0, slot 2."""
PG, OP, BASIC = 1, 2, 3
"""What a connection is for, as its TSAP says."""
READ, WRITE, SETUP = 4, 5, 0xF0
_CONNECT, _CONNECTED = 0xE0, 0xD0
_MODE_LIST = struct.pack("!HH", 0x0424, 0)
"""Id and index of the system status list that tells the operating mode."""
_TANK_L = 20.0


def _tags(block: int, size: int, first: int, *named: tuple[str, str, str]) -> tuple[FieldTag, ...]:
    """Neighbouring values of `size` bytes from byte `first` of a data block on; size 0 is a bit."""
    return tuple(
        FieldTag(
            name, Space.S7_DATA_BLOCK, 8 * (first + i * size), source, unit, addr_sub=block | size << 16, unit_id=SLOT
        )
        for i, (name, source, unit) in enumerate(named)
    )


REALS = _tags(
    10,
    4,
    0,
    ("LT-601 coagulant tank level", "lt601", "%"),
    ("FT-601 coagulant flow", "ft601", "l/h"),
    ("ZT-601 pump stroke", "zt601", "%"),
    ("PT-601 discharge pressure", "pt601", "bar"),
    ("DT-601 coagulant density", "dt601", "kg/l"),
)
STATES = _tags(10, 2, 20, ("YS-601 skid state", "state", ""), ("YS-602 recipe", "recipe", ""))
RUNNING = _tags(10, 0, 24, ("YI-601 pump running", "running", ""))
DOSES = _tags(20, 4, 0, ("FSP-601 dose setpoint", "sp_dose", "mg/l"), ("LAL-601 low level limit", "low_limit", "%"))
START = _tags(20, 0, 8, ("HS-601 dosing on", "enabled", ""))
TAGS = (*REALS, *STATES, *RUNNING, *DOSES, *START)


class Skid(Area):
    """A pump that doses in proportion to the network's flow out of a tank that is filled again when it is low.

    Attributes:
        stopped: whether the controller's program does not run: then nothing moves, and no value is refreshed.
    """

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._rng = rng
        self._batch = Swing(rng, 0.03, 60.0)
        self._volume = rng.uniform(8.0, 14.0)
        self._filling = False
        self.stopped = False
        self.sp_dose, self.low_limit = 2.0, 25.0
        self.enabled, self.running, self.state, self.recipe = 1, 1, 1, 1
        self.lt601 = self.ft601 = self.zt601 = self.pt601 = self.dt601 = 0.0

    def step(self, process: Process, seconds: float) -> None:
        """Advance."""
        batch = self._batch.step()
        if self.stopped:
            return
        noise = self._rng.gauss
        level = 100.0 * self._volume / _TANK_L
        self._filling = level < self.low_limit or (self._filling and level < 85.0)
        self.running = int(bool(self.enabled) and self._volume > 0.2)
        flow = 0.32 * process.network_flow * self.sp_dose * self.running
        self._volume += ((240.0 if self._filling else 0.0) - flow) * seconds / 3600.0
        self._volume = min(max(self._volume, 0.0), _TANK_L)
        self.lt601 = 100.0 * self._volume / _TANK_L + noise(0, 0.1)
        self.ft601 = max(flow + noise(0, 0.3), 0.0)
        self.zt601 = min(self.ft601 / 1.6, 100.0)
        self.pt601 = process.pressure + 0.4 + 0.006 * flow + noise(0, 0.01)
        self.dt601 = 1.33 + batch + noise(0, 0.001)
        self.state = (2 if self._filling else 1) if self.running else 0


class Controller:
    """The S7 controller: its variables, and the time that an answer takes."""

    def __init__(self, plant: Plant) -> None:
        self.area = Skid(plant.rng("dosing"))
        self.host = plant.host("PLC-6 dosing skid", "1.16", "00:1b:1b:4d:92")
        self.rng = plant.rng("dosing-pace")


class Dialogue:
    """One connection to the controller: its opening, and jobs with their answers."""

    def __init__(self, controller: Controller, line: Line, purpose: int) -> None:
        self.controller = controller
        self.line = line
        self._purpose = purpose
        self._number = 0

    def open(self, at: float) -> float:
        """Handshake, connection of the transport protocol, and setup of the communication; gives the time after."""
        now = self.line.open(at)
        ends = (bytes([self._purpose, SLOT]), b"\1\0")
        now = self.line.say(now + 0.001, 0, e.connection(_CONNECT, 0, 0x11, *ends))
        now = self.line.say(now + 0.003, 1, e.connection(_CONNECTED, 0x11, 0x22, *ends))
        setup = struct.pack("!BBHHH", SETUP, 0, 1, 1, 480)
        return self.job(now + 0.001, setup, b"", setup, b"", UNMARKED)

    def job(
        self, at: float, asked: bytes, data: bytes, answer: bytes, told: bytes, mark: int = UNMARKED, *, by: int = 0
    ) -> float:
        """A job with parameters `asked` and its acknowledgement, of the client or (`by` 1) the controller."""
        number = self._next()
        now = self.line.say(at, by, e.dt(e.message(e.JOB, number, asked, data)), mark)
        acknowledged = e.dt(e.message(e.ACK_DATA, number, answer, told))
        return self.line.say(now + self._think(), 1 - by, acknowledged, mark)

    def read(self, at: float, *items: Sequence[FieldTag], mark: int = UNMARKED) -> float:
        """One job that reads several runs of neighbouring variables."""
        head = bytes([READ, len(items)])
        asked = head + b"".join(_item(tags) for tags in items)
        area = self.controller.area
        values = e.filled([_data([area.read(tag.source) for tag in tags], _size(tags[0])) for tags in items])
        return self.job(at, asked, b"", head, values, mark)

    def write(self, at: float, tag: FieldTag, value: float, mark: int = UNMARKED) -> float:
        """One job that writes a variable."""
        setattr(self.controller.area, tag.source, int(value) if _size(tag) < 4 else value)
        data = _data([value], _size(tag))
        return self.job(at, bytes([WRITE, 1]) + _item([tag]), data, bytes([WRITE, 1]), b"\xff", mark)

    def mode(self, at: float, mark: int = UNMARKED) -> float:
        """A read of the operating mode by its system status list."""
        number = self._next()
        now = self.line.say(at, 0, e.dt(e.message(e.USER, number, *e.user(4, 4, 1, _MODE_LIST))), mark)
        state = 4 if self.controller.area.stopped else 8
        told = _MODE_LIST + struct.pack("!HH", 20, 1) + struct.pack("!HBB", 0x5102, 0xFF, state) + bytes(16)
        return self.line.say(now + self._think(), 1, e.dt(e.message(e.USER, number, *e.user(8, 4, 1, told))), mark)

    def _think(self) -> float:
        return 0.004 + 0.003 * self.controller.rng.random()

    def _next(self) -> int:
        self._number = (self._number + 1) % 65536
        self.line.exchanges += 1
        return self._number


class DosingClients:
    """The HMI polls and writes, the historian reads, engineering looks in now and then.

    Attributes:
        controller: the S7 controller.
        hmi: the HMI's connection.
        held: whether the operator leaves the skid alone.
    """

    def __init__(self, plant: Plant) -> None:
        self.controller = Controller(plant)
        self.held = False
        self._plant = plant
        self._rng = plant.rng("dosing-clients")
        self._second = False
        self._visits = 0
        self.hmi = self.dialogue(plant.hmi, OP)
        self.historian = self.dialogue(plant.historian, BASIC)
        plant.schedule.at(0.45, self.hmi.open)
        plant.schedule.at(0.95, self.historian.open)
        repeat(plant, self._rng, 2.37, 2.0, self._poll)
        repeat(plant, self._rng, 3.05, 10.0, self._record)
        plant.schedule.at(self._rng.uniform(30.0, 60.0), self._act)
        plant.schedule.at(self._rng.uniform(80.0, 160.0), self._visit)

    def dialogue(self, client: Host, purpose: int) -> Dialogue:
        """A connection of a host of the plant."""
        self._visits += 1
        line = Line(self._plant, client, self.controller.host, PORT, f"dosing-{client.name}-{self._visits}")
        return Dialogue(self.controller, line, purpose)

    def _poll(self, at: float) -> None:
        now = self.hmi.read(at, REALS, STATES, RUNNING)
        self.hmi.line.rest(self.hmi.read(now + 0.001, DOSES, START))

    def _record(self, at: float) -> None:
        self.historian.line.rest(self.historian.read(at, REALS))

    def _act(self, at: float) -> None:
        """The operator changes the dose between two presets, or pauses the dosing for a moment."""
        if not self.held and self._rng.random() < 0.6:
            self._second = not self._second
            self.hmi.write(at, DOSES[0], 2.2 if self._second else 2.0)
        elif not self.held:
            self.hmi.write(at, START[0], 0)
            self._plant.schedule.at(at + self._rng.uniform(12.0, 20.0), lambda then: self.hmi.write(then, START[0], 1))
        self._plant.schedule.at(at + self._rng.uniform(50.0, 100.0), self._act)

    def _visit(self, at: float) -> None:
        """Engineering looks at mode and parameters."""
        visit = self.dialogue(self._plant.engineering, PG)
        now = visit.mode(visit.open(at) + 0.4)
        now = visit.read(now + 0.9, DOSES, START)
        visit.line.close(now + 5.0)
        self._plant.schedule.at(at + self._rng.uniform(300.0, 480.0), self._visit)


def _size(tag: FieldTag) -> int:
    return tag.addr_sub >> 16


def _item(tags: Sequence[FieldTag]) -> bytes:
    first = tags[0]
    size = {0: e.BIT, 2: e.INT, 4: e.REAL}[_size(first)]
    return e.any_item(size, len(tags), e.DB, first.addr, first.addr_sub & 0xFFFF)


def _data(values: Sequence[float], size: int) -> bytes:
    if size == 4:
        return e.value(e.D_REAL, struct.pack(f"!{len(values)}f", *values))
    if size == 2:
        return e.value(e.D_INT, struct.pack(f"!{len(values)}h", *map(int, values)))
    return e.value(e.D_BIT, bytes([int(bool(values[0]))]))
