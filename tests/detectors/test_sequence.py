"""Sequence: what it tells, which order it takes, what it leaves alone, and that it agrees with its twin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detectors.base import Mark
from detectors.columns import records
from detectors.lifecycle import Learning
from detectors.sequence import MODES, Params, SequenceDetector
from schemas.codes import Anomaly, Kind, MarkKind, Severity
from tests.reference import sequence as twin

S = 1_000_000_000
START = 1_700_000_000 * S
UID = {f.code: f.uid for f in SequenceDetector.findings}
Row = dict[str, Any]
Told = list[tuple[int, str, int]]
ORDER, MESSAGE = "sequence.unknown_order", "sequence.unknown_message"


def host(number: int) -> bytes:
    return bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([number])


def record(second: float, kind: Kind, func: int, addr: int = 0, client: int = 1, **more: Any) -> Row:
    asks = kind in (Kind.REQUEST, Kind.CONTROL, Kind.CONFIRM)
    ends = [host(client), host(100)]
    return {
        "ts": START + round(second * S),
        "device": 7,
        "protocol": 5,
        "unit": 1,
        "src_ip": ends[not asks],
        "dst_ip": ends[asks],
        "client_is_src": int(asks),
        "kind": int(kind),
        "func": func,
        "subfunc": 0,
        "space": 1,
        "addr": addr,
        "anomaly": 0,
        "gap_bytes": 0,
    } | more


def cycle(first: int, n: int, skip: tuple[int, ...] = ()) -> list[Row]:
    """`n` polls, one a second, of the addresses 0, 1, 2, 1, over and over."""
    turns = [turn for turn in range(first, first + n) if turn not in skip]
    return [record(turn, Kind.REQUEST, 3, (0, 1, 2, 1)[turn % 4]) for turn in turns]


def detector() -> SequenceDetector:
    return SequenceDetector(Params(), Learning(value_s=200.0))


def told(rows: list[Row], one: SequenceDetector | None = None) -> Told:
    a = (one or detector()).on_batch(records(rows))
    return [(int(r), UID[int(w)], int(s)) for r, w, s in zip(a.row, a.what, a.severity, strict=True)]


def kinds(rows: list[Row], one: SequenceDetector | None = None) -> list[tuple[str, int]]:
    return [(uid, severity) for _, uid, severity in told(rows, one)]


def test_what_is_left_out_repeated_or_new_is_told() -> None:
    clean = cycle(0, 240)
    assert told(clean + cycle(240, 40)) == []
    assert told(clean + cycle(240, 40, skip=(250,)))[0] == (250, ORDER, Severity.LOW)
    assert told([*clean, *cycle(236, 4), *cycle(240, 40)]) == []
    assert told([*clean, clean[-1], *cycle(240, 40)])[0] == (240, ORDER, Severity.LOW)
    assert told([*clean, record(240, Kind.REQUEST, 16, 9), *cycle(240, 40)])[0] == (240, MESSAGE, Severity.LOW)


def test_what_follows_a_hole_is_only_noted() -> None:
    late = cycle(251, 20)
    late[0]["gap_bytes"] = 30
    assert kinds([*cycle(0, 250), *late])[0] == (ORDER, Severity.INFORMATIONAL)
    late[0] |= {"gap_bytes": 0, "anomaly": int(Anomaly.GAP_BEFORE)}
    assert kinds([*cycle(0, 250), *late])[0] == (ORDER, Severity.INFORMATIONAL)


def test_after_lost_records_nobody_knows_what_came_before() -> None:
    one = detector()
    assert told(cycle(0, 250), one) == []
    one.on_mark(Mark(MarkKind.GAP, START + 250 * S, count=3))
    assert told(cycle(251, 20), one) == []


def test_acknowledgements_at_any_time_are_left_out_of_what_is_judged() -> None:
    """With them no order closes, without them the longest does."""
    rng = np.random.default_rng(5)

    def mixed(first: int, n: int, **more: Any) -> list[Row]:
        acks = [record(first + float(at), Kind.CONTROL, 257) for at in rng.uniform(0, n, n)]
        return sorted([*cycle(first, n, **more), *acks], key=lambda row: row["ts"])

    one = detector()
    assert told(mixed(0, 300), one) == []
    (way,) = one.learned()["value"][one.learned()["parameter"] == "channel"]
    assert MODES[int(way)] in ("no acks.3", "all.2", "all.3")
    assert told(mixed(300, 60), one) == []
    assert {uid for uid, _ in kinds(mixed(360, 60, skip=(390,)), one)} == {ORDER}


def test_a_conversation_without_an_order_is_left_alone() -> None:
    rng = np.random.default_rng(1)
    rows = [record(second, Kind.REQUEST, 3, int(rng.integers(0, 1000))) for second in range(600)]
    one = detector()
    assert told(rows, one) == []
    assert one.counters()["left alone"] == 1


def test_what_came_but_once_while_learning_leaves_the_order_open() -> None:
    rare = record(100.5, Kind.REQUEST, 43)
    rows = sorted([*cycle(0, 240), rare], key=lambda row: row["ts"])
    one = detector()
    assert told([*rows, *cycle(240, 40, skip=(250,))], one) == []
    assert one.counters()["left alone"] == 1


def test_too_little_said_is_not_judged() -> None:
    assert told(cycle(0, 150) + cycle(150, 45, skip=(160,))) == []


def test_a_baseline_carries_the_order() -> None:
    teacher = SequenceDetector(Params(), Learning(mode="learn"))
    assert told(cycle(0, 240), teacher) == []
    pupil = SequenceDetector(Params(), Learning())
    pupil.adopt(teacher.learned())
    assert told(cycle(1000, 40), pupil) == []
    assert told(cycle(1040, 40, skip=(1050,)), pupil)[0] == (10, ORDER, Severity.LOW)


def traffic(rng: np.random.Generator, n: int) -> list[Row]:
    """Three conversations: a cycle, one with reports and acknowledgements, one without order; then all go wrong."""
    rows: list[Row] = []
    for i in range(n):
        second, late = 1500.0 * i / n, i > n // 2
        wrong = late and rng.random() < 0.02
        blind: Row = {"gap_bytes": int(rng.random() < 0.01), "anomaly": 1 << int(rng.integers(0, 45))}
        turn = i // 3 + int(wrong)
        if i % 3 == 0:
            rows.append(record(second, Kind.REQUEST, 3, (0, 1, 2, 1)[turn % 4], client=1, **blind))
        elif i % 3 == 1:
            kind, func = [(Kind.UNSOLICITED, 13), (Kind.UNSOLICITED, 30), (Kind.CONTROL, 257)][turn % 3]
            rows.append(record(second, kind, 99 if wrong else func, client=2, **blind))
            if rng.random() < 0.1:
                rows.append(record(second + 0.001, Kind.CONFIRM, 1, client=2))
        else:
            rows.append(record(second, Kind.REQUEST, 3, int(rng.integers(0, 300)), client=3, **blind))
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_its_twin(seed: int) -> None:
    rows = traffic(np.random.default_rng(seed), 6000)
    expected = twin.Sequence(200 * S).judge(rows)
    assert told(rows) == expected
    assert {uid for _, uid, _ in expected} == set(UID.values())
