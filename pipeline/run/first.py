"""The first start on a machine: two processes compile the kernels, each about half of them.

numba compiles in one thread of a process at a time; what one process has compiled, the other finds in the cache.  As
a module, `python -m pipeline.run.first decode|judge`, this is the second process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from detectors.base import TICK_NS
from detectors.columns import Columns
from detectors.registry import REGISTERED

HERE = ("timing", "rate", "replay", "scan", "role")
"""Detectors whose kernels the first process compiles, after most of decode; the second those of the others."""


def compile_in_two(*, judging: bool) -> None:
    """Compile what decode needs, and with `judging` what a run needs after it.

    On one core, and without a cache that both could use, nothing is done: kernels then compile when they are called.
    """
    from detectors import jit
    from pipeline.decode import ahead

    if not jit.is_cached() or len(os.sched_getaffinity(0)) < 2:
        return
    with _second("judge" if judging else "decode"):
        ahead.intake()
        ahead.driver()
        if judging:
            judge(HERE)


@contextmanager
def _second(part: str) -> Iterator[None]:
    """The second process beside what is done here.  Where it fails, its part is compiled when it is called."""
    words = [sys.executable, "-m", __name__, part]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(words, cwd=root, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603  our own
        try:
            yield
        except BaseException:
            process.kill()
            raise


class _Sample:
    """Two records with a point each as a run's records, in arrays as decode makes them; a TIME mark lies between."""

    names: Mapping[int, str] = {}

    def start_ns(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Columns]:
        from pipeline.decode import layout as c
        from pipeline.decode.arena import Arenas

        arenas = Arenas(0, 0)
        arena = arenas.take()
        arena.output.rec64[c.R_TS * c.REC : c.R_TS * c.REC + 2] = 0, 2 * TICK_NS
        arena.output.rec32[c.R_N_POINTS * c.REC : c.R_N_POINTS * c.REC + 2] = 1
        arena.output.rec32[c.R_OFFSET * c.REC : c.R_OFFSET * c.REC + 3] = 0, 1, 2
        yield arenas.columns(arena, 2, 2, rare=False, sparse=False)


def judge(names: Sequence[str]) -> None:
    """Judge the sample by these detectors and write it, so that everything behind decode compiles."""
    from detectors.slots import Slots
    from pipeline.config import Config
    from pipeline.run.judges import Judges
    from pipeline.run.results import Results
    from pipeline.site import Site

    with tempfile.TemporaryDirectory() as folder:
        config, site, sample = Config(enabled=tuple(names)), Site.empty(), _Sample()
        results = Results(Path(folder), config.output)
        Judges(sample, config, site, None).run([results])
        results.close(sample.names, site)
    Slots(1, {}).reserve(1000)  # one that grows


if __name__ == "__main__":
    from pipeline.decode import ahead

    ahead.output()
    if sys.argv[1] == "judge":
        judge([name for name in REGISTERED if name not in HERE])
