"""Many runs of the simulation: `python -m tests.simulation.campaign --seeds 100000`, also `make faults-sim`.

Prints one line of JSON: runs, crashes, zombies and epochs, rows lost and doubled, and broken promises with their seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from multiprocessing import get_context
from typing import Any

from tests.simulation.scene import simulate

_CHUNK = 50
_SHOWN = 20


def campaign(first: int, seeds: int, jobs: int = 1, *, progress: bool = False) -> dict[str, Any]:
    """What came of the runs of `seeds` seeds from `first` on, in `jobs` processes."""
    chunks = [(at, min(_CHUNK, first + seeds - at)) for at in range(first, first + seeds, _CHUNK)]
    total: Counter[str] = Counter()
    broken: list[str] = []
    with get_context("spawn").Pool(jobs) as pool:
        for done, (counts, found) in enumerate(pool.imap(_runs, chunks), 1):
            total.update(counts)
            broken += found
            if progress and done % 20 == 0:
                print(f"{done * _CHUNK} of {seeds}: {len(broken)} broken", file=sys.stderr)
    told = ("crashes", "zombies", "epochs", "lost", "doubled")
    return {
        "first": first,
        "seeds": seeds,
        **{name: total.pop(name, 0) for name in told},
        "broken": broken[:_SHOWN],
        "counts": dict(sorted(total.items())),
    }


def _runs(chunk: tuple[int, int]) -> tuple[Counter[str], list[str]]:
    counts: Counter[str] = Counter()
    broken = []
    for seed in range(chunk[0], chunk[0] + chunk[1]):
        outcome = simulate(seed)
        counts.update(outcome.counts)
        counts.update(lost=outcome.lost, doubled=outcome.doubled)
        if outcome.violations:
            broken.append(f"seed {seed}: {outcome.violations[0]}")
    return counts, broken


def main() -> None:
    """The campaign, from the command line; exit code 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    found = campaign(arguments.first, arguments.seeds, arguments.jobs, progress=True)
    print(json.dumps(found))
    sys.exit(bool(found["broken"] or found["lost"] or found["doubled"]))


if __name__ == "__main__":
    main()
