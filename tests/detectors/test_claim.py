"""Claims of addresses by ARP, and what devices say they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detectors.columns import records
from detectors.lifecycle import Learning
from detectors.peer import Params, PeerDetector
from schemas.codes import (
    Anomaly,
    Direction,
    Identity,
    Kind,
    PointType,
    Protocol,
    Quality,
    RecordFlag,
    Severity,
    Space,
    Transport,
)
from tests.detectors.test_seen import CLIENTS, SERVER, START, S, judge, peer, record, spoken, traffic
from tests.reference import seen as twin

Row = dict[str, Any]
OWN, OTHER, VIRTUAL = 0xB, 0xE, 0x00005E000107
CLIENT_ID, OFFICE_ID = 2, 3
OFFICE = bytes(10) + b"\xff\xff\x0a\x00\x09\x09"


def claim(second: float, mac: int = OWN, address: bytes = SERVER, device: int = 1, **more: Any) -> Row:
    """An ARP reply: `device` is the id that `address` has."""
    base = {"ts": START + int(second * S), "device": device, "protocol": int(Protocol.ARP), "kind": int(Kind.ANNOUNCE)}
    base |= {"transport": int(Transport.ETHERNET), "func": 2, "client_is_src": 0, "src_ip": address, "src_mac": mac}
    zeros = dict.fromkeys(
        ("unit", "subfunc", "op", "status", "anomaly", "gap_bytes", "match", "src_port", "dst_port"), 0
    )
    return zeros | base | {"dst_ip": CLIENTS[0]} | more


def says(second: float, role: int = Identity.FIRMWARE, text: int = 1 << 40, **more: Any) -> Row:
    """A device's answer with what it is; `text` is the id of a name."""
    point = {"space": int(Space.IDENTITY), "addr": int(role), "type": int(PointType.TEXT), "raw": text}
    point |= {"value": float("nan"), "direction": int(Direction.READ), "quality": 0} | more.pop("point", {})
    return record(second, asks=False, flags=int(RecordFlag.IDENTITY), points=[point]) | more


def told(detector: PeerDetector, rows: list[Row]) -> list[tuple[int, str, int]]:
    mine = ("peer.arp_claim", "peer.duplicate_address", "peer.identity")
    return [(row, uid, rank) for row, uid, rank, _ in judge(detector, rows) if uid in mine]


def after_learning(*rows: Row) -> PeerDetector:
    """A detector that learned a client and a device, and these rows."""
    ours = peer()
    assert judge(ours, [*spoken(range(0, 300, 10)), *rows]) == []
    return ours


def adopted(*rows: Row) -> PeerDetector:
    """One that has the same from a baseline."""
    teacher = peer(mode="learn")
    judge(teacher, [*spoken(range(0, 300, 10)), *rows])
    ours = peer()
    ours.adopt(teacher.learned())
    return ours


MEDIUM, HIGH, LOW = int(Severity.MEDIUM), int(Severity.HIGH), int(Severity.LOW)
CLAIMED, TWICE = "peer.arp_claim", "peer.duplicate_address"


def test_a_known_device_claimed_by_another_card_is_told_with_both() -> None:
    for ours in (after_learning(claim(100)), adopted(claim(100))):
        assert told(ours, [claim(401, OTHER)]) == [(0, CLAIMED, MEDIUM)]
        alerts = ours.on_batch(records([claim(402, OTHER)]))
        assert (alerts.low.tolist(), alerts.high.tolist(), alerts.observed.tolist()) == ([OWN], [OWN], [OTHER])


def test_without_a_learned_claim_the_card_that_the_device_answers_from_is_its_own() -> None:
    for ours in (after_learning(), adopted()):
        assert told(ours, [claim(401, OTHER)]) == [(0, CLAIMED, MEDIUM)]
        assert ours.on_batch(records([claim(402, OTHER)])).low.tolist() == [OWN]


def test_claims_in_turn_are_a_duplicate_address() -> None:
    ours = after_learning(claim(100))
    rows = [claim(400), claim(401, OTHER), claim(402), claim(403, OTHER), claim(404, OTHER)]
    expected = [(1, CLAIMED), (2, TWICE), (3, CLAIMED), (3, TWICE), (4, CLAIMED)]
    assert [(row, uid) for row, uid, _ in told(ours, rows)] == expected
    alerts = ours.on_batch(records([claim(405)]))
    assert alerts.severity.tolist() == [HIGH]
    assert (alerts.low.tolist(), alerts.observed.tolist()) == ([OWN], [OTHER])
    stranger = ours.on_batch(records([claim(406, OTHER)]))
    assert alerts.parent.tolist() == [stranger.key[0]]


def test_an_owner_who_comes_back_long_after_is_no_duplicate() -> None:
    ours = after_learning(claim(100))
    assert told(ours, [claim(400, OTHER), claim(1001)]) == [(0, CLAIMED, MEDIUM)]


def test_all_who_claim_while_learning_are_normal() -> None:
    both = (claim(100), claim(101, OTHER), claim(102))
    for ours in (after_learning(*both), adopted(*both)):
        assert told(ours, [claim(400 + i, (OWN, OTHER)[i % 2]) for i in range(6)]) == []


def test_a_known_client_is_guarded_by_the_baseline() -> None:
    ours = adopted()
    asks = {"address": CLIENTS[0], "device": CLIENT_ID}
    assert told(ours, [claim(400, 0xA, **asks), claim(401, OTHER, **asks)]) == [(1, CLAIMED, MEDIUM)]
    assert told(ours, [claim(402, 0xA, **asks)]) == [(0, TWICE, HIGH)]


def test_what_only_arp_knows_is_told_only_in_turn() -> None:
    office = {"address": OFFICE, "device": OFFICE_ID}
    for ours in (after_learning(claim(100, **office)), adopted(claim(100, **office))):
        assert told(ours, [claim(400, OTHER, **office), claim(401, OTHER, **office)]) == []
        assert told(ours, [claim(402, **office)]) == [(0, TWICE, MEDIUM)]
    for ours in (after_learning(), adopted()):
        rows = [claim(400 + i, (OWN, OTHER)[i % 2], **office) for i in range(6)]
        held = ours.counters()["keys"]
        assert told(ours, rows) == []
        assert ours.counters()["keys"] == held


def test_another_vlan_is_another_link() -> None:
    ours = after_learning(claim(100, vlan=5), claim(100, OTHER, vlan=6))
    assert told(ours, [claim(400, vlan=5), claim(401, OTHER, vlan=6)]) == []
    assert told(ours, [claim(402, OTHER, vlan=5)]) == [(0, CLAIMED, MEDIUM)]


@pytest.mark.parametrize(
    "mac", [0x00005E000101, 0x00005E0002FF, 0x00000C07AC01, 0x00000C9FF001, 0x00000C9FFFFF, 0x0007B4000102]
)
def test_a_shared_card_takes_nobodys_place(mac: int) -> None:
    ours = adopted(claim(100, 0xD, OFFICE, OFFICE_ID))
    office = {"address": OFFICE, "device": OFFICE_ID}
    assert told(ours, [claim(400 + i, (0xD, mac)[i % 2], **office) for i in range(4)]) == []
    asks = {"address": CLIENTS[0], "device": CLIENT_ID}
    assert told(ours, [claim(410 + i, (0xA, mac)[i % 2], **asks) for i in range(4)]) == []
    of_device = told(ours, [claim(420, mac), claim(421)])
    assert of_device == [(0, CLAIMED, LOW), (1, TWICE, LOW)]


def test_a_router_that_answers_for_many_takes_nobodys_place() -> None:
    behind = [claim(100 + i, 0xD, OFFICE[:15] + bytes([i]), 10 + i) for i in range(3)]
    assert told(adopted(*behind), [claim(400), claim(401, 0xD)]) == []
    assert told(adopted(*behind[:2]), [claim(400), claim(401, 0xD)]) == [(1, CLAIMED, MEDIUM)]


def test_a_stranger_is_told_again_after_a_day() -> None:
    ours = after_learning(claim(100))
    rows = [claim(second, OTHER) for second in (400, 900, 1001, 86_399, 86_400 + 400)]
    assert [row for row, _, _ in told(ours, rows)] == [0, 1, 4]


def test_many_strangers_are_few_findings_and_do_not_push_out_what_is_known() -> None:
    ours = PeerDetector(Params(max_keys=64), Learning(start_ns=START))
    judge(ours, [*spoken(range(0, 300, 10)), *(claim(100 + i / 100, 1000 + i) for i in range(100))])
    known = ours.counters()["known"]
    alerts = ours.on_batch(records([claim(400 + i / 100, 5000 + i) for i in range(500)]))
    assert len(alerts) == 500
    assert len(set(alerts.key.tolist())) == 9
    assert ours.counters()["known"] == known
    assert ours.counters()["keys"] <= 64


def test_each_stranger_is_a_subject_that_can_be_taught() -> None:
    ours = after_learning(claim(100))
    alerts = ours.on_batch(records([claim(400, OTHER), claim(401, OTHER + 1), claim(402, OTHER)]))
    one, other, again = alerts.key.tolist()
    assert one == again != other


def test_claims_start_no_learning() -> None:
    ours = PeerDetector(Params(), Learning())
    assert told(ours, [claim(0), claim(1, OTHER)]) == []
    assert ours.counters()["keys"] == 3
    assert judge(ours, [*spoken(range(600, 620)), claim(700), claim(701, OTHER)]) == []


def test_a_firmware_that_changes_is_told_with_both() -> None:
    old, new = (5 << 40) | 7, (6 << 40) | 9
    for ours in (after_learning(says(50, text=old)), adopted(says(50, text=old))):
        assert told(ours, [says(401, text=new)]) == [(0, "peer.identity", MEDIUM)]
        alerts = ours.on_batch(records([says(402, text=new)]))
        assert alerts.point.tolist() == [0]
        assert (alerts.low.tolist(), alerts.observed.tolist()) == ([-float(old >> 11)], [-float(new >> 11)])
        assert told(ours, [says(403, text=old)]) == []


def test_numbers_are_compared_too() -> None:
    number = {"type": int(PointType.U32), "raw": 0}

    def serial(second: float, value: float) -> Row:
        return says(second, Identity.SERIAL, point=number | {"value": value})

    ours = adopted(serial(50, 0.0), serial(60, 4_000_000_000.0))
    assert told(ours, [serial(400, 0.0), serial(401, 4_000_000_000.0), serial(402, float("nan"))]) == []
    alerts = ours.on_batch(records([serial(403, 7.0)]))
    assert (alerts.high.tolist(), alerts.observed.tolist()) == ([4_000_000_000.0], [7.0])


def test_values_of_several_modules_are_normal_and_units_are_apart() -> None:
    ours = adopted(says(50, text=3 << 40), says(51, text=4 << 40), says(52, text=5 << 40, unit=2))
    assert told(ours, [says(400, text=4 << 40), says(401, text=3 << 40), says(402, text=5 << 40, unit=2)]) == []
    assert told(ours, [says(403, text=5 << 40)]) == [(0, "peer.identity", MEDIUM)]


def test_what_is_said_for_the_first_time_is_believed_until_it_changes() -> None:
    ours = after_learning()
    assert told(ours, [says(400), says(401)]) == []
    assert told(ours, [says(402, text=9 << 40)]) == [(0, "peer.identity", MEDIUM)]


@pytest.mark.parametrize(
    "point",
    [
        {"addr": int(Identity.NAME)},
        {"addr": int(Identity.LOCATION)},
        {"space": int(Space.DEVICE_ID), "addr": 3},
        {"quality": int(Quality.ADDRESS_UNKNOWN)},
        {"quality": int(Quality.TRUNCATED)},
        {"direction": int(Direction.WRITTEN)},
    ],
)
def test_names_given_by_people_and_what_clients_say_are_left_alone(point: Row) -> None:
    ours = after_learning(says(50, point=point))
    assert told(ours, [says(400, text=9 << 40, point=point)]) == []


@pytest.mark.parametrize("anomaly", [Anomaly.TRUNCATED, Anomaly.MALFORMED])
def test_what_is_not_whole_says_nothing(anomaly: Anomaly) -> None:
    ours = after_learning(says(50))
    assert told(ours, [says(400, text=9 << 40, anomaly=int(anomaly))]) == []


@pytest.mark.parametrize("addr", [0, 1, 2, 4, 5])
def test_objects_of_modbus_are_compared(addr: int) -> None:
    place = {"space": int(Space.DEVICE_ID)}
    point = {"space": int(Space.DEVICE_ID), "addr": addr}
    ours = after_learning(says(50, point=point) | place | {"flags": 0})
    assert told(ours, [says(400, text=9 << 40, point=point) | place | {"flags": 0}]) == [(0, "peer.identity", MEDIUM)]


def mixed(rng: np.random.Generator, n: int) -> list[Row]:
    """Traffic of every kind with claims of three cards and identities of few values among it."""
    rows = traffic(rng, n)
    cards = [1, 2, 1026, 6001, VIRTUAL]
    for i in range(0, n, 3):
        device, ts = rows[i]["device"], rows[i]["ts"]
        late = i > n // 2
        if i % 2:
            mac = cards[int(rng.integers(0, 5 if late else 2))]
            rows[i] = claim(0, mac, device=device, ts=ts, vlan=int(rng.random() < 0.1))
        else:
            number = {"type": int(PointType.U16), "value": float(rng.integers(-1, 3))} if rng.random() < 0.5 else {}
            point = {"addr": int(rng.integers(0, 9)), "quality": int(rng.random() < 0.1)} | number
            text = int(rng.integers(1, 4 if late else 3)) << 40
            rows[i] = says(0, text=text, point=point) | {"device": device, "ts": ts, "unit": int(rng.integers(0, 2))}
            rows[i]["anomaly"] = int(rng.random() < 0.1)
    return rows


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", ["detect", "learn"])
@pytest.mark.parametrize("limit", [4, 40, 10_000])
def test_it_agrees_with_its_twin(seed: int, mode: Any, limit: int) -> None:
    rows = mixed(np.random.default_rng(seed), 1500)
    params = Params(window_s=60.0, rearm_s=300.0, max_keys=limit)
    start = START if seed % 2 else None
    ours = judge(PeerDetector(params, Learning(mode=mode, start_ns=start)), rows)
    rules = {"learns_only": mode == "learn", "start": start, "site": 300 * S, "limit": limit}
    assert ours == twin.Peer(window=60 * S, rearm=300 * S, **rules).judge(rows)
    if mode == "detect" and limit == 10_000:
        assert {"peer.arp_claim", "peer.duplicate_address", "peer.identity"} <= {uid for _, uid, _, _ in ours}
