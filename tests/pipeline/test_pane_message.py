"""Messages of the second stage: what is written comes back, what no collector sends is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.kernels.scan import TYPE_SWEEP
from pipeline.findings import fold
from pipeline.panes import Reached
from pipeline.panes import rows as panes
from pipeline.panes.rows import PaneOrder
from pipeline.second.message import FORMAT, MOST_ROWS, PaneMessage, decode, encode
from pipeline.transport.message import Newer, Poison
from schemas.codes import BUCKETS
from schemas.pane import PANE_NS
from tests.pipeline.pane_streams import (
    many,
    stages,
)
from tests.pipeline.scripted import T0, plain


def message(**more: Any) -> PaneMessage:
    rows = many(30)
    place = Reached(int(rows["era"][0]), int(rows["pane"][0]) + PANE_NS, T0)
    given: dict[str, Any] = {
        "source": 0,
        "start": 5,
        "next": 9,
        "number": 0,
        "last": True,
        "ended": False,
        "reached": place,
        "rows": rows,
    }
    return PaneMessage(**given | more)


def order(key: int = 3) -> PaneOrder:
    """That a subject is normal, from the last pane of :func:`message` on."""
    rows = many(30)
    return PaneOrder(int(rows["era"][0]), int(rows["pane"][0]), (7, TYPE_SWEEP, key), 2.5)


def changed(**columns: Any) -> PaneMessage:
    """A message whose rows have other values in some column."""
    made = message()
    rows = {name: a.copy() for name, a in made.rows.items()}
    for name, value in columns.items():
        rows[name][-1] = value
    return message(rows=rows)


def read(header: bytes | None, value: bytes | None, sources: int = 2) -> PaneMessage:
    return decode(header, value, sources=sources, partition=0, partitions=1)


def test_a_message_comes_back_as_it_was() -> None:
    made = message(ended=True, number=3, last=False, orders=(order(), order(4)))
    back = read(*encode(made))
    assert (back.source, back.start, back.next, back.number, back.last, back.ended, back.reached) == (
        0, 5, 9, 3, False, True, made.reached,
    )  # fmt: skip
    assert back.orders == made.orders
    for name, column in made.rows.items():
        np.testing.assert_array_equal(back.rows[name], column, err_msg=name)
        assert not back.rows[name].flags.writeable


WRONG: list[tuple[PaneMessage, str]] = [
    (message(source=2), "header: a number out of bounds"),
    (message(start=9, next=5), "header: a number out of bounds"),
    (message(start=-1), "header: a number out of bounds"),
    (message(reached=Reached(9, T0 + 1, T0)), "header: a number out of bounds"),
    (message(reached=Reached(9, T0, (1 << 63) - 1)), "header: a number out of bounds"),
    (message(reached=Reached(0, T0 - PANE_NS, T0)), "rows: of a pane that is still open"),
    (changed(role=0), "rows: no such role"),
    (changed(role=9), "rows: no such role"),
    (changed(pane=T0 + 5), "rows: no such pane"),
    (changed(pane=T0 - 50 * PANE_NS), "rows: out of order"),
    (changed(era=9), "rows: of a pane that is still open"),
    (changed(ts=(1 << 63) - 1), "rows: a time out of bounds"),
    (changed(ts=-(1 << 63)), "rows: a time out of bounds"),
    (message(rows=many(MOST_ROWS + 1)), "value: of another length"),
    (message(orders=(order()._replace(era=9),)), "orders: no such pane"),
    (message(orders=(order()._replace(pane_ns=T0 + 1),)), "orders: no such pane"),
    (message(orders=(order()._replace(extent=float("nan")),)), "orders: no number"),
]


@pytest.mark.parametrize(("made", "reason"), WRONG, ids=[f"{i}-{r}" for i, (_, r) in enumerate(WRONG)])
def test_what_no_collector_sends_is_refused(made: PaneMessage, reason: str) -> None:
    with pytest.raises(Poison) as refused:
        read(*encode(made))
    assert refused.value.reason == reason


def test_rows_of_another_partition_are_refused() -> None:
    with pytest.raises(Poison, match="rows: of another partition"):
        decode(*encode(message()), sources=1, partition=1, partitions=2)
    with pytest.raises(Poison, match="orders: of another partition"):
        decode(*encode(message(rows=panes.empty(), orders=(order(),))), sources=1, partition=0, partitions=2)


def test_what_is_newer_is_told_from_what_is_damaged() -> None:
    header, value = encode(message())
    with pytest.raises(Newer):
        read(header[:4] + (FORMAT + 1).to_bytes(2, "little") + header[6:], value)
    for wrong in (None, b"", b"FTPN", header[:-1], header + b"\0", b"FTAP" + header[4:]):
        with pytest.raises(Poison):
            read(wrong, value)
    for wrong in (None, b"", value[:-1], value + b"\0"):
        with pytest.raises(Poison):
            read(header, wrong)


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=200, deadline=None)
def test_bytes_that_were_changed_are_poison(seed: int) -> None:
    random = np.random.default_rng(seed)
    header, value = (bytearray(part) for part in encode(message()))
    for part in (header, value) if random.random() < 0.5 else (header,):
        for at in random.integers(0, len(part), int(random.integers(1, 4))):
            part[at] ^= 1 << int(random.integers(0, 8))
    if (bytes(header), bytes(value)) == encode(message()):
        return
    with pytest.raises((Poison, Newer)):
        read(bytes(header), bytes(value))


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=60, deadline=None)
def test_rows_of_any_numbers_with_a_true_checksum_do_no_harm(seed: int) -> None:
    """Somebody who can write to the topic knows how to make a checksum."""
    random = np.random.default_rng(seed)
    made = message(reached=Reached(1 << 30, T0, T0))
    rows = {}
    for name, column in made.rows.items():
        noise = np.frombuffer(random.bytes(column.nbytes), column.dtype).reshape(column.shape)
        rows[name] = np.where(random.random(column.shape) < 0.5, noise, column).astype(column.dtype)
    rows["era"] = np.sort(rows["era"] % np.uint32(1 << 30))
    rows["pane"] = np.sort(np.clip(rows["pane"], -(1 << 61), 1 << 61) // PANE_NS * PANE_NS)
    rows["era"][:] = rows["era"][0]
    rows["ts"] = np.clip(rows["ts"], -(1 << 62), 1 << 62)
    rows["role"] = (rows["role"] % 2 + 1).astype(np.uint8)
    taken = read(*encode(message(rows=rows, reached=made.reached)))
    found = []
    for way in range(2):
        (stage,) = stages(1, 1)
        parts: Sequence[panes.Rows] = (
            [taken.rows] if way else [panes.take(taken.rows, np.array([i])) for i in range(30)]
        )
        for part in parts:
            stage.add(0, part, None)
        stage.add(0, panes.empty(), taken.reached, ended=True)
        found.append((plain(fold(stage.take())), stage.snapshot(np.arange(BUCKETS))))
    assert found[0][0] == found[1][0]
    for name, array in found[0][1].items():
        np.testing.assert_array_equal(array, found[1][1][name], err_msg=name)
