"""The cases of golden captures: functions that give packets; the docstring of each goes into its README."""

from __future__ import annotations

from collections.abc import Callable

from tests.decode.packets import Packet

Case = Callable[[], list[Packet]]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    """Register a case by its name, which begins with that of its protocol."""
    CASES[function.__name__] = function
    return function
