"""The reviewed list of places where another parser is wrong: `deviations.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.oracle.compare import Difference
from tests.oracle.data import tshark_version
from tests.oracle.message import FIELDS
from tests.oracle.references import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One entry of the list; its fields are explained there."""

    parser: str
    version: str
    capture: str
    places: tuple[int | str, ...]
    field: str
    clause: str
    reason: str
    ours: str = ""
    theirs: str = ""
    relation: str = ""

    def covers(self, difference: Difference) -> bool:
        """Whether this entry is about that difference."""
        if difference.field != self.field or not ("*" in self.places or difference.place in self.places):
            return False
        if self.relation == "only ours":
            return difference.theirs is None and str(difference.ours) in self.ours.splitlines()
        if self.relation == "beginning":
            return tuple(difference.theirs[: len(difference.ours)]) == tuple(difference.ours)
        return (str(difference.ours), str(difference.theirs)) == (self.ours, self.theirs)


def load() -> tuple[Deviation, ...]:
    """The list, in its order.

    Raises:
        ValueError: an entry names no known field or relation, or gives no reason.
    """
    tables = [tomllib.loads(path.read_text()) for path in sorted(Path(__file__).parent.glob("deviations*.toml"))]
    entries = [entry for table in tables for entry in table["deviation"]]
    found = tuple(Deviation(**entry | {"places": tuple(entry["places"])}) for entry in entries)
    for entry in found:
        if (
            entry.field not in FIELDS
            or entry.relation not in ("", "beginning", "only ours")
            or not (entry.clause and entry.reason)
        ):
            raise ValueError(f"deviations.toml: {entry}")
    return found


def of(reference: Reference) -> tuple[Deviation, ...]:
    """The entries about one parser and capture."""
    return tuple(d for d in load() if (d.parser, d.capture) == (reference.parser, reference.capture))


def split(reference: Reference, differences: Sequence[Difference]) -> tuple[list[Difference], list[Difference]]:
    """Differences that the list explains, and those that it does not."""
    known = of(reference)
    explained = [difference for difference in differences if any(entry.covers(difference) for entry in known)]
    return explained, [difference for difference in differences if difference not in explained]


def unused(reference: Reference, differences: Sequence[Difference]) -> list[Deviation]:
    """Entries that did not occur, although they were written for the version that ran."""
    return [
        entry
        for entry in of(reference)
        if not any(entry.covers(difference) for difference in differences)
        and (not reference.needs_tshark or entry.version == tshark_version())
    ]
