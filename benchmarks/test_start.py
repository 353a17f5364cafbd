"""How long a small capture takes: warm, against the imports that it cannot do without; and the first time ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.process import Finished, python
from benchmarks.workloads import Shelf, Workload

_TINY = Workload(200)


def _run(shelf: Shelf, out: Path, **environment: str) -> Finished:
    capture = shelf.capture(_TINY).path
    done = python("-m", "pipeline", "run", str(capture), "--out", str(out), environment=environment)
    assert (out / "records").is_dir()
    return done


def test_warm(benchmark: Any, shelf: Shelf, tmp_path: Path) -> None:
    """The kernels lie in the cache; rounds alternate with the bare imports."""
    _run(shelf, tmp_path / "out")
    imports: list[Finished] = []
    runs: list[Finished] = []

    def once() -> None:
        imports.append(python("-c", "import numba, pyarrow"))
        runs.append(_run(shelf, tmp_path / "out"))

    benchmark.pedantic(once, rounds=9 if benchmark.enabled else 1, iterations=1)
    wall, cpu = min(r.wall for r in runs), min(r.cpu for r in runs)
    benchmark.extra_info.update(
        what="start, warm",
        workload=str(_TINY),
        run_s=round(wall, 3),
        imports_s=round(min(i.wall for i in imports), 3),
        ratio=round(wall / min(i.wall for i in imports), 2),
        ratio_cpu=round(cpu / min(i.cpu for i in imports), 2),
    )


def test_cold(benchmark: Any, shelf: Shelf, tmp_path: Path) -> None:
    """An empty cache: every kernel that a run needs is compiled."""
    if not benchmark.enabled:
        pytest.skip("compiles for half a minute; only with --benchmark-enable")
    runs: list[Finished] = []

    def once() -> None:
        runs.append(_run(shelf, tmp_path / "out", FIELDTAP_CACHE=str(tmp_path / "cache")))

    benchmark.pedantic(once, rounds=1, iterations=1)
    assert any((tmp_path / "cache").rglob("*.nbc"))
    benchmark.extra_info.update(
        what="start, first ever",
        workload=str(_TINY),
        run_s=round(runs[0].wall, 1),
        cpu_s=round(runs[0].cpu, 1),
    )
