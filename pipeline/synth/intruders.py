"""Attacks by a host that opens connections of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.synth.attacks import Stage
from pipeline.synth.background import resolve
from pipeline.synth.clients import IDENTIFY, Session, read, write_coil, write_registers
from pipeline.synth.truth import Truth
from pipeline.synth.wire import Connection, Host, arp
from schemas.codes import Space

_UMAS_INIT = bytes([90, 0, 0x01, 0])
_UMAS_READ_ID = bytes([90, 0, 0x02])
_UMAS_RESERVE = bytes([90, 0, 0x10, 0x11, 0x22, 0, 0, 5]) + b"ENG-1"
_UMAS_STOP = bytes([90, 1, 0x41, 0xFF, 0])
_UMAS_START = bytes([90, 1, 0x40, 0xFF, 0])
_UMAS_RELEASE = bytes([90, 1, 0x11])
_LISTEN_ONLY = bytes([8, 0, 4, 0, 0])
_RESTART = bytes([8, 0, 1, 0, 0])

_SCAN_GAP_S = 0.12
_FLOOD_SESSIONS = 6
_FLOOD_LOAD = 4.0
_FLOOD_TICK_S = 0.1


def stranger_write(stage: Stage) -> Truth:
    """A host that never wrote forces the inlet valve open and moves the tank's band up."""
    plant, server, intruder = stage.plant, stage.plant.servers[0], stage.intruder()
    session = stage.session(intruder, 0)

    def ask(at: float, *pdus: bytes) -> float:
        for pdu in pdus:
            at = session.ask(at + 0.02, 1, pdu, stage.mark)
        session.link.settle(at)
        return at

    def begin(at: float) -> None:
        resolve(plant, intruder, server.host, at, stage.mark)
        ask(session.link.open(at + 0.01), read(1, 0, 3), read(3, 0, 5))

    def force(at: float) -> None:
        ask(at, write_coil(0, True), write_coil(1, True), write_registers(0, [590, 560]))

    def end(at: float) -> None:
        session.link.close(ask(at - 0.3, write_registers(0, [380, 280]), write_coil(0, False)) + 0.01)

    stage.hold("sp_raw_high")
    stage.at(0.0, begin)
    for turn in range(1, 8):
        stage.at(turn / 8, force)
    stage.at(1.0, end)
    return stage.truth(
        "T0855",
        "a stranger forces the inlet valve open and raises the raw water tank's band to 5.60-5.90 m",
        attacker=intruder,
        client=intruder,
        device=server.host,
        unit=1,
        space=Space.COIL,
        addr=0,
    )


def unusual_function(stage: Stage) -> Truth:
    """The engineering station, which only ever read registers, identifies, stops and silences."""
    plant = stage.plant
    pumps, gateway = stage.session(plant.engineering, 1), stage.session(plant.engineering, 3)

    def ask(session: Session, unit: int, *pdus: bytes, opening: bool = False, closing: bool = False) -> None:
        def play(at: float) -> None:
            now = session.link.open(at) if opening else at
            for pdu in pdus:
                now = session.ask(now + 0.15, unit, pdu, stage.mark)
            session.link.settle(now)
            if closing:
                session.link.close(now + 0.05)

        steps.append(play)

    steps: list[Callable[[float], None]] = []
    ask(pumps, 1, IDENTIFY, _UMAS_INIT, _UMAS_READ_ID, _UMAS_RESERVE, _UMAS_STOP, opening=True)
    ask(gateway, 13, IDENTIFY, _LISTEN_ONLY, opening=True)
    ask(gateway, 13, _RESTART, closing=True)
    ask(pumps, 1, _UMAS_START, _UMAS_RELEASE, closing=True)
    for share, step in zip((0.0, 0.25, 0.6, 0.85), steps, strict=True):
        stage.at(share, step)
    return stage.truth(
        "T0858",
        "engineering stops the filtration controller (UMAS) and puts the turbidity meter into listen-only mode",
        attacker=plant.engineering,
        client=plant.engineering,
        device=plant.servers[1].host,
        unit=1,
    )


def scan(stage: Stage) -> Truth:
    """A host looks for others, then tries functions, units and addresses on the controllers that it found."""
    intruder = stage.intruder()
    probes = list(_probes(stage, intruder))
    sweep = list(_sweep(stage, intruder))
    gap = min(_SCAN_GAP_S, 0.95 * (stage.end - stage.start) / (len(probes) + len(sweep)))
    for i, host in enumerate(sweep):
        stage.plant.schedule.at(stage.start + i * gap, _knock(stage, intruder, host))
    begin = stage.start + len(sweep) * gap
    for i, (session, unit, pdu) in enumerate(probes):
        stage.plant.schedule.at(begin + i * gap, _probe(stage, session, unit, pdu))
    return stage.truth(
        "T0846",
        "a stranger sweeps the network, then tries functions 1 to 127, units and addresses on every controller",
        attacker=intruder,
        client=intruder,
    )


def _sweep(stage: Stage, intruder: Host) -> Iterator[Host]:
    """Every address that it tries, present or not; absent ones have no MAC address."""
    plant = stage.plant
    present = {server.host.address: server.host for server in plant.servers}
    present |= {host.address: host for host in (plant.hmi, plant.historian)}
    present |= {device.host.address: device.host for device in stage.field.devices()}
    for suffix in [f"1.{n}" for n in range(5, 25)] + [f"2.{n}" for n in (21, 31, 32)]:
        absent = Host("", f"{intruder.address.rsplit('.', 2)[0]}.{suffix}", "00:00:00:00:00:00")
        yield present.get(absent.address, absent)


def _knock(stage: Stage, intruder: Host, host: Host) -> Callable[[float], None]:
    def knock(at: float) -> None:
        stage.plant.tap.put(at, arp(1, intruder, host), stage.mark)
        if not host.name:
            return
        stage.plant.tap.put(at + 0.0004, arp(2, host, intruder), stage.mark)
        if host not in [server.host for server in stage.plant.servers]:
            link = Connection(stage.plant.tap, intruder, host, 60_100, stage.rng)
            link.mark = stage.mark
            link.refuse(at + 0.002)

    return knock


def _probes(stage: Stage, intruder: Host) -> Iterator[tuple[Session, int, bytes]]:
    sessions = [stage.session(intruder, i) for i in range(len(stage.plant.servers))]
    for server in (0, 1):
        for func in range(1, 128):
            yield sessions[server], 1, bytes([func]) + (bytes(3) + b"\x01" if func <= 4 else b"")
    for unit in [*range(32), *range(240, 256)]:
        yield sessions[3], unit, read(3, 0, 1)
    for addr in range(0, 4000, 40):
        yield sessions[2], 1, read(3, addr, 1)


def _probe(stage: Stage, session: Session, unit: int, pdu: bytes) -> Callable[[float], None]:
    def probe(at: float) -> None:
        now = at if session.exchanges else session.link.open(at)
        session.link.settle(session.ask(now + 0.0005, unit, pdu, stage.mark))

    return probe


def flood(stage: Stage) -> Truth:
    """A host asks the filtration controller as fast as it answers, on several connections."""
    plant, server, intruder = stage.plant, stage.plant.servers[1], stage.intruder()

    def tick(session: Session) -> Callable[[float], None]:
        def ask(at: float) -> None:
            now = at if session.exchanges else session.link.open(at)
            until = min(at + _FLOOD_TICK_S, stage.end)
            while now < until:
                now = session.ask(now + 0.0002, 1, read(3, 0, 5), stage.mark)
            if now < stage.end:
                plant.schedule.at(now, ask)
            else:
                session.link.close(now)

        return ask

    def begin(at: float) -> None:
        server.load = _FLOOD_LOAD
        resolve(plant, intruder, server.host, at, stage.mark)
        for i in range(_FLOOD_SESSIONS):
            plant.schedule.at(at + 0.001 + 0.002 * i, tick(stage.session(intruder, 1)))

    def end(_: float) -> None:
        server.load = 1.0

    stage.at(0.0, begin)
    stage.at(1.0, end)
    return stage.truth(
        "T0814",
        "a stranger floods the filtration controller with reads, hundreds a second; its answers slow down",
        attacker=intruder,
        client=intruder,
        device=server.host,
        unit=1,
        space=Space.HOLDING_REGISTER,
        addr=0,
    )
