"""Verdict: what the ledger holds against what the log comes to; one line to read, one row to keep."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.findings import fold
from pipeline.ledger.view import findings
from pipeline.probe import UID
from pipeline.transport import topics
from tests.faults.ground import RUN, Ground
from tests.faults.oracle import Truth, judge, others, probes, unequal

RESULTS = "FIELDTAP_FAULT_RESULTS"
"""Names the file to which a row is added for each test; none is kept where it is not set."""


def dose(name: str, usual: int) -> int:
    """How much of a misfortune: `FIELDTAP_<name>`, else what is usual."""
    return int(os.environ.get(f"FIELDTAP_{name}", usual))


def seed(usual: int) -> int:
    """`FIELDTAP_SEED`, else what is usual."""
    return int(os.environ.get("FIELDTAP_SEED", usual))


@dataclass(frozen=True)
class Verdict:
    """What became of one test.

    Attributes:
        fault: what was done, as the table of reliability names it.
        times: how often.
        records: judged.
        rows: probe rows that there must be.
        lost, doubled: of these, how many are missing, and how many there are beyond one of each.
        findings: of all kinds, told apart by their id.
        wrong: what differs from the oracle, in words; empty when nothing does.
        more: further figures.
    """

    fault: str
    times: int
    seed: int
    records: int
    rows: int
    lost: int
    doubled: int
    findings: int
    wrong: list[str]
    seconds: float
    more: dict[str, Any]

    def __str__(self) -> str:
        more = "".join(f" {name}={value}" for name, value in self.more.items())
        return (
            f"{self.fault}: times={self.times} seed={self.seed} records={self.records:,} rows={self.rows:,} "
            f"lost={self.lost} doubled={self.doubled} findings={self.findings:,} wrong={self.wrong} "
            f"seconds={self.seconds:.0f}{more}"
        )


def verdict(ground: Ground, fault: str, times: int, began: float, *, but: Sequence[str] = (), **more: Any) -> Verdict:
    """Compare, print and keep; whether it is good is for the caller to assert: see :func:`hold`.

    Args:
        but: arrays of the state of panes that the oracle cannot know.
        more: further figures.
    """
    client = {**ground.client, "group.id": f"{ground.prefix}oracle"}
    truth = judge(client, ground.setup, ground.records.name, ground.ends(ground.records), ground.panes.partitions)
    found = findings(ground.store, RUN)
    expected, written = ground.feed.probes(ground.probe_every), probes(found)
    of_ours = written[np.isin(written, expected)]
    once = np.unique(of_ours)
    made = Verdict(
        fault=fault,
        times=times,
        seed=ground.seed,
        records=ground.feed.records,
        rows=len(expected),
        lost=len(expected) - len(once),
        doubled=len(of_ours) - len(once),
        findings=fold(truth.rows).num_rows,
        wrong=_differences(ground, truth, found, but),
        seconds=monotonic() - began,
        more=more,
    )
    print(f"\n{made}")
    keep(made)
    return made


def hold(made: Verdict) -> None:
    """Nothing lost, nothing doubled, everything as the oracle has it.

    Raises:
        AssertionError: it is not so.
    """
    assert made.rows > 0
    assert (made.lost, made.doubled, made.wrong) == (0, 0, []), str(made)


def keep(made: Verdict) -> None:
    """Add a row to the file of results, where one is named."""
    file = os.environ.get(RESULTS)
    if file:
        row = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **asdict(made)}
        with open(file, "a") as out:
            out.write(json.dumps(row) + "\n")


def _differences(ground: Ground, truth: Truth, found: pa.Table, but: Sequence[str]) -> list[str]:
    wrong = []
    ours, theirs = others(found), others(truth.rows)
    if ours != theirs:
        wrong.append(f"rows of findings: {(theirs - ours).total()} missing, {(ours - theirs).total()} too many")
    for kind, topic in (("records", ground.records), ("panes", ground.panes)):
        for p, tip in enumerate(ground.tips(topic)):
            expected = truth.states[kind, p]
            state = {} if tip is None else tip.state
            names = [name for name in unequal(state, expected) if kind == "records" or name not in but]
            if names:
                wrong.append(f"state of {kind}/{p}: {', '.join(names[:5])}")
    if not ground.unbroken():
        wrong.append("a chain is broken")
    told = {m.key() for m in ground.all_of(topics.FINDINGS_LIVE)}
    known = {f"{uid:016x}".encode() for uid in _uids(found)}
    if untold := known - told:
        wrong.append(f"findings never told live: {len(untold)} of {len(known)}")
    return wrong


def _uids(found: pa.Table) -> list[int]:
    left = found.filter(pc.not_equal(found.column("analytic_uid"), UID))
    uids: list[int] = left.column("finding_info_uid").unique().to_pylist()
    return uids
