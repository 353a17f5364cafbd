"""The feeder that supplies the works: its transformer, and the IEC 60870-5-104 link of its protection unit."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

from pipeline.synth.encode import iec104 as e
from pipeline.synth.field.line import Line, repeat
from pipeline.synth.field.tags import Area, FieldTag, Reports
from pipeline.synth.plant import Plant
from pipeline.synth.process import Process, Swing
from pipeline.synth.wire import UNMARKED, Host
from schemas.codes import Space

PORT = 2404
STATION = 7
"""Common address of the protection unit."""
ORIGINATOR = 3
SINGLE, DOUBLE, STEP, FLOAT, DOUBLE_TIMED, STEP_TIMED, FLOAT_TIMED, TOTAL = 1, 3, 5, 13, 31, 32, 36, 15
DOUBLE_COMMAND, SETPOINT, INITIALIZED, INTERROGATION, COUNTERS, CLOCK, RESET = 46, 50, 70, 100, 101, 103, 105
INTERROGATED, COUNTED = 20, 37
"""Type identifications and causes of transmission (IEC 60870-5-101:2003, 7.2.1 and 7.2.3)."""

OFF, ON = 1, 2
BREAKER, CAPACITOR, VOLTAGE_SETPOINT = 6001, 6002, 6201
_SELECT = 0x80
_WINDOW = 8
"""I frames after which their receiver acknowledges them at the latest (5.5, w)."""
_STEP_KV, _DELAY_S = 0.1, 12.0

MEASURED: tuple[FieldTag, ...] = (
    FieldTag("ET-701 busbar voltage", Space.IEC_MEASURED, 1001, "et701", "kV", 0.06, unit_id=STATION),
    FieldTag("IT-701 feeder current", Space.IEC_MEASURED, 1002, "it701", "A", 1.0, unit_id=STATION),
    FieldTag("JT-701 active power", Space.IEC_MEASURED, 1003, "jt701", "kW", 15.0, unit_id=STATION),
    FieldTag("JT-702 reactive power", Space.IEC_MEASURED, 1004, "jt702", "kvar", 10.0, unit_id=STATION),
    FieldTag("TT-701 transformer oil temperature", Space.IEC_MEASURED, 1005, "tt701", "degC", 0.8, unit_id=STATION),
    FieldTag("ST-701 mains frequency", Space.IEC_MEASURED, 1006, "st701", "Hz", 0.05, unit_id=STATION),
)
SWITCHES: tuple[FieldTag, ...] = (
    FieldTag("Q0 feeder breaker", Space.IEC_DOUBLE, 2001, "breaker", "", 0.5, unit_id=STATION),
    FieldTag("Q1 capacitor bank", Space.IEC_DOUBLE, 2002, "capacitor", "", 0.5, unit_id=STATION),
)
TAP = FieldTag("XS-701 tap position", Space.IEC_STEP, 4001, "tap", "", 0.5, unit_id=STATION)
ENERGY = FieldTag("JQ-701 energy", Space.IEC_TOTAL, 5001, "jq701", "kWh", unit_id=STATION)
COMMANDS: tuple[FieldTag, ...] = (
    FieldTag("Q0 feeder breaker command", Space.IEC_COMMAND, BREAKER, "breaker", unit_id=STATION),
    FieldTag("Q1 capacitor bank command", Space.IEC_COMMAND, CAPACITOR, "capacitor", unit_id=STATION),
    FieldTag("ESP-701 voltage setpoint", Space.IEC_SETPOINT, VOLTAGE_SETPOINT, "sp_voltage", "kV", unit_id=STATION),
)
TAGS = (*MEASURED, *SWITCHES, TAP, ENERGY, *COMMANDS)


class Transformer(Area):
    """A transformer with a tap changer that holds the busbar's voltage, and a capacitor bank."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._rng = rng
        self._grid = Swing(rng, 0.22, 55.0)
        self._load = Swing(rng, 6.0, 35.0)
        self._oil = Swing(rng, 2.4, 70.0)
        self.sp_voltage = 10.3
        self.breaker, self.capacitor, self.tap = ON, OFF, 0
        self._away_s = 0.0
        self._energy = 771_204.0
        self.et701 = self.it701 = self.jt701 = self.jt702 = self.tt701 = self.st701 = 0.0
        self.jq701 = 0

    def step(self, process: Process, seconds: float) -> None:
        """Advance; what the works draws comes over this feeder, or from its own generator while the breaker is open."""
        noise = self._rng.gauss
        closed = self.breaker == ON
        grid = 10.3 + self._grid.step() + 0.1 * self.tap
        self._regulate(grid, seconds)
        active = (process.jt401 + 14.0 + self._load.step()) * closed
        reactive = (0.55 * active + 6.0 - 22.0 * (self.capacitor == ON)) * closed
        self.et701 = max(grid * closed + noise(0, 0.004), 0.0)
        self.jt701 = active + noise(0, 0.2)
        self.jt702 = reactive + noise(0, 0.2)
        apparent = (active**2 + reactive**2) ** 0.5
        self.it701 = max(apparent / (1.732 * 10.3) + noise(0, 0.01), 0.0)
        self.tt701 = 46.0 + self._oil.step() + noise(0, 0.05)
        self.st701 = process.st401 + noise(0, 0.002)
        self._energy += active * seconds / 3600.0
        self.jq701 = round(self._energy)

    def _regulate(self, voltage: float, seconds: float) -> None:
        """One tap at a time, once the voltage has been away from its setpoint for a while."""
        error = self.sp_voltage - voltage
        self._away_s = self._away_s + seconds if abs(error) > 0.7 * _STEP_KV else 0.0
        if self._away_s >= _DELAY_S:
            self.tap = min(max(self.tap + (1 if error > 0 else -1), -16), 16)
            self._away_s = 0.0


class Association:
    """One connection to the protection unit, which numbers its frames and acknowledges them in time (5.1, 5.5)."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._sent = [0, 0]
        self._owed = [0, 0]

    def start(self, at: float) -> float:
        """Handshake and STARTDT; gives the time after it."""
        now = self.line.open(at)
        now = self.line.say(now + 0.001, 0, e.u_frame(e.STARTDT))
        return self.line.say(now + 0.004, 1, e.u_frame(e.STARTDT_CON))

    def send(self, at: float, side: int, body: bytes, mark: int = UNMARKED) -> float:
        """An ASDU of the master (side 0) or the unit; gives the time."""
        frame = e.i_frame(self._sent[side], self._sent[1 - side], body)
        self._sent[side] = (self._sent[side] + 1) % 32768
        self._owed[side] = 0
        self._owed[1 - side] += 1
        self.line.exchanges += 1 - side
        now = self.line.say(at, side, frame, mark)
        return self.acknowledge(now + 0.003, 1 - side) if self._owed[1 - side] >= _WINDOW else now

    def acknowledge(self, at: float, side: int) -> float:
        """An S frame, where something is to acknowledge."""
        if not self._owed[side]:
            return at
        self._owed[side] = 0
        return self.line.say(at, side, e.s_frame(self._sent[1 - side]))


class ProtectionUnit:
    """The controlled station: what it tells by itself, and what it answers.

    Attributes:
        area: the transformer.
        host: its network interface.
    """

    def __init__(self, plant: Plant, epoch_s: float) -> None:
        self.area = Transformer(plant.rng("feeder"))
        self.host = plant.host("RTU-7 feeder protection", "1.17", "00:0a:dc:71:3e")
        self._epoch_s = epoch_s
        self._rng = plant.rng("feeder-pace")
        self._reports = Reports((*MEASURED, *SWITCHES, TAP))

    def time(self, at: float) -> bytes:
        """CP56Time2a of `at`."""
        return e.cp56(datetime.fromtimestamp(self._epoch_s + at, UTC))

    def cycle(self, link: Association, at: float) -> None:
        """The measured values, cyclically."""
        link.send(at, 1, e.sequence(FLOAT, e.PERIODIC, 1001, *self._floats(), ca=STATION))
        link.line.rest(at)

    def report(self, link: Association | None, at: float, cause: int = e.SPONTANEOUS) -> None:
        """What has changed, with its time; without a connection nobody is told."""
        for tag, value in self._reports.changed(self.area):
            stamp = self.time(at)
            if tag.space == Space.IEC_MEASURED:
                body = e.asdu(FLOAT_TIMED, cause, (tag.addr, _float(value) + b"\0" + stamp), ca=STATION)
            elif tag.space == Space.IEC_STEP:
                body = e.asdu(STEP_TIMED, cause, (tag.addr, bytes([int(value) & 0x7F, 0]) + stamp), ca=STATION)
            else:
                body = e.asdu(DOUBLE_TIMED, cause, (tag.addr, bytes([int(value)]) + stamp), ca=STATION)
            if link is not None and link.line.is_open:
                link.send(at, 1, body)

    def interrogate(self, link: Association, at: float, mark: int = UNMARKED) -> float:
        """A general interrogation (7.4.5), from the master's request to the end."""
        now = self._ask(link, at, INTERROGATION, 0, bytes([20]), mark)
        switches = [(tag.addr, bytes([int(self.area.read(tag.source))])) for tag in SWITCHES]
        for body in (
            e.sequence(FLOAT, INTERROGATED, 1001, *self._floats(), ca=STATION),
            e.asdu(DOUBLE, INTERROGATED, *switches, ca=STATION),
            e.asdu(STEP, INTERROGATED, (TAP.addr, bytes([self.area.tap & 0x7F, 0])), ca=STATION),
        ):
            now = link.send(now + 0.002, 1, body, mark)
        return self._end(link, now, INTERROGATION, 0, bytes([20]), mark)

    def count(self, link: Association, at: float) -> None:
        """A counter interrogation (7.4.8)."""
        now = self._ask(link, at, COUNTERS, 0, b"\x05", UNMARKED)
        total = struct.pack("<iB", self.area.jq701, 0)
        now = link.send(now + 0.002, 1, e.asdu(TOTAL, COUNTED, (ENERGY.addr, total), ca=STATION))
        self._end(link, now, COUNTERS, 0, b"\x05", UNMARKED)

    def set_clock(self, link: Association, at: float) -> None:
        """Clock synchronization (7.4.6)."""
        self._ask(link, at, CLOCK, 0, self.time(at), UNMARKED)
        link.line.rest(at + 0.02)

    def operate(
        self, link: Association, at: float, number: int, addr: int, value: float, mark: int = UNMARKED, *, select: bool
    ) -> float:
        """A command, in two steps where `select`; the unit carries it out, reports what changed, and ends it."""
        if select:
            at = self._ask(link, at, number, addr, _element(number, value, _SELECT), mark) + 0.3
        element = _element(number, value, 0)
        now = self._ask(link, at, number, addr, element, mark)
        source = next(tag.source for tag in COMMANDS if tag.addr == addr)
        setattr(self.area, source, value if number == SETPOINT else int(value))
        return self._end(link, now + 0.05, number, addr, element, mark)

    def reset(self, link: Association, at: float, mark: int) -> float:
        """Reset process (7.2.6.27): confirmed, and then the unit is gone."""
        return self._ask(link, at, RESET, 0, b"\x01", mark)

    def restarted(self, link: Association, at: float) -> float:
        """End of initialization, after a restart."""
        return link.send(at, 1, e.asdu(INITIALIZED, e.INITIALIZED, (0, b"\x02"), ca=STATION))

    def _floats(self) -> list[bytes]:
        return [_float(self.area.read(tag.source)) + b"\0" for tag in MEASURED]

    def _ask(self, link: Association, at: float, number: int, addr: int, element: bytes, mark: int) -> float:
        """Activation and its confirmation; gives the time of the latter."""
        now = link.send(at, 0, e.asdu(number, e.ACT, (addr, element), ca=STATION, oa=ORIGINATOR), mark)
        now += 0.006 + 0.003 * self._rng.random()
        return link.send(now, 1, e.asdu(number, e.ACTCON, (addr, element), ca=STATION, oa=ORIGINATOR), mark)

    def _end(self, link: Association, at: float, number: int, addr: int, element: bytes, mark: int) -> float:
        now = link.send(at + 0.002, 1, e.asdu(number, e.ACTTERM, (addr, element), ca=STATION, oa=ORIGINATOR), mark)
        now = link.acknowledge(now + 0.01, 0)
        link.line.rest(now)
        return now


class FeederMaster:
    """The front end's side: start, interrogations, clock and counters at their times, and the dispatcher's commands.

    Attributes:
        unit: the protection unit.
        link: the connection to it.
        held: whether the dispatcher leaves the unit alone.
    """

    def __init__(self, plant: Plant, client: Host, epoch_s: float) -> None:
        self.unit = ProtectionUnit(plant, epoch_s)
        self.held = False
        self._plant = plant
        self._client = client
        self._rng = plant.rng("dispatcher")
        self._second = {CAPACITOR: False, VOLTAGE_SETPOINT: False}
        self.link = self._connection()
        plant.schedule.at(1.2, self._begin)
        for first, period, what in (
            (4.0, 5.0, self.unit.cycle),
            (6.3, 120.0, self.unit.set_clock),
            (31.6, 60.0, self.unit.count),
            (302.1, 600.0, self.unit.interrogate),
        ):
            repeat(plant, self._rng, first, period, self._when_open(what))
        plant.schedule.at(1.9, self._watch)
        plant.schedule.at(self._rng.uniform(40.0, 80.0), self._act)

    def reconnect(self, at: float, after: float = 0.5) -> None:
        """End the connection, open another, and begin anew."""
        now = self.link.line.close(at)
        self.link = self._connection()
        self._plant.schedule.at(now + after, self._begin)

    def _connection(self) -> Association:
        return Association(Line(self._plant, self._client, self.unit.host, PORT, "feeder-link"))

    def _begin(self, at: float) -> None:
        now = self.link.start(at)
        if at > 2.0:
            now = self.unit.restarted(self.link, now + 0.02)
        self.unit.interrogate(self.link, now + 0.05)

    def _when_open(self, what: Callable[[Association, float], object]) -> Callable[[float], None]:
        def turn(at: float) -> None:
            if self.link.line.is_open:
                what(self.link, at)

        return turn

    def _watch(self, at: float) -> None:
        self.unit.report(self.link, at)
        self._plant.schedule.at(at + 1.0, self._watch)

    def _act(self, at: float) -> None:
        """The dispatcher switches the capacitor bank, or changes the voltage setpoint between two presets."""
        number, addr = self._rng.choice([(DOUBLE_COMMAND, CAPACITOR), (SETPOINT, VOLTAGE_SETPOINT)])
        if not self.held and self.link.line.is_open:
            second = self._second[addr] = not self._second[addr]
            presets = {CAPACITOR: (OFF, ON), VOLTAGE_SETPOINT: (10.3, 10.4)}
            self.unit.operate(self.link, at, number, addr, presets[addr][second], select=True)
        self._plant.schedule.at(at + self._rng.uniform(45.0, 90.0), self._act)


def _float(value: float) -> bytes:
    return struct.pack("<f", value)


def _element(number: int, value: float, select: int) -> bytes:
    """Value and qualifier of a command (7.2.6.16, 7.2.6.39)."""
    if number == SETPOINT:
        return _float(value) + bytes([select])
    return bytes([int(value) | select])
