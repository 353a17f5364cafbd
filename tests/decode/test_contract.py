"""What a protocol can say beyond one record per PDU, on a protocol made for it (`toy`)."""

from __future__ import annotations

import pytest

from pipeline.decode import layout
from pipeline.decode.protocols import DECODERS
from schemas.codes import Anomaly, Kind, Match, Protocol, Quality
from tests.decode.packets import SECOND, Talk
from tests.decode.reading import Decoded, blocks, feed


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DECODERS, Protocol.MODBUS_TLS, "tests.decode.toy")


def pdu(what: str, number: int, body: bytes = b"") -> bytes:
    return b"T" + bytes([4 + len(body)]) + what.encode() + bytes([number]) + body


def segments(message: bytes, number: int, size: int, first_seq: int = 0) -> list[bytes]:
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    found = []
    for k, piece in enumerate(pieces):
        gapped = b"".join(piece[i : i + 4] + b"!" for i in range(0, len(piece), 4))
        if len(piece) % 4:
            gapped = gapped[:-1]
        flags = (k == 0) | (k == len(pieces) - 1) << 1
        found.append(pdu("s", number, bytes([flags, (first_seq + k) % 8]) + gapped))
    return found


def talk(*turns: tuple[int, bytes]) -> Talk:
    found = Talk(server_port=802).open()
    for side, payload in turns:
        found.send(side, payload)
    return found


def decoded(*turns: tuple[int, bytes]) -> Decoded:
    return feed(blocks(talk(*turns).packets))


def test_several_records_of_one_pdu() -> None:
    """Each is a record of its own with its own points and its own answer."""
    found = decoded((0, pdu("q", 5, b"\x0a\x0b\x0c") * 2), (1, pdu("a", 5, b"\x01\x02\x03")))
    assert [r.values for r in found.records] == [[10.0], [11.0], [12.0]] * 2 + [[1.0], [2.0], [3.0]]
    assert [(r.match, r.peer_seq) for r in found.of(Kind.RESPONSE)] == [(Match.MATCHED, k) for k in (4, 5, 6)]
    assert len({r.packet for r in found.records[:6]}) == 1


def test_records_of_one_pdu_over_a_full_batch() -> None:
    body = bytes(range(200))
    count = 2 * layout.RECORDS // len(body)
    found = decoded(*((0, pdu("q", k & 255, body)) for k in range(count)))
    assert [r.values for r in found.records] == [[float(v)] for v in body] * count
    assert found.batches >= 2


@pytest.mark.parametrize("cut", [[100], [1]])
@pytest.mark.parametrize("size", [1, 3, 4, 9, 200])
def test_a_message_of_segments(size: int, cut: list[int]) -> None:
    message = pdu("q", 9, bytes(range(40)))
    pieces = segments(message, 3, size)[:]
    packets = talk(*((0, piece) for piece in pieces), (1, pdu("a", 9, b"\x01"))).packets
    found = feed(blocks(packets, cut))
    assert [r.values for r in found.of(Kind.REQUEST)] == [[float(v)] for v in range(40)]
    assert {r.length for r in found.of(Kind.REQUEST)} == {len(message)}
    assert found.of(Kind.RESPONSE)[0].match == Match.MATCHED
    assert found.counted("messages from segments") == (len(pieces) > 1)


def test_messages_of_segments_that_alternate() -> None:
    """Two keys on one connection: each goes on where it was."""
    both = [segments(pdu("q", n, bytes([n] * 9)), n, 4) for n in (1, 2)]
    found = decoded(*((0, piece) for pair in zip(*both, strict=True) for piece in pair))
    assert [r.values[0] for r in found.records] == [1.0] * 9 + [2.0] * 9


def test_segments_that_do_not_follow() -> None:
    """A lost segment ends its message; the rest of it is told once as out of sequence; a repeated one is no harm."""
    pieces = segments(pdu("q", 9, bytes(range(40))), 3, 9)
    found = decoded((0, pieces[0]), (0, pieces[2]), (0, pieces[3]), *((0, p) for p in (*pieces[:2], *pieces[1:])))
    lost, whole = found.records[0], found.records[1:]
    assert (lost.anomaly, lost.points) == (Anomaly.SEQUENCE_ERROR, [])
    assert [r.values[0] for r in whole] == [float(v) for v in range(40)]
    assert found.counted("segments without their beginning") == 2
    assert found.counted("bytes of messages never completed") == 9


def test_a_batch_full_at_the_end_of_a_message() -> None:
    """The message is taken again when there is room: nothing of it was let go."""
    message = pdu("r", 9, (500).to_bytes(2, "big"))
    turns = [(0, piece) for _ in range(200) for piece in segments(message, 3, 3)]
    found = decoded(*turns)
    assert [r.n_points for r in found.records] == [500] * 200
    assert found.batches == 2
    assert found.counted("messages from segments") == 200


def test_messages_never_completed_are_bounded() -> None:
    first = segments(pdu("q", 1, bytes(200)), 3, 199)[0]
    turns = [(0, first[:3] + bytes([number & 255]) + first[4:]) for number in range(600)]
    found = decoded(*turns)
    assert not found.records
    assert found.counted("bytes of messages never completed") > 300 * 199


def test_more_runs_than_there_is_room_for() -> None:
    found = decoded((0, pdu("r", 1, (layout.RUNS + 88).to_bytes(2, "big"))), (0, pdu("r", 2, (300).to_bytes(2, "big"))))
    assert [r.n_points for r in found.records] == [layout.RUNS, 300]
    assert [bool(p.quality & Quality.TRUNCATED) for p in found.records[0].points[-2:]] == [False, True]
    assert found.counted("points beyond the bound of a PDU") == 88


def test_answers_after_the_first() -> None:
    """A request answered once makes no timeout; what comes later still finds it, though not for ever."""
    it = talk((0, pdu("q", 1, b"\x01")), (1, pdu("m", 1)), (0, pdu("q", 2, b"\x02")))
    it.now += 20 * SECOND
    for payload in (pdu("m", 1), pdu("a", 1), pdu("a", 1), pdu("a", 2)):
        it.send(1, payload)
    found = feed(blocks(it.packets))
    assert [r.txn for r in found.of(Kind.TIMEOUT)] == [2]
    assert [(r.txn, r.match) for r in found.of(Kind.RESPONSE)] == [
        *((1, Match.MATCHED) for _ in range(3)),
        (1, Match.DUPLICATE),
        (2, Match.LATE),
    ]


def test_names_of_parts_and_what_was_noted() -> None:
    found = decoded((0, pdu("n", 42, b"Tank")), (0, pdu("n", 7, b"Tank")))
    assert [found.names[r.name_id] for r in found.records] == ["Tank.42", "Tank.7"]
    assert [found.names[r.points[0].name_id] for r in found.records] == ["Tank", "Tank"]
    assert [r.status for r in found.records] == [0, 43]


def test_who_is_client_by_the_protocol_itself() -> None:
    """The end that asks is the client although the other opened the connection; then its role stays."""
    it = Talk(server_port=802).open()
    it.send(1, pdu("q", 1, b"\x01"))
    it.send(0, pdu("a", 1))
    it.send(0, pdu("q", 1, b"\x01"))
    found = feed(blocks(it.packets))
    assert [r.client_is_src for r in found.records] == [1, 0, 0]
    assert [bool(r.anomaly & Anomaly.ROLE_CONFLICT) for r in found.records] == [False, False, True]
    assert len({r.device for r in found.records}) == 1


def test_any_cut_into_blocks() -> None:
    turns = [(0, p) for p in segments(pdu("q", 9, bytes(range(40))), 3, 9)] + [(0, pdu("n", 1, b"x"))]
    packets = talk(*turns).packets
    wanted = [vars(r) | {"points": repr(r.points)} for r in feed(blocks(packets)).records]
    for cut in (1, 2):
        assert [vars(r) | {"points": repr(r.points)} for r in feed(blocks(packets, [cut])).records] == wanted
