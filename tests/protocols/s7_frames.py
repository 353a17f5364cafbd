"""Frames of S7comm built by hand, and a line between a client and a controller that talks with them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from pipeline.synth.encode.s7 import ACK_DATA, JOB, USER, connection, dt, filled, message, next_part, user
from tests.decode.packets import Packet, Talk


@dataclass
class Line:
    """A client and a controller on one connection; an answer has the number of the last job."""

    talk: Talk = field(default_factory=lambda: Talk(server_port=102).open())
    number: int = 0

    @property
    def packets(self) -> list[Packet]:
        return self.talk.packets

    def put(self, side: int, payload: bytes) -> Line:
        self.talk.send(side, payload)
        return self

    def connect(self, called: bytes = b"\1\2", calling: bytes = b"\1\0") -> Line:
        self.put(0, connection(0xE0, 0, 0x11, called, calling))
        return self.put(1, connection(0xD0, 0x11, 0x22, called, calling))

    def setup(self, size: int = 240) -> Line:
        parameters = struct.pack("!BBHHH", 0xF0, 0, 1, 1, size)
        return self.ask(parameters).answer(parameters)

    def ask(self, parameters: bytes, data: bytes = b"", *, side: int = 0) -> Line:
        self.number += 1
        return self.put(side, dt(message(JOB, self.number, parameters, data)))

    def answer(self, parameters: bytes, data: bytes = b"", error: int = 0, *, side: int = 1) -> Line:
        return self.put(side, dt(message(ACK_DATA, self.number, parameters, data, error)))

    def read(self, *items: bytes) -> Line:
        return self.ask(bytes([4, len(items)]) + filled(items))

    def values(self, *items: bytes) -> Line:
        return self.answer(bytes([4, len(items)]), filled(items))

    def write(self, *pairs: tuple[bytes, bytes]) -> Line:
        items, data = filled([item for item, _ in pairs]), filled([told for _, told in pairs])
        return self.ask(bytes([5, len(pairs)]) + items, data)

    def written(self, *codes: int) -> Line:
        return self.answer(bytes([5, len(codes)]), bytes(codes))

    def inquire(self, group: int, sub: int, data: bytes = b"") -> Line:
        self.number += 1
        return self.put(0, dt(message(USER, self.number, *user(4, group, sub, data))))

    def tell(self, group: int, sub: int, data: bytes = b"", **header: int) -> Line:
        """The answer to the last inquiry; `header` as of `user`."""
        parameters, told = user(8, group, sub, data, **header)
        return self.put(1, dt(message(USER, self.number, parameters, told)))

    def inquire_next(self, group: int, sub: int, number: int, part: int) -> Line:
        """The next part of an answer is asked for."""
        self.number += 1
        return self.put(0, dt(message(USER, self.number, next_part(group, sub, number, part), b"\x0a\0\0\0")))

    def push(self, group: int, sub: int, data: bytes = b"", number: int = 0) -> Line:
        """The controller sends without being asked."""
        parameters, told = user(0, group, sub, data, number=number)
        return self.put(1, dt(message(USER, 0, parameters, told)))
