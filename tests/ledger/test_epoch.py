"""The epoch object: what goes in comes out, and no damage goes unseen."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from pipeline.ledger import Epoch, EpochDamaged, Extent, LedgerError, Place, encode
from pipeline.ledger.epoch import extent_in
from schemas.alert import ALERT
from tests.simulation.scene import damaged

PLACE = Place("run-1", "_a-Topic9", 3)
EXTENT = Extent(100, 117, True)


def state() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(1)
    return {
        "none": np.zeros((0, 3)),
        "one": np.array(7, np.uint8),
        "matrix": rng.integers(0, 1 << 60, (40, 3)).astype(np.uint64),
        "big-endian": np.arange(5, dtype=">i4"),
        "slice": rng.random((10, 6))[:, ::2],
        "flags": rng.random(300) < 0.5,
        "text": np.array([b"a", b"bcd"]),
        "long": np.zeros(10_000),
        "nan": np.array([np.nan, -0.0, np.inf]),
    }


def table(rows: int) -> pa.Table:
    return pa.table({"time": pa.array(range(rows), pa.timestamp("ns", "UTC")), "text": ["x" * n for n in range(rows)]})


def whole() -> bytes:
    return encode(PLACE, EXTENT, state(), findings=table(9), sends=table(4).select(["text"]), versions={"code": "1"})


def test_what_goes_in_comes_out() -> None:
    epoch = Epoch(whole(), PLACE, 100)
    assert epoch.extent == (epoch.start, epoch.next, epoch.ended) == EXTENT
    assert epoch.versions == {"code": "1"}
    assert epoch.findings is not None
    assert epoch.findings.equals(table(9))
    assert epoch.sends is not None
    assert epoch.sends.equals(table(4).select(["text"]))
    assert list(epoch.state) == sorted(state())
    for name, array in state().items():
        assert epoch.state[name].dtype == array.dtype.newbyteorder("<"), name
        assert epoch.state[name].shape == array.shape, name
        np.testing.assert_array_equal(epoch.state[name], array)
        assert not epoch.state[name].flags.writeable


def test_the_same_gives_the_same_bytes_in_any_order() -> None:
    backwards = dict(reversed(state().items()))
    again = encode(PLACE, EXTENT, backwards, findings=table(9), sends=table(4).select(["text"]), versions={"code": "1"})
    assert again == whole()
    assert Epoch(again, PLACE, 100).digest == Epoch(whole(), PLACE, 100).digest


@pytest.mark.parametrize("rows", [None, ALERT.empty_table()])
def test_no_rows_are_none(rows: pa.Table | None) -> None:
    epoch = Epoch(encode(PLACE, EXTENT, {}, findings=rows), PLACE, 100)
    assert epoch.findings is None
    assert epoch.sends is None
    assert epoch.state == {}


def test_no_rows_for_a_second_stage_are_not_the_same_as_no_second_stage() -> None:
    epoch = Epoch(encode(PLACE, EXTENT, {}, sends=table(0)), PLACE, 100)
    assert epoch.sends is not None
    assert epoch.sends.equals(table(0))


def test_a_long_state_is_packed() -> None:
    assert len(encode(PLACE, EXTENT, {"long": np.zeros(1 << 20)})) < 100_000


@pytest.mark.parametrize("array", [np.array([object()]), np.zeros(2, [("a", "i4")]), np.zeros(2, "M8[ns]")])
def test_arrays_that_cannot_be_kept_are_refused(array: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="cannot be kept"):
        encode(PLACE, EXTENT, {"a": array})


@pytest.mark.parametrize(("start", "stop"), [(5, 5), (6, 5), (-1, 4), (0, 1 << 63)])
def test_an_epoch_covers_something(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="no epoch covers"):
        encode(PLACE, Extent(start, stop, False), {})


def test_each_byte_that_changes_is_seen() -> None:
    data = encode(PLACE, EXTENT, {"a": np.arange(3)}, findings=table(1))
    for at in range(len(data)):
        for turned in (1, 0x80):
            changed = data[:at] + bytes([data[at] ^ turned]) + data[at + 1 :]
            with pytest.raises(EpochDamaged):
                Epoch(changed, PLACE, 100)


def test_each_length_but_its_own_is_seen() -> None:
    data = encode(PLACE, EXTENT, {"a": np.arange(3)}, findings=table(1))
    for size in range(len(data)):
        with pytest.raises(EpochDamaged):
            Epoch(data[:size], PLACE, 100)
    for more in (b"\0", b"x", data):
        with pytest.raises(EpochDamaged):
            Epoch(data + more, PLACE, 100)


@pytest.mark.parametrize(
    ("place", "start", "told"),
    [
        (Place("run-2", "_a-Topic9", 3), 100, "belongs to run run-1"),
        (Place("run-1", "another", 3), 100, "belongs to run run-1, topic _a-Topic9"),
        (Place("run-1", "_a-Topic9", 4), 100, "belongs to partition 3"),
        (PLACE, 101, "starts at 100"),
    ],
)
def test_a_whole_object_in_another_place_is_seen(place: Place, start: int, told: str) -> None:
    with pytest.raises(EpochDamaged, match=told):
        Epoch(whole(), place, start)


def test_of_damaged_bytes_one_stamp_is_enough() -> None:
    data = whole()
    assert extent_in(data, PLACE, 100) == EXTENT
    assert extent_in(b"\0" * 50 + data[50:], PLACE, 100) == EXTENT
    assert extent_in(data[:80], PLACE, 100) == EXTENT
    assert extent_in(data[:40], PLACE, 100) is None
    assert extent_in(b"", PLACE, 100) is None
    assert extent_in(data, PLACE, 99) is None
    assert extent_in(data, Place("run-1", "_a-Topic9", 4), 100) is None


def test_damaged_bytes_never_say_what_is_wrong() -> None:
    rng, data, said = Random(1), whole(), 0
    for _ in range(2000):
        changed = damaged(rng, data)
        extent = extent_in(changed, PLACE, 100)
        assert extent in (None, EXTENT)
        said += extent is not None
    assert said > 1500


@pytest.mark.parametrize(
    ("run", "topic_id", "partition"),
    [
        ("a/b", "t", 0),
        ("", "t", 0),
        ("r", "a+b", 0),
        (".r", "t", 0),
        ("r", "t", -1),
        ("r", "t", 100_000),
        ("r", "ä", 0),
    ],
)
def test_a_place_must_give_names(run: str, topic_id: str, partition: int) -> None:
    with pytest.raises(LedgerError):
        Place(run, topic_id, partition)


def test_names() -> None:
    assert PLACE.origin == "origin/run-1/_a-Topic9/00003"
    assert PLACE.epoch(100) == "epochs/run-1/_a-Topic9/00003/00000000000000000100"
    assert PLACE.stem(100, 117) == "part+_a-Topic9+00003+00000000000000000100-00000000000000000117"
