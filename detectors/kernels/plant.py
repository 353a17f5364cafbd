"""Plant: the values of a device's tags together, on a grid of record time, against a linear model of how they move.

The model is a principal component analysis of each row of the grid beside the row before it.  Three statistics are held
against their limits: the squared prediction error, smoothed; Hotelling's T² of the components, smoothed; and the
multivariate EWMA (Lowry et al. 1992) with the covariance that all components give, shrunk (Ledoit and Wolf 2004).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.evidence import emit
from detectors.kernels.seen import about_device, about_tag, is_open
from detectors.kernels.slots import UNSET, find, hash_words, is_key
from detectors.kernels.wide import PART
from schemas.codes import Direction, Quality, Severity

TYPE_DEVIATION = 1001
TYPE_CONTRIBUTOR = 1002

PAGE = 8
"""Tags to a page."""
FEATURES = 2
"""Numbers that a tag gives to a row: its value, and that of the row before."""

GROUP = np.dtype(
    [
        ("step", np.int64),
        ("model", np.int32),
        ("rows", np.int32),
        ("since", np.int64),
        ("spe", np.float64),
        ("t2", np.float64),
        ("alarmed", np.uint8),
    ]
)
"""Held for a device: the step of the grid that is being filled, its model (-1 for none), rows in sequence scored (-1:
none before), start of its evidence window, smoothed statistics, and which statistics are beyond their limits (bits)."""

TAG = np.dtype(
    [
        ("value", np.float64),
        ("step", np.int64),
        ("z", np.float64),
        ("now", np.float64),
        ("before", np.float64),
        ("index", np.int32),
        ("due", np.uint8),
    ],
    align=True,
)
"""Held for a tag: its latest value and that value's step; its standardised value in the row before; the multivariate
EWMA's two entries; its number in the model (-1 for none); whether its next value is evidence (DEVIATING, FURTHER)."""

DEVIATING = 1
FURTHER = 2

STALE = 6
"""Steps after which a value that was not reported again counts as the mean."""
CLIP = 20.0
"""Standard deviations that are the most that a value counts for."""
CONTRIBUTORS = 3
"""Tags that are named."""

READ = int(Direction.READ)
REPORT = int(Direction.REPORT)
UNUSABLE = np.uint16(int(Quality.ADDRESS_UNKNOWN | Quality.INVALID) | PART)
"""Qualities of values that no row is made of."""
_LOW = int(Severity.LOW)
_MEDIUM = int(Severity.MEDIUM)
HUGE = 1e150
"""Beyond it, squares are no numbers."""
_ZERO = np.uint64(0)


class Wire(NamedTuple):
    """The record columns that rows are made of; see `schemas.record`."""

    ts: NDArray[np.int64]
    device: NDArray[np.uint64]
    unit: NDArray[np.uint32]
    offsets: NDArray[np.int32]


class Values(NamedTuple):
    """The point columns; see `schemas.record`."""

    space: NDArray[np.uint16]
    addr: NDArray[np.uint64]
    addr_sub: NDArray[np.uint32]
    name_id: NDArray[np.uint64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint16]
    direction: NDArray[np.uint8]


class Models(NamedTuple):
    """The models of all devices, one after the other.

    Attributes:
        tags: int64 (models + 1,), where each model's tags begin.
        parts: int64 (models + 1,), where each model's components begin.
        matrix: int64 (models + 1,), where each model's loadings begin: components x 2 tags.
        places: int64 (tags,), row of TAG of each tag.
        mean, scale: float64 (tags,), of its values.
        centre: float64 (2 tags,), mean of each feature: of all tags now, then of all tags before, model by model.
        loadings: float64, see `matrix`.
        variance: float64 (components,), of each component.
        kept: int64 (models,), components that T² is made of; what the others hold is the prediction error.
        rest: float64 (models,), variance of a feature in what all components leave.
        limits: float64 (models, 3), of SPE, T² and MEWMA.
        work: float64, at least four times the features of the largest model.
    """

    tags: NDArray[np.int64]
    parts: NDArray[np.int64]
    matrix: NDArray[np.int64]
    places: NDArray[np.int64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    centre: NDArray[np.float64]
    loadings: NDArray[np.float64]
    variance: NDArray[np.float64]
    kept: NDArray[np.int64]
    rest: NDArray[np.float64]
    limits: NDArray[np.float64]
    work: NDArray[np.float64]


class Settings(NamedTuple):
    """Settings, as numbers; meaning as in `detectors.plant.Params`."""

    grid_ns: int
    smooth: float
    hysteresis: float
    window_ns: int
    rearm_ns: int


@kernel()
def _standard(x: Any, mean: Any, scale: Any) -> Any:
    """A value in standard deviations from its mean, at most CLIP."""
    return max(-CLIP, min(CLIP, (x - mean) / scale))


@kernel()
def project(models: Any, model: Any, features: Any, scores: Any) -> Any:
    """(squared prediction error, T², Mahalanobis distance squared) of a vector of features.

    Args:
        models, model: Models and the one of them.
        features: where the vector lies in the work vector.
        scores: where its scores are to be put there.
    """
    work = models.work
    part = models.parts[model]
    parts = models.parts[model + 1] - part
    n = FEATURES * (models.tags[model + 1] - models.tags[model])
    error = 0.0
    for j in range(n):
        error += work[features + j] * work[features + j]
    left = error
    t2 = 0.0
    whole = 0.0
    for k in range(parts):
        row = models.matrix[model] + k * n
        t = 0.0
        for j in range(n):
            t += models.loadings[row + j] * work[features + j]
        work[scores + k] = t
        left -= t * t
        whole += t * t / models.variance[part + k]
        if k < models.kept[model]:
            error -= t * t
            t2 = whole
    return error, t2, whole + max(left, 0.0) / models.rest[model]


@kernel()
def _row(held: Any, models: Any, model: Any, step: Any) -> Any:
    """Fill the work vector with the features of the row that ends at `step`; standardised values move on."""
    first = models.tags[model]
    n = models.tags[model + 1] - first
    work = models.work
    for i in range(n):
        tag = models.places[first + i]
        z = 0.0
        if step - held["step"][tag] < STALE:
            z = _standard(held["value"][tag], models.mean[first + i], models.scale[first + i])
        work[i] = z - models.centre[FEATURES * first + i]
        work[n + i] = held["z"][tag] - models.centre[FEATURES * first + n + i]
        held["z"][tag] = z
    return n


@kernel()
def _name(held: Any, models: Any, model: Any, n: Any) -> None:
    """Let the next values of the tags that weigh most be evidence; their weights lie at the work vector's end."""
    first = models.tags[model]
    weights = 3 * FEATURES * n
    for i in range(n):
        held["due"][models.places[first + i]] = 0
    for place in range(min(CONTRIBUTORS, n)):
        best = -1
        most = 0.0
        for i in range(n):
            if models.work[weights + i] > most:
                best = i
                most = models.work[weights + i]
        if best < 0:
            return
        held["due"][models.places[first + best]] = DEVIATING if place == 0 else FURTHER
        models.work[weights + best] = 0.0


@kernel()
def _smoothed(before: Any, x: Any, rows: Any, smooth: Any) -> Any:
    return x if rows == 0 else before + smooth * (x - before)


@kernel()
def score(groups: Any, group: Any, held: Any, models: Any, settings: Any, found: Any) -> None:
    """Score a whole row, of which the features lie in the work vector.

    Args:
        groups, group: GROUP rows and the one that is scored.
        held: TAG rows.
        models, settings: Models and Settings.
        found: float64 (3,), filled with the statistics as shares of their limits.
    """
    model = groups["model"][group]
    first = models.tags[model]
    n = models.tags[model + 1] - first
    many = FEATURES * n
    work = models.work
    error, t2, _ = project(models, model, 0, many)
    rows = groups["rows"][group]
    groups["spe"][group] = _smoothed(groups["spe"][group], error, rows, settings.smooth)
    groups["t2"][group] = _smoothed(groups["t2"][group], t2, rows, settings.smooth)
    for i in range(n):
        tag = models.places[first + i]
        held["now"][tag] += settings.smooth * (work[i] - held["now"][tag])
        held["before"][tag] += settings.smooth * (work[n + i] - held["before"][tag])
        work[2 * many + i] = held["now"][tag]
        work[2 * many + n + i] = held["before"][tag]
    _, _, mewma = project(models, model, 2 * many, 3 * many)
    found[0] = groups["spe"][group] / models.limits[model, 0]
    found[1] = groups["t2"][group] / models.limits[model, 1]
    found[2] = mewma / models.limits[model, 2]
    groups["rows"][group] = min(rows + 1, 1 << 30)


@kernel()
def _weigh(models: Any, model: Any, n: Any, by_error: Any) -> None:
    """What each tag has to do with it, to the work vector's end: by what the components leave, or by its drift."""
    work = models.work
    many = FEATURES * n
    for i in range(n):
        if by_error:
            total = 0.0
            for j in range(i, many, n):
                left = work[j]
                for k in range(models.kept[model]):
                    left -= work[many + k] * models.loadings[models.matrix[model] + k * many + j]
                total += left * left
            work[3 * many + i] = total
        else:
            work[3 * many + i] = work[2 * many + i] ** 2 + work[2 * many + n + i] ** 2


@kernel()
def _complete(groups: Any, group: Any, held: Any, models: Any, settings: Any, found: Any, ts: Any, step: Any) -> None:
    """The row of the grid that is being filled is whole, since a record of `step` has come."""
    model = groups["model"][group]
    before = groups["step"][group]
    groups["step"][group] = step
    if before == UNSET:
        return
    n = _row(held, models, model, before)
    if groups["rows"][group] < 0:
        groups["rows"][group] = 0
        return
    score(groups, group, held, models, settings, found)
    if step - before >= STALE:
        groups["rows"][group] = -1
    alarmed = 0
    for k in range(3):
        bound = settings.hysteresis if (groups["alarmed"][group] >> k) & 1 else 1.0
        if found[k] > bound:
            alarmed |= 1 << k
    groups["alarmed"][group] = alarmed
    if alarmed != 0 and is_open(groups["since"], group, ts, settings.window_ns, settings.rearm_ns):
        _weigh(models, model, n, found[0] >= max(found[1], found[2]))
        _name(held, models, model, n)


@kernel()
def plants(
    start: Any, wire: Any, points: Any, devices: Any, groups: Any, pages: Any, held: Any, models: Any, settings: Any,
    found: Any, out: Any,
) -> Any:  # fmt: skip
    """Take in the records from `start` on, until they end or there is no more room for evidence.

    Args:
        start: first record.
        wire, points: Wire and Values.
        devices, groups: `slots.Table` of devices with a model, and GROUP by slot.
        pages, held: `slots.Table` of pages of their tags, and TAG, eight to a slot.
        models, settings: Models and Settings.
        found: float64 (3,), scratch.
        out: `evidence.Evidence`.

    Returns:
        The record to go on with; the number of records where all are done.
    """
    group = np.int64(-1)
    page = np.int64(-1)
    for i in range(start, len(wire.ts)):
        n = np.int64(wire.offsets[i + 1]) - np.int64(wire.offsets[i])
        if out.filled[0] + n > len(out.marks):
            return i
        if n == 0:
            continue
        device, ts = wire.device[i], wire.ts[i]
        if group < 0 or devices.keys[group, 0] != device:
            group = find(devices, hash_words(device, _ZERO, _ZERO, _ZERO, _ZERO), device, _ZERO, _ZERO, _ZERO, _ZERO)
            if group < 0:
                continue
        if groups["model"][group] < 0:
            continue
        step = ts // settings.grid_ns
        if step > groups["step"][group]:
            _complete(groups, group, held, models, settings, found, ts, step)
        for j in range(wire.offsets[i], wire.offsets[i + 1]):
            if points.direction[j] not in (READ, REPORT) or (points.quality[j] & UNUSABLE) != 0:
                continue
            x = points.value[j]
            if not (abs(x) <= HUGE):
                continue
            addr = points.addr[j]
            w1 = np.uint64(wire.unit[i]) | np.uint64(points.space[j]) << np.uint64(32)
            w2, w3, w4 = np.uint64(points.addr_sub[j]), points.name_id[j], addr >> np.uint64(3)
            if page < 0 or not is_key(pages.keys, page, device, w1, w2, w3, w4):
                page = find(pages, hash_words(device, w1, w2, w3, w4), device, w1, w2, w3, w4)
                if page < 0:
                    continue
            tag = page * PAGE + np.int64(addr & np.uint64(7))
            index = np.int64(held["index"][tag])
            if index < 0:
                continue
            held["value"][tag] = x
            held["step"][tag] = step
            if held["due"][tag] == 0:
                continue
            at = models.tags[groups["model"][group]] + index
            low = models.mean[at] - 3.0 * models.scale[at]
            high = models.mean[at] + 3.0 * models.scale[at]
            parent = about_device(TYPE_DEVIATION, device)
            if held["due"][tag] == DEVIATING:
                emit(out, i, j, TYPE_DEVIATION, _MEDIUM, parent, _ZERO, low, high, x)
            else:
                about = about_tag(TYPE_CONTRIBUTOR, device, w1, w2, w3, addr)
                emit(out, i, j, TYPE_CONTRIBUTOR, _LOW, about, parent, low, high, x)
            held["due"][tag] = 0
    return len(wire.ts)
