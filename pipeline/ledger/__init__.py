"""The ledger: per partition a chain of epochs that can each become true only once, and the findings published of it."""

from __future__ import annotations

from pipeline.ledger.chain import Chain, ChainDamaged, Taken
from pipeline.ledger.epoch import Epoch, EpochDamaged, Extent, encode
from pipeline.ledger.place import LedgerError, Place
from pipeline.ledger.publish import Publisher

__all__ = [
    "Chain",
    "ChainDamaged",
    "Epoch",
    "EpochDamaged",
    "Extent",
    "LedgerError",
    "Place",
    "Publisher",
    "Taken",
    "encode",
]
