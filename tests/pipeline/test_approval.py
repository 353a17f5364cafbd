"""What a person says of a baseline: doubtful entries, what is forgotten, and findings that never return."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from detectors.base import Mark
from detectors.columns import records
from detectors.lifecycle import Learning
from detectors.registry import REGISTERED, load
from pipeline import approval, baseline
from pipeline.approval import DAY_NS, Selection
from pipeline.detect import Loop
from pipeline.errors import BaselineError
from pipeline.findings import Findings, fold
from pipeline.findings.taught import LIMIT, Taught, order_of, ordered
from schemas.baseline import SORT_KEY
from schemas.codes import BUCKETS, LearnState, MarkKind
from tests.pipeline.scripted import SECOND, STRANGER, T0, TYPES, WRITE, Scripted, plain, row, value
from tests.test_detector_contract import build, clean, feed, module, whole

CODES = {kind.uid: kind.code for kind in TYPES.values()}
NAN = float("nan")


def entries(*rows: tuple[int, int, int, int]) -> pa.Table:
    """Rows of (n, first, last, state), a device each."""
    n, first, last, state = (np.array(column) for column in zip(*rows, strict=True))
    columns = {"device": np.arange(1, len(rows) + 1, dtype=np.uint64), "n": n, "first": first, "last": last}
    return baseline.rows_of("peer", {**columns, "state": state, "parameter": np.full(len(rows), "pair")})


def kept(tmp_path: Path, table: pa.Table) -> baseline.Baseline:
    baseline.write(tmp_path / "b.parquet", table, {"captures": ["clean.pcap"]})
    return baseline.read(tmp_path / "b.parquet")


def states(table: pa.Table) -> list[int]:
    return table.column("state").to_pylist()


LIVE, LEARN, PROVISIONAL = int(LearnState.LIVE), int(LearnState.LEARN), int(LearnState.PROVISIONAL)


def test_what_was_hardly_ever_seen_is_doubtful() -> None:
    table = entries((1, 0, 9, LIVE), (2, 0, 9, LIVE), (3, 0, 9, LIVE), (0, 0, 0, LIVE), (1, 0, 9, LEARN))
    assert states(approval.mark_provisional(table)) == [PROVISIONAL, PROVISIONAL, LIVE, LIVE, LEARN]


def test_what_came_on_one_of_several_days_is_doubtful() -> None:
    day, week = DAY_NS, 7 * DAY_NS
    always, once, twice = (900, 0, week, LIVE), (900, 3 * day, 4 * day - 1, LIVE), (9, 3 * day, 4 * day, LIVE)
    assert states(approval.mark_provisional(entries(always, once, twice))) == [LIVE, PROVISIONAL, LIVE]
    # Of a single day, nobody can say more.
    assert states(approval.mark_provisional(entries((900, 0, 2 * day - 1, LIVE), (*once[:1], 5, 9, LIVE)))) == [3, 3]


def test_doubtful_entries_are_normal_until_forgotten() -> None:
    assert states(approval.settled(entries((1, 0, 9, PROVISIONAL), (9, 0, 9, LEARN)))) == [LIVE, LEARN]


def test_approving_changes_what_is_meant_and_says_so_in_the_lineage(tmp_path: Path) -> None:
    old = kept(tmp_path, entries((1, 0, 9, PROVISIONAL), (1, 0, 9, PROVISIONAL), (9, 0, 9, LIVE)))
    out = tmp_path / "new.parquet"
    assert approval.approve(old, Selection(device=f"{2:016x}"), out) == 1
    new = baseline.read(out)
    assert states(new.table) == [PROVISIONAL, LIVE, LIVE]
    assert new.lineage["captures"] == ["clean.pcap"]
    assert new.lineage["edits"] == [{"what": "approve", "rows": 1, "parent": old.digest}]
    with pytest.raises(BaselineError, match="approve: no doubtful entry"):
        approval.approve(new, Selection(device=f"{2:016x}"), out)


@pytest.mark.parametrize("name", sorted(REGISTERED))
def test_any_entry_can_be_forgotten(tmp_path: Path, name: str) -> None:
    """What is left can be adopted, and is what is learned of the others."""
    teacher = build(name, mode="learn")
    feed(teacher, clean(name, whole(module(name).example(np.random.default_rng(7)))))
    table = baseline.collect([teacher])
    rows = plain(table)
    for at in np.random.default_rng(3).choice(len(rows), min(8, len(rows)), replace=False).tolist():
        meant = Selection(device=f"{rows[at]['device']:016x}", parameter=rows[at]["parameter"])
        lost = approval.forget(kept(tmp_path, table), meant, tmp_path / "less.parquet")
        left = baseline.read(tmp_path / "less.parquet").table
        assert left.num_rows == table.num_rows - lost < table.num_rows
        pupil = load(name)(getattr(module(name), "EXAMPLE_PARAMS", None) or module(name).Params(), Learning())
        baseline.adopt(left, [pupil])
        assert keys_of(baseline.collect([pupil])) == keys_of(left) or not left.num_rows


def keys_of(table: pa.Table) -> set[tuple[Any, ...]]:
    return {tuple(r[name] for name in SORT_KEY) for r in plain(table)}


def test_nothing_meant_is_an_error(tmp_path: Path) -> None:
    old = kept(tmp_path, entries((9, 0, 9, LIVE)))
    with pytest.raises(BaselineError, match="forget: no row"):
        approval.forget(old, Selection(detector="value"), tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()


def judged(rows: list[dict[str, Any]], taught: Taught | None = None) -> tuple[pa.Table, dict[str, int]]:
    findings = Findings(TYPES, taught=taught)
    batch = records(rows)
    findings.add(batch, Scripted().on_batch(batch))
    findings.finish()
    return fold(findings.take()), findings.counters()


STREAM = [
    row(0, 1, label=STRANGER.code, flow=7),
    row(1, 2, flow=8, peer_seq=7, points=value(70.0)),
    row(2, 3, flow=9, points=value(30.0)),
    row(3, 4, flow=8, device=6, points=value(70.0)),
]


def uid_of(table: pa.Table, key: int, device: int = 5) -> str:
    rows = [r for r in table.to_pylist() if r["subject_key"] == key and r["device"] == device]
    return f"{rows[0]['finding_info_uid']:016x}"


def test_a_taught_finding_never_returns_nor_what_was_rolled_up_below_it(tmp_path: Path) -> None:
    found, _ = judged(STREAM)
    assert found.num_rows == 4
    old = kept(tmp_path, entries((9, 0, 9, LIVE)))
    assert approval.teach(old, found, [uid_of(found, 7)[:6]], tmp_path / "t.parquet") == 2
    new = baseline.read(tmp_path / "t.parquet").table
    taught = approval.taught_of(new, CODES)
    assert dict(taught.items()) == {(5, STRANGER.code, 7): -np.inf, (5, WRITE.code, 8): 10.0}
    later = [{**r, "ts": r["ts"] + 3600 * SECOND} for r in STREAM]
    again, counts = judged(later, taught)
    assert {(r["device"], r["subject_key"]) for r in again.to_pylist()} == {(5, 9), (6, 8)}
    assert counts["taught"] == 2


@pytest.mark.parametrize(("number", "told"), [(72.5, 0), (72.6, 1), (27.5, 0), (27.4, 1), (NAN, 0)])
def test_a_value_much_further_out_than_what_was_taught_is_told(number: float, told: int) -> None:
    taught = Taught({(5, WRITE.code, 8): 10.0})
    points = value(number) if number == number else []
    assert judged([row(0, 1, flow=8, points=points)], taught)[0].num_rows == told


def test_teaching_again_keeps_the_furthest(tmp_path: Path) -> None:
    near, _ = judged([row(0, 1, flow=8, points=value(61.0))])
    far, _ = judged([row(0, 1, flow=8, points=value(99.0))])
    path = tmp_path / "b.parquet"
    old = kept(tmp_path, entries((9, 0, 9, LIVE)))
    for found in (near, far, near):
        approval.teach(old, found, [uid_of(found, 8)], path)
        old = baseline.read(path)
    assert dict(approval.taught_of(old.table, CODES).items()) == {(5, WRITE.code, 8): 39.0}
    assert [edit["what"] for edit in old.lineage["edits"]] == ["teach"] * 3


def test_what_was_said_of_a_baseline_holds_for_the_one_learned_after_it(tmp_path: Path) -> None:
    found, _ = judged(STREAM)
    rows = entries((1, 0, 9, PROVISIONAL), (1, 0, 9, PROVISIONAL), (9, 0, 9, LIVE))
    approval.approve(kept(tmp_path, rows), Selection(device=f"{2:016x}"), tmp_path / "a.parquet")
    approval.teach(baseline.read(tmp_path / "a.parquet"), found, [uid_of(found, 9)], tmp_path / "t.parquet")
    old = baseline.read(tmp_path / "t.parquet").table
    anew = entries((2, 5, 9, PROVISIONAL), (2, 5, 9, PROVISIONAL), (1, 5, 9, PROVISIONAL), (1, 5, 9, PROVISIONAL))
    new = approval.carried_over(anew, old)
    assert states(new.filter(pc.equal(new.column("detector"), "peer"))) == [PROVISIONAL, LIVE, LIVE, PROVISIONAL]
    assert dict(approval.taught_of(new, CODES).items()) == {(5, WRITE.code, 9): 10.0}


def test_an_id_that_is_none_or_many_is_refused(tmp_path: Path) -> None:
    found, _ = judged(STREAM)
    old = kept(tmp_path, entries((9, 0, 9, LIVE)))
    with pytest.raises(BaselineError, match="no findings have an id that starts with 'x'"):
        approval.teach(old, found, ["x"], tmp_path / "t.parquet")
    with pytest.raises(BaselineError, match="4 findings have an id that starts with ''"):
        approval.teach(old, found, [""], tmp_path / "t.parquet")


def ordering(*items: tuple[float, str]) -> list[Mark]:
    return [Mark(MarkKind.CONTROL, T0 + round(at * SECOND), text=text) for at, text in items]


def test_a_mark_teaches_from_where_it_stands_and_a_restart_knows_it() -> None:
    order = order_of((5, WRITE.code, 1), -np.inf)
    loop = Loop([Scripted()], Findings(TYPES))
    batch = records([row(0), row(700), row(1400)])
    (mark,) = ordering((700, order))
    loop.on_stretch(batch, ((1, mark),))
    assert loop.findings.counters()["taught"] == 2
    other = Loop([Scripted()], Findings(TYPES))
    other.findings.restore(loop.findings.snapshot(np.arange(BUCKETS)))
    other.on_stretch(records([row(2100), row(2101, flow=2)]), ())
    other.finish()
    assert [r["subject_key"] for r in fold(other.take()).to_pylist() if r["start_time"].timestamp() > 0][-1] == 2
    assert other.findings.counters()["taught"] == 1


NONSENSE = (
    "",
    "{",
    "[]",
    '{"teach": 1}',
    '{"teach": {"device": -1, "what": 1, "key": 1, "extent": 1}}',
    '{"teach": {"device": 1, "what": 1, "key": 1e400, "extent": 1}}',
    '{"teach": {"device": 1, "what": 1, "key": 2, "extent": NaN}}',
    "[" * 100_000,
)


@pytest.mark.parametrize("text", NONSENSE, ids=range(len(NONSENSE)))
def test_an_order_without_sense_is_counted(text: str) -> None:
    assert ordered(text) is None
    findings = Findings(TYPES)
    findings.order(text)
    assert findings.counters()["orders refused"] == 1


def test_marks_cannot_teach_without_bound() -> None:
    taught = Taught({(0, 1, key): 0.0 for key in range(LIMIT)})
    assert not taught.add((0, 1, LIMIT), 0.0)
    assert taught.add((0, 1, 5), 3.0)
    assert len(taught) == LIMIT
