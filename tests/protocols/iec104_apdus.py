"""APDUs of IEC 60870-5-104 built by hand, and stations that talk with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipeline.synth.encode.iec104 import ACT, ACTCON, ACTTERM, STARTDT, STARTDT_CON, asdu, i_frame, s_frame, u_frame
from tests.decode.packets import Packet, Talk

NOON = datetime(2026, 1, 1, 12, 0, 1, 250_000, UTC)


@dataclass
class Stations:
    """A controlling and a controlled station that count their frames as they should."""

    talk: Talk = field(default_factory=lambda: Talk(server_port=2404).open())
    sent: list[int] = field(default_factory=lambda: [0, 0])
    master: int = 0
    """Side of the controlling station."""

    @property
    def packets(self) -> list[Packet]:
        return self.talk.packets

    def frame(self, side: int, body: bytes) -> bytes:
        """The next I frame of a side."""
        found = i_frame(self.sent[side], self.sent[1 - side], body)
        self.sent[side] = (self.sent[side] + 1) % 32768
        return found

    def ask(self, *bodies: bytes) -> Stations:
        """I frames of the controlling station in one segment."""
        self.talk.send(self.master, b"".join(self.frame(self.master, body) for body in bodies))
        return self

    def tell(self, *bodies: bytes) -> Stations:
        """I frames of the controlled station in one segment."""
        self.talk.send(1 - self.master, b"".join(self.frame(1 - self.master, body) for body in bodies))
        return self

    def acknowledge(self, side: int = 0) -> Stations:
        self.talk.send(side, s_frame(self.sent[1 - side]))
        return self

    def control(self, side: int, code: int) -> Stations:
        self.talk.send(side, u_frame(code))
        return self

    def start(self) -> Stations:
        return self.control(self.master, STARTDT).control(1 - self.master, STARTDT_CON)

    def command(self, number: int, address: int, element: bytes, *, ends: bool = True, ca: int = 1) -> Stations:
        """Activation, its confirmation and, where it ends, its termination."""
        for side, cause in ((0, ACT), (1, ACTCON), (1, ACTTERM))[: 3 if ends else 2]:
            (self.tell if side else self.ask)(asdu(number, cause, (address, element), ca=ca, oa=3))
        return self
