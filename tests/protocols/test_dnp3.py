"""DNP3: against its plain twin on random fragments, and what the golden captures do not show."""

from __future__ import annotations

import random
import struct

import pytest

from pipeline.decode.protocols.dnp3_names import FUNCTIONS, tag
from pipeline.decode.protocols.dnp3_objects import OBJECTS, SIZE
from pipeline.inventory import Inventory
from pipeline.names import function_text, status_text, tag_text
from pipeline.site import Site
from pipeline.synth.encode.dnp3 import (
    ALL,
    CON,
    FIN,
    FIR,
    ON,
    OPERATE,
    READ,
    SELECT,
    WRITE,
    classes,
    crc,
    crob,
    header,
    indexed,
    link,
    packed,
    ranged,
)
from schemas.codes import FAULTS, Anomaly, Kind, Match, Op, PointType, Protocol, RecordFlag, Space
from tests.decode.packets import MS, SECOND, Talk
from tests.decode.reading import blocks, feed
from tests.golden.dnp3_cases import dnp3_identity_and_files
from tests.oracle.ours import batches
from tests.protocols.dnp3_frames import Line
from tests.reference import dnp3 as twin

FIXED = sorted(twin.FORMS)


def told(line: Line) -> list[tuple[object, ...]]:
    """What Decoder says of a conversation, in the twin's terms."""
    return [
        (r.func, r.kind, r.unit, r.peer_unit, r.txn, r.status, r.flags & 0xFFFF, r.count,
         [(p.space, p.addr, repr(p.value), p.quality, p.source_ts) for p in r.points])
        for r in feed(blocks(line.packets)).records if r.kind != Kind.TIMEOUT
    ]  # fmt: skip


def wanted(line: Line) -> list[tuple[object, ...]]:
    reader = twin.Reader()
    for packet in line.packets:
        reader.feed(packet.data[54:])
    return [
        (r.func, r.kind, r.unit, r.peer_unit, r.txn, r.status, r.iin, r.count,
         [(p.space, p.addr, repr(p.value), p.quality, p.source_ns) for p in r.points])
        for r in reader.records
    ]  # fmt: skip


def element(draw: random.Random, group: int, variation: int) -> bytes:
    """A random object; its times are mostly of our days."""
    found = b""
    for part in twin.FORMS[group, variation].split():
        size = int(part[1:]) if part[0] == "x" else twin._SIZES[part]
        raw = draw.randbytes(size)
        if part in ("t", "T") and draw.random() < 0.8:
            raw = draw.randrange(1 << 41).to_bytes(6, "little")
        if part == "s":
            raw = bytes([draw.choice((0, 0, 0, 2, 7))])
        found += raw
    if group == 51:
        return draw.randrange(1, 1 << 41).to_bytes(6, "little")
    return found


def objects(draw: random.Random, room: int) -> bytes:
    """Headers with their objects, of up to about `room` bytes."""
    found = b""
    while len(found) < room:
        if draw.random() < 0.15:
            bits = "".join(draw.choice("01") for _ in range(draw.randrange(1, 60)))
            found += packed(draw.choice((1, 10)), draw.randrange(190), bits)
            continue
        if draw.random() < 0.1:
            count = draw.randrange(1, 30)
            found += header(3, 1, 0, 5, 4 + count) + draw.randbytes((count + 3) // 4)
            continue
        group, variation = draw.choice(FIXED)
        count = draw.randrange(1, 2 + min(40, room // 12))
        elements = [element(draw, group, variation) for _ in range(count)]
        how = draw.randrange(4)
        if how == 0:
            found += ranged(group, variation, draw.choice((0, 7, 250, 4000)), *elements)
        elif how == 1:
            found += header(group, variation, draw.choice((7, 8)), count) + b"".join(elements)
        else:
            wide = how == 2
            found += indexed(
                group, variation, *((draw.randrange(65536 if wide else 256), e) for e in elements), wide=wide
            )
    return found


@pytest.mark.parametrize("seed", range(25))
def test_random_fragments(seed: int) -> None:
    draw = random.Random(seed)
    line = Line(outstation=draw.randrange(1, 60_000), master=draw.randrange(1, 60_000))
    for _ in range(60):
        choice = draw.randrange(4)
        room = draw.choice((0, 10, 60, 400, 1800))
        if choice == 0:
            line.ask(
                draw.choice((1, 7, 9, 20, 21, 22)), classes(0, 1) + header(30, 0, 6) + header(1, 2, 0x17, 2) + b"\1\2"
            )
            line.answer(objects(draw, room), iin=draw.randrange(65536), size=draw.choice((249, 249, 40, 1)))
        elif choice == 1:
            line.ask(draw.choice((2, 3, 4, 5)), objects(draw, room))
            line.answer(objects(draw, room), iin=draw.choice((0, 0, 0x200)))
        elif choice == 2:
            line.report(objects(draw, room), iin=draw.randrange(65536)).confirm(0x10)
        else:
            line.ask(READ, classes(0)).answer(objects(draw, room), control=ALL | CON).confirm()
    found, should = told(line), wanted(line)
    assert len(found) > 100
    for ours, theirs in zip(found, should, strict=True):
        assert ours == theirs


def test_every_object_has_the_size_that_the_twin_reads() -> None:
    for (group, variation), parts in twin.FORMS.items():
        size = sum(int(p[1:]) if p[0] == "x" else twin._SIZES[p] for p in parts.split())
        assert SIZE[group, variation] == size, (group, variation)
    fixed = {key for key, kind in OBJECTS.items() if kind.size > 0}
    assert fixed - set(twin.FORMS) == {(120, 3), (120, 4)}


@pytest.mark.parametrize(("group", "variation"), FIXED)
def test_every_object_in_every_form_of_addressing(group: int, variation: int) -> None:
    draw = random.Random(group << 8 | variation)
    one = [element(draw, group, variation) for _ in range(3)]
    line = Line()
    for body in (ranged(group, variation, 9, *one), indexed(group, variation, *((9 + i, e) for i, e in enumerate(one))),
                 indexed(group, variation, *((9 + i, e) for i, e in enumerate(one)), wide=True)):  # fmt: skip
        line.ask(READ, classes(0)).answer(body)
    assert told(line) == wanted(line)
    found = feed(blocks(line.packets)).of(Kind.RESPONSE)
    assert not any(r.anomaly & FAULTS for r in found)
    assert len({repr([vars(p) for p in r.points]) for r in found}) == 1


def test_a_tag_does_not_hang_on_how_it_was_sent() -> None:
    """Polled or reported, of 16 or 32 bits or a float: the same point."""
    line = Line()
    for group, variation in ((30, 1), (30, 4), (30, 6), (32, 1), (32, 8)):
        line.ask(READ, classes(0)).answer(indexed(group, variation, (7, element(random.Random(1), group, variation))))
    points = [p for r in feed(blocks(line.packets)).records for p in r.points]
    assert {(p.space, p.addr, p.addr_sub, p.name_id) for p in points} == {(Space.ANALOG_INPUT, 7, 0, 0)}
    assert {p.type for p in points} == {PointType.I32, PointType.I16, PointType.F64}


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 250])
def test_checksums_in_steps_of_eight(size: int) -> None:
    import numpy as np

    from pipeline.decode.protocols import dnp3_crc

    data = random.Random(size).randbytes(size + 3)
    wire = np.frombuffer(bytearray(data), np.uint8)
    assert int(dnp3_crc.crc(wire, 2, size)) == int.from_bytes(crc(data[2 : 2 + size]), "little")


def test_any_bit_that_is_wrong_is_noticed() -> None:
    """No frame with one wrong bit says anything of the application."""
    good = Line().frames(0, bytes([ALL | 1, WRITE]) + ranged(34, 1, 0, *[b"\1\2"] * 20))[0]
    talk = Talk(server_port=20_000).open()
    talk.ask(good)
    for bit in range(16, 8 * len(good), 7):
        wrong = bytearray(good)
        wrong[bit // 8] ^= 1 << bit % 8
        talk.ask(bytes(wrong))
    first, *others = feed(blocks(talk.packets)).records
    assert first.func == WRITE
    assert others
    assert all(r.kind == Kind.FOREIGN or r.func >= 0x100 for r in others)
    assert all(not r.points and r.anomaly & FAULTS for r in others)


@pytest.mark.parametrize(("wait_s", "sequence", "code", "selected"), [
    (9, 1, 0x41, True), (11, 1, 0x41, False), (1, 2, 0x41, False), (1, 1, 0x81, False)
])  # fmt: skip
def test_an_operate_follows_its_selection(wait_s: int, sequence: int, code: int, selected: bool) -> None:
    """In time, with the next sequence number, of the same objects; a second one needs another selection."""
    chosen = indexed(12, 1, (5, crob(0x41)))
    line = Line().ask(SELECT, chosen).answer(chosen)
    line.talk.now += wait_s * SECOND - 2 * MS
    line.sequence += sequence - 1
    wish = indexed(12, 1, (5, crob(code)))
    line.ask(OPERATE, wish).answer(wish)
    line.sequence -= 1
    line.ask(OPERATE, wish)
    found = [r for r in feed(blocks(line.packets)).of(Kind.REQUEST) if r.op == Op.CONTROL]
    assert [bool(r.flags & RecordFlag.SELECTED) for r in found] == [selected, False]


def test_selections_of_two_outstations_do_not_mix() -> None:
    line = Line()
    other = Line(line.talk, outstation=11)
    wish = indexed(12, 1, (5, crob(0x41)))
    line.ask(SELECT, wish).answer(wish)
    other.ask(SELECT, wish)
    other.ask(OPERATE, wish)
    line.ask(OPERATE, wish)
    found = [r for r in feed(blocks(line.packets)).of(Kind.REQUEST) if r.func == OPERATE]
    assert [(r.unit, bool(r.flags & RecordFlag.SELECTED)) for r in found] == [(11, False), (10, True)]


def test_a_response_of_several_fragments() -> None:
    """Every fragment answers the one request, and none of them leaves a timeout."""
    line = Line().ask(READ, classes(0)).ask(READ, classes(1))
    line.sequence -= 1
    for k, control in enumerate((FIR, 0, 0, FIN)):
        body = ranged(1, 2, k, ON)
        line.send(1, bytes([control | CON | (line.sequence + k) % 16, 129, 0, 0]) + body)
        line.send(0, bytes([ALL | (line.sequence + k) % 16, 0]))
    line.talk.now += 20 * SECOND
    line.ask(READ, classes(0))
    found = feed(blocks(line.packets))
    assert [(r.match, r.peer_seq, r.func) for r in found.of(Kind.RESPONSE)] == [(Match.MATCHED, 1, READ)] * 4
    assert [r.txn for r in found.of(Kind.TIMEOUT)] == [2]


def test_identity_goes_to_the_list_of_assets(tmp_path: object) -> None:
    from pathlib import Path

    from tests.decode.packets import write_pcap

    path = write_pcap(Path(str(tmp_path)) / "x.pcap", dnp3_identity_and_files())
    found, decoder = batches(path)
    inventory = Inventory()
    for batch in found:
        inventory.add(batch)
    rows = {row["ip"]: row for row in inventory.assets(decoder.names(), Site()).to_pylist()}
    plc = rows["10.0.0.2"]
    assert [plc[name] for name in ("vendor", "model", "firmware", "serial", "said_name")] == [
        "Acme Grid", "RTU-9", "4.1", "SN 00417", "Feeder 12"
    ]  # fmt: skip
    assert rows["10.0.0.1"]["vendor"] == ""


def test_a_frame_that_the_capture_cut_is_read_as_far_as_it_goes() -> None:
    line = Line().ask(READ, classes(0)).answer(ranged(20, 1, 0, *(struct.pack("<BI", 1, n) for n in range(9))))
    cut = [p.cut(54 + 10 + 2 * 18 + 5) for p in line.packets]
    found = feed(blocks(cut)).of(Kind.RESPONSE)[0]
    assert found.anomaly == Anomaly.TRUNCATED
    assert found.values == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    "payload",
    [
        b"\x05\x64\x04\xc4\x0a\x00\x01\x00\x00\x00",
        link(b"\xc0\xc1\x01", control=0xC4, to=10, by=1)[:8] + b"\0\0",
        b"\x05\x65" + bytes(20),
        b"\x05",
    ],
)
def test_what_is_no_frame_does_not_begin_a_connection(payload: bytes) -> None:
    talk = Talk(server_port=20_000).open()
    talk.ask(payload)
    assert [r.kind for r in feed(blocks(talk.packets)).records] in ([Kind.FOREIGN], [])


def test_shapes_that_are_told_on_any_port() -> None:
    from tests.test_protocol_contract import strict_frame

    for size in (1, 2, 15, 16, 17, 250):
        frame = link(bytes([0xC0]) * size, control=0xC4, to=10, by=1)
        assert strict_frame(Protocol.DNP3, frame + b"more") == len(frame)
    assert strict_frame(Protocol.DNP3, frame[:9]) == -1
    assert strict_frame(Protocol.DNP3, frame[:3] + b"\0" + frame[4:]) == -1


def test_names() -> None:
    assert function_text(Protocol.DNP3, 5, 0x0C01) == "direct operate: control relay output block (5/3073)"
    assert function_text(Protocol.DNP3, READ, 60 << 8 | 1) == "read: class 0 data (1/15361)"
    assert function_text(Protocol.DNP3, 0x149) == "link: request status (329)"
    assert status_text(Protocol.DNP3, 0x103) == "function not supported, object unknown (259)"
    assert status_text(Protocol.DNP3, 2) == "no select (2)"
    assert tag_text(Protocol.DNP3, Space.ANALOG_INPUT, 7) == "ai:7"
    assert tag_text(Protocol.DNP3, Space.DEVICE_ATTRIBUTE, 252) == "manufacturer"
    assert tag(Space.BINARY_OUTPUT, 3, 0) == "bo:3"
    assert FUNCTIONS[18] == "stop application"
