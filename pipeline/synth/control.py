"""Control logic of the three controllers: level bands, duty change, backwash sequence, pressure and chlorine loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.synth.process import Process

STOPPED, AUTO, MANUAL, BACKWASH_1, BACKWASH_2 = range(5)
"""Values of the mode registers."""


class PID:
    """A PID controller in parallel form with the derivative on the measurement and conditional integration.

    Args:
        gain: output per unit of error.
        integral_s, derivative_s: time constants in seconds; 0 derivative leaves it out.
        low, high: bounds of the output.
        output: where the output starts.
    """

    def __init__(
        self, gain: float, integral_s: float, derivative_s: float, low: float, high: float, output: float
    ) -> None:
        self.gain = gain
        self.integral_s = integral_s
        self.derivative_s = derivative_s
        self.low = low
        self.high = high
        self.integral = output
        self._last: float | None = None

    def step(self, setpoint: float, measured: float, dt: float) -> float:
        """The output for `measured`, `dt` seconds after the last step."""
        error = setpoint - measured
        slope = 0.0 if self._last is None else (measured - self._last) / dt
        self._last = measured
        wanted = self.integral + self.gain * (error - self.derivative_s * slope)
        output = min(max(wanted, self.low), self.high)
        if output == wanted or (wanted - output) * error < 0:
            self.integral += self.gain * error * dt / self.integral_s
        return output


class Intake:
    """PLC-1: fills the raw water tank within its band, or as the manual coils say."""

    def step(self, plant: Process, dt: float) -> None:
        """One scan."""
        if not plant.inlet_manual:
            if plant.lt101 < plant.sp_raw_low:
                plant.inlet_command = True
            elif plant.lt101 > plant.sp_raw_high:
                plant.inlet_command = False
        plant.inlet.command = float(plant.inlet_command)
        plant.raw_is_high = plant.lt101 > plant.alarm_raw_high
        plant.raw_is_low = plant.lt101 < plant.alarm_raw_low
        plant.inlet_open = plant.inlet.position > 0.99
        plant.inlet_closed = plant.inlet.position < 0.01
        plant.intake_acknowledge = False
        plant.ys101 = _word(plant.powered, plant.inlet_open, plant.inlet_closed, plant.raw_is_high, plant.raw_is_low)


class Filtration:
    """PLC-2: fills the clear water tank with the duty pump, and washes the filter that is due."""

    def __init__(self) -> None:
        self._filling = True
        self._washing = -1
        self._left_s = 0.0

    def step(self, plant: Process, dt: float) -> None:
        """One scan."""
        self._pumps(plant)
        self._backwash(plant, dt)
        plant.filtration_mode = (
            (BACKWASH_1, BACKWASH_2)[self._washing]
            if self._washing >= 0
            else (MANUAL if plant.start_p201 or plant.start_p202 else AUTO)
        )
        plant.acknowledge_p201 = plant.acknowledge_p202 = plant.acknowledge_f1 = plant.acknowledge_f2 = False
        plant.ys201 = _word(
            plant.powered,
            plant.p201_running,
            plant.p202_running,
            plant.f1_in_backwash,
            plant.f2_in_backwash,
            self._filling,
        )

    def _pumps(self, plant: Process) -> None:
        if self._filling and plant.lt301 > plant.sp_clear_high:
            self._filling = False
            plant.duty_pump = 3 - plant.duty_pump
        elif not self._filling and plant.lt301 < plant.sp_clear_low:
            self._filling = True
        enough = plant.lt101 > 0.5
        plant.pumps[0].command = float(enough and (plant.start_p201 or (self._filling and plant.duty_pump == 1)))
        plant.pumps[1].command = float(enough and (plant.start_p202 or (self._filling and plant.duty_pump == 2)))
        plant.p201_running = plant.pumps[0].position > 0.05
        plant.p202_running = plant.pumps[1].position > 0.05

    def _backwash(self, plant: Process, dt: float) -> None:
        if self._washing < 0:
            worst = 0 if plant.fouling[0] >= plant.fouling[1] else 1
            if plant.fouling[worst] > plant.sp_fouling or plant.backwash_request:
                self._washing, self._left_s = worst, float(plant.backwash_s)
        else:
            self._left_s -= dt
            if self._left_s <= 0:
                self._washing = -1
        plant.backwash_request = False
        for i, valve in enumerate(plant.backwash):
            valve.command = float(self._washing == i)
        plant.f1_in_backwash = self._washing == 0
        plant.f2_in_backwash = self._washing == 1


class Distribution:
    """PLC-3: holds the network's pressure by the booster's speed, and the residual chlorine by the dosing rate."""

    def __init__(self) -> None:
        self.pressure = PID(4.0, 4.0, 0.3, 20.0, 50.0, 44.0)
        self.chlorine = PID(40.0, 60.0, 0.0, 0.0, 100.0, 40.0)

    def step(self, plant: Process, dt: float) -> None:
        """One scan."""
        plant.pressure_error = plant.sp_pressure - plant.pt301
        plant.speed_command = self.pressure.step(plant.sp_pressure, plant.pt301, dt)
        plant.dosing = self.chlorine.step(plant.sp_chlorine, plant.at301, dt) if plant.dosing_enabled else 0.0
        plant.zone.command = float(plant.zone_command)
        plant.zone_open = plant.zone.position > 0.99
        plant.pressure_is_high = plant.pt301 > plant.alarm_pressure
        plant.booster_running = plant.st301 > 1.0
        plant.ys301 = _word(
            plant.powered, plant.booster_running, plant.pressure_is_high, plant.zone_open, plant.dosing_enabled
        )


def _word(*bits: bool) -> int:
    return sum(1 << i for i, bit in enumerate(bits) if bit)
