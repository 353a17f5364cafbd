"""Rate: what it tells, what it leaves alone, that it stays small, and that it agrees with its twin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from detectors.columns import Columns, records
from detectors.kernels.seen import STRANGERS
from detectors.lifecycle import Learning
from detectors.rate import Params, RateDetector
from schemas.codes import BUCKETS, Kind, Match, Op, Protocol, Severity, Space
from tests.reference import rate as twin

S = 1_000_000_000
START = 1_700_000_000 * S
UID = {f.code: f.uid for f in RateDetector.findings}
Row = dict[str, Any]
Told = list[tuple[str, int, float, float]]
"""(finding type, severity, number seen, most that is normal)"""


def host(number: int) -> bytes:
    return bytes(10) + b"\xff\xff\x0a\x00" + number.to_bytes(2, "big")


def request(second: float, client: int = 1, **more: Any) -> Row:
    return {
        "ts": START + round(second * S),
        "device": 7,
        "protocol": int(Protocol.MODBUS),
        "unit": 1,
        "src_ip": host(client),
        "dst_ip": host(1000),
        "client_is_src": 1,
        "kind": int(Kind.REQUEST),
        "op": int(Op.READ),
        "func": 3,
        "subfunc": 0,
        "space": int(Space.HOLDING_REGISTER),
        "addr": 0,
        "status": 0,
        "match": int(Match.PENDING),
    } | more


def refusal(second: float, client: int = 1, **more: Any) -> Row:
    answer = {"src_ip": host(1000), "dst_ip": host(client), "client_is_src": 0, "kind": int(Kind.RESPONSE)}
    return request(second, client) | answer | {"status": 2, "match": int(Match.MATCHED)} | more


def told(rows: Iterable[Row], one: RateDetector | None = None) -> Told:
    one = one or RateDetector(Params(), Learning(start_ns=START))
    a = one.on_batch(records(sorted(rows, key=lambda row: row["ts"])))
    return [(UID[int(a.what[i])], int(a.severity[i]), float(a.observed[i]), float(a.high[i])) for i in range(len(a))]


def polls(per_s: int = 1, client: int = 1) -> list[Row]:
    """Five minutes of the same requests."""
    return [request(second + n / per_s, client) for second in range(300) for n in range(per_s)]


def test_a_flood_is_told_once_a_second() -> None:
    flood = [request(310 + n / 60, client=2) for n in range(180)]
    (first, *more) = told([*polls(), *polls(client=2), *flood])
    assert first == ("rate.flood", Severity.HIGH, 51.0, 50.0)
    assert len(more) == 2
    assert told([*polls(), *(request(310 + n / 50) for n in range(500))]) == []


def test_a_busy_client_may_be_half_as_busy_again() -> None:
    """100 requests in the busiest second: 150 + 6 * 10 + 5 are normal."""
    assert told([*polls(100), *(request(310 + n / 216) for n in range(215))]) == []
    assert told([*polls(100), *(request(310 + n / 217) for n in range(216))])[0] == (
        "rate.flood",
        Severity.HIGH,
        216.0,
        215.0,
    )


def test_captures_that_overlap_are_not_one_flood() -> None:
    again = [request(second - 200 + n / 10) for second in range(310, 490) for n in range(10)]
    one = RateDetector(Params(), Learning(start_ns=START))
    assert len(one.on_batch(records([*polls(10), *again]))) == 0
    rows = one.learned()
    assert set(rows["value"][rows["parameter"] == "busiest second"]) == {10.0}


def test_a_flood_from_many_who_send_little_each() -> None:
    flood = [request(310 + n / 130, client=2 + n % 26, space=0) for n in range(120)]
    found = told([*polls(), *flood])
    assert [f for f in found if f[0] != "rate.function_scan"] == [("rate.device_flood", Severity.HIGH, 101.0, 100.0)]


@pytest.mark.parametrize(
    ("what", "most", "field"),
    [("rate.unit_scan", 4, "unit"), ("rate.function_scan", 6, "func"), ("rate.point_scan", 20, "addr")],
)
def test_a_search_is_told_within_the_minute_and_within_the_hour(what: str, most: int, field: str) -> None:
    def search(n: int, apart_s: float) -> list[Row]:
        more: Row = {} if field == "addr" else {"space": 0}
        return [request(310 + i * apart_s, **{field: 100 + i}, **more) for i in range(n)]

    # Linear counting errs by one or two here.
    assert told([*polls(), *search(most - 2, 1.0)]) == []
    (quick, *_) = told([*polls(), *search(most + 3, 1.0)])
    assert quick == (what, Severity.HIGH, most + 1.0, most)
    assert told([*polls(), *search(most + 3, 61.0)]) == []
    (slow, *_) = told([*polls(), *search(3 * most + 6, 3600 / (3 * most + 7))])
    assert slow[:2] == (what, Severity.HIGH)
    assert 3 * most < slow[2] <= 3 * most + 2


def test_the_same_question_again_is_no_search() -> None:
    assert told([*polls(), *(request(310 + n, unit=9) for n in range(500))]) == []


def test_known_parts_in_a_new_order_are_no_search() -> None:
    known = [request(n, unit=n % 10, addr=7 * (n // 10 % 25)) for n in range(250)]
    mixed = [request(310 + n, unit=(n + 3) % 10, addr=7 * (n // 10 % 25), func=4) for n in range(250)]
    assert {uid for uid, *_ in told([*known, *mixed])} <= {"rate.point_scan"}
    assert told([*known, *(request(310 + n, unit=n % 10, addr=7 * (n // 10 % 25), func=4) for n in range(250))]) == []


def test_refusals_are_told_when_they_are_many_and_as_they_double() -> None:
    burst = [refusal(360 + n) for n in range(20)]
    assert [(uid, seen) for uid, _, seen, _ in told([*polls(), *burst])] == [
        ("rate.errors", seen) for seen in (11.0, 12.0, 14.0, 18.0)
    ]
    assert told([*polls(), *(refusal(n) for n in range(0, 300, 3)), *burst]) == []
    assert told([*polls(), *(refusal(360 + n, match=int(Match.UNMATCHED)) for n in range(20))]) == []


def test_a_baseline_carries_all_of_it() -> None:
    rows = [*polls(100), *(refusal(n) for n in range(0, 300, 3)), *(request(n, unit=2, addr=4) for n in range(300))]
    after = [
        *(request(310 + n / 250) for n in range(240)),
        *(request(400 + n, addr=n) for n in range(30)),
        *(refusal(480 + n / 2) for n in range(100)),
        *(request(600 + n, unit=n, space=0) for n in range(20)),
    ]
    teacher = RateDetector(Params(), Learning(mode="learn"))
    assert told(rows, teacher) == []
    pupil = RateDetector(Params(), Learning())
    pupil.adopt(teacher.learned())
    expected = told([*rows, *after])
    assert told(after, pupil) == expected
    assert {uid for uid, *_ in expected} == {"rate.flood", "rate.point_scan", "rate.unit_scan", "rate.errors"} | (
        {"rate.device_flood"} & {uid for uid, *_ in expected}
    )


def test_addresses_without_end_are_forgotten_and_counted() -> None:
    """A flood of 300,000 spoofed addresses leaves the tables at their bounds, and what was learned in them."""
    n = 300_000
    one = RateDetector(Params(max_keys=2000), Learning(start_ns=START))
    told(polls(), one)
    rng = np.random.default_rng(1)
    like = records([request(310.0)] * 1000)
    for _ in range(n // 1000):
        source = np.ascontiguousarray(rng.integers(0, 1 << 62, (1000, 2)).astype(np.uint64))
        fields: dict[str, Any] = {name: getattr(like, name) for name in like.__dataclass_fields__}
        one.on_batch(Columns(**(fields | {"src_ip": source})))
    counters = one.counters()
    assert STRANGERS <= counters["keys"] <= STRANGERS + 8
    assert counters["searches"] == Params().max_searches
    assert counters["forgotten"] > n
    assert told([request(330.0 + k) for k in range(10)], one) == []


def traffic(rng: np.random.Generator, n: int) -> list[Row]:
    """Requests and refusals of four clients at random; in the second half they hurry, search and are refused."""
    rows: list[Row] = []
    second = 0.0
    for i in range(n):
        late = i > n // 2
        second += float(rng.exponential(600 / n)) * (0.05 if late and i % 1000 < 400 else 1.0)
        more: Row = {"device": int(rng.choice([7, 7 + BUCKETS, 8])), "unit": int(rng.integers(0, 20 if late else 3))}
        more |= {"func": int(rng.integers(1, 20 if late else 4)), "addr": int(rng.integers(0, 60 if late else 5))}
        more["space"] = int(rng.integers(0, 3))
        client = int(rng.integers(1, 5))
        if rng.random() < (0.3 if late else 0.05):
            rows.append(refusal(second, client, **more))
        else:
            rows.append(request(second, client, **more))
    flood = [request(second + n / 300, int(rng.integers(1, 5)), func=40 + n % 30) for n in range(900)]
    return [*rows, *flood]


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_its_twin(seed: int) -> None:
    rows = traffic(np.random.default_rng(seed), 20_000)
    expected = [(i, uid, int(s), float(seen)) for i, uid, s, seen in twin.Rate(START, 300 * S).judge(rows)]
    a = RateDetector(Params(), Learning(start_ns=START)).on_batch(records(rows))
    columns = (a.row.tolist(), a.what.tolist(), a.severity.tolist(), a.observed.tolist())
    assert [(row, UID[what], s, seen) for row, what, s, seen in zip(*columns, strict=True)] == expected
    assert {uid for _, uid, *_ in expected} == set(UID.values())


def test_limits_that_cannot_be_counted_are_refused() -> None:
    with pytest.raises(ValueError, match="hour times units"):
        Params(points=40)
