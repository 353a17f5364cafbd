"""Two-register tags of a site file, from the capture to what a person reads of them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipeline import synth
from pipeline.baseline import Baseline
from pipeline.config import Config
from pipeline.run import learn, run
from pipeline.site import Site
from pipeline.site.typed import typed_devices
from schemas.codes import PointType, Space

MEANT = "ir:30003 'FT-301 network flow' of PLC-3 distribution reads"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> synth.SimulationReport:
    return synth.simulate(tmp_path_factory.mktemp("clean"), minutes=20, seed=1)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> synth.SimulationReport:
    return synth.simulate(tmp_path_factory.mktemp("attacked"), minutes=20, seed=2, attacks=["setpoint_jump"])


def taught(clean: synth.SimulationReport, out: Path, site: Site | None) -> Baseline:
    learn([clean.capture], out, Config(), site=site)
    return Baseline.load(out)


def lines(out: Path) -> list[str]:
    rows = pl.read_parquet(out / "alerts" / "*.parquet").group_by("finding_info_uid", maintain_order=True).last()
    return [line for line in rows["finding_info_desc"].to_list() if "ir:30003" in line or "ir:30004" in line]


def test_a_float_is_told_in_its_unit_and_stored_as_its_words(
    clean: synth.SimulationReport, attacked: synth.SimulationReport, tmp_path: Path
) -> None:
    site = Site.load(clean.site)
    known = taught(clean, tmp_path / "baseline.parquet", site)
    report = run([attacked.capture], tmp_path / "out", Config(), site=site, baseline=known)
    told = [line for line in lines(tmp_path / "out") if "PLC-3" in line]
    assert any(line.startswith(MEANT) and line.endswith("m3/h") for line in told)
    assert not any("word " in line for line in told)
    points = pl.read_parquet(tmp_path / "out" / "points" / "*.parquet")
    words = points.filter((pl.col("space") == int(Space.INPUT_REGISTER)) & pl.col("addr").is_in([2, 3]))
    assert set(words["type"].unique()) == {int(PointType.U16)}
    assert words["quality"].max() == 0
    joined = {reason: n for stage, counter, reason, n in report.health if counter == "wide values joined"}
    assert joined["site"] > 1000


@pytest.mark.parametrize("learned_with_site", [False, True])
def test_words_learned_do_not_judge_values_nor_the_other_way_round(
    clean: synth.SimulationReport, tmp_path: Path, learned_with_site: bool
) -> None:
    """Such tags are learned anew, for as long as a tag that is new; with the same reading they are judged at once."""
    site = Site.load(clean.site)
    known = taught(clean, tmp_path / "baseline.parquet", site if learned_with_site else None)
    for pupil, new in ((None, learned_with_site), (site, not learned_with_site)):
        out = tmp_path / f"out-{pupil is None}"
        report = run([clean.capture], out, Config(), site=pupil, baseline=known)
        learning = {c: n for _, c, reason, n in report.health if reason == "value" and c == "learned anew"}
        assert bool(learning["learned anew"]) == new
        start = pl.read_parquet(out / "records" / "*.parquet")["ts"].min()
        told = pl.read_parquet(out / "alerts" / "*.parquet")
        early = told.filter(pl.col("time") < pl.lit(start) + pl.duration(seconds=300))
        assert early["finding_info_desc"].to_list() == []
        assert new or report.findings == {}


def test_every_device_and_tag_of_a_site_file_is_named_as_records_name_them(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        """
        [[device]]
        name = "four"
        ip = "10.0.0.1"
        vlan = 7
        [[device.tag]]
        name = "flow"
        addr = 3
        type = "f32"
        word_order = "DCBA"
        [[device.tag]]
        name = "plain"
        addr = 9
        [[device]]
        name = "six"
        ip = "fe80::1"
        [[device]]
        name = "link"
        mac = "00:1d:9c:c7:b0:70"
        """
    )
    four, six, link = typed_devices(Site.load(tmp_path / "site.toml"))
    assert (four.ip, four.vlan) == (bytes(10) + b"\xff\xff\x0a\x00\x00\x01", 7)
    assert [(t.unit, t.space, t.addr, t.type, t.order) for t in four.tags] == [
        (1, 3, 3, "f32", "DCBA"),
        (1, 3, 9, "u16", "ABCD"),
    ]
    assert (six.ip, six.tags) == (bytes.fromhex("fe80" + "0" * 27 + "1"), ())
    assert (link.ip, link.mac, link.vlan) == (b"", 0x001D9CC7B070, -1)
