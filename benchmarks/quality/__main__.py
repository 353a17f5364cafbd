"""The table of quality: `python -m benchmarks.quality [name ...]`; `FIELDTAP_DATA` says where the data lies.

Prints what was measured beside what is asked for, and adds it to `benchmarks/results/quality.md`; with `--plots DIR`
also a picture of each case.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from benchmarks.quality import day, faults, iec104, nab, packets, plots, process, windows
from benchmarks.quality.metrics import Measure

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "quality.md"
DATA = Path(os.environ.get("FIELDTAP_DATA", ROOT / ".." / "shared" / "data")) / "detection"
CASES: dict[str, Callable[[Path], list[Measure]]] = {
    "batadal": process.batadal,
    "tennessee": process.tennessee,
    "pasad": process.pasad,
    "skab": process.skab,
    "iec104": iec104.energy,
    "faults": faults.faults,
    "lemay": packets.lemay,
    "qut": windows.qut,
    "nab": nab.known_causes,
    "day": day.day,
}
HEAD = "| data | measure | measured | floor | goal | | always alarmed | as often at random |"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def line(m: Measure) -> str:
    """A row of the table."""
    verdict = {True: "met", False: "missed", None: ""}[m.met]
    cells = (m.data, m.what, _number(m.value), m.floor, m.goal, verdict, _number(m.positive), _number(m.random))
    return f"| {' | '.join(cells)} |"


def _commit() -> str:
    words = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description="The table of quality.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"all by default: {', '.join(CASES)}")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="also a picture of each case, in this folder")
    return parser.parse_args(words)


def _refusal(given: argparse.Namespace) -> str:
    """Why nothing can be measured; empty where it can."""
    unknown = [name for name in given.names if name not in CASES]
    if unknown:
        return f"no such case: {', '.join(unknown)}"
    if not DATA.is_dir():
        return f"no data in {DATA} (set FIELDTAP_DATA)"
    return "no matplotlib for --plots (make setup)" if given.plots and find_spec("matplotlib") is None else ""


def main(words: Sequence[str]) -> int:
    """Measure the cases named, all by default; 1 where there is no data or no such case."""
    given = _arguments(words)
    refusal = _refusal(given)
    if refusal:
        print(refusal)
        return 1
    if given.plots:
        given.plots.mkdir(parents=True, exist_ok=True)
    lines = [HEAD, "|---|---|---|---|---|---|---|---|"]
    for name in given.names or CASES:
        measures = CASES[name](DATA)
        lines += [line(measure) for measure in measures]
        if given.plots:
            plots.draw(name, measures, plots.TIMELINES.get(name, lambda _: [])(DATA), given.plots)
    table = "\n".join(lines)
    print(table)
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    packages = ", ".join(f"{name} {version(name)}" for name in ("numba", "numpy", "scikit-learn"))
    text = RESULTS.read_text() if RESULTS.exists() else "# Quality, as measured\n\nNewest first.\n"
    head, _, rest = text.partition("\n## ")
    entry = f"\n## {when}\n\nCommit {_commit()}; {packages}.\n\n{table}\n"
    RESULTS.write_text(head.rstrip("\n") + "\n" + entry + (f"\n## {rest}" if rest else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
