"""Interrupts: the first Ctrl-C ends a run in good order, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """While entered, SIGINT and SIGTERM are noted instead of raised; the next one raises KeyboardInterrupt.

    Attributes:
        signal: number of the signal that came, 0 for none.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._former: dict[signal.Signals, Any] = {}

    def requested(self) -> bool:
        """Whether to stop."""
        return self.signal != 0

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells count."""
        return 128 + self.signal if self.signal else 0

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number
        os.write(2, b"fieldtap: stopping in good order; once more to stop at once\n")
