"""Workers as processes of their own, to be stopped, continued and killed by their number."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


def until(what: str, condition: Callable[[], T], within_s: float = 120.0, pause_s: float = 0.05) -> T:
    """Wait for `condition` to be true, and give what it gave.

    Raises:
        AssertionError: it does not become true in time.
    """
    end = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {within_s:g} s: {what}"
        time.sleep(pause_s)
    return found


@dataclass
class Process:
    """One worker; what it prints lies in `log`."""

    child: subprocess.Popen[bytes]
    log: Path
    doomed: bool = False

    @property
    def pid(self) -> int:
        """Its number."""
        return self.child.pid

    @property
    def stopped(self) -> bool:
        """Whether SIGSTOP holds it."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except OSError:
            return False

    @property
    def alive(self) -> bool:
        """Whether it runs, or is stopped."""
        return self.child.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.child.send_signal(number)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.doomed = True
        self.child.kill()
        self.child.wait()

    def terminate(self) -> None:
        """Ask it, once, to end in good order (SIGTERM)."""
        if not self.doomed:
            self.doomed = True
            self.child.send_signal(signal.SIGTERM)

    def leave(self, within_s: float = 60.0) -> int:
        """Ask it to end in good order, unless that was done; its exit code.

        Raises:
            AssertionError: it does not end in time.
        """
        self.terminate()
        try:
            return self.child.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"SIGTERM did not end the worker in {within_s:g} s:\n{self.said()}") from None

    def said(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-3000:]


@dataclass
class Workers:
    """Starts workers, and sees that none ends unbidden.

    Attributes:
        arguments: of `fieldtap`.
        folder: where their output goes.
    """

    arguments: Sequence[str]
    folder: Path
    all: list[Process] = field(default_factory=list)

    def start(self, *, entry: str | None = None, **environment: str) -> Process:
        """A worker: the command itself, or the module `entry` in its place."""
        words = [sys.executable, "-m", entry or "pipeline", *self.arguments]
        if setpriv := which("setpriv"):
            words = [setpriv, "--pdeathsig", "KILL", "--", *words]
        log = self.folder / f"worker{len(self.all)}.log"
        with log.open("wb") as out:
            child = subprocess.Popen(
                words,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **environment},
                start_new_session=True,
            )
        self.all.append(Process(child, log))
        return self.all[-1]

    @property
    def running(self) -> list[Process]:
        """Those that run."""
        return [p for p in self.all if p.alive]

    def check(self) -> None:
        """See that none has ended that nobody asked to.

        Raises:
            AssertionError: one has; with what it said.
        """
        for process in self.all:
            assert process.doomed or process.alive, f"a worker ended with {process.child.returncode}:\n{process.said()}"

    def end(self, processes: Iterable[Process] | None = None) -> None:
        """Kill what still runs."""
        for process in self.running if processes is None else processes:
            if process.alive:
                process.kill()


def environment(pairs: Mapping[str, object]) -> dict[str, str]:
    """As environment variables: `hold_at="x"` as FIELDTAP_HOLD_AT."""
    return {f"FIELDTAP_{name.upper()}": str(value) for name, value in pairs.items()}
