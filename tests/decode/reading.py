"""Captures through the real reader and Decoder, and their records as plain rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from detectors.columns import Columns
from pipeline.capture.block import PacketBlock
from pipeline.capture.files import Captures
from pipeline.decode.decoder import Decoder, DecodeSettings
from schemas.codes import Anomaly
from schemas.record import POINT_COLUMNS, RECORD_COLUMNS
from tests.decode.packets import Packet, write_pcap

CIRCUMSTANCES = ~((1 << 32) - 1)


@dataclass
class Decoded:
    """What came out: records (column names; `points` are (space, addr, value) and more), counters, names."""

    records: list[Any] = field(default_factory=list)
    health: dict[tuple[str, str, str], int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    batches: int = 0

    def counted(self, reason: str) -> int:
        """The counters of one reason together."""
        return sum(value for (_, _, why), value in self.health.items() if why == reason)

    def of(self, kind: int) -> list[Any]:
        return [r for r in self.records if r.kind == kind]

    def said(self) -> list[tuple[Any, ...]]:
        """Transaction, kind, match, address and values of each record: what most tests ask."""
        return [(r.txn, r.kind, r.match, r.addr, r.values) for r in self.records]


def rows(columns: Columns) -> Iterator[Any]:
    """A batch as one object per record, all columns copied out."""
    plain = {c.name: getattr(columns, c.name).tolist() for c in RECORD_COLUMNS}
    points = {c.name: getattr(columns.points, c.name).tolist() for c in POINT_COLUMNS}
    offsets = columns.offsets.tolist()
    for i in range(len(columns)):
        row = SimpleNamespace(**{name: column[i] for name, column in plain.items()})
        inside = range(offsets[i], offsets[i + 1])
        assert row.n_points == len(inside)
        row.src_ip, row.dst_ip = (columns.src_ip[i].tobytes(), columns.dst_ip[i].tobytes())
        row.points = [SimpleNamespace(**{name: column[p] for name, column in points.items()}) for p in inside]
        row.values = [p.value for p in row.points]
        row.anomaly = Anomaly(row.anomaly)
        yield row


def blocks(packets: Sequence[Packet], sizes: Iterable[int] = ()) -> Iterator[PacketBlock]:
    """Packets as blocks in memory, cut after `sizes` packets (the last size goes on)."""
    cuts = iter(sizes)
    at, size = 0, len(packets)
    while at < len(packets):
        size = max(1, next(cuts, size))
        part = packets[at : at + size]
        lengths = np.array([len(p.data) for p in part], np.int64)
        yield PacketBlock(
            np.frombuffer(bytearray(b"".join(p.data for p in part) or b"\0"), np.uint8),
            np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64),
            lengths,
            np.array([p.original or len(p.data) for p in part], np.int64),
            np.array([p.ts for p in part], np.int64),
            np.array([p.link for p in part], np.int64),
            at + 1,
            0,
        )
        at += len(part)


def feed(source: Iterable[PacketBlock], settings: DecodeSettings | None = None, *, finish: bool = True) -> Decoded:
    """All records of a stream of blocks."""
    decoder, found = Decoder(settings), Decoded()

    def take(batches: Iterator[Columns]) -> None:
        for batch in batches:
            batch.to_batch().validate(full=True)
            found.batches += 1
            found.records += rows(batch)

    for block in source:
        take(decoder.feed(block))
    if finish:
        take(decoder.finish())
    found.health = {(stage, counter, reason): value for stage, counter, reason, value in decoder.health()}
    found.names = dict(decoder.names())
    return found


def decode_file(path: Path, **settings: Any) -> Decoded:
    captures = Captures([path])
    found = feed(captures, DecodeSettings(**settings))
    assert captures.problems == []
    return found


def decode(packets: Iterable[Packet], **settings: Any) -> Decoded:
    """Packets written into a capture and read back through the reader and the Decoder."""
    with tempfile.TemporaryDirectory() as folder:
        return decode_file(write_pcap(Path(folder) / "packets.pcap", packets), **settings)
