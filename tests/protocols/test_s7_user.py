"""Userdata of S7comm: against its plain twin on random messages, and what the golden captures do not show."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.decode.protocols.s7_names import tag
from pipeline.decode.protocols.s7_types import BlockPart
from pipeline.names import function_text
from pipeline.synth.encode.s7 import (
    BIT,
    BYTE,
    D_BYTE,
    DB,
    USER,
    WORD,
    M,
    alarm,
    any_item,
    block_information,
    command,
    dt,
    even,
    message,
    next_part,
    sent,
    subscription,
    symbolic,
    told,
    user,
    value,
    variable,
)
from schemas.codes import FAULTS, Anomaly, Kind, Op, Outcome, PointType, Protocol, Quality, Space
from tests.decode.packets import SECOND
from tests.decode.reading import Decoded, blocks, feed
from tests.protocols.s7_frames import Line
from tests.protocols.test_s7 import any_of, told_of
from tests.reference import s7_user as twin

Turn = tuple[int, bytes]
"""The side that speaks, and what it says."""
NOON = bytes.fromhex("2601051200000001")


class Talk:
    """Random userdata of one connection."""

    def __init__(self, draw: random.Random) -> None:
        self.draw, self.txn = draw, 0
        self.turns: list[Turn] = []

    def say(self, kind: int, group: int, sub: int, data: bytes = b"", **header: int) -> None:
        self.txn += kind == 4
        parts = user(kind, group, sub, data, **header)
        self.turns.append((int(kind != 4), message(USER, 0 if kind == 0 else self.txn, *parts)))

    def refused(self, group: int, sub: int) -> bool:
        """Whether the request was refused as a whole."""
        if self.draw.random() < 0.1:
            self.say(8, group, sub, error=self.draw.choice((0xD209, 0x8104)))
            return True
        return False

    def blocks(self) -> None:
        draw, kind = self.draw, self.draw.choice((b"08", b"0A", b"0B", b"0C", b"0F"))
        sub = draw.randrange(1, 4)
        number = draw.randrange(65536)
        self.say(4, 3, sub, {1: b"", 2: kind, 3: kind + b"%05dA" % number}[sub])
        if self.refused(3, sub):
            return
        if sub == 1:
            self.say(8, 3, 1, b"".join(k + struct.pack("!H", draw.randrange(65536)) for k in (b"08", kind, b"0E")))
        elif sub == 3:
            about = block_information(
                kind, number, code=(draw.randrange(90_000_000), draw.randrange(65536)),
                interface=(draw.randrange(3), draw.randrange(3)), size=draw.randrange(1 << 15),
                texts=(b"me", b"", b"name 12"), version=draw.randrange(256), checksum=draw.randrange(65536),
            )  # fmt: skip
            self.say(8, 3, 3, about)
        else:
            self.parts(draw.randbytes(4 * draw.randrange(1, 40)))

    def parts(self, listed: bytes) -> None:
        number = self.draw.randrange(1, 100)
        while len(listed) > 20 and self.draw.random() < 0.6:
            cut = self.draw.randrange(1, len(listed))
            self.say(8, 3, 2, listed[:cut], more=1, part=0xD1, number=number)
            listed = listed[cut:]
            self.txn += 1
            self.turns.append((0, message(USER, self.txn, next_part(3, 2, number, 0xD1), b"\x0a\0\0\0")))
            number += 1
        self.say(8, 3, 2, listed, part=0xD1, number=number)

    def cyclic(self) -> None:
        draw = self.draw
        items = [any_of(draw) for _ in range(draw.randrange(1, 6))]
        sub, number = draw.choice((1, 5, 7)), draw.randrange(1, 4)
        self.say(4, 2, sub, subscription(*items))
        if self.refused(2, sub):
            return
        self.say(8, 2, sub, sent(*(told_of(draw, item) for item in items)), number=number)
        for _ in range(draw.randrange(4)):
            some = items if draw.random() < 0.9 else items[1:]
            self.say(0, 2, sub, sent(*(told_of(draw, item) for item in some)), number=number)
        if draw.random() < 0.3:
            self.say(4, 2, 4, bytes([1, number]))
            self.say(8, 2, 4, number=number)
            self.say(0, 2, sub, sent(*(told_of(draw, item) for item in items)), number=number)

    def table(self) -> None:
        draw, sub = self.draw, self.draw.choice((2, 8, 9))
        places = [self.place() for _ in range(draw.randrange(1, 6))]
        about = struct.pack("!H", len(places)) + b"".join(places)
        wanted = even([self.told(place, 0) for place in places]) if sub != 2 else b""
        number = draw.randrange(1, 4)
        self.say(4, 1, sub, command(about + wanted))
        if self.refused(1, sub):
            return
        self.say(8, 1, sub, command(b"", bytes(4)), number=number)
        for _ in range(draw.randrange(3)):
            if sub == 2:
                now = even([self.told(place, draw.choice((0xFF, 0xFF, 0, 0x0A))) for place in places])
            else:
                now = bytes(draw.choice((0xFF, 0xFF, 5, 0)) for _ in places)
            self.say(0, 1, sub, command(struct.pack("!H", len(places)) + now, bytes(4)), number=number)

    def place(self) -> bytes:
        draw = self.draw
        area = draw.choice((0, 1, 2, 3, 5, 6, 7, 7, 9))
        width = 4 if area in (5, 6) else draw.choice((0, 1, 2, 3, 3))
        return variable(area, width, draw.randrange(4096), many=draw.choice((1, 1, 3)), block=draw.randrange(9))

    def told(self, place: bytes, code: int) -> bytes:
        item = twin._variable(place)
        if code == 0x0A:
            return b"\x0a\0\0\0"
        size = (item.each or 1) * max(item.count, 1) if item.syntax else 2
        return value(D_BYTE, self.draw.randbytes(size if self.draw.random() < 0.9 else 3), code)

    def jobs(self) -> None:
        self.say(4, 1, 0x10, command(bytes(4)))
        self.say(8, 1, 0x10, command(self.draw.randbytes(4 * self.draw.randrange(1, 5)), bytes(4)))

    def alarms(self) -> None:
        draw = self.draw
        sub = draw.choice((5, 6, 9, 0x0B, 0x0C, 0x0D, 0x11, 0x12, 0x16))
        when = bytes.fromhex(f"2601{draw.randrange(1, 29):02}{draw.randrange(24):02}30{draw.randrange(60):02}1234")
        objects = [self.object(sub) for _ in range(draw.randrange(1, 4))]
        if sub == 0x0B:
            self.say(4, 4, sub, told(*objects))
            self.say(8, 4, sub, bytes([0, len(objects), *(draw.choice((0xFF, 0xFF, 0x0A)) for _ in objects)]))
            return
        head = b"\0\0" + when + b"\0\0" if sub == 9 else b"" if sub == 0x0D else when
        self.say(0, 4, sub, told(*objects, head=head))

    def object(self, sub: int) -> bytes:
        draw = self.draw
        syntax = {0x0B: 0x19, 0x0C: 0x19, 0x0D: 0x15, 9: 0x15, 6: 0x1C, 0x16: 0x1C}.get(sub, 0x16)
        flags = draw.randbytes({0x15: 0, 0x16: 4, 0x19: 2, 0x1C: 8}[syntax])
        values = [value(draw.choice((4, 5, 6, 7, 9)), draw.randbytes(draw.randrange(1, 9))) for _ in range(3)]
        return alarm(syntax, draw.getrandbits(32), flags, *values[: draw.randrange(4) if len(flags) >= 4 else 0])

    def events(self) -> None:
        if self.draw.random() < 0.5:
            self.say(0, 4, 3, self.draw.randbytes(12) + NOON)
        else:
            self.say(0, 0, self.draw.choice((0, 1, 2, 4)))


def talked(seed: int, count: int = 60) -> list[Turn]:
    talk = Talk(random.Random(seed))
    for _ in range(count):
        talk.draw.choice((talk.blocks, talk.cyclic, talk.cyclic, talk.table, talk.jobs, talk.alarms, talk.events))()
    return talk.turns


def points(found: Decoded, row: Any) -> Iterator[twin.Told]:
    for p in row.points:
        shown = found.names[p.raw & (1 << 64) - 1] if p.type == PointType.TEXT else repr(p.value)
        yield (
            p.space,
            p.addr,
            p.addr_sub,
            shown,
            p.quality & ~Quality.TIME_INVALID,
            p.direction,
            p.source_ts // 1_000_000,
        )


@pytest.mark.parametrize("seed", range(20))
def test_random_userdata(seed: int) -> None:
    turns, line = talked(seed), Line()
    for side, whole in turns:
        line.put(side, dt(whole))
    decoded = feed(blocks(line.packets))
    found = [r for r in decoded.records if r.kind != Kind.TIMEOUT]
    wanted = twin.decoded(whole for _, whole in turns)
    assert len(found) == len(wanted) > 100
    for row, said in zip(found, wanted, strict=True):
        assert (row.kind, row.func & 15, row.subfunc, row.txn) == (said.kind, said.group, said.sub, said.txn)
        assert (row.status, row.space, row.addr, row.addr_sub) == (said.status, said.space, said.addr, said.addr_sub)
        assert list(points(decoded, row)) == [tuple(p) for p in said.points]
        allowed = Anomaly.CONFLICTING_RESPONSE | Anomaly.RESERVED_CODE | Anomaly.COUNT_OUT_OF_RANGE | Anomaly.MALFORMED
        assert not row.anomaly & FAULTS & ~int(allowed | Anomaly.ADDRESS_OVERFLOW)


def test_what_is_sent_for_a_subscription_is_the_tag_that_a_read_of_it_is() -> None:
    item = any_item(WORD, 2, DB, 160, 7)
    line = Line().read(item).values(value(D_BYTE, b"\0\1\0\2")).inquire(2, 1, subscription(item))
    line.tell(2, 1, sent(value(D_BYTE, b"\0\3\0\4")), number=3)
    line.talk.now += 7200 * SECOND  # slow ones are sent hours apart
    line.push(2, 1, sent(value(D_BYTE, b"\0\5\0\6")), 3)
    read, first, later = (r for r in feed(blocks(line.packets)).records if r.kind != Kind.REQUEST)
    places = [[(p.space, p.addr, p.addr_sub) for p in row.points] for row in (read, first, later)]
    assert places[0] == places[1] == places[2]
    assert (later.kind, later.op, later.values) == (Kind.UNSOLICITED, Op.REPORT, [5.0, 6.0])


def test_another_connection_does_not_know_the_variables_of_this_one() -> None:
    one, other = Line(), Line()
    one.inquire(2, 1, subscription(any_item(WORD, 1, M, 0))).tell(2, 1, sent(value(D_BYTE, b"\0\1")), number=3)
    other.talk = type(one.talk)(port=41_000, server_port=102, now=one.talk.now).open()
    other.push(2, 1, sent(value(D_BYTE, b"\0\2")), 3)
    pushed = feed(blocks(one.packets + other.packets)).of(Kind.UNSOLICITED)[0]
    assert {p.quality for p in pushed.points} == {Quality.ADDRESS_UNKNOWN}


def test_more_variables_than_are_kept() -> None:
    """The last ones are told raw, at no address."""
    items = [any_item(BYTE, 1, M, 8 * k) for k in range(50)]
    values = sent(*(value(D_BYTE, bytes([k])) for k in range(50)))
    line = Line().inquire(2, 1, subscription(*items)).tell(2, 1, values, number=3).push(2, 1, values, 3)
    for row in feed(blocks(line.packets)).records[1:]:
        known = [p.addr for p in row.points if p.quality == 0]
        assert known == [8 * k for k in range(47)]
        assert [p.value for p in row.points] == [float(k) for k in range(50)]


@pytest.mark.parametrize(("error", "outcome"), [(0, Outcome.ACCEPTED), (0xD0A4, Outcome.REFUSED)])
def test_forcing_has_its_outcome(error: int, outcome: Outcome) -> None:
    forced = struct.pack("!H", 1) + variable(2, 0, 4, many=1) + even([value(D_BYTE, b"\1", 0)])
    line = Line().inquire(1, 9, command(forced)).tell(1, 9, error=error, number=5)
    asked, answer = feed(blocks(line.packets)).records
    assert (asked.op, answer.op, bool(answer.status)) == (Op.FORCE, Op.FORCE, outcome == Outcome.REFUSED)
    assert [(p.space, p.addr, p.value) for p in asked.points] == [(Space.S7_OUTPUT, 33, 1.0)]


@pytest.mark.parametrize(("function", "op"), [(2, Op.DIAGNOSE), (8, Op.DIAGNOSE), (9, Op.FORCE)])
def test_ending_a_job_that_forces_is_forcing(function: int, op: Op) -> None:
    line = Line().inquire(1, 0x0F, command(bytes([0, 1, function, 5])))
    (row,) = feed(blocks(line.packets)).records
    assert (row.op, row.space, row.addr) == (op, Space.S7_JOB, function << 8 | 5)


def test_a_variable_of_an_area_that_is_not_known_has_no_address() -> None:
    table = struct.pack("!H", 2) + variable(0, 0, 0, many=3) + variable(9, 1, 0)
    (row,) = feed(blocks(Line().inquire(1, 2, command(table)).packets)).records
    assert [(p.space, p.addr) for p in row.points] == [(Space.S7_FLAG, 3)]
    assert row.anomaly == Anomaly.RESERVED_CODE


@pytest.mark.parametrize("item", [any_item(WORD, 1, M, 0)[:7], symbolic(1, 2)])
def test_an_item_of_another_syntax_has_no_address(item: bytes) -> None:
    line = Line().inquire(2, 1, subscription(bytes([item[0], len(item) - 2]) + item[2:], any_item(BIT, 1, M, 3)))
    (row,) = feed(blocks(line.packets)).records
    assert [(p.space, p.addr) for p in row.points] == [(Space.S7_FLAG, 3)]


def test_names() -> None:
    assert function_text(Protocol.S7COMM, 0x201, 9) == "programmer commands: force variables (513/9)"
    assert function_text(Protocol.S7COMM, 0x200, 2) == "mode transition: run (512/2)"
    assert tag(Space.S7_BLOCK, 0x0A << 16 | 5, BlockPart.CHECKSUM) == "db5 checksum"
    assert tag(Space.S7_BLOCK, 0x08 << 16, BlockPart.COUNT) == "obs"
    assert tag(Space.S7_BLOCK, 0x77 << 16 | 5, 99) == "block type 77 5 part 99"
    assert tag(Space.S7_ALARM, 0x60000001, 1) == "alarm 60000001 signals"
    assert tag(Space.S7_ALARM, 2 << 32 | 0x60000001, 17) == "alarm 60000001 value 2[2]"
    assert tag(Space.S7_ALARM, 0x60000001, 32) == "alarm 60000001 value 1 as it went[0]"
    assert tag(Space.S7_DIAGNOSTIC, 0x4302, 2) == "diagnosis 4302 block"
    assert (tag(Space.S7_JOB, 0x0905, 0), tag(Space.S7_MODE, 0, 0)) == ("job 5: force variables", "mode")
