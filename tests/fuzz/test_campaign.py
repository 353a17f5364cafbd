"""The campaign of mutated packets, in a process of its own with bounds checks on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.decode.protocols import DECODERS
from schemas.codes import Protocol

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGN = ROOT / "tests" / "fuzz" / "campaign.py"


NEVER = {
    "decode dropped points beyond the bound of a PDU",
    "decode dropped names beyond the bound",
    "link dropped ARP claims beyond the bound",
}
"""Counters that mutated packets need not reach: their bounds have tests of their own."""


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def campaign(*arguments: str) -> dict[str, Any]:
    done = python(str(CAMPAIGN), *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_200_000_mutated_packets() -> None:
    """No exception, no index out of bounds, nothing uncounted, no leak, bounded memory; and the mutations bite."""
    campaign("--inputs", "4000")  # kernels with bounds checks may have to compile: that is the most memory of all
    found = campaign("--inputs", "200000", "--seed", "1")
    assert found["inputs"] == 200_000
    assert found["records"] > 50_000
    assert found["faults"] > 5_000
    assert found["peak_mb"] < 900
    assert set(found["never"]) <= NEVER


@pytest.mark.parametrize("protocol", [p.name.lower() for p in DECODERS if p != Protocol.MODBUS])
def test_200_000_mutated_packets_of_a_protocol(protocol: str) -> None:
    campaign("--inputs", "4000", "--protocol", protocol)
    found = campaign("--inputs", "200000", "--seed", "1", "--protocol", protocol)
    assert found["inputs"] == 200_000
    assert found["records"] > 50_000
    assert found["faults"] > 5_000
    assert found["peak_mb"] < 900


def test_another_seed_gives_other_packets() -> None:
    first, again, other = (campaign("--inputs", "4000", "--seed", seed) for seed in ("1", "1", "2"))
    assert [first[k] for k in ("records", "points", "faults")] == [again[k] for k in ("records", "points", "faults")]
    assert first["points"] != other["points"]


@pytest.mark.parametrize("array", ["stream", "chunks", "datagram", "traffic", "pend"])
def test_a_state_too_small_is_noticed(array: str) -> None:
    """The checks are on in the compiled decode path itself: arrays cut to 16 rows are overrun, and that is told.

    Packets of one protocol: where captures of all are mixed, time may run back first, which sets up the state anew.
    """
    done = python(str(CAMPAIGN), "--inputs", "6000", "--shrink", array, "--protocol", "modbus")
    assert done.returncode != 0
    assert "IndexError" in done.stderr, done.stderr


@pytest.mark.parametrize("name", ["beyond", "load_beyond"])
def test_a_planted_fault_is_noticed(name: str) -> None:
    code = f"import numpy; from tests.fuzz.planted import {name}; {name}(numpy.zeros(9, numpy.uint8))"
    done = python("-c", code, NUMBA_BOUNDSCHECK="1")
    assert done.returncode != 0
    assert "IndexError" in done.stderr, done.stderr
