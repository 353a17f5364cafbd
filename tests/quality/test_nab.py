"""The score of the Numenta Anomaly Benchmark, and floors of `benchmarks.quality.nab`."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from benchmarks.quality import nab
from detectors.base import Alerts

DATA = Path(os.environ.get("FIELDTAP_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "detection"
needs_data = pytest.mark.skipif(not (DATA / "nab").is_dir(), reason=f"no series in {DATA} (set FIELDTAP_DATA)")
PUBLISHED = {
    "ambient_temperature_system_failure": (-2.0, 0, 0),
    "cpu_utilization_asg_misconfiguration": (-1.11, 0, 1),
    "ec2_request_latency_system_failure": (2.02150685678, 8, 0),
    "machine_temperature_system_failure": (-4.0, 0, 0),
    "nyc_taxi": (-5.0, 0, 0),
    "rogue_agent_key_hold": (-2.44, 0, 4),
    "rogue_agent_key_updown": (-1.3964908955, 1, 8),
}
"""Score, true and false rows of the Windowed Gaussian, standard profile: results/windowedGaussian of the benchmark."""
THRESHOLD = 1 - 1e-13
"""What is published as 1.0."""


def series(n: int, *windows: tuple[int, int]) -> nab.Series:
    return nab.Series(np.arange(n), np.zeros(n), windows)


def test_telling_nothing_is_0_and_the_first_row_of_each_window_100() -> None:
    given, score = series(1000, (300, 399), (700, 749)), np.zeros(1000)
    score[[300, 700]] = 1.0
    for profile in nab.PROFILES:
        swept = nab.sweep([given], [score], profile)
        assert swept.best == pytest.approx(100)
        assert nab.sweep([given], [np.zeros(1000)], profile).best == 0
    score[300] = 0.0
    assert nab.sweep([given], [score], "standard").best == pytest.approx(50)
    assert nab.sweep([given], [score], "low FN").best == pytest.approx(50)


def test_early_is_worth_more_and_false_rows_cost_by_their_distance_and_profile() -> None:
    given = series(1000, (300, 399))
    worth, owner = nab.weights(1000, given.windows)
    assert worth[300] == pytest.approx(1)
    assert np.all(np.diff(worth[300:600]) < 0)
    assert worth[350] == pytest.approx((2 / (1 + np.exp(-2.5)) - 1) / (2 / (1 + np.exp(-5)) - 1))
    assert -0.06 < worth[400] < 0
    assert np.all(worth[:300] == -1)
    assert np.all(worth[700:] == -1)
    assert set(np.flatnonzero(owner == 0)) == set(range(300, 400))

    def told(profile: str, *rows: int) -> float:
        score = np.zeros(1000)
        score[[300, *rows]] = 1.0
        return float(nab.sweep([given], [score], profile).score[0])

    assert told("standard", 200) == pytest.approx(100 * (2 - 0.11) / 2)
    assert told("low FP", 200) == pytest.approx(100 * (2 - 0.22) / 2)
    assert told("low FN", 200) == pytest.approx(100 * (3 - 0.11) / 3)
    assert told("standard", 350, 399) == pytest.approx(100)
    assert told("standard", 10, 149) == pytest.approx(100), "the first 15 % are not scored"


def test_the_score_of_a_row_is_its_evidence_farthest_outside() -> None:
    row, nan = np.array([1, 1, 2, 3, 4]), np.nan
    low, high = np.array([0, 0, -10, 5, nan]), np.array([10, 10, 10, 5, nan])
    found = Alerts.of(row, 1, row, low=low, high=high, observed=np.array([12, -5, 3, 6, 7]))
    score = nab.outside(found, 6)
    assert score[[0, 1, 2, 4, 5]].tolist() == [-1, 0.5, 0, 0, -1]
    assert score[3] > 1e300


def test_the_windowed_gaussian_moves_its_window_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nab, "GAUSSIAN_WINDOW", 20)
    monkeypatch.setattr(nab, "GAUSSIAN_STEP", 6)
    values = np.random.default_rng(0).normal(5, 2, 75)
    expected, window, waiting = [0.0], [values[0]], []
    for x in values[1:]:
        expected.append(NormalDist(np.mean(window), max(float(np.std(window)), 1e-6)).cdf(x))
        if len(window) < 20:
            window.append(x)
            continue
        waiting.append(x)
        if len(waiting) == 6:
            window, waiting = window[6:] + waiting, []
    assert nab.gaussian(values) == pytest.approx(np.maximum(expected, 1 - np.array(expected)) * ([0] + [1] * 74))


@needs_data
def test_the_scorer_gives_what_is_published_of_the_windowed_gaussian() -> None:
    for name, given in nab.series(DATA / "nab").items():
        flags = nab.gaussian(given.values) >= THRESHOLD
        flags[: given.probation] = False
        owner = nab.weights(len(flags), given.windows)[1]
        score, true, false = PUBLISHED[name]
        assert (int((flags & (owner >= 0)).sum()), int((flags & (owner < 0)).sum())) == (true, false)
        windows, points = len(given.windows), np.where(flags, 1.0, 0.0)
        told = float(nab.sweep([given], [points], "standard").score[0]) if flags.any() else 0.0
        assert told * 2 * windows / 100 - windows == pytest.approx(score, abs=1e-9)


@needs_data
def test_value_is_better_than_the_windowed_gaussian() -> None:
    measured = {m.what: m for m in nab.known_causes(DATA)}
    assert [m.what for m in measured.values() if m.met is False] == []
    assert measured["score, standard"].value >= 35
    assert measured["Windowed Gaussian, standard"].value == pytest.approx(13.93, abs=0.01)
