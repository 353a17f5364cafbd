"""Scan: what it tells, what it leaves alone, and that it agrees with its twin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from detectors.across import START_NS, Panes
from detectors.columns import Columns, records
from detectors.lifecycle import SECOND_NS, Learning
from detectors.scan import Params, ScanDetector
from schemas.codes import Kind, Op, Severity
from schemas.record import RECORD_COLUMNS
from tests.reference.across import Scan

UID = {f.code: f.uid for f in ScanDetector.findings}
Told = list[tuple[str, int, float, float]]
"""(finding type, severity, number seen, most that is normal)"""


def detector(**params: Any) -> ScanDetector:
    return ScanDetector(Params(**params), Learning(start_ns=START_NS, site_s=300.0))


def told(panes: Panes, one: ScanDetector | None = None) -> Told:
    one = one or detector()
    found: Told = []
    for batch in panes.batches():
        a = one.on_batch(batch)
        found += [
            (UID[int(a.what[i])], int(a.severity[i]), float(a.observed[i]), float(a.high[i])) for i in range(len(a))
        ]
    return found


def learned(*pairs: tuple[int, int]) -> Panes:
    """Five minutes in which these pairs of client and device are met."""
    panes = Panes(np.random.default_rng(1))
    for client, device in (*pairs, (250, 251)):
        panes.asks(1, client, device)
    panes.asks(299, 250, 251)
    return panes


def asks(panes: Panes, times: Iterable[float], client: int, op: Op = Op.READ, first: int = 100) -> None:
    for n, second in enumerate(times):
        panes.asks(second, client, first + n, op)


def test_one_device_too_many_within_ten_minutes_is_a_sweep() -> None:
    panes = learned()
    asks(panes, (400, 500, 600), 1)
    assert told(panes) == []
    panes.asks(999, 1, 103)
    assert told(panes) == [("scan.sweep", Severity.HIGH, 4.0, 3.0)]


def test_devices_that_were_reached_longer_ago_do_not_count() -> None:
    panes = learned()
    asks(panes, (400, 500, 600, 1000, 1200), 1)
    assert told(panes) == []


def test_what_was_learned_does_not_count_and_allows_some_more() -> None:
    panes = learned(*((1, 10 + n) for n in range(20)))
    asks(panes, range(400, 405), 1)
    for second in range(410, 500):
        panes.asks(second, 1, 10 + second % 20)
    assert told(panes) == []
    panes.asks(500, 1, 105)
    assert told(panes) == [("scan.sweep", Severity.HIGH, 6.0, 5.0)]


def test_the_same_devices_again_and_again_are_told_once() -> None:
    panes = learned()
    for second in range(400, 8000, 10):
        asks(panes, [second] * 6, 1)
    assert [t[0] for t in told(panes)] == ["scan.sweep"] * 3


def test_writing_to_many_is_worse() -> None:
    panes = learned()
    asks(panes, (400, 410, 420), 1, Op.WRITE)
    assert told(panes) == [("scan.writes", Severity.CRITICAL, 3.0, 2.0)]
    panes = learned()
    asks(panes, (400, 410), 1, Op.WRITE)
    asks(panes, (420, 430), 1, first=102)
    assert [t[0] for t in told(panes)] == ["scan.sweep"]


def test_a_read_before_does_not_hide_a_write() -> None:
    panes = learned()
    asks(panes, (400, 410, 420), 1)
    asks(panes, (500, 510, 520), 1, Op.WRITE)
    assert told(panes) == [("scan.writes", Severity.CRITICAL, 3.0, 2.0)]


@pytest.mark.parametrize(("step", "uid", "limit"), [(300, "scan.hour", 8), (3000, "scan.day", 20)])
def test_slow_scans_are_told(step: int, uid: str, limit: int) -> None:
    panes = learned()
    asks(panes, (400 + step * n for n in range(limit)), 1)
    assert told(panes) == []
    panes.asks(400 + step * limit, 1, 100 + limit)
    ((found, _, seen, high),) = told(panes)
    assert (found, seen, high) == (uid, limit + 1, limit)


def test_many_clients_of_one_device_are_no_scan() -> None:
    panes = learned()
    for n in range(90):
        panes.asks(400 + n, 1 + n, 200)
    assert told(panes) == []


def test_answers_alone_show_that_somebody_was_reached() -> None:
    panes = learned()
    asks(panes, (400, 410, 420, 430), 1)
    columns = panes.batches(1000)[0]
    seen = np.where(columns.ts > START_NS + 390 * SECOND_NS, np.uint8(Kind.UNSOLICITED), columns.kind)
    for kind, found in ((Kind.UNSOLICITED, 1), (Kind.TIMEOUT, 0), (Kind.RESPONSE, 0)):
        one = detector()
        kinds = np.where(seen == Kind.UNSOLICITED, np.uint8(kind), columns.kind)
        assert len(one.on_batch(with_column(columns, kind=kinds))) == found, kind


def with_column(batch: Columns, **columns: Any) -> Columns:
    given = {c.name: getattr(batch, c.name) for c in RECORD_COLUMNS} | columns
    return Columns(**given, offsets=batch.offsets, points=batch.points)


def test_a_sweep_of_more_than_a_set_holds_is_told_and_bounded() -> None:
    panes = learned()
    asks(panes, (400 + n / 10 for n in range(150)), 1)
    one = detector()
    found = told(panes, one)
    assert max(seen for _, _, seen, _ in found) == 64
    assert one.counters()["clients"] == 1


def test_no_limit_grows_beyond_what_a_set_can_show() -> None:
    panes = learned()
    asks(panes, (400 + n / 10 for n in range(61)), 1)
    assert [t[1:] for t in told(panes, detector(sweep_devices=1000)) if t[0] == "scan.sweep"] == [
        (Severity.HIGH, 61.0, 60.0)
    ]


def test_a_flood_of_clients_takes_no_more_room_than_it_may() -> None:
    rows = [
        {"ts": START_NS + 400 * SECOND_NS, "device": 7 + 1024 * (n // 3), "flow": n, "kind": Kind.REQUEST, "seq": n}
        for n in range(9000)
    ]
    one = detector(max_clients=8)
    size = one.counters()["state_bytes"]
    assert len(one.on_batch(records(rows))) == 0
    assert one.counters()["clients"] == 8
    assert one.counters()["forgotten"] == 3000 - 8
    assert one.counters()["state_bytes"] == size


def stream(seed: int, n: int = 3000) -> list[dict[str, Any]]:
    """Clients that reach devices at any pace, now and then in the past, with anything."""
    random = np.random.default_rng(seed)
    now, rows = 0.0, []
    for i in range(n):
        now += float(random.exponential(20)) * (30 if random.random() < 0.01 else 1)
        now -= float(random.uniform(0, 9000)) if random.random() < 0.003 else 0
        client = int(random.integers(1, 7))
        rows.append(
            {
                "ts": START_NS + int(now * SECOND_NS),
                "seq": i,
                "device": client,
                "flow": int(random.integers(0, 6 + 18 * client)),
                "kind": int(random.choice([Kind.REQUEST, Kind.REQUEST, Kind.UNSOLICITED, Kind.TIMEOUT, Kind.RESPONSE])),
                "op": int(random.choice([Op.READ, Op.WRITE, Op.STOP, 200])),
            }
        )
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_its_twin(seed: int) -> None:
    rows = stream(seed)
    p = Params(sweep_devices=6, write_devices=4, hour_devices=20, day_devices=40, share=0.5)
    twin = Scan(
        limits={"sweep": 6, "writes": 4, "hour": 20, "day": 40},
        share=0.5,
        start=START_NS,
        site=600 * SECOND_NS,
        window=int(p.window_s) * SECOND_NS,
        rearm=int(p.rearm_s) * SECOND_NS,
    )
    a = ScanDetector(p, Learning(start_ns=START_NS, site_s=600.0)).on_batch(records(rows))
    found = [(int(a.row[i]), UID[int(a.what[i])], int(a.severity[i]), float(a.observed[i])) for i in range(len(a))]
    expected = twin.judge(rows)
    assert len({uid for _, uid, *_ in expected}) == 4
    assert found == expected
