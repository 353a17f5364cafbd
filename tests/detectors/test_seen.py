"""Peer and function against their plain-Python twins, and what a person reads in their findings."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import numpy as np
import pytest

from detectors.base import Alerts, Detector
from detectors.columns import records
from detectors.function import FunctionDetector
from detectors.function import Params as FunctionParams
from detectors.kernels.peer import is_external
from detectors.kernels.seen import STRANGERS
from detectors.lifecycle import Learning
from detectors.peer import Params as PeerParams
from detectors.peer import PeerDetector
from schemas.codes import Anomaly, Kind, Match, Op, Outcome, Protocol, Severity
from tests.reference import seen as twin

S = 1_000_000_000
START = 1_700_000_000 * S
CLIENTS = [bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([i]) for i in range(5)]
SERVER = bytes(10) + b"\xff\xff\x0a\x00\x01\x01"

Row = dict[str, Any]


def record(second: float, client: int = 0, device: int = 1, asks: bool = True, **more: Any) -> Row:
    request = {"src_ip": CLIENTS[client], "dst_ip": SERVER, "src_port": 40_000, "dst_port": 502, "client_is_src": 1}
    answer = {"src_ip": SERVER, "dst_ip": CLIENTS[client], "src_port": 502, "dst_port": 40_000, "client_is_src": 0}
    halves = {
        True: {"kind": int(Kind.REQUEST), "match": int(Match.PENDING)},
        False: {"kind": int(Kind.RESPONSE), "match": int(Match.MATCHED)},
    }
    base = {"unit": 1, "func": 3, "subfunc": 0, "op": int(Op.READ), "status": 0, "anomaly": 0, "gap_bytes": 0}
    base |= {"ts": START + int(second * S), "device": device, "protocol": int(Protocol.MODBUS)}
    return base | (request if asks else answer) | halves[asks] | more


def titles(detector: Detector, alerts: Alerts) -> list[tuple[int, str, int, int]]:
    uids = {f.code: f.uid for f in detector.findings}
    columns = (alerts.row, alerts.what, alerts.severity, alerts.outcome)
    return [(int(r), uids[int(w)], int(s), int(o)) for r, w, s, o in zip(*columns, strict=True)]


def judge(detector: Detector, rows: list[Row]) -> list[tuple[int, str, int, int]]:
    return titles(detector, detector.on_batch(records(rows)))


def peer(**learning: Any) -> PeerDetector:
    return PeerDetector(PeerParams(), Learning(start_ns=START, **learning))


def function(**learning: Any) -> FunctionDetector:
    return FunctionDetector(FunctionParams(), Learning(start_ns=START, **learning))


def traffic(rng: np.random.Generator, n: int) -> list[Row]:
    """Records of every kind over 1000 s, mostly reads, from five clients of six devices in three buckets."""
    cards = np.random.default_rng(n)
    rows = []
    for i in range(n):
        asks = bool(rng.random() < 0.5)
        more: Row = {"protocol": int(rng.integers(1, 3)), "unit": int(rng.integers(0, 2))}
        if rng.random() < 0.4:
            more |= {
                "op": int(rng.integers(0, 36)),
                "func": int(rng.integers(0, 4)),
                "subfunc": int(rng.integers(0, 2)),
            }
        if rng.random() < 0.2:
            more |= {
                "kind": int(rng.integers(0, 9)),
                "match": int(rng.integers(0, 6)),
                "status": int(rng.integers(0, 2)),
            }
        if rng.random() < 0.1:
            more |= {"anomaly": 1 << int(rng.integers(0, 40)), "gap_bytes": int(rng.integers(0, 2))}
        device = int(rng.integers(1, 4)) + 1024 * int(rng.integers(0, 2))
        client = int(rng.integers(0, 5 if i > n // 2 else 3))
        if i % 10:
            other = int(cards.random() < 0.02 * (1 + (i > n // 2)))
            more["src_mac"] = (100 + client if asks else device) + 5000 * other
        rows.append(record(1000 * i / n + rng.normal(0, 2), client, device, asks, **more))
    return rows


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", ["detect", "learn"])
@pytest.mark.parametrize("limit", [4, 10_000])
def test_peer_agrees_with_its_twin(seed: int, mode: Any, limit: int) -> None:
    rows = traffic(np.random.default_rng(seed), 1500)
    params = PeerParams(window_s=60.0, rearm_s=300.0, max_keys=limit)
    start = START if seed % 2 else None
    ours = judge(PeerDetector(params, Learning(mode=mode, start_ns=start)), rows)
    rules = {"learns_only": mode == "learn", "start": start, "site": 300 * S, "limit": limit}
    expected = twin.Peer(window=60 * S, rearm=300 * S, **rules).judge(rows)
    assert ours == expected
    assert (mode == "detect") == bool(ours)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", ["detect", "learn"])
def test_function_agrees_with_its_twin(seed: int, mode: Any) -> None:
    rows = traffic(np.random.default_rng(seed), 1500)
    params = FunctionParams(window_s=60.0, rearm_s=300.0, trusted_answers=5)
    start = START if seed % 2 else None
    ours = judge(FunctionDetector(params, Learning(mode=mode, start_ns=start)), rows)
    rules = {"learns_only": mode == "learn", "start": start, "site": 300 * S, "limit": 10_000}
    expected = twin.Function(5, window=60 * S, rearm=300 * S, **rules).judge(rows)
    assert ours == expected
    if mode == "detect":
        assert {uid for _, uid, _, _ in ours} == {f.uid for f in FunctionDetector.findings}
    else:
        assert ours == []


def learned_pair() -> list[Row]:
    return [record(s, asks=asks) for s in range(0, 300, 10) for asks in (True, False)]


def test_a_strangers_write_is_high_and_one_finding_with_its_reads() -> None:
    detector = peer()
    detector.on_batch(records(learned_pair()))
    alerts = detector.on_batch(records([record(400, 1), record(401, 1, op=int(Op.WRITE), func=6)]))
    assert [(uid, rank) for _, uid, rank, _ in titles(detector, alerts)] == [
        ("peer.new_pair", Severity.MEDIUM),
        ("peer.new_pair", Severity.HIGH),
    ]
    assert len(set(alerts.key.tolist())) == 1


def test_a_first_write_tells_even_when_the_reads_have_long_been_told() -> None:
    detector = peer()
    detector.on_batch(records(learned_pair()))
    rows = [record(400, 1), record(400 + 599, 1), record(400 + 601, 1), record(400 + 700, 1, op=int(Op.WRITE))]
    assert [row for row, _, _, _ in judge(detector, rows)] == [0, 1, 3]


def test_a_stranger_is_told_again_after_a_day() -> None:
    detector = peer()
    detector.on_batch(records(learned_pair()))
    assert [r for r, *_ in judge(detector, [record(t, 1) for t in (400, 86_000, 86_399 + 400, 86_400 + 400)])] == [0, 3]


def test_bytes_of_another_protocol_and_unanswered_requests_make_no_peer() -> None:
    detector = peer()
    detector.on_batch(records(learned_pair()))
    assert judge(detector, [record(400, 1, kind=int(k)) for k in (Kind.FOREIGN, Kind.TIMEOUT)]) == []


def test_a_client_that_no_baseline_knows_is_told_apart_from_one_of_another_device() -> None:
    teacher = peer(mode="learn")
    teacher.on_batch(records([*learned_pair(), record(1, client=1, device=2)]))
    detector = peer()
    detector.adopt(teacher.learned())
    ours = judge(detector, [record(0, client=1, device=1), record(0, client=2, device=1)])
    assert [(row, uid) for row, uid, _, _ in ours] == [
        (0, "peer.new_pair"),
        (1, "peer.new_client"),
        (1, "peer.new_pair"),
    ]


def test_a_new_pair_is_rolled_up_under_its_unknown_client_and_its_functions_under_the_pair() -> None:
    peers, functions = peer(), function()
    for detector in (peers, functions):
        detector.adopt({k: v[:0] for k, v in peers.learned().items()})
    batch = records([record(0, 2, op=int(Op.WRITE), func=6)])
    of_peer, of_function = peers.on_batch(batch), functions.on_batch(batch)
    assert of_peer.parent.tolist() == [0, of_peer.key[0]]
    assert of_function.parent.tolist() == [of_peer.key[1]]


def test_a_scan_of_all_functions_is_one_finding() -> None:
    detector = function()
    detector.on_batch(records(learned_pair()))
    scan = [record(400 + i / 100, func=i, op=int(Op.DIAGNOSE if i % 2 else Op.VENDOR)) for i in range(4, 128)]
    alerts = detector.on_batch(records(scan))
    assert len(alerts) == len(scan)
    assert len(set(alerts.key.tolist())) == 1


def test_dangerous_operations_are_told_while_learning_each_time_with_their_outcome() -> None:
    stop = {"op": int(Op.STOP), "func": 90, "subfunc": 0x41}
    rows = [
        record(10, **stop),
        record(10.1, asks=False, **stop, status=3),
        record(20, **stop),
        record(20.1, asks=False, **stop),
        record(30, **stop),
        record(35, **stop, kind=int(Kind.TIMEOUT)),
    ]
    ours = judge(function(), rows)
    assert {uid for _, uid, _, _ in ours} == {"function.dangerous"}
    assert {rank for _, _, rank, _ in ours} == {Severity.CRITICAL}
    none = Outcome.UNKNOWN
    assert [o for *_, o in ours] == [none, Outcome.REFUSED, none, Outcome.ACCEPTED, none, Outcome.NO_ANSWER]


def test_a_dangerous_operation_of_the_baseline_is_normal_for_that_client_alone() -> None:
    stop = {"op": int(Op.STOP), "func": 90, "subfunc": 0x41}
    teacher = function(mode="learn")
    teacher.on_batch(records([record(0, **stop)]))
    detector = function()
    detector.adopt(teacher.learned())
    assert [row for row, *_ in judge(detector, [record(0, **stop), record(1, client=1, **stop)])] == [1]


@pytest.mark.parametrize(
    ("op", "severity"),
    [
        (Op.READ, Severity.LOW),
        (Op.IDENTIFY, Severity.MEDIUM),
        (Op.DIAGNOSE, Severity.MEDIUM),
        (Op.WRITE, Severity.HIGH),
        (Op.VENDOR, Severity.HIGH),
    ],
)
def test_an_unseen_function_weighs_by_what_it_does(op: Op, severity: Severity) -> None:
    detector = function()
    detector.on_batch(records(learned_pair()))
    assert [(uid, rank) for _, uid, rank, _ in judge(detector, [record(400, func=99, op=int(op))])] == [
        ("function.unseen", severity)
    ]


def test_an_unasked_answer_counts_only_where_both_directions_are_seen_whole() -> None:
    unmatched = {"asks": False, "match": int(Match.UNMATCHED)}
    one_sided = function()
    assert judge(one_sided, [record(s, **unmatched) for s in range(0, 500, 5)]) == []
    detector = function()
    detector.on_batch(records(learned_pair()))
    holes = [Anomaly.MIDSTREAM, Anomaly.GAP_BEFORE, Anomaly.OUT_OF_ORDER, Anomaly.TRUNCATED]
    assert judge(detector, [record(400, **unmatched, anomaly=int(a)) for a in holes]) == []
    assert judge(detector, [record(400, **unmatched, gap_bytes=1)]) == []
    assert [uid for _, uid, _, _ in judge(detector, [record(401, **unmatched)])] == ["function.unasked_response"]


def test_wrong_checksums_are_no_finding() -> None:
    assert judge(function(), [record(0, anomaly=int(Anomaly.BAD_CHECKSUM))]) == []


def macs(detector: Detector, rows: list[Row]) -> list[tuple[int, str]]:
    return [(row, uid) for row, uid, rank, _ in judge(detector, rows) if uid.endswith("_mac") and rank == Severity.HIGH]


def spoken(seconds: range, client_mac: int = 0xA, device_mac: int = 0xB, client: int = 0) -> list[Row]:
    return [
        record(second, client, asks=asks, src_mac=client_mac if asks else device_mac)
        for second in seconds
        for asks in (True, False)
    ]


def test_another_network_card_in_a_devices_or_clients_name_is_told_each_time() -> None:
    ours = peer()
    assert macs(ours, spoken(range(0, 300, 10))) == []
    assert macs(ours, spoken(range(300, 302))) == []
    assert macs(ours, spoken(range(302, 304), device_mac=0xE)) == [(1, "peer.device_mac"), (3, "peer.device_mac")]
    assert macs(ours, spoken(range(304, 306), client_mac=0xE)) == [(0, "peer.client_mac"), (2, "peer.client_mac")]
    mixed = [
        r for pair in zip(spoken(range(306, 309)), spoken(range(306, 309), device_mac=0xE), strict=True) for r in pair
    ]
    assert [row for row, _ in macs(ours, mixed)] == [3, 7, 11]
    assert macs(ours, spoken(range(310, 312))) == []


def test_network_cards_seen_while_learning_are_normal() -> None:
    ours = peer()
    assert macs(ours, spoken(range(0, 300, 10)) + spoken(range(5, 300, 10), device_mac=0xC)) == []
    assert macs(ours, spoken(range(300, 320), device_mac=0xC)) == []


def test_a_strangers_network_card_is_no_news_of_its_own() -> None:
    ours = peer()
    judge(ours, spoken(range(0, 300, 10)))
    assert macs(ours, spoken(range(300, 303), client_mac=0xE, client=4) + spoken(range(303, 306), 0xF, client=4)) == []


def test_links_without_addresses_and_baselines_without_them_say_nothing() -> None:
    ours = peer()
    judge(ours, spoken(range(0, 300, 10), 0, 0))
    assert macs(ours, spoken(range(300, 310))) == []
    assert macs(ours, spoken(range(310, 311), device_mac=0xE)) == [(1, "peer.device_mac")]


def test_a_baseline_holds_the_network_cards() -> None:
    teacher = peer(mode="learn")
    judge(teacher, spoken(range(0, 300, 10)))
    rows = teacher.learned()
    cards = rows["parameter"] == "mac"
    assert sorted(rows["code"][cards].tolist()) == [0xA, 0xB]
    pupil = peer()
    pupil.adopt(rows)
    assert macs(pupil, spoken(range(0, 5)) + spoken(range(5, 6), device_mac=0xE)) == [(11, "peer.device_mac")]


EDGES = ["9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0", "100.63.255.255", "100.64.0.0", "100.127.255.255"]
EDGES += ["100.128.0.0", "126.255.255.255", "127.0.0.1", "128.0.0.0", "169.253.255.255", "169.254.0.0", "169.255.0.0"]
EDGES += ["172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", "192.167.255.255", "192.168.0.0"]
EDGES += ["192.169.0.0", "223.255.255.255", "224.0.0.1", "255.255.255.255", "0.0.0.0", "1.0.0.0"]
EDGES += [
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd12::9",
    "ff02::1",
    "1fff::1",
    "2000::1",
    "2001:db8::1",
    "3fff::1",
    "4000::1",
]


@pytest.mark.parametrize("text", EDGES)
def test_addresses_of_the_internet_are_those_that_no_site_gives_itself(text: str) -> None:
    address = ip_address(text)
    packed = address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed
    words = (int.from_bytes(packed[:8], "little"), int.from_bytes(packed[8:], "little"))
    assert bool(is_external(*(np.uint64(word) for word in words))) == twin.external(*words)


@pytest.mark.parametrize(("client", "told"), [(b"\x08\x08\x04\x04", True), (b"\x0a\x00\x09\x09", False)])
def test_a_stranger_from_the_internet_is_a_finding_of_its_own(client: bytes, told: bool) -> None:
    ours = peer()
    judge(ours, [record(second) for second in range(310)])
    stranger = record(400, src_ip=bytes(10) + b"\xff\xff" + client)
    found = judge(ours, [stranger])
    assert ("peer.external" in {uid for _, uid, _, _ in found}) == told
    assert "peer.new_pair" in {uid for _, uid, _, _ in found}


@pytest.mark.parametrize("make", [peer, function])
def test_a_flood_of_strangers_stays_small_and_drives_out_nothing_known(make: Any) -> None:
    ours = make()
    usual = spoken(range(0, 310, 10))
    judge(ours, usual)
    known = ours.counters()["known"]
    flood = [record(400 + i / 1000, src_ip=i.to_bytes(16, "big")) for i in range(1, 5000)]
    assert judge(ours, flood) != []
    counters = ours.counters()
    assert counters["known"] == known
    assert STRANGERS <= counters["strange"] <= STRANGERS + 8
    assert counters["forgotten"] >= 5000 - STRANGERS - 8
    assert judge(ours, spoken(range(410, 420))) == []
