"""Overlap: what is made in a thread of its own, while the thread that asked for it works on what came before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_WAITING = 2
"""Things that may wait to be taken: one that is due, one that covers for it."""


class _End:
    """The last thing in the queue, and what ended it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Overlap(Generic[T]):
    """The things of an iterator, in order; an error of its making is raised where the thing would have come.

    The thread begins when the first thing is asked for, and ends with the iterator, or with :meth:`close`.
    """

    def __init__(self, made: Iterator[T], name: str) -> None:
        self._made = made
        self._waiting: queue.Queue[T | _End] = queue.Queue(_WAITING)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._make, name=name, daemon=True)
        self._started = False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._closed.is_set():
            raise StopIteration
        if not self._started:
            self._started = True
            self._thread.start()
        item = self._waiting.get()
        if not isinstance(item, _End):
            return item
        self._closed.set()
        self._thread.join()
        if item.error is not None:
            raise item.error
        raise StopIteration

    def close(self) -> None:
        """Make no more; what waits is let go."""
        self._closed.set()
        while self._started and self._thread.is_alive():
            self._drop()
            self._thread.join(0.01)
        self._drop()

    def _drop(self) -> None:
        try:
            while True:
                self._waiting.get_nowait()
        except queue.Empty:
            pass

    def _make(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._made:
                if self._closed.is_set():
                    return
                self._waiting.put(item)
                del item
        except BaseException as caught:  # raised again where it is noticed
            error = caught
        self._waiting.put(_End(error))
