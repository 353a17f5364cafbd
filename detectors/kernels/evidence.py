"""Evidence: alerts as kernels give them, row by row into arrays of the caller."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel


class Evidence(NamedTuple):
    """Alerts as they come, at most as many as the arrays are long.

    Attributes:
        filled: int64 (1,), alerts so far.
        marks: int64 (n, 5), row, finding type, severity, point, outcome.
        about: uint64 (n, 2), key and parent.
        numbers: float64 (n, 3), low, high, observed.
    """

    filled: NDArray[np.int64]
    marks: NDArray[np.int64]
    about: NDArray[np.uint64]
    numbers: NDArray[np.float64]


@kernel()
def report(out: Any, row: Any, what: Any, severity: Any, outcome: Any, key: Any, parent: Any) -> None:
    """Add an alert without a value."""
    at = out.filled[0]
    out.marks[at, 0] = row
    out.marks[at, 1] = what
    out.marks[at, 2] = severity
    out.marks[at, 3] = -1
    out.marks[at, 4] = outcome
    out.about[at, 0] = key
    out.about[at, 1] = parent
    out.numbers[at, :] = np.nan
    out.filled[0] = at + 1


@kernel()
def emit(
    out: Any, row: Any, point: Any, what: Any, severity: Any, key: Any, parent: Any, low: Any, high: Any, observed: Any
) -> None:
    """Add an alert about a value."""
    at = out.filled[0]
    out.marks[at, 0] = row
    out.marks[at, 1] = what
    out.marks[at, 2] = severity
    out.marks[at, 3] = point
    out.marks[at, 4] = 0
    out.about[at, 0] = key
    out.about[at, 1] = parent
    out.numbers[at, 0] = low
    out.numbers[at, 1] = high
    out.numbers[at, 2] = observed
    out.filled[0] = at + 1
