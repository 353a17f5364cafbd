"""Fit: the linear model of a device's tags, from rows of clean traffic, by scikit-learn.

The limits are what the statistics reach in rows that a model has not seen: the rows are cut into blocks, five models
leave out every fifth block each, and score it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.kernels.plant import CLIP, STALE

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

VARIANCE = 0.995
"""Share of the variance that the components keep; FEW_VARIANCE where there are fewer than FEW rows to a feature."""
FEW_VARIANCE = 0.9
FEW = 10
FOLDS = 5
BLOCKS = 40
LEAST_BLOCK = 30
LEAST_ROWS = 150
"""Rows without which nothing is fitted."""
SWINGS = 16
SMOOTHED = 5
MOVES = 0.5
"""Share of rows that show a change, from which a tag is a quantity that moves."""
LEAST_SCALE = 0.01
"""A standard deviation counts as at least this share of the range."""
SHARES = (1.0, 1.15, 0.96)
"""Of the margin, for SPE, T² and MEWMA: single components have heavier tails than sums of many,
and sums over time lighter ones."""
_WARM = 20
"""Rows that smoothing needs before a block."""


@dataclass(frozen=True, slots=True)
class Model:
    """Arrays as in `detectors.kernels.plant.Models`, for n tags and r components.

    Attributes:
        keep: bool (all tags,), those that the model has.
        mean, scale: (n,).
        centre: (2n,).
        loadings: (r, 2n).
        variance: (r,), shrunk.
        kept: components that T² is made of.
        rest: variance of a feature in what all components leave.
        limits: (3,), of SPE, T² and MEWMA.
    """

    keep: NDArray[np.bool_]
    mean: F64
    scale: F64
    centre: F64
    loadings: F64
    variance: F64
    kept: int
    rest: float
    limits: F64


def drifting(rows: F64) -> NDArray[np.bool_]:
    """Quantities that crossed their mean fewer than SWINGS times: where their level belongs was not seen.

    Counted in means of SMOOTHED rows, so that noise about a drift is no swing.  What rests most of the time, such as a
    pump that seldom runs, is a state and belongs where it rests.
    """
    moves = (np.diff(rows, axis=0) != 0).mean(axis=0) >= MOVES
    whole = len(rows) // SMOOTHED * SMOOTHED
    means = rows[:whole].reshape(-1, SMOOTHED, rows.shape[1]).mean(axis=1) - rows.mean(axis=0)
    crossed = (np.diff(np.sign(means), axis=0) != 0).sum(axis=0)
    return np.asarray(moves & (crossed < min(SWINGS, len(means) // 5)))


def usable(rows: F64) -> NDArray[np.bool_]:
    """Tags that move, and do not only rise or only fall: a counter's level says nothing of the process."""
    steps = np.diff(rows, axis=0)
    ups, downs = (steps > 0).sum(axis=0), (steps < 0).sum(axis=0)
    one_way = (ups + downs > 5) & (100 * np.minimum(ups, downs) <= np.maximum(ups, downs))
    found: NDArray[np.bool_] = (rows.max(axis=0) > rows.min(axis=0)) & ~one_way & ~drifting(rows)
    return found


def fit(steps: I64, rows: F64, smooth: float, margin: float) -> Model | None:
    """A model of rows (steps, tags) at ascending steps of the grid; None where they are too few, or nothing moves."""
    if len(rows) < LEAST_ROWS:
        return None
    keep = usable(rows)
    rows = rows[:, keep]
    if rows.shape[1] < 2:
        return None
    spread = rows.max(axis=0) - rows.min(axis=0)
    mean, scale = rows.mean(axis=0), np.maximum(rows.std(axis=0), LEAST_SCALE * spread)
    z = np.clip((rows - mean) / scale, -CLIP, CLIP)
    features = np.hstack([z[1:], z[:-1]])[np.diff(steps) < STALE]
    if len(features) < LEAST_ROWS:
        return None
    reached = np.zeros(3)
    for learned, judged in _folds(len(features)):
        part = _components(features[learned])
        for start, stop in judged:
            scores = _scores(features[max(0, start - _WARM) : stop], part, smooth)
            reached = np.maximum(reached, scores[min(start, _WARM) :].max(axis=0))
    centre, loadings, variance, kept, rest = _components(features)
    if not (reached > 0).all():
        return None
    return Model(keep, mean, scale, centre, loadings, variance, kept, rest, margin * np.array(SHARES) * reached)


def _folds(n: int) -> Iterator[tuple[NDArray[np.bool_], list[tuple[int, int]]]]:
    """(rows to learn of, blocks to judge), FOLDS times."""
    size = max(n // BLOCKS, LEAST_BLOCK)
    blocks = [(start, min(n, start + size)) for start in range(0, n, size)]
    for fold in range(FOLDS):
        judged = blocks[fold::FOLDS]
        learned = np.ones(n, np.bool_)
        for start, stop in judged:
            learned[start:stop] = False
        if judged and learned.any():
            yield learned, judged


Components = tuple[F64, F64, F64, int, float]
"""(centre, loadings, variance of each component, components kept, variance of a feature in the rest)"""


def _components(features: F64) -> Components:
    from sklearn.covariance import ledoit_wolf
    from sklearn.decomposition import PCA

    found = PCA(svd_solver="full").fit(features)
    share = FEW_VARIANCE if len(features) < FEW * features.shape[1] else VARIANCE
    kept = int(np.searchsorted(np.cumsum(found.explained_variance_ratio_), share)) + 1
    covariance, shrinkage = ledoit_wolf(features)
    spherical = float(np.trace(covariance)) / features.shape[1]
    variance = (1 - shrinkage) * np.asarray(found.explained_variance_, np.float64) + shrinkage * spherical
    least = max(1e-6 * float(variance.max()), 1e-12)
    variance = np.maximum(variance, least)
    return found.mean_, found.components_, variance, min(kept, len(variance)), max(shrinkage * spherical, least)


def _scores(features: F64, part: Components, smooth: float) -> F64:
    """The three statistics of each row, as the kernel computes them."""
    centre, loadings, variance, kept, rest = part
    x = features - centre
    t = x @ loadings.T
    spe = (x**2).sum(axis=1) - (t[:, :kept] ** 2).sum(axis=1)
    t2 = (t[:, :kept] ** 2 / variance[:kept]).sum(axis=1)
    found = np.empty((len(x), 3))
    drift = np.zeros(x.shape[1])
    for i in range(len(x)):
        drift += smooth * (x[i] - drift)
        u = loadings @ drift
        left = max((drift**2).sum() - (u**2).sum(), 0.0)
        found[i, 2] = (u**2 / variance).sum() + left / rest
        for k, new in ((0, spe[i]), (1, t2[i])):
            found[i, k] = new if i == 0 else found[i - 1, k] + smooth * (new - found[i - 1, k])
    return found


def grid(steps: I64, tags: I64, values: F64, n_tags: int, most_rows: int) -> tuple[I64, F64]:
    """Rows of the grid from values in the order of the stream: (steps, rows), each value held until the next.

    Args:
        steps, tags, values: (n,), step of the grid and number of the tag of each value.
        n_tags: tags.
        most_rows: rows that are kept, the latest.
    """
    at, row = np.unique(steps, return_inverse=True)
    rows = np.full((len(at), n_tags), np.nan)
    rows[row.reshape(-1), tags] = values
    for i in range(1, len(rows)):
        if at[i] - at[i - 1] < STALE:
            rows[i] = np.where(np.isnan(rows[i]), rows[i - 1], rows[i])
    whole = ~np.isnan(rows).any(axis=1)
    return at[whole][-most_rows:], rows[whole][-most_rows:]
