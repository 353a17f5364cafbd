"""Owner: who works on one partition makes what its stage computes true, epoch by epoch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from threading import Lock
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
from numpy.typing import NDArray

from pipeline.ledger import Chain, Epoch, Extent, Publisher, Taken, encode
from pipeline.ledger.collect import Collected, collect


class Message(Protocol):
    """A message of the log."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""
        ...

    @property
    def header(self) -> bytes | None:
        """The packed header, None where it is missing."""
        ...

    @property
    def value(self) -> bytes | None:
        """The content, None where it is missing."""
        ...


class Frozen(NamedTuple):
    """What a stage has made since it was frozen last.

    Attributes:
        state: all state now; arrays that nobody changes any more.
        findings: rows of ALERT found since then.
        sends: rows for the second stage since then, None where there is none.
        ended: whether the input has ended.
    """

    state: dict[str, NDArray[Any]]
    findings: pa.Table
    sends: pa.Table | None = None
    ended: bool = False


class Stage(Protocol):
    """Turns a log into state and findings; the same log gives the same, wherever it was frozen or restored."""

    def restore(self, state: Mapping[str, NDArray[Any]] | None) -> None:
        """Forget everything, then take over a frozen state; None: start from nothing."""
        ...

    def take(self, messages: Sequence[Message]) -> None:
        """Apply messages in the order of their offsets; never raises for what is in them."""
        ...

    def freeze(self) -> Frozen:
        """All state now, and what was made since the last call."""
        ...


class Step(IntEnum):
    """What :meth:`Owner.step` has done."""

    IDLE = 0
    CREATE = 1
    PUBLISH = 2
    SEND = 3
    COLLECT = 4


class _Unfinished:
    """An epoch on its way: frozen, then created, published, sent."""

    def __init__(self, extent: Extent, frozen: Frozen | None, landed: Epoch | None = None) -> None:
        self.extent = extent
        self.frozen = frozen
        self.ours: Epoch | None = None
        self.landed = landed
        self.due = Step.CREATE if landed is None else Step.PUBLISH


class Owner:
    """Owns one partition, as far as this process knows.

    One thread calls `open`, `feed` and `cut`; the same or one other thread calls `step`.  Nothing here waits, sleeps
    or retries: a call that raised `StoreUnclear` may be made again, when its caller sees fit.

    Args:
        chain: of the partition.
        stage: what computes; this owner alone uses it.
        origin: gives the first offset that the log still has; asked when the partition is opened for the first time.
        publish: puts an epoch's findings where readers look.
        send: hands an epoch's rows to the second stage and returns when they are there.  It may be called several
            times for one epoch, and is called for the chain's end at every assignment.
        versions: of code, detectors, baseline and settings; kept in each epoch.
        collect_every: epochs between two collections of garbage; 0 for none.
    """

    def __init__(
        self,
        chain: Chain,
        stage: Stage,
        *,
        origin: Callable[[], int],
        publish: Callable[[Epoch], None] | None = None,
        send: Callable[[Epoch], None] | None = None,
        versions: Mapping[str, str] | None = None,
        collect_every: int = 8,
    ) -> None:
        self.chain = chain
        self._stage = stage
        self._origin = origin
        self._publish = publish or Publisher(chain.store).publish
        self._send = send
        self._versions = dict(versions or {})
        self._collect_every = collect_every
        self._lock = Lock()
        self._queue: deque[_Unfinished] = deque()
        self._taken: Taken | None = None
        self._position = self._start = self._finished = -1
        self._ended = False
        self._since_collected = 0
        self.collected = Collected(0, 0)

    @property
    def position(self) -> int:
        """Offset of the next message to feed."""
        return self._position

    @property
    def finished(self) -> int:
        """Offset up to which everything is true, published and sent."""
        return self._finished

    @property
    def backlog(self) -> int:
        """Epochs that are not yet true, published and sent."""
        return len(self._queue)

    @property
    def ended(self) -> bool:
        """Whether the input has ended within what was cut."""
        return self._ended

    def open(self, hint: int = 0) -> int:
        """Take over where the chain ends; the end itself is finished by the next steps, before anything new.

        Not while a step is under way in another thread.

        Args:
            hint: an offset near the chain's end, such as the group's committed one; makes the listing shorter.

        Returns:
            The offset of the first message to feed.

        Raises:
            StoreUnclear: call it again.
            ChainDamaged: the partition must stop, with an alarm.
        """
        first = self.chain.origin(self._origin)
        tip = self.chain.tip(hint)
        if tip is not None and tip.start > first:
            self.chain.check_kept(first)
        self._stage.restore(None if tip is None else tip.state)
        with self._lock:
            self._queue.clear()
            self._taken = None
            self._position = self._start = first if tip is None else tip.next
            self._finished = first if tip is None else tip.start
            self._ended = tip is not None and tip.ended
            if tip is not None:
                self._queue.append(_Unfinished(tip.extent, None, tip))
        return self._position

    def feed(self, messages: Sequence[Message]) -> None:
        """Compute.

        Raises:
            ValueError: the messages do not continue at :attr:`position`, or one is missing among them.
            Taken: the partition was lost.
        """
        self._check()
        expected = self._position
        for message in messages:
            if message.offset != expected:
                raise ValueError(f"{self.chain.place}: expected the message at {expected}, found {message.offset}")
            expected += 1
        if messages:
            self._stage.take(messages)
            self._position = expected

    def cut(self, *, ended: bool = False) -> bool:
        """End the epoch here, if a message was fed since the last one; its findings become true by later steps.

        Args:
            ended: the input ends here, if the stage has not seen it itself.

        Raises:
            Taken: the partition was lost.
        """
        self._check()
        if self._position == self._start:
            return False
        frozen = self._stage.freeze()
        self._ended = ended or frozen.ended
        extent = Extent(self._start, self._position, self._ended)
        self._start = self._position
        with self._lock:
            self._queue.append(_Unfinished(extent, frozen))
        return True

    def step(self) -> Step:
        """Do the next thing for the oldest unfinished epoch, and say what was done.

        An epoch is created only when the one before it is published and sent: so only the chain's end can ever be
        unfinished, and whoever comes next finishes it.

        Raises:
            StoreUnclear: it may or may not have been done; step again later.
            Taken: another owner's epoch stands there; nothing of ours counts any more.
            Exception: what `publish` and `send` raise; step again later.
        """
        self._check()
        with self._lock:
            head = self._queue[0] if self._queue else None
        if head is None or (head.due is Step.CREATE and self._collect_due()):
            return self._collect() if self._collect_due() else Step.IDLE
        return self._advance(head)

    def _advance(self, head: _Unfinished) -> Step:
        done = head.due
        if done is Step.CREATE:
            self._create(head)
            head.due = Step.PUBLISH
        elif done is Step.PUBLISH:
            self._publish(_landed(head))
            head.due = Step.SEND
        else:
            if self._send is not None:
                self._send(_landed(head))
            self._finish(head)
        return done

    def _create(self, head: _Unfinished) -> None:
        if head.ours is None:
            assert head.frozen is not None
            state, findings, sends, _ = head.frozen
            place, versions = self.chain.place, self._versions
            data = encode(place, head.extent, state, findings=findings, sends=sends, versions=versions)
            head.ours = Epoch(data, place, head.extent.start, verify=False)
            head.frozen = None
        try:
            self.chain.create(head.ours)
        except Taken as taken:
            self._taken = taken
            raise
        head.landed = head.ours

    def _finish(self, head: _Unfinished) -> None:
        with self._lock:
            if self._queue and self._queue[0] is head:
                self._queue.popleft()
                self._finished = head.extent.next
                self._since_collected += 1

    def _collect_due(self) -> bool:
        return 0 < self._collect_every <= self._since_collected

    def _collect(self) -> Step:
        # Reset first: a store that refuses this must not keep epochs from becoming true.
        self._since_collected = 0
        self.collected = collect(self.chain)
        return Step.COLLECT

    def _check(self) -> None:
        if self._taken is not None:
            raise self._taken


def _landed(head: _Unfinished) -> Epoch:
    assert head.landed is not None, "only what is true may be published or sent"
    return head.landed
