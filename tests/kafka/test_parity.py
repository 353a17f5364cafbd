"""The same findings and the same state from a file, from any number of partitions and workers, and from the archive."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.baseline import Baseline
from pipeline.config import Config
from pipeline.run import learn
from pipeline.setup import Setup
from pipeline.site import Site as SiteFile
from pipeline.synth import simulate
from tests.kafka.deployment import Site, equal_tables, file_run, same

GOLDEN = sorted(p for p in (Path(__file__).parents[1] / "golden").iterdir() if (p / "expected.jsonl").exists())


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Setup]:
    """An hour of the plant with attacks, and what a clean quarter of an hour taught."""
    folder = tmp_path_factory.mktemp("hour")
    simulate(folder / "clean", minutes=15, seed=1)
    simulate(folder / "hour", minutes=60, seed=2, attacks=("all",))
    names = SiteFile.load(folder / "hour" / "site.toml")
    learn([folder / "clean" / "plant.pcap"], folder / "baseline.parquet", Config(), site=names)
    return folder / "hour" / "plant.pcap", Setup(Config(), names, Baseline.load(folder / "baseline.parquet"))


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("partitions", [1, 2, 4])
def test_an_hour_of_the_plant(
    broker: str, topic_prefix: str, tmp_path: Path, hour: tuple[Path, Setup], partitions: int, workers: int
) -> None:
    capture, setup = hour
    expected = file_run([capture], setup, partitions)
    assert expected.found.num_rows > 50
    site = Site(broker, topic_prefix, partitions, tmp_path, setup)
    site.shards([[capture]])
    site.workers(workers)
    assert same(site.outcome(), expected) == []
    if workers == 1:
        site.archive()
        assert same(site.replayed(), expected) == []


def test_every_golden_capture(broker: str, topic_prefix: str, tmp_path: Path) -> None:
    """Partitions 1, 2, 4 and workers 1, 2, 3 in turn, several captures at a time."""
    cases = [(path, partitions) for path in GOLDEN for partitions in (1, 2, 4)]
    assert len(cases) >= 60

    def one(number: int) -> list[str]:
        path, partitions = cases[number]
        setup = Setup(Config())
        inputs = sorted(p for p in path.iterdir() if p.suffix in (".pcap", ".pcapng"))
        expected = file_run(inputs, setup, partitions)
        site = Site(broker, f"{topic_prefix}{number}.", partitions, tmp_path / str(number), setup)
        site.shards([inputs])
        site.workers(1 + number % 3)
        return [f"{path.name}/{partitions}: {wrong}" for wrong in same(site.outcome(), expected)]

    with ThreadPoolExecutor(6) as pool:
        assert [wrong for found in pool.map(one, range(len(cases))) for wrong in found] == []


def test_three_shards_are_judged_as_the_archive_has_them(
    broker: str, topic_prefix: str, tmp_path: Path, hour: tuple[Path, Setup]
) -> None:
    for name, seed in (("one", 1), ("three", 3)):
        simulate(tmp_path / name, minutes=60, seed=seed)
    captures = [[tmp_path / "one" / "plant.pcap"], [hour[0]], [tmp_path / "three" / "plant.pcap"]]
    site = Site(broker, topic_prefix, 4, tmp_path, Setup(Config()))
    site.shards(captures)
    site.workers(2)
    site.archive()
    found, replayed = site.outcome(), site.replayed()
    assert found.found.num_rows > 20
    assert same(found, replayed) == []


def test_a_difference_is_seen(hour: tuple[Path, Setup]) -> None:
    """That the comparison can fail."""
    capture, setup = hour
    one, other = file_run([capture], setup, 2), file_run([capture], Setup(Config()), 2)
    assert "findings" in same(one, other)
    assert any("detector.value" in wrong for wrong in same(one, other))
    assert equal_tables(one.found, one.found)
