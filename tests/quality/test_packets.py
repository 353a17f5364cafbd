"""Floors of `benchmarks.quality.packets` on captures with labelled packets."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.quality import packets
from benchmarks.quality.evidence import Judged, Piece, judge
from pipeline.baseline import Baseline
from pipeline.config import Config
from pipeline.findings import fold
from pipeline.run import learn, run
from schemas.codes import Op, Severity

DATA = Path(os.environ.get("FIELDTAP_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "detection"
pytestmark = pytest.mark.skipif(not (DATA / "lemay-modbus").is_dir(), reason=f"no data in {DATA} (set FIELDTAP_DATA)")


def test_packets_are_told_as_they_are_labelled() -> None:
    measured = packets.lemay(DATA)
    assert [m.what for m in measured if m.met is False] == []
    values = {m.what: m.value for m in measured}
    assert values["recall by packets"] == 1
    assert values["findings outside the attacks"] <= 8


def test_all_evidence_is_what_the_findings_of_a_run_count(tmp_path: Path) -> None:
    folder = DATA / "lemay-modbus"
    clean = packets.cut(folder / f"{packets.FORGED}.pcap", tmp_path / "clean.pcap", 1, packets.CLEAN)
    learn([clean], tmp_path / "baseline.parquet", Config())
    baseline = Baseline.load(tmp_path / "baseline.parquet")
    capture = packets.cut(folder / f"{packets.RECONNAISSANCE}.pcap", tmp_path / "rest.pcap", 1, 2000)
    run([capture], tmp_path / "out", Config(), baseline=baseline)
    rows = fold(pq.read_table(tmp_path / "out" / "alerts")).to_pylist()
    judged = judge(capture, baseline)
    counted: Counter[str] = Counter()
    for row in rows:
        counted[row["analytic_uid"]] += row["count"]
    assert Counter(piece.uid for piece in judged.pieces) == counted
    assert {"peer.new_client", "role.device_asks", "value.constant"} <= set(counted)
    told = [(row["finding_info_uid"], row["count"], row["evidences"]) for row in judged.findings]
    assert sorted(told, key=str) == sorted(((r["finding_info_uid"], r["count"], r["evidences"]) for r in rows), key=str)
    pointed = {piece.packet for piece in judged.pieces}
    assert all(e["packet"] in pointed for row in rows for e in row["evidences"])


def test_who_follows_a_stranger_sees_the_whole_connection_and_no_other(tmp_path: Path) -> None:
    """Of a connection of ten packets one is evidence: that a stranger speaks tells all ten, that a value is odd one."""
    capture = packets.cut(DATA / "lemay-modbus" / f"{packets.FORGED}.pcap", tmp_path / "rest.pcap", 4770, 4800)
    ends = list(packets.connections(capture))
    assert [n for n, e in enumerate(ends, 1) if e == ends[15]] == list(range(13, 23))
    for uid, expected in (("peer.new_pair", range(13, 23)), ("value.range", [16])):
        judged = Judged([Piece(16, uid, int(Op.WRITE), int(Severity.HIGH), ends[15])])
        assert (np.flatnonzero(packets.told(capture, judged)) + 1).tolist() == list(expected)
    assert not packets.told(capture, judged, Severity.CRITICAL).any()
