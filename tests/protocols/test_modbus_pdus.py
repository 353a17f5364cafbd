"""Every PDU of the tables in `modbus_pdus` and `modbus_faults`, framed as on the wire and read by the real decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas.codes import FAULTS, Anomaly, Kind, Match, Op, Quality, RecordFlag, Space
from tests.protocols.modbus_faults import BAD_COUNT, BAD_LENGTH, BAD_REQUESTS, BAD_RESPONSES
from tests.protocols.modbus_pdus import EXCEPTION_CODES, EXCHANGES, Exchange, Point
from tests.protocols.wire import Conversation, mbap, rtu

SAID = ("op", "func", "subfunc", "space", "addr", "addr_sub", "count", "status", "anomaly", "points")
"""What the table specifies of a record."""
_ALIKE = {5, 6, 8, 21, 22}  # functions whose response has the form of their request
_SHAPED = tuple(e for e in EXCHANGES if e.says["op"] != Op.VENDOR and not e.name.startswith("UMAS"))
_BY_NAME = {exchange.name: exchange for exchange in EXCHANGES}
_NO_CODE = 256


def _hex(text: str) -> bytes:
    return bytes.fromhex(text)


def _points(row: Mapping[str, Any]) -> list[Point]:
    return [
        (p["space"], p["addr"], p["addr_sub"], p["text"] if p["raw"] else p["value"], p["direction"])
        for p in row["points"]
    ]


def _said(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in SAID} | {"points": _points(row), "anomaly": Anomaly(row["anomaly"] & FAULTS)}


def _expected(pdu: str, says: Mapping[str, int], points: Sequence[Point]) -> dict[str, Any]:
    expected: dict[str, Any] = dict.fromkeys(SAID, 0)
    return expected | {"func": _hex(pdu)[0] & 0x7F, "points": list(points), "anomaly": Anomaly.NONE} | dict(says)


def _halves(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["kind"] in (Kind.REQUEST, Kind.RESPONSE)]


@pytest.mark.parametrize("framing", ["mbap", "rtu", "udp"])
@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_exchange(exchange: Exchange, framing: str, tmp_path: Path) -> None:
    frame = rtu if framing == "rtu" else mbap
    talk = Conversation(udp=framing == "udp").ask(frame(_hex(exchange.ask))).answer(frame(_hex(exchange.answer)))
    asked, answered = talk.records(tmp_path)
    assert _said(asked) == _expected(exchange.ask, exchange.says, exchange.written)
    assert _said(answered) == _expected(exchange.answer, {**exchange.says, **exchange.answered}, exchange.given)
    assert [row["kind"] for row in (asked, answered)] == [Kind.REQUEST, Kind.RESPONSE]
    assert [row["unit"] for row in (asked, answered)] == [17, 17]
    assert [row["match"] for row in (asked, answered)] == [Match.PENDING, Match.MATCHED]
    assert (answered["peer_seq"], answered["rtt_us"]) == (asked["seq"], 1000)
    assert asked["flags"] & RecordFlag.MODBUS_RTU == (RecordFlag.MODBUS_RTU if framing == "rtu" else 0)
    assert [row["txn"] for row in (asked, answered)] == ([0, 0] if framing == "rtu" else [1, 1])
    assert asked["length"] == len(_hex(exchange.ask)) + (3 if framing == "rtu" else 7)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_exception_speaks_of_what_was_asked(exchange: Exchange, tmp_path: Path) -> None:
    function = _hex(exchange.ask)[0]
    talk = Conversation()
    for code in EXCEPTION_CODES:
        talk.ask(mbap(_hex(exchange.ask), txn=code)).answer(mbap(bytes([function | 0x80, code]), txn=code))
    refused = talk.records(tmp_path)[1::2]
    assert [row["status"] for row in refused] == list(EXCEPTION_CODES)
    for row in refused:
        assert _said(row) == _expected(exchange.ask, {**exchange.says, "status": row["status"]}, [])
        assert (row["kind"], row["match"]) == (Kind.RESPONSE, Match.MATCHED)


@pytest.mark.parametrize(("name", "pdu", "anomaly"), BAD_REQUESTS, ids=[name for name, *_ in BAD_REQUESTS])
def test_a_bad_request_keeps_its_record(name: str, pdu: str, anomaly: Anomaly, tmp_path: Path) -> None:
    good = _BY_NAME["read holding registers"]
    talk = Conversation().ask(mbap(_hex(pdu))).ask(mbap(_hex(good.ask), txn=2)).answer(mbap(_hex(good.answer), txn=2))
    rows = talk.records(tmp_path)
    assert Anomaly(rows[0]["anomaly"] & FAULTS) == anomaly
    assert (rows[0]["kind"], rows[0]["func"]) == (Kind.REQUEST, _hex(pdu)[0])
    assert rows[0]["length"] == len(_hex(pdu)) + 7
    assert _said(rows[2]) == _expected(good.answer, good.says, good.given)


@pytest.mark.parametrize(
    ("name", "ask", "pdu", "anomaly", "points"), BAD_RESPONSES, ids=[name for name, *_ in BAD_RESPONSES]
)
def test_a_bad_response_keeps_its_record(
    name: str, ask: str, pdu: str, anomaly: Anomaly, points: int, tmp_path: Path
) -> None:
    _, answered = Conversation().ask(mbap(_hex(ask))).answer(mbap(_hex(pdu))).records(tmp_path)
    assert Anomaly(answered["anomaly"] & FAULTS) == anomaly
    assert (answered["kind"], answered["match"]) == (Kind.RESPONSE, Match.MATCHED)
    assert answered["n_points"] == points


@pytest.mark.parametrize("pdu", ["83", "83 00"])
def test_an_exception_without_a_code_is_no_success(pdu: str, tmp_path: Path) -> None:
    _, answered = Conversation().ask(mbap(_hex("03 0000 0001"))).answer(mbap(_hex(pdu))).records(tmp_path)
    assert answered["status"] == _NO_CODE


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_without_its_request_a_response_guesses_no_address(exchange: Exchange, tmp_path: Path) -> None:
    row = Conversation(opened=False).answer(mbap(_hex(exchange.answer))).records(tmp_path)[0]
    assert (row["kind"], row["match"]) == (Kind.RESPONSE, Match.UNMATCHED)
    function = row["func"]
    guessed = [p for p in row["points"] if not p["quality"] & Quality.ADDRESS_UNKNOWN]
    if function in (1, 2, 3, 4, 20, 23, 24):
        assert guessed == []
        assert row["n_points"] >= len(exchange.given)
    else:
        assert [p[:4] for p in _points(row) if p[0]] == [p[:4] for p in exchange.given if p[0]]


def test_reserved_and_open_codes_are_told_apart(tmp_path: Path) -> None:
    public = {*range(1, 9), 11, 12, 15, 16, 17, *range(20, 25), 43}
    observed = {90}
    users = {*range(65, 73), *range(100, 111)}
    talk = Conversation()
    for function in range(128):
        talk.ask(mbap(bytes([function]), txn=function))
    rows = _halves(talk.records(tmp_path))
    reserved = {row["func"] for row in rows if row["anomaly"] & Anomaly.RESERVED_CODE}
    assert reserved == set(range(128)) - public - observed - users | {43}  # 43 names no transport here
    assert {row["func"] for row in rows} == set(range(128))
    assert {row["func"] for row in rows if row["op"] == Op.VENDOR} == set(range(128)) - public - observed | {43}


@pytest.mark.parametrize(
    ("frame", "anomaly", "length"),
    [
        (mbap(_hex("03 0000 0001"), length=0), BAD_LENGTH, 12),
        (mbap(_hex("03 0000 0001"), length=1), BAD_LENGTH, 12),
        (mbap(_hex("03 0000 0001"), length=4), BAD_LENGTH, 12),
        (mbap(_hex("03 0000 0001"), length=255), BAD_LENGTH | Anomaly.OVERSIZE, 12),
        (mbap(_hex("03 0000 0001"), length=65535), BAD_LENGTH | Anomaly.OVERSIZE, 12),
        (mbap(_hex("03 0000 0001"), identifier=1), Anomaly.BAD_PROTOCOL_ID, 12),
        (mbap(_hex("10 0000 007F FE" + "0000" * 127)), Anomaly.OVERSIZE | BAD_COUNT, 267),
    ],
    ids=["length 0", "length 1", "length too small", "length 255", "length 65535", "protocol 1", "oversize"],
)
@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
def test_a_wrong_header_keeps_its_record(
    frame: bytes, anomaly: Anomaly, length: int, udp: bool, tmp_path: Path
) -> None:
    good = _BY_NAME["read holding registers"]
    talk = Conversation(udp=udp).ask(mbap(_hex(good.ask), txn=7)).answer(mbap(_hex(good.answer), txn=7)).ask(frame)
    rows = talk.ask(mbap(_hex(good.ask), txn=9)).answer(mbap(_hex(good.answer), txn=9)).records(tmp_path)
    bad = [row for row in rows if row["anomaly"] & FAULTS]
    assert len(bad) >= 1
    assert Anomaly(bad[0]["anomaly"] & FAULTS) & anomaly == anomaly
    assert bad[0]["kind"] == Kind.REQUEST
    assert sum(row["length"] for row in bad) == length
    assert [row["txn"] for row in rows if not row["anomaly"] & FAULTS and row["kind"] == Kind.RESPONSE] == [7, 9]


def test_a_length_that_lies_long_does_not_swallow_the_next_pdu(tmp_path: Path) -> None:
    talk = Conversation().ask(mbap(_hex("07"), txn=1)).ask(mbap(_hex("03 0000 0001"), txn=2, length=20))
    rows = talk.ask(mbap(_hex("29 0000 0002"), txn=3)).records(tmp_path)
    assert [(row["txn"], row["func"]) for row in rows] == [(1, 7), (2, 3), (3, 41)]
    assert rows[1]["anomaly"] & BAD_LENGTH == BAD_LENGTH


@pytest.mark.parametrize("frame", [mbap, rtu], ids=["mbap", "rtu"])
def test_several_pdus_in_one_segment(frame: Any, tmp_path: Path) -> None:
    asks = [_hex("03 0000 0001"), _hex("01 0005 0003"), _hex("06 0001 0003")]
    rows = Conversation().ask(b"".join(frame(pdu) for pdu in asks)).records(tmp_path)
    assert [(row["func"], row["addr"], row["count"]) for row in rows] == [(3, 0, 1), (1, 5, 3), (6, 1, 1)]
    assert [bool(row["anomaly"] & Anomaly.PIPELINED) for row in rows] == [True, True, False]


# --- RTU over TCP


@pytest.mark.parametrize("first", ["07", "83 02", "07 6D"], ids=["4 bytes", "5 bytes", "5 bytes of a response"])
def test_rtu_is_known_by_its_shortest_frames(first: str, tmp_path: Path) -> None:
    talk = Conversation(opened=False)
    row = (talk.ask if first == "07" else talk.answer)(rtu(_hex(first))).records(tmp_path)[0]
    assert row["flags"] & RecordFlag.MODBUS_RTU
    assert (row["kind"], row["func"]) == (Kind.REQUEST if first == "07" else Kind.RESPONSE, _hex(first)[0] & 0x7F)


def test_rtu_with_a_bad_checksum_keeps_its_record(tmp_path: Path) -> None:
    good, bad = rtu(_hex("03 0000 0001")), rtu(_hex("03 0000 0002"), good=False)
    rows = Conversation().ask(good).ask(bad).ask(good).records(tmp_path)
    assert [Anomaly(row["anomaly"] & FAULTS) for row in rows] == [Anomaly.NONE, Anomaly.BAD_CHECKSUM, Anomaly.NONE]
    assert [row["count"] for row in rows] == [1, 2, 1]


def test_rtu_broadcast_asks_for_no_answer(tmp_path: Path) -> None:
    talk = Conversation().ask(rtu(_hex("06 0001 0003"), unit=0)).wait(60).ask(rtu(_hex("07"), unit=1))
    rows = talk.records(tmp_path)
    assert [row["kind"] for row in rows] == [Kind.REQUEST, Kind.REQUEST]
    assert rows[0]["flags"] & RecordFlag.BROADCAST
    assert rows[0]["match"] == Match.NONE


def test_units_behind_a_serial_gateway_are_told_apart(tmp_path: Path) -> None:
    talk = Conversation()
    for unit in (1, 2, 3):
        talk.ask(rtu(_hex("03 0010 0001"), unit=unit)).answer(rtu(bytes([3, 2, 0, unit]), unit=unit))
    rows = talk.records(tmp_path)
    assert [(row["unit"], row["points"][0]["value"]) for row in rows if row["points"]] == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert len({row["device"] for row in rows}) == 1


# --- pairing


def test_transactions_and_units_are_paired_crosswise(tmp_path: Path) -> None:
    talk = Conversation()
    for txn, unit, first in ((1, 1, 10), (2, 1, 20), (2, 2, 30)):
        talk.ask(mbap(bytes([3, 0, first, 0, 1]), txn=txn, unit=unit))
    for txn, unit in ((2, 2), (1, 1), (2, 1)):
        talk.answer(mbap(_hex("03 02 0001"), txn=txn, unit=unit))
    rows = talk.records(tmp_path)
    assert [row["addr"] for row in rows[3:]] == [30, 10, 20]
    assert [row["peer_seq"] for row in rows[3:]] == [rows[2]["seq"], rows[0]["seq"], rows[1]["seq"]]


def test_requests_of_one_transaction_are_told_apart_by_what_is_echoed(tmp_path: Path) -> None:
    writes = [_hex("06 0004 09C4"), _hex("06 0004 0000"), _hex("06 0005 36C1")]
    talk = Conversation()
    for pdu in writes:
        talk.ask(mbap(pdu))
    for pdu in writes:
        talk.answer(mbap(pdu))
    rows = talk.records(tmp_path)
    assert [row["peer_seq"] for row in rows[3:]] == [row["seq"] for row in rows[:3]]
    assert [row["anomaly"] & FAULTS for row in rows] == [0] * 6


def test_force_listen_only_waits_for_a_refusal(tmp_path: Path) -> None:
    rows = Conversation().ask(mbap(_hex("08 0004 0000"))).answer(mbap(_hex("88 01"))).records(tmp_path)
    assert (rows[1]["op"], rows[1]["status"], rows[1]["match"]) == (Op.LISTEN_ONLY, 1, Match.MATCHED)


# --- ports and roles


def _on_any_port(**options: Any) -> Conversation:
    return Conversation(server_port=10502, client_port=40000, **options)


@pytest.mark.parametrize("exchange", _SHAPED, ids=lambda exchange: exchange.name)
@pytest.mark.parametrize("frame", [mbap, rtu], ids=["mbap", "rtu"])
def test_on_an_unknown_port_modbus_is_found_by_its_shape(exchange: Exchange, frame: Any, tmp_path: Path) -> None:
    talk = _on_any_port(opened=False).ask(frame(_hex(exchange.ask))).answer(frame(_hex(exchange.answer)))
    rows = talk.records(tmp_path)
    assert [row["kind"] for row in rows] == [Kind.REQUEST, Kind.RESPONSE]
    assert all(row["flags"] & RecordFlag.BY_SHAPE for row in rows)
    assert [row["client_is_src"] for row in rows] == [1, 0]


@pytest.mark.parametrize(
    "exchange", [e for e in _SHAPED if _hex(e.ask)[0] not in _ALIKE], ids=lambda exchange: exchange.name
)
def test_midstream_a_response_that_comes_first_is_a_response(exchange: Exchange, tmp_path: Path) -> None:
    talk = _on_any_port(opened=False).answer(mbap(_hex(exchange.answer)))
    rows = talk.ask(mbap(_hex(exchange.ask), txn=2)).answer(mbap(_hex(exchange.answer), txn=2)).records(tmp_path)
    assert [row["kind"] for row in rows] == [Kind.RESPONSE, Kind.REQUEST, Kind.RESPONSE]
    assert rows[2]["match"] == Match.MATCHED


@pytest.mark.parametrize("function", sorted(_ALIKE))
def test_midstream_a_wrong_guess_is_mended_by_the_first_telling_pdu(function: int, tmp_path: Path) -> None:
    echo = next(exchange for exchange in EXCHANGES if _hex(exchange.ask)[0] == function)
    read = _BY_NAME["read holding registers"]
    talk = _on_any_port(opened=False).answer(mbap(_hex(echo.answer)))
    rows = talk.ask(mbap(_hex(read.ask), txn=2)).answer(mbap(_hex(read.answer), txn=2)).records(tmp_path)
    assert [row["kind"] for row in rows if row["txn"] == 2] == [Kind.REQUEST, Kind.RESPONSE]
    assert {row["device"] for row in rows if row["txn"] == 2} == {rows[-1]["device"]}


def test_on_an_unknown_port_the_opening_tells_the_client(tmp_path: Path) -> None:
    rows = _on_any_port().ask(mbap(_hex("06 0001 0003"))).answer(mbap(_hex("06 0001 0003"))).records(tmp_path)
    assert [row["kind"] for row in rows] == [Kind.REQUEST, Kind.RESPONSE]


@pytest.mark.parametrize(
    "payload",
    [b"GET / HTTP/1.1\r\n\r\n", bytes.fromhex("16030100"), b"\x03\x00\x00\x13\x0e\xe0", bytes(64), b"\xff" * 20],
    ids=["http", "tls", "iso", "zeros", "ones"],
)
def test_on_an_unknown_port_other_bytes_are_no_modbus(payload: bytes, tmp_path: Path) -> None:
    assert _on_any_port().ask(payload).records(tmp_path) == []


@pytest.mark.parametrize(
    "payload", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x80" + bytes(123)], ids=["http", "tls"]
)
def test_on_its_own_port_other_bytes_are_foreign(payload: bytes, tmp_path: Path) -> None:
    rows = Conversation().ask(payload).records(tmp_path)
    assert [(row["kind"], Anomaly(row["anomaly"])) for row in rows] == [(Kind.FOREIGN, Anomaly.NOT_PROTOCOL)]


def test_after_modbus_a_wrong_protocol_id_is_a_fault_whatever_the_function(tmp_path: Path) -> None:
    good = _BY_NAME["read holding registers"]
    talk = Conversation().ask(mbap(_hex(good.ask))).answer(mbap(_hex(good.answer)))
    rows = talk.ask(mbap(_hex("29 0000"), txn=2, identifier=0x0200)).records(tmp_path)
    assert (rows[2]["kind"], rows[2]["func"]) == (Kind.REQUEST, 41)
    assert Anomaly(rows[2]["anomaly"]) == Anomaly.BAD_PROTOCOL_ID | Anomaly.RESERVED_CODE


def test_the_table_names_every_public_function() -> None:
    functions = {_hex(exchange.ask)[0] for exchange in EXCHANGES}
    assert {*range(1, 9), 11, 12, 15, 16, 17, *range(20, 25), 43, 90} <= functions
    subs = {
        exchange.says["subfunc"]
        for exchange in EXCHANGES
        if exchange.says.get("space") == Space.DIAGNOSTIC and "subfunc" in exchange.says
    }
    assert {0, 1, 2, 3, 4, *range(10, 19), 20} <= subs
