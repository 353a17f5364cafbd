"""What a protocol module gives: three kernels, its ports, and the tables that name what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.codes import Protocol


def number_text(identity: int, value: float) -> str:
    """A number of an identity in digits."""
    return f"{value:.0f}" if value == int(value) else f"{value:g}"


def only_name(name: str, addr: int, addr_sub: int) -> str:
    """The name, which tells all."""
    return name


@dataclass(frozen=True, slots=True)
class ProtocolNames:
    """Readable names of a protocol's numbers, for every surface that shows them.

    Attributes:
        protocol: whose names these are.
        functions: name of each function code.
        subfunctions: name of each (function, sub-function).
        statuses: name of each error or exception code.
        tag: (space, addr, addr_sub, register_base) to the tag's conventional name, such as `hr:40001`.
        objects: name of each (space, addr) with a fixed meaning, such as a device identification object.
        named: (name, addr, addr_sub) to the text of a point that the wire names, where the address tells more.
        identity: the text of an Identity that the protocol gives as a number, such as a vendor's.
    """

    protocol: Protocol
    functions: Mapping[int, str]
    tag: Callable[[int, int, int, int], str]
    subfunctions: Mapping[tuple[int, int], str] = field(default_factory=dict)
    statuses: Mapping[int, str] = field(default_factory=dict)
    objects: Mapping[tuple[int, int], str] = field(default_factory=dict)
    named: Callable[[str, int, int], str] = only_name
    identity: Callable[[int, float], str] = number_text


@dataclass(frozen=True, slots=True)
class ProtocolModule:
    """One protocol as decode uses it.

    Attributes:
        protocol: its number.
        tcp_ports, udp_ports: ports on which it is expected.
        kernels: compiles and returns (frame, head, body), see `pipeline.decode.signatures`.
        stream: whether PDUs may span TCP segments (they may start anywhere in the byte stream).
    """

    protocol: Protocol
    tcp_ports: tuple[int, ...]
    udp_ports: tuple[int, ...]
    kernels: Callable[[], tuple[Any, Any, Any]]
