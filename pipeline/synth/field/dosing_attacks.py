"""Attacks on the dosing skid's controller (S7comm)."""

from __future__ import annotations

from pipeline.synth.attacks import Stage
from pipeline.synth.background import resolve
from pipeline.synth.encode import s7 as e
from pipeline.synth.field.dosing import DOSES, PG, PORT, REALS, SLOT, START, Dialogue
from pipeline.synth.truth import Truth
from pipeline.synth.wire import UNMARKED, Host
from schemas.codes import Space

_WILD, _CALM = 7.5, 2.0
_BLOCK = b"_0800001P"
_STOPPED = e.stop()
_START = e.pi_service(b"P_PROGRAM")


def _hold(stage: Stage) -> None:
    """The operator leaves the skid alone while the attack lasts."""
    clients = stage.field.dosing
    stage.at(0.0, lambda _: setattr(clients, "held", True))
    stage.at(1.0, lambda _: setattr(clients, "held", False))


def _dialogue(stage: Stage, client: Host) -> Dialogue:
    controller = stage.field.dosing.controller
    return Dialogue(controller, stage.line(client, controller.host, PORT), PG)


def stranger_write(stage: Stage) -> Truth:
    """A stranger reads the parameters, then multiplies the dose, again and again."""
    controller, intruder = stage.field.dosing.controller, stage.intruder()
    own = _dialogue(stage, intruder)

    def begin(at: float) -> None:
        resolve(stage.plant, intruder, controller.host, at, stage.mark)
        own.line.rest(own.read(own.open(at + 0.01) + 0.2, DOSES, START))

    def end(at: float) -> None:
        own.line.close(own.write(at - 0.1, DOSES[0], _CALM))

    _hold(stage)
    stage.at(0.0, begin)
    for turn in range(1, 5):
        stage.at(turn / 5, lambda at: own.line.rest(own.write(at, DOSES[0], _WILD)))
    stage.at(1.0, end)
    return stage.truth(
        "T0855",
        f"a stranger sets the coagulant dose to {_WILD:g} mg/l",
        attacker=intruder,
        client=intruder,
        device=controller.host,
        unit=SLOT,
        space=Space.S7_DATA_BLOCK,
        addr=DOSES[0].addr,
    )


def stop(stage: Stage) -> Truth:
    """The engineering station, taken over, stops the controller's program, and starts it again much later."""
    clients, engineering = stage.field.dosing, stage.plant.engineering
    own = _dialogue(stage, engineering)
    area = clients.controller.area

    def begin(at: float) -> None:
        now = own.job(own.mode(own.open(at) + 0.2) + 0.5, _STOPPED, b"", b"\x29", b"")
        stage.plant.schedule.at(now, lambda _: setattr(area, "stopped", True))
        own.line.rest(now)

    def end(at: float) -> None:
        now = own.job(at - 0.2, _START, b"", b"\x28", b"")
        area.stopped = False
        own.line.close(now + 0.05)

    _hold(stage)
    stage.at(0.0, begin)
    stage.at(1.0, end)
    return stage.truth(
        "T0858",
        "engineering stops the program of the dosing skid's controller; its values stand still",
        attacker=engineering,
        client=engineering,
        device=clients.controller.host,
        unit=SLOT,
    )


def download(stage: Stage) -> Truth:
    """The engineering station, taken over, loads another program block: the controller fetches its parts."""
    controller, engineering = stage.field.dosing.controller, stage.plant.engineering
    own = _dialogue(stage, engineering)

    def begin(at: float) -> None:
        asked = e.transfer(0x1A, _BLOCK, tail=b"\x0d1000412000320")
        own.line.rest(own.job(own.open(at) + 0.3, asked, b"", b"\x1a", b""))

    def fetch(more: bool, at: float) -> None:
        part = b"\0\xc8\0\xfb" + bytes(stage.rng.randrange(256) for _ in range(200))
        own.line.rest(own.job(at, e.transfer(0x1B, _BLOCK), b"", bytes([0x1B, more]), part, by=1))

    def end(at: float) -> None:
        now = own.job(at - 0.5, e.transfer(0x1C, _BLOCK), b"", b"\x1c", b"", by=1)
        activate = e.pi_service(b"_INSE", b"\1\x000800001P")
        own.line.close(own.job(now + 0.2, activate, b"", b"\x28", b"") + 0.05)

    stage.at(0.0, begin)
    stage.at(0.4, lambda at: fetch(True, at))
    stage.at(0.7, lambda at: fetch(False, at))
    stage.at(1.0, end)
    return stage.truth(
        "T0843",
        "engineering loads another program block (OB 1) into the dosing skid's controller and activates it",
        attacker=engineering,
        client=engineering,
        device=controller.host,
        unit=SLOT,
    )


def setpoint_jump(stage: Stage) -> Truth:
    """The HMI, taken over, multiplies the dose."""
    clients = stage.field.dosing

    def write(share: float, value: float, mark: int) -> None:
        stage.at(share, lambda at: clients.hmi.write(at, DOSES[0], value, mark))

    _hold(stage)
    write(0.0, _WILD, stage.mark)
    write(1.0, _CALM, stage.mark)
    return stage.truth(
        "T0836",
        f"the HMI, taken over, sets the coagulant dose to {_WILD:g} mg/l",
        attacker=stage.plant.hmi,
        client=stage.plant.hmi,
        device=clients.controller.host,
        unit=SLOT,
        space=Space.S7_DATA_BLOCK,
        addr=DOSES[0].addr,
    )


def false_values(stage: Stage) -> Truth:
    """The controller shows a coagulant density that it never had."""
    clients, tag = stage.field.dosing, REALS[4]
    lines = (clients.hmi.line, clients.historian.line)

    def turn(bias: float, mark: int, _: float) -> None:
        clients.controller.area.bias[tag.source] = bias
        for line in lines:
            line.taint = mark

    stage.at(0.0, lambda at: turn(0.35, stage.mark, at))
    stage.at(1.0, lambda at: turn(0.0, UNMARKED, at))
    return stage.truth(
        "T0856",
        "the dosing skid's controller shows a coagulant density 0.35 kg/l above the true one",
        attacker=clients.controller.host,
        client=stage.plant.hmi,
        device=clients.controller.host,
        unit=SLOT,
        space=tag.space,
        addr=tag.addr,
    )
