"""BACnet/IP: against its plain twin on random services, and what the golden captures do not show."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pipeline.decode import layout
from pipeline.decode.protocols.bacnet_names import identity, tag
from pipeline.inventory.identity import Identities
from pipeline.names import function_text, status_text, tag_text
from pipeline.synth.encode import bacnet as b
from schemas.codes import FAULTS, Anomaly, BacnetFlag, Identity, Kind, Match, Op, PointType, Protocol, RecordFlag, Space
from tests.decode.packets import SECOND
from tests.decode.reading import blocks, feed
from tests.golden.cases import CASES
from tests.oracle.ours import batches
from tests.protocols.bacnet_apdus import Devices
from tests.reference import bacnet as twin
from tests.test_protocol_contract import strict_frame

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
SUBS = (85, 77, 28, 111, 87, 76, 103, 512, 9999)


def scalar(draw: random.Random) -> bytes:
    """An application value of any type and size."""
    kind = draw.randrange(12)
    whole = draw.getrandbits(8 * draw.choice((1, 2, 3, 4, 5, 7, 8)))
    octets = [draw.randrange(256) for _ in range(4)]
    hour, minute, second, hundredths = octets[0] % 24, octets[1] % 60, octets[2] % 60, octets[3] % 100
    flags = "".join(draw.choice("01") for _ in range(draw.randrange(1, 50)))
    day = bytes([draw.randrange(70, 256), draw.randrange(14), draw.randrange(1, 29), 255])
    return (
        b.NULL,
        b.boolean(draw.random() < 0.5),
        b.unsigned(whole),
        b.integer(draw.randrange(-(1 << 31), 1 << 31)),
        b.tag(4, draw.randbytes(4), False),
        b.double(draw.uniform(-1e9, 1e9)),
        b.octets(draw.randbytes(draw.randrange(255))),
        b.text("x" * draw.randrange(60), draw.choice((0, 0, 3))),
        b.bits(flags),
        b.enumerated(draw.getrandbits(draw.choice((3, 12, 20)))),
        b.tag(10, day, False),
        draw.choice((b.tag(11, bytes(octets), False), b.daytime(hour, minute, second, hundredths))),
    )[kind]


def some(draw: random.Random, sub: int) -> bytes:
    """Values of a property: one, several alike or not, sometimes constructed."""
    if sub == 111:
        return b.bits("".join(draw.choice("01") for _ in range(4)))
    if draw.random() < 0.6:
        return scalar(draw)
    if draw.random() < 0.3:
        return b.within(draw.randrange(5), scalar(draw) + b.ctx(3, 9) + b.within(2, scalar(draw)))
    alike = draw.choice((b.NULL, b.identifier(b.oid(3, 4)), b.real(2.5)))
    return b"".join(alike if draw.random() < 0.8 else scalar(draw) for _ in range(draw.randrange(1, 20)))


def any_message(draw: random.Random, invoke: int) -> tuple[int, bytes]:
    """The side that speaks, and a service about properties."""
    thing, sub = b.oid(draw.randrange(1024), draw.randrange(1 << 22)), draw.choice(SUBS)
    index = draw.choice((None, None, 0, 3, 70000))
    kind = draw.randrange(7)
    if kind < 2:
        about = b.property_of(thing, sub, index)
        return (0, b.request(12, invoke, about)) if kind == 0 else (1, b.complex_ack(12, invoke, about + b.within(3, some(draw, sub))))  # fmt: skip # noqa: E501
    if kind == 2:
        priority = b.ctx(4, draw.randrange(1, 17)) if draw.random() < 0.5 else b""
        return 0, b.request(15, invoke, b.property_of(thing, sub, index) + b.within(3, some(draw, sub)) + priority)
    if kind == 6:
        return 1, b.refusal(draw.choice((12, 15)), invoke, b.error(draw.randrange(8), draw.randrange(200)))
    subs = draw.sample(SUBS, draw.randrange(1, 5))
    if kind == 5:
        values = [(sub, some(draw, sub)) for sub in subs]
        return 1, b.unconfirmed(2, b.changed(1, 9, thing, *values))
    body = b""
    for _ in range(draw.randrange(1, 4)):
        inside = b""
        for sub in subs:
            first = 2 if kind == 3 else 0
            inside += b.ctx(first, sub) + (b.ctx(first + 1, 4) if draw.random() < 0.3 else b"")
            inside += b.within(first + 2, some(draw, sub))
            inside += b.ctx(3, draw.randrange(1, 17)) if kind == 4 and draw.random() < 0.5 else b""
        body += b.ctx_oid(0, b.oid(draw.randrange(60), draw.randrange(99))) + b.within(1, inside)
    return (1, b.complex_ack(14, invoke, body)) if kind == 3 else (0, b.request(16, invoke, body))


def point(p: Any, names: dict[int, str]) -> tuple[int, int, int, Any, int]:
    value: Any = p.value
    if p.type in (PointType.TEXT, PointType.BYTES):
        value = names.get(p.raw & (1 << 64) - 1, "")
    elif p.type == PointType.UNKNOWN:
        value = twin.NOTHING
    return p.addr & 0xFFFFFFFF, p.addr_sub, p.addr >> 32, value, p.quality


def plain(value: Any) -> Any:
    """Octets as the table of names shows them."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value


@pytest.mark.parametrize("seed", range(25))
def test_random_services(seed: int) -> None:
    draw, d, sent = random.Random(seed), Devices(), []
    for k in range(150):
        side, apdu = any_message(draw, k)
        network = {"to": b.station(7, draw.randbytes(draw.randrange(1, 7)))} if draw.random() < 0.2 else {}
        (d.tell if side else d.ask)(apdu, **network)
        sent.append(twin.message(d.packets[-1].data[42:]))
    decoded = feed(blocks(d.packets))
    found = [r for r in decoded.records if r.kind != Kind.TIMEOUT]
    assert len(found) == len(sent)
    for row, said in zip(found, sent, strict=True):
        assert not row.anomaly & (FAULTS & ~int(Anomaly.CONFLICTING_RESPONSE))
        assert (row.func, row.txn, row.status) == (said.service, said.invoke, said.status)
        if said.status == 0:
            assert (row.addr & 0xFFFFFFFF, row.addr_sub, row.addr >> 32, row.count) == (said.thing, said.sub, said.element, said.count)  # fmt: skip # noqa: E501
            if row.kind == Kind.REQUEST and row.func != 12:
                assert row.subfunc == said.priority
        mine = [point(p, decoded.names) for p in row.points if p.space == Space.BACNET_PROPERTY]
        theirs = [(t, s, e, plain(v), q) for t, s, e, v, q in said.points]
        assert len(mine) == len(theirs)
        differ = [(one, other) for one, other in zip(mine, theirs, strict=True) if not all(map(twin.same, one, other))]
        assert differ == []


@pytest.mark.parametrize("size", [1, 7, 50, 480])
def test_an_answer_in_segments_is_the_whole_one(size: int) -> None:
    """However it is cut."""
    about = b.property_of(b.oid(8, 1), 76)
    whole = b.complex_ack(12, 1, about + b.within(3, b"".join(b.identifier(k) for k in range(250 if size > 1 else 40))))
    one, cut = Devices().ask(b.request(12, 1, about)), Devices().ask(b.request(12, 1, about))
    one.tell(whole)
    for piece in b.segments(whole, size):
        cut.tell(piece)
    wanted, found = (feed(blocks(d.packets)).of(Kind.RESPONSE) for d in (one, cut))
    assert [len(found), found[0].match] == [1, Match.MATCHED]
    assert [repr(p) for p in found[0].points] == [repr(p) for p in wanted[0].points]


def test_a_long_list_is_bounded_by_runs_not_by_elements() -> None:
    d = Devices().read(1, b.oid(8, 1), 76, *(b.identifier(k) for k in range(270)))
    (answer,) = feed(blocks(d.packets)).of(Kind.RESPONSE)
    assert answer.values == [float(k) for k in range(270)]
    assert 270 < layout.RUNS < 2 * 270


def test_passwords_are_never_kept() -> None:
    found = feed(blocks(CASES["bacnet_control"]()))
    assert sum(bool(r.flags & BacnetFlag.PASSWORD) for r in found.records) == 9
    assert not any("filister" in name for name in found.names.values())
    assert not any(p.type in (PointType.TEXT, PointType.BYTES) for r in found.records for p in r.points)


def test_what_a_device_says_it_is() -> None:
    """Of the sender alone: what a router or a broadcast device passes on identifies nobody here."""
    found, decoder = batches(GOLDEN / "bacnet_discovery" / "input.pcap")
    devices = Identities()
    for batch in found:
        devices.add(batch)
    said = devices.of(int(found[0].device[-1]), decoder.names())
    assert (said.vendor, said.model, said.firmware) == ("Cimetrics", "BMS-1", "2.11")
    assert (said.serial, said.name) == ("000417", "AHU 1")
    for name in ("bacnet_routed", "bacnet_link"):
        assert not any(r.flags & RecordFlag.IDENTITY for r in feed(blocks(CASES[name]())).records)


def test_peers_that_ask_each_other_keep_their_roles() -> None:
    """On one flow, each exchange has its own client and device, also where nobody answers."""
    found = feed(blocks(CASES["bacnet_other_port"]())).records
    timeout = next(r for r in found if r.kind == Kind.TIMEOUT)
    asked = next(r for r in found if r.seq == timeout.peer_seq)
    assert not any(r.anomaly & Anomaly.ROLE_CONFLICT for r in found)
    assert len({r.device for r in found}) == 2
    assert (timeout.device, timeout.client_is_src, timeout.src_ip) == (asked.device, 1, asked.src_ip)
    assert all(r.client_is_src == (r.kind != Kind.RESPONSE) for r in found)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("bacnet_")])
def test_shapes_are_nobody_elses(name: str) -> None:
    for packet in CASES[name]():
        payload = packet.data[42:]
        assert all(strict_frame(p, payload) <= 0 for p in (Protocol.MODBUS, Protocol.DNP3, Protocol.IEC104))


def test_shapes_that_are_told_on_any_port() -> None:
    good = b.bvll(10, b.npdu(b.request(12, 1, b.property_of(1, 85))))
    assert strict_frame(Protocol.BACNET, good) == len(good)
    assert strict_frame(Protocol.BACNET, b.bvll(4, b"\n\0\0\1\xba\xc0" + b.npdu(b.announced(1)))) > 0
    for bad in (good[:-1], good + b"\0", b.bvll(0, b"\0\0"), b.bvll(10, b"\2" + good[5:]), b.bvll(10, b"\1\0\x90\1")):
        assert strict_frame(Protocol.BACNET, bad) == -1


def test_a_request_that_is_cut_by_the_capture_is_no_fault() -> None:
    d = Devices().ask(b.request(15, 1, b.property_of(1, 85) + b.within(3, b.real(1))))
    (row,) = feed(blocks([d.packets[0].cut(60)])).of(Kind.REQUEST)
    assert row.anomaly == Anomaly.TRUNCATED


def test_an_exchange_that_ends_in_an_abort_of_the_client() -> None:
    d = Devices().ask(b.request(12, 1, b.property_of(1, 85))).ask(b.abort(1, 10, server=False))
    d.talk.now += 9 * SECOND
    found = feed(blocks(d.read(2, 1, 85, b.real(1)).packets)).records
    assert [(r.kind, r.status) for r in found[:2]] == [(Kind.REQUEST, 0), (Kind.CONTROL, 3 << 24 | 10)]


@pytest.mark.parametrize(
    ("sub", "value", "priority", "op"),
    [(85, b.real(1), 8, Op.WRITE), (85, b.real(1), 2, Op.FORCE), (81, b.boolean(True), 0, Op.FORCE),
     (45, b.real(1), 0, Op.CONFIGURE), (35, b.bits("111"), 0, Op.CONFIGURE), (77, b.text("x"), 1, Op.WRITE)],
)  # fmt: skip
def test_what_writing_a_property_does(sub: int, value: bytes, priority: int, op: Op) -> None:
    found = feed(blocks(Devices().write(1, b.oid(2, 9), sub, value, priority).packets)).records
    assert [(r.op, r.subfunc) for r in found] == [(op, priority)] * 2


def test_names() -> None:
    assert function_text(Protocol.BACNET, 15, 8) == "write property: at priority 8 (15/8)"
    assert function_text(Protocol.BACNET, 0x108) == "Who-Is (264)"
    assert status_text(Protocol.BACNET, 1 << 24 | 2 << 16 | 40) == "property: write access denied (16908328)"
    assert status_text(Protocol.BACNET, 2 << 24 | 9) == "reject: unrecognized service (33554441)"
    assert tag_text(Protocol.BACNET, Space.BACNET_PROPERTY, b.oid(0, 3), 85) == "analog-input:3 present-value"
    assert tag(Space.BACNET_PROPERTY, 9 << 32 | b.oid(1, 7), 87) == "analog-output:7 priority-array[8]"
    assert tag(Space.BACNET_PROPERTY, b.oid(700, 7), 5000) == "type 700:7 property 5000"
    assert (identity(Identity.VENDOR, 36), identity(Identity.VENDOR, 999)) == ("Tridium", "vendor 999")
