"""What grows, up to which bound, and what happens there."""

from __future__ import annotations

import itertools
import struct

import pytest

from pipeline.decode import layout
from pipeline.decode.decoder import DecodeSettings
from schemas.codes import Anomaly, Kind, Match
from tests.decode.packets import (
    MS,
    SECOND,
    START_NS,
    Packet,
    Talk,
    ether,
    ip4,
    mbap,
    polls,
    read,
    tcp,
    udp,
    values,
)
from tests.decode.reading import blocks, decode, feed


def request(flow: int, ts: int) -> Packet:
    source = f"10.{1 + flow // 60000}.{flow // 250 % 240}.{1 + flow % 250}"
    return Packet(ts, ether(ip4(source, "10.0.0.2", tcp((20000 + flow % 40000, 502), 1, 1, read(flow & 0xFFFF)))))


def response(flow: int, ts: int) -> Packet:
    source = f"10.{1 + flow // 60000}.{flow // 250 % 240}.{1 + flow % 250}"
    segment = tcp((502, 20000 + flow % 40000), 1, 13, values(flow & 0xFFFF, flow & 0xFFFF, 1))
    return Packet(ts, ether(ip4("10.0.0.2", source, segment)))


def test_5000_flows_with_a_request_each() -> None:
    """The tables of flows and of pending requests grow; nothing is forgotten."""
    asked = [request(n, START_NS + n * 1000) for n in range(5000)]
    answered = [response(n, START_NS + SECOND + n * 1000) for n in range(5000)]
    found = feed(blocks([*asked, *answered], [777]))
    responses = found.of(Kind.RESPONSE)
    assert [r.match for r in responses] == [Match.MATCHED] * 5000
    assert [r.values[0] for r in responses] == [float(n) for n in range(5000)]
    assert len({r.flow for r in responses}) == 5000
    assert found.health["stream", "seen", "flows"] == 5000
    assert ("stream", "dropped", "flows forgotten") not in found.health


def test_flows_beyond_the_bound_are_forgotten_and_counted() -> None:
    packets = [request(n, START_NS + n) for n in range(3000)]
    found = feed(blocks(packets), DecodeSettings(max_flows=1024))
    assert [r.txn for r in found.records] == list(range(3000))
    assert found.health["stream", "dropped", "flows forgotten"] >= 3000 - 1024


def test_the_longest_silent_flows_are_forgotten_first() -> None:
    packets = [request(n, START_NS + n * MS) for n in range(1025)]
    packets.append(response(1023, START_NS + 2 * SECOND))
    found = feed(blocks(packets), DecodeSettings(max_flows=1024))
    assert found.records[-1].match == Match.MATCHED
    assert found.health["stream", "dropped", "flows forgotten"] < 1000


def test_a_batch_is_full_inside_a_segment() -> None:
    """Segments of 64 KB that hold nothing but the shortest PDUs, far more than one batch takes."""
    pdu = mbap(1, 1, bytes([7]))
    talk = Talk().open()
    per_segment = 65000 // len(pdu)
    for _ in range(2 + layout.RECORDS // per_segment):
        talk.send(0, pdu * per_segment)
    found = decode(talk.packets)
    assert len(found.records) == per_segment * (2 + layout.RECORDS // per_segment)
    assert [r.seq for r in found.records] == list(range(1, len(found.records) + 1))
    assert found.batches == -(-len(found.records) // layout.RECORDS)
    assert {r.func for r in found.records} == {7}


@pytest.mark.parametrize("cut", [[10**9], [1], [7, 1, 3]])
def test_a_batch_is_full_of_points(cut: list[int]) -> None:
    """Reads of 2,000 coils: the points of a batch are over long before its records."""
    count = 3 * layout.POINTS // 2000
    talk = Talk().open()
    bits = bytes(range(250))
    for txn in range(count):
        talk.ask(read(txn & 0xFFFF, 0, 2000, func=1))
        talk.answer(mbap(txn & 0xFFFF, 1, bytes([1, 250]) + bits))
    found = feed(blocks(talk.packets, cut))
    responses = found.of(Kind.RESPONSE)
    assert len(responses) == count
    assert found.batches >= 3
    wanted = [float(byte >> i & 1) for byte in bits for i in range(8)]
    assert all(r.match == Match.MATCHED and r.values == wanted for r in responses)


def test_names_are_bounded() -> None:
    """More server ids than there is room for: all are told by number, those without room are counted."""
    packets = []
    each = 200
    count = layout.NAME_BYTES // each + 500
    for n in range(count):
        body = mbap(n & 0xFFFF, 1, bytes([17, each]) + struct.pack("!I", n) + bytes(each - 4))
        packets.append(
            Packet(START_NS + n, ether(ip4("10.0.0.2", "10.0.0.1", udp((502, 40000), body), 17, ident=1 + n % 60000)))
        )
    found = feed(blocks(packets))
    assert len(found.records) == count
    assert len({r.points[0].raw for r in found.records}) == count
    lost = found.health["decode", "dropped", "names beyond the bound"]
    assert lost >= 500
    assert len(found.names) == count - lost
    assert all(r.points[0].raw & (1 << 64) - 1 in found.names for r in found.records[: count - lost])


def test_the_same_name_is_kept_once() -> None:
    talk = Talk().open()
    for txn in range(1, 4):
        talk.ask(mbap(txn, 1, bytes([17])))
        talk.answer(mbap(txn, 1, bytes([17, 9]) + b"PLC \xff name"[:9]))
    found = decode(talk.packets)
    ids = {r.points[0].raw & (1 << 64) - 1 for r in found.of(Kind.RESPONSE)}
    assert list(found.names) == list(ids)
    assert next(iter(found.names.values())) == "PLC \\xff nam"


def test_a_giant_segment_behind_a_hole() -> None:
    """Offloaded segments can be longer than 64 KB; what cannot be held is counted, never written beyond its place."""
    body = values(1, 1) * 23_000
    talk = Talk().open()
    talk.answer(values(1, *range(100))[:100])
    giant = tcp((502, 40000), talk.seq[1] + 150, 1001, body)
    talk.put(Packet(0, ether(ip4("10.0.0.2", "10.0.0.1", giant, total=0))))
    found = decode(talk.packets)
    assert found.health["stream", "dropped", "bytes held beyond the bound"] == len(body)


@pytest.mark.parametrize("size", [65_000, 262_000])
def test_a_giant_segment_behind_the_beginning_of_a_pdu(size: int) -> None:
    """It is read where there is room for both; else the next record says how much is missing."""
    pdu = values(2, 2)
    count = size // len(pdu)
    talk = Talk().open()
    talk.answer(values(1, 1)[:6])
    rest = values(1, 1)[6:] + pdu * count
    giant = tcp((502, 40000), talk.seq[1], 1001, rest)
    talk.put(Packet(0, ether(ip4("10.0.0.2", "10.0.0.1", giant, total=0))))
    talk.seq[1] += len(rest)
    talk.answer(values(3, 3))
    found = feed(blocks(talk.packets))
    assert (len(found.records), found.records[-1].txn) == (count + 2, 3)
    assert found.counted("bytes of PDUs never completed") == 0
    larger = Packet(talk.packets[-2].ts, talk.packets[-2].data + pdu * 200)
    talk.seq[1] += 200 * len(pdu) - len(values(3, 3))
    last = talk.put(talk.segment(1, values(4, 4)))
    found = feed(blocks([*talk.packets[:4], larger, last]))
    if size == 65_000:
        assert len(found.records) == count + 202
    else:
        assert [(r.txn, r.gap_bytes) for r in found.records] == [(4, 6 + len(rest) + 200 * len(pdu))]
        assert found.records[0].anomaly & Anomaly.GAP_BEFORE
        assert found.counted("bytes of PDUs never completed") == 6 + len(rest) + 200 * len(pdu)


def test_beginnings_that_are_never_completed_leave_room_for_others() -> None:
    """One in each of more flows than there are chunks: the longest silent ones give theirs up, and say so later."""
    count = 66_000
    packets = [
        Packet(
            START_NS + n,
            ether(
                ip4(
                    f"10.{1 + n // 60000}.{n // 250 % 240}.{1 + n % 250}",
                    "10.0.0.2",
                    tcp((20000, 502), 1, 1, b"\0\1\0"),
                )
            ),
        )
        for n in range(count)
    ]
    talk = Talk(now=START_NS + SECOND).open()
    for txn in range(1, 50):
        talk.answer(values(txn, *range(100))[:100])
        talk.answer(values(txn, *range(100))[100:])
    found = feed(blocks([*packets, *talk.packets]))
    assert [(r.txn, r.length, r.gap_bytes) for r in found.records] == [(txn, 209, 0) for txn in range(1, 50)]
    lost = found.counted("bytes of PDUs never completed")
    assert lost == 3 * count  # those that had to go, and those that are left at the end
    late = Packet(talk.now, ether(ip4("10.1.0.1", "10.0.0.2", tcp((20000, 502), 4, 1, read(1)))))
    records = feed(blocks([*packets, *talk.packets, late])).records
    assert (records[-1].gap_bytes, records[-1].txn) == (3, 1)


def test_a_flood_of_holes_is_bounded() -> None:
    """More streams with a hole at once than there are timers: the oldest are given up, none is forgotten."""
    count = 3 * layout.HOLES // 2
    packets = []
    for n in range(count):
        ends = (f"10.0.{n // 250}.{1 + n % 250}", "10.0.0.2")
        for i, seq in enumerate((1, 100)):
            segment = tcp((30000, 502), seq, 1, read(n & 0xFFFF, i, 1))
            packets.append(Packet(START_NS + 2 * n + i, ether(ip4(*ends, segment))))
    found = feed(blocks(packets))
    assert sorted((r.txn, r.gap_bytes) for r in found.records) == [(n, gap) for n in range(count) for gap in (0, 87)]


@pytest.mark.parametrize("cut", [1, 2, 3, 50])
def test_any_cut_into_blocks_gives_the_same(cut: int) -> None:
    talk = polls(20)
    talk.put(talk.segment(1, values(99, 1), seq=talk.seq[1] + 30))
    body = b"".join(read(txn, txn, 1) for txn in range(30))
    for a, b in itertools.pairwise([*range(0, len(body), 25), len(body)]):
        talk.send(0, body[a:b])
    talk.put(talk.segment(0, b"", 16), talk.now + 9 * SECOND)
    whole = feed(blocks(talk.packets))
    assert [vars(r) for r in whole.records if not vars(r).pop("points")] == [
        vars(r) for r in feed(blocks(talk.packets, [cut])).records if not vars(r).pop("points")
    ]
    assert feed(blocks(talk.packets, [cut])).health == whole.health
