"""Repair: a chain whose end is damaged gets that one epoch again, computed anew from the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.ledger.chain import Chain, ChainDamaged
from pipeline.ledger.epoch import Epoch, Extent, encode, extent_in
from pipeline.ledger.parquet import pack, unpack
from pipeline.ledger.place import LedgerError
from pipeline.ledger.publish import FRESH, files, published
from pipeline.store import StoreMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.owner import Message, Stage

Messages = Callable[[int, int], "Iterable[Sequence[Message]]"]
"""`messages(start, stop)`: the log's messages of offsets [start, stop), all of them, in order, in batches."""


class Damage(NamedTuple):
    """What is wrong with the end of a chain.

    Attributes:
        start: the damaged epoch.
        extent: what it covered; None where nothing says so any more.
        reason: what was found.
    """

    start: int
    extent: Extent | None
    reason: str


class Repaired(NamedTuple):
    """What repair did.

    Attributes:
        epoch: the epoch as it stands now.
        base: offset of the state from which it was computed.
        agrees: whether it gives the very rows that had been published; None where none had.
    """

    epoch: Epoch
    base: int
    agrees: bool | None


def damage(chain: Chain) -> Damage | None:
    """What is wrong with the end of the chain; None where nothing is.

    Raises:
        StoreUnclear: no clear answer.
        LedgerError: the damaged object contradicts what was published of it.
    """
    starts = chain.starts()
    if not starts:
        return None
    last = starts[-1][0]
    try:
        chain.verified(last)
    except ChainDamaged as error:
        reason = str(error)
    else:
        return None
    try:
        extent = extent_in(chain.store.read(chain.place.epoch(last)), chain.place, last)
    except StoreMissing:
        extent = None
    told = {f.next for f in published(chain.store, FRESH, chain.place.run) if (f.place, f.start) == (chain.place, last)}
    if len(told) > 1 or (extent is not None and told - {extent.next}):
        raise LedgerError(f"{chain.place}: epoch {last} says {extent}, but was published as ending at {sorted(told)}")
    if extent is None and told:
        extent = Extent(last, told.pop(), False)
    return Damage(last, extent, reason)


def repair(
    chain: Chain,
    stage: Stage,
    messages: Messages,
    *,
    stop: int | None = None,
    versions: Mapping[str, str] | None = None,
) -> Repaired | None:
    """Compute the damaged end of a chain anew, from the last whole state and the log, and put it in place.

    No worker may have the partition meanwhile: that is for who calls this to make sure.

    Args:
        chain: of the partition.
        stage: what computes, of the same version and settings as the one that made the epoch.
        messages: reads the log.
        stop: where the epoch ended, if nothing says so any more.
        versions: as in :class:`pipeline.owner.Owner`.

    Returns:
        None where nothing is damaged.

    Raises:
        StoreUnclear: no clear answer; repair again.
        LedgerError: it cannot be told what the epoch covered, or the log no longer has what is needed.
    """
    chain.mend_origin()
    found = damage(chain)
    if found is None:
        return None
    extent = _extent(chain, found, stop)
    base = _base(chain, found.start)
    at = chain.origin(_never) if base is None else base.next
    stage.restore(None if base is None else base.state)
    if at < extent.start:
        _feed(chain, stage, messages, at, extent.start)
        stage.freeze()
    _feed(chain, stage, messages, extent.start, extent.next)
    state, findings, sends, ended = stage.freeze()
    extent = extent._replace(ended=extent.ended or ended)
    data = encode(chain.place, extent, state, findings=findings, sends=sends, versions=versions)
    chain.store.replace(chain.place.epoch(extent.start), data)
    epoch = chain.verified(extent.start)
    return Repaired(epoch, at, _agrees(chain, epoch))


def _extent(chain: Chain, found: Damage, stop: int | None) -> Extent:
    if found.extent is None and stop is None:
        raise LedgerError(
            f"{chain.place}: nothing says any more where epoch {found.start} ended; give --next: the group's committed "
            "offset if it is later than that, else where the second stage waits for this partition"
        )
    extent = found.extent or Extent(found.start, stop or 0, False)
    if stop is not None and stop != extent.next:
        raise LedgerError(f"{chain.place}: epoch {found.start} ended at {extent.next}, not at {stop}")
    if extent.next <= extent.start:
        raise LedgerError(f"{chain.place}: an epoch that starts at {extent.start} cannot end at {extent.next}")
    return extent


def _base(chain: Chain, before: int) -> Epoch | None:
    for start, size in reversed(chain.starts()):
        if start < before and size:
            try:
                epoch = chain.verified(start)
            except ChainDamaged:
                continue
            if epoch.next <= before:
                return epoch
    return None


def _feed(chain: Chain, stage: Stage, messages: Messages, start: int, stop: int) -> None:
    at = start
    for batch in messages(start, stop):
        for message in batch:
            if message.offset != at:
                raise LedgerError(f"{chain.place}: the log gives message {message.offset} where {at} is needed")
            at += 1
        stage.take(batch)
    if at != stop:
        raise LedgerError(f"{chain.place}: the log ends at {at}, but messages up to {stop} are needed")


def _agrees(chain: Chain, epoch: Epoch) -> bool | None:
    told = [
        f.name
        for f in published(chain.store, FRESH, chain.place.run)
        if (f.place, f.start) == (chain.place, epoch.start)
    ]
    if not told:
        return None
    ours = dict(files(epoch))
    # Not all of its files need be there: its owner may have died while it published.
    return all(name in ours and _same(chain, name, ours[name]) for name in told)


def _same(chain: Chain, name: str, ours: bytes) -> bool:
    """Compared as bytes of one encoder, for there are NaNs among the rows."""
    there = chain.store.read(name)
    stem = name.rpartition("/")[2].removesuffix(".parquet")
    try:
        return there == ours or pack(unpack(there, name), stem) == ours
    except ValueError:
        return False


def _never() -> int:
    raise LedgerError("the chain has epochs, but no origin")
