"""Attacks: when each is staged, and what those do that act through the plant's own hosts or instruments."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from random import Random

from pipeline.synth.clients import Session, write_register
from pipeline.synth.field.line import Line
from pipeline.synth.field.works import Field
from pipeline.synth.plant import PRESSURE_SETPOINT, Plant
from pipeline.synth.server import Server
from pipeline.synth.truth import Truth
from pipeline.synth.wire import UNMARKED, Host, arp
from schemas.codes import Space

MINIMUM_S = 20.0
"""Seconds of a run that one attack needs, quiet time included."""

_FIRST, _LAST = 0.1, 0.97
"""Shares of the run before which, and after which, nothing is staged."""
_ACTIVE = 0.45
"""Most of an attack's share of the run that it may be active: the rest is quiet."""

DURATION_S = {
    "setpoint_jump": 150.0,
    "stranger_write": 90.0,
    "unusual_function": 90.0,
    "scan": 60.0,
    "forged_response": 60.0,
    "replay": 180.0,
    "stuck_sensor": 240.0,
    "slow_ramp": 300.0,
    "flood": 12.0,
}
"""How long each attack lasts where the run is long enough; one of `FIELD`, `FIELD_DURATION_S`."""
FIELD_DURATION_S = 60.0

FIELD = {"iec104": "feeder", "s7": "dosing", "dnp3": "lift", "bacnet": "building", "cip": "press"}
"""First word of the attacks on devices of other protocols, and the area that they are on.

Attacks on one area come one after the other.  Areas have their turns side by side.
"""

SETTLING_S = {"setpoint_jump": 120.0, "replay": 120.0, "stranger_write": 300.0, "unusual_function": 300.0}
"""How long the process takes to come back after those attacks that move it; a few seconds after the other ones on its
controllers, `FIELD_SETTLING_S` after those of `FIELD`."""
FIELD_SETTLING_S = 90.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One attack to be staged.

    Attributes:
        mark: its id, and the mark of its packets.
        start, end: seconds since the start of the capture.
        field: where; `plant` is its replica.
        rng: its own randomness.
    """

    mark: int
    name: str
    start: float
    end: float
    field: Field
    rng: Random

    @property
    def plant(self) -> Plant:
        """The replica."""
        return self.field.plant

    def play(self) -> Truth:
        """Put the attack into the plant's schedule."""
        from pipeline.synth import intruders

        area, rest = self.area
        module = import_module(f"pipeline.synth.field.{area}_attacks") if area else intruders
        played: Truth = (_OWN.get(self.name) or getattr(module, rest))(self)
        return played

    @property
    def area(self) -> tuple[str, str]:
        """The area of `FIELD` that it is on, empty for the process, and what of its name does not say so."""
        return _area(self.name)

    def line(self, client: Host, server: Host, port: int) -> Line:
        """A connection that speaks another protocol, whose packets all belong to the attack."""
        return Line(self.plant, client, server, port, f"{self.name}-{self.mark}", self.mark)

    def at(self, share: float, what: Callable[[float], object]) -> None:
        """Do `what` when `share` of the attack has passed."""
        self.plant.schedule.at(self.start + share * (self.end - self.start), what)

    def intruder(self) -> Host:
        """A host that is no part of the plant."""
        return self.plant.host(f"intruder {self.mark}", f"3.{66 + self.mark % 180}", f"00:e0:4c:68:{self.mark:02x}")

    def session(self, client: Host, server: int) -> Session:
        """A connection whose packets all belong to the attack."""
        port = 60_500 + self.rng.randrange(4_000)
        made = self.plant.session(client, server, f"{self.name}-{self.mark}-{server}-{port}", port)
        made.link.mark = self.mark
        return made

    def taint(self, server: Server, unit: int, func: int, addr: int) -> None:
        """Answers that show this tag belong to the attack while it lasts."""
        key = (unit, func, addr, addr)
        self.at(0.0, lambda _: server.tainted.update({key: self.mark}))
        self.at(1.0, lambda _: server.tainted.pop(key, None))

    def hold(self, source: str) -> None:
        """The operator leaves what `source` names alone while the attack lasts."""
        self.at(0.0, lambda _: self.plant.held.add(source))
        self.at(1.0, lambda _: self.plant.held.discard(source))

    def truth(
        self,
        technique_uid: str,
        description: str,
        *,
        attacker: Host,
        mac: bytes = b"",
        client: Host | None = None,
        device: Host | None = None,
        unit: int = 0,
        space: Space = Space.NONE,
        addr: int = 0,
    ) -> Truth:
        """The attack's ground truth."""
        return Truth(
            self.mark,
            self.name,
            self.start,
            self.end,
            self.end + (FIELD_SETTLING_S if self.area[0] else SETTLING_S.get(self.name, 5.0)),
            (attacker.address, mac or attacker.mac),
            client,
            device,
            unit,
            space,
            addr,
            description,
            technique_uid,
        )


def _area(name: str) -> tuple[str, str]:
    first, _, rest = name.partition("_")
    return (FIELD[first], rest) if first in FIELD else ("", name)


def lanes(names: Sequence[str]) -> list[list[int]]:
    """Places in `names` of the attacks on the process, then on each area of `FIELD`."""
    places: dict[str, list[int]] = {}
    for mark, name in enumerate(names):
        places.setdefault(_area(name)[0], []).append(mark)
    return list(places.values())


def stages(names: Sequence[str], seconds: float, fields: Sequence[Field]) -> Iterator[Stage]:
    """Spread the attacks of each lane over the run, with quiet time between, over the replicas in turn."""
    turns = {mark: (turn, len(lane)) for lane in lanes(names) for turn, mark in enumerate(lane)}
    for mark, name in enumerate(names):
        field = fields[mark % len(fields)]
        rng = field.plant.rng(f"attack-{mark}")
        turn, among = turns[mark]
        share = (_LAST - _FIRST) * seconds / among
        start = _FIRST * seconds + share * (turn + 0.1 * rng.random())
        lasting = min(DURATION_S.get(name, FIELD_DURATION_S), _ACTIVE * share)
        if name == "replay":
            lasting = min(lasting, 0.9 * start)
        yield Stage(mark, name, start, start + lasting, field, rng)


def _setpoint_jump(stage: Stage) -> Truth:
    plant, value = stage.plant, 850
    poller, server = plant.hmi_pollers[2], plant.servers[2]
    stage.hold("sp_pressure")
    stage.taint(server, 1, 3, PRESSURE_SETPOINT)
    stage.at(0.0, lambda _: poller.command(1, write_register(PRESSURE_SETPOINT, value), stage.mark))
    stage.at(1.0, lambda _: poller.command(1, write_register(PRESSURE_SETPOINT, 420)))
    return stage.truth(
        "T0836",
        "the HMI, taken over, writes a network pressure setpoint of 8.50 bar; the booster drives the network up",
        attacker=plant.hmi,
        client=plant.hmi,
        device=server.host,
        unit=1,
        space=Space.HOLDING_REGISTER,
        addr=PRESSURE_SETPOINT,
    )


def _stuck_sensor(stage: Stage) -> Truth:
    plant, server = stage.plant, stage.plant.servers[2]
    stage.taint(server, 1, 4, 1)
    stage.at(0.0, lambda _: plant.process.frozen.update(pt301=plant.process.pt301))
    stage.at(1.0, lambda _: plant.process.frozen.pop("pt301", None))
    return stage.truth(
        "T0832",
        "the network pressure instrument shows one value to its controller and to all who read it",
        attacker=server.host,
        device=server.host,
        unit=1,
        space=Space.INPUT_REGISTER,
        addr=1,
    )


def _slow_ramp(stage: Stage) -> Truth:
    plant, server = stage.plant, stage.plant.servers[0]
    most, steps, turn = 3.0, 200, 0.85

    def drift(share: float) -> Callable[[float], None]:
        bias = most * (share / turn if share < turn else (1 - share) / (1 - turn))
        return lambda _: plant.process.bias.update(tt101=bias)

    stage.taint(server, 1, 4, 2)
    for step in range(steps):
        stage.at(step / steps, drift(step / steps))
    stage.at(1.0, lambda _: plant.process.bias.pop("tt101", None))
    return stage.truth(
        "T0832",
        f"the raw water temperature drifts upwards by {most:g} degrees, then comes back",
        attacker=server.host,
        device=server.host,
        unit=1,
        space=Space.INPUT_REGISTER,
        addr=2,
    )


def _forged_response(stage: Stage) -> Truth:
    plant, server, intruder = stage.plant, stage.plant.servers[0], stage.intruder()
    session = plant.hmi_pollers[0].session

    def forge(unit: int, pdu: bytes, answer: bytes) -> bytes | None:
        """The tank nearly empty, whatever it holds."""
        if pdu[0] != 4 or answer[0] != 4:
            return None
        return answer[:2] + (350 + stage.rng.randrange(6)).to_bytes(2, "big") + answer[4:]

    def begin(_: float) -> None:
        session.forger, session.forged = (intruder, stage.mark), forge

    def end(_: float) -> None:
        session.forger = session.forged = None

    intruder.idents = stage.rng.getrandbits(15)
    stage.at(0.0, begin)
    stage.at(1.0, end)
    return stage.truth(
        "T0856",
        "an intruder answers the HMI's polls in the controller's name, ahead of it: raw water level 0.35 m",
        attacker=server.host,
        mac=intruder.mac,
        client=plant.hmi,
        device=server.host,
        unit=1,
        space=Space.INPUT_REGISTER,
        addr=0,
    )


class _Recording:
    """Answers heard on a session, kept for as long as the replay is to last, and given again in their order."""

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._heard: dict[tuple[int, bytes], deque[tuple[float, bytes]]] = {}

    def hear(self, at: float, unit: int, pdu: bytes, answer: bytes) -> None:
        """Keep the answer of a reading function."""
        if pdu[0] <= 4:
            kept = self._heard.setdefault((unit, pdu), deque())
            kept.append((at, answer))
            while kept[0][0] < at - self._span_s:
                kept.popleft()

    def replay(self, unit: int, pdu: bytes, answer: bytes) -> bytes:
        """What was answered then; the true answer where nothing was heard."""
        kept = self._heard.get((unit, pdu))
        if not kept:
            return answer
        kept.rotate(-1)
        return kept[-1][1]


def _replay(stage: Stage) -> Truth:
    plant, server, intruder = stage.plant, stage.plant.servers[2], stage.intruder()
    view = plant.hmi_pollers[2].session
    recording = _Recording(stage.end - stage.start)
    own = stage.session(intruder, 2)
    view.heard = recording.hear

    def begin(at: float) -> None:
        view.heard = None
        view.relayed = recording.replay
        view.link.relay, view.link.mark = intruder, stage.mark
        now = own.link.open(at)
        own.link.settle(own.ask(now + 0.3, 1, write_register(PRESSURE_SETPOINT, 560), stage.mark))

    def poison(at: float) -> None:
        plant.tap.put(at, arp(2, server.host, plant.hmi, claimed=intruder.mac), stage.mark)
        plant.tap.put(at + 0.0001, arp(2, plant.hmi, server.host, claimed=intruder.mac), stage.mark)

    def end(at: float) -> None:
        view.relayed, view.link.relay, view.link.mark = None, None, UNMARKED
        own.link.close(own.ask(at - 0.05, 1, write_register(PRESSURE_SETPOINT, 420), stage.mark) + 0.001)

    stage.hold("sp_pressure")
    stage.at(0.0, begin)
    turns = max(1, int((stage.end - stage.start) / 3.0))
    for turn in range(turns):
        stage.at(turn / turns, poison)
    stage.at(1.0, end)
    return stage.truth(
        "T0856",
        "an intruder between HMI and controller shows the HMI what it read minutes ago while it raises the pressure",
        attacker=intruder,
        client=plant.hmi,
        device=server.host,
        unit=1,
        space=Space.HOLDING_REGISTER,
        addr=PRESSURE_SETPOINT,
    )


_OWN: dict[str, Callable[[Stage], Truth]] = {
    "setpoint_jump": _setpoint_jump,
    "stuck_sensor": _stuck_sensor,
    "slow_ramp": _slow_ramp,
    "forged_response": _forged_response,
    "replay": _replay,
}
