"""How a worker works: `[worker]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How often what was found becomes true, and what may wait meanwhile.

    None of these changes what is found; they change when.
    """

    run: str = "live"
    """Name of the ledger's run: another name starts another chain at the log's start, beside the old one."""
    start: Literal["earliest", "latest"] = "earliest"
    """Where a run begins that has no ledger yet."""
    group: str = "fieldtap-detect"
    """Consumer group; with the run's name behind it."""
    protocol: Literal["consumer", "classic"] = "consumer"
    """Group protocol: "consumer" (KIP-848, brokers from 4.0 on) or "classic" (cooperative-sticky)."""
    epoch_s: float = 5.0
    """Seconds after which an epoch of a partition is written, where anything came."""
    epoch_mb: int = 64
    """MiB of messages after which it is written before that."""
    backlog: int = 2
    """Epochs of a partition that may wait to be written; beyond it the partition is paused."""
    revoke_s: float = 20.0
    """Seconds for finishing epochs when partitions are taken away; what is not done then, the next owner does again."""
    io_threads: int = 4
    """Threads that write to the store."""
    fetch_messages: int = 256
    """Messages taken from the client at once, at most."""
    probe_every: int = 0
    """Write a row for every record whose number is a multiple of this; 0 for none.  For tests of delivery."""
