"""What devices say they are, from captures through a baseline to the words of a finding, for each protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.baseline import Baseline
from pipeline.cli import baselines
from pipeline.config import Config
from pipeline.run import learn, run
from tests.decode.packets import Packet, write_pcap
from tests.golden.cases import CASES

SERIAL = (12648353).to_bytes(4, "little")
PEER = replace(Config(), enabled=("peer",), across=())


def found(capture: Path, baseline: Baseline, out: Path) -> list[dict[str, Any]]:
    run([capture], out, PEER, baseline=baseline)
    rows = [pl.read_parquet(part) for part in sorted((out / "alerts").glob("*.parquet"))]
    return [row for table in rows for row in table.to_dicts() if row["analytic_uid"] == "peer.identity"]


@pytest.mark.parametrize(
    ("case", "old", "new", "words"),
    [
        ("modbus_device_id", b"V1.3", b"V1.4", "= V1.4, and said V1.3 before"),
        ("s7comm_identity", b"S C-X4U421302009", b"S C-X4U421302008", "= S C-X4U421302008, and said S C-X4U421302009"),
        ("enip_session", SERIAL, b"\1\2\3\4", "serial = 04030201, and said 00C0FFA1 before"),
        ("bacnet_discovery", b"2.11", b"2.12", "firmware = 2.12, and said 2.11 before"),
    ],
)
def test_a_change_is_told_in_its_words(case: str, old: bytes, new: bytes, words: str, tmp_path: Path) -> None:
    packets = CASES[case]()
    before = write_pcap(tmp_path / "before.pcap", packets)
    changed = [Packet(p.ts, p.data.replace(old, new), p.link, p.original) for p in packets]
    assert changed != list(packets)
    after = write_pcap(tmp_path / "after.pcap", changed)
    learn([before], tmp_path / "baseline", PEER)
    baseline = Baseline.load(tmp_path / "baseline")
    assert found(before, baseline, tmp_path / "same") == []
    lines = {row["finding_info_desc"] for row in found(after, baseline, tmp_path / "other")}
    assert len(lines) == 1
    assert words in lines.pop()


def test_a_baseline_names_what_devices_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for case, words in (("modbus_device_id", "V1.3"), ("enip_session", "00C0FFA1")):
        capture = write_pcap(tmp_path / f"{case}.pcap", CASES[case]())
        learn([capture], tmp_path / case, PEER)
        capsys.readouterr()
        baselines.show(tmp_path / case, {"parameter": "identity"}, 0)
        assert words in capsys.readouterr().out
