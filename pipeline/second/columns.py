"""Rows of PANE as records, so that detectors, findings and evidence are those of the first stage."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.columns import Columns, Points, records
from pipeline.panes import rows as panes
from pipeline.panes.rows import Rows
from schemas.codes import Kind, Role
from schemas.record import RECORD_COLUMNS

_SAME = ("ts", "shard", "boot", "seq", "packet", "vlan", "protocol", "unit", "op", "func")


def columns_of(rows: Rows) -> Columns:
    """One record for each row, as `detectors.across` says: about `client`, with the device asked in `flow`."""
    n = panes.count(rows)
    serves = rows["role"] == Role.SERVER
    found: dict[str, NDArray[Any]] = {name: rows[name] for name in _SAME}
    found["device"] = rows["client"]
    found["flow"] = rows["device"]
    found["client_is_src"] = (~serves).astype(np.uint8)
    found["count"] = rows["requests"]
    kinds = np.where(rows["answers"] > 0, Kind.UNSOLICITED, Kind.TIMEOUT)
    kinds = np.where(rows["requests"] > 0, Kind.REQUEST, kinds)
    found["kind"] = np.where(serves, Kind.RESPONSE, kinds).astype(np.uint8)
    for name in ("ip", "mac"):
        asker, asked = rows[f"client_{name}"], rows[f"device_{name}"]
        from_device = serves[:, None] if name == "ip" else serves
        found[f"src_{name}"] = np.where(from_device, asked, asker)
        found[f"dst_{name}"] = np.where(from_device, asker, asked)
    empty = records([])
    for column in RECORD_COLUMNS:
        if column.name not in found:
            found[column.name] = np.zeros(n, getattr(empty, column.name).dtype)
    for array in found.values():
        array.flags.writeable = False
    offsets = np.zeros(n + 1, np.int32)
    offsets.flags.writeable = False
    points: Points = empty.points
    return Columns(**found, offsets=offsets, points=points)
