"""The campaign of poisoned messages, in a process of its own with bounds checks on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGN = ROOT / "tests" / "transport" / "poison.py"
EVERY_REASON = {
    "arrow: a body of impossible size",
    "arrow: a buffer of impossible size",
    "arrow: a frame of impossible size",
    "arrow: another version of the format",
    "arrow: buffers",
    "arrow: cannot be read",
    "arrow: metadata out of bounds",
    "arrow: metadata that is not ours",
    "arrow: no batch where it should be",
    "arrow: no end where it should be",
    "arrow: no frame where it should be",
    "arrow: nodes",
    "arrow: not packed by LZ4",
    "arrow: schema",
    "arrow: too many parts",
    "arrow: too much",
    "checksum",
    "header: a number out of bounds",
    "header: count or size does not fit",
    "header: missing",
    "header: not ours",
    "header: of another partition",
    "header: seq does not fit",
    "header: spare or schema",
    "header: time does not fit",
    "header: wrong size or format",
    "marks: a number out of bounds",
    "marks: cut short",
    "marks: no such kind",
    "marks: out of place",
    "records: a number out of bounds",
    "records: of another shard or boot",
    "records: points do not fit",
    "records: seq does not fit",
    "records: time does not fit",
    "value: missing",
}


def campaign(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error", str(CAMPAIGN), *arguments],
        cwd=ROOT,
        env=os.environ | {"NUMBA_BOUNDSCHECK": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_20_000_poisoned_messages() -> None:
    """No crash, no exception but the two that are told, memory within bounds, and what is accepted can be judged."""
    found = campaign("--inputs", "20000", "--seed", "1")
    assert found["refused"] + found["newer"] + found["accepted"] == found["inputs"] == 20_000
    assert found["accepted"] > 2_000
    assert found["records"] > 20_000
    assert found["newer"] > 50
    assert found["peak_mb"] < 900
    assert found["peak_mb"] - found["early_peak_mb"] < 300
    assert EVERY_REASON - set(found["reasons"]) == set()


def test_another_seed_gives_other_messages() -> None:
    first, again, other = (campaign("--inputs", "1500", "--seed", seed)["reasons"] for seed in ("1", "1", "2"))
    assert first == again
    assert first != other
