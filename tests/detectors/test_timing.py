"""Timing: what it tells, when it holds its tongue, and that it agrees with its twin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from detectors.base import TICK_NS, Mark
from detectors.columns import records
from detectors.lifecycle import Learning
from detectors.timing import Params, TimingDetector
from pipeline.detect import Loop, run
from pipeline.findings import Findings, types_of
from schemas.codes import Anomaly, Kind, MarkKind, Match, Op, Protocol, Severity
from tests.reference import timing as twin

S = 1_000_000_000
START = 1_700_000_000 * S
UID = {f.code: f.uid for f in TimingDetector.findings}
Row = dict[str, Any]
Told = list[tuple[int, str, int]]
"""(number of the record that it points to, finding type, severity)"""


def host(number: int) -> bytes:
    return bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([number])


def record(second: float, asks: bool, kind: Kind, client: int = 1, device: int = 7, **more: Any) -> Row:
    ends = [host(client), host(100 + device % 100)]
    match = Match.PENDING if asks else Match.MATCHED if kind is Kind.RESPONSE else Match.NONE
    return {
        "ts": START + round(second * S),
        "device": device,
        "protocol": int(Protocol.MODBUS),
        "unit": 1,
        "src_ip": ends[not asks],
        "dst_ip": ends[asks],
        "client_is_src": int(asks),
        "kind": int(kind),
        "op": int(Op.READ),
        "func": 3,
        "addr": 0,
        "count": 8,
        "match": int(match),
        "rtt_us": 5000 if kind is Kind.RESPONSE else -1,
        "anomaly": 0,
        "gap_bytes": 0,
    } | more


def poll(second: float, answered: bool = True, **more: Any) -> list[Row]:
    asked = record(second, True, Kind.REQUEST, **more)
    return [asked, record(second + 0.005, False, Kind.RESPONSE, **more)] if answered else [asked]


def polls(seconds: Iterable[float], answered: bool = True, **more: Any) -> list[Row]:
    return [row for second in seconds for row in poll(second, answered, **more)]


def told(rows: Sequence[Row], one: TimingDetector | None = None, jump_s: int = 1) -> Told:
    """What is told of these records, with TIME marks every ten seconds, each `jump_s` after the one before."""
    one = one or TimingDetector(Params(), Learning(value_s=60.0))
    rows = sorted(rows, key=lambda row: row["ts"])
    for seq, row in enumerate(rows):
        row["seq"] = seq
    batch = records(rows)
    tick = batch.ts // TICK_NS
    found: Told = []
    start = 0
    for at in [*(np.flatnonzero(np.diff(tick)) + 1).tolist(), len(rows)]:
        part = batch.slice(start, at)
        a = one.on_batch(part)
        found += [(int(part.seq[r]), UID[int(w)], int(s)) for r, w, s in zip(a.row, a.what, a.severity, strict=True)]
        if at < len(rows):
            late = one.on_mark(Mark(MarkKind.TIME, int(tick[at]) * TICK_NS, 0, jump_s))
            if late is not None:
                seqs = late.records.seq[late.alerts.row].tolist()
                whats = [UID[int(what)] for what in late.alerts.what]
                found += list(zip(seqs, whats, late.alerts.severity.tolist(), strict=True))
        start = at
    return found


def kinds(found: Told) -> list[tuple[str, int]]:
    return [(uid, severity) for _, uid, severity in found]


OTHERS = polls(range(0, 400, 2), device=8)
"""Somebody else is heard all the while."""


def test_a_client_that_stops_asking_is_missed_and_the_finding_points_to_its_last_answer() -> None:
    rows = [*OTHERS, *polls(range(0, 101))]
    found = told(rows)
    assert kinds(found) == [("timing.silent", Severity.MEDIUM)]
    (last,) = (row for row in rows if row["seq"] == found[0][0])
    assert (last["device"], last["kind"], last["ts"]) == (7, Kind.RESPONSE, START + round(100.005 * S))


def test_a_device_that_is_asked_and_does_not_answer() -> None:
    rows = [*OTHERS, *polls(range(0, 101)), *polls(range(101, 300), answered=False)]
    assert kinds(told(rows)) == [("timing.unanswered", Severity.MEDIUM)]


def test_one_poll_of_many_that_stops_is_told_quietly() -> None:
    rows = [*polls(range(0, 101)), *polls(range(0, 300), addr=40)]
    assert kinds(told(rows)) == [("timing.silent", Severity.LOW)]


def test_silence_is_told_again_only_after_an_answer() -> None:
    rows = [*OTHERS, *polls(range(0, 101)), *polls([200.0])]
    assert kinds(told(rows)) == [("timing.silent", Severity.MEDIUM)] * 2


@pytest.mark.parametrize("gaps", [(0.2, 3.0), (0.2, 1.0, 5.0)])
def test_what_comes_irregularly_is_not_missed(gaps: tuple[float, ...]) -> None:
    seconds = np.cumsum(np.resize(gaps, 60))
    assert told([*OTHERS, *polls(seconds.tolist())]) == []


def test_too_few_polls_say_nothing() -> None:
    assert told([*OTHERS, *polls(range(0, 75, 3))]) == []
    assert kinds(told([*OTHERS, *polls(range(0, 81, 3))])) == [("timing.silent", Severity.MEDIUM)]


def test_where_the_capture_point_was_blind_nobody_is_missed() -> None:
    rows = [*OTHERS, *polls(range(0, 101))]
    assert told(rows, jump_s=7) == []
    assert kinds(told(rows, jump_s=6)) == [("timing.silent", Severity.MEDIUM)]


@pytest.mark.parametrize("blind_s", [4, 9, 20, 28, 60])
def test_a_pause_of_the_capture_is_nobody_s_silence(blind_s: int) -> None:
    """Marks as a capture point gives them: none while it sees nothing."""
    one = TimingDetector(Params(), Learning(value_s=60.0))
    loop = Loop([one], Findings(types_of([one])))
    seconds = [*range(0, 103), *range(103 + blind_s, 400)]
    rows = [row for second in seconds for device in (7, 8) for row in poll(second + device / 100, device=device)]
    run([records(rows)], loop)
    assert loop.take().num_rows == 0


def test_where_records_were_lost_nobody_is_missed() -> None:
    one = TimingDetector(Params(), Learning(value_s=60.0))
    assert told([*polls(range(0, 101)), *polls(range(0, 101), device=8)], one) == []
    one.on_mark(Mark(MarkKind.GAP, START + 102 * S, count=9))
    assert told(polls(range(102, 200), device=8), one) == []


def test_a_client_of_another_capture_point_is_not_judged_by_this_ones_time() -> None:
    rows = [*OTHERS, *polls(range(0, 101), shard=3)]
    assert told(rows) == []


@pytest.mark.parametrize("blind", [{"gap_bytes": 9}, {"anomaly": int(Anomaly.GAP_BEFORE)}])
def test_a_gap_with_a_hole_in_it_is_not_learned(blind: Row) -> None:
    hole = [record(130.0, False, Kind.RESPONSE, **blind)]
    rows = [*polls(range(0, 201), device=8), *polls(range(0, 41)), *hole, *polls(range(131, 180))]
    assert kinds(told([*rows, *polls(range(201, 400, 2), device=9)])[:1]) == [("timing.silent", Severity.MEDIUM)]


def test_a_poll_that_comes_much_more_often() -> None:
    rows = polls(range(0, 101))
    assert told([*rows, *polls(np.arange(101, 110, 0.5).tolist())]) == []
    found = told([*rows, *polls(np.arange(101, 103, 0.1).tolist())])
    assert set(kinds(found)) == {("timing.faster", Severity.MEDIUM)}


def test_answers_that_take_much_longer_several_times_in_a_row() -> None:
    rows = polls(range(0, 101))
    late = [record(101.0 + n, False, Kind.RESPONSE, rtt_us=36_000) for n in range(4)]
    on_time = [record(101.0 + n, False, Kind.RESPONSE, rtt_us=34_000) for n in range(4)]
    assert told([*rows, *on_time]) == []
    assert told([*rows, *late[:2], *on_time[2:3], *late[3:]]) == []
    assert kinds(told([*rows, *late])) == [("timing.slower", Severity.LOW)] * 2


def test_one_who_was_told_to_hurry_can_still_be_told_to_be_late() -> None:
    rows = [*polls(range(0, 101)), *polls(np.arange(101, 103, 0.1).tolist()), *polls(range(103, 1100))]
    late = [record(1100.0 + n, False, Kind.RESPONSE, rtt_us=36_000) for n in range(4)]
    assert kinds(told([*rows, *late]))[-2:] == [("timing.slower", Severity.LOW)] * 2


def test_reports_are_missed_whatever_they_hold() -> None:
    reports = [record(n, False, Kind.UNSOLICITED, count=n % 7, addr=n % 3) for n in range(100)]
    assert kinds(told([*OTHERS, *reports])) == [("timing.silent", Severity.MEDIUM)]


def test_a_baseline_misses_what_it_knows_once_it_was_heard() -> None:
    teacher = TimingDetector(Params(), Learning(mode="learn"))
    assert told([*polls(range(0, 101)), *polls(range(0, 101), device=8)], teacher) == []
    heard = polls(range(1000, 1010))
    for rows, expected in ((heard, ["timing.silent"]), ([], [])):
        pupil = TimingDetector(Params(), Learning())
        pupil.adopt(teacher.learned())
        found = told([*rows, *polls(range(1000, 1100), device=8)], pupil)
        assert [uid for _, uid, _ in found] == expected


def traffic(rng: np.random.Generator) -> list[Row]:
    """Polls and reports of three devices; devices die, clients stop or hurry, answers linger, bytes are missing."""
    rows: list[Row] = []
    for device in (7, 8, 1031):
        for client in (1, 2):
            for addr in (0, 40):
                period = float(rng.choice([0.5, 1.0, 4.0]))
                jitter = float(rng.choice([0.0, 0.01, 0.4]))
                end, dead = float(rng.uniform(150, 500)), float(rng.uniform(150, 500))
                hurry = float(rng.uniform(150, 500))
                second = float(rng.uniform(0, 3))
                while second < end:
                    more: Row = {"client": client, "device": device, "addr": addr}
                    if rng.random() < 0.01:
                        more |= {"gap_bytes": 3} if rng.random() < 0.5 else {"anomaly": 1 << int(rng.integers(0, 45))}
                    more["rtt_us"] = int(rng.integers(1000, 6000)) * (20 if second > hurry else 1)
                    rows += poll(second, second < dead, **more)
                    second += period * (1 + jitter * float(rng.uniform(-1, 1))) / (5 if second > hurry else 1)
        rows += [record(float(n), False, Kind.UNSOLICITED, device=device) for n in range(int(rng.integers(50, 450)))]
    return rows


def of_the_twin(rows: list[Row]) -> Told:
    one = twin.Timing(60 * S)
    found: Told = []
    before = rows[0]["ts"] // TICK_NS
    for row in rows:
        if row["ts"] // TICK_NS > before:
            before = row["ts"] // TICK_NS
            found += one.found + one.tell_time(before * TICK_NS, 1)
            one.found = []
        one.take(row)
    return sorted(found + one.found)


@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_with_its_twin(seed: int) -> None:
    rows = traffic(np.random.default_rng(seed))
    found = told(rows)
    assert sorted(found) == of_the_twin(sorted(rows, key=lambda row: row["seq"]))


def test_the_twin_has_seen_all_of_it() -> None:
    seen = {uid for seed in range(6) for _, uid, _ in told(traffic(np.random.default_rng(seed)))}
    assert seen == set(UID.values())
