"""Measured: wall and CPU time of repeated work, and what it comes to in packets, values and bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Timed(Generic[T]):
    """Work that notes how long it took, by the wall clock and by the calling thread's CPU clock."""

    work: Callable[..., T]
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)

    def __call__(self, *args: Any) -> T:
        """Do the work once."""
        cpu, wall = time.thread_time(), time.perf_counter()
        result = self.work(*args)
        self.walls.append(time.perf_counter() - wall)
        self.cpus.append(time.thread_time() - cpu)
        return result

    @property
    def wall(self) -> float:
        """The shortest round, seconds: on a machine that others use too, the one least disturbed."""
        return min(self.walls)

    @property
    def cpu(self) -> float:
        """The least CPU time of a round, seconds."""
        return max(min(self.cpus), 1e-9)


def repeat(benchmark: Any, work: Callable[..., T], *, rounds: int, setup: Callable[[], Any] | None = None) -> Timed[T]:
    """`work` once to warm up where benchmarks are enabled, then `rounds` times; its times.

    Args:
        benchmark: the fixture of pytest-benchmark.
        work: what is measured.
        rounds: times.
        setup: makes the arguments of each round, unmeasured.
    """
    if benchmark.enabled:
        work(*(setup() if setup else ()))
    timed = Timed(work)
    made: Callable[[], Any] | None = (lambda: (setup(), {})) if setup else None
    benchmark.pedantic(timed, setup=made, rounds=rounds if benchmark.enabled else 1, iterations=1)
    return timed


def rates(timed: Timed[Any], **amounts: int) -> dict[str, int]:
    """Amounts per second of CPU time and, with the suffix `_wall`, per second of wall time."""
    found = {f"{name}_per_s": round(n / timed.cpu) for name, n in amounts.items()}
    return found | {f"{name}_per_s_wall": round(n / timed.wall) for name, n in amounts.items()}
