"""Sizes and captures.  The ordinary suite runs each benchmark once, small; enabled, they are large enough to last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from benchmarks.workloads import Shelf, Workload

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the workloads are.

    Attributes:
        packets: of a capture that decode, the sink and whole runs are measured with (FIELDTAP_BENCH_PACKETS).
        objects: of them, how many go through the loop over objects.
        held: packets whose records are held in memory, for stages measured alone.
        small, large: bytes of the two captures that memory is compared on (FIELDTAP_BENCH_LARGE for the second).
    """

    packets: int
    objects: int
    held: int
    small: int
    large: int


@pytest.fixture(scope="session")
def sizes(request: pytest.FixtureRequest) -> Sizes:
    """Small where benchmarks are disabled."""
    options = request.config
    enabled = not options.getoption("benchmark_disable") or options.getoption("benchmark_enable")
    packets = int(os.environ.get("FIELDTAP_BENCH_PACKETS", 2_000_000 if enabled else 20_000))
    large = int(float(os.environ.get("FIELDTAP_BENCH_LARGE", 200 * MIB if enabled else 8 * MIB)))
    return Sizes(packets, min(packets, 50_000), min(packets, 500_000), large // 5 if enabled else large // 4, large)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Captures, deleted at the end."""
    shelf = Shelf(tmp_path_factory.mktemp("captures"))
    yield shelf
    for path in shelf.folder.iterdir():
        path.unlink()


@pytest.fixture
def polls(sizes: Sizes) -> Workload:
    """The usual workload: five points a packet, a hundred connections."""
    return Workload(sizes.packets)
