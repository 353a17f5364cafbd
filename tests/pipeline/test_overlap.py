"""Overlap: the same things in the same order, errors where they belong, and no thread that stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pipeline.run.overlap import Overlap


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "making"]


def test_all_comes_in_order_from_another_thread() -> None:
    makers: set[str] = set()

    def made() -> Iterator[int]:
        for number in range(1000):
            makers.add(threading.current_thread().name)
            yield number

    assert list(Overlap(made(), "making")) == list(range(1000))
    assert makers == {"making"}
    assert threads() == []


def test_nothing_is_made_before_it_is_asked_for() -> None:
    overlap = Overlap(iter(range(3)), "making")
    assert threads() == []
    overlap.close()
    assert list(overlap) == []


def test_an_error_comes_after_what_was_whole() -> None:
    def made() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken off")

    overlap = Overlap(made(), "making")
    assert [next(overlap), next(overlap)] == [1, 2]
    with pytest.raises(ValueError, match="broken off"):
        next(overlap)
    assert list(overlap) == []
    assert threads() == []


def test_one_that_is_closed_early_ends_its_thread_though_more_would_come() -> None:
    def made() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    overlap = Overlap(made(), "making")
    assert next(overlap) == 0
    assert threads() == ["making"]
    overlap.close()
    assert threads() == []
    assert list(overlap) == []
