"""Orders: a finding that is taught to a running deployment, by the command, through the log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from detectors.base import Mark
from pipeline.cli import app
from pipeline.config import Config
from pipeline.findings.taught import ordered
from pipeline.run.report import Hooks
from pipeline.setup import Setup
from pipeline.shard.capture import Files, capture
from pipeline.transport.codec import decode
from pipeline.worker.orders import SHARD, Order, messages
from schemas.codes import MarkKind
from tests.kafka.deployment import Site, same

GOLDEN = Path(__file__).parents[1] / "golden"
CAPTURES = [GOLDEN / name / "input.pcap" for name in ("s7comm_download", "dnp3_malformed")]


def again(site: Site, shard: int) -> None:
    """The same traffic, seen by another capture point."""
    config = replace(site.setup.config, decode=replace(site.setup.config.decode, shard=shard))
    capture(Files(CAPTURES), site.bootstrap, site.folder / f"spool-{shard}", config, hooks=Hooks())


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
    settings = tmp_path / "fieldtap.toml"
    settings.write_text(f'[kafka]\ntopic_prefix = "{topic_prefix}"\n')
    store = str(tmp_path / "store")
    command = ["ledger", "teach", store, f"{taught['finding_info_uid']:016x}", "--run", "live", "--kafka", broker]
    done = CliRunner().invoke(app, [*command, "--config", str(settings)])
    assert done.exit_code == 0, done.output
    assert "1 findings taught" in done.output
    again(site, 1)
    site.workers(1)
    after = counts(site)
    below = {r["finding_info_uid"] for r in found if r["parent_uid"] == taught["finding_info_uid"]}
    quiet = below | {taught["finding_info_uid"]}
    assert {uid for uid in before if after[uid] == before[uid]} == quiet
    assert len(before) > len(quiet)
    site.archive()
    assert same(site.replayed(), site.outcome()) == []


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
