"""IEC 60870-5-104 with packets cloned, removed and swapped: what of it is told, and how much of clean traffic."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.quality.metrics import Measure
from pipeline.baseline import Baseline, adopt
from pipeline.config import Config
from pipeline.detect import build
from pipeline.run import learn
from pipeline.run.report import Hooks
from pipeline.run.source import Source

NEAR = 2
"""Packets beside a manipulation at which evidence still counts as its own."""
FLOORS = {"C": ("cloned", 0.80), "R": ("removed", 0.95), "S": ("swapped", 0.95)}


def manipulations(path: Path) -> list[list[int]]:
    """Packets of each manipulation, counted from 1 in the final capture.

    The list numbers packets as they were when a manipulation was made; those made later move them.
    """
    found: list[list[int]] = []
    for text in path.read_text().splitlines():
        numbers = [int(word) for word in re.findall(r"\d+", text)]
        if text.startswith("Cloned"):
            found = [[at + (at >= numbers[1]) for at in one] for one in found] + [[numbers[1]]]
        elif text.startswith("Removed"):
            found = [[at - (at > numbers[0]) for at in one] for one in found] + [[numbers[0]]]
        elif text.startswith("Swapped"):
            found.append(numbers[:2])
    return found


def told(capture: Path, baseline: Baseline) -> set[int]:
    """Packets that are evidence; a finding points to its first few alone."""
    config = Config()
    judges = build(config.enabled, config.learning)
    adopt(baseline.table, judges)
    found: set[int] = set()
    for batch in Source([capture], config.decode, Hooks()):
        for judge in judges:
            found.update(batch.packet[judge.on_batch(batch).row].tolist())
    return found


def energy(data: Path) -> list[Measure]:
    """A substation's traffic, manipulated at one packet of a hundred; learned of `train`, `test` is clean."""
    with tempfile.TemporaryDirectory() as folder:
        return list(_energy(data / "iec104-energy", Path(folder)))


def _energy(data: Path, folder: Path) -> Iterator[Measure]:
    learn([data / "train.pcap"], folder / "baseline.parquet", Config())
    baseline = Baseline.load(folder / "baseline.parquet")
    for letter, (name, floor) in FLOORS.items():
        hit = total = 0
        for number in (0, 1):
            capture = data / f"{letter}-0.01-{number}.pcap"
            packets = told(capture, baseline)
            for places in manipulations(data / f"{capture.name}.backtrack.txt"):
                total += 1
                hit += any(abs(packet - at) <= NEAR for packet in packets for at in places)
        recall = hit / total
        yield Measure("IEC-104 energy", f"{name} packets told", recall, f"{floor:.2f}", "0.95", recall >= floor)
    false = len(told(data / "test.pcap", baseline))
    yield Measure("IEC-104 energy", "packets told of clean traffic", false, "0", "0", false == 0)
