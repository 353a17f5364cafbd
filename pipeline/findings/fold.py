"""Folding the activities of findings: of each finding the last row, in canonical order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def fold(table: pa.Table) -> pa.Table:
    """The last row of each `finding_info_uid`, sorted by (start_time, finding_info_uid).

    Rows must stand in the order in which they were taken; tables of different device buckets may be concatenated in
    any order, since they share no finding.
    """
    if table.num_rows == 0:
        return table
    uid = table.column("finding_info_uid").to_numpy()
    start = table.column("start_time").cast(pa.int64()).to_numpy()
    _, from_the_end = np.unique(uid[::-1], return_index=True)
    last = len(uid) - 1 - from_the_end
    return table.take(pa.array(last[np.lexsort((uid[last], start[last]))]))
