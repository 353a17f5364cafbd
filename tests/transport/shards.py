"""Shards for tests: in processes of their own, as an operator runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_S = 240.0


def config(path: Path, prefix: str, text: str = "") -> Path:
    """A file of settings that gives topics a prefix of their own."""
    path.write_text(f'{text}\n[kafka]\ntopic_prefix = "{prefix}"\n')
    return path


def command(sources: Sequence[Path], bootstrap: str, spool: Path, settings: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "pipeline", "capture", *map(str, sources)),
        *("--kafka", bootstrap, "--spool", str(spool), "--config", str(settings), *more),
    ]


def start(words: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        list(words), cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a shard that ends by itself."""
    try:
        out, err = process.communicate(timeout=MOST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the shard did not end:\n{out}\n{err}") from None
    return process.returncode, out, err


def wait_until(what: Callable[[], bool], process: subprocess.Popen[str] | None = None, *, most_s: float = 60.0) -> None:
    """Wait for a condition; a shard that ends before it holds is an error."""
    deadline = time.monotonic() + most_s
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.01)
