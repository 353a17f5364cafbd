"""Approval: what a person says of a baseline: which doubtful entries are normal, what to forget, what to learn anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.baseline import Baseline, rows_of, write
from pipeline.errors import BaselineError
from pipeline.findings.evidence import extent_of
from pipeline.findings.taught import Taught
from pipeline.names import address_text, packed_address, tag_text
from schemas.baseline import BASELINE, SORT_KEY
from schemas.codes import LearnState, Protocol

SURE = 3
"""Observations from which an entry is not doubtful."""
DAY_NS = 86_400_000_000_000
_POINT = ("device", "unit", "space", "addr", "addr_sub", "name_id")
_ENTRY = (*_POINT, "peer", "code")
_ENTRIES = {"plant": ("device",), **dict.fromkeys(("peer", "function", "role"), (*_ENTRY, "parameter"))}
"""By detector, the columns that the rows of one entry share: the numbers of one tag or channel belong together."""
TAUGHT = "taught"
"""In place of a detector: rows that teach findings; `parameter` names the finding type, `code` is the subject's key,
`value` how far outside of normal it was (`pipeline.findings.taught`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows of a baseline; None lets everything pass.

    Attributes:
        detector, parameter: by name.
        device: its id in hexadecimal, or the start of it, as `baseline show` prints it.
        unit: its number.
        client: its address.
        tag: as `baseline show` prints it.
        provisional: only doubtful entries.
    """

    detector: str | None = None
    parameter: str | None = None
    device: str | None = None
    unit: int | None = None
    client: str | None = None
    tag: str | None = None
    provisional: bool = False

    def of(self, table: pa.Table) -> NDArray[np.bool_]:
        """Whether each row is meant."""
        kept = np.ones(table.num_rows, np.bool_)
        for name, wanted in (("detector", self.detector), ("parameter", self.parameter), ("unit", self.unit)):
            if wanted is not None:
                kept &= _flags(pc.equal(table.column(name), wanted))
        if self.provisional:
            kept &= is_provisional(table)
        if self.device is not None:
            wanted = self.device.lower().removeprefix("0x")
            kept &= _texts(table, kept, ("device",), lambda device: f"{device:016x}".startswith(wanted))
        if self.client is not None:
            kept &= _texts(table, kept, ("peer",), lambda peer: address_text(peer) == self.client)
        if self.tag is not None:
            point = ("space", "addr", "addr_sub", "name_id")
            kept &= _texts(table, kept, point, lambda *words: tag_text(Protocol.MODBUS, *words) == self.tag)
        return kept

    @property
    def is_everything(self) -> bool:
        """Whether nothing was selected."""
        return self == Selection()


def _flags(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = column.to_numpy()
    return found


def _texts(table: pa.Table, kept: NDArray[np.bool_], columns: Sequence[str], holds: Any) -> NDArray[np.bool_]:
    """Whether `holds` says so of the columns of each row that is kept so far."""
    at = np.flatnonzero(kept)
    found = np.zeros(table.num_rows, np.bool_)
    words = [table.column(name).take(at).to_pylist() for name in columns]
    found[at] = [bool(holds(*row)) for row in zip(*words, strict=True)]
    return found


def is_provisional(table: pa.Table) -> NDArray[np.bool_]:
    """Which rows are doubtful."""
    return _flags(pc.equal(table.column("state"), int(LearnState.PROVISIONAL)))


def mark_provisional(table: pa.Table) -> pa.Table:
    """Learned rows with the doubtful ones marked: seen fewer than three times, or on one of several days only.

    An intruder who was there while the site was learned is normal from then on; a person who looks at what was
    hardly ever seen can still find him.
    """
    n = table.column("n").to_numpy()
    first, last = (table.column(name).cast(pa.int64()).to_numpy() for name in ("first", "last"))
    seen = n > 0
    spans_days = bool(seen.any()) and int(last[seen].max()) - int(first[seen].min()) >= 2 * DAY_NS
    one_day = first // DAY_NS == last // DAY_NS
    doubtful = seen & ((n < SURE) | (one_day if spans_days else False))
    return _with_state(table, doubtful & (table.column("state").to_numpy() == LearnState.LIVE), LearnState.PROVISIONAL)


def carried_over(table: pa.Table, old: pa.Table) -> pa.Table:
    """What was learned anew, with what a person said of the baseline before: what was taught, and approved."""
    certain = old.filter(pc.equal(old.column("state"), int(LearnState.LIVE)))
    doubtful = is_provisional(table)
    known = np.isin(_words(table.filter(pa.array(doubtful)), SORT_KEY), _words(certain, SORT_KEY))
    approved = np.zeros(table.num_rows, np.bool_)
    approved[np.flatnonzero(doubtful)[known]] = True
    taught = old.filter(pc.equal(old.column("detector"), TAUGHT))
    return pa.concat_tables([_with_state(table, approved, LearnState.LIVE), taught])


def settled(table: pa.Table) -> pa.Table:
    """Rows as detectors take them: until someone forgets it, a doubtful entry is normal."""
    return _with_state(table, is_provisional(table), LearnState.LIVE)


def _with_state(table: pa.Table, rows: NDArray[np.bool_], state: LearnState) -> pa.Table:
    states = np.where(rows, np.uint8(state), table.column("state").to_numpy())
    at = table.schema.get_field_index("state")
    return table.set_column(at, BASELINE.field("state"), pa.array(states, pa.uint8()))


def approve(baseline: Baseline, selection: Selection, out: Path) -> int:
    """Write the baseline with the doubtful entries selected approved; how many they were.

    Raises:
        BaselineError: none is meant.
        OutputError: it cannot be written.
    """
    rows = selection.of(baseline.table) & is_provisional(baseline.table)
    _refuse_nothing(rows, "approve", "doubtful entry")
    _write(out, _with_state(baseline.table, rows, LearnState.LIVE), baseline, "approve", rows)
    return int(rows.sum())


def forget(baseline: Baseline, selection: Selection, out: Path) -> int:
    """Write the baseline without the rows selected; how many they were.

    What is forgotten is unusual again; a tag that is forgotten is learned anew.  What belongs to the rows selected
    goes with them: all that is known of a tag, the whole model of a device.

    Raises:
        BaselineError: none is meant.
        OutputError: it cannot be written.
    """
    rows = _whole(baseline.table, selection.of(baseline.table))
    _refuse_nothing(rows, "forget", "row")
    _write(out, baseline.table.filter(pa.array(~rows)), baseline, "forget", rows)
    return int(rows.sum())


def _whole(table: pa.Table, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rows, and all that makes no sense without them."""
    found = rows.copy()
    for name in table.column("detector").filter(pa.array(rows)).unique().to_pylist():
        of = np.flatnonzero(_flags(pc.equal(table.column("detector"), name)))
        keys = _words(table.take(pa.array(of)), _ENTRIES.get(name, _ENTRY))
        found[of] |= np.isin(keys, keys[rows[of]])
    return found


def teach(baseline: Baseline, findings: pa.Table, uids: Sequence[str], out: Path) -> int:
    """Write the baseline with findings taught as normal, and with them what was rolled up below; how many they were.

    Args:
        baseline: what judges.
        findings: rows of schema ALERT, the last of each finding.
        uids: their ids in hexadecimal, or the start of them.
        out: the file.

    Raises:
        BaselineError: no finding, or several, of an id.
        OutputError: it cannot be written.
    """
    rows = meant(findings, uids)
    taught = _taught_rows(findings.take(pa.array(np.flatnonzero(rows))))
    known = _flags(pc.equal(baseline.table.column("detector"), TAUGHT))
    both = _further(pa.concat_tables([baseline.table.filter(pa.array(known)), taught]))
    kept = pa.concat_tables([baseline.table.filter(pa.array(~known)), both])
    _write(out, kept, baseline, "teach", rows)
    return int(rows.sum())


def meant(findings: pa.Table, uids: Sequence[str]) -> NDArray[np.bool_]:
    """Which findings have these ids, or one that starts so, or are rolled up below such.

    Raises:
        BaselineError: no finding, or several, of an id.
    """
    ids = findings.column("finding_info_uid").to_numpy()
    names = [f"{uid:016x}" for uid in ids.tolist()]
    rows = np.zeros(len(ids), np.bool_)
    for uid in uids:
        hits = [i for i, name in enumerate(names) if name.startswith(uid.lower().removeprefix("0x"))]
        if len(hits) != 1:
            raise BaselineError(f"teach: {len(hits) or 'no'} findings have an id that starts with {uid!r}")
        rows[hits] = True
    parents = findings.column("parent_uid").to_numpy()
    while (more := np.isin(parents, ids[rows]) & ~rows).any():
        rows |= more
    return rows


def _taught_rows(findings: pa.Table) -> pa.Table:
    """A row for each finding, up to the furthest that was seen."""
    clients = findings.column("client_ip").to_pylist()
    low, high, seen = (findings.column(n).to_numpy() for n in ("expected_low", "expected_high", "observed_value"))
    columns: dict[str, NDArray[Any]] = {
        **{name: findings.column(name).to_numpy() for name in _POINT},
        "parameter": np.array(findings.column("analytic_uid").to_pylist(), np.str_),
        "peer": np.frombuffer(b"".join(packed_address(c) or bytes(16) for c in clients), np.uint8).reshape(-1, 16),
        "code": findings.column("subject_key").to_numpy(),
        "value": extent_of(low, high, seen),
        "state": np.full(findings.num_rows, LearnState.LIVE, np.uint8),
        "n": findings.column("count").to_numpy(),
        **{name: findings.column(f"{name}_seen_time").cast(pa.int64()).to_numpy() for name in ("first", "last")},
    }
    return rows_of(TAUGHT, columns)


def _further(taught: pa.Table) -> pa.Table:
    """One row for each subject: that which was taught furthest."""
    keys = ("device", "parameter", "code")
    ordered = taught.sort_by([(name, "ascending") for name in (*keys, "value")])
    words = _words(ordered, keys)
    return ordered.filter(pa.array(np.append(words[1:] != words[:-1], True)))


def _words(table: pa.Table, columns: Sequence[str]) -> NDArray[Any]:
    """The columns of each row as one text."""
    rows = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    return np.array([" ".join(map(str, row)) for row in rows], np.str_)


def taught_of(table: pa.Table, codes: Mapping[str, int]) -> Taught:
    """What a baseline teaches; rows of finding types that are not known any more teach nothing.

    Args:
        table: rows of schema BASELINE.
        codes: FindingType.code by its uid.
    """
    rows = table.filter(pc.equal(table.column("detector"), TAUGHT)).select(("device", "parameter", "code", "value"))
    return Taught(
        {
            (row["device"], codes[row["parameter"]], row["code"]): row["value"]
            for row in rows.to_pylist()
            if row["parameter"] in codes
        }
    )


def _refuse_nothing(rows: NDArray[np.bool_], verb: str, noun: str) -> None:
    if not rows.any():
        raise BaselineError(f"{verb}: no {noun} of the baseline is meant")


def _write(out: Path, table: pa.Table, parent: Baseline, verb: str, rows: NDArray[np.bool_]) -> None:
    edits = [*parent.lineage.get("edits", []), {"what": verb, "rows": int(rows.sum()), "parent": parent.digest}]
    write(out, table, {**parent.lineage, "edits": edits})
