"""The broker that the tests stand on: several at once, killed and started again, and what it says when it cannot."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from infra.kafka import broker as broker_program
from infra.kafka import jars
from infra.kafka.broker import HOST, Cluster, _free_ports


def put(bootstrap: str, topic: str, value: bytes) -> None:
    """Write one message, and return when it is acknowledged."""
    refused = []
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0})
    producer.produce(topic, value, on_delivery=lambda error, _: refused.append(error))
    assert producer.flush(60) == 0
    assert refused == [None]


def first(bootstrap: str, topic: str) -> bytes:
    """The first message of partition 0."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "first", "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    message = consumer.poll(60)
    consumer.close()
    assert message is not None
    assert message.error() is None
    value = message.value()
    assert isinstance(value, bytes)
    return value


def test_a_topic_that_nobody_made_is_not_made_by_writing(broker: str, topic_prefix: str) -> None:
    producer = Producer({"bootstrap.servers": broker, "topic.metadata.propagation.max.ms": 500, "log_level": 0})
    refused = []
    producer.produce(f"{topic_prefix}slip", b"x", on_delivery=lambda error, _: refused.append(error.name()))
    assert producer.flush(60) == 0
    assert refused == ["UNKNOWN_TOPIC_OR_PART"]


def test_several_at_once_and_what_was_written_survives_a_kill(
    broker: str, kafka_installed: None, tmp_path: Path
) -> None:
    other = Cluster(tmp_path / "other", tied=True)
    other.up()
    assert other.bootstrap != broker
    admin = AdminClient({"bootstrap.servers": other.bootstrap})
    admin.create_topics([NewTopic("kept", 1)])["kept"].result(30)
    put(other.bootstrap, "kept", b"before")
    other.kill(1)
    assert other.pid(1) is None

    again = Cluster(tmp_path / "other", tied=True)
    again.up(nodes=3)  # what it was made with stands in its folder
    assert again.bootstrap == other.bootstrap
    assert first(again.bootstrap, "kept") == b"before"
    again.down()
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, again.layout.ports[0])) != 0


def test_the_loss_of_one_node_of_three_loses_nothing(cluster: Cluster, topic_prefix: str) -> None:
    admin = AdminClient({**cluster.client(), "log_level": 0})
    assert set(admin.list_topics(timeout=30).brokers) == {1, 2, 3}
    topic = f"{topic_prefix}kept"
    admin.create_topics([NewTopic(topic, 1, replication_factor=3)])[topic].result(30)
    put(cluster.bootstrap, topic, b"before")
    leader = admin.list_topics(topic, timeout=30).topics[topic].partitions[0].leader
    cluster.kill(leader)
    put(cluster.bootstrap, topic, b"after")
    assert first(cluster.bootstrap, topic) == b"before"
    cluster.start(leader)
    assert cluster.pid(leader) is not None


def test_a_port_that_is_taken_is_named_or_another_is_chosen(
    kafka_installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = _free_ports(1)[0]
    chosen = iter([[port], _free_ports(1)])
    with socket.socket() as other:
        other.bind((HOST, port))
        other.listen()
        with pytest.raises(jars.BrokerError, match=f"port {port} or the next one is taken"):
            Cluster(tmp_path / "asked", tied=True).up(ports_from=port)
        monkeypatch.setattr(broker_program, "_free_ports", lambda pairs: next(chosen))
        free = Cluster(tmp_path / "free", tied=True)
        free.up()
        assert free.bootstrap != f"{HOST}:{port}"
        free.kill(1)


def test_what_it_is_asked_for_and_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(jars.BrokerError, match="there is no cluster here; start one with: up"):
        Cluster(tmp_path).down()
    with pytest.raises(jars.BrokerError, match="1 or 3 nodes, not 2"):
        Cluster(tmp_path).up(nodes=2)


def test_a_number_in_a_file_that_is_now_another_process_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "node1").mkdir()
    (tmp_path / "cluster.json").write_text('{"cluster_id": "x", "ports": [20000]}')
    (tmp_path / "node1" / "pid").write_text(f"{os.getpid()}\n")
    cluster = Cluster(tmp_path)
    assert cluster.pid(1) is None
    cluster.kill(1)


def test_without_java_or_maven_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("FIELDTAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install openjdk-17-jre-headless" in (jars.missing() or "")
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    old.chmod(0o755)
    assert "needs Java 17" in (jars.missing() or "")
    assert "11.0.2" in (jars.missing() or "")
    old.write_text("#!/bin/sh\necho 'openjdk version \"21.0.2\" 2024-01-16' >&2\n")
    assert "apt-get install maven" in (jars.missing() or "")
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] no such host'\nexit 1\n")
    maven.chmod(0o755)
    assert jars.missing() == "Maven could not fetch Kafka's jars: no such host"
    assert list((tmp_path / "cache/fieldtap/kafka").iterdir()) == []
