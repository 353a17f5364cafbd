"""S7comm: against its plain twin on random jobs, and what the golden captures do not show."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

import pytest

from pipeline.decode.protocols.s7_names import FUNCTIONS, identity, tag
from pipeline.decode.protocols.s7_types import AREAS, SIZES
from pipeline.names import function_text, status_text, tag_text
from pipeline.synth.encode.s7 import (
    ACK_DATA,
    BIT,
    BYTE,
    D_BYTE,
    D_REAL,
    DB,
    DWORD,
    JOB,
    REAL,
    WORD,
    M,
    any_item,
    dt,
    filled,
    message,
    pi_service,
    plus,
    plus_head,
    refused,
    symbolic,
    tpkt,
    transfer,
    value,
)
from schemas.codes import FAULTS, Anomaly, Identity, Kind, Match, Op, Protocol, Quality, RecordFlag, S7Flag, Space
from tests.decode.packets import SECOND, Talk
from tests.decode.reading import blocks, feed
from tests.protocols.s7_frames import Line
from tests.reference import s7 as twin


def any_of(draw: random.Random) -> bytes:
    """An item, mostly of a syntax, area and size that are known."""
    if draw.random() < 0.1:
        return symbolic(draw.randrange(1 << 32), *(draw.randrange(1 << 32) for _ in range(draw.randrange(3))))
    size = draw.choice([*SIZES, 1, 1, 8, 0x44])
    area = draw.choice([*AREAS, 0x84, 0x84, 0x84, 0x06])
    count = 1 if size == BIT else draw.choice((1, 1, 1, 2, 3, 130))
    return any_item(size, count, area, draw.randrange(1 << 20), draw.randrange(1 << 16))


def told_of(draw: random.Random, item: bytes) -> bytes:
    """Data as an item of it has, or none."""
    if draw.random() < 0.1:
        return draw.choice((refused(draw.choice((3, 5, 0x0A))), struct.pack("!BBH", 0x0A, 0, 4)))
    found = next(iter(twin.items_of(b"\4\1" + item)))
    if found.syntax != 0x10 or found.each == 0:
        return value(draw.choice((3, 3, 4)), draw.randbytes(1))
    sort = draw.choice((4, 9, {5: 5, 8: 7}.get(found.size, 4)))
    size = found.each * found.count if draw.random() < 0.9 else draw.randrange(1, 9)
    return value(sort, draw.randbytes(size))


def exchanges(draw: random.Random, count: int) -> list[tuple[int, bytes]]:
    """(side, message) of random jobs with their answers, some not answered."""
    found = []
    for txn in range(1, count + 1):
        items = [any_of(draw) for _ in range(draw.choice((1, 1, 1, 2, 5, 20, 49)))]
        function = draw.choice((4, 4, 5))
        told = [told_of(draw, item) for item in items]
        codes = bytes(draw.choice((0xFF, 0xFF, 3, 5, 0)) for _ in items)
        good = [t if t[0] == 0xFF else value(4, b"\1") for t in told]
        found.append(
            (
                0,
                message(
                    JOB, txn, bytes([function, len(items)]) + filled(items), filled(good) if function == 5 else b""
                ),
            )
        )
        head = bytes([function, len(items)])
        if draw.random() < 0.05:
            found.append((1, message(ACK_DATA, txn, head, b"", draw.choice((0x8104, 0x8500)))))
        elif draw.random() < 0.9:
            found.append((1, message(ACK_DATA, txn, head, codes if function == 5 else filled(told))))
    return found


def sent(draw: random.Random, turns: Sequence[tuple[int, bytes]]) -> Line:
    """The messages, some in fragments, in segments that are cut anywhere."""
    line = Line()
    for side, whole in turns:
        pieces, at = [], 0
        while at < len(whole) and draw.random() < 0.3:
            size = draw.randrange(1, 60)
            if at + size >= len(whole):
                break
            pieces.append(dt(whole[at : at + size], last=False))
            at += size
        stream = b"".join([*pieces, dt(whole[at:])])
        cut = draw.randrange(1, len(stream)) if draw.random() < 0.2 else len(stream)
        line.put(side, stream[:cut])
        if cut < len(stream):
            line.put(side, stream[cut:])
    return line


@pytest.mark.parametrize("seed", range(30))
def test_random_jobs(seed: int) -> None:
    draw = random.Random(seed)
    turns = exchanges(draw, 60)
    wanted = [
        (r.func, r.kind, r.txn, r.op, r.status, r.items, r.subject, r.points) for r in twin.decoded(m for _, m in turns)
    ]
    found = [
        (r.func, r.kind, r.txn, r.op, r.status, r.flags >> 16 & 255, (r.space, r.addr, r.addr_sub, r.count, r.subfunc),
         [(p.space, p.addr, p.addr_sub, repr(p.value), p.quality, p.direction) for p in r.points])
        for r in feed(blocks(sent(draw, turns).packets)).records if r.kind != Kind.TIMEOUT
    ]  # fmt: skip
    assert len(found) > 100
    for one, other in zip(found, wanted, strict=True):
        assert one == other


@pytest.mark.parametrize("code", SIZES)
def test_every_transport_size(code: int) -> None:
    """One element and three; a write says of its tag what a read of it does."""
    size = SIZES[code].bytes or 1
    for count in (1,) if code == BIT else (1, 3):
        data = value(3 if code == BIT else 9, bytes(range(1, 1 + size * count)))
        item = any_item(code, count, DB, 80, 6)
        line = Line().read(item).values(data).write((item, data)).written(0xFF)
        _, read, written, _ = feed(blocks(line.packets)).records
        assert not (read.anomaly | written.anomaly) & FAULTS
        assert [(p.space, p.addr, p.addr_sub, p.type, p.value) for p in read.points] == [
            (p.space, p.addr, p.addr_sub, p.type, p.value) for p in written.points
        ]
        assert [p.addr for p in read.points] == [80 + 8 * size * k for k in range(count)]


def test_a_byte_and_a_word_at_one_place_are_two_tags() -> None:
    line = Line().read(any_item(BYTE, 1, DB, 80, 6), any_item(DWORD, 1, DB, 80, 6), any_item(BIT, 1, DB, 80, 6))
    line.values(value(D_BYTE, b"\1"), value(D_BYTE, bytes(4)), value(3, b"\1"))
    points = feed(blocks(line.packets)).of(Kind.RESPONSE)[0].points
    assert len({(p.space, p.addr, p.addr_sub) for p in points}) == 3


def test_an_answer_that_has_other_items_is_no_answer_to_these() -> None:
    """Its values are not put at addresses that they may not have."""
    line = Line().read(any_item(WORD, 1, M, 0), any_item(WORD, 1, M, 16)).values(value(D_BYTE, b"\0\1"))
    found = feed(blocks(line.packets)).of(Kind.RESPONSE)[0]
    assert found.anomaly & Anomaly.CONFLICTING_RESPONSE
    assert [p.quality for p in found.points] == [Quality.ADDRESS_UNKNOWN] * 2


def test_a_password_is_noted_and_not_kept() -> None:
    secret = b"\x64\x17\x16\x77\x55\x77\x55\x99"
    line = Line().inquire(5, 1, secret).ask(pi_service(b"_N_LOGIN_", b"\x06secret"))
    found = feed(blocks(line.packets))
    assert all(r.flags & S7Flag.PASSWORD and not r.points for r in found.of(Kind.REQUEST))
    assert set(found.names.values()) == {"_N_LOGIN_"}


@pytest.mark.parametrize(("wait_s", "follows"), [(1, True), (61, False)])
def test_the_parts_of_a_download_are_steps_of_it(wait_s: int, follows: bool) -> None:
    line = Line().ask(transfer(0x1A, b"_0A00007P", tail=b"\x0d1000216000100")).answer(b"\x1a")
    line.talk.now += wait_s * SECOND
    line.ask(transfer(0x1B, b"_0A00007P"), side=1).ask(transfer(0x1B, b"_0A00008P"), side=1)
    found = [bool(r.flags & RecordFlag.SELECTED) for r in feed(blocks(line.packets)).records if r.func == 0x1B]
    assert found[:2] == [follows, False]


def test_a_number_that_never_changes() -> None:
    """Clients that do not count: the newest job of the same function is answered."""
    line = Line()
    for k in range(4):
        line.number = 0
        line.read(any_item(WORD, 1, M, 16 * k)).values(value(D_BYTE, bytes([0, k])))
    found = feed(blocks(line.packets)).of(Kind.RESPONSE)
    assert [(r.match, r.points[0].addr, r.values) for r in found] == [
        (Match.MATCHED, 16 * k, [float(k)]) for k in range(4)
    ]


def test_a_long_read_answered_long_after_knows_its_first_items_only() -> None:
    """Its place is taken by a long read 1,024 records later; what is behind the seventh item is told raw."""
    items = [any_item(WORD, 1, M, 16 * k) for k in range(10)]
    told = filled([value(D_BYTE, bytes([0, k])) for k in range(10)])
    line = Line().read(*items)
    line.talk.step = 1000
    for _ in range(1023):
        line.put(0, dt(b""))
    line.read(*items).answer(b"\4\x0a", told)
    line.number = 1
    line.answer(b"\4\x0a", told)
    late, early = feed(blocks(line.packets)).of(Kind.RESPONSE)
    assert {p.quality for p in late.points} == {0}
    assert [p.quality for p in early.points] == [0] * 7 + [Quality.ADDRESS_UNKNOWN] * 6


def test_messages_never_completed_are_bounded() -> None:
    line = Line().read(any_item(WORD, 1, M, 0))
    for _ in range(200):
        line.put(0, dt(bytes(1000), last=False))
    found = feed(blocks(line.packets))
    assert found.counted("bytes of messages never completed") > 60_000


@pytest.mark.parametrize(
    "payload",
    [
        b"\3\0\0\x07\x02\xf0",
        b"\3\1\0\x07\x02\xf0\x80",
        b"\3\0\0\x06\x02\xf0\x80",
        b"\3\0\xff\xff\x02\xf0\x80" + bytes(60),
        b"\3\0\0\x16\x55\xe0" + bytes(16),
        dt(b"\x0d\x05\x06\x13"),
        tpkt(b"\x02\x20\x80"),
    ],
)
def test_what_is_no_s7_does_not_begin_a_connection(payload: bytes) -> None:
    talk = Talk(server_port=102).open()
    talk.ask(payload)
    assert not [r for r in feed(blocks(talk.packets)).records if r.kind != Kind.FOREIGN and not r.anomaly & FAULTS]


def test_shapes_that_are_told_on_any_port() -> None:
    from tests.test_protocol_contract import strict_frame

    good = [
        dt(message(JOB, 1, b"\4\1" + any_item(WORD, 1, M, 0))),
        dt(message(ACK_DATA, 1, b"\4\1", value(D_REAL, bytes(4)))),
        dt(plus(1, plus_head(0x31, 0x054C, 1))),
        dt(plus(3, bytes(20), trailer=False)),
    ]
    for frame in good:
        assert strict_frame(Protocol.S7COMM, frame + b"more") == len(frame)
        assert strict_frame(Protocol.S7COMM, frame[:-1]) == -1
    for broken in (
        dt(message(JOB, 1, b"\4\1") + b"\0"),
        dt(message(9, 1, b"\4\1")),
        dt(message(JOB, 1, b"\4\1"), last=False),
    ):
        assert strict_frame(Protocol.S7COMM, broken) == -1


def test_names() -> None:
    assert function_text(Protocol.S7COMM, 4, 8) == "read variables: REAL (4/8)"
    assert function_text(Protocol.S7COMM, 0x204, 1) == "CPU functions: read system status list (516/1)"
    assert function_text(Protocol.S7COMM, 0x1A, 10) == "request download: DB (26/10)"
    assert status_text(Protocol.S7COMM, 0xD241) == "not permitted at this protection level (53825)"
    assert tag_text(Protocol.S7COMM, Space.S7_DATA_BLOCK, 64, 4 << 16 | 5) == "db5.dbd8"
    assert tag(Space.S7_DATA_BLOCK, 35, 5) == "db5.dbx4.3"
    assert [tag(Space.S7_FLAG, 80, 2 << 16), tag(Space.S7_OUTPUT, 33, 0), tag(Space.S7_TIMER, 7, 0)] == [
        "mw10",
        "q4.1",
        "t7",
    ]
    assert identity(Identity.FIRMWARE, 0x56030206) == "V3.2.6"
    assert {0x1E0, 0x1D0, 0x204, 0x54C, 0x29} <= set(FUNCTIONS)


@pytest.mark.parametrize(
    ("service", "op"),
    [
        (b"P_PROGRAM", Op.START),
        (b"_INSE", Op.PROGRAM_DOWNLOAD),
        (b"_DELE", Op.FILE_DELETE),
        (b"_MODU", Op.CONFIGURE),
        (b"_N_LOGIN_", Op.AUTHENTICATE),
        (b"_N_SELECT", Op.CONTROL),
        (b"P_PROG", Op.CONTROL),
        (b"", Op.CONTROL),
    ],
)
def test_operations_of_services(service: bytes, op: Op) -> None:
    assert [r.op for r in feed(blocks(Line().ask(pi_service(service)).packets)).of(Kind.REQUEST)] == [op]


def test_a_real_is_read_as_one() -> None:
    line = Line().read(any_item(REAL, 1, DB, 0, 1)).values(value(D_REAL, struct.pack("!f", 21.5)))
    assert feed(blocks(line.packets)).of(Kind.RESPONSE)[0].values == [21.5]
