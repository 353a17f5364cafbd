"""All areas beside the Modbus controllers, stepped together, and their names for the site file."""

from __future__ import annotations

from pipeline.synth.field import building, dosing, feeder, lift, press
from pipeline.synth.field.tags import FieldDevice
from pipeline.synth.plant import Plant

STEP_S = 1.0
"""Seconds of one step of these areas."""


class Field:
    """The areas of one replica of the plant.

    Attributes:
        plant: the replica.
        frontend: the host of the telemetry's masters.
        feeder: the master of the feeder's protection unit.
        dosing: the clients of the dosing skid.
        lift: the master of the lift station's outstation.
        building: the building management.
        press: the clients of the sludge press.
    """

    def __init__(self, plant: Plant, epoch_s: float) -> None:
        self.plant = plant
        self.frontend = plant.host("FEP-1 telemetry front end", "2.51", "00:1b:21:8c:05")
        self.feeder = feeder.FeederMaster(plant, self.frontend, epoch_s)
        self.dosing = dosing.DosingClients(plant)
        self.lift = lift.LiftMaster(plant, self.frontend, epoch_s)
        self.building = building.Management(plant)
        self.press = press.PressClients(plant)
        self._areas = (
            self.feeder.unit.area,
            self.dosing.controller.area,
            self.lift.outstation.area,
            self.building.controller.area,
            self.press.controller.area,
        )
        self._step(-STEP_S)

    @property
    def exchanges(self) -> int:
        """Requests that clients of the replica sent, those of Modbus included."""
        plant = self.plant
        return sum(s.exchanges for s in plant.visits) + sum(line.exchanges for line in plant.lines)

    def devices(self) -> list[FieldDevice]:
        """What the site file is to name."""
        return [
            FieldDevice(self.press.controller.host, "control", "controller"),
            FieldDevice(self.building.controller.host, "building", "controller", building.TAGS),
            FieldDevice(self.building.host, "building", "other"),
            FieldDevice(self.lift.outstation.host, "telemetry", "controller", lift.TAGS),
            FieldDevice(self.dosing.controller.host, "control", "controller", dosing.TAGS),
            FieldDevice(self.feeder.unit.host, "energy", "controller", feeder.TAGS),
            FieldDevice(self.frontend, "supervision", "other"),
        ]

    def _step(self, at: float) -> None:
        for area in self._areas:
            area.step(self.plant.process, STEP_S)
        self.plant.schedule.at(at + STEP_S, self._step)
