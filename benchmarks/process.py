"""A command in a process of its own: its wall and CPU time, and the most memory it ever held."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""What is installed has its byte code beside it; told to write none, Python compiles for a tenth of a start."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a process took.

    Attributes:
        wall, cpu: seconds by the clock, and of CPU.
        others: seconds of CPU that the rest of the machine used meanwhile: what a disturbed round is known by.
        peak: most resident memory, bytes.
        out: what it printed.
    """

    wall: float
    cpu: float
    others: float
    peak: int
    out: str


def python(
    *arguments: str, cores: Sequence[int] | None = None, environment: Mapping[str, str] | None = None
) -> Finished:
    """Run Python with `arguments`, on these cores only where they are given.

    Raises:
        RuntimeError: it failed; the message holds what it wrote to stderr.
    """
    before, busy, start = _children(), _busy(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**_ENVIRONMENT, **(environment or {})},
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
        check=False,
    )
    wall = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr}")
    cpu = _children() - before
    return Finished(wall, cpu, max(0.0, _busy() - busy - cpu), 0, done.stdout)


def fieldtap(
    *arguments: str, cores: Sequence[int] | None = None, environment: Mapping[str, str] | None = None
) -> Finished:
    """Run a command of fieldtap; the peak is its own VmHWM, read by itself at its end."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "peak"
        done = python("-m", "benchmarks.child", str(note), *arguments, cores=cores, environment=environment)
        return replace(done, peak=int(note.read_text()))


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _busy() -> float:
    """Seconds of CPU that the machine's cores have spent on anything."""
    user, nice, system, _, _, irq, softirq, stolen = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + stolen) / os.sysconf("SC_CLK_TCK")
