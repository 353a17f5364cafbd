"""Requests and responses: matched, late, duplicate, timed out, too many; over TCP and UDP."""

from __future__ import annotations

import struct

import pytest

from pipeline.synth.encode.dnp3 import READ, classes
from schemas.codes import FAULTS, Anomaly, Kind, Match, Protocol, RecordFlag, Transport
from tests.decode.packets import MS, SECOND, Packet, Talk, mbap, polls, read, refusal, rtu, udp, values
from tests.decode.reading import Decoded, decode
from tests.protocols.dnp3_frames import Line


def heard(found: Decoded) -> list[tuple[int, int, int, int]]:
    return [(r.txn, r.kind, r.match, r.addr) for r in found.records]


def test_response_time_and_what_was_asked() -> None:
    talk = Talk().open()
    talk.ask(read(1, 100, 3, func=4, unit=9))
    talk.now += 250 * MS
    talk.answer(values(1, 7, 8, 9, func=4, unit=9))
    request, response = decode(talk.packets).records
    assert (response.rtt_us, request.rtt_us) == (251_000, -1)
    assert (response.peer_seq, request.peer_seq) == (request.seq, 0)
    assert (response.addr, response.count, response.unit) == (100, 3, 9)
    assert [(p.addr, p.value) for p in response.points] == [(100, 7.0), (101, 8.0), (102, 9.0)]


def test_answers_in_another_order() -> None:
    talk = Talk().open()
    for txn in (1, 2, 3):
        talk.ask(read(txn, 10 * txn, 1))
    for txn in (3, 1, 2):
        talk.answer(values(txn, txn))
    responses = decode(talk.packets).of(Kind.RESPONSE)
    assert [(r.txn, r.match, r.addr, r.peer_seq) for r in responses] == [
        (3, Match.MATCHED, 30, 3),
        (1, Match.MATCHED, 10, 1),
        (2, Match.MATCHED, 20, 2),
    ]


def test_units_behind_a_gateway_are_told_apart() -> None:
    talk = Talk().open()
    talk.ask(read(1, 10, 1, unit=1))
    talk.ask(read(1, 20, 1, unit=2))
    talk.answer(values(1, 5, unit=1))
    talk.answer(values(1, 6, unit=2))
    assert [(r.unit, r.addr, r.match) for r in decode(talk.packets).of(Kind.RESPONSE)] == [
        (1, 10, Match.MATCHED),
        (2, 20, Match.MATCHED),
    ]


def test_duplicate_answer() -> None:
    talk = Talk().open()
    talk.ask(read(1, 10, 1))
    talk.answer(values(1, 5))
    talk.answer(values(1, 6))
    _, first, second = decode(talk.packets).records
    assert (first.match, second.match) == (Match.MATCHED, Match.DUPLICATE)
    assert second.peer_seq == first.seq
    assert second.points[0].quality == 1


def test_an_answer_that_nobody_asked_for() -> None:
    found = decode([*Talk().open().packets, Talk().segment(1, values(9, 5), seq=5001)])
    (response,) = found.records
    assert (response.match, response.peer_seq, response.rtt_us) == (Match.UNMATCHED, 0, -1)
    assert (response.addr, response.points[0].quality) == (0, 1)


@pytest.mark.parametrize(("wait", "expired"), [(5 * SECOND - 1, False), (5 * SECOND, True)])
def test_a_request_expires_by_record_time(wait: int, expired: bool) -> None:
    talk = Talk().open()
    asked = talk.ask(read(1, 10, 2))
    talk.put(talk.segment(1, b"", 16), asked.ts + wait)
    found = decode(talk.packets)
    assert len(found.records) == 1 + expired
    if expired:
        request, timeout = found.records
        assert (timeout.kind, timeout.match, timeout.ts) == (Kind.TIMEOUT, Match.NONE, asked.ts + 5 * SECOND)
        assert (timeout.peer_seq, timeout.packet, timeout.length) == (request.seq, request.packet, 0)
        same = ("txn", "unit", "func", "op", "space", "addr", "count", "flow", "device", "client_is_src", "src_ip")
        assert [getattr(timeout, name) for name in same] == [getattr(request, name) for name in same]
        assert found.health["decode", "records", "timeouts"] == 1


def test_the_time_to_wait_is_a_setting() -> None:
    talk = Talk().open()
    asked = talk.ask(read(1, 10, 2))
    talk.put(talk.segment(1, b"", 16), asked.ts + 200 * MS)
    assert len(decode(talk.packets, request_timeout_s=0.2).of(Kind.TIMEOUT)) == 1
    assert decode(talk.packets, request_timeout_s=0.3).of(Kind.TIMEOUT) == []


@pytest.mark.parametrize(
    ("after_s", "match"), [(6, Match.LATE), (64, Match.LATE), (66, Match.UNMATCHED), (600, Match.UNMATCHED)]
)
def test_late_answers(after_s: int, match: Match) -> None:
    talk = Talk().open()
    talk.ask(read(1, 10, 1))
    talk.now += after_s * SECOND
    talk.answer(values(1, 5))
    found = decode(talk.packets)
    assert [r.kind for r in found.records] == [Kind.REQUEST, Kind.TIMEOUT, Kind.RESPONSE]
    response = found.records[-1]
    assert response.match == match
    assert response.addr == (10 if match == Match.LATE else 0)
    assert response.peer_seq == (1 if match == Match.LATE else 0)


def test_a_late_answer_is_taken_once() -> None:
    talk = Talk().open()
    talk.ask(read(1, 10, 1))
    talk.now += 6 * SECOND
    talk.answer(values(1, 5))
    talk.answer(values(1, 5))
    assert [r.match for r in decode(talk.packets).of(Kind.RESPONSE)] == [Match.LATE, Match.DUPLICATE]


def test_the_same_transaction_number_for_every_request() -> None:
    talk = Talk().open()
    for n in range(5):
        talk.ask(read(0, n, 1))
        talk.answer(values(0, n))
    responses = decode(talk.packets).of(Kind.RESPONSE)
    assert [(r.match, r.addr, r.values) for r in responses] == [(Match.MATCHED, n, [float(n)]) for n in range(5)]


def test_a_lost_answer_does_not_shift_those_of_the_same_number() -> None:
    talk = Talk().open()
    talk.ask(read(0, 10, 1))
    talk.ask(read(0, 20, 1))
    talk.answer(values(0, 20))
    (response,) = decode(talk.packets).of(Kind.RESPONSE)
    assert (response.match, response.addr) == (Match.MATCHED, 20)


def test_of_one_number_the_same_function_is_answered() -> None:
    talk = Talk().open()
    talk.ask(read(5, 10, 1, func=3))
    talk.ask(read(5, 20, 1, func=4))
    talk.answer(values(5, 1, func=3))
    talk.answer(refusal(5, 4, 2))
    assert [(r.func, r.match, r.addr) for r in decode(talk.packets).of(Kind.RESPONSE)] == [
        (3, Match.MATCHED, 10),
        (4, Match.MATCHED, 20),
    ]


def test_no_more_than_64_requests_wait_on_a_flow() -> None:
    talk = Talk().open()
    for txn in range(100):
        talk.ask(read(txn, txn, 1))
    for txn in range(100):
        talk.answer(values(txn, txn))
    found = decode(talk.packets)
    matches = [r.match for r in found.of(Kind.RESPONSE)]
    assert matches == [Match.UNMATCHED] * 36 + [Match.MATCHED] * 64
    assert found.health["decode", "dropped", "requests not paired, too many at once"] == 36


def test_requests_open_at_the_end_are_counted_not_judged() -> None:
    found = decode(polls(2).packets[:-1])
    assert [r.match for r in found.records] == [Match.PENDING, Match.MATCHED, Match.PENDING]
    assert found.health["decode", "seen", "requests open at the end"] == 1
    assert ("decode", "records", "timeouts") not in found.health


def test_many_timeouts_at_once_in_their_order() -> None:
    talk = Talk().open()
    for txn in range(50):
        talk.ask(read(txn, txn, 1))
    talk.put(talk.segment(1, b"", 16), talk.now + 10 * SECOND)
    timeouts = decode(talk.packets).of(Kind.TIMEOUT)
    assert [r.txn for r in timeouts] == list(range(50))
    assert [r.ts for r in timeouts] == sorted(r.ts for r in timeouts)


def test_timeouts_of_a_connection_that_is_over() -> None:
    """The request belongs to the first connection, wherever its row is written."""
    first = Talk().open()
    first.ask(read(1, 10, 2))
    second = Talk(seq=[900_000_000, 3_000_000_000], now=first.now)
    polls(1, second.open())
    second.put(second.segment(0, b"", 16), second.now + 10 * SECOND)
    found = decode([*first.packets, *second.packets])
    (timeout,) = found.of(Kind.TIMEOUT)
    assert timeout.flow == found.records[0].flow != found.records[1].flow


@pytest.mark.parametrize("version", [4, 6])
def test_udp(version: int) -> None:
    ends = {} if version == 4 else {"client": "fd00::1", "server": "fd00::2"}
    talk = Talk(**ends)
    for txn in range(1, 4):
        talk.datagram(0, read(txn, 10 * txn, 1))
        talk.datagram(1, values(txn, txn))
    found = decode(talk.packets)
    assert {r.transport for r in found.records} == {Transport.UDP}
    assert heard(found)[1::2] == [(txn, Kind.RESPONSE, Match.MATCHED, 10 * txn) for txn in range(1, 4)]


@pytest.mark.parametrize(("delay", "ident", "copies"), [(0, 0, 1), (50, 0, 1), (51, 0, 2), (1, 99, 2)])
def test_a_mirrored_copy_of_a_datagram(delay: int, ident: int, copies: int) -> None:
    """The same IP id and bytes within 50 ms are one datagram; another id is the application's repetition."""
    talk = Talk()
    first = talk.datagram(0, read(1, 10, 1), 7)
    again = talk.datagram(0, read(1, 10, 1), ident or 7)
    found = decode([first, again.at(first.ts + delay * MS)])
    assert len(found.records) == copies
    assert found.counted("mirrored copy of a datagram") == 2 - copies


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("delay", "copies"), [(0, 1), (50, 1), (51, 2)])
def test_a_mirrored_copy_of_a_datagram_that_has_no_number(version: int, delay: int, copies: int) -> None:
    """IPv6, and senders that leave the identification zero: the bytes and the time tell."""
    ends = {} if version == 4 else {"client": "fd00::1", "server": "fd00::2"}
    talk = Talk(**ends)
    first = Packet(talk.now, talk.frame(0, udp((40000, 502), read(1, 10, 1)), 17, 0))
    found = decode([first, first.at(first.ts + delay * MS)])
    assert len(found.records) == copies
    assert found.counted("mirrored copy of a datagram") == 2 - copies


@pytest.mark.parametrize("answered", [False, True])
def test_a_client_that_asks_the_same_again_is_heard(answered: bool) -> None:
    """Without a number of the datagram, an answer in between tells a new question from a copy; so does time."""
    talk = Talk(client="fd00::1", server="fd00::2", step=10 * MS)
    for n in range(20):
        talk.datagram(0, read(0, 10, 1))
        if answered:
            talk.datagram(1, values(0, n))
    found = decode(talk.packets)
    assert len(found.of(Kind.REQUEST)) == (20 if answered else 4)
    assert len(found.of(Kind.RESPONSE)) == (20 if answered else 0)


def test_what_other_packets_carry_makes_no_datagram_a_copy() -> None:
    """IPv6 has no identification: that of a packet in between says nothing."""
    talk = Talk(client="fd00::1", server="fd00::2")
    other = Talk(port=41000)
    for _ in range(3):
        other.datagram(0, read(9, 1, 1), 1234)
        other.now += SECOND
        talk.now = other.now
        talk.datagram(0, rtu(1, struct.pack("!BHH", 3, 10, 1)))
        talk.datagram(0, rtu(1, struct.pack("!BHH", 3, 10, 1)))
    merged = sorted([*talk.packets, *other.packets], key=lambda p: p.ts)
    alone = decode(talk.packets)
    together = decode(merged)
    assert len(alone.records) == len([r for r in together.records if r.src_port == 40000 and r.kind == Kind.REQUEST])


def test_rtu_frames_over_tcp() -> None:
    talk = Talk().open()
    for n in range(3):
        talk.ask(rtu(7, struct.pack("!BHH", 3, n, 1)))
        talk.answer(rtu(7, struct.pack("!BBH", 3, 2, n)))
    found = decode(talk.packets)
    assert [(r.unit, r.kind, r.match, r.addr) for r in found.records if r.kind == Kind.RESPONSE] == [
        (7, Kind.RESPONSE, Match.MATCHED, n) for n in range(3)
    ]
    assert all(r.flags & RecordFlag.MODBUS_RTU for r in found.records)


@pytest.mark.parametrize("cut", range(1, 13))
@pytest.mark.parametrize(
    ("side", "pdu"),
    [
        (0, struct.pack("!BHH", 3, 0x10, 1)),
        (0, struct.pack("!BHHBHH", 16, 0x10, 2, 4, 1, 2)),
        (1, struct.pack("!BBHHH", 3, 6, 0x102, 3, 4)),
        (1, bytes([0x83, 2])),
    ],
    ids=["read", "write", "answer", "refusal"],
)
def test_a_first_rtu_frame_in_two_segments(side: int, pdu: bytes, cut: int) -> None:
    frame = rtu(7, pdu)
    talk = Talk().open()
    talk.send(side, frame[:cut])
    if cut < len(frame):
        talk.send(side, frame[cut:])
    talk.send(side, rtu(7, pdu))
    found = decode(talk.packets)
    assert [(r.unit, r.func, r.length, r.anomaly & FAULTS) for r in found.records] == [
        (7, pdu[0] & 0x7F, len(frame), 0)
    ] * 2
    assert all(r.flags & RecordFlag.MODBUS_RTU for r in found.records)


def test_broadcasts_are_not_waited_for() -> None:
    talk = Talk().open()
    talk.ask(rtu(0, struct.pack("!BHH", 6, 1, 1)))
    talk.put(talk.segment(1, b"", 16), talk.now + 10 * SECOND)
    (request,) = decode(talk.packets).records
    assert (request.match, bool(request.flags & RecordFlag.BROADCAST)) == (Match.NONE, True)


def test_modbus_on_another_port_by_its_shape() -> None:
    talk = polls(3, Talk(server_port=5020).open())
    found = decode(talk.packets)
    assert [r.match for r in found.of(Kind.RESPONSE)] == [Match.MATCHED] * 3
    assert all(r.flags & RecordFlag.BY_SHAPE for r in found.records)
    assert [r.client_is_src for r in found.records] == [1, 0] * 3


@pytest.mark.parametrize("client_port", [2404, 20_000])
@pytest.mark.parametrize("opened", [True, False])
def test_a_client_on_the_port_of_another_protocol(client_port: int, opened: bool) -> None:
    """A client's port is any; where both ports mean something, the handshake, the lower port or the bytes tell."""
    talk = Talk(port=client_port)
    found = decode(polls(3, talk.open() if opened else talk).packets)
    assert [(r.protocol, r.client_is_src, r.match) for r in found.records] == [
        (Protocol.MODBUS, 1, Match.PENDING),
        (Protocol.MODBUS, 0, Match.MATCHED),
    ] * 3


def test_two_known_ports_of_which_the_higher_serves() -> None:
    """Without a handshake the lower port is taken for the server's, until its bytes say otherwise."""
    line = Line(Talk(port=2404, server_port=20_000)).ask(READ, classes(0)).answer()
    found = decode(line.packets)
    assert [(r.protocol, r.kind, r.client_is_src) for r in found.records] == [
        (Protocol.DNP3, Kind.REQUEST, 1),
        (Protocol.DNP3, Kind.RESPONSE, 0),
    ]


def test_what_is_not_modbus_on_its_port_is_said_once() -> None:
    talk = Talk().open()
    for _ in range(4):
        talk.ask(b"GET / HTTP/1.1\r\nHost: plc\r\n\r\n")
        talk.answer(b"HTTP/1.1 404 Not Found\r\n\r\n")
    found = decode(talk.packets)
    (record,) = found.records
    assert (record.kind, record.anomaly & Anomaly.NOT_PROTOCOL) == (Kind.FOREIGN, Anomaly.NOT_PROTOCOL)
    assert found.health["decode", "seen", "segments foreign to their port"] == 8


def test_an_unknown_protocol_is_given_up_after_a_few_segments() -> None:
    talk = Talk(server_port=9999).open()
    for _ in range(20):
        talk.ask(b"some bytes of something else entirely")
    polls(2, talk)
    found = decode(talk.packets)
    assert found.records == []
    assert found.health["stream", "skipped", "unknown protocol"] == 24


def test_a_request_on_a_response_is_no_pair() -> None:
    """Only the other direction's requests are answered."""
    talk = Talk().open()
    talk.ask(mbap(1, 1, bytes([7])))
    talk.ask(mbap(1, 1, bytes([7])))
    found = decode(talk.packets)
    assert [r.kind for r in found.records] == [Kind.REQUEST] * 2
