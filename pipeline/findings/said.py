"""What numbers of a finding stand for, where they are no quantities: MAC addresses, and what devices say they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pipeline import names as readable
from schemas.codes import Space

_SHIFT = 11
"""Evidence carries the first 53 bits of a name's id, which a float64 holds: `detectors.kernels.identity`."""


def mac_of(value: float) -> str:
    """A MAC address that is given as a number; empty for none."""
    return readable.mac_text(int(value)) if math.isfinite(value) else ""


class Names(Mapping[int, str]):
    """Names of a baseline beside names that are met, which may grow."""

    def __init__(self, learned: Mapping[int, str], met: Mapping[int, str]) -> None:
        self._parts = learned, met

    def __getitem__(self, name: int) -> str:
        learned, met = self._parts
        return learned[name] if name in learned else met[name]

    def __iter__(self) -> Iterator[int]:
        learned, met = self._parts
        yield from learned
        yield from (name for name in met if name not in learned)

    def __len__(self) -> int:
        return sum(map(len, self._parts))


class Said:
    """Texts of what devices say of themselves.

    Args:
        names: texts of name ids; may grow.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names
        self._ids: dict[int, int] = {}
        self._looked = 0

    def text(self, protocol: int, space: int, role: int, value: float) -> str:
        """What evidence carries as `value` of a role; a name that is not known reads `name:` and its digits."""
        if not math.isfinite(value):
            return ""
        if value >= 0:
            own = readable.identity_text(protocol, role, value) if space == Space.IDENTITY else ""
            return own or f"{value:.0f}"
        start = int(-value)
        if start not in self._ids and len(self._names) != self._looked:
            self._ids = {name >> _SHIFT: name for name in self._names}
            self._looked = len(self._names)
        known = self._ids.get(start)
        return readable.visible(self._names[known]) if known is not None else f"name:{start << _SHIFT:016x}"
