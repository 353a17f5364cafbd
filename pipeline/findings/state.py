"""The state of device buckets as plain arrays, rows in the order (bucket, device, finding type, key)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.base import State
from pipeline.findings.bucket import Bucket
from pipeline.findings.window import FUNCTION_LIMIT, Identity, Pointer, Subject, Window
from schemas.alert import EVIDENCE_LIMIT

_NO_TIME = np.iinfo(np.int64).min
_NUMBERS: dict[str, type[Any]] = {
    "start": np.int64,
    "parent_key": np.uint64,
    "uid": np.uint64,
    "parent_uid": np.uint64,
    "count": np.int64,
    "severity": np.int64,
    "rank": np.int64,
    "first": np.int64,
    "last": np.int64,
    "low": np.float64,
    "high": np.float64,
    "observed": np.float64,
    "extent": np.float64,
    "alerting": np.int64,
    "told": np.int64,
}
_SUBJECT = tuple(name for name in Subject._fields if name not in ("client", "server"))


def pack(buckets: Mapping[int, Bucket], taught: Sequence[tuple[Identity, float]] = ()) -> State:
    """Arrays of `buckets`, and of what marks have taught; the same state gives the same bytes."""
    numbers = sorted(buckets)
    held = [(n, w) for n in numbers for _, w in sorted(buckets[n].windows.items())]
    windows = [w for _, w in held]
    state: State = {
        "bucket": np.array(numbers, np.int64),
        "bucket_time": np.array([_time(buckets[n]) for n in numbers], np.int64),
        "bucket_dropped": np.array([buckets[n].dropped for n in numbers], np.int64),
        "of_bucket": np.array([n for n, _ in held], np.int64),
        "identity": np.array([w.identity for w in windows], np.uint64).reshape(-1, 3),
        "subject": np.array([[getattr(w.subject, n) for n in _SUBJECT] for w in windows], np.uint64).reshape(
            -1, len(_SUBJECT)
        ),
        "addresses": np.frombuffer(b"".join(w.subject.client + w.subject.server for w in windows), np.uint8).reshape(
            -1, 32
        ),
        "functions": _padded([w.functions for w in windows], FUNCTION_LIMIT),
        "pointers": _padded([[n for p in w.pointers for n in p] for w in windows], EVIDENCE_LIMIT * 5),
        "functions_n": np.array([len(w.functions) for w in windows], np.int64),
        "pointers_n": np.array([len(w.pointers) for w in windows], np.int64),
        "taught": np.array([identity for identity, _ in taught], np.uint64).reshape(-1, 3),
        "taught_extent": np.array([extent for _, extent in taught], np.float64),
    }
    for name, kind in _NUMBERS.items():
        state[name] = np.array([getattr(w, name) for w in windows], kind)
    return state


def unpack(state: Mapping[str, NDArray[Any]]) -> dict[int, Bucket]:
    """Buckets of a snapshot; what follows from the site (maintenance) is not in it."""
    buckets: dict[int, Bucket] = {}
    times, dropped = state["bucket_time"].tolist(), state["bucket_dropped"].tolist()
    for number, time, lost in zip(state["bucket"].tolist(), times, dropped, strict=True):
        buckets[number] = Bucket(time=None if time == _NO_TIME else time, dropped=lost)
    for i, number in enumerate(state["of_bucket"].tolist()):
        buckets[number].hold(_window(state, i))
    return buckets


def taught_of(state: Mapping[str, NDArray[Any]]) -> Iterator[tuple[Identity, float]]:
    """What marks had taught; nothing in a state that is older than teaching."""
    for identity, extent in zip(state.get("taught", ()), state.get("taught_extent", ()), strict=True):
        device, what, key = identity.tolist()
        yield (device, what, key), float(extent)


def _time(bucket: Bucket) -> int:
    return _NO_TIME if bucket.time is None else bucket.time


def _padded(rows: list[list[int]], width: int) -> NDArray[np.uint64]:
    out = np.zeros((len(rows), width), np.uint64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def _window(state: Mapping[str, NDArray[Any]], i: int) -> Window:
    device, what, key = state["identity"][i].tolist()
    addresses = state["addresses"][i].tobytes()
    facts = dict(zip(_SUBJECT, state["subject"][i].tolist(), strict=True))
    values = {name: state[name][i].item() for name in _NUMBERS}
    values["alerting"], values["told"] = bool(values["alerting"]), bool(values["told"])
    pointers = state["pointers"][i].reshape(-1, 5)[: int(state["pointers_n"][i])].tolist()
    return Window(
        identity=(device, what, key),
        subject=Subject(client=addresses[:16], server=addresses[16:], **facts),
        functions=state["functions"][i, : int(state["functions_n"][i])].tolist(),
        pointers=[Pointer(*p) for p in pointers],
        **values,
    )
