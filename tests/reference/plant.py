"""Plant in plain Python: rows of a grid, three statistics, and who is to blame, from the numbers of a baseline."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detectors.plant_fit import Model

F64 = NDArray[np.float64]


@dataclass
class Plant:
    """One device, whose tags are numbered as in its model."""

    model: Model
    smooth: float
    hysteresis: float
    value: dict[int, tuple[float, int]] = field(default_factory=dict)
    step: int | None = None
    z: F64 | None = None
    spe: float | None = None
    t2: float = 0.0
    drift: F64 | None = None
    over: set[int] = field(default_factory=set)

    def take(self, step: int, values: dict[int, float]) -> list[int] | None:
        """The tags to blame, the worst first, where a row was completed: none where it is normal; None for no row."""
        blamed = None
        if self.step is None or step > self.step:
            if self.step is not None:
                blamed = self._complete(self.step, step)
            self.step = step
        self.value |= {tag: (x, step) for tag, x in values.items()}
        return blamed

    def _complete(self, row: int, step: int) -> list[int]:
        m, n = self.model, len(self.model.mean)
        z = np.zeros(n)
        for tag, (x, seen) in self.value.items():
            if row - seen < 6:
                z[tag] = max(-20.0, min(20.0, (x - m.mean[tag]) / m.scale[tag]))
        before, self.z = self.z, z
        if before is None:
            return []
        features = np.concatenate([z, before]) - m.centre
        scores = m.loadings @ features
        kept = scores[: m.kept]
        error, t2 = float((features**2).sum() - (kept**2).sum()), float((kept**2 / m.variance[: m.kept]).sum())
        first = self.spe is None
        self.spe = error if self.spe is None else self.spe + self.smooth * (error - self.spe)
        self.t2 = t2 if first else self.t2 + self.smooth * (t2 - self.t2)
        drift = np.zeros(2 * n) if self.drift is None else self.drift
        self.drift = drift = drift + self.smooth * (features - drift)
        of = m.loadings @ drift
        mewma = float((of**2 / m.variance).sum()) + max(float((drift**2).sum() - (of**2).sum()), 0.0) / m.rest
        shares = np.array([self.spe, self.t2, mewma]) / m.limits
        self.over = {k for k in range(3) if shares[k] > (self.hysteresis if k in self.over else 1.0)}
        if step - row >= 6:
            self.z, self.spe = None, None
        if not self.over:
            return []
        left = features - m.loadings[: m.kept].T @ kept
        weights = left if shares[0] >= max(shares[1:]) else drift
        return np.argsort(-(weights[:n] ** 2 + weights[n:] ** 2), kind="stable")[:3].tolist()
