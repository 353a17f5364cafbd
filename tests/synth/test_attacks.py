"""The attacks: each is on the wire as its ground truth says, and the clean traffic around it stays as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import dpkt
import pyarrow.parquet as pq
import pytest

from pipeline.synth import ATTACKS, START, SimulationReport, simulate
from pipeline.synth.attacks import lanes
from schemas.codes import Space
from tests.synth.reading import Segment, exchanges, frames, segments, senders, values

HMI, HISTORIAN, ENGINEERING = "10.10.2.21", "10.10.2.31", "10.10.2.41"
INTAKE, FILTRATION, DISTRIBUTION, GATEWAY = (f"10.10.1.{n}" for n in (11, 12, 13, 14))
FIELD = tuple(f"10.10.1.{n}" for n in range(15, 20))
PLANT = {HMI, HISTORIAN, ENGINEERING, INTAKE, FILTRATION, DISTRIBUTION, GATEWAY, *FIELD}
PLANT |= {"10.10.2.1", "10.10.2.51", "10.10.2.61"}
MINUTES = 27.0

Truth = dict[str, Any]


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> SimulationReport:
    return simulate(tmp_path_factory.mktemp("attacked"), minutes=MINUTES, seed=2, attacks=["all"])


@pytest.fixture(scope="module")
def capture(staged: SimulationReport) -> Path:
    return staged.capture


@pytest.fixture(scope="module")
def truths(staged: SimulationReport) -> dict[str, Truth]:
    rows = pq.read_table(staged.attacks).to_pylist()
    for row in rows:
        row["t0"], row["t1"] = row["start"].timestamp(), row["end"].timestamp()
    return {row["name"]: row for row in rows}


def during(series: list[tuple[float, int]], truth: Truth, margin: float = 3.0) -> list[int]:
    return [v for ts, v in series if truth["t0"] + margin < ts < truth["t1"] - margin]


def within(found: list[Segment] | tuple[Segment, ...], truth: Truth) -> list[Segment]:
    return [s for s in found if truth["first_packet"] <= s.number <= truth["last_packet"]]


def test_every_attack_is_staged_in_its_own_time(staged: SimulationReport, truths: dict[str, Truth]) -> None:
    assert staged.staged == ATTACKS == tuple(truths)
    begin = START.timestamp()
    assert [len(lane) for lane in lanes(ATTACKS)] == [9, 5, 5, 5, 5, 5]
    for lane in lanes(ATTACKS):
        ordered = [truths[ATTACKS[place]] for place in lane]
        assert ordered[0]["t0"] >= begin + 0.1 * MINUTES * 60
        assert ordered[-1]["t1"] <= begin + MINUTES * 60
        assert all(row["settled"] > row["end"] for row in ordered)
        for earlier, later in pairwise(ordered):
            quiet = later["t0"] - earlier["t1"]
            assert quiet > 0.4 * (later["t0"] - earlier["t0"])
            assert later["first_packet"] > earlier["last_packet"]


@pytest.mark.parametrize("name", ATTACKS)
def test_packet_range_lies_in_the_time_and_shows_the_attacker(
    capture: Path, truths: dict[str, Truth], name: str
) -> None:
    truth = truths[name]
    packets = list(frames(capture))
    first, last = (packets[truth[key] - 1] for key in ("first_packet", "last_packet"))
    assert truth["t0"] - 0.001 <= first[0] <= truth["t0"] + 6
    assert truth["t1"] - 20 <= last[0] <= truth["t1"] + 1.5
    span = truth["last_packet"] - truth["first_packet"] + 1
    assert 2 <= truth["packets"] <= span
    sent = [sender for sender in senders(capture) if truth["first_packet"] <= sender[0] <= truth["last_packet"]]
    assert (truth["attacker_mac"], truth["attacker_ip"]) in {(mac, source) for _, mac, source, _ in sent}
    assert str(truth["technique_uid"]).startswith("T08")
    stranger = truth["attacker_ip"] not in PLANT
    assert stranger == ("stranger" in name or name in ("scan", "flood", "replay"))


def test_attackers_are_silent_outside_their_packet_range(capture: Path, truths: dict[str, Truth]) -> None:
    for truth in truths.values():
        if truth["attacker_ip"] in PLANT:
            continue
        numbers = [number for number, _, *ends in senders(capture) if truth["attacker_ip"] in ends]
        assert min(numbers) >= truth["first_packet"]
        assert max(numbers) <= truth["last_packet"]


def test_time_never_runs_backwards(capture: Path) -> None:
    times = [ts for ts, _ in frames(capture)]
    assert times == sorted(times)


def test_setpoint_jump_moves_the_process(capture: Path, truths: dict[str, Truth]) -> None:
    truth = truths["setpoint_jump"]
    writes = [(q, r) for q, r in exchanges(capture) if q.pdu == b"\x06\x00\x0a\x03\x52"]
    assert len(writes) == 1
    assert writes[0][0].src == HMI == truth["attacker_ip"]
    assert writes[0][0].number == truth["first_packet"]
    assert writes[0][1].pdu == writes[0][0].pdu
    assert (truth["space"], truth["addr"]) == (Space.HOLDING_REGISTER, 10)
    seen = values(capture)
    pressure = seen[(DISTRIBUTION, 1, 4, 1)]
    before = [v for ts, v in pressure if ts < truth["t0"]]
    assert max(before) < 4500
    assert max(during(pressure, truth)) > 5500
    assert set(during(seen[(DISTRIBUTION, 1, 3, 10)], truth)) == {850}
    calm = [v for ts, v in pressure if truth["t1"] + 40 < ts < truths["stranger_write"]["t0"]]
    assert max(calm) < 4600


def test_stranger_writes_and_the_tank_follows(capture: Path, truths: dict[str, Truth]) -> None:
    truth = truths["stranger_write"]
    sent = [q for q, r in exchanges(capture) if q.src == truth["attacker_ip"] and not r.pdu[0] & 0x80]
    assert {q.pdu[0] for q in sent} == {1, 3, 5, 16}
    assert {q.dst for q in sent} == {INTAKE}
    assert set(during(values(capture)[(INTAKE, 1, 1, 0)], truth, margin=15.0)) == {1}
    assert set(during(values(capture)[(INTAKE, 1, 4, 4)], truth, margin=25.0)) == {1000}
    levels = during(values(capture)[(INTAKE, 1, 4, 0)], truth, margin=20.0)
    assert levels[-1] > levels[0] + 80


def test_unusual_functions_come_from_engineering(capture: Path, truths: dict[str, Truth]) -> None:
    sent = {(q.dst, q.unit, q.pdu[0]): r.pdu for q, r in exchanges(capture) if q.src == ENGINEERING}
    assert {key for key in sent if key[2] not in (1, 3)} == {
        (FILTRATION, 1, 43),
        (FILTRATION, 1, 90),
        (GATEWAY, 13, 43),
        (GATEWAY, 13, 8),
    }
    umas = [(q.pdu[2], r.pdu[2]) for q, r in exchanges(capture) if q.pdu[0] == 90 and q.src == ENGINEERING]
    assert umas == [(code, 0xFE) for code in (0x01, 0x02, 0x10, 0x41, 0x40, 0x11)]
    listen_only = [s for s in segments(capture) if s.is_request and s.payload[7:] == b"\x08\x00\x04\x00\x00"]
    assert len(listen_only) == 1
    no_target = [r.ts for q, r in exchanges(capture) if q.src == HMI and q.unit == 13 and r.pdu == b"\x84\x0b"]
    assert len(no_target) > 10
    assert listen_only[0].ts < min(no_target)
    assert max(no_target) < truths["unusual_function"]["t1"]


def test_scan_tries_hosts_functions_units_and_addresses(capture: Path, truths: dict[str, Truth]) -> None:
    truth = truths["scan"]
    sent = [(q, r) for q, r in exchanges(capture) if q.src == truth["attacker_ip"]]
    for device in (INTAKE, FILTRATION):
        assert {q.pdu[0] for q, _ in sent if q.dst == device} == set(range(1, 128))
    assert len({q.unit for q, _ in sent if q.dst == GATEWAY}) == 48
    assert len({q.pdu[1:3] for q, _ in sent if q.dst == DISTRIBUTION}) == 100
    assert sum(bool(r.pdu[0] & 0x80) for _, r in sent) > 300
    resets = [s for s in segments(capture) if s.dst == truth["attacker_ip"] and s.flags & dpkt.tcp.TH_RST]
    assert {s.src for s in resets} == {HMI, HISTORIAN, *FIELD}
    asked = set()
    for _, wire in frames(capture):
        arp = dpkt.ethernet.Ethernet(wire).data
        if isinstance(arp, dpkt.arp.ARP) and arp.sha.hex(":") == truth["attacker_mac"] and arp.op == 1:
            asked.add(arp.tpa)
    assert len(asked) == 23


def test_forged_responses_come_ahead_of_the_true_ones(capture: Path, truths: dict[str, Truth]) -> None:
    truth = truths["forged_response"]
    false = [s for s in segments(capture) if s.src == INTAKE and s.src_mac == truth["attacker_mac"]]
    assert len(false) > 30
    numbers = {s.number for s in false}
    true = {(s.dport, s.seq): s for s in segments(capture) if s.payload and s.src == INTAKE and s.number not in numbers}
    for forged in false:
        second = true[(forged.dport, forged.seq)]
        assert second.number > forged.number
        assert (second.payload[:9], len(second.payload)) == (forged.payload[:9], len(forged.payload))
        assert int.from_bytes(forged.pdu[2:4], "big") < 400 < int.from_bytes(second.pdu[2:4], "big")
        assert second.pdu[4:] == forged.pdu[4:]


def test_replay_shows_the_hmi_the_past_while_the_process_moves(capture: Path, truths: dict[str, Truth]) -> None:
    truth = truths["replay"]
    shown, true = (values(capture, client)[(DISTRIBUTION, 1, 4, 1)] for client in (HMI, HISTORIAN))
    replayed = during(shown, truth, margin=1.2)
    past = [v for ts, v in shown if ts < truth["t0"]]
    assert any(past[i : i + len(replayed)] == replayed for i in range(len(past) - len(replayed) + 1))
    assert len(set(replayed)) > 15
    assert max(replayed) < 4500
    assert max(during(true, truth, margin=20.0)) > 5300
    relayed = [s for s in within(segments(capture), truth) if {s.src, s.dst} == {HMI, DISTRIBUTION}]
    assert {s.src_mac for s in relayed if s.src == DISTRIBUTION} == {truth["attacker_mac"]}


def test_stuck_sensor_shows_one_value(capture: Path, truths: dict[str, Truth]) -> None:
    truth = truths["stuck_sensor"]
    pressure = values(capture)[(truth["device_ip"], 1, 4, 1)]
    assert len(set(during(pressure, truth, margin=1.5))) == 1
    after = [v for ts, v in pressure if truth["t1"] + 2 < ts < truth["t1"] + 40]
    assert len(set(after)) > 15


def test_slow_ramp_is_slow_and_goes_far(capture: Path, truths: dict[str, Truth]) -> None:
    truth = truths["slow_ramp"]
    series = values(capture)[(INTAKE, 1, 4, 2)]
    before = [v for ts, v in series if ts < truth["t0"]]
    ramp = during(series, truth)
    assert max(ramp) > max(before) + 200
    assert max(abs(b - a) for a, b in pairwise(ramp)) < 60


def test_flood_is_hundreds_a_second(capture: Path, truths: dict[str, Truth]) -> None:
    truth = truths["flood"]
    sent = [q.ts for q, _ in exchanges(capture) if q.src == truth["attacker_ip"]]
    assert len(sent) / (max(sent) - min(sent)) > 250
    waits = [r.ts - q.ts for q, r in exchanges(capture) if (q.src, q.dst) == (HMI, FILTRATION)]
    asked = [q.ts for q, _ in exchanges(capture) if (q.src, q.dst) == (HMI, FILTRATION)]
    slow = [w for t, w in zip(asked, waits, strict=True) if truth["t0"] < t < truth["t1"]]
    calm = [w for t, w in zip(asked, waits, strict=True) if t < truth["t0"]]
    assert sum(slow) / len(slow) > 2 * sum(calm) / len(calm)


def test_clean_traffic_stays_as_it_was_beside_a_scan(tmp_path: Path) -> None:
    simulate(tmp_path / "clean", minutes=4, seed=9)
    simulate(tmp_path / "scan", minutes=4, seed=9, attacks=["scan"])
    (truth,) = pq.read_table(tmp_path / "scan" / "attacks.parquet").to_pylist()
    intruder = bytes.fromhex(truth["attacker_mac"].replace(":", ""))
    kept = [(ts, wire) for ts, wire in frames(tmp_path / "scan" / "plant.pcap") if intruder not in wire]
    assert kept == list(frames(tmp_path / "clean" / "plant.pcap"))
    assert truth["packets"] == sum(intruder in wire for _, wire in frames(tmp_path / "scan" / "plant.pcap"))


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_differs_before_an_attack_begins(tmp_path: Path, name: str) -> None:
    simulate(tmp_path / "clean", minutes=2, seed=4)
    simulate(tmp_path / "staged", minutes=2, seed=4, attacks=[name])
    (truth,) = pq.read_table(tmp_path / "staged" / "attacks.parquet").to_pylist()
    clean, with_attack = ([*frames(tmp_path / run / "plant.pcap")] for run in ("clean", "staged"))
    first = truth["first_packet"] - 1
    assert clean[:first] == with_attack[:first]
    assert clean != with_attack


def test_attacks_take_turns_over_replicas_and_may_come_again(tmp_path: Path) -> None:
    when = datetime(2027, 5, 4, 20, 0, tzinfo=UTC)
    report = simulate(
        tmp_path, minutes=4, scale=2, attacks=["setpoint_jump", "stranger_write", "stranger_write"], start=when
    )
    rows = pq.read_table(report.attacks).to_pylist()
    assert [row["device_ip"] for row in rows] == ["10.10.1.13", "10.11.1.11", "10.10.1.11"]
    assert len({row["attacker_ip"] for row in rows}) == 3
    assert all(row["start"] > when and row["packets"] > 0 for row in rows)
