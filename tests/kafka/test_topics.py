"""`fieldtap topics` against a real broker."""

from __future__ import annotations

import time
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from infra.kafka.broker import Cluster
from pipeline.cli import app
from pipeline.errors import ConfigError, TransportError
from pipeline.transport import topics
from pipeline.transport.settings import KafkaSettings, connect
from pipeline.transport.topics import TOPICS, Found, Topics

EXAMPLE = Path(__file__).resolve().parents[2] / "infra" / "topics.toml"


@pytest.fixture
def config(tmp_path: Path, topic_prefix: str) -> Path:
    path = tmp_path / "fieldtap.toml"
    path.write_text(f'[kafka]\ntopic_prefix = "{topic_prefix}"\n')
    return path


def fieldtap(*words: object) -> Result:
    return CliRunner().invoke(app, ["topics", *(str(word) for word in words)])


def lines(result: Result) -> dict[str, str]:
    return {line.split(maxsplit=1)[0]: line for line in result.stdout.splitlines()}


def seen_by_all(ours: Topics) -> list[Found]:
    """The topics, once the node that is asked has heard of all of them: each learns of a new topic on its own."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(TransportError):
            found = ours.look()
            if all(one.partitions for one in found):
                return found
    pytest.fail("the topics are not known to every node")


# --- the file


def test_the_example_says_what_the_code_does() -> None:
    assert topics.load(EXAMPLE) == topics.load(None) == TOPICS
    table = tomllib.loads(EXAMPLE.read_text())
    assert [(name, set(t) - {"partitions"}) for name, t in table.items()] == [(t.name, set(t.config)) for t in TOPICS]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["fieldtap.record"]', "'fieldtap.record': no such topic; there are fieldtap.records, "),
        ('["fieldtap.records"]\npartitions = 0', '"fieldtap.records".partitions: expected a whole number of 1 to 1024'),
        ('["fieldtap.records"]\npartitions = true', "partitions: expected a whole number of 1 to 1024, found True"),
        ('["fieldtap.names"]\nreplication = "3"', "replication: expected a whole number of 1 to 100, found '3'"),
        (
            '["fieldtap.names"]\n"retention.ms" = []',
            "retention.ms: expected text, a number, or true or false, found []",
        ),
        ('"fieldtap.names" = 3', '"fieldtap.names": expected a table, found 3'),
        ("[", "not TOML"),
    ],
)
def test_a_wrong_file_is_one_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "topics.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        topics.load(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


# --- apply and check


def test_made_once_then_as_they_must_be(broker: str, config: Path, topic_prefix: str) -> None:
    before = fieldtap("check", "--kafka", broker, "--config", config)
    assert before.exit_code == 2
    assert f"topics check: {topic_prefix}fieldtap.records is missing" in before.stderr
    assert "and 5 more" in before.stderr

    made = fieldtap("apply", "--kafka", broker, "--config", config)
    assert made.exit_code == 0, made.output
    assert f"{topic_prefix}fieldtap.records: made with 12 partitions" in made.stdout

    after = fieldtap("check", "--kafka", broker, "--config", config)
    assert after.exit_code == 0, after.output
    assert set(lines(after)) == {"topic", *(topic_prefix + t.name for t in TOPICS)}
    assert all("as it must be" in line for line in after.stdout.splitlines()[1:])
    again = fieldtap("apply", "--kafka", broker, "--config", config)
    assert again.stdout == "all topics are as they must be\n"


def test_a_different_number_of_partitions_is_refused_and_nothing_is_changed(
    broker: str, config: Path, topic_prefix: str, tmp_path: Path
) -> None:
    assert fieldtap("apply", "--kafka", broker, "--config", config).exit_code == 0
    file = tmp_path / "topics.toml"
    for number in (6, 24):
        file.write_text(f'["fieldtap.records"]\npartitions = {number}\n["fieldtap.names"]\nsegment.ms = 1234567\n')
        where = ("--kafka", broker, "--config", config, "--topics", file)
        refused = fieldtap("check", *where)
        assert refused.exit_code == 2
        phrase = f"{topic_prefix}fieldtap.records has 12 partitions, {number} wanted, and the number is frozen"
        assert phrase in refused.stderr
        applied = fieldtap("apply", *where)
        assert applied.exit_code == 2
        assert phrase in applied.stderr
        assert "nothing was changed" in applied.stderr
        assert (
            "has segment.ms = 604800000, 1234567 wanted"
            in lines(fieldtap("check", *where))[f"{topic_prefix}fieldtap.names"]
        )
    assert fieldtap("check", "--kafka", broker, "--config", config).exit_code == 0


def test_settings_are_brought_in_line_and_what_is_lost_is_made_again(
    broker: str, config: Path, topic_prefix: str, tmp_path: Path
) -> None:
    where = ("--kafka", broker, "--config", config)
    assert fieldtap("apply", *where).exit_code == 0
    file = tmp_path / "topics.toml"
    file.write_text('["fieldtap.panes"]\n"retention.ms" = 3600000\n"cleanup.policy" = "compact,delete"\n')
    where = (*where, "--topics", file)
    assert "has retention.ms = 604800000, 3600000 wanted" in fieldtap("check", *where).stdout
    changed = fieldtap("apply", *where)
    assert changed.stdout.count("\n") == 1
    assert f"{topic_prefix}fieldtap.panes: " in changed.stdout
    assert "retention.ms = 3600000 (was 604800000)" in changed.stdout
    assert fieldtap("check", *where).exit_code == 0

    admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})
    admin.delete_topics([f"{topic_prefix}fieldtap.parked"])[f"{topic_prefix}fieldtap.parked"].result(30)
    again = fieldtap("apply", *where)
    assert again.stdout.startswith(f"{topic_prefix}fieldtap.parked: made with 12 partitions")


def test_what_kafka_refuses_is_told(broker: str, config: Path, tmp_path: Path) -> None:
    file = tmp_path / "topics.toml"
    file.write_text('["fieldtap.records"]\npartition = 6\n')
    refused = fieldtap("apply", "--kafka", broker, "--config", config, "--topics", file)
    assert refused.exit_code == 2
    assert "fieldtap.records: cannot be made: Unknown topic config name: partition" in refused.stderr


def test_nobody_answers(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "ANSWER_S", 0.5)
    refused = fieldtap("check", "--kafka", "127.0.0.1:1", "--config", config)
    assert refused.exit_code == 2
    assert "kafka at 127.0.0.1:1: no answer: " in refused.stderr
    assert "Connection refused" in refused.stderr


def test_three_nodes_hold_three_copies_and_a_majority_is_asked(cluster: Cluster, topic_prefix: str) -> None:
    ours = Topics(cluster.bootstrap, KafkaSettings(topic_prefix=topic_prefix))
    assert len(list(ours.apply())) == len(TOPICS)
    found = {one.name: one for one in seen_by_all(ours)}
    assert {one.replication for one in found.values()} == {3}
    assert {one.config["min.insync.replicas"] for one in found.values()} == {"2"}
    assert [list(one.differences()) for one in found.values()] == [[]] * len(TOPICS)


# --- what the settings are for


@pytest.mark.parametrize("year", [1990, 2100])
def test_a_message_is_taken_and_kept_whenever_its_traffic_was(broker: str, topic_prefix: str, year: int) -> None:
    kafka = KafkaSettings(topic_prefix=topic_prefix)
    assert list(Topics(broker, kafka).apply())
    refused: list[Any] = []
    producer = connect(Producer, kafka.client(broker, "producer"))
    stamp_ms = (year - 1970) * 365 * 86_400_000
    topic = kafka.topic(topics.RECORDS)
    told = lambda error, _: refused.append(error)  # noqa: E731
    producer.produce(topic, b"x" * 900_000, partition=0, timestamp=stamp_ms, on_delivery=told)
    assert producer.flush(30) == 0
    assert refused == [None]
    consumer = connect(Consumer, kafka.client(broker, "consumer") | {"group.id": kafka.topic("read")})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    assert abs(message.timestamp()[1] - stamp_ms) > 86_400_000


# --- [kafka] against a real broker


def test_keys_reach_the_client_of_their_side(broker: str, fresh_topic: Any, topic_prefix: str) -> None:
    topic = fresh_topic()
    kafka = KafkaSettings.of(
        {"producer": {"message.max.bytes": 2000}, "consumer": {"client": {"id": "reader-of-this-test"}}}, "my.toml"
    )
    producer = connect(Producer, kafka.client(broker, "producer"))
    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
        producer.produce(topic, b"x" * 3000)
    producer.produce(topic, b"x" * 1000)
    assert producer.flush(30) == 0

    group = f"{topic_prefix}group"
    consumer = connect(
        Consumer, kafka.client(broker, "consumer") | {"group.id": group, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    assert consumer.poll(30) is not None
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})
    described = admin.describe_consumer_groups([group])[group].result(30)
    consumer.close()
    assert [member.client_id for member in described.members] == ["reader-of-this-test"]


def test_a_topic_of_another_is_not_ours(broker: str, config: Path, topic_prefix: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})
    other = NewTopic(f"{topic_prefix}x.{topics.RECORDS}", 3)
    admin.create_topics([other])[other.topic].result(30)
    assert (
        "is missing" in lines(fieldtap("check", "--kafka", broker, "--config", config))[topic_prefix + topics.RECORDS]
    )
