"""Every golden directory: its capture gives the records written down beside it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tests.golden import cases, make
from tests.golden.reading import lines

FOLDER = Path(__file__).parent / "golden"
CASES = sorted(path.parent for path in FOLDER.glob("*/input.pcap"))


def test_every_case_has_a_directory() -> None:
    assert {path.name for path in CASES} == set(cases.CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_records(case: Path, request: pytest.FixtureRequest) -> None:
    found = lines(case / "input.pcap")
    expected = case / "expected.jsonl"
    if request.config.getoption("--update-golden"):
        expected.write_text("".join(line + "\n" for line in found))
    assert found == expected.read_text().splitlines()
    assert 0 < len(found) <= 42


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_provenance(case: Path, tmp_path: Path) -> None:
    """The capture is what the script makes, and what the README says it is."""
    data = (case / "input.pcap").read_bytes()
    assert make.capture(case.name, tmp_path).read_bytes() == data
    assert re.findall(r"[0-9a-f]{64}", (case / "README.md").read_text()) == [hashlib.sha256(data).hexdigest()]
    assert len(data) < 20_000
