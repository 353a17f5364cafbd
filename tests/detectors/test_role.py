"""Role: what it tells, what it leaves alone, and that it agrees with its twin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detectors.across import START_NS, Panes
from detectors.columns import records
from detectors.lifecycle import SECOND_NS, Learning
from detectors.role import Params, RoleDetector
from schemas.codes import Kind, Op, Severity
from tests.reference.across import Role

UID = {f.code: f.uid for f in RoleDetector.findings}


def told(panes: Panes) -> list[tuple[str, int]]:
    one = RoleDetector(Params(), Learning(start_ns=START_NS, site_s=300.0))
    found = []
    for batch in panes.batches():
        a = one.on_batch(batch)
        found += [(UID[int(what)], int(severity)) for what, severity in zip(a.what, a.severity, strict=True)]
    return found


def learned() -> Panes:
    """Client 1 of device 101, and 50, which does both; for five minutes."""
    panes = Panes(np.random.default_rng(2))
    for second in range(0, 310, 10):
        panes.asks(second, 1, 101)
        panes.answers(second, 1, 101)
        panes.asks(second, 50, 101)
        panes.answers(second, 1, 50)
    return panes


def test_a_device_that_asks_is_told_and_worse_when_it_writes() -> None:
    panes = learned()
    panes.asks(400, 101, 50)
    panes.asks(410, 101, 50, Op.WRITE)
    assert told(panes) == [("role.device_asks", Severity.HIGH), ("role.device_asks", Severity.CRITICAL)]


def test_a_write_is_told_after_the_asking_has_long_been_known() -> None:
    panes = learned()
    panes.asks(400, 101, 50)
    panes.asks(2000, 101, 50)
    panes.asks(2010, 101, 50, Op.WRITE)
    panes.asks(2020, 101, 50, Op.WRITE)
    assert told(panes) == [("role.device_asks", Severity.HIGH), ("role.device_asks", Severity.CRITICAL)]


def test_a_client_that_answers_is_told() -> None:
    panes = learned()
    panes.answers(400, 50, 1)
    assert told(panes) == [("role.client_answers", Severity.MEDIUM)]


def test_who_does_both_or_is_new_is_left_alone() -> None:
    panes = learned()
    for second in range(400, 500, 10):
        panes.asks(second, 50, 101, Op.WRITE)
        panes.answers(second, 1, 50)
        panes.asks(second, 7, 101)
        panes.answers(second, 7, 108)
        panes.asks(second, 108, 101)
    assert told(panes) == []


def test_a_client_that_is_asked_and_does_not_answer_has_no_other_role() -> None:
    panes = learned()
    panes.asks(400, 50, 1)
    assert told(panes) == []


def test_a_flood_of_strangers_takes_no_room() -> None:
    one = RoleDetector(Params(), Learning(start_ns=START_NS, site_s=300.0))
    for batch in learned().batches():
        one.on_batch(batch)
    held = one.counters()["keys"]
    flood = [
        {"ts": START_NS + 400 * SECOND_NS, "device": 5 + 1024 * n, "kind": kind, "op": Op.WRITE}
        for n in range(3000)
        for kind in (Kind.REQUEST, Kind.RESPONSE)
    ]
    assert len(one.on_batch(records(flood))) == 0
    assert one.counters()["keys"] == held == 4


def stream(seed: int, n: int = 2000) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    now, rows = 0.0, []
    for i in range(n):
        now += float(random.exponential(60)) - (float(random.uniform(0, 9000)) if random.random() < 0.003 else 0)
        rows.append(
            {
                "ts": START_NS + int(now * SECOND_NS),
                "seq": i,
                "device": int(random.integers(0, 40)) * 7,
                "kind": int(random.choice([Kind.REQUEST, Kind.RESPONSE, Kind.TIMEOUT])),
                "op": int(random.choice([Op.READ, Op.READ, Op.WRITE, 200])),
            }
        )
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_its_twin(seed: int) -> None:
    rows = stream(seed)
    p = Params()
    a = RoleDetector(p, Learning(start_ns=START_NS, site_s=1200.0)).on_batch(records(rows))
    found = [(int(a.row[i]), UID[int(a.what[i])], int(a.severity[i])) for i in range(len(a))]
    twin = Role(
        start=START_NS,
        site=1200 * SECOND_NS,
        window=int(p.window_s) * SECOND_NS,
        rearm=int(p.rearm_s) * SECOND_NS,
    )
    expected = [(i, uid, severity) for i, uid, severity, _ in twin.judge(rows)]
    assert {uid for _, uid, _ in expected} == set(UID.values())
    assert found == expected
