"""Decoder: packet blocks in, batches of records out, with all state of flows and pairing between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from detectors.columns import Columns
from pipeline.capture.block import PacketBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSettings:
    """How packets are read."""

    site: str = ""
    """Name of the site: part of every device id, so that two sites' archives can be joined."""
    vlan_tells_devices_apart: bool = False
    """Whether the same address in another VLAN is another device."""
    request_timeout_s: float = 5.0
    """After how long, by record time, an unanswered request becomes a timeout row."""
    max_flows: int = 1 << 20
    """Flows remembered at once; the longest silent are forgotten, and counted."""


class Decoder:
    """One shard's decode.  Feed it blocks in order; it keeps no view of a block."""

    def __init__(self, settings: DecodeSettings | None = None) -> None:
        self.settings = settings or DecodeSettings()

    def feed(self, block: PacketBlock) -> Iterator[Columns]:
        """The records that `block` completes, in batches of at most 32,768.

        A batch's memory is given back for reuse when the last view of it is gone.
        """
        raise NotImplementedError

    def finish(self) -> Iterator[Columns]:
        """What the end of bounded input completes: streams with holes, and nothing else."""
        raise NotImplementedError

    def health(self) -> list[tuple[str, str, str, int]]:
        """(stage, counter, reason, value) rows for HEALTH so far."""
        raise NotImplementedError

    def names(self) -> Mapping[int, str]:
        """Names met so far: name id to text."""
        raise NotImplementedError
