"""World: the actors of a simulation, of which one runs at a time, and what happens to them between two steps.

Each actor is a thread, so that the code under test runs as it is; a step ends where that code asks the world for
something, and there the seed decides who goes on.  The same seed gives the same run.
"""

from __future__ import annotations

import _thread
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random
from zlib import crc32


class Crash(BaseException):
    """The process of the actor has been killed."""


class Over(BaseException):
    """The time of trouble is over."""


class Process:
    """A process that can be killed; its actors start again."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.incarnation = 0


class Actor:
    """Something that goes on by itself: `body` runs from the start again when its process was killed."""

    def __init__(self, name: str, process: Process, body: Callable[[], None]) -> None:
        self.name = name
        self.process = process
        self.body = body
        self.gate = _thread.allocate_lock()
        self.gate.acquire()
        self.incarnation = 0
        self.waits: Callable[[], bool] | None = None
        self.weight = 1.0
        self.label = ""
        self.done = False


class World:
    """Who runs when, and what goes wrong.

    Args:
        seed: decides everything.
        ticks: steps until the time of trouble is over.
    """

    def __init__(self, seed: int, ticks: int) -> None:
        self.rng = Random(seed)
        self.ticks = ticks
        self.at = 0
        self.actors: list[Actor] = []
        self.current: Actor | None = None
        self.events: list[tuple[float, Callable[[], None]]] = []
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self.trace = 0
        self.inertia = self.rng.choice((0.3, 0.6, 0.8))
        self._over = True
        self._main = _thread.allocate_lock()
        self._main.acquire()

    def trouble(self) -> None:
        """Run all actors until the time of trouble is over."""
        self._over = False
        for actor in self.actors:
            _thread.start_new_thread(self._life, (actor,))
        self.current = self.actors[0]
        self.current.gate.release()
        self._main.acquire()
        self.current = None

    def pause(self, label: str) -> None:
        """The end of a step: others may run, the process may be killed.  Does nothing once trouble is over."""
        me = self.current
        if me is None:
            return
        me.label = label
        self.trace = crc32(f"{me.name} {label.partition('/.pending')[0]}".encode(), self.trace)
        self.at += 1
        if self.at > self.ticks:
            self._over = True
        if self._over:
            raise Over
        self._happen()
        self._switch(me)

    def wait(self, until: Callable[[], bool]) -> None:
        """Let others run until the condition holds."""
        me = self.current
        assert me is not None
        while not until():
            me.waits = until
            self.pause("wait")
            me.waits = None

    def violated(self, what: str) -> None:
        """Note that a promise was broken."""
        self.violations.append(what)

    def chance(self, of: float) -> bool:
        """Whether something of that probability happens; never, once trouble is over."""
        return self.current is not None and self.rng.random() < of

    def kill(self, process: Process) -> None:
        """Kill a process wherever it stands."""
        process.incarnation += 1
        self.counts["crashes"] += 1
        for actor in self.actors:
            if actor.process is process and actor.label:
                self.counts[f"crash at {_kind(actor.label)}"] += 1

    def _happen(self) -> None:
        drawn = self.rng.random()
        for chance, event in self.events:
            if drawn < chance:
                event()
                return
            drawn -= chance

    def _switch(self, me: Actor) -> None:
        other = self._pick(me)
        if other is not me:
            self.current = other
            other.gate.release()
            me.gate.acquire()
            if self._over:
                raise Over
        if me.incarnation != me.process.incarnation:
            raise Crash

    def _pick(self, me: Actor) -> Actor:
        if me.waits is None and self.rng.random() < self.inertia:
            return me
        ready = [a for a in self.actors if a.waits is None or a.waits() or a.incarnation != a.process.incarnation]
        if not ready:
            return me
        return self.rng.choices(ready, [a.weight for a in ready])[0]

    def _life(self, actor: Actor) -> None:
        actor.gate.acquire()
        try:
            while not self._over:
                actor.incarnation = actor.process.incarnation
                actor.waits = None
                with suppress(Crash):
                    actor.body()
                    self.pause("again")
        except Over:
            pass
        except BaseException:
            self.violated(f"{actor.name}: {traceback.format_exc(limit=-4)}")
            self._over = True
        actor.done = True
        following = next((a for a in self.actors if not a.done), None)
        if following is None:
            self._main.release()
        else:
            self.current = following
            following.gate.release()


def _kind(label: str) -> str:
    """What is done to what: `create epochs`, or `link findings` on a disk; answers are another step than requests."""
    what, _, rest = label.removesuffix(" answered").partition(" ")
    root = rest.removeprefix("/store/").partition("/")[0].partition(" ")[0]
    return f"{what} {root}".strip() + (" answered" if label.endswith(" answered") else "")
