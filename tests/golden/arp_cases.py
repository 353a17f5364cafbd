"""The packets of the golden capture of ARP: claims of addresses among a conversation."""

from __future__ import annotations

from tests.decode.packets import CLIENT_MAC, MS, SECOND, SERVER_MAC, START_NS, Packet, address, polls
from tests.golden.registry import case

CLIENT, SERVER, NOBODY = "10.0.0.1", "10.0.0.2", "0.0.0.0"
STRANGER, EVERYBODY = bytes.fromhex("0200000000ee"), b"\xff" * 6


def arp(operation: int, mac: bytes, own: str, asked: str, to: bytes = EVERYBODY, tags: bytes = b"") -> bytes:
    """An ARP packet for IPv4 over Ethernet (RFC 826)."""
    body = b"\x00\x01\x08\x00\x06\x04" + operation.to_bytes(2, "big") + mac + address(own)
    body += (bytes(6) if operation == 1 else to) + address(asked)
    return to + mac + tags + b"\x08\x06" + body.ljust(46, b"\0")


@case
def arp_claims() -> list[Packet]:
    """Who claims an address: a request and its answer, the same at once (no record) and after ten seconds, a probe (no
    record), an announcement in a VLAN, then a stranger and the owner in turn.  Before the first poll nothing."""
    asked = arp(1, CLIENT_MAC, CLIENT, SERVER)
    owned = arp(2, SERVER_MAC, SERVER, CLIENT, CLIENT_MAC)
    taken = arp(2, STRANGER, SERVER, CLIENT, CLIENT_MAC)
    talk = polls(1)
    later = talk.packets[-1].ts
    frames = [
        (1, asked),
        (2, owned),
        (3, asked),
        (4, owned),
        (10_002, owned),
        (10_010, arp(1, SERVER_MAC, NOBODY, SERVER)),
        (10_020, arp(1, SERVER_MAC, SERVER, SERVER, tags=b"\x81\x00\x00\x07")),
        (11_000, taken),
        (11_100, owned),
        (11_200, taken),
        (11_300, taken),
    ]
    before = [Packet(START_NS - SECOND, asked), Packet(START_NS - SECOND + MS, owned)]
    return [*before, *talk.packets, *(Packet(later + ms * MS, frame) for ms, frame in frames)]
