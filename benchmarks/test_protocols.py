"""Decode of other protocols than Modbus, on one core, the capture in the page cache."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.conftest import Sizes
from benchmarks.measure import rates, repeat
from benchmarks.tiles import SESSIONS, tile
from benchmarks.workloads import Shelf, count


@pytest.mark.parametrize("name", SESSIONS)
def test_protocol(benchmark: Any, shelf: Shelf, sizes: Sizes, name: str) -> None:
    """PDUs and points a second; every PDU is a record, whatever number of frames it takes."""
    session = SESSIONS[name]()
    rounds = max(1, sizes.packets // (len(session.packets) * (10 if "integrity" in name else 1)))
    path = tile(shelf.folder / f"{name.replace(' ', '-')}.pcap", session, rounds)
    assert count(path) == (rounds * session.pdus, rounds * session.points)
    timed = repeat(benchmark, lambda: count(path), rounds=7)
    amounts = {"packets": rounds * len(session.packets), "pdus": rounds * session.pdus}
    benchmark.extra_info.update(
        what=f"decode, {name}",
        workload=f"{rounds * session.pdus:,} PDUs, {session.points / session.pdus:.3g} points a PDU, one connection",
        **rates(timed, **amounts, points=rounds * session.points),
    )
