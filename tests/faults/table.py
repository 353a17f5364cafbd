"""The table of reliability: `python -m tests.faults.table`.

Takes what `make faults` kept in `benchmarks/results/reliability.jsonl`, and writes `reliability.md` beside it: the
newest row of each fault.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"

HEAD = """# Reliability, as measured

Written by `python -m tests.faults.table` from `reliability.jsonl`, to which `make faults` adds; the newest run of each.

Real workers against a real Kafka, judged against one undisturbed pass over the same log: rows are those of single
records (`worker.probe_every`), lost or doubled among them; the last column says how all findings, and the last state of
every partition of both stages, differ from that pass.

| what was done | times | records | rows | lost | doubled | findings | differs | minutes | when, with which seed |
|---|---|---|---|---|---|---|---|---|---|
"""


def newest(lines: list[str]) -> list[dict[str, Any]]:
    """The last row of each fault, in the order in which they came first."""
    rows: dict[str, dict[str, Any]] = {}
    for line in lines:
        row = json.loads(line)
        rows[row["fault"]] = row
    return list(rows.values())


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    more = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in row["more"].items())
    done = f"{row['fault']} ({more})" if more else row["fault"]
    numbers = " | ".join(f"{row[name]:,}" for name in ("times", "records", "rows", "lost", "doubled", "findings"))
    differs = "; ".join(row["wrong"]) or "in nothing"
    return f"| {done} | {numbers} | {differs} | {row['seconds'] / 60:.1f} | {row['at'][:16]}, {row['seed']} |"


def main() -> None:
    """Write the table."""
    rows = newest((RESULTS / "reliability.jsonl").read_text().splitlines())
    machine = f"\n{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}.\n"
    (RESULTS / "reliability.md").write_text(HEAD + "\n".join(map(line, rows)) + "\n" + machine)


if __name__ == "__main__":
    main()
