"""Writing eight neighbours of a column at once.

Columns have room for it behind their last element (`layout.PT`): what is written too much is written again by the
next run, or never looked at.  Callers check that the eight begin within the column, and what is read.
"""

from __future__ import annotations

from typing import Any

from detectors.jit import LANES, is_checked, kernel, wide_stores
from pipeline.decode.bytes import Bytes, be16


@kernel(inline=True)
def _fill(array: Any, at: int, value: int) -> int:
    for i in range(LANES):
        array[at + i] = value
    return 0


@kernel(inline=True)
def _ramp(array: Any, at: int, first: int, step: int) -> int:
    for i in range(LANES):
        array[at + i] = first + i * step
    return 0


@kernel(inline=True)
def _widen(data: Bytes, at: int, array: Any, place: int) -> int:
    for i in range(LANES):
        array[place + i] = float(be16(data, at + 2 * i))
    return 0


fill, ramp, widen = (_fill, _ramp, _widen) if is_checked() else wide_stores()
"""Wide stores, element by element where indices are checked; their meaning is in `detectors.jit.wide_stores`."""
