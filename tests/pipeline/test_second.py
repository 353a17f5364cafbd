"""The second stage: the same findings and state for any number of sources and targets and any order of arrival."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from detectors.base import Mark, State
from detectors.columns import Columns
from detectors.kernels.scan import TYPE_SWEEP
from pipeline.findings import fold
from pipeline.findings.taught import order_of
from pipeline.findings.window import Identity
from pipeline.marks import ORDERS_SHARD
from pipeline.panes import Collector, Reached, rows_of
from pipeline.panes import rows as panes
from pipeline.second import Admission, SecondStage
from pipeline.second.local import Across
from pipeline.second.message import MOST_ROWS, decode, messages, split
from schemas.codes import BUCKETS, MarkKind
from schemas.pane import PANE_NS
from tests.pipeline.pane_streams import (
    Sent,
    busy,
    by_bucket,
    deliver,
    findings,
    id_of,
    judging,
    many,
    part_of,
    sent,
    shuffled,
    stages,
    stretches,
)
from tests.pipeline.scripted import SECOND, T0, plain


def assert_same(one: dict[int, State], other: dict[int, State]) -> None:
    assert one.keys() == other.keys()
    for bucket, state in one.items():
        assert state.keys() == other[bucket].keys()
        for name, array in state.items():
            np.testing.assert_array_equal(array, other[bucket][name], err_msg=f"{bucket} {name}")


def logs_of(stream: Columns, sources: int, targets: int, size: int = 50) -> list[list[list[Sent]]]:
    """What each source sends to each target: by target, by source."""
    whole = stretches(stream, (size,))
    sends = [sent(part_of(whole, p, sources), p, targets) for p in range(sources)]
    return [[[m for m in log if m[0] == target] for log in sends] for target in range(targets)]


@pytest.fixture(scope="module")
def stream() -> Columns:
    return busy(5)


@pytest.fixture(scope="module")
def reference(stream: Columns) -> tuple[list[dict[str, Any]], dict[int, State]]:
    """Findings and state of one source, one target, panes handed over as they close."""
    (stage,) = stages(1, 1)
    collector = Collector()
    for batch, marks in stretches(stream, (64,)):
        stage.add(0, rows_of(collector.on_stretch(batch, marks)), collector.reached)
    stage.add(0, rows_of(collector.finish()), collector.reached, ended=True)
    return plain(fold(findings([stage]))), by_bucket([stage])


def test_the_stream_has_something_of_everything(reference: tuple[list[dict[str, Any]], dict[int, State]]) -> None:
    uids = {row["analytic_uid"] for row in reference[0]}
    assert uids >= {"scan.sweep", "scan.writes", "role.device_asks", "role.client_answers"}
    assert len(reference[1]) > 8


@pytest.mark.parametrize("targets", [1, 2, 3])
@pytest.mark.parametrize("sources", [1, 2, 4])
def test_any_spread_and_any_order_of_arrival_find_the_same(
    stream: Columns, reference: tuple[list[dict[str, Any]], dict[int, State]], sources: int, targets: int
) -> None:
    logs = logs_of(stream, sources, targets)
    for seed in range(3):
        made = stages(sources, targets)
        for target, stage in enumerate(made):
            deliver(stage, shuffled(logs[target], seed), sources, targets)
        assert all(stage.ended for stage in made)
        assert plain(fold(findings(made))) == reference[0]
        assert_same(by_bucket(made), reference[1])


def test_one_source_after_the_other_finds_the_same(
    stream: Columns, reference: tuple[list[dict[str, Any]], dict[int, State]]
) -> None:
    """A partition that is an hour behind changes nothing but when."""
    (logs,) = logs_of(stream, 4, 1)
    (stage,) = stages(4, 1)
    deliver(stage, [m for log in reversed(logs) for m in log], 4, 1)
    assert plain(fold(findings([stage]))) == reference[0]


ORDERED_S = 1035
"""In the middle of a sweep."""


def taught_logs(stream: Columns, sources: int, targets: int, subject: Identity) -> list[list[list[Sent]]]:
    """As `logs_of`, with an order about `subject` where the records of its device go."""
    whole, codes = stretches(stream, (50,)), {subject[1]}
    first = next(i for i, (batch, _) in enumerate(whole) if batch.ts[0] > T0 + ORDERED_S * SECOND)
    order = Mark(MarkKind.CONTROL, T0, ORDERS_SHARD, text=order_of(subject, 100.0))
    end = Mark(MarkKind.END, T0, ORDERS_SHARD)
    sends = []
    for p in range(sources):
        part = part_of(whole, p, sources)
        if subject[0] % BUCKETS % sources == p:
            batch, marks = part[first]
            part[first] = (batch, ((0, order), (0, end), *marks))
        sends.append(sent(part, p, targets, collector=Collector(taught=codes)))
    return [[[m for m in log if m[0] == target] for log in sends] for target in range(targets)]


def test_an_order_counts_from_its_place_on_wherever_and_whenever_it_comes(
    stream: Columns, reference: tuple[list[dict[str, Any]], dict[int, State]]
) -> None:
    """Restored at every message; its END is no end of the input, and begins no era that others would not have."""
    sweeps = [row for row in reference[0] if row["analytic_uid"] == "scan.sweep" and row["device"] == id_of(1)]
    subject = (id_of(1), TYPE_SWEEP, sweeps[0]["subject_key"])
    found = []
    for sources, targets, seed in ((1, 1, 0), (2, 1, 1), (4, 3, 2), (3, 2, 3)):
        logs, made = taught_logs(stream, sources, targets, subject), stages(sources, targets)
        tables = []
        for target, stage in enumerate(made):
            for message in shuffled(logs[target], seed):
                deliver(stage, [message], sources, targets)
                tables.append(stage.take())
                (again,) = stages(sources, 1)
                again.restore(stage.snapshot(np.arange(BUCKETS)))
                stage = made[target] = again
            assert (stage.ended, stage.counters()["waiting"]) == (True, 0)
        found.append(plain(fold(pa.concat_tables(tables))))
    assert found.count(found[0]) == len(found)
    counts = {row["finding_info_uid"]: row["count"] for row in found[0]}
    fewer = [row for row in reference[0] if counts.get(row["finding_info_uid"]) != row["count"]]
    assert [row["finding_info_uid"] for row in fewer] == [sweeps[0]["finding_info_uid"]]
    assert 0 < counts[sweeps[0]["finding_info_uid"]] < sweeps[0]["count"]


def test_state_does_not_depend_on_the_order_of_arrival_while_some_are_behind(stream: Columns) -> None:
    (logs,) = logs_of(stream, 4, 1)
    cut = [log[: 2 + 7 * source] for source, log in enumerate(logs)]
    found = []
    for seed in range(3):
        (stage,) = stages(4, 1)
        deliver(stage, shuffled(cut, seed), 4, 1)
        assert stage.counters()["waiting"] > 0
        found.append(stage.snapshot(np.arange(BUCKETS)))
    for other in found[1:]:
        assert found[0].keys() == other.keys()
        for name, array in found[0].items():
            np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_restored_anywhere_it_goes_on_alike(
    stream: Columns, reference: tuple[list[dict[str, Any]], dict[int, State]]
) -> None:
    (logs,) = logs_of(stream, 2, 1)
    (running,) = stages(2, 1)
    tables = []
    for i, message in enumerate(shuffled(logs, 1)):
        deliver(running, [message], 2, 1)
        if i % 5:
            continue
        tables.append(running.take())
        state = running.snapshot(np.arange(BUCKETS))
        (again,) = stages(2, 1)
        for half in (0, 1):
            again.restore(running.snapshot(np.arange(BUCKETS)[half::2]))
        held = again.snapshot(np.arange(BUCKETS))
        assert held.keys() == state.keys()
        for name, array in state.items():
            np.testing.assert_array_equal(array, held[name], err_msg=name)
        running = again
    tables.append(running.take())
    assert plain(fold(pa.concat_tables(tables))) == reference[0]
    assert_same(by_bucket([running]), reference[1])


def test_state_of_another_number_of_sources_is_refused() -> None:
    (stage,) = stages(2, 1)
    with pytest.raises(ValueError, match="state of 2 sources, here are 3"):
        stages(3, 1)[0].restore(stage.snapshot(np.arange(BUCKETS)))


def test_messages_that_come_again_are_dropped_and_missing_ones_are_an_alarm(
    stream: Columns, reference: tuple[list[dict[str, Any]], dict[int, State]]
) -> None:
    (log,) = logs_of(stream, 1, 1)[0]
    (stage,) = stages(1, 1)
    for i, message in enumerate(log):
        deliver(stage, [message, *log[max(0, i - 3) : i + 1]], 1, 1)
    assert plain(fold(findings([stage]))) == reference[0]
    assert stage.counters()["duplicates"] == sum(min(i, 3) + 1 for i in range(len(log)))
    assert stage.counters()["missing"] == 0
    (stage,) = stages(1, 1)
    deliver(stage, [*log[:4], *log[6:]], 1, 1)
    assert stage.counters()["missing"] == 1


def test_an_epoch_of_several_messages_is_past_with_its_last_one(stream: Columns) -> None:
    rows = panes.join([rows_of(Collector().finish()), many(2 * MOST_ROWS + 5)])
    table = panes.to_table(rows, Reached(0, T0 + 10 * PANE_NS, T0))
    made = messages(table, 1, source=0, start=4, next=9)
    assert [decode(h, v, sources=1, partition=0, partitions=1).last for _, h, v in made] == [False, False, True]
    assert all(len(value) <= 900_000 for _, _, value in made)
    assert messages(table, 1, source=0, start=4, next=9) == made
    (stage,) = stages(1, 1)
    deliver(stage, made[:2], 1, 1)
    assert stage.counters()["waiting"] == 2 * MOST_ROWS
    deliver(stage, made[2:], 1, 1)
    assert stage.counters()["waiting"] == 0
    assert stage.admit(decode(*made[0][1:], sources=1, partition=0, partitions=1)) is Admission.DUPLICATE


@pytest.mark.parametrize("targets", [1, 2, 3, 7])
def test_every_target_gets_a_message_and_only_its_own_rows(targets: int) -> None:
    table = panes.to_table(many(40), Reached(0, T0 + PANE_NS, T0))
    parts = split(table, targets)
    assert len(parts) == targets
    assert all(len(part) == 1 for part in parts)
    assert sum(panes.count(part[0]) for part in parts) == 40
    empty = panes.to_table(panes.empty(), Reached(0, T0, T0))
    assert [target for target, _, _ in messages(empty, targets, source=0, start=0, next=1)] == list(range(targets))


def test_a_flood_of_rows_that_wait_is_bounded(stream: Columns) -> None:
    """One source never comes: the oldest panes are judged without it, and it is said."""
    (logs,) = logs_of(stream, 2, 1)
    (stage,) = stages(2, 1, max_waiting=200)
    (free,) = stages(2, 1)
    most = 0
    for message in logs[0]:
        deliver(stage, [message], 2, 1)
        deliver(free, [message], 2, 1)
        most = max(most, stage.counters()["waiting"])
    assert most <= 200 < free.counters()["waiting"]
    assert stage.counters()["forced"] > 0
    assert stage.counters()["late"] == 0
    deliver(stage, logs[1], 2, 1)
    assert stage.counters()["late"] > 0
    assert stage.counters()["waiting"] == 0


def test_a_run_over_captures_finds_the_same(
    stream: Columns, reference: tuple[list[dict[str, Any]], dict[int, State]]
) -> None:
    class Keeping:
        def __init__(self) -> None:
            self.tables: list[pa.Table] = []

        def on_batch(self, batch: Columns) -> None:
            raise AssertionError("records are not handed on")

        def on_findings(self, rows: pa.Table) -> None:
            self.tables.append(rows)

    kept = Keeping()
    start = int(stream.ts[0])
    across = Across(Collector(start_ns=start), SecondStage(1, judging), [kept])
    for at in range(0, len(stream), 100):
        across.on_batch(stream.slice(at, min(at + 100, len(stream))))
    across.finish()
    assert plain(fold(pa.concat_tables(kept.tables))) == reference[0]
    assert ("detect", "keys", "scan") in {row[:3] for row in across.health()}
