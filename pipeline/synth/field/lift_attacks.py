"""Attacks on the lift station's outstation (DNP3)."""

from __future__ import annotations

from pipeline.synth.attacks import Stage
from pipeline.synth.background import resolve
from pipeline.synth.field.lift import (
    ANALOGS,
    DISABLE_UNSOLICITED,
    ENABLE_UNSOLICITED,
    EVENTS,
    LATCH_OFF,
    LATCH_ON,
    OUTSTATION,
    PORT,
    Channel,
)
from pipeline.synth.truth import Truth
from pipeline.synth.wire import UNMARKED
from schemas.codes import Space

_WILD_M, _CALM_M = 2.6, 1.4


def _hold(stage: Stage) -> None:
    """The operator leaves the station alone while the attack lasts."""
    master = stage.field.lift
    stage.at(0.0, lambda _: setattr(master, "held", True))
    stage.at(1.0, lambda _: setattr(master, "held", False))


def stranger_operate(stage: Stage) -> Truth:
    """A stranger polls everything, then disables both pumps without selecting, again and again."""
    station, intruder = stage.field.lift.outstation, stage.intruder()
    own = Channel(stage.line(intruder, station.host, PORT), master=3)

    def begin(at: float) -> None:
        resolve(stage.plant, intruder, station.host, at, stage.mark)
        station.integrity(own, own.line.open(at + 0.01) + 0.2, stage.mark)

    def switch(at: float, code: int) -> float:
        for index in (0, 1):
            at = station.switch(own, at, index, code, stage.mark, select=False) + 0.1
        return at

    _hold(stage)
    stage.at(0.0, begin)
    for turn in range(1, 5):
        stage.at(turn / 5, lambda at: switch(at, LATCH_OFF))
    stage.at(1.0, lambda at: own.line.close(switch(at - 0.4, LATCH_ON)))
    return stage.truth(
        "T0855",
        "a stranger polls the lift station and disables both its pumps; the wet well rises",
        attacker=intruder,
        client=intruder,
        device=station.host,
        unit=OUTSTATION,
        space=Space.BINARY_OUTPUT,
        addr=0,
    )


def cold_restart(stage: Stage) -> Truth:
    """The front end, taken over, restarts the outstation again and again."""
    master = stage.field.lift

    def restart(at: float) -> None:
        if master.channel.line.is_open:
            master.restart(at, stage.mark)

    _hold(stage)
    for share in (0.0, 0.45, 0.9):
        stage.at(share, restart)
    return stage.truth(
        "T0816",
        "the front end, taken over, restarts the lift station's outstation three times",
        attacker=stage.field.frontend,
        client=stage.field.frontend,
        device=master.outstation.host,
        unit=OUTSTATION,
    )


def disable_unsolicited(stage: Stage) -> Truth:
    """The front end, taken over, has the outstation report nothing by itself, so that alarms come late."""
    master = stage.field.lift

    def turn(at: float, function: int) -> None:
        if master.channel.line.is_open:
            master.outstation.unsolicited = function == ENABLE_UNSOLICITED
            master.outstation.command(master.channel, at, function, EVENTS, stage.mark)

    _hold(stage)
    stage.at(0.0, lambda at: turn(at, DISABLE_UNSOLICITED))
    stage.at(1.0, lambda at: turn(at, ENABLE_UNSOLICITED))
    return stage.truth(
        "T0878",
        "the front end, taken over, switches the lift station's unsolicited reports off",
        attacker=stage.field.frontend,
        client=stage.field.frontend,
        device=master.outstation.host,
        unit=OUTSTATION,
    )


def setpoint_jump(stage: Stage) -> Truth:
    """The front end, taken over, raises the level at which the pumps start above the alarm."""
    master = stage.field.lift

    def write(share: float, value: float) -> None:
        stage.at(share, lambda at: master.outstation.set_level(master.channel, at, 0, value, stage.mark))

    _hold(stage)
    write(0.0, _WILD_M)
    write(1.0, _CALM_M)
    return stage.truth(
        "T0836",
        f"the front end, taken over, sets the start level of the lift station's pumps to {_WILD_M:g} m",
        attacker=stage.field.frontend,
        client=stage.field.frontend,
        device=master.outstation.host,
        unit=OUTSTATION,
        space=Space.ANALOG_OUTPUT,
        addr=0,
    )


def false_values(stage: Stage) -> Truth:
    """The outstation shows a discharge pressure that it never had."""
    master, tag = stage.field.lift, ANALOGS[3]

    def turn(bias: float, mark: int) -> None:
        master.outstation.area.bias[tag.source] = bias
        master.channel.line.taint = mark

    stage.at(0.0, lambda _: turn(4.0, stage.mark))
    stage.at(1.0, lambda _: turn(0.0, UNMARKED))
    return stage.truth(
        "T0856",
        "the lift station's outstation reports a discharge pressure 4 bar above the true one",
        attacker=master.outstation.host,
        client=stage.field.frontend,
        device=master.outstation.host,
        unit=OUTSTATION,
        space=tag.space,
        addr=tag.addr,
    )
