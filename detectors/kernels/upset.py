"""Upset: what the tags of a device do together, and whether somebody told the device to.

A device has a page of its own among those of its tags: its first row holds when it was last told to change, and which
tags alarmed lately.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.evidence import emit
from detectors.kernels.learning import PAGE, REPORTED, WRITTEN, clear
from detectors.kernels.mix import mix
from detectors.kernels.seen import about_tag
from detectors.kernels.slots import find, hash_words, insert
from detectors.kernels.still import NEVER
from detectors.kernels.words import popcount
from schemas.codes import Severity

TYPE_STUCK = 306
TYPE_REST = 308
TYPE_SEVERAL = 311
SEVERAL = 5
"""So many tags of one device may alarm within TOGETHER_NS; more of them are one finding about the device."""
TOGETHER_NS = 10_000_000_000
COMMANDED_NS = 120_000_000_000
"""How long after a normal command, or a restart, what a device does weighs one severity less, if it is not high; what
weighed low anyway is withheld, counted.  That something stands still is no answer to a command."""

_DEVICE_SIDE = np.uint64(3 << 48)
_WRITTEN_SIDE = np.uint64(WRITTEN << 48)
_REPORTED_SIDE = np.uint64(REPORTED << 48)
_PLACE = np.uint64((1 << 48) - 1)
_NONE = np.uint64(0)
_LOW = int(Severity.LOW)
_MEDIUM = int(Severity.MEDIUM)
_HIGH = int(Severity.HIGH)


class Tags(NamedTuple):
    """What is held of tags, eight to a page; see `detectors.kernels.settle` and `detectors.kernels.drift`.

    `withheld` counts what was too light to be told, (1,).
    """

    hot: NDArray[Any]
    cold: NDArray[Any]
    drift: NDArray[Any]
    withheld: NDArray[np.int64]


@kernel()
def device_tag(table: Any, tags: Any, device: Any, lengths: Any) -> Any:
    """The row of a device, made where there is none; -1 where there is no room."""
    h = hash_words(device, _DEVICE_SIDE, _NONE, _NONE, _NONE)
    page = find(table, h, device, _DEVICE_SIDE, _NONE, _NONE, _NONE)
    if page >= 0:
        return page * PAGE
    page = insert(table, lengths.limit, True, _NONE, h, device, _DEVICE_SIDE, _NONE, _NONE, _NONE)
    if page < 0:
        return np.int64(-1)
    clear(tags.hot, page)
    at = page * PAGE
    tags.hot["seen"][at] = NEVER
    tags.cold["since"][at] = NEVER
    tags.cold["bits"][at] = 0
    return at


@kernel()
def tag_of(table: Any, hot: Any, of: Any, side: Any) -> Any:
    """The row of what was written to a tag, or of what the device reports of it; -1 where there was nothing."""
    device, w1, w2, w3, addr = of
    w4 = addr >> np.uint64(3)
    w1 = (w1 & _PLACE) | side
    page = find(table, hash_words(device, w1, w2, w3, w4), device, w1, w2, w3, w4)
    if page < 0:
        return np.int64(-1)
    tag = page * PAGE + np.int64(addr & np.uint64(7))
    return tag if hot["state"][tag] != 0 else np.int64(-1)


@kernel()
def written_tag(table: Any, hot: Any, of: Any) -> Any:
    """The row of what was written to a tag, -1 where nobody ever did."""
    return tag_of(table, hot, of, _WRITTEN_SIDE)


@kernel()
def reported_tag(table: Any, hot: Any, of: Any) -> Any:
    """The row of what the device reports of a tag, -1 where it never did."""
    return tag_of(table, hot, of, _REPORTED_SIDE)


@kernel()
def is_written(table: Any, hot: Any, of: Any) -> Any:
    """Whether anybody ever wrote a tag: what people set stands still, takes new states and moves at will."""
    return written_tag(table, hot, of) >= 0


@kernel()
def is_as_written(table: Any, hot: Any, of: Any, x: Any) -> Any:
    """Whether a value is the one written last: then the write is what there is to judge."""
    tag = written_tag(table, hot, of)
    return tag >= 0 and hot["last"][tag] == x


@kernel()
def commanded(table: Any, tags: Any, device: Any, ts: Any, lengths: Any) -> None:
    """Somebody who may has told the device to change."""
    at = device_tag(table, tags, device, lengths)
    if at >= 0:
        tags.hot["seen"][at] = max(tags.hot["seen"][at], ts)


@kernel()
def _together(tags: Any, at: Any, key: Any, ts: Any) -> Any:
    """About how many tags of the device have alarmed lately, with the one of this key; 0 if that had already."""
    cold = tags.cold
    since = cold["since"][at]
    if since == NEVER or ts - since > TOGETHER_NS or ts < since - TOGETHER_NS:
        cold["since"][at] = ts
        cold["bits"][at] = 0
    before = np.uint64(cold["bits"][at])
    bits = before | np.uint64(1) << (key >> np.uint64(58))
    cold["bits"][at] = bits
    return popcount(bits) if bits != before else 0


@kernel()
def tell(
    table: Any, tags: Any, of: Any, ts: Any, lengths: Any, out: Any, place: Any,
    what: Any, severity: Any, low: Any, high: Any, observed: Any,
) -> None:  # fmt: skip
    """Add an alert about a reported value, and one about its device where many of its tags alarm together.

    Args:
        of: device, three words of the page's key, and the address.
        place: record and point.
        severity: one less where the device was told to change; nothing is told below low.
    """
    device, w1, w2, w3, addr = of
    i, j = place
    key = about_tag(what, device, w1, w2, w3, addr)
    parent = mix(mix(_NONE, np.uint64(TYPE_SEVERAL)), device)
    at = device_tag(table, tags, device, lengths)
    rank = severity
    if at >= 0:
        told = tags.hot["seen"][at]
        moves = what not in (TYPE_STUCK, TYPE_REST)
        if told != NEVER and 0 <= ts - told <= COMMANDED_NS and severity < _HIGH and moves:
            rank = severity - 1
        if rank < _LOW:
            tags.withheld[0] += 1
            return
        n = _together(tags, at, about_tag(0, device, w1, w2, w3, addr), ts)
        if n > SEVERAL:
            emit(out, i, -1, TYPE_SEVERAL, _MEDIUM, parent, _NONE, 0.0, np.float64(SEVERAL), np.float64(n))
    emit(out, i, j, what, rank, key, parent, low, high, observed)
