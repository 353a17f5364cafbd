"""Merging of evidence against its twin in plain Python."""

from __future__ import annotations

import math

import pytest

from pipeline.findings import Findings
from schemas.codes import Activity
from tests.pipeline.scripted import TYPES, Scripted, batches, plain, row, stream, value
from tests.reference import findings as twin


@pytest.mark.parametrize("seed", range(6))
def test_merging_agrees_with_its_plain_twin(seed: int) -> None:
    rows = stream(seed, 3000, devices=3, keys=3)
    rows.extend(row(5000, i, device=3, flow=1, points=value(float(i))) for i in range(1200))
    pieces = [
        {
            "bucket": r["device"] % 1024,
            "what": r["label"],
            "key": r["flow"],
            "severity": r["count"],
            "outcome": max(r.get("rtt_us", 0), 0),
            "value": r["points"][0]["value"] if r.get("points") else math.nan,
            **{name: r[name] for name in ("device", "ts", "func", "seq")},
        }
        for r in rows
        if r["label"]
    ]
    findings = Findings(TYPES)
    for batch in batches(rows, (611,)):
        findings.add(batch, Scripted().on_batch(batch))
    made = [r for r in plain(findings.take()) if r["activity_id"] != Activity.CLOSE]
    expected = twin.merge(pieces)
    assert len(made) == len(expected) > 100
    for ours, theirs in zip(made, expected, strict=True):
        assert {
            "activity_id": ours["activity_id"],
            "time": ours["time"],
            "device": ours["device"],
            "start": ours["start_time"],
            "count": ours["count"],
            "severity": ours["severity_id"],
            "outcome": ours["outcome"],
            "first": ours["first_seen_time"],
            "last": ours["last_seen_time"],
            "value": ours["observed_value"],
            "functions": ours["functions"],
            "seqs": [e["seq"] for e in ours["evidences"]],
        } == {
            **{k: v for k, v in theirs.items() if k not in ("bucket", "analytic", "extent")},
            "value": repr(theirs["value"]),
        }
