"""The second stage where several capture points begin and end: the arrival of messages still changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.base import Mark
from detectors.columns import Columns
from pipeline.config import Config
from pipeline.findings import fold
from pipeline.second.message import messages
from pipeline.setup import Setup
from pipeline.stage import RecordStage
from schemas.codes import Activity, MarkKind
from tests.pipeline.pane_streams import (
    Sent,
    Stretches,
    busy,
    by_bucket,
    deliver,
    findings,
    part_of,
    shuffled,
    stages,
    stretches,
)
from tests.pipeline.scripted import plain
from tests.pipeline.test_second import assert_same


@pytest.mark.parametrize("seed", range(4))
def test_a_capture_point_that_begins_before_or_after_another_ends(seed: int) -> None:
    """Each partition has the marks of two capture points in an order of its own; the arrival still changes nothing."""
    stream, random = busy(5), np.random.default_rng(seed)
    own = stretches(stream, (50,))
    end = (stream.slice(0, 0), ((0, Mark(MarkKind.END, int(stream.ts.max()))),))
    one = [*own, end]
    other = [(of_shard(batch, 1), tuple((at, replace(m, shard=1)) for at, m in marks)) for batch, marks in one]
    logs = []
    for source in range(3):
        overlap = int(random.integers(0, 5)) if source else 0
        both = [*one[: len(one) - overlap], *shuffled([one[len(one) - overlap :], other[:overlap]], seed)]
        logs.append(judged(part_of([*both, *other[overlap:]], source, 3), source, 3))
    found = []
    for way in range(4):
        (stage,) = stages(3, 1)
        deliver(stage, shuffled(logs, way) if way else [m for log in logs for m in log], 3, 1)
        assert stage.ended
        assert stage.counters()["waiting"] == stage.counters()["late"] == 0
        found.append((plain(fold(findings([stage]))), by_bucket([stage])))
    assert {row["activity_id"] for row in found[0][0]} == {Activity.CLOSE}
    for rows, state in found[1:]:
        assert rows == found[0][0]
        assert_same(state, found[0][1])


def judged(part: Stretches, source: int, sources: int) -> list[Sent]:
    """What the first stage of a partition sends, an epoch to every stretch."""
    stage, found = RecordStage(Setup(Config()), source, sources), []
    for at, (batch, marks) in enumerate(part):
        stage.judge(batch, marks)
        frozen = stage.freeze()
        assert frozen.sends is not None
        found += messages(frozen.sends, 1, source=source, start=at, next=at + 1, ended=frozen.ended)
    return found


def of_shard(batch: Columns, shard: int) -> Columns:
    """The records as another capture point would have them."""
    shards = np.full(len(batch), shard, batch.shard.dtype)
    shards.flags.writeable = False
    return replace(batch, shard=shards)
