"""A damaged end of a chain: the partition stops with an alarm, repair computes it from Kafka, work goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.app import app
from pipeline.config import Config
from pipeline.ledger.view import findings
from pipeline.setup import Setup
from pipeline.synth import simulate
from pipeline.worker.compose import Deployment, Detection, work
from tests.kafka.deployment import Site, ordered, same


@pytest.mark.parametrize("topic", ["records", "panes"])
def test_repair_from_the_log(broker: str, topic_prefix: str, tmp_path: Path, topic: str) -> None:
    simulate(tmp_path / "plant", minutes=10, seed=2, attacks=("all",))
    site = Site(broker, topic_prefix, 2, tmp_path, Setup(Config()))
    site.shards([[tmp_path / "plant" / "plant.pcap"]])
    site.workers(1)
    before = site.outcome()
    place = Deployment(broker, str(tmp_path / "store"), site.setup, site.setup.config.worker)
    info = place.records if topic == "records" else place.panes()
    chain = place.chain(info, 1)
    tip = chain.tip()
    assert tip is not None
    name = chain.place.epoch(tip.start)
    place.store.replace(name, tip.data[:-7])
    stopped: list[str] = []

    def alarmed(line: str) -> None:
        if "ALARM" in line:
            stopped.append(line)

    quick = replace(site.setup.config.worker, revoke_s=0.5)
    place.settings = quick
    report = work(place, Detection, stop=lambda: bool(stopped), say=alarmed)
    assert "is damaged" in report.stopped[0]
    assert f"{info.name}/1" in stopped[0]
    settings = tmp_path / "fieldtap.toml"
    settings.write_text(f'[kafka]\ntopic_prefix = "{topic_prefix}"\n')
    words = ["ledger", "repair", str(tmp_path / "store"), "--run", "live", "--topic-id", info.id, "--partition", "1"]
    done = CliRunner().invoke(app, [*words, "--kafka", broker, "--config", str(settings)])
    assert done.exit_code == 0, done.output
    assert "stands again" in done.output
    assert "are those that had been published" in done.output or not _published(place, info.id)
    site.workers(1)
    assert same(site.outcome(), before) == []
    assert ordered(findings(place.store, "live")).num_rows == before.found.num_rows


def _published(place: Deployment, topic_id: str) -> bool:
    return any(f"{topic_id}+00001" in name for name, _ in place.store.names("findings"))
