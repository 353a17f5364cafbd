"""Attacks on a real S7 plant (QUT 2017), each a window of a log: which are found, and which are explained.

The captures that are at hand are cut to the windows: nothing lies before an attack, and there is no clean run.  What is
learned for a window is therefore what the HMI and the controller say to each other in the captures of all other
windows, without the attacker's packets: who speaks, what it asks for and which tags it polls.  The plant was under
attack then; its values are not clean.  And there is no time outside of the windows that could give a rate of false
findings: in its place stands what is found of the HMI's own packets in the windows in which the controller's tap
shows them, where the attacker's are taken out.

Judged is the controller's view (`master`), in which attacker and HMI are seen; where there is none (the flooding), the
HMI's, in which the attacker is not.  Truth is the log: an attack is from START to END of its entry.  A window is found
where a finding has evidence in it.  All these attacks write a value to a byte or a word of the controller's memory,
whatever their names; which one to where is read from the attacker's own capture, for the flooding from the HMI's.  So
a window is explained where one finding is about a write, names the tag, and says what was written and what was normal.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import dpkt
import numpy as np

from benchmarks.quality.evidence import judge
from benchmarks.quality.metrics import Measure
from pipeline.baseline import Baseline
from pipeline.config import Config
from pipeline.run import learn
from pipeline.run.report import Hooks
from pipeline.run.source import Source
from schemas.codes import WRITING, Direction

CONTROLLER, HMI = bytes((10, 10, 10, 10)), bytes((10, 10, 10, 20))
Packet = tuple[float, bytes]


@dataclass(frozen=True, slots=True)
class Window:
    """An attack.

    Attributes:
        name: as the log has it.
        view: the capture that is judged.
        attacker: what the attacker sent, None where there is no such capture.
        start_s, end_s: its window, seconds since 1970.
    """

    name: str
    view: Path
    attacker: Path | None
    start_s: float
    end_s: float

    def holds(self, ts: datetime) -> bool:
        """Whether a time lies in the window."""
        return self.start_s <= ts.timestamp() <= self.end_s


def windows(folder: Path) -> list[Window]:
    """The attacks of which there are captures, by time.

    Raises:
        ValueError: the log has no entry, or several, for a folder of captures.
    """
    log = json.loads((folder / "attacks.json").read_text())
    found = []
    for captures in sorted((folder / "attacks").iterdir()):
        stamp, _, name = captures.name.partition(".")
        views = {path.name.split(".")[-2]: path for path in captures.glob("*.pcap")}
        view = views.get("master", views.get("hmi"))
        assert view is not None, captures
        first = next(packets_of(view))[0]
        entries = [e for e in log if e["description"] == name and e["start"] - 1 <= first <= e["end"] + 1]
        if len(entries) != 1:
            raise ValueError(f"{captures.name} ({stamp}): {len(entries)} entries in the log")
        found.append(Window(name, view, views.get("attacker"), entries[0]["start"], entries[0]["end"]))
    return found


def packets_of(capture: Path) -> Iterator[Packet]:
    """Time in seconds and bytes of each packet."""
    with capture.open("rb") as file:
        yield from ((float(ts), packet) for ts, packet in dpkt.pcap.Reader(file))


def polls(capture: Path) -> list[Packet]:
    """Packets between HMI and controller."""
    kept = []
    for ts, packet in packets_of(capture):
        ip = dpkt.ethernet.Ethernet(packet).data
        if isinstance(ip, dpkt.ip.IP) and {ip.src, ip.dst} == {CONTROLLER, HMI}:
            kept.append((ts, packet))
    return kept


def write(packets: list[Packet], out: Path) -> Path:
    """Packets as a capture."""
    with out.open("wb") as file:
        writer = dpkt.pcap.Writer(file)
        for ts, packet in sorted(packets):
            writer.writepkt(packet, ts)
    return out


@dataclass(frozen=True, slots=True)
class Written:
    """What was written in a capture: the places, as (space, address), and the values."""

    places: frozenset[tuple[int, int]]
    values: frozenset[float]

    @staticmethod
    def of(capture: Path) -> Written:
        """Points of the write requests."""
        places: set[tuple[int, int]] = set()
        values: set[float] = set()
        for batch in Source([capture], Config().decode, Hooks()):
            is_write = np.repeat(np.isin(batch.op, [int(op) for op in WRITING]), np.diff(batch.offsets))
            points = np.arange(batch.offsets[0], batch.offsets[-1])
            points = points[is_write & (batch.points.direction[points] == Direction.WRITTEN)]
            spaces, addresses = batch.points.space[points].tolist(), batch.points.addr[points].tolist()
            places.update(zip(spaces, addresses, strict=True))
            values.update(batch.points.value[points].tolist())
        return Written(frozenset(places), frozenset(values))

    def is_target(self, row: dict[str, Any]) -> bool:
        """Whether a finding is about a write, and names a tag that was written."""
        return row["op"] in WRITING and row["tag"] != "" and (row["space"], row["addr"]) in self.places

    def is_value(self, row: dict[str, Any]) -> bool:
        """Whether a finding says also a value that was written."""
        return self.is_target(row) and row["observed_value"] in self.values

    def is_explained(self, row: dict[str, Any]) -> bool:
        """Whether a finding says also what was normal."""
        return self.is_value(row) and row["expected"] != ""


def findings_of(
    window: Window, others: list[Packet], packets: list[Packet] | None, folder: Path
) -> list[dict[str, Any]]:
    """What is found in a window, or in some packets of it, by a baseline of the `others`."""
    learn([write(others, folder / "others.pcap")], folder / "baseline.parquet", Config())
    view = window.view if packets is None else write(packets, folder / "view.pcap")
    rows = judge(view, Baseline.load(folder / "baseline.parquet")).findings
    return [row for row in rows if any(window.holds(e["ts"]) for e in row["evidences"])]


def qut(data: Path) -> list[Measure]:
    """Sixteen attacks, each judged by what the others' captures show of the HMI."""
    name = "QUT S7"
    attacks = windows(data / "qut-s7")
    seen = [polls(attack.view) for attack in attacks]
    found = target = value = explained = false = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for attack, own in zip(attacks, seen, strict=True):
            others = [packet for one in seen if one is not own for packet in one]
            rows = findings_of(attack, others, None, folder)
            written = Written.of(attack.attacker or attack.view)
            found += bool(rows)
            target += any(map(written.is_target, rows))
            value += any(map(written.is_value, rows))
            explained += any(map(written.is_explained, rows))
            if attack.attacker is not None and own:
                false += len(findings_of(attack, others, own, folder))
    n = len(attacks)
    return [
        Measure(name, f"windows found of {n}", found, str(n), str(n), found == n, positive=n),
        Measure(name, f"windows with the written tag of {n}", target, str(n), str(n), target == n),
        Measure(name, f"windows with tag and written value of {n}", value, "", str(n)),
        Measure(name, f"windows explained of {n}", explained, "", str(n)),
        Measure(name, "findings on the HMI's own packets", false, "", "0"),
    ]
