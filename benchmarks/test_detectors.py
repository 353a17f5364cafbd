"""Detectors on records in memory, one core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks.conftest import Sizes
from benchmarks.measure import rates, repeat
from benchmarks.workloads import Shelf, Workload, batches
from detectors.base import Detector
from detectors.columns import Columns
from detectors.lifecycle import Learning
from detectors.registry import DETECTORS
from pipeline import baseline, detect

Held = list[Columns]


@pytest.fixture(scope="module")
def held(shelf: Shelf, sizes: Sizes) -> Held:
    """Records of polls, decoded beforehand."""
    return list(batches(shelf.capture(Workload(sizes.held)).path))


def _judge(detectors: Sequence[Detector], held: Held) -> int:
    return sum(len(detector.on_batch(batch)) for batch in held for detector in detectors)


@pytest.mark.parametrize("phase", ["live", "learning"])
@pytest.mark.parametrize("names", [(name,) for name in DETECTORS] + [tuple(DETECTORS)], ids="+".join)
def test_detectors(benchmark: Any, held: Held, names: tuple[str, ...], phase: str) -> None:
    """Live: everything is in the baseline, and judged.  Learning: everything is new, then normal."""
    learning = Learning(mode="learn")
    taught = detect.build(names, learning)
    _judge(taught, held)
    known = baseline.collect(taught)

    def fresh() -> tuple[list[Detector], Held]:
        detectors = detect.build(names, Learning() if phase == "live" else learning)
        if phase == "live":
            assert baseline.adopt(known, detectors) == []
        return detectors, held

    assert _judge(*fresh()) == 0, "the capture is normal to what it taught"
    timed = repeat(benchmark, _judge, rounds=7, setup=fresh)
    amounts = {"records": sum(map(len, held)), "values": sum(int(batch.offsets[-1]) for batch in held)}
    what = f"detectors, {phase}: {' + '.join(names)}"
    benchmark.extra_info.update(what=what, workload=f"{amounts['records']:,} records", **rates(timed, **amounts))
