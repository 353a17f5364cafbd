"""EtherNet/IP: against its plain twin on random requests at tags, and what the golden captures do not show."""

from __future__ import annotations

import math
import random
import struct

import pytest

from pipeline.decode.protocols.enip_names import identity, tag
from pipeline.names import function_text, status_text, tag_text
from pipeline.synth.encode import cip as e
from schemas.codes import FAULTS, Anomaly, Identity, Kind, Match, Op, PointType, Protocol, Quality, Space
from tests.decode.packets import Talk
from tests.decode.reading import decode
from tests.golden.enip_cases import (
    GET_LIST,
    MANAGER,
    OPEN,
    SEND,
    Line,
    count,
    cyclic,
    element,
    line,
    listed,
    opened,
    reals,
    told,
    wrapped,
)
from tests.reference import enip as twin
from tests.reference import enip_attributes as twin_of_attributes

TAGS = ("Level", "Program:Main.Pump.State", "Line[2].Speed", "A")
ROUTER = e.instance(e.ROUTER, 1)


def path_of(draw: random.Random) -> bytes:
    """A tag, or an element of it."""
    indices = [draw.choice((0, 3, 255, 256, 60_000)) for _ in range(draw.choice((0, 0, 1, 2)))]
    return element(draw.choice(TAGS), *indices)


def data_of(draw: random.Random) -> tuple[int, int, bytes]:
    """Type, how many, and values of it."""
    kind, many = draw.choice(list(twin.CODES)), draw.choice((1, 1, 2, 7))
    size = struct.calcsize("<" + twin.CODES[kind])
    data = b"".join(draw.choice((b"\0", b"\1", b"\xff")) for _ in range(many)) if kind == 0xC1 else b""
    return kind, many, data or draw.randbytes(many * size)


def exchange(draw: random.Random) -> tuple[bytes, bytes]:
    """A request at a tag, and its answer."""
    path, (kind, many, data) = path_of(draw), data_of(draw)
    service = draw.choice((twin.READ, twin.WRITE, twin.READ_PART, twin.WRITE_PART))
    size = struct.calcsize("<" + twin.CODES[kind])
    offset = struct.pack("<I", size * draw.choice((0, 0, 5))) if service in (twin.READ_PART, twin.WRITE_PART) else b""
    reads = service in (twin.READ, twin.READ_PART)
    asks = count(many) + offset if reads else struct.pack("<HH", kind, many) + offset + data
    if draw.random() < 0.15:
        tells = told(service, status=draw.choice((4, 5, 0xFF)), extended=draw.choice(((), (0x2105,))))
    else:
        status = 6 if service == twin.READ_PART and draw.random() < 0.5 else 0
        tells = told(service, struct.pack("<H", kind) + data if reads else b"", status)
    return e.request(service, path, asks), tells


def talk_of(draw: random.Random, turns: int) -> tuple[Talk, list[bytes]]:
    """A conversation cut anywhere, and its messages."""
    talk, messages = line().open(), []
    for number in range(turns):
        several = draw.random() < 0.3
        inside = [exchange(draw) for _ in range(draw.randrange(1, 12) if several else 1)]
        asks, tells = inside[0]
        if several:
            asks = e.request(e.SEVERAL, ROUTER, e.several([one for one, _ in inside]))
            tells = told(e.SEVERAL, e.several([other for _, other in inside]))
        if draw.random() < 0.2:
            asks = e.request(SEND, MANAGER, wrapped(asks, draw.randrange(8)))
        for side, message in ((0, asks), (1, tells)):
            if side and draw.random() < 0.1:
                continue
            context = struct.pack("<Q", number << 17 | 5)
            whole = e.encapsulated(e.SEND_RR_DATA, 0x1234, e.unconnected(message), context=context)
            messages.append(whole)
            cut = draw.randrange(1, len(whole)) if draw.random() < 0.2 else len(whole)
            talk.send(side, whole[:cut])
            if cut < len(whole):
                talk.send(side, whole[cut:])
    return talk, messages


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


@pytest.mark.parametrize("seed", range(30))
def test_random_requests_at_tags(seed: int) -> None:
    talk, messages = talk_of(random.Random(seed), 40)
    found = decode(talk.packets)
    wanted = twin.decoded(messages)
    ours = [r for r in found.records if r.func & 0x200]
    assert not [r for r in found.records if r.anomaly & FAULTS]
    assert len(ours) == len(wanted)
    for record, other in zip(ours, wanted, strict=True):
        name = found.names.get(record.name_id % (1 << 64), "")
        told_of = (
            record.kind,
            record.func & 0x7F,
            name,
            record.addr,
            bool(record.addr_sub),
            record.count,
            record.status,
        )
        assert told_of == (
            other.kind,
            other.service,
            other.name,
            other.addr,
            other.indexed,
            other.count,
            other.status,
        )
        assert len(record.points) == len(other.points)
        for point, (tag_name, index, value, direction) in zip(record.points, other.points, strict=True):
            assert (found.names[point.name_id % (1 << 64)], point.addr, point.direction) == (tag_name, index, direction)
            assert same(point.value, value)


def attribute_of(draw: random.Random, family: int, number: int) -> bytes:
    """A value of an attribute, letters where it has bytes."""
    letters = "".join(draw.choices("abcdefgh", k=40))
    data = b""
    for letter in twin_of_attributes.LAYOUT.get((family, number), "6"):
        size = draw.randrange(6)
        if letter == "s":
            data += bytes([size]) + letters[:size].encode()
        elif letter in "tw":
            size *= 2 if letter == "w" else 1
            data += count(size // 2 if letter == "w" else size) + letters[: size + size % 2].encode()
        else:
            data += letters[: 6 if letter == "6" else struct.calcsize(letter)].encode()
    return data


@pytest.mark.parametrize("seed", range(20))
def test_random_lists_of_attributes(seed: int) -> None:
    draw, talk, wanted = random.Random(seed), line().connect(), []
    for _ in range(30):
        family, known = draw.choice((0xF5, 0xF6, 0x48, 0x06, 0x8B)), list(twin_of_attributes.LAYOUT)
        instance = draw.choice((0, 1, 1, 1))
        numbers = [draw.choice([n for f, n in known if f == family] or [1]) for _ in range(draw.randrange(1, 6))]
        numbers = [n if draw.random() < 0.9 else 300 for n in numbers]
        parts = []
        for number in numbers:
            status = draw.choice((0, 0, 0, 0x14))
            parts.append((number, status, b"" if status else attribute_of(draw, family, number)))
        answer = listed(*parts)
        talk.ask(
            GET_LIST,
            bytes([0x20, family, 0x24, instance]),
            struct.pack(f"<{1 + len(numbers)}H", len(numbers), *numbers),
        )
        talk.tell(GET_LIST, answer, status=0x0A if any(status for _, status, _ in parts) else 0)
        wanted.append((numbers, twin_of_attributes.told(family, instance, answer)))
    found = decode(talk.packets)
    ours = [r for r in found.records if r.func == GET_LIST]
    for asks, tells, (numbers, points) in zip(ours[::2], ours[1::2], wanted, strict=True):
        assert [p.addr_sub for p in asks.points] == numbers
        said = []
        for p in tells.points:
            value = p.value if not math.isnan(p.value) else None
            if p.type in (PointType.TEXT, PointType.BYTES):
                value = found.names[p.raw % (1 << 64)] if p.raw else ""
            said.append((p.addr_sub, value, not p.quality & Quality.ADDRESS_UNKNOWN))
        assert said == points


def test_answers_are_paired_by_context_in_any_order() -> None:
    talk = line().open()
    for number in (1, 2, 3):
        talk.number = number - 1
        talk.ask(e.READ_TAG, e.symbol(f"T{number}"), count(1))
    for number in (3, 1, 2):
        talk.number = number
        talk.tell(e.READ_TAG, reals(float(number)))
    found = decode(talk.packets)
    answers = [(found.names[r.points[0].name_id], r.match, r.values) for r in found.of(Kind.RESPONSE)]
    assert answers == [(f"T{n}", Match.MATCHED, [float(n)]) for n in (3, 1, 2)]


def test_data_of_a_connection_is_told_by_its_assembly_once_it_was_opened() -> None:
    def data(talk: Line) -> list[tuple[int, int, int]]:
        udp = Talk(port=2222, server_port=2222, packets=talk.packets, now=talk.now)
        udp.datagram(1, cyclic(0x3000, 1, b"\1\0\2\0"))
        points = [p for r in decode(talk.packets).records if r.kind == Kind.DATA for p in r.points]
        return [(p.space, p.addr, p.quality) for p in points]

    unknown = [(Space.CIP_IO, (0x3000 << 16) + n, Quality.ADDRESS_UNKNOWN) for n in (0, 2)]
    assert data(line().connect()) == unknown
    asks, tells = opened()
    assert data(line().connect().ask(OPEN, MANAGER, asks)) == unknown
    known = line().connect().ask(OPEN, MANAGER, asks).tell(OPEN, tells)
    assert data(known) == [(Space.CIP_ASSEMBLY, (102 << 16) + n, 0) for n in (0, 2)]


def test_an_operation_and_what_became_of_it() -> None:
    talk = line().connect()
    talk.ask(e.STOP, e.instance(e.MODES, 1)).tell(e.STOP, status=0x0F)
    talk.ask(e.RESET, e.instance(1, 1), b"\0").tell(e.RESET)
    said = [(r.op, r.kind, r.status) for r in decode(talk.packets).records if r.func < 0x100]
    assert said == [
        (Op.STOP, Kind.REQUEST, 0),
        (Op.STOP, Kind.RESPONSE, 0x0F),
        (Op.RESTART, Kind.REQUEST, 0),
        (Op.RESTART, Kind.RESPONSE, 0),
    ]


def test_tags_by_their_number_are_tags_with_indices() -> None:
    talk = line().connect()
    path = b"\x20\x6b\x25\0\5\0"
    talk.ask(e.READ_TAG, path + b"\x28\4", count(3)).tell(e.READ_TAG, b"\xc3\0\1\0\2\0\3\0")
    talk.ask(e.READ_TAG, path, count(1)).tell(e.READ_TAG, b"\xc3\0\7\0")
    found = decode(talk.packets)
    points = [
        (found.names[p.name_id % (1 << 64)], p.addr, p.addr_sub, p.value) for r in found.records for p in r.points
    ]
    assert points == [*(("symbol:5", 4 + i, 1, 1.0 + i) for i in range(3)), ("symbol:5", 0, 0, 7.0)]


def test_what_is_refused_by_its_session_is_answered() -> None:
    talk = line().connect().ask(e.READ_TAG, e.symbol("Level"), count(1))
    talk.command(1, e.SEND_RR_DATA, status=0x64)
    answer = decode(talk.packets).records[-1]
    assert (answer.kind, answer.match, answer.op, answer.anomaly) == (Kind.RESPONSE, Match.MATCHED, Op.READ, 0)
    assert status_text(Protocol.ENIP, answer.status).startswith("invalid session")


def test_data_of_class_0_has_no_count() -> None:
    asks, tells = opened()
    at = asks.index(b"\xa1")
    talk = line().connect().ask(OPEN, MANAGER, asks[:at] + b"\xa0" + asks[at + 1 :]).tell(OPEN, tells)
    udp = Talk(port=2222, server_port=2222, packets=talk.packets, now=talk.now)
    udp.datagram(1, cyclic(0x3000, 1, b"\7\0"))
    (data,) = (r for r in decode(talk.packets).records if r.kind == Kind.DATA)
    assert (data.count, data.values) == (4, [1.0, 7.0])


def test_more_messages_in_one_than_are_told() -> None:
    talk = line().connect()
    one = e.request(e.READ_TAG, e.symbol("A"), count(1))
    talk.ask(e.SEVERAL, ROUTER, e.several([one] * 200))
    records = [r for r in decode(talk.packets).records if r.func != 0x165]
    assert (records[0].func, records[0].count, len(records)) == (e.SEVERAL, 200, 1 + 60)
    assert [bool(r.anomaly & Anomaly.COUNT_OUT_OF_RANGE) for r in records] == [True] + [False] * 60


def test_an_answer_to_something_else_is_no_answer() -> None:
    talk = line().connect()
    talk.ask(e.READ_TAG, e.symbol("Level"), count(1)).tell(e.WRITE_TAG)
    answer = decode(talk.packets).records[-1]
    assert answer.anomaly & Anomaly.CONFLICTING_RESPONSE
    assert (answer.name_id, answer.values) == (0, [])


def test_names() -> None:
    protocol = Protocol.ENIP
    assert function_text(protocol, 0x24D) == "write tag (589)"
    assert function_text(protocol, 5, 1) == "reset: of identity (5/1)"
    assert function_text(protocol, 0x54E) == "forward close (1358)"
    assert status_text(protocol, 1 | 0x0106 << 8) == "connection failure: ownership conflict (67073)"
    assert tag_text(protocol, Space.CIP_SYMBOL, 3, 1, 7, {7: "Grid[1]"}) == "Grid[1][3]"
    assert tag_text(protocol, Space.CIP_SYMBOL, 0, 0, 7, {7: "Level"}) == "Level"
    assert tag(Space.CIP_ATTRIBUTE, 1 << 32 | 1, 7) == "identity:1 attribute 7 (product name)"
    assert tag(Space.CIP_ATTRIBUTE, 0xF5 << 32 | 1, 5 | 1 << 16) == "TCP/IP interface:1 attribute 5.1 (IP address)"
    assert tag(Space.CIP_ATTRIBUTE, 0xF5 << 32, 5) == "TCP/IP interface:0 attribute 5 (optional services)"
    assert tag(Space.CIP_ATTRIBUTE, 0x8B << 32 | 1, 5) == "wall clock time:1 attribute 5"
    assert (
        tag_text(protocol, Space.CIP_SYMBOL, 2 << 32 | 4, 0x1234 << 16 | 3, 7, {7: "Pumps"})
        == "Pumps[2] byte 4 of 0x1234"
    )
    assert tag(Space.CIP_ASSEMBLY, 101 << 16, 1) == "assembly:101 run"
    assert tag(Space.CIP_ATTRIBUTE, 0x99 << 32 | 2, 0) == "class 0x99:2"
    assert tag(Space.CIP_ASSEMBLY, 101 << 16 | 4, 0) == "assembly:101 byte 4"
    assert tag(Space.PCCC_FILE, 7 << 16 | 3, 0x89) == "N7:3"
    assert tag(Space.PCCC_FILE, 4 << 16, 0x86 | 2 << 8) == "T4:0.2"
    assert identity(Identity.VENDOR, 1.0) == "Rockwell Automation"
    assert identity(Identity.FIRMWARE, float(20 << 8 | 13)) == "20.013"
    assert identity(Identity.SERIAL, float(0xC0FFA1)) == "00C0FFA1"
