"""Workloads: the captures that are measured, and records of them in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from detectors.columns import Columns
from pipeline.capture.files import Captures
from pipeline.decode.decoder import Decoder
from pipeline.synth import BulkReport, bulk


@dataclass(frozen=True, slots=True)
class Workload:
    """Modbus polls of `registers` registers over `flows` connections; every packet a PDU, half of them requests."""

    packets: int
    registers: int = 10
    flows: int = 100

    def __str__(self) -> str:
        points = self.registers / 2
        return f"{self.packets:,} packets, {points:g} points a packet, {self.flows:,} flows"


class Shelf:
    """Captures written once and kept for the session."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written: dict[Workload, BulkReport] = {}

    def capture(self, workload: Workload) -> BulkReport:
        """The capture of a workload, in the page cache: it was just written, or read."""
        if workload not in self._written:
            name = f"{workload.packets}-{workload.registers}-{workload.flows}.pcap"
            self._written[workload] = bulk(
                self.folder / name, packets=workload.packets, registers=workload.registers, flows=workload.flows
            )
        return self._written[workload]


def batches(path: Path) -> Iterator[Columns]:
    """The records of a capture."""
    decoder = Decoder()
    for block in Captures([path]):
        yield from decoder.feed(block)
    yield from decoder.finish()


def count(path: Path) -> tuple[int, int]:
    """(records, points) of a capture, decoded and let go."""
    records = points = 0
    for batch in batches(path):
        records += len(batch)
        points += int(batch.offsets[-1])
        del batch
    return records, points
