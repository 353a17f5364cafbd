"""Results: where the records and findings of a run go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from detectors.columns import Columns
from pipeline.config import OutputSettings
from pipeline.inventory import Inventory
from pipeline.metrics import HealthRow
from pipeline.sink import Dataset, RecordSink, write_table
from pipeline.site import Site
from schemas.alert import ALERT

_ALERT_GROUP = 4_096
_ALERT_PART = 1 << 20


def record_sink(stage: Path, output: OutputSettings) -> RecordSink:
    """The writer of `records/` and `points/` below `stage`."""
    return RecordSink(
        stage,
        points=output.points,
        threads=output.threads,
        queue_bytes=output.queue_mb << 20,
        part_rows=output.part_points,
        tags=output.changed_tags,
    )


class Results:
    """A sink of the loop (`pipeline.detect.Sink`): records, points, findings and inventories below `stage`.

    Raises (every method):
        OutputError: they cannot be written.
    """

    def __init__(self, stage: Path, output: OutputSettings) -> None:
        self._stage = stage
        self._inventory = Inventory(output.inventory_groups)
        self._alerts = Dataset(stage / "alerts", ALERT, part_rows=_ALERT_PART, group_rows=_ALERT_GROUP)
        self._kinds: dict[int, tuple[int, str]] = {}
        self._records = record_sink(stage, output)

    def on_batch(self, batch: Columns) -> None:
        """Take records."""
        self._inventory.add(batch)
        self._records.put(batch)

    def on_findings(self, rows: pa.Table) -> None:
        """Take rows of findings."""
        columns = ("finding_info_uid", "severity_id", "analytic_uid")
        for uid, severity, analytic in zip(*(rows.column(c).to_pylist() for c in columns), strict=True):
            self._kinds[uid] = (severity, analytic.partition(".")[0])
        for batch in rows.to_batches():
            self._alerts.write(batch, reused=False)

    def close(self, names: Mapping[int, str], site: Site) -> None:
        """Finish the files, and write the inventories."""
        self._records.close()
        self._alerts.close()
        write_table(self._stage / "assets.parquet", self._inventory.assets(names, site))
        write_table(self._stage / "conversations.parquet", self._inventory.conversations())

    def abandon(self) -> None:
        """Stop and forget what is not yet whole."""
        self._records.abandon()
        self._alerts.abandon()

    def findings(self) -> dict[tuple[int, str], int]:
        """Findings by (severity, detector), worst first."""
        found: dict[tuple[int, str], int] = {}
        for kind in self._kinds.values():
            found[kind] = found.get(kind, 0) + 1
        return dict(sorted(found.items(), key=lambda item: (-item[0][0], item[0][1])))

    def health(self) -> list[HealthRow]:
        """Counters of the sink and the inventory."""
        return [*self._inventory.health(), *self._records.health()]
