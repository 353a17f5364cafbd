"""Capture: packets to records, records to messages, messages through the spool to Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from detectors.columns import Columns
from pipeline.capture.block import PacketBlock
from pipeline.capture.files import Captures, digest
from pipeline.config import Config
from pipeline.decode.decoder import Decoder
from pipeline.errors import ConfigError
from pipeline.metrics import HealthRow
from pipeline.names import protocol_text
from pipeline.run.report import Hooks, Progress
from pipeline.shard.note import Note, identity
from pipeline.shard.pace import paced
from pipeline.transport.batcher import Batcher
from pipeline.transport.sender import Sender, ask_partitions
from pipeline.transport.spool import Spool, Stopped

_LOOK_S = 0.25
_NAMES_S = 1.0


class PacketSource(Protocol):
    """What a shard reads: capture files, or an interface."""

    def __iter__(self) -> Iterator[PacketBlock | None]:
        """Blocks in order; None where there is nothing for a moment, so that what waits can go on."""
        ...

    def identity(self) -> str:
        """What would be read again at another start; empty where it would be something else, as live."""
        ...

    def progress(self) -> tuple[int, int]:
        """(bytes read, bytes in all), zeros where there is no end."""
        ...

    def health(self) -> list[HealthRow]:
        """(stage, counter, reason, value) rows for HEALTH so far."""
        ...


class Files:
    """Capture files as a source, at full speed or at that of their own clock."""

    def __init__(self, paths: Sequence[Path], *, pace: bool = False) -> None:
        """Find them.

        Raises:
            CaptureError: a path does not exist or is no capture.
        """
        self.captures = Captures(paths)
        self._pace = pace

    def __iter__(self) -> Iterator[PacketBlock | None]:
        """All blocks from the start."""
        yield from paced(self.captures) if self._pace else self.captures

    def identity(self) -> str:
        """Of the files' names and contents."""
        return identity((info.path, _digest(info.path, info.bytes)) for info in self.captures.captures)

    def progress(self) -> tuple[int, int]:
        """Bytes on disk."""
        return self.captures.bytes_read, self.captures.total_bytes

    def health(self) -> list[HealthRow]:
        """Of the reader."""
        return self.captures.health()


def _digest(path: str, size: int) -> str:
    try:
        return digest(Path(path), size)
    except OSError as error:
        return f"unreadable: {error.strerror}"


@dataclass(slots=True)
class ShardReport:
    """What a shard did.

    Attributes:
        packets, records, messages, bytes: read, decoded, and written to the spool by this start; bytes of messages.
        seconds: by the wall clock.
        protocols: protocol name to records.
        dropped: reason to records that were given up.
        boot, boots: the first boot of the run, and how many it took so far.
        resumed: whether an earlier start of the same run was continued.
        interrupted: whether it was asked to stop.
        unsent: bytes that the spool still holds for Kafka.
        names_unsent: names that Kafka did not take; they are told again when they are met again.
        trouble: the last that went wrong between here and Kafka, where something is unsent.
        problems: a line for each capture that ended early.
        ignored: files that are no captures.
        health: every counter of every stage.
    """

    packets: int = 0
    records: int = 0
    messages: int = 0
    bytes: int = 0
    seconds: float = 0.0
    protocols: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    boot: int = 0
    boots: int = 1
    resumed: bool = False
    interrupted: bool = False
    unsent: int = 0
    names_unsent: int = 0
    trouble: str = ""
    problems: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    health: list[HealthRow] = field(default_factory=list)


def capture(
    source: PacketSource,
    kafka: str,
    folder: Path,
    config: Config,
    *,
    hooks: Hooks | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> ShardReport:
    """Run a shard until its source ends and Kafka has everything, or until it is asked to stop.

    Args:
        source: packets.
        kafka: addresses of brokers.
        folder: of the spool.
        config: settings; `decode.shard` is the shard's number.
        hooks: progress, and whether to stop.
        tell: is given a line when a person may wonder what is waited for.

    Raises:
        ConfigError, OutputError, TransportError: it cannot begin, or cannot go on.
    """
    hooks = hooks or Hooks()
    note = Note.load(folder)
    if note is not None and note.shard != config.decode.shard:
        raise ConfigError(f"{folder}: is the spool of shard {note.shard}, not of shard {config.decode.shard}")
    partitions = note.partitions if note is not None else config.shard.partitions
    if not partitions:
        waiting = f"waiting for Kafka at {kafka}: how many partitions there are is not known before it answers"
        partitions = ask_partitions(kafka, config.kafka, stop=hooks.stop, waiting=lambda: tell(waiting))
        if not partitions:
            return ShardReport(interrupted=True)
    spool = Spool(folder, config.spool, partitions)
    try:
        sender = Sender(spool, kafka, config.kafka, partitions=partitions)
        shard = _Shard(source, spool, sender, folder, config, partitions, hooks, tell)
        sender.start()
        try:
            return shard.run()
        finally:
            sender.stop()
    finally:
        spool.close()


class _Shard:
    """One start of a shard."""

    def __init__(
        self,
        source: PacketSource,
        spool: Spool,
        sender: Sender,
        folder: Path,
        config: Config,
        partitions: int,
        hooks: Hooks,
        tell: Callable[[str], None],
    ) -> None:
        self._source, self._spool, self._sender, self._folder = source, spool, sender, folder
        self._settings, self._hooks, self._tell = config.shard, hooks, tell
        self._note, self._resumed = self._begin(config, partitions)
        self._decoder = Decoder(replace(config.decode, boot=self._note.boot))
        self._batcher = Batcher(
            spool,
            config.shard,
            partitions=partitions,
            shard=config.decode.shard,
            boot=self._note.boot,
            resume=self._resumed,
            stop=hooks.stop,
        )
        self._by_protocol = np.zeros(256, np.int64)
        self._packets = 0
        self._names: set[int] = set()
        self._names_due = 0.0
        self._interrupted = False
        self._started = time.perf_counter()

    def _begin(self, config: Config, partitions: int) -> tuple[Note, bool]:
        """The note of this run, and whether it goes on with the one before."""
        of_source = self._source.identity()
        decode = replace(config.decode, boot=0)
        sources = identity((of_source, decode, self._settings.clock_step_s, partitions)) if of_source else ""
        note = Note.load(self._folder) or Note(
            shard=config.decode.shard, partitions=partitions, next_boot=config.decode.boot
        )
        used = max(
            (p.boot + 1 for p in map(self._spool.position, range(partitions)) if p.records or p.number), default=0
        )
        note.next_boot = max(note.next_boot, used)
        resumed = bool(sources) and note.sources == sources and not note.finished
        if not resumed or self._spool.damaged:
            note.boot, note.next_boot = note.next_boot, note.next_boot + 1
            note.ended = False
        if not resumed:
            note.sources, note.finished = sources, False
        note.store(self._folder)
        return note, resumed

    def run(self) -> ShardReport:
        """Read, unless that was done before; then see Kafka have it."""
        if not self._note.ended:
            self._read()
        self._await_kafka()
        return self._report()

    def _read(self) -> None:
        try:
            for block in self._source:
                self._take(block)
                self._sender.check()
                if self._hooks.stop():
                    self._interrupted = True
                    break
            self._end()
        except Stopped:
            self._interrupted = True
            self._tell("the spool is full: what was read and did not fit is read again at the next start")
        self._tell_names(0.0)
        self._spool.flush()
        if not self._interrupted:
            self._note.ended = True
            self._note.next_boot = max(self._note.next_boot, self._batcher.boot + 1)
            self._note.store(self._folder)

    def _take(self, block: PacketBlock | None) -> None:
        if block is not None:
            self._packets += len(block)
            for batch in self._decoder.feed(block):
                self._add(batch)
                del batch
        if block is None or len(block) < 1024:
            for batch in self._decoder.flush():  # a slow source: nobody waits for a full batch
                self._add(batch)
                del batch
        self._batcher.cut_aged()
        now = time.monotonic()
        if now >= self._names_due:
            self._tell_names(now + _NAMES_S)
        self._hooks.progress(Progress(*self._source.progress(), self._packets))

    def _end(self) -> None:
        """What is left.  Streams are closed only where nothing will be read again."""
        again = self._interrupted and self._note.sources
        for batch in self._decoder.flush() if again else self._decoder.finish():
            self._add(batch)
            del batch
        if self._interrupted:
            self._batcher.cut_all()
        else:
            self._batcher.end()

    def _add(self, batch: Columns) -> None:
        self._by_protocol += np.bincount(batch.protocol, minlength=256)
        self._batcher.add(batch)

    def _tell_names(self, due: float) -> None:
        self._names_due = due
        names = self._decoder.names()
        new = {name_id: text for name_id, text in names.items() if name_id not in self._names}
        if new:
            self._names.update(new)
            self._sender.tell_names(new)

    def _await_kafka(self) -> None:
        """Wait until Kafka has everything: as long as it takes at the end, for a moment where it was asked to stop."""
        deadline = self._soon() if self._interrupted else None
        told = False
        while not self._spool.wait_empty(_LOOK_S):
            self._sender.check()
            if deadline is None and self._hooks.stop():
                self._interrupted, deadline = True, self._soon()
            if deadline is not None and time.monotonic() >= deadline:
                return
            if not told and self._sender.trouble:
                told = True
                self._tell(f"all is spooled; waiting for Kafka: {self._sender.trouble}")
        self._sender.wait_names(self._settings.stop_s)
        if self._note.ended:
            self._note.finished = True
            self._note.store(self._folder)

    def _soon(self) -> float:
        return time.monotonic() + self._settings.stop_s

    def _report(self) -> ShardReport:
        rows = [*self._source.health(), *self._decoder.health(), *self._batcher.health()]
        rows += [*self._spool.health(), *self._sender.health()]
        made = {counter: n for stage, counter, _, n in rows if stage == "shard"}
        captures = self._source.captures if isinstance(self._source, Files) else None
        unsent, names = self._spool.unacknowledged(), self._sender.names_waiting()
        return ShardReport(
            packets=self._packets,
            records=int(self._by_protocol.sum()),
            messages=made.get("messages", 0),
            bytes=made.get("bytes", 0),
            seconds=time.perf_counter() - self._started,
            protocols={protocol_text(int(p)): int(self._by_protocol[p]) for p in np.flatnonzero(self._by_protocol)},
            dropped={reason: n for stage, counter, reason, n in rows if (stage, counter) == ("spool", "dropped") and n},
            boot=self._note.boot,
            boots=1 + self._batcher.steps,
            resumed=self._resumed,
            interrupted=self._interrupted,
            unsent=unsent,
            names_unsent=names,
            trouble=self._sender.trouble if unsent or names else "",
            problems=[str(p) for p in captures.problems] if captures else [],
            ignored=[str(p) for p in captures.ignored] if captures else [],
            health=rows,
        )
