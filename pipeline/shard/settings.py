"""Settings of a shard and of its spool; light, so that settings can be read without what they are for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSettings:
    """How a shard makes messages."""

    batch_ms: int = 200
    """A message is cut when its first record waited so long, by the shard's clock; this moves cuts, never contents."""
    batch_kb: int = 2048
    """A message is cut at so many KiB of columns, before they are packed to a tenth or so."""
    partitions: int = 0
    """Partitions of the topic of records, to start where Kafka cannot be asked; 0 asks, and waits for an answer."""
    clock_step_s: float = 3600.0
    """A step of record time by more than this begins a new boot: what came before is not to make it late."""
    stop_s: float = 10.0
    """When asked to stop: how long what is spooled may still go to Kafka; the rest goes at the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSettings:
    """How messages are kept until Kafka has them."""

    budget_mb: int = 4096
    """Bytes on disk at most, in MiB; beyond, `policy` decides."""
    segment_mb: int = 64
    """Bytes of one file, in MiB: what `drop_oldest` drops at once.  It is an eighth of the budget at most."""
    policy: Literal["drop_oldest", "drop_newest", "block"] = "drop_oldest"
    """Beyond the budget the oldest file that is not being sent goes, the new message goes, or reading waits."""
    sync_ms: int = 150
    """A message is synced to disk after so long at most …"""
    sync_mb: int = 4
    """… or when so much is unsynced, in MiB.  What is unsynced a power failure can take."""
