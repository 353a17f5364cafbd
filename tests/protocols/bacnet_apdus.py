"""BACnet/IP messages built by hand, from tags up, and devices that talk with them."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.synth.encode.bacnet import UNICAST, bvll, complex_ack, ctx, npdu, property_of, request, simple_ack, within
from tests.decode.packets import Packet, Talk


@dataclass
class Devices:
    """A client and a device that speak BACnet/IP from the same port, as most do."""

    talk: Talk = field(default_factory=lambda: Talk(port=47808, server_port=47808))

    @property
    def packets(self) -> list[Packet]:
        return self.talk.packets

    def put(self, side: int, message: bytes) -> Devices:
        self.talk.datagram(side, message)
        return self

    def ask(self, apdu: bytes, **network: bytes) -> Devices:
        return self.put(0, bvll(UNICAST, npdu(apdu, expects=True, **network)))

    def tell(self, apdu: bytes, **network: bytes) -> Devices:
        return self.put(1, bvll(UNICAST, npdu(apdu, **network)))

    def read(self, invoke: int, thing: int, sub: int, *values: bytes, index: int | None = None) -> Devices:
        """ReadProperty and its answer."""
        about = property_of(thing, sub, index)
        self.ask(request(12, invoke, about))
        return self.tell(complex_ack(12, invoke, about + within(3, b"".join(values))))

    def write(self, invoke: int, thing: int, sub: int, value: bytes, priority: int = 0) -> Devices:
        """WriteProperty and its acknowledgement."""
        body = property_of(thing, sub) + within(3, value) + (ctx(4, priority) if priority else b"")
        self.ask(request(15, invoke, body))
        return self.tell(simple_ack(15, invoke))
