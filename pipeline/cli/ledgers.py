"""What `fieldtap compact` and `fieldtap ledger` do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.cli.screen import Screen
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pipeline.ledger import Place
    from pipeline.ledger.repair import Messages
    from pipeline.owner import Stage
    from pipeline.store import Store


@dataclass(frozen=True, slots=True)
class Judging:
    """What a worker is started with: brokers and files."""

    kafka: str | None = None
    baseline: Path | None = None
    config: Path | None = None
    site: Path | None = None


def compact(url: str, run: str | None) -> None:
    """`fieldtap compact`.

    Raises:
        ConfigError: there is no ledger.
    """
    from pipeline.ledger.compact import compact as merge

    done = merge(_ledger(url), run)
    Screen().say(f"{url}: {done.rows:,} rows merged into {done.merged:,} files, {done.emptied:,} small ones emptied")


def teach(url: str, run: str, uids: Sequence[str], bootstrap: str, config: Path | None) -> None:
    """`fieldtap ledger teach`.

    Raises:
        ConfigError: there is no ledger, or marks do not reach a finding.
        BaselineError: no finding, or several, of an id.
        TransportError: Kafka does not answer.
    """
    from confluent_kafka import Producer

    from detectors.registry import load
    from pipeline.cli.commands import settings_of
    from pipeline.findings import fold, types_of
    from pipeline.ledger.view import findings
    from pipeline.transport import topics
    from pipeline.transport.settings import connect
    from pipeline.worker.orders import orders_of, send
    from pipeline.worker.topic import describe

    settings = settings_of(config)
    detectors = [load(name) for name in (*settings.enabled, *settings.across)]
    codes = {kind.uid: code for code, kind in types_of(detectors).items()}
    orders = orders_of(fold(findings(_ledger(url), run)), uids, codes)
    records = describe(bootstrap, settings, topics.RECORDS)
    producer = connect(Producer, settings.kafka.client(bootstrap, "producer"))
    send(producer, records.name, records.partitions, orders)
    Screen().say(f"{records.name}: {len(orders):,} findings taught as normal")


def _ledger(url: str) -> Store:
    from pipeline.store import open_store

    store = open_store(url)
    if not store.names("origin") and not store.names("epochs"):
        raise ConfigError(f"{url}: there is no ledger here: no worker ever began one")
    return store


def repair(url: str, place: Place, stop: int | None, judging: Judging) -> None:
    """`fieldtap ledger repair`.

    Raises:
        ConfigError: the ledger knows nothing of the place.
    """
    from pipeline.ledger import Chain
    from pipeline.ledger.repair import damage
    from pipeline.ledger.repair import repair as mend

    screen, chain = Screen(), Chain(_ledger(url), place)
    if not chain.starts():
        raise ConfigError(f"{place}: the ledger has no epoch of it; the alarm names run, topic and partition")
    chain.mend_origin()
    found = damage(chain)
    if found is None:
        screen.say(f"{place}: nothing is damaged")
        return
    covers = (
        "nothing says what it covered" if found.extent is None else f"it covered [{found.start}, {found.extent.next})"
    )
    screen.say(f"{found.reason}; {covers}")
    stage, messages, versions = recomputation(url, place, judging)
    done = mend(chain, stage, messages, stop=stop, versions=versions)
    if done is not None:
        told = {True: "are those", False: "DIFFER from those", None: "are new: none"}[done.agrees]
        screen.say(
            f"{place}: epoch [{done.epoch.start}, {done.epoch.next}) stands again, computed from the state at "
            f"{done.base}; its findings {told} that had been published"
        )


def recomputation(url: str, place: Place, judging: Judging) -> tuple[Stage, Messages, Mapping[str, str]]:
    """A stage as the partition's worker has it, a reader of the log, and the versions that an epoch tells.

    Raises:
        ConfigError: no Kafka was named, or it has no topic of this id.
        TransportError: Kafka does not answer.
    """
    if judging.kafka is None:
        raise ConfigError(f"{place}: --kafka: its end must be computed from the log; name the brokers")
    from pipeline.cli.workers import setup_of
    from pipeline.worker.compose import Deployment, recompute

    setup = setup_of(judging.config, judging.site, judging.baseline, place.run)
    deployment = Deployment(judging.kafka, url, setup, setup.config.worker)
    return recompute(deployment, place)
