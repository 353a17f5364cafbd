"""TLS, passwords and what each user may do: a sensor may write, and reading is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition

from infra.kafka.broker import Cluster
from pipeline.cli import app
from pipeline.cli.workers import ARCHIVE_GROUP
from pipeline.config import load
from pipeline.errors import TransportError
from pipeline.transport import topics
from pipeline.transport.settings import ClientSettings, KafkaSettings, connect
from pipeline.transport.topics import Topics
from pipeline.worker.settings import WorkerSettings

GROUPS = (WorkerSettings().group, ARCHIVE_GROUP)


@pytest.fixture(scope="module")
def secured(kafka_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One node that takes nobody without a password, with the topics made by its admin."""
    one = Cluster(tmp_path_factory.mktemp("secured"), tied=True)
    one.up(tls=True)
    words = ["topics", "apply", "--kafka", one.bootstrap, "--config", str(settings_file(one, "admin"))]
    made = CliRunner().invoke(app, words)
    assert made.exit_code == 0, made.output
    yield one
    one.kill(1)


def settings_file(secured: Cluster, user: str) -> Path:
    return secured.data / "tls" / f"{user}.toml"


def kafka(secured: Cluster, user: str) -> KafkaSettings:
    return load(settings_file(secured, user)).kafka


def write(secured: Cluster, user: str, topic: str) -> str | None:
    """Write one message as `user`; the name of the error it met."""
    met: list[KafkaError | None] = []
    producer = connect(Producer, kafka(secured, user).client(secured.bootstrap, "producer"))
    producer.produce(topic, b"seen", key=b"k", partition=0, on_delivery=lambda error, _: met.append(error))
    assert producer.flush(30) == 0
    (error,) = met
    return error.name() if error is not None else None


def reader(secured: Cluster, user: str) -> Consumer:
    given = kafka(secured, user).client(secured.bootstrap, "consumer")
    return connect(Consumer, ClientSettings({**given, "group.id": GROUPS[0], "auto.offset.reset": "earliest"}))


def first(consumer: Consumer, beside: str = "") -> bytes | str | None:
    """Value of the first message, or the name of the error that came instead; error `beside` is passed over."""
    while True:
        found: Message | None = consumer.poll(30)
        assert found is not None
        error = found.error()
        if error is None or error.name() != beside:
            consumer.close()
            return error.name() if error is not None else found.value()


def test_a_sensor_writes_records_and_nothing_else(secured: Cluster) -> None:
    assert write(secured, "sensor", topics.RECORDS) is None
    assert write(secured, "sensor", topics.NAMES) is None
    assert write(secured, "sensor", topics.FINDINGS_LIVE) == "TOPIC_AUTHORIZATION_FAILED"


def test_a_sensor_may_not_read_what_it_wrote(secured: Cluster) -> None:
    assert write(secured, "sensor", topics.RECORDS) is None
    for user, found in (("sensor", "TOPIC_AUTHORIZATION_FAILED"), ("worker", b"seen")):
        consumer = reader(secured, user)
        consumer.assign([TopicPartition(topics.RECORDS, 0, OFFSET_BEGINNING)])
        # To ask for the group's offsets is refused too, which is the next test's matter.
        assert first(consumer, beside="GROUP_AUTHORIZATION_FAILED") == found


@pytest.mark.parametrize(("group", "protocol"), [(GROUPS[0], "classic"), (GROUPS[1], "consumer")])
def test_a_sensor_may_not_join_a_group(secured: Cluster, group: str, protocol: str) -> None:
    assert write(secured, "sensor", topics.RECORDS) is None
    for user, found in (("sensor", "GROUP_AUTHORIZATION_FAILED"), ("worker", b"seen")):
        given = kafka(secured, user).client(secured.bootstrap, "consumer")
        own = {"group.id": f"{group}.{protocol}", "auto.offset.reset": "earliest", "group.protocol": protocol}
        consumer = connect(Consumer, ClientSettings({**given, **own}))
        consumer.subscribe([topics.RECORDS])
        assert first(consumer) == found


def test_a_sensor_may_not_make_or_change_topics(secured: Cluster) -> None:
    more = KafkaSettings(topic_prefix="other.", common=kafka(secured, "sensor").common)
    with pytest.raises(TransportError, match=r"cannot be made: .*[Aa]uthoriz"):
        list(Topics(secured.bootstrap, more).apply())


def test_the_wrong_password_and_no_encryption_are_told(
    secured: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "ANSWER_S", 3.0)
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(settings_file(secured, "sensor").read_text())
    (tmp_path / "sensor.password").write_text("guess")
    with pytest.raises(TransportError, match="Authentication failed"):
        Topics(secured.bootstrap, load(wrong).kafka).look()
    with pytest.raises(TransportError, match="no answer"):
        Topics(secured.bootstrap, KafkaSettings()).look()


def test_a_broker_that_the_authority_did_not_certify_is_refused(
    secured: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trustme

    monkeypatch.setattr(topics, "ANSWER_S", 3.0)
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    common = {**kafka(secured, "admin").common, "ssl.ca.location": str(tmp_path / "ca.pem")}
    with pytest.raises(TransportError, match="certificate verify failed"):
        Topics(secured.bootstrap, KafkaSettings(common=common)).look()


def test_passwords_can_be_read_by_their_owner_only(secured: Cluster) -> None:
    kept = [
        *secured.data.glob("tls/*.password"),
        secured.data / "node1" / "server.properties",
        secured.data / "tls/node.pem",
    ]
    assert len(kept) >= 5
    assert {path.stat().st_mode & 0o077 for path in kept} == {0}
