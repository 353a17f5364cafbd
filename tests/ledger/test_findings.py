"""What is published: names and bytes that follow from the epoch, the same rows before, during and after compaction."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from pyarrow import parquet as pq

from pipeline.ledger import Chain, Epoch, Extent, LedgerError, Place, Publisher, encode
from pipeline.ledger.compact import closed, compact
from pipeline.ledger.parquet import emptied, pack, unpack
from pipeline.ledger.publish import FRESH, MERGED, files, published
from pipeline.ledger.view import findings, joined
from pipeline.store import StoreUnclear, open_store
from schemas.alert import ALERT, ALERT_COLUMNS
from tests.ledger.stores import PLACE, FailsOnce, Names, owner, work
from tests.simulation.log import Row, clean, log, rows_of

NOTES = log(3, 60)
CUTS = tuple(range(1, 61))
DAY_NS = 86_400_000_000_000


def known() -> Counter[Row]:
    return Counter(clean(NOTES).findings)


def read(store: Any, run: str = "r") -> Counter[Row]:
    return Counter(rows_of(findings(store, run, threads=1)))


def alerts(times_ns: list[int]) -> pa.Table:
    columns = {c.name: [c.default] * len(times_ns) for c in ALERT_COLUMNS} | {"time": times_ns}
    return pa.table({c.name: pa.array(columns[c.name], c.type) for c in ALERT_COLUMNS}, ALERT)


def same(one: pa.Table, other: pa.Table) -> bool:
    """Whether rows are equal, NaNs too."""
    return pack(one.combine_chunks(), "") == pack(other.combine_chunks(), "")


def epoch(rows: pa.Table, start: int = 0, stop: int = 9, place: Place = PLACE) -> Epoch:
    return Epoch(encode(place, Extent(start, stop, False), {}, findings=rows), place, start)


# --- names and bytes


def test_a_file_per_day_of_the_rows_none_without_rows() -> None:
    rows = alerts([DAY_NS - 1, DAY_NS, 3 * DAY_NS + 5, DAY_NS + 1])
    made = files(epoch(rows))
    stem = "part+topic+00000+00000000000000000000-00000000000000000009"
    assert [name for name, _ in made] == [
        f"findings/run=r/date={day}/{stem}.parquet" for day in ("1970-01-01", "1970-01-02", "1970-01-04")
    ]
    assert [unpack(data, "").num_rows for _, data in made] == [1, 2, 1]
    assert same(joined([unpack(data, name) for name, data in made]).sort_by("time"), rows.sort_by("time"))
    assert files(epoch(rows)) == made
    assert files(epoch(rows.slice(0, 0))) == []


def test_a_broken_clock_makes_one_file() -> None:
    rows = alerts([day * DAY_NS for day in range(32)])
    ((name, data),) = files(epoch(rows))
    assert "/date=1970-01-01/" in name
    assert unpack(data, name).num_rows == 32
    assert len(files(epoch(rows.slice(1)))) == 31


def test_times_before_1970_have_their_day() -> None:
    assert ["/date=1969-12-31/" in name for name, _ in files(epoch(alerts([-1])))] == [True]


def test_what_is_published_twice_is_there_once_as_it_was() -> None:
    store = Names()
    Publisher(store).publish(epoch(alerts([1, 2])))
    before = dict(store.objects)
    assert len(before) == 1
    Publisher(store).publish(epoch(alerts([3, 4])))
    assert store.objects == before


def test_rows_come_back_as_they_were_in_the_schema_of_alerts(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    rows = alerts([5, 6, 7])
    Publisher(store).publish(epoch(rows))
    found = findings(str(tmp_path), "r")
    assert same(found, rows)
    assert found.schema.equals(ALERT)
    assert findings(str(tmp_path), "another").schema.equals(ALERT)
    # as any other reader sees them, by the layout of Hive
    whole = ds.dataset(tmp_path / "findings", partitioning="hive").to_table()
    assert whole.num_rows == 3
    assert set(whole.column("date").to_pylist()) == {"1970-01-01"}


def test_a_damaged_file_is_told() -> None:
    store = Names()
    rows = alerts([5, 6, 7])
    Publisher(store).publish(epoch(rows))
    ((name, data),) = store.objects.items()
    for at in range(4, len(data) - 12, 101):
        store.objects[name] = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
        with suppress(LedgerError):
            assert same(findings(store, "r"), rows)
    store.objects[name] = data[:-20]
    with pytest.raises(LedgerError, match="damaged"):
        findings(store, "r")


def test_what_is_not_ours_is_left_alone() -> None:
    store = Names()
    Publisher(store).publish(epoch(alerts([5])))
    store.objects["findings/run=r/date=1970-01-01/_SUCCESS"] = b""
    store.objects["findings/run=r/date=1970-01-01/mine.parquet"] = b""
    assert findings(store, "r").num_rows == 1


# --- compaction


def ledger() -> Names:
    store = Names()
    work(store, NOTES, CUTS)
    return store


def test_days_that_are_over_become_one_file_sorted_and_small() -> None:
    store = ledger()
    assert read(store) == known()
    before = published(store, FRESH, "r")
    done = compact(store)
    assert done.merged > 3
    assert read(store) == known()
    after = published(store, MERGED, "r")
    assert len(after) == done.merged
    for file in after:
        rows = unpack(store.objects[file.name], file.name)
        times = rows.column("time").to_pylist()
        assert times == sorted(times)
        column = pq.ParquetFile(pa.BufferReader(store.objects[file.name])).metadata.row_group(0).column(0)
        assert column.compression == "ZSTD"
        assert column.statistics.min == times[0]
    held = {file.name: unpack(store.objects[file.name], file.name).num_rows for file in before}
    assert list(held.values()).count(0) == done.emptied
    assert sum(held.values()) + done.rows == known().total()
    assert compact(store) == (0, 0, 0)


@pytest.mark.parametrize("root", [FRESH, MERGED])
def test_a_plain_glob_over_one_root_never_doubles(tmp_path: Path, root: str) -> None:
    store = open_store(str(tmp_path))
    for name, data in ledger().objects.items():
        store.create(name, data)
    compact(store)
    rows = Counter(rows_of(ds.dataset(tmp_path / root, partitioning="hive").to_table()))
    assert rows.total() > 5
    assert max(rows.values()) == 1
    assert rows <= known()


def test_what_is_merged_follows_from_names_whenever_it_is_done() -> None:
    at_the_end, all_along = ledger(), Names()
    for cut in CUTS:
        work(all_along, NOTES, CUTS[:cut])
        compact(all_along)
    compact(at_the_end)
    merged = {name: data for name, data in at_the_end.objects.items() if name.startswith(MERGED)}
    assert merged
    assert {name: data for name, data in all_along.objects.items() if name.startswith(MERGED)} == merged
    assert read(all_along) == read(at_the_end) == known()


def test_the_last_epoch_is_never_merged() -> None:
    store = Names()
    work(store, NOTES, CUTS)
    starts = [start for start, _ in Chain(store, PLACE).starts()]
    merged = [file for run in closed(PLACE, published(store, FRESH, "r"), starts) for file in run]
    assert merged
    assert max(file.next for file in merged) < starts[-1]
    assert [file for run in closed(PLACE, published(store, FRESH, "r"), starts[:1]) for file in run] == []


def test_each_day_closes_by_itself_when_clocks_differ() -> None:
    store = Names()
    it = owner(store)
    it.open()
    for start in range(6):
        it.feed(NOTES[start : start + 1])
        it.cut()
        while it.step():
            pass
    for name in [n for n in store.objects if n.startswith(FRESH)]:
        del store.objects[name]
    two = alerts([0, DAY_NS])
    for start in range(4):
        Publisher(store).publish(epoch(two if start < 3 else two.slice(1), start, start + 1))
    runs = closed(PLACE, published(store, FRESH, "r"), range(6))
    assert [[(f.day, f.start) for f in run] for run in runs] == [[("1970-01-01", n) for n in range(3)]]


@pytest.mark.parametrize("what", ["create", "replace"])
@pytest.mark.parametrize("done", [True, False])
def test_a_compaction_that_was_cut_short_is_finished_by_the_next(what: str, done: bool) -> None:
    store = FailsOnce(what, MERGED if what == "create" else FRESH, done=done)
    store.objects = ledger().objects
    with pytest.raises(StoreUnclear):
        compact(store)
    assert read(store) == known()
    compact(store)
    whole = ledger()
    compact(whole)
    assert store.objects == whole.objects


class MergesMeanwhile(Names):
    """A compaction goes on between the reader's listing and its reading."""

    merge = False

    def read(self, name: str) -> bytes:
        """See `Store`."""
        if self.merge and name.startswith(FRESH):
            self.merge = False
            compact(self)
        return super().read(name)


def test_a_reader_sees_all_while_files_are_merged() -> None:
    store = MergesMeanwhile()
    store.objects = ledger().objects
    store.merge = True
    assert read(store) == known()
    assert not store.merge


def test_rows_that_are_nowhere_are_not_passed_over() -> None:
    store = ledger()
    name = published(store, FRESH, "r")[0].name
    store.objects[name] = emptied(unpack(store.objects[name], name).schema)
    with pytest.raises(StoreUnclear, match="are being compacted all the while"):
        read(store)


def test_files_of_an_older_version_are_filled_and_merged() -> None:
    store = Names()
    work(store, NOTES, (1, 2, 3, 4))
    for name in [n for n in store.objects if n.startswith(FRESH)]:
        del store.objects[name]
    rows = alerts([5, 6])
    for start, older in ((0, True), (1, False)):
        Publisher(store).publish(epoch(rows.drop_columns(["baseline_uid"]) if older else rows, start, start + 1))
    Publisher(store).publish(epoch(alerts([DAY_NS]), 2, 3))
    whole = joined([rows, rows]).sort_by("time")
    assert same(findings(store, "r").slice(0, 4).sort_by("time"), whole)
    assert compact(store) == (1, 2, 4)
    found = findings(store, "r")
    assert same(found.slice(0, 4), whole)
    assert found.schema.equals(ALERT, check_metadata=True)


def test_files_that_do_not_fit_the_chain_are_not_merged() -> None:
    store = ledger()
    stray = PLACE.stem(1, 3)
    store.objects[f"findings/run=r/date=2026-02-25/{stray}.parquet"] = pack(alerts([1]), stray)
    before = dict(store.objects)
    with pytest.raises(LedgerError, match="does not fit the chain; nothing is merged"):
        compact(store)
    assert store.objects == before


def test_runs_and_partitions_are_kept_apart() -> None:
    store = Names()
    places = [Place("r", "topic", 0), Place("r", "topic", 1), Place("s", "topic", 0)]
    for place in places:
        work(store, NOTES, CUTS, place)
    compact(store, "s")
    assert not published(store, MERGED, "r")
    assert {file.place for file in published(store, MERGED, "s")} == {places[2]}
    compact(store)
    assert {file.place for file in published(store, MERGED, "r")} == set(places[:2])
    assert read(store, "r") == known() + known()
    assert read(store, "s") == known()
