"""What others offer for one value at a time, beside the detector `value` in the same run, on values of the same kind.

The nearest there is: River's detectors learn and judge value by value, as `value` does.  scikit-learn's are fitted
before, and score values one by one, or a thousand at once, which a stream would have to wait for.  Each of theirs
judges one series; `value` judges as many tags as there are, for more than one kind of deviation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.measure import repeat
from benchmarks.quality.faults import columns
from detectors.lifecycle import Learning
from detectors.value import Params, ValueDetector

Values = NDArray[np.float64]
TAGS, ROWS = 1000, 200
THEIRS = 10_000
"""Values that theirs judge in a round."""
AT_ONCE = 1000


def series(tags: int, rows: int) -> Values:
    """Noise about a level of its own, (tags, rows)."""
    rng = np.random.default_rng(1)
    return rng.uniform(0, 100, (tags, 1)) + rng.standard_normal((tags, rows))


def ours(benchmark: Any) -> float:
    """Values a second of `value`, live."""
    batch = columns(series(TAGS, ROWS))
    half = len(batch) // 2
    judged = batch.slice(half, len(batch))

    def learned() -> tuple[ValueDetector, Any]:
        detector = ValueDetector(Params(), Learning(value_s=float(ROWS // 2 - 2)))
        detector.on_batch(batch.slice(0, half))
        assert detector.counters()["live"] == TAGS
        return detector, judged

    timed = repeat(benchmark, lambda detector, rows: detector.on_batch(rows), rounds=5, setup=learned)
    return (len(batch) - half) / timed.cpu


def river(name: str) -> Callable[[Values], int]:
    """One of River's, learning and judging each value."""
    from river import anomaly, drift

    if name == "PageHinkley":
        watch = drift.PageHinkley()

        def follow(values: Values) -> int:
            for x in values.tolist():
                watch.update(x)
            return len(values)

        return follow
    trees, gauss = anomaly.HalfSpaceTrees(), anomaly.GaussianScorer()

    def judge(values: Values) -> int:
        for x in values.tolist():
            if name == "GaussianScorer":
                gauss.score_one(None, x)
                gauss.learn_one(None, x)
            else:
                trees.score_one({"x": x})
                trees.learn_one({"x": x})
        return len(values)

    return judge


def sklearn(name: str, at_once: int) -> Callable[[Values], int]:
    """One of scikit-learn's, fitted before."""
    from sklearn.covariance import EllipticEnvelope
    from sklearn.ensemble import IsolationForest

    model = (EllipticEnvelope if name == "EllipticEnvelope" else IsolationForest)(random_state=1)
    model.fit(series(1, 2000).T)

    def judge(values: Values) -> int:
        for at in range(0, len(values), at_once):
            model.predict(values[at : at + at_once].reshape(-1, 1))
        return len(values)

    return judge


PEERS: dict[str, tuple[Callable[[], Callable[[Values], int]], int]] = {
    "River GaussianScorer": (lambda: river("GaussianScorer"), THEIRS),
    "River PageHinkley": (lambda: river("PageHinkley"), THEIRS),
    "River HalfSpaceTrees": (lambda: river("HalfSpaceTrees"), THEIRS),
    "scikit-learn EllipticEnvelope, one by one": (lambda: sklearn("EllipticEnvelope", 1), THEIRS),
    "scikit-learn EllipticEnvelope, a thousand at once": (lambda: sklearn("EllipticEnvelope", AT_ONCE), THEIRS),
    "scikit-learn IsolationForest, one by one": (lambda: sklearn("IsolationForest", 1), 200),
    "scikit-learn IsolationForest, a thousand at once": (lambda: sklearn("IsolationForest", AT_ONCE), THEIRS),
}


class _Rounds:
    """Stands in for the fixture where two things are timed in one benchmark."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled

    def pedantic(self, work: Callable[..., Any], setup: Any, rounds: int, iterations: int) -> None:
        for _ in range(rounds * iterations):
            arguments, _ = setup() if setup else ((), {})
            work(*arguments)


@pytest.mark.parametrize("name", PEERS)
def test_value_against(benchmark: Any, name: str) -> None:
    """Values a second of one of theirs, and how many times as many `value` judges."""
    make, n = PEERS[name]
    values = series(1, n)[0]
    mine = ours(_Rounds(benchmark.enabled))
    timed = repeat(benchmark, lambda judge: judge(values), rounds=3, setup=lambda: (make(),))
    theirs = n / timed.cpu
    benchmark.extra_info.update(
        what=f"value against {name}",
        workload=f"{TAGS:,} tags; {n:,} values of theirs",
        value_values_per_s=round(mine),
        theirs_values_per_s=round(theirs),
        ratio=round(mine / theirs, 1),
    )
