"""What `detectors.plant` puts into a baseline, and takes from it.

Of a device: `grid` (s), `kept`, `rest`, the limits, and `variance` of each component (`code`).  Of a tag: `mean`,
`scale`, `centre.0` and `centre.1` of its value in a row and in the row before, and `loading.0`, `loading.1` of each
component.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.existence import baseline_columns
from detectors.kernels import plant as kernel
from detectors.kernels import slots as k
from detectors.plant_rows import TAG, Fitted

LIMITS = ("limit.spe", "limit.t2", "limit.mewma")
_TAG_COLUMNS = {"unit": "unit", "space": "space", "addr_sub": "sub", "addr": "addr", "name_id": "name"}


class Known(NamedTuple):
    """A device of a baseline and its tags."""

    device: int
    tags: NDArray[Any]


def nothing() -> dict[str, NDArray[Any]]:
    """Columns of BASELINE without a row."""
    return baseline_columns(device=np.zeros(0, np.uint64))


def rows_of(fitted: Iterable[Fitted], grid_s: float) -> dict[str, NDArray[Any]]:
    """Columns of BASELINE."""
    parts = [nothing()]
    for found in fitted:
        parts += [_device_rows(found, grid_s), _tag_rows(found)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _device_rows(found: Fitted, grid_s: float) -> dict[str, NDArray[Any]]:
    m = found.model
    numbers = {
        "grid": grid_s,
        "kept": float(m.kept),
        "rest": m.rest,
        **dict(zip(LIMITS, m.limits.tolist(), strict=True)),
    }
    names = [*numbers, *["variance"] * len(m.variance)]
    code = np.concatenate([np.zeros(len(numbers)), np.arange(len(m.variance))])
    return _columns(found, len(names), names, code, np.concatenate([[*numbers.values()], m.variance]), None)


def _tag_rows(found: Fitted) -> dict[str, NDArray[Any]]:
    m, n = found.model, len(found.tags)
    names = ["mean", "scale", "centre.0", "centre.1"]
    values = [m.mean, m.scale, m.centre[:n], m.centre[n:]]
    codes = [0, 0, 0, 0]
    for part, loading in enumerate(m.loadings):
        names += ["loading.0", "loading.1"]
        values += [loading[:n], loading[n:]]
        codes += [part, part]
    size = n * len(names)
    tags = np.tile(found.tags, len(names))
    return _columns(found, size, np.repeat(names, n), np.repeat(codes, n), np.concatenate(values), tags)


def _columns(found: Fitted, n: int, names: Any, codes: Any, values: Any, tags: Any) -> dict[str, NDArray[Any]]:
    of = {} if tags is None else {name: tags[field] for name, field in _TAG_COLUMNS.items()}
    return baseline_columns(
        device=np.full(n, found.device, np.uint64),
        parameter=np.asarray(names).astype("U24"),
        code=np.asarray(codes).astype(np.uint64),
        value=np.asarray(values, np.float64),
        n=np.full(n, found.rows, np.uint64),
        first=np.full(n, found.first, np.int64),
        last=np.full(n, found.last, np.int64),
        **of,
    )


def models(baseline: Mapping[str, NDArray[Any]]) -> tuple[kernel.Models, list[Known]]:
    """The models of a baseline, and whose they are."""
    device = np.asarray(baseline["device"], np.uint64)
    order = np.argsort(device, kind="stable")
    edges = np.flatnonzero(np.diff(device[order])) + 1
    each = [_model(baseline, rows) for rows in np.split(order, edges) if len(rows)]
    sizes = np.array([[len(tags), len(variance)] for tags, _, variance, *_ in each], np.int64).reshape(-1, 2)
    many = kernel.FEATURES * sizes[:, 0]

    def joined(number: int) -> NDArray[np.float64]:
        return np.concatenate([np.zeros(0), *(np.ravel(part[number]) for part in each)])

    found = kernel.Models(
        tags=_edges(sizes[:, 0]),
        parts=_edges(sizes[:, 1]),
        matrix=_edges(many * sizes[:, 1]),
        places=np.zeros(int(sizes[:, 0].sum()), np.int64),
        mean=joined(3),
        scale=joined(4),
        centre=joined(5),
        loadings=joined(6),
        variance=joined(2),
        kept=joined(9).astype(np.int64),
        rest=joined(7),
        limits=joined(8).reshape(-1, len(LIMITS)),
        work=np.zeros(int(4 * many.max(initial=1))),
    )
    return found, [Known(number, tags) for tags, number, *_ in each]


def _edges(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _model(baseline: Mapping[str, NDArray[Any]], rows: NDArray[np.intp]) -> tuple[Any, ...]:
    """(tags, device, variance, mean, scale, centre, loadings, rest, limits, kept) of the rows of one device."""
    names, value = np.asarray(baseline["parameter"])[rows], np.asarray(baseline["value"], np.float64)[rows]
    code = np.asarray(baseline["code"])[rows].astype(np.int64)
    tag = np.zeros(len(rows), TAG)
    for name, field in _TAG_COLUMNS.items():
        tag[field] = np.asarray(baseline[name])[rows]
    tags = np.unique(tag[names == "mean"])
    place = np.searchsorted(tags, tag) if len(tags) else np.zeros(len(rows), np.int64)
    place = np.minimum(place, max(len(tags) - 1, 0))
    n, parts = len(tags), int((names == "variance").sum())

    def of_tags(name: str, width: int = 1) -> NDArray[np.float64]:
        found = np.zeros((width, n))
        chosen = names == name
        found[code[chosen] if width > 1 or name.startswith("loading") else 0, place[chosen]] = value[chosen]
        return found

    def alone(name: str) -> float:
        found = value[names == name]
        return float(found[0]) if len(found) else 1.0

    variance = np.ones(parts)
    variance[code[names == "variance"]] = value[names == "variance"]
    loadings = np.hstack([of_tags("loading.0", parts), of_tags("loading.1", parts)])
    centre = np.hstack([of_tags("centre.0")[0], of_tags("centre.1")[0]])
    limits = np.array([alone(name) for name in LIMITS])
    number = int(np.asarray(baseline["device"], np.uint64)[rows[0]])
    mean, scale = of_tags("mean")[0], of_tags("scale")[0]
    sound = 0 < parts <= kernel.FEATURES * n and (scale > 0).all() and (variance > 0).all() and (limits > 0).all()
    if not (sound and 1 <= alone("kept") <= parts and alone("rest") > 0 and alone("grid") > 0):
        raise ValueError(f"baseline: the model of device {number} is not whole")
    rest, kept = np.array([alone("rest")]), np.array([alone("kept")])
    return tags, number, variance, mean, scale, centre, loadings, rest, limits, kept


def device_words(known: Sequence[Known]) -> NDArray[np.uint64]:
    """Keys (devices, WORDS)."""
    words = np.zeros((len(known), k.WORDS), np.uint64)
    words[:, 0] = [one.device for one in known]
    return words


def page_words(known: Sequence[Known]) -> NDArray[np.uint64]:
    """The key of the page of each tag, (tags, WORDS), in the order of the models."""
    parts = [np.zeros((0, k.WORDS), np.uint64)]
    for one in known:
        words = np.zeros((len(one.tags), k.WORDS), np.uint64)
        words[:, 0] = one.device
        words[:, 1] = one.tags["unit"].astype(np.uint64) | one.tags["space"].astype(np.uint64) << np.uint64(32)
        words[:, 2], words[:, 3], words[:, 4] = one.tags["sub"], one.tags["name"], one.tags["addr"] >> np.uint64(3)
        parts.append(words)
    return np.concatenate(parts)


def places(known: Sequence[Known]) -> Iterator[tuple[int, int]]:
    """(place in its page, number in its model) of each tag, in the order of the models."""
    for one in known:
        for number, addr in enumerate(one.tags["addr"].tolist()):
            yield addr & 7, number
