"""The simulation: no promise of the ledger is broken, and leaving out any of its rules breaks one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.broken import CASES
from tests.simulation.scene import Outcome, simulate

ROOT = Path(__file__).resolve().parents[2]
SEARCHED = 300
"""Seeds in which a rule that was left out must show."""


STEPS = {
    *(f"{what} {root}" for what in ("create", "list", "read") for root in ("origin", "epochs", "findings")),
    *(f"{what} {root} answered" for what in ("create", "list") for root in ("origin", "epochs", "findings")),
    *(f"{what} {root}" for what in ("make", "link", "sync") for root in ("origin", "epochs", "findings")),
    *("send", "send answered", "write .pending", "unlink", "replace epochs answered", "rename epochs", "poll"),
}
"""Steps at which a process must have been killed in 2,000 runs."""


def campaign(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.campaign", *arguments],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_2_000_runs_break_no_promise() -> None:
    found = campaign("--seeds", "2000")
    assert found["broken"] == []
    assert (found["lost"], found["doubled"]) == (0, 0)
    # and the trouble was trouble
    assert found["epochs"] > 10_000
    assert found["crashes"] > 2_000
    assert found["zombies"] > 2_000
    assert {f"crash at {step}" for step in STEPS} - set(found["counts"]) == set()
    for what in ("zombie steps", "taken", "late", "lost request", "lost answer", "twice", "power losses"):
        assert found["counts"][what] > 200, what
    for what in ("damaged", "repaired", "emptied", "merged", "read", "collect", "compact"):
        assert found["counts"][what] > 200, what


def test_a_seed_gives_the_same_run_again() -> None:
    for seed in range(6):
        first, second = simulate(seed), simulate(seed)
        assert first.trace == second.trace
        assert first.counts == second.counts
    assert len({simulate(seed).trace for seed in range(6)}) == 6


def broken(name: str, seed: int) -> Outcome:
    return simulate(seed, CASES[name].rules, **CASES[name].given)


@pytest.mark.parametrize("name", CASES)
def test_without_the_rule_a_promise_is_broken_and_with_it_none(name: str) -> None:
    first = next((seed for seed in range(SEARCHED) if broken(name, seed).violations), None)
    assert first is not None, "the simulation does not notice"
    case = CASES[name]
    for seed in range(first + 1):
        assert simulate(seed, case.lasting, **case.given).violations == [], seed


def test_a_store_that_deletes_old_objects_is_noticed() -> None:
    """Nothing can be promised then; but the next owner raises an alarm."""
    given = {"disk": False, "damage": 0.0, "bystanders": (), "lifecycle": 0.02, "messages": 24}
    found = [text for seed in range(40) for text in simulate(seed, **given).violations]
    assert any("no lifecycle rule may delete objects" in text for text in found)
