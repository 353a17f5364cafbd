"""`[kafka]`: keys pass as they are, secrets are fetched late and never shown, and some keys are nobody's."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import configure, load
from pipeline.errors import ConfigError, TransportError
from pipeline.transport.settings import DECIDED, REFUSED, KafkaSettings, connect

HIDDEN = "hunter2-of-the-plant"


def settings(text: str, where: str = "my.toml") -> KafkaSettings:
    return configure(tomllib.loads(text), where).kafka


def test_keys_pass_as_they_are_and_the_side_goes_first() -> None:
    kafka = settings(
        """
        [kafka]
        topic_prefix = "site1."
        "client.id" = "all"
        "socket.timeout.ms" = 30000
        security.protocol = "SSL"
        "log.connection.close" = false
        [kafka.producer]
        "client.id" = "writer"
        linger.ms = 0.5
        [kafka.consumer]
        "fetch.max.bytes" = 1000
        """
    )
    shared = {"socket.timeout.ms": 30000, "security.protocol": "SSL", "log.connection.close": False}
    assert kafka.client("h:1", "admin") == {"bootstrap.servers": "h:1", "client.id": "all", **shared}
    written = {"bootstrap.servers": "h:1", "client.id": "writer", "linger.ms": 0.5, **shared}
    assert kafka.client("h:1", "producer") == written | {"enable.idempotence": True, "acks": "all"}
    read = kafka.client("h:1", "consumer")
    assert read["client.id"] == "all"
    assert read["fetch.max.bytes"] == 1000
    assert read["auto.offset.reset"] == "error"
    assert read["enable.auto.commit"] is False
    assert type(read["log.connection.close"]) is bool
    assert kafka.topic("fieldtap.records") == "site1.fieldtap.records"


WRONG: list[tuple[str, str]] = [
    ('[kafka]\n"linger.ms" = [5]', "my.toml: kafka.linger.ms: expected text, a number, or true or false, found [5]"),
    ('[kafka]\n"linger.ms" = 2026-01-01', "kafka.linger.ms: expected text, a number, or true or false"),
    ('[kafka]\n"linger.ms" = inf', "kafka.linger.ms: expected text, a number, or true or false, found inf"),
    ("[kafka]\nproducer = 1", "my.toml: kafka.producer: expected a table, found 1"),
    ("kafka = 1", "my.toml: kafka: expected a table, found a whole number (1)"),
    ('[kafka]\n"a.b" = 1\na.b = 2', "kafka.a.b: set twice"),
    ('[kafka]\ntopic_prefix = "a b"', "kafka.topic_prefix: expected at most 100 letters"),
    ('[kafka]\n"sasl.username" = { env = 1 }', 'kafka.sasl.username: expected { env = "…" } with text, found 1'),
    ('[kafka.consumer]\nauto.offset.reset = "latest"', "kafka.consumer.auto.offset.reset: not to be set: where the "),
    ('[kafka]\n"bootstrap.servers" = "x:1"', "kafka.bootstrap.servers: not to be set: --kafka names the brokers"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[m[:50] for _, m in WRONG])
def test_what_is_wrong_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        settings(text)
    assert message in str(error.value)


def test_what_fieldtap_decides_is_nobody_elses() -> None:
    decided = {key for side in DECIDED.values() for key in side}
    assert decided <= set(REFUSED)
    for key in REFUSED:
        for side in ("kafka", "kafka.producer", "kafka.consumer"):
            with pytest.raises(ConfigError, match="not to be set: "):
                settings(f'[{side}]\n"{key}" = true')


def test_secrets_come_from_the_environment_and_from_files_beside_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sensor.toml"
    path.write_text(
        '[kafka]\n"sasl.username" = { env = "FT_USER" }\nsasl.password = { file = "password" }\n'
        '"ssl.key.password" = { env = "FT_KEY" }\n'
    )
    kafka = load(path).kafka  # not needed yet: looking at settings must work without
    with pytest.raises(
        ConfigError, match=r"sensor\.toml: kafka\.sasl\.username: environment variable FT_USER is not set"
    ):
        kafka.client("h:1", "admin")
    monkeypatch.setenv("FT_USER", "sensor")
    monkeypatch.setenv("FT_KEY", HIDDEN)
    with pytest.raises(ConfigError, match=r"kafka\.sasl\.password: cannot read .*/password: No such file"):
        kafka.client("h:1", "admin")
    (tmp_path / "password").write_text(f"{HIDDEN}\n")
    made = kafka.client("h:1", "producer")
    assert (made["sasl.username"], made["sasl.password"], made["ssl.key.password"]) == ("sensor", HIDDEN, HIDDEN)

    for empty in ("", "\n"):
        (tmp_path / "password").write_text(empty)
        with pytest.raises(ConfigError, match=r"kafka\.sasl\.password: .*/password is empty"):
            kafka.client("h:1", "admin")
    (tmp_path / "password").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is no text"):
        kafka.client("h:1", "admin")
    (tmp_path / "password").write_bytes(b"x" * 70_000)
    with pytest.raises(ConfigError, match="is larger than 65536 bytes"):
        kafka.client("h:1", "admin")


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FT_SECRET", HIDDEN)
    kafka = settings('[kafka]\n"sasl.username" = { env = "FT_SECRET" }\n"sasl.password" = { env = "FT_SECRET" }')
    made = kafka.client("h:1", "admin")
    assert made["sasl.username"] == HIDDEN
    for shown in (repr(kafka), str(made), f"{made!r}", f"{[made]}"):
        assert HIDDEN not in shown
    assert "'sasl.password': '***'" in repr(made)


@pytest.mark.parametrize("key", ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"])
def test_a_secret_in_the_file_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ConfigError, match="a secret does not stand in the file") as error:
        settings(f'[kafka.producer]\n"{key}" = "{HIDDEN}"')
    assert HIDDEN not in str(error.value)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"no.such": 1}, ConfigError, r"\[kafka\]: No such configuration property: \"no.such\""),
        ({"linger.ms": "soon"}, ConfigError, r"\[kafka\]: Invalid value for configuration property \"queue.buffer"),
        ({"error_cb": "x"}, ConfigError, r"\[kafka\]: expected error_cb property as a callable"),
        (
            {"security.protocol": "ssl", "ssl.ca.location": "/nowhere/ca.pem"},
            TransportError,
            "kafka at h:1: .*ssl.ca.location failed",
        ),
    ],
)
def test_what_the_client_refuses_is_one_error(given: dict[str, Any], kind: type[Exception], message: str) -> None:
    from confluent_kafka import Producer

    kafka = KafkaSettings.of({**given, "log_level": 0}, "my.toml")
    with pytest.raises(kind, match=message):
        connect(Producer, kafka.client("h:1", "producer"))
