"""Public captures of six RTUs with labelled packets: five minutes to learn, then a forged command and a reconnaissance.

The learning part ends where the first labelled packet begins.  What is told beyond the attacks is the operator
switching coils that stood still for those five minutes: low, one line for each coil and its feedback.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dpkt
import polars as pl
import pytest

from pipeline.baseline import Baseline
from pipeline.config import Config
from pipeline.run import learn, run
from schemas.codes import Severity

DATA = Path(os.environ.get("FIELDTAP_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "detection"
FOLDER = DATA / "lemay-modbus"
FORGED = "send_a_fake_command_modbus_6RTU_with_operate"
RECONNAISSANCE = "characterization_modbus_6RTU_with_operate"
CLEAN_PACKETS = 4781
FALSE_LINES = {FORGED: 2, RECONNAISSANCE: 8}
"""Findings without a labelled packet, at most."""
STRANGER = ("peer.new_client", "peer.new_pair")
Row = dict[str, Any]

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no captures in {FOLDER} (set FIELDTAP_DATA)")


def cut(name: str, out: Path, first: int, last: int) -> Path:
    """Packets `first` to `last` of a capture, counted from 1."""
    with (FOLDER / f"{name}.pcap").open("rb") as source, out.open("wb") as target:
        writer = dpkt.pcap.Writer(target)
        for number, (ts, packet) in enumerate(dpkt.pcap.Reader(source), 1):
            if first <= number <= last:
                writer.writepkt(packet, ts)
    return out


def attack_packets(name: str) -> set[int]:
    """Numbers of the labelled packets, counted from 1."""
    lines = (FOLDER / f"{name}_labeled.csv").read_text().split()
    labels = [line.rsplit(";", 1)[1] for line in lines if line.endswith((";0", ";1"))]
    return {number for number, label in enumerate(labels, 1) if label == "1"}


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    folder = tmp_path_factory.mktemp("lemay")
    clean = cut(FORGED, folder / "clean.pcap", 1, CLEAN_PACKETS)
    learn([clean], folder / "baseline.parquet", Config())
    return Baseline.load(folder / "baseline.parquet")


def judged(capture: Path, baseline: Baseline | None, out: Path) -> list[Row]:
    """All findings, folded."""
    run([capture], out, Config(), baseline=baseline)
    rows = pl.read_parquet(out / "alerts" / "*.parquet")
    return rows.group_by("finding_info_uid", maintain_order=True).last().to_dicts()


def split(rows: list[Row], attack: set[int], before: int = 0) -> tuple[dict[str, Row], list[Row]]:
    """Findings whose first evidence is labelled, by kind, which there is one of each; and the others."""
    true = [r for r in rows if r["evidences"][0]["packet"] + before in attack]
    assert len(true) == len({r["analytic_uid"] for r in true})
    assert all(e["packet"] + before in attack for r in true for e in r["evidences"])
    return {r["analytic_uid"]: r for r in true}, [r for r in rows if r not in true]


def test_a_forged_command_is_told_with_its_outcome(baseline: Baseline, tmp_path: Path) -> None:
    capture = cut(FORGED, tmp_path / "rest.pcap", CLEAN_PACKETS + 1, 1 << 30)
    attack = attack_packets(FORGED)
    told, others = split(judged(capture, baseline, tmp_path / "out"), attack, CLEAN_PACKETS)
    assert set(told) == {*STRANGER, "function.unseen", "command.new_writer", "role.device_asks"}
    # The one who forges is a controller that only ever answered: it asks, and it writes.
    assert told["role.device_asks"]["severity_id"] == Severity.CRITICAL
    assert {row["severity_id"] for uid, row in told.items() if uid != "role.device_asks"} == {Severity.HIGH}
    line = told["function.unseen"]["finding_info_desc"]
    assert line.startswith("192.168.1.101 uses write single coil (5) (write) on 192.168.1.102")
    assert line.endswith("accepted")
    assert len(others) <= FALSE_LINES[FORGED]
    assert {row["severity_id"] for row in others} <= {Severity.LOW}


def test_a_reconnaissance_is_one_line_for_the_client_and_one_for_the_device_that_turned(
    baseline: Baseline, tmp_path: Path
) -> None:
    attack = attack_packets(RECONNAISSANCE)
    rows = judged(FOLDER / f"{RECONNAISSANCE}.pcap", baseline, tmp_path / "out")
    told, others = split(rows, attack)
    assert set(told) == {*STRANGER, "function.unseen", "rate.point_scan", "rate.errors", "role.device_asks"}
    # What is found across devices stands beside what is found on each: neither can be the other's parent.
    assert {row["analytic_uid"] for row in told.values() if not row["parent_uid"]} == {
        "peer.new_client",
        "role.device_asks",
    }
    packets = pl.read_parquet(tmp_path / "out" / "records" / "*.parquet")["packet"]
    assert told["function.unseen"]["count"] == sum(packet in attack for packet in packets) > 6000
    assert len(others) <= FALSE_LINES[RECONNAISSANCE]
    assert {row["severity_id"] for row in others} <= {Severity.LOW}
    assert {row["analytic_uid"] for row in others} <= {"value.constant"}
