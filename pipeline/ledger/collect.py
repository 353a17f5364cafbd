"""Collecting garbage: epochs that nobody needs any more lose their bytes, never their names."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.ledger.chain import Chain
from pipeline.ledger.epoch import Epoch, EpochDamaged
from pipeline.store import StoreMissing

_KEPT = 2
"""Epochs at the end of the chain that are kept: the end, and what it would be recomputed from."""


class Collected(NamedTuple):
    """Epochs emptied, and epochs found damaged on the way."""

    emptied: int
    damaged: int


def collect(chain: Chain) -> Collected:
    """Empty the epochs before the second-newest one that can be read back whole.

    Anyone may do this at any time, also beside the partition's owner.  The names stay: a worker that slept may still
    try to create an epoch there, and must be refused.

    Raises:
        StoreUnclear: no clear answer; what was emptied until then is emptied.
    """
    full = [start for start, size in reversed(chain.starts()) if size]
    whole = damaged = 0
    for at, start in enumerate(full):
        if whole == _KEPT:
            for old in reversed(full[at:]):
                chain.store.replace(chain.place.epoch(old), b"")
            return Collected(len(full) - at, damaged)
        if _is_whole(chain, start):
            whole += 1
        else:
            damaged += 1
    return Collected(0, damaged)


def _is_whole(chain: Chain, start: int) -> bool:
    try:
        Epoch(chain.store.read(chain.place.epoch(start)), chain.place, start)
    except (EpochDamaged, StoreMissing):
        return False
    return True
