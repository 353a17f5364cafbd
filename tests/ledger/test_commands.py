"""`fieldtap compact` and `fieldtap ledger repair`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipeline.cli import ledgers
from pipeline.cli.app import app
from pipeline.ledger import Chain
from pipeline.ledger.view import findings
from pipeline.store import open_store
from tests.ledger.stores import PLACE, Names, work
from tests.simulation.log import Note, Tally, clean, log, rows_of

NOTES = log(3, 40)
REPAIR = ("ledger", "repair", "--run", "r", "--topic-id", "topic", "--partition", "0")


def fieldtap(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A folder with a ledger of epochs of one message each."""
    made = Names()
    work(made, NOTES, tuple(range(1, 41)))
    place = open_store(str(tmp_path))
    for name, data in made.objects.items():
        place.create(name, data)
    return str(tmp_path)


def test_compact(store: str) -> None:
    done = fieldtap("compact", store, "--run", "another")
    assert (done.exit_code, done.output.strip()) == (0, f"{store}: 0 rows merged into 0 files, 0 small ones emptied")
    done = fieldtap("compact", store)
    assert done.exit_code == 0
    assert "0 rows merged" not in done.output
    assert Counter(rows_of(findings(store, "r"))) == Counter(clean(NOTES).findings)


def test_a_place_that_is_no_store_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = fieldtap("compact", tmp_path / "file")
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert "cannot make the store's folder" in done.output


def test_repair_of_what_is_whole(store: str) -> None:
    done = fieldtap(*REPAIR, store)
    assert (done.exit_code, done.output) == (0, f"{PLACE}: nothing is damaged\n")


def test_what_is_not_there_is_told_from_what_is_whole(store: str, tmp_path: Path) -> None:
    done = fieldtap(*REPAIR[:-1], "7", store)
    assert done.exit_code == 2
    assert "the ledger has no epoch of it" in done.output
    for words in (("compact",), REPAIR):
        done = fieldtap(*words, tmp_path / "typo")
        assert done.exit_code == 2
        assert "there is no ledger here" in done.output


def test_repair(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def recomputation(*_: Any) -> Any:
        def messages(start: int, stop: int) -> Iterator[Sequence[Note]]:
            yield NOTES[start:stop]

        return Tally(), messages, {}

    monkeypatch.setattr(ledgers, "recomputation", recomputation)
    place = open_store(store)
    before = place.read(PLACE.epoch(39))
    place.replace(PLACE.epoch(39), before[:-1])
    done = fieldtap(*REPAIR, store)
    assert done.exit_code == 0, done.output
    assert "epoch 39 is damaged: wrong checksum" in done.output
    assert "it covered [39, 40)" in done.output
    assert "epoch [39, 40) stands again, computed from the state at 39" in done.output
    assert place.read(PLACE.epoch(39)) == before
    place.replace(PLACE.epoch(39), b"")
    for name, _ in place.names("findings"):
        if "00000000000000000039-" in name:
            place.replace(name, b"")
    done = fieldtap(*REPAIR, store, "--next", "41")
    assert done.exit_code == 2


def test_repair_without_a_log_says_what_is_damaged_and_changes_nothing(store: str) -> None:
    place = open_store(store)
    place.replace(PLACE.epoch(39), b"")
    done = fieldtap(*REPAIR, store)
    assert done.exit_code == 2
    assert "epoch 39 is damaged" in done.output
    assert "must be computed from the log" in done.output
    assert place.read(PLACE.epoch(39)) == b""


@pytest.mark.parametrize("name", ["a/b", ".x"])
def test_names_that_cannot_be_are_refused(store: str, name: str) -> None:
    done = fieldtap("ledger", "repair", store, "--run", name, "--topic-id", "t", "--partition", "0")
    assert done.exit_code == 2
    assert "letters, digits" in done.output or "must not contain" in done.output
    assert Chain(open_store(store), PLACE).tip() is not None
