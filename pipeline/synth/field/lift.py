"""The lift station for waste and backwash water: a wet well with two pumps, and its DNP3 outstation."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from pipeline.synth.encode import dnp3 as e
from pipeline.synth.field.line import Line, repeat
from pipeline.synth.field.tags import Area, FieldTag, Reports
from pipeline.synth.plant import Plant
from pipeline.synth.process import Process, Swing
from pipeline.synth.wire import UNMARKED, Host
from schemas.codes import Space

PORT = 20_000
OUTSTATION, MASTER = 10, 1
"""Link addresses."""
COLD_RESTART, ENABLE_UNSOLICITED, DISABLE_UNSOLICITED = 13, 20, 21
LATCH_ON, LATCH_OFF = 3, 4
BY_MASTER, BY_OUTSTATION = 0xC4, 0x44
"""Link control: unconfirmed user data of the primary station, in either direction."""
RESTARTED = 0x80
"""Internal indication 1.7."""
EVENTS = e.classes(1, 2, 3)
INTEGRITY = e.classes(1, 2, 3, 0)
_AREA_M2, _PUMP_M3H, _ALARM_M = 1.2, 90.0, 2.2


def _tags(space: Space, *named: tuple[str, str, str, float]) -> tuple[FieldTag, ...]:
    return tuple(
        FieldTag(name, space, i, source, unit, band, unit_id=OUTSTATION)
        for i, (name, source, unit, band) in enumerate(named)
    )


BINARIES = _tags(
    Space.BINARY_INPUT,
    ("YI-501 pump 1 running", "p501", "", 0.5),
    ("YI-502 pump 2 running", "p502", "", 0.5),
    ("LAH-501 wet well high", "high", "", 0.5),
    ("ZS-501 door open", "door", "", 0.5),
    ("JS-501 power", "powered", "", 0.5),
)
ANALOGS = _tags(
    Space.ANALOG_INPUT,
    ("LT-501 wet well level", "lt501", "m", 0.12),
    ("FT-501 inflow", "ft501", "m3/h", 6.0),
    ("FT-502 discharge flow", "ft502", "m3/h", 20.0),
    ("PT-501 discharge pressure", "pt501", "bar", 0.3),
    ("IT-501 pump 1 current", "it501", "A", 3.0),
    ("IT-502 pump 2 current", "it502", "A", 3.0),
    ("ET-501 battery voltage", "et501", "V", 0.4),
)
COUNTERS = _tags(
    Space.COUNTER, ("KQ-501 pump 1 starts", "starts1", "", 0.0), ("FQ-501 discharge total", "total", "m3", 0.0)
)
OUTPUTS = _tags(
    Space.BINARY_OUTPUT, ("HS-501 pump 1 enabled", "enabled1", "", 0.0), ("HS-502 pump 2 enabled", "enabled2", "", 0.0)
)
SETPOINTS = _tags(
    Space.ANALOG_OUTPUT, ("LSP-501 start level", "sp_start", "m", 0.0), ("LSP-502 stop level", "sp_stop", "m", 0.0)
)
TAGS = (*BINARIES, *ANALOGS, *COUNTERS, *OUTPUTS, *SETPOINTS)


class WetWell(Area):
    """A wet well that two pumps empty by turns between a start and a stop level."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._rng = rng
        self._sewage = Swing(rng, 9.0, 45.0)
        self._supply = Swing(rng, 0.5, 80.0)
        self._level = rng.uniform(0.8, 1.2)
        self._duty = 0
        self._pumping = False
        self._discharged = 81_402.0
        self.sp_start, self.sp_stop = 1.4, 0.6
        self.enabled1 = self.enabled2 = self.powered = 1
        self.p501 = self.p502 = self.high = self.door = 0
        self.starts1, self.total = 20_311, 81_402
        self.lt501 = self.ft501 = self.ft502 = self.pt501 = self.it501 = self.it502 = self.et501 = 0.0

    def step(self, process: Process, seconds: float) -> None:
        """Advance."""
        noise = self._rng.gauss
        inflow = 34.0 + self._sewage.step() + 12.0 * sum(valve.position for valve in process.backwash)
        self._control()
        flow = _PUMP_M3H * (self.p501 + self.p502) * (self._level > 0.05)
        self._level = min(max(self._level + (inflow - flow) * seconds / 3600.0 / _AREA_M2, 0.0), 3.0)
        self._discharged += flow * seconds / 3600.0
        self.lt501 = self._level + noise(0, 0.004)
        self.ft501 = inflow + noise(0, 0.3)
        self.ft502 = max(flow + noise(0, 0.4), 0.0)
        self.pt501 = 0.8 + flow / 60.0 + noise(0, 0.01)
        self.it501, self.it502 = (max(14.0 * on + noise(0, 0.05), 0.0) for on in (self.p501, self.p502))
        self.et501 = 26.4 + self._supply.step() + noise(0, 0.02)
        self.high = int(self._level > _ALARM_M)
        self.total = round(self._discharged)

    def _control(self) -> None:
        """The station's own logic: the duty pump, or the other where that is not enabled."""
        if not self._pumping and self._level > self.sp_start:
            self._pumping = True
            self._duty = 1 - self._duty
        elif self._level < self.sp_stop:
            self._pumping = False
        enabled = (self.enabled1, self.enabled2)
        chosen = self._duty if enabled[self._duty] else 1 - self._duty
        before = self.p501
        self.p501, self.p502 = (int(self._pumping and bool(enabled[i]) and chosen == i) for i in (0, 1))
        self.starts1 += int(self.p501 > before)


class Channel:
    """A master and the outstation on one connection, which number their segments and fragments (IEEE 1815, 4.2.2)."""

    def __init__(self, line: Line, master: int = MASTER) -> None:
        self.line = line
        self._master = master
        self._transport = [0, 0]
        self._sequence = 0
        self._unsolicited = 0

    def ask(self, at: float, function: int, objects: bytes = b"", mark: int = UNMARKED) -> float:
        """A request with the next sequence number."""
        self._sequence = (self._sequence + 1) % 16
        self.line.exchanges += 1
        return self._send(at, 0, bytes([e.ALL | self._sequence, function]) + objects, mark)

    def answer(self, at: float, objects: bytes, iin: int, mark: int = UNMARKED, *, confirm: bool = False) -> float:
        """The response to the last request, and its confirmation where it asks for one."""
        control = e.ALL | (e.CON if confirm else 0) | self._sequence
        now = self._send(at, 1, bytes([control, e.RESPONSE]) + struct.pack("<H", iin) + objects, mark)
        return self._send(now + 0.003, 0, bytes([e.ALL | self._sequence, 0]), mark) if confirm else now

    def report(self, at: float, objects: bytes, iin: int) -> float:
        """An unsolicited response and its confirmation."""
        control = e.ALL | e.CON | e.UNS | self._unsolicited
        now = self._send(at, 1, bytes([control, e.UNSOLICITED]) + struct.pack("<H", iin) + objects)
        now = self._send(now + 0.004, 0, bytes([e.ALL | e.UNS | self._unsolicited, 0]))
        self._unsolicited = (self._unsolicited + 1) % 16
        return now

    def _send(self, at: float, side: int, fragment: bytes, mark: int = UNMARKED) -> float:
        ends = (self._master, OUTSTATION) if side else (OUTSTATION, self._master)
        pieces = e.segments(fragment, self._transport[side])
        self._transport[side] = (self._transport[side] + len(pieces)) % 64
        control = BY_OUTSTATION if side else BY_MASTER
        frames = [e.link(piece, control=control, to=ends[0], by=ends[1]) for piece in pieces]
        return self.line.say(at, side, b"".join(frames), mark)


class Outstation:
    """The outstation: its events, and what it answers.

    Attributes:
        area: the wet well.
        host: its network interface.
        unsolicited: whether it reports changes of binaries at once.
    """

    def __init__(self, plant: Plant, epoch_s: float) -> None:
        self.area = WetWell(plant.rng("lift"))
        self.host = plant.host("RTU-5 lift station", "1.15", "00:a0:a5:0c:5f")
        self.unsolicited = True
        self.iin = 0
        self._epoch_s = epoch_s
        self._rng = plant.rng("lift-pace")
        self._binary, self._analog = Reports(BINARIES), Reports(ANALOGS)
        self._events: list[tuple[FieldTag, float, float]] = []

    def watch(self, at: float) -> bool:
        """Note what has changed; whether it is to be reported at once."""
        urgent = [(tag, value, at) for tag, value in self._binary.changed(self.area)]
        self._events += urgent + [(tag, value, at) for tag, value in self._analog.changed(self.area)]
        return bool(urgent) and self.unsolicited

    def report(self, channel: Channel, at: float) -> None:
        """All events, unasked."""
        channel.report(at, self._take(), self.iin)
        channel.line.rest(at)

    def poll(self, channel: Channel, at: float, mark: int = UNMARKED) -> float:
        """A poll of events."""
        now = channel.ask(at, e.READ, EVENTS, mark) + self._think()
        events = self._take()
        now = channel.answer(now, events, self.iin, mark, confirm=bool(events))
        channel.line.rest(now)
        return now

    def integrity(self, channel: Channel, at: float, mark: int = UNMARKED) -> float:
        """A poll of events and of everything as it is."""
        now = channel.ask(at, e.READ, INTEGRITY, mark) + self._think()
        now = channel.answer(now, self._take() + self._static(), self.iin, mark, confirm=True)
        channel.line.rest(now)
        return now

    def command(
        self,
        channel: Channel,
        at: float,
        function: int,
        objects: bytes = b"",
        mark: int = UNMARKED,
        answer: bytes = b"",
    ) -> float:
        """A request that the outstation carries out; its answer repeats `objects` unless `answer` is given."""
        now = channel.ask(at, function, objects, mark) + self._think()
        echoed = function in (e.SELECT, e.OPERATE, e.DIRECT)
        now = channel.answer(now, objects if echoed else answer, self.iin, mark)
        channel.line.rest(now)
        return now

    def switch(
        self, channel: Channel, at: float, index: int, code: int, mark: int = UNMARKED, *, select: bool
    ) -> float:
        """Enable or disable a pump, in two steps where `select`."""
        block = e.indexed(12, 1, (index, e.crob(code, on_ms=0)))
        if select:
            at = self.command(channel, at, e.SELECT, block, mark) + 0.05
        setattr(self.area, OUTPUTS[index].source, int(code == LATCH_ON))
        return self.command(channel, at, e.OPERATE if select else e.DIRECT, block, mark)

    def set_level(self, channel: Channel, at: float, index: int, value: float, mark: int = UNMARKED) -> float:
        """Write a level setpoint."""
        setattr(self.area, SETPOINTS[index].source, value)
        return self.command(channel, at, e.DIRECT, e.indexed(41, 3, (index, struct.pack("<fB", value, 0))), mark)

    def _static(self) -> bytes:
        read, area = struct.pack, self.area
        return (
            e.ranged(1, 2, 0, *(bytes([1 | 0x80 * bool(area.read(tag.source))]) for tag in BINARIES))
            + e.ranged(30, 5, 0, *(read("<Bf", 1, area.read(tag.source)) for tag in ANALOGS))
            + e.ranged(20, 1, 0, *(read("<BI", 1, int(area.read(tag.source))) for tag in COUNTERS))
            + e.ranged(10, 2, 0, *(bytes([1 | 0x80 * bool(area.read(tag.source))]) for tag in OUTPUTS))
            + e.ranged(40, 3, 0, *(read("<Bf", 1, area.read(tag.source)) for tag in SETPOINTS))
        )

    def _take(self) -> bytes:
        """The events as objects: binaries with absolute time, analogs as floats with time."""
        binaries, analogs = [], []
        for tag, value, at in self._events:
            stamp = e.time48(round((self._epoch_s + at) * 1000))
            if tag.space == Space.BINARY_INPUT:
                binaries.append((tag.addr, bytes([1 | 0x80 * bool(value)]) + stamp))
            else:
                analogs.append((tag.addr, struct.pack("<Bf", 1, value) + stamp))
        self._events.clear()
        found = e.indexed(2, 2, *binaries) if binaries else b""
        return found + (e.indexed(32, 7, *analogs) if analogs else b"")

    def _think(self) -> float:
        return 0.011 + 0.006 * self._rng.random()


class LiftMaster:
    """The front end's side: polls of events and of everything, and the operator's commands.

    Attributes:
        outstation: the outstation.
        channel: the connection to it.
        held: whether the operator leaves the station alone.
    """

    def __init__(self, plant: Plant, client: Host, epoch_s: float) -> None:
        self.outstation = Outstation(plant, epoch_s)
        self.held = False
        self._plant = plant
        self._client = client
        self._rng = plant.rng("lift-operator")
        self._second = False
        self.channel = self._connection()
        plant.schedule.at(1.5, self._begin)
        for first, period, what in ((12.0, 15.0, self.outstation.poll), (124.0, 120.0, self.outstation.integrity)):
            repeat(plant, self._rng, first, period, self._when_open(what))
        plant.schedule.at(2.1, self._watch)
        plant.schedule.at(self._rng.uniform(35.0, 70.0), self._act)

    def restart(self, at: float, mark: int) -> None:
        """A cold restart that the master asks for: the outstation is gone, comes back, and says so."""
        station = self.outstation
        now = station.command(self.channel, at, COLD_RESTART, b"", mark, e.header(52, 2, 7, 1) + b"\xd0\x07")
        now = self.channel.line.close(now + 0.06)
        station.iin = RESTARTED
        self.channel = self._connection()
        self._plant.schedule.at(now + 2.0, self._begin)

    def _connection(self) -> Channel:
        return Channel(Line(self._plant, self._client, self.outstation.host, PORT, "lift-link"))

    def _begin(self, at: float) -> None:
        """The master's start: a restart is acknowledged; then everything is asked for, and reports are switched on."""
        station, channel = self.outstation, self.channel
        now = channel.line.open(at) + 0.02
        if station.iin & RESTARTED:
            now = channel.report(now, b"", station.iin)
            station.iin = 0
            now = station.command(channel, now + 0.05, e.WRITE, e.packed(80, 7, "0"))
        now = station.integrity(channel, now + 0.05)
        station.unsolicited = True
        station.command(channel, now + 0.05, ENABLE_UNSOLICITED, EVENTS)

    def _when_open(self, what: Callable[[Channel, float], object]) -> Callable[[float], None]:
        def turn(at: float) -> None:
            if self.channel.line.is_open:
                what(self.channel, at)

        return turn

    def _watch(self, at: float) -> None:
        if self.outstation.watch(at) and self.channel.line.is_open:
            self.outstation.report(self.channel, at)
        self._plant.schedule.at(at + 1.0, self._watch)

    def _act(self, at: float) -> None:
        """The operator takes pump 2 out for a moment, or changes the start level between two presets."""
        station = self.outstation
        if not self.held and self.channel.line.is_open:
            if self._rng.random() < 0.5:
                station.switch(self.channel, at, 1, LATCH_OFF, select=True)
                self._plant.schedule.at(at + self._rng.uniform(15.0, 25.0), self._enable)
            else:
                self._second = not self._second
                station.set_level(self.channel, at, 0, 1.3 if self._second else 1.4)
        self._plant.schedule.at(at + self._rng.uniform(45.0, 90.0), self._act)

    def _enable(self, at: float) -> None:
        if self.channel.line.is_open:
            self.outstation.switch(self.channel, at, 1, LATCH_ON, select=True)
