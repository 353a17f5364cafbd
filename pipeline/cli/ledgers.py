"""What `fieldtap compact` and `fieldtap ledger` do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.cli.screen import Screen
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.ledger import Place
    from pipeline.ledger.repair import Messages
    from pipeline.owner import Stage


def compact(url: str, run: str | None) -> None:
    """`fieldtap compact`."""
    from pipeline.ledger.compact import compact as merge
    from pipeline.store import open_store

    done = merge(open_store(url), run)
    Screen().say(f"{url}: {done.rows:,} rows merged into {done.merged:,} files, {done.emptied:,} small ones emptied")


def repair(url: str, place: Place, stop: int | None, config: Path | None) -> None:
    """`fieldtap ledger repair`."""
    from pipeline.ledger import Chain
    from pipeline.ledger.repair import damage
    from pipeline.ledger.repair import repair as mend
    from pipeline.store import open_store

    screen, chain = Screen(), Chain(open_store(url), place)
    chain.mend_origin()
    found = damage(chain)
    if found is None:
        screen.say(f"{place}: nothing is damaged")
        return
    covers = (
        "nothing says what it covered" if found.extent is None else f"it covered [{found.start}, {found.extent.next})"
    )
    screen.say(f"{found.reason}; {covers}")
    stage, messages, versions = recomputation(place, config)
    done = mend(chain, stage, messages, stop=stop, versions=versions)
    if done is not None:
        told = {True: "are those", False: "DIFFER from those", None: "are new: none"}[done.agrees]
        screen.say(
            f"{place}: epoch [{done.epoch.start}, {done.epoch.next}) stands again, computed from the state at "
            f"{done.base}; its findings {told} that had been published"
        )


def recomputation(place: Place, config: Path | None) -> tuple[Stage, Messages, Mapping[str, str]]:
    """A stage as the partition's worker has it, a reader of the log, and the versions that an epoch tells.

    Raises:
        ConfigError: the log cannot be read.
    """
    raise ConfigError(f"{place}: {config or 'no --config'}: this version cannot read the log from Kafka")
