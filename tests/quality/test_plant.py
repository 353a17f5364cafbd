"""What a person is told of the attacks on the simulated plant, and of its clean hours: nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline import synth
from pipeline.baseline import Baseline
from pipeline.config import Config
from pipeline.run import learn, run
from pipeline.site import Site
from schemas.codes import Severity

MOST_FINDINGS = 210
"""Findings of half an hour with 34 attacks, folded."""
MOST_LINES = 140
"""Of these, what is rolled up under no other."""
HIGH, MEDIUM, CRITICAL = Severity.HIGH, Severity.MEDIUM, Severity.CRITICAL
Row = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """A finding that must be among those of an attack.

    Attributes:
        kinds: it is one of these.
        severity, count: at least.
        device, tag: how their names begin.
        text: part of its line.
        attacker: whether its line names the attacker's address.
    """

    kinds: tuple[str, ...]
    severity: int = MEDIUM
    device: str = ""
    tag: str = ""
    text: str = ""
    attacker: bool = False
    count: int = 1

    def fits(self, row: Row, attack: Row) -> bool:
        return (
            row["analytic_uid"] in self.kinds
            and row["severity_id"] >= self.severity
            and row["device_name"].startswith(self.device)
            and row["tag"].startswith(self.tag)
            and self.text in row["finding_info_desc"]
            and row["count"] >= self.count
            and (not self.attacker or attack["attacker_ip"] in row["finding_info_desc"])
        )


STRANGER = ("peer.new_client", "peer.new_pair")
WRITTEN = ("value.written_range", "value.written_jump")
EXPECTED: dict[str, Sequence[Told]] = {
    "setpoint_jump": [
        Told(WRITTEN, HIGH, "PLC-3", "PSP-301", "8.5 bar", attacker=True),
        Told(("value.range",), HIGH, "PLC-3", "PT-301"),
        Told(("value.range",), HIGH, "PLC-3", "FT-301 network flow", "m3/h"),
    ],
    "stranger_write": [
        Told(STRANGER, HIGH, "PLC-1", attacker=True),
        Told(WRITTEN, HIGH, "PLC-1", "LSP-101", "5.9 m", attacker=True),
        Told(("function.unseen",), HIGH, "PLC-1", attacker=True),
        Told(("command.new_writer",), HIGH, "PLC-1", attacker=True),
    ],
    "unusual_function": [
        Told(("function.dangerous",), CRITICAL, "PLC-2", text="accepted", attacker=True),
        Told(("function.dangerous",), CRITICAL, "GW-4", text="listen only", attacker=True),
        Told(("function.unseen",), MEDIUM, "PLC-2", text="identify", attacker=True),
    ],
    "scan": [
        *(Told(STRANGER, MEDIUM, name, attacker=True, count=40) for name in ("PLC-1", "PLC-2", "PLC-3", "GW-4")),
        Told(("function.dangerous",), HIGH, "PLC-1", attacker=True),
        Told(("scan.sweep",), HIGH, text="reached 4 devices within ten minutes", attacker=True),
    ],
    "forged_response": [
        Told(("peer.device_mac",), HIGH, "PLC-1"),
        Told(("value.range",), HIGH, "PLC-1", "LT-101", "0.35 m"),
        Told(("function.conflicting_response",), HIGH, "PLC-1", text="another answer in its place"),
    ],
    "replay": [
        Told(("peer.device_mac",), HIGH, "PLC-3"),
        Told(("peer.arp_claim",), MEDIUM, "PLC-3", text="says by ARP"),
        Told(("peer.arp_claim",), MEDIUM, "HMI-1", text="says by ARP"),
        Told(("peer.duplicate_address",), HIGH, "HMI-1", text="in turn"),
        Told(WRITTEN, HIGH, "PLC-3", "PSP-301", "5.6 bar", attacker=True),
        Told(STRANGER, HIGH, "PLC-3", attacker=True),
        Told(("value.jump",), HIGH, "PLC-3", "FQ-301 network total", "m3"),
        Told(("value.range",), HIGH, "PLC-3", "PT-301"),
        Told(("replay.answers",), HIGH, "PLC-3", text="in a row"),
    ],
    "stuck_sensor": [Told(("value.stuck",), MEDIUM, "PLC-3", "PT-301", "bar")],
    "slow_ramp": [Told(("value.range", "value.jump"), HIGH, "PLC-1", "TT-101", "degC")],
    "flood": [Told(STRANGER, MEDIUM, "PLC-2", attacker=True, count=1000)],
    "iec104_stranger_command": [
        Told(STRANGER, HIGH, "RTU-7", attacker=True),
        Told(("value.range",), HIGH, "RTU-7", "ET-701", "0 kV"),
    ],
    "iec104_reset_process": [Told(("function.dangerous",), HIGH, "RTU-7", text="restart", attacker=True)],
    "iec104_false_values": [Told(("value.range",), HIGH, "RTU-7", "TT-701", "degC")],
    "iec104_direct_command": [Told(("command.unselected",), HIGH, "RTU-7", "Q1 capacitor bank command", attacker=True)],
    "iec104_setpoint_jump": [Told(WRITTEN, HIGH, "RTU-7", "ESP-701", "11.4 kV", attacker=True)],
    "s7_stranger_write": [
        Told(STRANGER, HIGH, "PLC-6", attacker=True),
        Told(WRITTEN, HIGH, "PLC-6", "FSP-601", "7.5 mg/l", attacker=True),
    ],
    "s7_stop": [
        Told(("function.dangerous",), CRITICAL, "PLC-6", text="stop", attacker=True),
        Told(("value.stuck",), MEDIUM, "PLC-6", "DT-601"),
    ],
    "s7_false_values": [Told(("value.range",), HIGH, "PLC-6", "DT-601", "kg/l")],
    "s7_setpoint_jump": [Told(WRITTEN, HIGH, "PLC-6", "FSP-601", "7.5 mg/l", attacker=True)],
    "s7_download": [Told(("function.dangerous",), CRITICAL, "PLC-6", text="download", attacker=True)],
    "dnp3_stranger_operate": [Told(STRANGER, HIGH, "RTU-5", attacker=True)],
    "dnp3_cold_restart": [Told(("function.dangerous",), HIGH, "RTU-5", text="cold restart", attacker=True)],
    "dnp3_false_values": [Told(("value.range",), HIGH, "RTU-5", "PT-501", "bar")],
    "dnp3_setpoint_jump": [Told(WRITTEN, HIGH, "RTU-5", "LSP-501", "2.6 m", attacker=True)],
    "dnp3_disable_unsolicited": [Told(("function.dangerous",), HIGH, "RTU-5", text="unsolicited", attacker=True)],
    "bacnet_stranger_write": [
        Told(STRANGER, HIGH, "BAC-8", attacker=True),
        Told(WRITTEN, HIGH, "BAC-8", "TSP-801", "32 degC", attacker=True),
        Told(("value.range",), HIGH, "BAC-8", "AT-801", "ppm"),
    ],
    "bacnet_reinitialize": [Told(("function.dangerous",), HIGH, "BAC-8", text="reinitialize", attacker=True)],
    "bacnet_false_values": [Told(("value.range",), HIGH, "BAC-8", "AT-801", "ppm")],
    "bacnet_setpoint_jump": [Told(WRITTEN, HIGH, "BAC-8", "TSP-801", "32 degC", attacker=True)],
    "bacnet_override": [Told(("function.dangerous",), HIGH, "BAC-8", text="priority 1", attacker=True)],
    "cip_stranger_write": [
        Told(STRANGER, HIGH, "PLC-9", attacker=True),
        Told(WRITTEN, HIGH, "PLC-9", text="Press.BeltSpeedSP", attacker=True),
    ],
    "cip_stop": [Told(("function.dangerous",), CRITICAL, "PLC-9", text="stop", attacker=True)],
    "cip_false_values": [Told(("value.range",), HIGH, "PLC-9", text="Thickener.Level")],
    "cip_setpoint_jump": [Told(WRITTEN, HIGH, "PLC-9", text="Press.BeltSpeedSP", attacker=True)],
    "cip_reset": [Told(("function.dangerous",), HIGH, "PLC-9", text="reset", attacker=True)],
}
SPEAKS_FROM = ("forged_response", "replay")
"""Attacks in which the attacker's network card speaks in a device's name."""


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    folder = tmp_path_factory.mktemp("clean")
    made = synth.simulate(folder, minutes=60, seed=1)
    learn([made.capture], folder / "baseline.parquet", Config(), site=Site.load(made.site))
    return Baseline.load(folder / "baseline.parquet")


def judged(made: synth.SimulationReport, baseline: Baseline, out: Path) -> list[Row]:
    """All findings, folded."""
    run([made.capture], out, Config(), site=Site.load(made.site), baseline=baseline)
    rows = pl.read_parquet(out / "alerts" / "*.parquet")
    return rows.group_by("finding_info_uid", maintain_order=True).last().to_dicts()


def during(rows: list[Row], attack: Row) -> list[Row]:
    return [r for r in rows if attack["start"] <= r["first_seen_time"] <= attack["settled"]]


@pytest.mark.parametrize("seed", [2, 3])
def test_every_attack_is_told_for_what_it_is_and_nothing_else_is(seed: int, baseline: Baseline, tmp_path: Path) -> None:
    made = synth.simulate(tmp_path, minutes=30, seed=seed, attacks=["all"])
    attacks = pl.read_parquet(made.attacks).to_dicts()
    rows = judged(made, baseline, tmp_path / "out")
    assert {a["name"] for a in attacks} == set(EXPECTED)
    missing = [
        (attack["name"], told)
        for attack in attacks
        for told in EXPECTED[attack["name"]]
        if not any(told.fits(row, attack) for row in during(rows, attack))
    ]
    assert missing == []
    for attack in attacks:
        if attack["name"] in SPEAKS_FROM:
            (line,) = (r for r in during(rows, attack) if r["analytic_uid"] == "peer.device_mac")
            assert line["observed"] == attack["attacker_mac"]
    inside = {id(row) for attack in attacks for row in during(rows, attack)}
    assert [r["finding_info_desc"] for r in rows if id(r) not in inside and r["severity_id"] >= MEDIUM] == []
    assert len(rows) <= MOST_FINDINGS
    assert sum(r["parent_uid"] == 0 for r in rows) <= MOST_LINES
    (scan,) = (a for a in attacks if a["name"] == "scan")
    scanned = [r for r in rows if r["client_ip"] == scan["attacker_ip"] and not r["parent_uid"]]
    lines = [r["device_name"] for r in scanned if not r["analytic_uid"].startswith("scan.")]
    assert sorted(lines) == sorted(set(lines))
    assert len(lines) == 4
    across = [r for r in rows if r["analytic_uid"].split(".")[0] in ("scan", "role")]
    assert [(r["analytic_uid"], r["client_ip"]) for r in across] == [("scan.sweep", scan["attacker_ip"])]
    (sweep,) = across
    assert {e["packet"] for e in sweep["evidences"]} <= _packets(tmp_path / "out", scan["attacker_ip"])


def _packets(out: Path, address: str) -> set[int]:
    """The packets of records that a host sent."""
    packed = bytes(10) + b"\xff\xff" + bytes(int(part) for part in address.split("."))
    records = pl.read_parquet(out / "records" / "*.parquet", columns=["src_ip", "packet"])
    return set(records.filter(pl.col("src_ip") == packed)["packet"])


def test_a_clean_half_hour_is_silent(baseline: Baseline, tmp_path: Path) -> None:
    made = synth.simulate(tmp_path, minutes=30, seed=7)
    assert [r["finding_info_desc"] for r in judged(made, baseline, tmp_path / "out")] == []
