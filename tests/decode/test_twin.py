"""The Decoder against its plain-Python twin: golden captures, the plant, and random conversations."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.capture.files import Captures
from pipeline.synth import bulk, simulate
from schemas.codes import Anomaly
from tests.decode.packets import MS, SECOND, Packet, Talk, mbap
from tests.decode.reading import blocks, feed
from tests.golden.cases import CASES
from tests.reference import decode as twin
from tests.synth.reading import speaks_otherwise

COMPARED = ("packet", "kind", "txn", "unit", "func", "match", "peer_seq", "rtt_us", "addr", "count", "status", "values")
SHARED = {1, 2, 3, 4, 5, 6, 15, 16, 23}
"""Functions that the twin reads whole; of others it tells what comes before the body."""


def told(record: Any) -> tuple[Any, ...]:
    names = COMPARED if record.func in SHARED else COMPARED[:8]
    differs = record.differs if isinstance(record, twin.Record) else bool(record.anomaly & Anomaly.OVERLAP_DIFFERS)
    return (record.ts, record.length, differs, *(getattr(record, name) for name in names))


def compare(packets: Sequence[Packet]) -> int:
    wanted = [told(r) for r in twin.Decoder().feed(packets)]
    found = [told(r) for r in feed(blocks(packets)).records]
    assert found == wanted
    return len(found)


def of_capture(path: Path) -> list[Packet]:
    return [
        Packet(ts, block.data[at : at + size].tobytes())
        for block in Captures([path])
        for ts, at, size in zip(block.ts_ns.tolist(), block.offset.tolist(), block.captured.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("public_functions", "diagnostics", "exceptions", "split_and_pipelined", "mirrored_twice"),
        *("gateway_units", "umas", "device_id", "vlan_qinq", "timeout_late"),
    ],
)
def test_golden_captures(name: str) -> None:
    assert compare(CASES[f"modbus_{name}"]()) > 3


def test_the_plant(tmp_path: Path) -> None:
    simulate(tmp_path, minutes=1, seed=8)
    # The twin knows Modbus alone.
    modbus = [p for p in of_capture(tmp_path / "plant.pcap") if not speaks_otherwise(p.data)]
    assert compare(modbus) > 500


@pytest.mark.parametrize("kind", ["read", "write"])
def test_bulk_traffic(kind: str, tmp_path: Path) -> None:
    assert compare(of_capture(bulk(tmp_path / "bulk.pcap", packets=600, flows=30, kind=kind).path)) == 600


def pdus(draw: random.Random) -> tuple[bytes, bytes]:
    """A request and the answer to it, sometimes an exception."""
    func, addr, count = draw.choice((1, 2, 3, 4, 5, 6, 15, 16, 23)), draw.randrange(60_000), draw.randrange(1, 30)
    span, words = struct.pack("!HH", addr, count), draw.randbytes(2 * count)
    octets = draw.randbytes((count + 7) // 8)
    if func in (1, 2):
        pair = span, bytes([len(octets)]) + octets
    elif func in (3, 4):
        pair = span, bytes([len(words)]) + words
    elif func in (5, 6):
        one = struct.pack("!HH", addr, draw.choice((0, 0xFF00)))
        pair = one, one
    elif func == 15:
        pair = span + bytes([len(octets)]) + octets, span
    elif func == 16:
        pair = span + bytes([len(words)]) + words, span
    else:
        pair = span + struct.pack("!HHB", addr, count, 2 * count) + words, bytes([len(words)]) + words[::-1]
    answer = bytes([func]) + pair[1] if draw.random() < 0.9 else bytes([0x80 | func, draw.randrange(1, 5)])
    return bytes([func]) + pair[0], answer


def conversation(draw: random.Random, port: int, start: int) -> list[Packet]:
    """Pipelined requests, unanswered and repeated ones, late answers; segments cut anywhere, copied and shuffled."""
    talk = Talk(port=port, seq=[draw.getrandbits(32), draw.getrandbits(32)], now=start).open()
    for txn in range(draw.randrange(5, 25)):
        number = draw.choice((txn, txn, 0))
        request, answer = pdus(draw)
        sent: list[Packet] = []
        before = talk.seq[1]
        for side, pdu in ((0, mbap(number, 1, request)), (1, mbap(number, 1, answer))):
            if side == 1 and draw.random() < 0.1:
                continue
            cuts = sorted({0, len(pdu), *(draw.randrange(len(pdu)) for _ in range(draw.randrange(4)))})
            pieces = []
            for a, b in itertools.pairwise(cuts):
                pieces.append(talk.segment(side, pdu[a:b]))
                talk.seq[side] = (talk.seq[side] + b - a) % 2**32
            if draw.random() < 0.3:
                pieces += draw.sample(pieces, 1)
            if draw.random() < 0.2:
                draw.shuffle(pieces)
            sent += pieces
        if draw.random() < 0.1:
            talk.now += draw.choice((6, 70)) * SECOND
        for packet in sent:
            talk.put(packet)
        while talk.seq[1] == (before + len(answer) + 7) % 2**32 and draw.random() < 0.15:
            forged = answer[:-1] + draw.randbytes(1) if len(answer) > 2 else answer
            talk.put(talk.segment(1, mbap(number, 1, forged), seq=talk.seq[1] - len(forged) - 7))
    return talk.packets


@pytest.mark.parametrize("seed", range(40))
def test_random_conversations(seed: int) -> None:
    draw = random.Random(seed)
    talks = [conversation(draw, 40_000 + n, 1_767_225_600 * SECOND + n * MS // 7) for n in range(5)]
    assert compare(sorted((p for talk in talks for p in talk), key=lambda p: p.ts)) > 20
