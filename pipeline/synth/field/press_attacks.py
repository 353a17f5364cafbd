"""Attacks on the sludge press's controller (EtherNet/IP with CIP)."""

from __future__ import annotations

from pipeline.synth.attacks import Stage
from pipeline.synth.background import resolve
from pipeline.synth.encode import cip as e
from pipeline.synth.field.press import ENABLE, LEVEL, PORT, SPEED_SETPOINT, Dialogue
from pipeline.synth.truth import Truth
from pipeline.synth.wire import UNMARKED, Host
from schemas.codes import Space

_WILD, _CALM = 9.5, 4.0


def _hold(stage: Stage) -> None:
    """The operator leaves the press alone while the attack lasts."""
    clients = stage.field.press
    stage.at(0.0, lambda _: setattr(clients, "held", True))
    stage.at(1.0, lambda _: setattr(clients, "held", False))


def _dialogue(stage: Stage, client: Host) -> Dialogue:
    controller = stage.field.press.controller
    return Dialogue(controller, stage.line(client, controller.host, PORT))


def _truth(stage: Stage, technique: str, text: str, attacker: Host, space: Space = Space.CIP_SYMBOL) -> Truth:
    host = stage.field.press.controller.host
    client = stage.plant.hmi if attacker is host else attacker
    return stage.truth(technique, text, attacker=attacker, client=client, device=host, space=space)


def stranger_write(stage: Stage) -> Truth:
    """A stranger identifies the controller, then speeds the belt up, again and again."""
    controller, intruder = stage.field.press.controller, stage.intruder()
    own = _dialogue(stage, intruder)

    def begin(at: float) -> None:
        resolve(stage.plant, intruder, controller.host, at, stage.mark)
        now = own.identify(own.open(at + 0.01) + 0.2)
        own.line.rest(own.read(now + 0.2))

    def write(at: float) -> None:
        own.line.rest(own.write(own.write(at, ENABLE, 1) + 0.1, SPEED_SETPOINT, _WILD))

    _hold(stage)
    stage.at(0.0, begin)
    for turn in range(1, 5):
        stage.at(turn / 5, write)
    stage.at(1.0, lambda at: own.close(own.write(at - 0.3, SPEED_SETPOINT, _CALM) + 0.05))
    return _truth(stage, "T0855", f"a stranger sets the press's belt to {_WILD:g} m/min", intruder)


def stop(stage: Stage) -> Truth:
    """The engineering station, taken over, puts the controller into program mode, and back much later."""
    controller, engineering = stage.field.press.controller, stage.plant.engineering
    own = _dialogue(stage, engineering)

    def begin(at: float) -> None:
        controller.area.stopped = True
        own.line.rest(own.command(own.open(at) + 0.5, e.STOP, e.MODES))

    def end(at: float) -> None:
        controller.area.stopped = False
        own.close(own.command(at - 0.2, e.START, e.MODES) + 0.05)

    _hold(stage)
    stage.at(0.0, begin)
    stage.at(1.0, end)
    return _truth(stage, "T0858", "engineering stops the program of the press's controller", engineering, Space.NONE)


def reset(stage: Stage) -> Truth:
    """The engineering station, taken over, resets the controller as if its power had failed, twice."""
    engineering = stage.plant.engineering
    own = _dialogue(stage, engineering)

    def again(at: float) -> None:
        own.close(own.command(at, e.RESET, e.IDENTITY, b"\0") + 0.05)

    _hold(stage)
    stage.at(0.0, lambda at: own.line.rest(own.command(own.open(at) + 0.5, e.RESET, e.IDENTITY, b"\0")))
    stage.at(0.95, again)
    return _truth(stage, "T0816", "engineering resets the press's controller", engineering, Space.NONE)


def setpoint_jump(stage: Stage) -> Truth:
    """The HMI, taken over, speeds the belt up."""
    clients = stage.field.press

    def write(share: float, value: float, mark: int) -> None:
        stage.at(share, lambda at: clients.hmi.write(at, SPEED_SETPOINT, value, mark))

    _hold(stage)
    write(0.0, _WILD, stage.mark)
    write(1.0, _CALM, stage.mark)
    return _truth(stage, "T0836", f"the HMI, taken over, sets the press's belt to {_WILD:g} m/min", stage.plant.hmi)


def false_values(stage: Stage) -> Truth:
    """The controller shows a thickener nearly full."""
    clients = stage.field.press

    def turn(bias: float, mark: int) -> None:
        clients.controller.area.bias[LEVEL.source] = bias
        clients.hmi.line.taint = mark

    stage.at(0.0, lambda _: turn(35.0, stage.mark))
    stage.at(1.0, lambda _: turn(0.0, UNMARKED))
    text = "the press's controller shows a thickener level 35 % above the true one"
    return _truth(stage, "T0856", text, clients.controller.host)
