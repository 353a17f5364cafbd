"""Panes: the same rows as plain Python makes, whatever the batching, the spreading and the restarts; within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.base import Mark
from detectors.columns import Columns, records
from pipeline.capture.files import Captures
from pipeline.decode.decoder import Decoder, DecodeSettings
from pipeline.decode.memory import site_hash
from pipeline.panes import NO_PANE, Collector, rows_of
from pipeline.panes import rows as panes
from pipeline.panes.kernels import client_id
from schemas.codes import BUCKETS, MarkKind, Role
from schemas.pane import PANE, PANE_COLUMNS, PANE_NS
from schemas.record import RECORD_COLUMNS
from tests.pipeline.pane_streams import Stretches, busy, exchange, id_of, numbered, part_of, stretches
from tests.pipeline.scripted import SECOND, T0, ip
from tests.reference.panes import Panes

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
Row = dict[str, Any]


def plain(rows: panes.Rows) -> list[Row]:
    """Rows as dictionaries, addresses as bytes."""
    columns = {name: [bytes(x) for x in a] if a.ndim == 2 else a.tolist() for name, a in rows.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def collected(parts: Stretches, collector: Collector | None = None) -> list[Row]:
    """Every row of a stream, in the order in which they leave."""
    collector = collector or Collector()
    found = []
    for batch, marks in parts:
        found += [row for closed in collector.on_stretch(batch, marks) for row in plain(rows_of([closed]))]
    return found + plain(rows_of(collector.finish()))


def reference(parts: Stretches) -> list[Row]:
    """The same by the twin, without the columns that it does not make."""

    def client_of(address: bytes) -> int:
        hi, lo = np.frombuffer(address, np.uint64)
        return int(client_id(np.int64(0), hi, lo, np.uint64(0)))

    twin = Panes(client_of)
    for batch, marks in parts:
        at = dict[int, list[Mark]]()
        for place, mark in marks:
            at.setdefault(place, []).append(mark)
        columns = {c.name: getattr(batch, c.name) for c in RECORD_COLUMNS}
        for i in range(len(batch) + 1):
            for mark in at.get(i, ()):
                twin.mark(mark)
            if i < len(batch):
                twin.record({n: bytes(a[i]) if a.ndim == 2 else a[i].item() for n, a in columns.items()})
    twin.leave()
    return twin.rows


def hostile(seed: int, n: int) -> Columns:
    """Records of few hosts and any code, whose time runs back now and then."""
    random = np.random.default_rng(seed)
    rows, now = [], 0.0
    for i in range(n):
        now += float(random.exponential(0.7)) - (float(random.uniform(0, 90)) if random.random() < 0.01 else 0.0)
        client, server = (int(x) for x in random.integers(1, 9, 2))
        (row,) = exchange(now, client, server, answered=False)
        if random.random() < 0.5:
            row |= {"src_ip": row["dst_ip"], "dst_ip": row["src_ip"], "client_is_src": 0}
        row |= {"kind": int(random.integers(0, 10)), "op": int(random.integers(0, 256)), "status": i % 3}
        rows.append(row | {"seq": i, "packet": i + 1, "shard": i % 2, "func": i % 250, "unit": i})
    return records(rows)


@pytest.mark.parametrize("seed", range(4))
def test_the_rows_are_those_of_plain_python(seed: int) -> None:
    for stream in (busy(seed, 300), hostile(seed, 700)):
        parts = stretches(stream, (64,))
        found = collected(parts)
        expected = reference(parts)
        assert len(expected) > 50
        assert [{name: row[name] for name in row if name in expected[0]} for row in found] == [
            {name: row[name] for name in found[0] if name in row} for row in expected
        ]


@pytest.mark.parametrize("sizes", [(1,), (7, 300), (10_000,)])
def test_any_batching_gives_the_same_rows(sizes: Sequence[int]) -> None:
    for stream in (busy(1, 300), hostile(1, 700)):
        assert collected(stretches(stream, sizes)) == collected(stretches(stream, (64,)))


@pytest.mark.parametrize("partitions", [2, 4])
def test_spread_over_partitions_the_rows_are_the_same(partitions: int) -> None:
    for stream in (busy(2, 300), hostile(2, 700)):
        whole = stretches(stream, (50,))
        spread = [row for p in range(partitions) for row in collected(part_of(whole, p, partitions))]
        assert sorted(spread, key=repr) == sorted(collected(whole), key=repr)


def test_restored_anywhere_it_goes_on_alike() -> None:
    for stream in (busy(3, 300), hostile(3, 700)):
        parts = stretches(stream, (37,))
        running, found = Collector(), []
        for part in parts:
            found += [row for closed in running.on_stretch(*part) for row in plain(rows_of([closed]))]
            again = Collector()
            halves = [running.snapshot(np.arange(BUCKETS)[half::2]) for half in (0, 1)]
            for state in halves:
                again.restore(state)
            whole, held = running.snapshot(np.arange(BUCKETS)), again.snapshot(np.arange(BUCKETS))
            for name, array in whole.items():
                np.testing.assert_array_equal(array, held[name], err_msg=name)
            running = again
        found += plain(rows_of(running.finish()))
        assert found == collected(parts)


def closing(rows: list[Row], marks: Sequence[tuple[int, float]]) -> tuple[list[Row], Collector]:
    """What leaves of `rows` with TIME marks (place, seconds after T0), without the end."""
    collector = Collector()
    placed = tuple((at, Mark(MarkKind.TIME, T0 + round(s * SECOND))) for at, s in marks)
    return plain(rows_of(collector.on_stretch(records(rows), placed))), collector


def test_a_pane_closes_at_the_first_mark_past_its_end_and_late_records_count_in_the_open_one() -> None:
    assert T0 % PANE_NS == 0
    rows = [r for s in (1.0, 8.0, 9.7, 12.0) for r in exchange(s, 1, 101, answered=False)]
    found, collector = closing(rows, [(1, 8), (2, 9), (2, 12)])
    assert [(r["pane"] - T0, r["ts"] - T0, r["requests"]) for r in found] == [(0, SECOND, 2)]
    left = plain(rows_of(collector.finish()))
    assert [(r["pane"] - T0, r["ts"] - T0, r["requests"]) for r in left] == [(10 * SECOND, round(9.7 * SECOND), 2)]


def test_marks_that_run_back_begin_another_era() -> None:
    rows = [r for s in (101.0, 102.0, 3.0, 4.0) for r in exchange(s, 1, 101, answered=False)]
    found, collector = closing(rows, [(0, 100), (1, 102), (3, 4)])
    assert [(r["era"], r["pane"] - T0, r["requests"]) for r in found] == [(0, 100 * SECOND, 3)]
    assert collector.reached == (1, T0, T0 + 100 * SECOND)
    assert [(r["era"], r["requests"]) for r in plain(rows_of(collector.finish()))] == [(1, 1)]


def test_another_capture_point_behind_in_time_begins_no_era() -> None:
    collector = Collector()
    (first, second) = (exchange(s, 1, 101, answered=False)[0] for s in (50.0, 20.0))
    marks = [(0, Mark(MarkKind.TIME, T0 + s * SECOND, shard)) for shard, s in ((0, 50), (1, 20), (0, 51), (1, 21))]
    assert collector.on_stretch(records([first, second]), tuple(marks)) == []
    assert collector.reached == (0, T0 + 50 * SECOND, T0 + 50 * SECOND)


def test_who_answered_has_a_row_of_its_own() -> None:
    rows = exchange(1, 1, 101) + exchange(2, 2, 101) + exchange(3, 2, 102, answered=False)
    _, collector = closing(rows, [(0, 1)])
    found = plain(rows_of(collector.finish()))
    (server,) = (r for r in found if r["role"] == Role.SERVER)
    assert server["client"] == server["device"] == id_of(101)
    assert (server["answers"], server["requests"], server["client_ip"]) == (2, 0, ip("10.0.0.1"))
    assert {r["client"] for r in found if r["role"] == Role.CLIENT} == {id_of(1), id_of(2)}


@pytest.mark.parametrize(("case", "scope"), [("modbus_public_functions", False), ("modbus_vlan_qinq", True)])
def test_a_client_has_the_id_that_decode_would_give_it_as_a_device(case: str, scope: bool) -> None:
    decoder = Decoder(DecodeSettings(site="north", vlan_tells_devices_apart=scope))
    batches = [b for block in Captures([GOLDEN / case / "input.pcap"]) for b in decoder.feed(block)]
    (batch,) = [b.take(np.arange(len(b))) for b in (*batches, *decoder.finish()) if len(b)]

    def as_device(ip: Any, vlan: Any) -> int:
        return int(client_id(np.int64(site_hash("north")), *ip, np.uint64(vlan if scope else 0)))

    server = np.where(batch.client_is_src[:, None] == 1, batch.dst_ip, batch.src_ip)
    assert [as_device(server[i], batch.vlan[i]) for i in range(len(batch))] == batch.device.tolist()
    collector = Collector("north", vlan_scope=scope)
    collector.on_stretch(batch, ())
    rows = rows_of(collector.finish())
    asked = panes.take(rows, rows["role"] == Role.CLIENT)
    assert len(asked["client"]) > 0
    assert [as_device(ip, vlan) for ip, vlan in zip(asked["client_ip"], asked["vlan"], strict=True)] == asked[
        "client"
    ].tolist()


def test_an_address_without_ip_is_known_by_its_mac() -> None:
    bare = {"src_ip": bytes(16), "dst_ip": bytes(16), "src_mac": 0x020000000001, "dst_mac": 0x020000000002}
    row = exchange(1, 1, 101, answered=False)[0] | bare
    _, collector = closing([row, row | {"src_mac": 0x020000000003}], [(0, 1)])
    found = plain(rows_of(collector.finish()))
    assert len({r["client"] for r in found}) == 2
    assert {(r["client_ip"], r["client_mac"]) for r in found} == {
        (bytes(16), 0x020000000001),
        (bytes(16), 0x020000000003),
    }


def test_a_flood_of_clients_is_bounded_for_its_bucket_alone() -> None:
    flood = [r for n in range(3000) for r in exchange(1, 200 + n, 101, answered=False)]
    calm = [r for n in range(5) for r in exchange(1, 1 + n, 102, answered=False)]
    tables = []
    for sizes in ((1000,), (1, 77)):
        collector = Collector(max_pairs=50)
        found = collected(stretches(numbered(flood + calm), sizes), collector)
        assert sum(r["device"] == id_of(101) for r in found) == 50
        assert sum(r["device"] == id_of(102) for r in found) == 5
        assert collector.counters()["refused"] == 2950
        tables.append(found)
    assert tables[0] == tables[1]


def test_memory_of_a_flood_is_given_back() -> None:
    collector = Collector()
    rows = [r for n in range(20_000) for r in exchange(1, n, 20_000 + n, answered=False)]
    placed = ((0, Mark(MarkKind.TIME, T0)),)
    collector.on_stretch(records(rows), placed)
    full = collector.counters()["state_bytes"]
    assert collector.counters()["open"] == 20_000
    for s in range(10, 200, 10):
        collector.on_stretch(records([]), ((0, Mark(MarkKind.TIME, T0 + s * SECOND)),))
    assert collector.counters()["state_bytes"] < full / 20


def test_a_table_of_panes_has_the_published_schema_and_comes_back() -> None:
    collector = Collector()
    ((batch, marks),) = stretches(busy(4, 60), (10_000,))
    closed = collector.on_stretch(batch, marks)
    table = collector.sends(closed)
    table.validate(full=True)
    assert table.schema.equals(PANE)
    assert table.num_rows > 10
    rows, reached = panes.from_table(table)
    assert reached == collector.reached
    assert plain(rows) == plain(rows_of(closed))
    with pytest.raises(ValueError, match="not a table of panes"):
        panes.from_table(table.replace_schema_metadata({}))


def test_nothing_comes_of_nothing() -> None:
    collector = Collector()
    assert collector.on_stretch(records([]), ()) == []
    assert collector.reached == (0, NO_PANE, NO_PANE)
    table = collector.sends(collector.finish())
    assert (table.num_rows, table.num_columns) == (0, len(PANE_COLUMNS))
