"""Tags that the site file knows by the name that the wire has for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from detectors.columns import records
from pipeline.cli import app
from pipeline.findings import Findings
from pipeline.site import Site
from pipeline.site.typed import typed_devices
from pipeline.synth.encode import cip as e
from schemas.codes import Protocol, Space
from tests.decode.packets import write_pcap
from tests.golden.enip_cases import count, element, line, reals
from tests.pipeline.scripted import TYPES, Scripted, ip, row

SITE = """
[[device]]
name = "mixer"
ip = "10.0.0.2"
[[device.tag]]
name = "LT-101 level"
symbol = "Program:Main.Level"
scale = 0.1
offset = -5
unit = "m"
[[device.tag]]
name = "FT-5 flow"
symbol = "Flows[5]"
unit = "l/s"
[[device.tag]]
name = "behind slot 3"
symbol = "Flows[6]"
unit_id = 3
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    return path


def test_points_take_name_scale_and_unit_by_their_symbol(site: Path, tmp_path: Path) -> None:
    talk = line().connect()
    talk.ask(e.READ_TAG, e.symbol("Program:Main.Level"), count(1)).tell(e.READ_TAG, reals(215.0))
    talk.ask(e.READ_TAG, element("Flows", 5), count(2)).tell(e.READ_TAG, reals(1.5, 2.5))
    write_pcap(tmp_path / "talk.pcap", talk.packets)
    for arguments in (
        ["run", str(tmp_path / "talk.pcap"), "--out", str(tmp_path / "out"), "--site", str(site)],
        ["show", str(tmp_path / "out"), "points", "--site", str(site)],
    ):
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    shown = [" ".join(row.split()[2:]) for row in result.output.splitlines()[1:]]
    assert shown == [
        "mixer 0 LT-101 level (Program:Main.Level) 16.5 m f32 read",
        "mixer 0 FT-5 flow (Flows[5]) 1.5 l/s f32 read",
        "mixer 0 Flows[6] 2.5 f32 read",
    ]


def test_findings_speak_the_name_scale_and_unit_of_a_symbol(site: Path) -> None:
    point = [{"space": Space.CIP_SYMBOL, "addr": 0, "name_id": 77, "value": 1050.0}]
    findings = Findings(TYPES, site=Site.load(site), names={77: "Program:Main.Level"})
    batch = records([row(0, points=point, protocol=Protocol.ENIP, unit=0, dst_ip=ip("10.0.0.2"))])
    findings.add(batch, Scripted().on_batch(batch))
    first = findings.take().to_pylist()[0]
    assert (first["tag"], first["device_name"], first["observed"]) == ("LT-101 level", "mixer", "100 m")
    assert "'LT-101 level'" in first["finding_info_desc"]


def test_such_a_tag_is_no_word_to_put_together(site: Path) -> None:
    assert [device.tags for device in typed_devices(Site.load(site))] == [()]
