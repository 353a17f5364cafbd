"""Floors of `benchmarks.quality.process` on public process data."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from benchmarks.quality import faults, iec104, process
from benchmarks.quality.metrics import Measure

DATA = Path(os.environ.get("FIELDTAP_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "detection"
MISSED = {
    ("BATADAL dataset04", "S"),
    ("faults in TEP-PASAD", "ramps to 4 sigma found"),
    ("faults in BATADAL", "jumps of 4 sigma found"),
}
"""Floors that are not reached yet: see benchmarks/results/quality.md.  One that is reached leaves this list."""

faulty = cache(faults.faults)

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no data in {DATA} (set FIELDTAP_DATA)")


@pytest.mark.parametrize("case", [process.batadal, process.tennessee, process.pasad, process.skab, faulty])
def test_what_is_shown_of_process_data_holds(case: Callable[[Path], list[Measure]]) -> None:
    measured = case(DATA)
    missed = {(m.data, m.what) for m in measured if m.met is False}
    assert missed == MISSED & {(m.data, m.what) for m in measured}


def test_manipulated_packets_are_told_and_clean_traffic_is_not() -> None:
    assert [m.what for m in iec104.energy(DATA) if not m.met] == []


def test_what_is_reached_by_now_does_not_fall() -> None:
    """Where a floor is missed, what there is."""
    measured = {m.what: m.value for m in process.batadal(DATA)}
    assert measured["S"] >= 0.89
    measured = {m.what: m.value for m in process.skab(DATA)}
    assert measured["F1 by rows"] >= 0.80
    assert measured["false rows"] <= 0.14
    assert measured["missed rows"] <= 0.27
    found = [m for m in faulty(DATA) if m.floor]
    assert min(m.value for m in found) >= 0.8
    assert min(m.value for m in faulty(DATA) if m.what == "replayed values found") >= 0.3
    assert [m.value for m in faulty(DATA) if m.what == "of medium severity and above"][:2] == [0, 0]
