"""Modbus clients of the plant: exchanges on a connection, cyclic polling, and the rare visits of engineering."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from random import Random

from pipeline.synth.server import Server, pack_bits, pack_words
from pipeline.synth.wire import UNMARKED, Connection, Host, Tap

Exchange = tuple[int, bytes]
"""Unit and request PDU."""

ANSWER_TIMEOUT_S = 1.0
_RETRANSMIT_S = 0.2
_LOST = 1 / 3000
"""Share of requests, and half the share of answers, that get lost behind the mirror port."""


def read(func: int, addr: int, count: int) -> bytes:
    """A request of function 1 to 4."""
    return struct.pack("!BHH", func, addr, count)


def write_coil(addr: int, on: bool) -> bytes:
    """A request of function 5."""
    return struct.pack("!BHH", 5, addr, 0xFF00 if on else 0)


def write_register(addr: int, value: int) -> bytes:
    """A request of function 6."""
    return struct.pack("!BHH", 6, addr, value)


def write_coils(addr: int, bits: list[int]) -> bytes:
    """A request of function 15."""
    body = pack_bits(bits)
    return struct.pack("!BHHB", 15, addr, len(bits), len(body)) + body


def write_registers(addr: int, values: list[int]) -> bytes:
    """A request of function 16."""
    return struct.pack("!BHHB", 16, addr, len(values), 2 * len(values)) + pack_words(values)


def read_write(addr: int, count: int, at: int, values: list[int]) -> bytes:
    """A request of function 23: read `count` registers from `addr` after writing `values` from `at` on."""
    return struct.pack("!BHHHHB", 23, addr, count, at, len(values), 2 * len(values)) + pack_words(values)


IDENTIFY = bytes([43, 14, 1, 0])
"""Read device identification, basic, as a stream."""


class Session:
    """A client's connection to a server, with its transaction numbers.

    Attributes:
        exchanges: how many requests were sent.
        relayed: what an answer becomes on its way through a host in between, given unit, request and answer.
        forged: what an intruder answers ahead of the server, given unit, request and answer; None for nothing.
        heard: told each exchange's time, unit, request and answer.
    """

    def __init__(self, tap: Tap, client: Host, server: Server, port: int, rng: Random) -> None:
        self.server = server
        self.client = client
        self.link = Connection(tap, client, server.host, port, rng)
        self.exchanges = 0
        self.relayed: Callable[[int, bytes, bytes], bytes] | None = None
        self.forged: Callable[[int, bytes, bytes], bytes | None] | None = None
        self.forger: tuple[Host, int] | None = None
        self.heard: Callable[[float, int, bytes, bytes], None] | None = None
        self._tap = tap
        self._rng = rng
        # An attack's exchanges draw from their own source, so that the clean ones around them stay as they are.
        self._aside = Random(rng.getrandbits(32))  # noqa: S311
        self._txn = rng.getrandbits(16)

    def reconnect(self, at: float, port: int) -> float:
        """End the connection and open another; gives the time after it."""
        self.link.close(at)
        relay, self.link = self.link.relay, Connection(self._tap, self.client, self.server.host, port, self._rng)
        self.link.relay = relay
        return self.link.open(at + 0.5)

    def ask(self, at: float, unit: int, pdu: bytes, mark: int = UNMARKED, *, steady: bool = False) -> float:
        """One exchange; gives the time at which it is over.  A `steady` one is never lost on the way."""
        self._txn = self._txn + 1 & 0xFFFF
        self.exchanges += 1
        request = self._frame(unit, pdu)
        if not steady and self._rng.random() < _LOST:
            self.link.send(at, 0, request, mark, lost=True)
            at += _RETRANSMIT_S
        self.link.send(at, 0, request, mark)
        answer = self.server.answer(unit, pdu, None if steady else self._rng)
        if answer is None:
            return at + ANSWER_TIMEOUT_S
        if self.heard is not None:
            self.heard(at, unit, pdu, answer)
        done = at + self.server.think(self._rng if mark == UNMARKED else self._aside)
        if mark == UNMARKED:
            mark = self.server.mark(unit, pdu)
        if self.relayed is not None:
            answer = self.relayed(unit, pdu, answer)
        forged = self._forge(at, done, unit, pdu, answer)
        frame = self._frame(unit, answer)
        done = self._respond(done, frame, mark if forged == UNMARKED else forged, steady or forged != UNMARKED)
        if forged != UNMARKED:
            self.link.acknowledge(done + 0.0001, 0, forged)
        return done

    def _respond(self, at: float, payload: bytes, mark: int, steady: bool) -> float:
        """Send the answer, twice where the first is lost; gives the time at which it arrived."""
        if not steady and self._rng.random() < _LOST / 2:
            self.link.send(at, 1, payload, mark, lost=True)
            at += _RETRANSMIT_S
        self.link.send(at, 1, payload, mark)
        return at

    def _frame(self, unit: int, pdu: bytes) -> bytes:
        return struct.pack("!HHHB", self._txn, 0, len(pdu) + 1, unit) + pdu

    def _forge(self, at: float, done: float, unit: int, pdu: bytes, answer: bytes) -> int:
        """Put a false answer ahead of the true one; gives its mark, or none."""
        if self.forged is None or self.forger is None:
            return UNMARKED
        false = self.forged(unit, pdu, answer)
        if false is None:
            return UNMARKED
        intruder, mark = self.forger
        intruder.idents += 1
        self.link.inject(at + (done - at) * 0.4, self._frame(unit, false), intruder, intruder.idents, mark)
        return mark


class Poller:
    """A client that asks a server for the same blocks again and again.

    Attributes:
        session: its connection.
        blocks: what it asks for in every cycle.
        commands: what it is to send at the start of the next cycle, with the attack each belongs to.
        new_port: port of a connection to be opened in place of the present one, at the next cycle; 0 for none.
    """

    def __init__(self, session: Session, blocks: list[Exchange], period_s: float, rng: Random) -> None:
        self.session = session
        self.blocks = blocks
        self.period_s = period_s
        self.commands: deque[tuple[int, bytes, int]] = deque()
        self.new_port = 0
        self._rng = rng

    def command(self, unit: int, pdu: bytes, mark: int = UNMARKED) -> None:
        """Send `pdu` at the start of the next cycle."""
        self.commands.append((unit, pdu, mark))

    def cycle(self, at: float) -> float:
        """Ask for all blocks from `at` on; gives the time after the last answer."""
        now = at
        if self.new_port:
            now = self._reconnect(at)
        while self.commands:
            unit, pdu, mark = self.commands.popleft()
            now = self.session.ask(now, unit, pdu, mark, steady=True) + 0.0006
        for unit, pdu in self.blocks:
            now = self.session.ask(now, unit, pdu) + self._pause()
        self.session.link.settle(now)
        return now

    def greet(self, at: float) -> float:
        """Identification of every unit, as after every handshake; gives the time after it."""
        for unit in sorted({unit for unit, _ in self.blocks}):
            at = self.session.ask(at + 0.001, unit, IDENTIFY, steady=True)
        return at

    def _reconnect(self, at: float) -> float:
        now = self.session.reconnect(at, self.new_port)
        self.new_port = 0
        return self.greet(now) + self._pause()

    def next_time(self, at: float, done: float) -> float:
        """When the cycle after the one of `at` begins."""
        wanted = at + self.period_s + self._rng.gauss(0, 0.002)
        return max(wanted, done + 0.01)

    def _pause(self) -> float:
        return 0.0004 + 0.0004 * self._rng.random()
