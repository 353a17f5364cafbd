"""The spool: what is synced survives, what is torn is cut, what does not fit is dropped by policy, counted and told."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from detectors.base import Mark
from pipeline.errors import OutputError
from pipeline.transport.codec import decode, encode
from pipeline.transport.spool import Loss, Ready, Spool, SpoolSettings, Stopped
from pipeline.transport.spool.frames import FrameKind, frames
from schemas.codes import MarkKind
from tests.transport.streams import golden

BATCH = golden()[0][1]
MARKS = tuple((0, Mark(MarkKind.CONTROL, i, 0, 0, "x" * 60_000)) for i in range(4))
"""240 KB that LZ4 does not touch: metadata is not packed."""


class Writer:
    """Appends messages of one partition with numbers that follow on each other."""

    def __init__(self, spool: Spool, *, partition: int = 0, large: bool = False) -> None:
        self.spool, self.partition, self.marks = spool, partition, MARKS if large else ()
        self.kept: list[tuple[bytes, bytes]] = []

    def append(self, **options: object) -> bool:
        position = self.spool.position(self.partition)
        told = self.spool.loss(self.partition)
        gap = ((0, Mark(MarkKind.GAP, told.last_ts, 0, told.records)),) if told else ()
        message = encode(
            BATCH, gap + self.marks, shard=0, boot=0, partition=self.partition, number=position.number, previous_seq=0
        )
        last_seq = position.last_seq + 1
        kept = self.spool.append(self.partition, *message, last_seq=last_seq, marks=7, told=told, **options)  # type: ignore[arg-type]
        if kept:
            self.kept.append(message)
        return kept


@contextmanager
def spool(folder: Path, *, partitions: int = 2, **settings: object) -> Iterator[Spool]:
    one = Spool(folder, SpoolSettings(**settings), partitions)  # type: ignore[arg-type]
    try:
        yield one
    finally:
        one.close()


def everything(one: Spool, *, acknowledge: bool = True) -> list[tuple[bytes, bytes]]:
    """All that can be read now."""
    found: list[Ready] = []
    one.flush()
    while (ready := one.read(0.0)) is not None:
        found.append(ready)
        if acknowledge:
            one.acknowledge(ready.token)
    return [(r.header, r.value) for r in found]


def dropped(one: Spool) -> dict[str, int]:
    return {reason: n for _, counter, reason, n in one.health() if counter == "dropped"}


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.segment"))


def test_what_is_appended_is_read_in_order_and_then_gone(tmp_path: Path) -> None:
    with spool(tmp_path) as one:
        writers = [Writer(one, partition=p) for p in (0, 1)]
        assert all(w.append() for _ in range(5) for w in writers)
        found = everything(one)
        assert found == [m for pair in zip(*(w.kept for w in writers), strict=True) for m in pair]
        assert one.wait_empty(0)
        assert one.unacknowledged() == 0
    with spool(tmp_path) as one:
        assert everything(one) == []
        assert (one.position(1).number, one.position(1).last_seq, one.position(1).marks) == (5, 5, 7)


def test_nothing_is_sent_before_it_is_synced(tmp_path: Path) -> None:
    with spool(tmp_path, sync_ms=3_600_000, sync_mb=1000) as one:
        writer = Writer(one)
        writer.append()
        assert one.read(0.0) is None
        assert not one.wait_empty(0)
        one.flush()
        assert one.read(0.0) is not None


@pytest.mark.parametrize("settings", [{"sync_ms": 1, "sync_mb": 1000}, {"sync_ms": 3_600_000, "sync_mb": 1}])
def test_it_syncs_by_itself_after_so_long_or_so_much(tmp_path: Path, settings: dict[str, int]) -> None:
    with spool(tmp_path, **settings) as one:
        writer = Writer(one, large=True)
        for _ in range(6):
            writer.append()
        assert one.read(30.0) is not None


def test_what_is_not_acknowledged_is_read_again_after_a_restart(tmp_path: Path) -> None:
    with spool(tmp_path) as one:
        writer = Writer(one)
        for _ in range(6):
            writer.append()
        one.flush()
        ready = [one.read(0.0) for _ in range(4)]
        for entry in (ready[0], ready[2], ready[1]):
            assert entry is not None
            one.acknowledge(entry.token)
    with spool(tmp_path) as one:
        assert everything(one) == writer.kept[3:]


def test_an_answer_that_comes_out_of_order_acknowledges_nothing_before_it(tmp_path: Path) -> None:
    with spool(tmp_path) as one:
        writer = Writer(one)
        for _ in range(3):
            writer.append()
        one.flush()
        ready = [one.read(0.0) for _ in range(3)]
        assert ready[2] is not None
        one.acknowledge(ready[2].token)
    with spool(tmp_path) as one:
        assert everything(one) == writer.kept


def test_rewound_it_reads_again_what_was_not_acknowledged(tmp_path: Path) -> None:
    with spool(tmp_path) as one:
        writer = Writer(one)
        for _ in range(3):
            writer.append()
        everything(one, acknowledge=False)
        one.rewind()
        assert everything(one) == writer.kept


@pytest.mark.parametrize("torn", [1, 3, 30, 33, 500])
def test_a_torn_tail_is_cut_and_the_numbers_go_on(tmp_path: Path, torn: int) -> None:
    with spool(tmp_path) as one:
        writer = Writer(one)
        for _ in range(3):
            writer.append()
    path = files(tmp_path)[-1]
    ends = [f.end for f in frames(path)]
    os.truncate(path, ends[-1] - torn)
    (tmp_path / "progress").unlink()  # as it is when the power fails before the last sync
    with spool(tmp_path) as one:
        assert not one.damaged
        assert path.stat().st_size == ends[-2]
        assert one.position(0).number == 2
        assert everything(one) == writer.kept[:2]


def test_what_was_synced_and_is_gone_is_told(tmp_path: Path) -> None:
    with spool(tmp_path) as one:
        writer = Writer(one)
        for _ in range(3):
            writer.append()
    path = files(tmp_path)[-1]
    os.truncate(path, path.stat().st_size - 1)
    with spool(tmp_path) as one:
        assert one.damaged
        assert one.loss(0) is not None


def test_a_damaged_segment_loses_what_follows_in_it_and_says_how_much(tmp_path: Path) -> None:
    with spool(tmp_path, budget_mb=8, segment_mb=1) as one:
        writer = Writer(one, large=True)
        for _ in range(12):
            writer.append()
    path = files(tmp_path)[1]
    inside = [f for f in frames(path) if f.kind is FrameKind.MESSAGE]
    damage = inside[0].end + 5000
    with path.open("r+b") as file:
        file.seek(damage)
        byte = file.read(1)[0]
        file.seek(damage)
        file.write(bytes([byte ^ 1]))
    with spool(tmp_path, budget_mb=8, segment_mb=1) as one:
        gone = len(inside) - 1
        assert gone >= 1
        loss = one.loss(0)
        assert loss is not None
        assert (loss.messages, loss.records) == (gone, gone * len(BATCH))
        assert len(everything(one)) == 12 - gone


def test_a_segment_that_was_only_begun_is_forgotten(tmp_path: Path) -> None:
    with spool(tmp_path) as one:
        writer = Writer(one)
        writer.append()
    (tmp_path / f"{files(tmp_path)[-1].stem[:-1]}7.segment").write_bytes(b"FTSG")
    with spool(tmp_path) as one:
        assert everything(one) == writer.kept


def test_files_that_kafka_has_are_deleted(tmp_path: Path) -> None:
    with spool(tmp_path, budget_mb=8, segment_mb=1) as one:
        writer = Writer(one, large=True)
        for _ in range(12):
            writer.append()
            everything(one)
        assert len(writer.kept) == 12
        assert len(files(tmp_path)) == 1
    with spool(tmp_path, budget_mb=8, segment_mb=1) as one:
        assert everything(one) == []
        assert one.position(0).number == 12


def test_two_processes_cannot_have_it(tmp_path: Path) -> None:
    with spool(tmp_path), pytest.raises(OutputError, match="another process uses this spool"):
        Spool(tmp_path, SpoolSettings(), 2)


# --- overflow


SMALL = {"budget_mb": 2, "segment_mb": 1}


def test_drop_newest_drops_what_comes_and_keeps_what_is_there(tmp_path: Path) -> None:
    with spool(tmp_path, policy="drop_newest", **SMALL) as one:
        writer = Writer(one, large=True)
        answers = [writer.append() for _ in range(20)]
        kept = sum(answers)
        assert 0 < kept < 20
        loss = one.loss(0)
        assert loss == Loss((20 - kept) * len(BATCH), 20 - kept, loss.first_ts, loss.last_ts, "spool full")  # type: ignore[union-attr]
        assert dropped(one) == {"spool full": (20 - kept) * len(BATCH)}
        assert everything(one) == writer.kept
        assert writer.append()
        assert one.loss(0) is None


def test_drop_oldest_drops_whole_files_that_were_not_being_sent(tmp_path: Path) -> None:
    with spool(tmp_path, policy="drop_oldest", **SMALL) as one:
        writer = Writer(one, large=True)
        writer.append()
        one.flush()
        first = one.read(0.0)
        assert all(writer.append() for _ in range(30))
        assert sum(path.stat().st_size for path in files(tmp_path)) <= 2 << 20
        found = [(first.header, first.value), *everything(one)]  # type: ignore[union-attr]
        assert found == [m for m in writer.kept if m in found]
        assert found[-1] == writer.kept[-1]
        assert dropped(one) == {"spool full, oldest": (31 - len(found)) * len(BATCH)}


@pytest.mark.parametrize("restart", [False, True])
def test_what_dropped_messages_told_of_losses_is_told_again(tmp_path: Path, restart: bool) -> None:
    with spool(tmp_path, policy="drop_oldest", **SMALL) as one:
        one.lose({0: Loss(1000, 1, 5, 6, "too large")})
        writer = Writer(one, large=True)
        one.flush()
        for _ in range(30):
            writer.append()
        kept = [] if restart else everything(one)
        total = sum(dropped(one).values())
        pending = one.loss(0)
    if restart:
        with spool(tmp_path, policy="drop_oldest", **SMALL) as one:
            assert one.loss(0) == pending
            kept = everything(one)
    assert total == 1000 + len(BATCH) * sum(1 for m in writer.kept if m not in kept)
    told = sum(mark.count for m in kept for _, mark in decode(*m, partition=0).marks if mark.kind is MarkKind.GAP)
    assert told + (pending.records if pending else 0) == total
    assert pending is None or pending.records < total


def test_losses_survive_a_restart(tmp_path: Path) -> None:
    with spool(tmp_path, policy="drop_oldest", **SMALL) as one:
        writer = Writer(one, large=True)
        for _ in range(30):
            writer.append()
        before = one.loss(0)
    with spool(tmp_path, policy="drop_oldest", **SMALL) as one:
        assert one.loss(0) == before
        assert not one.damaged


def test_block_waits_until_there_is_room(tmp_path: Path) -> None:
    with spool(tmp_path, policy="block", **SMALL) as one:
        writer = Writer(one, large=True)
        done = threading.Event()

        def write() -> None:
            for _ in range(20):
                writer.append()
            done.set()

        thread = threading.Thread(target=write)
        thread.start()
        found: list[tuple[bytes, bytes]] = []
        while len(found) < 20:
            ready = one.read(30.0)
            if ready is not None:
                found.append((ready.header, ready.value))
                one.acknowledge(ready.token)
        thread.join()
        assert done.is_set()
        assert found == writer.kept
        assert dropped(one) == {}


def _fill(writer: Writer) -> None:
    for _ in range(20):
        writer.append(stop=lambda: True)


def test_waiting_for_room_can_be_ended(tmp_path: Path) -> None:
    with spool(tmp_path, policy="block", **SMALL) as one:
        writer = Writer(one, large=True)
        with pytest.raises(Stopped):
            _fill(writer)
        assert everything(one) == writer.kept


def test_the_last_words_of_a_stream_go_beyond_the_budget(tmp_path: Path) -> None:
    with spool(tmp_path, policy="drop_newest", **SMALL) as one:
        writer = Writer(one, large=True)
        while writer.append():
            pass
        assert writer.append(must=True)


def test_a_message_that_kafka_refuses_is_a_loss(tmp_path: Path) -> None:
    with spool(tmp_path) as one:
        writer = Writer(one)
        writer.append()
        one.flush()
        ready = one.read(0.0)
        one.acknowledge(ready.token, refused="too large for Kafka")  # type: ignore[union-attr]
        assert one.loss(0) == Loss(len(BATCH), 1, int(BATCH.ts.min()), int(BATCH.ts.max()), "too large for Kafka")
