"""Command: what it tells, what it leaves alone, and that it agrees with its twin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detectors.base import Mark
from detectors.columns import records
from detectors.command import CommandDetector, Params
from detectors.lifecycle import Learning
from schemas.codes import Anomaly, Direction, Kind, MarkKind, Match, Op, Protocol, Quality, RecordFlag, Severity, Space
from tests.reference import command as twin

S = 1_000_000_000
START = 1_700_000_000 * S
UID = {f.code: f.uid for f in CommandDetector.findings}
REGISTER, BREAKER = int(Space.HOLDING_REGISTER), int(Space.BINARY_OUTPUT)
Row = dict[str, Any]
Told = list[tuple[str, int]]


def host(number: int) -> bytes:
    return bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([number])


def record(second: float, kind: Kind, op: Op, client: int = 1, **more: Any) -> Row:
    asks = kind is Kind.REQUEST
    ends = [host(client), host(100)]
    return {
        "ts": START + round(second * S),
        "device": 7,
        "protocol": int(Protocol.MODBUS),
        "unit": 1,
        "src_ip": ends[not asks],
        "dst_ip": ends[asks],
        "client_is_src": int(asks),
        "kind": int(kind),
        "op": int(op),
        "match": int(Match.PENDING if asks else Match.MATCHED),
        "status": 0,
        "flags": 0,
        "anomaly": 0,
        "gap_bytes": 0,
        "space": 0,
        "addr": 0,
        "count": 0,
        "points": [],
    } | more


def point(addr: int, value: float, direction: Direction, space: int = REGISTER) -> Row:
    return {"space": space, "addr": addr, "value": value, "direction": int(direction), "quality": 0}


def writes(second: float, addr: int, value: float, client: int = 1, **more: Any) -> Row:
    points = [point(addr, value, Direction.WRITTEN)]
    return record(second, Kind.REQUEST, Op.WRITE, client, points=points, **more)


def refuses(second: float, addr: int, count: int = 1) -> Row:
    return record(second, Kind.RESPONSE, Op.WRITE, space=REGISTER, addr=addr, count=count, status=2)


def reads(second: float, *values: float, addr: int = 10, **more: Any) -> Row:
    points = [point(at, value, Direction.READ) for at, value in enumerate(values, addr)]
    return record(second, Kind.RESPONSE, Op.READ, points=points, **more)


def operates(second: float, addr: int, selected: bool = False, op: Op = Op.CONTROL) -> Row:
    points = [point(addr, 1.0, Direction.WRITTEN, BREAKER)]
    flags = int(RecordFlag.SELECTED) if selected else 0
    return record(second, Kind.REQUEST, op, points=points, flags=flags)


def told(rows: list[Row], one: CommandDetector | None = None) -> Told:
    one = one or CommandDetector(Params(), Learning(start_ns=START))
    a = one.on_batch(records(rows))
    return [(UID[int(what)], int(severity)) for what, severity in zip(a.what, a.severity, strict=True)]


def obeyed() -> list[Row]:
    """Five minutes in which a setpoint is written every 20 s, read back after 2 s, and never changes otherwise."""
    rows = []
    for second in range(0, 300, 20):
        rows += [writes(second, 10, float(second)), reads(second + 2, float(second)), reads(second + 12, float(second))]
    return rows


NOT_TAKEN = [("command.not_taken", Severity.HIGH)]
GHOST = [("command.ghost_change", Severity.MEDIUM)]


def test_a_client_that_never_wrote_is_a_new_writer_once_a_day() -> None:
    rows = [*obeyed(), writes(301, 10, 5.0, client=9), writes(302, 11, 5.0, client=9)]
    new = ("command.new_writer", Severity.HIGH)
    assert told(rows) == [new, new]
    later = [*rows, writes(301 + 86_000, 10, 5.0, client=9), writes(301 + 86_400, 10, 5.0, client=9)]
    assert told(later) == [new, new, new]


def test_a_point_that_its_writer_never_wrote_is_told_quietly() -> None:
    rows = [*obeyed(), writes(301, 11, 5.0), writes(302, 10, 5.0)]
    assert told(rows) == [("command.new_target", Severity.LOW)]


def test_one_whose_points_keep_growing_may_write_another() -> None:
    rows = [writes(20.0 * n, 10 + n % 5, 1.0) for n in range(14)]
    assert told([*rows, writes(301, 11, 5.0), writes(302, 50, 5.0)]) == []
    assert told([writes(280, 10, 1.0), *rows, *(writes(301 + n, 10, 1.0) for n in range(9)), writes(312, 50, 5.0)]) == [
        ("command.new_target", Severity.LOW)
    ]


def test_a_select_learns_its_target_but_is_no_written_value() -> None:
    rows = [*obeyed(), operates(290, 3, op=Op.SELECT), operates(301, 3, op=Op.SELECT)]
    one = CommandDetector(Params(), Learning(start_ns=START))
    assert told(rows, one) == []
    assert one.counters()["pages"] == 1


@pytest.mark.parametrize("addr", [3, 77])
def test_a_command_without_the_selection_that_always_came_before(addr: int) -> None:
    """At a point that was operated, and at one that was not but whose operator always selects."""
    rows = [operates(s, 3, selected=True) for s in range(0, 300, 50)]
    assert told([*rows, operates(301, 3, selected=True)]) == []
    found = told([*rows, operates(301, addr)])
    assert ("command.unselected", Severity.HIGH) in found


def test_a_point_that_is_operated_directly_now_and_then_needs_no_selection() -> None:
    rows = [operates(s, 3, selected=s != 100) for s in range(0, 300, 50)]
    assert told([*rows, operates(301, 3)]) == []


def test_a_written_value_that_does_not_come_back() -> None:
    rows = [*obeyed(), writes(301, 10, 500.0), reads(303, 280.0), reads(306, 280.0)]
    assert told(rows) == []
    # The longest time that learning saw is two seconds: twice that and two more are waited for.
    assert told([*rows, reads(308, 280.0)]) == NOT_TAKEN
    assert told([*rows, reads(307, 500.0), reads(309, 500.0)]) == []


def test_a_refused_write_is_not_waited_for() -> None:
    rows = [*obeyed(), writes(301, 10, 500.0), refuses(301.1, 8, count=3)]
    rows += [reads(s, 280.0) for s in range(303, 330, 3)]
    assert told(rows) == []


def test_a_refusal_of_its_neighbour_excuses_no_value() -> None:
    rows = [*obeyed(), writes(301, 10, 500.0), refuses(301.1, 11)]
    assert told([*rows, *(reads(s, 280.0) for s in range(303, 330, 3))]) == NOT_TAKEN


@pytest.mark.parametrize("pause_s", [0, 700])
def test_a_hole_or_a_pause_after_a_write_excuses_its_value(pause_s: int) -> None:
    hole = [] if pause_s else [record(302, Kind.REQUEST, Op.READ, gap_bytes=9)]
    rows = [*obeyed(), writes(301, 10, 500.0), *hole]
    assert told([*rows, *(reads(s + pause_s, 280.0) for s in range(303, 330, 3))]) == []


def test_an_infinite_value_is_itself() -> None:
    rows = [*obeyed(), writes(301, 10, float("inf")), reads(303, float("inf")), reads(305, float("inf"))]
    assert told(rows) == []


def test_points_beside_each_other_are_told_each_for_itself() -> None:
    rows = [*obeyed(), writes(301, 11, 5.0), writes(1501, 12, 5.0), writes(1502, 12, 5.0)]
    assert told(rows) == [("command.new_target", Severity.LOW)] * 2


def test_a_second_burst_is_told_an_hour_later() -> None:
    bursts = [writes(at + n, 10, 1.0) for at in (360, 360 + 7200) for n in range(20)]
    assert told([*obeyed(), *bursts]) == [("command.write_rate", Severity.HIGH)] * 4


def test_a_register_that_never_repeats_what_is_written_is_left_alone() -> None:
    rows = []
    for second in range(0, 400, 20):
        rows += [writes(second, 10, 1.0), reads(second + 5, 0.0), reads(second + 15, 0.0)]
    assert told(rows) == []


def test_a_value_that_only_writes_change_changes_by_itself() -> None:
    assert told([*obeyed(), reads(301, 280.0), reads(303, 281.0), reads(305, 281.0)]) == GHOST


def test_one_that_changed_by_itself_while_learning_may() -> None:
    rows = [*obeyed()[:-1], reads(292, 77.0), reads(294, 280.0), reads(301, 280.0), reads(303, 281.0)]
    assert told(rows) == []


@pytest.mark.parametrize(
    "blind",
    [
        {"gap_bytes": 40},
        {"anomaly": int(Anomaly.GAP_BEFORE)},
        {"anomaly": int(Anomaly.RESYNCHRONISED)},
    ],
)
def test_what_was_not_seen_may_have_been_a_write(blind: Row) -> None:
    rows = [*obeyed(), reads(301, 280.0), record(302, Kind.REQUEST, Op.READ, **blind)]
    assert told([*rows, reads(303, 281.0), reads(304, 281.0)]) == []
    assert told([*rows, reads(303, 281.0), reads(304, 282.0)]) == GHOST


def test_lost_records_and_long_silence_may_have_held_a_write() -> None:
    one = CommandDetector(Params(), Learning(start_ns=START))
    told([*obeyed(), reads(301, 280.0)], one)
    assert one.on_mark(Mark(MarkKind.GAP, START + 302 * S, count=5)) is None
    assert told([reads(303, 281.0), reads(304, 281.0)], one) == []
    assert told([reads(304 + 600, 282.0)], one) == []
    assert told([reads(306 + 600, 283.0)], one) == GHOST


def test_values_of_no_use_are_passed_over() -> None:
    odd = reads(302, 99.0)
    odd["points"][0]["quality"] = int(Quality.ADDRESS_UNKNOWN)
    echo = reads(303, 99.0)
    echo["points"][0]["direction"] = int(Direction.ECHO)
    assert told([*obeyed(), reads(301, 280.0), odd, echo, reads(304, float("nan")), reads(305, 280.0)]) == []


def test_a_burst_of_writes() -> None:
    """Three writes were the most in a minute: 3 + 6 * sqrt(3) + 5 are normal."""
    burst = [writes(360 + n, 10, 1.0) for n in range(20)]
    found = told([*obeyed(), *burst])
    assert found == [("command.write_rate", Severity.HIGH)] * 2
    a = CommandDetector(Params(), Learning(start_ns=START)).on_batch(records([*obeyed(), *burst]))
    assert (a.high[0], a.observed.tolist()) == (18.0, [19.0, 20.0])


def test_a_baseline_carries_all_of_it() -> None:
    """What is found after adopting is what would have been found by who learned it."""
    rows = [*obeyed(), *(operates(s + 0.5, 3, selected=True) for s in range(10, 300, 50))]
    rows.sort(key=lambda row: row["ts"])
    after = [
        writes(301, 11, 5.0),
        writes(302, 10, 6.0, client=9),
        reads(303, 6.0),
        operates(304, 3),
        reads(305, 7.0),
        writes(306, 10, 500.0),
        *(reads(s, 7.0) for s in range(307, 330, 4)),
        *(writes(360 + n, 10, 1.0) for n in range(30)),
    ]
    teacher = CommandDetector(Params(), Learning(mode="learn"))
    assert told(rows, teacher) == []
    pupil = CommandDetector(Params(), Learning())
    pupil.adopt(teacher.learned())
    expected = told([*rows, *after])
    assert told(after, pupil) == expected
    assert {uid for uid, _ in expected} == set(UID.values())


def traffic(rng: np.random.Generator, n: int) -> list[Row]:
    """Writes, reads, refusals and commands of four clients at random, of few points that mostly do as they are told."""
    rows: list[Row] = []
    values = {(device, unit): dict.fromkeys(range(6, 12), 0.0) for device in (7, 1031) for unit in (1, 2)}
    for i in range(n):
        second = 900.0 * i / n
        client = int(rng.integers(1, 3 if i < n // 2 else 5))
        addr = int(rng.integers(6, 10 if i < n // 3 else 12))
        kind = rng.random()
        more: Row = {"device": int(rng.choice([7, 1031])), "unit": int(rng.integers(1, 3))}
        value = values[more["device"], more["unit"]]
        if rng.random() < 0.01:
            more["gap_bytes"] = 5
        if rng.random() < 0.01:
            more["anomaly"] = 1 << int(rng.integers(0, 45))
        if kind < 0.1:
            value[addr] = float(rng.integers(0, 4))
            rows.append(writes(second, addr, value[addr] if rng.random() < 0.95 else 9.0, client, **more))
        elif kind < 0.15:
            rows.append(operates(second, addr, bool(rng.random() < 0.95), rng.choice([Op.CONTROL, Op.SELECT])) | more)
        elif kind < 0.17:
            rows.append(refuses(second, addr, int(rng.integers(0, 12))) | more)
        else:
            if rng.random() < 0.002 * (i > n // 2):
                value[addr] += 1.0
            rows.append(reads(second, *value.values(), addr=6, **more))
    return [*rows, *(writes(901, 6, 1.0) for _ in range(200))]


def reference() -> twin.Command:
    return twin.Command(start=START, site=300 * S, window=600 * S, rearm=86_400 * S)


@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_with_its_twin(seed: int) -> None:
    rows = traffic(np.random.default_rng(seed), 6000)
    expected = [(i, uid, int(severity)) for i, uid, severity in reference().judge(rows)]
    a = CommandDetector(Params(), Learning(start_ns=START)).on_batch(records(rows))
    found = [(int(r), UID[int(w)], int(s)) for r, w, s in zip(a.row, a.what, a.severity, strict=True)]
    assert found == expected


def test_the_twin_has_seen_all_of_it() -> None:
    told_by = [reference().judge(traffic(np.random.default_rng(seed), 6000)) for seed in range(6)]
    assert {uid for each in told_by for _, uid, _ in each} == set(UID.values())
