"""Merging of evidence piece by piece in plain Python: the twin of `pipeline.findings`, for buckets with room."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

WINDOW = 600 * 10**9
MINUTE = 60 * 10**9
RANK = {0: 0, 3: 1, 2: 2, 1: 3}


def merge(pieces: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """CREATE and UPDATE rows of pieces in their order.

    A piece has bucket, device, what, key, ts, severity, outcome, value (NaN for none, normal is 40 to 60), func, seq.
    """
    open_now: dict[tuple[int, int, int], dict[str, Any]] = {}
    time: dict[int, int] = {}
    rows = []
    for piece in pieces:
        _pass_time(open_now, time, piece)
        identity = (piece["device"], piece["what"], piece["key"])
        window = open_now.get(identity)
        if window is None or not window["start"] - WINDOW < piece["ts"] < window["start"] + WINDOW:
            window = open_now[identity] = _new(piece)
        before = (window["severity"], RANK[window["outcome"]])
        _take_in(window, piece)
        risen = (window["severity"], RANK[window["outcome"]]) != before
        if window["count"] == 1:
            rows.append({**_copy(window), "activity_id": 1, "time": piece["ts"]})
        elif risen or _is_power_of_ten(window["count"]):
            rows.append({**_copy(window), "activity_id": 2, "time": piece["ts"]})
    return rows


def _is_power_of_ten(count: int) -> bool:
    return count > 1 and 10 ** round(math.log10(count)) == count


def _pass_time(open_now: dict[Any, Any], time: dict[int, int], piece: Mapping[str, Any]) -> None:
    bucket, ts = piece["bucket"], piece["ts"]
    before = time.get(bucket)
    now = ts if before is None or ts < before - WINDOW else max(before, ts)
    time[bucket] = now
    if before is None or before // MINUTE != now // MINUTE:
        for identity, window in list(open_now.items()):
            gone = window["start"] + 2 * WINDOW <= now or window["start"] >= now + WINDOW
            if window["bucket"] == bucket and gone:
                del open_now[identity]


def _new(piece: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "bucket": piece["bucket"],
        "device": piece["device"],
        "analytic": piece["what"],
        "start": piece["ts"],
        "count": 0,
        "severity": 0,
        "outcome": 0,
        "first": piece["ts"],
        "last": piece["ts"],
        "value": piece["value"],
        "extent": -math.inf,
        "functions": [],
        "seqs": [],
    }


def _take_in(window: dict[str, Any], piece: Mapping[str, Any]) -> None:
    window["count"] += 1
    window["severity"] = max(window["severity"], piece["severity"])
    window["outcome"] = max(window["outcome"], piece["outcome"], key=lambda o: RANK[o])
    window["first"] = min(window["first"], piece["ts"])
    window["last"] = max(window["last"], piece["ts"])
    extent = -math.inf if math.isnan(piece["value"]) else max(40 - piece["value"], piece["value"] - 60)
    if extent > window["extent"]:
        window["extent"], window["value"] = extent, piece["value"]
    if piece["func"] not in window["functions"] and len(window["functions"]) < 32:
        window["functions"].append(piece["func"])
    if len(window["seqs"]) < 16:
        window["seqs"].append(piece["seq"])


def _copy(window: Mapping[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, list) else v for k, v in window.items()}
