"""The water works as a process: tanks, pumps, valves, filters, network pressure, chlorine, and what instruments see."""

from __future__ import annotations

import math
from collections import deque
from random import Random

from pipeline.synth.control import AUTO, Distribution, Filtration, Intake

STEP_S = 0.25
"""Seconds that one step of the integration takes."""

RAW_AREA_M2 = 10.0
RAW_HEIGHT_M = 6.0
CLEAR_AREA_M2 = 8.0
CLEAR_HEIGHT_M = 5.0
INFLOW_M3H = 260.0
PUMP_M3H = 150.0
DEAD_TIME_S = 8.0
"""From the dosing point to the chlorine instrument."""

_HOUR_S = 3600.0
_DAY_S = 86400.0


class Actuator:
    """A valve or pump: its position follows its command, 0 to 1, with a travel time."""

    __slots__ = ("command", "position", "travel_s")

    def __init__(self, travel_s: float, position: float) -> None:
        self.travel_s = travel_s
        self.position = position
        self.command = position

    def step(self, dt: float) -> None:
        """Travel for `dt` seconds."""
        most = dt / self.travel_s
        self.position += min(max(self.command - self.position, -most), most)


class Swing:
    """What weather and consumers add: three sines of incommensurate periods, so that an hour shows the whole range."""

    __slots__ = ("_phases", "_rates", "_size", "value")

    def __init__(self, rng: Random, size: float, period_s: float) -> None:
        self._size = size / 3
        self._rates = [2 * math.pi * STEP_S / (period_s * part) for part in (1.0, 0.618, 0.271)]
        self._phases = [rng.uniform(0, 2 * math.pi) for _ in self._rates]
        self.value = 0.0

    def step(self) -> float:
        """The value one step on, within plus or minus the size."""
        self._phases = [phase + rate for phase, rate in zip(self._phases, self._rates, strict=True)]
        self.value = self._size * sum(map(math.sin, self._phases))
        return self.value


def demand_m3h(second_of_day: float) -> float:
    """What the town draws, by a daily profile with a morning and an evening peak."""
    hour = second_of_day / _HOUR_S
    morning = math.exp(-(((hour - 7.5) / 1.6) ** 2))
    evening = math.exp(-(((hour - 19.0) / 2.2) ** 2))
    return 78.0 + 26.0 * morning + 22.0 * evening + 14.0 * math.sin(math.pi * min(max(hour - 5, 0), 18) / 18)


class Process:
    """State of one plant; attributes named like instruments are what the controllers see.

    Attributes:
        tick: steps done.
        frozen: instruments that hold a value (name to value), whatever the process does.
        bias: instruments that show too much, by how much.
        stopped: controllers whose program does not run (indices into intake, filtration, distribution).
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.tick = 0
        self.frozen: dict[str, float] = {}
        self.bias: dict[str, float] = {}
        self.stopped: set[int] = set()
        self._physics(rng)
        self._settings()
        self._instruments()
        self._programs: tuple[Intake | Filtration | Distribution, ...] = (Intake(), Filtration(), Distribution())
        self._measure(0.0)

    def _physics(self, rng: Random) -> None:
        self.raw_level = rng.uniform(3.0, 3.6)
        self.clear_level = rng.uniform(2.5, 3.0)
        self.inlet = Actuator(12.0, 0.0)
        self.pumps = (Actuator(4.0, 1.0), Actuator(4.0, 0.0))
        self.backwash = (Actuator(5.0, 0.0), Actuator(5.0, 0.0))
        self.zone = Actuator(15.0, 1.0)
        self.fouling = [rng.uniform(0.2, 0.45), rng.uniform(0.6, 0.85)]
        self.speed_hz = 44.0
        self.pressure = 4.2
        self.chlorine = 0.8
        self._dosed: deque[float] = deque([0.8] * round(DEAD_TIME_S / STEP_S))
        self._supply = Swing(rng, 0.03, 240.0)
        self._draw = Swing(rng, 7.0, 150.0)
        self._water = Swing(rng, 0.12, 420.0)
        self._cloud = Swing(rng, 0.05, 300.0)
        self.inflow = self.filter_flow = 0.0
        self.network_flow = 95.0

    def _settings(self) -> None:
        self.sp_raw_high, self.sp_raw_low = 3.8, 2.8
        self.alarm_raw_high, self.alarm_raw_low = 5.2, 1.2
        self.sp_clear_high, self.sp_clear_low = 3.2, 2.4
        self.sp_fouling, self.backwash_s = 1.0, 60.0
        self.sp_pressure, self.alarm_pressure, self.sp_chlorine = 4.2, 5.5, 0.8
        self.intake_mode = self.distribution_mode = self.filtration_mode = AUTO
        self.duty_pump = 1
        self.heartbeat = 0
        self.powered = self.dosing_enabled = self.zone_command = True
        self.inlet_manual = self.inlet_command = self.intake_acknowledge = False
        self.start_p201 = self.start_p202 = self.backwash_request = False
        self.acknowledge_p201 = self.acknowledge_p202 = self.acknowledge_f1 = self.acknowledge_f2 = False

    def _instruments(self) -> None:
        self.lt101 = self.ft101 = self.tt101 = self.tt102 = self.zt101 = self.at101 = self.pt101 = 0.0
        self.ft201 = self.pdt201 = self.pdt202 = self.zt201 = self.zt202 = self.it201 = self.it202 = self.pt201 = 0.0
        self.lt301 = self.pt301 = self.ft301 = self.st301 = self.at301 = self.zt301 = 0.0
        self.at401 = self.at402 = self.tt401 = self.jt401 = self.et401 = self.it401 = self.xt401 = self.st401 = 0.0
        self.at201 = self.dosing = self.speed_command = self.pressure_error = 0.0
        self.ys101 = self.ys201 = self.ys301 = 0
        self.analyser_state = self.turbidity_state = 1
        self.set_totals()
        self.inlet_open = self.inlet_closed = self.raw_is_high = self.raw_is_low = False
        self.p201_running = self.p202_running = self.f1_in_backwash = self.f2_in_backwash = False
        self.booster_running = self.pressure_is_high = self.zone_open = False

    def set_totals(self) -> None:
        """Put all counters to what they show when a capture begins, the same for every seed."""
        self.fq101, self.fq301 = 184_302.6, 171_950.3
        self.kq201, self.kq202 = 4_211.3, 4_187.9
        self.jq401 = 96_411.2

    def step(self, second_of_day: float) -> None:
        """Advance by `STEP_S` seconds: physics, instruments, then the controllers' programs."""
        self.tick += 1
        for actuator in (self.inlet, *self.pumps, *self.backwash, self.zone):
            actuator.step(STEP_S)
        self._tanks()
        self._network(second_of_day)
        self._totals()
        self._measure(second_of_day)
        for index, program in enumerate(self._programs):
            if index not in self.stopped:
                program.step(self, STEP_S)

    def _tanks(self) -> None:
        self.inflow = INFLOW_M3H * self.inlet.position * (1 + self._supply.step())
        through = [0.5, 0.5]
        for i, valve in enumerate(self.backwash):
            through[i] -= 0.5 * valve.position
        lifted = PUMP_M3H * sum(p.position for p in self.pumps) * (0.9 + 0.1 * sum(through))
        self.filter_flow = lifted if self.raw_level > 0.05 else 0.0
        share = max(sum(through), 0.05)
        for i, valve in enumerate(self.backwash):
            load = self.filter_flow * through[i] / share
            washed = 0.02 * valve.position * max(self.fouling[i] - 0.1, 0.0) * STEP_S * 2
            self.fouling[i] += load * STEP_S / (_HOUR_S * 22.0) - washed
        wash_m3h = 60.0 * sum(v.position for v in self.backwash)
        self.raw_level += (self.inflow - self.filter_flow) * STEP_S / _HOUR_S / RAW_AREA_M2
        drawn = self.network_flow + wash_m3h
        self.clear_level += (self.filter_flow - drawn) * STEP_S / _HOUR_S / CLEAR_AREA_M2
        # A tank that is full spills, one that is empty gives nothing more.
        self.raw_level = min(max(self.raw_level, 0.0), RAW_HEIGHT_M)
        self.clear_level = min(max(self.clear_level, 0.0), CLEAR_HEIGHT_M)

    def _network(self, second_of_day: float) -> None:
        wanted = demand_m3h(second_of_day) * (0.88 + 0.12 * self.zone.position) + self._draw.step()
        drawn = wanted * math.sqrt(max(self.pressure, 0.0) / 4.2)
        self.speed_hz += min(max(self.speed_command - self.speed_hz, -4 * STEP_S), 4 * STEP_S)
        head = 7.5 * (self.speed_hz / 50.0) ** 2
        pushed = 160.0 * math.sqrt(max(head - self.pressure, 0.0) / 3.0) if self.clear_level > 0.05 else 0.0
        self.pressure = max(self.pressure + (pushed - drawn) * STEP_S / 150.0, 0.0)
        self.network_flow = pushed
        self._dosed.append(self.dosing * 0.02 * 95.0 / max(pushed, 30.0))
        self.chlorine += (self._dosed.popleft() - self.chlorine) * STEP_S / 40.0
        self._water.step()
        self._cloud.step()

    def _totals(self) -> None:
        hours = STEP_S / _HOUR_S
        self.fq101 += self.inflow * hours
        self.fq301 += self.network_flow * hours
        self.kq201 += hours * (self.pumps[0].position > 0.05)
        self.kq202 += hours * (self.pumps[1].position > 0.05)
        self.jq401 += self.jt401 * hours

    def _measure(self, second_of_day: float) -> None:
        noise = self._rng.gauss
        day = math.sin(2 * math.pi * (second_of_day / _DAY_S - 0.375))
        self.lt101 = self.raw_level + noise(0, 0.003)
        self.ft101 = max(self.inflow + noise(0, 0.8), 0.0)
        self.tt101 = 11.4 + 0.5 * day + self._water.value + noise(0, 0.015)
        self.tt102 = 1.8 + 4.0 * day + 3 * self._water.value + noise(0, 0.08)
        self.zt101 = 100 * self.inlet.position
        self.at101 = 4.2 + 6 * self._cloud.value + noise(0, 0.03)
        self.pt101 = 2.1 * (1 + self._supply.value) - 0.4 * self.inlet.position + noise(0, 0.004)
        self.ft201 = max(self.filter_flow + noise(0, 0.7), 0.0)
        for_each = [(9 + 20 * f) * (self.filter_flow / PUMP_M3H) ** 1.5 for f in self.fouling]
        self.pdt201 = max(for_each[0] + noise(0, 0.12), 0.0)
        self.pdt202 = max(for_each[1] + noise(0, 0.12), 0.0)
        self.zt201, self.zt202, self.zt301 = (100 * v.position for v in (*self.backwash, self.zone))
        self.it201, self.it202 = (max(21.5 * p.position + noise(0, 0.06), 0.0) for p in self.pumps)
        self.pt201 = 0.6 + 1.2 * min(self.filter_flow / PUMP_M3H, 2.0) + noise(0, 0.004)
        self.lt301 = self.clear_level + noise(0, 0.003)
        self.pt301 = self.pressure + noise(0, 0.01)
        self.ft301 = self.network_flow + noise(0, 0.5)
        self.st301 = self.speed_hz + noise(0, 0.01)
        self.at301 = self.chlorine + noise(0, 0.003)
        self._measure_serial()
        for name, value in self.frozen.items():
            setattr(self, name, value)
        for name, value in self.bias.items():
            setattr(self, name, getattr(self, name) + value)

    def _measure_serial(self) -> None:
        noise = self._rng.gauss
        self.at401 = 0.97 * self.chlorine + noise(0, 0.004)
        self.at402 = 7.42 + 2.0 * self._cloud.value + noise(0, 0.008)
        self.tt401 = self.tt101 + 0.6 + noise(0, 0.02)
        self.at201 = max(0.22 + self._cloud.value + 0.05 * max(self.fouling) + noise(0, 0.004), 0.01)
        self.jt401 = 6.0 + 18.0 * sum(p.position for p in self.pumps) + 30.0 * (self.speed_hz / 50) ** 3 + noise(0, 0.2)
        self.et401 = 401.5 + 40 * self._supply.value + noise(0, 0.3)
        self.xt401 = 0.86 + noise(0, 0.003)
        self.it401 = self.jt401 * 1000 / (1.732 * self.et401 * self.xt401)
        self.st401 = 50.0 + 1.5 * self._cloud.value + noise(0, 0.004)
