"""Containers, as far as they can be held without Docker: what the files say agrees with the code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from infra.kafka.properties import properties
from pipeline.cli import app
from pipeline.config import configure

INFRA = Path(__file__).resolve().parents[1] / "infra"
COMPOSE = yaml.safe_load((INFRA / "compose" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "fieldtap"]


@pytest.mark.parametrize("name", OURS)
def test_the_commands_of_the_services_are_understood(name: str) -> None:
    command: click.Command = app
    words = list(SERVICES[name]["command"])
    while isinstance(command, click.Group):
        word = words.pop(0)
        command = command.commands[word]
    command.make_context(command.name, words)


def test_their_settings_load() -> None:
    file = INFRA / "compose" / "fieldtap.toml"
    assert configure(tomllib.loads(file.read_text())).decode.shard == 1


def test_the_broker_is_set_as_ours_is() -> None:
    environment = SERVICES["kafka"]["environment"]
    told = {key.removeprefix("KAFKA_").lower().replace("_", "."): str(value) for key, value in environment.items()}
    tested = properties(1, [9092], Path("/var/lib/kafka/data"), None)
    addresses = {key for key in tested if "listener" in key or "quorum" in key}
    shared = told.keys() & tested.keys() - addresses
    assert {key: told[key] for key in shared} == {key: tested[key] for key in shared}
    safe = {"auto.create.topics.enable", "unclean.leader.election.enable", "min.insync.replicas", "message.max.bytes"}
    assert safe <= shared
    assert told.keys() - tested.keys() == {"cluster.id"}
    pom = (INFRA / "kafka" / "pom.xml").read_text()
    (version,) = re.findall(r"<artifactId>kafka_2.13</artifactId>\s*<version>(.*)</version>", pom)
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version}"


def test_what_the_services_need_is_declared() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source.startswith("./") or source in COMPOSE["volumes"], f"{name}: {volume}"
        assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_nothing_is_open_to_the_network() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert {SERVICES[name]["read_only"] for name in OURS} == {True}


def copied() -> Iterator[str]:
    for line in (INFRA / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            yield from line.split()[1:-1]


def test_the_image_is_made_of_what_there_is() -> None:
    kept = (INFRA / "Dockerfile.dockerignore").read_text().splitlines()
    found = list(copied())
    assert {"pyproject.toml", "schemas", "detectors", "pipeline"} <= set(found)
    for name in found:
        assert (INFRA.parent / name).exists(), name
        assert f"!{name}" in kept, f"{name} is not in the context"
