"""Feed: shards' messages made by arithmetic: the same seed gives the same messages, at any rate and length."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.base import Mark
from detectors.columns import Columns, records
from pipeline.marks import SECOND_NS
from pipeline.transport.codec import encode
from schemas.codes import Direction, Kind, MarkKind, Match, Op, PointType, Protocol, Space, Transport

START_NS = 1_772_443_200 * SECOND_NS
BLOCK_S = 4
SHARDS = (1, 2)
BOOT = 7
CLIENTS = 6
DEVICES = 64
ROUNDS = 16
"""Polls of a device in a block."""
BLOCK = 2 * DEVICES * ROUNDS
"""Records of a shard's block."""
LEARN_S = 30
"""How long everything is as it always is; what is odd comes later."""
_LEVEL, _STEADY = 5, 6


class Sent(NamedTuple):
    """A message to send, and how many records it holds."""

    partition: int
    header: bytes
    value: bytes
    records: int


class _Part(NamedTuple):
    """The records of a block that go to one partition: as they are in block 0, and which of the block they are."""

    batch: Columns
    rows: NDArray[np.int64]


def number(shard: NDArray[Any], seq: NDArray[Any]) -> NDArray[np.int64]:
    """One number for each record of a feed."""
    return (shard.astype(np.int64) << 40) | seq.astype(np.int64)


class Feed:
    """Blocks of records of all shards, with TIME marks each second, START before the first and END after the last.

    Each shard watches devices of its own; all devices have the same clients.  Once they are known (:data:`LEARN_S`),
    here and there a function is new, a client is a stranger, or a value leaves its range.
    """

    def __init__(self, seed: int, partitions: int, *, start_ns: int = START_NS) -> None:
        self.seed = seed
        self.partitions = partitions
        self._start_ns = start_ns
        self._rng = random.Random(seed)
        self._base = {shard: self._parts(shard) for shard in SHARDS}
        self._numbers = {(shard, p): 0 for shard in SHARDS for p in range(partitions)}
        self._last_seq = dict.fromkeys(self._numbers, 0)
        self._leap_ns = 0
        self.blocks = 0

    @property
    def records(self) -> int:
        """Records made so far."""
        return self.blocks * BLOCK * len(SHARDS)

    def probes(self, every: int) -> NDArray[np.int64]:
        """The number of each record made so far of which a worker writes a probe row."""
        seqs = np.arange(every, self.blocks * BLOCK + 1, every)
        return np.concatenate([number(np.full(len(seqs), shard), seqs) for shard in SHARDS])

    def leap(self, seconds: int) -> None:
        """Let nothing happen for so long."""
        self._leap_ns += seconds * SECOND_NS

    def block(self) -> Iterator[Sent]:
        """The messages of the next block of every shard."""
        now = self._now()
        for shard in SHARDS:
            for partition, part in enumerate(self._base[shard]):
                seconds = now + SECOND_NS * np.arange(BLOCK_S)
                ts = part.batch.ts + (now - self._start_ns)
                kinds = [MarkKind.TIME if self.blocks or at else MarkKind.START for at in range(BLOCK_S)]
                marks = [
                    (int(row), Mark(kind, int(second), shard))
                    for kind, row, second in zip(kinds, np.searchsorted(ts, seconds), seconds, strict=True)
                ]
                yield self._message(shard, partition, self._varied(part, ts), marks)
        self.blocks += 1

    def end(self) -> Iterator[Sent]:
        """The messages that say that every shard's input is over."""
        now = self._now()
        for shard, partition in list(self._numbers):
            yield self._message(shard, partition, None, [(0, Mark(MarkKind.END, now, shard))])

    def _now(self) -> int:
        return self._start_ns + self.blocks * BLOCK_S * SECOND_NS + self._leap_ns

    def _message(self, shard: int, partition: int, batch: Columns | None, marks: list[tuple[int, Mark]]) -> Sent:
        place = shard, partition
        header, value = encode(
            batch,
            tuple(marks),
            shard=shard,
            boot=BOOT,
            partition=partition,
            number=self._numbers[place],
            previous_seq=self._last_seq[place],
        )
        self._numbers[place] += 1
        if batch is not None:
            self._last_seq[place] = int(batch.seq[-1])
        return Sent(partition, header, value, 0 if batch is None else len(batch))

    def _varied(self, part: _Part, ts: NDArray[np.int64]) -> Columns:
        """The records of a block as they are in the present one."""
        batch, rng, at = part.batch, self._rng, self.blocks
        seq = (part.rows + (1 + at * BLOCK)).astype(np.uint64)
        levels = batch.points.addr == _LEVEL
        value = batch.points.value + np.where(levels, 2.0 * abs(at % 10 - 5), 0.0)
        func, src_ip = batch.func, batch.src_ip
        if at * BLOCK_S > 2 * LEARN_S and len(seq):
            row = rng.randrange(len(seq))
            what = rng.randrange(12)
            if what == 0 and len(value):
                value[rng.randrange(len(value))] *= rng.choice((1.5, 3.0, 10.0))
            elif what == 1:
                func = func.copy()
                func[row] = 60 + rng.randrange(8)
            elif what == 2 and batch.client_is_src[row]:
                src_ip = src_ip.copy()
                src_ip[row] = np.frombuffer(_address(100 + rng.randrange(30)), np.uint64)
        points = replace(batch.points, value=value)
        return replace(batch, ts=ts, seq=seq, packet=seq, func=func, src_ip=src_ip, points=points)

    def _parts(self, shard: int) -> list[_Part]:
        rng = random.Random(f"{self.seed}/{shard}")
        devices = [rng.getrandbits(63) for _ in range(DEVICES)]
        rows: list[dict[str, Any]] = []
        for n in range(DEVICES * ROUNDS):
            at = self._start_ns + (n * BLOCK_S * SECOND_NS) // (DEVICES * ROUNDS)
            rows += _exchange(at, n % CLIENTS, devices[n % DEVICES], shard * 256 + n % DEVICES)
        whole = records(rows)
        whole = replace(whole, shard=np.full(BLOCK, shard, np.uint16), boot=np.full(BLOCK, BOOT, np.uint32))
        of = whole.bucket % self.partitions
        each = [np.flatnonzero(of == p) for p in range(self.partitions)]
        return [_Part(whole.take(rows), rows) for rows in each]


def _exchange(at: int, client: int, device: int, server: int) -> list[dict[str, Any]]:
    """A request, and its answer of two registers a millisecond later."""
    asks, answers = _address(client + 1), bytes(10) + b"\xff\xff\x0a\x01" + server.to_bytes(2, "big")
    base = {"device": device, "protocol": Protocol.MODBUS, "transport": Transport.TCP, "unit": 1, "op": Op.READ}
    base |= {"func": 3, "space": Space.HOLDING_REGISTER, "addr": _LEVEL, "count": 2, "flow": device ^ client}
    tag = {"space": Space.HOLDING_REGISTER, "type": PointType.U16, "direction": Direction.READ}
    points = [tag | {"addr": _LEVEL, "value": 1000.0}, tag | {"addr": _STEADY, "value": 42.0}]
    there = {"src_ip": asks, "dst_ip": answers, "src_port": 40_000 + client, "dst_port": 502, "client_is_src": 1}
    back = {"src_ip": answers, "dst_ip": asks, "src_port": 502, "dst_port": 40_000 + client}
    return [
        base | there | {"ts": at, "kind": Kind.REQUEST, "match": Match.PENDING},
        base | back | {"ts": at + 1_000_000, "kind": Kind.RESPONSE, "match": Match.MATCHED, "points": points},
    ]


def _address(client: int) -> bytes:
    return bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([client])
