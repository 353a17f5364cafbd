"""The building's services: air handling with heating and gas watch, and the BACnet/IP controller that runs them."""

from __future__ import annotations

from random import Random

from pipeline.synth.encode import bacnet as e
from pipeline.synth.field.line import Datagrams, repeat
from pipeline.synth.field.tags import Area, FieldTag, Reports
from pipeline.synth.plant import Plant
from pipeline.synth.process import Process, Swing
from pipeline.synth.wire import UNMARKED, Host
from schemas.codes import Space

PORT = 47_808
INSTANCE, VENDOR, PROCESS = 800, 260, 18
"""Instance and vendor of the device; identifier of the subscriber's process."""
ANALOG_VALUE = 2
WHO_IS, CONFIRMED_COV, SUBSCRIBE, READ_SEVERAL, WRITE, CONTROL, REINITIALIZE = 8, 1, 5, 14, 15, 17, 20
"""Services: unconfirmed 8, the others confirmed (ASHRAE 135, clause 21)."""
OPERATOR, LIFE_SAFETY = 8, 1
"""Priorities of commands (19.2)."""
ENABLE, DISABLE_INITIATION = 0, 2
_LIFETIME_S = 600


def _tag(kind: int, instance: int, name: str, source: str, unit: str, band: float = 0.0) -> FieldTag:
    return FieldTag(name, Space.BACNET_PROPERTY, e.oid(kind, instance), source, unit, band, addr_sub=e.PRESENT_VALUE)


ROOM = _tag(e.ANALOG_INPUT, 1, "TT-801 room temperature", "tt801", "degC", 0.3)
SUPPLY = _tag(e.ANALOG_INPUT, 2, "TT-802 supply air temperature", "tt802", "degC")
HUMIDITY = _tag(e.ANALOG_INPUT, 3, "MT-801 humidity", "mt801", "%", 1.5)
GAS = _tag(e.ANALOG_INPUT, 4, "AT-801 chlorine in air", "at801", "ppm", 0.04)
VALVE = _tag(e.ANALOG_OUTPUT, 1, "ZC-801 heating valve", "valve", "%")
FAN = _tag(e.BINARY_OUTPUT, 1, "YC-801 fan", "fan", "", 0.5)
SETPOINT = _tag(ANALOG_VALUE, 1, "TSP-801 room setpoint", "sp_room", "degC")
TAGS = (ROOM, SUPPLY, HUMIDITY, GAS, VALVE, FAN, SETPOINT)
WATCHED = (ROOM, HUMIDITY, GAS, FAN)
"""Those whose changes the management subscribes to."""


class Rooms(Area):
    """A room that a valve heats, with a fan that carries away what gas there is.

    Attributes:
        override: where the valve is held whatever its controller wants, None for nowhere.
    """

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._rng = rng
        self._people = Swing(rng, 0.012, 50.0)
        self._damp = Swing(rng, 5.0, 60.0)
        self._leak = Swing(rng, 0.03, 40.0)
        self._room = 20.0
        self._gas = 0.0
        self.sp_room = 20.0
        self.fan = 1
        self.override: float | None = None
        self.tt801 = self.tt802 = self.mt801 = self.at801 = self.valve = 0.0

    def step(self, process: Process, seconds: float) -> None:
        """Advance."""
        noise = self._rng.gauss
        wanted = 50.0 + 25.0 * (self.sp_room - self._room) if self.override is None else self.override
        self.valve = min(max(wanted, 0.0), 100.0)
        heat = 0.0009 * self.valve * (0.92 + 0.08 * self.fan)
        self._room += (heat + self._people.step() - (self._room - process.tt102) / 400.0) * seconds
        self._gas += (0.004 - 0.2 * self._gas if self.fan else 0.008) * seconds
        self.tt801 = self._room + noise(0, 0.03)
        self.tt802 = 16.0 + 0.2 * self.valve + noise(0, 0.05)
        self.mt801 = 44.0 + self._damp.step() + noise(0, 0.1)
        self.at801 = max(0.08 + self._leak.step() + self._gas + noise(0, 0.003), 0.0)


class Controller:
    """The building controller: what it answers, and what it tells those who subscribed.

    Attributes:
        area: the rooms.
        host: its network interface.
        silent_until: when it is back after a restart.
        reports: whether it tells changes.
    """

    def __init__(self, plant: Plant) -> None:
        self.area = Rooms(plant.rng("building"))
        self.host = plant.host("BAC-8 building services", "1.18", "00:20:4a:9d:18")
        self.everyone = Host("", f"10.{10 + plant.number}.255.255", "ff:ff:ff:ff:ff:ff")
        self.silent_until = 0.0
        self.reports = True
        self._changes = Reports(WATCHED)
        self._rng = plant.rng("building-pace")
        self._invoke = 0

    def announce(self, talk: Datagrams, at: float, mark: int = UNMARKED) -> None:
        """An I-Am to everyone."""
        talk.say(at, 1, e.bvll(e.BROADCAST, e.npdu(e.announced(INSTANCE, VENDOR))), mark, self.everyone)

    def tell_changes(self, talk: Datagrams, at: float) -> None:
        """Confirmed notifications of what changed, and their acknowledgements."""
        for tag, value in self._changes.changed(self.area):
            if at < self.silent_until or not self.reports:
                continue
            self._invoke = (self._invoke + 1) % 256
            values = ((e.PRESENT_VALUE, _value(tag, value)), (e.STATUS_FLAGS, e.bits("0000")))
            body = e.changed(PROCESS, INSTANCE, tag.addr, *values, remaining=_LIFETIME_S // 2)
            asked = e.npdu(e.request(CONFIRMED_COV, self._invoke, body), expects=True)
            at = talk.say(at, 1, e.bvll(e.UNICAST, asked)) + 0.004
            talk.say(at, 0, e.bvll(e.UNICAST, e.npdu(e.simple_ack(CONFIRMED_COV, self._invoke))))
            at += 0.006

    def think(self) -> float:
        """Seconds until an answer."""
        return 0.008 + 0.006 * self._rng.random()


class Client:
    """A host that asks the controller, with its invoke ids."""

    def __init__(self, controller: Controller, talk: Datagrams) -> None:
        self.controller = controller
        self.talk = talk
        self._invoke = 0

    def ask(self, at: float, service: int, body: bytes, answer: bytes = b"", mark: int = UNMARKED) -> float:
        """A confirmed request and its answer, which carries nothing but the service unless `answer` is given.

        A controller that restarts does not answer.
        """
        self._invoke = (self._invoke + 1) % 256
        self.talk.exchanges += 1
        self.talk.say(at, 0, e.bvll(e.UNICAST, e.npdu(e.request(service, self._invoke, body), expects=True)), mark)
        if at < self.controller.silent_until:
            return at
        at += self.controller.think()
        simple = e.simple_ack(service, self._invoke)
        apdu = e.complex_ack(service, self._invoke, answer) if answer else simple
        return self.talk.say(at, 1, e.bvll(e.UNICAST, e.npdu(apdu)), mark)

    def find(self, at: float, mark: int = UNMARKED) -> float:
        """A Who-Is to everyone, and the controller's I-Am."""
        self.talk.exchanges += 1
        asked = e.bvll(e.BROADCAST, e.npdu(e.unconfirmed(WHO_IS)))
        self.talk.say(at, 0, asked, mark, self.controller.everyone)
        if at >= self.controller.silent_until:
            self.controller.announce(self.talk, at + 0.02, mark)
        return at + 0.02

    def read(self, at: float, mark: int = UNMARKED) -> float:
        """One ReadPropertyMultiple of all present values."""
        area = self.controller.area
        asked, told = b"", b""
        for tag in TAGS:
            thing = e.ctx_oid(0, tag.addr)
            value = _value(tag, area.read(tag.source))
            asked += thing + e.within(1, e.ctx(0, e.PRESENT_VALUE))
            told += thing + e.within(1, e.ctx(2, e.PRESENT_VALUE) + e.within(4, value))
        return self.ask(at, READ_SEVERAL, asked, told, mark)

    def write(self, at: float, tag: FieldTag, value: float | None, priority: int, mark: int = UNMARKED) -> float:
        """A WriteProperty of a present value; None gives the priority up again."""
        area = self.controller.area
        if tag is VALVE:
            area.override = value
        elif value is not None:
            setattr(area, tag.source, int(value) if tag is FAN else value)
        told = e.NULL if value is None else _value(tag, value)
        body = e.property_of(tag.addr, e.PRESENT_VALUE) + e.within(3, told) + e.ctx(4, priority)
        return self.ask(at, WRITE, body, mark=mark)

    def subscribe(self, at: float) -> None:
        """SubscribeCOV, confirmed, for all that is watched."""
        for tag in WATCHED:
            body = e.ctx(0, PROCESS) + e.ctx_oid(1, tag.addr) + e.ctx(2, 1) + e.ctx(3, _LIFETIME_S)
            at = self.ask(at, SUBSCRIBE, body) + 0.005


class Management:
    """The building management: it polls, keeps its subscriptions, and its operator writes.

    Attributes:
        host: its network interface.
        client: its dialogue with the controller.
        held: whether the operator leaves the building alone.
    """

    def __init__(self, plant: Plant) -> None:
        self.controller = Controller(plant)
        self.host = plant.host("BMS-1 building management", "2.61", "00:14:22:5e:36", ttl=128)
        self.client = Client(self.controller, Datagrams(plant, self.host, self.controller.host, PORT))
        self.held = False
        self._plant = plant
        self._rng = plant.rng("building-operator")
        self._second = False
        plant.schedule.at(1.15, self.client.find)
        plant.schedule.at(1.35, self.client.subscribe)
        repeat(plant, self._rng, 7.2, 10.0, self.client.read)
        repeat(plant, self._rng, 181.4, 180.0, self.client.find)
        repeat(plant, self._rng, 241.6, 240.0, self.client.subscribe)
        plant.schedule.at(2.6, self._watch)
        plant.schedule.at(self._rng.uniform(45.0, 80.0), self._act)

    def restarted(self, at: float) -> None:
        """The controller is back, says so, and is subscribed to again."""
        self.controller.announce(self.client.talk, at)
        self.client.subscribe(at + 0.3)

    def _watch(self, at: float) -> None:
        self.controller.tell_changes(self.client.talk, at)
        self._plant.schedule.at(at + 1.0, self._watch)

    def _act(self, at: float) -> None:
        """The operator changes the room's setpoint between two presets, or stops the fan for a moment."""
        if not self.held and self._rng.random() < 0.5:
            self._second = not self._second
            self.client.write(at, SETPOINT, 20.5 if self._second else 20.0, OPERATOR)
        elif not self.held:
            self.client.write(at, FAN, 0, OPERATOR)
            later = at + self._rng.uniform(15.0, 25.0)
            self._plant.schedule.at(later, lambda then: self.client.write(then, FAN, 1, OPERATOR))
        self._plant.schedule.at(at + self._rng.uniform(50.0, 90.0), self._act)


def _value(tag: FieldTag, value: float) -> bytes:
    return e.enumerated(int(value)) if tag is FAN else e.real(value)
