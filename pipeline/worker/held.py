"""Held: one assigned partition between its owner, which computes and writes, and the worker's loop."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from pipeline.errors import FieldtapError
from pipeline.ledger import ChainDamaged, Taken
from pipeline.owner import Message, Owner, Stage, Step
from pipeline.store import StoreUnclear

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.stage import Refused
    from pipeline.worker.settings import WorkerSettings

_RETRY_S, _RETRY_MOST_S = 0.2, 5.0


class LogTruncated(FieldtapError):  # noqa: N818  it is the log that is
    """The log no longer holds the records behind the chain's end."""


class Judging(Stage, Protocol):
    """A stage of a worker: what it refused and what it found is taken away as it comes."""

    refused: list[Refused]
    live: list[pa.Table]

    @property
    def ended(self) -> bool:
        """Whether its input is over."""
        ...

    def counters(self) -> Mapping[str, int]:
        """What it took, and what was lost or refused."""
        ...


class State(enum.Enum):
    """How far a partition is.

    OPENING reads the ledger; READY waits for the loop to seek; RUNNING takes messages; STOPPED waits for a person.
    """

    OPENING = enum.auto()
    READY = enum.auto()
    RUNNING = enum.auto()
    STOPPED = enum.auto()


class Held:
    """One assigned partition.  All methods are for the loop's thread; what touches the store runs on `pool`.

    Attributes:
        name: topic and partition.
        state: see :class:`State`.
        problem: why it is stopped.
        taken: how often another worker's epoch stood in the place of its own.
        retried: how often the store gave no clear answer.
        trouble: what the store, or the second stage's topic, said last; empty when it answered since.
    """

    def __init__(
        self,
        name: tuple[str, int],
        stage: Judging,
        owner: Owner,
        pool: Executor,
        settings: WorkerSettings,
        *,
        delivered: Callable[[], bool],
        check: Callable[[int], None],
    ) -> None:
        """Begin to open it.

        Args:
            delivered: whether all refused messages of this partition have reached the dead letters.
            check: told the position at which it will go on; raises LogTruncated where the log has no such record.
        """
        self.name = name
        self.stage = stage
        self.owner = owner
        self.state = State.OPENING
        self.problem = ""
        self.taken = 0
        self.retried = 0
        self.trouble = ""
        self._pool = pool
        self._settings = settings
        self._delivered = delivered
        self._check = check
        self._task: Future[None] | None = None
        self._retry_at = 0.0
        self._pause_s = _RETRY_S
        self._cut_at = monotonic()
        self._bytes = 0

    @property
    def position(self) -> int:
        """Offset of the message that it takes next."""
        return self.owner.position

    @property
    def busy(self) -> bool:
        """Whether it shall get no messages now."""
        return self.state is not State.RUNNING or self.owner.backlog >= self._settings.backlog

    @property
    def done(self) -> bool:
        """Whether its input is over and all of it is true, published and sent."""
        return self.state is State.RUNNING and self.stage.ended and self.owner.finished == self.owner.position

    def feed(self, messages: Sequence[Message]) -> bool:
        """Take messages; False where they do not begin at the position, so that the loop must seek.

        Messages before the position are left out: a client may give them after a seek.
        """
        if self.state is not State.RUNNING:
            return True
        fresh = [m for m in messages if m.offset >= self.position]
        if not fresh:
            return True
        if fresh[0].offset != self.position:
            return False
        try:
            self.owner.feed(fresh)
        except Taken:
            # The work in hand has found it out, and tells so when it is seen to.
            return True
        self._bytes += sum(len(m.value or b"") for m in fresh)
        return True

    def tend(self) -> None:
        """See what became of the work in hand, cut an epoch when it is due, and give out the next work."""
        if self._task is not None:
            if not self._task.done():
                return
            self._settle(self._task)
            self._task = None
        if self.state is State.OPENING:
            self._start(self._open)
        elif self.state is State.RUNNING:
            if self._due():
                self.cut()
            if self.owner.backlog and self._delivered():
                self._start(self._write)

    def cut(self) -> None:
        """Freeze an epoch, where anything came since the last."""
        with suppress(Taken):
            self.owner.cut()
        self._cut_at, self._bytes = monotonic(), 0

    def release(self, deadline: float, deliver: Callable[[float], None]) -> None:
        """The partition goes to another: finish what can be finished until `deadline` (monotonic seconds).

        Args:
            deliver: waits for refused messages to reach the dead letters, so many seconds at most.
        """
        if self.state is not State.RUNNING:
            return
        if self._task is not None:
            self._wait(self._task, deadline)
            if not self._is_running():
                return
        self.cut()
        deliver(max(0.0, deadline - monotonic()))
        while self.owner.backlog and self._delivered() and monotonic() < deadline:
            task = self._pool.submit(self._write)
            if not self._wait(task, deadline) or self.state is not State.RUNNING:
                return

    def running(self) -> None:
        """The loop has sought to the position."""
        self.state = State.RUNNING
        self._cut_at, self._bytes = monotonic(), 0

    def _is_running(self) -> bool:
        return self.state is State.RUNNING

    def _due(self) -> bool:
        if self.owner.backlog >= self._settings.backlog:
            return False
        old = monotonic() - self._cut_at >= self._settings.epoch_s
        return old or self._bytes >= self._settings.epoch_mb << 20 or self.stage.ended

    def _start(self, work: Callable[[], None]) -> None:
        if monotonic() >= self._retry_at:
            self._task = self._pool.submit(work)

    def _wait(self, task: Future[None], deadline: float) -> bool:
        """Wait for a task; whether it ended well in time."""
        try:
            task.exception(max(0.0, deadline - monotonic()))
        except TimeoutError:
            return False
        before = self.retried
        self._settle(task)
        self._task = None
        return self.retried == before

    def _open(self) -> None:
        position = self.owner.open()
        self._check(position)

    def _write(self) -> None:
        while self.owner.step() is not Step.IDLE:
            pass

    def _settle(self, task: Future[None]) -> None:
        error = task.exception()
        self.trouble = ""
        if error is None:
            self._pause_s = _RETRY_S
            if self.state is State.OPENING:
                self.state = State.READY
        elif isinstance(error, StoreUnclear):
            self.retried += 1
            self.trouble = str(error)
            self._retry_at = monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, _RETRY_MOST_S)
        elif isinstance(error, Taken):
            self.taken += 1
            self.state = State.OPENING
        elif isinstance(error, ChainDamaged | LogTruncated):
            self.state = State.STOPPED
            self.problem = str(error)
        else:
            raise error
