"""Orders: a finding that is taught to a running deployment, by the command, through the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from detectors.base import Mark
from pipeline.cli import app
from pipeline.config import Config
from pipeline.findings.taught import ordered
from pipeline.run.report import Hooks
from pipeline.setup import Setup
from pipeline.shard.capture import Files, capture
from pipeline.synth.clients import read
from pipeline.synth.plant import Plant, Schedule
from pipeline.transport import topics
from pipeline.transport.codec import decode
from pipeline.worker.orders import SHARD, Order, messages
from schemas.codes import MarkKind
from tests.kafka.deployment import Site, same
from tests.quality import test_across
from tests.quality.test_across import capture as plant
from tests.quality.test_across import visits

GOLDEN = Path(__file__).parents[1] / "golden"
CAPTURES = [GOLDEN / name / "input.pcap" for name in ("s7comm_download", "dnp3_malformed")]


def again(site: Site, shard: int, captures: Sequence[Path] = CAPTURES) -> None:
    """The same traffic, seen by another capture point."""
    config = replace(site.setup.config, decode=replace(site.setup.config.decode, shard=shard))
    capture(Files(captures), site.bootstrap, site.folder / f"spool-{shard}", config, hooks=Hooks())


def teach(site: Site, uid: int) -> str:
    """The command; what it says."""
    settings = site.folder / "fieldtap.toml"
    settings.write_text(f'[kafka]\ntopic_prefix = "{site.setup.config.kafka.topic_prefix}"\n')
    command = ["ledger", "teach", str(site.folder / "store"), f"{uid:016x}", "--run", "live", "--kafka", site.bootstrap]
    done = CliRunner().invoke(app, [*command, "--config", str(settings)])
    assert done.exit_code == 0, done.output
    return done.output


def counts(site: Site) -> dict[int, int]:
    rows = site.outcome().found
    return dict(zip(rows.column("finding_info_uid").to_pylist(), rows.column("count").to_pylist(), strict=True))


def test_a_taught_finding_counts_no_more_and_a_replay_agrees(broker: str, topic_prefix: str, tmp_path: Path) -> None:
    site = Site(broker, topic_prefix, 2, tmp_path, Setup(Config()))
    site.shards([CAPTURES])
    site.workers(1)
    before = counts(site)
    found = site.outcome().found.to_pylist()
    taught = next(r for r in found if r["analytic_uid"] == "function.dangerous")
    assert "1 findings taught" in teach(site, taught["finding_info_uid"])
    again(site, 1)
    site.workers(1)
    after = counts(site)
    below = {r["finding_info_uid"] for r in found if r["parent_uid"] == taught["finding_info_uid"]}
    quiet = below | {taught["finding_info_uid"]}
    assert {uid for uid in before if after[uid] == before[uid]} == quiet
    assert len(before) > len(quiet)
    site.archive()
    assert same(site.replayed(), site.outcome()) == []


def search(plants: list[Plant], schedule: Schedule, of: slice, start_s: float) -> None:
    """A stranger asks one controller after the other."""
    stranger = plants[0].host("X", "3.99", "00:e0:4c:68:0f")
    visits(plants[of], schedule, stranger, (start_s + 10 * n for n in range(4 * len(plants[of]))), read(3, 0, 1))


def test_what_was_found_across_devices_is_taught_too(
    broker: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a deployment that is not taught: all else is found in both."""
    first = plant(tmp_path / "first.pcap", 7, 1, lambda plants, schedule: search(plants, schedule, slice(2), 330.0))
    monkeypatch.setattr(test_across, "START_S", test_across.START_S + 420)
    second = plant(tmp_path / "second.pcap", 2, 1, lambda plants, schedule: search(plants, schedule, slice(2, 3), 30.0))
    ours, plain = (
        Site(broker, f"{topic_prefix}{name}.", 2, tmp_path / name, Setup(Config())) for name in ("ours", "plain")
    )
    for site in (ours, plain):
        site.shards([[first]])
        site.workers(1)
    rows = ours.outcome().found.to_pylist()
    (taught,) = [row["finding_info_uid"] for row in rows if row["analytic_uid"] == "scan.sweep"]
    before = counts(ours)
    quiet = {taught} | {row["finding_info_uid"] for row in rows if row["parent_uid"] == taught}
    assert f"{len(quiet)} findings taught" in teach(ours, taught)
    for site in (ours, plain):
        again(site, 1, [second])
        (report,) = site.workers(1)
        assert report.stages[site.setup.config.kafka.topic(topics.PANES)]["waiting"] == 0
    here, there = counts(ours), counts(plain)
    assert {uid for uid in there if here.get(uid) != there[uid]} == quiet
    # Eight devices were taught.  The ninth lies within a quarter of that, as far as it is beyond three; others do not.
    assert (before[taught], here[taught], there[taught]) == (5, 8, 9)
    ours.archive()
    assert same(ours.replayed(), ours.outcome()) == []


def test_orders_go_where_the_records_of_their_device_go() -> None:
    orders = [Order((device, 7, device + 1), 2.5 if device % 2 else -np.inf, 1_000 + device) for device in range(1300)]
    got: dict[tuple[int, int, int], float] = {}
    for partition, header, value in messages(orders, 3, 5):
        stretch = decode(header, value, partition=partition)
        assert stretch.header.shard == SHARD
        assert stretch.batch is None
        *given, (_, last) = stretch.marks
        assert last == Mark(MarkKind.END, last.ts_ns, SHARD)
        for _, mark in given:
            order = ordered(mark.text)
            assert order is not None
            assert order[0][0] % 1024 % 3 == partition
            got[order[0]] = order[1]
    assert got == {order.subject: order.extent for order in orders}
