"""What other parsers say about the Modbus of real captures, we say too; or it stands in the list of deviations."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.capture.files import Captures
from schemas.codes import Protocol
from tests.oracle import deviations, ours
from tests.oracle.agree import line_of, markdown
from tests.oracle.compare import compare
from tests.oracle.data import CAPTURES, DATA
from tests.oracle.message import Message
from tests.oracle.references import REFERENCES, Reference


def _cases() -> list[object]:
    return [
        pytest.param(
            reference,
            id=f"{reference.parser}-{reference.capture}".replace(" ", "-"),
        )
        for reference in REFERENCES
    ]


@pytest.mark.parametrize("reference", _cases())
def test_agreement(reference: Reference) -> None:
    if reference.missing:
        pytest.skip(reference.missing)
    found = reference.agreement()
    _, unexplained = deviations.split(reference, found.differences)
    assert found.matched["pdu"] > 0
    assert unexplained == []
    assert deviations.unused(reference, found.differences) == []


def test_every_deviation_is_about_a_reference() -> None:
    known = {(reference.parser, reference.capture) for reference in REFERENCES}
    assert {(entry.parser, entry.capture) for entry in deviations.load()} <= known


def test_no_modbus_is_seen_in_captures_of_other_protocols() -> None:
    if not DATA.is_dir():
        pytest.skip(f"no captures: FIELDTAP_DATA names no folder ({DATA})")
    modbus = {str(DATA / path) for path in CAPTURES.values()}
    others = [Path(info.path) for info in Captures([DATA]).captures if info.path not in modbus]
    found = {
        path.name for path in others for batch in ours.batches(path)[0] if (batch.protocol == Protocol.MODBUS).any()
    }
    assert others
    assert found == set()


def _message(packet: int, **said: object) -> Message:
    return Message(packet, {"kind": "request", "txn": 1, "unit": 1, "function": 3} | said)


def test_a_difference_is_found_in_its_packet_and_field() -> None:
    mine = [_message(1, reference=5), _message(2, reference=6), _message(3)]
    theirs = [_message(1, reference=5), _message(2, reference=7), _message(4)]
    found = compare(mine, theirs)
    assert found.matched["reference"] == 1
    assert [(d.place, d.field, d.ours, d.theirs) for d in found.differences] == [
        (2, "reference", 6, 7),
        (3, "pdu", "kind request txn 1 unit 1 function 3", None),
        (4, "pdu", None, "kind request txn 1 unit 1 function 3"),
    ]


def test_several_messages_of_one_packet_are_told_apart_by_their_transaction() -> None:
    mine = [_message(1, txn=1, reference=1), _message(1, txn=2, reference=2)]
    found = compare(mine, [_message(1, txn=2, reference=2)])
    assert found.matched["reference"] == 1
    assert [(d.field, d.theirs) for d in found.differences] == [("pdu", None)]


def test_a_line_of_the_table_counts_what_is_missing_and_what_only_ours_has() -> None:
    found = compare([_message(1), _message(2)], [_message(1, unit=9), _message(3)])
    line = line_of("parser", "capture", found, explained=[])
    assert line == ("parser", "capture", 1, 3, 1, 1, 1, 0)
    assert "| parser | capture | 1 | 3 | 1 | 1 | 1 | 0 |" in markdown([line], {})
