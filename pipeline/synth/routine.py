"""What goes on beside the polling: the operator, engineering's visits, and reconnections."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.synth.clients import write_coil, write_coils, write_register, write_registers
from pipeline.synth.plant import ENGINEERING_BLOCKS, PRESSURE_SETPOINT, Plant
from pipeline.synth.tags import DISTRIBUTION, HOLDING

CHLORINE_SETPOINT = next(tag for tag in DISTRIBUTION if tag.source == "sp_chlorine" and tag.space == HOLDING)
"""The tag whose float an operator writes."""


class Operator:
    """Works the HMI: each kind of action comes once before any comes again, in seeded order and at seeded times.

    Setpoints change between the presets of two recipes, so that a clean hour shows all that is normal.
    """

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._rng = plant.rng("operator")
        self._second_recipe: dict[str, bool] = {}
        self._bag: list[Callable[[float], None]] = []
        plant.schedule.at(self._rng.uniform(15.0, 40.0), self._act)

    def _act(self, at: float) -> None:
        if not self._bag:
            self._bag = [
                self._pressure,
                self._chlorine,
                self._level_band,
                self._pump_test,
                self._zone_valve,
                self._backwash,
                self._acknowledge,
            ]
            self._rng.shuffle(self._bag)
        self._bag.pop()(at)
        self._plant.schedule.at(at + self._rng.uniform(50.0, 110.0), self._act)

    def _other(self, what: str) -> bool:
        """Whether `what` goes to its second preset now."""
        self._second_recipe[what] = not self._second_recipe.get(what, False)
        return self._second_recipe[what]

    def _pressure(self, at: float) -> None:
        value = 400 if self._other("sp_pressure") else 420
        if "sp_pressure" not in self._plant.held:
            self._plant.hmi_pollers[2].command(1, write_register(PRESSURE_SETPOINT, value))

    def _chlorine(self, at: float) -> None:
        words = CHLORINE_SETPOINT.encode(0.7 if self._other("sp_chlorine") else 0.8)
        self._plant.hmi_pollers[2].command(1, write_registers(CHLORINE_SETPOINT.addr, words))

    def _level_band(self, at: float) -> None:
        band = [360, 260] if self._other("sp_raw_high") else [380, 280]
        if "sp_raw_high" not in self._plant.held:
            self._plant.hmi_pollers[0].command(1, write_registers(0, band))

    def _pump_test(self, at: float) -> None:
        poller = self._plant.hmi_pollers[1]
        poller.command(1, write_coil(0, True))
        self._plant.schedule.at(at + self._rng.uniform(25.0, 40.0), lambda _: poller.command(1, write_coil(0, False)))

    def _zone_valve(self, at: float) -> None:
        poller = self._plant.hmi_pollers[2]
        poller.command(1, write_coil(0, False))
        self._plant.schedule.at(at + self._rng.uniform(30.0, 45.0), lambda _: poller.command(1, write_coil(0, True)))

    def _backwash(self, at: float) -> None:
        self._plant.hmi_pollers[1].command(1, write_coil(2, True))

    def _acknowledge(self, at: float) -> None:
        self._plant.hmi_pollers[1].command(1, write_coils(3, [1, 1, 1, 1]))


class Engineering:
    """The engineering station: every eight minutes or so it reads the parameters of one controller, then idles."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._rng = plant.rng("engineering")
        self._visits = 0
        plant.schedule.at(self._rng.uniform(60.0, 180.0), self._visit)

    def _visit(self, at: float) -> None:
        server = self._visits % len(ENGINEERING_BLOCKS)
        session = self._plant.session(self._plant.engineering, server, f"visit-{self._visits}")
        self._visits += 1
        now = session.link.open(at)
        for unit, pdu in ENGINEERING_BLOCKS[server]:
            now = session.ask(now + 0.8, unit, pdu, steady=True)
        session.link.settle(now)
        for quiet in (15.0, 30.0):
            session.link.probe(now + quiet)
        session.link.close(now + 40.0)
        self._plant.schedule.at(at + self._rng.uniform(420.0, 560.0), self._visit)


class Reconnections:
    """Now and then the HMI drops a connection and opens another, with identification again."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._rng = plant.rng("reconnections")
        plant.schedule.at(self._rng.uniform(300.0, 900.0), self._reconnect)

    def _reconnect(self, at: float) -> None:
        poller = self._rng.choice(self._plant.hmi_pollers[:3])
        self._plant.schedule.at(at + self._rng.uniform(900.0, 1500.0), self._reconnect)
        if poller.session.link.relay is None:
            poller.new_port = self._plant.port(self._plant.hmi)
