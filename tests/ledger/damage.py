"""Damaged ends of chains: `python -m tests.ledger.damage --objects 50000`, also part of `make faults-sim`.

Each makes a chain, damages its last object, and must see the partition stop, mend it, and go on to the end of the log.
Prints one line of JSON: objects damaged, seen, mended; rows lost and doubled.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random

import numpy as np

from pipeline.ledger import Chain, ChainDamaged
from pipeline.ledger.repair import damage, repair
from pipeline.ledger.view import findings
from tests.ledger.stores import PLACE, Names, owner, work
from tests.simulation.log import Note, Tally, clean, log, rows_of
from tests.simulation.scene import damaged

_LENGTH = 24


def one(seed: int) -> Counter[str]:
    """One damaged object; what came of it."""
    rng = Random(seed)
    notes = log(seed % 8, _LENGTH)
    cuts = tuple(sorted(rng.sample(range(1, _LENGTH), rng.randint(1, 5))))
    store = Names()
    work(store, notes, cuts)
    chain = Chain(store, PLACE)
    start, end = [0, *cuts][-2:]
    name = PLACE.epoch(start)
    if rng.random() < 0.5:
        # Its owner died between creation and publication.
        store.objects = {n: d for n, d in store.objects.items() if not n.endswith(f"-{end:020d}.parquet")}
    store.objects[name] = _spoiled(rng, store, name)
    told: Counter[str] = Counter(objects=1)
    try:
        owner(store).open()
    except ChainDamaged:
        told["seen"] += 1
    found = damage(chain)
    if found is None:
        return told
    told["unsaid"] += found.extent is None
    stop = None if found.extent is not None else end
    repaired = repair(chain, Tally(), lambda first, last: _messages(notes, first, last), stop=stop)
    told["mended"] += (
        repaired is not None and repaired.epoch.extent[:2] == (start, end) and repaired.agrees is not False
    )
    work(store, notes, (_LENGTH,))
    known, got = Counter(clean(notes).findings), Counter(rows_of(findings(store, PLACE.run, threads=1)))
    tip = chain.tip()
    assert tip is not None
    told["lost"] += (known - got).total()
    told["doubled"] += (got - known).total()
    told["state wrong"] += any(not np.array_equal(tip.state[n], a) for n, a in clean(notes).state.items())
    return told


def _spoiled(rng: Random, store: Names, name: str) -> bytes:
    others = [data for n, data in sorted(store.objects.items()) if n.startswith("epochs") and n != name]
    if others and rng.random() < 0.1:
        return rng.choice(others)
    return damaged(rng, store.objects[name])


def _messages(notes: tuple[Note, ...], start: int, stop: int) -> Iterator[Sequence[Note]]:
    for at in range(start, stop, 5):
        yield notes[at : min(at + 5, stop)]


def campaign(first: int, objects: int) -> Counter[str]:
    """The damage of `objects` seeds from `first` on."""
    told: Counter[str] = Counter()
    for seed in range(first, first + objects):
        told.update(one(seed))
    return told


def main() -> None:
    """The campaign, from the command line; exit code 1 where damage was not seen or not mended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    told = campaign(arguments.first, arguments.objects)
    print(json.dumps(dict(told)))
    whole = told["objects"] == told["seen"] == told["mended"]
    sys.exit(not whole or bool(told["lost"] or told["doubled"] or told["state wrong"]))


if __name__ == "__main__":
    main()
