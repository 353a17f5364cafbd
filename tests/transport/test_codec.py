"""The codec: what goes in comes out, older schemas are filled, newer ones told, lies refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from detectors.base import Mark
from detectors.columns import Columns, records
from pipeline.transport import codec, envelope
from pipeline.transport.codec import Oversize, decode, encode, raw_bytes
from pipeline.transport.message import HEADER_NAME, MOST_VALUE_BYTES, Header, Newer, Poison, pack_marks, parse_marks
from schemas.codes import MarkKind
from schemas.record import RECORD
from tests.transport.streams import differences, golden, message

NAMES = [f"{name}-{i}" for i, (name, _) in enumerate(golden())]
MARKS = (
    (0, Mark(MarkKind.TIME, 1_700_000_000_000_000_000, 3)),
    (0, Mark(MarkKind.GAP, 1_700_000_000_500_000_000, 3, 17, '{"reason": "spool: voll ☠"}')),
    (1, Mark(MarkKind.CONTROL, -1, 65_535, (1 << 63) - 1, "{}")),
    (2, Mark(MarkKind.END, 5)),
)


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_every_golden_capture_comes_back_as_it_was(number: int) -> None:
    batch = golden()[number][1]
    header, value = message(batch, partition=5, number=7)
    found = decode(header, value, partition=5)
    assert found.batch is not None
    assert differences(found.batch, batch) == []
    assert found.marks == ()
    head = found.header
    assert (head.count, head.number, head.partition, head.shard) == (len(batch), 7, 5, 0)
    assert (head.previous_seq, head.last_seq) == (int(batch.seq[0]) - 1, int(batch.seq[-1]))
    assert (head.first_ts, head.last_ts) == (batch.ts.min(), batch.ts.max())
    assert head.raw == raw_bytes(len(batch), len(batch.points))


def test_what_is_decoded_is_read_only_and_does_not_start_inside() -> None:
    batch = golden()[0][1]
    found = decode(*message(batch.slice(1, 3)), partition=0).batch
    assert found is not None
    assert found.offsets[0] == 0
    assert not any(getattr(found, name).flags.writeable for name in ("ts", "offsets", "src_ip", "op"))
    assert not found.points.value.flags.writeable
    assert found.ts.flags.aligned


def test_marks_come_back_where_they_stood() -> None:
    batch = golden()[0][1].slice(0, 2)
    assert decode(*message(batch, MARKS), partition=0).marks == MARKS


def test_marks_need_no_records() -> None:
    marks = tuple((0, mark) for _, mark in MARKS)
    header, value = encode(None, marks, shard=4, boot=2, partition=1, number=3, previous_seq=99)
    found = decode(header, value, partition=1)
    assert found.batch is None
    assert found.marks == marks
    assert (found.header.previous_seq, found.header.last_seq, found.header.count) == (99, 99, 0)
    assert len(value) < 8_000


def test_any_arrow_reader_can_open_a_message() -> None:
    batch = golden()[0][1]
    _, value = message(batch)
    table = pa.ipc.open_stream(value).read_all()
    assert table.schema.equals(RECORD)
    assert table.column("seq").to_pylist() == batch.seq.tolist()


def test_what_cannot_be_encoded_is_an_error() -> None:
    batch = golden()[0][1].slice(0, 2)
    with pytest.raises(ValueError, match="neither records nor marks"):
        message(None)
    with pytest.raises(ValueError, match="marks from row 0 to 2 of 1"):
        message(batch.slice(0, 1), MARKS)
    with pytest.raises(ValueError, match="the text of a GAP mark has 70,000 bytes"):
        message(batch, ((0, Mark(MarkKind.GAP, 0, text="x" * 70_000)),))


def test_too_much_for_one_message_is_told() -> None:
    rng = np.random.default_rng(1)
    points = [{"raw": int(v), "addr": int(v)} for v in rng.integers(0, 1 << 62, 60_000)]
    with pytest.raises(Oversize) as told:
        message(records([{"seq": 1, "points": points}]))
    assert told.value.size > MOST_VALUE_BYTES


def test_the_header_has_a_name_and_a_fixed_size() -> None:
    header, _ = message(golden()[0][1])
    assert (HEADER_NAME, len(header)) == ("fieldtap", Header.BYTES)
    assert Header.parse(header).pack() == header


# --- versions


def test_a_newer_schema_or_format_is_told_from_poison() -> None:
    header, value = message(golden()[0][1])
    newer = replace(Header.parse(header), schema=9).seal(value)
    with pytest.raises(Newer) as told:
        decode(newer, value, partition=0)
    assert told.value.version == 9
    with pytest.raises(Newer) as told:
        decode(header[:4] + b"\x07\x00" + header[6:] + b"more", value, partition=0)
    assert told.value.version == 7


def test_a_newer_schema_is_believed_only_of_a_whole_message() -> None:
    header, value = message(golden()[0][1])
    damaged = replace(Header.parse(header), schema=9).pack()
    with pytest.raises(Poison, match="checksum"):
        decode(damaged, value, partition=0)


def test_an_older_schema_is_filled_with_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Today's code without two of its columns stands in for what was published before them."""
    batch = golden()[0][1]
    older = _without(RECORD, "rtt_us", "quality")
    header, value = _as_older(batch, older)
    monkeypatch.setattr(codec, "VERSION", 2)
    monkeypatch.setattr(codec, "_published", lambda version: {1: older}[version])
    codec._version.cache_clear()
    try:
        found = decode(header, value, partition=0).batch
    finally:
        codec._version.cache_clear()
    assert found is not None
    assert set(differences(found, batch)) <= {"rtt_us", "points.quality"}
    assert (found.rtt_us == -1).all()
    assert len(found.rtt_us) == len(batch)
    assert (found.points.quality == 0).all()
    assert len(found.points.quality) == len(found.points)


def test_the_published_schema_of_this_version_is_the_one_in_use() -> None:
    assert codec._published(codec.VERSION).equals(RECORD, check_metadata=True)
    with pytest.raises(Poison, match="no such schema"):
        codec._published(200)


def _without(schema: pa.Schema, column: str, child: str) -> pa.Schema:
    points = schema.field("points")
    struct = pa.struct([f for f in points.type.value_type if f.name != child])
    kept = [f for f in schema if f.name not in (column, "points")]
    item = pa.field("item", struct, nullable=False)
    return pa.schema([*kept, pa.field("points", pa.list_(item), nullable=False)], metadata=schema.metadata)


def _as_older(batch: Columns, schema: pa.Schema) -> tuple[bytes, bytes]:
    whole = batch.to_batch()
    points = whole.column("points")
    fields = list(schema.field("points").type.value_type)
    struct = pa.StructArray.from_arrays([points.values.field(f.name) for f in fields], fields=fields)
    lists = pa.ListArray.from_arrays(points.offsets, struct, type=schema.field("points").type)
    arrays = [*(whole.column(f.name) for f in list(schema)[:-1]), lists]
    value = codec._stream(pa.RecordBatch.from_arrays(arrays, schema=schema), b"")
    raw = codec.layout_of(schema).raw(len(batch), len(batch.points))
    return replace(Header.parse(message(batch)[0]), raw=raw).seal(value), value


# --- what contradicts itself


def changed(**columns: Any) -> Callable[[Columns], Columns]:
    """A change of the second entry of columns."""

    def change(batch: Columns) -> Columns:
        arrays = {}
        for name, value in columns.items():
            array = getattr(batch, name).copy()
            array[1] = value
            arrays[name] = array
        return replace(batch, **arrays)

    return change


LIES: list[tuple[str, Callable[[Columns], Columns]]] = [
    ("arrow: cannot be read", changed(offsets=-4)),
    ("arrow: cannot be read", changed(offsets=1 << 30)),
    ("records: points do not fit", changed(n_points=77)),
    ("records: seq does not fit", changed(seq=0)),
    ("records: of another shard or boot", changed(shard=9)),
    ("records: of another shard or boot", changed(boot=9)),
    ("records: time does not fit", changed(ts=1 << 61)),
    ("records: a number out of bounds", changed(client_is_src=2)),
    ("records: a number out of bounds", changed(src_mac=1 << 48)),
    ("records: a number out of bounds", changed(dst_mac=1 << 63)),
    ("records: a number out of bounds", changed(rtt_us=-2)),
]


@pytest.mark.parametrize(("reason", "lie"), LIES, ids=[f"{i}-{reason}" for i, (reason, _) in enumerate(LIES)])
def test_records_that_no_shard_writes_are_refused(reason: str, lie: Callable[[Columns], Columns]) -> None:
    batch = golden()[0][1]
    honest, _ = message(batch)
    _, value = message(lie(batch))
    with pytest.raises(Poison) as told:
        decode(Header.parse(honest).seal(value), value, partition=0)
    assert told.value.reason == reason


@pytest.mark.parametrize("more", [1, -2, 66, 1 << 40, -(1 << 62)])
def test_a_buffer_of_another_size_than_its_rows_need_is_refused(more: int) -> None:
    """One byte more is within the padding that Arrow may add, but is part of a number."""
    header, value = message(records([{"seq": k, "src_port": 502} for k in range(1, 2000)]))
    table, body = envelope._frame(value, len(envelope.first_message(value)), 1 << 16)
    batch = table.table(2)
    assert batch is not None
    place = body + int(batch.words(2, 2)[2 * RECORD.get_field_index("src_port") + 1, 0])
    declared = int.from_bytes(value[place : place + 8], "little", signed=True)
    assert declared == 2 * 1999
    lying = value[:place] + (declared + more).to_bytes(8, "little", signed=True) + value[place + 8 :]
    with pytest.raises(Poison, match="arrow: a buffer of impossible size"):
        decode(Header.parse(header).seal(lying), lying, partition=0)


HEADERS: list[tuple[dict[str, int], str]] = [
    ({"partition": 4}, "header: of another partition"),
    ({"partition": 5000}, "header: a number out of bounds"),
    ({"raw": 1 << 30}, "header: a number out of bounds"),
    ({"raw": 5000}, "header: count or size does not fit"),
    ({"count": 3, "last_seq": 4}, "header: count or size does not fit"),
    ({"count": 0}, "header: seq does not fit"),
    ({"previous_seq": 1 << 60}, "header: seq does not fit"),
    ({"last_seq": 1 << 60}, "records: seq does not fit"),
    ({"first_ts": -(1 << 63)}, "header: time does not fit"),
    ({"first_ts": 0}, "records: time does not fit"),
    ({"last_ts": 0}, "header: time does not fit"),
    ({"shard": 7}, "records: of another shard or boot"),
    ({"boot": 7}, "records: of another shard or boot"),
    ({"schema": 0}, "header: spare or schema"),
    ({"number": 1 << 63}, "header: a number out of bounds"),
]


@pytest.mark.parametrize(("fields", "reason"), HEADERS, ids=[str(fields) for fields, _ in HEADERS])
def test_a_header_that_lies_is_refused(fields: dict[str, int], reason: str) -> None:
    header, value = message(golden()[0][1])
    with pytest.raises(Poison) as told:
        decode(replace(Header.parse(header), **fields).seal(value), value, partition=0)
    assert told.value.reason == reason


def test_what_is_missing_or_not_ours_is_refused() -> None:
    header, value = message(golden()[0][1])
    for head, content, reason in [
        (None, value, "header: missing"),
        (header, None, "value: missing"),
        (b"", value, "header: not ours"),
        (b"FTAP", value, "header: not ours"),
        (header[:-1], value, "header: wrong size or format"),
        (header, value + b"\0", "checksum"),
        (header, b"", "checksum"),
        (header, bytes(MOST_VALUE_BYTES + 1), "value: too long"),
    ]:
        with pytest.raises(Poison) as told:
            decode(head, content, partition=0)
        assert told.value.reason == reason


@pytest.mark.parametrize("at", range(0, Header.BYTES, 3))
def test_any_changed_byte_of_the_header_is_seen(at: int) -> None:
    header, value = message(golden()[0][1])
    damaged = bytearray(header)
    damaged[at] ^= 0x10
    with pytest.raises((Poison, Newer)):
        decode(bytes(damaged), value, partition=0)


def test_marks_that_are_damaged_are_refused() -> None:
    packed = pack_marks(MARKS)
    assert parse_marks(packed, 2) == MARKS
    for data, rows, reason in [
        (packed[:-1], 2, "marks: cut short"),
        (packed[:30], 2, "marks: cut short"),
        (packed, 1, "marks: out of place"),
        (pack_marks(MARKS[::-1]), 2, "marks: out of place"),
        (packed.replace(b"\x01\x00", b"\x77\x00", 1), 2, "marks: no such kind"),
        (packed.replace("☠".encode(), b"\xff\xff\xff"), 2, "marks: text is not UTF-8"),
        (bytes(1 << 19), 2, "marks: too long"),
    ]:
        with pytest.raises(Poison) as told:
            parse_marks(data, rows)
        assert told.value.reason == reason
