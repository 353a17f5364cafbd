"""Learning: LEARN collects, SHADOW calibrates and says nothing, LIVE alarms; by record time alone.

SHADOW is the last quarter of a value's learning.  Existence has nothing to calibrate: LEARN lasts until LIVE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """How long what is seen counts as normal where no baseline says so."""

    mode: Literal["learn", "detect"] = "detect"
    """Whether everything is normal and nothing alarms ("learn"), or only for a while ("detect")."""
    start_ns: int | None = None
    """Record time at which the site's learning starts, the same for every worker: the first record of the input.
    None: each device bucket starts at its own first record."""
    site_s: float = 300.0
    """Learning time of the site, for who talks to whom and asks for what."""
    value_s: float = 300.0
    """Learning time of a value, from its own first sight."""
    value_samples: int = 60
    """Values that a tag must have shown before it is judged, however long that takes."""
    budget_per_day: float = 10.0
    """False alarms a day that the site bears: a baseline's margins are as wide as they must be for it."""
    write_samples: int = 10
    """The same for values written to a tag, which are far fewer."""
    infer_types: bool = True
    """Whether `fieldtap learn` first reads its input once to tell what registers hold that the site file gives no
    type."""

    @property
    def learns_only(self) -> bool:
        """Whether nothing may alarm."""
        return self.mode == "learn"

    @property
    def site_ns(self) -> int:
        """`site_s` in nanoseconds."""
        return int(self.site_s * SECOND_NS)

    @property
    def value_ns(self) -> int:
        """`value_s` in nanoseconds."""
        return int(self.value_s * SECOND_NS)
