"""Floors of `benchmarks.quality.packets` on captures with labelled packets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.quality import packets

DATA = Path(os.environ.get("FIELDTAP_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "detection"
MISSED = ["F1 by packets"]
"""Floors that are not reached yet, all by `value.constant`: coils that stood still while it learned are switched."""

pytestmark = pytest.mark.skipif(not (DATA / "lemay-modbus").is_dir(), reason=f"no data in {DATA} (set FIELDTAP_DATA)")


def test_packets_are_told_as_they_are_labelled() -> None:
    measured = packets.lemay(DATA)
    assert [m.what for m in measured if m.met is False] == MISSED
    values = {m.what: m.value for m in measured}
    assert values["recall by packets"] == 1
    assert values["F1 by packets"] >= 0.989
