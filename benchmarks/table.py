"""The table of speed and memory: `python -m benchmarks.table`.

Runs the benchmarks, prints what was asked for and what was measured, and writes both to `results/speed.md`.
Arguments are handed on to pytest (`-k decode`).
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from detectors.registry import DETECTORS

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "speed.md"
PACKAGES = ("numba", "numpy", "pyarrow", "confluent-kafka", "dpkt")

Info = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Goal:
    """What is asked for.

    Attributes:
        text: in words.
        what: the benchmark, by what it says it is.
        key: of what it measured.
        least, most: bound of the measure; one of them is None.
    """

    text: str
    what: str
    key: str
    least: float | None = None
    most: float | None = None

    def met(self, measured: float) -> bool:
        """Whether the measure is within the bound."""
        return measured >= self.least if self.least is not None else measured <= (self.most or 0.0)


ALL = "detectors, live: " + " + ".join(DETECTORS)
GOALS = (
    Goal("decode, one core, 5 points a packet: 8 M packets/s", "decode, 10 registers", "packets_per_s", 8e6),
    Goal("decode: 50 times dpkt objects", "decode against dpkt objects", "ratio", 50),
    Goal(
        "run, peer, function and value, one core: 1.4 M packets/s",
        "run, 1 core, three detectors",
        "packets_per_s_wall",
        1.4e6,
    ),
    Goal(
        "run, peer, function and value, two cores: 2.3 M packets/s",
        "run, 2 cores, three detectors",
        "packets_per_s_wall",
        2.3e6,
    ),
    Goal("value detector: 25 M values/s", "detectors, live: value", "values_per_s", 25e6),
    Goal("eight detectors and replay, live: 12 M values/s", ALL, "values_per_s", 12e6),
    Goal("memory of run: at most 600 MiB", "memory, run", "peak_mib", most=600),
    Goal("memory of decode: at most 600 MiB", "memory, decode", "peak_mib", most=600),
    Goal(
        "worker, three detectors: 1.5 M records/s per core", "worker, detect, three detectors", "records_per_s", 1.5e6
    ),
    Goal("archive: 0.8 M records/s per core", "worker, archive", "records_per_s", 0.8e6),
    Goal("end to end, two cores: 0.8 M records/s", "end to end, 2 cores, three detectors", "records_per_s_wall", 0.8e6),
    Goal("packet to live finding: p99 at most 500 ms", "packet to finding in the live topic", "p99_ms", most=500),
    Goal("restart with 100,000 tags: at most 10 s", "restart of a worker", "restart_s", most=10),
    Goal("warm start: at most 3 times the imports", "start, warm", "ratio", most=3),
    Goal("first start: at most 40 s", "start, first ever", "run_s", most=40),
)


def measure(arguments: Sequence[str]) -> list[Info]:
    """What each benchmark says of itself."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        command = [sys.executable, "-m", "pytest", "benchmarks", "--benchmark-enable", "--benchmark-only", "-q"]
        subprocess.run([*command, f"--benchmark-json={found}", *arguments], cwd=ROOT, check=False)
        if not found.exists() or not found.read_text():
            return []
        return [b["extra_info"] for b in json.loads(found.read_text())["benchmarks"] if b["extra_info"]]


def goal_rows(found: Sequence[Info]) -> list[str]:
    """One line of Markdown for each goal."""
    by_what = {info["what"]: info for info in found}
    rows = ["| asked for | measured | |", "|---|---|---|"]
    for goal in GOALS:
        info = by_what.get(goal.what)
        if info is None:
            rows.append(f"| {goal.text} | not measured | |")
        else:
            measured = info[goal.key]
            rows.append(f"| {goal.text} | {shown(goal.key, measured)} | {'met' if goal.met(measured) else 'missed'} |")
    return rows


def detail_rows(found: Sequence[Info]) -> list[str]:
    """One line of Markdown for each benchmark."""
    rows = ["| benchmark | workload | measured |", "|---|---|---|"]
    for info in found:
        numbers = "; ".join(
            f"{_label(key)} {shown(key, value)}" for key, value in info.items() if key not in ("what", "workload")
        )
        rows.append(f"| {info['what']} | {info['workload']} | {numbers} |")
    return rows


def _label(key: str) -> str:
    return key.replace("_per_s", "/s").replace("_", " ")


def shown(key: str, value: float) -> str:
    """A number with its unit: rates in millions."""
    if "_per_s" in key:
        return f"{value / 1e6:,.2f} M"
    return f"{value:,}"


def bottleneck(found: Sequence[Info]) -> str:
    """Where the time of a run goes, from the stages measured."""
    stages = next((i for i in found if i["what"].startswith("stages")), None)
    if stages is None:
        return ""
    ns = sorted(((v, k[:-3]) for k, v in stages.items() if k.endswith("_ns")), reverse=True)
    total = sum(n for n, _ in ns)
    parts = ", ".join(f"{name} {n:.0f} ({100 * n / total:.0f} %)" for n, name in ns)
    return f"Of {total:.0f} ns a packet on one thread: {parts}. The bottleneck is {ns[0][1]}."


def machine() -> str:
    """The machine and the versions, in one line."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0))
    return f"{_cpu()}, {cores} cores; Python {platform.python_version()}, {versions}; {platform.system()}"


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


def _prepend(section: str) -> None:
    head = "# Speed and memory, as measured\n\nNewest first; `python -m benchmarks.table` adds to it.\n\n"
    old = RESULTS.read_text().removeprefix(head) if RESULTS.exists() else ""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(head + section + ("\n" + old if old else ""))


def main(arguments: Sequence[str], say: Callable[[str], None] = print) -> int:
    """Measure, print and note; 1 where nothing was measured."""
    load = os.getloadavg()[0]
    found = measure(arguments)
    if not found:
        return 1
    when = datetime.now(UTC)
    lines = [
        f"## {when:%Y-%m-%d %H:%M} UTC",
        "",
        f"{machine()}. Load {load:.1f} before, {os.getloadavg()[0]:.1f} after.",
    ]
    lines += ["", bottleneck(found), "", *goal_rows(found), "", *detail_rows(found), ""]
    section = "\n".join(lines)
    say(section)
    _prepend(section)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
