"""Attacks on the building controller (BACnet/IP)."""

from __future__ import annotations

from pipeline.synth.attacks import Stage
from pipeline.synth.background import resolve
from pipeline.synth.encode import bacnet as e
from pipeline.synth.field.building import (
    CONTROL,
    DISABLE_INITIATION,
    ENABLE,
    FAN,
    GAS,
    LIFE_SAFETY,
    OPERATOR,
    PORT,
    REINITIALIZE,
    SETPOINT,
    VALVE,
    Client,
)
from pipeline.synth.field.line import Datagrams
from pipeline.synth.field.tags import FieldTag
from pipeline.synth.truth import Truth
from pipeline.synth.wire import UNMARKED, Host
from schemas.codes import Space

_WILD_C, _CALM_C = 32.0, 20.0
_DOWN_S = 4.0


def _hold(stage: Stage) -> None:
    """The operator leaves the building alone while the attack lasts."""
    management = stage.field.building
    stage.at(0.0, lambda _: setattr(management, "held", True))
    stage.at(1.0, lambda _: setattr(management, "held", False))


def _truth(stage: Stage, technique: str, description: str, attacker: Host, tag: FieldTag | None = None) -> Truth:
    management = stage.field.building
    host = management.controller.host
    client = management.host if attacker is host else attacker
    space, addr = (Space.NONE, 0) if tag is None else (tag.space, tag.addr)
    return stage.truth(technique, description, attacker=attacker, client=client, device=host, space=space, addr=addr)


def reinitialize(stage: Stage) -> Truth:
    """The building management, taken over, restarts the controller, then forbids it to tell anything by itself."""
    management = stage.field.building
    controller, client = management.controller, management.client

    def restart(at: float) -> None:
        now = client.ask(at, REINITIALIZE, e.ctx(0, 0), mark=stage.mark)
        controller.silent_until = now + min(_DOWN_S, 0.2 * (stage.end - stage.start))
        stage.plant.schedule.at(controller.silent_until, management.restarted)

    def turn(at: float, state: int) -> None:
        controller.reports = state == ENABLE
        client.ask(at, CONTROL, e.ctx(1, state), mark=stage.mark)

    _hold(stage)
    stage.at(0.0, restart)
    stage.at(0.4, lambda at: turn(at, DISABLE_INITIATION))
    stage.at(1.0, lambda at: turn(at, ENABLE))
    text = "the building management, taken over, restarts the controller and forbids it to report changes"
    return _truth(stage, "T0816", text, management.host)


def stranger_write(stage: Stage) -> Truth:
    """A stranger finds the controller, reads all, then stops the fan and heats, again and again."""
    controller, intruder = stage.field.building.controller, stage.intruder()
    own = Client(controller, Datagrams(stage.plant, intruder, controller.host, PORT, stage.mark))

    def begin(at: float) -> None:
        resolve(stage.plant, intruder, controller.host, at, stage.mark)
        own.read(own.find(at + 0.01) + 0.2)

    def write(at: float, fan: int, setpoint: float) -> None:
        own.write(own.write(at, FAN, fan, OPERATOR) + 0.1, SETPOINT, setpoint, OPERATOR)

    _hold(stage)
    stage.at(0.0, begin)
    for turn in range(1, 5):
        stage.at(turn / 5, lambda at: write(at, 0, _WILD_C))
    stage.at(1.0, lambda at: write(at - 0.3, 1, _CALM_C))
    text = f"a stranger stops the fan of the chlorine room and sets the room to {_WILD_C:g} degrees"
    return _truth(stage, "T0855", text, intruder, FAN)


def override(stage: Stage) -> Truth:
    """The building management, taken over, holds the heating valve open at the priority of life safety."""
    management = stage.field.building

    def write(share: float, value: float | None) -> None:
        stage.at(share, lambda at: management.client.write(at, VALVE, value, LIFE_SAFETY, stage.mark))

    _hold(stage)
    write(0.0, 100.0)
    write(1.0, None)
    text = "the building management, taken over, holds the heating valve open at the priority of life safety"
    return _truth(stage, "T0855", text, management.host, VALVE)


def setpoint_jump(stage: Stage) -> Truth:
    """The building management, taken over, sets the room far above what it ever was."""
    management = stage.field.building

    def write(share: float, value: float) -> None:
        stage.at(share, lambda at: management.client.write(at, SETPOINT, value, OPERATOR, stage.mark))

    _hold(stage)
    write(0.0, _WILD_C)
    write(1.0, _CALM_C)
    text = f"the building management, taken over, sets the room to {_WILD_C:g} degrees"
    return _truth(stage, "T0836", text, management.host, SETPOINT)


def false_values(stage: Stage) -> Truth:
    """The controller shows chlorine in the air that is not there."""
    management = stage.field.building

    def turn(bias: float, mark: int) -> None:
        management.controller.area.bias[GAS.source] = bias
        management.client.talk.taint = mark

    stage.at(0.0, lambda _: turn(2.5, stage.mark))
    stage.at(1.0, lambda _: turn(0.0, UNMARKED))
    text = "the building controller reports 2.5 ppm of chlorine in the air that are not there"
    return _truth(stage, "T0856", text, management.controller.host, GAS)
