"""The clean plant: the process behaves, and the capture is what a mirror port would show."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random

import dpkt
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError, OutputError
from pipeline.site.file import read as read_site
from pipeline.synth import ATTACKS, simulate
from pipeline.synth.control import PID
from pipeline.synth.field import building, dosing, feeder, lift
from pipeline.synth.process import CLEAR_HEIGHT_M, RAW_HEIGHT_M, STEP_S, Process, demand_m3h
from pipeline.synth.tags import DISTRIBUTION, FILTRATION, INTAKE, SERIAL, Tag
from pipeline.synth.wire import Tap
from schemas.codes import Space
from tests.synth.reading import (
    check_request,
    check_response,
    exchanges,
    frames,
    modbus,
    segments,
    values,
)

FUNCTION_OF = {"coil": 1, "discrete_input": 2, "holding_register": 3, "input_register": 4}
FIELD_TAGS = (building.TAGS, dosing.TAGS, feeder.TAGS, lift.TAGS)
NINE_O_CLOCK_S = 9 * 3600.0


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clean")
    simulate(out, minutes=15, seed=1)
    return out


@pytest.fixture(scope="module")
def capture(clean: Path) -> Path:
    return clean / "plant.pcap"


def test_a_seed_decides_every_byte(tmp_path: Path) -> None:
    def written(name: str, seed: int) -> list[bytes]:
        out = tmp_path / name
        simulate(out, minutes=4, seed=seed, attacks=["all"])
        return [path.read_bytes() for path in sorted(out.iterdir())]

    first = written("a", 5)
    assert len(first) == 3
    assert written("b", 5) == first
    assert written("c", 6)[1] != first[1]


def test_process_runs_within_its_bounds_and_holds_its_setpoints() -> None:
    plant = Process(Random(3))
    pressures, chlorine, raw, clear, inlet = [], [], [], [], []
    for step in range(round(3600 / STEP_S)):
        plant.step(NINE_O_CLOCK_S + step * STEP_S)
        if step * STEP_S > 300:
            pressures.append(plant.pressure)
            chlorine.append(plant.chlorine)
        raw.append(plant.raw_level)
        clear.append(plant.clear_level)
        inlet.append(plant.inlet.position)
    assert max(abs(p - plant.sp_pressure) for p in pressures) < 0.15
    assert max(abs(c - plant.sp_chlorine) for c in chlorine) < 0.08
    assert 2.5 < min(raw) < 3.0 < 3.6 < max(raw) < 4.1 < RAW_HEIGHT_M
    assert 2.2 < min(clear) < 2.5 < 3.1 < max(clear) < 3.5 < CLEAR_HEIGHT_M
    assert max(abs(b - a) for a, b in pairwise(inlet)) == pytest.approx(STEP_S / 12)


def test_morning_peak_does_not_empty_the_clear_tank() -> None:
    plant = Process(Random(8))
    for step in range(round(2.5 * 3600 / STEP_S)):
        plant.step(6.5 * 3600 + step * STEP_S)
        assert 2.2 < plant.clear_level < 3.5


def test_raw_tank_keeps_the_mass_of_its_water() -> None:
    plant = Process(Random(4))
    before, balance = plant.raw_level, 0.0
    for step in range(4000):
        plant.step(NINE_O_CLOCK_S + step * STEP_S)
        balance += (plant.inflow - plant.filter_flow) * STEP_S / 3600
    assert (plant.raw_level - before) * 10.0 == pytest.approx(balance, abs=1e-6)


def test_pid_brings_a_lag_to_its_setpoint_and_does_not_wind_up() -> None:
    loop, level = PID(2.0, 5.0, 0.0, 0.0, 10.0, 0.0), 0.0
    for _ in range(2000):
        level += (loop.step(50.0, level, 0.1) - level) * 0.1 / 3
    assert level == pytest.approx(10.0, abs=0.01)
    assert loop.integral <= 10.0 + 1e-9
    for _ in range(600):
        level += (loop.step(4.0, level, 0.1) - level) * 0.1 / 3
    assert level == pytest.approx(4.0, abs=0.05)


def test_demand_has_two_peaks_and_a_quiet_night() -> None:
    by_hour = [demand_m3h(3600.0 * hour) for hour in range(24)]
    assert min(by_hour) == by_hour[0] or min(by_hour) == min(by_hour[:5])
    assert by_hour[7] > by_hour[11] < by_hour[19]


@pytest.mark.parametrize(
    "tag", [t for t in (*INTAKE, *FILTRATION, *DISTRIBUTION, *SERIAL) if t.type != "bool"], ids=str
)
def test_a_tag_decodes_what_it_encodes(tag: Tag) -> None:
    value = tag.decode(tag.encode(4.2))
    assert value == pytest.approx(4.2, abs=max(tag.scale / 2, 1e-6))


def test_word_orders_place_the_bytes() -> None:
    def words(order: str) -> list[int]:
        return Tag("t", 1, Space.HOLDING_REGISTER, 0, "x", "u32", word_order=order).encode(0x0A0B0C0D)

    assert words("ABCD") == [0x0A0B, 0x0C0D]
    assert words("CDAB") == [0x0C0D, 0x0A0B]
    assert words("BADC") == [0x0B0A, 0x0D0C]
    assert words("DCBA") == [0x0D0C, 0x0B0A]


def test_frames_have_valid_checksums_and_come_in_order(capture: Path) -> None:
    last = 0.0
    for ts, wire in frames(capture):
        assert ts >= last
        last = ts
        assert len(wire) >= 60
        frame = dpkt.ethernet.Ethernet(wire)
        if isinstance(frame.data, dpkt.ip.IP):
            raw = bytes(frame.data)
            assert dpkt.in_cksum(raw[:20]) == 0
            body = raw[20 : frame.data.len]
            if frame.data.p in (6, 17):
                pseudo = raw[12:20] + bytes([0, frame.data.p]) + len(body).to_bytes(2, "big")
                assert dpkt.in_cksum(pseudo + body) == 0
            else:
                assert dpkt.in_cksum(body) == 0


def test_every_pdu_is_well_formed_and_answered(capture: Path) -> None:
    pairs = exchanges(capture)
    for request, response in pairs:
        check_request(request.pdu)
        check_response(response.pdu, request.pdu)
        assert 0 < response.ts - request.ts < 0.5
    asked = {(s.src, s.sport, s.payload[:2]) for s in modbus(capture) if s.is_request}
    assert len(asked) == len(pairs) > 15_000
    assert {r.pdu[0] for r, _ in pairs} == {1, 2, 3, 4, 5, 6, 15, 16, 23, 43}
    assert {response.pdu[1] for _, response in pairs if response.pdu[0] & 0x80} == {6}


def test_sequence_numbers_leave_no_hole(capture: Path) -> None:
    next_: dict[tuple[str, int, str, int], int] = {}
    handshakes = repeated = 0
    for s in segments(capture):
        key, back = (s.src, s.sport, s.dst, s.dport), (s.dst, s.dport, s.src, s.sport)
        begins = s.flags & dpkt.tcp.TH_SYN
        expected = next_.get(key, s.seq)
        keep_alive = not s.payload and s.seq == expected - 1
        assert begins or keep_alive or s.seq <= expected, s
        repeated += bool(s.payload) and s.seq < expected
        handshakes += bool(begins)
        used = len(s.payload) + bool(s.flags & (dpkt.tcp.TH_SYN | dpkt.tcp.TH_FIN))
        next_[key] = s.seq + used if begins else max(expected, s.seq + used)
        if back in next_:
            assert s.ack <= next_[back], s
    assert handshakes >= 2 * 5
    assert repeated >= 2


def test_polling_keeps_its_period(capture: Path) -> None:
    polls: dict[tuple[str, str, int], list[float]] = {}
    for s in modbus(capture):
        if s.is_request and s.pdu[:3] == b"\x04\x00\x00":
            polls.setdefault((s.src, s.dst, s.unit), []).append(s.ts)
    for key, times in polls.items():
        wanted = 5.0 if key[0].endswith(".31") else 1.0
        gaps = sorted(b - a for a, b in pairwise(times) if b - a > 0.3)
        assert gaps[len(gaps) // 2] == pytest.approx(wanted, abs=0.02), key
    assert len(polls) == 10


def test_values_on_the_wire_are_those_of_the_tags(clean: Path, capture: Path) -> None:
    seen = values(capture)
    site = tomllib.loads((clean / "site.toml").read_text(encoding="utf-8"))
    tags = {}
    for device in site["device"]:
        for tag in device.get("tag", ()):
            if tag["space"] not in FUNCTION_OF:
                continue
            key = (device["ip"], tag["unit_id"], FUNCTION_OF[tag["space"]], tag["addr"])
            assert key in seen, tag
            tags[tag["name"]] = [v * tag.get("scale", 1.0) for _, v in seen[key]]
    assert max(tags["LT-101 raw water level"]) < 4.2
    assert min(tags["LT-101 raw water level"]) > 2.4
    assert sorted(set(tags["HS-201 filtration mode"])) == [1, 2, 3, 4]
    assert {3.995, 4.0, 4.2}.issuperset(tags["PSP-301 pressure setpoint"])
    assert len(set(tags["TT-102 ambient temperature"])) > 5


def test_site_file_reads_as_it_was_meant(clean: Path) -> None:
    site = read_site(clean / "site.toml")
    named = {device.name: device for device in site.devices}
    assert len(named) == 15
    assert sum(len(device.tags) for device in site.devices) == sum(
        map(len, (INTAKE, FILTRATION, DISTRIBUTION, SERIAL, *FIELD_TAGS))
    )
    assert (site.name, site.register_base) == ("waterworks", 1)


def test_counters_never_run_back(clean: Path, capture: Path) -> None:
    seen = values(capture)
    site = tomllib.loads((clean / "site.toml").read_text(encoding="utf-8"))
    counters = 0
    for device in site["device"]:
        for tag in device.get("tag", ()):
            if tag.get("type") != "u32":
                continue
            counters += 1
            key = (device["ip"], tag["unit_id"], FUNCTION_OF[tag["space"]])
            first, second = (dict(seen[(*key, tag["addr"] + i)]) for i in (0, 1))
            high, low = (first, second) if tag["word_order"] == "ABCD" else (second, first)
            series = [high[ts] << 16 | low[ts] for ts in sorted(first)]
            assert series == sorted(series)
            assert series[-1] > series[0] > 1000
    assert counters == 5


def test_another_seed_stays_within_what_an_hour_showed(tmp_path: Path) -> None:
    simulate(tmp_path / "hour", minutes=45, seed=1)
    simulate(tmp_path / "other", minutes=12, seed=12)
    hour, other = (values(tmp_path / name / "plant.pcap") for name in ("hour", "other"))
    assert set(other) <= set(hour)
    for key, series in other.items():
        low, high = min(v for _, v in hour[key]), max(v for _, v in hour[key])
        margin = 0.1 * (high - low) + 1
        assert all(low - margin <= v <= high + margin for _, v in series), key


def test_engineering_visits_rarely_and_only_reads(capture: Path) -> None:
    sent = [s for s in segments(capture) if s.src == "10.10.2.41" and s.dport == 502]
    assert {s.pdu[0] for s in sent if s.payload} == {1, 3}
    assert 1 <= len({s.sport for s in sent}) <= 5
    assert any(not s.payload and s.flags == dpkt.tcp.TH_ACK for s in sent)


def test_the_rest_of_the_network_is_there(capture: Path) -> None:
    packets = [dpkt.ethernet.Ethernet(wire).data for _, wire in frames(capture)]
    kinds = {type(packet).__name__ for packet in packets}
    inner = {type(packet.data).__name__ for packet in packets if isinstance(packet, dpkt.ip.IP)}
    assert kinds == {"IP", "ARP"}
    assert inner == {"TCP", "UDP", "ICMP"}


def test_a_frame_of_the_past_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "c.pcap").open("wb") as file:
        tap = Tap(file, 0)
        tap.put(6.0, bytes(60))
        tap.flush(5.0)
        tap.put(5.0, bytes(60))
        with pytest.raises(AssertionError, match="a frame of 4"):
            tap.put(4.9, bytes(60))


def test_replicas_have_networks_of_their_own(tmp_path: Path) -> None:
    simulate(tmp_path, minutes=1, scale=3)
    found = modbus(tmp_path / "plant.pcap")
    devices = {s.dst for s in found if s.is_request}
    assert len(devices) == 12
    assert all(s.src.split(".")[:2] == s.dst.split(".")[:2] for s in found)
    site = tomllib.loads((tmp_path / "site.toml").read_text(encoding="utf-8"))
    assert len({device["name"] for device in site["device"]}) == len(site["device"]) == 45


def test_a_clean_run_has_an_empty_truth(clean: Path) -> None:
    assert pq.read_table(clean / "attacks.parquet").num_rows == 0


def test_progress_runs_to_the_end(tmp_path: Path) -> None:
    told: list[float] = []
    simulate(tmp_path, minutes=0.5, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"minutes": 5, "attacks": ["scam"]}, "no attack 'scam'"),
        ({"minutes": 2, "attacks": ["all"]}, "34 attacks need at least 3 minutes, not 2"),
        ({"minutes": 0}, "minutes must be above 0"),
        ({"minutes": float("nan")}, "minutes must be above 0"),
        ({"minutes": float("inf")}, "minutes must be above 0 and finite"),
        ({"minutes": 1, "scale": 0}, "scale must be 1 to 200"),
        ({"minutes": 1, "start": datetime(1969, 1, 1)}, "not 1969-01-01"),  # noqa: DTZ001
        ({"minutes": 1, "start": datetime(2106, 3, 1, tzinfo=UTC)}, "start must be in 1970 to 2106"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_played_is_refused(tmp_path: Path, wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        simulate(tmp_path / "out", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(OutputError, match="file"):
        simulate(tmp_path / "file", minutes=0.1)


def test_an_interruption_leaves_the_capture_as_it_was(tmp_path: Path) -> None:
    def interrupt(done: float) -> None:
        raise KeyboardInterrupt

    (tmp_path / "plant.pcap").write_bytes(b"earlier")
    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path, minutes=1, progress=interrupt)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("plant.pcap", b"earlier")]


def test_importing_is_light() -> None:
    code = "import sys, pipeline.synth; sys.exit(any(m in sys.modules for m in ('numpy', 'pyarrow', 'dpkt', 'numba')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert len(set(ATTACKS)) == len(ATTACKS) == 34


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_finds_nothing_malformed(tmp_path: Path) -> None:
    simulate(tmp_path, minutes=3)
    wrong = "_ws.malformed or ip.checksum.status == 0 or tcp.checksum.status == 0 or udp.checksum.status == 0"
    sequence = "tcp.analysis.lost_segment or tcp.analysis.reused_ports or tcp.analysis.out_of_order"
    found = _tshark(tmp_path / "plant.pcap", f"{wrong} or (({sequence}) and frame.time_relative > 10)")
    assert found == []
    unread = "tcp.port == 502 and tcp.len > 0 and not modbus and not tcp.analysis.retransmission"
    assert _tshark(tmp_path / "plant.pcap", unread) == []


def _tshark(path: Path, keep: str) -> list[str]:
    checks = [f"{name}.check_checksum:TRUE" for name in ("ip", "tcp", "udp")]
    command = ["tshark", "-r", str(path), "-Y", keep, *(part for check in checks for part in ("-o", check))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()
