"""Real captures: the same packets as dpkt reads."""

from __future__ import annotations

import io
import os
from pathlib import Path

import dpkt
import pytest

from pipeline.capture.files import Captures
from tests.capture.forms import packets_of

DATA = Path(os.environ.get("FIELDTAP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))

if not DATA.is_dir():
    pytest.skip("no real captures: FIELDTAP_DATA names no folder", allow_module_level=True)

CAPTURES = Captures([DATA])


def test_all_captures_are_found_and_whole() -> None:
    names = {Path(info.path) for info in CAPTURES.captures}
    assert {path for path in DATA.rglob("*") if path.suffix in {".pcap", ".pcapng"}} <= names
    assert not names & set(CAPTURES.ignored)
    for _ in CAPTURES:
        pass
    assert CAPTURES.problems == []
    assert CAPTURES.bytes_read == CAPTURES.total_bytes


@pytest.mark.parametrize("path", [info.path for info in CAPTURES.captures], ids=lambda path: Path(path).name)
def test_the_same_packets_as_dpkt(path: str) -> None:
    found = packets_of(Captures([Path(path)]))
    wanted = list(dpkt.pcap.UniversalReader(io.BytesIO(Path(path).read_bytes())))
    assert [packet.data for packet in found] == [data for _, data in wanted]
    for packet, (ts, _) in zip(found, wanted, strict=True):
        # dpkt's times are floating point or decimals of microseconds
        assert abs(packet.ts_ns - int(float(ts) * 1e6) * 1000) <= 2000
