"""The stage of a partition: stopped and restored anywhere it goes on alike, and from what an older one left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from detectors import timing
from detectors.columns import Columns, from_batch
from pipeline.config import Config
from pipeline.findings import fold
from pipeline.marks import Marks, Seconds
from pipeline.setup import Setup
from pipeline.stage import RecordStage
from schemas.codes import MarkKind
from tests.pipeline.scripted import plain

Stretches = list[tuple[Columns, Marks]]


@pytest.fixture(scope="module")
def stretches() -> Stretches:
    """The example of a detector that waits for time, cut into messages, with the marks of a capture point."""
    parts = [columns.to_batch() for columns in timing.example(np.random.default_rng(3))]
    whole = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
    seconds = Seconds()
    batches = [from_batch(whole.slice(at, 40)) for at in range(0, whole.num_rows, 40)]
    return [(batch, seconds.of(batch.ts)) for batch in batches]


def stage(state: dict[str, Any] | None = None) -> RecordStage:
    made = RecordStage(Setup(Config()), 0, 1)
    made.restore(state)
    return made


def judged(stretches: Stretches, restarts: int = 0) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Findings, folded, and the last state; the stage is stopped and restored after every `restarts` stretches."""
    one, tables, state = stage(), [], {}
    for number, (batch, marks) in enumerate(stretches, 1):
        one.judge(batch, marks)
        if (restarts and number % restarts == 0) or number == len(stretches):
            frozen = one.freeze()
            tables.append(frozen.findings)
            state = dict(frozen.state)
            one = stage(state)
    return plain(fold(pa.concat_tables(tables))), state


@pytest.mark.parametrize("restarts", [1, 7])
def test_stopped_and_restored_it_finds_the_same_and_comes_to_the_same_state(
    stretches: Stretches, restarts: int
) -> None:
    found, state = judged(stretches)
    assert {row["analytic_uid"] for row in found} >= {"timing.silent", "timing.unanswered"}
    again, other = judged(stretches, restarts)
    assert again == found
    assert state.keys() == other.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_it_remembers_when_detectors_heard_of_each_capture_point_s_time(stretches: Stretches) -> None:
    _, state = judged(stretches)
    last = max(mark.ts_ns for _, marks in stretches for _, mark in marks if mark.kind is MarkKind.TIME)
    assert state["stage/ticks"].tolist() == [[0, last // 10_000_000_000]]


def test_a_detector_that_is_newer_than_the_state_begins_with_it(stretches: Stretches) -> None:
    half = len(stretches) // 2
    one = stage()
    for batch, marks in stretches[:half]:
        one.judge(batch, marks)
    held = dict(one.freeze().state)
    older = {name: a for name, a in held.items() if not name.startswith("detector.timing/") and name != "stage/ticks"}
    later = stage(older)
    for batch, marks in stretches[half:]:
        later.judge(batch, marks)
    state = later.freeze().state
    assert len(state["detector.timing/channels/keys"]) > 0
    assert state["detector.peer/keys"].tolist() != []
