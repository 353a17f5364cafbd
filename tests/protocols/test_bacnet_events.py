"""Events, logs and transfers of BACnet: against their plain twin on random messages, and what goldens do not show."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest

from pipeline.decode.protocols.bacnet_names import tag
from pipeline.names import function_text
from pipeline.synth.encode import bacnet as b
from schemas.codes import FAULTS, Anomaly, Direction, Kind, PointType, Protocol, Quality, Space
from tests.decode.packets import SECOND
from tests.decode.reading import blocks, feed
from tests.protocols.bacnet_apdus import Devices
from tests.protocols.test_bacnet import plain, scalar
from tests.reference import bacnet as tree
from tests.reference import bacnet_events as twin

LOG, LOGS = b.oid(20, 1), b.oid(27, 2)


def when(draw: random.Random) -> bytes:
    """A date and a time, now and then one that is none."""
    year = 2155 if draw.random() < 0.1 else draw.randrange(1990, 2100)
    return b.date(year, draw.randrange(1, 13), draw.randrange(1, 29)) + b.daytime(
        draw.randrange(24), 5, 59, draw.randrange(100)
    )


def stamp(draw: random.Random, number: int) -> bytes:
    """A time stamp of any kind."""
    inside = (b.within(2, when(draw)), b.ctx(1, draw.randrange(70000)), b.tag(0, b.daytime(1, 2, 3)[1:]))
    return b.within(number, draw.choice(inside))


def under(draw: random.Random, number: int, kind: str) -> bytes:
    """A primitive of that kind under a context tag, as `twin` names kinds."""
    whole = draw.getrandbits(8 * draw.choice((1, 2, 3, 4)))
    contents = {
        "u": b.number(whole), "e": b.number(whole & 0xFFFF), "i": b.signed(whole - (1 << 16)), "n": b"",
        "r": draw.randbytes(4), "d": struct.pack("!d", draw.uniform(-9, 9)), "B": bytes([draw.randrange(2)]),
        "t": draw.choice((b"\0", b"\3")) + b"some text"[: draw.randrange(10)],
        "b": b.bits("".join(draw.choice("01") for _ in range(draw.choice((3, 4, 12)))))[1:],
    }  # fmt: skip
    return b.tag(number, contents.get(kind, draw.randbytes(3)))


def opened(number: int, content: bytes) -> bytes:
    """Brackets of any number."""
    if number < 15:
        return b.within(number, content)
    return bytes([0xFE, number]) + content + bytes([0xFF, number])


def event_values(draw: random.Random, kind: int) -> bytes:
    """Values of an event of that kind, in the form that its choice has or in another."""
    content = b""
    for number, one in enumerate(twin._TYPES.get(kind, "u")):
        if one != ".":
            content += under(draw, number, one)
        elif draw.random() < 0.6:
            inside = under(draw, draw.randrange(3), "e") if kind == 1 else under(draw, 1, "r")
            content += b.within(number, inside if kind in (1, 2) else scalar(draw))
        else:
            content += b.within(number, b.ctx(0, 1) + b.within(2, scalar(draw)))
    return opened(kind, content)


def notification(draw: random.Random) -> bytes:
    kind = draw.choice((*twin._TYPES, 6, 77))
    values = event_values(draw, kind) if draw.random() < 0.8 else b""
    return b.notified(
        draw.randrange(1 << 20), 9, b.oid(draw.randrange(60), draw.randrange(99)), stamp(draw, 3), kind,
        (draw.randrange(6), draw.randrange(6)), values, text=draw.choice((b"", b"hot")), notify=draw.randrange(3),
        priority=draw.randrange(256), group=draw.randrange(99),
    )  # fmt: skip


def record(draw: random.Random, several: bool) -> bytes:
    """A record of a log."""
    choice = draw.randrange(11)
    datum = {8: b.within(8, b.error(2, 32)), 10: b.within(10, scalar(draw))}.get(choice)
    datum = datum or under(draw, choice, twin._LOGGED[choice])
    if several:
        members = b"".join(under(draw, k, twin._LOGGED[k + 1]) for k in (1, 3, 6, 0, 2)) + b.within(7, b.error(1, 2))
        datum = draw.choice((b.within(1, members), under(draw, 0, "b"), under(draw, 2, "r")))
    flags = b.tag(2, b.bits("".join(draw.choice("01") for _ in range(4)))[1:])
    return b.logged(when(draw), datum, flags if not several and draw.random() < 0.5 else b"")


def any_message(draw: random.Random, invoke: int) -> tuple[int, bytes]:
    """The side that speaks, and one of the services."""
    kind, thing = draw.randrange(8), b.oid(draw.randrange(60), draw.randrange(99))
    if kind == 0:
        return 1, b.unconfirmed(3, notification(draw)) if draw.random() < 0.5 else b.request(
            2, invoke, notification(draw)
        )
    if kind == 1:
        body = under(draw, 0, "u") + b.ctx_oid(1, thing) + b.ctx(2, draw.randrange(6)) + stamp(draw, 3)
        return 0, b.request(0, invoke, body + b.tag(4, b"\0Jones") + stamp(draw, 5))
    if kind == 2:
        states = [
            b.identifier(b.oid(1, k)) + b.enumerated(draw.randrange(6)) + b.bits("101")
            for k in range(draw.randrange(9))
        ]
        return 1, b.complex_ack(3, invoke, b"".join(states))
    if kind == 3:
        listed = b"".join(
            b.identifier(b.oid(1, k)) + b.enumerated(5) + b.enumerated(k) + b.unsigned(k)
            + (b.unsigned(k) if draw.random() < 0.5 else b"") for k in range(draw.randrange(9))
        )  # fmt: skip
        return 1, b.complex_ack(4, invoke, listed)
    if kind == 4:
        found = b"".join(
            b.summarised(b.oid(0, k), draw.randrange(6), "101", (1, k, 255)) for k in range(draw.randrange(6))
        )
        return 1, b.complex_ack(29, invoke, b.within(0, found) + b.ctx(1, draw.randrange(2)))
    if kind == 5:
        log, count = draw.choice((LOG, LOG, LOGS)), draw.randrange(12)
        items = b"".join(record(draw, log == LOGS) for _ in range(count))
        body = b.property_of(log, 131) + b.tag(3, b.bits("110")[1:]) + b.ctx(4, count) + b.within(5, items)
        return 1, b.complex_ack(26, invoke, body + (b.ctx(6, draw.getrandbits(30)) if draw.random() < 0.5 else b""))
    if kind == 6:
        body = b.ctx(0, draw.randrange(999)) + b.ctx(1, draw.randrange(999))
        body += b.within(2, b.octets(draw.randbytes(draw.randrange(300)))) if draw.random() < 0.8 else b""
        return draw.choice(
            ((0, b.request(18, invoke, body)), (1, b.complex_ack(18, invoke, body)), (1, b.unconfirmed(4, body)))
        )
    channels = b"".join(
        b.ctx(0, k) + (b.ctx(1, draw.randrange(1, 17)) if draw.random() < 0.3 else b"") + scalar(draw)
        for k in range(draw.randrange(1, 6))
    )
    return 0, b.unconfirmed(
        10, b.ctx(0, draw.randrange(1 << 20)) + b.ctx(1, draw.randrange(1, 17)) + b.within(2, channels)
    )


def told(p: Any, names: dict[int, str]) -> tuple[Any, ...]:
    value: Any = p.value
    if p.type in (PointType.TEXT, PointType.BYTES):
        value = names.get(p.raw & (1 << 64) - 1, "")
    elif p.type == PointType.UNKNOWN:
        value = tree.NOTHING
    return p.space, p.addr, p.addr_sub, value, p.quality, p.direction, p.source_ts // 1_000_000


@pytest.mark.parametrize("seed", range(20))
def test_random_events_logs_and_transfers(seed: int) -> None:
    draw, d, sent = random.Random(seed), Devices(), []
    for k in range(150):
        side, apdu = any_message(draw, k)
        (d.tell if side else d.ask)(apdu)
        sent.append(twin.message(d.packets[-1].data[42:]))
    decoded = feed(blocks(d.packets))
    found = [r for r in decoded.records if r.kind != Kind.TIMEOUT]
    assert len(found) == len(sent)
    for row, said in zip(found, sent, strict=True):
        assert not row.anomaly & (FAULTS & ~int(Anomaly.CONFLICTING_RESPONSE))
        assert (row.func, row.addr, row.addr_sub, row.subfunc) == (said.service, said.thing, said.sub, said.subfunc)
        assert (row.count, decoded.names.get(row.name_id, "")) == (said.count, said.name)
        mine = [told(p, decoded.names) for p in row.points]
        theirs = [(space, addr, sub, plain(value), q, d, ms) for space, addr, sub, value, q, d, ms in said.points]
        assert len(mine) == len(theirs)
        assert [(m, t) for m, t in zip(mine, theirs, strict=True) if not all(map(tree.same, m, t))] == []


def test_the_state_that_an_event_tells_is_the_tag_that_a_read_of_it_is() -> None:
    thing = b.oid(0, 3)
    noon = b.stamped(3, b.date(2026, 1, 5) + b.daytime(12, 0, 0))
    d = Devices().read(1, thing, 36, b.enumerated(0)).tell(b.unconfirmed(3, b.notified(1, 9, thing, noon, 5, (0, 3))))
    read, event = (r for r in feed(blocks(d.packets)).records if r.kind != Kind.REQUEST)
    (state,) = [p for p in event.points if p.space == Space.BACNET_PROPERTY]
    assert [(p.addr, p.addr_sub) for p in read.points] == [(state.addr, state.addr_sub)]
    assert (state.value, state.direction, state.source_ts % (86400 * SECOND)) == (3.0, Direction.REPORT, 43200 * SECOND)


@pytest.mark.parametrize(("asks", "index", "quality"), [(b.within(3, b.unsigned(5) + b.integer(2)), 5, 0),
    (b.within(3, b.unsigned(5) + b.integer(-2)), None, Quality.ADDRESS_UNKNOWN), (b"", None, Quality.ADDRESS_UNKNOWN)],
)  # fmt: skip
def test_elements_of_a_list_are_where_the_request_said_that_they_begin(
    asks: bytes, index: int | None, quality: int
) -> None:
    """Counted backwards, or as a whole, nobody says where: then they are marked."""
    about = b.property_of(b.oid(8, 1), 76)
    body = about + b.tag(3, b.bits("110")[1:]) + b.ctx(4, 2) + b.within(5, b.identifier(7) + b.identifier(9))
    d = Devices().ask(b.request(26, 1, about + asks)).tell(b.complex_ack(26, 1, body))
    answer = feed(blocks(d.packets)).of(Kind.RESPONSE)[0]
    assert [p.quality for p in answer.points] == [quality] * 2
    if index is not None:
        assert [(p.addr >> 32) - 1 for p in answer.points] == [index, index + 1]


def test_a_log_longer_than_a_pdu_may_have_runs_is_counted() -> None:
    records = b"".join(b.logged(b.date(2026, 1, 5) + b.daytime(0, 0, 0), b.ctx(4, k)) for k in range(600))
    body = b.property_of(LOG, 131) + b.tag(3, b.bits("110")[1:]) + b.ctx(4, 600) + b.within(5, records)
    d = Devices().ask(b.request(26, 1, b.property_of(LOG, 131)))
    for piece in b.segments(b.complex_ack(26, 1, body), 480):
        d.tell(piece)
    answer = feed(blocks(d.packets)).of(Kind.RESPONSE)[0]
    assert [p.value for p in answer.points] == [float(k) for k in range(512)]
    assert answer.points[-1].quality & Quality.TRUNCATED
    assert not answer.anomaly & FAULTS


def test_names() -> None:
    assert function_text(Protocol.BACNET, 0x103, 5) == "event notification: out of range (259/5)"
    assert function_text(Protocol.BACNET, 26, 7) == "read range: by time (26/7)"
    assert function_text(Protocol.BACNET, 27, 4) == "life safety operation: reset (27/4)"
    assert tag(Space.BACNET_EVENT, b.oid(0, 3), 5) == "analog-input:3 priority"
    assert tag(Space.BACNET_EVENT, 3 << 32 | b.oid(0, 3), 5) == "analog-input:3 priority[2]"
    assert tag(Space.BACNET_EVENT, b.oid(0, 3), 1 << 16 | 5 << 8 | 2) == "analog-input:3 event value 5.2"
    assert tag(Space.BACNET_LOG, b.oid(20, 1), 9) == "trend-log:1 clock change"
    assert tag(Space.BACNET_PRIVATE, 36, 7) == "Tridium service 7"
    assert tag(Space.BACNET_GROUP, 23, 1) == "group 23 channel 1"
