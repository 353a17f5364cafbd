"""Values of devices that number their points: which quantity each shows, and what counts as a change of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.synth.wire import Host
from schemas.codes import Space


@dataclass(frozen=True, slots=True)
class FieldTag:
    """One value.

    Attributes:
        name: as operators call it.
        space, addr, addr_sub, unit_id: where records and the site file have it.
        source: attribute of the area that it shows.
        unit: engineering unit.
        deadband: change after which the device reports it unasked.
    """

    name: str
    space: Space
    addr: int
    source: str
    unit: str = ""
    deadband: float = 0.0
    addr_sub: int = 0
    unit_id: int = 0


@dataclass(frozen=True, slots=True)
class FieldDevice:
    """A device or a client as the site file names it; `zone` and `role` are those of the file."""

    host: Host
    zone: str
    role: str
    tags: tuple[FieldTag, ...] = ()


class Reports:
    """What was last told of each tag, so that only changes are told again."""

    def __init__(self, tags: Iterable[FieldTag]) -> None:
        self._tags = tuple(tags)
        self._told: dict[FieldTag, float] = {}

    def changed(self, area: Area) -> list[tuple[FieldTag, float]]:
        """Tags whose value left the deadband around what was told, with the value; told from now on."""
        found = []
        for tag in self._tags:
            value = area.read(tag.source)
            told = self._told.setdefault(tag, value)
            if value != told and abs(value - told) >= tag.deadband:
                self._told[tag] = value
                found.append((tag, value))
        return found


class Area:
    """A part of the works: attributes named like instruments are what its device sees.

    Attributes:
        bias: instruments that show too much, by how much.
    """

    def __init__(self) -> None:
        self.bias: dict[str, float] = {}

    def read(self, source: str) -> float:
        """What the instrument shows."""
        return float(getattr(self, source)) + self.bias.get(source, 0.0)
