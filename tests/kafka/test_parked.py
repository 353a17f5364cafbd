"""Messages of a newer version: an older worker puts them away, a newer one takes them where they belong, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from pipeline.cli import app
from pipeline.config import Config
from pipeline.run.report import Hooks
from pipeline.setup import Setup
from pipeline.shard.capture import Files, capture
from pipeline.shard.settings import ShardSettings
from pipeline.synth import simulate
from pipeline.transport import codec, topics
from pipeline.transport.log import HEADER
from pipeline.transport.message import Header
from pipeline.worker.parked import Replayed, replay
from tests.kafka.deployment import Site, same
from tests.transport.log import Message, read_log

NEWER = codec.VERSION + 1
PARTITIONS = 2
Newer = Callable[[], Any]


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Newer:
    """Within it the code is one version on, and its schema the same."""

    @contextmanager
    def within() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(codec, "VERSION", NEWER)
            yield

    return within


@pytest.fixture(scope="module")
def plants(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Captures of two capture points."""
    folder = tmp_path_factory.mktemp("plants")
    for seed in (2, 9):
        simulate(folder / str(seed), minutes=2, seed=seed, attacks=("scan",))
    return [folder / str(seed) / "plant.pcap" for seed in (2, 9)]


def site(broker: str, prefix: str, folder: Path) -> Site:
    """A deployment whose messages are short."""
    config = replace(Config(), shard=ShardSettings(batch_kb=16))
    return Site(broker, prefix, PARTITIONS, folder, Setup(config))


def watch(ours: Site, shard: int, path: Path) -> None:
    """All that a capture point sees, into Kafka."""
    config = replace(ours.setup.config, decode=replace(ours.setup.config.decode, shard=shard))
    capture(Files([path]), ours.bootstrap, ours.folder / f"spool-{shard}", config, hooks=Hooks())


def put(ours: Site, log: list[list[Message]]) -> None:
    """Messages into the topic of records, as they are."""
    producer = Producer({"bootstrap.servers": ours.bootstrap, "enable.idempotence": True, "log_level": 0})
    name = ours.setup.config.kafka.topic(topics.RECORDS)
    for partition, messages in enumerate(log):
        for header, value in messages:
            producer.produce(name, value, headers=[(HEADER, header)], partition=partition)
    assert producer.flush(60) == 0


def taken(ours: Site, run: str = "live") -> dict[str, int]:
    """One worker until all is judged; what the stage of the records has counted since the run began."""
    (report,) = ours.workers(1, run)
    found: dict[str, int] = report.stages[ours.setup.config.kafka.topic(topics.RECORDS)]
    return found


def put_back(ours: Site) -> Replayed:
    return replay(ours.bootstrap, ours.setup.config)


def log_of(ours: Site, topic: str = topics.RECORDS) -> list[list[Message]]:
    return read_log(ours.bootstrap, ours.setup.config.kafka.topic(topic))


def raised(message: Message) -> Message:
    """The message as newer code writes it."""
    header, value = message
    return replace(Header.parse(header or b""), schema=NEWER).seal(value or b""), value


def number(message: Message) -> tuple[int, int]:
    head = Header.parse(message[0] or b"")
    return head.shard, head.number


def test_what_an_older_worker_put_away_is_judged_once_and_in_order(
    broker: str, topic_prefix: str, tmp_path: Path, plants: list[Path], newer: Newer
) -> None:
    ours, plain = (site(broker, f"{topic_prefix}{name}.", tmp_path / name) for name in ("ours", "plain"))
    for one in (ours, plain):
        watch(one, 0, plants[0])
    watch(plain, 1, plants[1])
    expected = taken(plain)
    with newer():
        watch(ours, 1, plants[1])
    old = taken(ours)
    away = sum(len(messages) for messages in log_of(ours, topics.PARKED))
    assert old["parked"] == away > 2 * PARTITIONS
    with newer():
        settings = tmp_path / "fieldtap.toml"
        settings.write_text(f'[kafka]\ntopic_prefix = "{ours.setup.config.kafka.topic_prefix}"\n')
        done = CliRunner().invoke(app, ["topics", "replay-parked", "--kafka", broker, "--config", str(settings)])
        assert done.exit_code == 0, done.output
        assert f"{away} parked messages put back, {expected['records'] - old['records']:,} records" in done.output
        again = put_back(ours)
        assert (again.sent, again.there, again.passed) == (0, away, 0)
        now = taken(ours)
        # Where somebody puts them back a second time all the same, they are repeated messages.
        put(ours, [[m for m in messages[-away:] if number(m)[0] == 1] for messages in log_of(ours)])
        twice = taken(ours)
        fresh = taken(ours, "again")
    assert [now[name] for name in ("records", "duplicates", "gaps")] == [expected["records"], 0, 0]
    assert twice["records"] == now["records"]
    assert twice["duplicates"] > away // 2
    assert fresh["records"] == expected["records"]
    assert expected["records"] > old["records"] > 0
    for run in ("live", "again"):
        assert same(ours.outcome(run), plain.outcome()) == []


def test_what_the_log_has_gone_past_is_left_to_a_new_run(
    broker: str, topic_prefix: str, tmp_path: Path, plants: list[Path], newer: Newer
) -> None:
    ours, plain = (site(broker, f"{topic_prefix}{name}.", tmp_path / name) for name in ("ours", "plain"))
    watch(plain, 1, plants[1])
    expected, log = taken(plain), log_of(plain)
    assert min(map(len, log)) > 6
    put(ours, [[raised(m) if number(m)[1] in (2, 3) else m for m in messages] for messages in log])
    old = taken(ours)
    assert (old["parked"], old["missing_messages"]) == (2 * PARTITIONS, 2 * PARTITIONS)
    before = ours.outcome()
    with newer():
        found = put_back(ours)
        assert (found.sent, found.passed) == (0, 2 * PARTITIONS)
        assert [len(messages) for messages in log_of(ours)] == [len(messages) for messages in log]
        # Put back by hand, they are dropped: a running run is not disturbed.
        put(ours, [[raised(m) for m in messages if number(m)[1] in (2, 3)] for messages in log])
        now = taken(ours)
        assert (now["records"], now["duplicates"]) == (old["records"], 2 * PARTITIONS)
        assert same(ours.outcome(), before) == []
        assert taken(ours, "again")["records"] == expected["records"] > old["records"]
        assert same(ours.outcome("again"), plain.outcome()) == []


class Hasty:
    """A producer behind whose back the shard goes on: its next message of each partition stands there first."""

    def __init__(self, settings: dict[str, Any], ours: Site, next_messages: list[Message]) -> None:
        self._producer = Producer(settings)
        self._next = lambda: put(ours, [[m] for m in next_messages])
        self.poll, self.flush = self._producer.poll, self._producer.flush

    def __len__(self) -> int:
        return len(self._producer)

    def produce(self, *words: Any, **more: Any) -> None:
        """Send, after the shard."""
        if self._next is not None:
            self._next()
            self._next = None
        self._producer.produce(*words, **more)


def test_a_shard_that_goes_on_meanwhile_is_told(
    broker: str, topic_prefix: str, tmp_path: Path, plants: list[Path], newer: Newer
) -> None:
    ours, plain = (site(broker, f"{topic_prefix}{name}.", tmp_path / name) for name in ("ours", "plain"))
    watch(plain, 1, plants[1])
    log = log_of(plain)
    put(ours, [messages[:1] + [raised(m) for m in messages[1:4]] for messages in log])
    settings, place = ours.setup.config, ours
    end = [[raised(messages[-1])] for messages in log]
    stop_after(place, sum(4 for _ in log))
    with newer():
        found = replay(
            broker, settings, make=lambda given: Hasty(given, ours, [raised(messages[4]) for messages in log])
        )
        assert (found.sent, found.overtaken) == (3 * PARTITIONS, 3 * PARTITIONS)
        put(ours, end)
        now = taken(ours)
    assert now["duplicates"] == 3 * PARTITIONS


def stop_after(ours: Site, messages: int) -> None:
    """One worker, until it has taken and written so many messages."""
    from pipeline.worker.compose import Deployment, Detection, work

    place = Deployment(ours.bootstrap, str(ours.folder / "store"), ours.setup, ours.setup.config.worker)

    def enough() -> bool:
        tips = [place.chain(place.records, p).tip() for p in range(place.records.partitions)]
        return sum(tip.next for tip in tips if tip is not None) >= messages

    work(place, Detection, stop=enough, say=lambda line: None)
