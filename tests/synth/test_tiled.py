"""Benchmark captures: counts, transaction numbers, sequence numbers, addresses, values and refusals."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import dpkt
import pytest

from pipeline.errors import ConfigError, OutputError
from pipeline.synth import bulk
from tests.synth.reading import Segment, check_request, check_response, frames, modbus

SHAPES = [
    {"packets": 1000},
    {"packets": 403, "flows": 1, "registers": 1},
    {"packets": 998, "flows": 3, "registers": 125},
    {"packets": 2001, "flows": 7},
    {"packets": 640, "flows": 40, "kind": "write", "registers": 123},
]


def by_flow(found: list[Segment]) -> dict[tuple[str, int], list[Segment]]:
    flows: dict[tuple[str, int], list[Segment]] = {}
    for s in found:
        flows.setdefault((s.src, s.sport) if s.is_request else (s.dst, s.dport), []).append(s)
    return flows


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_packet_is_a_pdu_of_its_flow(tmp_path: Path, shape: dict[str, object]) -> None:
    report = bulk(tmp_path / "b.pcap", **shape)  # type: ignore[arg-type]
    found = modbus(report.path)
    assert report.packets == len(found) == shape["packets"]
    assert report.size == report.path.stat().st_size
    flows = by_flow(found)
    assert len(flows) == report.flows == shape.get("flows", 20)
    assert len({address for address, _ in flows}) >= min(4, len(flows))
    for sent in flows.values():
        assert [s.is_request for s in sent] == [i % 2 == 0 for i in range(len(sent))]
        for asked, answered in zip(sent[::2], sent[1::2], strict=False):
            assert asked.payload[:2] == answered.payload[:2]
            assert (answered.src, answered.dst) == (asked.dst, asked.src)
            check_request(asked.pdu)
            check_response(answered.pdu, asked.pdu)
        for earlier, later in zip(sent[::2], sent[2::2], strict=False):
            step = int.from_bytes(later.payload[:2], "big") - int.from_bytes(earlier.payload[:2], "big")
            assert step % 65536 == 1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sequence_numbers_follow_the_bytes(tmp_path: Path, shape: dict[str, object]) -> None:
    report = bulk(tmp_path / "b.pcap", **shape)  # type: ignore[arg-type]
    for sent in by_flow(modbus(report.path)).values():
        for before, after in pairwise(sent):
            assert after.ack == (before.seq + len(before.payload)) & 0xFFFFFFFF
            assert after.seq == before.ack


def test_headers_are_valid_and_times_never_go_back(tmp_path: Path) -> None:
    report = bulk(tmp_path / "b.pcap", packets=3000, flows=50)
    times = []
    for ts, wire in frames(report.path):
        times.append(ts)
        frame = dpkt.ethernet.Ethernet(wire)
        assert dpkt.in_cksum(bytes(frame.data)[:20]) == 0
        assert frame.data.len == len(frame.data)
        assert frame.data.data.sum == 0
    assert times == sorted(times)
    assert times[0] == pytest.approx(report.first_ts_ns / 1e9, abs=1e-5)
    assert times[-1] == pytest.approx(report.last_ts_ns / 1e9, abs=1e-5)


@pytest.mark.parametrize(("kind", "packets"), [("read", 97), ("write", 97), ("read", 100), ("write", 102)])
def test_points_are_those_on_the_wire(tmp_path: Path, kind: str, packets: int) -> None:
    report = bulk(tmp_path / "b.pcap", packets=packets, flows=9, registers=6, kind=kind)
    size = {True: 12, False: 9 + 12} if kind == "read" else {True: 13 + 12, False: 12}
    carrying = sum(len(s.payload) == max(size.values()) for s in modbus(report.path))
    assert report.points == 6 * carrying


def test_values_of_a_device_move_slowly(tmp_path: Path) -> None:
    report = bulk(tmp_path / "b.pcap", packets=4000, flows=32, registers=5)
    assert report.devices == 16
    series: dict[str, list[int]] = {}
    for s in modbus(report.path):
        if not s.is_request:
            series.setdefault(s.src, []).append(int.from_bytes(s.pdu[2:4], "big"))
    assert len(series) == 16
    for found in series.values():
        steps = [abs(b - a) for a, b in pairwise(found)]
        assert len(set(found)) > 10
        assert max(steps) < 100


def test_many_flows_are_distinct(tmp_path: Path) -> None:
    report = bulk(tmp_path / "b.pcap", packets=40_000, flows=1_000_000, registers=1)
    clients = {(s.src, s.sport) for s in modbus(report.path) if s.is_request}
    assert len(clients) == report.flows == 20_000
    assert report.devices == 250


def test_a_seed_decides_every_byte(tmp_path: Path) -> None:
    first = bulk(tmp_path / "1.pcap", packets=500, seed=7).path.read_bytes()
    assert bulk(tmp_path / "2.pcap", packets=500, seed=7).path.read_bytes() == first
    assert bulk(tmp_path / "3.pcap", packets=500, seed=8).path.read_bytes() != first


@pytest.mark.parametrize(
    "wrong",
    [
        {"packets": 0},
        {"packets": 10, "registers": 126},
        {"packets": 10, "registers": 0},
        {"packets": 10, "registers": 124, "kind": "write"},
        {"packets": 10, "flows": 0},
        {"packets": 10, "flows": 1_000_001},
        {"packets": 10, "kind": "poll"},
    ],
    ids=str,
)
def test_an_impossible_shape_is_refused_before_anything_is_written(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="bulk capture"):
        bulk(tmp_path / "b.pcap", **wrong)  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"absent.b\.pcap"):
        bulk(tmp_path / "absent" / "b.pcap", packets=10)
