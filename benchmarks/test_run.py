"""`fieldtap run` as a user starts it, and where its time goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from benchmarks.measure import Timed, repeat
from benchmarks.process import Finished, fieldtap
from benchmarks.stages import STAGES, staged
from benchmarks.workloads import Shelf, Workload


def _health(out: Path, stage: str, counter: str, reason: str = "") -> int:
    rows = pq.read_table(out / "health.parquet").to_pylist()
    found = [r["value"] for r in rows if (r["stage"], r["counter"], r["reason"]) == (stage, counter, reason)]
    return sum(found)


@pytest.fixture(scope="module")
def taught(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> dict[Workload, Path]:
    """Baselines by workload."""
    return {}


def _baseline(taught: dict[Workload, Path], workload: Workload, capture: Path) -> Path:
    if workload not in taught:
        taught[workload] = capture.with_suffix(".baseline.parquet")
        fieldtap("learn", str(capture), "--out", str(taught[workload]))
    return taught[workload]


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("judged", ["three detectors", "baseline", "learning"])
def test_run(
    benchmark: Any,
    shelf: Shelf,
    polls: Workload,
    taught: dict[Workload, Path],
    tmp_path: Path,
    judged: str,
    cores: int,
) -> None:
    """Decode, all detectors, or peer, function and value alone, records, points and findings; a process with its start.

    With a baseline nothing is new; without one, the capture's first minutes are learned, and a seventh of all
    values lies outside of them later: a flood of evidence.
    """
    if len(os.sched_getaffinity(0)) < cores:
        pytest.skip(f"needs {cores} cores")
    capture, out = shelf.capture(polls), tmp_path / "out"
    arguments = ["run", str(capture.path), "--out", str(out), "--threads", str(cores)]
    if judged == "three detectors":
        (tmp_path / "three.toml").write_text('[detectors]\nenabled = ["peer", "function", "value"]\n')
        arguments += ["--config", str(tmp_path / "three.toml")]
    if judged != "learning":
        arguments += ["--baseline", str(_baseline(taught, polls, capture.path))]
    allowed = sorted(os.sched_getaffinity(0))[-cores:]
    runs: list[Finished] = []
    repeat(benchmark, lambda: runs.append(fieldtap(*arguments, cores=allowed)), rounds=5)
    assert _health(out, "sink", "rows", "records") == capture.packets
    assert _health(out, "sink", "rows", "points") == capture.points
    evidence = _health(out, "findings", "evidence")
    assert (evidence == 0) == (judged != "learning") or capture.packets < 100_000
    wall, cpu = min(r.wall for r in runs), min(r.cpu for r in runs)
    empty = shelf.capture(Workload(2, 10, 1)).path
    begin = ["run", str(empty), *arguments[2:3], str(tmp_path / "e"), *arguments[4:]]
    start = min((fieldtap(*begin, cores=allowed) for _ in range(3)), key=_wall)
    benchmark.extra_info.update(
        what=f"run, {cores} core{'s' * (cores > 1)}, {judged}",
        workload=str(polls),
        evidence=evidence,
        start_s=round(start.wall, 3),
        others_cpu_s=round(min(runs, key=_wall).others, 2),
        packets_per_s=round(capture.packets / max(cpu - start.cpu, 1e-9)),
        packets_per_s_wall=round(capture.packets / max(wall - start.wall, 1e-9)),
        packets_per_s_with_start=round(capture.packets / wall),
        points_per_s_wall=round(capture.points / max(wall - start.wall, 1e-9)),
        bytes_per_s_wall=round(capture.size / max(wall - start.wall, 1e-9)),
    )


def _wall(run: Finished) -> float:
    return run.wall


def test_stages(benchmark: Any, shelf: Shelf, polls: Workload, tmp_path: Path) -> None:
    """Nanoseconds per packet of each stage, on one thread, with everything in the baseline."""
    capture = shelf.capture(polls)
    rounds: list[dict[str, float]] = []

    def once() -> None:
        rounds.append(staged(capture.path, tmp_path))

    timed: Timed[None] = repeat(benchmark, once, rounds=3)
    best = min(rounds, key=lambda stages: sum(stages.values()))
    assert set(best) <= set(STAGES)
    assert best["records"] > 0
    benchmark.extra_info.update(
        what="stages of a run, one thread",
        workload=str(polls),
        packets_per_s=round(capture.packets / max(sum(best.values()), 1e-9)),
        wall_s=round(timed.wall, 3),
        **{f"{name}_ns": round(1e9 * seconds / capture.packets, 1) for name, seconds in best.items()},
    )
