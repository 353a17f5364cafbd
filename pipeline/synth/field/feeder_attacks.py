"""Attacks on the feeder's protection unit (IEC 60870-5-104)."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.synth.attacks import Stage
from pipeline.synth.background import resolve
from pipeline.synth.field.feeder import (
    BREAKER,
    CAPACITOR,
    DOUBLE_COMMAND,
    MEASURED,
    OFF,
    ON,
    PORT,
    SETPOINT,
    STATION,
    VOLTAGE_SETPOINT,
    Association,
)
from pipeline.synth.truth import Truth
from pipeline.synth.wire import UNMARKED
from schemas.codes import Space

_WILD_KV, _CALM_KV = 11.4, 10.3


def _hold(stage: Stage) -> None:
    """The dispatcher leaves the unit alone while the attack lasts."""
    master = stage.field.feeder
    stage.at(0.0, lambda _: setattr(master, "held", True))
    stage.at(1.0, lambda _: setattr(master, "held", False))


def stranger_command(stage: Stage) -> Truth:
    """A stranger interrogates the unit, then opens the breaker in one step, where all others select first."""
    unit, intruder = stage.field.feeder.unit, stage.intruder()
    link = Association(stage.line(intruder, unit.host, PORT))

    def begin(at: float) -> None:
        resolve(stage.plant, intruder, unit.host, at, stage.mark)
        unit.interrogate(link, link.start(at + 0.01) + 0.2, stage.mark)

    def end(at: float) -> None:
        now = unit.operate(link, at - 0.2, DOUBLE_COMMAND, BREAKER, ON, stage.mark, select=False)
        link.line.close(now)

    _hold(stage)
    stage.at(0.0, begin)
    stage.at(0.3, lambda at: unit.operate(link, at, DOUBLE_COMMAND, BREAKER, OFF, stage.mark, select=False))
    stage.at(1.0, end)
    return stage.truth(
        "T0855",
        "a stranger interrogates the feeder's protection unit and opens the breaker without selecting it",
        attacker=intruder,
        client=intruder,
        device=unit.host,
        unit=STATION,
        space=Space.IEC_COMMAND,
        addr=BREAKER,
    )


def reset_process(stage: Stage) -> Truth:
    """The front end, taken over, resets the unit again and again."""
    master = stage.field.feeder

    def reset(at: float) -> None:
        if master.link.line.is_open:
            master.reconnect(master.unit.reset(master.link, at, stage.mark) + 0.05)

    _hold(stage)
    for share in (0.0, 0.45, 0.9):
        stage.at(share, reset)
    return stage.truth(
        "T0816",
        "the front end, taken over, resets the feeder's protection unit three times; it is blind while it restarts",
        attacker=stage.field.frontend,
        client=stage.field.frontend,
        device=master.unit.host,
        unit=STATION,
    )


def setpoint_jump(stage: Stage) -> Truth:
    """The front end, taken over, writes a setpoint of which the voltage follows."""
    master = stage.field.feeder

    def write(value: float, mark: int) -> None:
        stage.at(
            0.0 if value == _WILD_KV else 1.0,
            lambda at: master.unit.operate(master.link, at, SETPOINT, VOLTAGE_SETPOINT, value, mark, select=True),
        )

    _hold(stage)
    write(_WILD_KV, stage.mark)
    write(_CALM_KV, stage.mark)
    return stage.truth(
        "T0836",
        f"the front end, taken over, sets the busbar to {_WILD_KV:g} kV; the tap changer follows step by step",
        attacker=stage.field.frontend,
        client=stage.field.frontend,
        device=master.unit.host,
        unit=STATION,
        space=Space.IEC_SETPOINT,
        addr=VOLTAGE_SETPOINT,
    )


def direct_command(stage: Stage) -> Truth:
    """The front end, taken over, switches the capacitor bank to and fro in one step, where it always selects first."""
    master = stage.field.feeder

    def switch(position: int) -> Callable[[float], None]:
        def play(at: float) -> None:
            if master.link.line.is_open:
                master.unit.operate(master.link, at, DOUBLE_COMMAND, CAPACITOR, position, stage.mark, select=False)

        return play

    _hold(stage)
    for turn in range(6):
        stage.at(turn / 5, switch(OFF if turn % 2 else ON))
    return stage.truth(
        "T0855",
        "the front end, taken over, switches the capacitor bank to and fro without selecting it first",
        attacker=stage.field.frontend,
        client=stage.field.frontend,
        device=master.unit.host,
        unit=STATION,
        space=Space.IEC_COMMAND,
        addr=CAPACITOR,
    )


def false_values(stage: Stage) -> Truth:
    """The unit shows an oil temperature far above the true one."""
    master, tag = stage.field.feeder, MEASURED[4]

    def begin(_: float) -> None:
        master.unit.area.bias[tag.source] = 35.0
        master.link.line.taint = stage.mark

    def end(_: float) -> None:
        master.unit.area.bias.clear()
        master.link.line.taint = UNMARKED

    stage.at(0.0, begin)
    stage.at(1.0, end)
    return stage.truth(
        "T0856",
        "the protection unit reports a transformer oil temperature 35 degrees above the true one",
        attacker=master.unit.host,
        client=stage.field.frontend,
        device=master.unit.host,
        unit=STATION,
        space=tag.space,
        addr=tag.addr,
    )
