"""DNP3 built by hand: link frames with their CRCs, transport segments, fragments and objects; stations that talk."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from pipeline.synth.encode.dnp3 import ALL, CON, MASTER, OUTSTATION, RESPONSE, UNS, UNSOLICITED, link, segments
from tests.decode.packets import Packet, Talk


@dataclass
class Line:
    """A master and an outstation on one connection, which number their segments and fragments as they should."""

    talk: Talk = field(default_factory=lambda: Talk(server_port=20_000).open())
    master: int = MASTER
    outstation: int = OUTSTATION
    udp: bool = False
    transport: list[int] = field(default_factory=lambda: [0, 0])
    sequence: int = 0
    unsolicited: int = 0

    @property
    def packets(self) -> list[Packet]:
        return self.talk.packets

    def frames(self, side: int, fragment: bytes, size: int = 249) -> list[bytes]:
        """The link frames of a fragment from the master (side 0) or the outstation."""
        to, by = (self.master, self.outstation) if side else (self.outstation, self.master)
        pieces = segments(fragment, self.transport[side], size)
        self.transport[side] = (self.transport[side] + len(pieces)) % 64
        return [link(piece, control=0x44 if side else 0xC4, to=to, by=by) for piece in pieces]

    def put(self, side: int, payload: bytes) -> Line:
        if self.udp:
            self.talk.datagram(side, payload)
        else:
            self.talk.send(side, payload)
        return self

    def send(self, side: int, fragment: bytes, size: int = 249) -> Line:
        """A fragment, all its frames in one segment."""
        return self.put(side, b"".join(self.frames(side, fragment, size)))

    def ask(self, function: int, objects: bytes = b"", control: int = ALL) -> Line:
        """A request with the next sequence number."""
        self.sequence = (self.sequence + 1) % 16
        return self.send(0, bytes([control | self.sequence, function]) + objects)

    def answer(self, objects: bytes = b"", iin: int = 0, control: int = ALL, size: int = 249) -> Line:
        """The response to the last request; `iin` has the first octet in its low byte."""
        return self.send(1, bytes([control | self.sequence, RESPONSE]) + struct.pack("<H", iin) + objects, size)

    def confirm(self, uns: int = 0) -> Line:
        """The master's confirmation of the last response, or of the last unsolicited one."""
        sequence = (self.unsolicited - 1) % 16 if uns else self.sequence
        return self.send(0, bytes([ALL | uns | sequence, 0]))

    def report(self, objects: bytes = b"", iin: int = 0, control: int = ALL | CON | UNS) -> Line:
        """An unsolicited response."""
        fragment = bytes([control | self.unsolicited, UNSOLICITED]) + struct.pack("<H", iin) + objects
        self.unsolicited = (self.unsolicited + 1) % 16
        return self.send(1, fragment)
