"""What `detectors.command` puts into a baseline, and takes from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.existence import addresses, baseline_columns
from detectors.kernels import command as kernel
from detectors.kernels import readback
from detectors.kernels import slots as k
from detectors.slots import Slots

_COUNTS = {"busiest minute": "most", "targets": "targets"}
_WAYS = {"staged": kernel.STAGED, "direct": kernel.DIRECT}
_BEHAVIOUR = ("echoes", "strays", "moves", "drifts", "delay")
_TARGET_PARAMETERS = ("written", "staged", "direct")


def learned(keys: Slots, tags: Slots) -> Mapping[str, NDArray[Any]]:
    """Columns of BASELINE: writers, targets, and how written tags behave."""
    parts = [_writers(keys), _targets(keys), _behaviour(tags)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _writers(table: Slots) -> dict[str, NDArray[Any]]:
    keys, rows = _known(table, kernel.WRITER)
    names = [*_COUNTS, *_WAYS]
    counts = [rows[field] for field in _COUNTS.values()]
    values = np.column_stack([*counts, *((rows["ways"] & way) != 0 for way in _WAYS.values())])
    one = _key_columns(keys, rows)
    columns = {name: np.repeat(column, len(names), axis=0) for name, column in one.items()}
    columns["value"] = values.astype(np.float64).reshape(-1)
    columns["parameter"] = np.tile(np.array(names, "U24"), len(keys))
    return columns


def _targets(table: Slots) -> dict[str, NDArray[Any]]:
    keys, rows = _known(table, kernel.TARGET)
    bits = np.arange(8)
    at, bit = np.nonzero(rows["written"][:, None] >> bits & 1)
    keys, rows = keys[at], rows[at]
    columns = _key_columns(keys, rows) | {
        "space": (keys[:, 3] >> np.uint64(48)).astype(np.uint16),
        "addr": rows["page"] << np.uint64(3) | bit.astype(np.uint64),
        "addr_sub": rows["sub"],
        "name_id": rows["name"],
    }
    ways = np.column_stack([rows[name] >> bit.astype(np.uint8) & 1 for name in _TARGET_PARAMETERS])
    columns["value"] = (ways[:, 1] * kernel.STAGED + ways[:, 2] * kernel.DIRECT).astype(np.float64)
    columns["parameter"] = np.full(len(keys), "target", "U24")
    return columns


def _behaviour(tags: Slots) -> dict[str, NDArray[Any]]:
    rows = tags.rows("tag")
    at = np.flatnonzero((rows["flags"] & readback.IS_TAG) != 0)
    at = at[(rows["echoes"][at] > 0) | (rows["strays"][at] > 0)]
    keys, rows = tags.keys[at // readback.PAGE], rows[at]
    one = baseline_columns(
        device=keys[:, 0],
        unit=(keys[:, 1] & np.uint64(0xFFFFFFFF)).astype(np.uint32),
        space=(keys[:, 1] >> np.uint64(32) & np.uint64(0xFFFF)).astype(np.uint16),
        addr=keys[:, 4] << np.uint64(3) | (at % readback.PAGE).astype(np.uint64),
        addr_sub=keys[:, 2].astype(np.uint32),
        name_id=keys[:, 3],
        n=rows["echoes"].astype(np.uint64) + rows["strays"],
        first=np.minimum(rows["asked"], rows["seen"]),
        last=np.maximum(rows["asked"], rows["seen"]),
    )
    columns = {name: np.repeat(column, len(_BEHAVIOUR), axis=0) for name, column in one.items()}
    columns["value"] = np.column_stack([rows[name] for name in _BEHAVIOUR]).astype(np.float64).reshape(-1)
    columns["parameter"] = np.tile(np.array([f"read back.{name}" for name in _BEHAVIOUR], "U24"), len(at))
    return columns


def _known(table: Slots, subject: np.uint64) -> tuple[NDArray[np.uint64], NDArray[Any]]:
    keys, rows = table.keys, table.rows("command")
    own = (keys[:, 3] >> np.uint64(40) & np.uint64(0xFF)) == subject
    keep = own & ((keys[:, k.STATUS] & k.KNOWN) != 0)
    return keys[keep], rows[keep]


def adopt(keys: Slots, tags: Slots, baseline: Mapping[str, NDArray[Any]]) -> None:
    """Hold what a baseline says."""
    keys.adopt_everywhere()
    names = np.asarray(baseline["parameter"]).astype("U24")
    for chosen, table, take in (
        (np.isin(names, [*_COUNTS, *_WAYS]), keys, _adopt_writers),
        (names == "target", keys, _adopt_targets),
        (np.char.startswith(names, "read back."), tags, _adopt_behaviour),
    ):
        take(table, {name: np.asarray(column)[chosen] for name, column in baseline.items()}, names[chosen])


def _adopt_writers(table: Slots, rows: Mapping[str, NDArray[Any]], names: NDArray[Any]) -> None:
    words = _key_words(rows, kernel.WRITER)
    places = _enter(table, words, rows)
    held = table.held["command"]
    value = np.asarray(rows["value"], np.float64)
    for name, field in _COUNTS.items():
        chosen = names == name
        held[field][places[chosen]] = value[chosen].astype(held[field].dtype)
    for name, way in _WAYS.items():
        np.bitwise_or.at(held["ways"], places[(names == name) & (value != 0)], np.uint8(way))


def _adopt_targets(table: Slots, rows: Mapping[str, NDArray[Any]], names: NDArray[Any]) -> None:
    words = _key_words(rows, kernel.TARGET)
    words[:, 3] |= np.asarray(rows["space"]).astype(np.uint64) << np.uint64(48)
    addr = np.asarray(rows["addr"], np.uint64)
    page, sub, name = addr >> np.uint64(3), np.asarray(rows["addr_sub"]), np.asarray(rows["name_id"], np.uint64)
    for i in range(len(words)):
        words[i, 4] = kernel.target_hash(page[i], sub[i], name[i])
    places = _enter(table, words, rows)
    held = table.held["command"]
    held["page"][places], held["sub"][places], held["name"][places] = page, sub, name
    ways = np.asarray(rows["value"], np.float64).astype(np.int64)
    bit = (1 << (addr & np.uint64(7)).astype(np.int64)).astype(np.uint8)
    for field, chosen in (
        ("written", ways >= 0),
        ("staged", (ways & kernel.STAGED) != 0),
        ("direct", (ways & kernel.DIRECT) != 0),
    ):
        np.bitwise_or.at(held[field], places[chosen], bit[chosen])


def _adopt_behaviour(tags: Slots, rows: Mapping[str, NDArray[Any]], names: NDArray[Any]) -> None:
    words = np.zeros((len(names), k.WORDS), np.uint64)
    addr = np.asarray(rows["addr"], np.uint64)
    words[:, 0] = rows["device"]
    words[:, 1] = np.asarray(rows["unit"]).astype(np.uint64)
    words[:, 1] |= np.asarray(rows["space"]).astype(np.uint64) << np.uint64(32)
    words[:, 2], words[:, 3], words[:, 4] = rows["addr_sub"], rows["name_id"], addr >> np.uint64(3)
    before = len(tags)
    pages = tags.add(words, k.KNOWN)
    for page in range(before, len(tags)):
        readback.clear_page(tags.held["tag"], page)
    at = pages * readback.PAGE + (addr & np.uint64(7)).astype(np.int64)
    held = tags.held["tag"]
    held["flags"][at] = readback.IS_TAG
    value = np.asarray(rows["value"], np.float64)
    for name in _BEHAVIOUR:
        chosen = names == f"read back.{name}"
        held[name][at[chosen]] = value[chosen].astype(held[name].dtype)
    held["seen"][at] = rows["last"].astype(np.int64)
    held["asked"][at] = rows["first"].astype(np.int64)


def _enter(table: Slots, words: NDArray[np.uint64], rows: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """The slots of a baseline's keys, cleared where they are new."""
    before = len(table)
    places = table.add(words, k.KNOWN)
    held = table.held["command"]
    fresh = held[before : len(table)]
    fresh[:] = np.zeros(1, kernel.COMMAND)
    fresh["since"] = fresh["minute"] = fresh["burst"] = k.UNSET
    for name in ("first", "last", "n"):
        held[name][places] = np.asarray(rows[name]).astype(np.int64)
    return places


def _key_columns(keys: NDArray[np.uint64], rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """BASELINE columns that say whose key it is."""
    return baseline_columns(
        device=keys[:, 0],
        peer=keys[:, 1:3],
        unit=(keys[:, 3] & np.uint64(0xFFFFFFFF)).astype(np.uint32),
        code=keys[:, 3] >> np.uint64(32) & np.uint64(0xFF),
        n=rows["n"].astype(np.uint64),
        first=rows["first"],
        last=rows["last"],
    )


def _key_words(rows: Mapping[str, NDArray[Any]], subject: np.uint64) -> NDArray[np.uint64]:
    words = np.zeros((len(rows["device"]), k.WORDS), np.uint64)
    words[:, 0] = rows["device"]
    words[:, 1:3] = addresses(rows["peer"])
    words[:, 3] = np.asarray(rows["unit"]).astype(np.uint64) | subject << np.uint64(40)
    words[:, 3] |= np.asarray(rows["code"], np.uint64) << np.uint64(32)
    return words
