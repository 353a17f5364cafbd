"""Peak resident memory of whole commands, which must not grow with the capture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from benchmarks.conftest import MIB, Sizes
from benchmarks.process import fieldtap
from benchmarks.workloads import Shelf, Workload

LIMIT = 600 * MIB
_PACKET = 90.5
"""Mean bytes of a packet of the usual workload, its header in the file included."""


@pytest.mark.parametrize("command", ["run", "decode"])
def test_memory(benchmark: Any, shelf: Shelf, sizes: Sizes, tmp_path: Path, command: str) -> None:
    """A capture and one several times as large; the kernels are in the cache, for to compile them takes memory too."""
    tiny = shelf.capture(Workload(200)).path
    fieldtap(command, str(tiny), "--out", str(tmp_path / "tiny"))
    captures = [shelf.capture(Workload(int(size / _PACKET))) for size in (sizes.small, sizes.large)]
    peaks: list[int] = []

    def measure() -> None:
        for capture in captures:
            out = tmp_path / capture.path.stem
            arguments = [command, str(capture.path), "--out", str(out)]
            peaks.append(fieldtap(*arguments).peak)
            assert sum(pq.read_metadata(f).num_rows for f in out.glob("records/*.parquet")) == capture.packets

    benchmark.pedantic(measure, rounds=1, iterations=1)
    small, large = peaks
    assert large < LIMIT
    assert large - small < 64 * MIB, "memory grows with the capture"
    benchmark.extra_info.update(
        what=f"memory, {command}",
        workload=f"captures of {captures[0].size / MIB:,.0f} and {captures[1].size / MIB:,.0f} MiB",
        peak_mib_small=round(small / MIB),
        peak_mib=round(large / MIB),
    )
