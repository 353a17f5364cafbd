"""Floors of `benchmarks.quality.windows`: attacks on a real S7 plant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.quality import windows

DATA = Path(os.environ.get("FIELDTAP_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "detection"
FOLDER = DATA / "qut-s7"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no captures in {FOLDER} (set FIELDTAP_DATA)")


def test_every_attack_is_found_and_its_tag_named() -> None:
    measured = {m.what: m for m in windows.qut(DATA)}
    assert [m.what for m in measured.values() if m.met is False] == []
    assert measured["windows found of 16"].value == measured["windows with the written tag of 16"].value == 16


def test_the_truth_of_a_window_is_what_the_attacker_wrote() -> None:
    found = windows.windows(FOLDER)
    assert len(found) == 16
    first, last = found[0], found[-1]
    assert (first.name, last.name) == ("ConveyorBeltOff", "ConveyorBeltOff_Flooding")
    assert first.attacker is not None
    assert last.attacker is None
    written = windows.Written.of(first.attacker)
    assert {address for _, address in written.places} == {8 * 102}
    assert written.values == {0x2A, 0x28}


def test_what_is_learned_holds_no_packet_of_the_attacker() -> None:
    attack = next(w for w in windows.windows(FOLDER) if w.name == "ChangeUpperThreshold")
    everything, polls = list(windows.packets_of(attack.view)), windows.polls(attack.view)
    attacker = bytes((10, 10, 10, 66))
    assert any(attacker in packet[26:34] for _, packet in everything)
    assert len(polls) > 30
    assert not any(attacker in packet[26:34] for _, packet in polls)
