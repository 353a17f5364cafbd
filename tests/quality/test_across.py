"""What is told of a controller used as a step to others, and of searches, in a plant of twelve controllers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.baseline import Baseline
from pipeline.config import Config, configure
from pipeline.run import learn, run
from pipeline.synth.clients import Session, read, write_register
from pipeline.synth.plant import Plant, Schedule
from pipeline.synth.wire import Host, Tap
from schemas.codes import Severity

START_S = 1_772_442_000
PLANTS = 3
Row = dict[str, Any]
Script = Callable[[list[Plant], Schedule], None]


def capture(path: Path, minutes: float, seed: int, script: Script) -> Path:
    """The traffic of three replicas of the plant, with what a script adds."""
    with path.open("wb") as file:
        tap, schedule = Tap(file, START_S * 1_000_000), Schedule()
        plants = [Plant(number, seed, tap, schedule, 9 * 3600.0) for number in range(PLANTS)]
        script(plants, schedule)
        for second in range(0, round(minutes * 60) + 1, 20):
            schedule.run(float(second))
            tap.flush(second - 20.0)
        tap.flush(minutes * 60)
    return path


def nothing(plants: list[Plant], schedule: Schedule) -> None:
    """The clean plant."""


def visits(plants: list[Plant], schedule: Schedule, client: Host, times: Iterable[float], *pdus: bytes) -> None:
    """`client` connects to one controller after the other at these times and asks it something."""
    servers = [(plant, server) for plant in plants for server in range(4)]
    servers = [(plant, server) for plant, server in servers if plant.servers[server].host is not client]

    def visit(session: Session) -> Callable[[float], None]:
        def play(at: float) -> None:
            now = session.link.open(at)
            for pdu in pdus:
                now = session.ask(now + 0.1, 1, pdu)
            session.link.close(now + 0.1)

        return play

    for at, (plant, server) in zip(times, servers, strict=False):
        schedule.at(at, visit(plant.session(client, server, f"visit-{at}")))


@pytest.fixture(scope="module")
def config() -> Config:
    return configure({"detectors": {"enabled": ["scan", "role"]}})


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory, config: Config) -> Baseline:
    folder = tmp_path_factory.mktemp("clean")
    learn([capture(folder / "clean.pcap", 5, 1, nothing)], folder / "baseline.parquet", config)
    return Baseline.load(folder / "baseline.parquet")


def judged(tmp_path: Path, config: Config, baseline: Baseline, minutes: float, script: Script) -> list[Row]:
    out = tmp_path / "out"
    quiet = replace(config, output=replace(config.output, points="none"))
    run([capture(tmp_path / "c.pcap", minutes, 2, script)], out, quiet, baseline=baseline)
    rows = pl.read_parquet(out / "alerts" / "*.parquet")
    return rows.group_by("finding_info_uid", maintain_order=True).last().sort("start_time").to_dicts()


def test_the_clean_plant_is_silent(tmp_path: Path, config: Config, baseline: Baseline) -> None:
    assert judged(tmp_path, config, baseline, 5, nothing) == []


def test_a_controller_that_asks_others_is_told_and_worse_when_it_writes(
    tmp_path: Path, config: Config, baseline: Baseline
) -> None:
    def pivot(plants: list[Plant], schedule: Schedule) -> None:
        controller = plants[0].servers[0].host
        visits(plants, schedule, controller, (60.0, 75.0), read(3, 0, 2))
        visits(plants, schedule, controller, (120.0, 135.0, 150.0, 165.0), read(3, 0, 2), write_register(0, 300))

    rows = judged(tmp_path, config, baseline, 4, pivot)
    controller = "10.10.1.11"
    assert [(r["analytic_uid"], r["severity_id"], r["client_ip"]) for r in rows] == [
        ("role.device_asks", Severity.CRITICAL, controller),
        ("scan.writes", Severity.CRITICAL, controller),
        ("scan.sweep", Severity.HIGH, controller),
    ]
    assert rows[0]["finding_info_desc"].startswith(f"{controller} only ever answered, and now asks ")
    assert rows[0]["count"] >= 5
    # A controller has one id, whether it is asked or asks.
    assert {r["device"] for r in rows} <= set(baseline.table.column("device").to_pylist())


def test_a_search_too_slow_for_ten_minutes_is_told_within_the_hour(
    tmp_path: Path, config: Config, baseline: Baseline
) -> None:
    def search(plants: list[Plant], schedule: Schedule) -> None:
        host = plants[0].host("X", "3.99", "00:e0:4c:68:0f")
        visits(plants, schedule, host, (30.0 + 240 * n for n in range(11)), read(3, 0, 1))

    rows = judged(tmp_path, config, baseline, 45, search)
    assert [(r["analytic_uid"], r["client_ip"], r["observed_value"], r["expected_high"]) for r in rows] == [
        ("scan.hour", "10.10.3.99", 11.0, 8.0)
    ]


def test_an_operator_station_that_is_turned_against_the_others_is_told(
    tmp_path: Path, config: Config, baseline: Baseline
) -> None:
    """It polls four controllers all day; the eight others are not its own."""

    def turned(plants: list[Plant], schedule: Schedule) -> None:
        visits(plants[1:], schedule, plants[0].hmi, (60.0 + 10 * n for n in range(8)), read(3, 0, 1))

    rows = judged(tmp_path, config, baseline, 4, turned)
    assert [(r["analytic_uid"], r["client_ip"], r["observed_value"], r["count"]) for r in rows] == [
        ("scan.sweep", "10.10.2.21", 8.0, 5)
    ]
