"""IEC 60870-5-104: against its plain twin on random ASDUs, and what the golden captures do not show."""

from __future__ import annotations

import random
import struct
from datetime import timedelta

import pytest

from pipeline.decode.protocols.iec104_names import FUNCTIONS, tag
from pipeline.decode.protocols.iec104_types import TYPES
from pipeline.names import function_text, status_text, tag_text
from pipeline.synth.encode.iec104 import ACT, ACTCON, STARTDT, asdu, cp56, i_frame, s_frame, sequence, u_frame
from schemas.codes import FAULTS, Anomaly, Kind, Match, Op, PointType, Protocol, RecordFlag, Space
from tests.decode.packets import MS, SECOND, Talk
from tests.decode.reading import blocks, feed
from tests.protocols.iec104_apdus import NOON, Stations
from tests.reference import iec104 as twin

MONITORED = [n for n, kind in TYPES.items() if n <= 44 and kind.word]
COMMANDS = [n for n in TYPES if 45 <= n <= 64]
SYSTEM = [n for n in TYPES if 100 <= n <= 113]
OTHERS = [n for n in TYPES if n not in MONITORED and n not in COMMANDS and n not in SYSTEM and n != 125]


def told(stations: Stations) -> list[tuple[object, ...]]:
    """What Decoder says of a conversation, in the twin's terms."""
    return [
        (r.func, r.kind, r.unit, r.peer_unit, r.txn, r.addr, r.count, r.status, r.flags & 63,
         [(p.addr, repr(p.value), p.quality, p.source_ts) for p in r.points])
        for r in feed(blocks(stations.packets)).records
    ]  # fmt: skip


def wanted(stations: Stations) -> list[tuple[object, ...]]:
    segments = [(p.data[54:], p.ts) for p in stations.packets if len(p.data) > 54]
    return [
        (r.func, r.kind, r.unit, r.peer_unit, r.txn, r.addr, r.count, r.status, r.cause,
         [(p.addr, repr(p.value), p.quality, p.source_ns) for p in r.points])
        for r in twin.decoded(segments)
    ]  # fmt: skip


def element(draw: random.Random, number: int) -> bytes:
    """A random object without its address, times sometimes plausible."""
    size = twin.layout(number)[5]
    body = bytearray(draw.randbytes(size))
    if size >= 7 and draw.random() < 0.7:
        at = NOON + timedelta(milliseconds=draw.randrange(10**11))
        body[-7:] = cp56(at, draw.choice((0, 0, 128)))
    return bytes(body)


def any_asdu(draw: random.Random) -> tuple[int, bytes]:
    """The side that speaks, and an ASDU of the right form."""
    number = draw.choice(draw.choice((MONITORED, MONITORED, COMMANDS, SYSTEM, OTHERS)))
    ca, oa, flags = draw.randrange(65536), draw.randrange(256), draw.choice((0, 0, 0, 64, 128))
    if number in MONITORED or number == 126:
        count = draw.randrange(1, 1 + 240 // (3 + twin.layout(number)[5]))
        cause = draw.choice((1, 2, 3, 5, 11, 12, 20, 21, 37)) | flags
        elements = [element(draw, number) for _ in range(count)]
        if draw.random() < 0.5:
            return 1, sequence(number, cause, draw.randrange(1 << 23), *elements, ca=ca, oa=oa)
        return 1, asdu(number, cause, *((draw.randrange(1 << 24), e) for e in elements), ca=ca, oa=oa)
    side = draw.randrange(2)
    cause = draw.choice((7, 9, 10, 44, 45, 46, 47) if side else (6, 6, 6, 8, 5))
    if number in OTHERS:
        cause = 13
    return side, asdu(number, cause | flags, (draw.randrange(1 << 24), element(draw, number)), ca=ca, oa=oa)


@pytest.mark.parametrize("seed", range(30))
def test_random_asdus(seed: int) -> None:
    draw, s = random.Random(seed), Stations().start()
    for _ in range(120):
        sides: list[list[bytes]] = [[], []]
        for _ in range(draw.randrange(1, 5)):
            side, body = any_asdu(draw)
            sides[side].append(body)
        for side in (0, 1):
            if sides[side]:
                (s.tell if side else s.ask)(*sides[side])
        if draw.random() < 0.3:
            s.acknowledge(draw.randrange(2))
    found, should = told(s), wanted(s)
    assert len(found) > 200
    assert [row for row in found if row[1] != Kind.TIMEOUT] == should


@pytest.mark.parametrize("number", MONITORED)
def test_every_monitored_type_both_ways(number: int) -> None:
    draw, s = random.Random(number), Stations().start()
    elements = [element(draw, number) for _ in range(5)]
    s.tell(sequence(number, 3, 70, *elements), asdu(number, 3, *((70 + i, e) for i, e in enumerate(elements))))
    one, other = feed(blocks(s.packets)).records[2:]
    assert not (one.anomaly | other.anomaly) & FAULTS
    assert [repr(vars(p)) for p in one.points] == [repr(vars(p)) for p in other.points]
    assert [p.addr for p in one.points] == [70, 71, 72, 73, 74]


def test_a_tag_does_not_hang_on_how_it_was_sent() -> None:
    """A measured value of any type and with any time is the same point."""
    s = Stations().start()
    for number in (9, 11, 13, 21, 34, 35, 36):
        s.tell(asdu(number, 3, (4001, element(random.Random(1), number))))
    points = [p for r in feed(blocks(s.packets)).records for p in r.points]
    assert {(p.space, p.addr, p.addr_sub, p.name_id) for p in points} == {(Space.IEC_MEASURED, 4001, 0, 0)}
    assert {p.type for p in points} == {PointType.I16, PointType.F32}


@pytest.mark.parametrize(
    ("number", "element", "op"),
    [
        (45, b"\x01", Op.CONTROL), (45, b"\x81", Op.SELECT), (46, b"\x82", Op.SELECT), (47, b"\x01", Op.CONTROL),
        (50, bytes(4) + b"\x80", Op.SELECT), (49, bytes(3), Op.WRITE), (51, b"\x80" * 4, Op.WRITE),
        (100, b"\x14", Op.READ), (101, b"\x05", Op.READ), (101, b"\x45", Op.FREEZE), (101, b"\xc5", Op.CLEAR_COUNTERS),
        (103, cp56(NOON), Op.TIME), (105, b"\x01", Op.RESTART), (113, b"\x01", Op.CONFIGURE),
    ],
)  # fmt: skip
def test_operations(number: int, element: bytes, op: Op) -> None:
    s = Stations().start().command(number, 9, element, ends=False)
    records = feed(blocks(s.packets)).records[2:]
    assert [(r.kind, r.op, r.match) for r in records] == [
        (Kind.REQUEST, op, Match.PENDING),
        (Kind.RESPONSE, op, Match.MATCHED),
    ]


@pytest.mark.parametrize(("wait_s", "value", "selected"), [(5, 1, True), (59, 1, True), (61, 1, False), (5, 0, False)])
def test_an_execution_follows_its_selection(wait_s: int, value: int, selected: bool) -> None:
    """In time, and with the value that was selected; a second one needs another selection."""
    s = Stations().start().command(45, 77, b"\x81", ends=False)
    s.talk.now += wait_s * SECOND - 2 * MS
    s.command(45, 77, bytes([value]), ends=False).command(45, 77, bytes([value]), ends=False)
    found = [r for r in feed(blocks(s.packets)).of(Kind.REQUEST) if r.op == Op.CONTROL]
    assert [bool(r.flags & RecordFlag.SELECTED) for r in found] == [selected, False]


def test_a_refused_selection_selects_nothing() -> None:
    s = Stations().start()
    s.ask(asdu(45, ACT, (77, b"\x81"))).tell(asdu(45, ACTCON | 64, (77, b"\x81"))).command(45, 77, b"\x01")
    assert not any(r.flags & RecordFlag.SELECTED for r in feed(blocks(s.packets)).records)


def test_interrogations_of_several_stations_at_once() -> None:
    """Confirmations find the interrogation of their own common address, or the one to all."""
    s = Stations().start()
    s.ask(*(asdu(100, ACT, (0, b"\x14"), ca=ca) for ca in (1, 2, 3)))
    s.tell(*(asdu(100, ACTCON, (0, b"\x14"), ca=ca) for ca in (2, 3, 1)))
    s.ask(asdu(103, ACT, (0, cp56(NOON)), ca=0xFFFF)).tell(asdu(103, ACTCON, (0, cp56(NOON)), ca=9))
    found = feed(blocks(s.packets)).of(Kind.RESPONSE)
    assert [(r.unit, r.peer_seq) for r in found] == [(2, 4), (3, 5), (1, 3), (9, 9)]


def test_numbers_after_loss_and_in_a_mirror_that_lags() -> None:
    """An acknowledgement captured before what it acknowledges is no breach; nor is what follows bytes not captured."""
    s = Stations().start()
    s.tell(asdu(1, 3, (1, b"\0")))
    late = s.talk.segment(1, s.frame(1, asdu(1, 3, (2, b"\0"))))
    s.talk.seq[1] += len(late.data) - 54
    s.talk.send(0, s_frame(s.sent[1]))
    s.talk.put(late)
    s.tell(asdu(1, 3, (3, b"\0")))
    assert not any(r.anomaly & Anomaly.SEQUENCE_ERROR for r in feed(blocks(s.packets)).records)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x68\x04\x07\x00\x00\x01",
        b"\x68\x04\x47\x00\x00\x00",
        b"\x68\x04\x01\x01\x00\x00",
        b"\x68\x04\x01\x00\x01\x00",
        b"\x68\x05\x07\x00\x00\x00\x00",
        b"\x68\x02\x07\x00",
        b"\x68\xfe" + bytes(254),
        b"\x68\x0e\x00\x00\x01\x00" + bytes(10),
        b"\x68\x04\x00\x00\x00\x00",
    ],
)
def test_what_is_no_frame_does_not_begin_a_connection(payload: bytes) -> None:
    talk = Talk(server_port=2404).open()
    talk.ask(payload)
    assert [r.kind for r in feed(blocks(talk.packets)).records] == [Kind.FOREIGN]


def test_shapes_that_are_told_on_any_port() -> None:
    from tests.test_protocol_contract import strict_frame

    good = [u_frame(STARTDT), s_frame(77), i_frame(1, 2, asdu(1, 3, (1, b"\1"))), i_frame(0, 0, sequence(13, 20, 1, *[bytes(5)] * 9))]  # fmt: skip # noqa: E501
    for frame in good:
        assert strict_frame(Protocol.IEC104, frame + b"more") == len(frame)
        assert strict_frame(Protocol.IEC104, frame[:-1]) == -1
    for broken in (asdu(1, 3, (1, b"\1")) + b"\0", asdu(1, 0, (1, b"\1")), asdu(1, 48, (1, b"\1")), asdu(200, 3), asdu(1, 3)):  # fmt: skip # noqa: E501
        assert strict_frame(Protocol.IEC104, i_frame(0, 0, broken)) == -1


def test_names() -> None:
    assert function_text(Protocol.IEC104, 45) == "single command (45)"
    assert function_text(Protocol.IEC104, 100, 20) == "interrogation: station (100/20)"
    assert function_text(Protocol.IEC104, 0x113) == "stop data transfer activation (275)"
    assert status_text(Protocol.IEC104, 47) == "unknown information object address (47)"
    assert status_text(Protocol.IEC104, 71) == "activation refused (71)"
    assert tag_text(Protocol.IEC104, Space.IEC_MEASURED, 4001) == "me:4001"
    assert tag(Space.IEC_PARAMETER, 4001, 3) == "parameter:4001 low limit"
    assert set(TYPES) <= set(FUNCTIONS)


def test_a_packed_single_point_is_its_sixteen_states() -> None:
    s = Stations().start().tell(asdu(20, 3, (5, struct.pack("<HHB", 0x8001, 0xFFFF, 0))))
    (point,) = feed(blocks(s.packets)).records[2].points
    assert (point.value, point.type) == (0x8001, PointType.BITS)
