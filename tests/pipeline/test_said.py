"""Words for MAC addresses and for what devices say they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detectors.columns import records
from detectors.lifecycle import Learning
from detectors.peer import Params, PeerDetector
from pipeline import baseline
from pipeline.cli import baselines
from pipeline.findings import Findings, types_of
from pipeline.findings.said import Said, mac_of
from schemas.codes import Identity, Protocol, Space
from tests.detectors.test_claim import OTHER, claim, says
from tests.detectors.test_seen import START, spoken
from tests.pipeline.scripted import plain

OLD, NEW = 0x1234_5678_9ABC_DEF0, 0xFEDC_BA98_7654_3210
DNP3 = {"protocol": int(Protocol.DNP3)}
NAMES = {OLD: "V2.9", NEW: "V6.6\x1b[2J"}


def found(rows: list[dict[str, Any]], names: dict[int, str]) -> dict[str, dict[str, Any]]:
    """The findings of peer over learned traffic and `rows`, by their type."""
    detector = PeerDetector(Params(), Learning(start_ns=START))
    findings = Findings(types_of([detector]), names=names)
    batch = records([*spoken(range(0, 300, 10)), claim(100), says(200, text=signed(OLD), **DNP3), *rows])
    findings.add(batch, detector.on_batch(batch))
    return {row["analytic_uid"]: row for row in plain(findings.take())}


def signed(name: int) -> int:
    """A name's id as `raw` of a point carries it."""
    return name - (1 << 64) if name >= 1 << 63 else name


def test_a_claim_names_both_cards() -> None:
    told = found([claim(400, OTHER), claim(401)], {})
    claimed, twice = told["peer.arp_claim"], told["peer.duplicate_address"]
    assert (claimed["expected"], claimed["observed"]) == ("00:00:00:00:00:0b", "00:00:00:00:00:0e")
    line = "00:00:00:00:00:0e says by ARP that it is 10.0.1.1, which was 00:00:00:00:00:0b"
    assert claimed["finding_info_desc"] == line
    assert twice["parent_uid"] == claimed["finding_info_uid"]
    assert (twice["expected"], twice["observed"]) == (claimed["expected"], claimed["observed"])
    assert twice["finding_info_desc"].startswith("00:00:00:00:00:0e and 00:00:00:00:00:0b say by ARP in turn")


def test_an_identity_names_both_texts_made_visible() -> None:
    told = found([says(400, text=signed(NEW), **DNP3)], NAMES)["peer.identity"]
    assert (told["expected"], told["observed"]) == ("V2.9", "V6.6\\x1b[2J")
    line = "10.0.1.1 unit 1 says identity: firmware = V6.6\\x1b[2J, and said V2.9 before"
    assert told["finding_info_desc"] == line


def test_a_text_that_is_not_known_yet_reads_as_the_start_of_its_id() -> None:
    names: dict[int, str] = {}
    said = Said(names)
    where = (Protocol.DNP3, Space.IDENTITY, Identity.FIRMWARE, -float(OLD >> 11))
    assert said.text(*where) == f"name:{OLD >> 11 << 11:016x}"
    names[OLD] = "V2.9"
    assert said.text(*where) == "V2.9"


def test_numbers_read_in_the_words_of_their_protocol() -> None:
    said = Said({})
    assert said.text(Protocol.ENIP, Space.IDENTITY, Identity.SERIAL, 48879.0) == "0000BEEF"
    assert said.text(Protocol.MODBUS, Space.IDENTITY, Identity.SERIAL, 4_000_000_000.0) == "4000000000"
    assert said.text(Protocol.MODBUS, Space.DEVICE_ID, 2, float("nan")) == ""


@pytest.mark.parametrize(("value", "text"), [(float(0xFFFFFFFFFFFF), "ff:ff:ff:ff:ff:ff"), (float("nan"), "")])
def test_a_card_is_exact_in_a_number(value: float, text: str) -> None:
    assert mac_of(value) == text


def learned(path: Path, *rows: dict[str, Any]) -> Path:
    """A baseline of learned traffic and `rows`."""
    detector = PeerDetector(Params(), Learning(start_ns=START, mode="learn"))
    detector.on_batch(records([*spoken(range(0, 300, 10)), *rows]))
    baseline.write(path, baseline.collect([detector]))
    return path


def test_a_baseline_shows_claims_and_tells_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = learned(tmp_path / "before", claim(100), says(200, text=OLD))
    after = learned(tmp_path / "after", claim(100, OTHER), says(200, text=OLD + 1))
    baselines.show(before, {"parameter": "claim"}, 0)
    (line,) = (line.split() for line in capsys.readouterr().out.splitlines() if " claim " in line)
    assert "10.0.1.1" in line
    assert "00:00:00:00:00:0b" in line
    baselines.diff(before, after, 0)
    changed = [line.split() for line in capsys.readouterr().out.splitlines()]
    told = sorted((line[0], line[line.index("claim") + 1]) for line in changed if "claim" in line)
    assert told == [("added", "00:00:00:00:00:0e"), ("removed", "00:00:00:00:00:0b")]
    assert sorted(line[0] for line in changed if "identity" in line) == ["added", "removed"]
