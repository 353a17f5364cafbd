"""`fieldtap topics`: make the topics, or see whether they are as they must be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.screen import Screen
from pipeline.config import load
from pipeline.errors import TransportError
from pipeline.show import print_table
from pipeline.show.tables import Shown
from pipeline.transport import topics as wanted

if TYPE_CHECKING:
    from pipeline.transport.topics import Topics


def _open(kafka: str, config: Path | None, file: Path | None) -> Topics:
    return wanted.Topics(kafka, load(config).kafka, wanted.load(file))


def apply(kafka: str, config: Path | None, file: Path | None) -> None:
    """Print what was made or changed.

    Raises:
        ConfigError, TransportError: see :meth:`pipeline.transport.topics.Topics.apply`.
    """
    screen = Screen()
    lines = _open(kafka, config, file).apply()
    screen.say(next(lines, "all topics are as they must be"))
    for line in lines:
        screen.say(line)


def replay_parked(kafka: str, config: Path | None) -> None:
    """Put parked messages back, and print what became of them.

    Raises:
        ConfigError, TransportError: see :func:`pipeline.worker.parked.replay`.
    """
    from pipeline.worker.parked import replay

    screen, done = Screen(), replay(kafka, load(config))
    screen.say(f"{done.topic}: {done.sent:,} parked messages put back, {done.records:,} records")
    for n, what in (
        (done.there, "had been put back before"),
        (done.newer, "are newer than this version still"),
        (done.passed, f"were not put back: {_PASSED}"),
        (done.overtaken, f"came too late, for their shard went on meanwhile: {_PASSED}"),
        (done.unreadable, "cannot be read"),
        (done.others, "are of other topics: a new run makes those of the second stage anew"),
    ):
        if n:
            screen.say(f"{n:,} {what}")


_PASSED = (
    "the log holds later messages of the same start of their shard, behind which workers drop them as repeated; "
    "a new run judges them where they stood, for as long as the log holds them"
)


def check(kafka: str, config: Path | None, file: Path | None) -> None:
    """Print a table of the topics.

    Raises:
        ConfigError: see :func:`pipeline.transport.topics.load`.
        TransportError: no answer, or a topic is not as it must be.
    """
    found = _open(kafka, config, file).look()
    rows = []
    wrong = []
    for one in found:
        differences = list(one.differences())
        wrong += [f"{one.name} {phrase}" for phrase in differences]
        numbers = (str(one.partitions), str(one.replication)) if one.partitions else ("", "")
        rows.append((one.name, *numbers, "; ".join(differences) or "as it must be"))
    print_table(Shown(("topic", "partitions>", "replicas>", "state"), rows, len(rows)), "topics")
    if wrong:
        more = f"; and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        frozen = f"; {wanted.FROZEN}" if any(one.wrong_partitions() for one in found) else ""
        raise TransportError(f"topics check: {wrong[0]}{more}{frozen}")
