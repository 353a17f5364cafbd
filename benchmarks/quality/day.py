"""A day of the simulated plant, which speaks six protocols: what is found of attacks, and told of a clean day.

A clean day is learned, with its site file; another clean day and one with all attacks are judged.  An attack is found
if something of at least medium weight is first told of its device, or of its attacker, while it lasts.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.quality.metrics import Measure
from pipeline import synth
from pipeline.baseline import Baseline
from pipeline.config import Config, OutputSettings
from pipeline.run import learn, run
from pipeline.site import Site
from schemas.codes import Severity

MINUTES = 1440
LEARNED, CLEAN, ATTACKED = 1, 2, 3
"""Seeds."""
QUIETLY = Config(output=OutputSettings(points="none"))
Row = dict[str, Any]


def _findings(made: synth.SimulationReport, baseline: Baseline, out: Path) -> list[Row]:
    """What a person is told: findings folded, those rolled up under another left out."""
    run([made.capture], out, QUIETLY, site=Site.load(made.site), baseline=baseline)
    rows = pl.read_parquet(out / "alerts" / "*.parquet")
    folded = rows.group_by("finding_info_uid", maintain_order=True).last()
    return folded.filter(pl.col("parent_uid") == 0).to_dicts()


def _is_of(row: Row, attack: Row) -> bool:
    meanwhile = attack["start"] <= row["first_seen_time"] <= attack["settled"]
    ends = {row["server_ip"], row["client_ip"]} & {attack["device_ip"], attack["attacker_ip"]}
    return meanwhile and bool(ends)


def day(_: Path) -> list[Measure]:
    """The simulated plant, 24 hours each."""
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        clean = synth.simulate(out / "learned", minutes=MINUTES, seed=LEARNED)
        learn([clean.capture], out / "baseline.parquet", Config(), site=Site.load(clean.site))
        baseline = Baseline.load(out / "baseline.parquet")
        clean.capture.unlink()
        quiet = synth.simulate(out / "clean", minutes=MINUTES, seed=CLEAN)
        false = _findings(quiet, baseline, out / "quiet")
        quiet.capture.unlink()
        made = synth.simulate(out / "attacked", minutes=MINUTES, seed=ATTACKED, attacks=["all"])
        told = _findings(made, baseline, out / "told")
        attacks = pl.read_parquet(made.attacks).to_dicts()
    grave = [row for row in told if row["severity_id"] >= Severity.MEDIUM]
    found = [any(_is_of(row, attack) for row in grave) for attack in attacks]
    aside = [row for row in told if not any(_is_of(row, attack) for attack in attacks)]
    for attack, is_found in zip(attacks, found, strict=True):
        if not is_found:
            print(f"not found: {attack['name']}")
    for row in false + aside:
        print(f"false: {row['first_seen_time']} {row['analytic_uid']} {row['finding_info_desc']}")
    name, everything = "simulated plant, 24 h", f"{len(attacks)}"
    return [
        Measure(name, "attacks found", sum(found), everything, everything, all(found)),
        Measure(name, "findings on the clean day", len(false), "5", "1", len(false) <= 5),
        Measure(name, "findings aside of attacks on the other day", len(aside)),
    ]
