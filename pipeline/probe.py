"""Probe: a row of its own for every k-th record, so that loss and doubling show on millions of rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from detectors.columns import Columns
from schemas.alert import ALERT, ALERT_COLUMNS, CLASS_UID
from schemas.codes import Activity, Severity

UID = "probe.record"


class Probe:
    """Rows of ALERT for the records whose `seq` is a multiple of `every`; they are not merged."""

    def __init__(self, every: int) -> None:
        self._every = every

    def rows(self, batch: Columns) -> pa.Table:
        """One row per chosen record of `batch`, with a pointer to it; `count` is 1, `addr` its `seq`."""
        chosen = np.flatnonzero(batch.seq % np.uint64(self._every) == 0)
        n = len(chosen)
        if not n:
            return ALERT.empty_table()
        ts = pa.array(batch.ts[chosen], pa.timestamp("ns", "UTC"))
        pointer = {name: pa.array(getattr(batch, name)[chosen]) for name in ("shard", "boot", "seq", "packet")}
        kind = ALERT.field("evidences").type
        evidence = pa.StructArray.from_arrays([*pointer.values(), ts], fields=list(kind.value_type))
        given: dict[str, pa.Array] = {
            **dict.fromkeys(("time", "start_time", "end_time", "first_seen_time", "last_seen_time"), ts),
            "activity_id": _same(int(Activity.CREATE), pa.uint8(), n),
            "type_uid": _same(CLASS_UID * 100 + int(Activity.CREATE), pa.uint32(), n),
            "severity_id": _same(int(Severity.INFORMATIONAL), pa.uint8(), n),
            "analytic_uid": _same(UID, pa.string(), n),
            "count": _same(1, pa.uint64(), n),
            "device": pa.array(batch.device[chosen]),
            "unit": pa.array(batch.unit[chosen]),
            "addr": pointer["seq"],
            "evidences": pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32)), evidence, type=kind),
        }
        arrays = [given.get(c.name) for c in ALERT_COLUMNS]
        filled = [
            _same(c.default, c.type, n) if array is None else array
            for c, array in zip(ALERT_COLUMNS, arrays, strict=True)
        ]
        return pa.Table.from_arrays(filled, schema=ALERT)


def _same(value: object, kind: pa.DataType, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), n)
