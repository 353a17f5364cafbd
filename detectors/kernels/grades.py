"""Grades: how large a step is normal, and how grave what goes beyond a bound."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import kernel
from detectors.kernels.settle import CONSTANT, COUNTER, unwrapped
from schemas.codes import PointType, Severity

_BOOL = int(PointType.BOOL)
_LOW = int(Severity.LOW)
_MEDIUM = int(Severity.MEDIUM)
_HIGH = int(Severity.HIGH)


@kernel()
def grade_range(hot: Any, cold: Any, tag: Any, x: Any, kind: Any) -> Any:
    """Severity of a value outside its range: by how far, as a share of the range."""
    if hot["kind"][tag] == CONSTANT:
        return _LOW if kind == _BOOL else _MEDIUM
    width = cold["high"][tag] - cold["low"][tag]
    over = max(x - cold["high"][tag], cold["low"][tag] - x)
    if over >= 0.5 * width:
        return _HIGH
    return _MEDIUM if over >= 0.25 * width else _LOW


@kernel()
def grade_jump(size: Any, reach: Any) -> Any:
    """Severity of a step of `size` where `reach` is normal."""
    if size >= 4.0 * reach:
        return _HIGH
    return _MEDIUM if size >= 1.5 * reach else _LOW


@kernel()
def jump_limit(hot: Any, tag: Any, x: Any, ts: Any, kind: Any) -> Any:
    """(size of the step to `x`, largest normal one); longer silence than learned allows more, in proportion."""
    d = x - hot["last"][tag]
    if hot["kind"][tag] == COUNTER:
        d = unwrapped(d, kind)
    limit = hot["reach"][tag]
    silence = ts - hot["seen"][tag]
    gap = hot["gap"][tag]
    if gap > 0 and silence > gap:
        limit = limit * (np.float64(silence) / np.float64(gap))
    return abs(d), limit
