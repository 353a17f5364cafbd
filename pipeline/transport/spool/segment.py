"""Segment: one file of the spool, and what its frames come to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.transport.message import Header, Newer, Poison
from pipeline.transport.spool.frames import FrameKind, frames
from pipeline.transport.spool.standing import Loss, Losses, Standing, add_losses, parse_losses


@dataclass(slots=True)
class Segment:
    """What is known of one segment.

    Attributes:
        number: of the file.
        size: bytes of whole frames.
        holds: messages in it by partition, as what would be lost with them.
        told: losses that its messages tell of, which would be untold without them.
    """

    number: int
    size: int = 0
    holds: Losses = field(default_factory=dict)
    told: Losses = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the file."""
        return f"{self.number:020d}.segment"

    def take(self, header: Header, partition: int, told: Mapping[int, Loss]) -> None:
        """A message stands in it."""
        add_losses(self.holds, {partition: Loss.of(header, "")})
        add_losses(self.told, told)


def replay(path: Path, segment: Segment, standing: Standing | None) -> tuple[Standing | None, Losses, list[int]]:
    """Read a segment into `segment`; `standing` is that at the end of the one before.

    Returns:
        The standing at its end, None where it has no whole first frame; what the segment before it held and cannot be
        read; segments of which it says that they were dropped.
    """
    damaged: Losses = {}
    dropped: list[int] = []
    first = True
    for found in frames(path):
        if first:
            if found.kind is not FrameKind.STANDING:
                return None, damaged, dropped
            later = Standing.parse(found.payload)
            damaged = standing.missing_to(later, "spool damaged") if standing is not None else {}
            standing, first = later, False
            add_losses(standing.losses, damaged)
            segment.size = found.end
        elif standing is not None and found.kind is FrameKind.MESSAGE:
            try:
                header = Header.parse(found.message[0])
            except (Poison, Newer):
                break
            told = standing.follow(found)
            segment.take(header, found.partition, told)
            segment.size = found.end
        elif standing is not None and found.kind is FrameKind.LOSS:
            told_of = json.loads(found.payload)
            dropped += told_of["segments"]
            add_losses(standing.losses, parse_losses(told_of["losses"]))
            segment.size = found.end
    return (None if first else standing), damaged, dropped
